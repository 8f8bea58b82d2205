r"""Shifts: work that leaves one site for another, cleared as a virtual link.

With placement :math:`z_{jt}` (kW removed at the source and run at destination :math:`j`), its
increase :math:`w_{jt}` and the offered steps :math:`y_{ot}`,

.. math:: \sum_o y_{ot} = \sum_j z_{jt}, \qquad z_{jt} - z_{j,t-1} \le w_{jt}, \qquad
          0 \le y_{ot} \le \bar q_{ot},

the source injects :math:`+\sum_j z_{jt}` and the destination :math:`-k_j z_{jt}`. The *change* of
placement costs :math:`m\,w`, so that schedules do not flap, and moves data over the path: a unit
moved once and a unit running elsewhere all the time each have their traffic.

A destination that labels, hardware or latency forbid has no column at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core.offers.terms import (
    COMMON_OPTIONAL,
    Columns,
    FloatArray,
    IntArray,
    Leg,
    Numbers,
    Own,
    Terms,
    Use,
    family_slices,
    frozen_floats,
    frozen_ints,
    incidence,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DOWN, UP


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a shift bid; refuse what breaks its rules."""
    entry = reader.fields(
        required=("id", "form", "resource", "destinations", "offers", "change_cost_jpy_per_kw"),
        optional=(
            "gb_per_kw",
            "gb_per_kwh",
            "labels_required",
            "hardware",
            "latency_max_ms",
            *COMMON_OPTIONAL,
        ),
    )
    bid: dict[str, Any] = {
        **terms.head(entry, "SHIFT"),
        "change_cost_jpy_per_kw": entry["change_cost_jpy_per_kw"].number(low=0, high=1e6),
        "labels_required": entry["labels_required"].texts() if "labels_required" in entry else [],
        "offers": sorted(
            (_offer(item, terms) for item in entry["offers"].items()),
            key=lambda offer: tuple(
                offer[name] for name in ("first_t", "last_t", "ask_jpy_per_kwh", "quantity_kw")
            ),
        ),
    }
    for name in ("gb_per_kw", "gb_per_kwh"):
        bid[name] = entry[name].number(low=0, high=1e9) if name in entry else 0.0
    if "hardware" in entry and entry["hardware"].value is not None:
        bid["hardware"] = entry["hardware"].text()
    if "latency_max_ms" in entry and entry["latency_max_ms"].value is not None:
        bid["latency_max_ms"] = entry["latency_max_ms"].number(low=0)
    destinations: dict[tuple[str, str], dict[str, Any]] = {}
    for item in entry["destinations"].items():
        destination = _destination(item, terms, bid["resource"])
        key = (destination["resource"], destination["path"])
        if key in destinations:
            item.refuse("must name each resource and path once")
        destinations[key] = destination
    bid["destinations"] = [destinations[key] for key in sorted(destinations)]
    return bid


def _offer(reader: Reader, terms: Terms) -> dict[str, Any]:
    entry = reader.fields(required=("first_t", "last_t", "quantity_kw", "ask_jpy_per_kwh"))
    return {
        **terms.window(entry),
        "quantity_kw": entry["quantity_kw"].number(low=0),
        "ask_jpy_per_kwh": entry["ask_jpy_per_kwh"].number(low=-1e6, high=1e6),
    }


def _destination(reader: Reader, terms: Terms, source: str) -> dict[str, Any]:
    entry = reader.fields(required=("resource", "path", "ratio"))
    resource = entry["resource"].reference(terms.resources, "resource")
    if resource == source:
        entry["resource"].refuse("must be another resource than the one the work leaves")
    path = entry["path"].reference(terms.paths, "path")
    ends = (terms.paths[path]["from_place"], terms.paths[path]["to_place"])
    if ends != (terms.resources[source]["place"], terms.resources[resource]["place"]):
        entry["path"].refuse("must lead from the source's place to the destination's")
    return {
        "resource": resource,
        "path": path,
        "ratio": entry["ratio"].number(low=1e-3, high=1e3),
    }


def is_eligible(bid: dict[str, Any], destination: dict[str, Any], path: dict[str, Any]) -> bool:
    """Return whether labels, hardware class and latency allow the movement.

    Parameters
    ----------
    bid, destination, path
        Canonical content of the bid, of the resource at the far end and of the path.
    """
    return (
        set(bid["labels_required"]) <= set(destination["labels"])
        and ("hardware" not in bid or bid["hardware"] in destination["hardware"])
        and ("latency_max_ms" not in bid or path["latency_ms"] <= bid["latency_max_ms"])
    )


