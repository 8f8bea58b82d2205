r"""Computing: requests for it and offers of it, cleared with the power that it takes.

An offer :math:`s` runs :math:`x_{st}` kW of computing (at the IT equipment) for the requests
:math:`k` placed with it,

.. math:: \sum_k p_{kst} = x_{st}, \qquad 0 \le x_{st} \le \bar x_{st}, \qquad
          \sum_s p_{kst} \le Q_{kt},

and its resource draws :math:`\mathrm{PUE}_s\, x_{st}` from the grid. A request is worth its value
per kWh placed. At an offer of its own place it needs no path; elsewhere it needs one that leads
there, and pays for its traffic. The dual of the first row is the price of computing at the offer:
operating cost, power, and the rent of a full machine.

A placement that labels, hardware, latency or a missing path forbid has no column at all.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    Own,
    Terms,
    Use,
    family_slices,
    frozen_floats,
    frozen_ints,
    frozen_series,
    incidence,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DOWN

PUE_RATIO_MAX: Final = 100.0
OWN_PLACE: Final = -1
"""Path of a placement that stays at the request's place."""


def parse_offer(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a compute offer; refuse what breaks its rules."""
    entry = reader.fields(
        required=(
            "id",
            "form",
            "resource",
            "hardware",
            "capacity_kw",
            "ask_jpy_per_kwh",
            "pue_ratio",
        ),
        optional=COMMON_OPTIONAL,
    )
    head = terms.head(entry, "COMPUTE_OFFER")
    if entry["hardware"].text() not in terms.resources[head["resource"]]["hardware"]:
        entry["hardware"].refuse("must be among the hardware of its resource")
    return {
        **head,
        "hardware": entry["hardware"].text(),
        "capacity_kw": entry["capacity_kw"].series(terms.interval_count, low=0),
        "ask_jpy_per_kwh": entry["ask_jpy_per_kwh"].number(low=-1e6, high=1e6),
        "pue_ratio": entry["pue_ratio"].number(low=1.0, high=PUE_RATIO_MAX),
    }


def parse_request(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a compute request; refuse what breaks its rules."""
    entry = reader.fields(
        required=("id", "form", "place", "first_t", "last_t", "quantity_kw", "value_jpy_per_kwh"),
        optional=(
            "labels_required",
            "hardware",
            "latency_max_ms",
            "gb_per_kwh",
            *COMMON_OPTIONAL,
        ),
    )
    bid: dict[str, Any] = {
        **terms.head(entry, "COMPUTE_REQUEST"),
        "place": entry["place"].reference(terms.places, "place"),
        **terms.window(entry),
        "value_jpy_per_kwh": entry["value_jpy_per_kwh"].number(low=0, high=1e6),
        "labels_required": entry["labels_required"].texts() if "labels_required" in entry else [],
        "gb_per_kwh": entry["gb_per_kwh"].number(low=0, high=1e9) if "gb_per_kwh" in entry else 0.0,
    }
    bid["quantity_kw"] = _within_window(entry["quantity_kw"], bid, terms.interval_count)
    if "latency_max_ms" in entry and entry["latency_max_ms"].value is not None:
        bid["latency_max_ms"] = entry["latency_max_ms"].number(low=0)
    if "hardware" in entry and entry["hardware"].value is not None:
        bid["hardware"] = entry["hardware"].text()
    return bid


def _within_window(reader: Reader, bid: dict[str, Any], interval_count: int) -> list[float]:
    """Read kW per half hour; one number stands for the window, a series is zero outside it."""
    window = range(bid["first_t"], bid["last_t"] + 1)
    series = reader.series(interval_count, low=0)
    if not isinstance(reader.value, (list, tuple)):
        return [series[t] if t in window else 0.0 for t in range(interval_count)]
    for t, item in enumerate(reader.items()):
        if t not in window and series[t] > 0:
            item.refuse("must be 0 outside first_t … last_t")
    return series


def is_eligible(
    request: dict[str, Any],
    offer: dict[str, Any],
    resource: dict[str, Any],
    path: dict[str, Any] | None,
) -> bool:
    """Return whether labels, hardware and latency allow a request to run at an offer.

    Parameters
    ----------
    request, offer, resource
        Canonical content of the two bids and of the offer's resource, whose labels count.
    path
        The path from the request's place, or None where the offer stands at that place.
    """
    return (
        set(request["labels_required"]) <= set(resource["labels"])
        and ("hardware" not in request or request["hardware"] == offer["hardware"])
        and (
            path is None
            or "latency_max_ms" not in request
            or path["latency_ms"] <= request["latency_max_ms"]
        )
    )


@dataclass(frozen=True, kw_only=True)
class OfferTable:
    """All compute offers; axes S = offers, T = half hours."""

    ids: tuple[str, ...]
    resource: IntArray
    capacity_kw: FloatArray
    """(S, T), at the IT equipment."""
    ask_jpy_per_kwh: FloatArray
    pue_ratio: FloatArray


def offer_table(bids: list[dict[str, Any]], numbers: Numbers) -> OfferTable:
    """Return the arrays of canonical compute offers."""
    chosen = [bid for bid in bids if bid["form"] == "COMPUTE_OFFER"]
    return OfferTable(
        ids=tuple(bid["id"] for bid in chosen),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in chosen),
        capacity_kw=frozen_series(
            (bid["capacity_kw"] for bid in chosen), numbers.terms.interval_count
        ),
        ask_jpy_per_kwh=frozen_floats(bid["ask_jpy_per_kwh"] for bid in chosen),
        pue_ratio=frozen_floats(bid["pue_ratio"] for bid in chosen),
    )


