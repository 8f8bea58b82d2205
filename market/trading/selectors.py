"""Read auctions, needs and bids. Rows with owners take `seen_by`."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from accounts.core.errors import NotFound
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.sight import Sight
from market.registry.models import Resource
from market.trading.models import (
    Auction,
    AuctionState,
    BaseFlow,
    Bid,
    BidState,
    BookRoot,
    Envelope,
    Need,
    NeedState,
    NeedStep,
    SealedBasket,
    StandingBid,
    StandingRenewal,
    TransferLimit,
)
from market.trading.sealing import contents_open

OPEN_BOOK_STATES = (
    AuctionState.PUBLISHED,
    AuctionState.PUBLISHED_BY_FALLBACK,
    AuctionState.SETTLED,
)
BEFORE_GATE_STATES = (AuctionState.SCHEDULED, AuctionState.OPEN)
NEED_STATES_OVER = (NeedState.REFUSED, NeedState.SUPERSEDED, NeedState.WITHDRAWN)
NO_ID = UUID(int=0)
# A need in any other state was never public.
PUBLIC_NEED_STATES = (NeedState.PUBLISHED, NeedState.SUPERSEDED, NeedState.WITHDRAWN)


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


def auctions_listed() -> QuerySet[Auction]:
    """Auctions: that they are held, when and by which rules is public."""
    return Auction.objects.select_related("grid_model")


def auction_named(code: str) -> Auction:
    """Return an auction by its code.

    Raises
    ------
    NotFound
        If there is none.
    """
    auction = auctions_listed().filter(code=code).first()
    if auction is None:
        raise NotFound(field="auction", value=code, rule="a known auction")
    return auction


def book_counts(auction: Auction) -> dict[str, int] | None:
    """Return how many bids of each form stand in a closed book; None before the gate."""
    if auction.state in BEFORE_GATE_STATES or auction.closed_at is None:
        return None
    rows = Bid.objects.filter(
        auction=auction, state=BidState.SUBMITTED, received_at__lt=auction.gate_closure_at
    )
    return dict(rows.values_list("form").annotate(count=Count("id")).order_by("form"))


def book_root_named(auction: Auction) -> BookRoot:
    """Return the root of a closed book, which is for everybody.

    Raises
    ------
    NotFound
        Before the gate.
    """
    root = BookRoot.objects.filter(auction=auction).first()
    if root is None:
        raise NotFound(field="auction", value=auction.code, rule="with a closed book")
    return root


def needs_seen(*, seen_by: Sight) -> QuerySet[Need]:
    """Return needs: to everybody those that are or were published, to their operator all."""
    rows = Need.objects.select_related(
        "auction", "organisation", "congestion_point", "area", "product"
    )
    if seen_by.may_everywhere("need.read"):
        return rows
    return rows.filter(
        Q(state__in=PUBLIC_NEED_STATES)
        | Q(organisation_id__in=seen_by.organisations_for("need.read"))
    )


def need_in_force(auction: Auction, organisation: Organisation, code: str) -> Need | None:
    """Return the published revision of an operator's need, or the one that waits for approval."""
    return (
        Need.objects.filter(auction=auction, organisation=organisation, code=code)
        .exclude(state__in=NEED_STATES_OVER)
        .order_by("-revision")
        .first()
    )


def need_seen(need_id: UUID, *, seen_by: Sight) -> Need:
    """Return one need of those that :func:`needs_seen` gives.

    Raises
    ------
    NotFound
        If the caller sees no such need.
    """
    need = needs_seen(seen_by=seen_by).filter(id=need_id).first()
    if need is None:
        raise NotFound(field="need", value=str(need_id), rule="a need that you see")
    return need


def needs_reread(needs: Iterable[Need]) -> list[Need]:
    """Return needs as they are stored, in the order given: numbers have their columns' digits."""
    ids = [need.id for need in needs]
    rows = Need.objects.select_related(
        "auction", "organisation", "congestion_point", "area", "product"
    ).in_bulk(ids)
    return [rows[need_id] for need_id in ids]


def need_steps_of(needs: Iterable[Need]) -> dict[UUID, list[NeedStep]]:
    """Demand curves of needs with several steps, by need."""
    found: dict[UUID, list[NeedStep]] = {}
    for step in NeedStep.objects.filter(need__in=list(needs)).order_by("need_id", "number"):
        found.setdefault(step.need_id, []).append(step)
    return found


