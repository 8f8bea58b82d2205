"""Conditional connections: opened by their grid operator, limited, watched, heard again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.jobs.models import Job
from accounts.jobs.selectors import jobs_due
from accounts.jobs.services import job_claim
from accounts.parties.models import User
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of
from aggregator.dispatch import connections
from aggregator.dispatch.models import ConnectionOutage, FlexibleConnection
from aggregator.dispatch.moves import ALARM_KIND
from aggregator.protocols.openadr3 import publishing
from aggregator.protocols.openadr3.models import Event
from tests import cast
from tests.dispatching import Ven, freeze, jst

pytestmark = pytest.mark.django_db
D = Decimal
WORK = {
    connections.WATCH_KIND: connections.connection_watch,
    connections.PUBLISH_KIND: publishing.connection_publish,
}
LOAD = "inzai-dc-1-load"


@pytest.fixture
def places() -> cast.Places:
    freeze(jst(8))
    return cast.places()


def planner(places: cast.Places) -> Sight:
    known = User.objects.filter(username="planner").first()
    return sight_of(known or cast.member("planner", places.people.grid_t, Role.GRID_PLANNER))


def work() -> None:
    for _ in range(20):
        due = [(job_id, kind) for job_id, kind in jobs_due() if kind in WORK]
        if not due:
            return
        for job_id, kind in due:
            claim = job_claim(job_id=job_id)
            if claim is not None:
                WORK[kind](claim=claim)


def opened(places: cast.Places, **changes: Any) -> FlexibleConnection:
    asked = {
        "site": places.sites["inzai"],
        "firm_kw": D(10_000),
        "flexible_kw": D(20_000),
        "heartbeat_s": 30,
        "failsafe_s": 90,
        **changes,
    }
    asked.setdefault("by", planner(places))
    row = connections.connection_open(**asked)
    work()
    return row


def limits(row: FlexibleConnection) -> list[tuple[str, Any]]:
    body = Event.objects.get(key=f"connection:{row.id}").body
    return [
        (each["intervalPeriod"]["duration"], each["payloads"][0]["values"][0])
        for each in body["intervals"]
    ]


def test_the_site_is_told_its_limit_and_what_it_falls_to(places: cast.Places) -> None:
    row = opened(places)
    event = Event.objects.get(key=f"connection:{row.id}")
    assert sorted(event.targets) == ["inzai-dc-1-battery", LOAD]
    assert event.body["failSafe"] == {
        "importCapacityLimitKw": 10_000, "afterSeconds": 90, "heartbeatSeconds": 30,
    }  # fmt: skip
    assert limits(row) == [("P9999Y", 30_000)]
    assert event.body["intervals"][0]["payloads"][0]["type"] == "IMPORT_CAPACITY_LIMIT"


def test_a_limit_is_told_at_once_and_ends_by_itself(places: cast.Places) -> None:
    row = opened(places)
    now = market_now()
    connections.connection_limit(
        connection_id=row.id,
        starts_at=now + timedelta(minutes=10),
        ends_at=now + timedelta(minutes=40),
        limit_kw=D(12_000),
        reason="line 3",
        by=planner(places),
    )
    work()
    assert limits(row) == [("PT10M", 30_000), ("PT30M", 12_000), ("P9999Y", 30_000)]


def test_a_silent_site_is_lost_its_limit_firm_and_the_desk_hears_of_it(
    places: cast.Places,
) -> None:
    row = opened(places)
    heard = connections.heartbeat_note(connection_id=row.id)
    assert (heard.state, heard.heard_at) == ("LIVE", jst(8))
    freeze(jst(8) + timedelta(seconds=90))
    work()
    row.refresh_from_db()
    assert row.state == "LIVE"  # the moment itself still belongs to the site
    freeze(jst(8) + timedelta(seconds=91))
    work()
    row.refresh_from_db()
    assert row.state == "LOST"
    assert limits(row) == [("P9999Y", 10_000)]
    alarm = Job.objects.get(kind=ALARM_KIND, payload__kind="connection.lost")
    assert alarm.payload["priority"] == 1
    outage = ConnectionOutage.objects.get(connection=row)
    assert (outage.heard_at, outage.restored_at) == (jst(8), None)


def test_a_site_that_is_heard_again_has_its_connection_back_and_is_watched_anew(
    places: cast.Places,
) -> None:
    row = opened(places)
    connections.heartbeat_note(connection_id=row.id)
    freeze(jst(9))
    work()
    back = connections.heartbeat_note(connection_id=row.id)
    work()
    assert back.state == "LIVE"
    assert limits(row) == [("P9999Y", 30_000)]
    assert ConnectionOutage.objects.get(connection=row).restored_at == jst(9)
    freeze(jst(10))
    work()
    row.refresh_from_db()
    assert (row.state, ConnectionOutage.objects.count()) == ("LOST", 2)


def test_heartbeats_come_over_openadr_from_its_own_site_alone(places: cast.Places) -> None:
    row = opened(places)
    event = Event.objects.get(key=f"connection:{row.id}")
    report = {
        "eventID": str(event.id),
        "clientName": "v",
        "resources": [
            {
                "resourceName": LOAD,
                "intervals": [{"id": 0, "payloads": [{"type": "HEARTBEAT", "values": [True]}]}],
            }
        ],
    }
    rival = Ven(places.people.shiroi_dc).enrol("shiroi-dc-1-load")
    assert rival.post("reports", report).status_code == 404
    ven = Ven(places.people.inzai_dc).enrol(LOAD)
    assert ven.post("reports", report).status_code == 201
    row.refresh_from_db()
    assert row.state == "LIVE"


def test_a_connection_that_ended_is_neither_watched_nor_told(places: cast.Places) -> None:
    row = opened(places)
    connections.heartbeat_note(connection_id=row.id)
    by = planner(places)
    connections.connection_end(connection_id=row.id, by=by)
    freeze(jst(9))
    work()
    row.refresh_from_db()
    assert row.state == "ENDED"
    assert Event.objects.get(key=f"connection:{row.id}").ends_at is not None
    assert connections.heartbeat_note(connection_id=row.id).state == "ENDED"
    with pytest.raises(NotFound):
        connections.connection_end(connection_id=row.id, by=by)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"firm_kw": D(-1)}, "firm_kw"),
        ({"flexible_kw": D("0.05")}, "flexible_kw"),
        ({"flexible_kw": D(900_000)}, "flexible_kw"),
        ({"heartbeat_s": 1}, "heartbeat_s"),
        ({"failsafe_s": 59}, "failsafe_s"),
    ],
)
def test_a_wrong_connection_names_what_is_wrong(
    places: cast.Places, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        opened(places, **change)
    assert refusal.value.field == field
    assert not FlexibleConnection.objects.exists()


def test_a_site_has_one_connection_and_its_own_operator_opens_none(places: cast.Places) -> None:
    row = opened(places)
    with pytest.raises(Conflict):
        connections.connection_open(
            site=row.site, firm_kw=D(1), flexible_kw=D(1), heartbeat_s=30, failsafe_s=90,
            by=planner(places),
        )  # fmt: skip
    trader = sight_of(cast.member("trader", places.people.inzai_dc, Role.OPERATOR_TRADER))
    with pytest.raises(NotPermitted):
        opened(places, by=trader, site=places.sites["shiroi"])


def test_the_firm_part_cannot_be_limited_away(places: cast.Places) -> None:
    row = opened(places)
    with pytest.raises(Refused) as refusal:
        connections.connection_limit(
            connection_id=row.id,
            starts_at=market_now(),
            ends_at=market_now() + timedelta(hours=1),
            limit_kw=D(9_999),
            reason="",
            by=planner(places),
        )
    assert refusal.value.field == "limit_kw"
