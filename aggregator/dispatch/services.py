"""Plan instructions, and move them: each move is one compare-and-set, audited.

Time is market time, read in the very statement that moves a row: whether an answer is in
time follows from the row and the database's clock, never from whether a sweeper ran.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.jobs.services import Claim, job_create, job_finish, job_postpone
from accounts.parties.models import Organisation
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import (
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
)
from aggregator.dispatch.rules import DispatchRules, dispatch_rules
from aggregator.dispatch.served import needs_served_note
from aggregator.dispatch.tentative import tentative_awards
from market.clearing.models import Award, AwardInterval, Leg
from market.core.timegrid import INTERVAL
from market.trading.models import Auction, AuctionState

PLAN_KIND = "aggregator.dispatch.instructions_plan"
EXPIRE_KIND = "aggregator.dispatch.instructions_expire"
CLOCK_KIND = "aggregator.dispatch.instructions_clock"
REPLACE_KIND = "aggregator.dispatch.instruction_replace"
RELEASE_KIND = "aggregator.dispatch.awards_release"
# Sending and making the message are one transaction, so the protocol's app does both. Every
# site speaks OpenADR today; with a second protocol the resource will say which one.
SEND_KIND = "aggregator.protocols.openadr3.instructions_send"

REASON_LENGTH_MAX = 200
SWEEP_PAUSE = timedelta(seconds=1)
# What is stopped with an award of a leg: work that does not leave A cannot arrive at B, and work
# that is not put off has nothing to catch up on. The reverse of the latter does not hold.
STOPPED_WITH: Mapping[str, tuple[str, ...]] = {
    Leg.SHIFT_OUT: (Leg.SHIFT_OUT, Leg.SHIFT_IN),
    Leg.SHIFT_IN: (Leg.SHIFT_OUT, Leg.SHIFT_IN),
    Leg.DEFERRED: (Leg.REBOUND,),
}
OTHER_END = "the other end of the shift does not act"
NO_ANSWER = "no answer by the response deadline"
TOO_LATE = "its start passed before it could be sent"
_NOW = RawSQL("market_now()", ())
_S = InstructionState


@transaction.atomic
def instructions_plan(*, claim: Claim) -> int:
    """Plan one instruction per award of the auction that the claim is about.

    Runs any number of times: an award that has its instruction keeps it. Awards that wait for an
    order get theirs with it (:mod:`aggregator.dispatch.confirming`).

    Returns
    -------
    int
        How many instructions are new.
    """
    auction = Auction.objects.select_related("ruleset").get(id=UUID(claim.payload["auction"]))
    published = (AuctionState.PUBLISHED, AuctionState.PUBLISHED_BY_FALLBACK)
    planned: list[DispatchInstruction] = []
    if auction.state in published:
        awaiting = tentative_awards(auction)
        planned = awards_plan(auction, but=awaiting.keys())
        if awaiting:
            job_create(kind=RELEASE_KIND, key=claim.key, payload=claim.payload, attempts_max=20)
    if planned:
        entry_append(
            action="aggregator.instructions.planned",
            subject=auction,
            detail={"instructions_count": len(planned)},
        )
    sweeps_arrange(auction_id=auction.id, key=claim.key)
    job_finish(claim=claim)
    return len(planned)


def awards_plan(
    auction: Auction, *, only: Collection[UUID] | None = None, but: Collection[UUID] = ()
) -> list[DispatchInstruction]:
    """Plan what has no instruction yet, inside the caller's transaction; returns what is new.

    Parameters
    ----------
    only
        Awards to plan; None for all.
    but
        Awards to leave out for now; the needs they serve are noted none the less.
    """
    rules = dispatch_rules(auction.ruleset.rules)
    now = market_now()
    intervals: dict[UUID, list[AwardInterval]] = {}
    rows = AwardInterval.objects.filter(award__auction=auction, quantity_kw__gt=0)
    for row in rows.order_by("award_id", "t"):
        intervals.setdefault(row.award_id, []).append(row)
    have = set(
        DispatchInstruction.objects.filter(award__auction=auction, version=1).values_list(
            "award_id", flat=True
        )
    )
    new: list[DispatchInstruction] = []
    ordered: list[InstructionInterval] = []
    wanted = intervals.keys() - have - set(but)
    if only is not None:
        wanted &= set(only)
    for award in Award.objects.filter(id__in=wanted).order_by("id"):
        spans = intervals[award.id]
        instruction = instruction_of(
            award=award,
            bid_id=award.bid_id,
            organisation_id=award.organisation_id,
            resource_id=award.resource_id,
            starts_at=spans[0].start_at,
            ends_at=spans[-1].start_at + INTERVAL,
            planned_at=now,
            rules=rules,
        )
        new.append(instruction)
        ordered += [
            InstructionInterval(
                instruction=instruction, t=row.t, start_at=row.start_at, quantity_kw=row.quantity_kw
            )
            for row in spans
        ]
    DispatchInstruction.objects.bulk_create(new)
    InstructionInterval.objects.bulk_create(ordered, batch_size=5_000)
    noted = {row.award_id for row in new} | (intervals.keys() & set(but))
    needs_served_note(auction=auction, intervals={id_: intervals[id_] for id_ in noted})
    return new


def instruction_of(
    *,
    award: Award,
    bid_id: UUID,
    organisation_id: UUID,
    resource_id: UUID,
    starts_at: datetime,
    ends_at: datetime,
    planned_at: datetime,
    rules: DispatchRules,
    **version: Any,
) -> DispatchInstruction:
    """Return an unsaved instruction with its send time and response deadline."""
    send_at = rules.send_at(starts_at=starts_at, planned_at=planned_at)
    return DispatchInstruction(
        award=award,
        bid_id=bid_id,
        organisation_id=organisation_id,
        resource_id=resource_id,
        direction=award.direction,
        starts_at=starts_at,
        ends_at=ends_at,
        send_at=send_at,
        respond_by_at=rules.respond_by_at(starts_at=starts_at, sent_at=send_at),
        **version,
    )


def sweeps_arrange(*, auction_id: UUID, key: str) -> None:
    """Create the jobs that send, expire and advance the auction's instructions.

    Each renews itself until nothing of its auction is left to do. A replacement brings jobs
    under a key of its own, because those of the auction may be done or asleep.
    """
    payload = {"auction": str(auction_id)}
    for kind in (SEND_KIND, EXPIRE_KIND, CLOCK_KIND):
        job_create(kind=kind, key=key, payload=payload, attempts_max=20)


def sweep_renew(*, claim: Claim, due_at: datetime | None) -> None:
    """Sleep until `due_at`, or finish when there is nothing left to wait for.

    A row that another transaction is moving may leave a moment already past; a short sleep
    keeps the sweep from spinning on it.
    """
    if due_at is None:
        job_finish(claim=claim)
    else:
        job_postpone(claim=claim, due_at=max(due_at, market_now() + SWEEP_PAUSE))


def instructions_move(
    *,
    which: Q,
    before: str,
    after: str,
    action: str,
    reason: str | None = None,
    **columns: Any,
) -> list[DispatchInstruction]:
    """Move all instructions that match, inside the caller's transaction.

    Rows are locked in the order of their ids; one that another worker moved meanwhile is
    left out. Every move leaves an audit entry.

    Returns
    -------
    list
        The instructions moved, as they are now.
    """
    found = DispatchInstruction.objects.select_for_update(of=("self",)).filter(which, state=before)
    ids = [row.id for row in found.order_by("id")]
    if not ids:
        return []
    if reason is not None:
        columns["reason"] = reason[:REASON_LENGTH_MAX]
    DispatchInstruction.objects.filter(id__in=ids).update(
        state=after, token=F("token") + 1, **columns
    )
    moved = list(
        DispatchInstruction.objects.filter(id__in=ids)
        .select_related("resource", "organisation", "award")
        .order_by("id")
    )
    for row in moved:
        entry_append(
            action=action,
            subject=row,
            organisation_id=row.organisation_id,
            detail={"from": before, "to": after} | ({"reason": reason} if reason else {}),
        )
    return moved


def instructions_send_due(*, auction_id: UUID) -> list[DispatchInstruction]:
    """Mark SENT what is due, inside the transaction that makes the messages.

    The response deadline is set anew from the true moment of sending, so that an
    instruction sent late still leaves time to answer. One whose start has passed is
    cancelled: nobody can act in the past.
    """
    due = Q(award__auction_id=auction_id, send_at__lte=_NOW)
    instructions_move(
        which=due & Q(starts_at__lte=_NOW),
        before=_S.PLANNED,
        after=_S.CANCELLED,
        action="aggregator.instruction.cancelled",
        reason=TOO_LATE,
        finished_at=_NOW,
    )
    sent = instructions_move(
        which=due & Q(starts_at__gt=_NOW),
        before=_S.PLANNED,
        after=_S.SENT,
        action="aggregator.instruction.sent",
        sent_at=_NOW,
    )
    if sent:
        auction = Auction.objects.select_related("ruleset").get(id=auction_id)
        rules = dispatch_rules(auction.ruleset.rules)
        for row in sent:
            row.respond_by_at = rules.respond_by_at(
                starts_at=row.starts_at, sent_at=row.sent_at or row.send_at
            )
        DispatchInstruction.objects.bulk_update(sent, ["respond_by_at"])
    return sent


def sends_next_at(*, auction_id: UUID) -> datetime | None:
    """Return when the next planned instruction of the auction is due to go out."""
    return _first(auction_id, "send_at", _S.PLANNED)


@transaction.atomic
def instructions_expire(*, claim: Claim) -> int:
    """Give up instructions whose response deadline passed; returns how many."""
    auction_id = UUID(claim.payload["auction"])
    silent = instructions_move(
        which=Q(award__auction_id=auction_id, respond_by_at__lt=_NOW),
        before=_S.SENT,
        after=_S.UNREACHED,
        action="aggregator.instruction.unreached",
        reason=NO_ANSWER,
        finished_at=_NOW,
    )
    for row in silent:
        _void_follow_up(row)
    waiting_until = _first(auction_id, "respond_by_at", _S.SENT)
    to_send = _first(auction_id, "respond_by_at", _S.PLANNED)
    next_at = min((moment for moment in (waiting_until, to_send) if moment), default=None)
    # the deadline itself still belongs to the site
    sweep_renew(claim=claim, due_at=next_at and next_at + timedelta(milliseconds=1))
    return len(silent)


@transaction.atomic
def instructions_clock(*, claim: Claim) -> int:
    """Start and finish what the market clock has reached; returns how many moved."""
    auction_id = UUID(claim.payload["auction"])
    started = instructions_move(
        which=Q(award__auction_id=auction_id, starts_at__lte=_NOW),
        before=_S.ACKNOWLEDGED,
        after=_S.ACTIVE,
        action="aggregator.instruction.started",
        started_at=_NOW,
    )
    ended = instructions_move(
        which=Q(award__auction_id=auction_id, ends_at__lte=_NOW),
        before=_S.ACTIVE,
        after=_S.FINISHED,
        action="aggregator.instruction.finished",
        finished_at=_NOW,
    )
    boundaries = (
        _first(auction_id, "starts_at", _S.PLANNED, _S.SENT, _S.ACKNOWLEDGED),
        _first(auction_id, "ends_at", _S.ACTIVE),
    )
    sweep_renew(claim=claim, due_at=min((at for at in boundaries if at), default=None))
    return len(started) + len(ended)


def _first(auction_id: UUID, column: str, *states: str) -> datetime | None:
    moment: datetime | None = (
        DispatchInstruction.objects.filter(award__auction_id=auction_id, state__in=states)
        .order_by(column)
        .values_list(column, flat=True)
        .first()
    )
    return moment


def instruction_for(*, instruction_id: UUID, organisation: Organisation) -> DispatchInstruction:
    """Return an instruction to `organisation`; another's does not exist for it.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = DispatchInstruction.objects.filter(
        id=instruction_id, organisation=organisation
    ).exclude(state=_S.PLANNED)
    row = found.first()
    if row is None:
        raise NotFound(field="instruction", value=str(instruction_id), rule="an instruction to you")
    return row


