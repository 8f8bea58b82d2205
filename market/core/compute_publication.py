"""What the compute market says in public: what each offer runs, and where each request ran.

The placement is the record against which a placement log is held afterwards: which work ran at
which offer, over which path, in every half hour.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import maximum_flow

from market.core.clearing import Clearing
from market.core.offers.compute import OWN_PLACE, OfferTable, RequestTable
from market.core.offers.terms import FloatArray, IntArray
from market.core.pricing import SNAP_TICKS, Prices, path_price_jpy_per_gb, rounded
from market.core.rules import PAY_AS_CLEAR

JPY_DIGITS: Final = 6


def compute_document(clearing: Clearing, found: Prices) -> dict[str, list[dict[str, Any]]]:
    """Return the entries ``compute`` and ``requests`` of a result.

    Parameters
    ----------
    clearing, found
        The optimum, and its prices: ``found.compute_jpy_per_kwh`` per offer, (S, T).

    Returns
    -------
    dict
        ``compute``, per offer: ``used_kw`` at the IT equipment, ``price_jpy_per_kwh`` of a kWh
        computed there, ``rent_jpy_per_kwh`` above operating cost and power, ``receipt_jpy``.
        ``requests``, per request: ``served_kw``; ``price_jpy_per_kwh`` delivered at its place, or
        null where no placement is allowed; ``paid_jpy`` and, in it, ``path_jpy``; ``placed``.

        Where computing is paid as bid, an offer receives its operating cost and its power, and a
        request pays that for each of its placements; prices are then reported, not settled.
    """
    snapshot = clearing.snapshot
    offers: OfferTable = snapshot.books["COMPUTE_OFFER"]
    requests: RequestTable = snapshot.books["COMPUTE_REQUEST"]
    tick = snapshot.rules.price_tick_jpy_per_kwh
    price = rounded(found.compute_jpy_per_kwh, tick)
    raw_kw = _placed_kw(clearing)
    placed_kw = placed_on_ticks(raw_kw, requests, offers, snapshot.rules.quantity_tick_kw)
    used_kw = np.zeros(offers.capacity_kw.shape)
    np.add.at(used_kw, requests.link_offer, placed_kw)
    used_kw = np.round(used_kw, 9)
    rent = rounded(_rent_jpy_per_kwh(clearing, found), tick)
    settled = _settled_jpy_per_kwh(clearing, found)
    return {
        "compute": [
            {
                "id": name,
                "used_kw": _list(used_kw[row]),
                "price_jpy_per_kwh": _list(price[row]),
                "rent_jpy_per_kwh": _list(rent[row]),
                "receipt_jpy": _jpy(snapshot.interval_h * float(used_kw[row] @ settled[row])),
            }
            for row, name in enumerate(offers.ids)
        ],
        "requests": _requests(clearing, found, raw_kw, placed_kw),
    }


def _list(values: FloatArray) -> list[float]:
    return [float(value) + 0.0 for value in values]


def _jpy(amount: float) -> float:
    return round(amount, JPY_DIGITS) + 0.0


def _placed_kw(clearing: Clearing) -> FloatArray:
    """Return what each placement allowed runs, (L, T)."""
    requests: RequestTable = clearing.snapshot.books["COMPUTE_REQUEST"]
    placed_kw = np.zeros((len(requests.link_request), clearing.snapshot.interval_count))
    part = clearing.programme.slices["COMPUTE_REQUEST"]
    placed_kw[requests.placed_link, requests.placed_t] = clearing.x_kw[part]
    return placed_kw


def placed_on_ticks(
    placed_kw: FloatArray, requests: RequestTable, offers: OfferTable, tick_kw: float
) -> FloatArray:
    """Round placements so that requests keep their totals and nothing runs above what there is.

    All are rounded down. The ticks this leaves over go, one each, to placements that lost a part
    of one: as many as it takes to bring each request's total to the nearest tick, none beyond
    what it asks, what an offer runs (rounded up) or what it has. Which ones they are is a flow
    from requests to offers.

    Parameters
    ----------
    placed_kw
        (L, T), in the order of the table of requests. [kW]
    requests, offers
        The tables.
    tick_kw
        The tick. [kW]

    Returns
    -------
    FloatArray
        (L, T) multiples of the tick. [kW]
    """
    owner, offer = requests.link_request, requests.link_offer
    exact = placed_kw / tick_kw
    whole = np.floor(exact + SNAP_TICKS)
    part = np.maximum(0.0, exact - whole)

    def total(where: IntArray, of_links: FloatArray, like: FloatArray) -> FloatArray:
        sums = np.zeros(like.shape)
        np.add.at(sums, where, of_links)
        return sums

    def whole_ticks(kw: FloatArray) -> FloatArray:
        return np.asarray(np.floor(kw / tick_kw + SNAP_TICKS))

    asked, offered = whole_ticks(requests.quantity_kw), whole_ticks(offers.capacity_kw)
    per_request = np.minimum(np.rint(total(owner, exact, asked)), asked)
    per_request = np.maximum(0.0, per_request - total(owner, whole, asked))
    per_offer = np.minimum(
        np.ceil(total(offer, part, offered) - SNAP_TICKS), offered - total(offer, whole, offered)
    )
    per_offer = np.maximum(0.0, per_offer)
    for t in np.flatnonzero((part > SNAP_TICKS).any(axis=0)):
        links = np.flatnonzero(part[:, t] > SNAP_TICKS)
        room = per_request[:, t].astype(np.int32), per_offer[:, t].astype(np.int32)
        whole[links, t] += _turns(owner[links], offer[links], room)
    return np.asarray(np.round(whole * tick_kw, 9) + 0.0)


def _turns(
    owner: IntArray, offer: IntArray, room: tuple[NDArray[np.int32], NDArray[np.int32]]
) -> IntArray:
    """Return which of some placements get one of the ticks left over, (k,), 0 or 1 each.

    Parameters
    ----------
    owner, offer
        Request and offer of each, (k,).
    room
        Ticks that each request, and each offer, can still take.
    """
    per_request, per_offer = room
    source, sink = 0, 1 + len(per_request) + len(per_offer)
    first = 1 + len(per_request)
    asks, gives = np.flatnonzero(per_request), np.flatnonzero(per_offer)
    row = np.concatenate([np.zeros(len(asks), np.int64), 1 + owner, first + gives])
    column = np.concatenate([1 + asks, first + offer, np.full(len(gives), sink)])
    capacity = np.concatenate(
        [per_request[asks], np.ones(len(owner), np.int32), per_offer[gives]]
    ).astype(np.int32)
    network = sp.csr_array((capacity, (row, column)), shape=(sink + 1, sink + 1))
    network.sum_duplicates()
    left = maximum_flow(network, source, sink).flow.todok()
    turns = np.zeros(len(owner), dtype=np.int64)
    for place, (k, s) in enumerate(zip(1 + owner, first + offer, strict=True)):
        if left.get((k, s), 0) > 0:
            turns[place] = 1
            left[k, s] -= 1
    return turns


def _rent_jpy_per_kwh(clearing: Clearing, found: Prices) -> FloatArray:
    """Return what computing is worth above operating cost and power, (S, T)."""
    snapshot = clearing.snapshot
    offers: OfferTable = snapshot.books["COMPUTE_OFFER"]
    power = found.place_jpy_per_kwh[snapshot.resource_place[offers.resource]]
    cost = offers.ask_jpy_per_kwh[:, None] + offers.pue_ratio[:, None] * power
    return np.asarray(np.maximum(0.0, found.compute_jpy_per_kwh - cost))


def _settled_jpy_per_kwh(clearing: Clearing, found: Prices) -> FloatArray:
    """Return what an offer receives per kWh computed, (S, T): the price, or what it asks."""
    snapshot = clearing.snapshot
    offers: OfferTable = snapshot.books["COMPUTE_OFFER"]
    tick = snapshot.rules.price_tick_jpy_per_kwh
    if snapshot.rules.payment["COMPUTE"] == PAY_AS_CLEAR:
        return rounded(found.compute_jpy_per_kwh, tick)
    place = snapshot.resource_place[offers.resource]
    power = rounded(found.place_jpy_per_kwh[place], tick)
    return np.asarray(offers.ask_jpy_per_kwh[:, None] + offers.pue_ratio[:, None] * power)


def _requests(
    clearing: Clearing, found: Prices, raw_kw: FloatArray, placed_kw: FloatArray
) -> list[dict[str, Any]]:
    snapshot, h = clearing.snapshot, clearing.snapshot.interval_h
    requests: RequestTable = snapshot.books["COMPUTE_REQUEST"]
    offer_ids = snapshot.books["COMPUTE_OFFER"].ids
    owner, shape = requests.link_request, requests.quantity_kw.shape
    price = _delivered_jpy_per_kwh(clearing, found, placed_kw)
    paid_jpy, path_jpy, served_kw = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(paid_jpy, owner, h * placed_kw * _paid_jpy_per_kwh(clearing, found, price))
    # Paths are paid for what they carry unrounded, as for every other bid.
    np.add.at(path_jpy, owner, h * raw_kw * _traffic_jpy_per_kwh(clearing, found))
    np.add.at(served_kw, owner, placed_kw)
    placed: list[list[dict[str, Any]]] = [[] for _ in requests.ids]
    for link in np.flatnonzero(placed_kw.any(axis=1)):
        placed[owner[link]].append(
            {
                "offer": offer_ids[requests.link_offer[link]],
                "path": _path_id(clearing, int(requests.link_path[link])),
                "kw": _list(placed_kw[link]),
            }
        )
    return [
        {
            "id": name,
            "served_kw": _list(np.round(served_kw[row], 9)),
            "price_jpy_per_kwh": [
                None if np.isnan(value) else float(value) for value in price[row]
            ],
            "paid_jpy": _jpy(float(paid_jpy[row].sum())),
            "path_jpy": _jpy(float(path_jpy[row].sum())),
            "placed": placed[row],
        }
        for row, name in enumerate(requests.ids)
    ]


def _path_id(clearing: Clearing, path: int) -> str | None:
    return None if path == OWN_PLACE else clearing.snapshot.path_ids[path]


def _traffic_jpy_per_kwh(clearing: Clearing, found: Prices) -> FloatArray:
    """Return what the path of each placement costs per kWh computed, (L, T)."""
    requests: RequestTable = clearing.snapshot.books["COMPUTE_REQUEST"]
    price = path_price_jpy_per_gb(clearing, found)
    at_home = np.zeros((1, price.shape[1]))
    by_link = np.concatenate([price, at_home])[requests.link_path]  # OWN_PLACE is the last row
    return np.asarray(requests.gb_per_kwh[requests.link_request][:, None] * by_link)


def _delivered_jpy_per_kwh(clearing: Clearing, found: Prices, placed_kw: FloatArray) -> FloatArray:
    """Return what a kWh computed costs at each request's place, (K, T); NaN if nowhere allowed.

    All placements used by a request cost it the same, unrounded; where none is used it is what
    the least dear would cost. The nearest tick, and never above the request's value if served.
    """
    snapshot = clearing.snapshot
    requests: RequestTable = snapshot.books["COMPUTE_REQUEST"]
    cost = found.compute_jpy_per_kwh[requests.link_offer] + _traffic_jpy_per_kwh(clearing, found)
    shape = requests.quantity_kw.shape
    least, used = np.full(shape, np.inf), np.full(shape, np.inf)
    np.minimum.at(least, requests.link_request, cost)
    np.minimum.at(used, requests.link_request, np.where(placed_kw > 0, cost, np.inf))
    is_served = np.isfinite(used)
    price = np.where(is_served, used, np.where(np.isfinite(least), least, np.nan))
    price = rounded(price, snapshot.rules.price_tick_jpy_per_kwh)
    value = np.broadcast_to(requests.value_jpy_per_kwh[:, None], shape)
    return np.where(is_served, np.minimum(price, value), price)


def _paid_jpy_per_kwh(clearing: Clearing, found: Prices, price: FloatArray) -> FloatArray:
    """Return what a request pays per kWh of each placement, (L, T)."""
    requests: RequestTable = clearing.snapshot.books["COMPUTE_REQUEST"]
    owner = requests.link_request
    if clearing.snapshot.rules.payment["COMPUTE"] == PAY_AS_CLEAR:
        return np.nan_to_num(price[owner])
    asked = _settled_jpy_per_kwh(clearing, found)[requests.link_offer]
    return np.minimum(
        asked + _traffic_jpy_per_kwh(clearing, found), requests.value_jpy_per_kwh[owner][:, None]
    )
