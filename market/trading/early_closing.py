"""Close an auction before its announced gate: by two people of the market desk.

Bidders plan by the announced gate, so one person asks, with a reason, and another decides. The
gate is then shut as it always is, alone and in one transaction with what follows it: what was
acknowledged before is in the book, and nothing comes after. The announced gate stays on record
beside the moment of closing; a receipt promises what it always did.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.approvals.kinds import AUCTION_CLOSE_EARLY
from accounts.approvals.models import Approval
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import (
    REASON_LENGTH_MAX,
    approval_approve,
    approval_request,
    approval_use,
)
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, NotPermitted, Refused, ensure
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight
from market.trading.gates import GateClosed, gate_shut, gate_take
from market.trading.models import Auction, AuctionState
from market.trading.services import auction_closed


@transaction.atomic
def auction_close_early_request(*, auction_id: UUID, reason: str, by: Sight) -> Approval:
    """Ask that an open auction be closed now; a second person decides.

    Raises
    ------
    Refused
        Without a reason.
    NotPermitted, NotFound
        If the caller may not ask, or there is no such auction.
    GateClosed
        If the auction is not open.
    Conflict
        If it was asked for already.
    """
    desk = aggregator()
    if desk.id not in by.organisations_for("auction.run"):
        raise NotPermitted(field="maker", value=by.actor, rule="a role that may auction.run")
    if not reason.strip() or len(reason) > REASON_LENGTH_MAX:
        raise Refused(
            field="reason", value=reason, rule=f"a reason of 1 to {REASON_LENGTH_MAX} characters"
        )
    auction = Auction.objects.filter(id=auction_id).first()
    if auction is None:
        raise NotFound(field="auction", value=str(auction_id), rule="a known auction")
    _refuse_closed(auction)
    return approval_request(
        kind=AUCTION_CLOSE_EARLY,
        organisation=desk,
        subject=auction,
        content=content_of(auction, reason),
        maker=by.actor,
        reason=reason,
        detail={"auction": auction.code, "gate_closure_at": auction.gate_closure_at.isoformat()},
        expires_at=auction.gate_closure_at,
    )


@transaction.atomic
def auction_close_early(
    *, approval_id: UUID, by: Sight, content_sha256: str, reason: str = ""
) -> Auction:
    """Approve the closing and do it in the same breath.

    Raises
    ------
    GateClosed
        If the auction is closed meanwhile.
    NotFound, NotPermitted, ContentChanged, ApprovalMissing
        As :func:`accounts.approvals.services.approval_approve`.
    """
    row = approvals_seen(seen_by=by, kind=AUCTION_CLOSE_EARLY).filter(id=approval_id).first()
    if row is None:
        raise NotFound(field="approval", value=str(approval_id), rule="an approval you can see")
    auction_id = UUID(row.subject.rpartition(":")[2])
    gate_take(auction_id)
    auction = Auction.objects.get(id=auction_id)
    _refuse_closed(auction)
    approval_approve(approval_id=approval_id, by=by, content_sha256=content_sha256, reason=reason)
    approval_use(kind=AUCTION_CLOSE_EARLY, subject=auction, content=content_of(auction, row.reason))
    moment = gate_shut(auction.id, is_early=True)
    ensure(moment is not None, "an open auction closes while its gate is taken")
    auction.refresh_from_db()
    auction_closed(
        auction.id,
        auction.shut_at,
        detail={
            "gate_closure_at": auction.gate_closure_at.isoformat(),
            "approval": str(row.id),
            "reason": row.reason,
        },
    )
    return auction


def content_of(auction: Auction, reason: str) -> dict[str, Any]:
    """Return exactly what is approved: to shut this gate, announced for then, for this reason."""
    return {
        "auction": auction.id,
        "gate_closure_at": auction.gate_closure_at,
        "reason": reason,
    }


def _refuse_closed(auction: Auction) -> None:
    if auction.state != AuctionState.OPEN:
        raise GateClosed(field="auction", value=auction.code, rule=f"open, not {auction.state}")
    if market_now() >= auction.gate_closure_at:
        raise GateClosed(
            field="auction",
            value=auction.code,
            rule=f"before its gate at {auction.gate_closure_at.isoformat()}",
        )
