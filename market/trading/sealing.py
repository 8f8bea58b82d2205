"""The one seam between a bid's envelope and its content.

Everything that writes or reads an offer's prices and quantities goes through here, so
that sealing (content encrypted until the gate) changes this module and no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from accounts.fields.copying import rows_copy
from market.trading.models import BidContent, StandingBidContent


def contents_seal(contents: Iterable[tuple[UUID, bytes]]) -> None:
    """Store the canonical bytes of new bids' offers, inside the caller's transaction."""
    rows_copy(
        BidContent,
        ("bid_id", "content"),
        ((bid_id, canonical.decode()) for bid_id, canonical in contents),
    )


def contents_open(bid_ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Read offers back; callers see to it that they may (after the gate, or the owner)."""
    return dict(
        BidContent.objects.filter(bid_id__in=list(bid_ids)).values_list("bid_id", "content")
    )


def template_seal(standing_bid_id: UUID, canonical: bytes) -> None:
    """Store what a standing bid renews, inside the caller's transaction."""
    rows_copy(
        StandingBidContent,
        ("standing_bid_id", "content"),
        [(standing_bid_id, canonical.decode())],
    )


def templates_open(standing_bid_ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Read templates back; only to renew them, or for their owner."""
    return dict(
        StandingBidContent.objects.filter(standing_bid_id__in=list(standing_bid_ids)).values_list(
            "standing_bid_id", "content"
        )
    )
