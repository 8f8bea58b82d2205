"""Baselines of all resources of one method at once, in whole Wh.

The functions of one resource (:mod:`aggregator.core.baselines` and the modules beside it) say what
a baseline is; a property test holds the two equal to the Wh. What is not answered here is left
to them: days that do not suffice, with their reason, and numbers that integers of 64 bits would
not hold.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aggregator.core.baseline_variants import Method, Variant
from aggregator.core.baselines import INTERVAL_COUNT, Rank, XOfY, is_holiday
from aggregator.core.baselines_sameday import BeforeAndAfter, blocks_of
from aggregator.core.baselines_similar import SimilarDays
from aggregator.core.loads import UNITS_PER_KWH, Bools, Ints, Loads

EXACT_BELOW: Final = 2**62
NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Resources whose baseline of one day is asked for.

    Attributes
    ----------
    rows
        Where they lie in the loads, shape (R,).
    event
        Half hours in which something was ordered, shape (R, 48).
    called
        Whether something was ordered on the days before, latest first; shape (R, L).
    busy
        Half hours called on the day before, the day and the day after, shape (R, 144); None where
        there are none beside the event.
    holidays
        National holidays among the days concerned.
    """

    day: date
    rows: Ints
    event: Bools
    called: Bools
    busy: Bools | None = None
    holidays: Collection[date] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """Baselines; only where `is_found` do the other fields mean anything.

    Attributes
    ----------
    values_wh
        Shape (R, 48).
    adjustment_wh
        Already in them; shape (R,).
    days_back
        The days used, latest first, counted back from the day itself; shape (R, K).
    """

    is_found: Bools
    values_wh: Ints
    adjustment_wh: Ints
    days_back: Ints


def baselines_in_bulk(variant: Variant, loads: Loads, asked: Asked) -> Found:
    """Compute what can be computed at once; see :class:`Found`.

    Parameters
    ----------
    variant
        A method that stands on half-hourly readings, or on none.
    loads
        From a day before the variant's look-back on; days they do not hold count as not metered.
    """
    rules = variant.rules
    if isinstance(rules, XOfY):
        return _x_of_y(rules, loads, asked)
    if isinstance(rules, SimilarDays):
        return _similar(rules, loads, asked)
    if isinstance(rules, BeforeAndAfter):
        return _beside(rules, loads, asked)
    nothing = _nothing(len(asked.rows))
    if variant.method == Method.METER_ONLY:
        return Found(
            is_found=np.ones(len(asked.rows), dtype=np.bool_),
            values_wh=nothing.values_wh,
            adjustment_wh=nothing.adjustment_wh,
            days_back=nothing.days_back,
        )
    return nothing


def _nothing(count: int) -> Found:
    return Found(
        is_found=np.zeros(count, dtype=np.bool_),
        values_wh=np.zeros((count, INTERVAL_COUNT), dtype=np.int64),
        adjustment_wh=np.zeros(count, dtype=np.int64),
        days_back=np.zeros((count, 0), dtype=np.int64),
    )


