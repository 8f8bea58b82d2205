"""Read auctions, needs and bids. Rows with owners take `seen_by`."""

from django.db.models import Q, QuerySet

from accounts.parties.models import Organisation, OrganisationKind
from market.trading.models import (
    Auction,
    AuctionState,
    Bid,
    BidState,
    Envelope,
    Need,
    NeedState,
    StandingBid,
)

OPEN_BOOK_STATES = (
    AuctionState.PUBLISHED,
    AuctionState.PUBLISHED_BY_FALLBACK,
    AuctionState.SETTLED,
)


def needs_of(auction: Auction) -> QuerySet[Need]:
    """Return the current needs of an auction; published needs are public."""
    return (
        Need.objects.filter(auction=auction, state=NeedState.PUBLISHED)
        .select_related("organisation", "congestion_point", "area", "product")
        .order_by("code")
    )


def envelopes_of(auction: Auction) -> QuerySet[Envelope]:
    """Return the envelopes in force at the gate: of each site the latest revision before it."""
    return (
        Envelope.objects.filter(auction=auction, available_at__lt=auction.gate_closure_at)
        .select_related("site", "organisation")
        .order_by("site__code", "-revision")
        .distinct("site__code")
    )


def book_of(auction: Auction) -> QuerySet[Bid]:
    """Bids in the book of a closed auction, in the order of their ids."""
    return (
        Bid.objects.filter(
            auction=auction, state=BidState.SUBMITTED, received_at__lt=auction.gate_closure_at
        )
        .select_related("resource__site", "site", "organisation")
        .order_by("id")
    )


def bids_of(*, seen_by: Organisation) -> QuerySet[Bid]:
    """Bid envelopes an organisation may see: its own, or all for the aggregator."""
    bids = Bid.objects.select_related(
        "auction", "resource__site", "portfolio", "site", "organisation"
    )
    if seen_by.kind == OrganisationKind.AGGREGATOR:
        return bids.filter(Q(auction__state__in=OPEN_BOOK_STATES) | Q(organisation=seen_by))
    return bids.filter(organisation=seen_by)


def standing_bids_of(*, seen_by: Organisation) -> QuerySet[StandingBid]:
    """Return an organisation's own standing bids with what became of them."""
    return (
        StandingBid.objects.filter(organisation=seen_by)
        .prefetch_related("renewals__auction")
        .order_by("code", "created_at")
    )
