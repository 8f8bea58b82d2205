"""Step curves: per curve and step one column per half hour, at its ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from market.core.audit.block import Block, Leg, Market, family, window_of


def block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a step bid may do; columns in the order curve, step, half hour."""
    upper_kw, ask, t = [], [], []
    for curve in bid["curves"]:
        window = window_of(curve)
        for step in curve["steps"]:
            upper_kw += [step["quantity_kw"]] * len(window)
            ask += [step["ask_jpy_per_kwh"]] * len(window)
            t.append(window)
    count = len(upper_kw)
    return Block(
        families={
            "step": family(count, upper=upper_kw, cost_jpy=market.h * np.array(ask, dtype=float))
        },
        legs=(
            Leg(
                name="STEPS",
                direction=bid["direction"],
                resource=bid["resource"],
                family="step",
                column=np.arange(count),
                t=np.concatenate(t) if t else np.zeros(0, dtype=np.int64),
            ),
        ),
    )