@transaction.atomic
def instruction_acknowledge(
    *, instruction_id: UUID, organisation: Organisation
) -> DispatchInstruction:
    """Accept an instruction for its site; accepting again changes nothing.

    Raises
    ------
    NotFound
        If the organisation has no such instruction.
    InstructionClosed
        If the response deadline passed, or it is no longer waiting for an answer.
    """
    row = instruction_for(instruction_id=instruction_id, organisation=organisation)
    moved = instructions_move(
        which=Q(id=row.id, respond_by_at__gte=_NOW),
        before=_S.SENT,
        after=_S.ACKNOWLEDGED,
        action="aggregator.instruction.acknowledged",
        acknowledged_at=_NOW,
    )
    if moved:
        return moved[0]
    row.refresh_from_db()
    if row.state in (_S.ACKNOWLEDGED, _S.ACTIVE, _S.FINISHED):
        return row
    rule = f"answered by {row.respond_by_at:%Y-%m-%d %H:%M:%S %Z}, while it waits for an answer"
    raise InstructionClosed(field="instruction", value=row.state, rule=rule)


@transaction.atomic
def instruction_opt_out(
    *, instruction_id: UUID, organisation: Organisation, reason: str
) -> DispatchInstruction:
    """Decline an instruction before its start; the merit order is asked for a replacement.

    Raises
    ------
    NotFound
        If the organisation has no such instruction.
    InstructionClosed
        If it has started, or is no longer sent or acknowledged.
    """
    row = instruction_for(instruction_id=instruction_id, organisation=organisation)
    for before in (_S.SENT, _S.ACKNOWLEDGED):
        moved = instructions_move(
            which=Q(id=row.id, starts_at__gt=_NOW),
            before=before,
            after=_S.OPTED_OUT,
            action="aggregator.instruction.opted_out",
            reason=reason,
            finished_at=_NOW,
        )
        if moved:
            _void_follow_up(moved[0])
            return moved[0]
    row.refresh_from_db()
    if row.state in (_S.OPTED_OUT, _S.REPLACED):
        return row
    raise InstructionClosed(
        field="instruction", value=row.state, rule="declined before its start, once sent"
    )


