"""What a bid may do, written down from its JSON alone: columns, own rows, and what they touch.

Each bid form has one function ``block(bid, market) -> Block`` in :mod:`market.core.audit.forms`.
It is the audit's own reading of the form and shares nothing with the model but the names of
column and row families, under which the result lists unrounded values and duals
(``raw.bids``). Everything else, from feasibility to weak duality, follows from the block
(:mod:`market.core.audit.book`).

A column's unit is the form's own choice (kW, kWh or a share of 1); rows have the unit their
coefficients give them. Nothing here knows a price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.core.audit.ledger import Array, by_id

IntArray = NDArray[np.int64]
UNSEEN_KWH: Final = 1e-3
"""One watt hour: a fiftieth of one tick of 0.1 kW over half an hour."""
EXACT: Final = 1e-9
"""What the certificate allows a relative residual to be."""


@dataclass(frozen=True)
class Market:
    """What a bid may refer to, by id, as the snapshot's canonical JSON has it."""

    snapshot: Mapping[str, Any]

    @cached_property
    def h(self) -> float:
        """Return the length of an interval in hours."""
        return float(self.snapshot["interval_h"])

    @cached_property
    def count(self) -> int:
        """Return the number of half hours."""
        return int(self.snapshot["interval_count"])

    @cached_property
    def places(self) -> dict[str, dict[str, Any]]:
        """Return places by id."""
        return by_id(self.snapshot["places"])

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Return resources by id."""
        return by_id(self.snapshot["resources"])

    @cached_property
    def paths(self) -> dict[str, dict[str, Any]]:
        """Return paths by id."""
        return by_id(self.snapshot["paths"])

    @cached_property
    def products(self) -> dict[str, dict[str, Any]]:
        """Return capacity products by id."""
        return by_id(self.snapshot.get("products", []))

    @cached_property
    def bids(self) -> dict[str, dict[str, Any]]:
        """Return all bids by id."""
        return by_id(self.snapshot["bids"])

    @cached_property
    def compute_offers(self) -> dict[str, dict[str, Any]]:
        """Return compute offers by bid id, in the order of their ids."""
        return {
            name: bid for name, bid in sorted(self.bids.items()) if bid["form"] == "COMPUTE_OFFER"
        }

    def sent_ratio(self, resource: str) -> float:
        """Return kW at the sending end per kW at the receiving end of a resource."""
        place = self.places[self.resources[resource]["place"]]
        return 1.0 / (1.0 - float(place["loss_ratio"]))


@dataclass(frozen=True, kw_only=True)
class Family:
    """Columns of one name; all arrays (n,). Build it with :func:`family`.

    Parameters
    ----------
    lower, upper
        Finite bounds.
    cost_jpy
        Cost of one unit, traffic not included. [JPY per unit]
    scale
        What a breach of the bounds is measured against, at least 1. [unit of the column]
    is_binary
        Whether each column must be 0 or 1.
    """

    lower: Array
    upper: Array
    cost_jpy: Array
    scale: Array
    is_binary: bool = False


def family(
    length: int,
    *,
    upper: ArrayLike,
    lower: ArrayLike = 0.0,
    cost_jpy: ArrayLike = 0.0,
    scale: ArrayLike | None = None,
    is_binary: bool = False,
) -> Family:
    """Return a family of `length` columns; a single number stands for all of them.

    Parameters
    ----------
    scale
        By default the larger bound.
    """
    low, high = _spread(lower, length), _spread(upper, length)
    return Family(
        lower=low,
        upper=high,
        cost_jpy=_spread(cost_jpy, length),
        scale=np.maximum(np.abs(low), np.abs(high)) if scale is None else _spread(scale, length),
        is_binary=is_binary,
    )


@dataclass(frozen=True, kw_only=True)
class Term:
    """Coefficients of one family of columns in a set of rows; (k,) each, places may repeat.

    `coefficient` may be one number for all.
    """

    family: str
    row: IntArray
    column: IntArray
    coefficient: Array | float


@dataclass(frozen=True, kw_only=True)
class RowSet:
    """Own rows of one name: Σ coefficient · column = rhs, or at most rhs; m rows.

    Parameters
    ----------
    is_equal
        Whether they are equalities.
    rhs
        Right-hand sides, (m,).
    terms
        The left-hand sides.
    scale
        What a residual is measured against, at least 1, (m,) or one number. [unit of the row]
    """

    is_equal: bool
    rhs: Array
    terms: tuple[Term, ...]
    scale: Array | float = 1.0


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What columns of a family sell of one resource; published as one award.

    Parameters
    ----------
    name, direction, resource
        As published; UP is more supply or less load.
    family, column, t
        Columns, (k,), and the half hour of each, (k,). They may repeat; entries add up.
    kw_per_unit
        kW at the receiving end per unit of the column, at least 0, (k,) or one number.
    product
        Of reserved capacity, the product; ``None`` where the leg moves energy.
    """

    name: str
    direction: str
    resource: str
    family: str
    column: IntArray
    t: IntArray
    kw_per_unit: Array | float = 1.0
    product: str | None = None


@dataclass(frozen=True, kw_only=True)
class Use:
    """What columns use of a path (GB) or of a compute offer (kW-IT).

    Parameters
    ----------
    where
        Id of the path, or of the bid that is the compute offer.
    family, column, t
        Columns, (k,), and the half hour of each, (k,).
    amount
        Per unit of the column, (k,) or one number. Of computing, positive where it runs and
        negative where it is provided.
    """

    where: str
    family: str
    column: IntArray
    t: IntArray
    amount: Array | float


@dataclass(frozen=True, kw_only=True)
class Block:
    """All a bid may do.

    Parameters
    ----------
    families
        Columns by name, in the order in which ``raw`` lists their values.
    rows
        Own rows by name.
    legs, traffic, compute
        What the columns do to resources, paths and compute offers.
    exclusive
        Pairs of families of equal length; at each position at most one of the two is above zero.
    """

    families: Mapping[str, Family]
    rows: Mapping[str, RowSet] = field(default_factory=dict)
    legs: tuple[Leg, ...] = ()
    traffic: tuple[Use, ...] = ()
    compute: tuple[Use, ...] = ()
    exclusive: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class JointTerm:
    """Coefficients of one bid's family in joint rows; (k,) each."""

    bid: str
    family: str
    row: IntArray
    column: IntArray
    coefficient: Array | float


@dataclass(frozen=True, kw_only=True)
class JointRows:
    """Rows that bind several bids together: Σ coefficient · column = rhs, or at most; m rows.

    Parameters
    ----------
    keys
        Name of each row, under which ``raw.joint`` lists its dual; distinct, (m,).
    is_equal, rhs, terms, scale
        As in :class:`RowSet`.
    """

    keys: tuple[str, ...]
    is_equal: bool
    rhs: Array
    terms: tuple[JointTerm, ...]
    scale: Array | float = 1.0


def window_of(entry: Mapping[str, Any]) -> IntArray:
    """Return the half hours from ``first_t`` to ``last_t``, both included."""
    return np.arange(entry["first_t"], entry["last_t"] + 1)


def _spread(values: ArrayLike, length: int) -> Array:
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (length,))
