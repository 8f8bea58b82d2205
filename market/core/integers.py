r"""Decide which blocks are accepted and which side stores take: branch and bound, exact.

The relaxation of a clearing is tight (blocks are small against the market, their own rows are
convex hulls), but its linear problem is large. So each one is solved from the basis of the one
before, by the dual simplex, in one solver that keeps its factors [1]_:

1. *Root.* The relaxation, with the rows of the network that its solution breaks, until none is.
2. *Dive.* The binary closest to a whole number is fixed there, until all are whole: a first
   decision to measure the rest against.
3. *Reduced costs.* A binary whose reduced cost exceeds what is left between the bound and the
   best decision keeps its value below this node. Bounds that a block's own rows already imply
   are taken off its amounts, so that its worth shows in the reduced cost of its acceptance.
4. *Branch and bound.* Best bound first, diving from there; the binary is chosen by what both
   values would cost, measured once by solving both (reliability branching [2]_).

A decision counts only if it breaks no row of the network; rows found later are kept for all
nodes. They only raise costs, so bounds found without them stay valid. Pairs of amounts of which
one must be zero are branched on where all binaries are whole and both amounts are positive.

Everything is counted in linear problems and iterations, in one thread, in the order of bid ids:
the same snapshot takes the same road. Of blocks that differ in nothing but their id, the first
are accepted first; other ties between decisions of equal value are decided by that road.

References
----------
.. [1] A. H. Land and A. G. Doig, "An automatic method of solving discrete programming problems",
   Econometrica 28(3), 1960.
.. [2] T. Achterberg, T. Koch and A. Martin, "Branching rules revisited", Operations Research
   Letters 33(1), 2005.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from accounts.core.errors import ensure
from market.core.contested import Contested
from market.core.errors import SolverInfeasible, SolverLimit
from market.core.exclusion import exclusion_rows
from market.core.network import KW_PER_MW
from market.core.offers import blocks
from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.programme import GRID, Programme
from market.core.relaxation import Point, Relaxation
from market.core.rows import Rows
from market.core.twins import twins

WHOLE: Final = 1e-7
"""How far from 0 or 1 a binary still counts as whole; it is fixed there afterwards."""
BOTH_TOLERANCE_KW: Final = 1e-6
EXCLUSION_TOLERANCE_RATIO: Final = 1e-6
NO_KEY: Final = -1
GAP_TOLERANCE_KJPY: Final = 1e-7
"""A hundredth of a sen: what a part of the tree must promise beyond the best decision."""
SCORE_LEAST_KJPY: Final = 1e-6
CANDIDATE_COUNT_MAX: Final = 8
"""Binaries whose two values are tried out before one of them is branched on."""
NO_ROWS: Final = Rows(
    matrix=sp.csr_array((0, 0)),
    rhs=np.zeros(0),
    is_equal=False,
    keys=np.zeros(0, dtype=np.int64),
)
Broken = Callable[[FloatArray], dict[str, IntArray]]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """All integers of a clearing.

    Parameters
    ----------
    lower_kw, upper_kw
        Bounds with every binary at its value and the idle side of each decided pair at zero.
    bound_jpy
        Value that no decision exceeds.
    allowed_jpy
        How much of a gap the rules allow.
    keys
        Rows of the network the search had, per family of lazy rows.
    solve_count, iteration_count
        Linear problems solved, and simplex iterations they took.
    """

    lower_kw: FloatArray
    upper_kw: FloatArray
    bound_jpy: float
    allowed_jpy: float
    keys: dict[str, IntArray]
    solve_count: int
    iteration_count: int
    x_kw: FloatArray
    """All columns, (n,)."""

    def kept(self, base: Programme, keys: Mapping[str, IntArray], pairs: IntArray) -> Decision:
        """Return the same decision with more lazy rows, and more pairs decided as it has them.

        Rows and sides only lower what decisions are worth, so that its bound still holds.
        """
        upper_kw = one_sided_kw(base, pairs, self.x_kw, self.upper_kw)
        rows = {name: np.union1d(self.keys[name], keys[name]) for name in self.keys}
        return replace(self, upper_kw=upper_kw, keys=rows)


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A part of the tree: bounds of the binaries, the sides pairs take, and where to start."""

    bound_kjpy: float
    lower: FloatArray
    upper: FloatArray
    sides: tuple[tuple[int, bool], ...] = ()
    """(pair, whether its first amount may be positive)."""
    basis: Any = None


