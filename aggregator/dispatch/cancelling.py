"""Take a result back: by two people of the market desk, before its delivery begins.

Until the gate an auction has no result and the desk cancels it alone. After it, bidders have
committed themselves, so one person asks, with a reason, and another decides. Awards and prices are
never erased: the auction says that they are void, nothing of it is settled, and every instruction
that waits is cancelled in the same transaction. Once delivery has begun the result stands.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from accounts.approvals.kinds import RESULT_CANCEL
from accounts.approvals.models import Approval
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import approval_approve, approval_request, approval_use
from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused, ensure
from accounts.jobs.services import job_create
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight
from aggregator.dispatch.models import OPEN_STATES, InstructionState
from aggregator.dispatch.services import instructions_move
from market.clearing.models import ClearingRun, RunState
from market.trading.models import Auction, AuctionState

# The result that is asked to go: none yet, or a published one.
CANCELLABLE: Final = (
    AuctionState.CLOSED,
    AuctionState.CLEARING,
    AuctionState.PUBLISHED,
    AuctionState.PUBLISHED_BY_FALLBACK,
)
REASON_LENGTH_MAX: Final = 200
_NOW = RawSQL("market_now()", ())


class ResultStands(Conflict):
    """The result can no longer be taken back."""


@transaction.atomic
def result_cancel_request(*, auction_id: UUID, reason: str, by: Sight) -> Approval:
    """Ask that an auction's result be cancelled; a second person decides.

    Raises
    ------
    Refused
        Without a reason.
    NotPermitted, NotFound
        If the caller may not ask, or there is no such auction.
    ResultStands
        If the gate has not closed, or delivery has begun, or the auction is over.
    """
    desk = aggregator()
    if desk.id not in by.organisations_for("result.cancel"):
        raise NotPermitted(field="maker", value=by.actor, rule="a role that may result.cancel")
    if not reason.strip() or len(reason) > REASON_LENGTH_MAX:
        raise Refused(
            field="reason", value=reason, rule=f"a reason of 1 to {REASON_LENGTH_MAX} characters"
        )
    auction = _cancellable(auction_id)
    return approval_request(
        kind=RESULT_CANCEL,
        organisation=desk,
        subject=auction,
        content=content_of(auction, reason),
        maker=by.actor,
        reason=reason,
        detail={"auction": auction.code, "state": auction.state, "awards": auction.awards.count()},
        expires_at=auction.delivery_start,
    )


@transaction.atomic
def result_cancel_approve(
    *, approval_id: UUID, by: Sight, content_sha256: str, reason: str = ""
) -> Auction:
    """Approve the cancellation and do it in the same breath.

    Raises
    ------
    ResultStands
        If delivery has begun meanwhile.
    NotFound, NotPermitted, ContentChanged, ApprovalMissing
        As :func:`accounts.approvals.services.approval_approve`; also if another result has been
        published since it was asked for.
    """
    row = approvals_seen(seen_by=by, kind=RESULT_CANCEL).filter(id=approval_id).first()
    if row is None:
        raise NotFound(field="approval", value=str(approval_id), rule="an approval you can see")
    auction = _cancellable(UUID(row.subject.rpartition(":")[2]))
    approval_approve(approval_id=approval_id, by=by, content_sha256=content_sha256, reason=reason)
    approval_use(kind=RESULT_CANCEL, subject=auction, content=content_of(auction, row.reason))
    changed = Auction.objects.filter(id=auction.id, state=auction.state).update(
        state=AuctionState.CANCELLED, state_reason=row.reason
    )
    ensure(changed == 1, "a locked auction moves")
    cancelled_count = _instructions_cancel(auction, row.reason)
    for kind in settings.JOBS_AFTER_CANCELLATION:
        job_create(kind=kind, key=str(auction.id), payload={"auction": str(auction.id)})
    entry_append(
        action="market.auction.cancelled",
        subject=auction,
        detail={
            "reason": row.reason,
            "from": auction.state,
            "approval": str(row.id),
            "instructions_count": cancelled_count,
        },
    )
    auction.refresh_from_db()
    return auction


def content_of(auction: Auction, reason: str) -> dict[str, Any]:
    """Return exactly what is approved: this result of this auction, for this reason."""
    run = ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED).first()
    return {
        "auction": auction.id,
        "result_sha256": run.result_sha256 if run else None,
        "reason": reason,
    }


def _cancellable(auction_id: UUID) -> Auction:
    auction = Auction.objects.select_for_update().filter(id=auction_id).first()
    if auction is None:
        raise NotFound(field="auction", value=str(auction_id), rule="a known auction")
    if auction.state not in CANCELLABLE:
        raise ResultStands(
            field="auction", value=auction.state, rule="closed or published, and not yet settled"
        )
    if market_now() >= auction.delivery_start:
        raise ResultStands(
            field="auction",
            value=auction.code,
            rule=f"cancelled before its delivery begins at {auction.delivery_start.isoformat()}",
        )
    return auction


def _instructions_cancel(auction: Auction, reason: str) -> int:
    moved = 0
    for before in OPEN_STATES:
        moved += len(
            instructions_move(
                which=Q(award__auction=auction),
                before=before,
                after=InstructionState.CANCELLED,
                action="aggregator.instruction.cancelled",
                reason=reason,
                finished_at=_NOW,
            )
        )
    return moved
