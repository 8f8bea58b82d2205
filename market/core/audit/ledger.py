"""Worst residuals by name, and reading of series that are left out when they are zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class Ledger:
    """Worst relative residuals by name, and what each party forgoes against its best response."""

    worst: dict[str, float] = field(default_factory=dict)
    forgone_jpy: list[float] = field(default_factory=list)

    def residual(self, name: str, amount: Any, scale: Any = 1.0) -> None:
        """Keep the worst |amount| ÷ max(1, scale); a value that is no number stays the worst."""
        ratio = np.abs(amount) / np.maximum(1.0, np.abs(scale))
        found = float(np.max(ratio, initial=0.0))
        before = self.worst.get(name, 0.0)
        self.worst[name] = found if np.isnan(found) or found > before else before

    def excess(self, name: str, amount: Any, scale: Any = 1.0) -> None:
        """Keep the worst positive part."""
        self.residual(name, np.maximum(amount, 0.0), scale)


def series(found: Mapping[str, Any], name: str, count: int) -> Array:
    """Return a series of `count` numbers, zero where it is left out."""
    if name not in found:
        return np.zeros(count)
    return of_length(found[name], count)


def of_length(values: Any, count: int) -> Array:
    """Return values as an array, refusing any other length."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,):
        raise ValueError(f"a series of {count} numbers is expected, found shape {array.shape}")
    return array


def by_id(entities: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return entities by their id."""
    return {entity["id"]: entity for entity in entities}
