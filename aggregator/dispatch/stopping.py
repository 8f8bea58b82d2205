"""Stop an order at once, for safety: one person does it, and everybody hears of it."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import (
    CHANGED_STATES,
    OPEN_STATES,
    DispatchInstruction,
    InstructionState,
)
from aggregator.dispatch.moves import alarm_ask, instructions_move

_NOW = RawSQL("market_now()", ())
_S = InstructionState


@transaction.atomic
def instruction_cancel(
    *, instruction_id: UUID, reason: str, user_id: int | None = None
) -> DispatchInstruction:
    """Stop an instruction at once, for safety; its event disappears from the site's list.

    One person does it, and everybody hears of it: it is an alarm. What is not urgent is asked for
    (:mod:`aggregator.dispatch.changes`).

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
    row = DispatchInstruction.objects.filter(id=instruction_id).first()
    if row is None:
        raise NotFound(field="instruction", value=str(instruction_id), rule="an instruction")
    stopped = _chain_cancel(row, reason)
    row.refresh_from_db()
    if not any(each.id == row.id for each in stopped):
        raise InstructionClosed(field="instruction", value=row.state, rule="not over yet")
    for each in stopped:
        alarm_ask(row=each, kind="instruction.stopped", priority=2, text=reason)
        if user_id is not None:
            entry_append(
                action="aggregator.instruction.cancel_ordered",
                subject=each,
                organisation_id=each.organisation_id,
                user_id=user_id,
            )
    return next(each for each in stopped if each.id == row.id)


def _chain_cancel(row: DispatchInstruction, reason: str) -> list[DispatchInstruction]:
    """Stop an instruction and the changes that shall follow it.

    A changed version's forerunner is in force until it takes over, and can be stopped until then.
    """
    waiting = Q(id=row.id)
    is_due = DispatchInstruction.objects.filter(replaces_id=row.id, takes_over_at__gt=_NOW)
    stopped = []
    for before in (*OPEN_STATES, *CHANGED_STATES):
        if before in CHANGED_STATES and not is_due.exists():
            continue
        stopped += instructions_move(
            which=waiting,
            before=before,
            after=_S.CANCELLED,
            action="aggregator.instruction.cancelled",
            reason=reason,
            finished_at=_NOW,
        )
    for later in DispatchInstruction.objects.filter(
        replaces_id=row.id, takes_over_at__isnull=False
    ):
        stopped += _chain_cancel(later, reason)
    return stopped
