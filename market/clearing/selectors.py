"""Read results that have owners; what is public is in :mod:`market.clearing.published`."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet, Sum

from accounts.core.errors import NotFound
from accounts.parties.models import Organisation, OrganisationKind
from accounts.parties.sight import Sight
from market.clearing.models import (
    Award,
    AwardInterval,
    BidOutcome,
    CapacityInterval,
    ClearingPrice,
    ClearingRun,
    ComputePlacement,
    RunState,
)
from market.clearing.sensitivities import sensitivities_of
from market.registry.models import Site
from market.trading.models import Auction, Need, NeedKind, NeedState
from market.trading.selectors import NO_ID, OPEN_BOOK_STATES

HALF_HOURS = 48
ZERO = Decimal(0)
# Below this share of a kW a site does nothing for an element.
SENSITIVITY_LOW = 1e-6


def run_published_of(auction: Auction) -> ClearingRun | None:
    """Return the one published run of an auction, if there is one."""
    return ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED).first()


def awards_of(run: ClearingRun, *, seen_by: Organisation) -> QuerySet[Award]:
    """Awards an organisation may see: its own, or all for the aggregator."""
    awards = Award.objects.filter(run=run).select_related("bid", "organisation", "resource__site")
    if seen_by.kind == OrganisationKind.AGGREGATOR:
        return awards
    return awards.filter(organisation=seen_by)


def prices_of(run: ClearingRun) -> QuerySet[ClearingPrice]:
    """Return the published prices of a run."""
    return ClearingPrice.objects.filter(run=run).select_related("need", "area", "site")


def outcomes_of(run: ClearingRun, *, seen_by: Organisation) -> QuerySet[BidOutcome]:
    """Return why bids won or lost: an organisation's own, or all for the aggregator."""
    outcomes = BidOutcome.objects.filter(run=run).select_related("bid")
    if seen_by.kind == OrganisationKind.AGGREGATOR:
        return outcomes
    return outcomes.filter(bid__organisation=seen_by)


def awards_seen(*, seen_by: Sight, auction: Auction | None = None) -> QuerySet[Award]:
    """Awards of one's own organisations, or all for the market's desk, settlement and auditors."""
    rows = Award.objects.select_related(
        "auction", "bid", "organisation", "resource__site", "product"
    )
    if auction is not None:
        rows = rows.filter(auction=auction)
    if seen_by.may_everywhere("award.read"):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for("award.read"))


def with_intervals(awards: QuerySet[Award]) -> QuerySet[Award]:
    """Read the half hours of awards with them."""
    return awards.prefetch_related(
        Prefetch("intervals", AwardInterval.objects.order_by("t")),
        Prefetch("capacity_intervals", CapacityInterval.objects.order_by("t")),
    )


def award_seen(award_id: UUID, *, seen_by: Sight) -> Award:
    """Return one award of those that :func:`awards_seen` gives.

    Raises
    ------
    NotFound
        If the caller sees no such award.
    """
    award = with_intervals(awards_seen(seen_by=seen_by)).filter(id=award_id).first()
    if award is None:
        raise NotFound(field="award", value=str(award_id), rule="an award that you see")
    return award


def outcomes_seen(auction: Auction, *, seen_by: Sight) -> QuerySet[BidOutcome]:
    """Why bids won or lost: one's own, or all for those who may read an opened book."""
    rows = BidOutcome.objects.filter(run_id=_run_id(auction)).select_related("bid")
    if seen_by.may_everywhere("book.read"):
        return rows
    return rows.filter(bid__organisation_id__in=seen_by.organisations_for("bid.read"))


def _run_id(auction: Auction) -> UUID:
    """Return the id of the published run, or one that nothing has: lists read by run alone."""
    rows = ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED)
    return rows.values_list("id", flat=True).first() or NO_ID


def placements_seen(auction: Auction, *, seen_by: Sight) -> QuerySet[ComputePlacement]:
    """Where computing runs: to who asked for it, who runs it, and those who may read the book."""
    rows = ComputePlacement.objects.filter(run_id=_run_id(auction)).select_related(
        "bid__site", "offer__resource__site", "path"
    )
    if seen_by.may_everywhere("book.read"):
        return rows
    own = seen_by.organisations_for("bid.read")
    return rows.filter(Q(bid__organisation_id__in=own) | Q(offer__organisation_id__in=own))


