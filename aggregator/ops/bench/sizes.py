"""Generated books of size a, b and c: the engine against bare HiGHS, cold and with a changed book.

CPU seconds of one thread, in one run. *Clear* is from the snapshot to settled prices and awards;
*whole* is from snapshot bytes to verified result bytes. The bare solver gets the very matrices of
the clearing, network rows included; at size c it is left out, being far from done after ten
minutes. Gaps are over the cost of the bids accepted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from aggregator.ops.bench import instances
from market.core.clearing import Clearing, clear
from market.core.publication import accepted_cost_jpy
from market.core.results import result_bytes
from market.core.rolling import Rolling
from market.core.snapshot import snapshot_from_bytes, snapshot_from_json
from market.core.yardstick import raw_optimum_jpy

CHANGED_RATIO: Final = 0.05
WITHOUT_RAW: Final = ("c",)
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
    document = instances.document(size, seed)
    content = json.dumps(document).encode()
    if size in WITHOUT_RAW:
        document.clear()
    snapshot, read_s = _timed(lambda: snapshot_from_bytes(content))
    cleared, clear_s = _timed(lambda: clear(snapshot))
    result, publish_s = _timed(lambda: result_bytes(cleared))
    certificate = json.loads(result)["certificate"]
    figures = {
        "size": size,
        "seed": seed,
        "columns": cleared.programme.size,
        "gap": _gap_ratio(cleared),
        "certificate": certificate["passed"],
        "clear_cpu_s": round(clear_s, 2),
        "whole_cpu_s": round(read_s + clear_s + publish_s, 2),
        "cpu_s": round(clear_s, 2),
        "read_cpu_s": round(read_s, 2),
        "publish_and_verify_cpu_s": round(publish_s, 2),
        **_unserved(cleared),
    }
    if size not in WITHOUT_RAW:
        raw_jpy, raw_s = _timed(lambda: raw_optimum_jpy(cleared))
        figures |= {
            "raw_cpu_s": round(raw_s, 2),
            "ratio_to_raw": round(clear_s / raw_s, 3),
            "whole_ratio_to_raw": round((read_s + clear_s + publish_s) / raw_s, 3),
            "same_optimum": abs(raw_jpy - cleared.objective_jpy)
            <= AGREEMENT_RATIO * max(1.0, abs(raw_jpy)),
        }
        figures |= _again(document)
    return figures


def _again(document: dict[str, Any]) -> dict[str, Any]:
    """Measure the same book with one bid in twenty changed, after a run on the book before.

    Warm and cold are settled alike in prices and ties; the bare solver is cold, on the rows that
    the changed book needs.
    """
    rolling = Rolling()
    rolling.clear(snapshot_from_json(document))
    _, ready_s = _timed(rolling.ready)
    later = snapshot_from_json(instances.changed(document, share_ratio=CHANGED_RATIO, seed=1))
    warm, warm_s = _timed(lambda: rolling.clear(later))
    cold, cold_s = _timed(lambda: clear(later))
    raw_jpy, raw_s = _timed(lambda: raw_optimum_jpy(warm))
    return {
        "basis_cpu_s": round(ready_s, 2),
        "reclear_cpu_s": round(warm_s, 2),
        "reclear_ratio_to_cold": round(warm_s / cold_s, 3),
        "reclear_ratio_to_raw": round(warm_s / raw_s, 3),
        "reclear_same_optimum": abs(raw_jpy - warm.objective_jpy)
        <= AGREEMENT_RATIO * max(1.0, abs(raw_jpy)),
        "reclear_off_cold_kw": float(np.abs(warm.x_kw - cold.x_kw).max()),
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began_s = time.process_time()
    found = work()
    return found, time.process_time() - began_s


def _gap_ratio(cleared: Clearing) -> float:
    gap_jpy = cleared.bound_jpy - cleared.objective_jpy
    return gap_jpy / max(1.0, accepted_cost_jpy(cleared))


def _unserved(cleared: Clearing) -> dict[str, float]:
    """Return the share of what needs ask for that stays unserved, by kind."""
    shares = {}
    snapshot = cleared.snapshot
    for part, needs in (("local", snapshot.local_needs), ("balance", snapshot.balance_needs)):
        asked_kw = float(needs.need_kw.sum())
        served_kw = float(cleared.part_kw(part).sum())
        shares[f"unserved_{part}_ratio"] = round(1.0 - served_kw / max(asked_kw, 1e-9), 4)
    return shares
