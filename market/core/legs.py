"""Legs: what each accepted bid sells, at which place, in published numbers.

A bid has one leg per resource and effect: a step curve one, a store a charging and a discharging
one, a shift one that leaves its source and one that arrives at each destination.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from market.core.clearing import Clearing
from market.core.offers.terms import FloatArray, IntArray
from market.core.pricing import (
    SNAP_TICKS,
    Prices,
    path_price_jpy_per_gb,
    rounded,
    rounded_down,
    rounded_up,
    share_ticks,
)
from market.core.units import DIRECTION_SIGN, DOWN, UP

LEG_ORDER: Final = ("STEPS", "CHARGE", "DISCHARGE", "SHIFT_OUT", "SHIFT_IN")
SHORT_JPY: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One leg of an accepted bid; series are (T,).

    Parameters
    ----------
    bid, resource, name, direction
        Which bid acts through which resource, and how.
    quantity_kw, price_jpy_per_kwh
        Published award and price, both at the receiving end.
    cost_jpy
        What the bid asked for this quantity.
    path_jpy
        What it owes to path owners out of its receipt.
    receipt_jpy
        +price × energy for UP, −price × energy for DOWN.
    """

    bid: str
    resource: str
    name: str
    direction: str
    quantity_kw: FloatArray
    price_jpy_per_kwh: FloatArray
    interval_h: float
    cost_jpy: float = 0.0
    path_jpy: float = 0.0

    @property
    def receipt_jpy(self) -> float:
        """Return what the leg receives, in JPY."""
        energy_kwh = self.interval_h * self.quantity_kw
        return DIRECTION_SIGN[self.direction] * float(energy_kwh @ self.price_jpy_per_kwh)


def legs(clearing: Clearing, found: Prices) -> list[Leg]:
    """Return the legs of all accepted bids, ordered by bid, kind and resource.

    Prices are the nearest tick, save where that would leave a bid below what it asked: then some
    of its prices are a tick or more in its favour, as few as it takes.
    """
    raw = _raw_price_jpy_per_kwh(clearing, found)
    drafts = [*_step_legs(clearing), *_storage_legs(clearing), *_shift_legs(clearing, found)]
    kept = [leg for leg in drafts if leg.quantity_kw.any()]
    by_bid: dict[str, list[Leg]] = {}
    for leg in kept:
        by_bid.setdefault(leg.bid, []).append(leg)
    tick = clearing.snapshot.rules.price_tick_jpy_per_kwh
    return [
        leg
        for bid in sorted(by_bid)
        for leg in sorted(
            _priced(by_bid[bid], raw, tick),
            key=lambda leg: (LEG_ORDER.index(leg.name), leg.resource),
        )
    ]


def _raw_price_jpy_per_kwh(clearing: Clearing, found: Prices) -> dict[str, FloatArray]:
    snapshot = clearing.snapshot
    return {
        name: found.place_jpy_per_kwh[place]
        for name, place in zip(snapshot.resource_ids, snapshot.resource_place, strict=True)
    }


def _priced(drafts: list[Leg], raw: dict[str, FloatArray], tick: float) -> list[Leg]:
    nearest = [replace(leg, price_jpy_per_kwh=rounded(raw[leg.resource], tick)) for leg in drafts]
    if _short_jpy(nearest) <= SHORT_JPY:
        return nearest
    return _favoured(nearest, raw, tick)


def _favoured(nearest: list[Leg], raw: dict[str, FloatArray], tick: float) -> list[Leg]:
    """Move as few prices as it takes by a tick in the bid's favour, so that it is not short.

    Prices that rounding moved against the bid come first, the dearest tick first; what is still
    missing then is made good on the half hour with the most energy.
    """
    short_jpy = _short_jpy(nearest)
    kindest = [
        (rounded_up if leg.direction == UP else rounded_down)(raw[leg.resource], tick)
        for leg in nearest
    ]
    prices = np.stack([leg.price_jpy_per_kwh for leg in nearest])
    sign = np.array([[DIRECTION_SIGN[leg.direction]] for leg in nearest])
    energy_kwh = np.stack([leg.interval_h * leg.quantity_kw for leg in nearest])
    gain_jpy = (sign * (np.stack(kindest) - prices) * energy_kwh).ravel()
    for place in np.argsort(-gain_jpy, kind="stable"):
        if short_jpy <= SHORT_JPY or gain_jpy[place] <= SHORT_JPY:
            break
        prices.ravel()[place] = np.stack(kindest).ravel()[place]
        short_jpy -= gain_jpy[place]
    if short_jpy > SHORT_JPY:
        leg, t = np.unravel_index(np.argmax(energy_kwh), energy_kwh.shape)
        ticks = math.ceil(short_jpy / (energy_kwh[leg, t] * tick) - SNAP_TICKS)
        prices[leg, t] += sign[leg, 0] * ticks * tick
    return [
        replace(leg, price_jpy_per_kwh=rounded(price, tick))
        for leg, price in zip(nearest, prices, strict=True)
    ]


def _short_jpy(sold: list[Leg]) -> float:
    return sum(leg.cost_jpy + leg.path_jpy - leg.receipt_jpy for leg in sold)


