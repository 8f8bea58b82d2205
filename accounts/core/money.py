"""Yen: integers in the ledger, exact decimals before, rounded once by a named method."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
    localcontext,
)
from enum import StrEnum
from fractions import Fraction

from accounts.core.errors import Refused, ensure

JPY_MAX = 10**15
EXACT_PLACES = 6
EXACT_QUANTUM_JPY = Decimal(1).scaleb(-EXACT_PLACES)

# A Decimal may carry an exponent of a million digits; int() on it would never end.
EXPONENT_MAX = 30

# Wide enough for every sum of a month: 15 digits of yen, 20 places, and as much again.
EXACT_CONTEXT = Context(prec=80)


class MoneyInvalid(Refused):
    """An amount that is no amount: a float, a truth value, not finite, or out of bounds."""


class Rounding(StrEnum):
    """Named ways to whole yen; DOWN is toward zero (円未満切捨て)."""

    DOWN = "DOWN"
    UP = "UP"
    HALF_UP = "HALF_UP"
    HALF_EVEN = "HALF_EVEN"


_DECIMAL_METHOD = {
    Rounding.DOWN: ROUND_DOWN,
    Rounding.UP: ROUND_UP,
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
}


def exact(
    value: object,
    *,
    field: str,
    low: Decimal | int = -JPY_MAX,
    high: Decimal | int = JPY_MAX,
) -> Decimal:
    """Return `value` as a Decimal if it is one in bounds.

    Parameters
    ----------
    value
        An int or a Decimal. A float has already lost digits, so it is refused; so is a
        truth value, which Python counts as an int.
    field
        Name shown in the refusal.
    low, high
        Inclusive bounds in the field's own unit.

    Raises
    ------
    MoneyInvalid
        With the field, the value and the rule it breaks.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MoneyInvalid(field=field, value=value, rule="an integer or a Decimal")
    if isinstance(value, int):
        if not low <= value <= high:
            raise MoneyInvalid(field=field, value=value, rule=f"between {low} and {high}")
        return Decimal(value)
    if not value.is_finite():
        raise MoneyInvalid(field=field, value=value, rule="a finite number")
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > EXPONENT_MAX:
        raise MoneyInvalid(field=field, value=str(value), rule="written with at most 30 places")
    if not low <= value <= high:
        raise MoneyInvalid(field=field, value=value, rule=f"between {low} and {high}")
    return value


def exact_jpy(value: object, *, field: str = "amount_exact_jpy") -> Decimal:
    """Check an exact amount of yen; see :func:`exact`."""
    return exact(value, field=field)


def quantize_jpy(amount_exact_jpy: Decimal) -> Decimal:
    """Hold an exact amount to a millionth of a yen, half away from zero.

    PostgreSQL's ``round(numeric, 6)`` does the same, so the set-based path and this one
    agree in the last digit.
    """
    with localcontext(EXACT_CONTEXT):
        return amount_exact_jpy.quantize(EXACT_QUANTUM_JPY, rounding=ROUND_HALF_UP)


def sum_exact_jpy(amounts_exact_jpy: Sequence[Decimal]) -> Decimal:
    """Add without losing a digit, whatever the caller's decimal context."""
    with localcontext(EXACT_CONTEXT):
        return sum(amounts_exact_jpy, Decimal(0))


def round_jpy(amount_exact_jpy: Decimal, method: Rounding = Rounding.DOWN) -> int:
    """Round an exact amount to whole yen.

    Parameters
    ----------
    amount_exact_jpy
        Signed amount [JPY].
    method
        Contract term of the counterparty; DOWN unless agreed otherwise.

    Raises
    ------
    MoneyInvalid
        If the amount is not a finite Decimal within bounds.
    """
    checked = exact_jpy(amount_exact_jpy)
    with localcontext(EXACT_CONTEXT):
        return int(checked.quantize(Decimal(1), rounding=_DECIMAL_METHOD[method]))


def split_largest_remainder(total_jpy: int, weights: Sequence[Decimal | int]) -> list[int]:
    r"""Split whole units in proportion to weights so that the parts add up exactly.

    Each part gets :math:`\lfloor T w_i / \sum w \rfloor`; the units left over go one each to
    the largest fractions, ties to the earlier position. A negative total is split like its
    absolute value and negated, so that a correction mirrors what it corrects.

    Parameters
    ----------
    total_jpy
        Whole units to share (yen, or millionths of yen); may be negative.
    weights
        Non-negative, in an order that the caller fixes, because it decides ties.

    Returns
    -------
    list of int
        One part per weight; sums to `total_jpy`.

    Raises
    ------
    MoneyInvalid
        On a float, NaN or negative weight, a truth value, or no positive weight for a total
        that is not zero.
    """
    if isinstance(total_jpy, bool) or not isinstance(total_jpy, int):
        raise MoneyInvalid(field="total_jpy", value=total_jpy, rule="an integer")
    shares = [
        Fraction(exact(weight, field=f"weights[{n}]", low=0)) for n, weight in enumerate(weights)
    ]
    whole = sum(shares, Fraction(0))
    if whole == 0:
        if total_jpy != 0:
            raise MoneyInvalid(field="weights", value=list(weights), rule="one must be positive")
        return [0] * len(shares)
    sign = -1 if total_jpy < 0 else 1
    quotas = [abs(total_jpy) * share / whole for share in shares]
    parts = [quota.numerator // quota.denominator for quota in quotas]
    left = abs(total_jpy) - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda n: (parts[n] - quotas[n], n))
    for n in by_remainder[:left]:
        parts[n] += 1
    ensure(sum(parts) == abs(total_jpy), "a split does not add up to its total")
    return [sign * part for part in parts]
