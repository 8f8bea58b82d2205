"""Orders that the desk changes: agreed by two, told anew, counted and paid as they stand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.approvals.models import Approval
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.jobs.models import Job
from accounts.parties.models import User
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of
from aggregator.dispatch import changes, services
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.metering.orders import orders_on
from tests import cast
from tests.dispatching import freeze, instruction, jst, sent_day, work

pytestmark = pytest.mark.django_db
S = InstructionState


def desk(day: cast.MarketDay, name: str) -> Sight:
    return _person(day.places.people.platform, Role.MARKET_DESK, name)


def approver(day: cast.MarketDay, name: str = "approver") -> Sight:
    return _person(day.places.people.grid_t, Role.GRID_APPROVER, name)


def _person(organisation: Any, role: Role, name: str) -> Sight:
    user = User.objects.filter(username=name).first() or cast.member(name, organisation, role)
    return sight_of(user)


def agreed(day: cast.MarketDay, by: Sight | None = None, **asked: Any) -> DispatchInstruction:
    row: Approval = changes.change_request(by=desk(day, "first"), **asked)
    return changes.change_approve(
        approval_id=row.id, by=by or desk(day, "second"), content_sha256=row.content_sha256
    )


def accepted(day: cast.MarketDay, name: str = "inzai-defer") -> DispatchInstruction:
    row = instruction(day, name)
    services.instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
    row.refresh_from_db()
    return row


def counted(day: cast.MarketDay, name: str) -> dict[int, tuple[Any, ...]]:
    """Return what counts of an award's half hours: quantity, why it is void, whose it is."""
    found: dict[int, tuple[Any, ...]] = {}
    for order in orders_on(cast.DAY):
        if order.award_id == day.awards[name].id and not order.void:
            found[order.t] = (order.quantity_kw, order.instruction_id)
    return found


def test_less_is_ordered_from_the_first_changed_half_hour_on() -> None:
    day = sent_day()
    row = accepted(day)
    freeze(jst(18))
    work(services.CLOCK_KIND)
    made = agreed(
        day,
        instruction_id=row.id,
        what="PARTIAL",
        reason="line is back",
        quantities_kw={37: Decimal(6_000), 38: Decimal(6_000)},
    )
    row.refresh_from_db()
    assert (row.state, row.reason) == (S.PARTIAL, "line is back")
    # 18:30 to 20:00: two half hours of 6,000, the last as it was sold
    assert (made.version, made.replaces, made.state) == (2, row, S.PLANNED)
    assert (made.takes_over_at, made.starts_at, made.ends_at) == (jst(18.5), jst(18.5), jst(20))
    price = day.awards["inzai-defer"].intervals.get(t=37).price_jpy_per_kwh
    assert list(
        made.intervals.values_list("t", "quantity_kw", "replacement_price_jpy_per_kwh", "is_added")
    ) == [
        (37, Decimal(6_000), price, False),
        (38, Decimal(6_000), price, False),
        (39, Decimal(9_000), None, False),
    ]
    assert counted(day, "inzai-defer") == {
        34: (Decimal(9_000), None),
        35: (Decimal(9_000), None),
        36: (Decimal(9_000), None),
        37: (Decimal(6_000), made.id),
        38: (Decimal(6_000), made.id),
        39: (Decimal(9_000), None),
    }
    excused = [order.t for order in orders_on(cast.DAY) if order.void == "EXCUSED"]
    assert excused == [37, 38]


def test_the_site_acknowledges_the_changed_order_anew_on_the_same_event() -> None:
    from aggregator.protocols.openadr3.models import Event

    day = sent_day()
    row = accepted(day)
    event = Event.objects.get(instruction=row)
    made = agreed(
        day,
        instruction_id=row.id,
        what="PARTIAL",
        reason="less",
        quantities_kw={36: Decimal(3_000)},
    )
    work(services.SEND_KIND)
    made.refresh_from_db()
    assert made.state == S.SENT
    after = Event.objects.get(id=event.id)
    assert after.instruction == made
    assert after.modified_at >= event.modified_at
    values = [interval["payloads"][0]["values"] for interval in after.body["intervals"]]
    assert values == [[-9000], [-9000], [-3000], [-9000], [-9000], [-9000]]
    assert Event.objects.filter(instruction__award=row.award).count() == 1
    services.instruction_acknowledge(instruction_id=made.id, organisation=made.organisation)
    freeze(jst(18))
    work(services.CLOCK_KIND)
    made.refresh_from_db()
    assert made.state == S.ACTIVE


