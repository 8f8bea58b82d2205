"""Shapes of a day: load, sun and price, half hour by half hour; and a book revised."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.random import default_rng  # noqa: TID251 - seeded, for benches only
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
INTERVAL_COUNT: Final = 48
INTERVAL_H: Final = 0.5


def day_ratio() -> FloatArray:
    """Return load over its mean through the day, (T,): low at night, a plateau, an evening peak."""
    hour = (np.arange(INTERVAL_COUNT) + 0.5) * INTERVAL_H
    day = 0.22 * np.exp(-(((hour - 11.5) / 3.5) ** 2))
    evening = 0.34 * np.exp(-(((hour - 18.5) / 2.2) ** 2))
    return np.asarray(0.82 + day + evening)


def sun_ratio() -> FloatArray:
    """Return sunshine over its noon value, (T,)."""
    hour = (np.arange(INTERVAL_COUNT) + 0.5) * INTERVAL_H
    return np.asarray(np.maximum(0.0, np.sin(np.pi * (hour - 6.0) / 12.0)))


def price_jpy_per_kwh() -> FloatArray:
    """Return the level around which asks lie, (T,)."""
    return np.asarray(10.0 + 5.0 * (day_ratio() - 1.0) / 0.2 - 2.0 * sun_ratio())


def changed(book: dict[str, Any], *, share_ratio: float, seed: int) -> dict[str, Any]:
    """Return the snapshot with that share of its step bids at other quantities and asks.

    Quantities change by up to a fifth, asks by up to a tenth, as a revised bid would.
    """
    rng = default_rng(seed)
    bids = []
    for bid in book["bids"]:
        if bid["form"] == "STEPS" and rng.random() < share_ratio:
            quantity, ask = rng.uniform(0.8, 1.2), rng.uniform(0.9, 1.1)
            bids.append({**bid, "curves": [_revised(c, quantity, ask) for c in bid["curves"]]})
        else:
            bids.append(bid)
    return {**book, "bids": bids}


def _revised(curve: dict[str, Any], quantity: float, ask: float) -> dict[str, Any]:
    steps = [
        {
            "quantity_kw": round(step["quantity_kw"] * quantity, 1),
            "ask_jpy_per_kwh": round(step["ask_jpy_per_kwh"] * ask, 2),
        }
        for step in curve["steps"]
    ]
    return {**curve, "steps": sorted(steps, key=lambda step: step["ask_jpy_per_kwh"])}
