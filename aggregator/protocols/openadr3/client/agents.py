"""Run several sites as one process: ``python -m aggregator.protocols.openadr3.client.agents``.

Each site is an ordinary OpenADR client: it enrols, polls events, accepts or declines them,
and reports its meter each half hour as the market's time passes. The process ends when every
site has reported the whole delivery day.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx

from aggregator.protocols.openadr3.client.behaviour import (
    HALF_HOUR,
    HALF_HOURS,
    AgentsConfig,
    ResourceConfig,
    VenConfig,
    WrongConfig,
    agents_config,
    completed_count,
    energy_kwh,
)
from aggregator.protocols.openadr3.client.vtn import CONFLICT, Rejected, Unreachable, Vtn
from aggregator.protocols.openadr3.mapping import (
    SETPOINT,
    USAGE,
    ack_report,
    opt_out_report,
    usage_report,
)
from aggregator.protocols.openadr3.wire import EventMessage, read_event, read_period

logger = logging.getLogger("agents")

REQUEST_S: Final = 30.0


class Site:
    """One operator's client and its units.

    Parameters
    ----------
    config
        Of the process.
    ven
        Of this site.
    vtn
        Its connection.
    """

    def __init__(self, config: AgentsConfig, ven: VenConfig, vtn: Vtn) -> None:
        self.reported_count = 0
        self._config = config
        self._ven = ven
        self._vtn = vtn
        self._accepted: dict[str, bool] = {}
        self._resources = {resource.name: resource for resource in ven.resources}

    async def run(self, *, forever: bool) -> None:
        """Enrol, then look, answer and report until the day is over."""
        await self._enrol()
        while forever or self.reported_count < HALF_HOURS:
            await self._look()
            await asyncio.sleep(self._config.poll_s)
        logger.info("%s: all %d half hours reported", self._ven.ven_name, HALF_HOURS)

    async def _enrol(self) -> None:
        name = self._ven.ven_name
        ven = await self._found_or_made(
            "vens", {"venName": name}, {"objectType": "VEN_VEN_REQUEST", "venName": name}
        )
        for resource in self._ven.resources:
            query = {"resourceName": resource.name, "venID": ven["id"]}
            await self._found_or_made(
                "resources", query, {"objectType": "VEN_RESOURCE_REQUEST", **query}
            )
        logger.info("%s: enrolled with %d resources", name, len(self._resources))

    async def _found_or_made(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any]
    ) -> dict[str, Any]:
        found = await self._vtn.all(path, **query)
        if found:
            return found[0]
        try:
            return await self._vtn.make(path, body)
        except Rejected as refusal:
            # an answer that was lost on the way made it all the same
            found = await self._vtn.all(path, **query) if refusal.status == CONFLICT else []
            if found:
                return found[0]
            raise

    async def _look(self) -> None:
        """Read all events, answer new ones, report what the orders left of the half hours."""
        orders_kw: dict[str, list[float]] = {name: [0.0] * HALF_HOURS for name in self._resources}
        metering_id = ""
        for body in await self._vtn.all("events"):
            event = read_event(body)
            if _asks_usage(event) and self._is_of_the_day(event):
                metering_id = event.id
            for name in self._resources.keys() & set(event.targets):
                if await self._is_accepted(event, self._resources[name]):
                    self._order_add(orders_kw[name], event)
        if metering_id and self._vtn.market_at is not None:
            await self._report(metering_id, self._vtn.market_at, orders_kw)

    def _is_of_the_day(self, event: EventMessage) -> bool:
        period = read_period(event.body.get("intervalPeriod"), "intervalPeriod")
        return period.start == self._config.day_starts_at

    async def _is_accepted(self, event: EventMessage, resource: ResourceConfig) -> bool:
        known = self._accepted.get(event.id)
        if known is not None:
            return known
        common = {
            "event_id": event.id,
            "client_name": self._ven.ven_name,
            "resource_name": resource.name,
        }
        accepted = not resource.opt_out
        report = (
            ack_report(**common)
            if accepted
            else opt_out_report(**common, reason=resource.opt_out_reason)
        )
        try:
            await self._vtn.make("reports", report)
        except Rejected as refusal:
            # too late, or taken back meanwhile: no order any more
            logger.warning("%s: %s not answered: %s", resource.name, event.name, refusal)
            accepted = False
        else:
            logger.info("%s: %s %s", resource.name, event.name, "ok" if accepted else "declined")
        self._accepted[event.id] = accepted
        return accepted

    def _order_add(self, ordered_kw: list[float], event: EventMessage) -> None:
        for interval in event.intervals:
            if interval.period.start is None:
                continue
            t = (interval.period.start - self._config.day_starts_at) // HALF_HOUR
            for payload in interval.payloads:
                if payload.type == SETPOINT and 0 <= t < HALF_HOURS:
                    ordered_kw[t] += float(payload.values[0])

    async def _report(
        self, event_id: str, market_at: datetime, orders_kw: Mapping[str, list[float]]
    ) -> None:
        """Report the half hours that ended since the last report, all units in one."""
        first_t = self.reported_count
        end_t = completed_count(self._config.day_starts_at, market_at)
        if end_t <= first_t:
            return
        readings: dict[str, list[tuple[datetime, Decimal]]] = {}
        for name, resource in self._resources.items():
            readings[name] = [
                (
                    self._config.day_starts_at + t * HALF_HOUR,
                    energy_kwh(self._config, resource, t, orders_kw[name]),
                )
                for t in range(first_t, end_t)
            ]
        report = usage_report(
            event_id=event_id,
            client_name=self._ven.ven_name,
            name=f"usage-{self._config.delivery_on}-{first_t:02d}-{end_t:02d}",
            readings=readings,
        )
        await self._vtn.make("reports", report)
        self.reported_count = end_t
        logger.info("%s: reported half hours %d to %d", self._ven.ven_name, first_t, end_t - 1)


def _asks_usage(event: EventMessage) -> bool:
    descriptors = event.body.get("reportDescriptors") or ()
    return any(descriptor.get("payloadType") == USAGE for descriptor in descriptors)


async def agents_run(config: AgentsConfig, *, forever: bool) -> None:
    """Run all sites until the last has reported its day."""
    async with asyncio.TaskGroup() as group:
        for ven in config.vens:
            group.create_task(_site_run(config, ven, forever=forever))


async def _site_run(config: AgentsConfig, ven: VenConfig, *, forever: bool) -> None:
    async with httpx.AsyncClient(
        base_url=config.base_url, timeout=REQUEST_S, trust_env=False
    ) as http:
        vtn = Vtn(http, client_id=ven.client_id, client_secret=ven.client_secret)
        await Site(config, ven, vtn).run(forever=forever)


def main(argv: list[str]) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="agents", description="Simulated sites over OpenADR 3.1")
    parser.add_argument("--config", type=Path, required=True, help="JSON; see docs/dispatch.md")
    parser.add_argument("--forever", action="store_true", help="keep polling after the day's end")
    options = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = agents_config(json.loads(options.config.read_text(encoding="utf-8")))
    except (OSError, ValueError, WrongConfig) as error:
        logger.error("%s: %s", options.config, error)  # noqa: TRY400 - the message is for a person
        return 2
    failed = False
    try:
        asyncio.run(agents_run(config, forever=options.forever))
    except* (Rejected, Unreachable) as group:
        failed = True
        for failure in group.exceptions:
            logger.error("gave up: %s", failure)  # noqa: TRY400 - the message is for a person
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
