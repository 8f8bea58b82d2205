"""What a resource would have used: High 4 of 5 with same-day adjustment, plan, meter only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from accounts.core.errors import Refused

INTERVAL_COUNT = 48
QUANTUM_KWH = Decimal("0.001")
SATURDAY = 5

# Means of a handful of meter values need a few dozen digits at most.
_MEAN_CONTEXT = Context(prec=50)

# 48 half hours of one day [kWh]; None where the meter said nothing usable.
Day = Sequence[Decimal | None]


class BaselineNotComputable(Refused):
    """Too few valid days, or the adjustment window is not metered."""


@dataclass(frozen=True, kw_only=True)
class High4Of5:
    """Parameters of the method; the defaults are those of the ERAB guideline.

    Attributes
    ----------
    weekday_days, weekday_keep
        N and M on weekdays.
    holiday_days, holiday_keep
        N and M on Saturdays, Sundays and national holidays.
    lookback_days
        How far back candidates may lie, in calendar days before the day itself.
    low_day_ratio
        A candidate whose mean over the event slots is under this share of the candidates'
        mean is skipped.
    window
        Same-day adjustment: half-open span of half hours relative to the event's start;
        (−10, −4) is five hours to two hours before. None switches the adjustment off.
    floor_kwh
        No baseline value is under it.
    """

    weekday_days: int = 5
    weekday_keep: int = 4
    holiday_days: int = 3
    holiday_keep: int = 2
    lookback_days: int = 30
    low_day_ratio: Decimal = Decimal("0.25")
    window: tuple[int, int] | None = (-10, -4)
    floor_kwh: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse parameters that name no method."""
        for field, days, keep in (
            ("weekday_keep", self.weekday_days, self.weekday_keep),
            ("holiday_keep", self.holiday_days, self.holiday_keep),
        ):
            if not 1 <= keep <= days:
                raise Refused(field=field, value=keep, rule=f"between 1 and {days} days")
        if not 1 <= self.lookback_days <= 366:  # noqa: PLR2004 - a year
            raise Refused(field="lookback_days", value=self.lookback_days, rule="1 to 366 days")
        if not Decimal(0) <= self.low_day_ratio < Decimal(1):
            raise Refused(field="low_day_ratio", value=self.low_day_ratio, rule="0 to under 1")
        if self.window is not None and not (
            -INTERVAL_COUNT <= self.window[0] < self.window[1] <= 0
        ):
            raise Refused(field="window", value=self.window, rule="lies within the day before")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A day's baseline; `adjustment_kwh` is already in `baseline_kwh`."""

    baseline_kwh: tuple[Decimal, ...]
    adjustment_kwh: Decimal
    days_used: tuple[date, ...]


def is_holiday(day: date, holidays: Collection[date]) -> bool:
    """Whether `day` counts with Saturdays, Sundays and national holidays."""
    return day.weekday() >= SATURDAY or day in holidays


def baseline_high_4_of_5(
    load_kwh: Mapping[date, Day],
    *,
    day: date,
    event: Collection[int],
    called_on: Collection[date] = (),
    holidays: Collection[date] = (),
    rules: High4Of5 | None = None,
) -> Baseline:
    r"""Compute the baseline of one day from the days like it.

    1. Candidates are the latest N earlier days of the same type (weekday, or weekend and
       holiday), at most `lookback_days` back, without days the resource was called on.
    2. A candidate whose mean over the event's half hours :math:`E` is under 25 % of the
       candidates' mean is skipped, and an older day takes its place.
    3. The day lowest over :math:`E` is dropped; of equals, the one farthest back.
    4. With the kept days :math:`K`, :math:`B^0_k = \frac1{|K|}\sum_{d\in K} L_{d,k}`.
    5. With the window :math:`W` before the event's first half hour,
       :math:`a = \frac1{|W|}\sum_{k\in W}(L_{D,k} - B^0_k)` and
       :math:`B_k = \max(0, B^0_k + a)`.
    6. With fewer than N valid days, M of them suffice; else called days come back, those
       with most load over :math:`E` first, until there are M.

    Sums are exact; each published value is one division, rounded half-even to a thousandth
    of a kWh.

    Parameters
    ----------
    load_kwh
        Day to 48 half-hourly values [kWh], positive = flow to the customer. A day whose value
        is missing in E or W is no candidate.
    day
        The day itself; needed in `load_kwh` only for the window.
    event
        Half hours t (0-based) for which something was ordered.
    called_on
        Days on which this resource was called.
    holidays
        National holidays among the days concerned.
    rules
        Parameters; the guideline's if left out.

    Returns
    -------
    Baseline
        48 values [kWh], the adjustment [kWh per half hour] and the kept days, latest first.
        A half hour outside E and W that a kept day did not meter is averaged over the kept
        days that did; with none it is the floor.

    Raises
    ------
    BaselineNotComputable
        If fewer than M days can be found, or a value of the window is missing.
    Refused
        If the event is empty or lies outside the day.

    References
    ----------
    .. [1] METI, guideline for energy resource aggregation business (ERAB), 2020-06-01,
       revised 2025-11-19.
    """
    rules = rules or High4Of5()
    slots = sorted(set(event))
    if not slots or slots[0] < 0 or slots[-1] >= INTERVAL_COUNT:
        raise Refused(field="event", value=slots, rule="half hours 0 to 47, at least one")
    window = () if rules.window is None else range(*(slots[0] + edge for edge in rules.window))
    like_day = is_holiday(day, holidays)
    count, keep = (
        (rules.holiday_days, rules.holiday_keep)
        if like_day
        else (rules.weekday_days, rules.weekday_keep)
    )
    like = [
        earlier
        for earlier in (day - timedelta(days=n) for n in range(1, rules.lookback_days + 1))
        if is_holiday(earlier, holidays) == like_day
        and _is_metered(load_kwh, earlier, slots)
        and _is_metered(load_kwh, earlier, window)
    ]
    with localcontext(_MEAN_CONTEXT):
        sums_kwh = {earlier: _sum_kwh(load_kwh, earlier, slots) for earlier in like}
        kept = _kept_days(like, sums_kwh, set(called_on), (count, keep), rules.low_day_ratio)
        if window and not _is_metered(load_kwh, day, window):
            raise BaselineNotComputable(
                field="window", value=day, rule="the adjustment window must be metered"
            )
        return _baseline_of(load_kwh, day, kept, window, rules.floor_kwh)