def _x_of_y(rules: XOfY, loads: Loads, asked: Asked) -> Found:
    count = len(asked.rows)
    is_free = is_holiday(asked.day, asked.holidays)
    days, keep = (
        (rules.holiday_days, rules.holiday_keep)
        if is_free
        else (rules.weekday_days, rules.weekday_keep)
    )
    width = 0 if rules.window is None else rules.window[1] - rules.window[0]
    floor_wh = Fraction(rules.floor_kwh) * UNITS_PER_KWH
    low = Fraction(rules.low_day_ratio)
    cap = None if rules.cap_ratio is None else Fraction(rules.cap_ratio)
    scale = keep * max(width, 1) * (cap.denominator if cap else 1)
    largest = loads.highest_wh * max(
        4 * keep * scale, INTERVAL_COUNT * days * max(low.numerator, low.denominator)
    )
    at = loads.offset(asked.day)
    reach = rules.reach_days
    if floor_wh.denominator != 1 or largest >= EXACT_BELOW or at <= reach:
        return _nothing(count)
    called = asked.called[:, :reach]
    like = np.array(_like(asked, reach, is_free=is_free), dtype=np.bool_)
    sums_wh, is_metered = _events(loads, asked, at, reach)
    window_wh, is_seen = _windows(loads, asked, at, reach, rules.window)
    usable = _unfrozen(like, called, rules, days) & is_metered & is_seen[:, 1:]
    kept = _kept(usable, called, sums_wh, (days, keep), low, rules.rank)
    is_found = (kept.sum(axis=1) == keep) & is_seen[:, 0]
    if not is_found.any():
        return _nothing(count)
    back = np.argsort(~kept, axis=1, kind="stable")[:, :keep]
    # adjustment = (K ΣL_D − ΣΣL_d) / (K W), as one fraction of whole numbers
    usual_wh = np.take_along_axis(window_wh[:, 1:], back, axis=1).sum(axis=1)
    over = keep * max(width, 1)
    adjustment = window_wh[:, 0] * keep - usual_wh
    if cap is not None:
        most = cap.numerator * np.abs(usual_wh)
        adjustment = np.clip(adjustment * cap.denominator, -most, most)
        over *= cap.denominator
    values_wh = _means(loads, asked.rows, at - 1 - back, (adjustment, over), int(floor_wh))
    return Found(
        is_found=is_found,
        values_wh=values_wh,
        adjustment_wh=rounded(adjustment, np.full(count, over, dtype=np.int64)),
        days_back=back + 1,
    )


def _like(asked: Asked, reach: int, *, is_free: bool) -> list[bool]:
    """Whether each day before is of the day's type, latest first."""
    days = (asked.day - timedelta(days=n) for n in range(1, reach + 1))
    return [is_holiday(day, asked.holidays) == is_free for day in days]


def _events(loads: Loads, asked: Asked, at: int, reach: int) -> tuple[Ints, Bools]:
    """Sum each earlier day over the event, latest day first, and whether all of it is metered."""
    span = slice(at - reach, at)
    values = loads.values_wh[asked.rows, span][:, ::-1]
    known = loads.known[asked.rows, span][:, ::-1]
    sums_wh = np.einsum("rdt,rt->rd", values, asked.event.astype(np.int64))
    missing = np.einsum("rdt,rt->rd", ~known, asked.event)
    return sums_wh, ~missing


def _windows(
    loads: Loads, asked: Asked, at: int, reach: int, window: tuple[int, int] | None
) -> tuple[Ints, Bools]:
    """Sum the window before the event's first half hour on the day itself and each before it."""
    count = len(asked.rows)
    if window is None:
        shape = (count, reach + 1)
        return np.zeros(shape, dtype=np.int64), np.ones(shape, dtype=np.bool_)
    first = asked.event.argmax(axis=1)[:, None]
    starts = (at - np.arange(reach + 1))[None, :] * INTERVAL_COUNT + first
    rows = asked.rows[:, None]
    sums_wh = loads.sums_wh[rows, starts + window[1]] - loads.sums_wh[rows, starts + window[0]]
    known = loads.counts[rows, starts + window[1]] - loads.counts[rows, starts + window[0]]
    return sums_wh, known == window[1] - window[0]


def _unfrozen(like: Bools, called: Bools, rules: XOfY, days: int) -> Bools:
    """Return days of the type in reach; of a frozen series' neighbours none."""
    near = np.broadcast_to(like & (np.arange(len(like)) < rules.lookback_days), called.shape)
    if rules.frozen_days is None:
        return near
    first = like & (np.cumsum(like) <= rules.frozen_days)
    is_frozen = np.asarray((called | ~first).all(axis=1), dtype=np.bool_)
    free = like & ~called
    chosen = free & (np.cumsum(free, axis=1) <= days)
    return np.where(is_frozen[:, None], like & ~chosen, near)


