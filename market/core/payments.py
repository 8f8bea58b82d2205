r"""Who pays whom: the payment rules, what makes bids whole, posted prices, rents and the fee.

A bid j earns from need d what the need's price component pays for j's effect on it,

.. math:: c_{jdt} = h\,\mu_{dt}\,(-s_d H_{q p} g_p \Delta_{jt}) \;\text{(local)}, \qquad
          h\,\lambda_{at}\, g_p \Delta_{jt}\,\sigma_{dt} \;\text{(balance, load)},

:math:`\sigma` being the need's share of what its area or element group is served. On top of the
market's prices stand, each itemised:

- *make-whole*: what integers leave an accepted bid short of its ask, shared over the needs by
  their positive :math:`c`, up to each need's surplus under its cap; what is left (a fixed block
  may leave no price at all) by what its effect is worth to them above the price; then it comes
  out of congestion rent, and last out of the fee;
- *posted price*: a need that posts its price pays it for all it is served; what is above the
  market's price goes to the bids that serve it, in the ratio of their positive :math:`c`;
- *pay as bid*: the ask is the whole payment. It is split over the needs by positive :math:`c`; of
  bids that serve no need, and of what bids pay in, by the needs' payments. Rents are reported,
  not settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from market.core.clearing import Clearing
from market.core.legs import Leg
from market.core.offers.terms import FloatArray
from market.core.pricing import Prices
from market.core.reserves import backed_bids
from market.core.rules import PAY_AS_BID, PAY_AS_CLEAR
from market.core.served import Served
from market.core.units import CAPACITY_PRICED_H, DIRECTION_SIGN

JPY_DIGITS: Final = 6
SHORT_RATIO: Final = 1e-9


def make_whole_jpy(clearing: Clearing, found: Prices) -> dict[str, float]:
    """Return what integers leave accepted bids short of their ask, by bid, in JPY.

    Only bids with a column that a decision fixed can be short: all others are at their best at
    the prices. Bids that back each other (:func:`market.core.reserves.backed_bids`) count as one.
    """
    backed = backed_bids(clearing)
    left: dict[str, float] = {}
    gross: dict[str, float] = {}
    decided: set[str] = set()
    for form, block in clearing.programme.forms.items():
        part = clearing.programme.slices[form]
        held = np.bincount(
            block.bid, weights=clearing.is_held[part].astype(float), minlength=len(block.ids)
        )
        is_bound = np.array([bid in backed for bid in block.ids], dtype=bool)
        wanted = np.flatnonzero((held > 0) | is_bound)
        if not len(wanted):
            continue
        x = clearing.x_kw[part]
        gain = (_gain_jpy(clearing, found, form) - block.cost_jpy) * x
        left_jpy = np.bincount(block.bid, weights=gain, minlength=len(block.ids))
        cost = np.bincount(block.bid, weights=np.abs(block.cost_jpy * x), minlength=len(block.ids))
        for row in wanted:
            bid = block.ids[row]
            left[bid], gross[bid] = float(left_jpy[row]), float(cost[row])
            if held[row] > 0:
                decided.add(bid)
    return _shortages_jpy(left, gross, decided, backed)


def _shortages_jpy(
    left: Mapping[str, float],
    gross: Mapping[str, float],
    decided: set[str],
    backed: Mapping[str, str],
) -> dict[str, float]:
    """Return what groups of bids lack, by their short bids in the ratio of what those lack."""
    groups: dict[str, list[str]] = {}
    for bid in sorted(left):
        groups.setdefault(backed.get(bid, bid), []).append(bid)
    short: dict[str, float] = {}
    for members in groups.values():
        lacking = -sum(left[bid] for bid in members)
        scale = max(1.0, sum(gross[bid] for bid in members))
        if decided.isdisjoint(members) or lacking <= SHORT_RATIO * scale:
            continue
        behind = {bid: -left[bid] for bid in members if left[bid] < 0}
        for bid, amount in behind.items():
            short[bid] = round(lacking * amount / sum(behind.values()), JPY_DIGITS)
    return {bid: amount_jpy for bid, amount_jpy in short.items() if amount_jpy > 0}


def _gain_jpy(clearing: Clearing, found: Prices, form: str) -> FloatArray:
    """Return what one unit of each of a form's columns earns at the prices, (n,)."""
    snapshot, block = clearing.snapshot, clearing.programme.forms[form]
    h, gain = snapshot.interval_h, np.zeros(block.count)
    for leg in block.legs:
        place = snapshot.resource_place[leg.resource]
        if leg.is_energy:
            price = h * DIRECTION_SIGN[leg.direction] * found.place_jpy_per_kwh[place, leg.t]
        else:
            product = snapshot.books[form].product[block.bid[leg.column]]
            price = h / CAPACITY_PRICED_H * found.reserved_jpy_per_kw[product, place, leg.t]
        np.add.at(gain, leg.column, leg.kw_per_unit * price)
    path = found.path_rent_jpy_per_gb + snapshot.tariff_jpy_per_gb[:, None]
    np.add.at(path, snapshot.trunks.path, found.trunk_rent_jpy_per_gb[snapshot.trunks.path_trunk])
    use, work = block.traffic_gb, block.compute_kw
    np.subtract.at(gain, use.column, use.amount * path.ravel()[use.row])
    np.subtract.at(gain, work.column, h * work.amount * found.compute_jpy_per_kwh.ravel()[work.row])
    return gain


