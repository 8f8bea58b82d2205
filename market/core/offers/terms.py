"""What every bid form is read and composed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from market.core.reading import Reader

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Terms:
    """What a bid may refer to: the grid of time, resources and paths by id."""

    interval_count: int
    interval_h: float
    resources: Mapping[str, dict[str, Any]]
    paths: Mapping[str, dict[str, Any]]

    def window(self, entry: Mapping[str, Reader]) -> dict[str, int]:
        """Read ``first_t`` and ``last_t``, both inclusive and within the horizon."""
        last = self.interval_count - 1
        first_t = entry["first_t"].integer(low=0, high=last)
        return {"first_t": first_t, "last_t": entry["last_t"].integer(low=first_t, high=last)}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """A block of columns and what they do; the common shape of all bid forms.

    Parameters
    ----------
    lower_kw, upper_kw
        Bounds of each column, (n,). [kW, or kWh for stored energy]
    cost_jpy
        Cost of one unit of each column, (n,). [JPY/kW or JPY/kWh]
    injection
        Change of injection at the receiving end, positive UP, (P·T, n). [kW per unit]
    sold_up, sold_down
        What each column sells of its resource in each direction, (R·T, n). [kW per unit]
    carried_gb
        Traffic on each path, (K·T, n). [GB per unit]
    equal, equal_rhs
        Own equalities ``equal @ x == equal_rhs``, (m, n) and (m,).
    at_most, at_most_rhs
        Own inequalities ``at_most @ x <= at_most_rhs``, (k, n) and (k,).
    """

    lower_kw: FloatArray
    upper_kw: FloatArray
    cost_jpy: FloatArray
    injection: sp.csr_array
    sold_up: sp.csr_array
    sold_down: sp.csr_array
    carried_gb: sp.csr_array
    equal: sp.csr_array
    equal_rhs: FloatArray
    at_most: sp.csr_array
    at_most_rhs: FloatArray

    @property
    def count(self) -> int:
        """Return the number of columns."""
        return len(self.cost_jpy)


def frozen_floats(values: Iterable[Any]) -> FloatArray:
    """Return a read-only float64 array."""
    array = np.array(list(values), dtype=np.float64)
    array.setflags(write=False)
    return array


def frozen_ints(values: Iterable[Any]) -> IntArray:
    """Return a read-only int64 array."""
    array = np.array(list(values), dtype=np.int64)
    array.setflags(write=False)
    return array


def frozen_series(rows: Iterable[Any], interval_count: int) -> FloatArray:
    """Return a read-only float64 array (rows, T); (0, T) when there are no rows."""
    array = np.array(list(rows), dtype=np.float64).reshape(-1, interval_count)
    array.setflags(write=False)
    return array


def ramp(first: IntArray, last: IntArray) -> tuple[IntArray, IntArray]:
    """Return, for windows first…last, the window's number and the interval of each pair."""
    length = last - first + 1
    window = np.repeat(np.arange(len(first)), length)
    start = np.cumsum(length) - length
    return window, np.arange(int(length.sum())) - start[window] + first[window]


def incidence(
    shape: tuple[int, int], *terms: tuple[IntArray, IntArray, FloatArray]
) -> sp.csr_array:
    """Return a sparse matrix from (row, column, coefficient) triples; equal places add up."""
    if not terms:
        return sp.csr_array(shape)
    row, column, coefficient = (np.concatenate(part) for part in zip(*terms, strict=True))
    return sp.csr_array((coefficient, (row, column)), shape=shape)
