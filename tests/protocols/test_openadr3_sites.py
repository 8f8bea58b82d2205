"""Simulated sites against the server, step by step of the market's clock: failures by outcome.

The site is the simulator's own, its line is Django's test client; every step is one look of it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest

from accounts.jobs.models import Job
from accounts.parties.models import Organisation
from aggregator.dispatch.models import ConnectionOutage, InstructionState
from aggregator.dispatch.moves import ALARM_KIND
from aggregator.metering.models import IntervalReading
from aggregator.protocols.openadr3.client.behaviour import agents_config, decide
from aggregator.protocols.openadr3.client.simulator import Site
from aggregator.protocols.openadr3.client.vtn import SUCCESS, Rejected, Vtn
from aggregator.protocols.openadr3.publishing import limits_publish
from market.trading.models import Envelope, EnvelopeKind
from tests import cast
from tests.apps.test_dispatch_connections import limits, opened
from tests.apps.test_dispatch_connections import work as watch
from tests.dispatching import (
    Ven,
    event_of,
    freeze,
    instruction,
    jst,
    meters,
    planned_day,
    work,
)

pytestmark = pytest.mark.django_db
S = InstructionState
D = Decimal


class Line(Vtn):
    """A site's connection that ends in Django's test client, and never waits."""

    def __init__(self, organisation: Organisation) -> None:
        super().__init__(httpx.AsyncClient(), client_id="", client_secret="")
        self._machine = Ven(organisation)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        machine = self._machine
        said = machine.get(path, params) if method == "GET" else machine.post(path, body)
        answer = httpx.Response(said.status_code, headers=dict(said.items()), content=said.content)
        self._time_note(answer)
        if answer.status_code not in SUCCESS:
            raise Rejected(answer.status_code, answer.text)
        return answer.json()


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """Do what never waits, without a loop: the test's connection is this thread's."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


class Looks:
    """Sites that look when they are told to."""

    def __init__(
        self, places: cast.Places, **of: tuple[list[dict[str, Any]], dict[str, Any]]
    ) -> None:
        vens = [
            {"ven_name": name, "client_id": "", "client_secret": "", "resources": units, **more}
            for name, (units, more) in of.items()
        ]
        self.config = agents_config(
            {
                "base_url": "http://vtn/", "seed": 11, "noise_ratio": 0.0, "ramp_s": 0.0,
                "delivery_on": cast.DAY.isoformat(), "vens": vens,
            }
        )  # fmt: skip
        self.sites = [
            Site(self.config, ven, Line(getattr(places.people, ven.ven_name)))
            for ven in self.config.vens
        ]
        for site in self.sites:
            done(site._enrol())

    def look(self, hour: float) -> None:
        """Let the clock be somewhere, the platform work, and every site look."""
        freeze(jst(hour))
        work()
        for site in self.sites:
            done(site._look())
        work()


def unit(name: str, kw: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "profile_kw": [kw] * 48, **more}


def energies(day: cast.MarketDay, name: str) -> dict[int, Decimal]:
    rows = IntervalReading.objects.filter(meter=day.places.resources[name].meter)
    return dict(enumerate(rows.order_by("start_at").values_list("energy_kwh", flat=True)))


def test_silent_late_and_partial_sites_end_as_their_dice_say() -> None:
    day = planned_day()
    meters(day)
    looks = Looks(
        day.places,
        inzai_dc=(
            [
                unit("inzai-dc-1-load", 30_000, faults={"partial_ratio": 1.0}),
                unit("inzai-dc-1-battery", 0, faults={"silent_ratio": 1.0}),
            ],
            {},
        ),
        shiroi_dc=(
            [unit("shiroi-dc-1-load", 20_000, faults={"late_ratio": 1.0, "late_s": 18_000})],
            {},
        ),
    )
    # midday is sent at 04:00 and answered until 09:00, the evening at 11:00 and until 16:00
    for hour in (4.5, 9.01, 11.5, 15.9, 16.01, 16.6, 24):
        looks.look(hour)
    states = {name: instruction(day, name).state for name in day.awards}
    assert states == {
        "inzai-defer": S.FINISHED,
        # nobody is left in the book to stand in
        "inzai-battery-up": S.UNREACHED,
        "inzai-battery-down": S.UNREACHED,
        "shiroi-cap": S.UNREACHED,
    }
    load = looks.config.vens[0].resources[0]
    event = event_of(day, "inzai-defer")
    factor = D(repr(decide(looks.config, load, event.body["eventName"]).factor))
    assert D("0.3") <= factor <= D("0.9")
    metered = energies(day, "inzai-load")
    # 15,000 kWh, less the part that was done of 9,000 kW
    assert {metered[t] for t in cast.EVENING} == {15_000 - factor * 4_500}
    assert {metered[t] for t in range(48) if t not in cast.EVENING} == {D(15_000)}
    # who was silent, or answered at 16:30, did nothing
    assert set(energies(day, "inzai-battery").values()) == {D(0)}
    assert set(energies(day, "shiroi-load").values()) == {D(10_000)}
    alarms = Job.objects.filter(kind=ALARM_KIND, payload__kind="instruction.unreached")
    assert alarms.count() == 3