def offer_columns(offers: OfferTable, *, interval_h: float) -> Columns:
    """Return the columns of all compute offers: what each runs, in every half hour.

    Parameters are those of :func:`market.core.offers.steps.columns`.
    """
    offer_count, interval_count = offers.capacity_kw.shape
    bid = np.repeat(np.arange(offer_count), interval_count)
    column = np.arange(len(bid))
    return Columns(
        ids=offers.ids,
        families=family_slices(run=len(bid)),
        bid=bid,
        lower_kw=np.zeros(len(bid)),
        upper_kw=offers.capacity_kw.ravel(),
        cost_jpy=interval_h * offers.ask_jpy_per_kwh[bid],
        is_shared=np.ones(len(bid), dtype=bool),
        legs=(
            Leg(
                name="COMPUTE",
                direction=DOWN,
                column=column,
                resource=offers.resource[bid],
                t=np.tile(np.arange(interval_count), offer_count),
                kw_per_unit=offers.pue_ratio[bid],
            ),
        ),
        compute_kw=Use(row=column, column=column, amount=-np.ones(len(bid))),
    )


@dataclass(frozen=True, kw_only=True)
class RequestTable:
    """All compute requests; axes K = requests, L = placements allowed, T = half hours."""

    ids: tuple[str, ...]
    place: IntArray
    """Place of each request, (K,)."""
    quantity_kw: FloatArray
    """(K, T), at the IT equipment."""
    value_jpy_per_kwh: FloatArray
    gb_per_kwh: FloatArray
    first_t: IntArray
    last_t: IntArray
    link_request: IntArray
    """Request of each placement allowed, in the order request, offer, path, (L,)."""
    link_offer: IntArray
    link_path: IntArray
    """Path it takes, or ``OWN_PLACE``, (L,)."""
    placed_link: IntArray
    """Placement of each column, (n,)."""
    placed_t: IntArray
    asked_request: IntArray
    """Request of each row of what is asked, (m,): requests that may be placed anywhere."""
    asked_t: IntArray


