"""Legs: what each accepted bid sells, at which place, in published numbers.

A bid has one leg per name, direction and resource: a step curve one, a store a charging and a
discharging one, a shift one that leaves its source and one that arrives at each destination.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from market.core.clearing import Clearing
from market.core.offers.terms import Columns, FloatArray, IntArray
from market.core.offers.terms import Leg as FormLeg
from market.core.pricing import (
    SNAP_TICKS,
    Prices,
    path_price_jpy_per_gb,
    rounded,
    rounded_down,
    rounded_up,
    share_ticks,
)
from market.core.reserves import backed_bids
from market.core.units import CAPACITY_PRICED_H, DIRECTION_SIGN, DOWN

SHORT_JPY: Final = 1e-9
MERIT_FORMS: Final = ("STEPS", "PORTFOLIO")
"""Forms whose cost is that of their cheapest steps up to what is awarded."""


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One leg of an accepted bid; series are (T,).

    Parameters
    ----------
    bid, resource, name, direction
        Which bid acts through which resource, and how.
    quantity_kw, price_jpy
        Published award and price, both at the receiving end: JPY/kWh of energy, or JPY per kW
        and 30 minutes of capacity.
    cost_jpy
        What the bid asked for this quantity.
    path_jpy
        What it owes to path owners out of its receipt.
    computing_jpy
        What it receives for computing.
    product
        The product of reserved capacity; ``None`` for energy.
    """

    bid: str
    resource: str
    name: str
    direction: str
    quantity_kw: FloatArray
    price_jpy: FloatArray
    interval_h: float
    cost_jpy: float = 0.0
    path_jpy: float = 0.0
    computing_jpy: float = 0.0
    product: str | None = None

    @property
    def order(self) -> tuple[bool, str, str]:
        """Return what legs of a bid are ordered by: what it gives before what it takes."""
        return self.direction == DOWN, self.name, self.resource

    @property
    def sign(self) -> float:
        """Return +1 where a higher price is better for the bid, −1 where it is worse."""
        return 1.0 if self.product is not None else DIRECTION_SIGN[self.direction]

    @property
    def priced_quantity(self) -> FloatArray:
        """Return kWh of energy, or kW·30 min of capacity."""
        hours = self.interval_h if self.product is None else self.interval_h / CAPACITY_PRICED_H
        return np.asarray(hours * self.quantity_kw)

    @property
    def receipt_jpy(self) -> float:
        """Return what the leg receives for energy or capacity, in JPY."""
        return self.sign * float(self.priced_quantity @ self.price_jpy)


def legs(
    clearing: Clearing,
    found: Prices,
    *,
    computing_jpy: Mapping[str, float],
    make_whole_jpy: Mapping[str, float],
) -> list[Leg]:
    """Return the legs of all accepted bids, ordered by bid, name and resource.

    Prices are the nearest tick, save where that would leave a bid below what it asked: then some
    of its prices are a tick or more in its favour, as few as it takes. Bids that back each other
    (:func:`market.core.reserves.backed_bids`) count as one.

    Parameters
    ----------
    clearing, found
        The optimum and its prices.
    computing_jpy
        What each compute offer receives from requests, as published.
    make_whole_jpy
        What bids are paid beside the price because integers leave them short.
    """
    tick = clearing.snapshot.rules.price_tick_jpy_per_kwh
    by_bid: dict[str, list[tuple[Leg, FloatArray]]] = {}
    for form in clearing.programme.forms:
        for leg, fair_jpy in _drafts(clearing, found, form):
            by_bid.setdefault(leg.bid, []).append((leg, fair_jpy))
    cost_jpy, path_jpy = _costs(clearing, by_bid), _dues(clearing, found)
    backed = backed_bids(clearing)
    groups: dict[str, list[tuple[Leg, FloatArray]]] = {}
    whole_jpy: dict[str, float] = {}
    for bid in sorted(by_bid):
        drafts = sorted(by_bid[bid], key=lambda draft: draft[0].order)
        first, fair_jpy = drafts[0]
        first = replace(
            first,
            cost_jpy=cost_jpy[bid],
            path_jpy=path_jpy.get(bid, 0.0),
            computing_jpy=computing_jpy.get(bid, 0.0),
        )
        group = backed.get(bid, bid)
        groups.setdefault(group, []).extend([(first, fair_jpy), *drafts[1:]])
        whole_jpy[group] = whole_jpy.get(group, 0.0) + make_whole_jpy.get(bid, 0.0)
    published = [
        leg for group, drafts in groups.items() for leg in _priced(drafts, whole_jpy[group], tick)
    ]
    # The sort keeps the order of legs within a bid.
    return sorted(published, key=lambda leg: leg.bid)


