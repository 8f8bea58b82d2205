"""What is published of computing: offers, requests, where they ran, and who pays whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from market.core.audit.awards import MONEY_NOISE_JPY, NOISE, Figure
from market.core.audit.block import EXACT, IntArray
from market.core.audit.book import Book
from market.core.audit.forms.compute import placements
from market.core.audit.ledger import Array, column, of_length
from market.core.audit.prices import Prices


def computing_jpy(result: Mapping[str, Any], book: Book) -> Array:
    """Return what each bid is paid for computing, as published, (B,)."""
    numbers = {name: number for number, name in enumerate(book.bid_ids)}
    paid_jpy = np.zeros(len(book.bid_ids))
    for offer in result["compute"]:
        paid_jpy[numbers[offer["id"]]] += offer["receipt_jpy"]
    return paid_jpy


class _Placements:
    """Every placement that any request may use; L of them, in the order of the blocks."""

    def __init__(self, book: Book, prices: Prices) -> None:
        market, count = book.market, book.market.count
        offers = {name: row for row, name in enumerate(market.compute_offers)}
        paths = {name: row for row, name in enumerate(market.paths)}
        self.requests = [bid for bid in market.snapshot["bids"] if bid["form"] == "COMPUTE_REQUEST"]
        self.keys: list[tuple[str, str, str | None]] = []
        raw_kw, cost = [], []
        start = dict(zip(book.bid_ids, book.start, strict=True))
        for bid in self.requests:
            window = slice(bid["first_t"], bid["last_t"] + 1)
            length = window.stop - window.start
            first = start[bid["id"]]["placed"]
            for number, (offer, path) in enumerate(placements(bid, market)):
                self.keys.append((bid["id"], offer, path))
                placed_kw = np.zeros(count)
                position = first + number * length
                placed_kw[window] = book.x[position : position + length]
                raw_kw.append(placed_kw)
                per_kwh = prices.duals.compute[offers[offer]]
                if path is not None:
                    per_kwh = per_kwh + bid["gb_per_kwh"] * prices.path_jpy_per_gb[paths[path]]
                cost.append(per_kwh)
        self._rows: dict[str, list[int]] = {}
        for row, key in enumerate(self.keys):
            self._rows.setdefault(key[0], []).append(row)
        self.raw_kw = np.array(raw_kw, dtype=np.float64).reshape(-1, count)
        self.cost_jpy_per_kwh = np.array(cost, dtype=np.float64).reshape(-1, count)

    def rows(self, request: str) -> IntArray:
        """Return the placements of a request."""
        return np.array(self._rows.get(request, []), dtype=np.int64)


def computing_figures(result: Mapping[str, Any], book: Book, prices: Prices) -> Iterator[Figure]:
    """Yield name, value and limit of the checks on what is published of computing."""
    rules = book.market.snapshot["rules"]
    tick_kw, tick_jpy = rules["quantity_tick_kw"], rules["price_tick_jpy_per_kwh"]
    known = _Placements(book, prices)
    placed_kw, stray_count = _placed_kw(result, known, book.market.count)
    yield "placements once, and allowed", float(stray_count), 0.0
    off_kw = float(np.max(np.abs(placed_kw - known.raw_kw), initial=0.0))
    yield "placements within a tick of the optimum [kW]", off_kw, tick_kw * (1 + NOISE)
    yield "computing adds up [kW]", _sums_off(result, known, placed_kw, book), EXACT * _size(known)
    yield "computing within requests [kW]", _over_kw(result, known, book), tick_kw * NOISE
    at = (book, prices)
    off_jpy = _prices_off(result, known, placed_kw, at)
    yield "computing prices within half a tick [JPY/kWh]", off_jpy, tick_jpy * (0.5 + NOISE)
    yield "computing as listed [JPY]", _money_off(result, known, placed_kw, at), MONEY_NOISE_JPY


def _size(known: _Placements) -> float:
    return max(1.0, float(np.max(np.abs(known.raw_kw), initial=0.0)))


def _placed_kw(result: Mapping[str, Any], known: _Placements, count: int) -> tuple[Array, int]:
    """Return what is published of each placement, and how many belong to none or come twice."""
    rows = {key: row for row, key in enumerate(known.keys)}
    placed_kw = np.zeros_like(known.raw_kw)
    seen: set[tuple[str, str, str | None]] = set()
    stray_count = 0
    for request in result["requests"]:
        for placed in request["placed"]:
            key = (request["id"], placed["offer"], placed["path"])
            if key not in rows or key in seen:
                stray_count += 1
                continue
            seen.add(key)
            placed_kw[rows[key]] = of_length(placed["kw"], count)
    return placed_kw, stray_count


def _sums_off(result: Mapping[str, Any], known: _Placements, placed_kw: Array, book: Book) -> float:
    """Return the worst distance of what offers run and requests get from the placements."""
    offers = {name: row for row, name in enumerate(book.market.compute_offers)}
    requests = {bid["id"]: row for row, bid in enumerate(known.requests)}
    found = [0.0]
    for entries, name, which, numbers in (
        (result["compute"], "used_kw", 1, offers),
        (result["requests"], "served_kw", 0, requests),
    ):
        if sorted(entry["id"] for entry in entries) != sorted(numbers):
            return float("inf")
        sums = np.zeros((len(numbers), book.market.count))
        np.add.at(sums, [numbers[str(key[which])] for key in known.keys], placed_kw)
        for entry in entries:
            values = of_length(entry[name], book.market.count)
            found.append(float(np.max(np.abs(values - sums[numbers[entry["id"]]]), initial=0.0)))
    return float(np.max(found))


def _over_kw(result: Mapping[str, Any], known: _Placements, book: Book) -> float:
    asked_kw = column(known.requests, "quantity_kw", book.market.count)
    rows = {bid["id"]: row for row, bid in enumerate(known.requests)}
    found = [0.0]
    for request in result["requests"]:
        served_kw = of_length(request["served_kw"], book.market.count)
        over_kw = np.maximum(served_kw - asked_kw[rows[request["id"]]], -served_kw)
        found.append(float(np.max(over_kw, initial=0.0)))
    return float(np.max(found))


def _prices_off(
    result: Mapping[str, Any],
    known: _Placements,
    placed_kw: Array,
    at: tuple[Book, Prices],
) -> float:
    """Return the worst distance of published prices of computing from the unrounded ones."""
    book, prices = at
    market = book.market
    resources = {name: row for row, name in enumerate(market.resources)}
    offers = {name: row for row, name in enumerate(market.compute_offers)}
    found = [0.0]
    for offer in result["compute"]:
        bid = market.compute_offers[offer["id"]]
        price = prices.duals.compute[offers[offer["id"]]]
        cost = bid["ask_jpy_per_kwh"]
        cost = cost + bid["pue_ratio"] * prices.resource[resources[bid["resource"]]]
        for name, fair in (
            ("price_jpy_per_kwh", price),
            ("rent_jpy_per_kwh", np.maximum(0.0, price - cost)),
        ):
            published = of_length(offer[name], market.count)
            found.append(float(np.max(np.abs(published - fair), initial=0.0)))
    for request in result["requests"]:
        bid = market.bids[request["id"]]
        rows = known.rows(request["id"])
        fair = _delivered(known.cost_jpy_per_kwh[rows], placed_kw[rows], bid["value_jpy_per_kwh"])
        listed = request["price_jpy_per_kwh"]
        if not len(rows):
            found.append(0.0 if listed == [None] * market.count else float("inf"))
            continue
        found.append(float(np.max(np.abs(of_length(listed, market.count) - fair), initial=0.0)))
    return float(np.max(found))


def _money_off(
    result: Mapping[str, Any],
    known: _Placements,
    placed_kw: Array,
    at: tuple[Book, Prices],
) -> float:
    """Return the worst distance of what is paid from what published numbers say, in JPY.

    Paid as cleared, prices do; paid as bid, an offer gets its cost and its power, and a request
    pays that and the path of each placement, never above its value.
    """
    book, _ = at
    h, is_cleared = book.market.h, _is_cleared(book)
    asked = _asked_jpy_per_kwh(at)
    traffic = _traffic_jpy_per_kwh(result, known, book)
    found = [0.0]
    for offer in result["compute"]:
        price = offer["price_jpy_per_kwh"] if is_cleared else asked[offer["id"]]
        found.append(abs(offer["receipt_jpy"] - h * float(np.dot(offer["used_kw"], price))))
    for request in result["requests"]:
        value = book.market.bids[request["id"]]["value_jpy_per_kwh"]
        rows = known.rows(request["id"])
        path_jpy = h * float((known.raw_kw[rows] * traffic[rows]).sum())
        found.append(abs(request["path_jpy"] - path_jpy))
        if is_cleared:
            price = np.array([value or 0.0 for value in request["price_jpy_per_kwh"]])
            paid_jpy = h * float(np.dot(request["served_kw"], price))
        else:
            cost = [asked[known.keys[row][1]] + traffic[row] for row in rows]
            per_kwh = np.minimum(np.reshape(cost, (-1, book.market.count)), value)
            paid_jpy = h * float((placed_kw[rows] * per_kwh).sum())
        found.append(abs(request["paid_jpy"] - paid_jpy))
    return float(np.max(found))


def _is_cleared(book: Book) -> bool:
    return bool(book.market.snapshot["rules"]["payment"]["COMPUTE"] == "pay_as_clear")


def _asked_jpy_per_kwh(at: tuple[Book, Prices]) -> dict[str, Array]:
    """Return operating cost and power, on its tick, of a kWh computed at each offer, (T,)."""
    book, prices = at
    market = book.market
    tick = market.snapshot["rules"]["price_tick_jpy_per_kwh"]
    rows = {name: row for row, name in enumerate(market.resources)}
    return {
        name: bid["ask_jpy_per_kwh"]
        + bid["pue_ratio"] * tick * np.rint(prices.resource[rows[bid["resource"]]] / tick)
        for name, bid in market.compute_offers.items()
    }


def _traffic_jpy_per_kwh(result: Mapping[str, Any], known: _Placements, book: Book) -> Array:
    """Return what the path of each placement costs per kWh computed, as published, (L, T)."""
    price = {
        path["id"]: of_length(path["price_jpy_per_gb"], book.market.count)
        for path in result["paths"]
    }
    gb_per_kwh = {bid["id"]: bid["gb_per_kwh"] for bid in known.requests}
    traffic = np.zeros_like(known.raw_kw)
    for row, (request, _, path) in enumerate(known.keys):
        if path is not None:
            traffic[row] = gb_per_kwh[request] * price[path]
    return traffic


def _delivered(cost: Array, placed_kw: Array, value: float) -> Array:
    """Return the fair price of a request: of what it uses, else of what would be least dear."""
    if not len(cost):
        return np.zeros(cost.shape[1])
    used = np.where(placed_kw > 0, cost, np.inf).min(axis=0)
    fair: Array = np.where(np.isfinite(used), np.minimum(used, value), cost.min(axis=0))
    return fair