@transaction.atomic
def instruction_cancel(
    *, instruction_id: UUID, reason: str, user_id: int | None = None
) -> DispatchInstruction:
    """Take an instruction back, for the desk; its event disappears from the site's list.

    Raises
    ------
    Refused
        Without a reason.
    NotFound
        If there is no such instruction.
    InstructionClosed
        If it is over already.
    """
    if not reason.strip():
        raise Refused(field="reason", value=reason, rule="cancelling needs a reason")
    for before in (_S.PLANNED, _S.SENT, _S.ACKNOWLEDGED, _S.ACTIVE):
        moved = instructions_move(
            which=Q(id=instruction_id),
            before=before,
            after=_S.CANCELLED,
            action="aggregator.instruction.cancelled",
            reason=reason,
            finished_at=_NOW,
        )
        if moved:
            if user_id is not None:
                entry_append(
                    action="aggregator.instruction.cancel_ordered",
                    subject=moved[0],
                    organisation_id=moved[0].organisation_id,
                    user_id=user_id,
                )
            return moved[0]
    row = DispatchInstruction.objects.filter(id=instruction_id).first()
    if row is None:
        raise NotFound(field="instruction", value=str(instruction_id), rule="an instruction")
    raise InstructionClosed(field="instruction", value=row.state, rule="not over yet")