def _drafts(clearing: Clearing, found: Prices, form: str) -> Iterator[tuple[Leg, FloatArray]]:
    """Yield the legs of a form that carry anything, without prices, each beside its fair price."""
    snapshot, block = clearing.snapshot, clearing.programme.forms[form]
    for leg in block.legs:
        row_of, rows = _rows_of(block, leg)
        raw_kw, offered_kw = _on_grid(clearing, form, leg, row_of, len(rows))
        bid, resource = rows[:, 0], rows[:, 1]
        quantity_kw = _on_ticks(clearing, form, (raw_kw, offered_kw), (bid, resource))
        place = snapshot.resource_place[resource]
        for row in np.flatnonzero(quantity_kw.any(axis=1)):
            product, fair_jpy = None, found.place_jpy_per_kwh[place[row]]
            if not leg.is_energy:
                number = snapshot.books[form].product[bid[row]]
                product = snapshot.products.ids[number]
                fair_jpy = found.reserved_jpy_per_kw[number, place[row]]
            yield (
                Leg(
                    bid=block.ids[bid[row]],
                    resource=snapshot.resource_ids[resource[row]],
                    name=leg.name,
                    direction=leg.direction,
                    quantity_kw=quantity_kw[row],
                    price_jpy=np.zeros(snapshot.interval_count),
                    interval_h=snapshot.interval_h,
                    product=product,
                ),
                fair_jpy,
            )


def _rows_of(block: Columns, leg: FormLeg) -> tuple[IntArray, IntArray]:
    """Return the row of each entry of a leg, and (bid, resource) of each row."""
    width = int(leg.resource.max(initial=0)) + 1
    keys, row_of = np.unique(block.bid[leg.column] * width + leg.resource, return_inverse=True)
    return row_of, np.stack(np.divmod(keys, width), axis=1)


def _on_grid(
    clearing: Clearing, form: str, leg: FormLeg, row_of: IntArray, rows: int
) -> tuple[FloatArray, FloatArray]:
    """Return what a leg carries and what it could carry at most, (rows, T) each, in kW."""
    part, count = clearing.programme.slices[form], clearing.snapshot.interval_count
    sums = np.zeros((2, rows, count))
    for values, total in zip((clearing.x_kw, clearing.programme.upper_kw), sums, strict=True):
        np.add.at(total, (row_of, leg.t), leg.kw_per_unit * values[part][leg.column])
    return sums[0], sums[1]


def _on_ticks(
    clearing: Clearing,
    form: str,
    kw: tuple[FloatArray, FloatArray],
    of: tuple[IntArray, IntArray],
) -> FloatArray:
    """Return quantities in whole ticks, never above what is offered."""
    (raw_kw, offered_kw), (bid, resource) = kw, of
    snapshot = clearing.snapshot
    tick = snapshot.rules.quantity_tick_kw
    if form == "STEPS":
        area = snapshot.place_area[snapshot.resource_place[resource]]
        return share_ticks(raw_kw, offered_kw, area, tick)
    if form == "PORTFOLIO":
        return share_ticks(raw_kw, offered_kw, bid, tick, never_more=True)
    return np.minimum(rounded(raw_kw, tick), rounded_down(offered_kw, tick))


def _costs(
    clearing: Clearing, by_bid: Mapping[str, list[tuple[Leg, FloatArray]]]
) -> dict[str, float]:
    """Return what each bid asks for what it is awarded."""
    found: dict[str, float] = {}
    for form, block in clearing.programme.forms.items():
        if form in MERIT_FORMS:
            found |= _merit_cost_jpy(clearing, form, by_bid)
            continue
        cost = block.cost_jpy * clearing.x_kw[clearing.programme.slices[form]]
        total = np.bincount(block.bid, weights=cost, minlength=len(block.ids))
        found |= dict(zip(block.ids, total.tolist(), strict=True))
    return found


