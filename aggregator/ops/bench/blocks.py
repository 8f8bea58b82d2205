"""300 blocks on top of a book of size a: clearing to gap 0 against bare HiGHS on the same rows.

A third of the blocks has a minimum ratio below 1, a third a start cost, a sixth runs by the half
hour; a fifth is in exclusive groups of three, a sixth has a parent. Asks lie around the level of
the divisible offers, so that many blocks are close to the margin: that is what makes a book of
blocks hard.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

import numpy as np
from numpy.random import Generator, default_rng  # noqa: TID251 - seeded, for benches only

from aggregator.ops.bench import instances
from market.core.clearing import clear
from market.core.snapshot import snapshot_from_json
from market.core.yardstick import raw_mixed_optimum_jpy

BLOCK_COUNT: Final = 300
SEED_COUNT: Final = 5
AGREEMENT_JPY: Final = 0.1
LENGTH_RANGE: Final = (2, 12)
QUANTITY_KW: Final = (300.0, 4_000.0)
LEVEL_JPY_PER_KWH: Final = 14.0
SPREAD_JPY_PER_KWH: Final = (-8.0, 12.0)


def run(*, size: int = BLOCK_COUNT, seeds: int = SEED_COUNT) -> dict[str, Any]:
    """Clear `size` blocks for each seed; the bare solver takes the first seed only, being slow.

    The clearing counts as a whole: model, network rows, integers, prices and ties.
    """
    ours_s, gaps_jpy, raw_s, same = [], [], 0.0, False
    for seed in range(seeds):
        snapshot = snapshot_from_json(document(seed, size))
        began_s = time.process_time()
        cleared = clear(snapshot)
        ours_s.append(time.process_time() - began_s)
        gaps_jpy.append(cleared.bound_jpy - cleared.objective_jpy)
        if seed == 0:
            began_s = time.process_time()
            raw_jpy = raw_mixed_optimum_jpy(cleared)
            raw_s = time.process_time() - began_s
            same = abs(raw_jpy - cleared.objective_jpy) <= AGREEMENT_JPY
    return {
        "blocks": size,
        "seeds": seeds,
        "clear_cpu_s": round(statistics.median(ours_s), 2),
        "clear_cpu_s_max": round(max(ours_s), 2),
        "gap_jpy_max": max(gaps_jpy),
        "raw_cpu_s": round(raw_s, 2),
        "ratio_to_raw": round(ours_s[0] / raw_s, 3),
        "same_optimum": same,
    }


def document(seed: int = 0, count: int = BLOCK_COUNT) -> dict[str, Any]:
    """Return a book of size a with `count` blocks, each at a resource of its own."""
    book = instances.document("a", seed)
    rng = default_rng([seed, count])
    places = [place["id"] for place in book["places"]]
    blocks = [_block(number, rng) for number in range(count)]
    for group in range(count // 15):
        for block in blocks[3 * group : 3 * group + 3]:
            block["exclusive_group"] = f"group-{group}"
    linked = blocks[3 * (count // 15) :]
    for number in range(count // 6):
        if 2 * number + 1 < len(linked):
            linked[2 * number + 1]["parent"] = linked[2 * number]["id"]
    resources = [
        {
            "id": block["resource"],
            "place": str(rng.choice(places)),
            "limit_up_kw": max(block["quantity_kw"]),
            "limit_down_kw": max(block["quantity_kw"]),
        }
        for block in blocks
    ]
    return {
        **book,
        "auction": f"bench-blocks-{count}-{seed}",
        "resources": book["resources"] + resources,
        "bids": book["bids"] + blocks,
    }


def _block(number: int, rng: Generator) -> dict[str, Any]:
    length = int(rng.integers(*LENGTH_RANGE, endpoint=True))
    profile = np.round(rng.uniform(*QUANTITY_KW) * rng.uniform(0.8, 1.2, length), 1)
    is_up = rng.random() < 0.75  # noqa: PLR2004
    ask = LEVEL_JPY_PER_KWH + rng.uniform(*SPREAD_JPY_PER_KWH)
    block: dict[str, Any] = {
        "id": f"block-{number:03d}",
        "form": "BLOCK",
        "resource": f"block-{number:03d}",
        "direction": "UP" if is_up else "DOWN",
        "first_t": int(rng.integers(0, instances.INTERVAL_COUNT - length, endpoint=True)),
        "quantity_kw": profile.tolist(),
        "ask_jpy_per_kwh": round(ask if is_up else ask - 2.0 * LEVEL_JPY_PER_KWH, 2),
    }
    if number % 3 == 0:
        block["acceptance_min_ratio"] = round(rng.uniform(0.3, 0.9), 2)
    if number % 3 == 1:
        energy_kwh = instances.INTERVAL_H * float(profile.sum())
        block["start_cost_jpy"] = float(np.round(energy_kwh * rng.uniform(0.5, 3.0)))
    if number % 6 == 5:  # noqa: PLR2004
        block["run_min_count"] = int(rng.integers(1, length, endpoint=True))
    return block