def _step_legs(clearing: Clearing) -> list[Leg]:
    snapshot, steps = clearing.snapshot, clearing.snapshot.steps
    count, tick = snapshot.interval_count, snapshot.rules.quantity_tick_kw
    shape = (len(steps.ids), count)
    x_kw = clearing.x_kw[clearing.programme.slices["steps"]]
    sold_kw, offered_kw = np.zeros(shape), np.zeros(shape)
    np.add.at(sold_kw, (steps.pair_bid, steps.pair_t), x_kw)
    np.add.at(offered_kw, (steps.pair_bid, steps.pair_t), steps.quantity_kw[steps.pair_step])
    area = snapshot.place_area[snapshot.resource_place[steps.resource]]
    award_kw = share_ticks(sold_kw, offered_kw, 2 * area + (steps.sign < 0), tick)
    cost_jpy = _merit_cost_jpy(clearing, award_kw)
    return [
        Leg(
            bid=name,
            resource=snapshot.resource_ids[steps.resource[row]],
            name="STEPS",
            direction=UP if steps.sign[row] > 0 else DOWN,
            quantity_kw=award_kw[row],
            price_jpy_per_kwh=np.zeros(count),
            interval_h=snapshot.interval_h,
            cost_jpy=float(cost_jpy[row]),
        )
        for row, name in enumerate(steps.ids)
    ]


def _merit_cost_jpy(clearing: Clearing, award_kw: FloatArray) -> FloatArray:
    """Return what each step bid asks for its award, cheapest steps first, (B,)."""
    snapshot, steps = clearing.snapshot, clearing.snapshot.steps
    left_kw = award_kw.copy()
    cost_jpy = np.zeros(len(steps.ids))
    for step in range(len(steps.bid)):
        bid = steps.bid[step]
        window = slice(steps.first_t[step], steps.last_t[step] + 1)
        taken_kw = np.minimum(left_kw[bid, window], steps.quantity_kw[step])
        left_kw[bid, window] -= taken_kw
        cost_jpy[bid] += snapshot.interval_h * steps.ask_jpy_per_kwh[step] * taken_kw.sum()
    return cost_jpy


def _on_grid(values: FloatArray, t: IntArray, count: int) -> FloatArray:
    series = np.zeros(count)
    np.add.at(series, t, values)
    return series


def _storage_legs(clearing: Clearing) -> list[Leg]:
    snapshot, store = clearing.snapshot, clearing.snapshot.storage
    count, tick = snapshot.interval_count, snapshot.rules.quantity_tick_kw
    x_kw = clearing.x_kw[clearing.programme.slices["storage"]]
    pairs = len(store.pair_t)
    found = []
    for row, name in enumerate(store.ids):
        mine = np.flatnonzero(store.pair_bid == row)
        for leg, offset, direction, limit in (
            ("CHARGE", 0, DOWN, store.charge_limit_kw[row]),
            ("DISCHARGE", pairs, UP, store.discharge_limit_kw[row]),
        ):
            raw_kw = _on_grid(x_kw[offset + mine], store.pair_t[mine], count)
            quantity_kw = np.minimum(rounded(raw_kw, tick), rounded_down(np.array(limit), tick))
            energy_kwh = snapshot.interval_h * float(quantity_kw.sum())
            found.append(
                Leg(
                    bid=name,
                    resource=snapshot.resource_ids[store.resource[row]],
                    name=leg,
                    direction=direction,
                    quantity_kw=quantity_kw,
                    price_jpy_per_kwh=np.zeros(count),
                    interval_h=snapshot.interval_h,
                    cost_jpy=energy_kwh * float(store.wear_jpy_per_kwh[row]) if offset else 0.0,
                )
            )
    return found


def _shift_legs(clearing: Clearing, found: Prices) -> list[Leg]:
    price = path_price_jpy_per_gb(clearing, found)
    return [
        leg
        for bid in range(len(clearing.snapshot.shifts.ids))
        for leg in _legs_of_shift(clearing, bid, price)
    ]


def _legs_of_shift(clearing: Clearing, bid: int, path_price: FloatArray) -> list[Leg]:
    """Return one leg at the source and one at each resource that work is moved to."""
    snapshot, shift = clearing.snapshot, clearing.snapshot.shifts
    count, tick = snapshot.interval_count, snapshot.rules.quantity_tick_kw
    x_kw = clearing.x_kw[clearing.programme.slices["shifts"]]
    offers, placed = len(shift.offer_pair), len(shift.placed_pair)
    pair = np.flatnonzero(shift.destination_bid[shift.placed_pair] == bid)
    destination, t = shift.placed_pair[pair], shift.placed_pair_t[pair]
    moved_kw, increase_kw = x_kw[offers + pair], x_kw[offers + placed + pair]
    carried_gb = (
        snapshot.interval_h * shift.gb_per_kwh[bid] * moved_kw + shift.gb_per_kw[bid] * increase_kw
    )
    offer = np.flatnonzero(shift.offer_bid[shift.offer_pair] == bid)
    ask = shift.ask_jpy_per_kwh[shift.offer_pair[offer]]
    ask_jpy = snapshot.interval_h * float(ask @ x_kw[offer])
    out = Leg(
        bid=shift.ids[bid],
        resource=snapshot.resource_ids[shift.resource[bid]],
        name="SHIFT_OUT",
        direction=UP,
        quantity_kw=rounded(_on_grid(moved_kw, t, count), tick),
        price_jpy_per_kwh=np.zeros(count),
        interval_h=snapshot.interval_h,
        cost_jpy=ask_jpy + float(shift.change_cost_jpy_per_kw[bid] * increase_kw.sum()),
        path_jpy=float(carried_gb @ path_price[shift.destination_path[destination], t]),
    )
    target = shift.destination_resource[destination]
    arriving_kw = shift.ratio[destination] * moved_kw
    return [out] + [
        replace(
            out,
            resource=snapshot.resource_ids[resource],
            name="SHIFT_IN",
            direction=DOWN,
            quantity_kw=rounded(
                _on_grid(arriving_kw[target == resource], t[target == resource], count), tick
            ),
            cost_jpy=0.0,
            path_jpy=0.0,
        )
        for resource in np.unique(target)
    ]
