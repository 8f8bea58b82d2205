"""Read what a published result says to everybody: prices, flows, rents, volumes, computing.

Nobody's name and no ask is in it: places are named by their connection point, volumes are sums
over an area. Rows of one thing come as one series, t = 0 … 47.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import QuerySet, Sum

from accounts.core.errors import NotFound
from market.clearing.models import (
    AwardInterval,
    CapacityInterval,
    CapacityPrice,
    ClearingPrice,
    ClearingRun,
    ComputeUse,
    ElementFlow,
    PriceKind,
    RentShare,
    RunState,
)
from market.trading.models import Auction

HALF_HOURS = 48
ZERO = Decimal(0)

Json = dict[str, Any]


def run_published(auction: Auction) -> ClearingRun:
    """Return the run whose result counts, without its bulk.

    Raises
    ------
    NotFound
        While nothing is published.
    """
    run = (
        ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED)
        .select_related("snapshot")
        .defer("result", "snapshot__content")
        .first()
    )
    if run is None:
        raise NotFound(field="auction", value=auction.code, rule="with a published result")
    return run


def _series(rows: QuerySet[Any], *keys: str, **columns: str) -> list[Json]:
    """One row per key with 48 values of each column, in order of the half hours."""
    found = rows.values(*keys).annotate(
        **{name: ArrayAgg(column, order_by="t") for name, column in columns.items()}
    )
    return list(found.order_by(*keys))


def need_prices(run: ClearingRun) -> list[Json]:
    """Prices of needs for energy, with what was served and what was not."""
    return _series(
        ClearingPrice.objects.filter(run=run, kind=PriceKind.NEED),
        "need_id",
        "need__code",
        "need__organisation__code",
        "need__kind",
        "need__direction",
        price="price_jpy_per_kwh",
        served="served_kw",
        unserved="unserved_kw",
    )


def capacity_prices(run: ClearingRun) -> list[Json]:
    """Prices of capacity that was asked for, with what was served and what was not."""
    return _series(
        CapacityPrice.objects.filter(run=run),
        "need_id",
        "need__code",
        "need__organisation__code",
        "need__product_id",
        "need__direction",
        price="price_jpy_per_kw_30min",
        served="served_kw",
        unserved="unserved_kw",
    )


def area_prices(run: ClearingRun) -> list[Json]:
    """Prices of areas."""
    return _series(
        ClearingPrice.objects.filter(run=run, kind=PriceKind.AREA),
        "area_id",
        price="price_jpy_per_kwh",
    )


def place_prices(run: ClearingRun) -> list[Json]:
    """Prices at connection points; sites of one point with equal losses have one price."""
    rows = _series(
        ClearingPrice.objects.filter(run=run, kind=PriceKind.PLACE),
        "site__bus_code",
        "site__area_id",
        "site__loss_ratio",
        "site_id",
        price="price_jpy_per_kwh",
    )
    return list({(row["site__bus_code"], row["site__loss_ratio"]): row for row in rows}.values())


def element_flows(run: ClearingRun) -> list[Json]:
    """Flows before and after, per monitored element."""
    return _series(
        ElementFlow.objects.filter(run=run),
        "congestion_point__code",
        "congestion_point__rating_kw",
        before="before_kw",
        after="after_kw",
    )


def rents(run: ClearingRun) -> list[Json]:
    """Return what each scarce thing earned over the day; whose it is settlement says."""
    rows = RentShare.objects.filter(run=run).values("kind", "code")
    summed = rows.annotate(amount_jpy=Sum("amount_jpy")).order_by("kind", "code")
    return [dict(row) for row in summed]


@dataclass(frozen=True, kw_only=True)
class Volume:
    """What one mechanism was awarded in one area, one way [kW] at t = 0 … 47."""

    area: str
    direction: str
    mechanism: str
    product: str | None
    quantity_kw: list[Decimal]


def volumes(run: ClearingRun) -> list[Volume]:
    """Awarded quantities by area, direction and mechanism; held-ready capacity by product."""
    keys = (
        "award__resource__site__area_id",
        "award__direction",
        "award__bid__mechanism",
        "award__product_id",
    )
    rows: dict[tuple[Any, ...], list[Decimal]] = {}
    for model in (AwardInterval, CapacityInterval):
        sums = (
            model.objects.filter(award__run=run)
            .values_list(*keys, "t")
            .annotate(total_kw=Sum("quantity_kw"))
            .order_by(*keys, "t")
        )
        for *key, t, total_kw in sums:
            rows.setdefault(tuple(key), [ZERO] * HALF_HOURS)[t] = total_kw
    return [
        Volume(area=area, direction=direction, mechanism=mechanism, product=product, quantity_kw=kw)
        for (area, direction, mechanism, product), kw in rows.items()
    ]


def compute_prices(run: ClearingRun) -> list[Json]:
    """Prices of computing by connection point and hardware; offers of one kind there have one."""
    rows = _series(
        ComputeUse.objects.filter(run=run),
        "bid__resource__site__bus_code",
        "bid__resource__site__area_id",
        "bid_id",
        price="price_jpy_per_kwh",
    )
    return _distinct(rows)


def _distinct(rows: Iterable[Json]) -> list[Json]:
    found: dict[tuple[Any, ...], Json] = {}
    for row in rows:
        key = (row["bid__resource__site__bus_code"], tuple(row["price"]))
        found.setdefault(key, row)
    return list(found.values())


def label_costs(run: ClearingRun) -> list[Json]:
    """Return what each label costs, as the result says; empty unless the rules ask for it."""
    packed = ClearingRun.objects.filter(id=run.id).values_list("result", flat=True).first()
    result = json.loads(bytes(packed)) if packed else {}
    found: list[Json] = result.get("label_costs", [])
    return found
