"""Was it delivered: ordered against baseline minus meter, per resource and half hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from accounts.core.errors import Refused
from accounts.core.money import split_largest_remainder

UNITS_PER_KWH = 1000


class Direction(StrEnum):
    """UP: less consumption or more supply; DOWN: the reverse."""

    UP = "UP"
    DOWN = "DOWN"


class Cause(StrEnum):
    """Why an award's half hour counts otherwise than its meter alone would say."""

    NONE = ""
    OPTED_OUT = "OPTED_OUT"
    REPLACED = "REPLACED"
    STOOD_IN = "STOOD_IN"
    EXCUSED = "EXCUSED"
    NOT_METERED = "NOT_METERED"


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """What one award asks of a resource in one half hour [kWh, at the receiving end]."""

    award: str
    direction: Direction
    ordered_kwh: Decimal


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What counts as delivered on one award in one half hour.

    ``ordered_kwh = delivered_kwh + shortfall_kwh``; `over_kwh` is recorded and not paid.
    """

    award: str
    ordered_kwh: Decimal
    delivered_kwh: Decimal
    shortfall_kwh: Decimal
    over_kwh: Decimal


def deliver(
    orders: Sequence[Ordered],
    *,
    baseline_kwh: Decimal | None,
    metered_kwh: Decimal | None,
) -> tuple[Delivered, ...]:
    """Share one resource's measured change among its awards of one half hour.

    The measured change is baseline minus meter, positive = UP. Orders in opposite directions
    cancel on the same meter, so only their net is measured: of the smaller direction all
    counts as delivered, of the larger the same amount plus the measured change up to the net.
    Within a direction the delivered energy is shared in proportion to the orders, in whole
    thousandths of a kWh, remainders in order of award id.

    Parameters
    ----------
    orders
        Awards of one resource in one half hour; the order given does not matter.
    baseline_kwh, metered_kwh
        None where not computable or not metered: then nothing counts as delivered.

    Returns
    -------
    tuple of Delivered
        In order of award id.

    Raises
    ------
    Refused
        On a duplicate award, a negative order, or one finer than a thousandth of a kWh.
    """
    if len(orders) == 1:
        return (_alone(orders[0], baseline_kwh=baseline_kwh, metered_kwh=metered_kwh),)
    ranked = sorted(orders, key=lambda order: order.award)
    ids = [order.award for order in ranked]
    if len(set(ids)) != len(ids):
        raise Refused(field="orders", value=ids, rule="one order per award and half hour")
    units = {order.award: _units(order.ordered_kwh, "ordered_kwh") for order in ranked}
    total = {
        side: sum(units[order.award] for order in ranked if order.direction is side)
        for side in Direction
    }
    change = None
    if baseline_kwh is not None and metered_kwh is not None:
        change = _units_signed(baseline_kwh) - _units_signed(metered_kwh)
    counted = {side: _counted(side, total, change) for side in Direction}

    result: list[Delivered] = []
    for side in Direction:
        delivered, over = counted[side]
        mine = [order.award for order in ranked if order.direction is side]
        weights = [units[award] for award in mine]
        shares = split_largest_remainder(delivered, weights) if total[side] else [0] * len(mine)
        overs = split_largest_remainder(over, weights) if total[side] else [0] * len(mine)
        result += [
            Delivered(
                award=award,
                ordered_kwh=_kwh(units[award]),
                delivered_kwh=_kwh(share),
                shortfall_kwh=_kwh(units[award] - share),
                over_kwh=_kwh(extra),
            )
            for award, share, extra in zip(mine, shares, overs, strict=True)
        ]
    return tuple(sorted(result, key=lambda row: row.award))


def _alone(
    order: Ordered, *, baseline_kwh: Decimal | None, metered_kwh: Decimal | None
) -> Delivered:
    """Count the only order on a meter, as almost all are: there is nothing to share."""
    ordered = _units(order.ordered_kwh, "ordered_kwh")
    toward = 0
    if baseline_kwh is not None and metered_kwh is not None:
        change = _units_signed(baseline_kwh) - _units_signed(metered_kwh)
        toward = max(0, change if order.direction is Direction.UP else -change)
    delivered = min(ordered, toward)
    # an order of nothing has nothing to be over
    over = toward - delivered if ordered else 0
    return Delivered(
        award=order.award,
        ordered_kwh=_kwh(ordered),
        delivered_kwh=_kwh(delivered),
        shortfall_kwh=_kwh(ordered - delivered),
        over_kwh=_kwh(over),
    )


def _counted(side: Direction, total: dict[Direction, int], change: int | None) -> tuple[int, int]:
    """Delivered and over-delivered units of one direction."""
    if change is None:
        return 0, 0
    other = Direction.DOWN if side is Direction.UP else Direction.UP
    net = total[side] - total[other]
    if net <= 0:
        return total[side], 0
    toward = change if side is Direction.UP else -change
    return total[other] + min(net, max(0, toward)), max(0, toward - net)


def _units(value_kwh: Decimal, field: str) -> int:
    scaled = value_kwh * UNITS_PER_KWH
    if not value_kwh.is_finite() or value_kwh < 0 or scaled != scaled.to_integral_value():
        raise Refused(field=field, value=value_kwh, rule="0 or more, in thousandths of a kWh")
    return int(scaled)


def _units_signed(value_kwh: Decimal) -> int:
    scaled = value_kwh * UNITS_PER_KWH
    if not value_kwh.is_finite() or scaled != scaled.to_integral_value():
        raise Refused(field="reading", value=value_kwh, rule="finite, in thousandths of a kWh")
    return int(scaled)


def _kwh(units: int) -> Decimal:
    return Decimal(units) / UNITS_PER_KWH