@dataclass(frozen=True, kw_only=True)
class Relief:
    """What one site gives or takes for a grid operator's needs [kW] at t = 0 … 47.

    No bid, no ask and no paid price: what a site's operator asked is not the grid's to know.
    """

    site: Site
    direction: str
    product: str | None
    quantity_kw: list[Decimal]


def relief_seen(auction: Auction, *, seen_by: Sight) -> list[Relief]:
    """Return what was awarded for the needs of the caller's grid operators, by site.

    Energy counts at sites in the area of a need for balance, and wherever a kW moves the element
    of a local need; in the half hours in which something was needed. Capacity counts by product.
    """
    if auction.state not in OPEN_BOOK_STATES:
        return []
    needs = Need.objects.filter(auction=auction, state=NeedState.PUBLISHED).select_related(
        "congestion_point"
    )
    if not seen_by.may_everywhere("need.read"):
        needs = needs.filter(organisation_id__in=seen_by.organisations_for("need.read"))
    own = list(needs)
    found = _relief(AwardInterval.objects.filter(award__product__isnull=True), auction, own)
    return found + _relief(CapacityInterval.objects.all(), auction, own)


def _relief(rows: QuerySet[Any], auction: Auction, needs: Iterable[Need]) -> list[Relief]:
    is_capacity = rows.model is CapacityInterval
    wanted = [need for need in needs if (need.kind == NeedKind.CAPACITY) == is_capacity]
    if not wanted:
        return []
    sums = (
        rows.filter(award__auction=auction)
        .values_list("award__resource__site", "award__direction", "award__product_id", "t")
        .annotate(total_kw=Sum("quantity_kw"))
        .order_by("award__resource__site__code", "award__direction", "award__product_id", "t")
    )
    quantities: dict[tuple[UUID, str, str | None], list[Decimal]] = {}
    for site_id, direction, product, t, total_kw in sums:
        key = (site_id, direction, product)
        quantities.setdefault(key, [ZERO] * HALF_HOURS)[t] = total_kw
    sites = Site.objects.in_bulk({site_id for site_id, _, _ in quantities})
    moved = _moved(auction, sites.values(), wanted)
    found = []
    for (site_id, direction, product), kw in quantities.items():
        site = sites[site_id]
        half_hours = _half_hours(site, product, wanted, moved.get(site.code, {}))
        counted = [kw[t] if t in half_hours else ZERO for t in range(HALF_HOURS)]
        if any(counted):
            found.append(
                Relief(site=site, direction=direction, product=product, quantity_kw=counted)
            )
    return found


def _moved(
    auction: Auction, sites: Iterable[Site], needs: Iterable[Need]
) -> dict[str, dict[str, float]]:
    is_local = any(need.kind == NeedKind.LOCAL for need in needs)
    return sensitivities_of(auction, sites) if is_local else {}


def _half_hours(
    site: Site, product: str | None, needs: Iterable[Need], moved: dict[str, float]
) -> set[int]:
    """Half hours in which a site serves any of the needs."""
    found: set[int] = set()
    for need in needs:
        if need.congestion_point is not None:
            serves = abs(moved.get(need.congestion_point.code, 0.0)) > SENSITIVITY_LOW
        else:
            serves = need.area_id == site.area_id and need.product_id == product
        if serves:
            found |= {t for t, kw in enumerate(need.quantity_kw) if kw > 0}
    return found


def result_of(auction: Auction, *, seen_by: Sight) -> ClearingRun:
    """Return the published run with result and snapshot whole, to who may read an opened book.

    Raises
    ------
    NotFound
        While nothing is published, or if the caller may not.
    """
    run = (
        ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED)
        .select_related("snapshot")
        .first()
        if seen_by.may_everywhere("book.read")
        else None
    )
    if run is None:
        raise NotFound(field="auction", value=auction.code, rule="with a result that you see")
    return run


def runs_seen(auction: Auction, *, seen_by: Sight) -> QuerySet[ClearingRun]:
    """Return attempts to clear an auction, for those who may read its book."""
    if not seen_by.may_everywhere("book.read"):
        return ClearingRun.objects.none()
    return (
        ClearingRun.objects.filter(auction=auction)
        .select_related("snapshot")
        .defer("result", "certificate", "snapshot__content")
        .order_by("number")
    )
