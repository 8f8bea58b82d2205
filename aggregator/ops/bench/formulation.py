"""What formulating costs: the linear optimum through CVXPY against bare HiGHS on the same rows.

Engine: composing the problem, writing it in CVXPY, its way to HiGHS, and HiGHS itself, up to an
optimum that breaks no network row. Ties are not shared and nothing is published. It starts with the
network rows that the clearing ended with, so that both solve the same matrices.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from aggregator.ops.bench import instances
from market.core.clearing import Clearing, broken_rows, clear, linear_problem
from market.core.fast.threads import one_thread
from market.core.model import Model
from market.core.network import KW_PER_MW
from market.core.offers.terms import IntArray
from market.core.programme import LAZY_ROWS, programme, with_lazy_rows
from market.core.snapshot import Snapshot, snapshot_from_json
from market.core.solver import solve_linear
from market.core.yardstick import raw_optimum_jpy

AGREEMENT_RATIO: Final = 1e-9


def run(size: str, *, seed: int = 0) -> dict[str, Any]:
    """Measure one generated book.

    Parameters
    ----------
    size
        One of :data:`aggregator.ops.bench.instances.SIZES`.
    seed
        Of the generator.
    """
    snapshot = snapshot_from_json(instances.document(size, seed))
    cleared = clear(snapshot)
    known = {name: cleared.programme.rows[name].keys for name in LAZY_ROWS}
    began_s = time.process_time()
    with one_thread():
        objective_jpy, rounds, model_s = _optimum_jpy(snapshot, known)
    engine_s = time.process_time() - began_s
    began_s = time.process_time()
    raw_jpy = raw_optimum_jpy(cleared)
    raw_s = time.process_time() - began_s
    return {
        "size": size,
        "seed": seed,
        "rounds": rounds,
        "rows": _row_count(cleared),
        "cpu_s": round(engine_s, 2),
        "formulation_cpu_s": round(model_s, 2),
        "raw_cpu_s": round(raw_s, 2),
        "ratio_to_raw": round(engine_s / raw_s, 3),
        "same_optimum": abs(raw_jpy - objective_jpy) <= AGREEMENT_RATIO * max(1.0, abs(raw_jpy)),
    }


def _optimum_jpy(snapshot: Snapshot, known: Mapping[str, IntArray]) -> tuple[float, int, float]:
    """Return the optimum, the rounds it took and the CPU seconds before the first solve."""
    began_s = time.process_time()
    base, keys, rounds, model_s = programme(snapshot), dict(known), 0, 0.0
    while True:
        rounds += 1
        current = with_lazy_rows(base, keys)
        bounds_kw = (base.lower_kw, base.upper_kw)
        model = Model(current, bounds_kw, np.zeros(0, dtype=np.int64))
        if rounds == 1:
            model_s = time.process_time() - began_s
        solve_linear(model.problem, snapshot.rules)
        linear, _ = linear_problem(current, bounds_kw)
        x_kw = np.clip(model.x_mw(), linear.lower, linear.upper) * KW_PER_MW
        broken = broken_rows(current, x_kw)
        if not any(map(len, broken.values())):
            return -float(current.cost_jpy @ x_kw), rounds, model_s
        keys = {name: np.union1d(current.rows[name].keys, broken[name]) for name in keys}


def _row_count(cleared: Clearing) -> int:
    return sum(len(rows.rhs) for rows in cleared.programme.rows.values())
