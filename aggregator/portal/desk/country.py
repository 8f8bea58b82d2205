"""The country at a half hour: prices, use of ties, loading of lines, and who acts where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, Sum

from aggregator.portal import words
from aggregator.portal.desk.selectors import TROUBLED, half_hour_of, instructions_watched
from aggregator.portal.selectors import ZERO, run_published
from market.clearing.models import AwardInterval, ClearingPrice, ElementFlow, PriceKind
from market.registry.models import Area, Branch, Bus, CongestionPoint, ControllableLink, Site
from market.trading.models import Auction, AuctionState

GRIDS_KEPT: Final = 4
RESULTS_KEPT: Final = 4


@dataclass(frozen=True, kw_only=True)
class Tie:
    """A connection between two areas, and how much of it is used."""

    start: str
    end: str
    name: str
    ratio: float | None
    is_link: bool


@dataclass(frozen=True, kw_only=True)
class AreaNow:
    """An area at a half hour."""

    area: Area
    price_jpy_per_kwh: Decimal | None
    net_kw: Decimal | None
    worst_ratio: float | None
    worst_name: str
    active_up: int
    active_down: int
    trouble: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """A site on the map."""

    name: str
    longitude_deg: float
    latitude_deg: float
    state: str


@dataclass(frozen=True, kw_only=True)
class MapLine:
    """A watched line on the map."""

    name: str
    ends: tuple[float, float, float, float]
    ratio: float


@dataclass(frozen=True, kw_only=True)
class Country:
    """All areas at a half hour of a published day."""

    areas: Sequence[AreaNow]
    ties: Sequence[Tie]
    places: Sequence[Place]
    lines: Sequence[MapLine]
    has_result: bool


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What of a version of the grid never changes."""

    buses: Sequence[Bus]
    across: Sequence[tuple[Any, bool]]


@lru_cache(maxsize=GRIDS_KEPT)
def _grid_of(model: UUID | None) -> Grid:
    """Return buses and connections between areas; a version of the grid is a fact, read once."""
    across = ~Q(from_bus__area_id=F("to_bus__area_id"))
    found: list[tuple[Any, bool]] = []
    for rows, is_link in ((Branch.objects, False), (ControllableLink.objects, True)):
        chosen = rows.filter(across, grid_model=model).select_related("from_bus", "to_bus")
        found += [(row, is_link) for row in chosen]
    return Grid(
        buses=tuple(Bus.objects.filter(grid_model=model).select_related("area")),
        across=tuple(found),
    )


def _shown_auction(auctions: Sequence[Auction], day: date) -> Auction | None:
    """Return the day's auction with the latest gate; without one, the last there was."""
    today = [
        row for row in auctions if row.delivery_on == day and row.state != AuctionState.CANCELLED
    ]
    if today:
        latest = max(row.gate_closure_at for row in today)
        return min(
            (row for row in today if row.gate_closure_at == latest), key=lambda row: row.code
        )
    return Auction.objects.order_by("-delivery_on", "code").first()


