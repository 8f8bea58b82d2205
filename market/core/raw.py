"""The unrounded optimum and all its duals, by name, so that anybody can check it."""

from __future__ import annotations

from typing import Any

import numpy as np

from market.core.clearing import Clearing
from market.core.offers.terms import FloatArray, IntArray
from market.core.pricing import Prices


def raw_document(clearing: Clearing, found: Prices) -> dict[str, Any]:
    """Return primal and dual values as JSON values; series that are zero throughout are left out.

    Prices of power are per kWh, of paths per GB, of a shift's own rows per kW. All are at least
    zero but the area prices, a store's value of energy and a shift's value of work.
    """
    snapshot, grid = clearing.snapshot, clearing.programme.grid
    count = snapshot.interval_count

    def part(name: str) -> FloatArray:
        return clearing.x_kw[grid[name]].reshape(-1, count)

    return {
        "steps": _steps(clearing),
        "storage": _storage(clearing),
        "shifts": _shifts(clearing),
        "served_kw": {
            "LOCAL": _named(snapshot.local_needs.ids, part("local")),
            "BALANCE": _named(snapshot.balance_needs.ids, part("balance")),
        },
        "excess_kw": _named(snapshot.network.area_ids, part("excess")),
        "shortage_kw": _named(snapshot.network.area_ids, part("shortage")),
        "link_kw": _named(snapshot.network.link_ids, part("link")),
        "transfer_kw": _named(snapshot.transfer_ids, part("transfer")),
        "duals": _duals(clearing, found),
    }


def _series(values: FloatArray) -> list[float]:
    return [float(value) + 0.0 for value in values]


def _named(ids: tuple[str, ...], rows: FloatArray) -> dict[str, list[float]]:
    return {name: _series(row) for name, row in zip(ids, rows, strict=True) if row.any()}


def _duals(clearing: Clearing, found: Prices) -> dict[str, Any]:
    snapshot, current = clearing.snapshot, clearing.programme
    relief: dict[str, dict[str, list[float]]] = {"1": {}, "-1": {}}
    for element, sign, row in zip(
        current.relief_element, current.relief_sign, found.relief_jpy_per_kwh, strict=True
    ):
        relief[str(int(sign))][snapshot.elements.ids[element]] = _series(row)
    sold = {}
    for name in ("sold_up", "sold_down"):
        full = np.zeros(len(snapshot.resource_ids) * snapshot.interval_count)
        full[current.rows[name].keys] = -clearing.dual_jpy_per_kw[name] / snapshot.interval_h
        sold[name] = _named(snapshot.resource_ids, full.reshape(-1, snapshot.interval_count))
    return {
        "area_jpy_per_kwh": _named(snapshot.network.area_ids, found.area_jpy_per_kwh),
        "relief_jpy_per_kwh": relief,
        "rent_up_jpy_per_kwh": _named(snapshot.elements.ids, found.rent_up_jpy_per_kwh),
        "rent_down_jpy_per_kwh": _named(snapshot.elements.ids, found.rent_down_jpy_per_kwh),
        "sold_up_jpy_per_kwh": sold["sold_up"],
        "sold_down_jpy_per_kwh": sold["sold_down"],
        "path_jpy_per_gb": _named(snapshot.path_ids, found.path_rent_jpy_per_gb),
    }


def _steps(clearing: Clearing) -> dict[str, list[list[float]]]:
    """Return, per bid, the series of each step over its curve's half hours."""
    steps = clearing.snapshot.steps
    x_kw = clearing.x_kw[clearing.programme.slices["steps"]]
    ends = np.cumsum(steps.last_t - steps.first_t + 1)[:-1]
    by_bid: dict[str, list[list[float]]] = {name: [] for name in steps.ids}
    for bid, series in zip(steps.bid, np.split(x_kw, ends) if len(steps.bid) else [], strict=True):
        by_bid[steps.ids[bid]].append(_series(series))
    return {name: rows for name, rows in by_bid.items() if any(map(any, rows))}


def _storage(clearing: Clearing) -> dict[str, dict[str, Any]]:
    store, part = clearing.snapshot.storage, clearing.programme.slices["storage"]
    x_kw, upper_kw = clearing.x_kw[part], clearing.upper_kw[part]
    pairs = len(store.pair_t)
    energy = clearing.dual_jpy_per_kw["own storage equal"]
    cycles = np.zeros(len(store.ids))
    cycles[np.isfinite(store.cycles_max)] = -clearing.dual_jpy_per_kw["own storage at_most"]
    found = {}
    for row, name in enumerate(store.ids):
        mine = np.flatnonzero(store.pair_bid == row)
        found[name] = {
            "charge_kw": _series(x_kw[mine]),
            "discharge_kw": _series(x_kw[pairs + mine]),
            "energy_kwh": _series(x_kw[2 * pairs + mine]),
            "energy_jpy_per_kwh": _series(-energy[mine]),
            "cycles_jpy_per_kwh": float(cycles[row]) + 0.0,
            "no_charge_t": _held(store.pair_t[mine], upper_kw[mine], store.charge_limit_kw[row]),
            "no_discharge_t": _held(
                store.pair_t[mine], upper_kw[pairs + mine], store.discharge_limit_kw[row]
            ),
        }
    return found


def _held(t: IntArray, upper_kw: FloatArray, limit_kw: float) -> list[int]:
    """Return the half hours in which a side was fixed at zero."""
    return [int(interval) for interval in t[(upper_kw == 0) & (limit_kw > 0)]]


def _shifts(clearing: Clearing) -> dict[str, dict[str, Any]]:
    shift = clearing.snapshot.shifts
    x_kw = clearing.x_kw[clearing.programme.slices["shifts"]]
    offers, placed = len(shift.offer_pair), len(shift.placed_pair)
    work = clearing.dual_jpy_per_kw["own shifts equal"]
    change = -clearing.dual_jpy_per_kw["own shifts at_most"]
    found = {}
    for row, name in enumerate(shift.ids):
        mine = [
            np.flatnonzero(shift.offer_pair == o) for o in np.flatnonzero(shift.offer_bid == row)
        ]
        places = []
        for number in np.flatnonzero(shift.destination_bid == row):
            pair = np.flatnonzero(shift.placed_pair == number)
            places.append(
                {
                    "destination": int(shift.destination_number[number]),
                    "placed_kw": _series(x_kw[offers + pair]),
                    "increase_kw": _series(x_kw[offers + placed + pair]),
                    "change_jpy_per_kw": _series(change[pair]),
                }
            )
        found[name] = {
            "offers_kw": [_series(x_kw[pair]) for pair in mine],
            "work_jpy_per_kw": _series(work[np.flatnonzero(shift.link_pair == row)]),
            "places": places,
        }
    return found
