"""Portfolios: what the steps sell is what the members do, each within its own limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from market.core.audit.block import Block, Leg, Market, RowSet, Term, family, window_of


def block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a portfolio may do.

    Steps in the order curve, step, half hour; placements in the order member, half hour, for
    half hours with a curve only.
    """
    taken_t, upper_kw, ask = [], [], []
    for curve in bid["curves"]:
        window = window_of(curve)
        for step in curve["steps"]:
            taken_t.append(window)
            upper_kw += [step["quantity_kw"]] * len(window)
            ask += [step["ask_jpy_per_kwh"]] * len(window)
    t = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *taken_t]))
    row_of_step = np.searchsorted(t, np.concatenate([t[:0], *taken_t]))
    length, members = len(t), bid["members"]
    limit_kw = np.array([member["limit_kw"] for member in members], dtype=float)[:, t]
    placed = np.arange(length * len(members))
    offered_kw = np.zeros(length)
    np.add.at(offered_kw, row_of_step, upper_kw)
    return Block(
        families={
            "step": family(
                len(upper_kw), upper=upper_kw, cost_jpy=market.h * np.array(ask, dtype=float)
            ),
            "placed": family(len(placed), upper=limit_kw.ravel()),
        },
        rows={
            "placement": RowSet(
                is_equal=True,
                rhs=np.zeros(length),
                terms=(
                    Term(
                        family="step",
                        row=row_of_step,
                        column=np.arange(len(upper_kw)),
                        coefficient=1.0,
                    ),
                    Term(
                        family="placed",
                        row=np.tile(np.arange(length), len(members)),
                        column=placed,
                        coefficient=-1.0,
                    ),
                ),
                scale=offered_kw,
            )
        },
        legs=tuple(
            Leg(
                name="PORTFOLIO",
                direction=bid["direction"],
                resource=member["resource"],
                family="placed",
                column=number * length + np.arange(length),
                t=t,
            )
            for number, member in enumerate(members)
        ),
    )