def country_now(now: datetime, auctions: Sequence[Auction]) -> Country:
    """Read prices, use of ties and loading of lines at the present half hour.

    Parameters
    ----------
    auctions
        Those around the day, as :func:`aggregator.portal.desk.selectors.auctions_around`.
    """
    day, t = half_hour_of(now)
    auction = _shown_auction(auctions, day)
    run = run_published(auction) if auction is not None and auction.delivery_on == day else None
    model = auction.grid_model_id if auction is not None else None
    grid = _grid_of(model)
    buses = grid.buses
    result = _result_at(run.id, t) if run is not None else None
    points = list(
        CongestionPoint.objects.filter(grid_model=model).select_related(
            "branch__from_bus", "branch__to_bus"
        )
    )
    loads = _loads(points, result)
    areas = {bus.area_id: bus.area for bus in buses}
    sites = list(
        Site.objects.select_related("area")
        .filter(area_id__in=areas)
        .only("id", "name", "name_en", "bus_code", "area_id", "area__name")
    )
    acting = _acting(now)
    return Country(
        areas=_areas_now(areas, result, _worst(points, loads), _marks(sites, acting)),
        ties=_ties(grid, points, loads),
        places=_places(buses, sites, acting),
        lines=_lines(points, loads),
        has_result=run is not None,
    )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a published run says of a half hour; it never changes."""

    after_kw: Mapping[UUID, float]
    price_jpy_per_kwh: Mapping[str, Decimal]
    net_kw: Mapping[str, Decimal]


@lru_cache(maxsize=RESULTS_KEPT)
def _result_at(run_id: UUID, t: int) -> Result:
    """Read flows by congestion point, and prices and net awards by area."""
    flows = ElementFlow.objects.filter(run=run_id, t=t)
    prices = ClearingPrice.objects.filter(run=run_id, kind=PriceKind.AREA, t=t)
    awarded = (
        AwardInterval.objects.filter(award__run=run_id, t=t)
        .values("award__resource__site__area_id", "award__direction")
        .annotate(kw=Sum("quantity_kw"))
        .values_list("award__resource__site__area_id", "award__direction", "kw")
    )
    net: dict[str, Decimal] = {}
    for code, direction, kw in awarded:
        net[code] = net.get(code, ZERO) + (kw if direction == "UP" else -kw)
    return Result(
        after_kw={
            point_id: float(kw)
            for point_id, kw in flows.values_list("congestion_point", "after_kw")
        },
        price_jpy_per_kwh=dict(prices.values_list("area_id", "price_jpy_per_kwh")),
        net_kw=net,
    )


def _loads(points: Sequence[CongestionPoint], result: Result | None) -> dict[UUID, float]:
    """Return flow over rating of each point that has both."""
    if result is None:
        return {}
    return {
        point.id: abs(result.after_kw[point.id]) / float(point.rating_kw)
        for point in points
        if point.id in result.after_kw and point.rating_kw > 0
    }


def _acting(now: datetime) -> dict[UUID, str]:
    """Return for each site the state that matters most: trouble, up, down."""
    found: dict[UUID, str] = {}
    rows = instructions_watched(now).filter(
        Q(state__in=(*TROUBLED, "ACTIVE")) | Q(state="SENT", respond_by_at__lte=now)
    )
    for site_id, state, direction in rows.values_list("resource__site_id", "state", "direction")[
        :2_000
    ]:
        word = direction if state == "ACTIVE" else "TROUBLE"
        if found.get(site_id) != "TROUBLE":
            found[site_id] = word
    return found


def _worst(
    points: Sequence[CongestionPoint], loads: Mapping[UUID, float]
) -> dict[str, tuple[float, str]]:
    """Return the highest loading within each area, and of what."""
    worst: dict[str, tuple[float, str]] = {}
    for point in points:
        if point.id not in loads:
            continue
        if point.branch.from_bus.area_id == point.branch.to_bus.area_id:
            code = point.branch.from_bus.area_id
            found = (loads[point.id], words.local_name(point))
            worst[code] = max(worst.get(code, (-1.0, "")), found)
    return worst


def _marks(sites: Sequence[Site], acting: Mapping[UUID, str]) -> dict[str, list[str]]:
    """Return what the sites of each area do."""
    marks: dict[str, list[str]] = {}
    for site in sites:
        if site.id in acting:
            marks.setdefault(site.area_id, []).append(acting[site.id])
    return marks


def _areas_now(
    areas: Mapping[str, Area],
    result: Result | None,
    worst: Mapping[str, tuple[float, str]],
    marks: Mapping[str, Sequence[str]],
) -> list[AreaNow]:
    return [
        AreaNow(
            area=areas[code],
            price_jpy_per_kwh=result.price_jpy_per_kwh.get(code) if result is not None else None,
            net_kw=result.net_kw.get(code, ZERO) if result is not None else None,
            worst_ratio=worst[code][0] if code in worst else None,
            worst_name=worst[code][1] if code in worst else "",
            active_up=marks.get(code, ()).count("UP"),
            active_down=marks.get(code, ()).count("DOWN"),
            trouble=marks.get(code, ()).count("TROUBLE"),
        )
        for code in sorted(areas)
    ]


def _ties(grid: Grid, points: Sequence[CongestionPoint], loads: Mapping[UUID, float]) -> list[Tie]:
    by_branch = {point.branch_id: point for point in points}
    found: dict[tuple[str, str], Tie] = {}
    for row, is_link in grid.across:
        start, end = sorted((row.from_bus.area_id, row.to_bus.area_id))
        point = None if is_link else by_branch.get(row.pk)
        ratio = loads.get(point.id) if point is not None else None
        before = found.get((start, end))
        if before is None or (ratio or -1.0) > (before.ratio or -1.0):
            found[start, end] = Tie(
                start=start,
                end=end,
                name=words.local_name(point or row),
                ratio=ratio,
                is_link=is_link,
            )
    return [found[key] for key in sorted(found)]


def _places(buses: Sequence[Bus], sites: Sequence[Site], acting: Mapping[UUID, str]) -> list[Place]:
    at = {
        bus.code: bus
        for bus in buses
        if bus.longitude_deg is not None and bus.latitude_deg is not None
    }
    return [
        Place(
            name=words.local_name(site),
            longitude_deg=float(at[site.bus_code].longitude_deg or 0),
            latitude_deg=float(at[site.bus_code].latitude_deg or 0),
            state=acting.get(site.id, ""),
        )
        for site in sites
        if site.bus_code in at
    ]


def _lines(points: Sequence[CongestionPoint], loads: Mapping[UUID, float]) -> list[MapLine]:
    found = []
    for point in points:
        branch = point.branch
        ends = (branch.from_bus, branch.to_bus)
        if any(bus.longitude_deg is None or bus.latitude_deg is None for bus in ends):
            continue
        start, end = ends
        found.append(
            MapLine(
                name=words.local_name(point),
                ends=(
                    float(start.longitude_deg or 0),
                    float(start.latitude_deg or 0),
                    float(end.longitude_deg or 0),
                    float(end.latitude_deg or 0),
                ),
                ratio=loads.get(point.id, 0.0),
            )
        )
    return sorted(found, key=lambda line: line.ratio)
