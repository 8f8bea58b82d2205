r"""Interior point over chains and linking rows: predictor, weighted correctors, few rows.

All that must stay positive stands in one vector :math:`p = (x - \underline x,\ \bar x - x,\ s)`
with its partners :math:`z`. A Newton step toward products :math:`p \circ z + \tau` solves

.. math:: (A \Theta A^\top + D)\,\mathrm dy = r - A \Theta f - g, \qquad
          \mathrm dx = \Theta (A^\top \mathrm dy + f),

by eliminating all chains (:mod:`.chains`) and factorising what is left of the linking rows
(:mod:`.linking`). The start is dual feasible, and steps keep it so: at any time the duals prove
a bound.

References
----------
.. [1] S. Mehrotra, "On the Implementation of a Primal-Dual Interior Point Method", SIAM Journal
   on Optimization 2(4), 1992.
.. [2] M. Colombo and J. Gondzio, "Further Development of Multiple Centrality Correctors for
   Interior Point Methods", Computational Optimization and Applications 41, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from market.core.fast.chains import Chains
from market.core.fast.errors import RoadClosed
from market.core.fast.linking import Linking
from market.core.fast.reduction import Reduced
from market.core.offers.terms import FloatArray

START_KJPY: Final = 50.0
WEIGHTS: Final = (1.0, 0.8, 0.6, 0.4, 0.2, 0.1)
CORRECTOR_COUNT_MAX: Final = 3
FRACTION: Final = 0.995
FAR_ENOUGH: Final = 0.9
START_SLACK_WEIGHT: Final = 100.0
LEAST_PRICE: Final = 0.1
RIDGE_RATIOS: Final = (1e-14, 1e-12, 1e-10, 1e-8)
"""What is added to the diagonal, in turn, against rounding that makes a system indefinite."""


@dataclass
class Point:
    """An interior point.

    Parameters
    ----------
    x
        Columns, (n,).
    y_own, y_link
        Duals of local (T·S,) and linking rows (m,).
    p, z
        What must stay positive, and its partners: lower bounds, upper bounds, slacks of local,
        then of linking at-most rows.
    """

    x: FloatArray
    y_own: FloatArray
    y_link: FloatArray
    p: FloatArray
    z: FloatArray

    @property
    def gap(self) -> float:
        """Return the sum of products in kJPY, the gap of a feasible point."""
        return float(self.p @ self.z)


@dataclass
class Step:
    """A direction, and how fast it uses up what must stay positive."""

    y_own: FloatArray
    y_link: FloatArray
    p: FloatArray
    z: FloatArray
    use_p: FloatArray
    use_z: FloatArray

    def plus(self, other: Step, primal: float, dual: float) -> Step:
        """Return the sum with another direction, weighted on either side."""
        return Step(
            self.y_own + dual * other.y_own,
            self.y_link + dual * other.y_link,
            _sum(self.p, primal, other.p),
            _sum(self.z, dual, other.z),
            _sum(self.use_p, primal, other.use_p),
            _sum(self.use_z, dual, other.use_z),
        )

    @property
    def reach(self) -> tuple[float, float]:
        """Return how far the primal and the dual side may go, at most 1."""
        return _reach(self.use_p), _reach(self.use_z)


class Interior:
    """One problem, its linking rows, and the steps toward its optimum."""

    def __init__(self, problem: Reduced, chains: Chains, linking: Linking) -> None:
        self.problem, self.chains, self.linking = problem, chains, linking
        self.own_slack = np.flatnonzero(problem.is_slack)
        self.link_slack = np.flatnonzero(~linking.is_equal)
        self.range = problem.upper - problem.lower
        n, k = problem.count, len(self.own_slack)
        self.low, self.high = slice(0, n), slice(n, 2 * n)
        self.own = slice(2 * n, 2 * n + k)
        self.link = slice(2 * n + k, 2 * n + k + len(self.link_slack))
        self.refinements = 0

    def times(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the values of local (T·S,) and linking rows (m,)."""
        return self.problem.chain_rows @ x, self.linking.times(x)

    def transposed(self, y_own: FloatArray, y_link: FloatArray) -> FloatArray:
        """Return what duals of local and linking rows make of columns, (n,)."""
        return np.asarray(self.chains.columns @ y_own + self.linking.transposed(y_link))

    def start(self) -> Point:
        """Return a centred, dual feasible point near the prices that fit all costs at once."""
        weight = self.range**2
        own, link = np.zeros(len(self.problem.chain_rhs)), np.full(self.linking.m, 1e-6)
        own[self.own_slack] = 1.0
        link[self.link_slack] = START_SLACK_WEIGHT
        self.factor(weight, own, link)
        weighted = weight * self.problem.cost
        y_own, y_link = self.solve(*self.times(weighted))
        return self.centred(y_own, y_link, START_KJPY)

    def centred(self, y_own: FloatArray, y_link: FloatArray, mu: float) -> Point:
        """Return the point of that barrier parameter whose duals are (nearly) the given ones."""
        least = LEAST_PRICE * np.sqrt(mu)
        y_own, y_link = y_own.copy(), y_link.copy()
        y_own[self.own_slack] = np.minimum(y_own[self.own_slack], -least)
        y_link[self.link_slack] = np.minimum(y_link[self.link_slack], -least)
        rho = (self.problem.cost - self.transposed(y_own, y_link)) * self.range / mu
        root = np.sqrt(4.0 + rho**2)
        low, high = 2.0 / (2.0 + rho + root), 2.0 / (2.0 - rho + root)
        price = np.concatenate([-y_own[self.own_slack], -y_link[self.link_slack]])
        p = np.concatenate([low * self.range, high * self.range, mu / price])
        return Point(self.problem.lower + p[self.low], y_own, y_link, p, mu / p)

    def factor(self, theta: FloatArray, own: FloatArray, link: FloatArray) -> None:
        """Factorise A Θ Aᵀ + D.

        Parameters
        ----------
        theta
            Weights of columns, (n,).
        own, link
            D for local (T·S,) and linking rows (m,).

        Raises
        ------
        RoadClosed
            If rounding has made the system indefinite.
        """
        self.theta, self.theta_own, self.theta_link = theta, own, link
        self.inner, answer = self.chains.factor(theta, own)
        for ridge_ratio in RIDGE_RATIOS:
            system = self.linking.system(theta, link, self.inner, answer)
            diagonal = np.arange(len(system))
            system[diagonal, diagonal] *= 1.0 + ridge_ratio
            try:
                self.outer = cho_factor(system, lower=False, overwrite_a=True, check_finite=False)
            except LinAlgError:
                continue
            return
        raise RoadClosed("the system of linking rows lost its definiteness")

    def solve(self, own: FloatArray, link: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the duals that the factorised system gives for right-hand sides."""
        y_own, y_link = self._solve_once(own, link)
        for _ in range(self.refinements):
            left_own, left_link = self.times(self.theta * self.transposed(y_own, y_link))
            left_own = own - left_own - self.theta_own * y_own
            left_link = link - left_link - self.theta_link * y_link
            more_own, more_link = self._solve_once(left_own, left_link)
            y_own, y_link = y_own + more_own, y_link + more_link
        return y_own, y_link

    def _solve_once(self, own: FloatArray, link: FloatArray) -> tuple[FloatArray, FloatArray]:
        shape = (self.chains.count, self.chains.size)
        first = self.inner.solve(own.reshape(shape)).ravel()
        right = link - self.linking.times(self.theta * (self.chains.columns @ first))
        y_link = cho_solve(self.outer, right, check_finite=False)
        back = self.problem.chain_rows @ (self.theta * self.linking.transposed(y_link))
        y_own = self.inner.solve((own - back).reshape(shape)).ravel()
        y_own[self.chains.unused] = 0.0
        return y_own, y_link

    def residual(self, at: Point) -> tuple[FloatArray, FloatArray]:
        """Return what is missing to each row, local and linking."""
        own, link = self.times(at.x)
        own, link = self.problem.chain_rhs - own, self.linking.rhs - link
        own[self.own_slack] -= at.p[self.own]
        link[self.link_slack] -= at.p[self.link]
        return own, link

    def direction(
        self, at: Point, target: FloatArray, residual: tuple[FloatArray, FloatArray] | None
    ) -> Step:
        """Return the Newton step that changes products by the target.

        Without a residual, rows keep their values.
        """
        wanted = target * self.inverse_p
        f = wanted[self.low] - wanted[self.high]
        own, link = self.times(self.theta * f)
        own, link = -own, -link
        own[self.own_slack] -= target[self.own] * self.inverse_z[self.own]
        link[self.link_slack] -= target[self.link] * self.inverse_z[self.link]
        if residual is not None:
            own, link = own + residual[0], link + residual[1]
        dy_own, dy_link = self.solve(own, link)
        dx = self.transposed(dy_own, dy_link)
        dx += f
        dx *= self.theta
        slack = slice(self.own.start, self.link.stop)
        dz_slack = np.concatenate([-dy_own[self.own_slack], -dy_link[self.link_slack]])
        dp = np.empty_like(at.p)
        dp[self.low] = dx
        np.negative(dx, out=dp[self.high])
        dp[slack] = (target[slack] - at.p[slack] * dz_slack) * self.inverse_z[slack]
        dz = wanted
        dz -= dp * self.z_per_p
        dz[slack] = dz_slack
        return Step(dy_own, dy_link, dp, dz, dp * -self.inverse_p, dz * -self.inverse_z)

    def advance(self, at: Point) -> tuple[Point, float, float]:
        """Take one step; returns the new point and how far each side went."""
        self.inverse_p, self.inverse_z = 1.0 / at.p, 1.0 / at.z
        self.z_per_p = at.z * self.inverse_p
        theta = 1.0 / (self.z_per_p[self.low] + self.z_per_p[self.high])
        own, link = np.zeros(len(at.y_own)), np.zeros(len(at.y_link))
        own[self.own_slack] = at.p[self.own] * self.inverse_z[self.own]
        link[self.link_slack] = at.p[self.link] * self.inverse_z[self.link]
        self.factor(theta, own, link)
        products = at.p * at.z
        mu = float(products.mean())
        affine = self.direction(at, -products, self.residual(at))
        primal, dual = affine.reach
        ahead = float(((at.p + primal * affine.p) * (at.z + dual * affine.z)).mean())
        goal = max((ahead / mu) ** 3, 1e-6) * mu
        corrector = self.direction(at, goal - affine.p * affine.z, None)
        step, reach = _weighted(affine, corrector, (0.0, 0.0))
        for _ in range(CORRECTOR_COUNT_MAX):
            if min(reach) > FAR_ENOUGH:
                break
            wider = [min(1.0, 1.3 * r + 0.1) for r in reach]
            trial = (at.p + wider[0] * step.p) * (at.z + wider[1] * step.z)
            fix = np.maximum(np.clip(trial, 0.1 * goal, 10.0 * goal) - trial, -10.0 * goal)
            better, new = _weighted(step, self.direction(at, fix, None), reach)
            if sum(new) < sum(reach) + 0.02:
                break
            step, reach = better, new
        primal, dual = (min(1.0, FRACTION * r) for r in reach)
        return self._moved(at, step, primal, dual), primal, dual

    def _moved(self, at: Point, step: Step, primal: float, dual: float) -> Point:
        return Point(
            x=at.x + primal * step.p[self.low],
            y_own=at.y_own + dual * step.y_own,
            y_link=at.y_link + dual * step.y_link,
            p=at.p + primal * step.p,
            z=at.z + dual * step.z,
        )


def _weighted(
    base: Step, extra: Step, least: tuple[float, float]
) -> tuple[Step, tuple[float, float]]:
    """Return base + w·extra with the weight, per side, that lets it go farthest."""
    best, weight = list(least), [0.0, 0.0]
    trial = np.empty_like(base.use_p)
    for side, (own, more) in enumerate(((base.use_p, extra.use_p), (base.use_z, extra.use_z))):
        for w in WEIGHTS:
            np.multiply(more, w, out=trial)
            np.add(trial, own, out=trial)
            reach = _reach(trial)
            if reach > best[side] + 1e-9:
                best[side], weight[side] = reach, w
            if best[side] >= 1.0:
                break
    return base.plus(extra, weight[0], weight[1]), (best[0], best[1])


def _sum(one: FloatArray, weight: float, other: FloatArray) -> FloatArray:
    """Return one + weight·other with a single new array."""
    found = weight * other
    found += one
    return found


def _reach(use: FloatArray) -> float:
    """Return the largest multiple, at most 1, that leaves all of what is used at least 0."""
    return float(1.0 / max(1.0, use.max(initial=0.0)))
