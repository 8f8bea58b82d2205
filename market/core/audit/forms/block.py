"""Blocks: one acceptance, and a share of the profile or a run within it that goes with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from market.core.audit.block import (
    Block,
    Family,
    JointRows,
    JointTerm,
    Leg,
    Market,
    RowSet,
    Term,
    family,
)


def block(bid: Mapping[str, Any], market: Market) -> Block:
    """Return what a block may do; it runs hour by hour only if it has a minimum run."""
    if bid["run_min_count"] is None:
        return _in_one_ratio(bid, market)
    return _in_runs(bid, market)


def _in_one_ratio(bid: Mapping[str, Any], market: Market) -> Block:
    profile_kw = np.array(bid["quantity_kw"], dtype=float)
    one = np.zeros(1, dtype=np.int64)
    energy_kwh = market.h * float(profile_kw.sum())

    def row(accepted: float, ratio: float) -> RowSet:
        return RowSet(
            is_equal=False,
            rhs=np.zeros(1),
            terms=(
                Term(family="accepted", row=one, column=one, coefficient=accepted),
                Term(family="ratio", row=one, column=one, coefficient=ratio),
            ),
        )

    return Block(
        families={
            "accepted": _decision(1, cost_jpy=bid["start_cost_jpy"]),
            "ratio": family(1, upper=1.0, cost_jpy=bid["ask_jpy_per_kwh"] * energy_kwh),
        },
        rows={"most": row(-1.0, 1.0), "least": row(bid["acceptance_min_ratio"], -1.0)},
        legs=(_leg(bid, "ratio", np.zeros(len(profile_kw), dtype=np.int64), profile_kw),),
    )


def _in_runs(bid: Mapping[str, Any], market: Market) -> Block:
    most_kw = np.array(bid["quantity_kw"], dtype=float)
    count, run = len(most_kw), bid["run_min_count"]
    at, before = np.arange(count), np.arange(1, count)
    last_start = count - run
    can_start = (at <= last_start).astype(float)
    start, running = np.nonzero((at[:, None] <= at) & (at < at[:, None] + run))
    least_kw = bid["acceptance_min_ratio"] * most_kw

    def rows(length: int, *terms: Term, scale: float = 1.0) -> RowSet:
        return RowSet(is_equal=False, rhs=np.zeros(length), terms=terms, scale=scale)

    def term(name: str, row: Any, column: Any, coefficient: Any) -> Term:
        return Term(family=name, row=row, column=column, coefficient=coefficient)

    peak_kw = float(most_kw.max())
    return Block(
        families={
            "accepted": _decision(1),
            "on": _decision(count),
            "start": family(count, upper=can_start, cost_jpy=bid["start_cost_jpy"]),
            "run_kw": family(count, upper=most_kw, cost_jpy=market.h * bid["ask_jpy_per_kwh"]),
        },
        rows={
            "most": rows(
                count, term("run_kw", at, at, 1.0), term("on", at, at, -most_kw), scale=peak_kw
            ),
            "least": rows(
                count, term("on", at, at, least_kw), term("run_kw", at, at, -1.0), scale=peak_kw
            ),
            "begin": rows(
                count,
                term("on", at, at, 1.0),
                term("on", before, before - 1, -1.0),
                term("start", at, at, -1.0),
            ),
            "stay": rows(count, term("start", running, start, 1.0), term("on", at, at, -1.0)),
            "within": rows(count, term("on", at, at, 1.0), term("accepted", at, 0 * at, -1.0)),
            "some": rows(1, term("accepted", at[:1], at[:1], 1.0), term("start", 0 * at, at, -1.0)),
        },
        legs=(_leg(bid, "run_kw", at, 1.0),),
    )


def _decision(length: int, cost_jpy: float = 0.0) -> Family:
    return family(length, upper=1.0, cost_jpy=cost_jpy, is_binary=True)


def _leg(bid: Mapping[str, Any], columns: str, column: Any, kw_per_unit: Any) -> Leg:
    return Leg(
        name="BLOCK",
        direction=bid["direction"],
        resource=bid["resource"],
        family=columns,
        column=column,
        t=bid["first_t"] + np.arange(len(bid["quantity_kw"])),
        kw_per_unit=kw_per_unit,
    )


def groups(market: Market, _blocks: Mapping[str, Block]) -> JointRows:
    """Return, per exclusive group of one owner, that at most one of its blocks is accepted.

    A group is named by the least id in it.
    """
    members: dict[str, list[str]] = {}
    for name, bid in sorted(market.bids.items()):
        if bid["form"] == "BLOCK" and bid["exclusive_group"] is not None:
            mark = json.dumps([bid.get("owner"), bid["exclusive_group"]])
            members.setdefault(mark, []).append(name)
    found = {names[0]: names for names in members.values() if len(names) > 1}
    keys = tuple(sorted(found))
    return _joint(
        keys, [(name, row, 1.0) for row, key in enumerate(keys) for name in found[key]], 1.0
    )


def links(market: Market, _blocks: Mapping[str, Block]) -> JointRows:
    """Return, per block with a parent, that it is accepted only if its parent is."""
    parents = {
        name: bid["parent"]
        for name, bid in sorted(market.bids.items())
        if bid["form"] == "BLOCK" and bid["parent"] is not None
    }
    terms = [(name, row, 1.0) for row, name in enumerate(parents)]
    terms += [(parent, row, -1.0) for row, parent in enumerate(parents.values())]
    return _joint(tuple(parents), terms, 0.0)


def _joint(keys: tuple[str, ...], accepted: list[tuple[str, int, float]], rhs: float) -> JointRows:
    first = np.zeros(1, dtype=np.int64)
    return JointRows(
        keys=keys,
        is_equal=False,
        rhs=np.full(len(keys), rhs),
        terms=tuple(
            JointTerm(
                bid=name,
                family="accepted",
                row=np.array([row]),
                column=first,
                coefficient=coefficient,
            )
            for name, row, coefficient in accepted
        ),
    )
