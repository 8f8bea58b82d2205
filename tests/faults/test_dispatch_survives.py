"""Dispatch by real workers: stand-ins in time; killed, doubled, crossing and late answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from accounts.clock.selectors import market_now
from accounts.clock.services import clock_set
from accounts.jobs.models import Job
from aggregator.control.models import Alarm
from aggregator.dispatch import services
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.protocols.openadr3.models import Event
from market.registry.models import Resource, Ruleset
from market.trading.models import Bid, BidContent, BidForm, Mechanism
from tests import cast
from tests.dispatching import freeze, instruction, jst, planned_day, work
from tests.faults.market import wait_for

logger = logging.getLogger(__name__)
pytestmark = pytest.mark.django_db(transaction=True)
S = InstructionState
# three minutes to act, a tenth of it to answer
RESPONSE_H = 0.05
RESPONSE_S = 180
ANSWER_RATIO = 0.1


@pytest.fixture
def day() -> Iterator[cast.MarketDay]:
    """Return a day of which everything is sent, at 15:59:57, three seconds before the deadline."""
    rules = {
        **cast.RULES,
        "dispatch": {"response_h": RESPONSE_H, "answer_ratio": ANSWER_RATIO},
    }
    Ruleset.objects.create(version="2026-09-01", valid_from_on=cast.date(2026, 9, 1), rules=rules)
    found = planned_day()
    freeze(jst(8.5))
    work()
    freeze(jst(14))
    work(services.SEND_KIND)
    yield found
    freeze(max(market_now(), jst(30)))


def offer(day: cast.MarketDay, code: str, ask: str) -> Resource:
    site = day.places.sites["inzai"]
    resource = Resource.objects.create(
        site=site, code=code, name=code, name_en=code, kind="DC_LOAD", limit_up_kw=6_000,
        limit_down_kw=0,
    )  # fmt: skip
    bid = Bid.objects.create(
        client_bid_id=code,
        auction=day.auction,
        organisation=site.organisation,
        resource=resource,
        form=BidForm.STEPS,
        mechanism=Mechanism.STOP,
        received_at=day.auction.gate_closure_at,
        leaf_sha256="0" * 64,
    )
    steps = [{"quantity_kw": "6000", "ask_jpy_per_kwh": ask}]
    BidContent.objects.create(
        bid=bid,
        content={"direction": "UP", "curves": [{"first_t": 34, "last_t": 39, "steps": steps}]},
    )
    return resource


def sent_to(resource: Resource) -> DispatchInstruction | None:
    return DispatchInstruction.objects.filter(resource=resource, state=S.SENT).first()


def test_who_is_silent_is_replaced_in_turn_within_the_response_time(
    day: cast.MarketDay, celery_worker_processes: Any
) -> None:
    first, second = offer(day, "hall-1", "40.00"), offer(day, "hall-2", "50.00")
    lost = instruction(day, "shiroi-cap")
    for name in ("inzai-battery-up", "inzai-defer"):
        row = instruction(day, name)
        services.instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
    celery_worker_processes.start(1, concurrency=2, beat=True)
    clock_set(market_at=jst(16) - timedelta(seconds=1), speed_ratio=Decimal(1))
    wait_for("the first is asked", lambda: sent_to(first) is not None)
    wait_for("the second is asked", lambda: sent_to(second) is not None)
    stand_in = sent_to(second)
    assert stand_in is not None
    assert Event.objects.filter(instruction=stand_in).exists()
    services.instruction_acknowledge(instruction_id=stand_in.id, organisation=stand_in.organisation)
    stand_in.refresh_from_db()
    assert stand_in.acknowledged_at is not None
    # from the deadline that was missed to the answer of the second who was asked, in market time
    took = stand_in.acknowledged_at - jst(16)
    logger.info("replaced in turn after %.1f of %d s", took.total_seconds(), RESPONSE_S)
    assert took < timedelta(seconds=RESPONSE_S)
    lost.refresh_from_db()
    silent = DispatchInstruction.objects.get(resource=first)
    assert (lost.state, silent.state) == (S.REPLACED, S.REPLACED)
    assert (silent.version, stand_in.version, stand_in.replaces) == (2, 3, silent)
    both = {f"dispatch.dispatchinstruction:{row.id}" for row in (lost, silent)}
    alarms = Alarm.objects.filter(kind="instruction.unreached", subject__in=both)
    wait_for("the desk hears of both", lambda: alarms.count() == len(both))


def test_a_worker_killed_between_sending_and_commit_sends_once(
    day: cast.MarketDay, celery_worker_processes: Any, tmp_path: Path
) -> None:
    Job.objects.filter(kind=services.SEND_KIND).delete()
    offer(day, "hall-1", "40.00")
    lost = instruction(day, "shiroi-cap")
    services.instruction_opt_out(
        instruction_id=lost.id, organisation=lost.organisation, reason="pump"
    )
    work(services.REPLACE_KIND)
    made = DispatchInstruction.objects.get(replaces=lost)
    assert made.state == S.PLANNED
    env = {"FAILPOINTS": f"dispatch.sent=hold:{tmp_path}"}
    dying, _ = celery_worker_processes.start(1, beat=True, env=env)
    wait_for("it is about to commit", (tmp_path / "dispatch.sent").exists)
    celery_worker_processes.kill(dying)
    made.refresh_from_db()
    assert made.state == S.PLANNED
    assert not Event.objects.filter(instruction=made).exists()
    celery_worker_processes.start(1, beat=True)

    def is_sent() -> bool:
        made.refresh_from_db()
        return made.state == S.SENT

    wait_for("another sends it", is_sent)
    assert Event.objects.filter(instruction=made).count() == 1


def _at_once(*calls: Any) -> list[Any]:
    """Run calls on connections of their own at the same moment; returns results or refusals."""
    found: list[Any] = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(n: int) -> None:
        try:
            gate.wait(timeout=10)
            found[n] = calls[n]()
        except InstructionClosed as refusal:
            found[n] = refusal
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return found


def test_yes_and_no_that_cross_leave_one_answer(day: cast.MarketDay) -> None:
    row = instruction(day, "inzai-defer")
    who = {"instruction_id": row.id, "organisation": row.organisation}
    yes, no = _at_once(
        lambda: services.instruction_acknowledge(**who),
        lambda: services.instruction_opt_out(**who, reason="pump"),
    )
    row.refresh_from_db()
    # before the start a no may follow a yes, never a yes a no
    assert row.state == S.OPTED_OUT
    assert not isinstance(no, InstructionClosed)
    assert isinstance(yes, InstructionClosed) or row.acknowledged_at is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM audit_auditentry WHERE subject = %s"
            " AND action = 'aggregator.instruction.opted_out'",
            [f"dispatch.dispatchinstruction:{row.id}"],
        )
        assert cursor.fetchone()[0] == 1


def test_the_same_answer_from_many_at_once_is_one(day: cast.MarketDay) -> None:
    row = instruction(day, "inzai-defer")
    who = {"instruction_id": row.id, "organisation": row.organisation}
    found = _at_once(*[lambda: services.instruction_acknowledge(**who)] * 4)
    assert {each.state for each in found} == {S.ACKNOWLEDGED}
    row.refresh_from_db()
    assert row.token == 2  # sent, accepted


def test_an_answer_after_the_deadline_crosses_no_sweep(
    day: cast.MarketDay, celery_worker_processes: Any
) -> None:
    row = instruction(day, "inzai-defer")
    freeze(jst(16) + timedelta(milliseconds=2))
    with pytest.raises(InstructionClosed):
        services.instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
    celery_worker_processes.start(1, beat=True)

    def is_given_up() -> bool:
        row.refresh_from_db()
        return row.state in (S.UNREACHED, S.REPLACED)

    wait_for("it is given up", is_given_up)
    with pytest.raises(InstructionClosed):
        services.instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
