r"""Bids whose own rows form a chain through time, eliminated all at once.

With weights :math:`\Theta`, the own rows :math:`A` of a bid give a tridiagonal
:math:`N = A \Theta A^\top + D`. What the bid injects answers the linking rows by

.. math:: K = E \Theta E^\top - E \Theta A^\top N^{-1} A \Theta E^\top,

(E: half hours × columns). Two shapes of chain are known:

- *stored*: every injecting column is in exactly one own row (a store, deferred work). Then
  :math:`K = \alpha - \beta N^{-1} \beta` with diagonal :math:`\alpha, \beta`;
- *moved*: every own row has a column or slack of its own, and the other columns are those that
  inject (a placement whose change costs). Then :math:`K = \sigma\,C^{-1} \sigma` with the
  tridiagonal :math:`C = \Theta^{-1} + A^\top \Pi^{-1} A`.

The inverse of a tridiagonal matrix needs no forming: with :math:`N = L D L^\top`,
:math:`(N^{-1})_{tt'} = \prod_{k=t}^{t'-1}(-\ell_k)\,(N^{-1})_{t't'}` for :math:`t \le t'`.
All arrays are (T, S): one operation serves every bid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from market.core.fast.errors import RoadClosed
from market.core.fast.reduction import Reduced
from market.core.offers.terms import BoolArray, FloatArray, IntArray

NEIGHBOUR_COUNT: Final = 2
STILL: Final = 1e-20
"""Weight of all of a chain's injections below which it answers nothing."""


@dataclass(frozen=True)
class Tridiagonal:
    """LDLᵀ of symmetric tridiagonal matrices, one per chain."""

    pivot: FloatArray
    """(T, S)."""
    below: FloatArray
    """Unit lower bidiagonal's entries, (T − 1, S)."""

    def solve(self, right: FloatArray) -> FloatArray:
        """Return N⁻¹ right, (T, S) or (T, S, k)."""
        extra = right.ndim - 2
        below = self.below.reshape(*self.below.shape, *(1,) * extra)
        pivot = self.pivot.reshape(*self.pivot.shape, *(1,) * extra)
        found = right.copy()
        for t in range(1, len(found)):
            found[t] -= below[t - 1] * found[t - 1]
        found /= pivot
        for t in range(len(found) - 2, -1, -1):
            found[t] -= below[t] * found[t + 1]
        return found

    def inverse_diagonal(self) -> FloatArray:
        """Return the diagonal of N⁻¹, (T, S)."""
        found = 1.0 / self.pivot
        for t in range(len(found) - 2, -1, -1):
            found[t] += self.below[t] ** 2 * found[t + 1]
        return found


def factored(
    own: FloatArray, here: FloatArray, after: FloatArray, beside: FloatArray
) -> Tridiagonal:
    """Factorise tridiagonal matrices given as sums of squares, without a subtraction.

    The matrix is diag(own) plus, for each neighbouring pair, a matrix of rank one with diagonal
    entries `here` and `after` and `beside` off the diagonal; so no pivot can cancel.

    Parameters
    ----------
    own
        (T, S), at least 0.
    here, after, beside
        (T − 1, S) with ``here * after == beside**2``.
    """
    pivot, below = np.empty_like(own), np.empty_like(beside)
    excess = own[0]
    for t in range(len(beside)):
        pivot[t] = excess + here[t]
        below[t] = beside[t] / pivot[t]
        excess = own[t + 1] + after[t] * (excess / pivot[t])
    pivot[-1] = excess
    return Tridiagonal(pivot, below)


@dataclass(frozen=True, kw_only=True)
class Response:
    """How injections of all chains answer: K = α + σ β Z β, Z given by its factors."""

    alpha: FloatArray
    beta: FloatArray
    sigma: FloatArray
    """(S,): −1 for stored chains, +1 for moved ones."""
    below: FloatArray
    diagonal: FloatArray

    def of(self, chosen: IntArray) -> Response:
        """Return the answer of some chains."""
        return Response(
            alpha=self.alpha[:, chosen],
            beta=self.beta[:, chosen],
            sigma=self.sigma[chosen],
            below=self.below[:, chosen],
            diagonal=self.diagonal[:, chosen],
        )


