"""Published awards against the unrounded ones, their bids and the prices of their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.audit.block import IntArray
from market.core.audit.book import Book
from market.core.audit.fairness import PricedLegs, audit_prices
from market.core.audit.ledger import Array, of_length, summed
from market.core.audit.prices import CAPACITY_PRICED_H, Prices

NOISE: Final = 1e-6
MONEY_NOISE_JPY: Final = 1e-3
MERIT_FORMS: Final = ("STEPS", "PORTFOLIO")
"""Forms that ask, for what they are awarded, the price of their cheapest steps up to it."""

Figure = tuple[str, float, float]


@dataclass(frozen=True)
class Awards:
    """Published awards that belong to a leg of a bid; k awards of B bids."""

    leg: IntArray
    """Position in :attr:`market.core.audit.book.Legs.keys`, (k,)."""
    bid: IntArray
    quantity_kw: Array
    """(k, T)."""
    price_jpy: Array
    """JPY/kWh, or JPY per kW and 30 minutes of capacity, (k, T)."""
    cost_jpy: Array
    path_jpy: Array
    hours: Array
    """What a kW is multiplied by for the price to apply: h, or h/0.5 for capacity, (k,)."""
    sign: Array
    """+1 where a higher price is better for the bid, (k,)."""
    stray_count: int
    """Awards that belong to no leg, come twice or are of nothing."""

    @property
    def receipt_jpy(self) -> Array:
        """Return what each award is paid, (k,)."""
        paid = (self.quantity_kw * self.price_jpy).sum(axis=1)
        return np.asarray(self.sign * self.hours * paid)

    def by_bid(self, values: Array, count: int) -> Array:
        """Return sums over the awards of each bid, (`count`,)."""
        return summed(self.bid, values, count)


def awards_of(result: Mapping[str, Any], book: Book) -> Awards:
    """Read the awards of a result.

    Raises
    ------
    ValueError
        If a series has another length than the horizon.
    """
    count, h = book.market.count, book.market.h
    numbers = {key: number for number, key in enumerate(book.legs.keys)}
    bids = {name: number for number, name in enumerate(book.bid_ids)}
    found: dict[int, Mapping[str, Any]] = {}
    stray_count = 0
    for award in result["awards"]:
        key = tuple(award[name] for name in ("bid", "leg", "resource", "direction"))
        number = numbers.get((*key, award.get("product")), -1)
        if number < 0 or number in found or not np.any(award["quantity_kw"]):
            stray_count += 1
            continue
        found[number] = award
    entries = list(found.values())
    is_held = np.array([award.get("product") is not None for award in entries], dtype=np.bool_)
    is_up = np.array([award["direction"] == "UP" for award in entries], dtype=np.bool_)

    def series(name: str, other: str) -> Array:
        rows = [of_length(award[other if other in award else name], count) for award in entries]
        return np.array(rows, dtype=np.float64).reshape(-1, count)

    def amounts(name: str) -> Array:
        return np.array([award[name] for award in entries], dtype=np.float64)

    return Awards(
        leg=np.array(list(found), dtype=np.int64),
        bid=np.array([bids[award["bid"]] for award in entries], dtype=np.int64),
        quantity_kw=series("quantity_kw", "quantity_kw"),
        price_jpy=series("price_jpy_per_kwh", "price_jpy_per_kw"),
        cost_jpy=amounts("cost_jpy"),
        path_jpy=amounts("path_jpy"),
        hours=np.where(is_held, h / CAPACITY_PRICED_H, h),
        sign=np.where(is_held | is_up, 1.0, -1.0),
        stray_count=stray_count,
    )


def award_figures(awards: Awards, book: Book, prices: Prices, other_jpy: Array) -> Iterator[Figure]:
    """Yield name, value and limit of the checks on awards.

    Parameters
    ----------
    awards, book, prices
        The awards, all bids, and what everything is worth.
    other_jpy
        What each bid is paid beside its awards, as published, (B,).
    """
    rules = book.market.snapshot["rules"]
    tick_kw, tick_jpy = rules["quantity_tick_kw"], rules["price_tick_jpy_per_kwh"]
    bids = len(book.bid_ids)
    raw_kw = book.legs.award_kw(book.x, book.market.count)
    most_kw = book.legs.award_kw(book.upper, book.market.count)
    published_kw = np.zeros_like(raw_kw)
    published_kw[awards.leg] = awards.quantity_kw
    yield "every award once, of a bid", float(awards.stray_count), 0.0
    off_kw = float(np.max(np.abs(published_kw - raw_kw), initial=0.0))
    yield "awards within a tick of the optimum [kW]", off_kw, tick_kw * (1 + NOISE)
    over_kw = np.maximum(published_kw - most_kw, -published_kw)
    yield "awards within bids [kW]", float(np.max(over_kw, initial=0.0)), tick_kw * NOISE
    # A store and the capacity it backs are paid as one.
    group = book.backed
    priced = PricedLegs(
        bid=group[awards.bid],
        sign=awards.sign,
        quantity=awards.hours[:, None] * awards.quantity_kw,
        price_jpy=awards.price_jpy,
        fair_jpy=_fair_jpy(book, prices)[awards.leg],
    )
    charged_jpy = awards.by_bid(awards.cost_jpy + awards.path_jpy, bids) - other_jpy
    charged_jpy = summed(group, charged_jpy, bids)
    found = audit_prices(priced, charged_jpy, tick_jpy)
    yield "prices not against the seller [JPY]", found.against_jpy, tick_jpy * (0.5 + NOISE)
    yield "prices not beyond the tick rule [JPY]", found.beyond_jpy, tick_jpy * NOISE
    yield "favour to short bids only [JPY]", found.unearned_jpy, MONEY_NOISE_JPY
    short_jpy = charged_jpy - summed(group[awards.bid], awards.receipt_jpy, bids)
    is_awarded = awards.by_bid(np.ones(len(awards.bid)), bids) > 0
    short_jpy = short_jpy[np.unique(group[is_awarded])]
    yield "nobody is paid below ask [JPY]", float(np.max(short_jpy, initial=0.0)), MONEY_NOISE_JPY
    off_jpy = np.abs(awards.by_bid(awards.cost_jpy, bids) - _asked_jpy(book, published_kw))
    off_jpy = np.where(is_awarded, off_jpy, 0.0)
    yield "costs as bid [JPY]", float(np.max(off_jpy, initial=0.0)), MONEY_NOISE_JPY
    is_first = np.zeros(len(awards.bid), dtype=np.bool_)
    is_first[_first_of_each(awards, book)] = True
    misplaced = np.abs(np.where(is_first, 0.0, np.abs(awards.cost_jpy) + np.abs(awards.path_jpy)))
    yield "costs on a bid's first award [JPY]", float(np.max(misplaced, initial=0.0)), 0.0


def _fair_jpy(book: Book, prices: Prices) -> Array:
    """Return the unrounded price at each leg's place, (legs, T)."""
    resources = {name: number for number, name in enumerate(book.market.resources)}
    products = {name: number for number, name in enumerate(book.market.products)}
    rows = [
        prices.resource[resources[resource]]
        if product is None
        else prices.reserve_jpy_per_kw[products[product], resources[resource]]
        for _, _, resource, _, product in book.legs.keys
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, book.market.count)


