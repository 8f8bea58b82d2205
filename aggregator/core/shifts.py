r"""Both ends of a shift: what left one place counts only as far as it arrived at another.

A shift promises two things at once: less load where the work leaves (A), more where it arrives
(B). Either alone is a phantom: work that was dropped and never ran elsewhere, or load at B that
has nothing to do with A. So both ends are held against each other, by their meters and by the log
of where the work ran, and what only one of them shows is shortfall at both.

With :math:`d_A` the energy delivered at A, :math:`d_i` at destination i, :math:`\rho_i` the kW that
the work takes at i per kW at A, :math:`w_{out}` the work that the log says left and
:math:`w_i` what it says arrived, of which :math:`\hat w_i` may be there by its label:

1. a destination's energy counts as far as its work may be there,
   :math:`c_i = d_i\,\hat w_i / w_i`;
2. if :math:`|\sum \hat w_i - w_{out}| > \tau\,w_{out}`, work was lost or came from elsewhere: A
   counts :math:`\min(1, \sum \hat w_i / w_{out})` of its energy, the destinations
   :math:`\min(1, w_{out} / \sum \hat w_i)` of theirs;
3. if what is left differs by more than :math:`\tau` of what left,
   :math:`|\sum c_i/\rho_i - c_A| > \tau\,c_A`, both ends count the smaller.

Without a log (where the rules do not demand one) steps 1 and 2 say nothing and the meters decide.
Energies are whole Wh, rounded down: rounding never creates delivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, localcontext

from accounts.core.errors import Refused
from accounts.core.money import exact

QUANTUM_KWH = Decimal("0.001")
RATIO_QUANTUM = Decimal("0.000001")
RATIO_MAX = Decimal(1000)
QUANTITY_MAX = Decimal(10**9)
_CONTEXT = Context(prec=50)


@dataclass(frozen=True, kw_only=True)
class Work:
    """Logged work of one label at one end; `quantity` in the log's unit (GPU-h, or kWh at A)."""

    label: str
    quantity: Decimal
    is_allowed: bool = True