class Chains:
    """The structure of all chains, found once; each iteration only brings new weights."""

    def __init__(self, problem: Reduced, count: int) -> None:
        self.count, self.size = count, problem.chains
        self.rows = problem.chain_rows
        self.columns = sp.csr_array(problem.chain_rows.T)
        self.is_unused = (~problem.is_used).reshape(count, -1)
        self.unused = np.flatnonzero(~problem.is_used)
        self._read_neighbours()
        self._read_channels(problem)
        self._read_moved(problem)

    def _read_neighbours(self) -> None:
        """Find which columns make the diagonal of N and which tie neighbouring rows."""
        length = np.diff(self.columns.indptr)
        if (length > NEIGHBOUR_COUNT).any():
            raise RoadClosed("some column is in three rows of its own bid")
        one, two = np.flatnonzero(length == 1), np.flatnonzero(length == NEIGHBOUR_COUNT)
        at = self.columns.indptr[two]
        first, second = self.columns.indices[at], self.columns.indices[at + 1]
        low, high = np.minimum(first, second), np.maximum(first, second)
        if (high - low != self.size).any() or len(np.unique(low)) < len(low):
            raise RoadClosed("some bid's own rows are tied in a way no chain knows")
        early = np.where(first < second, self.columns.data[at], self.columns.data[at + 1])
        late = np.where(first < second, self.columns.data[at + 1], self.columns.data[at])
        n = self.columns.shape[0]
        full, short = (self.count * self.size, n), ((self.count - 1) * self.size, n)
        at = self.columns.indptr[one]
        self.own_map = sp.csr_array(
            (self.columns.data[at] ** 2, (self.columns.indices[at], one)), shape=full
        )
        self.here_map = sp.csr_array((early**2, (low, two)), shape=short)
        self.after_map = sp.csr_array((late**2, (low, two)), shape=short)
        self.beside_map = sp.csr_array((early * late, (low, two)), shape=short)

    def _read_channels(self, problem: Reduced) -> None:
        """Find the columns that inject, their half hour and their scale."""
        chain = problem.chain_of_column
        sent = problem.sent_by_column
        length = np.diff(sent.indptr)
        self.channel = np.flatnonzero((chain >= 0) & (length > 0))
        first = sent.indptr[self.channel]
        self.channel_t = sent.indices[first] % self.count
        self.channel_scale = sent.data[first]
        self.channel_chain = chain[self.channel]
        self.injected = sent
        self._read_direction(sent)

    def _read_direction(self, sent: sp.csr_array) -> None:
        """Find, per chain, what one unit injects where, and check that it is always so."""
        length = np.diff(sent.indptr)[self.channel]
        places = sent.shape[1] // self.count
        mark = np.cos(1.0 + 1.7 * np.arange(places))
        unit = sp.csr_array(
            (sent.data * mark[sent.indices // self.count], sent.indices, sent.indptr), sent.shape
        )
        value = np.asarray(unit[self.channel].sum(axis=1)).ravel() / self.channel_scale
        leader = np.full(self.size, -1)
        leader[self.channel_chain] = np.arange(len(self.channel))
        if (leader < 0).any():
            raise RoadClosed("some bid with rows of its own injects nothing")
        same = np.abs(value - value[leader[self.channel_chain]]) <= 1e-12 * (1.0 + np.abs(value))
        if not (same & (length == length[leader[self.channel_chain]])).all():
            raise RoadClosed("some bid injects in changing proportions")
        chosen = self.channel[leader]
        row = np.repeat(np.arange(self.size), np.diff(sent.indptr)[chosen])
        at = (
            np.concatenate(
                [
                    np.arange(a, b)
                    for a, b in zip(sent.indptr[chosen], sent.indptr[chosen + 1], strict=True)
                ]
            )
            if self.size
            else np.zeros(0, dtype=np.int64)
        )
        self.direction = sp.csr_array(
            (
                sent.data[at] / self.channel_scale[leader][row],
                (sent.indices[at] // self.count, row),
            ),
            shape=(places, self.size),
        )

    def _read_moved(self, problem: Reduced) -> None:
        """Tell moved chains from stored ones, and find the terms of both."""
        place = self.channel_t * self.size + self.channel_chain
        uses = np.diff(self.columns.indptr)
        is_channel = np.zeros(self.columns.shape[0], dtype=bool)
        is_channel[self.channel] = True
        entries = sp.coo_array(self.rows)
        chain = entries.row % self.size
        slacked = (problem.is_slack | ~problem.is_used).reshape(self.count, -1).all(axis=0)
        private = uses[entries.col] == 1
        shared_not_channel = np.zeros(self.size, dtype=bool)
        np.logical_or.at(shared_not_channel, chain, ~private & ~is_channel[entries.col])
        self.is_moved = slacked & ~shared_not_channel
        one_row = np.ones(self.size, dtype=bool)
        np.logical_and.at(one_row, self.channel_chain, uses[self.channel] == 1)
        if not (self.is_moved | one_row).all():
            raise RoadClosed("some bid's columns are tied in a way no chain knows")
        twice = np.bincount(place, minlength=self.count * self.size).reshape(self.count, -1) > 1
        if (twice.any(axis=0) & self.is_moved).any():
            raise RoadClosed("some placement injects twice in one half hour")
        self.place = place
        self._stored_terms()
        self._moved_terms(entries, is_channel, private)

    def _stored_terms(self) -> None:
        size, n = self.count * self.size, self.columns.shape[0]
        keep = ~self.is_moved[self.channel_chain]
        column, place = self.channel[keep], self.place[keep]
        scale = self.channel_scale[keep]
        self.alpha_map = sp.csr_array((scale**2, (place, column)), shape=(size, n))
        at = self.columns.indptr[column]
        row = self.columns.indices[at]
        if (row != place).any():
            raise RoadClosed("some bid's own row belongs to another half hour than its injection")
        self.beta_map = sp.csr_array(
            (scale * self.columns.data[at], (place, column)), shape=(size, n)
        )

    def _moved_terms(
        self, entries: sp.coo_array, is_channel: BoolArray, private: BoolArray
    ) -> None:
        """Read Π and C: own columns of each row, and the coefficients of placements around it."""
        size, n = self.count * self.size, self.columns.shape[0]
        own = private & ~is_channel[entries.col]
        self.private_map = sp.csr_array(
            (entries.data[own] ** 2, (entries.row[own], entries.col[own])), shape=(size, n)
        )
        at_place = np.full(n, -1)
        at_place[self.channel] = self.place
        shared = is_channel[entries.col] & self.is_moved[entries.row % self.size]
        row, column, value = entries.row[shared], entries.col[shared], entries.data[shared]
        place = at_place[column]
        if not np.isin(row - place, (0, self.size)).all():
            raise RoadClosed("some placement's change reaches over more than one half hour")
        self.now, self.before = np.zeros(size), np.zeros(size)
        self.now[row[row == place]] = value[row == place]
        self.before[row[row != place]] = value[row != place]
        moved = self.is_moved[self.channel_chain]
        self.moved_place, self.moved_column = self.place[moved], self.channel[moved]
        self.moved_scale = np.zeros(size)
        self.moved_scale[self.moved_place] = self.channel_scale[moved]

    def busy(self, theta: FloatArray) -> IntArray:
        """Return the chains whose injections move at all; no K is larger than their weights."""
        weight = self.channel_scale**2 * theta[self.channel]
        total = np.bincount(self.channel_chain, weights=weight, minlength=self.size)
        return np.flatnonzero(total > STILL)

    def factor(self, theta: FloatArray, slack: FloatArray) -> tuple[Tridiagonal, Response]:
        """Return N factorised and the answer of injections.

        Parameters
        ----------
        theta
            Weights of columns, (n,).
        slack
            Weights of the slacks of local rows, 0 for equalities, (T·S,).
        """
        shape = (self.count, self.size)
        own = (self.own_map @ theta + slack).reshape(shape)
        own[self.is_unused] = 1.0
        between = (self.count - 1, self.size)
        inner = factored(
            own,
            (self.here_map @ theta).reshape(between),
            (self.after_map @ theta).reshape(between),
            (self.beside_map @ theta).reshape(between),
        )
        stored_alpha = (self.alpha_map @ theta).reshape(shape)
        stored_beta = (self.beta_map @ theta).reshape(shape)
        moved = np.flatnonzero(self.is_moved)
        below, at = inner.below.copy(), inner.inverse_diagonal()
        if len(moved):
            outer = self._moved_factor(theta, slack, shape, moved)
            below[:, moved], at[:, moved] = outer.below, outer.inverse_diagonal()
            stored_beta[:, moved] = self.moved_scale.reshape(shape)[:, moved]
        return inner, Response(
            alpha=stored_alpha,
            beta=stored_beta,
            sigma=np.where(self.is_moved, 1.0, -1.0),
            below=below,
            diagonal=at,
        )

    def _moved_factor(
        self, theta: FloatArray, slack: FloatArray, shape: tuple[int, int], moved: IntArray
    ) -> Tridiagonal:
        own = (self.private_map @ theta + slack).reshape(shape)[:, moved]
        own[self.is_unused[:, moved]] = 1.0
        now, before = self.now.reshape(shape)[:, moved], self.before.reshape(shape)[:, moved]
        inverse = np.ones(shape[0] * shape[1])
        inverse[self.moved_place] = 1.0 / theta[self.moved_column]
        alone = inverse.reshape(shape)[:, moved]
        alone[0] += now[0] ** 2 / own[0]
        return factored(
            alone, before[1:] ** 2 / own[1:], now[1:] ** 2 / own[1:], (now * before / own)[1:]
        )
