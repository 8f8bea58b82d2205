"""The optimum of a large book: interior point on few rows, more rows where needed, then exact.

The climb starts with balance and relief rows only. A row joins when the point comes near it, which
is mostly before it is broken. Whatever a settled optimum still breaks joins too, and the climb goes
on from a point kept on the way, where there is room to turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

import numpy as np

from market.core.fast.chains import Chains
from market.core.fast.duals import own_duals, spread
from market.core.fast.errors import RoadClosed
from market.core.fast.finish import Settled, settled
from market.core.fast.interior import Interior, Point
from market.core.fast.kept import Camp, FastOptimum, Kept, TextArray, recentred
from market.core.fast.linking import Dense, Linking, Sparse, dense_rows, sparse_rows
from market.core.fast.reduction import DENSE_ROWS, LAZY_EXTRA, reduced
from market.core.fast.sharing import Shared, Sharing
from market.core.fast.threads import one_thread
from market.core.network import KW_PER_MW
from market.core.offers.terms import FloatArray, IntArray
from market.core.programme import GRID, LAZY_ROWS, Programme, with_lazy_rows

ITERATION_COUNT_MAX: Final = 90
LINKING_ROW_COUNT_MAX: Final = 6_000
ROUND_COUNT_MAX: Final = 8
SETTLE_AT: Final = (1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12)
"""Gaps over bid cost at which the point is asked to settle, in turn."""
BROKEN_MW: Final = 1e-11


JOIN_FROM: Final = 0.8
"""Share of its limit at which a row joins while the climb goes on."""
IDLE_UNTIL: Final = ((0.1, 0.3), (0.0, 0.6))
"""From which gap on, and below which share of its limit, a row is dropped again."""
BUSY_FROM: Final = 0.75
"""Share of its limit from which a row without price is watched while ties are shared."""
JOIN_COUNT_MAX: Final = 500
"""Most rows that join at one look, the most loaded first: early points are near far too many."""
LOOK_RATIO: Final = 0.45
"""Rows are looked at whenever the sum of products has fallen to this share of what it was."""
LOOK_UNTIL: Final = 1e-4
"""Gap over bid cost down to which rows are looked at."""
DROP_RATIO: Final = 0.15
"""Share of rows that must be idle for the system to be laid out anew for their sake alone."""
REFINE_RATIO: Final = 1e-2
"""Gap from which on each solution is refined once."""
IDLE_RATIO: Final = 0.5
"""Gap from which on idle rows are dropped."""
RETURN_RATIO: Final = 5e-3
"""Gap of the point to which the climb returns when a settled optimum breaks a row."""
RESUME_RATIO: Final = 3e-2
"""Gap of the point kept for a like book."""
LIMIT_LEAST_RATIO: Final = 1e-3


def fast_optimum(
    base: Programme, keys: Mapping[str, IntArray], weight: FloatArray, kept: Kept | None = None
) -> FastOptimum:
    """Return an optimal pair of a large linear programme, with ties shared.

    Parameters
    ----------
    base
        The problem without lazy rows, and without integers.
    keys
        Lazy rows already known to matter.
    weight
        Weight of each column's square in the choice among optima, (N,).
    kept
        Of a run on a like book, to start from.

    Raises
    ------
    RoadClosed
        If the book has a shape this road does not know, or the road does not arrive.
    """
    with one_thread(), np.errstate(all="ignore"):
        try:
            road = _Road(base, keys, weight)
            known = None if kept is None else kept.on(road.problem)
            if known is not None:
                with suppress(RoadClosed):
                    return road.travelled(known)
                road = _Road(base, keys, weight)
            return road.travelled()
        except (ArithmeticError, ValueError, IndexError) as found:
            # A book this road mistakes for one of its kind must not be left without a result.
            raise RoadClosed(f"the book does not fit: {found}") from found


class _Road:
    def __init__(self, base: Programme, keys: Mapping[str, IntArray], weight: FloatArray) -> None:
        _check_shape(base, keys)
        self.base, self.problem = base, reduced(base)
        self.chains = Chains(self.problem, base.snapshot.interval_count)
        self.weight = weight[self.problem.column]
        number = np.full(base.size, -1)
        number[self.problem.column] = np.arange(self.problem.count)
        twins = self.problem.twins
        is_left = number[twins.kept] >= 0
        self.weight[number[twins.kept[is_left]]] += weight[twins.gone[is_left]]
        self.is_bid = self.problem.column < base.slices[GRID].start
        self.rows: dict[str, IntArray] = {
            "balance": np.arange(len(base.rows["balance"].rhs)),
            "relief": np.arange(len(base.rows["relief"].rhs)),
            "headroom_up": keys["headroom_up"],
            "headroom_down": keys["headroom_down"],
        }
        self.rows |= {name: np.zeros(0, dtype=np.int64) for name in self._extra_names()}
        relief = base.rows["relief"].matrix[:, base.grid["local"]]
        self.asked_kw = relief @ base.upper_kw[base.grid["local"]]
        self.local_rows = dict(zip(self.problem.local.names, self.problem.local.rows, strict=True))
        self.steps = 0
        self._lay_out()

    def _extra_names(self) -> list[str]:
        return [name for name in LAZY_EXTRA if len(self.base.rows[name].rhs)]

    def _lay_out(self) -> None:
        """Build the linking rows now chosen."""
        if sum(map(len, self.rows.values())) > LINKING_ROW_COUNT_MAX:
            raise RoadClosed("too many linking rows come into question")
        names = self._extra_names()
        self.dense: Dense = dense_rows(
            self.problem, [(name, self.rows[name]) for name in DENSE_ROWS]
        )
        self.sparse: Sparse = sparse_rows(self.problem, [(name, self.rows[name]) for name in names])
        self.linking = Linking(self.problem, self.chains, self.dense, self.sparse)
        self.interior = Interior(self.problem, self.chains, self.linking)
        self.family = np.concatenate([self.dense.family, self.sparse.family])
        self.key = np.concatenate([self.dense.key, self.sparse.key])

    def travelled(self, kept: Kept | None = None) -> FastOptimum:
        """Go all the way, from the start or from what is kept."""
        at = self.interior.start() if kept is None else self._resumed(kept)
        self.camp = self.waypoint = self._camp(at)
        for _ in range(ROUND_COUNT_MAX):
            found = self._settled(at)
            broken = self._loaded(self._whole(found.x), 1.0, BROKEN_MW)
            rows = {name: _union(keys, broken.get(name)) for name, keys in self.rows.items()}
            if not self._differs(rows):
                self.known_rows = rows
                return self._published(self._shared(found, kept))
            at = self._joined(self.camp, rows)
        raise RoadClosed("rows kept being broken")

    def _resumed(self, kept: Kept) -> Point:
        self.rows = {name: _of_family(kept.camp, name) for name in self.rows}
        self._lay_out()
        y_link = np.zeros(self.linking.m)
        here, there = self._in_both(kept.camp.family, kept.camp.key)
        y_link[here] = kept.camp.at.y_link[there]
        return self._joined(recentred(kept, self.interior, y_link), dict(kept.rows))

    def _shared(self, found: Settled, kept: Kept | None) -> Settled:
        """Return the optimum that shares ties; rows it would break join, at no price."""
        busy = self._busy(found)
        known: Shared | None = None
        if kept is not None:
            busy = {name: _union(keys, kept.sharing_rows[name]) for name, keys in busy.items()}
        found = self._relaid(found, busy)
        if kept is not None and kept.sides is not None:
            sharing = Sharing(self.interior, found, self.weight)
            known = kept.sides.on(self._in_both(kept.family, kept.key), sharing)
        for _ in range(ROUND_COUNT_MAX):
            sharing = Sharing(self.interior, found, self.weight)
            x = sharing.least(known)
            broken = self._loaded(self._whole(x), 1.0, BROKEN_MW)
            rows = {name: _union(keys, broken.get(name)) for name, keys in self.rows.items()}
            if not self._differs(rows):
                self.sides = sharing.sides()
                return replace(found, x=x)
            family, key, known = self.family, self.key, sharing.shared
            found = self._relaid(found, rows)
            if known is not None:
                new = Sharing(self.interior, found, self.weight)
                known = known.relaid(*self._in_both(family, key), new)
        raise RoadClosed("sharing ties kept breaking rows")

    def _in_both(self, family: TextArray, key: IntArray) -> tuple[IntArray, IntArray]:
        """Return the numbers of the rows that are there now and were before: here, and there."""
        here, there = [], []
        for name in self.rows:
            mine = np.flatnonzero(self.family == name)
            theirs = np.flatnonzero((family == name) & (key >= 0))
            _, at, was = np.intersect1d(
                self.key[mine], key[theirs], assume_unique=True, return_indices=True
            )
            here.append(mine[at])
            there.append(theirs[was])
        return np.concatenate(here), np.concatenate(there)

    def _busy(self, found: Settled) -> dict[str, IntArray]:
        """Return the rows with a price, and those near their limit."""
        near = self._loaded(self._whole(found.x), BUSY_FROM, 0.0)
        priced = (found.y_link != 0.0) | self.linking.is_equal
        return {
            name: np.intersect1d(
                keys,
                _union(self.key[priced & (self.family == name)], near.get(name)),
            )
            for name, keys in self.rows.items()
        }

    def _relaid(self, found: Settled, rows: dict[str, IntArray]) -> Settled:
        """Choose other rows at a settled optimum; new ones have no price."""
        family, key = self.family, self.key
        self.rows = rows
        self._lay_out()
        y, moves = np.zeros(self.linking.m), np.zeros(self.linking.m, dtype=bool)
        here, there = self._in_both(family, key)
        y[here], moves[here] = found.y_link[there], found.link_moves[there]
        return replace(found, y_link=y, link_moves=moves)

    def _ratio(self, at: Point) -> float:
        bid_cost = float(self.problem.cost[self.is_bid] @ at.x[self.is_bid])
        return at.gap / max(abs(bid_cost), 1.0)

    def _settled(self, at: Point) -> Settled:
        failure: RoadClosed | None = None
        for ratio in SETTLE_AT:
            if failure is not None and self._ratio(at) <= ratio:
                continue
            at = self._climbed(at, ratio)
            try:
                return settled(self.interior, at)
            except RoadClosed as found:
                failure = found
        raise failure or RoadClosed("no gap to settle at")

    def _climbed(self, at: Point, until_ratio: float) -> Point:
        ratio = self._ratio(at)
        looked_at = at.gap
        while ratio > until_ratio:
            if self.steps >= ITERATION_COUNT_MAX:
                raise RoadClosed("the interior point took too many steps")
            self.interior.refinements = int(ratio < REFINE_RATIO)
            at, _, _ = self.interior.advance(at)
            self.steps += 1
            ratio = self._ratio(at)
            if not np.isfinite(ratio):
                raise RoadClosed("the interior point lost its digits")
            if at.gap < LOOK_RATIO * looked_at and ratio > LOOK_UNTIL:
                looked_at = at.gap
                at = self._looked(at, ratio)
            if ratio > RETURN_RATIO:
                self.camp = self._camp(at)
            if ratio > RESUME_RATIO:
                self.waypoint = self._camp(at)
        return at

    def _looked(self, at: Point, ratio: float) -> Point:
        """Let near rows join and idle ones go."""
        camp, near = self._camp(at), self._near(at)
        kept = self._kept(camp, ratio)
        rows = {name: _union(kept[name], near.get(name)) for name in kept}
        new = sum(len(np.setdiff1d(keys, self.rows[name])) for name, keys in rows.items())
        if new == 0 and sum(map(len, rows.values())) > (1.0 - DROP_RATIO) * len(self.key):
            return at
        return self._joined(camp, rows)

    def _near(self, at: Point) -> dict[str, IntArray]:
        """Return the rows near their limit; of too many new ones the most loaded."""
        loads = {
            name: 1.0 - left / self._limit_mw(name)
            for name, left in self._left_mw(self._whole(at.x)).items()
        }
        new = np.concatenate([np.delete(load, self.rows[name]) for name, load in loads.items()])
        least = JOIN_FROM
        if int((new > least).sum()) > JOIN_COUNT_MAX:
            least = float(np.partition(new, -JOIN_COUNT_MAX)[-JOIN_COUNT_MAX])
        return {name: np.flatnonzero(load > least) for name, load in loads.items()}

    def _kept(self, camp: Camp, ratio: float) -> dict[str, IntArray]:
        """Return the rows that are not idle."""
        if ratio >= IDLE_RATIO:
            return self.rows
        idle_until = next(share for least, share in IDLE_UNTIL if ratio >= least)
        kept = {}
        for name, keys in self.rows.items():
            mine = self.family == name
            limit = self._limit_mw(name)[self.key[mine]]
            is_busy = camp.slack[mine] < (1.0 - idle_until) * limit
            kept[name] = keys if name == "balance" else np.sort(self.key[mine][is_busy])
        return kept

    def _differs(self, rows: dict[str, IntArray]) -> bool:
        return any(not np.array_equal(rows[name], keys) for name, keys in self.rows.items())

    def _camp(self, at: Point) -> Camp:
        slack = np.ones(self.linking.m)
        slack[self.interior.link_slack] = at.p[self.interior.link]
        return Camp(at, self.family, self.key, slack)

    def _joined(self, camp: Camp, rows: dict[str, IntArray]) -> Point:
        """Return the camp's point with other rows chosen.

        The price of a new row starts where it is centred. What that adds to reduced costs is given
        to the multipliers of bounds, so that the point stays dual feasible.
        """
        at = camp.at
        mu = at.gap / len(at.p)
        self.rows = rows
        self._lay_out()
        room = self.linking.rhs - self.linking.times(at.x)
        slack = np.maximum(room, max(np.sqrt(mu), 1e-4))
        y = -mu / slack
        here, there = self._in_both(camp.family, camp.key)
        y[here], slack[here] = at.y_link[there], camp.slack[there]
        interior = self.interior
        kept = interior.link.start
        p = np.concatenate([at.p[:kept], slack[interior.link_slack]])
        z = np.concatenate([at.z[:kept], -y[interior.link_slack]])
        change = self.problem.cost - interior.transposed(at.y_own, y)
        change -= z[interior.low] - z[interior.high]
        z[interior.low] += np.maximum(change, 0.0)
        z[interior.high] += np.maximum(-change, 0.0)
        return Point(at.x, at.y_own, y, p, z)

    def _whole(self, x: FloatArray) -> FloatArray:
        """Return all columns of the programme, in MW."""
        problem = self.problem
        whole = problem.fixed.copy()
        whole[problem.column] = x
        whole[problem.twins.gone] = whole[problem.twins.kept]
        return whole

    def _limit_mw(self, name: str) -> FloatArray:
        """Return what each row of a family is measured by."""
        base = self.base
        if name == "headroom_up":
            limit = base.headroom.up_kw.ravel()
        elif name == "headroom_down":
            limit = base.headroom.down_kw.ravel()
        elif name == "relief":
            limit = self.asked_kw
        else:
            limit = base.rows[name].rhs
        least = LIMIT_LEAST_RATIO * np.abs(limit).max(initial=0.0)
        return np.asarray(np.maximum(np.abs(limit), least) / KW_PER_MW)

    def _loaded(self, x_mw: FloatArray, load_ratio: float, spare_mw: float) -> dict[str, IntArray]:
        """Return the rows loaded beyond that share of their limit."""
        return {
            name: np.flatnonzero(left < (1.0 - load_ratio) * self._limit_mw(name) - spare_mw)
            for name, left in self._left_mw(x_mw).items()
        }

    def _left_mw(self, x_mw: FloatArray) -> dict[str, FloatArray]:
        """Return what is left of the limit of each row that may join, by family."""
        base, x_kw = self.base, x_mw * KW_PER_MW
        flow_kw = base.flow_kw(x_kw)
        left_kw = {
            "headroom_up": (base.headroom.up_kw - flow_kw).ravel(),
            "headroom_down": (base.headroom.down_kw + flow_kw).ravel(),
        }
        for name in ("relief", *self._extra_names()):
            rows = base.rows[name]
            left_kw[name] = rows.rhs - rows.matrix @ x_kw
            left_kw[name][self.local_rows.get(name, [])] = np.inf
        return {name: left / KW_PER_MW for name, left in left_kw.items()}

    def _published(self, found: Settled) -> FastOptimum:
        base, problem = self.base, self.problem
        keys = {name: np.zeros(0, dtype=np.int64) for name in LAZY_ROWS}
        dual = {name: np.zeros(len(rows.rhs)) for name, rows in base.rows.items()}
        for name, chosen in self.rows.items():
            mine = np.flatnonzero(self.family == name)
            order = mine[np.argsort(self.key[mine])]
            if name in LAZY_ROWS:
                keys[name], dual[name] = chosen, found.y_link[order]
            else:
                dual[name][self.key[order]] = found.y_link[order]
        dual.setdefault("deliver_flow", np.zeros(0))
        current = with_lazy_rows(base, keys)
        x = self._whole(found.x)
        own_duals(current, problem, (found, x), dual)
        moves = {name: np.zeros(len(value), dtype=bool) for name, value in dual.items()}
        for name, chosen in self.rows.items():
            mine = np.flatnonzero(self.family == name)
            order = mine[np.argsort(self.key[mine])]
            place = np.arange(len(chosen)) if name in LAZY_ROWS else self.key[order]
            moves[name][place] = found.link_moves[order]
        own_moves = np.zeros(len(problem.local.rhs), dtype=bool)
        used = problem.chain_source >= 0
        own_moves[problem.chain_source[used]] = found.own_moves[used]
        spread(problem.local, own_moves, moves)
        return FastOptimum(
            programme=current,
            keys=keys,
            x_mw=x,
            dual=dual,
            moves=moves,
            iterations=self.steps,
            kept=Kept(
                problem=problem,
                camp=self.waypoint,
                rows=self.known_rows,
                sharing_rows=self.rows,
                sides=self.sides,
                family=self.family,
                key=self.key,
            ),
        )


def _of_family(camp: Camp, name: str) -> IntArray:
    return np.sort(camp.key[(camp.family == name) & (camp.key >= 0)])


def _union(keys: IntArray, more: IntArray | None) -> IntArray:
    return keys if more is None else np.union1d(keys, more).astype(np.int64)


def _check_shape(base: Programme, keys: Mapping[str, IntArray]) -> None:
    unknown = [
        name
        for name in ("flow", "compute", "reserve", "deliver_energy_up", "deliver_energy_down")
        if len(base.rows[name].rhs)
    ]
    joint = [name for name in base.joint if name in base.rows and len(base.rows[name].rhs)]
    if unknown or joint or len(base.binary) or len(keys["deliver_flow"]):
        raise RoadClosed(f"the book has rows this road does not know: {unknown + joint}")
