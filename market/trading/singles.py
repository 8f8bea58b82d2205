"""Single bids of many bidders, written together in one transaction.

What each gets is what :func:`market.trading.bids.basket_submit` would have given it: a basket,
an envelope, a receipt and an audit entry of its own, or its own refusal, which harms no neighbour.
Only messages, locks and statements are shared. A bid that would have to wait for somebody, or
whose check reads the bidder's book, is left aside for its caller to submit by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from accounts.core.errors import Refused, ensure
from accounts.parties.models import Organisation
from market.trading.baskets import Basket, baskets_store
from market.trading.bid_checks import Draft, refuse_unsellable
from market.trading.bids import BID_NAMES, Submission, refuse_overfull
from market.trading.gates import bids_enter, refuse_closed
from market.trading.models import Auction, Bid, BidForm

CURRENT = f"""
SELECT bid.* FROM unnest(%s::uuid[], %s::text[]) AS asked(bidder, name)
CROSS JOIN LATERAL (
    SELECT {", ".join(BID_NAMES)} FROM trading_bid
    WHERE organisation_id = asked.bidder AND client_bid_id = asked.name
    ORDER BY version DESC LIMIT 1 FOR UPDATE
) AS bid
"""  # noqa: S608 - names of our own columns, which are those of the fields
_Name = tuple[UUID, str]  # bidder and client id


@dataclass(frozen=True, kw_only=True)
class Single:
    """One bid, read and checked on its own (:func:`market.trading.drafts.drafts_of`).

    Parameters
    ----------
    actor
        Who submits it, as audit entries say.
    """

    organisation: Organisation
    draft: Draft
    actor: str

    @property
    def name(self) -> _Name:
        """Bidder and client id, which no other bid of a go may have."""
        return self.organisation.id, self.draft.client_bid_id


def goes_together(draft: Draft) -> bool:
    """Tell whether a bid may be written with others: blocks are linked to the bidder's book."""
    return draft.form != BidForm.BLOCK


def singles_submit(
    *, auction_code: str, singles: Sequence[Single]
) -> list[Submission | Refused | None]:
    """Put single bids into one book, inside the caller's transaction.

    Returns
    -------
    list
        Of each what came of it: a submission; the refusal that submitting it alone would have
        raised; or None where it must be submitted alone, and nothing was done.

    Raises
    ------
    NotFound
        If there is no such auction.
    BookKeyMissing
        As :func:`market.trading.bids.basket_submit`.
    """
    ensure(connection.in_atomic_block, "single bids are written inside a transaction")
    found: list[Submission | Refused | None] = [None] * len(singles)
    places: dict[_Name, int] = {}
    for i, single in enumerate(singles):
        if goes_together(single.draft):
            places.setdefault(single.name, i)  # a twin in the same go is left aside
    auction, moment, is_turn = bids_enter(auction_code, list(places))
    mine = [name for name, is_mine in zip(places, is_turn, strict=True) if is_mine]
    current = _current(mine)
    baskets: dict[int, Basket] = {}
    for name in mine:
        i, before = places[name], current.get(name)
        if before is not None and before.form == BidForm.BLOCK:
            continue
        try:
            baskets[i] = _basket(auction, moment, singles[i], before)
        except Refused as refusal:
            found[i] = refusal
    for (i, basket), signed in zip(
        baskets.items(), baskets_store(list(baskets.values())), strict=True
    ):
        found[i] = Submission(receipts=basket.receipts, signed=signed)
    return found


def _basket(auction: Auction, moment: datetime, single: Single, before: Bid | None) -> Basket:
    refuse_closed(auction, moment)
    refuse_unsellable(auction, single.organisation, [single.draft])
    refuse_overfull(auction, single.organisation, 1)
    basket = Basket(
        auction=auction, organisation=single.organisation, moment=moment, actor=single.actor
    )
    basket.put(single.draft, before, "bids[0]")
    return basket


def _current(names: Sequence[_Name]) -> dict[_Name, Bid]:
    """Return the latest versions of bids by bidder and client id, locked."""
    if not names:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(CURRENT, [[bidder for bidder, _ in names], [name for _, name in names]])
        return {
            (bid.organisation_id, bid.client_bid_id): bid
            for bid in (Bid.from_db(connection.alias, BID_NAMES, row) for row in cursor)
        }
