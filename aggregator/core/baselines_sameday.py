"""Baselines out of the event's own day: before it, before and after it, just before the call."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from itertools import pairwise

from accounts.core.errors import Refused
from aggregator.core.baselines import (
    INTERVAL_COUNT,
    MEAN_CONTEXT,
    QUANTUM_KWH,
    Baseline,
    BaselineNotComputable,
    Day,
    is_metered,
    slots_of,
    sum_kwh,
)

HALF_HOUR_MIN = 30
WINDOW_MAX_SLOTS = INTERVAL_COUNT
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class BeforeAndAfter:
    """Windows beside the event; the defaults are 事前計測: the hour just before it.

    Attributes
    ----------
    before
        Half-open span of half hours relative to the event's first one; (−2, 0) is the hour
        before it.
    after
        The same relative to the event's end; None looks only before (事前計測), (0, 2) is the
        hour after it (事前・事後計測). PJM's Same Day (3+2) is (−8, −2) and (2, 6).
    floor_kwh
        The baseline is not under it.
    """

    before: tuple[int, int] = (-2, 0)
    after: tuple[int, int] | None = None
    floor_kwh: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse windows that are empty, touch the event or leave the days beside it."""
        if not -WINDOW_MAX_SLOTS <= self.before[0] < self.before[1] <= 0:
            raise Refused(field="before", value=self.before, rule="lies before the event")
        if self.after is not None and not (0 <= self.after[0] < self.after[1] <= WINDOW_MAX_SLOTS):
            raise Refused(field="after", value=self.after, rule="lies after the event")

    def slots_beside(self, block: Sequence[int]) -> list[int]:
        """Return the half hours of the windows of one block, counted from the day's midnight."""
        spans = [range(block[0] + self.before[0], block[0] + self.before[1])]
        if self.after is not None:
            spans.append(range(block[-1] + 1 + self.after[0], block[-1] + 1 + self.after[1]))
        return [slot for span in spans for slot in span]


@dataclass(frozen=True, kw_only=True)
class JustBefore:
    """直前計測: the mean of the last minutes before the call, held flat over the event."""

    minutes: int = 5
    floor_kwh: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse a span that is no whole number of minutes up to a day."""
        if not 1 <= self.minutes <= 24 * 60:
            raise Refused(field="minutes", value=self.minutes, rule="1 minute to a day")


@dataclass(frozen=True, kw_only=True)
class FineValue:
    """Metered energy of one short interval [kWh]; None where the meter said nothing usable.

    `stage` tells how final it is, higher being later; a baseline takes it as it is.
    """

    start_at: datetime
    interval_min: int
    energy_kwh: Decimal | None
    stage: int = 0

    @property
    def end_at(self) -> datetime:
        """When the interval ends."""
        return self.start_at + timedelta(minutes=self.interval_min)


def baseline_before_and_after(
    load_kwh: Mapping[date, Day],
    *,
    day: date,
    event: Collection[int],
    called: Collection[int] = (),
    rules: BeforeAndAfter | None = None,
) -> Baseline:
    """Hold the mean of the half hours beside each block of the event flat over that block.

    Half hours that follow one another are one block, with windows of its own. A half hour in a
    window that was itself called says nothing about the usual load and is left out, together
    with nothing else: the mean is of those that remain.

    Parameters
    ----------
    load_kwh
        Day to 48 half-hourly values [kWh], positive = flow to the customer.
    day, event
        The day and its half hours t for which something was ordered.
    called
        Half hours in which the resource was called for anything, counted from the day's midnight,
        so that those of the evening before are negative; the event is always among them.
    rules
        Windows; the hour before the event if left out.

    Returns
    -------
    Baseline
        48 values [kWh]; outside the event the floor, which no order is measured against.

    Raises
    ------
    BaselineNotComputable
        If a value of a window is missing, or every half hour of a window was called.
    Refused
        If the event is empty or lies outside the day.

    References
    ----------
    .. [1] PJM Manual 11, Same Day (3 + 2): three hours before the event after skipping one, two
       hours after it after skipping one.
    """
    rules = rules or BeforeAndAfter()
    slots = slots_of(event)
    busy = {*slots, *called}
    values = [rules.floor_kwh] * INTERVAL_COUNT
    with localcontext(MEAN_CONTEXT):
        for block in blocks_of(slots):
            window = [slot for slot in rules.slots_beside(block) if slot not in busy]
            if not window or not is_metered(load_kwh, day, window):
                raise BaselineNotComputable(
                    field="window", value=day, rule="the half hours beside the event are metered"
                )
            mean_kwh = sum_kwh(load_kwh, day, window) / len(window)
            for t in block:
                values[t] = max(rules.floor_kwh, mean_kwh)
    return _flat(values)


def baseline_just_before(
    fine: Sequence[FineValue],
    *,
    event: Collection[int],
    instructed_at: Mapping[int, datetime],
    rules: JustBefore | None = None,
) -> Baseline:
    """Hold the mean power of the last minutes before each instruction flat over its half hours.

    Those are the latest intervals of the meter that had ended when the instruction was sent, as
    many as make up `minutes`; one that was running is left out rather than cut, and all must be
    there.

    Parameters
    ----------
    fine
        Readings of one resource, all of one interval (1, 5 or 30 minutes), one per start.
    event
        Half hours t of the day for which something was ordered.
    instructed_at
        Half hour to the time at which its instruction was sent.
    rules
        The span; five minutes if left out.

    Returns
    -------
    Baseline
        48 values [kWh per half hour]; outside the event the floor.

    Raises
    ------
    BaselineNotComputable
        If a half hour has no instruction, or its span is not metered throughout.
    Refused
        If the event is empty or lies outside the day.
    """
    rules = rules or JustBefore()
    values = [rules.floor_kwh] * INTERVAL_COUNT
    with localcontext(MEAN_CONTEXT):
        for t in slots_of(event):
            moment = instructed_at.get(t)
            if moment is None:
                raise BaselineNotComputable(
                    field="instructed_at", value=t, rule="an instruction was sent for it"
                )
            mean_kw = _mean_before_kw(fine, moment, rules.minutes)
            values[t] = max(rules.floor_kwh, mean_kw * HALF_HOUR_MIN / 60)
    return _flat(values)


def _mean_before_kw(fine: Sequence[FineValue], moment: datetime, minutes: int) -> Decimal:
    interval_min = min((value.interval_min for value in fine), default=1)
    interval = timedelta(minutes=interval_min)
    count = -(-minutes // interval_min)
    last_at = moment - (moment - EPOCH) % interval
    values = {value.start_at: value.energy_kwh for value in fine}
    energy_kwh = [values.get(last_at - n * interval) for n in range(1, count + 1)]
    usable_kwh = [value for value in energy_kwh if value is not None]
    if len(usable_kwh) < count:
        raise BaselineNotComputable(
            field="fine", value=moment.isoformat(), rule=f"{minutes} minutes before it are metered"
        )
    return sum(usable_kwh, Decimal(0)) * 60 / (count * interval_min)


def blocks_of(slots: Sequence[int]) -> list[list[int]]:
    """Split sorted half hours where one is left out between two."""
    blocks = [[slots[0]]]
    for slot, following in pairwise(slots):
        if following == slot + 1:
            blocks[-1].append(following)
        else:
            blocks.append([following])
    return blocks


def _flat(values: Sequence[Decimal]) -> Baseline:
    return Baseline(
        baseline_kwh=tuple(value.quantize(QUANTUM_KWH, ROUND_HALF_EVEN) for value in values),
        adjustment_kwh=Decimal(0),
        days_used=(),
    )
