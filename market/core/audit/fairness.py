"""Award prices against the fair price of their place: the nearest tick, and what the rule adds.

Rounding to the nearest tick may leave a bid below what it asks. The rule then moves its prices in
its favour by as few ticks as bring it to break-even: first one tick each on prices that rounding
moved against it, dearest first, and what is still missing on the half hour of most energy. Two
things follow, and both are checked without following the rule's road: no entry but the one of
most energy moves by a whole tick or more, and a favoured bid has less left over than its dearest
favoured tick is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from market.core.audit.block import IntArray
from market.core.audit.ledger import Array, summed

NOISE: Final = 1e-6
MOST_ENERGY_RATIO: Final = 1.0 - 1e-9


@dataclass(frozen=True)
class PriceAudit:
    """How far prices are from the rule; all three are at most rounding noise if it was kept."""

    against_jpy: float
    """Most by which a price is worse for its bid than the fair price. [JPY/kWh or JPY/kW]"""
    beyond_jpy: float
    """Most by which a price is better than the rule can make it. [JPY/kWh or JPY/kW]"""
    unearned_jpy: float
    """What a favoured bid has left over above one tick of its dearest favoured half hour."""


@dataclass(frozen=True)
class PricedLegs:
    """Published awards beside the fair prices of their places; k awards of B bids."""

    bid: IntArray
    """(k,)."""
    sign: Array
    """+1 where a higher price is better for the bid, −1 where it is worse, (k,)."""
    quantity: Array
    """kWh, or kW·30 min of capacity, (k, T)."""
    price_jpy: Array
    """As published, (k, T)."""
    fair_jpy: Array
    """Unrounded, (k, T)."""

    @property
    def receipt_jpy(self) -> Array:
        """Return price × quantity of each award, (k,)."""
        return np.asarray(self.sign * (self.price_jpy * self.quantity).sum(axis=1))


def audit_prices(legs: PricedLegs, charged_jpy: Array, tick: float) -> PriceAudit:
    """Check the prices of all awards against their fair prices, both ways.

    Parameters
    ----------
    legs
        The awards.
    charged_jpy
        What each bid asks for its awards and owes to others, less what it is paid otherwise, (B,).
    tick
        The price tick. [JPY/kWh or JPY/kW]
    """
    count = len(charged_jpy)
    favour = legs.sign[:, None] * (legs.price_jpy - legs.fair_jpy)
    half, whole = tick * (0.5 + NOISE), tick * (1.0 + NOISE)
    sold = legs.quantity > 0
    most = _most_by_bid(legs.quantity, legs.bid, count)
    may_exceed = sold & (legs.quantity >= MOST_ENERGY_RATIO * most[legs.bid][:, None])
    limit = np.where(may_exceed, np.inf, np.where(sold, whole, half))
    favoured = sold & (favour > half)
    dearest = _most_by_bid(np.where(favoured, legs.quantity, 0.0), legs.bid, count)
    left_jpy = summed(legs.bid, legs.receipt_jpy, count) - charged_jpy
    unearned_jpy = (left_jpy - tick * dearest)[dearest > 0]
    off_tick = np.abs(legs.price_jpy / tick)
    off_tick = np.abs(off_tick - np.rint(off_tick)) * tick
    return PriceAudit(
        against_jpy=float(np.max(-favour, initial=0.0)),
        beyond_jpy=float(
            np.max(np.maximum(np.where(favour > limit, favour, 0.0), off_tick), initial=0.0)
        ),
        unearned_jpy=float(np.max(unearned_jpy, initial=0.0)),
    )


def _most_by_bid(values: Array, bid: IntArray, count: int) -> Array:
    """Return the largest entry of each bid, (`count`,)."""
    most = np.zeros(count)
    if values.size:
        np.maximum.at(most, bid, values.max(axis=1))
    return most
