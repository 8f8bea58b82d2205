"""Japanese days: which half hours they hold, and which of them are national holidays."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import holidays

from aggregator.core.baselines import INTERVAL_COUNT
from aggregator.metering.selectors import LatestReading

JST_OFFSET = timedelta(hours=9)
COUNTRY = "JP"


def day_start(day: date, *, days: int = 0) -> datetime:
    """Return midnight in Japan of a day, or of so many days later."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - JST_OFFSET + timedelta(days=days)


def japanese_day(moment: datetime) -> date:
    """Return the day in Japan of a moment."""
    return (moment.astimezone(UTC) + JST_OFFSET).date()


def holidays_between(first_on: date, last_on: date) -> Collection[date]:
    """Return the national holidays of the years that a span touches."""
    return set(holidays.country_holidays(COUNTRY, years=range(first_on.year, last_on.year + 1)))


def days_of(
    readings: Iterable[LatestReading],
) -> dict[int, dict[date, list[Decimal | None]]]:
    """Return the usable values by meter and Japanese day, 48 a day; None where there is none."""
    meters: dict[int, dict[date, list[Decimal | None]]] = {}
    for reading in readings:
        days = meters.setdefault(reading.meter_id, {})
        if reading.day not in days:
            days[reading.day] = [None] * INTERVAL_COUNT
        days[reading.day][reading.t] = reading.usable_kwh
    return meters