def base_flows_seen(auction: Auction, *, seen_by: Sight) -> QuerySet[BaseFlow]:
    """Forecast flows of elements: to their operators, and to the market desk."""
    rows = BaseFlow.objects.filter(auction=auction).select_related("auction", "congestion_point")
    if seen_by.may_everywhere("network.read"):
        return rows
    own = seen_by.organisations_for("network.read")
    return rows.filter(
        Q(congestion_point__owner_id__in=own) | Q(congestion_point__co_owner_id__in=own)
    )


def envelopes_seen(auction: Auction, *, seen_by: Sight) -> QuerySet[Envelope]:
    """Envelopes: to the operator who gave them, to the site's, and to the market desk."""
    rows = Envelope.objects.filter(auction=auction).select_related(
        "auction", "site", "organisation"
    )
    if seen_by.may_everywhere("network.read"):
        return rows
    return rows.filter(
        Q(organisation_id__in=seen_by.organisations_for("network.read"))
        | Q(site__organisation_id__in=seen_by.organisations_for("bid.read"))
    )


def transfer_limits_of(auction: Auction) -> QuerySet[TransferLimit]:
    """Limits between areas, which are public once they are published."""
    return TransferLimit.objects.filter(auction=auction).select_related("auction", "link")


def bids_seen(*, seen_by: Sight, auction: Auction | None = None) -> QuerySet[Bid]:
    """Bids of one's own; of an auction with a result all, to those who may read its book."""
    rows = Bid.objects.select_related(
        "auction", "resource__site", "portfolio", "site", "organisation", "workload_class"
    )
    if auction is not None:
        rows = rows.filter(auction=auction)
        if auction.state in OPEN_BOOK_STATES and seen_by.may_everywhere("book.read"):
            return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for("bid.read"))


def bid_seen(bid_id: UUID, *, seen_by: Sight) -> Bid:
    """Return one bid of those that :func:`bids_seen` gives.

    Raises
    ------
    NotFound
        If the caller sees no such bid.
    """
    auction = Auction.objects.filter(bids=bid_id).first()
    if auction is not None:
        bid = bids_seen(seen_by=seen_by, auction=auction).filter(id=bid_id).first()
        if bid is not None:
            return bid
    raise NotFound(field="bid", value=str(bid_id), rule="a bid that you see")


def basket_of(bid: Bid) -> SealedBasket:
    """Return the sealed basket of a bid that the caller sees.

    Raises
    ------
    NotFound
        Of a bid that was never sealed.
    """
    basket = SealedBasket.objects.filter(bids=bid).select_related("auction", "organisation").first()
    if basket is None:
        raise NotFound(field="bid", value=str(bid.id), rule="a bid that came in a sealed basket")
    return basket


def content_of(bid: Bid) -> dict[str, Any] | None:
    """Return what a bid that the caller sees offers, or None while its book is sealed."""
    return contents_open([bid.id]).get(bid.id)


def resource_id_named(code: str | None) -> UUID | None:
    """Return the id of a resource; without a code None, of an unknown code one nothing has."""
    if code is None:
        return None
    return Resource.objects.filter(code=code).values_list("id", flat=True).first() or NO_ID


def standing_bids_seen(*, seen_by: Sight) -> QuerySet[StandingBid]:
    """Return standing bids of one's own; nobody else sees them."""
    own = seen_by.organisations_for("bid.read")
    return StandingBid.objects.filter(organisation_id__in=own).select_related("organisation")


def renewals_of(row: StandingBid) -> QuerySet[StandingRenewal]:
    """Return what became of a standing bid that the caller sees, in each auction."""
    return StandingRenewal.objects.filter(standing_bid=row).select_related("auction")


def standing_bid_seen(standing_bid_id: UUID, *, seen_by: Sight) -> StandingBid:
    """Return one standing bid of those that :func:`standing_bids_seen` gives.

    Raises
    ------
    NotFound
        If the caller sees no such standing bid.
    """
    row = standing_bids_seen(seen_by=seen_by).filter(id=standing_bid_id).first()
    if row is None:
        raise NotFound(
            field="standing_bid", value=str(standing_bid_id), rule="a standing bid that you see"
        )
    return row


def standing_bids_of(*, seen_by: Organisation) -> QuerySet[StandingBid]:
    """Return an organisation's own standing bids with what became of them."""
    return (
        StandingBid.objects.filter(organisation=seen_by)
        .prefetch_related("renewals__auction")
        .order_by("code", "created_at")
    )
