r"""Assess reserved capacity (ΔkW): was it there (I), and did it respond when called (II).

Assessment I, per half hour, from what can be known without a call:

- a load can give UP what it uses above the least it can run at, and DOWN what its connection
  leaves room for: :math:`\min(\ell_{up},\, b - m)` and :math:`\min(\ell_{down},\, c - b)`;
- a store can give UP what its discharging limit leaves above what it discharges already, and no
  more than its stored energy above the reserve holds for as long as the product must last:
  :math:`\min(p_d - x,\ (e - \underline e)\,\eta_d / h)`; DOWN the same with charging and the room
  left, :math:`\min(p_c + x,\ (\bar e - e) / (\eta_c\, h))`.

What products sold from one resource in one half hour need at once is held against that: of a
composite (複合) the largest component, because one call serves all, and the sum over composites
and single products. Where it is not enough, each gets its part in proportion, in tenths of a kW
rounded down, remainders by award id.

Assessment II, per evaluation point of a call: the response (baseline − meter for UP) may differ
from the instruction by a share of the contracted ΔkW. Calls of one meter share what it changed.
Slow products have one point, the half hour; fast ones as many as there are finer readings, and
each must hold.

All numbers are defaults of `AssessmentRules`, whose source is not verified (docs).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal, localcontext
from fractions import Fraction

from accounts.core.errors import Refused, ensure
from accounts.core.money import exact, split_largest_remainder
from aggregator.core.delivery import Direction

HALF_HOUR_H = Decimal("0.5")
TENTH_KW = Decimal("0.1")
QUANTUM_KWH = Decimal("0.001")
QUANTITY_MAX = Decimal(10**9)
RESPONSE_MAX_S = 86_400
_CONTEXT = Context(prec=50)


@dataclass(frozen=True, kw_only=True)
class AssessmentRules:
    """Terms of assessment.

    Attributes
    ----------
    tolerance_ratio
        Share of the contracted ΔkW by which a response may differ from its instruction.
    declare_before_min
        Unavailability told this long before a half hour counts as declared. [min]
    fine_response_max_s
        Products that must respond within this are evaluated on finer readings. [s]
    composites
        Groups of product codes that are one composite product.
    """

    tolerance_ratio: Decimal = Decimal("0.1")
    declare_before_min: int = 60
    fine_response_max_s: int = 900
    composites: tuple[frozenset[str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse terms out of bounds, and a product in two composites."""
        exact(self.tolerance_ratio, field="tolerance_ratio", low=0, high=1)
        exact(self.declare_before_min, field="declare_before_min", low=0, high=10_080)
        exact(self.fine_response_max_s, field="fine_response_max_s", low=0, high=RESPONSE_MAX_S)
        named = [code for group in self.composites for code in group]
        if len(set(named)) != len(named):
            raise Refused(field="composites", value=sorted(named), rule="each product once")


@dataclass(frozen=True, kw_only=True)
class LoadState:
    """A load in one half hour [kW]: what it uses, the least it can, its limits, its connection."""

    used_kw: Decimal
    min_kw: Decimal
    limit_up_kw: Decimal
    limit_down_kw: Decimal
    contract_kw: Decimal


@dataclass(frozen=True, kw_only=True)
class StoreState:
    """A store at the start of one half hour.

    Attributes
    ----------
    output_kw
        What it gives to the grid side already; negative while it charges.
    stored_kwh
        None where nobody told what it held: then power alone is assessed.
    """

    output_kw: Decimal
    discharge_kw: Decimal
    charge_kw: Decimal
    stored_kwh: Decimal | None
    energy_kwh: Decimal
    reserve_kwh: Decimal
    discharge_efficiency_ratio: Decimal
    charge_efficiency_ratio: Decimal


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """What one award holds ready in one half hour, of which product."""

    award: str
    product: str
    direction: Direction
    reserved_kw: Decimal


@dataclass(frozen=True, kw_only=True)
class Available:
    """Assessment I of one award: reserved = available, as far as it counts, + shortfall."""

    award: str
    available_kw: Decimal
    shortfall_kw: Decimal


@dataclass(frozen=True, kw_only=True)
class Response:
    """Assessment II of one award and half hour."""

    responded_kwh: Decimal
    is_responsive: bool
    points_count: int
    points_failed: tuple[int, ...]


def load_available_kw(state: LoadState, direction: Direction) -> Decimal:
    """Return what a load could give in a direction [kW], in tenths rounded down."""
    _bounded(
        state.min_kw, state.limit_up_kw, state.limit_down_kw, state.contract_kw, abs(state.used_kw)
    )
    if direction is Direction.UP:
        return _tenths(min(state.limit_up_kw, state.used_kw - state.min_kw))
    return _tenths(min(state.limit_down_kw, state.contract_kw - state.used_kw))


