"""Alarms: one row per cause, acknowledged by name, gone with the cause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.approvals.services import approval_request
from accounts.audit.models import AuditEntry
from accounts.core.errors import Conflict, NotFound, NotPermitted
from accounts.jobs.models import Job
from accounts.jobs.services import job_claim, job_create
from accounts.parties.sight import sight_of
from aggregator.control.models import Alarm
from aggregator.control.selectors import alarms_open
from aggregator.control.services import (
    ASK_KIND,
    alarm_acknowledge,
    alarm_asked,
    alarm_clear,
    alarm_raise,
)
from aggregator.control.watching import alarms_watch
from tests import cast

pytestmark = pytest.mark.django_db
AT = cast.day_start(cast.DAY)


@pytest.fixture
def people() -> cast.People:
    made = cast.people()
    cast.market_time(AT)
    return made


def raised(**changed: Any) -> Alarm:
    said = {
        "kind": "run.failed",
        "priority": 2,
        "subject": "trading.auction:1",
        "text": "a",
        "key": "k",
    }
    return alarm_raise(**{**said, **changed})


def test_repetitions_of_an_alarm_are_counted_on_one_row(people: cast.People) -> None:
    first = raised()
    cast.market_time(AT + timedelta(minutes=5))
    second = raised(text="b")
    assert second.id == first.id
    assert (second.count, second.version, second.text) == (2, 2, "b")
    assert (second.raised_at, second.repeated_at) == (AT, AT + timedelta(minutes=5))
    told = AuditEntry.objects.filter(action="aggregator.alarm.raised")
    assert told.count() == 1


def test_an_acknowledged_alarm_stays_so_unless_it_grows_more_urgent(people: cast.People) -> None:
    alarm_acknowledge(alarm_id=raised().id, by=sight_of(people.desk))
    again = raised()
    assert (again.state, again.acknowledged_by_id) == ("ACKNOWLEDGED", people.desk.id)
    worse = raised(priority=1)
    assert (worse.state, worse.priority, worse.acknowledged_by_id) == ("RAISED", 1, None)
    assert raised(priority=4).priority == 1


def test_the_same_key_after_its_cause_is_gone_is_another_alarm(people: cast.People) -> None:
    first = raised()
    assert alarm_clear(key="k") is True
    assert alarm_clear(key="k") is False
    second = raised()
    assert second.id != first.id
    first.refresh_from_db()
    assert (first.state, first.cleared_at) == ("CLEARED", AT)


def test_a_person_of_the_desk_acknowledges_by_name(people: cast.People) -> None:
    row = alarm_acknowledge(alarm_id=raised().id, by=sight_of(people.desk), version=1)
    assert (row.state, row.acknowledged_by_id, row.acknowledged_at, row.version) == (
        "ACKNOWLEDGED", people.desk.id, AT, 2,
    )  # fmt: skip
    # the same person again: nothing happens, nothing is refused
    assert alarm_acknowledge(alarm_id=row.id, by=sight_of(people.desk)).version == 2


def test_an_alarm_that_changed_is_looked_at_again(people: cast.People) -> None:
    alarm = raised()
    raised()
    with pytest.raises(Conflict, match="as it is now"):
        alarm_acknowledge(alarm_id=alarm.id, by=sight_of(people.desk), version=1)
    alarm_clear(key="k")
    with pytest.raises(Conflict, match="not acknowledged or cleared"):
        alarm_acknowledge(alarm_id=alarm.id, by=sight_of(people.desk))


@pytest.mark.parametrize("who", ["owner", "rival", "stranger", "planner"])
def test_others_than_the_market_neither_see_nor_acknowledge_alarms(
    people: cast.People, who: str
) -> None:
    alarm = raised()
    sight = sight_of(getattr(people, who))
    assert list(alarms_open(seen_by=sight)) == []
    with pytest.raises(NotFound):
        alarm_acknowledge(alarm_id=alarm.id, by=sight)


def test_an_auditor_sees_alarms_and_leaves_them(people: cast.People) -> None:
    auditor = cast.member("auditor", people.platform, "auditor")
    alarm = raised()
    assert [row.id for row in alarms_open(seen_by=sight_of(auditor))] == [alarm.id]
    with pytest.raises(NotPermitted):
        alarm_acknowledge(alarm_id=alarm.id, by=sight_of(auditor))


def test_open_alarms_stand_unseen_first_then_by_priority(people: cast.People) -> None:
    seen = raised(key="1", priority=1)
    alarm_acknowledge(alarm_id=seen.id, by=sight_of(people.desk))
    raised(key="3", priority=3)
    raised(key="2", priority=2)
    alarm_clear(key=raised(key="gone", priority=1).key)
    assert [row.key for row in alarms_open(seen_by=sight_of(people.desk))] == ["2", "3", "1"]


def test_an_app_below_asks_by_a_job(people: cast.People) -> None:
    said = {
        "kind": "instruction.unreached",
        "priority": 1,
        "subject": "x:1",
        "text": "t",
        "key": "u",
    }
    job = job_create(kind=ASK_KIND, key="u:1", payload=said)
    claim = job_claim(job_id=job.id)
    assert claim is not None
    alarm = alarm_asked(claim=claim)
    assert (alarm.kind, alarm.priority, alarm.subject, alarm.key) == (
        "instruction.unreached", 1, "x:1", "u",
    )  # fmt: skip
    job.refresh_from_db()
    assert job.state == "DONE"


def test_the_database_keeps_what_an_alarm_said(people: cast.People) -> None:
    alarm = raised()
    for change in ("subject = 'y'", "state = 'ACKNOWLEDGED'", "priority = 9"):
        statement = f"UPDATE control_alarm SET {change} WHERE id = %s"  # noqa: S608 - our own
        with pytest.raises(IntegrityError), transaction.atomic():
            connection.cursor().execute(statement, [alarm.id])


def test_a_job_that_was_given_up_is_an_alarm_until_it_is_tried_again(people: cast.People) -> None:
    job = job_create(kind="aggregator.settlement.run_execute", key="1")
    assert alarms_watch() == (0, 0)
    Job.objects.filter(id=job.id).update(state="RUNNING", token=1)
    Job.objects.filter(id=job.id).update(state="QUARANTINED")
    assert alarms_watch() == (1, 0)
    assert alarms_watch() == (0, 0)  # found again: neither counted nor raised again
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.priority, alarm.count, alarm.text) == (
        "job.dead", 2, 1, "aggregator.settlement.run_execute 1",
    )  # fmt: skip
    Job.objects.filter(id=job.id).update(state="READY")
    assert alarms_watch() == (0, 1)
    alarm.refresh_from_db()
    assert alarm.state == "CLEARED"


def test_an_answered_order_and_a_late_meter(db: None) -> None:
    from tests.portal.matrix_desk import instruction_of

    day = cast.published_day()
    cast.market_time(day.auction.delivery_start)
    row = instruction_of(day)
    alarm_raise(kind="instruction.silent", priority=3, subject=row, text="", key="silent")
    assert alarms_watch() == (0, 0)
    rows = type(row).objects.filter(id=row.id)
    rows.update(state="ACKNOWLEDGED", token=1)
    assert alarms_watch() == (0, 1)
    # half an hour after an hour of its order (17:00 on) the meter has said nothing
    rows.update(state="ACTIVE", token=2)
    cast.market_time(row.starts_at + timedelta(minutes=60))
    assert alarms_watch() == (0, 0)
    cast.market_time(row.starts_at + timedelta(minutes=61))
    assert alarms_watch() == (1, 0)
    assert Alarm.objects.get(kind="meter.late").subject == f"dispatch.dispatchinstruction:{row.id}"


def test_a_need_without_its_second_person_is_an_alarm_in_the_last_hour(people: cast.People) -> None:
    approval_request(
        kind="need.publish",
        organisation=people.grid_t,
        subject="trading.need:1",
        content={"need": 1},
        maker="user:1",
        detail={"auction": "DA", "code": "n"},
        expires_at=AT + timedelta(hours=2),
    )
    assert alarms_watch() == (0, 0)
    cast.market_time(AT + timedelta(hours=1))
    assert alarms_watch() == (1, 0)
    assert Alarm.objects.get().text == "DA n"
    cast.market_time(AT + timedelta(hours=2))
    assert alarms_watch() == (0, 1)


def test_a_failed_run_is_urgent_until_another_one_is_there(db: None) -> None:
    places = cast.places()
    auction = cast.auction(places, state="CLEARING")
    cast.market_time(auction.gate_closure_at)
    run = cast.run(auction, state="FAILED")
    assert alarms_watch() == (1, 0)
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.priority, alarm.subject) == (
        "run.failed", 1, f"trading.auction:{auction.id}",
    )  # fmt: skip
    cast.run(auction, state="RUNNING")
    assert run.number == 1
    assert alarms_watch() == (0, 1)
