"""Plan instructions, and move them: each move is one compare-and-set, audited.

Time is market time, read in the very statement that moves a row: whether an answer is in
time follows from the row and the database's clock, never from whether a sweeper ran.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound
from accounts.jobs.services import Claim, job_create, job_finish
from accounts.parties.models import Organisation
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import (
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
)
from aggregator.dispatch.moves import (
    ALARM_KIND,
    CLOCK_KIND,
    EXPIRE_KIND,
    NO_ANSWER,
    OTHER_END,
    PLAN_KIND,
    REASON_LENGTH_MAX,
    RELEASE_KIND,
    REMIND_KIND,
    REPLACE_KIND,
    SEND_KIND,
    STOPPED_WITH,
    SWEEP_PAUSE,
    TOO_LATE,
    alarm_ask,
    instruction_of,
    instructions_move,
    instructions_save,
    sweep_renew,
    sweeps_arrange,
)
from aggregator.dispatch.rules import DispatchRules, dispatch_rules
from aggregator.dispatch.served import needs_served_note
from aggregator.dispatch.stopping import instruction_cancel
from aggregator.dispatch.tentative import tentative_awards
from market.clearing.models import Award, AwardInterval, Leg
from market.core.timegrid import INTERVAL
from market.trading.models import Auction, AuctionState

__all__ = (
    "ALARM_KIND",
    "CLOCK_KIND",
    "EXPIRE_KIND",
    "NO_ANSWER",
    "OTHER_END",
    "PLAN_KIND",
    "REASON_LENGTH_MAX",
    "RELEASE_KIND",
    "REMIND_KIND",
    "REPLACE_KIND",
    "SEND_KIND",
    "STOPPED_WITH",
    "SWEEP_PAUSE",
    "TOO_LATE",
    "alarm_ask",
    "awards_plan",
    "instruction_acknowledge",
    "instruction_cancel",
    "instruction_for",
    "instruction_of",
    "instruction_opt_out",
    "instructions_clock",
    "instructions_expire",
    "instructions_move",
    "instructions_plan",
    "instructions_save",
    "instructions_send_due",
    "sends_next_at",
    "sweep_renew",
    "sweeps_arrange",
)

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
    instructions_save(instructions=new, intervals=ordered)
    noted = {row.award_id for row in new} | (intervals.keys() & set(but))
    needs_served_note(auction=auction, intervals={id_: intervals[id_] for id_ in noted})
    return new


def instructions_send_due(*, auction_id: UUID) -> list[DispatchInstruction]:
    """Mark SENT what is due, inside the transaction that makes the messages.

    The response deadline is set anew from the true moment of sending, so that an
    instruction sent late still leaves time to answer. One whose start has passed is
    cancelled: nobody can act in the past.
    """
    due = Q(award__auction_id=auction_id, send_at__lte=_NOW)
    # a call of capacity is for now: it is worth telling until its end
    is_over = Q(call__isnull=True, starts_at__lte=_NOW) | Q(ends_at__lte=_NOW)
    late = instructions_move(
        which=due & is_over,
        before=_S.PLANNED,
        after=_S.CANCELLED,
        action="aggregator.instruction.cancelled",
        reason=TOO_LATE,
        finished_at=_NOW,
    )
    for row in late:
        alarm_ask(row=row, kind="instruction.too_late", priority=2, text=TOO_LATE)
    sent = instructions_move(
        which=due & ~is_over,
        before=_S.PLANNED,
        after=_S.SENT,
        action="aggregator.instruction.sent",
        sent_at=_NOW,
    )
    if sent:
        auction = Auction.objects.select_related("ruleset").get(id=auction_id)
        rules = dispatch_rules(auction.ruleset.rules)
        for row in sent:
            row.respond_by_at = _respond_by_at(row, rules)
        DispatchInstruction.objects.bulk_update(sent, ["respond_by_at"])
    return sent


def _respond_by_at(row: DispatchInstruction, rules: DispatchRules) -> datetime:
    sent_at = row.sent_at or row.send_at
    if row.call is not None:
        return rules.call_respond_by_at(called_at=sent_at, response_s=row.response_s)
    if row.award.leg == Leg.RESERVED:
        return rules.call_stand_in_respond_by_at(
            starts_at=row.starts_at, asked_at=sent_at, response_s=row.response_s
        )
    if row.replaces_id is not None:
        return rules.stand_in_respond_by_at(
            starts_at=row.starts_at, asked_at=sent_at, response_s=row.response_s
        )
    return rules.respond_by_at(starts_at=row.starts_at, sent_at=sent_at)


def sends_next_at(*, auction_id: UUID) -> datetime | None:
    """Return when the next planned instruction of the auction is due to go out."""
    return _first(auction_id, "send_at", _S.PLANNED)


@transaction.atomic
def instructions_expire(*, claim: Claim) -> int:
    """Remind sites that are still silent, and give up those whose deadline passed.

    Each is an alarm for the desk: a reminder is for its attention, what could not be reached for
    its action. Returns how many were given up.
    """
    auction_id = UUID(claim.payload["auction"])
    reminded_next_at = _silent_remind(auction_id)
    silent = instructions_move(
        which=Q(award__auction_id=auction_id, respond_by_at__lt=_NOW),
        before=_S.SENT,
        after=_S.UNREACHED,
        action="aggregator.instruction.unreached",
        reason=NO_ANSWER,
        finished_at=_NOW,
    )
    for row in silent:
        alarm_ask(row=row, kind="instruction.unreached", priority=1, text=NO_ANSWER)
        _void_follow_up(row)
    waiting_until = _first(auction_id, "respond_by_at", _S.SENT)
    to_send = _first(auction_id, "send_at", _S.PLANNED)
    # the deadline itself still belongs to the site
    moments = (
        waiting_until and waiting_until + timedelta(milliseconds=1),
        to_send and to_send + SWEEP_PAUSE,
        reminded_next_at,
    )
    sweep_renew(claim=claim, due_at=min((at for at in moments if at), default=None))
    return len(silent)


def _silent_remind(auction_id: UUID) -> datetime | None:
    """Remind who has little of its time left; returns when the next is due for it."""
    rows = list(
        DispatchInstruction.objects.select_for_update(of=("self",))
        .select_related("award__auction__ruleset", "resource", "organisation")
        .filter(award__auction_id=auction_id, state=_S.SENT, reminded_at__isnull=True)
        .order_by("id")
    )
    if not rows:
        return None
    rules = dispatch_rules(rows[0].award.auction.ruleset.rules)
    now = market_now()
    next_at: datetime | None = None
    for row in rows:
        remind_at = rules.remind_at(
            sent_at=row.sent_at or row.send_at, respond_by_at=row.respond_by_at
        )
        if row.respond_by_at < now:
            continue  # it is given up in the same breath
        if remind_at > now:
            next_at = remind_at if next_at is None else min(next_at, remind_at)
            continue
        DispatchInstruction.objects.filter(id=row.id, reminded_at__isnull=True).update(
            reminded_at=now
        )
        job_create(kind=REMIND_KIND, key=str(row.id), payload={"auction": str(auction_id)})
        entry_append(
            action="aggregator.instruction.reminded",
            subject=row,
            organisation_id=row.organisation_id,
            detail={"respond_by_at": row.respond_by_at.isoformat()},
        )
        alarm_ask(
            row=row,
            kind="instruction.silent",
            priority=3,
            text=f"no answer yet; the deadline is {row.respond_by_at:%H:%M:%S %Z}",
        )
    return next_at


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

    A call of capacity may be for the half hour that runs: it is declined while it waits for its
    answer, too.

    Raises
    ------
    NotFound
        If the organisation has no such instruction.
    InstructionClosed
        If it has started, or is no longer sent or acknowledged.
    """
    row = instruction_for(instruction_id=instruction_id, organisation=organisation)
    in_call = Q(call__isnull=False, respond_by_at__gte=_NOW)
    for before in (_S.SENT, _S.ACKNOWLEDGED):
        moved = instructions_move(
            which=Q(id=row.id) & (Q(starts_at__gt=_NOW) | in_call),
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
