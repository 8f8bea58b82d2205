"""The engine on a day: ``python -m aggregator.ops.bench.peers.run_ours DAYS.json ANSWER.json``.

Times each run from arrays to prices, in processor seconds of this process, on four paths.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.ops.bench.peers.day import (
    INTERVAL_COUNT,
    INTERVAL_H,
    KW_PER_MW,
    Day,
    day_from_json,
    snapshot_of,
)
from market.core.clearing import Clearing, clear
from market.core.pricing import prices
from market.core.programme import Programme, programme
from market.core.rerun import Rerun
from market.core.snapshot import Snapshot, snapshot_from_json


def answers_of(days: list[Day]) -> dict[str, dict[str, Any]]:
    """Return cost, prices and time of the last day on each path.

    ``cached`` keeps problem and solver and takes new numbers as arrays, ``session`` takes a whole
    new snapshot, ``cold`` starts from nothing; ``cvxpy`` is the path that publishes.
    """
    kept, session = Rerun(), Rerun()
    first = programme(_snapshot(days[0]))
    paths: dict[str, Callable[[Day], Clearing]] = {
        "cached": lambda one: kept.solve(_revised(first, one)),
        "session": lambda one: session.clear(_snapshot(one)),
        "cold": lambda one: Rerun().clear(_snapshot(one)),
        "cvxpy": lambda one: clear(_snapshot(one)),
    }
    return {name: [_answer(path, one) for one in days][-1] for name, path in paths.items()}


def _answer(path: Callable[[Day], Clearing], one: Day) -> dict[str, Any]:
    began_s = time.process_time()
    found = path(one)
    price = prices(found).place_jpy_per_kwh * KW_PER_MW
    cpu_s = time.process_time() - began_s
    return {
        "cost": _cost(found),
        "price": price.tolist(),
        "cpu_s": cpu_s,
        "rows": sum(len(rows.rhs) for rows in found.programme.rows.values()),
    }


def _snapshot(one: Day) -> Snapshot:
    return snapshot_from_json(snapshot_of(one))


def _revised(first: Programme, one: Day) -> Programme:
    """Return the first day's problem with the loads and costs of another, straight from arrays."""
    cost_jpy, upper_kw = first.cost_jpy.copy(), first.upper_kw.copy()
    ask_jpy_per_kwh = one.cost_per_mwh.ravel() / KW_PER_MW
    cost_jpy[first.slices["STEPS"]] = np.repeat(INTERVAL_H * ask_jpy_per_kwh, INTERVAL_COUNT)
    load_mw = one.load_mw[one.load_mw.any(axis=1)]
    upper_kw[first.grid["place"]] = (load_mw * KW_PER_MW).ravel()
    return replace(first, cost_jpy=cost_jpy, upper_kw=upper_kw)


def _cost(found: Clearing) -> float:
    """Return the cost of generators and stores, without the value of the load."""
    bids = slice(0, found.programme.grid["link"].start)
    return float(found.programme.cost_jpy[bids] @ found.x_kw[bids])


def main() -> None:
    """Solve all days on all paths, and write what came out."""
    days = [day_from_json(one) for one in json.loads(Path(sys.argv[1]).read_text())]
    Path(sys.argv[2]).write_text(json.dumps(answers_of(days)))


if __name__ == "__main__":
    main()
