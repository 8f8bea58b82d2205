r"""Step curves: per half hour and direction up to 20 divisible (kW, yen/kWh) steps.

One column per step and half hour, :math:`0 \le x \le \bar q`, at cost :math:`h\,a\,x`. Asks do
not fall along a curve, so cheaper steps fill first without any further constraint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.terms import (
    Columns,
    FloatArray,
    IntArray,
    Terms,
    frozen_floats,
    frozen_ints,
    incidence,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DIRECTION_SIGN, DIRECTIONS

STEP_COUNT_MAX: Final = 20


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a step bid; refuse what breaks its rules."""
    entry = reader.fields(
        required=("id", "form", "resource", "direction", "curves"), optional=("mechanism",)
    )
    bid: dict[str, Any] = {
        "id": entry["id"].text(),
        "form": "STEPS",
        "resource": entry["resource"].reference(terms.resources, "resource"),
        "direction": entry["direction"].choice(DIRECTIONS),
        "curves": sorted(
            (_curve(item, terms) for item in entry["curves"].items()),
            key=lambda curve: int(curve["first_t"]),
        ),
    }
    if "mechanism" in entry and entry["mechanism"].value is not None:
        bid["mechanism"] = entry["mechanism"].text()
    for before, after in zip(bid["curves"], bid["curves"][1:], strict=False):
        if after["first_t"] <= before["last_t"]:
            entry["curves"].refuse("must have one curve per half hour at most")
    return bid


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


def table(bids: list[dict[str, Any]], resources: dict[str, int]) -> StepTable:
    """Return the arrays of canonical step bids."""
    chosen = [bid for bid in bids if bid["form"] == "STEPS"]
    rows = [
        (number, curve["first_t"], curve["last_t"], step["quantity_kw"], step["ask_jpy_per_kwh"])
        for number, bid in enumerate(chosen)
        for curve in bid["curves"]
        for step in curve["steps"]
    ]
    first_t = frozen_ints(row[1] for row in rows)
    last_t = frozen_ints(row[2] for row in rows)
    pair_step, pair_t = ramp(first_t, last_t)
    return StepTable(
        ids=tuple(bid["id"] for bid in chosen),
        resource=frozen_ints(resources[bid["resource"]] for bid in chosen),
        sign=frozen_floats(DIRECTION_SIGN[bid["direction"]] for bid in chosen),
        bid=frozen_ints(row[0] for row in rows),
        first_t=first_t,
        last_t=last_t,
        quantity_kw=frozen_floats(row[3] for row in rows),
        ask_jpy_per_kwh=frozen_floats(row[4] for row in rows),
        pair_step=pair_step,
        pair_t=pair_t,
    )


def columns(
    steps: StepTable, *, place_of: IntArray, sizes: tuple[int, int, int], interval_h: float
) -> Columns:
    """Return the columns of all step bids.

    Parameters
    ----------
    steps
        The bids.
    place_of
        Place of each resource, (R,).
    sizes
        Numbers of places, paths and intervals.
    interval_h
        Length of an interval. [h]
    """
    place_count, path_count, interval_count = sizes
    n = len(steps.pair_t)
    resource = steps.resource[steps.pair_bid]
    sign = steps.sign[steps.pair_bid]
    column = np.arange(n)
    sold = resource * interval_count + steps.pair_t
    resource_shape = (len(place_of) * interval_count, n)
    return Columns(
        lower_kw=np.zeros(n),
        upper_kw=steps.quantity_kw[steps.pair_step],
        cost_jpy=interval_h * steps.ask_jpy_per_kwh[steps.pair_step],
        injection=incidence(
            (place_count * interval_count, n),
            (place_of[resource] * interval_count + steps.pair_t, column, sign),
        ),
        sold_up=incidence(resource_shape, (sold, column, (sign > 0).astype(float))),
        sold_down=incidence(resource_shape, (sold, column, (sign < 0).astype(float))),
        carried_gb=incidence((path_count * interval_count, n)),
        equal=incidence((0, n)),
        equal_rhs=np.zeros(0),
        at_most=incidence((0, n)),
        at_most_rhs=np.zeros(0),
    )