@dataclass(frozen=True, kw_only=True)
class ShiftTable:
    """All shift bids; axes B = bids, O = offers, D = eligible destinations."""

    ids: tuple[str, ...]
    resource: IntArray
    change_cost_jpy_per_kw: FloatArray
    gb_per_kw: FloatArray
    gb_per_kwh: FloatArray
    first_t: IntArray
    """First half hour of each bid that has eligible destinations and offers, (B,)."""
    last_t: IntArray
    offer_bid: IntArray
    offer_first_t: IntArray
    offer_last_t: IntArray
    quantity_kw: FloatArray
    ask_jpy_per_kwh: FloatArray
    destination_bid: IntArray
    destination_resource: IntArray
    destination_path: IntArray
    destination_number: IntArray
    """Position within the bid's list of destinations, eligible or not, (D,)."""
    ratio: FloatArray
    offer_pair: IntArray
    offer_pair_t: IntArray
    placed_pair: IntArray
    placed_pair_t: IntArray
    link_pair: IntArray
    """Bid of each (bid, half hour) pair that a movement can happen in."""
    link_pair_t: IntArray


def table(bids: list[dict[str, Any]], numbers: Numbers) -> ShiftTable:
    """Return the arrays of canonical shift bids, forbidden movements left out."""
    terms = numbers.terms
    offers = [(number, offer) for number, bid in enumerate(bids) for offer in bid["offers"]]
    allowed = [
        (number, position, destination)
        for number, bid in enumerate(bids)
        for position, destination in enumerate(bid["destinations"])
        if is_eligible(
            bid, terms.resources[destination["resource"]], terms.paths[destination["path"]]
        )
    ]
    first_t = frozen_ints(
        min((offer["first_t"] for offer in bid["offers"]), default=0) for bid in bids
    )
    last_t = frozen_ints(
        max((offer["last_t"] for offer in bid["offers"]), default=-1) for bid in bids
    )
    offer_first_t = frozen_ints(offer["first_t"] for _, offer in offers)
    offer_last_t = frozen_ints(offer["last_t"] for _, offer in offers)
    destination_bid = frozen_ints(number for number, _, _ in allowed)
    offer_pair, offer_pair_t = ramp(offer_first_t, offer_last_t)
    placed_pair, placed_pair_t = ramp(first_t[destination_bid], last_t[destination_bid])
    link_pair, link_pair_t = ramp(first_t, last_t)
    return ShiftTable(
        ids=tuple(bid["id"] for bid in bids),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in bids),
        change_cost_jpy_per_kw=frozen_floats(bid["change_cost_jpy_per_kw"] for bid in bids),
        gb_per_kw=frozen_floats(bid["gb_per_kw"] for bid in bids),
        gb_per_kwh=frozen_floats(bid["gb_per_kwh"] for bid in bids),
        first_t=first_t,
        last_t=last_t,
        offer_bid=frozen_ints(number for number, _ in offers),
        offer_first_t=offer_first_t,
        offer_last_t=offer_last_t,
        quantity_kw=frozen_floats(offer["quantity_kw"] for _, offer in offers),
        ask_jpy_per_kwh=frozen_floats(offer["ask_jpy_per_kwh"] for _, offer in offers),
        destination_bid=destination_bid,
        destination_resource=frozen_ints(
            numbers.resources[item["resource"]] for _, _, item in allowed
        ),
        destination_path=frozen_ints(numbers.paths[item["path"]] for _, _, item in allowed),
        destination_number=frozen_ints(position for _, position, _ in allowed),
        ratio=frozen_floats(item["ratio"] for _, _, item in allowed),
        offer_pair=offer_pair,
        offer_pair_t=offer_pair_t,
        placed_pair=placed_pair,
        placed_pair_t=placed_pair_t,
        link_pair=link_pair,
        link_pair_t=link_pair_t,
    )


def _offered_kw(shift: ShiftTable, interval_count: int) -> FloatArray:
    """Return what each bid offers to move in each half hour, (B, T)."""
    offered_kw = np.zeros((len(shift.ids), interval_count))
    np.add.at(
        offered_kw,
        (shift.offer_bid[shift.offer_pair], shift.offer_pair_t),
        shift.quantity_kw[shift.offer_pair],
    )
    return offered_kw