def payments_document(
    clearing: Clearing, found: Prices, document: Mapping[str, Any], sold: Sequence[Leg]
) -> dict[str, Any]:
    """Return the entry ``payments`` of a result.

    Parameters
    ----------
    clearing, found
        The optimum and its prices.
    document
        The result so far: published needs, elements, links, transfers, paths, trunks, compute.
    sold
        Its legs.

    Returns
    -------
    dict
        ``sellers`` and ``buyers`` with their items and ``paid_jpy``; ``make_whole`` with who
        bears it; ``rents`` by owner, reported with what is settled of them; ``fee_jpy``.
    """
    needs = document["needs"]
    served = Served(clearing, found, needs)
    market_jpy, by_bid = _market_jpy(document, sold), _legs_by_bid(sold)
    product_of = _products(clearing, by_bid)
    payment = _payment(clearing, needs)
    # What computing costs is in its price already where asks are paid; see compute_publication.
    as_bid = {
        bid: market_jpy[bid] if product_of[bid] == "COMPUTE" else sum(leg.cost_jpy for leg in legs)
        for bid, legs in by_bid.items()
        if payment[product_of[bid]] == PAY_AS_BID
    }
    short = make_whole_jpy(clearing, found)
    # A block of which less than half a tick is left is not awarded, so it is owed nothing.
    whole = {bid: jpy for bid, jpy in short.items() if bid in by_bid and bid not in as_bid}
    fee_jpy = clearing.snapshot.rules.fee_jpy_per_kwh * served.energy_kwh
    rents = _rents(clearing, document)
    weights = {bid: served.weights_jpy(legs) for bid, legs in _wanted(by_bid, whole, served)}
    by_price = {bid: legs for bid, legs in by_bid.items() if bid not in as_bid}
    posted, raised_jpy = _posted(served, by_price, weights)
    pots = [sum(max(0.0, rent["jpy"]) for rent in rents), float(fee_jpy.sum())]
    surplus = {bid: served.surplus_weights_jpy(by_bid[bid]) for bid in whole if bid in by_bid}
    borne_jpy, items = _borne(served, whole, (weights, surplus), pots)
    moved_jpy = np.zeros(len(needs))
    for product in ("ENERGY", "CAPACITY"):
        if payment[product] == PAY_AS_BID:
            asks = {bid: jpy for bid, jpy in as_bid.items() if product_of[bid] == product}
            taken = rents if product == "ENERGY" else []
            moved_jpy += _moved_jpy(served, product, (market_jpy, asks), weights, taken)
    is_settled = payment["ENERGY"] != PAY_AS_BID
    _settle(rents, sum(item["congestion_rent_jpy"] for item in items), is_settled=is_settled)
    return {
        "sellers": [
            _seller(bid, amount_jpy, (whole, posted, as_bid))
            for bid, amount_jpy in sorted(market_jpy.items())
        ],
        "buyers": [
            _buyer(need, (served.market_jpy, borne_jpy, raised_jpy, moved_jpy, fee_jpy), row)
            for row, need in enumerate(needs)
        ],
        "make_whole": items,
        "rents": rents,
        "fee_jpy": _jpy(float(fee_jpy.sum()) - sum(item["fee_jpy"] for item in items)),
    }


def _payment(clearing: Clearing, needs: list[dict[str, Any]]) -> dict[str, str]:
    """Return the rule of each product; without a need of energy nobody could bear its asks."""
    payment = dict(clearing.snapshot.rules.payment)
    if all(need["kind"] == "CAPACITY" for need in needs):
        payment["ENERGY"] = PAY_AS_CLEAR
    return payment


def _products(clearing: Clearing, by_bid: Mapping[str, list[Leg]]) -> dict[str, str]:
    """Return the product each accepted bid is paid under."""
    product_of = {"CAPACITY": "CAPACITY", "COMPUTE_OFFER": "COMPUTE"}
    return {
        bid: product_of.get(form, "ENERGY")
        for form, block in clearing.programme.forms.items()
        for bid in block.ids
        if bid in by_bid
    }


