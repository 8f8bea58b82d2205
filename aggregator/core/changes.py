"""What a changed order is: less in some half hours, or some half hours more.

A changed version is in force from its first changed half hour on; what was ordered before stays
as it was. Half hours that it orders as they were sold stay on the terms they were sold on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from accounts.core.errors import Refused

HALF_HOURS: Final = 48
TICK_KW: Final = Decimal("0.1")
ZERO: Final = Decimal(0)

Quantities = Mapping[int, Decimal]


@dataclass(frozen=True, kw_only=True)
class Changed:
    """The next version of an order.

    Parameters
    ----------
    first_t
        The half hour from which it is in force.
    quantity_kw
        What it orders from then on, by half hour; half hours of nothing are absent. [kW]
    differs_t
        Half hours in which it orders otherwise than the version before.
    """

    first_t: int
    quantity_kw: Quantities
    differs_t: frozenset[int]


def reduced(ordered_kw: Quantities, asked_kw: Quantities, *, from_t: int) -> Changed:
    """Return the order with less in some half hours.

    Parameters
    ----------
    ordered_kw
        What is in force, by half hour. [kW]
    asked_kw
        What shall be ordered instead, in the half hours that change. [kW]
    from_t
        The first half hour that may still be changed.

    Raises
    ------
    Refused
        If nothing changes, a half hour is not ordered or too near, more is asked than ordered, or
        nothing would be left: that is a cancellation.

    Examples
    --------
    >>> found = reduced({34: Decimal(9), 35: Decimal(9)}, {35: Decimal(6)}, from_t=34)
    >>> found.first_t, dict(found.quantity_kw)
    (35, {35: Decimal('6')})
    """
    for t, kw in sorted(asked_kw.items()):
        field = f"quantities_kw.{t}"
        if t not in ordered_kw:
            raise Refused(field=field, value=kw, rule="a half hour of the instruction")
        if t < from_t:
            raise Refused(field=field, value=kw, rule="a half hour that can still be changed")
        _tick_check(kw, field)
        if not ZERO <= kw < ordered_kw[t]:
            raise Refused(field=field, value=kw, rule=f"less than the {ordered_kw[t]:f} kW ordered")
    if not asked_kw:
        raise Refused(field="quantities_kw", value={}, rule="at least one half hour")
    first_t = min(asked_kw)
    after = {t: asked_kw.get(t, kw) for t, kw in ordered_kw.items() if t >= first_t}
    left = {t: kw for t, kw in sorted(after.items()) if kw > ZERO}
    if not left:
        raise Refused(
            field="quantities_kw", value="0", rule="something left to do; else cancel the rest"
        )
    return Changed(first_t=first_t, quantity_kw=left, differs_t=frozenset(asked_kw))


def extended(ordered_kw: Quantities, asked_kw: Quantities, *, from_t: int) -> Changed:
    """Return the half hours that are ordered beyond the end of an order.

    Raises
    ------
    Refused
        If the half hours do not follow the order's last one without a gap, reach beyond the day
        or are too near, or a quantity is not above zero.
    """
    if not asked_kw:
        raise Refused(field="quantities_kw", value={}, rule="at least one half hour")
    next_t = max(ordered_kw) + 1
    for t, kw in sorted(asked_kw.items()):
        field = f"quantities_kw.{t}"
        if t != next_t or t >= HALF_HOURS:
            raise Refused(field=field, value=kw, rule="next to the instruction's last half hour")
        if t < from_t:
            raise Refused(field=field, value=kw, rule="a half hour that can still be changed")
        _tick_check(kw, field)
        if kw <= ZERO:
            raise Refused(field=field, value=kw, rule="more than 0 kW")
        next_t += 1
    added = dict(sorted(asked_kw.items()))
    return Changed(first_t=min(added), quantity_kw=added, differs_t=frozenset(added))


def _tick_check(kw: Decimal, field: str) -> None:
    if not kw.is_finite() or kw != kw.quantize(TICK_KW):
        raise Refused(field=field, value=kw, rule="kilowatts in steps of 0.1")
