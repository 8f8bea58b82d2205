"""Days on which banks in Japan settle transfers."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import holidays

from accounts.core.errors import Refused

# The equinoxes of a year are announced in February of the year before (官報): what is computed
# beyond them is a forecast, and no money moves on a forecast.
HORIZON_ON: Final = date(2027, 12, 31)
SATURDAY: Final = 5
# 銀行法施行令 §5: 31 December to 3 January
YEAR_END: Final = frozenset({(12, 31), (1, 1), (1, 2), (1, 3)})


class CalendarUnknown(Refused):
    """A date past the last whose holidays have been announced."""


class NoBusinessDay(Refused):
    """A date on which banks are closed."""


def is_business_day(day: date) -> bool:
    """Whether banks are open: no weekend, no national holiday, not 31 December to 3 January.

    Raises
    ------
    CalendarUnknown
        Past the horizon.
    """
    if day > HORIZON_ON:
        raise CalendarUnknown(
            field="day", value=day, rule=f"at most {HORIZON_ON}, as far as holidays are announced"
        )
    if day.weekday() >= SATURDAY or (day.month, day.day) in YEAR_END:
        return False
    return day not in holidays.country_holidays("JP", years=day.year)


def business_day_checked(day: date, *, field: str) -> date:
    """Return a day on which banks are open.

    Raises
    ------
    NoBusinessDay
        If they are closed.
    """
    if not is_business_day(day):
        raise NoBusinessDay(
            field=field,
            value=day,
            rule=f"a bank business day; the next is {next_business_day(day)}",
        )
    return day


def next_business_day(day: date) -> date:
    """Return the first business day on or after a date."""
    while not is_business_day(day):
        day += timedelta(days=1)
    return day
