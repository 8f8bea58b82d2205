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
from market.clearing.models import (
    Award,
    AwardInterval,
    ClearingPrice,
    ClearingRun,
    ElementFlow,
    PriceKind,
)
from market.core.timegrid import interval_starts_at
from market.registry.models import CongestionPoint, Resource, Site
from market.trading.models import Bid

Result = Mapping[str, Any]
TENTH = Decimal("0.1")
CENT = Decimal("0.01")


def result_write(run: ClearingRun, result: Result) -> None:
    """Store awards, prices and flows of `result`, inside the publishing transaction."""
    starts_at = interval_starts_at(run.auction.delivery_on)
    _awards_write(run, result["awards"], starts_at)
    _prices_write(run, result, starts_at)
    _flows_write(run, result["elements"])


def _exact(value: float, tick: Decimal) -> Decimal:
    """Digits as printed; the quantize only pads, since results stand on their ticks."""
    return Decimal(repr(float(value))).quantize(tick)


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
                1,
            )
            for award in accepted
        ),
    )
    rows_copy(
        AwardInterval,
        ("award_id", "t", "start_at", "quantity_kw", "price_jpy_per_kwh"),
        (
            (
                award_id_of(run.id, award),
                t,
                starts_at[t],
                _exact(quantity_kw, TENTH),
                _exact(award["price_jpy_per_kwh"][t], CENT),
            )
            for award in accepted
            for t, quantity_kw in enumerate(award["quantity_kw"])
            if quantity_kw
        ),
    )


def _prices_write(run: ClearingRun, result: Result, starts_at: Sequence[datetime]) -> None:
    sites = dict(
        Site.objects.filter(code__in=[place["id"] for place in result["places"]]).values_list(
            "code", "id"
        )
    )

    def rows() -> Iterable[tuple[Any, ...]]:
        for need in result["needs"]:
            for t, start_at in enumerate(starts_at):
                yield (
                    run.id,
                    PriceKind.NEED.value,
                    need["id"],
                    None,
                    None,
                    t,
                    start_at,
                    _exact(need["price_jpy_per_kwh"][t], CENT),
                    _exact(need["served_kw"][t], TENTH),
                    _exact(need["unserved_kw"][t], TENTH),
                )
        for area in result["areas"]:
            for t, start_at in enumerate(starts_at):
                price = _exact(area["price_jpy_per_kwh"][t], CENT)
                yield (
                    run.id,
                    PriceKind.AREA.value,
                    None,
                    area["id"],
                    None,
                    t,
                    start_at,
                    price,
                    None,
                    None,
                )
        for place in result["places"]:
            for t, start_at in enumerate(starts_at):
                price = _exact(place["price_jpy_per_kwh"][t], CENT)
                yield (
                    run.id,
                    PriceKind.PLACE.value,
                    None,
                    None,
                    sites[place["id"]],
                    t,
                    start_at,
                    price,
                    None,
                    None,
                )

    rows_copy(
        ClearingPrice,
        (
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
        ),
        rows(),
    )


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
                _exact(element["before_kw"][t], TENTH),
                _exact(element["after_kw"][t], TENTH),
            )
            for element in elements
            for t in range(len(element["before_kw"]))
        ),
    )
