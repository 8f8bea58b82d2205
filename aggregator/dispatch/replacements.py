"""Replace what a site declined or left unanswered, from the merit order."""

from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q

from accounts.clock.selectors import market_now
from accounts.core.errors import BrokenInvariant
from accounts.fields import HALF_HOURS_COUNT
from accounts.jobs.services import Claim, job_finish
from aggregator.core.replacement import StandIn, covered_ratio, stand_ins
from aggregator.dispatch.calls import payer_of_stand_ins
from aggregator.dispatch.merit import Merit, merit_order
from aggregator.dispatch.models import DispatchInstruction, InstructionInterval, InstructionState
from aggregator.dispatch.rules import dispatch_rules
from aggregator.dispatch.services import (
    REASON_LENGTH_MAX,
    alarm_ask,
    instruction_of,
    instructions_move,
    instructions_save,
    sweeps_arrange,
)
from market.clearing.models import Leg
from market.core.timegrid import INTERVAL
from market.trading.models import Auction

NO_REPLACEMENT = "no replacement in the merit order"


@transaction.atomic
def instruction_replace(*, claim: Claim) -> int:
    """Replace the instruction the claim is about; returns how many stand in for it.

    Without a suitable offer it stays as it is, and its reason says so. The auction's row is
    locked first: two replacements at once would sell the same offer twice.
    """
    lost = (
        DispatchInstruction.objects.select_related("award__resource__site__area", "resource__site")
        .filter(id=UUID(claim.key))
        .get()
    )
    auction = (
        Auction.objects.select_for_update(of=("self",), no_key=True)
        .select_related("ruleset")
        .get(id=lost.award.auction_id)
    )
    lost.refresh_from_db(fields=["state", "reason"])
    waiting = (InstructionState.OPTED_OUT, InstructionState.UNREACHED)
    made = 0
    if lost.state in waiting and not lost.replaced_by.exists():
        now = market_now()
        merit = merit_order(lost=lost, now=now)
        found = stand_ins(merit.loss, merit.offers, merit.elements)
        if found:
            made = len(_versions_save(lost, merit, found, auction))
            ratio = covered_ratio(merit.loss, merit.offers, found)
            _state_move(lost, InstructionState.REPLACED, f"replaced: {ratio:.0%} of what was lost")
            # a call and a change have sweeps under their own id, which may be done or asleep
            sweeps_arrange(auction_id=auction.id, key=f"{lost.id}/replaced")
        else:
            _reason_add(lost)
            alarm_ask(row=lost, kind="instruction.unreplaced", priority=1, text=NO_REPLACEMENT)
    job_finish(claim=claim)
    return made


def _versions_save(
    lost: DispatchInstruction, merit: Merit, found: tuple[StandIn, ...], auction: Auction
) -> list[DispatchInstruction]:
    rules = dispatch_rules(auction.ruleset.rules)
    now = market_now()
    versions = DispatchInstruction.objects.filter(award=lost.award)
    last: int = versions.aggregate(last=Max("version"))["last"]
    # capacity was reserved, and no energy sold: all that stands in for a call is beyond the award
    is_call = lost.award.leg == Leg.RESERVED
    beyond = (
        set(range(HALF_HOURS_COUNT))
        if is_call
        else set(lost.intervals.filter(is_added=True).values_list("t", flat=True))
    )
    payer_id = lost.payer_id or (payer_of_stand_ins(lost.award) if is_call else None)
    made: list[DispatchInstruction] = []
    intervals: list[InstructionInterval] = []
    for number, stand_in in enumerate(found, start=last + 1):
        bid = merit.bids[stand_in.key]
        if bid.resource_id is None:  # merit holds step bids only, and each has one
            raise BrokenInvariant("a stand-in has no resource")
        spans = sorted(stand_in.quantity_kw)
        starts_at = {t: auction.delivery_start + t * INTERVAL for t in spans}
        instruction = instruction_of(
            award=lost.award,
            bid_id=bid.id,
            organisation_id=bid.organisation_id,
            resource_id=bid.resource_id,
            starts_at=starts_at[spans[0]],
            ends_at=starts_at[spans[-1]] + INTERVAL,
            planned_at=now,
            rules=rules,
            version=number,
            replaces=lost,
            response_s=lost.response_s,
            payer_id=payer_id if any(t in beyond for t in spans) else None,
        )
        # a stand-in is asked at once, and has a share of the response time to answer
        instruction.send_at = now
        until = rules.call_stand_in_respond_by_at if is_call else rules.stand_in_respond_by_at
        instruction.respond_by_at = until(
            starts_at=instruction.starts_at, asked_at=now, response_s=lost.response_s
        )
        made.append(instruction)
        intervals += [
            InstructionInterval(
                instruction=instruction,
                t=t,
                start_at=starts_at[t],
                quantity_kw=stand_in.quantity_kw[t],
                replacement_price_jpy_per_kwh=stand_in.price_jpy_per_kwh(t),
                is_added=t in beyond,
            )
            for t in spans
        ]
    instructions_save(instructions=made, intervals=intervals)
    return made


def _state_move(lost: DispatchInstruction, state: str, told: str) -> None:
    joined = f"{lost.reason}; {told}" if lost.reason else told
    instructions_move(
        which=Q(id=lost.id),
        before=lost.state,
        after=state,
        action="aggregator.instruction.replaced",
        reason=joined[-REASON_LENGTH_MAX:],
    )


def _reason_add(lost: DispatchInstruction) -> None:
    joined = f"{lost.reason}; {NO_REPLACEMENT}" if lost.reason else NO_REPLACEMENT
    DispatchInstruction.objects.filter(id=lost.id, state=lost.state).update(
        reason=joined[-REASON_LENGTH_MAX:]
    )
