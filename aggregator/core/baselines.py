"""What a resource would have used: X of Y days with same-day adjustment, plan, meter only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from enum import StrEnum

from accounts.core.errors import Refused

INTERVAL_COUNT = 48
QUANTUM_KWH = Decimal("0.001")
SATURDAY = 5
LOOKBACK_MAX_DAYS = 366

# Means of a handful of meter values need a few dozen digits at most.
MEAN_CONTEXT = Context(prec=50)

# 48 half hours of one day [kWh]; None where the meter said nothing usable.
Day = Sequence[Decimal | None]
# A numerator [kWh] over a whole number.
Ratio = tuple[Decimal, int]


class BaselineNotComputable(Refused):
    """Too few valid days, or the adjustment window is not metered."""


class Rank(StrEnum):
    """Which X of the Y candidate days are kept, by their load over the event's half hours."""

    HIGH = "HIGH"
    MIDDLE = "MIDDLE"
    LOW = "LOW"


@dataclass(frozen=True, kw_only=True)
class XOfY:
    """Parameters of the X of Y family; the defaults are High 4 of 5 of the ERAB guideline.

    Attributes
    ----------
    weekday_days, weekday_keep
        Y and X on weekdays.
    holiday_days, holiday_keep
        Y and X on Saturdays, Sundays and national holidays.
    rank
        Which of the candidates are kept. MIDDLE drops as many of the highest as of the lowest,
        one more of the lowest where the difference is odd.
    lookback_days
        How far back candidates may lie, in calendar days before the day itself.
    low_day_ratio
        A candidate whose mean over the event slots is under this share of the candidates'
        mean is skipped.
    window
        Same-day adjustment: half-open span of half hours relative to the event's start;
        (−10, −4) is five hours to two hours before. None switches the adjustment off.
    cap_ratio
        The adjustment is at most this share of the kept days' mean over the window, up or
        down. None leaves it unbounded, as the guideline does.
    floor_kwh
        No baseline value is under it.
    frozen_days
        After a call on each of the latest so many days of the type, the Y free days next to
        that series are not taken either, but older ones: a baseline that a daily bid has frozen
        stands on days that were chosen. None never does so.
    frozen_lookback_days
        How far back the walk goes then.
    """

    weekday_days: int = 5
    weekday_keep: int = 4
    holiday_days: int = 3
    holiday_keep: int = 2
    rank: Rank = Rank.HIGH
    lookback_days: int = 30
    low_day_ratio: Decimal = Decimal("0.25")
    window: tuple[int, int] | None = (-10, -4)
    cap_ratio: Decimal | None = None
    floor_kwh: Decimal = Decimal(0)
    frozen_days: int | None = None
    frozen_lookback_days: int = 90

    def __post_init__(self) -> None:
        """Refuse parameters that name no method."""
        for field, days, keep in (
            ("weekday_keep", self.weekday_days, self.weekday_keep),
            ("holiday_keep", self.holiday_days, self.holiday_keep),
        ):
            if not 1 <= keep <= days:
                raise Refused(field=field, value=keep, rule=f"between 1 and {days} days")
        for field, value in (
            ("lookback_days", self.lookback_days),
            ("frozen_lookback_days", self.frozen_lookback_days),
        ):
            if not 1 <= value <= LOOKBACK_MAX_DAYS:
                raise Refused(field=field, value=value, rule=f"1 to {LOOKBACK_MAX_DAYS} days")
        if not Decimal(0) <= self.low_day_ratio < Decimal(1):
            raise Refused(field="low_day_ratio", value=self.low_day_ratio, rule="0 to under 1")
        if self.cap_ratio is not None and not Decimal(0) <= self.cap_ratio <= Decimal(1):
            raise Refused(field="cap_ratio", value=self.cap_ratio, rule="0 to 1, or none")
        if self.frozen_days is not None and not 1 <= self.frozen_days <= LOOKBACK_MAX_DAYS:
            raise Refused(field="frozen_days", value=self.frozen_days, rule="1 or more, or none")
        if self.window is not None and not (
            -INTERVAL_COUNT <= self.window[0] < self.window[1] <= 0
        ):
            raise Refused(field="window", value=self.window, rule="lies within the day before")

    @property
    def reach_days(self) -> int:
        """Calendar days of history the method may look at."""
        if self.frozen_days is None:
            return self.lookback_days
        return max(self.lookback_days, self.frozen_lookback_days)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A day's baseline; `adjustment_kwh` is already in `baseline_kwh`."""

    baseline_kwh: tuple[Decimal, ...]
    adjustment_kwh: Decimal
    days_used: tuple[date, ...]


