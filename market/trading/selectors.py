"""Read auctions, needs and bids. Rows with owners take `seen_by`."""

from django.db.models import Q, QuerySet

from accounts.parties.models import Organisation, OrganisationKind
from market.trading.models import Auction, AuctionState, Bid, BidState, Need, NeedState

OPEN_BOOK_STATES = (
    AuctionState.PUBLISHED,
    AuctionState.PUBLISHED_BY_FALLBACK,
    AuctionState.SETTLED,
)


def needs_of(auction: Auction) -> QuerySet[Need]:
    """Return the current needs of an auction; published needs are public."""
    return (
        Need.objects.filter(auction=auction, state=NeedState.PUBLISHED)
        .select_related("organisation", "congestion_point", "area")
        .order_by("code")
    )


def book_of(auction: Auction) -> QuerySet[Bid]:
    """Bids in the book of a closed auction, in the order of their ids."""
    return (
        Bid.objects.filter(
            auction=auction, state=BidState.SUBMITTED, received_at__lt=auction.gate_closure_at
        )
        .select_related("resource__site", "organisation")
        .order_by("id")
    )


def bids_of(*, seen_by: Organisation) -> QuerySet[Bid]:
    """Bid envelopes an organisation may see: its own, or all for the aggregator."""
    bids = Bid.objects.select_related("auction", "resource__site", "organisation")
    if seen_by.kind == OrganisationKind.AGGREGATOR:
        return bids.filter(Q(auction__state__in=OPEN_BOOK_STATES) | Q(organisation=seen_by))
    return bids.filter(organisation=seen_by)