def test_a_site_that_loses_contact_falls_to_its_firm_part_and_its_meter_shows_it() -> None:
    day = planned_day()
    meters(day)
    freeze(jst(8))
    connection = opened(day.places, firm_kw=D(20_000), flexible_kw=D(10_000), failsafe_s=300,
                        heartbeat_s=60)  # fmt: skip
    looks = Looks(
        day.places,
        inzai_dc=(
            [unit("inzai-dc-1-load", 29_000)], {"outages": [{"from_h": 10.0, "to_h": 11.0}]},
        ),
    )  # fmt: skip
    looks.look(9.99)
    connection.refresh_from_db()
    assert (connection.state, limits(connection)[-1][1]) == ("LIVE", 30_000)
    # the line is gone: four minutes on nothing has happened, six minutes on both ends have fallen
    looks.look(10.05)
    watch()
    connection.refresh_from_db()
    assert connection.state == "LIVE"
    looks.look(10.1)
    watch()
    connection.refresh_from_db()
    assert (connection.state, limits(connection)[-1][1]) == ("LOST", 20_000)
    assert ConnectionOutage.objects.get().restored_at is None
    assert Job.objects.filter(kind=ALARM_KIND, payload__kind="connection.lost").count() == 1
    looks.look(10.6)
    # it is heard again, and has its limit back
    looks.look(11.01)
    watch()
    connection.refresh_from_db()
    assert (connection.state, limits(connection)[-1][1]) == ("LIVE", 30_000)
    looks.look(11.6)
    looks.look(13)
    metered = energies(day, "inzai-load")
    # 20,000 kW from 10:00, and while the first look after it still shows the firm part
    assert {t: int(metered[t]) for t in range(18, 26)} == {
        18: 14_500, 19: 14_500, 20: 10_000, 21: 10_000, 22: 10_000, 23: 14_500, 24: 14_500,
        25: 14_500,
    }  # fmt: skip


def test_a_limit_of_a_site_is_kept_by_all_its_units_together() -> None:
    day = planned_day()
    meters(day)
    freeze(jst(8))
    opened(day.places, firm_kw=D(20_000), flexible_kw=D(10_000), failsafe_s=300, heartbeat_s=60)
    Envelope.objects.create(
        auction=day.auction,
        site=day.places.sites["inzai"],
        organisation=day.places.people.grid_t,
        kind=EnvelopeKind.FIXED,
        max_import_kw=cast.half_hours(40_000, t20=18_000, t21=12_000),
        scheduled_import_kw=cast.half_hours(10_000),
        available_at=day.auction.opens_at,
    )
    assert limits_publish(auction=day.auction) == 1
    looks = Looks(
        day.places,
        inzai_dc=([unit("inzai-dc-1-load", 29_000), unit("inzai-dc-1-battery", 4_000)], {}),
    )
    for hour in (9.75, 10.25, 10.75, 11):
        looks.look(hour)
    load, battery = energies(day, "inzai-load"), energies(day, "inzai-battery")
    kept = {t: load[t] + battery[t] for t in range(18, 22)}
    # 33,000 kW wanted, and 5,000 more charged at midday as ordered; nothing was said before 09:30
    assert {t: round(kwh, 2) for t, kwh in kept.items()} == {
        18: 16_500, 19: 15_000, 20: 9_000, 21: 6_000,
    }  # fmt: skip
    assert kept[21] <= 6_000
    # each gives way in the ratio of what it would draw: 29 to 4, and 29 to 9
    assert [round(load[t] / battery[t], 2) for t in (19, 21)] == [D("7.25"), D("3.22")]