def store_available_kw(state: StoreState, direction: Direction, *, last_h: Decimal) -> Decimal:
    """Return what a store could give in a direction for `last_h` hours [kW].

    Raises
    ------
    Refused
        If `last_h` or an efficiency is not positive, or a number is not finite.
    """
    _bounded(
        abs(state.output_kw), state.discharge_kw, state.charge_kw, state.energy_kwh,
        state.reserve_kwh, abs(state.stored_kwh or Decimal(0)), last_h,
    )  # fmt: skip
    for name in ("discharge_efficiency_ratio", "charge_efficiency_ratio"):
        value = getattr(state, name)
        if not value.is_finite() or not 0 < value <= 1:
            raise Refused(field=name, value=value, rule="above 0, at most 1")
    if last_h <= 0:
        raise Refused(field="last_h", value=last_h, rule="above 0")
    with localcontext(_CONTEXT):
        if direction is Direction.UP:
            by_power = state.discharge_kw - state.output_kw
            if state.stored_kwh is None:
                return _tenths(by_power)
            above_kwh = state.stored_kwh - state.reserve_kwh
            return _tenths(min(by_power, above_kwh * state.discharge_efficiency_ratio / last_h))
        by_power = state.charge_kw + state.output_kw
        if state.stored_kwh is None:
            return _tenths(by_power)
        room_kwh = state.energy_kwh - state.stored_kwh
        return _tenths(min(by_power, room_kwh / (state.charge_efficiency_ratio * last_h)))


def stored_kwh_after(
    start_kwh: Decimal,
    metered_kwh: Sequence[Decimal | None],
    *,
    charge_efficiency_ratio: Decimal,
    discharge_efficiency_ratio: Decimal,
    standing_loss_ratio: Decimal = Decimal(0),
) -> tuple[Decimal | None, ...]:
    """Follow a store's content through its meter's half hours.

    Parameters
    ----------
    start_kwh
        What it held at the start of the first.
    metered_kwh
        Positive = it charges; None where it was not metered.
    standing_loss_ratio
        Share lost per hour.

    Returns
    -------
    tuple
        What it held at the start of each half hour, and at the end of the last: one value
        more than readings; None from a missing reading on, because nobody can tell.
    """
    found: list[Decimal | None] = [start_kwh]
    with localcontext(_CONTEXT):
        kept = (1 - standing_loss_ratio) ** HALF_HOUR_H
        held: Decimal | None = start_kwh
        for kwh in metered_kwh:
            if held is None or kwh is None:
                held = None
            elif kwh >= 0:
                held = held * kept + kwh * charge_efficiency_ratio
            else:
                held = held * kept + kwh / discharge_efficiency_ratio
            found.append(held)
        return tuple(None if kwh is None else kwh.quantize(QUANTUM_KWH) for kwh in found)


def assess_available(
    reserved: Sequence[Reserved],
    available_kw: Mapping[Direction, Decimal | None],
    *,
    composites: Collection[frozenset[str]] = (),
) -> tuple[Available, ...]:
    """Hold what one resource sold in one half hour against what it could give (assessment I).

    Parameters
    ----------
    reserved
        Awards of one resource in one half hour, any order.
    available_kw
        Per direction; None where it was not metered, which counts as nothing.
    composites
        Groups of products of which the largest counts.

    Returns
    -------
    tuple of Available
        By award id.

    Raises
    ------
    Refused
        On an award twice or a quantity that is negative or finer than a tenth of a kW.
    """
    ids = [row.award for row in reserved]
    if len(set(ids)) != len(ids):
        raise Refused(field="reserved", value=sorted(ids), rule="each award once")
    for row in reserved:
        _units(row.reserved_kw)
    found: list[Available] = []
    for direction in Direction:
        mine = [row for row in reserved if row.direction is direction]
        found += _assess_direction(
            sorted(mine, key=lambda row: row.award),
            available_kw.get(direction) or Decimal(0),
            composites,
        )
    return tuple(sorted(found, key=lambda row: row.award))


def required_kw(
    reserved: Collection[Reserved], *, composites: Collection[frozenset[str]] = ()
) -> Decimal:
    """Return what awards of one direction need at once: composites at their largest component."""
    return sum((max(kw for kw in needs) for needs in _groups(reserved, composites)), Decimal(0))


def _groups(
    reserved: Collection[Reserved], composites: Collection[frozenset[str]]
) -> list[list[Decimal]]:
    """Group quantities: those of one composite product by product, all others one by one."""
    groups: dict[frozenset[str] | str, dict[str, Decimal]] = {}
    for row in reserved:
        key = next((group for group in composites if row.product in group), None)
        member = row.product if key is not None else row.award
        needs = groups.setdefault(key if key is not None else row.award, {})
        needs[member] = needs.get(member, Decimal(0)) + row.reserved_kw
    return [list(needs.values()) for needs in groups.values()]