def _jpy(amount: float) -> float:
    return round(float(amount), JPY_DIGITS) + 0.0


def _seller(bid: str, market_jpy: float, extra: tuple[Mapping[str, float], ...]) -> dict[str, Any]:
    whole, posted, as_bid = extra
    added_jpy = 0.0 if bid in as_bid else whole.get(bid, 0.0) + posted.get(bid, 0.0)
    return {
        "bid": bid,
        "rule": PAY_AS_BID if bid in as_bid else PAY_AS_CLEAR,
        "market_jpy": _jpy(market_jpy),
        "make_whole_jpy": _jpy(0.0 if bid in as_bid else whole.get(bid, 0.0)),
        "posted_jpy": _jpy(0.0 if bid in as_bid else posted.get(bid, 0.0)),
        "paid_jpy": _jpy(as_bid.get(bid, market_jpy + added_jpy)),
    }


def _buyer(need: Mapping[str, Any], parts: tuple[FloatArray, ...], row: int) -> dict[str, Any]:
    names = ("market_jpy", "make_whole_jpy", "posted_jpy", "as_bid_jpy", "fee_jpy")
    amounts = {name: _jpy(part[row]) for name, part in zip(names, parts, strict=True)}
    return {
        "kind": need["kind"],
        "id": need["id"],
        **amounts,
        "paid_jpy": _jpy(sum(amounts.values())),
    }


def _legs_by_bid(sold: Sequence[Leg]) -> dict[str, list[Leg]]:
    by_bid: dict[str, list[Leg]] = {}
    for leg in sold:
        by_bid.setdefault(leg.bid, []).append(leg)
    return by_bid


def _wanted(
    by_bid: Mapping[str, list[Leg]], whole: Mapping[str, float], served: Served
) -> list[tuple[str, list[Leg]]]:
    """Return the bids whose effects matter: all where a price is posted or asks are paid."""
    payment = served.clearing.snapshot.rules.payment
    has_posted = any(table.is_posted.any() for table in served.table.values())
    if has_posted or PAY_AS_BID in payment.values():
        return list(by_bid.items())
    return [(bid, by_bid[bid]) for bid in whole if bid in by_bid]


def _market_jpy(document: Mapping[str, Any], sold: Sequence[Leg]) -> dict[str, float]:
    """Return what every accepted bid earns at published prices, its traffic deducted."""
    earned: dict[str, float] = {}
    for leg in sold:
        earned[leg.bid] = earned.get(leg.bid, 0.0) + leg.receipt_jpy - leg.path_jpy
    for offer in document["compute"]:
        if offer["id"] in earned or offer["receipt_jpy"]:
            earned[offer["id"]] = earned.get(offer["id"], 0.0) + offer["receipt_jpy"]
    return earned


def _split(amount_jpy: float, weight: FloatArray, room_jpy: FloatArray) -> FloatArray:
    """Return shares of an amount by weight, none beyond its room, (D,); the rest is left over."""
    shares, left_jpy = np.zeros(len(weight)), amount_jpy
    for _ in range(len(weight)):
        open_weight = np.where(room_jpy - shares > 0, weight, 0.0)
        if left_jpy <= 0 or not open_weight.any():
            break
        wanted = left_jpy * open_weight / open_weight.sum()
        given = np.minimum(wanted, np.maximum(room_jpy - shares, 0.0))
        shares += given
        left_jpy -= float(given.sum())
        if np.array_equal(given, wanted):
            break
    return shares


def _borne(
    served: Served,
    whole: Mapping[str, float],
    weights: tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]],
    pots: list[float],
) -> tuple[FloatArray, list[dict[str, Any]]]:
    """Return what each need adds to make bids whole, (D,), and one item per bid."""
    room_jpy = np.maximum(served.value_jpy - served.market_jpy, 0.0)
    borne_jpy, items = np.zeros(len(served.needs)), []
    for bid, amount_jpy in sorted(whole.items()):
        shares = np.zeros(len(served.needs))
        for by_bid in weights:
            if bid in by_bid:
                left_jpy = amount_jpy - float(shares.sum())
                room = room_jpy - borne_jpy - shares
                shares += np.round(_split(left_jpy, by_bid[bid].sum(axis=1), room), JPY_DIGITS)
        borne_jpy += shares
        left_jpy = amount_jpy - float(shares.sum())
        rent_jpy = min(max(left_jpy, 0.0), pots[0])
        pots[0] -= rent_jpy
        items.append(
            {
                "bid": bid,
                "amount_jpy": _jpy(amount_jpy),
                "needs": [
                    {"kind": need["kind"], "id": need["id"], "jpy": _jpy(share)}
                    for need, share in zip(served.needs, shares, strict=True)
                    if share
                ],
                "congestion_rent_jpy": _jpy(rent_jpy),
                "fee_jpy": _jpy(left_jpy - rent_jpy),
            }
        )
    return borne_jpy, items


