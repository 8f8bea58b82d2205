"""What every service of dispatch shares: the one way an instruction moves, its jobs, its alarms."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.jobs.services import Claim, job_create, job_finish, job_postpone
from aggregator.dispatch.models import DispatchInstruction, InstructionInterval
from aggregator.dispatch.rules import DispatchRules
from aggregator.dispatch.units import unit_orders_save
from market.clearing.models import Award, Leg

PLAN_KIND = "aggregator.dispatch.instructions_plan"
EXPIRE_KIND = "aggregator.dispatch.instructions_expire"
CLOCK_KIND = "aggregator.dispatch.instructions_clock"
REPLACE_KIND = "aggregator.dispatch.instruction_replace"
RELEASE_KIND = "aggregator.dispatch.awards_release"
# Sending and making the message are one transaction, so the protocol's app does both. Every
# site speaks OpenADR today; with a second protocol the resource will say which one.
SEND_KIND = "aggregator.protocols.openadr3.instructions_send"
REMIND_KIND = "aggregator.protocols.openadr3.instruction_remind"
# The control room lies above dispatch and reads what is asked of it from the list of jobs.
ALARM_KIND = "aggregator.control.alarm_ask"

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
    version.setdefault("response_s", rules.response_s)
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


def alarm_ask(*, row: DispatchInstruction, kind: str, priority: int, text: str) -> None:
    """Ask the control room to raise an alarm about an instruction, in the causing transaction."""
    job_create(
        kind=ALARM_KIND,
        key=f"{kind}:{row.id}:{row.token}",
        payload={
            "kind": kind,
            "priority": priority,
            "subject": f"dispatch.dispatchinstruction:{row.id}",
            "text": f"{row.resource.code}: {text}",
            "key": f"{kind}:{row.id}",
        },
    )


def instructions_save(
    *, instructions: Sequence[DispatchInstruction], intervals: Sequence[InstructionInterval]
) -> None:
    """Store new instructions with their half hours, inside the caller's transaction."""
    DispatchInstruction.objects.bulk_create(instructions)
    InstructionInterval.objects.bulk_create(intervals, batch_size=5_000)
    unit_orders_save(instructions=instructions, intervals=intervals)
