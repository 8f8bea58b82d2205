"""Capacity: per offer one column per half hour, held ready and never moving energy itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from market.core.audit.block import Block, Leg, Market, family, window_of

PRICED_H: Final = 0.5
"""Asks and prices of capacity are per kW and 30 minutes."""


def block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a capacity bid may do; columns in the order offer, half hour."""
    windows = [window_of(offer) for offer in bid["offers"]]
    lengths = [len(window) for window in windows]

    def spread(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.repeat(np.array([offer[name] for offer in bid["offers"]], dtype=float), lengths)

    t = np.concatenate(windows) if windows else np.zeros(0, dtype=np.int64)
    return Block(
        families={
            "reserved": family(
                len(t),
                upper=spread("quantity_kw"),
                cost_jpy=market.h / PRICED_H * spread("ask_jpy_per_kw"),
            )
        },
        legs=(
            Leg(
                name="RESERVED",
                direction=market.products[bid["product"]]["direction"],
                resource=bid["resource"],
                family="reserved",
                column=np.arange(len(t)),
                t=t,
                product=bid["product"],
            ),
        ),
    )