def baseline_declared(plan_kwh: Sequence[Decimal]) -> Baseline:
    """Use the schedule declared before the gate (事前予測型, 発電計画) as it stands [kWh]."""
    if len(plan_kwh) != INTERVAL_COUNT:
        raise BaselineNotComputable(field="plan_kwh", value=len(plan_kwh), rule="48 values")
    return Baseline(
        baseline_kwh=tuple(value.quantize(QUANTUM_KWH, ROUND_HALF_EVEN) for value in plan_kwh),
        adjustment_kwh=Decimal(0),
        days_used=(),
    )


def baseline_meter_only() -> Baseline:
    """Zero all day: a separately metered store delivers what its own meter shows."""
    return Baseline(
        baseline_kwh=(Decimal(0),) * INTERVAL_COUNT, adjustment_kwh=Decimal(0), days_used=()
    )


def _value_kwh(load_kwh: Mapping[date, Day], day: date, slot: int) -> Decimal | None:
    """Value of a half hour counted from the day's midnight; negative slots lie the day before."""
    shift, t = divmod(slot, INTERVAL_COUNT)
    values = load_kwh.get(day + timedelta(days=shift))
    return None if values is None else values[t]


def _is_metered(load_kwh: Mapping[date, Day], day: date, slots: Sequence[int]) -> bool:
    return all(_value_kwh(load_kwh, day, slot) is not None for slot in slots)


def _sum_kwh(load_kwh: Mapping[date, Day], day: date, slots: Sequence[int]) -> Decimal:
    values = (_value_kwh(load_kwh, day, slot) for slot in slots)
    return sum((value for value in values if value is not None), Decimal(0))


def _kept_days(
    like: Sequence[date],
    sums_kwh: Mapping[date, Decimal],
    called_on: set[date],
    sizes: tuple[int, int],
    low_day_ratio: Decimal,
) -> list[date]:
    count, keep = sizes
    days = _candidates(
        [day for day in like if day not in called_on], sums_kwh, count, low_day_ratio
    )
    if len(days) < keep:
        called = sorted(
            (day for day in like if day in called_on),
            # Most load first; of equals the later day, which is nearer to the day itself.
            key=lambda day: (-sums_kwh[day], -day.toordinal()),
        )
        days = days + called[: keep - len(days)]
    if len(days) < keep:
        raise BaselineNotComputable(
            field="load_kwh", value=len(days), rule=f"at least {keep} valid days are needed"
        )
    # The lowest is last; of equals the farthest back, so that dropping from the end drops it.
    ranked = sorted(days, key=lambda day: (-sums_kwh[day], -day.toordinal()))
    return sorted(ranked[:keep], reverse=True)


def _candidates(
    days: Sequence[date], sums_kwh: Mapping[date, Decimal], count: int, low_day_ratio: Decimal
) -> list[date]:
    """Walk back for `count` days, again whenever one turns out too low beside the others."""
    skipped: set[date] = set()
    while True:
        chosen = [day for day in days if day not in skipped][:count]
        total_kwh = sum((sums_kwh[day] for day in chosen), Decimal(0))
        low = [day for day in chosen if sums_kwh[day] * len(chosen) < low_day_ratio * total_kwh]
        if not low:
            return chosen
        skipped.update(low)


def _baseline_of(
    load_kwh: Mapping[date, Day],
    day: date,
    kept: Sequence[date],
    window: Sequence[int],
    floor_kwh: Decimal,
) -> Baseline:
    adjustment_kwh = Decimal(0)
    if window:
        # One division at the end: (|K| ΣL_D − ΣΣL_d) / (|K| |W|).
        actual_kwh = _sum_kwh(load_kwh, day, window)
        usual_kwh = sum((_sum_kwh(load_kwh, d, window) for d in kept), Decimal(0))
        adjustment_kwh = (actual_kwh * len(kept) - usual_kwh) / (len(kept) * len(window))
    baseline_kwh = []
    for t in range(INTERVAL_COUNT):
        values = [v for v in (_value_kwh(load_kwh, d, t) for d in kept) if v is not None]
        raw_kwh = sum(values, Decimal(0)) / len(values) if values else None
        value_kwh = floor_kwh if raw_kwh is None else max(floor_kwh, raw_kwh + adjustment_kwh)
        baseline_kwh.append(value_kwh.quantize(QUANTUM_KWH, ROUND_HALF_EVEN))
    return Baseline(
        baseline_kwh=tuple(baseline_kwh),
        adjustment_kwh=adjustment_kwh.quantize(QUANTUM_KWH, ROUND_HALF_EVEN),
        days_used=tuple(kept),
    )
