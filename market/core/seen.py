"""What bids see of a clearing, and the shape of what they could have done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from market.core.clearing import Clearing
from market.core.offers.terms import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A clearing and its prices as published."""

    clearing: Clearing
    place_jpy_per_kwh: FloatArray
    """(P, T)"""
    reserved_jpy_per_kw: FloatArray
    """Per product and place, (W, P, T)."""
    compute_jpy_per_kwh: FloatArray
    """Per compute offer, (O, T)."""
    request_jpy_per_kwh: FloatArray
    """Per compute request at its own place, NaN where it may run nowhere, (K, T)."""
    request_served_kw: FloatArray
    """(K, T)"""
    path_jpy_per_gb: FloatArray
    """(paths, T)"""
    path_rent_jpy_per_gb: FloatArray
    """Scarcity rents in it, of paths and their trunks, (paths, T)."""

    @property
    def h(self) -> float:
        """Return the length of an interval in hours."""
        return self.clearing.snapshot.interval_h

    @property
    def count(self) -> int:
        """Return the number of half hours."""
        return self.clearing.snapshot.interval_count

    @property
    def unseen_kw(self) -> float:
        """Return half a tick of quantity: less is not awarded, nor missed."""
        return self.clearing.snapshot.rules.quantity_tick_kw / 2.0

    def book(self, form: str) -> Any:
        """Return the table of a form's bids."""
        return self.clearing.snapshot.books[form]

    def x_kw(self, form: str, family: str) -> FloatArray:
        """Return the values of a family of columns."""
        return self._part(self.clearing.x_kw, form, family)

    def upper_kw(self, form: str, family: str) -> FloatArray:
        """Return the upper bounds of a family of columns as bid."""
        return self._part(self.clearing.programme.upper_kw, form, family)

    def _part(self, values: FloatArray, form: str, family: str) -> FloatArray:
        current = self.clearing.programme
        return values[current.slices[form]][current.forms[form].families[family]]

    def price(self, resource: IntArray) -> FloatArray:
        """Return price series at the places of resources, (…, T)."""
        place = self.clearing.snapshot.resource_place[resource]
        return np.asarray(self.place_jpy_per_kwh[place])

    def price_at(self, resource: IntArray, t: IntArray) -> FloatArray:
        """Return prices at the places of resources in half hours, (k,)."""
        place = self.clearing.snapshot.resource_place[resource]
        return np.asarray(self.place_jpy_per_kwh[place, t])


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Where actions put power in or take it out; (e,) each.

    `weight` is in kWh put in at the receiving end per unit of the action, negative if taken out,
    and zero where power is only held ready.
    """

    action: IntArray
    resource: IntArray
    t: IntArray
    weight: FloatArray


@dataclass(frozen=True, kw_only=True)
class Actions:
    """Actions of one form, (k,) each; every action belongs to a bid and a half hour.

    Parameters
    ----------
    bid, t
        Bid of the form, and the (first) half hour sold in.
    gain_jpy, ask_jpy
        Per unit: what it would earn above the ask, and the ask (the value, for requests).
    is_open, is_sold
        Whether the bid could do more of it, and whether it does some.
    ends
        What it does to the grid.
    path, path_rent_jpy
        The path it takes, −1 for none, and the scarcity rent in its gain, per unit.
    """

    bid: IntArray
    t: IntArray
    gain_jpy: FloatArray
    ask_jpy: FloatArray
    is_open: BoolArray
    is_sold: BoolArray
    ends: Ends
    path: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    path_rent_jpy: FloatArray = field(default_factory=lambda: np.zeros(0))


def ends_of(*parts: tuple[IntArray, IntArray, IntArray, FloatArray]) -> Ends:
    """Return ends from (action, resource, t, weight) parts."""
    joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return Ends(action=joined[0], resource=joined[1], t=joined[2], weight=joined[3])