def _assess_direction(
    mine: Sequence[Reserved], available_kw: Decimal, composites: Collection[frozenset[str]]
) -> list[Available]:
    needed = required_kw(mine, composites=composites)
    if available_kw >= needed:
        return [
            Available(award=row.award, available_kw=row.reserved_kw, shortfall_kw=Decimal(0))
            for row in mine
        ]
    # every need shrinks alike: components of a composite keep the ratio to their largest
    have = _units(_tenths(available_kw))
    with localcontext(_CONTEXT):
        total = sum((row.reserved_kw for row in mine), Decimal(0))
        shared = int((total / needed * have).to_integral_value(ROUND_DOWN))
    parts = split_largest_remainder(shared, [_units(row.reserved_kw) for row in mine])
    return [
        Available(
            award=row.award,
            available_kw=Decimal(part) / 10,
            shortfall_kw=row.reserved_kw - Decimal(part) / 10,
        )
        for row, part in zip(mine, parts, strict=True)
    ]


def assess_response(
    *,
    instructed_kw: Decimal,
    reserved_kw: Decimal,
    direction: Direction,
    baseline_kwh: Decimal | None,
    metered_kwh: Sequence[Decimal | None],
    called_kw: Mapping[Direction, Decimal] | None = None,
    energy_ratio: Fraction = Fraction(1),
    rules: AssessmentRules | None = None,
) -> Response:
    r"""Hold a response against its instruction (assessment II).

    With n points in the half hour, of :math:`b/n` baseline each, point k passes if
    :math:`|\pm(b/n - m_k) - q h/n| \le \tau\,r\,h/n`, q instructed, r reserved, h half an hour.

    Parameters
    ----------
    instructed_kw, reserved_kw
        The call, and the contract by which the tolerance is measured.
    baseline_kwh
        Of the half hour; None where it can not be computed: then nothing responded.
    metered_kwh
        The half hour in equal parts, in order: one value, or finer ones; None where missing,
        which responds with nothing.
    called_kw
        What all calls need of the meter at once, this one among them (see :func:`required_kw`);
        this one alone if omitted.
    energy_ratio
        How much of what was called is energy of this award: less than 1 where the same kWh
        answer calls of other products of its composite, and then no more than was called.

    Returns
    -------
    Response
        `responded_kwh` is never negative; points are numbered from 0.
    """
    rules = rules or AssessmentRules()
    _bounded(instructed_kw, reserved_kw)
    ensure(len(metered_kwh) > 0, "a half hour has at least one point")
    count = len(metered_kwh)
    sign = 1 if direction is Direction.UP else -1
    with localcontext(_CONTEXT):
        band_kwh = rules.tolerance_ratio * reserved_kw * HALF_HOUR_H / count
        asked_kwh = instructed_kw * HALF_HOUR_H / count
        total, failed = Decimal(0), []
        for k, kwh in enumerate(metered_kwh):
            change = Decimal(0)
            if baseline_kwh is not None and kwh is not None:
                change = sign * (baseline_kwh / count - kwh)
                if called_kw is not None:
                    change = _shared_kwh(change, instructed_kw, direction, called_kw, count)
            total += change
            if abs(change - asked_kwh) > band_kwh:
                failed.append(k)
        if energy_ratio != 1:
            own = min(total, instructed_kw * HALF_HOUR_H)
            total = own * energy_ratio.numerator / energy_ratio.denominator
        return Response(
            responded_kwh=max(Decimal(0), total).quantize(QUANTUM_KWH, ROUND_DOWN),
            is_responsive=not failed,
            points_count=count,
            points_failed=tuple(failed),
        )


def _shared_kwh(
    change_kwh: Decimal,
    instructed_kw: Decimal,
    direction: Direction,
    called_kw: Mapping[Direction, Decimal],
    count: int,
) -> Decimal:
    """Return one call's part in what a meter of several calls changed toward its direction.

    As :func:`~aggregator.core.delivery.deliver` shares energy: opposite calls cancel on the
    meter, so the smaller direction counts whole; the larger has that much and the change, in
    proportion to its calls. What is too much is shared as well: the tolerance has two sides.
    """
    along_kw = called_kw.get(direction, Decimal(0))
    against_kw = sum(called_kw.values(), Decimal(0)) - along_kw
    ensure(along_kw >= instructed_kw, "what is called at once covers each call")
    if along_kw <= against_kw:
        return instructed_kw * HALF_HOUR_H / count
    if along_kw == instructed_kw and not against_kw:
        return change_kwh
    return (change_kwh + against_kw * HALF_HOUR_H / count) * instructed_kw / along_kw


def _tenths(kw: Decimal) -> Decimal:
    return max(Decimal(0), kw).quantize(TENTH_KW, ROUND_DOWN)


def _units(kw: Decimal) -> int:
    scaled = kw * 10
    if not kw.is_finite() or kw < 0 or scaled != scaled.to_integral_value():
        raise Refused(field="reserved_kw", value=kw, rule="0 or more, in tenths of a kW")
    return int(scaled)


def _bounded(*values: Decimal) -> None:
    for value in values:
        if not value.is_finite() or not 0 <= value <= QUANTITY_MAX:
            raise Refused(field="quantity", value=value, rule=f"0 to {QUANTITY_MAX}")