def columns(shift: ShiftTable, *, interval_h: float, interval_count: int) -> Columns:
    """Return the columns of all shift bids: offered steps, placements, increases, in turn.

    A bid for which a change of placement costs nothing and moves nothing has no increases: they
    could only be zero.

    Parameters are those of :func:`market.core.offers.steps.columns`; `interval_count` is T.
    """
    offers, placed = len(shift.offer_pair), len(shift.placed_pair)
    bid, t = shift.destination_bid[shift.placed_pair], shift.placed_pair_t
    counted = counted_placements(shift)
    z = offers + np.arange(placed)
    w = offers + placed + np.arange(len(counted))
    n = offers + placed + len(counted)
    path = shift.destination_path[shift.placed_pair] * interval_count + t
    running_gb = interval_h * shift.gb_per_kwh[bid]
    changed = bid[counted]
    offer_bid = shift.offer_bid[shift.offer_pair]
    upper_kw = _offered_kw(shift, interval_count)[bid, t]
    return Columns(
        ids=shift.ids,
        families=family_slices(offered=offers, placed=placed, increase=len(counted)),
        bid=np.concatenate([offer_bid, bid, changed]),
        lower_kw=np.zeros(n),
        upper_kw=np.concatenate([shift.quantity_kw[shift.offer_pair], upper_kw, upper_kw[counted]]),
        cost_jpy=np.concatenate(
            [
                interval_h * shift.ask_jpy_per_kwh[shift.offer_pair],
                np.zeros(placed),
                shift.change_cost_jpy_per_kw[changed],
            ]
        ),
        is_shared=np.arange(n) < offers + placed,
        legs=_legs(shift, z),
        traffic_gb=Use(
            row=np.concatenate([path, path[counted]]),
            column=np.concatenate([z, w]),
            amount=np.concatenate([running_gb, shift.gb_per_kw[changed]]),
        ),
        own=_own(shift, (z, w, counted), n),
    )


def counted_placements(shift: ShiftTable) -> IntArray:
    """Return the placed pairs whose increase costs or carries something."""
    matters = (shift.change_cost_jpy_per_kw > 0) | (shift.gb_per_kw > 0)
    return np.flatnonzero(matters[shift.destination_bid[shift.placed_pair]])


def _legs(shift: ShiftTable, z: IntArray) -> tuple[Leg, Leg]:
    bid, t = shift.destination_bid[shift.placed_pair], shift.placed_pair_t
    return (
        Leg(
            name="SHIFT_OUT",
            direction=UP,
            column=z,
            resource=shift.resource[bid],
            t=t,
            kw_per_unit=np.ones(len(z)),
        ),
        Leg(
            name="SHIFT_IN",
            direction=DOWN,
            column=z,
            resource=shift.destination_resource[shift.placed_pair],
            t=t,
            kw_per_unit=shift.ratio[shift.placed_pair],
        ),
    )


def _own(shift: ShiftTable, at: tuple[IntArray, IntArray, IntArray], n: int) -> dict[str, Own]:
    """Return what leaves arrives, and what a change of placement is."""
    z, w, counted = at
    bid, t = shift.destination_bid[shift.placed_pair], shift.placed_pair_t
    length = shift.last_t - shift.first_t + 1
    link_start = np.cumsum(length) - length
    offer_bid = shift.offer_bid[shift.offer_pair]
    row = np.arange(len(counted))
    later = np.flatnonzero(t[counted] > shift.first_t[bid[counted]])
    return {
        "work": Own(
            matrix=incidence(
                (len(shift.link_pair), n),
                (
                    link_start[offer_bid] + shift.offer_pair_t - shift.first_t[offer_bid],
                    np.arange(len(offer_bid)),
                    np.ones(len(offer_bid)),
                ),
                (link_start[bid] + t - shift.first_t[bid], z, -np.ones(len(z))),
            ),
            rhs=np.zeros(len(shift.link_pair)),
            is_equal=True,
            bid=shift.link_pair,
        ),
        "change": Own(
            matrix=incidence(
                (len(counted), n),
                (row, z[counted], np.ones(len(counted))),
                (row, w, -np.ones(len(counted))),
                (later, z[counted[later]] - 1, -np.ones(len(later))),
            ),
            rhs=np.zeros(len(counted)),
            is_equal=False,
            bid=bid[counted],
        ),
    }
