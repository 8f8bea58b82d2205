"""Look for stand-ins: what the merit order would give now, and asking it once more.

A search that found nobody is not the last word: sites say that they are available again, other
orders end, elements get room. The desk asks again; who is found is asked as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted
from accounts.fields.checking import text_checked
from accounts.jobs.models import Job, JobState
from accounts.jobs.services import Claim, job_create
from accounts.parties.sight import Sight
from aggregator.core.replacement import covered_ratio, stand_ins
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.merit import merit_order
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.replacements import instruction_replace
from market.trading.models import Bid

CHANGE: Final = "instruction.change"
REPEAT_KIND: Final = "aggregator.dispatch.replacement_repeat"
REASON_LENGTH_MAX: Final = 200
_S = InstructionState
LOST: Final = (_S.OPTED_OUT, _S.UNREACHED)
SEARCHED: Final = (_S.SENT, *LOST)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An offer that would stand in: how much in which half hour, and what a kWh costs then."""

    bid: Bid
    quantity_kw: Mapping[int, Decimal]
    price_jpy_per_kwh: Mapping[int, Decimal]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the merit order gives for an order that does not act."""

    candidates: tuple[Candidate, ...]
    covered_ratio: float


def candidates_of(row: DispatchInstruction) -> Found:
    """Return who would stand in if the order did not act from now on; nothing is kept.

    An order that still waits for its answer is looked at as if it had none.

    Raises
    ------
    InstructionClosed
        If nobody is looked for in its state.
    """
    if row.state not in SEARCHED:
        raise InstructionClosed(
            field="instruction", value=row.state, rule="waiting, declined or unreached"
        )
    with transaction.atomic():
        if row.state == _S.SENT:
            DispatchInstruction.objects.filter(id=row.id, state=_S.SENT).update(state=_S.UNREACHED)
        found = _searched(row)
        transaction.set_rollback(True)
    return found


def _searched(row: DispatchInstruction) -> Found:
    lost = DispatchInstruction.objects.select_related(
        "award__auction", "award__resource__site__area", "resource__site"
    ).get(id=row.id)
    merit = merit_order(lost=lost, now=market_now())
    standing = stand_ins(merit.loss, merit.offers, merit.elements)
    bids = Bid.objects.select_related("resource__site", "organisation").in_bulk(
        [merit.bids[one.key].id for one in standing]
    )
    return Found(
        candidates=tuple(
            Candidate(
                bid=bids[merit.bids[one.key].id],
                quantity_kw=dict(one.quantity_kw),
                price_jpy_per_kwh={t: one.price_jpy_per_kwh(t) for t in one.quantity_kw},
            )
            for one in standing
        ),
        covered_ratio=covered_ratio(merit.loss, merit.offers, standing) if standing else 0.0,
    )


@transaction.atomic
def replacement_ask(*, instruction_id: UUID, reason: str, by: Sight) -> Job:
    """Ask the merit order once more for who stands in; a job does it.

    Raises
    ------
    NotPermitted, NotFound
        If the caller may not change orders, or there is no such instruction.
    InstructionClosed
        If it acts, is replaced, or its time is over.
    Conflict
        If a search for it waits already.
    """
    if not by.may_everywhere(CHANGE):
        raise NotPermitted(field="maker", value=by.actor, rule=f"a role that may {CHANGE}")
    reason = text_checked(reason, field="reason", length_max=REASON_LENGTH_MAX)
    row = (
        DispatchInstruction.objects.select_for_update(of=("self",))
        .filter(id=instruction_id)
        .first()
    )
    if row is None:
        raise NotFound(field="instruction", value=str(instruction_id), rule="an instruction")
    if row.state not in LOST or row.replaced_by.exists() or row.ends_at <= market_now():
        raise InstructionClosed(
            field="instruction",
            value=row.state,
            rule="declined or unreached, not replaced, and not over",
        )
    before = Job.objects.filter(kind=REPEAT_KIND, key__startswith=f"{row.id}:")
    if before.filter(state__in=(JobState.READY, JobState.RUNNING)).exists():
        raise Conflict(field="instruction", value=str(row.id), rule="no search that waits already")
    entry_append(
        action="aggregator.instruction.replacement_asked",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"by": by.actor, "reason": reason},
        user_id=by.user_id,
    )
    return job_create(
        kind=REPEAT_KIND,
        key=f"{row.id}:{before.count() + 1}",
        payload={"instruction": str(row.id)},
    )


def replacement_repeat(*, claim: Claim) -> int:
    """Look once more, as the first search did; returns how many stand in."""
    return instruction_replace(claim=replace(claim, key=str(claim.payload["instruction"])))
