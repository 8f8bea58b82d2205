r"""Among all optima of a large book the one that shares ties: least :math:`\sum_j w_j x_j^2`.

From the midst of the optimal face, where columns at a bound of non-zero reduced cost and rows of
non-zero price are held, an interior point leads to the least sum of squares, and the sides it
shows give the exact answer. The systems are those of :mod:`.interior` with the weights added to
what the bounds contribute.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from market.core.fast.errors import RoadClosed
from market.core.fast.finish import AWAY, NOTHING, SPARE, Settled
from market.core.fast.interior import Interior
from market.core.offers.terms import BoolArray, FloatArray, IntArray

STEP_COUNT_MAX: Final = 60
SETTLE_COUNT_MAX: Final = 15
START_RATIO: Final = 0.1
END_RATIO: Final = 1e-10
FRACTION: Final = 0.99
REFINEMENT_COUNT: Final = 3
EXACT: Final = 1e-10
WRONG: Final = 1e-9
LEAST_ROOM: Final = 1e-9


@dataclass
class _Face:
    """What is held on the optimal face, and what may move."""

    moves: BoolArray
    own_loose: BoolArray
    link_loose: BoolArray
    weight: FloatArray


@dataclass
class _At:
    x: FloatArray
    y_own: FloatArray
    y_link: FloatArray
    p: FloatArray
    z: FloatArray


@dataclass
class Shared:
    """A point near the least squares, and which of all that must stay positive is held at zero."""

    at: _At
    held: BoolArray
    own_index: IntArray
    link_index: IntArray

    def relaid(self, here: IntArray, there: IntArray, sharing: Sharing) -> Shared:
        """Return the same for other linking rows; those that are new and loose are held.

        Parameters
        ----------
        here, there
            Numbers of the rows that both have, among the new and among the old.
        sharing
            The least squares with the new rows.
        """
        m = sharing.interior.linking.m
        y, is_held = np.zeros(m), np.ones(m, dtype=bool)
        y[here] = self.at.y_link[there]
        of_link = np.zeros(len(self.at.y_link), dtype=bool)
        kept = len(self.held) - len(self.link_index)
        of_link[self.link_index] = self.held[kept:]
        is_held[here] = of_link[there]
        return Shared(
            replace(self.at, y_link=y),
            np.concatenate([self.held[:kept], is_held[sharing.link_index]]),
            sharing.own_index,
            sharing.link_index,
        )


@dataclass
class Sides:
    """Which bounds and rows the choice among ties ended on; (n,), (n,), (T·S,) and (m,)."""

    at_low: BoolArray
    at_high: BoolArray
    own: BoolArray
    link: BoolArray

    def on(self, in_both: tuple[IntArray, IntArray], sharing: Sharing) -> Shared:
        """Return where the choice of a like problem may go on from."""
        here, there = in_both
        moves, m = sharing.face.moves, sharing.interior.linking.m
        link = np.zeros(m, dtype=bool)
        link[here] = self.link[there]
        held = [
            self.at_low[moves],
            self.at_high[moves],
            self.own[sharing.own_index],
            link[sharing.link_index],
        ]
        none = np.zeros(0)
        at = _At(sharing.start, np.zeros(len(self.own)), np.zeros(m), none, none)
        return Shared(at, np.concatenate(held), sharing.own_index, sharing.link_index)


class Sharing:
    """Least squares on one optimal face."""

    def __init__(self, interior: Interior, found: Settled, weight: FloatArray) -> None:
        problem = interior.problem
        self.interior = interior
        own, link = interior.times(found.x)
        self.start = found.x
        moves = found.x_moves
        scale = weight[moves].max(initial=0.0)
        self.face = _Face(
            moves=moves,
            own_loose=problem.is_slack & (found.y_own == 0.0) & problem.is_used,
            link_loose=~interior.linking.is_equal & (found.y_link == 0.0),
            weight=np.maximum(weight / scale, 1e-6) if scale > 0 else weight,
        )
        self.is_idle = scale == 0.0
        self.own_room = problem.chain_rhs - own
        self.link_room = interior.linking.rhs - link
        self.count = int(moves.sum())
        self.own_index = np.flatnonzero(self.face.own_loose)
        self.link_index = np.flatnonzero(self.face.link_loose)
        self.shared: Shared | None = None

    def least(self, known: Shared | None = None) -> FloatArray:
        """Return the columns that share ties, (n,); where that fails, those it started from.

        Parameters
        ----------
        known
            What was found with other linking rows; it mostly differs in few sides.
        """
        if self.is_idle or self.count == 0:
            return self.start
        if known is not None:
            with suppress(RoadClosed):
                return self._settled(known.at, known.held)
        try:
            at = self._climbed()
            return self._settled(at, at.z > at.p)
        except RoadClosed:
            return self.start

    def sides(self) -> Sides | None:
        """Return what the choice ended on, if it ended."""
        if self.shared is None:
            return None
        n, k, own = len(self.start), self.count, len(self.own_index)
        held, sizes = self.shared.held, (n, n, len(self.own_room), len(self.link_room))
        found = Sides(*(np.zeros(size, dtype=bool) for size in sizes))
        found.at_low[self.face.moves], found.at_high[self.face.moves] = held[:k], held[k : 2 * k]
        found.own[self.own_index] = held[2 * k : 2 * k + own]
        found.link[self.link_index] = held[2 * k + own :]
        return found

    def _positive(self, x: FloatArray) -> FloatArray:
        """Return what must stay positive at a point of the face."""
        problem, moves = self.interior.problem, self.face.moves
        own, link = self.interior.times(x - self.start)
        return np.concatenate(
            [
                (x - problem.lower)[moves],
                (problem.upper - x)[moves],
                (self.own_room - own)[self.own_index],
                (self.link_room - link)[self.link_index],
            ]
        )

    def _climbed(self) -> _At:
        m = self.interior.linking.m
        p = np.maximum(self._positive(self.start), LEAST_ROOM)
        moved = self.start[self.face.moves]
        level = float(self.face.weight[self.face.moves] @ moved**2) / self.count
        z = START_RATIO * max(level, 1e-6) / p
        y_own, y_link = np.zeros(len(self.own_room)), np.zeros(m)
        at = _At(self.start, y_own, y_link, p, z)
        k = 2 * self.count
        at.y_own[self.own_index] = -z[k : k + len(self.own_index)]
        at.y_link[self.link_index] = -z[k + len(self.own_index) :]
        first = float(p @ z)
        for _ in range(STEP_COUNT_MAX):
            at = self._advanced(at)
            if float(at.p @ at.z) <= END_RATIO * first:
                break
        return at

    def _advanced(self, at: _At) -> _At:
        moves, weight, k = self.face.moves, self.face.weight, self.count
        p, z = at.p, at.z
        curve = weight[moves] + z[:k] / p[:k] + z[k : 2 * k] / p[k : 2 * k]
        theta = np.full(len(at.x), NOTHING)
        theta[moves] = 1.0 / curve
        own, link = np.full(len(at.y_own), SPARE), np.full(len(at.y_link), SPARE)
        own[self.own_index] = (
            p[2 * k : 2 * k + len(self.own_index)] / z[2 * k :][: len(self.own_index)]
        )
        link[self.link_index] = p[2 * k + len(self.own_index) :] / z[2 * k + len(self.own_index) :]
        self.interior.refinements = 1
        self.interior.factor(theta, own, link)
        left = weight * at.x - self.interior.transposed(at.y_own, at.y_link)
        left = left[moves] - z[:k] + z[k : 2 * k]
        mu = float((p * z).mean())
        affine = self._direction(at, -p * z, left, theta)
        reach = min(_reach(p, affine.p), _reach(z, affine.z))
        ahead = float(((p + reach * affine.p) * (z + reach * affine.z)).mean())
        goal = max((ahead / mu) ** 3, 1e-4) * mu
        step = self._direction(at, goal - p * z - affine.p * affine.z, left, theta)
        reach = min(1.0, FRACTION * min(_reach(p, step.p), _reach(z, step.z)))
        return _At(
            at.x + reach * step.x,
            at.y_own + reach * step.y_own,
            at.y_link + reach * step.y_link,
            p + reach * step.p,
            z + reach * step.z,
        )

    def _direction(self, at: _At, target: FloatArray, left: FloatArray, theta: FloatArray) -> _At:
        k, moves = self.count, self.face.moves
        f = np.zeros(len(at.x))
        f[moves] = target[:k] / at.p[:k] - target[k : 2 * k] / at.p[k : 2 * k] - left
        own, link = self.interior.times(theta * f)
        own, link = -own, -link
        a, b = 2 * k, 2 * k + len(self.own_index)
        own[self.own_index] -= target[a:b] / at.z[a:b]
        link[self.link_index] -= target[b:] / at.z[b:]
        dy_own, dy_link = self.interior.solve(own, link)
        dx = np.zeros(len(at.x))
        dx[moves] = (theta * (self.interior.transposed(dy_own, dy_link) + f))[moves]
        dz_slack = np.concatenate([-dy_own[self.own_index], -dy_link[self.link_index]])
        ds = (target[a:] - at.p[a:] * dz_slack) / at.z[a:]
        dp = np.concatenate([dx[moves], -dx[moves], ds])
        dz = (target - at.z * dp) / at.p
        dz[a:] = dz_slack
        return _At(dx, dy_own, dy_link, dp, dz)

    def _settled(self, at: _At, held: BoolArray) -> FloatArray:
        """Hold what ends at a bound and solve the rest exactly; mend the choice where it errs."""
        moves = self.face.moves
        for _ in range(SETTLE_COUNT_MAX):
            x, price = self._held_least(at, held)
            p = self._positive(x)
            broken = ~held & (p < -EXACT)
            wrong = held & (price < -WRONG)
            if not broken.any() and not wrong.any():
                problem = self.interior.problem
                result = self.start.copy()
                result[moves] = np.clip(x, problem.lower, problem.upper)[moves]
                self.shared = Shared(at, held, self.own_index, self.link_index)
                return result
            held = (held | broken) & ~wrong
        raise RoadClosed("ties do not settle")

    def _held_least(self, at: _At, held: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return the least squares with some bounds held, and the price of each that is held."""
        problem, moves, k = self.interior.problem, self.face.moves, self.count
        low, high = np.zeros(len(at.x), dtype=bool), np.zeros(len(at.x), dtype=bool)
        low[moves], high[moves] = held[:k], held[k : 2 * k]
        free = moves & ~low & ~high
        own_away, link_away = self.face.own_loose.copy(), self.face.link_loose.copy()
        own_held, link_held = (
            held[2 * k :][: len(self.own_index)],
            held[2 * k + len(self.own_index) :],
        )
        own_away[self.own_index] = ~own_held
        link_away[self.link_index] = ~link_held
        theta = np.where(free, 1.0 / self.face.weight, NOTHING)
        own = np.where(own_away, AWAY, SPARE)
        link = np.where(link_away, AWAY, SPARE)
        self.interior.refinements = 0
        self.interior.factor(theta, own, link)
        x = np.where(low, problem.lower, np.where(high, problem.upper, at.x))
        y_own, y_link = np.where(own_away, 0.0, at.y_own), np.where(link_away, 0.0, at.y_link)
        for _ in range(REFINEMENT_COUNT):
            # Stationarity first, then the rows: both with the same factors.
            left = np.where(
                free, self.face.weight * x - self.interior.transposed(y_own, y_link), 0.0
            )
            moved_own, moved_link = self.interior.times(x - self.start - theta * left)
            missing_own = self._own_goal(own_held) - moved_own
            missing_link = self._link_goal(link_held) - moved_link
            missing_own[own_away], missing_link[link_away] = 0.0, 0.0
            dy_own, dy_link = self.interior.solve(missing_own, missing_link)
            dy_own[own_away], dy_link[link_away] = 0.0, 0.0
            back = self.interior.transposed(dy_own, dy_link)
            x = x + np.where(free, theta * (back - left), 0.0)
            y_own, y_link = y_own + dy_own, y_link + dy_link
        reduced = self.face.weight * x - self.interior.transposed(y_own, y_link)
        price = np.concatenate(
            [reduced[moves], -reduced[moves], -y_own[self.own_index], -y_link[self.link_index]]
        )
        return x, price

    def _own_goal(self, held: BoolArray) -> FloatArray:
        """Return by how much local rows are to move from the start: none, or onto their limit."""
        goal = np.zeros(len(self.own_room))
        goal[self.own_index] = np.where(held, self.own_room[self.own_index], 0.0)
        return goal

    def _link_goal(self, held: BoolArray) -> FloatArray:
        goal = np.zeros(len(self.link_room))
        goal[self.link_index] = np.where(held, self.link_room[self.link_index], 0.0)
        return goal


def _reach(room: FloatArray, change: FloatArray) -> float:
    """Return the largest multiple of the change, at most 1, that leaves room at least 0."""
    return float(1.0 / max(1.0, (change / -room).max(initial=0.0)))
