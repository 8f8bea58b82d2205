"""The engine on the demo day's book against bare HiGHS on the engine's own matrices.

Engine: from the snapshot to awards and prices, model building, network rows, ties and
prices included. Whole: from snapshot bytes to verified result bytes.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from accounts.core.errors import ensure
from aggregator.ops.bench import alternately, summary
from aggregator.ops.bench.book import closed_book
from market.core.certificate import verify_result
from market.core.clearing import clear
from market.core.results import clear_bytes
from market.core.snapshot import snapshot_from_bytes
from market.core.yardstick import raw_optimum_jpy

ROUNDS_COUNT = 5
AGREEMENT_RATIO = 1e-9


def run(*, rounds: int = ROUNDS_COUNT) -> dict[str, Any]:
    """Measure the clearing of the demo day."""
    content = closed_book()
    snapshot = snapshot_from_bytes(content)
    cleared = clear(snapshot)
    ours_s, raw_s = alternately(
        rounds, lambda _: clear(snapshot), lambda _: raw_optimum_jpy(cleared)
    )
    whole_s = [_whole_s(content) for _ in range(rounds)]
    raw_jpy = raw_optimum_jpy(cleared)
    return {
        "bids": content.count(b'"form":'),
        "columns": int(cleared.programme.size),
        "whole_s": round(statistics.median(whole_s), 4),
        "same_optimum": abs(raw_jpy - cleared.objective_jpy)
        <= AGREEMENT_RATIO * max(1.0, abs(raw_jpy)),
        **summary(ours_s, raw_s),
    }


def _whole_s(content: bytes) -> float:
    began = time.perf_counter()
    certificate = verify_result(content, clear_bytes(content))
    ensure(certificate.passed, "; ".join(certificate.failures))
    return time.perf_counter() - began
