"""What the market-day pages read. Rows with owners are filtered by `seen_by`, nothing else is.

Needs, prices, loadings and volumes by mechanism are public once published; whose award it is,
what a seller asked and what a site was told are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Max, Min, OuterRef, QuerySet, Subquery

from accounts.parties.sight import Sight
from aggregator.dispatch.models import DispatchInstruction, InstructionInterval
from aggregator.portal import run_facts
from aggregator.portal.run_facts import NeedPrice
from market.clearing.models import (
    Award,
    AwardInterval,
    ClearingPrice,
    ClearingRun,
    PriceKind,
    RunState,
)
from market.registry.models import Area, Branch, Bus, CongestionPoint, ControllableLink, Site
from market.trading.models import Auction, BaseFlow, Direction, Need, NeedKind, NeedState

HALF_HOURS = 48
HALF_HOUR_H = Decimal("0.5")
ZERO = Decimal(0)
AUCTIONS_LISTED_MAX = 20
INSTRUCTIONS_ORDER = ("starts_at", "resource__code", "version")
ROWS_SHOWN_MAX = 50  # of awards and of instructions on the page of a day


def auctions_on(day: date) -> list[Auction]:
    """Auctions that deliver on `day`, the one that counts for most first."""
    return list(
        Auction.objects.filter(delivery_on=day)
        .select_related("grid_model")
        .order_by("-gate_closure_at", "code")[:AUCTIONS_LISTED_MAX]
    )


def day_latest() -> date | None:
    """Return the latest day with a published result, else the latest day with an auction."""
    published = ClearingRun.objects.filter(state=RunState.PUBLISHED).aggregate(
        day=Max("auction__delivery_on")
    )["day"]
    if published is not None:
        return published  # type: ignore[no-any-return]
    latest: date | None = Auction.objects.aggregate(day=Max("delivery_on"))["day"]
    return latest


def days_beside(day: date) -> tuple[date | None, date | None]:
    """Return the nearest days with an auction before and after `day`."""
    before = Auction.objects.filter(delivery_on__lt=day).aggregate(day=Max("delivery_on"))["day"]
    after = Auction.objects.filter(delivery_on__gt=day).aggregate(day=Min("delivery_on"))["day"]
    return before, after


def run_published(auction: Auction) -> ClearingRun | None:
    """Return the run whose result counts, without its bulky columns."""
    return (
        ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED)
        .defer("result")
        .first()
    )


@dataclass(frozen=True, kw_only=True)
class NeedResult:
    """A need and what the market made of it; quantities [kW] at t = 0…47."""

    need: Need
    quantity_kw: Sequence[Decimal]
    served_kw: Sequence[Decimal] | None
    unserved_kw: Sequence[Decimal] | None
    price_jpy_per_kwh: Sequence[Decimal] | None

    @property
    def needed_kwh(self) -> Decimal:
        """Energy asked for."""
        return HALF_HOUR_H * sum(self.quantity_kw, ZERO)

    @property
    def served_kwh(self) -> Decimal | None:
        """Energy the market covers."""
        return None if self.served_kw is None else HALF_HOUR_H * sum(self.served_kw, ZERO)

    @property
    def unserved_kwh(self) -> Decimal | None:
        """Energy nobody offered below the cap."""
        return None if self.unserved_kw is None else HALF_HOUR_H * sum(self.unserved_kw, ZERO)

    @property
    def cost_jpy(self) -> Decimal | None:
        """What the buyer pays at the published prices, before settlement."""
        if self.served_kw is None or self.price_jpy_per_kwh is None:
            return None
        priced = zip(self.served_kw, self.price_jpy_per_kwh, strict=True)
        return HALF_HOUR_H * sum((kw * price for kw, price in priced), ZERO)

    @property
    def quantity_max_kw(self) -> Decimal:
        """Largest half hour."""
        return max(self.quantity_kw, default=ZERO)

    @property
    def price_max_jpy_per_kwh(self) -> Decimal | None:
        """Highest price where something was needed."""
        return None if self.price_jpy_per_kwh is None else max(self.price_jpy_per_kwh)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First t and one past the last t of each stretch with a need."""
        return spans_of([value > 0 for value in self.quantity_kw])


