"""Baselines of the days most like the event's day: 同等日採用法, PJM's Match Day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext

from accounts.core.errors import Refused
from aggregator.core.baselines import (
    INTERVAL_COUNT,
    LOOKBACK_MAX_DAYS,
    MEAN_CONTEXT,
    Baseline,
    BaselineNotComputable,
    Day,
    baseline_of_days,
    is_holiday,
    is_metered,
    slots_of,
    value_kwh,
)


@dataclass(frozen=True, kw_only=True)
class SimilarDays:
    """Parameters; the defaults are PJM's Match Day (3-day average).

    Attributes
    ----------
    days
        How many of the most similar days are averaged.
    lookback_days
        How far back they may lie.
    compare
        Half-open span of half hours relative to the event's first one over which days are
        compared; None compares all of the day outside the event.
    guard_slots
        Half hours on either side of the event that are not compared.
    floor_kwh
        No baseline value is under it.
    """

    days: int = 3
    lookback_days: int = 60
    compare: tuple[int, int] | None = None
    guard_slots: int = 2
    floor_kwh: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse parameters that name no method."""
        if not 1 <= self.lookback_days <= LOOKBACK_MAX_DAYS:
            raise Refused(field="lookback_days", value=self.lookback_days, rule="1 to 366 days")
        if not 1 <= self.days <= self.lookback_days:
            raise Refused(field="days", value=self.days, rule="1 to the look-back")
        if not 0 <= self.guard_slots < INTERVAL_COUNT:
            raise Refused(field="guard_slots", value=self.guard_slots, rule="0 to 47")
        if self.compare is not None and not (
            -INTERVAL_COUNT <= self.compare[0] < self.compare[1] <= 0
        ):
            raise Refused(field="compare", value=self.compare, rule="lies within the day before")


def baseline_similar_days(
    load_kwh: Mapping[date, Day],
    *,
    day: date,
    event: Collection[int],
    called_on: Collection[date] = (),
    holidays: Collection[date] = (),
    rules: SimilarDays | None = None,
) -> Baseline:
    r"""Average the earlier days of the same type whose load outside the event is most alike.

    The distance of a candidate :math:`d` is
    :math:`\sum_{k\in C}(L_{D,k}-L_{d,k})^2` over the compared half hours :math:`C`; of equal
    distances the later day is the more similar. Days the resource was called on, and days without
    a value in :math:`C` or the event, are no candidates.

    Parameters
    ----------
    load_kwh, day, event, called_on, holidays
        As of :func:`aggregator.core.baselines.baseline_x_of_y`.
    rules
        Parameters; PJM's Match Day if left out.

    Raises
    ------
    BaselineNotComputable
        If the day's own half hours to compare are not metered, or there are too few candidates.
    Refused
        If the event is empty or lies outside the day, or leaves nothing to compare.

    References
    ----------
    .. [1] PJM Manual 11, Match Day (3-day average): the three non-event days most similar in the
       non-event hours; the hour before and after the event is excluded.
    """
    rules = rules or SimilarDays()
    slots = slots_of(event)
    compared = _compared(slots, rules)
    if not compared:
        raise Refused(field="event", value=slots, rule="leaves half hours to compare days by")
    if not is_metered(load_kwh, day, compared):
        raise BaselineNotComputable(
            field="compare", value=day, rule="the half hours to compare by are metered"
        )
    like_day = is_holiday(day, holidays)
    called = set(called_on)
    candidates = [
        earlier
        for earlier in (day - timedelta(days=n) for n in range(1, rules.lookback_days + 1))
        if earlier not in called
        and is_holiday(earlier, holidays) == like_day
        and is_metered(load_kwh, earlier, slots)
        and is_metered(load_kwh, earlier, compared)
    ]
    if len(candidates) < rules.days:
        raise BaselineNotComputable(
            field="load_kwh", value=len(candidates), rule=f"at least {rules.days} similar days"
        )
    with localcontext(MEAN_CONTEXT):
        distance = {d: _distance(load_kwh, day, d, compared) for d in candidates}
        kept = sorted(candidates, key=lambda d: (distance[d], -d.toordinal()))[: rules.days]
        return baseline_of_days(
            load_kwh,
            sorted(kept, reverse=True),
            floor_kwh=rules.floor_kwh,
        )


def _compared(slots: Sequence[int], rules: SimilarDays) -> list[int]:
    busy = {
        slot + shift for slot in slots for shift in range(-rules.guard_slots, rules.guard_slots + 1)
    }
    span = (
        range(INTERVAL_COUNT)
        if rules.compare is None
        else range(slots[0] + rules.compare[0], slots[0] + rules.compare[1])
    )
    return [slot for slot in span if slot not in busy]


def _distance(
    load_kwh: Mapping[date, Day], day: date, other: date, compared: Sequence[int]
) -> Decimal:
    pairs = ((value_kwh(load_kwh, day, k), value_kwh(load_kwh, other, k)) for k in compared)
    return sum(((a - b) ** 2 for a, b in pairs if a is not None and b is not None), Decimal(0))
