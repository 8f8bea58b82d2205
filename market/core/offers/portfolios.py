r"""Portfolios: one step curve over several resources, placed among them by the clearing.

A virtual large data centre, or a sub-aggregator of members down to 1 kW, offers steps
:math:`y_{ot}` without saying who acts. The clearing places them, :math:`z_{it}` at member i,

.. math:: \sum_o y_{ot} = \sum_i z_{it}, \qquad 0 \le y_{ot} \le \bar q_{ot}, \qquad
          0 \le z_{it} \le \ell_{it},

each member at its own place: congestion decides inside the portfolio as it does outside. The cost
is that of the steps, :math:`h\,a\,y`; what a member acts is awarded as its leg PORTFOLIO and paid
the price of its place. Every member also counts against its resource's own limits, so that a
resource in two bids is not sold twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.steps import curves_parse
from market.core.offers.terms import (
    COMMON_OPTIONAL,
    Columns,
    FloatArray,
    IntArray,
    Leg,
    Numbers,
    Own,
    Terms,
    family_slices,
    frozen_floats,
    frozen_ints,
    frozen_series,
    incidence,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DIRECTIONS, DOWN, UP

FORM: Final = "PORTFOLIO"
MEMBER_COUNT_MAX: Final = 1000


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a portfolio bid; refuse what breaks its rules."""
    entry = reader.fields(
        required=("id", "form", "direction", "members", "curves"), optional=COMMON_OPTIONAL
    )
    items = entry["members"].items()
    if not 1 <= len(items) <= MEMBER_COUNT_MAX:
        entry["members"].refuse(f"must have 1 to {MEMBER_COUNT_MAX} members")
    members: dict[str, dict[str, Any]] = {}
    for item in items:
        member = item.fields(required=("resource", "limit_kw"))
        name = member["resource"].reference(terms.resources, "resource")
        if name in members:
            member["resource"].refuse("must be a member once")
        members[name] = {
            "resource": name,
            "limit_kw": member["limit_kw"].series(terms.interval_count, low=0),
        }
    return {
        **terms.head(entry, FORM),
        "direction": entry["direction"].choice(DIRECTIONS),
        "members": [members[name] for name in sorted(members)],
        "curves": curves_parse(entry["curves"], terms),
    }


@dataclass(frozen=True, kw_only=True)
class PortfolioTable:
    """All portfolio bids; axes B = bids, S = steps, M = members, R = (bid, half hour) rows."""

    ids: tuple[str, ...]
    is_up: FloatArray
    """1 for UP, 0 for DOWN, (B,)."""
    bid: IntArray
    """Bid of each step in the order bid, curve, step, (S,)."""
    first_t: IntArray
    last_t: IntArray
    quantity_kw: FloatArray
    ask_jpy_per_kwh: FloatArray
    pair_step: IntArray
    """Step of each step column."""
    pair_t: IntArray
    """Half hour of each step column."""
    member_bid: IntArray
    member_resource: IntArray
    limit_kw: FloatArray
    """(M, T)"""
    placed_member: IntArray
    """Member of each placement column, in the order bid, member, half hour."""
    placed_t: IntArray
    row_bid: IntArray
    """Bid of each half hour that has a curve, (R,)."""
    row_t: IntArray


def table(bids: list[dict[str, Any]], numbers: Numbers) -> PortfolioTable:
    """Return the arrays of canonical portfolio bids."""
    interval_count = numbers.terms.interval_count
    chosen = [bid for bid in bids if bid["form"] == FORM]
    rows = [
        (number, curve["first_t"], curve["last_t"], step["quantity_kw"], step["ask_jpy_per_kwh"])
        for number, bid in enumerate(chosen)
        for curve in bid["curves"]
        for step in curve["steps"]
    ]
    first_t = frozen_ints(row[1] for row in rows)
    last_t = frozen_ints(row[2] for row in rows)
    pair_step, pair_t = ramp(first_t, last_t)
    has_curve = np.zeros((len(chosen), interval_count), dtype=bool)
    for number, start, end, _, _ in rows:
        has_curve[number, start : end + 1] = True
    members = [(number, member) for number, bid in enumerate(chosen) for member in bid["members"]]
    member_bid = frozen_ints(number for number, _ in members)
    placed_member, placed_t = np.nonzero(has_curve[member_bid])
    row_bid, row_t = np.nonzero(has_curve)
    return PortfolioTable(
        ids=tuple(bid["id"] for bid in chosen),
        is_up=frozen_floats(bid["direction"] == UP for bid in chosen),
        bid=frozen_ints(row[0] for row in rows),
        first_t=first_t,
        last_t=last_t,
        quantity_kw=frozen_floats(row[3] for row in rows),
        ask_jpy_per_kwh=frozen_floats(row[4] for row in rows),
        pair_step=pair_step,
        pair_t=pair_t,
        member_bid=member_bid,
        member_resource=frozen_ints(numbers.resources[member["resource"]] for _, member in members),
        limit_kw=frozen_series((member["limit_kw"] for _, member in members), interval_count),
        placed_member=frozen_ints(placed_member),
        placed_t=frozen_ints(placed_t),
        row_bid=frozen_ints(row_bid),
        row_t=frozen_ints(row_t),
    )


def columns(portfolio: PortfolioTable, *, interval_h: float) -> Columns:
    """Return the columns of all portfolio bids: steps, placements, in turn.

    Parameters are those of :func:`market.core.offers.steps.columns`.
    """
    step = portfolio.pair_step
    taken, placed = len(step), len(portfolio.placed_t)
    n = taken + placed
    step_bid = portfolio.bid[step]
    placed_bid = portfolio.member_bid[portfolio.placed_member]
    row_of = np.zeros((len(portfolio.ids), portfolio.limit_kw.shape[1]), dtype=np.int64)
    row_of[portfolio.row_bid, portfolio.row_t] = np.arange(len(portfolio.row_t))
    column = taken + np.arange(placed)
    is_up = portfolio.is_up[placed_bid] > 0

    def leg(direction: str, chosen: IntArray) -> Leg:
        return Leg(
            name=FORM,
            direction=direction,
            column=column[chosen],
            resource=portfolio.member_resource[portfolio.placed_member[chosen]],
            t=portfolio.placed_t[chosen],
            kw_per_unit=np.ones(len(chosen)),
        )

    return Columns(
        ids=portfolio.ids,
        families=family_slices(step=taken, placed=placed),
        bid=np.concatenate([step_bid, placed_bid]),
        lower_kw=np.zeros(n),
        upper_kw=np.concatenate(
            [
                portfolio.quantity_kw[step],
                portfolio.limit_kw[portfolio.placed_member, portfolio.placed_t],
            ]
        ),
        cost_jpy=np.concatenate([interval_h * portfolio.ask_jpy_per_kwh[step], np.zeros(placed)]),
        is_shared=np.ones(n, dtype=bool),
        legs=(leg(UP, np.flatnonzero(is_up)), leg(DOWN, np.flatnonzero(~is_up))),
        own={
            "placement": Own(
                matrix=incidence(
                    (len(portfolio.row_t), n),
                    (row_of[step_bid, portfolio.pair_t], np.arange(taken), np.ones(taken)),
                    (row_of[placed_bid, portfolio.placed_t], column, -np.ones(placed)),
                ),
                rhs=np.zeros(len(portfolio.row_t)),
                is_equal=True,
                bid=portfolio.row_bid,
            )
        },
    )
