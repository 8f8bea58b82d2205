"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.utils import translation

from aggregator.portal import words


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (Decimal(12_000), 0, "12,000"),
        (Decimal("-1.5"), 1, "−1.5"),
        (Decimal("-0.001"), 1, "0.0"),
        (Decimal("0.005"), 2, "0.01"),
        (None, 0, "—"),
    ],
)
def test_numbers_have_commas_a_true_minus_and_a_dash_for_unknown(
    value: Decimal | None, digits: int, expected: str
) -> None:
    assert words.number(value, digits) == expected


@pytest.mark.parametrize(
    ("jpy", "figure", "unit"),
    [
        (Decimal(9_999), "9,999", "円"),
        (Decimal(4_218_000), "421.8", "万円"),
        (Decimal(100_000_000), "1.00", "億円"),
        (Decimal(-53_000), "−5.3", "万円"),
        (None, "—", ""),
    ],
)
def test_headline_money_is_in_man_yen(jpy: Decimal | None, figure: str, unit: str) -> None:
    with translation.override("ja"):
        assert words.yen_headline(jpy) == (figure, unit)


def test_the_end_of_the_day_is_24_00() -> None:
    with translation.override("ja"):
        assert words.koma_full(47) == "コマ48（23:30–24:00）"
        assert words.koma_full(36) == "コマ37（18:00–18:30）"
    with translation.override("en"):
        assert words.koma_full(36) == "koma 37 (18:00–18:30)"


def test_times_are_japanese_whatever_the_zone_they_come_in() -> None:
    with translation.override("ja"):
        moment = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
        assert words.jst_day(moment) == "11月25日(水) 01:30"
        assert words.day_long(date(2026, 11, 25)) == "2026年11月25日(水)"
    with translation.override("en"):
        assert words.day_long(date(2026, 11, 25)) == "Wed 25 Nov 2026"