def one_sided_kw(
    base: Programme, pairs: IntArray, x_kw: FloatArray, upper_kw: FloatArray
) -> FloatArray:
    """Return the upper bounds with the smaller side of each open pair closed, (n,)."""
    closed_kw = upper_kw.copy()
    for pair in pairs.tolist():
        first, second = base.exclusive.first[[pair]], base.exclusive.second[[pair]]
        if (closed_kw[first.indices] > 0).any() and (closed_kw[second.indices] > 0).any():
            takes_first = (first @ x_kw)[0] > (second @ x_kw)[0]
            closed_kw[(second if takes_first else first).indices] = 0.0
    return closed_kw


def gap_allowed_jpy(base: Programme, x_kw: FloatArray) -> float:
    """Return how much of a gap the rules allow at a solution, by the cost of the bids accepted."""
    bids = slice(0, base.slices[GRID].start)
    accepted_jpy = float(np.abs(base.cost_jpy[bids]) @ np.abs(x_kw[bids]))
    return base.snapshot.rules.gap_max_ratio * max(1.0, accepted_jpy)


def decide(
    base: Programme, keys: Mapping[str, IntArray], pairs: IntArray, broken: Broken
) -> Decision:
    """Find the decision of least cost, and prove it.

    Parameters
    ----------
    base
        The problem, without lazy rows.
    keys
        Lazy rows already known to be needed.
    pairs
        Exclusive pairs to be decided even if the best decision uses one side of them only.
    broken
        Lazy rows that a solution breaks, per family, those already there included or not.

    Raises
    ------
    SolverLimit
        The rules' work limit ended the search with a larger gap than the rules allow, or before
        any decision was found.
    SolverNumerical
        The solver had no answer to one of the linear problems.
    """
    return _Search(base, keys, pairs, broken).run()


