"""A ceiling on what a bid asks: the same bid, form by form, with no ask above it.

Forms that ask per half hour keep their asks where the ceiling does not hold; a form with one ask
for its whole window has the ceiling throughout as soon as it holds anywhere in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from market.core.units import CAPACITY_PRICED_H

Bid = dict[str, Any]


def lowered_bid(bid: Bid, t: Collection[int], cap_jpy_per_kwh: float, interval_h: float) -> Bid:
    """Return a canonical bid with asks of at most `cap_jpy_per_kwh` in given half hours.

    Parameters
    ----------
    bid
        Canonical content of a bid of any form.
    t
        Half hours in which the ceiling holds.
    cap_jpy_per_kwh
        The ceiling. Capacity, which is asked for per kW and 30 minutes, counts as if it were
        called in full; a start counts over the energy of the whole block.
    interval_h
        Length of an interval. [h]
    """
    return _LOWERED[bid["form"]](bid, t, cap_jpy_per_kwh, interval_h)


def _pieces(entry: Mapping[str, Any], t: Collection[int]) -> list[tuple[bool, Bid]]:
    """Split a window into runs of half hours with and without the ceiling."""
    window = range(entry["first_t"], entry["last_t"] + 1)
    found = []
    for is_held, run in itertools.groupby(window, lambda half_hour: half_hour in t):
        half_hours = list(run)
        piece = {**entry, "first_t": half_hours[0], "last_t": half_hours[-1]}
        found.append((is_held, piece))
    return found


def _curves(bid: Bid, t: Collection[int], cap: float, _: float) -> Bid:
    curves = []
    for curve in bid["curves"]:
        for is_held, piece in _pieces(curve, t):
            steps = [
                {**step, "ask_jpy_per_kwh": min(step["ask_jpy_per_kwh"], cap)}
                for step in piece["steps"]
            ]
            curves.append({**piece, "steps": steps} if is_held else piece)
    return {**bid, "curves": curves}


def _offers(bid: Bid, t: Collection[int], name: str, most: float) -> Bid:
    offers = [
        {**piece, name: min(piece[name], most)} if is_held else piece
        for offer in bid["offers"]
        for is_held, piece in _pieces(offer, t)
    ]
    keys = ("first_t", "last_t", name, "quantity_kw")
    return {**bid, "offers": sorted(offers, key=lambda offer: tuple(offer[key] for key in keys))}


def _shift(bid: Bid, t: Collection[int], cap: float, _: float) -> Bid:
    return _offers(bid, t, "ask_jpy_per_kwh", cap)


def _capacity(bid: Bid, t: Collection[int], cap: float, _: float) -> Bid:
    return _offers(bid, t, "ask_jpy_per_kw", CAPACITY_PRICED_H * cap)


def _storage(bid: Bid, _: Collection[int], cap: float, __: float) -> Bid:
    return {**bid, "wear_jpy_per_kwh": min(bid["wear_jpy_per_kwh"], cap)}


def _deferral(bid: Bid, _: Collection[int], cap: float, __: float) -> Bid:
    return {**bid, "ask_jpy_per_kwh": min(bid["ask_jpy_per_kwh"], cap)}


def _block(bid: Bid, _: Collection[int], cap: float, interval_h: float) -> Bid:
    ask = min(bid["ask_jpy_per_kwh"], cap)
    most_jpy = (cap - ask) * interval_h * sum(bid["quantity_kw"])
    return {
        **bid,
        "ask_jpy_per_kwh": ask,
        "start_cost_jpy": min(bid["start_cost_jpy"], most_jpy),
    }


def _renewable(bid: Bid, _: Collection[int], cap: float, __: float) -> Bid:
    # Curtailing and releasing the same kWh must not pay, so neither ask falls below the other's
    # negative.
    curtail, release = bid["curtail_jpy_per_kwh"], bid["release_jpy_per_kwh"]
    return {
        **bid,
        "curtail_jpy_per_kwh": max(min(curtail, cap), -release),
        "release_jpy_per_kwh": max(min(release, cap), -curtail),
    }


def _compute_offer(bid: Bid, _: Collection[int], cap: float, __: float) -> Bid:
    return {**bid, "ask_jpy_per_kwh": min(bid["ask_jpy_per_kwh"], cap * bid["pue_ratio"])}


_LOWERED: Final[Mapping[str, Callable[[Bid, Collection[int], float, float], Bid]]] = {
    "BLOCK": _block,
    "CAPACITY": _capacity,
    "COMPUTE_OFFER": _compute_offer,
    "DEFERRAL": _deferral,
    "PORTFOLIO": _curves,
    "RENEWABLE": _renewable,
    "SHIFT": _shift,
    "STEPS": _curves,
    "STORAGE": _storage,
}
