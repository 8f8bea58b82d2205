r"""From an interior point to the optimum it leads to, without a search.

Close to the optimum an interior point tells which columns end at a bound and which rows end
loose: of each product :math:`p z` one factor has all but vanished. With those at their bounds,
what is left are two consistent systems,

.. math:: A_B x_B = b - A_N x_N, \qquad A_B^\top y = c_B,

for which the point itself is an answer but for the last digits. Both corrections are the smallest
ones and use the same factorisation. If the corrected point keeps all signs, it is optimal to
rounding: primal feasible, dual feasible and complementary [1]_. It is no corner but lies in the
midst of the optimal faces.

References
----------
.. [1] S. Mehrotra and Y. Ye, "Finding an Interior Point in the Optimal Face of Linear Programs",
   Mathematical Programming 62, 1993.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from market.core.fast.errors import RoadClosed
from market.core.fast.interior import Interior, Point
from market.core.offers.terms import BoolArray, FloatArray

SETTLE_COUNT_MAX: Final = 12
REFINEMENT_COUNT: Final = 4
SETTLED: Final = 1e-9
NOTHING: Final = 1e-26
SPARE: Final = 1e-13
PROBE: Final = 1e-8
PROBE_COUNT: Final = 2
PROBES: Final = (0.6180339887498949, 0.4142135623730951)
"""Fractions behind the vectors projected; what moves might hide from one of them."""
MOVES: Final = 1e-4
AWAY: Final = 1e12
"""Weight of a slack that leaves its row out."""


@dataclass
class Settled:
    """An optimal pair of the reduced problem; rows as in :class:`.Point`."""

    x: FloatArray
    y_own: FloatArray
    y_link: FloatArray
    x_moves: BoolArray
    """Columns that are not the same in every optimum."""
    own_moves: BoolArray
    link_moves: BoolArray
    """Rows whose price is not the same in every optimum."""


@dataclass
class _Sides:
    """Which columns end at a bound, and which at-most rows end tight."""

    at_low: BoolArray
    at_high: BoolArray
    own_tight: BoolArray
    link_tight: BoolArray


def settled(interior: Interior, at: Point) -> Settled:
    """Return the optimal pair next to an interior point.

    Raises
    ------
    RoadClosed
        If the point does not tell, after some changes of mind, what ends where.
    """
    sides = _sides(interior, at)
    worst = np.inf
    for _ in range(SETTLE_COUNT_MAX):
        found = _corrected(interior, at, sides)
        worst, changed = _judged(interior, found, sides)
        if worst <= SETTLED:
            return _clipped(interior, found, sides)
        if not changed:
            break
    raise RoadClosed(f"the interior point does not settle: off by {worst:.1e}")


def _sides(interior: Interior, at: Point) -> _Sides:
    p, z = at.p, at.z
    own_tight = np.ones(len(at.y_own), dtype=bool)
    link_tight = np.ones(len(at.y_link), dtype=bool)
    own_tight[interior.own_slack] = z[interior.own] > p[interior.own]
    link_tight[interior.link_slack] = z[interior.link] > p[interior.link]
    return _Sides(
        at_low=z[interior.low] > p[interior.low],
        at_high=z[interior.high] > p[interior.high],
        own_tight=own_tight,
        link_tight=link_tight,
    )


def _corrected(interior: Interior, at: Point, sides: _Sides) -> Settled:
    """Move the point onto the equations of its sides, by as little as possible."""
    problem = interior.problem
    inside = ~(sides.at_low | sides.at_high)
    room = np.minimum(at.p[interior.low], at.p[interior.high])
    theta = np.where(inside, np.clip(room, 1e-6, 1.0), NOTHING)
    loose_own, loose_link = ~sides.own_tight, ~sides.link_tight
    own, link = np.full(len(at.y_own), SPARE), np.full(len(at.y_link), SPARE)
    own[loose_own], link[loose_link] = AWAY, AWAY
    interior.factor(theta, own, link)
    x = np.where(sides.at_low, problem.lower, np.where(sides.at_high, problem.upper, at.x))
    y_own, y_link = np.where(loose_own, 0.0, at.y_own), np.where(loose_link, 0.0, at.y_link)
    interior.refinements = 0
    for _ in range(REFINEMENT_COUNT):
        row_own, row_link = interior.times(x)
        missing_own, missing_link = problem.chain_rhs - row_own, interior.linking.rhs - row_link
        missing_own[loose_own], missing_link[loose_link] = 0.0, 0.0
        w_own, w_link = interior.solve(missing_own, missing_link)
        w_own[loose_own], w_link[loose_link] = 0.0, 0.0
        x = x + np.where(inside, theta * interior.transposed(w_own, w_link), 0.0)
        left = problem.cost - interior.transposed(y_own, y_link)
        dy_own, dy_link = interior.solve(*interior.times(np.where(inside, theta * left, 0.0)))
        dy_own[loose_own], dy_link[loose_link] = 0.0, 0.0
        y_own, y_link = y_own + dy_own, y_link + dy_link
    none = np.zeros(0, dtype=bool)
    return Settled(x, y_own, y_link, none, none, none)


def _judged(interior: Interior, found: Settled, sides: _Sides) -> tuple[float, bool]:
    """Return by how much the pair fails, and move what fails to its other side."""
    problem, x = interior.problem, found.x
    reduced = problem.cost - interior.transposed(found.y_own, found.y_link)
    row_own, row_link = interior.times(x)
    room_own, room_link = problem.chain_rhs - row_own, interior.linking.rhs - row_link
    inside = ~(sides.at_low | sides.at_high)
    is_slack, may_loose = problem.is_slack, ~interior.linking.is_equal
    fails = {
        "below": np.where(inside, problem.lower - x, -1.0),
        "above": np.where(inside, x - problem.upper, -1.0),
        "low": np.where(sides.at_low, -reduced, -1.0),
        "high": np.where(sides.at_high, reduced, -1.0),
        "own": np.where(is_slack & sides.own_tight, found.y_own, -1.0),
        "link": np.where(may_loose & sides.link_tight, found.y_link, -1.0),
        "own_over": np.where(~sides.own_tight, -room_own, -1.0),
        "link_over": np.where(~sides.link_tight, -room_link, -1.0),
    }
    equations = max(
        float(np.abs(np.where(inside, reduced, 0.0)).max(initial=0.0)),
        float(np.abs(np.where(sides.own_tight & problem.is_used, room_own, 0.0)).max(initial=0.0)),
        float(np.abs(np.where(sides.link_tight, room_link, 0.0)).max(initial=0.0)),
    )
    worst = max(equations, *(float(value.max(initial=0.0)) for value in fails.values()))
    wrong = {name: value > SETTLED for name, value in fails.items()}
    sides.at_low = (sides.at_low | wrong["below"]) & ~wrong["low"]
    sides.at_high = (sides.at_high | wrong["above"]) & ~wrong["high"]
    sides.own_tight = (sides.own_tight | wrong["own_over"]) & ~wrong["own"]
    sides.link_tight = (sides.link_tight | wrong["link_over"]) & ~wrong["link"]
    return worst, any(bool(value.any()) for value in wrong.values())


def _clipped(interior: Interior, found: Settled, sides: _Sides) -> Settled:
    problem = interior.problem
    y_own, y_link = found.y_own, found.y_link
    tight = interior.own_slack
    y_own[tight] = np.minimum(y_own[tight], 0.0)
    y_link[interior.link_slack] = np.minimum(y_link[interior.link_slack], 0.0)
    x = np.clip(found.x, problem.lower, problem.upper)
    return Settled(x, y_own, y_link, *_moves(interior, sides))


def _moves(interior: Interior, sides: _Sides) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Tell which columns and prices have room to move within the optimal faces.

    In the midst of both faces every side is strict, so what can move are the null spaces of the
    two systems: what is left of an arbitrary vector projected onto them.
    """
    inside = ~(sides.at_low | sides.at_high)
    own = np.where(sides.own_tight, PROBE, AWAY)
    link = np.where(sides.link_tight, PROBE, AWAY)
    interior.factor(np.where(inside, 1.0, NOTHING), own, link)
    interior.refinements = 1
    x_moves = np.zeros(len(inside), dtype=bool)
    own_moves, link_moves = np.zeros(len(own), dtype=bool), np.zeros(len(link), dtype=bool)
    for number in PROBES:
        x = np.where(inside, _probe(len(inside), number), 0.0)
        for _ in range(PROBE_COUNT):
            x -= np.where(inside, interior.transposed(*interior.solve(*interior.times(x))), 0.0)
        y_own = np.where(sides.own_tight, _probe(len(own), number), 0.0)
        y_link = np.where(sides.link_tight, _probe(len(link), number), 0.0)
        for _ in range(PROBE_COUNT):
            y_own, y_link = interior.solve(y_own, y_link)
            y_own, y_link = y_own * PROBE, y_link * PROBE
        x_moves |= np.abs(x) > MOVES
        own_moves |= np.abs(y_own) > MOVES
        link_moves |= np.abs(y_link) > MOVES
    return x_moves, own_moves, link_moves


def _probe(count: int, number: float) -> FloatArray:
    """Return numbers in [1, 2) without a pattern, (count,).

    Anything periodic hides from itself: two half hours of one store may be alike in it.
    """
    at = np.arange(count, dtype=np.float64)
    return np.asarray(1.0 + np.mod(at * np.mod(at * number, 1.0) + at * number, 1.0))
