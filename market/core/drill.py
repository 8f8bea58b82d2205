"""Evacuate an area: the same auction with the area's capacity gone.

What is assumed, so that the answer can be read:

- Every resource of the area can do nothing: its limits, and the capacity of its compute offers,
  are zero. Links and transfers that end in the area carry nothing, paths into it neither.
- The grid stands, with its forecast flows; so do envelopes. Needs of the area stay: what cannot be
  served without it is the finding.
- Compute requests of the area stay, and so do the paths out of it: work that ran there is placed
  elsewhere as far as labels, hardware, latency, paths and machines allow.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from market.core.errors import InvalidSnapshot

Document = dict[str, Any]


def without_area(document: Mapping[str, Any], area: str) -> Document:
    """Return the auction in which an area's capacity is gone.

    Parameters
    ----------
    document
        A canonical snapshot document.
    area
        One of its areas.

    Returns
    -------
    dict
        A snapshot document of the same layout; nothing of the input is changed.

    Raises
    ------
    InvalidSnapshot
        If no bus is in the area.
    """
    areas = sorted({bus["area"] for bus in document["network"]["buses"]})
    if area not in areas:
        raise InvalidSnapshot(field="area", value=area, rule=f"must be one of {', '.join(areas)}")
    drilled = copy.deepcopy(dict(document))
    buses = {bus["id"] for bus in drilled["network"]["buses"] if bus["area"] == area}
    places = {place["id"] for place in drilled["places"] if place["bus"] in buses}
    lost = _resources_of(drilled, places)
    gone: list[tuple[str, list[Document], Callable[[Document], bool]]] = [
        ("limit_up_kw", drilled["resources"], lambda item: item["id"] in lost),
        ("limit_down_kw", drilled["resources"], lambda item: item["id"] in lost),
        (
            "capacity_kw",
            [bid for bid in drilled["bids"] if bid["form"] == "COMPUTE_OFFER"],
            lambda bid: bid["resource"] in lost,
        ),
        (
            "limit_kw",
            drilled["network"]["links"],
            lambda link: bool({link["from"], link["to"]} & buses),
        ),
        (
            "limit_kw",
            drilled["transfers"],
            lambda item: area in (item["from_area"], item["to_area"]),
        ),
        ("capacity_gb", drilled["paths"], lambda path: path["to_place"] in places),
    ]
    for name, entities, is_gone in gone:
        for entity in filter(is_gone, entities):
            entity[name] = [0.0] * len(entity[name])
    return drilled


def consequences(
    document: Mapping[str, Any],
    area: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> Document:
    """Return what losing an area costs, as energy and as money.

    Parameters
    ----------
    document, area
        As :func:`without_area` takes them.
    before, after
        Results with and without the area.

    Returns
    -------
    dict
        ``value_lost_jpy``: value of needs and computing served less cost of bids, before less
        after. ``gone_kwh``: what the area's resources had sold. ``replaced_kwh``: what others sell
        more. ``needs`` and ``requests``: each whose service changes, with its energy before and
        after [kWh; a capacity need in kW·h]; of a request also where it runs.
    """
    interval_h = document["interval_h"]
    buses = {bus["id"] for bus in document["network"]["buses"] if bus["area"] == area}
    places = {place["id"] for place in document["places"] if place["bus"] in buses}
    lost = _resources_of(document, places)

    def sold_kwh(result: Mapping[str, Any], *, is_lost: bool) -> float:
        sold_kw = [
            kw
            for award in result["awards"]
            if (award["resource"] in lost) == is_lost
            for kw in award["quantity_kw"]
        ]
        return float(interval_h * math.fsum(sold_kw))

    return {
        "value_lost_jpy": before["objective_jpy"] - after["objective_jpy"],
        "gone_kwh": sold_kwh(before, is_lost=True),
        "replaced_kwh": sold_kwh(after, is_lost=False) - sold_kwh(before, is_lost=False),
        "needs": _changed(before["needs"], after["needs"], interval_h, ("kind", "id")),
        "requests": [
            {**change, "placed_kwh": _placed_kwh(after["requests"], change["id"], interval_h)}
            for change in _changed(before["requests"], after["requests"], interval_h, ("id",))
        ],
    }


def _resources_of(document: Mapping[str, Any], places: set[str]) -> set[str]:
    return {item["id"] for item in document["resources"] if item["place"] in places}


def _changed(
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    interval_h: float,
    key: tuple[str, ...],
) -> list[Document]:
    """Return the entries whose ``served_kw`` differs, with both sums in kWh."""
    then = {tuple(entry[name] for name in key): entry for entry in after}
    changes = []
    for entry in before:
        other = then[tuple(entry[name] for name in key)]
        if entry["served_kw"] != other["served_kw"]:
            changes.append(
                {name: entry[name] for name in key}
                | {
                    "before_kwh": interval_h * sum(entry["served_kw"]),
                    "after_kwh": interval_h * sum(other["served_kw"]),
                }
            )
    return changes


def _placed_kwh(
    requests: Sequence[Mapping[str, Any]], name: str, interval_h: float
) -> dict[str, float]:
    """Return the energy a request runs at each offer."""
    (request,) = (entry for entry in requests if entry["id"] == name)
    placed: dict[str, float] = {}
    for leg in request["placed"]:
        kwh = interval_h * sum(leg["kw"])
        if kwh:
            placed[leg["offer"]] = placed.get(leg["offer"], 0.0) + kwh
    return placed