class _Search:
    def __init__(
        self, base: Programme, keys: Mapping[str, IntArray], pairs: IntArray, broken: Broken
    ) -> None:
        self.base, self.pairs, self.broken = base, pairs, broken
        self.relaxation = Relaxation(base, keys, twins(base), _implied(base))
        self.best: tuple[float, _Node, FloatArray] | None = None
        """Cost, part of the tree and columns of the best decision."""
        self.exclusion: Rows | None = None
        """Rows that the exclusive pairs imply, once a solution needs them."""
        self.contested: Contested
        self.tightened = np.zeros(0, dtype=np.int64)
        """Those of them that the relaxation has."""
        self.least_dropped_kjpy = np.inf
        """Least bound of what was dropped because it promised too little."""
        self.open: list[tuple[float, int, _Node]] = []
        self.opened_count = 0
        self.loss_kjpy = np.full((len(base.binary) + base.exclusive.count, 2), np.nan)
        """What a unit towards 0 and towards 1 costs, as once measured, by choice, (C, 2)."""

    def run(self) -> Decision:
        """Search until nothing is open, or the work limit is reached."""
        binary = self.base.binary
        root = _Node(
            bound_kjpy=-np.inf,
            lower=self.base.lower_kw[binary].copy(),
            upper=self.base.upper_kw[binary].copy(),
        )
        self._dive(root)
        self._push(root)
        while self.open and not self._is_exhausted() and not self._is_near():
            bound_kjpy, _, node = heapq.heappop(self.open)
            if bound_kjpy >= self._cutoff_kjpy():
                self._drop(bound_kjpy)
                continue
            self._plunge(node)
        return self._decision()

    def _is_near(self) -> bool:
        """Return whether the best decision is proved to be as good as the rules ask."""
        gap_jpy, allowed_jpy = self._gap_jpy()
        return gap_jpy <= allowed_jpy

    def _gap_jpy(self) -> tuple[float, float]:
        """Return what a better decision could gain at most, and how much of that may be left."""
        if self.best is None:
            return np.inf, 0.0
        cost_kjpy, _, x_kw = self.best
        open_kjpy = [bound_kjpy for bound_kjpy, _, _ in self.open[:1]]
        gap_kjpy = cost_kjpy - min([self.least_dropped_kjpy, cost_kjpy, *open_kjpy])
        return KW_PER_MW * max(0.0, gap_kjpy), gap_allowed_jpy(self.base, x_kw)

    def _decision(self) -> Decision:
        if self.best is None:
            if not self._is_exhausted():
                raise SolverInfeasible("no decision at all is possible, not even to do nothing")
            raise SolverLimit("the work limit ended the search before any decision was found")
        cost_kjpy, node, x_kw = self.best
        gap_jpy, allowed_jpy = self._gap_jpy()
        if self.open and gap_jpy > allowed_jpy:
            raise SolverLimit(
                f"the work limit ended the search {gap_jpy:.2f} JPY from a proof, "
                f"{self.relaxation.solve_count} linear problems on"
            )
        lower_kw, upper_kw = self._bounds(self._with_pairs(node, x_kw))
        return Decision(
            lower_kw=lower_kw,
            upper_kw=upper_kw,
            bound_jpy=gap_jpy - KW_PER_MW * cost_kjpy,
            allowed_jpy=allowed_jpy,
            keys=self.relaxation.keys,
            solve_count=self.relaxation.solve_count,
            iteration_count=self.relaxation.iteration_count,
            x_kw=x_kw,
        )

    def _with_pairs(self, node: _Node, x_kw: FloatArray) -> _Node:
        """Return the part with the pairs asked for decided as its solution has them."""
        exclusive, decided = self.base.exclusive, dict(node.sides)
        for pair in self.pairs.tolist():
            first_kw, second_kw = exclusive.first[[pair]] @ x_kw, exclusive.second[[pair]] @ x_kw
            decided.setdefault(pair, bool(first_kw[0] > second_kw[0]))
        value = np.rint(x_kw[self.base.binary])
        return replace(node, lower=value, upper=value, sides=tuple(sorted(decided.items())))

    def _bounds(self, node: _Node) -> tuple[FloatArray, FloatArray]:
        """Return the bounds of all columns in a part of the tree."""
        lower_kw, upper_kw = self.base.lower_kw.copy(), self.base.upper_kw.copy()
        lower_kw[self.base.binary], upper_kw[self.base.binary] = node.lower, node.upper
        for pair, takes_first in node.sides:
            idle = self.base.exclusive.second if takes_first else self.base.exclusive.first
            upper_kw[idle[[pair]].indices] = 0.0
        return lower_kw, upper_kw

    def _is_exhausted(self) -> bool:
        rules, done = self.base.snapshot.rules, self.relaxation
        return done.solve_count >= rules.node_limit or done.iteration_count >= rules.iteration_limit

    def _cutoff_kjpy(self) -> float:
        return np.inf if self.best is None else self.best[0] - GAP_TOLERANCE_KJPY

    def _drop(self, bound_kjpy: float) -> None:
        self.least_dropped_kjpy = min(self.least_dropped_kjpy, bound_kjpy)

    def _push(self, node: _Node) -> None:
        heapq.heappush(self.open, (node.bound_kjpy, self.opened_count, node))
        self.opened_count += 1

    def _solve(self, node: _Node) -> Point | None:
        """Solve a part's relaxation; ``None`` if it has nothing better than the best decision."""
        self.relaxation.bound(*self._bounds(node))
        if node.basis is not None:
            self.relaxation.basis = node.basis
        best_kjpy = np.inf if self.best is None else self.best[0]
        point = self.relaxation.solve(best_kjpy)
        if point is None:
            self._drop(best_kjpy)
        elif point.cost_kjpy >= self._cutoff_kjpy():
            self._drop(point.cost_kjpy)
            return None
        return point

    def _solve_with_rows(self, node: _Node) -> Point | None:
        """Solve a part's relaxation with all rows its solution breaks."""
        while (point := self._solve(node)) is not None:
            found, known = self.broken(point.x_kw), self.relaxation.keys
            new = {name: np.setdiff1d(keys, known[name]) for name, keys in found.items()}
            tighter = self._tighter(point)
            if not (any(map(len, new.values())) or len(tighter.keys)):
                return point
            self.relaxation.add(new)
            self.relaxation.add_rows(tighter)
            self.tightened = np.union1d(self.tightened, tighter.keys)
            node = replace(node, basis=None)
        return None

    def _tighter(self, point: Point) -> Rows:
        """Return the rows that exclusion implies, that are broken and not there yet."""
        pairs = self.base.exclusive
        both_kw = np.minimum(pairs.first @ point.x_kw, pairs.second @ point.x_kw)
        if not (both_kw > BOTH_TOLERANCE_KW).any():
            return NO_ROWS
        if self.exclusion is None:
            self.exclusion, self.contested = exclusion_rows(self.base), Contested(self.base)
        rows = self.exclusion
        excess = rows.matrix @ point.x_kw - rows.rhs
        broken = np.flatnonzero(excess > EXCLUSION_TOLERANCE_RATIO * np.maximum(1.0, rows.rhs))
        new = np.setdiff1d(broken, self.tightened)
        # Those of contested half hours are found one by one: there are too many to list.
        matrix, rhs = self.contested.broken(point.x_kw)
        return Rows(
            matrix=sp.csr_array(sp.vstack([rows.matrix[new], matrix], format="csr")),
            rhs=np.concatenate([rows.rhs[new], rhs]),
            is_equal=False,
            keys=np.concatenate([new, np.full(len(rhs), NO_KEY)]),
        )

    def _dive(self, node: _Node) -> None:
        """Fix what is almost whole, one binary after the other, to a first decision."""
        other: _Node | None = None
        while not self._is_exhausted():
            point = self._solve_with_rows(node)
            if point is not None:
                step = self._nearest(node, point)
                if step is None:
                    self._keep(node, point)
                    return
                node, other = step
            elif other is not None:
                node, other = other, None
            else:
                return

    def _nearest(self, node: _Node, point: Point) -> tuple[_Node, _Node] | None:
        """Return the part with what is closest to decided decided, and its opposite."""
        choices, value = self._undecided(point)
        if len(choices) == 0:
            return None
        nearest = int(np.argmin(np.abs(value - np.rint(value))))
        near = int(np.rint(value[nearest]))
        choice = int(choices[nearest])
        return self._half(node, choice, near), self._half(node, choice, 1 - near)

    def _undecided(self, point: Point) -> tuple[IntArray, FloatArray]:
        """Return the choices a solution leaves open, and how far towards 1 each stands.

        Choices are the binaries and, numbered after them, the pairs: 1 lets the first amount of a
        pair be positive, 0 the second. Pairs wait until all binaries are whole.
        """
        value = point.x_kw[self.base.binary]
        binary = np.flatnonzero(np.abs(value - np.rint(value)) > WHOLE)
        if len(binary):
            return binary, value[binary]
        pairs = self.base.exclusive
        first_kw, second_kw = pairs.first @ point.x_kw, pairs.second @ point.x_kw
        both = np.flatnonzero(np.minimum(first_kw, second_kw) > BOTH_TOLERANCE_KW)
        first = first_kw[both] / (pairs.first[both] @ self.base.upper_kw)
        second = second_kw[both] / (pairs.second[both] @ self.base.upper_kw)
        return len(value) + both, first / (first + second)

    def _half(self, node: _Node, choice: int, side: int) -> _Node:
        """Return the part of a part where a choice is made."""
        pair = choice - len(self.base.binary)
        if pair >= 0:
            ensure(pair not in dict(node.sides), "a decided pair has both its sides again")
            return replace(node, sides=(*node.sides, (pair, side == 1)))
        lower, upper = node.lower.copy(), node.upper.copy()
        lower[choice] = upper[choice] = float(side)
        return replace(node, lower=lower, upper=upper)

    def _keep(self, node: _Node, point: Point) -> None:
        if self.best is None or point.cost_kjpy < self.best[0]:
            self.best = (point.cost_kjpy, node, point.x_kw)

    def _plunge(self, node: _Node) -> None:
        """Follow the more promising half of a part down to a decision or to nothing."""
        branch: _Node | None = node
        while branch is not None and not self._is_exhausted():
            point = self._solve_with_rows(branch)
            if point is None:
                return
            branch = self._tightened(branch, point)
            choices, value = self._undecided(point)
            if len(choices) == 0:
                self._keep(branch, point)
                return
            branch = self._branched(branch, point, (choices, value))
        if branch is not None:
            self._push(branch)

    def _tightened(self, node: _Node, point: Point) -> _Node:
        """Fix binaries whose other value would cost more than the best decision."""
        if self.best is None:
            return node
        reduced = point.reduced_kjpy[self.base.binary]
        is_dear = point.cost_kjpy + np.abs(reduced) >= self.best[0]
        is_free = node.lower < node.upper
        stays_zero, stays_one = is_dear & is_free & (reduced > 0), is_dear & is_free & (reduced < 0)
        return replace(
            node,
            lower=np.where(stays_one, 1.0, node.lower),
            upper=np.where(stays_zero, 0.0, node.upper),
            bound_kjpy=point.cost_kjpy,
            basis=self.relaxation.basis,
        )

    def _branched(self, node: _Node, point: Point, at: tuple[IntArray, FloatArray]) -> _Node | None:
        """Split a part in two; return the cheaper one and leave the other open.

        Where one side of a choice is already too dear, no split is needed.
        """
        choices, value = at
        tried: dict[tuple[int, int], _Node] = {}
        for place in self._candidates(choices, value):
            choice = int(choices[place])
            low, high = (self._tried(node, choice, side) for side in (0, 1))
            if low is None or high is None:
                return low or high
            moved = (value[place], 1.0 - value[place])
            for side, half in enumerate((low, high)):
                tried[choice, side] = half
                loss_kjpy = max(0.0, half.bound_kjpy - point.cost_kjpy)
                self.loss_kjpy[choice, side] = loss_kjpy / moved[side]
        expected_kjpy = self.loss_kjpy[choices] * np.stack([value, 1.0 - value], axis=1)
        score = np.prod(np.maximum(expected_kjpy, SCORE_LEAST_KJPY), axis=1)
        chosen = int(np.nanargmax(score))
        choice, cheaper = int(choices[chosen]), int(np.argmin(expected_kjpy[chosen]))
        halves = [tried.get((choice, side)) or self._half(node, choice, side) for side in (0, 1)]
        self._push(halves[1 - cheaper])
        return halves[cheaper]

    def _candidates(self, choices: IntArray, value: FloatArray) -> list[int]:
        """Return places of the choices to try out: the most open of those never tried."""
        unknown = np.flatnonzero(np.isnan(self.loss_kjpy[choices]).any(axis=1))
        order = np.argsort(np.abs(value[unknown] - 0.5), kind="stable")
        places: list[int] = unknown[order][:CANDIDATE_COUNT_MAX].tolist()
        return places

    def _tried(self, node: _Node, choice: int, side: int) -> _Node | None:
        """Return the part where a choice is made, with its bound; None if that is too dear."""
        half = self._half(node, choice, side)
        point = self._solve(half)
        if point is None:
            return None
        return replace(half, bound_kjpy=point.cost_kjpy, basis=self.relaxation.basis)


def _implied(base: Programme) -> tuple[BoolArray, BoolArray]:
    """Return which (lower, upper) bounds of all columns rows imply, (n,) each."""
    implied = np.zeros(base.size, dtype=bool), np.zeros(base.size, dtype=bool)
    for whole, part in zip(implied, blocks.implied_bounds(_book(base)), strict=True):
        whole[base.slices[blocks.FORM]] = part
    return implied


def _book(base: Programme) -> blocks.BlockTable:
    book: blocks.BlockTable = base.snapshot.books[blocks.FORM]
    return book
