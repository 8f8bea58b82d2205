r"""Renewables: output that may be curtailed below its schedule, or released up to what is there.

The site is scheduled to supply :math:`s_t` kW and could supply :math:`a_t` (a quantile where the
offer is firm). Curtailed :math:`c` is DOWN, released :math:`u` is UP,

.. math:: 0 \le c_t \le s_t, \qquad 0 \le u_t \le \max(0,\; a_t - s_t),

at costs of :math:`h\,p_c\,c` and :math:`h\,p_u\,u`, either of which may be negative (a plant that
saves money by standing still pays to be curtailed). Their sum may not: doing both at once is then
never gainful, and the least-squares choice among equal optima does not do it, so that no rule
against it is needed.
"""

from __future__ import annotations

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
from market.core.units import DOWN, UP

FORM: Final = "RENEWABLE"


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a renewable bid; refuse what breaks its rules."""
    entry = reader.fields(
        required=(
            "id",
            "form",
            "resource",
            "first_t",
            "last_t",
            "available_kw",
            "scheduled_kw",
            "curtail_jpy_per_kwh",
        ),
        optional=("release_jpy_per_kwh", *COMMON_OPTIONAL),
    )
    window = terms.window(entry)
    length = window["last_t"] - window["first_t"] + 1
    bid: dict[str, Any] = {
        **terms.head(entry, FORM),
        **window,
        "available_kw": entry["available_kw"].series(length, low=0),
        "scheduled_kw": entry["scheduled_kw"].series(length, low=0),
        "curtail_jpy_per_kwh": entry["curtail_jpy_per_kwh"].number(low=-1e6, high=1e6),
        "release_jpy_per_kwh": 0.0,
    }
    if "release_jpy_per_kwh" in entry:
        bid["release_jpy_per_kwh"] = entry["release_jpy_per_kwh"].number(low=-1e6, high=1e6)
    if bid["curtail_jpy_per_kwh"] + bid["release_jpy_per_kwh"] < 0:
        entry["curtail_jpy_per_kwh"].refuse(
            "must not pay for curtailing and releasing at once: its sum with release_jpy_per_kwh "
            "must be at least 0"
        )
    return bid


@dataclass(frozen=True, kw_only=True)
class RenewableTable:
    """All renewable bids; axis B = bids, axis n = (bid, half hour) pairs of their windows."""

    ids: tuple[str, ...]
    resource: IntArray
    curtail_jpy_per_kwh: FloatArray
    release_jpy_per_kwh: FloatArray
    pair_bid: IntArray
    pair_t: IntArray
    scheduled_kw: FloatArray
    """(n,)"""
    spare_kw: FloatArray
    """Available beyond the schedule, at least 0, (n,)."""


def table(bids: list[dict[str, Any]], numbers: Numbers) -> RenewableTable:
    """Return the arrays of canonical renewable bids."""
    chosen = [bid for bid in bids if bid["form"] == FORM]
    pair_bid, pair_t = ramp(
        frozen_ints(bid["first_t"] for bid in chosen), frozen_ints(bid["last_t"] for bid in chosen)
    )
    scheduled_kw = frozen_floats(kw for bid in chosen for kw in bid["scheduled_kw"])
    available_kw = frozen_floats(kw for bid in chosen for kw in bid["available_kw"])
    return RenewableTable(
        ids=tuple(bid["id"] for bid in chosen),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in chosen),
        curtail_jpy_per_kwh=frozen_floats(bid["curtail_jpy_per_kwh"] for bid in chosen),
        release_jpy_per_kwh=frozen_floats(bid["release_jpy_per_kwh"] for bid in chosen),
        pair_bid=pair_bid,
        pair_t=pair_t,
        scheduled_kw=scheduled_kw,
        spare_kw=frozen_floats(np.maximum(available_kw - scheduled_kw, 0.0)),
    )


def columns(renewable: RenewableTable, *, interval_h: float) -> Columns:
    """Return the columns of all renewable bids: curtailed, released, in turn.

    Parameters are those of :func:`market.core.offers.steps.columns`.
    """
    bid, t = renewable.pair_bid, renewable.pair_t
    pairs = len(t)
    pair = np.arange(pairs)
    one = np.ones(pairs)
    resource = renewable.resource[bid]
    return Columns(
        ids=renewable.ids,
        families=family_slices(curtailed=pairs, released=pairs),
        bid=np.tile(bid, 2),
        lower_kw=np.zeros(2 * pairs),
        upper_kw=np.concatenate([renewable.scheduled_kw, renewable.spare_kw]),
        cost_jpy=interval_h
        * np.concatenate([renewable.curtail_jpy_per_kwh[bid], renewable.release_jpy_per_kwh[bid]]),
        is_shared=np.ones(2 * pairs, dtype=bool),
        legs=(
            Leg(
                name="CURTAILED",
                direction=DOWN,
                column=pair,
                resource=resource,
                t=t,
                kw_per_unit=one,
            ),
            Leg(
                name="RELEASED",
                direction=UP,
                column=pairs + pair,
                resource=resource,
                t=t,
                kw_per_unit=one,
            ),
        ),
    )