def test_longer_is_paid_by_a_grid_operator_whose_approver_agrees() -> None:
    day = sent_day()
    row = accepted(day)
    asked = {
        "instruction_id": row.id,
        "what": "EXTENDED",
        "reason": "the peak lasts",
        "quantities_kw": {40: Decimal(5_000)},
        "payer": day.places.people.grid_t,
        "price_jpy_per_kwh": Decimal("70.00"),
    }
    wanted = changes.change_request(by=desk(day, "first"), **asked)
    with pytest.raises(NotFound):
        changes.change_approve(
            approval_id=wanted.id,
            by=_person(day.places.people.inzai_dc, Role.OPERATOR_TRADER, "trader"),
            content_sha256=wanted.content_sha256,
        )
    made = changes.change_approve(
        approval_id=wanted.id, by=approver(day), content_sha256=wanted.content_sha256
    )
    row.refresh_from_db()
    assert (row.state, made.payer) == (S.EXTENDED, day.places.people.grid_t)
    assert (made.takes_over_at, made.ends_at) == (jst(20), jst(20.5))
    assert counted(day, "inzai-defer")[39] == (Decimal(9_000), None)
    # what nobody has accepted beyond the award is no order
    assert 40 not in counted(day, "inzai-defer")
    work(services.SEND_KIND)
    services.instruction_acknowledge(instruction_id=made.id, organisation=made.organisation)
    assert counted(day, "inzai-defer")[40] == (Decimal(5_000), made.id)


def test_an_extension_keeps_to_what_the_resource_has_left() -> None:
    day = sent_day()
    row = accepted(day)
    with pytest.raises(Refused) as refusal:
        changes.change_request(
            by=desk(day, "first"),
            instruction_id=row.id,
            what="EXTENDED",
            reason="x",
            quantities_kw={40: Decimal(12_001)},
            payer=day.places.people.grid_t,
            price_jpy_per_kwh=Decimal(1),
        )
    assert refusal.value.field == "quantities_kw.40"
    assert "12000.0 kW: the resource has no more left" in refusal.value.rule


def test_nobody_pays_for_an_extension_whose_need_is_not_served() -> None:
    day = sent_day()
    row = accepted(day)
    with pytest.raises(Refused) as refusal:
        changes.change_request(
            by=desk(day, "first"),
            instruction_id=row.id,
            what="EXTENDED",
            reason="x",
            quantities_kw={40: Decimal(1_000)},
            payer=day.places.people.shiroi_dc,
            price_jpy_per_kwh=Decimal(1),
        )
    assert refusal.value.field == "payer"


@pytest.mark.parametrize(
    ("quantities", "field"),
    [
        ({}, "quantities_kw"),
        ({33: Decimal(1)}, "quantities_kw.33"),
        ({35: Decimal(9_000)}, "quantities_kw.35"),
        ({35: Decimal("0.05")}, "quantities_kw.35"),
        ({t: Decimal(0) for t in cast.EVENING}, "quantities_kw"),
    ],
)
def test_a_wrong_change_names_what_is_wrong(quantities: Any, field: str) -> None:
    day = sent_day()
    row = accepted(day)
    with pytest.raises(Refused) as refusal:
        changes.change_request(
            by=desk(day, "first"),
            instruction_id=row.id,
            what="PARTIAL",
            reason="x",
            quantities_kw=quantities,
        )
    assert refusal.value.field == field
    assert not Approval.objects.exists()


def test_a_half_hour_that_is_too_near_is_not_changed() -> None:
    day = sent_day()
    row = accepted(day)
    freeze(jst(17.3))
    work(services.CLOCK_KIND)
    # a quarter of an hour of notice: 17:33 is past 17:30
    with pytest.raises(Refused) as refusal:
        changes.change_request(
            by=desk(day, "first"),
            instruction_id=row.id,
            what="PARTIAL",
            reason="x",
            quantities_kw={35: Decimal(1)},
        )
    assert refusal.value.rule == "a half hour that can still be changed"


