"""Bank business days around weekends, holidays, the turn of the year and the horizon."""

from __future__ import annotations

from datetime import date

import pytest

from aggregator.core.business_days import (
    CalendarUnknown,
    NoBusinessDay,
    business_day_checked,
    is_business_day,
    next_business_day,
)


@pytest.mark.parametrize(
    ("day", "is_open"),
    [
        (date(2026, 11, 23), False),  # 勤労感謝の日, a Monday
        (date(2026, 11, 24), True),
        (date(2026, 11, 28), False),  # Saturday
        (date(2026, 9, 22), False),  # 国民の休日 between two holidays
        (date(2026, 5, 6), False),  # 振替休日
        (date(2026, 12, 30), True),
        (date(2026, 12, 31), False),
        (date(2027, 1, 1), False),
        (date(2027, 1, 3), False),
        (date(2027, 1, 4), True),
        (date(2024, 1, 2), False),  # a Tuesday: banks are closed, markets of power are not
    ],
)
def test_banks_are_open_on_working_days_alone(day: date, is_open: bool) -> None:  # noqa: FBT001
    assert is_business_day(day) is is_open


def test_the_next_business_day_crosses_the_turn_of_the_year() -> None:
    assert next_business_day(date(2026, 12, 31)) == date(2027, 1, 4)
    with pytest.raises(NoBusinessDay, match="2027-01-04"):
        business_day_checked(date(2026, 12, 31), field="pay_on")


def test_past_the_announced_holidays_there_is_no_answer() -> None:
    assert is_business_day(date(2027, 12, 30))
    with pytest.raises(CalendarUnknown):
        is_business_day(date(2028, 1, 4))
