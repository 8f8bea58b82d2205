"""Searches over half hours, for all bids of a form together: the best partner, the best run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from market.core.offers.terms import BoolArray, FloatArray, IntArray, ramp

NONE: Final = -1
"""Where there is no half hour, or none is needed."""


@dataclass(frozen=True)
class Partners:
    """The best other half hour of each: what it costs per unit, when, and how much; (B, T).

    `t` is −1 where none is needed; the cost is infinite where none is possible.
    """

    cost: FloatArray
    t: IntArray
    ratio: FloatArray

    def or_else(self, other: Partners) -> Partners:
        """Return the cheaper of two."""
        is_less = other.cost < self.cost
        return Partners(
            np.where(is_less, other.cost, self.cost),
            np.where(is_less, other.t, self.t),
            np.where(is_less, other.ratio, self.ratio),
        )


def bought_before(price: FloatArray, keep: FloatArray) -> Partners:
    """Return the cheapest earlier purchase of one unit held at the start of each half hour.

    `price` is that of a unit put in store, infinite where it cannot be, (B, T); of a unit held,
    `keep` is left a half hour later, (B,).
    """
    bids, count = price.shape
    found = Partners(
        np.full(price.shape, np.inf), np.full(price.shape, NONE), np.zeros(price.shape)
    )
    cost, when, units = np.full(bids, np.inf), np.full(bids, NONE), np.zeros(bids)
    for t in range(count):
        found.cost[:, t], found.t[:, t], found.ratio[:, t] = cost, when, units
        is_less = price[:, t] < cost
        cost = np.where(is_less, price[:, t], cost) / keep
        when = np.where(is_less, t, when)
        units = np.where(is_less, 1.0, units) / keep
    return found


def bought_after(
    price: FloatArray, keep: FloatArray, may_wait: BoolArray, is_free: BoolArray
) -> Partners:
    """Return the cheapest later purchase of one unit missing at the end of each half hour.

    Parameters
    ----------
    price, keep
        As for :func:`bought_before`: of a unit missing, `keep` is missing a half hour later.
    may_wait
        Whether it may be missing at the end of a half hour, (B, T).
    is_free
        Whether it need not be bought from then on, (B, T).
    """
    bids, count = price.shape
    found = Partners(
        np.full(price.shape, np.inf), np.full(price.shape, NONE), np.zeros(price.shape)
    )
    cost, when, units = np.full(bids, np.inf), np.full(bids, NONE), np.zeros(bids)
    for t in range(count - 1, -1, -1):
        free = is_free[:, t]
        cost = np.where(may_wait[:, t], np.where(free, 0.0, cost), np.inf)
        when, units = np.where(free, NONE, when), np.where(free, 0.0, units)
        found.cost[:, t], found.t[:, t], found.ratio[:, t] = cost, when, units
        is_less = price[:, t] < cost
        cost = keep * np.where(is_less, price[:, t], cost)
        when = np.where(is_less, t, when)
        units = keep * np.where(is_less, 1.0, units)
    return found


@dataclass(frozen=True)
class Runs:
    """The best run of consecutive half hours of each row: gain per kWh, start, length; (R,)."""

    gain_jpy: FloatArray
    start: IntArray
    length: IntArray


def best_runs(
    energy_kwh: FloatArray,
    gain_jpy: FloatArray,
    is_there: BoolArray,
    fixed_jpy: FloatArray,
    least_count: IntArray,
) -> Runs:
    """Return the best run of each row.

    Parameters
    ----------
    energy_kwh, gain_jpy
        What is sold in each half hour, and what a kWh of it gains, (R, T).
    is_there
        Whether it can be sold at all, (R, T).
    fixed_jpy
        What a run costs beside, by the half hour it starts in, (R, T).
    least_count
        Half hours a run must have at least, (R,).
    """
    rows, count = energy_kwh.shape
    zero = np.zeros((rows, 1))
    energy, worth, there = (
        np.concatenate([zero, np.cumsum(part, axis=1)], axis=1)
        for part in (energy_kwh, np.where(is_there, energy_kwh * gain_jpy, 0.0), is_there)
    )
    found = Runs(np.full(rows, -np.inf), np.full(rows, NONE), np.zeros(rows, dtype=np.int64))
    for length in range(1, int(is_there.sum(axis=1).max(initial=0)) + 1):
        kwh = energy[:, length:] - energy[:, :-length]
        jpy = worth[:, length:] - worth[:, :-length] - fixed_jpy[:, : count - length + 1]
        is_whole = there[:, length:] - there[:, :-length] > length - 0.5
        fits = is_whole & (kwh > 0) & (least_count <= length)[:, None]
        mean = np.where(fits, jpy / np.where(fits, kwh, 1.0), -np.inf)
        start = mean.argmax(axis=1)
        gain = mean[np.arange(rows), start]
        is_more = gain > found.gain_jpy
        found = Runs(
            np.where(is_more, gain, found.gain_jpy),
            np.where(is_more, start, found.start),
            np.where(is_more, length, found.length),
        )
    return found


def run_intervals(runs: Runs, chosen: IntArray) -> tuple[IntArray, IntArray]:
    """Return, for chosen rows' runs, the number of the row and each half hour of it."""
    return ramp(runs.start[chosen], runs.start[chosen] + runs.length[chosen] - 1)
