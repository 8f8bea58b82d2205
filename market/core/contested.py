r"""What energy and capacity of one resource can be together, given that one of them is zero.

Where a resource sells either energy :math:`q` or capacity :math:`r` in a half hour, each direction
of either has a most it can be, :math:`\bar q` and :math:`\bar r`: what is offered, within the
resource's limit and, of capacity, within what its store can back. Then

.. math:: \frac{q}{\bar q} + \frac{r}{\bar r} \le 1

holds for each column and each direction of energy against each of capacity; and with charge
:math:`c` and discharge
:math:`d` of a store, of which one is zero too, all three share one row
:math:`c/\bar c + d/\bar d + r/\bar r \le 1`. The rows are no part of the problem. They only tighten
relaxations, which without them sell half of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp

from market.core.offers.terms import FloatArray, IntArray, incidence
from market.core.reserves import ENERGY_DOWN, ENERGY_UP, FORM
from market.core.units import DIRECTIONS, UP

if TYPE_CHECKING:
    from market.core.programme import Programme

TOLERANCE_RATIO: Final = 1e-6
"""By how much of the whole the two shares may exceed it."""


class Contested:
    """The rows of one problem, found as solutions break them.

    Parameters
    ----------
    base
        The problem; where its rules allow both, there are no rows.
    """

    def __init__(self, base: Programme) -> None:
        self.is_any = base.snapshot.rules.kwh_xor_dkw and base.forms[FORM].count > 0
        self._known: set[tuple[int, int]] = set()
        if not self.is_any:
            return
        self._energy = _parts(
            base,
            [_energy_share(base, direction) for direction in DIRECTIONS] + [_stored_share(base)],
            is_energy=True,
        )
        self._held = _parts(
            base,
            [_held_share(base, direction) for direction in DIRECTIONS]
            + [_backed_share(base, direction) for direction in DIRECTIONS],
            is_energy=False,
        )

    def broken(self, x_kw: FloatArray) -> tuple[sp.csr_array, FloatArray]:
        """Return the row most broken of each resource and half hour, if not returned before.

        Returns
        -------
        tuple
            Matrix (m, n) and right-hand sides (m,) of rows ``matrix @ x <= rhs``, in kW.
        """
        nothing = sp.csr_array((0, len(x_kw))), np.zeros(0)
        if not self.is_any:
            return nothing
        energy, held = self._energy.largest(x_kw), self._held.largest(x_kw)
        _, mine, other = np.intersect1d(energy.where, held.where, return_indices=True)
        over = energy.share[mine] + held.share[other] > 1.0 + TOLERANCE_RATIO
        pairs = zip(energy.row[mine[over]].tolist(), held.row[other[over]].tolist(), strict=True)
        new = [pair for pair in pairs if pair not in self._known]
        if not new:
            return nothing
        self._known.update(new)
        rows = np.array(new, dtype=np.int64)
        matrix = sp.csr_array(self._energy.matrix[rows[:, 0]] + self._held.matrix[rows[:, 1]])
        # Both sides count in kW of the larger amount, so that a solver's tolerance is of power.
        least = np.minimum.reduceat(matrix.data, matrix.indptr[:-1])
        return sp.csr_array(sp.diags_array(1.0 / least) @ matrix), 1.0 / least


@dataclass(frozen=True, kw_only=True)
class _Largest:
    """Per resource and half hour the amount that stands highest in what it can be; (k,) each."""

    where: IntArray
    row: IntArray
    share: FloatArray


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """Amounts as shares of the most they can be, all of energy or all of capacity; m of them."""

    matrix: sp.csr_array
    where: IntArray
    """Resource·T + t of each amount, (m,)."""

    def largest(self, x_kw: FloatArray) -> _Largest:
        """Return the largest share of each resource and half hour."""
        share = self.matrix @ x_kw
        order = np.lexsort((np.arange(len(share)), -share, self.where))
        where, first = np.unique(self.where[order], return_index=True)
        return _Largest(where=where, row=order[first], share=share[order[first]])


def _parts(base: Programme, sums: list[sp.csr_array], *, is_energy: bool) -> _Parts:
    """Return every column by itself, and the sums of them that can be something."""
    count = base.snapshot.interval_count
    matrices, wheres = [], []
    for name, form in base.forms.items():
        for leg in form.legs:
            if leg.is_energy == is_energy:
                column = leg.column + base.slices[name].start
                chosen = np.flatnonzero((leg.kw_per_unit > 0) & (base.upper_kw[column] > 0))
                column = column[chosen]
                shape = (len(chosen), base.size)
                share = 1.0 / base.upper_kw[column]
                matrices.append(incidence(shape, (np.arange(len(chosen)), column, share)))
                wheres.append(leg.resource[chosen] * count + leg.t[chosen])
    for matrix in sums:
        where = np.flatnonzero(np.diff(matrix.indptr) > 0)
        matrices.append(matrix[where])
        wheres.append(where)
    return _Parts(
        matrix=sp.csr_array(sp.vstack(matrices, format="csr")), where=np.concatenate(wheres)
    )


def _of_most(amount: sp.csr_array, most_kw: FloatArray) -> sp.csr_array:
    """Return amounts as a share of the most they can be; rows that can be nothing are empty."""
    share = np.divide(1.0, most_kw, out=np.zeros(len(most_kw)), where=most_kw > 0)
    found = sp.csr_array(sp.diags_array(share) @ amount)
    found.eliminate_zeros()
    return found


def _sold(base: Programme, direction: str, *, is_energy: bool) -> tuple[sp.csr_array, FloatArray]:
    """Return what is sold of each resource (R·T, n), and the most it can be, (R·T,)."""
    snapshot = base.snapshot
    count = snapshot.interval_count
    amount = incidence(
        (len(snapshot.resource_ids) * count, base.size),
        *(
            (leg.resource * count + leg.t, leg.column + base.slices[name].start, leg.kw_per_unit)
            for name, form in base.forms.items()
            for leg in form.legs
            if leg.direction == direction and leg.is_energy == is_energy
        ),
    )
    limit_kw = snapshot.limit_up_kw if direction == UP else snapshot.limit_down_kw
    return amount, np.minimum(limit_kw.ravel(), amount @ base.upper_kw)


def _energy_share(base: Programme, direction: str) -> sp.csr_array:
    return _of_most(*_sold(base, direction, is_energy=True))


def _held_share(base: Programme, direction: str) -> sp.csr_array:
    return _of_most(*_sold(base, direction, is_energy=False))


def _stored_share(base: Programme) -> sp.csr_array:
    """Return charge and discharge together, where one store is all a resource offers them by."""
    snapshot = base.snapshot
    shape = (len(snapshot.resource_ids) * snapshot.interval_count, base.size)
    total = sp.csr_array(shape)
    for leg in base.forms["STORAGE"].legs:
        row = leg.resource * snapshot.interval_count + leg.t
        column = leg.column + base.slices["STORAGE"].start
        amount = incidence(shape, (row, column, leg.kw_per_unit))
        limit_kw = snapshot.limit_up_kw if leg.direction == UP else snapshot.limit_down_kw
        most_kw = np.minimum(limit_kw.ravel(), amount @ base.upper_kw)
        is_alone = np.bincount(row, minlength=shape[0]) == 1
        total = total + _of_most(amount, np.where(is_alone, most_kw, 0.0))
    return sp.csr_array(total)


def _backed_share(base: Programme, direction: str) -> sp.csr_array:
    """Return capacity as a share of what the first half hour of a call may take from a store."""
    snapshot, part = base.snapshot, base.slices[FORM]
    name = ENERGY_UP if direction == UP else ENERGY_DOWN
    rows, store = base.rows[name], snapshot.books["STORAGE"]
    count = snapshot.interval_count
    resource = dict(zip(store.ids, store.resource.tolist(), strict=True))
    found = [key.rpartition("@") for key in base.joint[name]]
    t = np.array([int(half_hour) for _, _, half_hour in found], dtype=np.int64)
    where = np.array([resource[bid] for bid, _, _ in found], dtype=np.int64) * count + t
    entries = sp.coo_array(rows.matrix)
    row, column = entries.coords
    is_held = (column >= part.start) & (column < part.stop)
    capacity_t = snapshot.books[FORM].pair_t
    is_now = is_held.copy()
    is_now[is_held] = capacity_t[column[is_held] - part.start] == t[row[is_held]]
    energy = entries.data * np.where(entries.data > 0, base.lower_kw[column], base.upper_kw[column])
    most_kwh = rows.rhs - np.bincount(row[~is_held], weights=energy[~is_held], minlength=len(t))
    share = np.divide(1.0, most_kwh, out=np.zeros(len(t)), where=most_kwh > 0)
    kept = is_now & (share[row] > 0)
    # A resource with several stores is bound by the first of them.
    first = np.zeros(len(t), dtype=bool)
    first[np.unique(where, return_index=True)[1]] = True
    kept &= first[row]
    return incidence(
        (len(snapshot.resource_ids) * count, base.size),
        (where[row[kept]], column[kept], entries.data[kept] * share[row[kept]]),
    )
