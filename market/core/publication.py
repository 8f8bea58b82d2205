"""What a clearing says in public: awards, prices, money, and the raw numbers that prove them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from market.core.clearing import ENGINE_VERSION, Clearing
from market.core.compute_publication import compute_document
from market.core.explanations import explanations
from market.core.labels import label_costs
from market.core.legs import Leg, legs
from market.core.offers.terms import FloatArray, IntArray
from market.core.paradox import rejected_in_money
from market.core.payments import make_whole_jpy, payments_document
from market.core.pricing import (
    PATH_DIGITS,
    Prices,
    path_price_jpy_per_gb,
    prices,
    rounded,
)
from market.core.raw import raw_document
from market.core.snapshot import snapshot_sha256
from market.core.solver import SOLVER_NAME, solver_version
from market.core.units import CAPACITY_PRICED_H

SCHEMA: Final = "wattbit-result/2"
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
        "envelopes": _envelopes(clearing, found),
        **_carriers(clearing, found),
        "links": _links(clearing, found),
        "transfers": _transfers(clearing, found),
        **compute_document(clearing, found),
        "raw": raw_document(clearing, found),
    }
    sold = legs(
        clearing,
        found,
        computing_jpy={offer["id"]: offer["receipt_jpy"] for offer in document["compute"]},
        make_whole_jpy=make_whole_jpy(clearing, found),
    )
    document["awards"] = [_award(leg) for leg in sold]
    document["pivotal"] = list(clearing.pivotal)
    document["rejected_in_money"] = rejected_in_money(clearing, found)
    document["label_costs"] = label_costs(clearing) if snapshot.rules.label_costs else []
    document["money"] = _money(clearing, document, sold)
    document["payments"] = payments_document(clearing, found, document, sold)
    document["explanations"] = explanations(clearing, found, published=document, sold=sold)
    return document


def accepted_cost_jpy(clearing: Clearing) -> float:
    """Return the gross cost of the bids accepted in JPY, the scale a gap is measured against."""
    end = clearing.programme.grid["link"].start
    return float(np.abs(clearing.programme.cost_jpy[:end]) @ np.abs(clearing.x_kw[:end]))


def _award(leg: Leg) -> dict[str, Any]:
    price = "price_jpy_per_kwh" if leg.product is None else "price_jpy_per_kw"
    award = {
        "bid": leg.bid,
        "resource": leg.resource,
        "leg": leg.name,
        "direction": leg.direction,
        "quantity_kw": _list(leg.quantity_kw),
        price: _list(leg.price_jpy),
        "cost_jpy": round(leg.cost_jpy, JPY_DIGITS),
        "path_jpy": round(leg.path_jpy, JPY_DIGITS),
    }
    return award if leg.product is None else {**award, "product": leg.product}


def _list(values: FloatArray) -> list[float]:
    found: list[float] = (values + 0.0).tolist()
    return found


def _needs(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    snapshot, rules = clearing.snapshot, clearing.snapshot.rules
    published = []
    for needs, part, price, unit in (
        (snapshot.local_needs, "local", found.local_jpy_per_kwh, "price_jpy_per_kwh"),
        (snapshot.balance_needs, "balance", found.balance_jpy_per_kwh, "price_jpy_per_kwh"),
        (snapshot.place_needs, "place", found.load_jpy_per_kwh, "price_jpy_per_kwh"),
        (snapshot.capacity_needs, "capacity", found.capacity_jpy_per_kw, "price_jpy_per_kw"),
    ):
        asked_kw = needs.asked_kw
        served_kw = rounded(needs.total(clearing.part_kw(part)), rules.quantity_tick_kw)
        served_kw = np.minimum(served_kw, asked_kw)
        published += [
            {
                "id": name,
                "kind": part.upper(),
                "served_kw": _list(served_kw[row]),
                "unserved_kw": _list(np.round(asked_kw[row] - served_kw[row], 9)),
                unit: _list(rounded(price[row], rules.price_tick_jpy_per_kwh)),
            }
            for row, name in enumerate(needs.ids)
        ]
    return sorted(published, key=lambda need: (str(need["kind"]), str(need["id"])))


def _envelopes(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    """Return what each flexible connection's envelope costs the party it binds.

    The charge pays for the relief that the place's own bids brought; the penalty is for what is
    still above the envelope.
    """
    envelopes, rules = clearing.snapshot.envelopes, clearing.snapshot.rules
    h, price_over = clearing.snapshot.interval_h, rules.envelope_price_jpy_per_kwh
    price = rounded(found.envelope_jpy_per_kwh, rules.price_tick_jpy_per_kwh)
    over_kw = rounded(clearing.part_kw("over"), rules.quantity_tick_kw)
    relieved_kw = envelopes.scheduled_import_kw - envelopes.max_import_kw - over_kw
    charge_jpy = h * (price * relieved_kw).sum(axis=1)
    return [
        {
            "id": name,
            "over_kw": _list(over_kw[row]),
            "price_jpy_per_kwh": _list(price[row]),
            "charge_jpy": round(float(charge_jpy[row]), JPY_DIGITS) + 0.0,
            "penalty_jpy": round(h * price_over * float(over_kw[row].sum()), JPY_DIGITS) + 0.0,
        }
        for row, name in enumerate(envelopes.ids)
    ]


def _areas(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    snapshot, rules = clearing.snapshot, clearing.snapshot.rules
    excess_kw, shortage_kw = clearing.part_kw("excess"), clearing.part_kw("shortage")
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
    """Return flows and rents; a rent is what headroom and carrying earn, whoever is owed it."""
    snapshot, rules = clearing.snapshot, clearing.snapshot.rules
    elements, room = snapshot.elements, clearing.programme.headroom
    tick = rules.price_tick_jpy_per_kwh
    change_kw = clearing.programme.flow_kw(clearing.x_kw)
    after_kw = rounded(elements.base_flow_kw + change_kw, rules.quantity_tick_kw)
    rent = {
        "rent_up_jpy_per_kwh": found.rent_up_jpy_per_kwh,
        "rent_down_jpy_per_kwh": found.rent_down_jpy_per_kwh,
        "call_rent_up_jpy_per_kwh": found.call_rent_jpy_per_kwh[0],
        "call_rent_down_jpy_per_kwh": found.call_rent_jpy_per_kwh[1],
        "flow_jpy_per_kwh": found.flow_jpy_per_kwh,
    }
    rent = {name: rounded(values, tick) for name, values in rent.items()}
    rent_jpy = snapshot.interval_h * (
        (rent["rent_up_jpy_per_kwh"] + rent["call_rent_up_jpy_per_kwh"]) * room.up_kw
        + (rent["rent_down_jpy_per_kwh"] + rent["call_rent_down_jpy_per_kwh"]) * room.down_kw
        + rent["flow_jpy_per_kwh"] * after_kw
    ).sum(axis=1)
    return [
        {
            "id": name,
            "rating_kw": float(elements.rating_kw[row]),
            "before_kw": _list(elements.base_flow_kw[row]),
            "after_kw": _list(after_kw[row]),
            "headroom_up_kw": _list(room.up_kw[row]),
            "headroom_down_kw": _list(room.down_kw[row]),
            **{name: _list(values[row]) for name, values in rent.items()},
            "rent_jpy": round(float(rent_jpy[row]), JPY_DIGITS) + 0.0,
        }
        for row, name in enumerate(elements.ids)
    ]


def _places(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    """Return prices at places, with the sensitivities that make them: of priced elements only."""
    snapshot = clearing.snapshot
    price = rounded(found.place_jpy_per_kwh, snapshot.rules.price_tick_jpy_per_kwh)
    h, shown = clearing.programme.sensitivity.place, _priced_elements(clearing, found)
    names = [snapshot.elements.ids[row] for row in shown]
    return [
        {
            "id": name,
            "price_jpy_per_kwh": _list(price[column]),
            "sensitivity_kw_per_kw": dict(zip(names, _list(h[shown, column]), strict=True)),
        }
        for column, name in enumerate(snapshot.place_ids)
    ]


def _priced_elements(clearing: Clearing, found: Prices) -> IntArray:
    """Return the elements with a need, a cost of carrying or a price in some half hour."""
    worth = found.rent_up_jpy_per_kwh - found.rent_down_jpy_per_kwh + found.flow_jpy_per_kwh
    worth = worth + found.call_jpy_per_kwh.sum(axis=(0, 1))
    is_priced = worth.any(axis=1) | (clearing.snapshot.elements.flow_cost_jpy_per_kwh > 0)
    is_priced[clearing.snapshot.local_needs.where] = True
    return np.flatnonzero(is_priced)


def _carriers(clearing: Clearing, found: Prices) -> dict[str, list[dict[str, Any]]]:
    """Return traffic, prices and rents of paths and trunks."""
    snapshot, current = clearing.snapshot, clearing.programme
    used_gb = (current.carried_gb @ clearing.x_kw).reshape(-1, snapshot.interval_count)
    price = path_price_jpy_per_gb(clearing, found)
    rent = np.round(found.path_rent_jpy_per_gb, PATH_DIGITS)
    trunks = snapshot.trunks
    trunk_gb = np.zeros(trunks.capacity_gb.shape)
    np.add.at(trunk_gb, trunks.path_trunk, used_gb[trunks.path])
    trunk_rent = np.round(found.trunk_rent_jpy_per_gb, PATH_DIGITS)
    used_gb, trunk_gb = np.round(used_gb, GB_DIGITS), np.round(trunk_gb, GB_DIGITS)
    return {
        "paths": [
            {
                "id": name,
                "used_gb": _list(used_gb[row]),
                "price_jpy_per_gb": _list(price[row]),
                "rent_jpy_per_gb": _list(rent[row]),
            }
            for row, name in enumerate(snapshot.path_ids)
        ],
        "trunks": [
            {
                "id": name,
                "used_gb": _list(trunk_gb[row]),
                "rent_jpy_per_gb": _list(trunk_rent[row]),
                "rent_jpy": round(float(trunk_gb[row] @ trunk_rent[row]), JPY_DIGITS) + 0.0,
            }
            for row, name in enumerate(trunks.ids)
        ],
    }


def _trade(
    clearing: Clearing, ids: tuple[str, ...], part: str, price: FloatArray
) -> list[dict[str, Any]]:
    rules = clearing.snapshot.rules
    flow_kw = rounded(clearing.part_kw(part), rules.quantity_tick_kw)
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

    def product(items: list[dict[str, Any]], quantity: str, price: str, hours: float) -> float:
        return hours * sum(float(np.dot(item[quantity], item[price])) for item in items)

    needs = document["needs"]
    energy = [need for need in needs if need["kind"] != "CAPACITY"]
    capacity = [need for need in needs if need["kind"] == "CAPACITY"]
    offered_jpy = sum(offer["receipt_jpy"] for offer in document["compute"])
    owed_jpy = sum(leg.path_jpy for leg in sold)
    money = {
        "buyers_jpy": product(energy, "served_kw", "price_jpy_per_kwh", h)
        + product(capacity, "served_kw", "price_jpy_per_kw", h / CAPACITY_PRICED_H),
        "computing_jpy": sum(request["paid_jpy"] for request in document["requests"]),
        "envelope_jpy": sum(envelope["charge_jpy"] for envelope in document["envelopes"]),
        "deviation_jpy": product(document["areas"], "deviation_kw", "price_jpy_per_kwh", h),
        "sellers_jpy": sum(leg.receipt_jpy for leg in sold) - owed_jpy + offered_jpy,
        "congestion_rent_jpy": sum(item["rent_jpy"] for item in document["elements"]),
        "link_rent_jpy": sum(
            item["rent_jpy"] for item in (*document["links"], *document["transfers"])
        ),
        "path_jpy": owed_jpy + sum(request["path_jpy"] for request in document["requests"]),
    }
    paid = ("buyers_jpy", "computing_jpy", "envelope_jpy", "deviation_jpy")
    money["residual_jpy"] = sum(
        amount if name in paid else -amount for name, amount in money.items()
    )
    return {name: round(amount, JPY_DIGITS) + 0.0 for name, amount in money.items()}