def is_holiday(day: date, holidays: Collection[date]) -> bool:
    """Whether `day` counts with Saturdays, Sundays and national holidays."""
    return day.weekday() >= SATURDAY or day in holidays


def baseline_x_of_y(
    load_kwh: Mapping[date, Day],
    *,
    day: date,
    event: Collection[int],
    called_on: Collection[date] = (),
    holidays: Collection[date] = (),
    rules: XOfY | None = None,
) -> Baseline:
    r"""Compute the baseline of one day from the days like it.

    1. Candidates are the latest Y earlier days of the same type (weekday, or weekend and
       holiday), at most `lookback_days` back, without days the resource was called on.
    2. A candidate whose mean over the event's half hours :math:`E` is under 25 % of the
       candidates' mean is skipped, and an older day takes its place; where the candidates feed
       in on the whole, one that feeds in under 25 % of that.
    3. Of them X are kept by their load over :math:`E`: the highest, the middle or the lowest;
       of equals, the ones nearest to the day. Of fewer than Y, one is still dropped while more
       than X are left.
    4. With the kept days :math:`K`, :math:`B^0_k = \frac1{|K|}\sum_{d\in K} L_{d,k}`.
    5. With the window :math:`W` before the event's first half hour,
       :math:`a = \frac1{|W|}\sum_{k\in W}(L_{D,k} - B^0_k)`, at most `cap_ratio` of the mean of
       :math:`B^0` over :math:`W` either way, and :math:`B_k = \max(0, B^0_k + a)`.
    6. With fewer than Y valid days, X of them suffice; else called days come back, those
       with most load over :math:`E` first, until there are X.

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
        If fewer than X days can be found, or a value of the window is missing.
    Refused
        If the event is empty or lies outside the day.

    References
    ----------
    .. [1] METI, guideline for energy resource aggregation business (ERAB), 2020-06-01,
       revised 2025-11-19.
    """
    rules = rules or XOfY()
    slots = slots_of(event)
    window = () if rules.window is None else range(*(slots[0] + edge for edge in rules.window))
    like_day = is_holiday(day, holidays)
    count, keep = (
        (rules.holiday_days, rules.holiday_keep)
        if like_day
        else (rules.weekday_days, rules.weekday_keep)
    )
    called = set(called_on)
    like = [
        earlier
        for earlier in (day - timedelta(days=n) for n in range(1, rules.reach_days + 1))
        if is_holiday(earlier, holidays) == like_day
    ]
    like = _unfrozen(like, day=day, called_on=called, rules=rules, count=count)
    like = [
        earlier
        for earlier in like
        if is_metered(load_kwh, earlier, slots) and is_metered(load_kwh, earlier, window)
    ]
    with localcontext(MEAN_CONTEXT):
        sums_kwh = {earlier: sum_kwh(load_kwh, earlier, slots) for earlier in like}
        kept = _kept_days(like, sums_kwh, called, (count, keep), rules)
        if window and not is_metered(load_kwh, day, window):
            raise BaselineNotComputable(
                field="window", value=day, rule="the adjustment window must be metered"
            )
        adjustment = _adjustment(load_kwh, day, kept, window, rules.cap_ratio)
        return baseline_of_days(load_kwh, kept, adjustment=adjustment, floor_kwh=rules.floor_kwh)


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


def value_kwh(load_kwh: Mapping[date, Day], day: date, slot: int) -> Decimal | None:
    """Value of a half hour counted from the day's midnight; negative slots lie the day before."""
    shift, t = divmod(slot, INTERVAL_COUNT)
    values = load_kwh.get(day + timedelta(days=shift))
    return None if values is None else values[t]


def is_metered(load_kwh: Mapping[date, Day], day: date, slots: Sequence[int]) -> bool:
    """Whether every one of the half hours, counted from the day's midnight, has a value."""
    return all(value_kwh(load_kwh, day, slot) is not None for slot in slots)


def sum_kwh(load_kwh: Mapping[date, Day], day: date, slots: Sequence[int]) -> Decimal:
    """Sum over half hours counted from the day's midnight; what is missing counts nothing."""
    values = (value_kwh(load_kwh, day, slot) for slot in slots)
    return sum((value for value in values if value is not None), Decimal(0))


def slots_of(event: Collection[int]) -> list[int]:
    """Return the event's half hours in order.

    Raises
    ------
    Refused
        If there is none, or one outside the day.
    """
    slots = sorted(set(event))
    if not slots or slots[0] < 0 or slots[-1] >= INTERVAL_COUNT:
        raise Refused(field="event", value=slots, rule="half hours 0 to 47, at least one")
    return slots


