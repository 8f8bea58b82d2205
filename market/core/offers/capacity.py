r"""Capacity: kW held ready in a half hour (ΔkW), sold per kW and half hour.

One column per offer and half hour, :math:`0 \le r \le \bar q`, at cost :math:`a\,r\,h/0.5`. Held
capacity moves no energy; it counts against its resource's limit of the product's direction beside
whatever that resource sells as energy, so that no kW is sold twice. What makes it worth holding is
that it could be called (:mod:`market.core.reserves`): it must be deliverable from the energy
stored and over the network. The activation prices V1 (called up) and V2 (called down) play no part
in the clearing; they are kept for whoever activates and settles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.terms import (
    COMMON_OPTIONAL,
    Columns,
    FloatArray,
    IntArray,
    Leg,
    Numbers,
    Terms,
    family_slices,
    frozen_floats,
    frozen_ints,
    ramp,
)
from market.core.reading import Reader
from market.core.units import CAPACITY_PRICED_H, DIRECTION_SIGN, DIRECTIONS

LEG: Final = "RESERVED"
ASK_MAX_JPY_PER_KW: Final = 1e6


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a capacity bid; refuse what breaks its rules.

    Asks are not negative: nobody needs to pay for being held. V2, what the seller pays per kWh
    when called down, must not exceed V1, what it gets when called up: calling it both ways would
    otherwise be money for nothing.
    """
    entry = reader.fields(
        required=(
            *("id", "form", "resource", "product", "offers"),
            *("v1_jpy_per_kwh", "v2_jpy_per_kwh"),
        ),
        optional=COMMON_OPTIONAL,
    )
    bid: dict[str, Any] = {
        **terms.head(entry, "CAPACITY"),
        "product": entry["product"].reference(terms.products, "product"),
        "offers": sorted(
            (_offer(item, terms) for item in entry["offers"].items()),
            key=lambda offer: tuple(
                offer[name] for name in ("first_t", "last_t", "ask_jpy_per_kw", "quantity_kw")
            ),
        ),
        "v1_jpy_per_kwh": entry["v1_jpy_per_kwh"].number(low=-1e6, high=1e6),
        "v2_jpy_per_kwh": entry["v2_jpy_per_kwh"].number(low=-1e6, high=1e6),
    }
    if bid["v2_jpy_per_kwh"] > bid["v1_jpy_per_kwh"]:
        entry["v2_jpy_per_kwh"].refuse("must not exceed v1_jpy_per_kwh")
    return bid


def _offer(reader: Reader, terms: Terms) -> dict[str, Any]:
    entry = reader.fields(required=("first_t", "last_t", "quantity_kw", "ask_jpy_per_kw"))
    return {
        **terms.window(entry),
        "quantity_kw": entry["quantity_kw"].number(low=0),
        "ask_jpy_per_kw": entry["ask_jpy_per_kw"].number(low=0, high=ASK_MAX_JPY_PER_KW),
    }


@dataclass(frozen=True, kw_only=True)
class CapacityTable:
    """All capacity bids; axes B = bids, O = offers, n = (offer, half hour) pairs, in order."""

    ids: tuple[str, ...]
    resource: IntArray
    """Resource of each bid, (B,)."""
    product: IntArray
    """Product of each bid, (B,)."""
    sign: FloatArray
    """+1 for UP, −1 for DOWN, (B,)."""
    sustained_h: FloatArray
    """How long each bid must last when called, (B,)."""
    v1_jpy_per_kwh: FloatArray
    v2_jpy_per_kwh: FloatArray
    bid: IntArray
    """Bid of each offer, (O,)."""
    first_t: IntArray
    last_t: IntArray
    quantity_kw: FloatArray
    ask_jpy_per_kw: FloatArray
    """Per kW and 30 minutes, (O,)."""
    pair_offer: IntArray
    """Offer of each column, (n,)."""
    pair_t: IntArray
    """Half hour of each column, (n,)."""

    @property
    def pair_bid(self) -> IntArray:
        """Return the bid of each column, (n,)."""
        return self.bid[self.pair_offer]


def table(bids: list[dict[str, Any]], numbers: Numbers) -> CapacityTable:
    """Return the arrays of canonical capacity bids."""
    chosen = [bid for bid in bids if bid["form"] == "CAPACITY"]
    products = [numbers.terms.products[bid["product"]] for bid in chosen]
    offers = [(number, offer) for number, bid in enumerate(chosen) for offer in bid["offers"]]
    first_t = frozen_ints(offer["first_t"] for _, offer in offers)
    last_t = frozen_ints(offer["last_t"] for _, offer in offers)
    pair_offer, pair_t = ramp(first_t, last_t)
    return CapacityTable(
        ids=tuple(bid["id"] for bid in chosen),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in chosen),
        product=frozen_ints(numbers.products[bid["product"]] for bid in chosen),
        sign=frozen_floats(DIRECTION_SIGN[product["direction"]] for product in products),
        sustained_h=frozen_floats(product["sustained_h"] for product in products),
        v1_jpy_per_kwh=frozen_floats(bid["v1_jpy_per_kwh"] for bid in chosen),
        v2_jpy_per_kwh=frozen_floats(bid["v2_jpy_per_kwh"] for bid in chosen),
        bid=frozen_ints(number for number, _ in offers),
        first_t=first_t,
        last_t=last_t,
        quantity_kw=frozen_floats(offer["quantity_kw"] for _, offer in offers),
        ask_jpy_per_kw=frozen_floats(offer["ask_jpy_per_kw"] for _, offer in offers),
        pair_offer=pair_offer,
        pair_t=pair_t,
    )


def columns(capacity: CapacityTable, *, interval_h: float) -> Columns:
    """Return the columns of all capacity bids: one per offer and half hour.

    Parameters
    ----------
    capacity
        The bids.
    interval_h
        Length of an interval. [h]
    """
    count = len(capacity.pair_t)
    bid = capacity.pair_bid
    sign = capacity.sign[bid]
    legs = []
    for direction in DIRECTIONS:
        chosen = np.flatnonzero(sign == DIRECTION_SIGN[direction])
        legs.append(
            Leg(
                name=LEG,
                direction=direction,
                column=chosen,
                resource=capacity.resource[bid[chosen]],
                t=capacity.pair_t[chosen],
                kw_per_unit=np.ones(len(chosen)),
                is_energy=False,
            )
        )
    ask_jpy_per_kw = capacity.ask_jpy_per_kw[capacity.pair_offer]
    return Columns(
        ids=capacity.ids,
        families=family_slices(reserved=count),
        bid=bid,
        lower_kw=np.zeros(count),
        upper_kw=capacity.quantity_kw[capacity.pair_offer],
        cost_jpy=interval_h / CAPACITY_PRICED_H * ask_jpy_per_kw,
        is_shared=np.ones(count, dtype=bool),
        legs=tuple(legs),
    )
