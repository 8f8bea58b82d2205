"""Write a verified result into rows: the other place where float meets Decimal.

Quantities and prices in a result are already on their ticks; what is written is what was
published, digit by digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from accounts.fields.copying import rows_copy
from market.clearing.finding_rows import CENT, TENTH, exact, findings_write
from market.clearing.models import (
    Award,
    AwardInterval,
    CapacityInterval,
    CapacityPrice,
    ClearingPrice,
    ClearingRun,
    ElementFlow,
    Leg,
    PriceKind,
)
from market.core.timegrid import interval_starts_at
from market.registry.models import CongestionPoint, Resource, Site
from market.trading.models import Bid, NeedKind

Result = Mapping[str, Any]
# When a row is not about one half hour of one place, need or area, these stay empty.
PRICE_COLUMNS = (
    "run_id",
    "kind",
    "need_id",
    "area_id",
    "site_id",
    "t",
    "start_at",
    "price_jpy_per_kwh",
    "served_kw",
    "unserved_kw",
)
CAPACITY_PRICE_COLUMNS = (
    "run_id",
    "need_id",
    "t",
    "start_at",
    "price_jpy_per_kw_30min",
    "served_kw",
    "unserved_kw",
)


def result_write(run: ClearingRun, result: Result) -> None:
    """Store what `result` says as rows, inside the publishing transaction."""
    starts_at = interval_starts_at(run.auction.delivery_on)
    _awards_write(run, result["awards"], starts_at)
    _prices_write(run, result, starts_at)
    _flows_write(run, result["elements"])
    findings_write(run, result, starts_at)


def award_id_of(run_id: UUID, award: Mapping[str, Any]) -> UUID:
    """Return the id of an award: same run, same award, same id."""
    return uuid5(run_id, ":".join(award[name] for name in ("bid", "resource", "leg", "direction")))


def _awards_write(
    run: ClearingRun, awards: Sequence[Mapping[str, Any]], starts_at: Sequence[datetime]
) -> None:
    accepted = [award for award in awards if any(award["quantity_kw"])]
    owners = dict(
        Bid.objects.filter(id__in={award["bid"] for award in accepted}).values_list(
            "id", "organisation_id"
        )
    )
    resources = dict(
        Resource.objects.filter(code__in={award["resource"] for award in accepted}).values_list(
            "code", "id"
        )
    )
    rows_copy(
        Award,
        (
            "id",
            "run_id",
            "auction_id",
            "bid_id",
            "organisation_id",
            "resource_id",
            "leg",
            "direction",
            "product_id",
            "version",
        ),
        (
            (
                award_id_of(run.id, award),
                run.id,
                run.auction_id,
                award["bid"],
                owners[UUID(award["bid"])],
                resources[award["resource"]],
                award["leg"],
                award["direction"],
                award.get("product"),
                1,
            )
            for award in accepted
        ),
    )
    _intervals_write(
        AwardInterval,
        "price_jpy_per_kwh",
        _intervals(run, accepted, starts_at, price="price_jpy_per_kwh"),
    )
    _intervals_write(
        CapacityInterval,
        "price_jpy_per_kw_30min",
        _intervals(run, accepted, starts_at, price="price_jpy_per_kw"),
    )


def _intervals(
    run: ClearingRun,
    awards: Sequence[Mapping[str, Any]],
    starts_at: Sequence[datetime],
    *,
    price: str,
) -> Iterable[tuple[Any, ...]]:
    """Rows of the awards that have this price: energy moves, capacity only stands ready."""
    for award in awards:
        if (award["leg"] == Leg.RESERVED) != (price == "price_jpy_per_kw"):
            continue
        award_id = award_id_of(run.id, award)
        for t, quantity_kw in enumerate(award["quantity_kw"]):
            if quantity_kw:
                yield (
                    award_id,
                    t,
                    starts_at[t],
                    exact(quantity_kw, TENTH),
                    exact(award[price][t], CENT),
                )


def _intervals_write(
    model: type[AwardInterval | CapacityInterval], price: str, rows: Iterable[tuple[Any, ...]]
) -> None:
    rows_copy(model, ("award_id", "t", "start_at", "quantity_kw", price), rows)


def _prices_write(run: ClearingRun, result: Result, starts_at: Sequence[datetime]) -> None:
    sites = dict(
        Site.objects.filter(code__in=[place["id"] for place in result["places"]]).values_list(
            "code", "id"
        )
    )

    def rows() -> Iterable[tuple[Any, ...]]:
        for need in result["needs"]:
            if need["kind"] == NeedKind.CAPACITY:
                continue
            for t, start_at in enumerate(starts_at):
                yield (
                    *(run.id, PriceKind.NEED.value, need["id"], None, None, t, start_at),
                    exact(need["price_jpy_per_kwh"][t], CENT),
                    *_served(need, t),
                )
        for area in result["areas"]:
            for t, start_at in enumerate(starts_at):
                price = exact(area["price_jpy_per_kwh"][t], CENT)
                yield (
                    *(run.id, PriceKind.AREA.value, None, area["id"], None, t, start_at),
                    *(price, None, None),
                )
        for place in result["places"]:
            for t, start_at in enumerate(starts_at):
                price = exact(place["price_jpy_per_kwh"][t], CENT)
                yield (
                    *(run.id, PriceKind.PLACE.value, None, None, sites[place["id"]], t, start_at),
                    *(price, None, None),
                )

    rows_copy(ClearingPrice, PRICE_COLUMNS, rows())
    rows_copy(
        CapacityPrice,
        CAPACITY_PRICE_COLUMNS,
        (
            (
                *(run.id, need["id"], t, start_at, exact(need["price_jpy_per_kw"][t], CENT)),
                *_served(need, t),
            )
            for need in result["needs"]
            if need["kind"] == NeedKind.CAPACITY
            for t, start_at in enumerate(starts_at)
        ),
    )


def _served(need: Mapping[str, Any], t: int) -> tuple[Decimal, Decimal]:
    return exact(need["served_kw"][t], TENTH), exact(need["unserved_kw"][t], TENTH)


def _flows_write(run: ClearingRun, elements: Sequence[Mapping[str, Any]]) -> None:
    points = dict(
        CongestionPoint.objects.filter(
            grid_model=run.auction.grid_model, code__in=[element["id"] for element in elements]
        ).values_list("code", "id")
    )
    rows_copy(
        ElementFlow,
        ("run_id", "congestion_point_id", "t", "before_kw", "after_kw"),
        (
            (
                run.id,
                points[element["id"]],
                t,
                exact(element["before_kw"][t], TENTH),
                exact(element["after_kw"][t], TENTH),
            )
            for element in elements
            for t in range(len(element["before_kw"]))
        ),
    )
