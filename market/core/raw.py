"""The unrounded optimum and all its duals, by name, so that anybody can check it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from market.core import reserves
from market.core.clearing import Clearing
from market.core.needs import Needs
from market.core.offers.terms import BoolArray, Columns, FloatArray, IntArray
from market.core.pricing import Prices
from market.core.units import DOWN, UP

SIDES: Final = (UP, DOWN)


def raw_document(clearing: Clearing, found: Prices) -> dict[str, Any]:
    """Return primal and dual values as JSON values; series that are zero throughout are left out.

    Prices of power are per kWh, of capacity per kW and 30 minutes, of paths per GB. Duals of rows
    that belong to bids are per unit of the row; at least zero where the row is a limit.
    """
    snapshot = clearing.snapshot
    needs = (
        ("LOCAL", "local", snapshot.local_needs),
        ("BALANCE", "balance", snapshot.balance_needs),
        ("PLACE", "place", snapshot.place_needs),
        ("CAPACITY", "capacity", snapshot.capacity_needs),
    )
    return {
        "bids": _bids(clearing),
        "joint": _joint(clearing),
        "served_kw": {kind: _served(table, clearing.part_kw(part)) for kind, part, table in needs},
        "excess_kw": _named(snapshot.network.area_ids, clearing.part_kw("excess")),
        "shortage_kw": _named(snapshot.network.area_ids, clearing.part_kw("shortage")),
        "over_kw": _named(snapshot.envelopes.ids, clearing.part_kw("over")),
        "link_kw": _named(snapshot.network.link_ids, clearing.part_kw("link")),
        "transfer_kw": _named(snapshot.transfer_ids, clearing.part_kw("transfer")),
        "duals": _duals(clearing, found),
    }


def _series(values: FloatArray) -> list[float]:
    found: list[float] = (np.asarray(values) + 0.0).tolist()
    return found


def _named(ids: tuple[str, ...], rows: FloatArray) -> dict[str, list[float]]:
    return {name: _series(row) for name, row in zip(ids, rows, strict=True) if row.any()}


def _served(needs: Needs, served_kw: FloatArray) -> dict[str, list[list[float]]]:
    """Return what each step of each need that takes anything is served."""
    steps: dict[int, list[list[float]]] = {}
    for need, row in zip(needs.step_need, served_kw, strict=True):
        steps.setdefault(int(need), []).append(_series(row))
    return {needs.ids[need]: rows for need, rows in steps.items() if any(map(any, rows))}


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
    areas = snapshot.network.area_ids
    return {
        "area_jpy_per_kwh": _named(areas, found.area_jpy_per_kwh),
        "relief_jpy_per_kwh": relief,
        "rent_up_jpy_per_kwh": _named(snapshot.elements.ids, found.rent_up_jpy_per_kwh),
        "rent_down_jpy_per_kwh": _named(snapshot.elements.ids, found.rent_down_jpy_per_kwh),
        "flow_jpy_per_kwh": _named(snapshot.elements.ids, found.flow_jpy_per_kwh),
        "sold_up_jpy_per_kwh": sold["sold_up"],
        "sold_down_jpy_per_kwh": sold["sold_down"],
        "path_jpy_per_gb": _named(snapshot.path_ids, found.path_rent_jpy_per_gb),
        "trunk_jpy_per_gb": _named(snapshot.trunks.ids, found.trunk_rent_jpy_per_gb),
        "envelope_jpy_per_kwh": _named(snapshot.envelopes.ids, found.envelope_jpy_per_kwh),
        "compute_jpy_per_kwh": _named(
            current.forms["COMPUTE_OFFER"].ids, found.compute_jpy_per_kwh
        ),
        "reserve_jpy_per_kw": {
            product: _named(areas, rows)
            for product, rows in zip(snapshot.products.ids, found.reserve_jpy_per_kw, strict=True)
            if rows.any()
        },
    }


def _joint(clearing: Clearing) -> dict[str, dict[str, float]]:
    """Return the duals of rows that bind several bids together, by their names."""
    joint = {
        family.rpartition(".")[2]: _keyed(keys, -clearing.dual_jpy_per_kw[family])
        for family, keys in clearing.programme.joint.items()
    }
    snapshot, rows = clearing.snapshot, clearing.programme.rows["deliver_flow"]
    called = reserves.flow_keys(snapshot, rows.keys)
    names = tuple(
        "|".join(
            (
                snapshot.network.area_ids[area],
                SIDES[call],
                snapshot.elements.ids[element],
                SIDES[side],
                str(t),
            )
        )
        for area, call, element, side, t in zip(
            called.area, called.call, called.element, called.side, called.t, strict=True
        )
    )
    price = -clearing.dual_jpy_per_kw["deliver_flow"] / snapshot.interval_h
    joint["deliver_flow"] = _keyed(names, price)
    return {name: found for name, found in joint.items() if found}


def _keyed(keys: tuple[str, ...], values: FloatArray) -> dict[str, float]:
    return {key: float(value) for key, value in zip(keys, values, strict=True) if value}


def _bids(clearing: Clearing) -> dict[str, Any]:
    """Return, per bid with anything to say, its columns, duals and columns held by a decision."""
    found: dict[str, Any] = {}
    for form, block in clearing.programme.forms.items():
        part = clearing.programme.slices[form]
        x, is_held = clearing.x_kw[part], clearing.is_held[part]
        for name, family in block.families.items():
            _add_columns(found, block, name, (x[family], is_held[family], block.bid[family]))
        for name, own in block.own.items():
            if not own.is_joint:
                duals = -clearing.dual_jpy_per_kw[f"{form}.{name}"]
                for bid, values in _by_bid(own.bid, duals, len(block.ids)):
                    if values.any():
                        _entry(found, block.ids[bid], "y")[name] = _series(values)
    return found


def _add_columns(
    found: dict[str, Any], block: Columns, name: str, at: tuple[FloatArray, BoolArray, IntArray]
) -> None:
    x, is_held, bid = at
    for row, values in _by_bid(bid, x, len(block.ids)):
        if values.any():
            _entry(found, block.ids[row], "x")[name] = _series(values)
    if is_held.any():
        for row, held in _by_bid(bid, is_held.astype(np.float64), len(block.ids)):
            if held.any():
                _entry(found, block.ids[row], "held")[name] = np.flatnonzero(held).tolist()


def _entry(found: dict[str, Any], bid: str, kind: str) -> dict[str, Any]:
    entry: dict[str, Any] = found.setdefault(bid, {}).setdefault(kind, {})
    return entry


def _by_bid(bid: IntArray, values: FloatArray, bids: int) -> list[tuple[int, FloatArray]]:
    """Return each bid's values in their order; a bid's entries need not stand together."""
    order = np.argsort(bid, kind="stable")
    ends = np.cumsum(np.bincount(bid, minlength=bids))[:-1]
    parts = np.split(values[order], ends) if bids else []
    return list(enumerate(parts))
