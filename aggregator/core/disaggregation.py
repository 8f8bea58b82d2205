r"""Share an order among the units behind a resource: who acts, how much, half hour by half hour.

Four rules, in this order:

1. *Limits.* No unit does more than its limit, nor less than its minimum if it acts at all.
2. *Ramp.* From one half hour to the next a unit changes by what it can within a half hour at most.
3. *Merit.* The unit of the lowest rank acts first, of equals the one whose code comes first.
4. *Sticky.* A unit that acts keeps acting while the order lasts: with less ordered, those give way
   first that would act last; a unit is not stopped for one that has not acted yet.

The result depends on its arguments alone, and their order does not matter. What the units cannot do
together is left over and said so: the resource is still asked for all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from accounts.core.errors import Refused

MINUTES_PER_INTERVAL: Final = 30
TICK_KW: Final = Decimal("0.1")
ZERO: Final = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One unit in the direction of the order.

    Parameters
    ----------
    limit_kw, minimum_kw
        Most it does, and least it does if it acts. [kW]
    ramp_kw_per_min
        How fast it changes; None: at once. [kW/min]
    rank
        Lower acts first.
    """

    code: str
    rank: int
    limit_kw: Decimal
    minimum_kw: Decimal = ZERO
    ramp_kw_per_min: Decimal | None = None

    @property
    def step_kw(self) -> Decimal:
        """Most it changes by from one half hour to the next [kW]."""
        if self.ramp_kw_per_min is None:
            return self.limit_kw
        return self.ramp_kw_per_min * MINUTES_PER_INTERVAL


@dataclass(frozen=True, kw_only=True)
class Shares:
    """What each unit does [kW], by half hour and unit, and what is left that nobody can do."""

    quantity_kw: Mapping[int, Mapping[str, Decimal]]
    left_kw: Mapping[int, Decimal] = field(default_factory=dict)


def disaggregate(
    ordered_kw: Mapping[int, Decimal],
    units: Sequence[Unit],
    *,
    before_kw: Mapping[str, Decimal] | None = None,
) -> Shares:
    """Share an order among units.

    Parameters
    ----------
    ordered_kw
        By half hour; those that are absent order nothing. [kW]
    units
        Of the resource; any order.
    before_kw
        What units do in the half hour before the first, by code; nothing if None. [kW]

    Returns
    -------
    Shares
        Units that do nothing in a half hour are absent from it.

    Raises
    ------
    Refused
        If two units have one code, or a quantity is below zero.

    Examples
    --------
    >>> units = [
    ...     Unit(code="a", rank=1, limit_kw=Decimal(5)),
    ...     Unit(code="b", rank=2, limit_kw=Decimal(5), minimum_kw=Decimal(3)),
    ... ]
    >>> disaggregate({34: Decimal(6)}, units).quantity_kw
    {34: {'a': Decimal('3'), 'b': Decimal('3')}}
    """
    codes = [unit.code for unit in units]
    if len(set(codes)) != len(codes):
        raise Refused(field="units", value=codes, rule="each code once")
    merit = sorted(units, key=lambda unit: (unit.rank, unit.code))
    did = dict(before_kw or {})
    quantity: dict[int, dict[str, Decimal]] = {}
    left: dict[int, Decimal] = {}
    last_t: int | None = None
    for t, kw in sorted(ordered_kw.items()):
        if kw < ZERO:
            raise Refused(field=f"ordered_kw.{t}", value=kw, rule="0 kW or more")
        if last_t is not None and t != last_t + 1:
            did = {}
        found, missing = _half_hour(kw, merit, did)
        quantity[t] = {code: share for code, share in found.items() if share > ZERO}
        if missing > ZERO:
            left[t] = missing
        did, last_t = found, t
    return Shares(quantity_kw=quantity, left_kw=left)


def _half_hour(
    ordered_kw: Decimal, merit: Sequence[Unit], did_kw: Mapping[str, Decimal]
) -> tuple[dict[str, Decimal], Decimal]:
    """Fill one half hour: who acted goes before who did not, within each by merit."""
    acting = [unit for unit in merit if did_kw.get(unit.code, ZERO) > ZERO]
    idle = [unit for unit in merit if did_kw.get(unit.code, ZERO) <= ZERO]
    found: dict[str, Decimal] = {}
    missing = ordered_kw
    # a unit that cannot fall to nothing within the half hour goes on with the least it can
    for unit in acting:
        floor = max(ZERO, did_kw[unit.code] - unit.step_kw)
        if floor > ZERO:
            found[unit.code] = max(floor, unit.minimum_kw)
            missing -= found[unit.code]
    for unit in (*acting, *idle):
        have = found.get(unit.code, ZERO)
        most = min(unit.limit_kw, did_kw.get(unit.code, ZERO) + unit.step_kw)
        wanted = min(most, have + max(ZERO, missing))
        if wanted <= have:
            continue
        if wanted < unit.minimum_kw:
            wanted = _made_room(unit, most, missing, found, merit, did_kw)
        if wanted > have:
            missing -= wanted - have
            found[unit.code] = wanted
    return found, max(ZERO, _over_returned(missing, found, merit, did_kw))


def _made_room(
    unit: Unit,
    most_kw: Decimal,
    missing_kw: Decimal,
    found_kw: dict[str, Decimal],
    merit: Sequence[Unit],
    did_kw: Mapping[str, Decimal],
) -> Decimal:
    """Let a unit act with its minimum where others can do as much less; 0 if they cannot."""
    if most_kw < unit.minimum_kw:
        return ZERO
    excess = unit.minimum_kw - missing_kw
    can = {other.code: _spare(other, found_kw, did_kw) for other in merit if other is not unit}
    if sum(can.values(), ZERO) < excess:
        return ZERO
    return unit.minimum_kw


def _spare(unit: Unit, found_kw: Mapping[str, Decimal], did_kw: Mapping[str, Decimal]) -> Decimal:
    """Return how much less a unit can do without stopping or falling too fast."""
    have = found_kw.get(unit.code, ZERO)
    floor = max(unit.minimum_kw, did_kw.get(unit.code, ZERO) - unit.step_kw, ZERO)
    return max(ZERO, have - floor)


def _over_returned(
    missing_kw: Decimal,
    found_kw: dict[str, Decimal],
    merit: Sequence[Unit],
    did_kw: Mapping[str, Decimal],
) -> Decimal:
    """Take back what minimums and ramps brought too much, from the last in merit first."""
    for unit in reversed(merit):
        if missing_kw >= ZERO:
            break
        less = min(_spare(unit, found_kw, did_kw), -missing_kw)
        if less > ZERO:
            found_kw[unit.code] -= less
            missing_kw += less
    return missing_kw