def spans_of(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Return the half-open stretches where `flags` hold."""
    spans: list[tuple[int, int]] = []
    for t, flag in enumerate(flags):
        if not flag:
            continue
        if spans and spans[-1][1] == t:
            spans[-1] = (spans[-1][0], t + 1)
        else:
            spans.append((t, t + 1))
    return spans


def need_results(auction: Auction, run: ClearingRun | None, *, at: datetime) -> list[NeedResult]:
    """Needs published by `at`, local ones first, with what was served if a run is published."""
    needs = (
        Need.objects.filter(auction=auction, state=NeedState.PUBLISHED, available_at__lte=at)
        # held-ready capacity has prices of another unit; these pages are of energy
        .exclude(kind=NeedKind.CAPACITY)
        .select_related("congestion_point", "congestion_point__branch__to_bus", "area")
        .order_by("-kind", "code", "id")
    )
    rows = {} if run is None else run_facts.need_prices.of(run.id)
    return [_need_result(need, rows.get(need.id)) for need in needs]


def _need_result(need: Need, prices: dict[int, NeedPrice] | None) -> NeedResult:
    quantity_kw = list(need.quantity_kw)
    if prices is None:
        return NeedResult(
            need=need,
            quantity_kw=quantity_kw,
            served_kw=None,
            unserved_kw=None,
            price_jpy_per_kwh=None,
        )
    at = [prices.get(t) for t in range(HALF_HOURS)]
    return NeedResult(
        need=need,
        quantity_kw=quantity_kw,
        served_kw=[(row.served_kw if row else None) or ZERO for row in at],
        unserved_kw=[(row.unserved_kw if row else None) or ZERO for row in at],
        price_jpy_per_kwh=[row.price_jpy_per_kwh if row else ZERO for row in at],
    )


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Loading of one watched element, as a ratio of its rating, at t = 0…47."""

    point: CongestionPoint
    before_ratio: Sequence[float]
    after_ratio: Sequence[float] | None

    @property
    def worst_ratio(self) -> float:
        """Highest loading of the day before the market acts."""
        return max(self.before_ratio, default=0.0)

    @property
    def worst_t(self) -> int:
        """When that is."""
        return self.before_ratio.index(self.worst_ratio) if self.before_ratio else 0

    @property
    def worst_after_ratio(self) -> float | None:
        """Highest loading of the day with the market's result."""
        return None if self.after_ratio is None else max(self.after_ratio, default=0.0)


def loadings(auction: Auction, run: ClearingRun | None, *, seen_by: Sight) -> list[Loading]:
    """Return loadings of the watched elements, worst first.

    Flows are public with the result. Before it, the forecast is for those who may read the
    network: grid operators their own elements, the market desk all.
    """
    before: dict[Any, list[float]] = {}
    after: dict[Any, list[float]] = {}
    points = {
        point.id: point
        for point in CongestionPoint.objects.filter(
            grid_model_id=auction.grid_model_id
        ).select_related("branch", "branch__from_bus", "branch__to_bus__area")
    }
    if run is not None:
        for point_id, (before_kw, after_kw) in run_facts.flows.of(run.id).items():
            if point_id not in points:
                continue
            rating_kw = float(points[point_id].rating_kw) or 1.0
            before[point_id] = [kw / rating_kw for kw in before_kw]
            after[point_id] = [kw / rating_kw for kw in after_kw]
    else:
        for flow in _forecasts_seen(auction, seen_by):
            if flow.congestion_point_id not in points:
                continue
            rating_kw = float(points[flow.congestion_point_id].rating_kw) or 1.0
            before[flow.congestion_point_id] = [
                abs(float(kw)) / rating_kw for kw in flow.base_flow_kw
            ]
    found = [
        Loading(point=points[key], before_ratio=before[key], after_ratio=after.get(key))
        for key in before
    ]
    return sorted(found, key=lambda row: (-row.worst_ratio, row.point.code))


def _forecasts_seen(auction: Auction, seen_by: Sight) -> Iterable[BaseFlow]:
    forecasts = BaseFlow.objects.filter(auction=auction).order_by("revision")
    if seen_by.may_everywhere("network.read"):
        return forecasts
    return forecasts.filter(
        congestion_point__owner_id__in=seen_by.organisations_for("network.read")
    )


@dataclass(frozen=True, kw_only=True)
class PricedPlace:
    """A place whose price the viewer may choose; `key` goes into the address."""

    key: str
    name: str
    name_en: str
    area: Area
    site_id: Any
    is_own: bool


def places_priced(auction: Auction, run: ClearingRun, *, seen_by: Sight) -> list[PricedPlace]:
    """Places with a published price: by connection point for all, one's own sites by name."""
    priced = run_facts.dearest.of(run.id)
    areas = Area.objects.in_bulk()
    buses = {
        code: (name or code, name_en or code)
        for code, name, name_en in Bus.objects.filter(
            grid_model_id=auction.grid_model_id
        ).values_list("code", "name", "name_en")
    }
    own = seen_by.organisations_for("award.read")
    sees_all = seen_by.may_everywhere("award.read")
    mine, common, seen = [], [], set()
    for site_id, organisation_id, code, name, name_en, area_id, bus_code in (
        Site.objects.order_by("area_id", "code").values_list(
            "id", "organisation_id", "code", "name", "name_en", "area_id", "bus_code"
        )
    ):  # fmt: skip
        if site_id not in priced:
            continue
        area = areas[area_id]
        if sees_all or organisation_id in own:
            mine.append(
                PricedPlace(
                    key=f"site:{code}", name=name, name_en=name_en, area=area, site_id=site_id,
                    is_own=True,
                )
            )  # fmt: skip
        if bus_code in buses and bus_code not in seen:
            seen.add(bus_code)
            name, name_en = buses[bus_code]  # noqa: PLW2901 - the bus's own
            common.append(
                PricedPlace(
                    key=f"bus:{bus_code}", name=name, name_en=name_en, area=area, site_id=site_id,
                    is_own=False,
                )
            )  # fmt: skip
    return mine + common


def place_dearest(run: ClearingRun, places: Sequence[PricedPlace]) -> PricedPlace | None:
    """Return the place with the highest price of the day; the viewer's own first."""
    if not places:
        return None
    dearest = run_facts.dearest.of(run.id)
    own = [place for place in places if place.is_own]
    return max(own or places, key=lambda place: (dearest.get(place.site_id, ZERO), place.key))


def prices_of(
    run: ClearingRun, *, area: Area, site_id: Any
) -> tuple[list[Decimal | None], list[Decimal | None]]:
    """Prices of an area and of a site in it at t = 0…47 [JPY/kWh]."""
    area_price: list[Decimal | None] = [None] * HALF_HOURS
    place_price: list[Decimal | None] = [None] * HALF_HOURS
    rows = ClearingPrice.objects.filter(run=run)
    for t, price in rows.filter(kind=PriceKind.AREA, area=area).values_list(
        "t", "price_jpy_per_kwh"
    ):
        area_price[t] = price
    for t, price in rows.filter(kind=PriceKind.PLACE, site_id=site_id).values_list(
        "t", "price_jpy_per_kwh"
    ):
        place_price[t] = price
    return area_price, place_price


@dataclass(frozen=True, kw_only=True)
class Network:
    """Buses, branches and links of a grid model."""

    buses: Sequence[Bus]
    branches: Sequence[Branch]
    links: Sequence[ControllableLink]

    @property
    def has_places(self) -> bool:
        """Whether any bus can be drawn on a map."""
        return any(bus.longitude_deg is not None for bus in self.buses)


def network_of(auction: Auction) -> Network:
    """Read the network an auction is cleared on."""
    model = auction.grid_model_id
    return Network(
        buses=list(Bus.objects.filter(grid_model=model).select_related("area")),
        branches=list(Branch.objects.filter(grid_model=model).select_related("from_bus", "to_bus")),
        links=list(
            ControllableLink.objects.filter(grid_model=model).select_related("from_bus", "to_bus")
        ),
    )


def rows_seen(rows: Any, action: str, seen_by: Sight) -> Any:
    """Narrow rows of organisations to those the viewer may see."""
    if seen_by.may_everywhere(action):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for(action))


