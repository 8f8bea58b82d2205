"""Readings of many resources and days side by side, as whole Wh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aggregator.core.baselines import INTERVAL_COUNT, Day

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
UNITS_PER_KWH = 1000


@dataclass(frozen=True, kw_only=True)
class Loads:
    """What the meters of R resources said over D days.

    Attributes
    ----------
    first_on
        The first of the days.
    values_wh
        Shape (R, D, 48), positive = flow to the customer; 0 where nothing usable was said.
    known
        Where something usable was said; shape (R, D, 48).
    stage, revision
        Of the reading that prevails, usable or not; 0 where there is none; shape (R, D, 48).
    """

    first_on: date
    values_wh: Ints
    known: Bools
    stage: NDArray[np.int8]
    revision: NDArray[np.int16]

    @cached_property
    def sums_wh(self) -> Ints:
        """Energy before each half hour, so that a span is a difference; shape (R, 48 D + 1)."""
        return _before(self.values_wh)

    @cached_property
    def counts(self) -> Ints:
        """Known half hours before each, likewise."""
        return _before(self.known)

    @cached_property
    def highest_wh(self) -> int:
        """The largest value either way."""
        return int(np.abs(self.values_wh).max(initial=0))

    def offset(self, day: date) -> int:
        """Return where a day lies on the axis of days."""
        return (day - self.first_on).days

    def days_kwh(self, resource: int, first: int, last: int) -> dict[date, Day]:
        """Return days of one resource as the pure methods read them; None where unknown."""
        return {
            self.first_on + timedelta(days=d): [
                kwh_of(wh) if is_known else None
                for wh, is_known in zip(
                    self.values_wh[resource, d].tolist(),
                    self.known[resource, d].tolist(),
                    strict=True,
                )
            ]
            for d in range(max(first, 0), min(last, self.values_wh.shape[1]))
        }


def kwh_of(wh: int) -> Decimal:
    """Return whole Wh as kWh, exactly."""
    return Decimal(wh).scaleb(-3)


def wh_of(kwh: Decimal) -> int:
    """Return kWh to the Wh as whole Wh."""
    return int(kwh.scaleb(3))


def events_of(slots: Sequence[Sequence[int]]) -> Bools:
    """Return the half hours of each resource as a mask, shape (R, 48)."""
    mask = np.zeros((len(slots), INTERVAL_COUNT), dtype=np.bool_)
    for row, of_resource in enumerate(slots):
        mask[row, list(of_resource)] = True
    return mask


def _before(values: NDArray[np.generic]) -> Ints:
    resources, days, slots = values.shape
    before = np.zeros((resources, days * slots + 1), dtype=np.int64)
    np.cumsum(values.reshape(resources, days * slots), axis=1, dtype=np.int64, out=before[:, 1:])
    return before
