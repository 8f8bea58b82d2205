"""The published numbers against the unrounded ones, and against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from market.core.audit.awards import (
    MONEY_NOISE_JPY,
    NOISE,
    Awards,
    Figure,
    award_figures,
    awards_of,
)
from market.core.audit.computing import computing_jpy
from market.core.audit.ledger import Array, column, ids, of_length
from market.core.audit.payments import make_whole_jpy, paid_as_bid, short_jpy
from market.core.audit.physical import NEEDS, PRICE_OF_NEED
from market.core.audit.prices import CAPACITY_PRICED_H, Income
from market.core.audit.whole import Parts, Whole

RENTS: Final = (
    ("headroom_up_kw", "rent_up_jpy_per_kwh"),
    ("headroom_down_kw", "rent_down_jpy_per_kwh"),
    ("headroom_up_kw", "call_rent_up_jpy_per_kwh"),
    ("headroom_down_kw", "call_rent_down_jpy_per_kwh"),
    ("after_kw", "flow_jpy_per_kwh"),
)
"""What of an element earns which rent."""

Entries = Sequence[Mapping[str, Any]]


def published_figures(
    result: Mapping[str, Any], parts: Parts, whole: Whole, income: Income
) -> Iterator[Figure]:
    """Yield name, value and limit of every check on awards, prices, quantities and money.

    Parameters
    ----------
    result
        The result as published.
    parts, whole, income
        What the raw numbers are, what they add up to, and what each column brings in.
    """
    awards = awards_of(result, parts.book)
    # Who is paid the ask needs no make-whole: what the price leaves short is in the ask.
    as_bid_jpy = np.where(paid_as_bid(parts.book), short_jpy(parts, income), 0.0)
    other_jpy = computing_jpy(result, parts.book) + make_whole_jpy(result, parts) + as_bid_jpy
    yield from award_figures(awards, parts.book, parts.prices, other_jpy)
    yield from _prices(result, parts, whole)
    yield from _quantities(result, parts, whole)
    yield from _money(result, parts, whole, awards)


def worst(*amounts: ArrayLike) -> float:
    """Return the largest entry, at least 0; one that is no number wins."""
    found = [float(np.max(np.asarray(amount), initial=0.0)) for amount in amounts]
    return float(np.max(found, initial=0.0))


def off(items: Entries, name: str, raw: Array, known: Sequence[str]) -> float:
    """Return the worst distance of published series from raw ones; each id once, in any order."""
    rows = {key: row for row, key in enumerate(known)}
    if sorted(item["id"] for item in items) != sorted(known):
        return float("inf")
    found = np.zeros_like(raw)
    for item in items:
        found[rows[item["id"]]] = of_length(item[name], raw.shape[1])
    return worst(np.abs(found - raw))


def by_kind(result: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """Return the published needs of a kind."""
    return [need for need in result["needs"] if need["kind"] == kind]


def _prices(result: Mapping[str, Any], parts: Parts, whole: Whole) -> Iterator[Figure]:
    snapshot, prices, duals = parts.snapshot, parts.prices, parts.prices.duals
    tick_jpy = snapshot["rules"]["price_tick_jpy_per_kwh"]
    places, paths = list(parts.book.market.places), list(parts.book.market.paths)
    elements = ids(snapshot["elements"])
    links, transfers = ids(snapshot["network"]["links"]), ids(snapshot["transfers"])
    call_up, call_down = duals.call_rent
    rents = (
        ("rent_up_jpy_per_kwh", duals.rent_up),
        ("rent_down_jpy_per_kwh", duals.rent_down),
        ("call_rent_up_jpy_per_kwh", call_up),
        ("call_rent_down_jpy_per_kwh", call_down),
        ("flow_jpy_per_kwh", duals.flow),
    )
    found = worst(
        off(result["places"], "price_jpy_per_kwh", prices.place, places),
        off(result["areas"], "price_jpy_per_kwh", duals.area, parts.grid.area_ids),
        *(
            off(
                by_kind(result, kind),
                PRICE_OF_NEED[kind],
                whole.need_price[kind],
                ids(snapshot[name]),
            )
            for kind, name in NEEDS.items()
        ),
        off(result["links"], "rent_jpy_per_kwh", whole.link_price, links),
        off(result["transfers"], "rent_jpy_per_kwh", whole.transfer_price, transfers),
        off(result["envelopes"], "price_jpy_per_kwh", duals.envelope, ids(snapshot["envelopes"])),
        *(off(result["elements"], name, raw, elements) for name, raw in rents),
    )
    yield "prices within half a tick [JPY/kWh]", found, tick_jpy * (0.5 + NOISE)
    carried = off(result["paths"], "price_jpy_per_gb", prices.path_jpy_per_gb, paths)
    trunks = ids(snapshot["trunks"])
    bundled = off(result["trunks"], "rent_jpy_per_gb", duals.trunk_jpy_per_gb, trunks)
    yield "path prices [JPY/GB]", worst(carried, bundled), NOISE * (1 + len(trunks))


def _quantities(result: Mapping[str, Any], parts: Parts, whole: Whole) -> Iterator[Figure]:
    snapshot, physical = parts.snapshot, parts.physical
    tick_kw = snapshot["rules"]["quantity_tick_kw"]
    after_kw = column(snapshot["elements"], "base_flow_kw", parts.count) + whole.flow_change_kw
    found = [off(result["elements"], "after_kw", after_kw, ids(snapshot["elements"]))]
    for kind, name in NEEDS.items():
        served_kw, known = physical.total_kw(kind), ids(snapshot[name])
        needs = by_kind(result, kind)
        found.append(off(needs, "served_kw", served_kw, known))
        found.append(off(needs, "unserved_kw", asked_kw(parts, kind) - served_kw, known))
    envelopes = ids(snapshot["envelopes"])
    found.append(off(result["envelopes"], "over_kw", physical.over_kw, envelopes))
    yield "quantities within a tick [kW]", worst(*found), tick_kw * (1 + NOISE)


def asked_kw(parts: Parts, kind: str) -> Array:
    """Return what each need of a kind asks for in all, (needs, T)."""
    needs = parts.snapshot[NEEDS[kind]]
    sums = [column(need["steps"], "need_kw", parts.count).sum(axis=0) for need in needs]
    return np.array(sums, dtype=np.float64).reshape(-1, parts.count)


def _money(
    result: Mapping[str, Any], parts: Parts, whole: Whole, awards: Awards
) -> Iterator[Figure]:
    """Check the money flows against what is published, and that they add up."""
    h, money = parts.h, result["money"]

    def product(items: Entries, quantity: str, price: str) -> float:
        return h * sum(float(np.dot(item[quantity], item[price])) for item in items)

    capacity = by_kind(result, "CAPACITY")
    energy = [need for need in result["needs"] if need["kind"] != "CAPACITY"]
    owed_jpy = sum(award["path_jpy"] for award in result["awards"])
    path_jpy = owed_jpy + sum(request["path_jpy"] for request in result["requests"])
    paths_jpy = sum(
        float(np.dot(path["used_gb"], path["price_jpy_per_gb"])) for path in result["paths"]
    )
    trade = [*result["links"], *result["transfers"]]
    incoming = {
        "buyers_jpy": product(energy, "served_kw", "price_jpy_per_kwh")
        + product(capacity, "served_kw", "price_jpy_per_kw") / CAPACITY_PRICED_H,
        "computing_jpy": sum(request["paid_jpy"] for request in result["requests"]),
        "envelope_jpy": sum(envelope["charge_jpy"] for envelope in result["envelopes"]),
        "deviation_jpy": product(result["areas"], "deviation_kw", "price_jpy_per_kwh"),
    }
    outgoing = {
        "sellers_jpy": float(awards.receipt_jpy.sum())
        - owed_jpy
        + sum(offer["receipt_jpy"] for offer in result["compute"]),
        "congestion_rent_jpy": sum(
            product(result["elements"], quantity, price) for quantity, price in RENTS
        ),
        "link_rent_jpy": product(trade, "flow_kw", "rent_jpy_per_kwh"),
        "path_jpy": path_jpy,
    }
    left_jpy = sum(incoming.values()) - sum(outgoing.values())
    scale = max(1.0, whole.turnover_jpy) * 1e-9 + MONEY_NOISE_JPY
    flows = {**incoming, **outgoing}
    found = [abs(money[name] - amount) for name, amount in flows.items()]
    found.append(abs(money["residual_jpy"] - left_jpy))
    yield "money as listed [JPY]", worst(*found), scale
    yield "paths are paid what bids owe [JPY]", abs(path_jpy - paths_jpy), scale
    yield "money identity [JPY]", abs(left_jpy), _rounding_jpy(result, parts, awards) + scale


def _rounding_jpy(result: Mapping[str, Any], parts: Parts, awards: Awards) -> float:
    """Return the most that rounding by ticks can leave over, entry by entry."""
    rules = parts.snapshot["rules"]
    tick_kw, tick_jpy = rules["quantity_tick_kw"], rules["price_tick_jpy_per_kwh"]

    def reach(quantity: Any, price: Any, hours: Any = parts.h) -> float:
        q, p = np.abs(np.asarray(quantity)), np.abs(np.asarray(price))
        most = np.where((q > 0) | (p > 0), tick_jpy * q + tick_kw * (p + tick_jpy), 0)
        return float(np.sum(hours * most))

    total = reach(awards.quantity_kw, awards.price_jpy, awards.hours[:, None])
    for need in result["needs"]:
        hours = parts.h / CAPACITY_PRICED_H if need["kind"] == "CAPACITY" else parts.h
        total += reach(need["served_kw"], need[PRICE_OF_NEED[need["kind"]]], hours)
    for area in result["areas"]:
        total += reach(area["deviation_kw"], area["price_jpy_per_kwh"])
    for trade in (*result["links"], *result["transfers"]):
        total += reach(trade["flow_kw"], trade["rent_jpy_per_kwh"])
    for element in result["elements"]:
        for quantity, price in RENTS:
            rent = np.asarray(element[price])
            total += reach(np.where(rent != 0, element[quantity], 0.0), rent)
    above_kw = column(parts.snapshot["envelopes"], "scheduled_import_kw", parts.count)
    above_kw -= column(parts.snapshot["envelopes"], "max_import_kw", parts.count)
    for envelope, room_kw in zip(sorted(result["envelopes"], key=_id), above_kw, strict=True):
        total += reach(room_kw, envelope["price_jpy_per_kwh"])
        total += reach(envelope["over_kw"], envelope["price_jpy_per_kwh"])
    for offer in result["compute"]:
        total += reach(offer["used_kw"], offer["price_jpy_per_kwh"])
    for request in result["requests"]:
        delivered = np.array([value or 0.0 for value in request["price_jpy_per_kwh"]])
        total += max(1, len(request["placed"])) * reach(request["served_kw"], delivered)
    return total


def _id(entity: Mapping[str, Any]) -> str:
    return str(entity["id"])
