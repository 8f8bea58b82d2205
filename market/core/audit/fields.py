"""Published numbers that repeat the snapshot or follow from other published numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from market.core.audit.awards import MONEY_NOISE_JPY, NOISE, Figure
from market.core.audit.block import EXACT
from market.core.audit.ledger import Array, column, ids, of_length, summed
from market.core.audit.physical import NEEDS
from market.core.audit.published import RENTS, Entries, asked_kw, by_kind, off, worst
from market.core.audit.whole import Parts, Whole

HALF_MICRO: Final = 0.5e-6


def field_figures(result: Mapping[str, Any], parts: Parts, whole: Whole) -> Iterator[Figure]:
    """Yield name, value and limit of the checks on fields that could be computed anew."""
    snapshot, physical = parts.snapshot, parts.physical
    tick_kw = snapshot["rules"]["quantity_tick_kw"]
    yield "elements as in the snapshot [kW]", _elements_off(result["elements"], parts, whole), 0.0
    sensitivity = _sensitivity_off(result["places"], parts)
    yield "sensitivities as computed [kW/kW]", sensitivity, EXACT
    off_kw = worst(
        off(result["links"], "flow_kw", physical.link_kw, ids(snapshot["network"]["links"])),
        off(result["transfers"], "flow_kw", physical.transfer_kw, ids(snapshot["transfers"])),
        off(
            result["areas"],
            "deviation_kw",
            physical.excess_kw - physical.shortage_kw,
            parts.grid.area_ids,
        ),
    )
    yield "flows and deviations within half a tick [kW]", off_kw, tick_kw * (0.5 + NOISE)
    off_kw, size_kw = _unserved_off(result, parts)
    yield "served and unserved add up to the need [kW]", off_kw, EXACT * size_kw
    noise_jpy = max(1.0, whole.turnover_jpy) * 1e-9 + MONEY_NOISE_JPY
    yield "rents as listed [JPY]", _rents_off(result, parts), noise_jpy
    yield from _traffic(result, parts)
    yield "label costs as listed [JPY]", _labels_off(result, parts), noise_jpy


def _elements_off(elements: Entries, parts: Parts, whole: Whole) -> float:
    known = ids(parts.snapshot["elements"])
    rating_kw = {item["id"]: item["rating_kw"] for item in parts.snapshot["elements"]}
    base_kw = column(parts.snapshot["elements"], "base_flow_kw", parts.count)
    return worst(
        off(elements, "before_kw", base_kw, known),
        off(elements, "headroom_up_kw", whole.headroom_kw[0], known),
        off(elements, "headroom_down_kw", whole.headroom_kw[1], known),
        *(abs(item["rating_kw"] - rating_kw[item["id"]]) for item in elements),
    )


def _sensitivity_off(places: Entries, parts: Parts) -> float:
    """Return the worst distance from the flow that one kW at each place causes, over its size.

    Raises
    ------
    ValueError
        If a place lists other elements than those somebody needs, or whose flow has a price.
    """
    names = ids(parts.snapshot["elements"])
    priced = [names[row] for row in np.flatnonzero(parts.prices.is_priced)]
    expected = parts.prices.sensitivity_kw_per_kw[parts.prices.is_priced].T
    rows = {name: row for row, name in enumerate(parts.book.market.places)}
    found = np.zeros_like(expected)
    for place in places:
        listed = place["sensitivity_kw_per_kw"]
        if set(listed) != set(priced):
            wrong = sorted(set(listed) ^ set(priced))
            raise ValueError(f"places {place['id']}: missing or unknown {', '.join(wrong)}")
        found[rows[place["id"]]] = [listed[name] for name in priced]
    return worst(np.abs(found - expected) / np.maximum(1.0, np.abs(expected)))


def _unserved_off(result: Mapping[str, Any], parts: Parts) -> tuple[float, float]:
    """Return the worst distance of served and unserved from the need, and the size of needs."""
    found, size = [0.0], [1.0]
    for kind, name in NEEDS.items():
        rows = {need["id"]: row for row, need in enumerate(parts.snapshot[name])}
        asked = asked_kw(parts, kind)
        for need in by_kind(result, kind):
            served_kw = of_length(need["served_kw"], parts.count)
            left_kw = asked[rows[need["id"]]] - served_kw
            found.append(worst(np.abs(of_length(need["unserved_kw"], parts.count) - left_kw)))
            size.append(worst(np.abs(served_kw)))
    return worst(*found), worst(*size)


def _rents_off(result: Mapping[str, Any], parts: Parts) -> float:
    """Return the worst distance of a sum of rents from its published half hours."""
    found = []
    for trade in (*result["links"], *result["transfers"]):
        rent_jpy = parts.h * float(np.dot(trade["flow_kw"], trade["rent_jpy_per_kwh"]))
        found.append(abs(trade["rent_jpy"] - rent_jpy))
    for element in result["elements"]:
        rent_jpy = parts.h * sum(
            float(np.dot(element[quantity], element[price])) for quantity, price in RENTS
        )
        found.append(abs(element["rent_jpy"] - rent_jpy))
    above_kw = column(parts.snapshot["envelopes"], "scheduled_import_kw", parts.count)
    above_kw -= column(parts.snapshot["envelopes"], "max_import_kw", parts.count)
    penalty = parts.snapshot["rules"]["envelope_price_jpy_per_kwh"]
    for envelope, room_kw in zip(sorted(result["envelopes"], key=_id), above_kw, strict=True):
        relieved_kw = room_kw - np.array(envelope["over_kw"])
        charge_jpy = parts.h * float(np.dot(relieved_kw, envelope["price_jpy_per_kwh"]))
        penalty_jpy = parts.h * penalty * float(np.sum(envelope["over_kw"]))
        found.append(abs(envelope["charge_jpy"] - charge_jpy))
        found.append(abs(envelope["penalty_jpy"] - penalty_jpy))
    for trunk in result["trunks"]:
        rent_jpy = float(np.dot(trunk["used_gb"], trunk["rent_jpy_per_gb"]))
        found.append(abs(trunk["rent_jpy"] - rent_jpy))
    return worst(*found)


def _traffic(result: Mapping[str, Any], parts: Parts) -> Iterator[Figure]:
    """Check what paths and trunks carry, their rents, and what each bid owes for its traffic."""
    book, snapshot = parts.book, parts.snapshot
    names = list(book.market.paths)
    used_gb = book.traffic.summed(book.x, (len(names), parts.count))
    rows = {name: row for row, name in enumerate(names)}
    bundled_gb = np.array(
        [used_gb[[rows[name] for name in item["paths"]]].sum(axis=0) for item in snapshot["trunks"]]
    ).reshape(-1, parts.count)
    size_gb = max(1.0, worst(used_gb, bundled_gb))
    off_gb = worst(
        off(result["paths"], "used_gb", used_gb, names),
        off(result["trunks"], "used_gb", bundled_gb, ids(snapshot["trunks"])),
    )
    yield "traffic as computed [GB]", off_gb, NOISE * size_gb
    rent = np.zeros((len(names), parts.count))
    for path in result["paths"]:
        rent[rows[path["id"]]] = of_length(path["rent_jpy_per_gb"], parts.count)
    for trunk, item in zip(sorted(result["trunks"], key=_id), snapshot["trunks"], strict=True):
        rent[[rows[name] for name in item["paths"]]] += trunk["rent_jpy_per_gb"]
    tariff = np.array([path["price_jpy_per_gb"] for path in book.market.paths.values()])
    off_rent = off(result["paths"], "price_jpy_per_gb", tariff.reshape(-1, 1) + rent, names)
    yield "path rents above the tariff [JPY/GB]", off_rent, EXACT * (1.0 + worst(tariff, rent))
    owed_jpy = book.by_bid(book.traffic.priced(parts.prices.path_jpy_per_gb, book.size) * book.x)
    found_jpy, is_listed = _path_jpy(result, parts)
    off_jpy = worst(np.abs(found_jpy - owed_jpy)[is_listed])
    most_gb = worst(
        book.by_bid(summed(book.traffic.column, book.traffic.amount, book.size) * book.x)[is_listed]
    )
    rounding_jpy = HALF_MICRO * (1 + len(snapshot["trunks"])) * most_gb * (1.0 + NOISE)
    yield "paths owed by each bid [JPY]", off_jpy, MONEY_NOISE_JPY + rounding_jpy


def _id(entity: Mapping[str, Any]) -> str:
    return str(entity["id"])


def _path_jpy(result: Mapping[str, Any], parts: Parts) -> tuple[Array, Any]:
    """Return what each bid owes to paths as published, and which bids say so, (B,)."""
    numbers = {name: number for number, name in enumerate(parts.book.bid_ids)}
    owed_jpy = np.zeros(len(numbers))
    is_listed = np.zeros(len(numbers), dtype=np.bool_)
    for entry, name in (
        *((award, award["bid"]) for award in result["awards"]),
        *((request, request["id"]) for request in result["requests"]),
    ):
        if name in numbers:
            owed_jpy[numbers[name]] += entry["path_jpy"]
            is_listed[numbers[name]] = True
    return owed_jpy, is_listed


def _labels_off(result: Mapping[str, Any], parts: Parts) -> float:
    """Return the worst distance of the costs of labels from their welfares; infinite if one lacks.

    The welfare without a label is a claim: nothing in a result proves it. It may be missing, where
    that auction could not be solved.
    """
    required = {label for bid in parts.snapshot["bids"] for label in bid.get("labels_required", [])}
    known = sorted(required) if parts.snapshot["rules"]["label_costs"] else []
    if [entry["label"] for entry in result["label_costs"]] != known:
        return float("inf")
    found = [0.0]
    for entry in result["label_costs"]:
        found.append(abs(entry["welfare_jpy"] - result["objective_jpy"]))
        claimed = [entry[name] for name in ("welfare_without_jpy", "cost_jpy", "bound_jpy")]
        if claimed == [None, None, None]:
            continue
        without_jpy, cost_jpy, bound_jpy = claimed
        found.append(abs(without_jpy - entry["welfare_jpy"] - cost_jpy))
        found.append(without_jpy - bound_jpy)
    return worst(*found)
