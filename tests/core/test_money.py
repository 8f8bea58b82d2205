"""Yen: what is refused, how it is rounded, how it is split."""

from decimal import Decimal

import pytest

from accounts.core.money import (
    MoneyInvalid,
    Rounding,
    exact,
    exact_jpy,
    quantize_jpy,
    round_jpy,
    split_largest_remainder,
    sum_exact_jpy,
)


@pytest.mark.parametrize(
    "value",
    [1.5, True, "100", None, Decimal("NaN"), Decimal("Infinity"), Decimal("1e1000000"), 10**15 + 1],
)
def test_what_is_no_amount_is_refused_with_field_value_and_rule(value: object) -> None:
    with pytest.raises(MoneyInvalid) as refusal:
        exact_jpy(value, field="fee_jpy")
    assert refusal.value.field == "fee_jpy"
    assert refusal.value.rule


@pytest.mark.parametrize(
    ("method", "plus", "minus"),
    [
        (Rounding.DOWN, 2, -2),
        (Rounding.UP, 3, -3),
        (Rounding.HALF_UP, 3, -3),
        (Rounding.HALF_EVEN, 2, -2),
    ],
)
def test_a_named_method_treats_a_payment_like_a_receipt(
    method: Rounding, plus: int, minus: int
) -> None:
    assert round_jpy(Decimal("2.5"), method) == plus
    assert round_jpy(Decimal("-2.5"), method) == minus


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity")])
def test_what_is_not_finite_is_told_so(value: Decimal) -> None:
    with pytest.raises(MoneyInvalid, match="a finite number"):
        exact_jpy(value)


def test_an_amount_has_thirty_places_at_most() -> None:
    assert exact(Decimal("1e-30"), field="x") == Decimal("1e-30")
    with pytest.raises(MoneyInvalid, match="30 places"):
        exact(Decimal("1e-31"), field="x")


def test_yen_are_cut_off_unless_agreed_otherwise() -> None:
    assert round_jpy(Decimal("333.999999")) == 333


def test_an_amount_is_held_to_a_millionth_half_away_from_zero() -> None:
    assert quantize_jpy(Decimal("0.0000005")) == Decimal("0.000001")
    assert quantize_jpy(Decimal("-0.0000005")) == Decimal("-0.000001")


def test_a_sum_loses_no_digit_to_the_default_context() -> None:
    # 28 digits, the default precision, would swallow the last one.
    big, small = Decimal("999999999999999.999999"), Decimal("0.00000000000000000001")
    assert sum_exact_jpy([big, small]) == Decimal("999999999999999.99999900000000000001")


def test_a_split_gives_the_left_over_yen_to_the_largest_fractions() -> None:
    # 100 over 1:1:1 = 33.3 each, one yen left: all fractions equal, the first takes it.
    assert split_largest_remainder(100, [1, 1, 1]) == [34, 33, 33]
    # 10 over 5:3:1 = 5.56, 3.33, 1.11: the one left goes to .56.
    assert split_largest_remainder(10, [5, 3, 1]) == [6, 3, 1]


def test_a_negative_total_mirrors_the_positive_one() -> None:
    weights = [Decimal("0.2"), Decimal("0.5"), Decimal("0.3")]
    assert split_largest_remainder(-101, weights) == [
        -part for part in split_largest_remainder(101, weights)
    ]


def test_nothing_is_split_over_nothing() -> None:
    assert split_largest_remainder(0, [0, 0]) == [0, 0]
    assert split_largest_remainder(0, []) == []
    with pytest.raises(MoneyInvalid, match="positive"):
        split_largest_remainder(1, [0, 0])


@pytest.mark.parametrize("weight", [Decimal(-1), Decimal("NaN"), 0.5, True])
def test_a_weight_that_is_no_weight_is_refused(weight: object) -> None:
    with pytest.raises(MoneyInvalid, match="weights"):
        split_largest_remainder(10, [weight])  # type: ignore[list-item]


@pytest.mark.parametrize("total", [10.0, True, Decimal(10)])
def test_only_whole_units_are_split(total: object) -> None:
    with pytest.raises(MoneyInvalid, match="total_jpy"):
        split_largest_remainder(total, [1])  # type: ignore[arg-type]
