"""Read numbers that strangers send: exact, bounded, never surprising."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from accounts.core.errors import Refused

INT_HIGH = 10**15
PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)


def decimal_of(value: object, *, field: str, low: Decimal, high: Decimal, places: int) -> Decimal:
    """Return `value` as an exact Decimal within ``[low, high]``.

    Accepts ``int``, ``Decimal`` and plain ASCII strings such as ``"12.50"``. Floats are
    refused because their decimal digits are not what was typed; so are NaN, infinities,
    exponents (``1e1000000`` costs minutes to expand), underscores, full-width digits and
    booleans.

    Raises
    ------
    Refused
        Naming `field`, the value and the rule it breaks.
    """
    if (type(value) is str and PLAIN_DECIMAL.fullmatch(value)) or (
        type(value) is int and -(10**15) < value < 10**15
    ):
        number = Decimal(value)
    elif type(value) is Decimal and value.is_finite() and -15 <= value.adjusted() <= 15:  # noqa: PLR2004
        number = value
    else:
        raise Refused(field=field, value=value, rule="a plain decimal number, e.g. 12.50")
    if not low <= number <= high:
        raise Refused(field=field, value=value, rule=f"between {low} and {high}")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -places and number != round(number, places):
        raise Refused(field=field, value=value, rule=f"at most {places} decimal places")
    return number


def index_of(value: object, *, field: str, count: int) -> int:
    """Return `value` as an index 0 … count−1; anything else is out of horizon."""
    if type(value) is not int or not 0 <= value < count:
        raise Refused(field=field, value=value, rule=f"a half-hour index from 0 to {count - 1}")
    return value


def name_of(value: object, *, field: str, length_max: int) -> str:
    """Return `value` as a short printable text: no control characters, no lone surrogates.

    Raises
    ------
    Refused
        Naming `field`, the value and the rule; a database would answer with an error of its own.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= length_max or not value.isprintable():
        raise Refused(field=field, value=value, rule=f"1 to {length_max} printable characters")
    return value


def zoned(value: object, *, field: str) -> datetime:
    """Return `value` if it is a datetime that knows its offset."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise Refused(field=field, value=value, rule="a date-time with its UTC offset")
    return value


def decimals_of(
    values: object, *, field: str, count: int, low: Decimal, high: Decimal, places: int
) -> list[Decimal]:
    """Return `count` numbers, each checked as by :func:`decimal_of`."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence) or len(values) != count:
        raise Refused(field=field, value=values, rule=f"a list of {count} values")
    return [
        decimal_of(value, field=f"{field}[{i}]", low=low, high=high, places=places)
        for i, value in enumerate(values)
    ]