def test_a_change_that_waited_too_long_is_not_done() -> None:
    day = sent_day()
    row = accepted(day)
    wanted = changes.change_request(
        by=desk(day, "first"),
        instruction_id=row.id,
        what="PARTIAL",
        reason="x",
        quantities_kw={34: Decimal(1)},
    )
    assert wanted.expires_at == jst(16)  # two hours, sooner than 16:45
    freeze(jst(17))
    work(services.CLOCK_KIND)
    with pytest.raises((Refused, Conflict)):
        changes.change_approve(
            approval_id=wanted.id, by=desk(day, "second"), content_sha256=wanted.content_sha256
        )
    row.refresh_from_db()
    assert row.state == S.ACTIVE


def test_who_asked_does_not_agree_and_strangers_do_not_ask() -> None:
    day = sent_day()
    row = accepted(day)
    first = desk(day, "first")
    wanted = changes.change_request(
        by=first, instruction_id=row.id, what="CANCELLED", reason="not needed"
    )
    with pytest.raises(NotPermitted):
        changes.change_approve(
            approval_id=wanted.id, by=first, content_sha256=wanted.content_sha256
        )
    with pytest.raises(NotPermitted):
        changes.change_request(
            by=approver(day), instruction_id=row.id, what="CANCELLED", reason="x"
        )
    with pytest.raises(Conflict):
        changes.change_request(by=first, instruction_id=row.id, what="CANCELLED", reason="again")
    row.refresh_from_db()
    assert row.state == S.ACKNOWLEDGED


def test_two_people_cancel_and_what_is_left_is_excused() -> None:
    day = sent_day()
    row = accepted(day)
    freeze(jst(18.25))
    work(services.CLOCK_KIND)
    made = agreed(day, instruction_id=row.id, what="CANCELLED", reason="not needed")
    assert (made.id, made.state) == (row.id, S.CANCELLED)
    assert sorted(counted(day, "inzai-defer")) == [34, 35, 36]


def test_only_an_accepted_instruction_is_changed() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    with pytest.raises(InstructionClosed):
        changes.change_request(
            by=desk(day, "first"),
            instruction_id=row.id,
            what="PARTIAL",
            reason="x",
            quantities_kw={35: Decimal(1)},
        )


def test_one_person_stops_a_changed_order_with_what_follows_it() -> None:
    day = sent_day()
    row = accepted(day)
    freeze(jst(17))
    work(services.CLOCK_KIND)
    made = agreed(
        day,
        instruction_id=row.id,
        what="PARTIAL",
        reason="less",
        quantities_kw={38: Decimal(1_000)},
    )
    freeze(jst(17.6))
    services.instruction_cancel(instruction_id=row.id, reason="fire", user_id=None)
    row.refresh_from_db()
    made.refresh_from_db()
    assert {row.state, made.state} == {S.CANCELLED}
    # 17:00 and the half hour that had begun
    assert sorted(counted(day, "inzai-defer")) == [34, 35]
    alarms = Job.objects.filter(kind=services.ALARM_KIND, payload__kind="instruction.stopped")
    assert alarms.count() == 2


def test_a_declined_change_leaves_the_reduced_half_hours_without_penalty() -> None:
    day = sent_day()
    row = accepted(day)
    made = agreed(
        day,
        instruction_id=row.id,
        what="PARTIAL",
        reason="less",
        quantities_kw={36: Decimal(3_000)},
    )
    work(services.SEND_KIND)
    services.instruction_opt_out(
        instruction_id=made.id, organisation=made.organisation, reason="pump"
    )
    causes = {
        order.t: order.void
        for order in orders_on(cast.DAY)
        if order.award_id == row.award_id and order.instruction_id is None
    }
    assert causes == {
        34: "", 35: "", 36: "EXCUSED", 37: "OPTED_OUT", 38: "OPTED_OUT", 39: "OPTED_OUT",
    }  # fmt: skip


def test_a_silent_site_keeps_the_reduced_order_it_had_accepted_more_of() -> None:
    day = sent_day()
    row = accepted(day)
    made = agreed(
        day,
        instruction_id=row.id,
        what="PARTIAL",
        reason="less",
        quantities_kw={36: Decimal(3_000)},
    )
    work(services.SEND_KIND)
    made.refresh_from_db()
    freeze(made.respond_by_at + timedelta(seconds=1))
    work(services.EXPIRE_KIND)
    made.refresh_from_db()
    assert made.state == S.UNREACHED
    assert counted(day, "inzai-defer")[36] == (Decimal(3_000), made.id)
