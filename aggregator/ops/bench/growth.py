"""How the CPU of one clearing grows with the book, on one network.

What is measured is the linear optimum with ties shared, from the composed arrays of the snapshot:
smaller books on this network are scarce enough to need integers, larger ones are not.
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from aggregator.ops.bench.instances import SIZES, document
from market.core.fast.optimum import fast_optimum
from market.core.fast.threads import one_thread
from market.core.programme import LAZY_ROWS, programme
from market.core.snapshot import Snapshot, snapshot_from_json

GROWTH_SIZES: Final = ("m", "b", "l")


def run(*, seed: int = 0) -> dict[str, Any]:
    """Measure CPU seconds of one thread against offers, and fit the exponent."""
    found = {}
    for size in GROWTH_SIZES:
        snapshot = snapshot_from_json(document(size, seed))
        began = time.process_time()
        with one_thread():
            _linear_optimum(snapshot)
        found[SIZES[size].offers] = time.process_time() - began
    offers, seconds = np.log(list(found)), np.log(list(found.values()))
    return {
        "seed": seed,
        "exponent": round(float(np.polyfit(offers, seconds, 1)[0]), 2),
        **{f"cpu_{count}_offers_s": round(value, 2) for count, value in found.items()},
    }


def _linear_optimum(snapshot: Snapshot) -> None:
    base = programme(snapshot)
    none = {name: np.zeros(0, dtype=np.int64) for name in LAZY_ROWS}
    is_tied = base.is_shared & (base.upper_kw > 0)
    fast_optimum(base, none, is_tied / np.maximum(base.upper_kw, 1.0))
