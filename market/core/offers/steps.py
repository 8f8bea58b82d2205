r"""Step curves: per half hour and direction up to 20 divisible (kW, yen/kWh) steps.

One column per step and half hour, :math:`0 \le x \le \bar q`, at cost :math:`h\,a\,x`. Asks do
not fall along a curve, so cheaper steps fill first without any further constraint.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.terms import (
    COMMON_OPTIONAL,
    Columns,
    FloatArray,
    IntArray,
    Leg,
    Numbers,
    Terms,
    family_slices,
    frozen_floats,
    frozen_ints,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DIRECTION_SIGN, DIRECTIONS

STEP_COUNT_MAX: Final = 20


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a step bid; refuse what breaks its rules."""
    entry = reader.fields(
        required=("id", "form", "resource", "direction", "curves"), optional=COMMON_OPTIONAL
    )
    return {
        **terms.head(entry, "STEPS"),
        "direction": entry["direction"].choice(DIRECTIONS),
        "curves": curves_parse(entry["curves"], terms),
    }


def curves_parse(reader: Reader, terms: Terms) -> list[dict[str, Any]]:
    """Return canonical step curves in order of time, at most one per half hour."""
    curves = sorted(
        (_curve(item, terms) for item in reader.items()), key=lambda curve: int(curve["first_t"])
    )
    for before, after in itertools.pairwise(curves):
        if after["first_t"] <= before["last_t"]:
            reader.refuse("must have one curve per half hour at most")
    return curves


def _curve(reader: Reader, terms: Terms) -> dict[str, Any]:
    entry = reader.fields(required=("first_t", "last_t", "steps"))
    items = entry["steps"].items()
    if not 1 <= len(items) <= STEP_COUNT_MAX:
        entry["steps"].refuse(f"must have 1 to {STEP_COUNT_MAX} steps")
    steps: list[dict[str, float]] = []
    for item in items:
        step = item.fields(required=("quantity_kw", "ask_jpy_per_kwh"))
        ask = step["ask_jpy_per_kwh"].number(low=-1e6, high=1e6)
        if steps and ask < steps[-1]["ask_jpy_per_kwh"]:
            step["ask_jpy_per_kwh"].refuse("must not be below the ask of the step before")
        steps.append({"quantity_kw": step["quantity_kw"].number(low=0), "ask_jpy_per_kwh": ask})
    return {**terms.window(entry), "steps": steps}


@dataclass(frozen=True, kw_only=True)
class StepTable:
    """All step bids; axis S = steps of all curves, in the order bid, curve, step."""

    ids: tuple[str, ...]
    resource: IntArray
    """Resource of each bid, (B,)."""
    sign: FloatArray
    """+1 for UP, −1 for DOWN, (B,)."""
    bid: IntArray
    """Bid of each step, (S,)."""
    first_t: IntArray
    last_t: IntArray
    quantity_kw: FloatArray
    ask_jpy_per_kwh: FloatArray
    pair_step: IntArray
    """Step of each column, (n,)."""
    pair_t: IntArray
    """Half hour of each column, (n,)."""

    @property
    def pair_bid(self) -> IntArray:
        """Return the bid of each column, (n,)."""
        return self.bid[self.pair_step]


def table(bids: list[dict[str, Any]], numbers: Numbers) -> StepTable:
    """Return the arrays of canonical step bids."""
    rows = [
        (number, curve["first_t"], curve["last_t"], step["quantity_kw"], step["ask_jpy_per_kwh"])
        for number, bid in enumerate(bids)
        for curve in bid["curves"]
        for step in curve["steps"]
    ]
    first_t = frozen_ints(row[1] for row in rows)
    last_t = frozen_ints(row[2] for row in rows)
    pair_step, pair_t = ramp(first_t, last_t)
    return StepTable(
        ids=tuple(bid["id"] for bid in bids),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in bids),
        sign=frozen_floats(DIRECTION_SIGN[bid["direction"]] for bid in bids),
        bid=frozen_ints(row[0] for row in rows),
        first_t=first_t,
        last_t=last_t,
        quantity_kw=frozen_floats(row[3] for row in rows),
        ask_jpy_per_kwh=frozen_floats(row[4] for row in rows),
        pair_step=pair_step,
        pair_t=pair_t,
    )


def columns(steps: StepTable, *, interval_h: float) -> Columns:
    """Return the columns of all step bids: one per step and half hour.

    Parameters
    ----------
    steps
        The bids.
    interval_h
        Length of an interval. [h]
    """
    count = len(steps.pair_t)
    resource, sign = steps.resource[steps.pair_bid], steps.sign[steps.pair_bid]
    legs = []
    for direction in DIRECTIONS:
        chosen = np.flatnonzero(sign == DIRECTION_SIGN[direction])
        legs.append(
            Leg(
                name="STEPS",
                direction=direction,
                column=chosen,
                resource=resource[chosen],
                t=steps.pair_t[chosen],
                kw_per_unit=np.ones(len(chosen)),
            )
        )
    return Columns(
        ids=steps.ids,
        families=family_slices(step=count),
        bid=steps.pair_bid,
        lower_kw=np.zeros(count),
        upper_kw=steps.quantity_kw[steps.pair_step],
        cost_jpy=interval_h * steps.ask_jpy_per_kwh[steps.pair_step],
        is_shared=np.ones(count, dtype=bool),
        legs=tuple(legs),
    )