@dataclass(frozen=True, kw_only=True)
class AwardSeen:
    """An award with the sums of its half hours."""

    award: Award
    quantity_max_kw: Decimal
    energy_kwh: Decimal
    receipt_jpy: Decimal
    spans: Sequence[tuple[int, int]]


def awards_seen(run: ClearingRun, *, seen_by: Sight) -> tuple[list[AwardSeen], bool]:
    """Return the first awards the viewer may see, by organisation, and whether these are all."""
    rows = rows_seen(Award.objects.filter(run=run), "award.read", seen_by)
    awards: list[Award] = list(
        rows.select_related("bid", "resource", "resource__site", "organisation").order_by(
            "organisation__code", "resource__code", "direction", "leg", "bid__client_bid_id"
        )[: ROWS_SHOWN_MAX + 1]
    )
    is_whole = len(awards) <= ROWS_SHOWN_MAX
    del awards[ROWS_SHOWN_MAX:]
    halves: dict[Any, list[tuple[int, Decimal, Decimal]]] = {}
    for award_id, t, kw, price in AwardInterval.objects.filter(
        award__in=awards, quantity_kw__gt=0
    ).values_list("award_id", "t", "quantity_kw", "price_jpy_per_kwh"):
        halves.setdefault(award_id, []).append((t, kw, price))
    rows = [_award_seen(award, halves[award.id]) for award in awards if award.id in halves]
    return rows, is_whole