def _kept(
    usable: Bools,
    called: Bools,
    sums_wh: Ints,
    sizes: tuple[int, int],
    low: Fraction,
    rank: Rank,
) -> Bools:
    """Choose the days a baseline stands on; rows with fewer than X have too few."""
    days, keep = sizes
    free = usable & ~called
    while True:
        chosen = free & (np.cumsum(free, axis=1) <= days)
        total = np.where(chosen, sums_wh, 0).sum(axis=1, keepdims=True)
        mine = sums_wh * chosen.sum(axis=1, keepdims=True)
        way = np.where(total < 0, -1, 1)
        is_low = chosen & (way * mine * low.denominator < low.numerator * np.abs(total))
        if not is_low.any():
            break
        free &= ~is_low
    missing = keep - chosen.sum(axis=1, keepdims=True)
    if (missing > 0).any():
        # called days come back, those with most load first; of equals the later
        chosen = chosen | (_ranked(-sums_wh, usable & called) < missing)
    counts = chosen.sum(axis=1, keepdims=True)
    first = np.maximum(counts - keep, 0) // 2 if rank == Rank.MIDDLE else 0
    order = _ranked(sums_wh if rank == Rank.LOW else -sums_wh, chosen)
    return chosen & (order >= first) & (order < first + keep)


def _ranked(keys: Ints, among: Bools) -> Ints:
    """Return each day's place by its key; of equals the later day first, others at the end."""
    order = np.argsort(np.where(among, keys, NEVER), axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None, :], axis=1)
    return np.where(among, places, order.shape[1])


def _means(
    loads: Loads, rows: Ints, days: Ints, adjustment: tuple[Ints, int], floor_wh: int
) -> Ints:
    """Average days half hour by half hour over those that metered it, and add the adjustment."""
    sums_wh = loads.values_wh[rows[:, None], days].sum(axis=1)
    counts = loads.known[rows[:, None], days].sum(axis=1)
    numerator, denominator = adjustment
    counted = np.maximum(counts, 1)
    values = rounded(sums_wh * denominator + counted * numerator[:, None], counted * denominator)
    return np.where(counts > 0, np.maximum(values, floor_wh), floor_wh)


def rounded(numerator: Ints, denominator: Ints) -> Ints:
    """Return the nearest whole numbers to fractions, halves to even; denominators above 0."""
    whole, rest = np.divmod(numerator, denominator)
    double = 2 * rest
    up = (double > denominator) | ((double == denominator) & (whole % 2 == 1))
    return np.asarray(whole + up, dtype=np.int64)


def _similar(rules: SimilarDays, loads: Loads, asked: Asked) -> Found:
    count = len(asked.rows)
    at, reach = loads.offset(asked.day), rules.lookback_days
    floor_wh = Fraction(rules.floor_kwh) * UNITS_PER_KWH
    largest = 8 * INTERVAL_COUNT * loads.highest_wh**2
    if floor_wh.denominator != 1 or largest >= EXACT_BELOW or at <= reach:
        return _nothing(count)
    compared = _compared(asked.event, rules)
    like = _like(asked, reach, is_free=is_holiday(asked.day, asked.holidays))
    _, is_metered = _events(loads, asked, at, reach)
    distance = np.empty((count, reach), dtype=np.int64)
    alike = np.empty((count, reach), dtype=np.bool_)
    own, own_known = _two_days(loads, asked.rows, at)
    for n in range(reach):
        other, known = _two_days(loads, asked.rows, at - 1 - n)
        distance[:, n] = np.square(np.where(compared, own - other, 0)).sum(axis=1)
        alike[:, n] = (known | ~compared).all(axis=1)
    candidates = np.array(like, dtype=np.bool_) & ~asked.called[:, :reach] & is_metered & alike
    is_found = (
        compared.any(axis=1)
        & (own_known | ~compared).all(axis=1)
        & (candidates.sum(axis=1) >= rules.days)
    )
    if not is_found.any():
        return _nothing(count)
    kept = _ranked(distance, candidates) < rules.days
    back = np.argsort(~kept, axis=1, kind="stable")[:, : rules.days]
    nothing = np.zeros(count, dtype=np.int64)
    return Found(
        is_found=is_found,
        values_wh=_means(loads, asked.rows, at - 1 - back, (nothing, 1), int(floor_wh)),
        adjustment_wh=nothing,
        days_back=back + 1,
    )


