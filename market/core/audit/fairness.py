"""Award prices against the fair price of their place: the nearest tick, and what the rule adds.

Rounding to the nearest tick may leave a bid below what it asks. The rule then moves its prices in
its favour by as few ticks as bring it to break-even: first one tick each on prices that rounding
moved against it, dearest first, and what is still missing on the half hour of most energy. Two
things follow, and both are checked without following the rule's road: no entry but the one of
most energy moves by a whole tick or more, and a favoured bid has less left over than its dearest
favoured tick is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core.audit.ledger import Array, of_length

NOISE = 1e-6
MOST_ENERGY_RATIO = 1.0 - 1e-9


@dataclass(frozen=True)
class PriceAudit:
    """How far one bid's prices are from the rule; all three are at most rounding noise if kept."""

    against_jpy_per_kwh: float
    """Most by which a price is worse for the bid than its fair price."""
    beyond_jpy_per_kwh: float
    """Most by which a price is better than the rule can make it."""
    unearned_jpy: float
    """What a favoured bid has left over above one tick of its dearest favoured half hour."""


@dataclass(frozen=True)
class PricedLeg:
    """One published leg beside the fair price of its place; series are (T,)."""

    sign: float
    energy_kwh: Array
    price_jpy_per_kwh: Array
    fair_jpy_per_kwh: Array

    @property
    def favour_jpy_per_kwh(self) -> Array:
        """Return how much better than fair each price is for the bid."""
        return self.sign * (self.price_jpy_per_kwh - self.fair_jpy_per_kwh)

    @property
    def receipt_jpy(self) -> float:
        """Return price × energy."""
        return self.sign * float(self.price_jpy_per_kwh @ self.energy_kwh)


def priced_leg(
    award: Mapping[str, Any], direction: str, fair_jpy_per_kwh: Array, h: float
) -> PricedLeg:
    """Return a published award beside its fair price.

    Parameters
    ----------
    award
        The award as published, kW and JPY/kWh.
    direction
        UP or DOWN.
    fair_jpy_per_kwh
        Unrounded value of UP at the award's place, (T,).
    h
        Length of an interval. [h]
    """
    count = len(fair_jpy_per_kwh)
    return PricedLeg(
        sign=1.0 if direction == "UP" else -1.0,
        energy_kwh=h * of_length(award["quantity_kw"], count),
        price_jpy_per_kwh=of_length(award["price_jpy_per_kwh"], count),
        fair_jpy_per_kwh=fair_jpy_per_kwh,
    )


def audit_prices(legs: Sequence[PricedLeg], charged_jpy: float, tick: float) -> PriceAudit:
    """Check the prices of one bid against their fair prices, both ways.

    Parameters
    ----------
    legs
        Its published legs.
    charged_jpy
        What it asks for them and owes to paths.
    tick
        The price tick. [JPY/kWh]
    """
    if not legs:
        return PriceAudit(0.0, 0.0, 0.0)
    favour = np.concatenate([leg.favour_jpy_per_kwh for leg in legs])
    energy_kwh = np.concatenate([leg.energy_kwh for leg in legs])
    half, whole = tick * (0.5 + NOISE), tick * (1.0 + NOISE)
    sold = energy_kwh > 0
    most_kwh = float(np.max(energy_kwh))
    may_exceed = sold & (energy_kwh >= MOST_ENERGY_RATIO * most_kwh)
    limit = np.where(may_exceed, np.inf, np.where(sold, whole, half))
    favoured = sold & (favour > half)
    unearned_jpy = 0.0
    if favoured.any():
        left_jpy = sum(leg.receipt_jpy for leg in legs) - charged_jpy
        unearned_jpy = left_jpy - tick * float(np.max(energy_kwh[favoured]))
    off_tick = np.abs(np.concatenate([leg.price_jpy_per_kwh for leg in legs]) / tick)
    off_tick = np.abs(off_tick - np.rint(off_tick)) * tick
    return PriceAudit(
        against_jpy_per_kwh=float(np.max(-favour)),
        beyond_jpy_per_kwh=float(
            np.max(np.maximum(np.where(favour > limit, favour, 0.0), off_tick))
        ),
        unearned_jpy=unearned_jpy if np.isnan(unearned_jpy) else max(unearned_jpy, 0.0),
    )