def _award_seen(award: Award, halves: Sequence[tuple[int, Decimal, Decimal]]) -> AwardSeen:
    # the price is the value of UP: the seller of UP receives it, the seller of DOWN pays it
    sign = 1 if award.direction == Direction.UP else -1
    return AwardSeen(
        award=award,
        quantity_max_kw=max(kw for _, kw, _ in halves),
        energy_kwh=HALF_HOUR_H * sum((kw for _, kw, _ in halves), ZERO),
        receipt_jpy=sign * HALF_HOUR_H * sum((kw * price for _, kw, price in halves), ZERO),
        spans=spans_of_indices(t for t, _, _ in halves),
    )


def spans_of_indices(indices: Iterable[int]) -> list[tuple[int, int]]:
    """Return the half-open stretches covered by `indices`."""
    present = set(indices)
    return spans_of([t in present for t in range(HALF_HOURS)])


def instructions_seen(auction: Auction, *, seen_by: Sight) -> QuerySet[DispatchInstruction]:
    """Instructions the viewer may read or must answer, by their start."""
    rows: QuerySet[DispatchInstruction]
    rows = DispatchInstruction.objects.filter(award__auction=auction)
    if not seen_by.may_everywhere("instruction.read"):
        own = seen_by.organisations_for("instruction.read") | seen_by.organisations_for(
            "instruction.answer"
        )
        rows = rows.filter(organisation_id__in=own)
    return rows.order_by(*INSTRUCTIONS_ORDER)


def instructions_first(rows: QuerySet[DispatchInstruction]) -> list[DispatchInstruction]:
    """Return the first of some instructions, each with its highest half hour as `kw_max`."""
    most = InstructionInterval.objects.filter(instruction=OuterRef("pk")).order_by("-quantity_kw")
    # chosen by narrow rows: what is shown of them stands in wide ones
    chosen = DispatchInstruction.objects.filter(id__in=rows.values("id")[:ROWS_SHOWN_MAX])
    return list(
        chosen.select_related("resource__site", "organisation", "bid")
        .annotate(kw_max=Subquery(most.values("quantity_kw")[:1]))
        .order_by(*INSTRUCTIONS_ORDER)
    )


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one mechanism adds to serving a need, at t = 0…47 [kW]; never who."""

    mechanism: str
    served_kw: Sequence[float]


def contributions(result: NeedResult, run: ClearingRun) -> list[Contribution]:
    """Split what was served of a need by mechanism.

    An award's effect is its change of injection times the element's sensitivity (for an area
    need: the change itself). Effects of one mechanism are netted per half hour and what is
    positive shares the served quantity in proportion; without sensitivities in the result the
    whole stands under one name.
    """
    served = [float(kw) for kw in result.served_kw or [ZERO] * HALF_HOURS]
    effect = _effects(result.need, run)
    total = [sum(max(row[t], 0.0) for row in effect.values()) for t in range(HALF_HOURS)]
    shares = [
        Contribution(
            mechanism=mechanism,
            served_kw=[
                served[t] * max(row[t], 0.0) / total[t] if total[t] > 0 else 0.0
                for t in range(HALF_HOURS)
            ],
        )
        for mechanism, row in sorted(effect.items())
    ]
    rest = [served[t] if total[t] <= 0 else 0.0 for t in range(HALF_HOURS)]
    if any(kw > 0 for kw in rest):
        shares.append(Contribution(mechanism="MIXED", served_kw=rest))
    return [share for share in shares if any(kw > 0 for kw in share.served_kw)]


def _effects(need: Need, run: ClearingRun) -> dict[str, list[float]]:
    injected = run_facts.injected.of(run.id)
    weight = [
        1.0 if need.kind == NeedKind.BALANCE and area_id == need.area_id else 0.0
        for area_id in injected.areas
    ]
    sign = 1.0 if need.direction == Direction.UP else -1.0
    if need.kind != NeedKind.BALANCE and need.congestion_point is not None:
        # relief of the need's element per kW injected at each site
        relief = run_facts.sensitivities.of(run.id).get(need.congestion_point.code, {})
        weight = [relief.get(site, 0.0) for site in injected.sites]
        sign = -float(need.flow_sign or 0)
    effect: dict[str, list[float]] = {}
    for name in dict.fromkeys(injected.mechanisms):
        rows = [row for row, one in enumerate(injected.mechanisms) if one == name]
        parts = injected.change_kw[rows]
        effect[name] = (sign * parts.T @ [weight[row] for row in rows]).tolist()
    return effect
