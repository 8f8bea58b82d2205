"""The market desk's addresses: only who sees everybody's instructions has them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from accounts.clock.selectors import market_now
from accounts.parties.sight import Sight, sight_of
from aggregator.control.services import alarm_raise
from aggregator.dispatch.cancelling import result_cancel_request
from aggregator.dispatch.changes import change_request
from aggregator.dispatch.models import DispatchInstruction, InstructionInterval, Trial
from aggregator.dispatch.trials import trial_order
from market.clearing.models import Award, Leg
from market.registry.models import MarketProduct, Prequalification
from tests import cast, delivery_days

DESK_ONLY = (302, 404, 404, 404, 404, 200)
MATRIX = {
    "/desk/": DESK_ONLY,
    "/desk/state.json": DESK_ONLY,
    "/desk/events/": (401, 404, 404, 404, 404, 200),
    "/desk/alarms/": DESK_ONLY,
    "/desk/alarms/?format=csv": DESK_ONLY,
    "/desk/alarms/{alarm}/": DESK_ONLY,
    "/desk/auctions/": DESK_ONLY,
    "/desk/auctions/?format=csv": DESK_ONLY,
    "/desk/auctions/new/": DESK_ONLY,
    "/desk/auctions/{auction}/": DESK_ONLY,
    "/desk/auctions/{auction}/close/": DESK_ONLY,
    "/desk/auctions/{auction}/cancel/": DESK_ONLY,
    "/desk/auctions/{auction}/melt/": (302, 404, 404, 404, 404, 404),
    "/desk/auctions/NONE/": (302, 404, 404, 404, 404, 404),
    "/desk/approvals/{approval}/": DESK_ONLY,
    "/desk/instructions/": DESK_ONLY,
    "/desk/instructions/?format=csv": DESK_ONLY,
    "/desk/instructions/{instruction}/": DESK_ONLY,
    "/desk/instructions/{instruction}/stop/": DESK_ONLY,
    "/desk/instructions/{instruction}/halt/": DESK_ONLY,
    "/desk/instructions/{instruction}/stand-ins/": DESK_ONLY,
    "/desk/instructions/{accepted}/less/": DESK_ONLY,
    "/desk/instructions/{instruction}/melt/": (302, 404, 404, 404, 404, 404),
    "/desk/changes/{change}/": DESK_ONLY,
    "/desk/calls/": DESK_ONLY,
    "/desk/calls/?format=csv": DESK_ONLY,
    "/desk/calls/{reserved}/": DESK_ONLY,
    "/desk/drills/": DESK_ONLY,
    "/desk/drills/?format=csv": DESK_ONLY,
    "/desk/drills/new/": DESK_ONLY,
    "/desk/drills/new/{qualification}/": DESK_ONLY,
    "/desk/drills/{drill}/": DESK_ONLY,
    "/desk/drills/{drill}/cancel/": DESK_ONLY,
    "/desk/jobs/": DESK_ONLY,
    "/desk/jobs/?format=csv": DESK_ONLY,
}


def instruction_of(day: cast.MarketDay, *, name: str = "inzai-defer") -> DispatchInstruction:
    """Make an instruction of an award that was sent and is not answered yet."""
    award = day.awards[name]
    start = day.auction.delivery_start
    row = DispatchInstruction.objects.create(
        award=award,
        bid=award.bid,
        organisation=award.organisation,
        resource=award.resource,
        direction=award.direction,
        starts_at=start + timedelta(hours=17),
        ends_at=start + timedelta(hours=20),
        send_at=start - timedelta(hours=5),
        respond_by_at=start + timedelta(hours=15),
        sent_at=start - timedelta(hours=5),
        state="SENT",
    )
    InstructionInterval.objects.bulk_create(
        InstructionInterval(
            instruction=row, t=t, start_at=start + timedelta(minutes=30 * t), quantity_kw=9_000
        )
        for t in cast.EVENING
    )
    return row


def reserved_of(day: cast.MarketDay) -> Award:
    """Reserve a battery's capacity, once, for the half hours 10 and 11."""
    return Award.objects.filter(leg=Leg.RESERVED).first() or delivery_days.held(day)


def drill_of(day: cast.MarketDay, by: Sight) -> Trial:
    """Order a drill of a resource whose qualification was checked, on the day's evening."""
    product = MarketProduct.objects.create(
        code="slow", name="三次", name_en="Tertiary", response_s=900, quantity_min_kw=1,
        quantity_tick_kw=1,
    )  # fmt: skip
    asked = Prequalification.objects.create(
        resource=day.places.resources["inzai-load"],
        product=product,
        area=day.places.area,
        organisation=day.places.people.inzai_dc,
        quantity_kw=2_000,
        state="CHECKED",
        requested_at=market_now(),
    )
    return trial_order(
        prequalification_id=asked.id,
        direction="UP",
        quantity_kw=Decimal(2_000),
        starts_at=day.auction.delivery_start + timedelta(hours=12),
        ends_at=day.auction.delivery_start + timedelta(hours=13),
        by=by,
    )


def names(day: cast.MarketDay) -> dict[str, str]:
    """Make one row of each kind, asked for by a colleague of the desk."""
    colleague = cast.member("desk-b", day.places.people.platform, "market_desk")
    asked = result_cancel_request(auction_id=day.auction.id, reason="flow", by=sight_of(colleague))
    row = instruction_of(day)
    accepted = instruction_of(day, name="shiroi-cap")
    DispatchInstruction.objects.filter(id=accepted.id).update(state="ACKNOWLEDGED")
    change = change_request(
        instruction_id=row.id, what="CANCELLED", reason="fire", by=sight_of(colleague)
    )
    drill = drill_of(day, sight_of(colleague))
    alarm = alarm_raise(
        kind="instruction.silent",
        priority=3,
        subject=row,
        text="",
        key=f"instruction.silent:{row.id}",
    )
    return {
        "auction": day.auction.code,
        "approval": str(asked.id),
        "instruction": str(row.id),
        "accepted": str(accepted.id),
        "change": str(change.id),
        "alarm": str(alarm.id),
        "drill": str(drill.id),
        "reserved": str(reserved_of(day).id),
        "qualification": str(drill.prequalification_id),
    }
