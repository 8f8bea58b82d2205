"""Measurements as ratios taken in one run; never asserted in a test.

Each module has ``run(*, size) -> dict``; `NAMES` says which and what they compare.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Final

NAMES: Final = {
    "api": "bids over HTTP: single ones on a timetable, baskets ÷ COPY, the gate, an overload",
    "clearing": "engine total ÷ raw HiGHS on the same matrices",
    "bids": "1,000 bids in one service call ÷ COPY of the same ready rows",
    "documents": "1,000 statements as PDF, printed and stored, ÷ the time they may take",
    "blocks": "300 blocks to gap 0 ÷ raw HiGHS on the same rows",
    "openadr": "OpenADR over HTTP: polls, reports and webhooks, each alone",
    "live": "a commit until it is on the control room's screen in Chromium, end to end",
    "meter": "ingest of readings ÷ raw COPY of the same ready rows",
    "portal": "every page of the portals at 1,000,000 bids: time, statements, weight",
    "uftp": "a burst of 200 signed UFTP messages, each answered by a message, none lost",
    "settlement": "a month of 1,000 sites ÷ the bare set-based SQL",
}


def alternately(
    rounds_count: int, ours: Callable[[int], object], floor: Callable[[int], object]
) -> tuple[list[float], list[float]]:
    """Time two pieces of work in turn, so that both meet the same machine; seconds each.

    Parameters
    ----------
    rounds_count
        Counted rounds; one more warms up first.
    ours, floor
        Called with the number of the round.
    """
    # as the web does after its start
    gc.collect()
    gc.freeze()
    ours_s: list[float] = []
    floor_s: list[float] = []
    for number in range(rounds_count + 1):
        for work, times in ((ours, ours_s), (floor, floor_s)):
            began = time.perf_counter()
            work(number)
            times.append(time.perf_counter() - began)
    return ours_s[1:], floor_s[1:]


def summary(ours_s: list[float], floor_s: list[float]) -> dict[str, float]:
    """Medians of both and the median of their ratios, round by round."""
    ratios = [a / b for a, b in zip(ours_s, floor_s, strict=True)]
    return {
        "ours_s": round(statistics.median(ours_s), 4),
        "floor_s": round(statistics.median(floor_s), 4),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }
