"""Read results. Prices, flows and needs are public; awards have owners."""

from django.db.models import Q, QuerySet

from accounts.parties.models import Organisation, OrganisationKind
from market.clearing.models import (
    Award,
    BidOutcome,
    ClearingPrice,
    ClearingRun,
    ComputePlacement,
    ElementFlow,
    RunState,
)
from market.trading.models import Auction


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


def flows_of(run: ClearingRun) -> QuerySet[ElementFlow]:
    """Flows before and after, per monitored element and half hour."""
    return ElementFlow.objects.filter(run=run).select_related("congestion_point")


def outcomes_of(run: ClearingRun, *, seen_by: Organisation) -> QuerySet[BidOutcome]:
    """Return why bids won or lost: an organisation's own, or all for the aggregator."""
    outcomes = BidOutcome.objects.filter(run=run).select_related("bid")
    if seen_by.kind == OrganisationKind.AGGREGATOR:
        return outcomes
    return outcomes.filter(bid__organisation=seen_by)


def placements_of(run: ClearingRun, *, seen_by: Organisation) -> QuerySet[ComputePlacement]:
    """Return where computing runs: to who asked for it, who runs it, and the aggregator."""
    rows = ComputePlacement.objects.filter(run=run).select_related("bid", "offer", "path")
    if seen_by.kind == OrganisationKind.AGGREGATOR:
        return rows
    return rows.filter(Q(bid__organisation=seen_by) | Q(offer__organisation=seen_by))