def _void_follow_up(row: DispatchInstruction) -> None:
    """Ask the merit order for a replacement, and stop what makes no sense without it.

    An increase at the other end of a shift alone would only hurt.
    """
    job_create(kind=REPLACE_KIND, key=str(row.id))
    legs = STOPPED_WITH.get(row.award.leg)
    if legs is None or row.version > 1:
        return
    others = Q(award__bid_id=row.award.bid_id, award__leg__in=legs, version=1)
    for before, after in (
        (_S.PLANNED, _S.CANCELLED),
        (_S.SENT, _S.OPTED_OUT),
        (_S.ACKNOWLEDGED, _S.OPTED_OUT),
    ):
        stopped = instructions_move(
            which=others,
            before=before,
            after=after,
            action=f"aggregator.instruction.{after.lower()}",
            reason=OTHER_END,
            finished_at=_NOW,
        )
        for other in stopped:
            if after == _S.OPTED_OUT:
                job_create(kind=REPLACE_KIND, key=str(other.id))


def instructions_save(
    *, instructions: Sequence[DispatchInstruction], intervals: Sequence[InstructionInterval]
) -> None:
    """Store new instructions with their half hours, inside the caller's transaction."""
    DispatchInstruction.objects.bulk_create(instructions)
    InstructionInterval.objects.bulk_create(intervals)