def _merit_cost_jpy(
    clearing: Clearing, form: str, by_bid: Mapping[str, list[tuple[Leg, FloatArray]]]
) -> dict[str, float]:
    """Return what each bid of steps asks for its award, cheapest steps first."""
    snapshot = clearing.snapshot
    book: Any = snapshot.books[form]
    left_kw = np.zeros((len(book.ids), snapshot.interval_count))
    for row, name in enumerate(book.ids):
        for leg, _ in by_bid.get(name, ()):
            left_kw[row] += leg.quantity_kw
    cost_jpy = np.zeros(len(book.ids))
    awarded = np.asarray(left_kw.any(axis=1))
    for step in np.flatnonzero(awarded[book.bid]):
        bid = book.bid[step]
        window = slice(book.first_t[step], book.last_t[step] + 1)
        taken_kw = np.minimum(left_kw[bid, window], book.quantity_kw[step])
        left_kw[bid, window] -= taken_kw
        cost_jpy[bid] += snapshot.interval_h * book.ask_jpy_per_kwh[step] * taken_kw.sum()
    return dict(zip(book.ids, cost_jpy.tolist(), strict=True))


def _dues(clearing: Clearing, found: Prices) -> dict[str, float]:
    """Return what each bid owes to the owners of paths and trunks, at published prices."""
    price = path_price_jpy_per_gb(clearing, found).ravel()
    owed: dict[str, float] = {}
    for form, block in clearing.programme.forms.items():
        use, x_kw = block.traffic_gb, clearing.x_kw[clearing.programme.slices[form]]
        if len(use.row) == 0:
            continue
        jpy = price[use.row] * use.amount * x_kw[use.column]
        total = np.bincount(block.bid[use.column], weights=jpy, minlength=len(block.ids))
        owed |= dict(zip(block.ids, total.tolist(), strict=True))
    return owed


def _priced(drafts: list[tuple[Leg, FloatArray]], make_whole_jpy: float, tick: float) -> list[Leg]:
    fair = [fair_jpy for _, fair_jpy in drafts]
    nearest = [replace(leg, price_jpy=rounded(fair_jpy, tick)) for leg, fair_jpy in drafts]
    short_jpy = _short_jpy(nearest) - make_whole_jpy
    if short_jpy <= SHORT_JPY:
        return nearest
    return _favoured(nearest, fair, short_jpy, tick)


def _favoured(
    nearest: list[Leg], fair: list[FloatArray], short_jpy: float, tick: float
) -> list[Leg]:
    """Move as few prices as it takes by a tick in the bid's favour, so that it is not short.

    Prices that rounding moved against the bid come first, the dearest tick first; what is still
    missing then is made good on the half hour with the most energy.
    """
    kindest = np.stack(
        [
            (rounded_up if leg.sign > 0 else rounded_down)(fair_jpy, tick)
            for leg, fair_jpy in zip(nearest, fair, strict=True)
        ]
    )
    prices = np.stack([leg.price_jpy for leg in nearest])
    sign = np.array([[leg.sign] for leg in nearest])
    amount = np.stack([leg.priced_quantity for leg in nearest])
    gain_jpy = (sign * (kindest - prices) * amount).ravel()
    for place in np.argsort(-gain_jpy, kind="stable"):
        if short_jpy <= SHORT_JPY or gain_jpy[place] <= SHORT_JPY:
            break
        prices.ravel()[place] = kindest.ravel()[place]
        short_jpy -= gain_jpy[place]
    if short_jpy > SHORT_JPY:
        leg, t = np.unravel_index(np.argmax(amount), amount.shape)
        ticks = math.ceil(short_jpy / (amount[leg, t] * tick) - SNAP_TICKS)
        prices[leg, t] += sign[leg, 0] * ticks * tick
    return [
        replace(leg, price_jpy=rounded(price, tick))
        for leg, price in zip(nearest, prices, strict=True)
    ]


def _short_jpy(sold: list[Leg]) -> float:
    return sum(leg.cost_jpy + leg.path_jpy - leg.receipt_jpy - leg.computing_jpy for leg in sold)
