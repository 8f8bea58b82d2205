"""Worst residuals by name, what is forgone, and reading of series that are left out when zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
NUMBERS: Final = "iuf"
"""Kinds of arrays that are numbers; texts and truth values are none."""


@dataclass
class Ledger:
    """Worst relative residuals by name, and what each party forgoes against its best response."""

    worst: dict[str, float] = field(default_factory=dict)
    forgone_jpy: list[Array] = field(default_factory=list)

    def residual(self, name: str, amount: Any, scale: Any = 1.0) -> None:
        """Keep the worst |amount| ÷ max(1, scale); a value that is no number stays the worst."""
        ratio = np.abs(amount) / np.maximum(1.0, np.abs(scale))
        found = float(np.max(ratio, initial=0.0))
        before = self.worst.get(name, 0.0)
        self.worst[name] = found if np.isnan(found) or found > before else before

    def excess(self, name: str, amount: Any, scale: Any = 1.0) -> None:
        """Keep the worst positive part."""
        self.residual(name, np.maximum(amount, 0.0), scale)

    def forgo(self, amount_jpy: ArrayLike) -> None:
        """Count what parties or limits forgo, one number each."""
        self.forgone_jpy.append(np.atleast_1d(np.asarray(amount_jpy, dtype=np.float64)))

    @property
    def all_forgone_jpy(self) -> Array:
        """Return every term of the gap."""
        return np.concatenate(self.forgone_jpy) if self.forgone_jpy else np.zeros(0)


def summed(where: NDArray[np.int64], amounts: Array, count: int) -> Array:
    """Return the sum of the amounts at each of `count` places."""
    return np.asarray(np.bincount(where, weights=amounts, minlength=count), dtype=np.float64)


def table(where: str, found: Mapping[str, Any], names: Sequence[str], count: int) -> Array:
    """Return the series of each name, (names, `count`); zero where one is left out.

    Raises
    ------
    ValueError
        If `found` has a name that is not among them, or a series of another length.
    """
    known = {name: row for row, name in enumerate(names)}
    rows = np.zeros((len(names), count))
    for name, values in found.items():
        if name not in known:
            raise ValueError(f"{where}: unknown {name}")
        rows[known[name]] = of_length(values, count)
    return rows


def column(entities: Sequence[Mapping[str, Any]], name: str, count: int) -> Array:
    """Return one series of each entity, (entities, `count`)."""
    rows = [of_length(entity[name], count) for entity in entities]
    return np.array(rows, dtype=np.float64).reshape(-1, count)


def of_length(values: Any, count: int) -> Array:
    """Return values as an array, refusing any other length and what is no number."""
    array = np.asarray(values)
    if array.shape != (count,):
        raise ValueError(f"a series of {count} numbers is expected, found shape {array.shape}")
    if count and array.dtype.kind not in NUMBERS:
        raise ValueError(f"a series of {count} numbers is expected, found {array.dtype}")
    return array.astype(np.float64)


def by_id(entities: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return entities by their id."""
    return {entity["id"]: dict(entity) for entity in entities}


def ids(entities: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of entities, in order."""
    return [entity["id"] for entity in entities]
