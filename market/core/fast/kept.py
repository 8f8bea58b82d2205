"""What a run of the fast road leaves: its optimum, and a point from which a like book goes on.

Where some costs and quantities change, the point of a gap around a hundredth is still a good one:
far enough from all bounds to turn [1]_. Columns that changed are centred anew at the prices kept.

References
----------
.. [1] E. A. Yildirim and S. J. Wright, "Warm-Start Strategies in Interior-Point Methods for Linear
   Programming", SIAM Journal on Optimization 12(3), 2002.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from market.core.fast.interior import Interior, Point
from market.core.fast.reduction import LAZY_EXTRA, Reduced
from market.core.fast.sharing import Sides
from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.programme import Programme

TextArray = np.ndarray[tuple[int], np.dtype[np.str_]]
CHANGED_RATIO: Final = 1e-12
"""Change of a cost or range, over what it was, from which a column is centred anew."""


@dataclass
class Camp:
    """A point, and the linking rows it knows."""

    at: Point
    family: TextArray
    key: IntArray
    slack: FloatArray


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the next run may start from.

    Parameters
    ----------
    problem
        The reduced problem.
    camp
        A point on the way.
    rows
        Linking rows, by family, that the optimum was found with, and those that its ties need.
    sharing_rows
        The latter alone.
    sides
        What the choice among ties ended with, and its linking rows.
    """

    problem: Reduced
    camp: Camp
    rows: Mapping[str, IntArray]
    sharing_rows: Mapping[str, IntArray]
    sides: Sides | None
    family: TextArray
    key: IntArray

    def on(self, problem: Reduced) -> Kept | None:
        """Return the same in terms of another problem, `None` where that is no like one."""
        mine, old, new = self.problem, self.problem.programme, problem.programme
        is_like = (
            np.array_equal(mine.column, problem.column)
            and np.array_equal(mine.is_slack, problem.is_slack)
            and np.array_equal(mine.chain_of_column, problem.chain_of_column)
            and np.array_equal(old.rows["relief"].keys, new.rows["relief"].keys)
            and old.headroom.up_kw.shape == new.headroom.up_kw.shape
        )
        if not is_like:
            return None
        place = {name: _places(old.rows[name].keys, new.rows[name].keys) for name in LAZY_EXTRA}
        key = _moved(place, self.camp.family, self.camp.key)
        return replace(
            self,
            camp=replace(self.camp, key=key),
            rows=_rows_moved(place, self.rows),
            sharing_rows=_rows_moved(place, self.sharing_rows),
            key=_moved(place, self.family, self.key),
        )


def _places(old: IntArray, new: IntArray) -> IntArray:
    """Return where each old key stands among the new ones, −1 for nowhere."""
    if len(new) == 0:
        return np.full(len(old), -1)
    order = np.argsort(new)
    at = order[np.minimum(np.searchsorted(new[order], old), len(new) - 1)]
    return np.where(new[at] == old, at, -1)


def _moved(place: Mapping[str, IntArray], family: TextArray, key: IntArray) -> IntArray:
    """Return keys of rows in new terms; a row that is no more has −1."""
    found = key.copy()
    for name, places in place.items():
        found[family == name] = places[key[family == name]]
    return found


def _rows_moved(place: Mapping[str, IntArray], rows: Mapping[str, IntArray]) -> dict[str, IntArray]:
    found = {name: place[name][keys] if name in place else keys for name, keys in rows.items()}
    return {name: np.sort(keys[keys >= 0]) for name, keys in found.items()}


@dataclass(frozen=True, kw_only=True)
class FastOptimum:
    """An optimal pair of a programme with the lazy rows it needs.

    Parameters
    ----------
    programme
        The problem with the lazy rows it needed.
    keys
        Those rows by family, as :func:`market.core.programme.with_lazy_rows` takes them.
    x_mw
        All columns, (N,).
    dual
        Duals by family, for all rows of the programme and the lazy rows chosen. [kJPY/MW]
    moves
        Rows, by family, whose dual is not the same in every optimum.
    iterations
        Steps taken in all.
    kept
        What a run on a like book may start from.
    """

    programme: Programme
    keys: Mapping[str, IntArray]
    x_mw: FloatArray
    dual: Mapping[str, FloatArray]
    moves: Mapping[str, BoolArray]
    iterations: int
    kept: Kept | None


def recentred(kept: Kept, interior: Interior, y_link: FloatArray) -> Camp:
    """Return the point kept, its changed columns centred at its prices; dual feasible for them.

    Parameters
    ----------
    kept
        Of a like problem, in terms of this one.
    interior
        The new problem, with the linking rows of the camp that it has.
    y_link
        Prices of these rows.
    """
    old, new, at = kept.problem, interior.problem, kept.camp.at
    n = new.count
    mu = at.gap / len(at.p)
    was, now = old.upper - old.lower, new.upper - new.lower
    changed = _differs(old.cost, new.cost) | _differs(was, now)
    reduced = new.cost - interior.transposed(at.y_own, y_link)
    rho = reduced * now / mu
    root = np.sqrt(4.0 + rho**2)
    low, high = 2.0 / (2.0 + rho + root) * now, 2.0 / (2.0 - rho + root) * now
    p, z = at.p.copy(), at.z.copy()
    for part, room in ((interior.low, low), (interior.high, high)):
        p[part] = np.where(changed, room, p[part])
        z[part] = np.where(changed, mu / room, z[part])
    x = new.lower + np.minimum(p[:n], now)
    return Camp(
        Point(x, at.y_own, at.y_link, p, z), kept.camp.family, kept.camp.key, kept.camp.slack
    )


def _differs(one: FloatArray, other: FloatArray) -> BoolArray:
    return np.asarray(np.abs(one - other) > CHANGED_RATIO * (1.0 + np.abs(one)))
