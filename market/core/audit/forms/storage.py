"""Storage: charge, discharge and the energy they leave at the end of each half hour."""

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
    """Return what a store may do: kept energy + charged − drawn = energy, within its limits."""
    h, t = market.h, window_of(bid)
    count, position = len(t), np.arange(len(t))
    keep = (1.0 - bid["standing_loss_ratio"]) ** h
    into, drawn = h * bid["charge_efficiency_ratio"], h / bid["discharge_efficiency_ratio"]
    limit_kwh = bid["energy_limit_kwh"]
    # The limits are met to a billionth of themselves, or to what no meter and no tick can tell.
    room_kwh = max(limit_kwh, UNSEEN_KWH / EXACT)
    floor_kwh = np.full(count, bid["reserve_kwh"])
    floor_kwh[-1] = max(bid["reserve_kwh"], bid["end_min_kwh"])
    start_kwh = np.zeros(count)
    start_kwh[0] = keep * bid["start_kwh"]
    rows = {
        "energy": RowSet(
            is_equal=True,
            rhs=start_kwh,
            terms=(
                Term(family="energy", row=position, column=position, coefficient=1.0),
                Term(family="energy", row=position[1:], column=position[:-1], coefficient=-keep),
                Term(family="charge", row=position, column=position, coefficient=-into),
                Term(family="discharge", row=position, column=position, coefficient=drawn),
            ),
            scale=limit_kwh,
        )
    }
    if bid["cycles_max"] is not None:
        rows["cycles"] = RowSet(
            is_equal=False,
            rhs=np.array([bid["cycles_max"] * limit_kwh]),
            terms=(Term(family="discharge", row=0 * position, column=position, coefficient=drawn),),
            scale=room_kwh,
        )
    sides = (("CHARGE", "DOWN", "charge"), ("DISCHARGE", "UP", "discharge"))
    return Block(
        families={
            "charge": family(count, upper=bid["charge_limit_kw"]),
            "discharge": family(
                count, upper=bid["discharge_limit_kw"], cost_jpy=h * bid["wear_jpy_per_kwh"]
            ),
            "energy": family(count, lower=floor_kwh, upper=limit_kwh, scale=room_kwh),
        },
        rows=rows,
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
        exclusive=(("charge", "discharge"),),
    )