@dataclass(frozen=True, kw_only=True)
class End:
    """One award of a shift in one half hour.

    Attributes
    ----------
    award
        Its id.
    delivered_kwh
        What its meter shows as delivered, at most what was ordered.
    ratio
        kW here per kW at the place the work leaves; 1 there.
    log
        The work that left or arrived, by label; None where no log was filed.
    """

    award: str
    delivered_kwh: Decimal
    ratio: Decimal = Decimal(1)
    log: tuple[Work, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ShiftRules:
    """How closely both ends must agree, and whether a log is demanded."""

    tolerance_ratio: Decimal = Decimal("0.02")
    is_log_required: bool = False

    def __post_init__(self) -> None:
        """Refuse terms out of bounds."""
        exact(self.tolerance_ratio, field="tolerance_ratio", low=0, high=1)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes
    ----------
    moved_out_kwh, moved_in_kwh
        Both ends by their meters, the latter in kWh at A.
    counted_kwh
        What counts as moved, in kWh at A.
    ratio
        Arrived over left, by the log where there is one, else by the meters; None where nothing
        left.
    has_log, is_conserved, labels_ok
        Whether there was a log, both ends agree within tolerance, every label may be where its
        work ran.
    refused
        Labels that may not be where their work ran, sorted.
    delivered_kwh
        What counts as delivered on each award.
    """

    moved_out_kwh: Decimal
    moved_in_kwh: Decimal
    counted_kwh: Decimal
    ratio: Decimal | None
    has_log: bool
    is_conserved: bool
    labels_ok: bool
    refused: tuple[str, ...]
    delivered_kwh: Mapping[str, Decimal]


def shift_check(out: End, arrivals: Sequence[End], *, rules: ShiftRules | None = None) -> Checked:
    """Hold the ends of one shift against each other in one half hour.

    Parameters
    ----------
    out
        The award at the place the work leaves.
    arrivals
        The awards at its destinations, any order; none means that nothing arrived.
    rules
        Terms in force.

    Raises
    ------
    Refused
        On a negative or unbounded quantity, a ratio of 0, or an award twice.

    References
    ----------
    docs/algorithms/delivery.md, "Both ends of a shift".
    """
    rules = rules or ShiftRules()
    ends = [out, *sorted(arrivals, key=lambda end: end.award)]
    _checked(ends)
    with localcontext(_CONTEXT):
        has_log = any(end.log is not None for end in ends)
        if has_log or rules.is_log_required:
            shares, log_ratio, log_agrees = _by_log(ends, rules)
        else:
            shares, log_ratio, log_agrees = [Decimal(1)] * len(ends), None, True
        counted = [
            _down(end.delivered_kwh * share) for end, share in zip(ends, shares, strict=True)
        ]
        left_kwh, arrived_kwh = counted[0], _at_source(ends, counted)
        meters_agree = _agree(left_kwh, arrived_kwh, rules)
        if not meters_agree and arrived_kwh < left_kwh:
            counted[0] = _down(arrived_kwh)
        elif not meters_agree:
            part = left_kwh / arrived_kwh
            counted[1:] = [_down(kwh * part) for kwh in counted[1:]]
        refused = tuple(sorted({work.label for work in _forbidden(ends)}))
        metered_kwh = _at_source(ends, [end.delivered_kwh for end in ends])
        ratio = log_ratio if has_log else _ratio(out.delivered_kwh, metered_kwh)
        return Checked(
            moved_out_kwh=out.delivered_kwh,
            moved_in_kwh=_down(metered_kwh),
            counted_kwh=min(counted[0], _down(_at_source(ends, counted)))
            if not meters_agree
            else counted[0],
            ratio=ratio,
            has_log=has_log,
            is_conserved=log_agrees and meters_agree,
            labels_ok=not refused,
            refused=refused,
            delivered_kwh={end.award: kwh for end, kwh in zip(ends, counted, strict=True)},
        )


def effects_kw(
    moved: Iterable[tuple[Mapping[str, float], Decimal, Decimal]],
) -> dict[str, Decimal]:
    r"""Add up what both ends do to each element: :math:`\sum_n h_{n,q}\,\Delta_n`.

    Parameters
    ----------
    moved
        For each end: the sensitivity of every element to a kW sent at its place
        [kW per kW], what it moved [kW received; UP positive: less load is more supply], and
        the kW sent per kW received.

    Returns
    -------
    dict
        Element to the change of its flow [kW], to a tenth of a kW, in order of names.
    """
    total: dict[str, Decimal] = {}
    for sensitivity, received_kw, sent_ratio in moved:
        for element, kw_per_kw in sensitivity.items():
            effect = Decimal(repr(round(kw_per_kw, 12))) * received_kw * sent_ratio
            total[element] = total.get(element, Decimal(0)) + effect
    tenth = Decimal("0.1")
    return {name: total[name].quantize(tenth, ROUND_HALF_EVEN) + 0 for name in sorted(total)}


def _by_log(ends: Sequence[End], rules: ShiftRules) -> tuple[list[Decimal], Decimal | None, bool]:
    """Return what share of each end's energy the log bears out, in over out, and agreement."""
    allowed = [_quantity(end, allowed_only=True) for end in ends]
    filed = [_quantity(end) for end in ends]
    left, arrived = filed[0], sum(allowed[1:], Decimal(0))
    own = [Decimal(1)] + [
        may / all_ if all_ else Decimal(0) for may, all_ in zip(allowed[1:], filed[1:], strict=True)
    ]
    agree = _agree(left, arrived, rules)
    if agree and left:
        return own, _ratio(left, arrived), True
    if not left or not arrived:
        return [Decimal(0)] * len(ends), _ratio(left, arrived), not left and not arrived
    out_share, in_share = min(Decimal(1), arrived / left), min(Decimal(1), left / arrived)
    return (
        [out_share, *(share * in_share for share in own[1:])],
        _ratio(left, arrived),
        False,
    )


def _quantity(end: End, *, allowed_only: bool = False) -> Decimal:
    return sum(
        (work.quantity for work in end.log or () if work.is_allowed or not allowed_only),
        Decimal(0),
    )


def _forbidden(ends: Sequence[End]) -> list[Work]:
    return [
        work
        for end in ends[1:]
        for work in end.log or ()
        if not work.is_allowed and work.quantity > 0
    ]


def _agree(left: Decimal, arrived: Decimal, rules: ShiftRules) -> bool:
    return abs(arrived - left) <= rules.tolerance_ratio * left


def _at_source(ends: Sequence[End], counted: Sequence[Decimal]) -> Decimal:
    """Return the arrivals in kWh at the place the work left."""
    return sum(
        (kwh / end.ratio for end, kwh in zip(ends[1:], counted[1:], strict=True)), Decimal(0)
    )


def _ratio(left: Decimal, arrived: Decimal) -> Decimal | None:
    if not left:
        return None
    return min(arrived / left, RATIO_MAX).quantize(RATIO_QUANTUM, ROUND_HALF_EVEN)


def _down(kwh: Decimal) -> Decimal:
    return kwh.quantize(QUANTUM_KWH, ROUND_DOWN)


def _checked(ends: Sequence[End]) -> None:
    awards = [end.award for end in ends]
    if len(set(awards)) != len(awards):
        raise Refused(field="awards", value=awards, rule="each award once")
    for end in ends:
        for value in (end.delivered_kwh, *(work.quantity for work in end.log or ())):
            if not value.is_finite() or not 0 <= value <= QUANTITY_MAX:
                raise Refused(field=end.award, value=value, rule=f"0 to {QUANTITY_MAX}")
        if not end.ratio.is_finite() or not 0 < end.ratio <= RATIO_MAX:
            raise Refused(field="ratio", value=end.ratio, rule="above 0")
