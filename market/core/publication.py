"""What a clearing says in public: awards, prices, money, and the raw numbers that prove them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from market.core.clearing import ENGINE_VERSION, Clearing
from market.core.legs import Leg, legs
from market.core.offers.terms import FloatArray
from market.core.pricing import (
    Prices,
    path_price_jpy_per_gb,
    prices,
    rounded,
)
from market.core.raw import raw_document
from market.core.snapshot import snapshot_sha256
from market.core.solver import SOLVER_NAME, solver_version

SCHEMA: Final = "wattbit-result/1"
JPY_DIGITS: Final = 6
GB_DIGITS: Final = 6


def result_document(clearing: Clearing) -> dict[str, Any]:
    """Return the result of a clearing as JSON values, still without its certificate.

    The layout is described in ``docs/snapshot.md``. Nothing in it depends on time, machine load
    or the order of the input.
    """
    snapshot, found = clearing.snapshot, prices(clearing)
    gap_jpy = clearing.bound_jpy - clearing.objective_jpy
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "auction": snapshot.auction,
        "snapshot_sha256": snapshot_sha256(snapshot),
        "engine": {
            "version": ENGINE_VERSION,
            "solver": SOLVER_NAME,
            "solver_version": solver_version(),
        },
        "objective_jpy": clearing.objective_jpy,
        "bound_jpy": clearing.bound_jpy,
        "gap_ratio": gap_jpy / max(1.0, accepted_cost_jpy(clearing)),
        "needs": _needs(clearing, found),
        "areas": _areas(clearing, found),
        "elements": _elements(clearing, found),
        "places": _places(clearing, found),
        "paths": _paths(clearing, found),
        "links": _links(clearing, found),
        "transfers": _transfers(clearing, found),
        "raw": raw_document(clearing, found),
    }
    sold = legs(clearing, found)
    document["awards"] = [_award(leg) for leg in sold]
    document["money"] = _money(clearing, document, sold)
    return document


def accepted_cost_jpy(clearing: Clearing) -> float:
    """Return the gross cost of the bids accepted in JPY, the scale a gap is measured against."""
    end = clearing.programme.grid["link"].start
    return float(np.abs(clearing.programme.cost_jpy[:end]) @ np.abs(clearing.x_kw[:end]))


def _award(leg: Leg) -> dict[str, Any]:
    return {
        "bid": leg.bid,
        "resource": leg.resource,
        "leg": leg.name,
        "direction": leg.direction,
        "quantity_kw": _list(leg.quantity_kw),
        "price_jpy_per_kwh": _list(leg.price_jpy_per_kwh),
        "cost_jpy": round(leg.cost_jpy, JPY_DIGITS),
        "path_jpy": round(leg.path_jpy, JPY_DIGITS),
    }


def _list(values: FloatArray) -> list[float]:
    return [float(value) + 0.0 for value in values]


def _needs(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    snapshot, rules, count = (
        clearing.snapshot,
        clearing.snapshot.rules,
        clearing.snapshot.interval_count,
    )
    published = []
    for needs, part, price in (
        (snapshot.local_needs, "local", found.local_jpy_per_kwh),
        (snapshot.balance_needs, "balance", found.balance_jpy_per_kwh),
    ):
        served_kw = clearing.x_kw[clearing.programme.grid[part]].reshape(-1, count)
        served_kw = np.minimum(rounded(served_kw, rules.quantity_tick_kw), needs.need_kw)
        published += [
            {
                "id": name,
                "kind": part.upper(),
                "served_kw": _list(served_kw[row]),
                "unserved_kw": _list(np.round(needs.need_kw[row] - served_kw[row], 9)),
                "price_jpy_per_kwh": _list(rounded(price[row], rules.price_tick_jpy_per_kwh)),
            }
            for row, name in enumerate(needs.ids)
        ]
    return sorted(published, key=lambda need: (str(need["kind"]), str(need["id"])))


def _areas(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    snapshot, rules, count = (
        clearing.snapshot,
        clearing.snapshot.rules,
        clearing.snapshot.interval_count,
    )
    excess_kw, shortage_kw = (
        clearing.x_kw[clearing.programme.grid[part]].reshape(-1, count)
        for part in ("excess", "shortage")
    )
    price = rounded(found.area_jpy_per_kwh, rules.price_tick_jpy_per_kwh)
    deviation_kw = rounded(excess_kw - shortage_kw, rules.quantity_tick_kw)
    return [
        {
            "id": name,
            "price_jpy_per_kwh": _list(price[row]),
            "deviation_kw": _list(deviation_kw[row]),
        }
        for row, name in enumerate(snapshot.network.area_ids)
    ]


def _elements(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    snapshot, rules = clearing.snapshot, clearing.snapshot.rules
    elements, room = snapshot.elements, clearing.programme.headroom
    tick = rules.price_tick_jpy_per_kwh
    after_kw = elements.base_flow_kw + clearing.programme.flow_kw(clearing.x_kw)
    after_kw = rounded(after_kw, rules.quantity_tick_kw)
    up, down = rounded(found.rent_up_jpy_per_kwh, tick), rounded(found.rent_down_jpy_per_kwh, tick)
    rent_jpy = snapshot.interval_h * (up * room.up_kw + down * room.down_kw).sum(axis=1)
    return [
        {
            "id": name,
            "rating_kw": float(elements.rating_kw[row]),
            "before_kw": _list(elements.base_flow_kw[row]),
            "after_kw": _list(after_kw[row]),
            "headroom_up_kw": _list(room.up_kw[row]),
            "headroom_down_kw": _list(room.down_kw[row]),
            "rent_up_jpy_per_kwh": _list(up[row]),
            "rent_down_jpy_per_kwh": _list(down[row]),
            "rent_jpy": round(float(rent_jpy[row]), JPY_DIGITS),
        }
        for row, name in enumerate(elements.ids)
    ]


def _places(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    snapshot = clearing.snapshot
    price = rounded(found.place_jpy_per_kwh, snapshot.rules.price_tick_jpy_per_kwh)
    h = clearing.programme.sensitivity.place
    return [
        {
            "id": name,
            "price_jpy_per_kwh": _list(price[column]),
            "sensitivity_kw_per_kw": {
                element: float(h[row, column]) + 0.0
                for row, element in enumerate(snapshot.elements.ids)
            },
        }
        for column, name in enumerate(snapshot.place_ids)
    ]


def _paths(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    snapshot, current = clearing.snapshot, clearing.programme
    used_gb = np.round(
        (current.carried_gb @ clearing.x_kw).reshape(-1, snapshot.interval_count), GB_DIGITS
    )
    price = path_price_jpy_per_gb(clearing, found)
    return [
        {
            "id": name,
            "used_gb": _list(used_gb[row]),
            "price_jpy_per_gb": _list(price[row]),
            "rent_jpy_per_gb": _list(price[row] - snapshot.tariff_jpy_per_gb[row]),
        }
        for row, name in enumerate(snapshot.path_ids)
    ]


def _trade(
    clearing: Clearing, ids: tuple[str, ...], part: str, price: FloatArray
) -> list[dict[str, Any]]:
    rules, count = clearing.snapshot.rules, clearing.snapshot.interval_count
    flow_kw = rounded(
        clearing.x_kw[clearing.programme.grid[part]].reshape(-1, count), rules.quantity_tick_kw
    )
    published = rounded(price, rules.price_tick_jpy_per_kwh)
    rent_jpy = clearing.snapshot.interval_h * (published * flow_kw).sum(axis=1)
    return [
        {
            "id": name,
            "flow_kw": _list(flow_kw[row]),
            "rent_jpy_per_kwh": _list(published[row]),
            "rent_jpy": round(float(rent_jpy[row]), JPY_DIGITS),
        }
        for row, name in enumerate(ids)
    ]


def _links(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    return _trade(clearing, clearing.snapshot.network.link_ids, "link", found.link_jpy_per_kwh)


def _transfers(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    return _trade(clearing, clearing.snapshot.transfer_ids, "transfer", found.transfer_jpy_per_kwh)


def _money(clearing: Clearing, document: dict[str, Any], sold: list[Leg]) -> dict[str, float]:
    """Return the published money flows; what rounding leaves is the residual."""
    h = clearing.snapshot.interval_h

    def product(items: list[dict[str, Any]], quantity: str, price: str) -> float:
        return h * sum(float(np.dot(item[quantity], item[price])) for item in items)

    path_jpy = sum(leg.path_jpy for leg in sold)
    money = {
        "buyers_jpy": product(document["needs"], "served_kw", "price_jpy_per_kwh"),
        "sellers_jpy": sum(leg.receipt_jpy for leg in sold) - path_jpy,
        "congestion_rent_jpy": sum(item["rent_jpy"] for item in document["elements"]),
        "link_rent_jpy": sum(
            item["rent_jpy"] for item in (*document["links"], *document["transfers"])
        ),
        "path_jpy": path_jpy,
        "deviation_jpy": product(document["areas"], "deviation_kw", "price_jpy_per_kwh"),
    }
    money["residual_jpy"] = (
        money["buyers_jpy"]
        + money["deviation_jpy"]
        - money["sellers_jpy"]
        - money["congestion_rent_jpy"]
        - money["link_rent_jpy"]
        - money["path_jpy"]
    )
    return {name: round(amount, JPY_DIGITS) + 0.0 for name, amount in money.items()}