def _first_of_each(awards: Awards, book: Book) -> list[int]:
    """Return each bid's first award: what it gives before what it takes, then leg, resource."""
    first: dict[int, tuple[tuple[bool, str, str], int]] = {}
    for position, (bid, leg) in enumerate(
        zip(awards.bid.tolist(), awards.leg.tolist(), strict=True)
    ):
        _, name, resource, direction, _ = book.legs.keys[leg]
        found = ((direction != "UP", name, resource), position)
        first[bid] = min(first.get(bid, found), found)
    return [position for _, position in first.values()]


def _asked_jpy(book: Book, published_kw: Array) -> Array:
    """Return what each bid asks for its awards, (B,).

    Bids of steps ask for the cheapest steps up to the published kW; all others what their
    unrounded columns cost.
    """
    asked_jpy = book.by_bid(book.cost_jpy * book.x)
    count, h = book.market.count, book.market.h
    numbers = {name: number for number, name in enumerate(book.bid_ids)}
    awarded_kw = np.zeros((len(book.bid_ids), count))
    np.add.at(awarded_kw, [numbers[key[0]] for key in book.legs.keys], published_kw)
    bid, t, most_kw, ask = _steps(book)
    if not len(bid):
        return asked_jpy
    # Within a half hour steps stand in the order of their asks: what is below a step is filled.
    order = np.lexsort((np.arange(len(bid)), t, bid))
    bid, t, most_kw, ask = bid[order], t[order], most_kw[order], ask[order]
    below = np.cumsum(most_kw) - most_kw
    is_first = np.concatenate([[True], (np.diff(bid) != 0) | (np.diff(t) != 0)])
    below_kw = below - below[is_first][np.cumsum(is_first) - 1]
    taken_kw = np.clip(awarded_kw[bid, t] - below_kw, 0.0, most_kw)
    merit_jpy = h * summed(bid, ask * taken_kw, len(book.bid_ids))
    has_steps = [book.market.bids[name]["form"] in MERIT_FORMS for name in book.bid_ids]
    return np.where(has_steps, merit_jpy, asked_jpy)


def _steps(book: Book) -> tuple[IntArray, IntArray, Array, Array]:
    """Return bid, half hour, kW and ask of every step of every curve, in order."""
    rows = [
        (number, curve["first_t"], curve["last_t"], step["quantity_kw"], step["ask_jpy_per_kwh"])
        for number, name in enumerate(book.bid_ids)
        if book.market.bids[name]["form"] in MERIT_FORMS
        for curve in book.market.bids[name]["curves"]
        for step in curve["steps"]
    ]
    bid, first, last, most_kw, ask = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    length = (last - first + 1).astype(np.int64)
    step = np.repeat(np.arange(len(rows)), length)
    start = np.cumsum(length) - length
    t = np.arange(len(step)) - start[step] + first.astype(np.int64)[step]
    return bid.astype(np.int64)[step], t, most_kw[step], ask[step]