def baseline_of_days(
    load_kwh: Mapping[date, Day],
    kept: Sequence[date],
    *,
    adjustment: Ratio = (Decimal(0), 1),
    floor_kwh: Decimal,
) -> Baseline:
    """Average the kept days half hour by half hour, and add the adjustment; latest day first.

    Mean and adjustment become one fraction, divided once: two rounded quotients could miss a
    half of the last digit that their sum hits.
    """
    added_kwh, parts = adjustment
    baseline_kwh = []
    for t in range(INTERVAL_COUNT):
        values = [v for v in (value_kwh(load_kwh, d, t) for d in kept) if v is not None]
        found_kwh = floor_kwh
        if values:
            total_kwh = sum(values, Decimal(0)) * parts + added_kwh * len(values)
            found_kwh = max(floor_kwh, total_kwh / (len(values) * parts))
        baseline_kwh.append(found_kwh.quantize(QUANTUM_KWH, ROUND_HALF_EVEN))
    return Baseline(
        baseline_kwh=tuple(baseline_kwh),
        adjustment_kwh=(added_kwh / parts).quantize(QUANTUM_KWH, ROUND_HALF_EVEN),
        days_used=tuple(kept),
    )


def _unfrozen(
    like: Sequence[date], *, day: date, called_on: set[date], rules: XOfY, count: int
) -> list[date]:
    """Return days of the type in reach; of a frozen series' neighbours none."""
    near = [d for d in like if (day - d).days <= rules.lookback_days]
    if rules.frozen_days is None or not called_on.issuperset(like[: rules.frozen_days]):
        return near
    chosen = [d for d in like if d not in called_on][:count]
    return [d for d in like if d not in chosen]


def _kept_days(
    like: Sequence[date],
    sums_kwh: Mapping[date, Decimal],
    called_on: set[date],
    sizes: tuple[int, int],
    rules: XOfY,
) -> list[date]:
    count, keep = sizes
    days = _candidates(
        [day for day in like if day not in called_on], sums_kwh, count, rules.low_day_ratio
    )
    # Most load first; of equals the later day, which is nearer to the day itself.
    by_load = {day: (-sums_kwh[day], -day.toordinal()) for day in like}
    if len(days) < keep:
        called = sorted((day for day in like if day in called_on), key=by_load.__getitem__)
        days = days + called[: keep - len(days)]
    if len(days) < keep:
        raise BaselineNotComputable(
            field="load_kwh", value=len(days), rule=f"at least {keep} valid days are needed"
        )
    if rules.rank == Rank.LOW:
        ranked = sorted(days, key=lambda day: (sums_kwh[day], -day.toordinal()))
    else:
        # The lowest is last; of equals the farthest back, so that dropping from the end drops it.
        ranked = sorted(days, key=by_load.__getitem__)
    first = (len(days) - keep) // 2 if rules.rank == Rank.MIDDLE else 0
    return sorted(ranked[first : first + keep], reverse=True)


def _candidates(
    days: Sequence[date], sums_kwh: Mapping[date, Decimal], count: int, low_day_ratio: Decimal
) -> list[date]:
    """Walk back for `count` days, again whenever one turns out too low beside the others."""
    skipped: set[date] = set()
    while True:
        chosen = [day for day in days if day not in skipped][:count]
        total_kwh = sum((sums_kwh[day] for day in chosen), Decimal(0))
        # where days feed in on the whole, low is what feeds in little
        way = -1 if total_kwh < 0 else 1
        low = [
            day
            for day in chosen
            if way * sums_kwh[day] * len(chosen) < low_day_ratio * abs(total_kwh)
        ]
        if not low:
            return chosen
        skipped.update(low)


def _adjustment(
    load_kwh: Mapping[date, Day],
    day: date,
    kept: Sequence[date],
    window: Sequence[int],
    cap_ratio: Decimal | None,
) -> Ratio:
    """Return (|K| ΣL_D − ΣΣL_d) / (|K| |W|), at most the cap either way."""
    if not window:
        return Decimal(0), 1
    actual_kwh = sum_kwh(load_kwh, day, window)
    usual_kwh = sum((sum_kwh(load_kwh, d, window) for d in kept), Decimal(0))
    added_kwh = actual_kwh * len(kept) - usual_kwh
    if cap_ratio is not None:
        most_kwh = cap_ratio * abs(usual_kwh)
        added_kwh = max(-most_kwh, min(most_kwh, added_kwh))
    return added_kwh, len(kept) * len(window)
