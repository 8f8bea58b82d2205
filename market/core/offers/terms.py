"""What every bid form is read and composed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from market.core.reading import Reader

# scipy comes with the first rows: what only reads bids starts without it
if TYPE_CHECKING:
    import scipy.sparse as sp

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

COMMON_OPTIONAL: Final = ("mechanism", "owner")
"""What every bid may say beside its form's own entries."""


@dataclass(frozen=True)
class Terms:
    """What a bid may refer to: the grid of time, and by id what stands beside it."""

    interval_count: int
    interval_h: float
    resources: Mapping[str, dict[str, Any]]
    paths: Mapping[str, dict[str, Any]]
    places: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    products: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    compute_offers: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Canonical compute offers by bid id; filled when tables are built, not when bids are read."""

    def window(self, entry: Mapping[str, Reader]) -> dict[str, int]:
        """Read ``first_t`` and ``last_t``, both inclusive and within the horizon."""
        last = self.interval_count - 1
        first_t = entry["first_t"].integer(low=0, high=last)
        return {"first_t": first_t, "last_t": entry["last_t"].integer(low=first_t, high=last)}

    def head(self, entry: Mapping[str, Reader], form: str) -> dict[str, Any]:
        """Read what bids of all forms have in common; entries left out or null stay out."""
        head: dict[str, Any] = {"id": entry["id"].text(), "form": form}
        if "resource" in entry:
            head["resource"] = entry["resource"].reference(self.resources, "resource")
        for name in COMMON_OPTIONAL:
            if name in entry and entry[name].value is not None:
                head[name] = entry[name].text()
        return head


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What some columns do to resources, as it is awarded; all arrays (k,), one entry per use.

    Parameters
    ----------
    name, direction
        Under which it is published; UP is more supply or less load.
    column, resource, t
        Column, resource and half hour of each entry.
    kw_per_unit
        kW at the receiving end per unit of the column, at least 0.
    is_energy
        Whether it moves energy, which changes injections. Reserved capacity does not. Either way
        it counts against the resource's limit of that direction.
    """

    name: str
    direction: str
    column: IntArray
    resource: IntArray
    t: IntArray
    kw_per_unit: FloatArray
    is_energy: bool = True


@dataclass(frozen=True, kw_only=True)
class Use:
    """What columns use of something shared: traffic of a path, computing of a site; (k,) each."""

    row: IntArray
    """Number of the shared thing times T plus the half hour."""
    column: IntArray
    amount: FloatArray
    """Per unit of the column."""


NO_USE: Final = Use(
    row=np.zeros(0, dtype=np.int64), column=np.zeros(0, dtype=np.int64), amount=np.zeros(0)
)


@dataclass(frozen=True, kw_only=True)
class Own:
    """A family of rows that belongs to a bid form.

    Parameters
    ----------
    matrix, rhs
        ``matrix @ x == rhs`` or ``<= rhs``, (m, n) and (m,).
    is_equal
        Which of the two.
    bid
        Bid of each row, (m,); empty for rows that bind several bids together.
    keys
        Name of each row of such a family, (m,); empty otherwise.
    """

    matrix: sp.csr_array
    rhs: FloatArray
    is_equal: bool
    bid: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    keys: tuple[str, ...] = ()

    @property
    def is_joint(self) -> bool:
        """Return whether its rows bind several bids together."""
        return bool(self.keys)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of one bid form and what they do; n columns, the same shape for all forms.

    Parameters
    ----------
    ids
        Bids of the form, in the order of its table.
    families
        Columns by name, consecutive slices that cover all of them; within a family the columns of
        a bid are consecutive too.
    bid
        Bid of each column, (n,).
    lower_kw, upper_kw
        Bounds, finite, (n,). [kW, or kWh for stored energy]
    cost_jpy
        Cost of one unit as bid, (n,); tariffs of paths not included. [JPY/kW or JPY/kWh]
    legs
        What is sold of which resource.
    traffic_gb
        Use of paths: row = path·T + t. [GB per unit]
    compute_kw
        Computing: row = compute offer·T + t; positive where it runs, negative where it is
        provided. [kW-IT per unit]
    own
        Own rows by name.
    binary
        Columns that are 0 or 1.
    exclusive
        Pairs of columns of which at most one may be positive, (k, 2). The clearing relaxes this
        rule first and adds a binary only where a solution breaks it.
    is_shared
        Columns over which ties at the margin are shared pro rata, (n,).
    """

    ids: tuple[str, ...]
    families: Mapping[str, slice]
    bid: IntArray
    lower_kw: FloatArray
    upper_kw: FloatArray
    cost_jpy: FloatArray
    is_shared: BoolArray
    legs: tuple[Leg, ...] = ()
    traffic_gb: Use = NO_USE
    compute_kw: Use = NO_USE
    own: Mapping[str, Own] = field(default_factory=dict)
    binary: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    exclusive: IntArray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    @property
    def count(self) -> int:
        """Return the number of columns."""
        return len(self.cost_jpy)


def family_slices(**lengths: int) -> dict[str, slice]:
    """Return consecutive slices of the given lengths, by name."""
    slices, start = {}, 0
    for name, length in lengths.items():
        slices[name] = slice(start, start + length)
        start += length
    return slices


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
    import scipy.sparse as sp

    if not terms:
        return sp.csr_array(shape)
    row, column, coefficient = (np.concatenate(part) for part in zip(*terms, strict=True))
    return sp.csr_array((coefficient, (row, column)), shape=shape)


@dataclass(frozen=True)
class Numbers:
    """Row numbers by id of what bids refer to, and the terms they were read with."""

    terms: Terms
    resources: Mapping[str, int]
    paths: Mapping[str, int]
    places: Mapping[str, int]
    products: Mapping[str, int]
