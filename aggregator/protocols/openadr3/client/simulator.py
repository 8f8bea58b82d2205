"""Simulated sites as one process: ``python -m aggregator.protocols.openadr3.client.simulator``.

Each site is an ordinary OpenADR client: it enrols, polls events, answers them, acts, says what it
can do and did, and reports its meter as the market's time passes. What it decides follows from the
seed alone: the same configuration fails in the same places. The process ends when every site has
reported the whole delivery day.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx

from aggregator.core.envelopes import Span, permitted_kw
from aggregator.protocols.openadr3.client.behaviour import (
    HALF_HOUR,
    HALF_HOURS,
    AgentsConfig,
    Decision,
    ResourceConfig,
    SiteLimit,
    VenConfig,
    WrongConfig,
    agents_config,
    completed_count,
    decide,
    energies_kwh,
    is_out,
    quality_of,
)
from aggregator.protocols.openadr3.client.vtn import CONFLICT, Rejected, Unreachable, Vtn
from aggregator.protocols.openadr3.mapping import (
    DELTA_USAGE,
    FAILSAFE,
    HEARTBEAT,
    IMPORT_LIMIT,
    ORDER_VERSION,
    SETPOINT,
    USAGE,
    USAGE_FORECAST,
    Metered,
    ack_report,
    opt_out_report,
    usage_report,
)
from aggregator.protocols.openadr3.wire import EventMessage, read_event, read_period
from aggregator.protocols.openadr3.words import heartbeat_report, words_report

logger = logging.getLogger("simulator")

REQUEST_S: Final = 30.0
SHED: Final = "LOAD_SHED_DELTA_AVAILABLE"
# An event without end says so with this many years.
FOREVER: Final = timedelta(days=3_650)


@dataclass
class Connection:
    """What is known of a site's conditional connection, and which units stand behind it."""

    event_id: str
    names: tuple[str, ...]
    firm_kw: Decimal
    failsafe: timedelta
    heartbeat: timedelta
    spans: Sequence[Span]
    said_at: datetime | None = None


