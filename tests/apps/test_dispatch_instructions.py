"""Instructions: planned once, sent in time, answered before their start, moved by the clock."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.audit.models import AuditEntry
from accounts.core.errors import NotFound, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import job_create
from accounts.parties.roles import Role
from aggregator.dispatch import services
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import (
    TRANSITIONS,
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
)
from aggregator.dispatch.rules import DispatchRules, dispatch_rules
from aggregator.dispatch.selectors import instructions_of, instructions_visible
from market.clearing.models import AwardInterval
from tests import cast, dispatching
from tests.dispatching import claim_of, freeze, instruction, jst, planned_day, sent_day, work

pytestmark = pytest.mark.django_db
S = InstructionState


def test_each_award_gets_one_instruction_with_its_half_hours() -> None:
    day = planned_day()
    assert DispatchInstruction.objects.count() == len(day.awards) == 4
    row = instruction(day, "inzai-defer")
    # t = 34 to 39: 17:00 to 20:00; sent six hours before, answered one hour before
    assert (row.starts_at, row.ends_at) == (jst(17), jst(20))
    assert (row.send_at, row.respond_by_at) == (jst(11), jst(16))
    assert row.state == S.PLANNED
    assert list(row.intervals.values_list("t", "quantity_kw")) == [
        (t, Decimal(9_000)) for t in cast.EVENING
    ]


def test_planning_twice_makes_one_instruction_per_award() -> None:
    day = planned_day()
    job_create(kind=services.PLAN_KIND, key="again", payload={"auction": str(day.auction.id)})
    assert services.instructions_plan(claim=claim_of(services.PLAN_KIND, "again")) == 0
    assert DispatchInstruction.objects.count() == 4


def test_an_auction_that_was_cancelled_gets_no_instructions() -> None:
    freeze(jst(15, day=-1))
    day = cast.open_day()
    job_create(kind=services.PLAN_KIND, key="x", payload={"auction": str(day.auction.id)})
    assert services.instructions_plan(claim=claim_of(services.PLAN_KIND, "x")) == 0


def test_a_half_hour_without_quantity_is_not_ordered() -> None:
    freeze(jst(15, day=-1))
    day = cast.published_day()
    award = day.awards["shiroi-cap"]
    AwardInterval.objects.create(
        award=award, t=40, start_at=jst(20), quantity_kw=0, price_jpy_per_kwh=1
    )
    job_create(kind=services.PLAN_KIND, key="x", payload={"auction": str(day.auction.id)})
    work(services.PLAN_KIND)
    assert instruction(day, "shiroi-cap").ends_at == jst(20)


def test_instructions_are_sent_when_due_and_not_before() -> None:
    day = planned_day()
    freeze(jst(3.9))
    work()
    assert instruction(day, "inzai-battery-down").state == S.PLANNED
    freeze(jst(4))
    work()
    assert instruction(day, "inzai-battery-down").state == S.SENT
    assert instruction(day, "inzai-defer").state == S.PLANNED


def test_an_instruction_sent_late_still_leaves_half_an_hour_to_answer() -> None:
    day = planned_day()
    freeze(jst(16.25))
    work(services.SEND_KIND)
    row = instruction(day, "inzai-defer")
    # the regular deadline 16:00 is past; 16:15 + 30 min
    assert (row.state, row.respond_by_at) == (S.SENT, jst(16.75))


def test_an_instruction_whose_start_passed_unsent_is_cancelled() -> None:
    day = planned_day()
    freeze(jst(17))
    work(services.SEND_KIND)
    row = instruction(day, "inzai-defer")
    assert (row.state, row.reason) == (S.CANCELLED, services.TOO_LATE)


def test_acknowledged_twice_is_acknowledged_once() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    for _ in range(2):
        services.instruction_acknowledge(
            instruction_id=row.id, organisation=day.places.people.inzai_dc
        )
    row.refresh_from_db()
    assert (row.state, row.acknowledged_at) == (S.ACKNOWLEDGED, jst(14))
    moves = AuditEntry.objects.filter(action="aggregator.instruction.acknowledged")
    assert moves.count() == 1


def test_another_organisation_cannot_tell_an_instruction_from_none() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    for answer in (
        lambda org: services.instruction_acknowledge(instruction_id=row.id, organisation=org),
        lambda org: services.instruction_opt_out(
            instruction_id=row.id, organisation=org, reason="x"
        ),
    ):
        with pytest.raises(NotFound):
            answer(day.places.people.shiroi_dc)
    row.refresh_from_db()
    assert row.state == S.SENT


def test_an_answer_on_the_deadline_counts_and_one_after_it_does_not() -> None:
    day = sent_day()
    first, second = instruction(day, "inzai-defer"), instruction(day, "inzai-battery-up")
    inzai = day.places.people.inzai_dc
    freeze(jst(16))
    services.instruction_acknowledge(instruction_id=first.id, organisation=inzai)
    freeze(jst(16.0001))
    # no sweeper has run: the row and the clock decide
    with pytest.raises(InstructionClosed):
        services.instruction_acknowledge(instruction_id=second.id, organisation=inzai)


def test_opting_out_after_the_start_is_refused() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    inzai = day.places.people.inzai_dc
    services.instruction_acknowledge(instruction_id=row.id, organisation=inzai)
    freeze(jst(17))
    with pytest.raises(InstructionClosed) as refusal:
        services.instruction_opt_out(instruction_id=row.id, organisation=inzai, reason="late")
    assert refusal.value.field == "instruction"
    row.refresh_from_db()
    assert row.state == S.ACKNOWLEDGED


def test_an_acknowledged_instruction_may_still_be_declined_before_its_start() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    inzai = day.places.people.inzai_dc
    services.instruction_acknowledge(instruction_id=row.id, organisation=inzai)
    services.instruction_opt_out(instruction_id=row.id, organisation=inzai, reason="ポンプ故障")
    row.refresh_from_db()
    assert (row.state, row.reason) == (S.OPTED_OUT, "ポンプ故障")
    assert Job.objects.filter(kind=services.REPLACE_KIND, key=str(row.id)).exists()


def test_silence_until_the_deadline_makes_an_instruction_unreached() -> None:
    day = sent_day()
    freeze(jst(16))
    work(services.EXPIRE_KIND)
    assert instruction(day, "inzai-defer").state == S.SENT
    freeze(jst(16.001))
    work(services.EXPIRE_KIND)
    row = instruction(day, "inzai-defer")
    assert (row.state, row.reason) == (S.UNREACHED, services.NO_ANSWER)


def test_the_clock_starts_and_finishes_acknowledged_instructions_only() -> None:
    day = sent_day()
    inzai = day.places.people.inzai_dc
    row = instruction(day, "inzai-defer")
    services.instruction_acknowledge(instruction_id=row.id, organisation=inzai)
    freeze(jst(17))
    work(services.CLOCK_KIND)
    assert instruction(day, "inzai-defer").state == S.ACTIVE
    assert instruction(day, "inzai-battery-up").state == S.SENT
    freeze(jst(20))
    work(services.CLOCK_KIND)
    row.refresh_from_db()
    assert (row.state, row.started_at, row.finished_at) == (S.FINISHED, jst(17), jst(20))


def test_a_clock_that_leaps_over_the_evening_starts_and_finishes_in_one_sweep() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    services.instruction_acknowledge(instruction_id=row.id, organisation=day.places.people.inzai_dc)
    freeze(jst(23))
    work(services.CLOCK_KIND)
    assert instruction(day, "inzai-defer").state == S.FINISHED


def test_all_sweeps_end_when_nothing_of_the_auction_is_left() -> None:
    day = sent_day()
    for name in ("inzai-defer", "inzai-battery-up"):
        services.instruction_acknowledge(
            instruction_id=instruction(day, name).id, organisation=day.places.people.inzai_dc
        )
    freeze(jst(16.5))
    work()
    freeze(jst(24))
    work()
    sweeps = Job.objects.filter(kind__in=[services.SEND_KIND, services.CLOCK_KIND])
    assert set(sweeps.values_list("state", flat=True)) == {"DONE"}


def test_cancelling_needs_a_reason_and_is_final() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    with pytest.raises(Refused):
        services.instruction_cancel(instruction_id=row.id, reason="  ")
    services.instruction_cancel(instruction_id=row.id, reason="line is out of service")
    with pytest.raises(InstructionClosed):
        services.instruction_cancel(instruction_id=row.id, reason="again")
    with pytest.raises(InstructionClosed):
        services.instruction_acknowledge(
            instruction_id=row.id, organisation=day.places.people.inzai_dc
        )


def test_the_database_refuses_every_move_that_is_not_in_the_table() -> None:
    day = planned_day()
    row = instruction(day, "inzai-defer")
    for state in S.values:
        if state in (S.PLANNED, *TRANSITIONS[S.PLANNED]):
            continue
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE dispatch_dispatchinstruction SET state = %s WHERE id = %s", [state, row.id]
            )


def test_the_database_refuses_to_change_what_was_ordered() -> None:
    planned_day()
    with pytest.raises(IntegrityError), transaction.atomic():
        InstructionInterval.objects.update(quantity_kw=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        DispatchInstruction.objects.update(direction="DOWN")
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM dispatch_instructioninterval")


def test_nan_is_refused_by_the_database() -> None:
    day = planned_day()
    row = instruction(day, "inzai-defer")
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dispatch_instructioninterval (instruction_id, t, start_at, quantity_kw)"
            " VALUES (%s, 45, now(), 'NaN')",
            [row.id],
        )


def test_every_state_and_edge_stands_in_the_table_once() -> None:
    assert set(TRANSITIONS) == set(S.values)
    assert all(after in S.values for edges in TRANSITIONS.values() for after in edges)
    # only an acknowledged instruction becomes active
    assert [a for a, after in TRANSITIONS.items() if S.ACTIVE in after] == [S.ACKNOWLEDGED]


def test_operators_see_their_own_instructions_and_the_desk_sees_all() -> None:
    day = sent_day()
    people = day.places.people
    seen = {
        user.username: instructions_of(auction=day.auction, seen_by=user).count()
        for user in (people.desk, people.owner, people.rival, people.planner, people.stranger)
    }
    clerk = cast.member("clerk", people.inzai_dc, Role.ADMINISTRATOR)
    assert not instructions_visible(seen_by=clerk).exists()
    assert seen == {"desk": 4, "inzai": 3, "shiroi": 1, "planner": 0, "stranger": 0}
    assert instructions_visible(seen_by=people.rival).get().organisation == people.shiroi_dc


def test_rules_say_when_to_send_and_refuse_what_cannot_be_meant() -> None:
    rules = dispatch_rules({"dispatch": {"send_before_h": 36, "respond_before_h": 0}})
    assert rules == DispatchRules(send_before_h=36, respond_before_h=0, respond_min_h=0.5)
    # published at 15:00 of the day before: 36 h before 17:00 is earlier, so at publication
    planned_at = jst(15, day=-1)
    assert rules.send_at(starts_at=jst(17), planned_at=planned_at) == planned_at
    for wrong in ({"lead_h": 1}, {"send_before_h": -1}, {"send_before_h": float("nan")}):
        with pytest.raises(Refused):
            dispatch_rules({"dispatch": wrong})


def test_jobs_of_dispatch_are_known_to_the_worker() -> None:
    from aggregator.config.celery import app

    app.loader.import_default_modules()
    assert dispatching.WORK.keys() <= app.tasks.keys()


def test_the_documents_table_of_states_is_the_one_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "dispatch.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|", text, flags=re.MULTILINE)
    edges = [(before, after) for before, all_after in TRANSITIONS.items() for after in all_after]
    assert sorted(rows) == sorted(edges)