def request_table(bids: list[dict[str, Any]], numbers: Numbers) -> RequestTable:
    """Return the arrays of canonical compute requests, forbidden placements left out.

    They are placed with the compute offers of ``numbers.terms``.
    """
    terms = numbers.terms
    chosen = [bid for bid in bids if bid["form"] == "COMPUTE_REQUEST"]
    offers = {name: number for number, name in enumerate(terms.compute_offers)}
    links = list(_links(chosen, terms))
    first_t = frozen_ints(bid["first_t"] for bid in chosen)
    last_t = frozen_ints(bid["last_t"] for bid in chosen)
    link_request = frozen_ints(number for number, _, _ in links)
    placed_link, placed_t = ramp(first_t[link_request], last_t[link_request])
    placeable = np.unique(link_request)
    asked, asked_t = ramp(first_t[placeable], last_t[placeable])
    return RequestTable(
        ids=tuple(bid["id"] for bid in chosen),
        place=frozen_ints(numbers.places[bid["place"]] for bid in chosen),
        quantity_kw=frozen_series((bid["quantity_kw"] for bid in chosen), terms.interval_count),
        value_jpy_per_kwh=frozen_floats(bid["value_jpy_per_kwh"] for bid in chosen),
        gb_per_kwh=frozen_floats(bid["gb_per_kwh"] for bid in chosen),
        first_t=first_t,
        last_t=last_t,
        link_request=link_request,
        link_offer=frozen_ints(offers[offer] for _, offer, _ in links),
        link_path=frozen_ints(
            OWN_PLACE if path is None else numbers.paths[path] for _, _, path in links
        ),
        placed_link=placed_link,
        placed_t=placed_t,
        asked_request=placeable[asked],
        asked_t=asked_t,
    )


def _links(requests: list[dict[str, Any]], terms: Terms) -> Iterator[tuple[int, str, str | None]]:
    """Yield (request, offer, path) of every placement allowed, in that order."""
    ways: dict[str, list[tuple[str, str]]] = {}
    for path, content in terms.paths.items():
        if content["from_place"] != content["to_place"]:
            ways.setdefault(content["from_place"], []).append((content["to_place"], path))
    standing: dict[str, list[str]] = {}
    for offer, content in terms.compute_offers.items():
        standing.setdefault(terms.resources[content["resource"]]["place"], []).append(offer)
    for number, request in enumerate(requests):
        found: list[tuple[str, str | None]] = [
            (offer, None) for offer in standing.get(request["place"], [])
        ]
        for place, path in ways.get(request["place"], []):
            found += [(offer, path) for offer in standing.get(place, [])]
        for offer, way in sorted(found, key=lambda link: (link[0], link[1] or "")):
            content = terms.compute_offers[offer]
            resource = terms.resources[content["resource"]]
            if is_eligible(request, content, resource, None if way is None else terms.paths[way]):
                yield number, offer, way


def request_columns(requests: RequestTable, *, interval_h: float, interval_count: int) -> Columns:
    """Return the columns of all compute requests: kW placed per placement allowed and half hour.

    Parameters are those of :func:`market.core.offers.steps.columns`; `interval_count` is T.
    """
    count = len(requests.placed_t)
    column = np.arange(count)
    bid = requests.link_request[requests.placed_link]
    t = requests.placed_t
    traffic_gb = interval_h * requests.gb_per_kwh[bid]
    path = requests.link_path[requests.placed_link]
    away = np.flatnonzero((path != OWN_PLACE) & (traffic_gb > 0))
    return Columns(
        ids=requests.ids,
        families=family_slices(placed=count),
        bid=bid,
        lower_kw=np.zeros(count),
        upper_kw=requests.quantity_kw[bid, t],
        cost_jpy=-interval_h * requests.value_jpy_per_kwh[bid],
        is_shared=np.ones(count, dtype=bool),
        traffic_gb=Use(
            row=path[away] * interval_count + t[away], column=away, amount=traffic_gb[away]
        ),
        compute_kw=Use(
            row=requests.link_offer[requests.placed_link] * interval_count + t,
            column=column,
            amount=np.ones(count),
        ),
        own={"asked": _asked(requests, interval_count)},
    )


def _asked(requests: RequestTable, interval_count: int) -> Own:
    """Return that no request is placed beyond what it asks."""
    row_of = np.zeros((len(requests.ids), interval_count), dtype=np.int64)
    row_of[requests.asked_request, requests.asked_t] = np.arange(len(requests.asked_t))
    count = len(requests.placed_t)
    bid = requests.link_request[requests.placed_link]
    return Own(
        matrix=incidence(
            (len(requests.asked_t), count),
            (row_of[bid, requests.placed_t], np.arange(count), np.ones(count)),
        ),
        rhs=requests.quantity_kw[requests.asked_request, requests.asked_t],
        is_equal=False,
        bid=requests.asked_request,
    )
