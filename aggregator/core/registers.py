"""Cumulative registers: differences of what they show make energy, half hour by half hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from accounts.core.errors import Refused
from aggregator.core.readings import HALF_HOUR, Fault, Suspicion, half_hour_of

QUANTUM_KWH = Decimal("0.001")
DIGITS_MAX = 12


@dataclass(frozen=True, kw_only=True)
class Dial:
    """How far a register counts, and what one count is.

    Attributes
    ----------
    digits
        After 10^digits − 1 it shows 0 again.
    count_kwh, coefficient_ratio
        Energy of one count, and what the transformers before the meter multiply it by.
    is_export
        Counts what is fed to the grid, which reads as negative.
    power_max_kw
        The most the place can draw: beyond it a step back is no rollover but a reset.
    """

    digits: int
    count_kwh: Decimal
    coefficient_ratio: Decimal = Decimal(1)
    is_export: bool = False
    power_max_kw: Decimal

    def __post_init__(self) -> None:
        """Refuse a dial that counts nothing."""
        if not 1 <= self.digits <= DIGITS_MAX:
            raise Refused(field="digits", value=self.digits, rule=f"1 to {DIGITS_MAX}")
        if min(self.count_kwh, self.coefficient_ratio, self.power_max_kw) <= 0:
            raise Refused(field="count_kwh", value=self.count_kwh, rule="more than 0")

    @property
    def counts(self) -> int:
        """Return how many counts make one turn."""
        return int(10**self.digits)


@dataclass(frozen=True, kw_only=True, order=True)
class Shown:
    """What a register showed; after a reset, what it was set to."""

    read_at: datetime
    count: int
    is_reset: bool = False


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Energy between two readings of one register."""

    start_at: datetime
    end_at: datetime
    energy_kwh: Decimal


def pieces_of(shown: Sequence[Shown], dial: Dial) -> tuple[list[Piece], list[Suspicion]]:
    """Return the energy between readings of one register, and where it cannot be told.

    A count lower than the one before has turned over, once, if that is no more than the place
    can draw meanwhile; else it was set back, and the span has no energy. A reading marked as a
    reset ends a span without energy and begins the next.

    Energy is the difference of rounded totals, so that pieces add up to what the register counted
    over all, to within half a Wh a turn.

    Raises
    ------
    Refused
        If a count does not fit the dial, or two differ at one moment.
    """
    ordered = sorted(set(shown))
    for row in ordered:
        if not 0 <= row.count < dial.counts:
            raise Refused(field="count", value=row.count, rule=f"0 to {dial.counts - 1}")
    pieces: list[Piece] = []
    found: list[Suspicion] = []
    turns = 0
    for before, after in pairwise(ordered):
        if before.read_at == after.read_at:
            raise Refused(
                field="read_at", value=after.read_at.isoformat(), rule="one count at a moment"
            )
        hours = Decimal((after.read_at - before.read_at).total_seconds()) / 3600
        turned = after.count < before.count
        energy_kwh = _total_kwh(after.count, turns + turned, dial) - _total_kwh(
            before.count, turns, dial
        )
        if after.is_reset or (turned and energy_kwh > dial.power_max_kw * hours):
            found.append(_suspicion(Fault.RESET, before, after))
            turns = 0
            continue
        turns += turned
        pieces.append(
            Piece(
                start_at=before.read_at,
                end_at=after.read_at,
                energy_kwh=-energy_kwh if dial.is_export else energy_kwh,
            )
        )
        if energy_kwh > dial.power_max_kw * hours:
            found.append(_suspicion(Fault.ABSURD, before, after))
    return pieces, found


def half_hours_of(
    pieces: Sequence[Piece],
) -> tuple[dict[datetime, Decimal], list[Suspicion]]:
    """Add pieces up to half hours that they cover from end to end.

    A piece that reaches over a half hour's end is not split: how its energy lay in time is not
    known, and a guess would be paid on. It is listed as a gap with its energy.

    Parameters
    ----------
    pieces
        Of all registers of one meter and one direction, an exchanged meter's included; they do
        not overlap.
    """
    energy_kwh: dict[datetime, Decimal] = {}
    covered: dict[datetime, int] = {}
    found = []
    for piece in sorted(pieces, key=lambda piece: piece.start_at):
        start_at = half_hour_of(piece.start_at)
        if piece.end_at > start_at + HALF_HOUR:
            found.append(
                Suspicion(
                    fault=Fault.GAP,
                    start_at=piece.start_at,
                    end_at=piece.end_at,
                    evidence={"energy_kwh": str(piece.energy_kwh)},
                )
            )
            continue
        seconds = int((piece.end_at - piece.start_at).total_seconds())
        energy_kwh[start_at] = energy_kwh.get(start_at, Decimal(0)) + piece.energy_kwh
        covered[start_at] = covered.get(start_at, 0) + seconds
    whole_s = int(HALF_HOUR.total_seconds())
    whole = {at: kwh for at, kwh in energy_kwh.items() if covered[at] == whole_s}
    return whole, found


def _total_kwh(count: int, turns: int, dial: Dial) -> Decimal:
    total = (count + turns * dial.counts) * dial.count_kwh * dial.coefficient_ratio
    return total.quantize(QUANTUM_KWH, ROUND_HALF_EVEN)


def _suspicion(fault: Fault, before: Shown, after: Shown) -> Suspicion:
    return Suspicion(
        fault=fault,
        start_at=before.read_at,
        end_at=after.read_at,
        evidence={
            "count_before": before.count,
            "count_after": after.count,
            "is_reset": after.is_reset,
        },
    )
