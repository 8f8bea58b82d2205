"""Families of rows, and pairs of amounts that exclude each other: the parts of a programme."""

from __future__ import annotations

from dataclasses import dataclass

import scipy.sparse as sp

from market.core.offers.terms import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A family of rows.

    Parameters
    ----------
    matrix, rhs
        Coefficients (m, n) and right-hand sides (m,).
    is_equal
        Whether they are equalities; otherwise ``matrix @ x <= rhs``.
    keys
        Position of each row in the family's full grid (for instance area·T + t), (m,).
    """

    matrix: sp.csr_array
    rhs: FloatArray
    is_equal: bool
    keys: IntArray


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """How far each element's flow may change against the base case, (Q, T), in kW."""

    up_kw: FloatArray
    down_kw: FloatArray


@dataclass(frozen=True, kw_only=True)
class Exclusive:
    """Pairs of amounts of which at most one may be positive; k pairs over n columns.

    An amount is a sum of columns: charge against discharge of a store, or all energy against all
    capacity sold of a resource.
    """

    first: sp.csr_array
    second: sp.csr_array

    @property
    def count(self) -> int:
        """Return the number of pairs."""
        return int(self.first.shape[0])


def placed(matrix: sp.csr_array, columns: slice, size: int) -> sp.csr_array:
    """Return a form's matrix as rows over all columns."""
    entries = sp.coo_array(matrix)
    return sp.csr_array(
        (entries.data, (entries.row, entries.col + columns.start)), shape=(matrix.shape[0], size)
    )
