"""Shifts: what is taken from the source is placed where label, hardware and latency allow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from market.core.audit.block import Block, Leg, Market, RowSet, Term, Use, family, window_of
from market.core.audit.ledger import summed


def is_allowed(bid: Mapping[str, Any], target: Mapping[str, Any], path: Mapping[str, Any]) -> bool:
    """Return whether work may go to a resource over a path."""
    missing = [label for label in bid["labels_required"] if label not in target["labels"]]
    hardware = bid.get("hardware")
    return (
        not missing
        and (hardware is None or hardware in target["hardware"])
        and path["latency_ms"] <= bid.get("latency_max_ms", np.inf)
    )


def block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a shift may do; placements in the order of its eligible destinations."""
    h, offers = market.h, bid["offers"]
    targets = [
        target
        for target in bid["destinations"]
        if is_allowed(bid, market.resources[target["resource"]], market.paths[target["path"]])
    ]
    first = min((offer["first_t"] for offer in offers), default=0)
    length = max((offer["last_t"] for offer in offers), default=-1) + 1 - first
    step_t = [window_of(offer) - first for offer in offers]
    taken_row = np.concatenate(step_t) if step_t else np.zeros(0, dtype=np.int64)
    upper_kw = np.repeat(
        np.array([offer["quantity_kw"] for offer in offers], dtype=float), [len(t) for t in step_t]
    )
    ask = np.repeat(
        np.array([offer["ask_jpy_per_kwh"] for offer in offers], dtype=float),
        [len(t) for t in step_t],
    )
    offered_kw = summed(taken_row, upper_kw, length)
    placed_row = np.tile(np.arange(length), len(targets))
    placed = np.arange(len(placed_row))
    most_kw = np.tile(offered_kw, len(targets))
    families = {
        "offered": family(len(upper_kw), upper=upper_kw, cost_jpy=h * ask),
        "placed": family(len(placed), upper=most_kw),
    }
    rows = {
        "work": RowSet(
            is_equal=True,
            rhs=np.zeros(length),
            terms=(
                Term(
                    family="offered",
                    row=taken_row,
                    column=np.arange(len(upper_kw)),
                    coefficient=1.0,
                ),
                Term(family="placed", row=placed_row, column=placed, coefficient=-1.0),
            ),
            scale=offered_kw,
        )
    }
    if _counts_changes(bid):
        families["increase"] = family(
            len(placed), upper=most_kw, cost_jpy=bid["change_cost_jpy_per_kw"]
        )
        later = placed[placed_row > 0]
        rows["change"] = RowSet(
            is_equal=False,
            rhs=np.zeros(len(placed)),
            terms=(
                Term(family="placed", row=placed, column=placed, coefficient=1.0),
                Term(family="placed", row=later, column=later - 1, coefficient=-1.0),
                Term(family="increase", row=placed, column=placed, coefficient=-1.0),
            ),
            scale=most_kw,
        )
    return Block(
        families=families,
        rows=rows,
        legs=_legs(bid, targets, first, length),
        traffic=_traffic(bid, targets, first, length, h),
    )


def _counts_changes(bid: Mapping[str, Any]) -> bool:
    """Return whether an increase of a placement costs or moves anything."""
    return bool(bid["change_cost_jpy_per_kw"] or bid["gb_per_kw"])


def _legs(
    bid: Mapping[str, Any], targets: list[Mapping[str, Any]], first: int, length: int
) -> tuple[Leg, ...]:
    t = first + np.arange(length)
    legs = []
    for number, target in enumerate(targets):
        ends = (
            ("SHIFT_OUT", "UP", bid["resource"], 1.0),
            ("SHIFT_IN", "DOWN", target["resource"], target["ratio"]),
        )
        legs += [
            Leg(
                name=name,
                direction=direction,
                resource=resource,
                family="placed",
                column=number * length + np.arange(length),
                t=t,
                kw_per_unit=ratio,
            )
            for name, direction, resource, ratio in ends
        ]
    return tuple(legs)


def _traffic(
    bid: Mapping[str, Any], targets: list[Mapping[str, Any]], first: int, length: int, h: float
) -> tuple[Use, ...]:
    amounts = {"placed": h * bid["gb_per_kwh"]}
    if _counts_changes(bid):
        amounts["increase"] = bid["gb_per_kw"]
    return tuple(
        Use(
            where=target["path"],
            family=name,
            column=number * length + np.arange(length),
            t=first + np.arange(length),
            amount=amount,
        )
        for number, target in enumerate(targets)
        for name, amount in amounts.items()
    )