def _posted(
    served: Served, by_bid: Mapping[str, list[Leg]], weights: Mapping[str, FloatArray]
) -> tuple[dict[str, float], FloatArray]:
    """Return what posted prices add to bids, and to what each need pays, (D,)."""
    raised_jpy = np.zeros(len(served.needs))
    gains: dict[str, float] = {}
    for row, need in enumerate(served.needs):
        table = served.table[need["kind"]]
        if not table.is_posted[served.row[row]]:
            continue
        posted = table.top_cap_jpy_per_kwh[served.row[row]]
        above_jpy = served.hours[row] * served.served_kw[row] * (posted - served.price_jpy[row])
        total = sum((weights[bid][row] for bid in by_bid), start=np.zeros(served.count))
        per_jpy = np.divide(above_jpy, total, out=np.zeros(served.count), where=total > 0)
        for bid in by_bid:
            gain_jpy = float(weights[bid][row] @ per_jpy)
            if gain_jpy:
                gains[bid] = gains.get(bid, 0.0) + _jpy(gain_jpy)
                raised_jpy[row] += _jpy(gain_jpy)
    return gains, raised_jpy


def _moved_jpy(
    served: Served,
    product: str,
    paid: tuple[Mapping[str, float], Mapping[str, float]],
    weights: Mapping[str, FloatArray],
    rents: list[dict[str, Any]],
) -> FloatArray:
    """Return what paying asks instead of prices changes for each need of a product, (D,).

    Rents that are not settled stay with the needs.
    """
    market_jpy, as_bid = paid
    is_capacity = np.array([need["kind"] == "CAPACITY" for need in served.needs], dtype=bool)
    mine = is_capacity == (product == "CAPACITY")
    share_jpy = np.zeros(len(served.needs))
    for bid, amount_jpy in as_bid.items():
        weight = np.where(mine, weights[bid].sum(axis=1), 0.0)
        if amount_jpy > 0 and weight.any():
            share_jpy += amount_jpy * weight / weight.sum()
    saved_jpy = sum(market_jpy[bid] - amount_jpy for bid, amount_jpy in as_bid.items())
    now_jpy = np.where(mine, served.market_jpy, 0.0)
    wanted_jpy = float(now_jpy.sum()) - saved_jpy - sum(rent["jpy"] for rent in rents)
    key = np.maximum(now_jpy, 0.0)
    if not key.any():
        key = mine.astype(np.float64)
    if key.any():
        share_jpy += (wanted_jpy - float(share_jpy.sum())) * key / key.sum()
    return np.asarray(np.round(share_jpy - now_jpy, JPY_DIGITS))


def _rents(clearing: Clearing, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each owner's property earns: a tie's rent half to each side."""
    parsed = clearing.snapshot.document()
    network = parsed["network"]
    area_of = {bus["id"]: bus["area"] for bus in network["buses"]}
    owners = {
        "elements": {item["id"]: item["owners"] for item in parsed["elements"]},
        "links": {
            item["id"]: [area_of[item["from"]], area_of[item["to"]]] for item in network["links"]
        },
        "transfers": {
            item["id"]: [item["from_area"], item["to_area"]] for item in parsed["transfers"]
        },
    }
    rents = []
    for kind, of in owners.items():
        for item in document[kind]:
            names = of[item["id"]] or [""]
            rents += [
                {
                    "owner": name,
                    "kind": kind[:-1].upper(),
                    "id": item["id"],
                    "jpy": _jpy(item["rent_jpy"] / len(names)),
                }
                for name in sorted(names)
                if item["rent_jpy"]
            ]
    return rents


def _settle(rents: list[dict[str, Any]], taken_jpy: float, *, is_settled: bool) -> None:
    """Add to each rent what is paid out: all of it, less what makes bids whole, or nothing."""
    pot_jpy = sum(max(0.0, rent["jpy"]) for rent in rents)
    kept = 1.0 - (taken_jpy / pot_jpy if pot_jpy > 0 else 0.0)
    for rent in rents:
        paid_jpy = rent["jpy"] * kept if rent["jpy"] > 0 else rent["jpy"]
        rent["settled_jpy"] = _jpy(paid_jpy) if is_settled else 0.0
