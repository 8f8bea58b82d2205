"""Who pays whom beside the market's prices: make-whole, posted prices, asks, rents and the fee."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from market.core.audit.awards import MONEY_NOISE_JPY, Awards, Figure, awards_of
from market.core.audit.book import Book
from market.core.audit.computing import computing_jpy
from market.core.audit.ledger import Array, summed
from market.core.audit.physical import NEEDS, PRICE_OF_NEED
from market.core.audit.prices import CAPACITY_PRICED_H, Income
from market.core.audit.whole import Parts

SHORT_RATIO: Final = 1e-9
PAY_AS_BID: Final = "pay_as_bid"
PAY_AS_CLEAR: Final = "pay_as_clear"
PRODUCT_OF_FORM: Final = {"CAPACITY": "CAPACITY", "COMPUTE_OFFER": "COMPUTE"}
BUYER_PARTS: Final = ("market_jpy", "make_whole_jpy", "posted_jpy", "as_bid_jpy", "fee_jpy")


def make_whole_jpy(result: Mapping[str, Any], parts: Parts) -> Array:
    """Return what each bid is made whole by, as published, (B,).

    Raises
    ------
    ValueError
        If it names no bid, or one twice.
    """
    numbers = {name: number for number, name in enumerate(parts.book.bid_ids)}
    found = np.zeros(len(numbers))
    items = result["payments"]["make_whole"]
    names = [item["bid"] for item in items]
    strangers = sorted(set(names) - set(numbers))
    if strangers or len(set(names)) != len(names):
        raise ValueError(f"payments.make_whole: {', '.join(names)}")
    for item in items:
        found[numbers[item["bid"]]] = item["amount_jpy"]
    return found


def short_jpy(parts: Parts, income: Income) -> Array:
    """Return what integers leave each bid short of its ask at the unrounded prices, (B,).

    Bids that back each other have one surplus; what they lack together is shared by those that
    lack it, in that ratio. Only where some column is held by a decision can anything lack.
    """
    book = parts.book
    sold = income.energy + income.capacity + income.computing - income.traffic - book.cost_jpy
    left_jpy = book.by_bid(sold * book.x)
    gross_jpy = book.by_bid(np.abs(book.cost_jpy * book.x))
    decided = book.by_bid(book.is_held.astype(float))
    group, count = book.backed, len(book.bid_ids)
    lacking = -summed(group, left_jpy, count)
    size = np.maximum(1.0, summed(group, gross_jpy, count))
    is_short = summed(group, decided, count) > 0
    lacking = np.where(is_short & (lacking > SHORT_RATIO * size), lacking, 0.0)
    behind = np.maximum(-left_jpy, 0.0)
    total = summed(group, behind, count)[group]
    share = np.divide(behind, total, out=np.zeros(count), where=total > 0)
    return np.asarray(lacking[group] * share)


def _payment(snapshot: Mapping[str, Any]) -> dict[str, str]:
    """Return the rule of each product; asks of energy are paid only where a need bears them."""
    payment = dict(snapshot["rules"]["payment"])
    if not any(snapshot[f"{kind}_needs"] for kind in ("local", "balance", "place")):
        payment["ENERGY"] = PAY_AS_CLEAR
    return payment


def paid_as_bid(book: Book) -> NDArray[np.bool_]:
    """Return which bids are paid what they ask, whatever the price, (B,)."""
    payment = _payment(book.market.snapshot)
    forms = [book.market.bids[name]["form"] for name in book.bid_ids]
    rules = [payment[PRODUCT_OF_FORM.get(form, "ENERGY")] for form in forms]
    return np.array([rule == PAY_AS_BID for rule in rules], dtype=np.bool_)


def payment_figures(result: Mapping[str, Any], parts: Parts, income: Income) -> Iterator[Figure]:
    """Yield name, value and limit of the checks on payments.

    In which ratio needs share what makes a bid whole, or what asks cost, is taken as published;
    that it is borne in full, by nobody beyond its surplus, and adds up, is checked.
    """
    payments, awards = result["payments"], awards_of(result, parts.book)
    noise_jpy = MONEY_NOISE_JPY * (1 + len(payments["sellers"]) + len(payments["buyers"])) ** 0.5
    is_awarded = np.isin(np.arange(len(parts.book.bid_ids)), awards.bid)
    is_owed = is_awarded & ~paid_as_bid(parts.book)
    lacking_jpy = np.where(is_owed, short_jpy(parts, income), 0.0)
    off_jpy = np.abs(make_whole_jpy(result, parts) - lacking_jpy)
    yield "made whole by what integers leave short [JPY]", _worst(off_jpy), MONEY_NOISE_JPY
    borne = [
        item["amount_jpy"]
        - sum(need["jpy"] for need in item["needs"])
        - item["congestion_rent_jpy"]
        - item["fee_jpy"]
        for item in payments["make_whole"]
    ]
    yield "make-whole borne in full [JPY]", _worst(np.abs(np.array(borne))), MONEY_NOISE_JPY
    over_jpy = _beyond_jpy(result, parts)
    yield "make-whole within what needs and rents can bear [JPY]", over_jpy, noise_jpy
    yield "sellers as listed [JPY]", _sellers_off(result, parts, awards), noise_jpy
    yield "buyers as listed [JPY]", _buyers_off(result, parts), noise_jpy
    yield "rents by owner [JPY]", _rents_off(result, parts), noise_jpy
    yield "payments add up [JPY]", abs(_left_jpy(result)), noise_jpy


def _worst(amounts: Array) -> float:
    return float(np.max(amounts, initial=0.0))


def _sellers_off(result: Mapping[str, Any], parts: Parts, awards: Awards) -> float:
    """Return the worst distance of what sellers are paid from awards, computing and rule."""
    book, bids = parts.book, len(parts.book.bid_ids)
    as_bid = paid_as_bid(book)
    market_jpy = awards.by_bid(awards.receipt_jpy - awards.path_jpy, bids)
    market_jpy = market_jpy + computing_jpy(result, book)
    ask_jpy = awards.by_bid(awards.cost_jpy, bids)
    is_computing = [book.market.bids[name]["form"] == "COMPUTE_OFFER" for name in book.bid_ids]
    ask_jpy = np.where(is_computing, market_jpy, ask_jpy)
    whole_jpy = make_whole_jpy(result, parts)
    numbers = {name: number for number, name in enumerate(book.bid_ids)}
    listed = [numbers[seller["bid"]] for seller in result["payments"]["sellers"]]
    expected = set(awards.bid.tolist()) | set(np.flatnonzero(market_jpy).tolist())
    if len(set(listed)) != len(listed) or set(listed) != expected:
        return float("inf")
    found = [0.0]
    for number, seller in zip(listed, result["payments"]["sellers"], strict=True):
        is_as_bid = bool(as_bid[number])
        if seller["rule"] != (PAY_AS_BID if is_as_bid else PAY_AS_CLEAR):
            return float("inf")
        added_jpy = 0.0 if is_as_bid else whole_jpy[number]
        paid_jpy = market_jpy[number] + added_jpy + seller["posted_jpy"]
        found += [
            abs(seller["market_jpy"] - market_jpy[number]),
            abs(seller["make_whole_jpy"] - added_jpy),
            abs(seller["posted_jpy"]) if is_as_bid else max(0.0, -seller["posted_jpy"]),
            abs(seller["paid_jpy"] - (ask_jpy[number] if is_as_bid else paid_jpy)),
        ]
    return float(np.max(found))


def _buyers_off(result: Mapping[str, Any], parts: Parts) -> float:
    """Return the worst distance of what needs pay from what they are served, and the fee."""
    payments, fee = result["payments"], parts.snapshot["rules"]["fee_jpy_per_kwh"]
    needs = {(need["kind"], need["id"]): need for need in result["needs"]}
    listed = [(buyer["kind"], buyer["id"]) for buyer in payments["buyers"]]
    if sorted(listed) != sorted(needs):
        return float("inf")
    whole_jpy = dict.fromkeys(needs, 0.0)
    for item in payments["make_whole"]:
        for share in item["needs"]:
            whole_jpy[share["kind"], share["id"]] += share["jpy"]
    raised_jpy = {"buyers": 0.0, "sellers": 0.0}
    fee_jpy, found = -payments["fee_jpy"], [0.0]
    for key, buyer in zip(listed, payments["buyers"], strict=True):
        need = needs[key]
        hours = parts.h / CAPACITY_PRICED_H if key[0] == "CAPACITY" else parts.h
        market_jpy = hours * float(np.dot(need["served_kw"], need[PRICE_OF_NEED[key[0]]]))
        owed_jpy = 0.0 if key[0] == "CAPACITY" else fee * parts.h * float(np.sum(need["served_kw"]))
        fee_jpy += owed_jpy
        raised_jpy["buyers"] += buyer["posted_jpy"]
        found += [
            abs(buyer["market_jpy"] - market_jpy),
            abs(buyer["make_whole_jpy"] - whole_jpy[key]),
            abs(buyer["fee_jpy"] - owed_jpy),
            abs(buyer["paid_jpy"] - sum(buyer[name] for name in BUYER_PARTS)),
        ]
    fee_jpy -= sum(item["fee_jpy"] for item in payments["make_whole"])
    raised_jpy["sellers"] = sum(seller["posted_jpy"] for seller in payments["sellers"])
    found += [abs(fee_jpy), _posted_off(result, parts)]
    if PAY_AS_BID not in parts.snapshot["rules"]["payment"].values():
        found.append(abs(raised_jpy["buyers"] - raised_jpy["sellers"]))
        found += [abs(buyer["as_bid_jpy"]) for buyer in payments["buyers"]]
    return float(np.max(found))


def _posted_off(result: Mapping[str, Any], parts: Parts) -> float:
    """Return the worst distance of what posted needs pay from their price, where they pay more."""
    needs = {(need["kind"], need["id"]): need for need in result["needs"]}
    found = [0.0]
    for buyer in result["payments"]["buyers"]:
        kind = buyer["kind"]
        (need,) = [item for item in parts.snapshot[NEEDS[kind]] if item["id"] == buyer["id"]]
        if need["pricing"] != "posted":
            found.append(abs(buyer["posted_jpy"]))
            continue
        hours = parts.h / CAPACITY_PRICED_H if kind == "CAPACITY" else parts.h
        served_kw = needs[kind, buyer["id"]]["served_kw"]
        posted_jpy = hours * float(np.dot(served_kw, need["steps"][0]["cap_jpy_per_kwh"]))
        found.append(max(0.0, buyer["market_jpy"] + buyer["posted_jpy"] - posted_jpy))
    return float(np.max(found))


def _beyond_jpy(result: Mapping[str, Any], parts: Parts) -> float:
    """Return by how much needs bear more than their surplus, or rents more than there is."""
    payments = result["payments"]
    served = {(need["kind"], need["id"]): need["served_kw"] for need in result["needs"]}
    rents_jpy = sum(max(0.0, rent["jpy"]) for rent in payments["rents"])
    taken_jpy = sum(item["congestion_rent_jpy"] for item in payments["make_whole"])
    found = [taken_jpy - rents_jpy]
    for buyer in payments["buyers"]:
        if not buyer["make_whole_jpy"]:
            continue
        kind = buyer["kind"]
        (need,) = [item for item in parts.snapshot[NEEDS[kind]] if item["id"] == buyer["id"]]
        left_kw = np.array(served[kind, buyer["id"]], dtype=np.float64)
        value = 0.0
        for step in need["steps"]:
            taken_kw = np.minimum(left_kw, step["need_kw"])
            left_kw = left_kw - taken_kw
            value += float(taken_kw @ np.array(step["cap_jpy_per_kwh"]))
        hours = parts.h / CAPACITY_PRICED_H if kind == "CAPACITY" else parts.h
        found.append(buyer["make_whole_jpy"] - max(0.0, hours * value - buyer["market_jpy"]))
    found += [
        -amount
        for item in payments["make_whole"]
        for amount in (
            item["congestion_rent_jpy"],
            item["fee_jpy"] + MONEY_NOISE_JPY,
            *(share["jpy"] for share in item["needs"]),
        )
    ]
    return float(np.max(found, initial=0.0))


def _rents_off(result: Mapping[str, Any], parts: Parts) -> float:
    """Return the worst distance of rents by owner from the published rents, and of their payout."""
    snapshot, payments = parts.snapshot, result["payments"]
    area_of = {bus["id"]: bus["area"] for bus in snapshot["network"]["buses"]}
    owners = {
        ("ELEMENT", "elements"): {item["id"]: item["owners"] for item in snapshot["elements"]},
        ("LINK", "links"): {
            item["id"]: [area_of[item["from"]], area_of[item["to"]]]
            for item in snapshot["network"]["links"]
        },
        ("TRANSFER", "transfers"): {
            item["id"]: [item["from_area"], item["to_area"]] for item in snapshot["transfers"]
        },
    }
    left: dict[tuple[str, str, str], float] = {}
    for (kind, name), of in owners.items():
        for item in result[name]:
            names = of[item["id"]] or [""]
            for owner in names:
                key = (kind, item["id"], owner)
                left[key] = left.get(key, 0.0) + item["rent_jpy"] / len(names)
    taken_jpy = sum(item["congestion_rent_jpy"] for item in payments["make_whole"])
    rents_jpy = sum(max(0.0, rent["jpy"]) for rent in payments["rents"])
    kept = 1.0 - (taken_jpy / rents_jpy if rents_jpy > 0 else 0.0)
    is_settled = _payment(snapshot)["ENERGY"] != PAY_AS_BID
    found = [0.0]
    for rent in payments["rents"]:
        left[rent["kind"], rent["id"], rent["owner"]] -= rent["jpy"]
        paid_jpy = rent["jpy"] * (kept if rent["jpy"] > 0 else 1.0) if is_settled else 0.0
        found.append(abs(rent["settled_jpy"] - paid_jpy))
    return float(np.max([*found, *(abs(amount) for amount in left.values())]))


def _left_jpy(result: Mapping[str, Any]) -> float:
    """Return what is paid less what is received, beyond the published residual of rounding."""
    money, payments = result["money"], result["payments"]
    paid_jpy = sum(buyer["paid_jpy"] for buyer in payments["buyers"])
    paid_jpy += money["computing_jpy"] + money["envelope_jpy"] + money["deviation_jpy"]
    received_jpy = sum(seller["paid_jpy"] for seller in payments["sellers"])
    received_jpy += sum(rent["settled_jpy"] for rent in payments["rents"])
    received_jpy += money["path_jpy"] + payments["fee_jpy"]
    return float(paid_jpy - received_jpy - money["residual_jpy"])
