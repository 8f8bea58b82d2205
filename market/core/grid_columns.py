"""The grid's own columns: trade between areas, needs served, deviations, what is over a limit."""

from __future__ import annotations

from typing import Final

import numpy as np

from market.core.offers.terms import FloatArray, IntArray
from market.core.snapshot import Snapshot
from market.core.units import CAPACITY_PRICED_H

GRID_PARTS: Final = (
    "link",
    "transfer",
    "local",
    "balance",
    "place",
    "capacity",
    "excess",
    "shortage",
    "over",
    "forward",
    "backward",
)


def grid_columns(
    snapshot: Snapshot, start: int
) -> tuple[FloatArray, FloatArray, FloatArray, dict[str, slice]]:
    """Return bounds, cost and places of the grid's own columns."""
    rules, h, count = snapshot.rules, snapshot.interval_h, snapshot.interval_count
    areas = len(snapshot.network.area_ids)
    limit_kw = np.full(areas * count, rules.deviation_limit_kw)
    deviation_jpy = np.full(areas * count, h * rules.deviation_price_jpy_per_kwh)
    over_kw = _over_limit_kw(snapshot).ravel()
    costed = costed_elements(snapshot)
    flow_kw = _flow_limit_kw(snapshot)[costed].ravel()
    flow_jpy = h * np.repeat(snapshot.elements.flow_cost_jpy_per_kwh[costed], count)
    capacity_h = h / CAPACITY_PRICED_H
    parts = {
        "link": (snapshot.network.link_limit_kw.ravel(), None),
        "transfer": (snapshot.transfer_limit_kw.ravel(), None),
        **{
            name: (needs.need_kw.ravel(), -hours * needs.cap_jpy_per_kwh.ravel())
            for name, needs, hours in (
                ("local", snapshot.local_needs, h),
                ("balance", snapshot.balance_needs, h),
                ("place", snapshot.place_needs, h),
                ("capacity", snapshot.capacity_needs, capacity_h),
            )
        },
        "excess": (limit_kw, deviation_jpy),
        "shortage": (limit_kw, deviation_jpy),
        "over": (over_kw, np.full(len(over_kw), h * rules.envelope_price_jpy_per_kwh)),
        "forward": (flow_kw, flow_jpy),
        "backward": (flow_kw, flow_jpy),
    }
    lower, upper, cost, grid = [], [], [], {}
    for name in GRID_PARTS:
        limit, cost_jpy = parts[name]
        grid[name] = slice(start, start + len(limit))
        start += len(limit)
        lower.append(-limit if cost_jpy is None else np.zeros(len(limit)))
        upper.append(limit)
        cost.append(np.zeros(len(limit)) if cost_jpy is None else cost_jpy)
    return np.concatenate(lower), np.concatenate(upper), np.concatenate(cost), grid


def _flow_limit_kw(snapshot: Snapshot) -> FloatArray:
    """Return a bound on changes of flow that headroom always meets first, (Q, T).

    Headroom is at most rating and base flow together, or what needs ask for. Were the bound to
    bind, a line's rent would hide in the cost of carrying.
    """
    elements, needs = snapshot.elements, snapshot.local_needs
    limit_kw = elements.rating_kw[:, None] + np.abs(elements.base_flow_kw)
    np.add.at(limit_kw, needs.where, needs.asked_kw)
    return np.asarray(1.0 + 2.0 * limit_kw)


def _over_limit_kw(snapshot: Snapshot) -> FloatArray:
    """Return the most by which each place can import above its envelope, (V, T)."""
    envelopes, loads = snapshot.envelopes, snapshot.place_needs
    more_kw = np.zeros((len(snapshot.place_ids), snapshot.interval_count))
    np.add.at(more_kw, snapshot.resource_place, snapshot.limit_down_kw)
    np.add.at(more_kw, loads.where, loads.asked_kw)
    above_kw = envelopes.scheduled_import_kw - envelopes.max_import_kw
    return np.asarray(np.maximum(above_kw, 0.0) + more_kw[envelopes.place])


def costed_elements(snapshot: Snapshot) -> IntArray:
    """Return the elements on which carrying costs something."""
    return np.flatnonzero(snapshot.elements.flow_cost_jpy_per_kwh > 0)


def grid_keys(where: IntArray, count: int) -> IntArray:
    """Return where·T + t for every (entity, t), in order."""
    return np.asarray((where[:, None] * count + np.arange(count)).ravel())


def grid_term(
    columns: slice, where: IntArray, coefficient: FloatArray | float, count: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the triples by which grid columns (entity, t) enter rows (where, t)."""
    value = np.broadcast_to(np.asarray(coefficient, dtype=np.float64), where.shape)
    return (
        grid_keys(where, count),
        np.arange(columns.start, columns.stop),
        np.repeat(value, count),
    )
