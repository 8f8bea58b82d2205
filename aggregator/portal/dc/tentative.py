"""One's own awards that are not final yet: their buyer has asked, and has still to order.

What waits follows from the published prices (:mod:`aggregator.dispatch.tentative`), read once for
each result; whether it was decided meanwhile is asked each time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Sum

from accounts.parties.sight import Sight
from aggregator.dispatch.confirming import NOT_ORDERED, confirm_by_at
from aggregator.dispatch.models import DispatchInstruction
from aggregator.dispatch.tentative import Ties, tentative_awards
from aggregator.portal.dc import selectors
from aggregator.portal.dc.selectors import PublishedDay
from aggregator.portal.run_facts import Kept
from market.clearing.models import AwardInterval
from market.trading.models import Auction, Need, NeedState

HALF_HOUR_H: Final = Decimal("0.5")
AUCTIONS_MAX: Final = 8


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What of one auction waits for an order, of one's own."""

    auction: Auction
    bid_count: int
    energy_kwh: Decimal
    until_at: datetime


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far awards of a bid are: some wait until an instant, or were let go."""

    until_at: datetime | None
    is_released: bool


def standings_of(
    auction: Auction, awards: Mapping[UUID, UUID], *, run_id: UUID
) -> dict[UUID, Standing]:
    """Return the bids whose awards wait for an order, or were not ordered.

    Parameters
    ----------
    awards
        Awards of the auction's published run and the bids they are of.
    """
    ties = _ties.of((auction.id, run_id))
    tied = [award_id for award_id in awards if award_id in ties]
    if not tied:
        return {}
    decided = _decided(tied)
    open_ids = [award_id for award_id in tied if award_id not in decided]
    until = confirm_by_at(auction, award_ids=open_ids) if open_ids else {}
    found: dict[UUID, Standing] = {}
    for award_id in tied:
        if award_id in open_ids:
            known = found.get(awards[award_id])
            ends = [until[award_id]]
            if known is not None and known.until_at is not None:
                ends.append(known.until_at)
            found[awards[award_id]] = Standing(until_at=min(ends), is_released=False)
        elif decided[award_id] == NOT_ORDERED:
            found.setdefault(awards[award_id], Standing(until_at=None, is_released=True))
    return found


def waiting_from(seen_by: Sight, published: Sequence[PublishedDay], today: date) -> list[Waiting]:
    """Return what waits for orders in results for a day and later, the first deadline first."""
    results = {
        row.auction_id: row.run_id
        for row in published
        if row.is_by_order and row.is_sold and row.delivery_on >= today
    }
    if not results:
        return []
    found = []
    auctions = Auction.objects.filter(id__in=results).select_related("ruleset", "grid_model")
    for auction in auctions.order_by("delivery_on", "code")[:AUCTIONS_MAX]:
        awards = list(selectors.awards_published(seen_by, auction))
        if not awards:
            continue
        ties = _ties.of((auction.id, results[auction.id]))
        bids = {award.id: award.bid_id for award in awards if award.id in ties}
        decided = _decided(bids)
        left = {id_: bid_id for id_, bid_id in bids.items() if id_ not in decided}
        if not left:
            continue
        kw = AwardInterval.objects.filter(award_id__in=left).aggregate(kw=Sum("quantity_kw"))["kw"]
        found.append(
            Waiting(
                auction=auction,
                bid_count=len(set(left.values())),
                energy_kwh=HALF_HOUR_H * (kw or Decimal(0)),
                until_at=min(confirm_by_at(auction, award_ids=left).values()),
            )
        )
    return sorted(found, key=lambda one: one.until_at)


def is_by_order(auction: Auction) -> bool:
    """Whether anything in an auction is bought by an order that follows its result."""
    return Need.objects.filter(
        auction=auction, is_by_order=True, state=NeedState.PUBLISHED
    ).exists()


def _decided(award_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the awards that an order or its absence has decided, with the reason kept."""
    rows = DispatchInstruction.objects.filter(award_id__in=award_ids, version=1)
    return dict(rows.order_by().values_list("award_id", "reason"))


def _ties_of(key: tuple[UUID, UUID]) -> Ties:
    return tentative_awards(Auction.objects.select_related("ruleset", "grid_model").get(id=key[0]))


# by the auction and its published run, of which nothing changes
_ties = Kept(_ties_of)