def _two_days(loads: Loads, rows: Ints, at: int) -> tuple[Ints, Bools]:
    """Return a day with the one before it, shape (R, 96)."""
    shape = (len(rows), 2 * INTERVAL_COUNT)
    span = slice(at - 1, at + 1)
    return loads.values_wh[rows, span].reshape(shape), loads.known[rows, span].reshape(shape)


def _compared(event: Bools, rules: SimilarDays) -> Bools:
    """Return which half hours of the day before and of the day are compared, shape (R, 96)."""
    busy = np.zeros((len(event), 2 * INTERVAL_COUNT), dtype=np.bool_)
    for shift in range(-rules.guard_slots, rules.guard_slots + 1):
        low, high = max(shift, -INTERVAL_COUNT), min(shift, 0)
        busy[:, INTERVAL_COUNT + low : 2 * INTERVAL_COUNT + high] |= event[
            :, : INTERVAL_COUNT - max(shift, 0)
        ]
    slots = np.arange(-INTERVAL_COUNT, INTERVAL_COUNT)[None, :]
    if rules.compare is None:
        return np.asarray((slots >= 0) & ~busy, dtype=np.bool_)
    first = event.argmax(axis=1)[:, None]
    is_near = (slots >= first + rules.compare[0]) & (slots < first + rules.compare[1])
    return np.asarray(is_near & ~busy, dtype=np.bool_)


def _beside(rules: BeforeAndAfter, loads: Loads, asked: Asked) -> Found:
    floor_wh = Fraction(rules.floor_kwh) * UNITS_PER_KWH
    largest = loads.highest_wh * 4 * INTERVAL_COUNT
    found = _nothing(len(asked.rows))
    if floor_wh.denominator != 1 or largest >= EXACT_BELOW:
        return found
    found.is_found[:] = True
    found.values_wh[:] = int(floor_wh)
    busy = np.zeros((len(asked.rows), 3 * INTERVAL_COUNT), dtype=np.bool_)
    if asked.busy is not None:
        busy |= asked.busy
    events, pattern = np.unique(np.hstack((asked.event, busy)), axis=0, return_inverse=True)
    for n, event in enumerate(events):
        mine = np.flatnonzero(pattern.ravel() == n)
        slots = np.flatnonzero(event[:INTERVAL_COUNT]).tolist()
        called = {*slots, *(np.flatnonzero(event[INTERVAL_COUNT:]) - INTERVAL_COUNT).tolist()}
        for block in blocks_of(slots):
            window = [slot for slot in rules.slots_beside(block) if slot not in called]
            sums_wh, is_metered = _at(loads, asked.rows[mine], asked.day, window)
            found.is_found[mine] &= is_metered
            means = rounded(sums_wh, np.full(len(mine), max(1, len(window)), dtype=np.int64))
            found.values_wh[np.ix_(mine, np.array(block))] = np.maximum(means, int(floor_wh))[
                :, None
            ]
    return found


def _at(
    loads: Loads, rows: Ints, day: date, slots: Sequence[int]
) -> tuple[Ints, NDArray[np.bool_]]:
    """Sum half hours counted from the day's midnight, and whether all of them are metered."""
    midnight = loads.offset(day) * INTERVAL_COUNT
    total = loads.values_wh.shape[1] * INTERVAL_COUNT
    at = [midnight + slot for slot in slots]
    if not at or min(at) < 0 or max(at) >= total:
        return np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.bool_)
    shape = (loads.values_wh.shape[0], total)
    where = np.ix_(rows, np.array(at))
    return (
        loads.values_wh.reshape(shape)[where].sum(axis=1),
        np.asarray(loads.known.reshape(shape)[where].all(axis=1), dtype=np.bool_),
    )
