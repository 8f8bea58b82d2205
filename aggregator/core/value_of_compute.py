"""What a kWh of flexibility costs a data centre: the value of the computing that is lost for it.

Every way to use less power has its own cost floor. They differ by two orders of magnitude, which
is why an offer is a curve per class of work and never one number per site. All functions are in
JPY per kWh at the meter, of a class of work worth `value_jpy_per_kwh`: revenue of one kWh of it,
that is price per GPU hour × paid share / kW per GPU with everything around it.

References
----------
The loss of throughput under power caps is that of a field test with 256 A100 (Emerald AI and
EPRI, arXiv 2507.00909, data under Apache-2.0): means over jobs of a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
CENT: Final = Decimal("0.01")
TEN_KW: Final = Decimal(10)
RESTART_DEFAULT_H: Final = Decimal(5) / Decimal(60)
PAUSE_DEFAULT_H: Final = Decimal(3)
DISPLACED_DEFAULT_RATIO: Final = Decimal("0.05")

# cumulative power cut and throughput loss at caps of 350, 300, 250 and 200 W of 400 W
CAP_POINTS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "FINE_TUNING": ((".07", ".026"), (".17", ".056"), (".30", ".109"), (".43", ".204")),
    "INFERENCE": ((".10", ".024"), (".22", ".069"), (".34", ".129"), (".47", ".219")),
    "TRAINING": ((".12", ".077"), (".24", ".133"), (".36", ".216"), (".49", ".371")),
}
CAP_POINTS_OTHER: Final = "FINE_TUNING"


@dataclass(frozen=True, kw_only=True)
class CostStep:
    """One step of a cost curve."""

    quantity_kw: Decimal
    cost_jpy_per_kwh: Decimal


def stop_jpy_per_kwh(value_jpy_per_kwh: Decimal, *, avoided_jpy_per_kwh: Decimal = ZERO) -> Decimal:
    """Cost of stopping work that is lost for good; energy that need not be bought comes off."""
    return _rounded(max(ZERO, value_jpy_per_kwh - avoided_jpy_per_kwh))


def power_cap_steps(
    value_jpy_per_kwh: Decimal, *, power_kw: Decimal, kind: str = CAP_POINTS_OTHER
) -> list[CostStep]:
    """Cost curve of capping the power of running work, as convex as an offer must be.

    Parameters
    ----------
    power_kw
        What the class draws without a cap.
    kind
        Class of work; a class that was not measured is taken as fine-tuning.

    Returns
    -------
    list of CostStep
        Up to four steps of rising cost, in tens of kW. Where a deeper cap costs less per kWh than
        the one before, both are one step at their common cost: nobody can sell the second half
        first.
    """
    points = CAP_POINTS.get(kind, CAP_POINTS[CAP_POINTS_OTHER])
    pieces: list[list[Decimal]] = []  # cut, loss
    before_cut = before_loss = ZERO
    for cut_text, loss_text in points:
        cut, loss = Decimal(cut_text), Decimal(loss_text)
        pieces.append([cut - before_cut, loss - before_loss])
        before_cut, before_loss = cut, loss
        while len(pieces) > 1 and _slope(pieces[-2]) > _slope(pieces[-1]):
            last = pieces.pop()
            pieces[-1] = [a + b for a, b in zip(pieces[-1], last, strict=True)]
    steps = [
        CostStep(
            quantity_kw=_tens(cut * power_kw),
            cost_jpy_per_kwh=_rounded(value_jpy_per_kwh * loss / cut),
        )
        for cut, loss in pieces
    ]
    return [step for step in steps if step.quantity_kw > ZERO]


def deferral_jpy_per_kwh(
    value_jpy_per_kwh: Decimal,
    *,
    displaced_ratio: Decimal = DISPLACED_DEFAULT_RATIO,
    restart_h: Decimal = RESTART_DEFAULT_H,
    pause_h: Decimal = PAUSE_DEFAULT_H,
    delay_jpy_per_kwh: Decimal = ZERO,
) -> Decimal:
    """Cost of work that waits and is done later.

    Parameters
    ----------
    displaced_ratio
        Share of the waiting work that later displaces paid work: 0 with idle machines before the
        deadline, 1 on machines in full use.
    restart_h, pause_h
        Time lost at a restart, spread over the length of a pause.
    delay_jpy_per_kwh
        What is owed to the owner of the work for the delay.
    """
    restarts = restart_h / pause_h if pause_h > ZERO else ZERO
    return _rounded(value_jpy_per_kwh * (displaced_ratio + restarts) + delay_jpy_per_kwh)


def spatial_jpy_per_kwh(
    value_jpy_per_kwh: Decimal,
    *,
    downtime_ratio: Decimal,
    migration_jpy_per_kwh: Decimal,
    energy_ratio: Decimal,
    there_jpy_per_kwh: Decimal,
) -> Decimal:
    """Cost of work that runs elsewhere: the pause of the move, the move, and energy there.

    Parameters
    ----------
    downtime_ratio
        Share of the moved time in which nothing runs.
    energy_ratio
        kWh there for one kWh here.
    """
    moved = value_jpy_per_kwh * downtime_ratio + migration_jpy_per_kwh
    return _rounded(moved + energy_ratio * there_jpy_per_kwh)


def battery_jpy_per_kwh(
    *,
    wear_jpy_per_kwh: Decimal,
    charge_jpy_per_kwh: Decimal = ZERO,
    efficiency_ratio: Decimal = ONE,
) -> Decimal:
    """Cost of one kWh discharged: wear, and what it took to charge it."""
    return _rounded(wear_jpy_per_kwh + charge_jpy_per_kwh / efficiency_ratio)


def floor_at(steps: Sequence[CostStep], quantity_kw: Decimal) -> Decimal | None:
    """Return the cost floor of the last kW of a quantity; None beyond the curve."""
    total = ZERO
    for step in steps:
        total += step.quantity_kw
        if quantity_kw <= total:
            return step.cost_jpy_per_kwh
    return None


def _slope(piece: Sequence[Decimal]) -> Decimal:
    return piece[1] / piece[0]


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def _tens(kw: Decimal) -> Decimal:
    return kw // TEN_KW * TEN_KW
