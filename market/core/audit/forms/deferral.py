"""Deferral: work waits in a backlog that holds nothing late, and has all run by the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from market.core.audit.block import (
    EXACT,
    UNSEEN_KWH,
    Block,
    Leg,
    Market,
    RowSet,
    Term,
    family,
    window_of,
)


def block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a deferral may do: backlog before + deferred − run = backlog, none late."""
    h, t = market.h, window_of(bid)
    position = np.arange(len(t))
    grown = h * (1.0 + bid["extra_work_ratio"])
    arriving_kw = np.array(bid["arriving_kw"])
    spare_kw = np.array(bid["service_limit_kw"]) - arriving_kw
    slack = bid["slack_count"]
    waiting_kwh = grown * np.array(
        [arriving_kw[max(0, end + 1 - slack) : end + 1].sum() for end in position]
    )
    waiting_kwh[-1] = 0.0
    work_kwh = grown * float(arriving_kw.sum())
    # What deferring and running leave at the end is nothing, or what no meter and no tick can tell.
    scale_kwh = np.full(len(t), work_kwh)
    scale_kwh[-1] = max(work_kwh, UNSEEN_KWH / EXACT)
    sides = (("DEFERRED", "UP", "deferred"), ("REBOUND", "DOWN", "rebound"))
    return Block(
        families={
            "deferred": family(len(t), upper=arriving_kw, cost_jpy=h * bid["ask_jpy_per_kwh"]),
            "rebound": family(len(t), upper=np.minimum(bid["rebound_limit_kw"], spare_kw)),
            "backlog": family(len(t), upper=waiting_kwh, scale=max(work_kwh, UNSEEN_KWH / EXACT)),
        },
        rows={
            "backlog": RowSet(
                is_equal=True,
                rhs=np.zeros(len(t)),
                terms=(
                    Term(family="backlog", row=position, column=position, coefficient=1.0),
                    Term(
                        family="backlog", row=position[1:], column=position[:-1], coefficient=-1.0
                    ),
                    Term(family="deferred", row=position, column=position, coefficient=-grown),
                    Term(family="rebound", row=position, column=position, coefficient=h),
                ),
                scale=scale_kwh,
            )
        },
        legs=tuple(
            Leg(
                name=name,
                direction=direction,
                resource=bid["resource"],
                family=columns,
                column=position,
                t=t,
            )
            for name, direction, columns in sides
        ),
        exclusive=(("deferred", "rebound"),),
    )