@dataclass
class Seen:
    """What one look at the events found."""

    orders_kw: dict[str, list[float]]
    metering_id: str = ""
    ordered: list[tuple[str, ResourceConfig, EventMessage]] = field(default_factory=list)
    envelopes: dict[str, tuple[tuple[str, ...], dict[int, float]]] = field(default_factory=dict)


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
        self._resources = {resource.name: resource for resource in ven.resources}
        # by event and version of the order: since when it is known, and what became of it
        self._known_at: dict[str, datetime] = {}
        self._factors: dict[str, float | None] = {}
        # by event: sites' conditional connections, and what their envelopes of the day say
        self._connections: dict[str, Connection] = {}
        self._envelopes: dict[str, tuple[tuple[str, ...], dict[int, float]]] = {}
        self._heard_at: datetime | None = None
        # by event and half hour: the least that a connection let its site draw
        self._limits_kw: dict[str, dict[int, float]] = {}
        self._forecast_said = False
        # how long messages take is no decision: it need not repeat
        self._lag = random.Random(f"{config.seed}:{ven.ven_name}")  # noqa: S311

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

    async def _say(self, report: Mapping[str, Any]) -> None:
        low, high = self._config.latency_s
        if high:
            await asyncio.sleep(self._lag.uniform(low, high))
        await self._vtn.make("reports", report)

    async def _look(self) -> None:
        """Read all events, answer new ones, report what the orders left of the half hours."""
        bodies = await self._vtn.all("events")
        now = self._vtn.market_at
        if now is None:
            return
        if is_out(self._config, self._ven, now):
            # what is on the line reaches nobody: the site falls back by itself
            self._limit_note(now)
            return
        self._heard_at = now
        seen = Seen(orders_kw={name: [0.0] * HALF_HOURS for name in self._resources})
        for body in bodies:
            await self._event_take(read_event(body), seen, now)
        for key, resource, event in seen.ordered:
            factor = await self._factor(key, resource, event, now)
            if factor is not None:
                self._order_add(seen.orders_kw[resource.name], event, factor)
        await self._alive(now)
        self._limit_note(now)
        self._envelopes = seen.envelopes
        if seen.metering_id:
            await self._foretell(seen.metering_id, now)
            await self._report(seen.metering_id, now, seen.orders_kw)

    async def _event_take(self, event: EventMessage, seen: Seen, now: datetime) -> None:
        asked = {item.get("payloadType") for item in event.body.get("reportDescriptors") or ()}
        if USAGE in asked and self._is_of_the_day(event):
            seen.metering_id = event.id
        if _has(event, IMPORT_LIMIT):
            names = tuple(sorted(self._resources.keys() & set(event.targets)))
            if names and HEARTBEAT in asked:
                self._connection_take(event, names)
            elif names:
                seen.envelopes[event.id] = (names, self._envelope(event))
            return
        if not _has(event, SETPOINT):
            return
        version = event.body.get(ORDER_VERSION) or event.body.get("createdDateTime", "")
        for name in sorted(self._resources.keys() & set(event.targets)):
            key = f"{event.id}:{version}:{name}"
            self._known_at.setdefault(key, now)
            seen.ordered.append((key, self._resources[name], event))

    def _envelope(self, event: EventMessage) -> dict[int, float]:
        """Return what an envelope lets its site draw in half hours of the day."""
        limits_kw: dict[int, float] = {}
        for interval in event.intervals:
            values = [p.values[0] for p in interval.payloads if p.type == IMPORT_LIMIT]
            start, length = interval.period.start, interval.period.duration
            if not values or start is None or length is None:
                continue
            for t in range(HALF_HOURS):
                at = self._config.day_starts_at + t * HALF_HOUR
                if at < start + length and start < at + HALF_HOUR:
                    limits_kw[t] = min(float(values[0]), limits_kw.get(t, math.inf))
        return limits_kw

    def _connection_take(self, event: EventMessage, names: tuple[str, ...]) -> None:
        terms = event.body.get(FAILSAFE) or {}
        spans = []
        for interval in event.intervals:
            values = [p.values[0] for p in interval.payloads if p.type == IMPORT_LIMIT]
            if not values or interval.period.start is None:
                continue
            length = interval.period.duration
            ends_at = None
            if length is not None and length < FOREVER:
                ends_at = interval.period.start + length
            spans.append(
                Span(
                    starts_at=interval.period.start,
                    ends_at=ends_at,
                    limit_kw=Decimal(repr(values[0])),
                )
            )
        known = self._connections.get(event.id)
        said_at = None if known is None else known.said_at
        self._connections[event.id] = Connection(
            event_id=event.id,
            names=names,
            firm_kw=Decimal(repr(terms.get("importCapacityLimitKw", 0))),
            failsafe=timedelta(seconds=float(terms.get("afterSeconds", 60))),
            heartbeat=timedelta(seconds=float(terms.get("heartbeatSeconds", 30))),
            spans=spans,
            said_at=said_at,
        )

    async def _alive(self, now: datetime) -> None:
        """Say that each site is alive, as often as its connection asks for."""
        for known in self._connections.values():
            if known.said_at is not None and now < known.said_at + known.heartbeat:
                continue
            await self._say(
                heartbeat_report(
                    event_id=known.event_id,
                    client_name=self._ven.ven_name,
                    resource_name=known.names[0],
                )
            )
            known.said_at = now

    def _limit_note(self, now: datetime) -> None:
        """Note what may be drawn in the half hour that is running: the least of it counts."""
        t = (now - self._config.day_starts_at) // HALF_HOUR
        for known in self._connections.values():
            kw = float(
                permitted_kw(
                    known.spans,
                    firm_kw=known.firm_kw,
                    now=now,
                    heard_at=self._heard_at,
                    failsafe=known.failsafe,
                )
            )
            noted = self._limits_kw.setdefault(known.event_id, {})
            if kw < noted.get(t, math.inf):
                names = ", ".join(known.names)
                logger.info("%s: at most %.1f kW at %s", names, kw, now.isoformat())
            noted[t] = min(kw, noted.get(t, math.inf))

    def _limits(self, t: int) -> list[SiteLimit]:
        """Return what holds in a half hour, of connections and of envelopes."""
        noted = [
            (known.names, self._limits_kw.get(id_, {})) for id_, known in self._connections.items()
        ]
        return [
            SiteLimit(names=names, limit_kw=limits_kw[t])
            for names, limits_kw in [*noted, *self._envelopes.values()]
            if t in limits_kw
        ]

    def _is_of_the_day(self, event: EventMessage) -> bool:
        period = read_period(event.body.get("intervalPeriod"), "intervalPeriod")
        return period.start == self._config.day_starts_at

    async def _factor(
        self, key: str, resource: ResourceConfig, event: EventMessage, now: datetime
    ) -> float | None:
        """Return by how much of an order the unit acts; None where it does not follow it."""
        if key in self._factors:
            return self._factors[key]
        decision = decide(self._config, resource, event.name)
        if decision.answer == "SILENT":
            logger.info("%s: %s not answered", resource.name, event.name)
            self._factors[key] = None
            return None
        if now < self._known_at[key] + timedelta(seconds=decision.delay_s):
            return None
        self._factors[key] = await self._answered(resource, event, decision)
        return self._factors[key]

    async def _answered(
        self, resource: ResourceConfig, event: EventMessage, decision: Decision
    ) -> float | None:
        common = {
            "event_id": event.id,
            "client_name": self._ven.ven_name,
            "resource_name": resource.name,
        }
        is_yes = decision.answer == "ACCEPT"
        report = (
            ack_report(**common)
            if is_yes
            else opt_out_report(**common, reason=resource.opt_out_reason)
        )
        try:
            await self._say(report)
        except Rejected as refusal:
            # too late, or taken back meanwhile: no order any more
            logger.warning("%s: %s not answered: %s", resource.name, event.name, refusal)
            return None
        logger.info("%s: %s %s", resource.name, event.name, "ok" if is_yes else "declined")
        return decision.factor if is_yes else None

    def _order_add(self, ordered_kw: list[float], event: EventMessage, factor: float) -> None:
        for interval in event.intervals:
            if interval.period.start is None:
                continue
            t = (interval.period.start - self._config.day_starts_at) // HALF_HOUR
            for payload in interval.payloads:
                if payload.type == SETPOINT and 0 <= t < HALF_HOURS:
                    ordered_kw[t] += factor * float(payload.values[0])

    async def _foretell(self, event_id: str, now: datetime) -> None:
        """Say once what the units will use, and what they could do without."""
        flexible = [r for r in self._ven.resources if r.flexible_ratio > 0]
        if self._forecast_said or not flexible:
            return
        first_t = completed_count(self._config.day_starts_at, now)
        words = {}
        for resource in flexible:
            rows = []
            for t in range(first_t, HALF_HOURS):
                kw = resource.profile_kw[t]
                shed = Decimal(repr(round(max(0.0, kw) * resource.flexible_ratio, 1)))
                used = Decimal(repr(round(kw / 2, 3)))
                at = self._config.day_starts_at + t * HALF_HOUR
                rows.append((at, {USAGE_FORECAST: used, SHED: shed}))
            words[resource.name] = rows
        if first_t < HALF_HOURS:
            await self._say(
                words_report(
                    event_id=event_id,
                    client_name=self._ven.ven_name,
                    name=f"forecast-{self._config.delivery_on}",
                    words=words,
                )
            )
        self._forecast_said = True

    async def _report(
        self, event_id: str, market_at: datetime, orders_kw: Mapping[str, list[float]]
    ) -> None:
        """Report the half hours that ended since the last report, all units in one."""
        first_t = self.reported_count
        end_t = completed_count(self._config.day_starts_at, market_at)
        if end_t <= first_t:
            return
        energies = {
            t: energies_kwh(self._config, self._ven.resources, t, orders_kw, limits=self._limits(t))
            for t in range(first_t, end_t)
        }
        readings = {}
        did: dict[str, list[tuple[datetime, dict[str, Decimal]]]] = {}
        for name, resource in self._resources.items():
            of_unit = [
                value
                for t in range(first_t, end_t)
                for value in self._metered(resource, t, energies[t][name])
            ]
            readings[name] = [value for value in of_unit if value.energy_kwh is not None]
            told = self._did(resource, orders_kw[name], first_t, end_t)
            if told:
                did[name] = told
        span = f"{self._config.delivery_on}-{first_t:02d}-{end_t:02d}"
        common = {"event_id": event_id, "client_name": self._ven.ven_name}
        await self._say(usage_report(**common, name=f"usage-{span}", readings=readings))
        if did:
            await self._say(words_report(**common, name=f"delivered-{span}", words=did))
        self.reported_count = end_t
        logger.info("%s: reported half hours %d to %d", self._ven.ven_name, first_t, end_t - 1)

    def _metered(
        self, resource: ResourceConfig, t: int, energies: Sequence[Decimal]
    ) -> list[Metered]:
        """Return the values of one half hour; a gap has none."""
        length = timedelta(minutes=resource.meter_min)
        found = []
        for part, energy in enumerate(energies):
            quality = quality_of(self._config, resource, f"{t}.{part}")
            found.append(
                Metered(
                    start_at=self._config.day_starts_at + t * HALF_HOUR + part * length,
                    energy_kwh=None if quality == "MISSING" else energy,
                    quality=quality,
                    interval_min=resource.meter_min,
                )
            )
        return found

    def _did(
        self, resource: ResourceConfig, ordered_kw: Sequence[float], first_t: int, end_t: int
    ) -> list[tuple[datetime, dict[str, Decimal]]]:
        """Return what the unit says it changed in half hours in which it was ordered to."""
        return [
            (
                self._config.day_starts_at + t * HALF_HOUR,
                {DELTA_USAGE: Decimal(repr(round(resource.delivery_ratio * ordered_kw[t] / 2, 3)))},
            )
            for t in range(first_t, end_t)
            if ordered_kw[t]
        ]


def _has(event: EventMessage, payload_type: str) -> bool:
    return any(
        payload.type == payload_type
        for interval in event.intervals
        for payload in interval.payloads
    )


async def simulate(config: AgentsConfig, *, forever: bool) -> None:
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
    parser = argparse.ArgumentParser(
        prog="simulator", description="Simulated sites over OpenADR 3.1"
    )
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
        asyncio.run(simulate(config, forever=options.forever))
    except* (Rejected, Unreachable) as group:
        failed = True
        for failure in group.exceptions:
            logger.error("gave up: %s", failure)  # noqa: TRY400 - the message is for a person
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
