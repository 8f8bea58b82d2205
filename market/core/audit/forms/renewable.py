"""Renewables: down by at most what is scheduled, up by at most what is there beyond that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from market.core.audit.block import Block, Leg, Market, family, window_of


def block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a renewable may do; one column per side and half hour of its window."""
    t = window_of(bid)
    spare_kw = np.array(bid["available_kw"]) - np.array(bid["scheduled_kw"])
    sides = (
        ("CURTAILED", "DOWN", "curtailed", bid["scheduled_kw"], bid["curtail_jpy_per_kwh"]),
        ("RELEASED", "UP", "released", spare_kw.clip(min=0.0), bid["release_jpy_per_kwh"]),
    )
    return Block(
        families={
            columns: family(len(t), upper=most_kw, cost_jpy=market.h * cost)
            for _, _, columns, most_kw, cost in sides
        },
        legs=tuple(
            Leg(
                name=name,
                direction=direction,
                resource=bid["resource"],
                family=columns,
                column=np.arange(len(t)),
                t=t,
            )
            for name, direction, columns, _, _ in sides
        ),
    )
