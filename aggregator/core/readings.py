"""What readings must look like, how short ones make half hours, and what looks wrong in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from accounts.core.errors import Refused, ensure
from aggregator.core.backtest import quantile

DIGITS_COUNT: Final = 22
DIGITS: Final = re.compile(r"(0[1-9]|10)[0-9]{20}", re.ASCII)
GROUPED: Final = re.compile(r"[0-9]+(-[0-9]+)*", re.ASCII)
VOLTAGES: Final = {"0": "LOW", "1": "HIGH"}
HALF_HOUR: Final = timedelta(minutes=30)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FINE_MIN: Final = (1, 5)
MISSING: Final = 2
USABLE: Final = (0, 1)
HALF: Final = Decimal("0.5")


@dataclass(frozen=True, kw_only=True)
class PointNumber:
    """A 供給地点特定番号: its 22 digits, its area, and what is odd about it."""

    digits: str
    area: str
    voltage: str
    warnings: tuple[str, ...] = ()


def point_number_of(text: object) -> PointNumber:
    """Read a 供給地点特定番号, with or without hyphens.

    The first two digits are the area, 01 to 10; there is no check digit. The third is the
    voltage class, 0 low and 1 high; another one is odd, but no reason to refuse.

    Raises
    ------
    Refused
        If it is not 22 digits, in groups parted by single hyphens or not, that begin with an area.
    """
    rule = "22 digits beginning with an area 01-10, with or without hyphens"
    if not isinstance(text, str) or not GROUPED.fullmatch(text):
        raise Refused(field="point_number", value=text, rule=rule)
    digits = text.replace("-", "")
    if not DIGITS.fullmatch(digits):
        raise Refused(field="point_number", value=text, rule=rule)
    voltage = VOLTAGES.get(digits[2], "")
    odd = () if voltage else (f"the third digit is {digits[2]}, neither 0 (low) nor 1 (high)",)
    return PointNumber(digits=digits, area=digits[:2], voltage=voltage, warnings=odd)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fine:
    """The prevailing value of one short interval; quality and stage as numbers."""

    start_at: datetime
    interval_min: int
    energy_kwh: Decimal | None
    quality: int
    stage: int
    available_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class HalfHour:
    """Energy of a half hour with the quality, stage and time it is known with."""

    start_at: datetime
    energy_kwh: Decimal | None
    quality: int
    stage: int
    available_at: datetime


def folded(values: Sequence[Fine]) -> list[HalfHour]:
    """Make half hours of short readings, where all of their intervals are there.

    The energy is the sum; of quality the worst counts, of stage the lowest, of availability the
    latest. One missing interval makes the half hour missing. A half hour of which an interval
    was never told is not made at all.

    Parameters
    ----------
    values
        Of one meter, all of one interval, one per start, in any order.
    """
    halves: dict[datetime, list[Fine]] = {}
    for value in values:
        ensure(value.interval_min in FINE_MIN, "an interval of one or five minutes")
        halves.setdefault(half_hour_of(value.start_at), []).append(value)
    made = []
    for start_at, parts in sorted(halves.items()):
        if len(parts) * parts[0].interval_min < HALF_HOUR / timedelta(minutes=1):
            continue
        known = [part.energy_kwh for part in parts if part.energy_kwh is not None]
        is_whole = len(known) == len(parts)
        made.append(
            HalfHour(
                start_at=start_at,
                energy_kwh=sum(known, Decimal(0)) if is_whole else None,
                quality=max(part.quality for part in parts) if is_whole else MISSING,
                stage=min(part.stage for part in parts),
                available_at=max(part.available_at for part in parts),
            )
        )
    return made


def half_hour_of(moment: datetime) -> datetime:
    """Return the start of the half hour that holds a moment."""
    return moment - (moment - EPOCH) % HALF_HOUR


class Fault(StrEnum):
    """What is wrong with readings, or looks so."""

    GAP = "GAP"
    OVERLAP = "OVERLAP"
    DUPLICATE = "DUPLICATE"
    RESET = "RESET"
    UNIT = "UNIT"
    SIGN = "SIGN"
    NEGATIVE = "NEGATIVE"
    ABSURD = "ABSURD"
    FUTURE = "FUTURE"
    WRONG_METER = "WRONG_METER"
    LATE = "LATE"


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A fault over the half-open span [start_at, end_at), and what it stands on."""

    fault: Fault
    start_at: datetime
    end_at: datetime
    evidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a day's readings look wrong.

    Attributes
    ----------
    factors
        Wrong units by their factor: Wh read as kWh and the reverse, kW read as kWh of a half
        hour and the reverse.
    tolerance_ratio
        How close to a factor the day's median ratio must be.
    steady_ratio
        How far the ratios' quartiles may lie apart, as a share of the factor: a doubled load
        seldom doubles in every half hour alike.
    days_min
        With fewer days of history nothing is compared with it.
    late_days
        Days after which a first value is late.
    """

    factors: tuple[Decimal, ...] = (Decimal(1000), Decimal("0.001"), Decimal(2), HALF)
    tolerance_ratio: Decimal = Decimal("0.1")
    steady_ratio: Decimal = Decimal("0.1")
    days_min: int = 5
    late_days: int = 2


Series = Mapping[datetime, Decimal | None]


def gaps(series: Series, *, start_at: datetime, end_at: datetime) -> list[Suspicion]:
    """List the runs of half hours in [start_at, end_at) without a usable value."""
    found: list[Suspicion] = []
    first_at: datetime | None = None
    moment = start_at
    while moment <= end_at:
        is_gap = moment < end_at and series.get(moment) is None
        if is_gap and first_at is None:
            first_at = moment
        if not is_gap and first_at is not None:
            count = (moment - first_at) // HALF_HOUR
            found.append(
                Suspicion(
                    fault=Fault.GAP,
                    start_at=first_at,
                    end_at=moment,
                    evidence={"half_hours_count": count},
                )
            )
            first_at = None
        moment += HALF_HOUR
    return found


def negatives(series: Series) -> list[Suspicion]:
    """List half hours in which a load that cannot feed the grid reads as if it did."""
    return [
        Suspicion(
            fault=Fault.NEGATIVE,
            start_at=start_at,
            end_at=start_at + HALF_HOUR,
            evidence={"energy_kwh": str(kwh)},
        )
        for start_at, kwh in sorted(series.items())
        if kwh is not None and kwh < 0
    ]


def compared(
    day_kwh: Sequence[Decimal | None],
    history_kwh: Mapping[date, Sequence[Decimal | None]],
    *,
    start_at: datetime,
    limits: Limits,
) -> list[Suspicion]:
    """Compare a day with the median of the days before, half hour by half hour.

    The median ratio of the day tells a wrong unit (close to a factor, in nearly every half hour
    alike) or a wrong sign (close to −1).

    Parameters
    ----------
    day_kwh
        48 values of the day; None where there is none.
    history_kwh
        Earlier days of the same meter and type, 48 values each.
    """
    if len(history_kwh) < limits.days_min:
        return []
    ratios = []
    for t, kwh in enumerate(day_kwh):
        past = [values[t] for values in history_kwh.values()]
        usual = [value for value in past if value is not None]
        if kwh is None or not usual:
            continue
        median_kwh = quantile(usual, HALF)
        if median_kwh:
            ratios.append(kwh / median_kwh)
    if len(ratios) * 2 < len(day_kwh):
        return []
    median = quantile(ratios, HALF)
    spread = quantile(ratios, Decimal("0.75")) - quantile(ratios, Decimal("0.25"))
    evidence = {
        "median_ratio": str(round(median, 6)),
        "quartiles_apart": str(round(spread, 6)),
        "half_hours_count": len(ratios),
        "days": [day.isoformat() for day in sorted(history_kwh)],
    }
    end_at = start_at + HALF_HOUR * len(day_kwh)
    for fault, factor in ((Fault.SIGN, Decimal(-1)), *((Fault.UNIT, f) for f in limits.factors)):
        near = abs(median / factor - 1) <= limits.tolerance_ratio
        if near and spread <= limits.steady_ratio * abs(factor):
            return [
                Suspicion(
                    fault=fault,
                    start_at=start_at,
                    end_at=end_at,
                    evidence={**evidence, "factor": str(factor)},
                )
            ]
    return []


def repeated(
    days_kwh: Mapping[date, Sequence[Decimal | None]], *, starts_at: Mapping[date, datetime]
) -> list[Suspicion]:
    """List days whose 48 values are those of an earlier day of the meter: a file sent twice.

    A day that hardly changes says nothing and is passed over.
    """
    seen: dict[tuple[Decimal | None, ...], date] = {}
    found = []
    for day in sorted(days_kwh):
        key = _telling(days_kwh[day])
        if key is None:
            continue
        first = seen.setdefault(key, day)
        if first != day:
            found.append(
                Suspicion(
                    fault=Fault.DUPLICATE,
                    start_at=starts_at[day],
                    end_at=starts_at[day] + HALF_HOUR * len(key),
                    evidence={"same_as": first.isoformat()},
                )
            )
    return found


def swapped(
    days_kwh: Mapping[str, Sequence[Decimal | None]], *, start_at: datetime
) -> list[tuple[str, Suspicion]]:
    """List meters that read the same as another one all day: one was sent under both numbers."""
    groups: dict[tuple[Decimal | None, ...], list[str]] = {}
    for number, values in sorted(days_kwh.items()):
        key = _telling(values)
        if key is not None:
            groups.setdefault(key, []).append(number)
    return [
        (
            number,
            Suspicion(
                fault=Fault.WRONG_METER,
                start_at=start_at,
                end_at=start_at + HALF_HOUR * len(key),
                evidence={"same_as": [other for other in numbers if other != number]},
            ),
        )
        for key, numbers in groups.items()
        if len(numbers) > 1
        for number in numbers
    ]


def overlaps(halves: Mapping[int, Series], readings: Series) -> list[Suspicion]:
    """List half hours told twice, by intervals of different length, with different energy.

    Parameters
    ----------
    halves
        Interval in minutes to the half hours folded from it.
    readings
        The half hours as they prevail.
    """
    found = []
    for start_at, kwh in sorted(readings.items()):
        told = {
            f"{interval_min} min": series[start_at]
            for interval_min, series in sorted(halves.items())
            if series.get(start_at) is not None
        }
        if kwh is not None and any(value != kwh for value in told.values()):
            found.append(
                Suspicion(
                    fault=Fault.OVERLAP,
                    start_at=start_at,
                    end_at=start_at + HALF_HOUR,
                    evidence={
                        "30 min": str(kwh),
                        **{name: str(value) for name, value in told.items()},
                    },
                )
            )
    return found


def _telling(values: Sequence[Decimal | None]) -> tuple[Decimal | None, ...] | None:
    """Return the values as a key, unless they are so few or so flat that they say nothing."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(set(known)) * 2 < len(values):
        return None
    return tuple(values)
