"""Read prices, supply and demand as they were known at a moment."""

from collections.abc import Sized
from datetime import date, datetime
from typing import TypeVar

from django.db.models import QuerySet

from accounts.core.errors import NotFound
from aggregator.forecasting.models import AreaSupplyDemand, SpotPrice
from market.core.timegrid import INTERVALS_PER_DAY, interval_starts_at

Revised = TypeVar("Revised", SpotPrice, AreaSupplyDemand)


def spot_prices_on(
    *, delivery_on: date, area_code: str, known_at: datetime | None = None
) -> list[SpotPrice]:
    """Return the 48 day-ahead prices of an area on a JST date, in time order.

    Parameters
    ----------
    known_at
        Only what was published by then; everything when omitted. The latest revision wins.

    Raises
    ------
    NotFound
        Not all 48 half hours are known.
    """
    rows = SpotPrice.objects.filter(area_id=area_code)
    latest = list(_latest(rows, delivery_on, known_at))
    _check_whole(latest, "spot prices", delivery_on, area_code)
    return latest


def area_supply_demand_on(
    *, delivery_on: date, area_code: str, known_at: datetime | None = None
) -> list[AreaSupplyDemand]:
    """Return the 48 rows of an area on a JST date, in time order; as :func:`spot_prices_on`."""
    rows = AreaSupplyDemand.objects.filter(area_id=area_code)
    latest = list(_latest(rows, delivery_on, known_at))
    _check_whole(latest, "area supply and demand", delivery_on, area_code)
    return latest


def dates_with_area_supply_demand(*, area_code: str) -> list[date]:
    """JST dates for which anything is known of an area, ascending."""
    return list(
        AreaSupplyDemand.objects.filter(area_id=area_code)
        .order_by("start_at__date")
        .values_list("start_at__date", flat=True)
        .distinct()
    )


def _latest(
    rows: QuerySet[Revised], delivery_on: date, known_at: datetime | None
) -> QuerySet[Revised]:
    rows = rows.filter(start_at__in=interval_starts_at(delivery_on))
    if known_at is not None:
        rows = rows.filter(available_at__lte=known_at)
    # DISTINCT ON keeps the first row of each half hour, which is its latest revision.
    return rows.order_by("start_at", "-available_at").distinct("start_at")


def _check_whole(rows: Sized, what: str, delivery_on: date, area_code: str) -> None:
    if len(rows) != INTERVALS_PER_DAY:
        raise NotFound(
            field="delivery_on",
            value=delivery_on.isoformat(),
            rule=f"{what} of area {area_code} hold {len(rows)} of 48 half hours of that day",
        )
