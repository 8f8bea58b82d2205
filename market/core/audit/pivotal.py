"""Who is pivotal, found again from the snapshot alone, and what its bids may ask at most.

The audit works on the book with those asks lowered, as the clearing should have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.audit.block import Market
from market.core.audit.forms import FORMS
from market.core.audit.grid import Grid, grid_of
from market.core.audit.ledger import Array

SHORT_RATIO: Final = 1e-6
"""Supply must fall short by this much of the need, and by this many kW."""
PRICED_H: Final = 0.5
ENERGY: Final = ""
Owner = tuple[str, str]
"""Name, and for a bid without one the bid itself."""


@dataclass(frozen=True)
class Offered:
    """What owners offer of one kind (energy, or a product); K = (owner, resource, direction)."""

    keys: list[tuple[Owner, str, str]]
    lost_kw: Array
    """What all together could sell less without this, (K, T)."""
    total_kw: Mapping[tuple[str, str], Array]
    """What all could sell by resource and direction, its limit respected, (T,)."""


@dataclass(frozen=True)
class Question:
    """Needs for the same thing: names of those that are auctioned, and what one kW does for it."""

    kind: str
    names: list[str]
    goods: str
    asked_kw: Array
    weight: Mapping[tuple[str, str], float]
    """By resource and direction; nothing where left out."""
    area: str | None = None
    """Area into which power may come over lines."""


def tested(snapshot: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """Return the snapshot with pivotal asks lowered, and who is pivotal where.

    Parameters
    ----------
    snapshot
        Canonical; without a reference cap it comes back as it is.

    Returns
    -------
    tuple
        The snapshot to check a result against, and the entries ``{kind, need, owner, bids, t}``
        its ``pivotal`` must have.
    """
    cap = snapshot["rules"]["reference_cap_jpy_per_kwh"]
    if cap is None:
        return snapshot, []
    market = Market(snapshot)
    grid = grid_of(market)
    sold = _sold(market)
    offered = {goods: _offered(market, sold, goods) for goods in {ENERGY, *market.products}}
    by_owner: dict[tuple[Owner, str], list[tuple[str, str, str]]] = {}
    for bid, resource, direction, goods in sold:
        by_owner.setdefault((_owner(market.bids[bid]), goods), []).append(
            (bid, resource, direction)
        )
    findings: list[dict[str, Any]] = []
    held: dict[str, set[int]] = {}
    for question in _questions(market, grid):
        for owner, t in _pivotal(market, question, offered[question.goods]).items():
            found = set()
            for bid, resource, direction in by_owner[owner, question.goods]:
                kw = sold[bid, resource, direction, question.goods]
                half_hours = set(np.flatnonzero(kw).tolist()) & set(t)
                if half_hours and question.weight.get((resource, direction), 0.0) > 0:
                    found.add(bid)
                    held.setdefault(bid, set()).update(half_hours)
            entry = {"owner": owner[0], "bids": sorted(found), "t": t}
            findings += [{"kind": question.kind, "need": name} | entry for name in question.names]
    bids = [
        lowered(bid, held[bid["id"]], cap, market.h) if bid["id"] in held else bid
        for bid in snapshot["bids"]
    ]
    findings.sort(key=lambda entry: (entry["kind"], entry["need"], entry["owner"], entry["bids"]))
    return {**snapshot, "bids": bids}, findings


def _owner(bid: Mapping[str, Any]) -> Owner:
    name = bid.get("owner", "")
    return (name, "") if name else ("", bid["id"])


def _sold(market: Market) -> dict[tuple[str, str, str, str], Array]:
    """Return the most each bid could sell by bid, resource, direction and goods, (T,) each."""
    sold: dict[tuple[str, str, str, str], Array] = {}
    for name, bid in market.bids.items():
        block = FORMS[bid["form"]](bid, market)
        for leg in block.legs:
            key = (name, leg.resource, leg.direction, leg.product or ENERGY)
            most_kw = leg.kw_per_unit * block.families[leg.family].upper[leg.column]
            np.add.at(sold.setdefault(key, np.zeros(market.count)), leg.t, most_kw)
    return sold


def _offered(
    market: Market, sold: Mapping[tuple[str, str, str, str], Array], goods: str
) -> Offered:
    own: dict[tuple[Owner, str, str], Array] = {}
    gross: dict[tuple[str, str], Array] = {}
    for (bid, resource, direction, what), kw in sold.items():
        if what != goods:
            continue
        key = (_owner(market.bids[bid]), resource, direction)
        own[key] = own.get(key, 0.0) + kw
        gross[resource, direction] = gross.get((resource, direction), 0.0) + kw
    limit = {"UP": "limit_up_kw", "DOWN": "limit_down_kw"}
    total: dict[tuple[str, str], Array] = {}
    lost: list[Array] = []
    for where, kw in gross.items():
        total[where] = np.minimum(market.resources[where[0]][limit[where[1]]], kw)
    for (_, resource, direction), kw in own.items():
        left_kw = gross[resource, direction] - kw
        others_kw = np.minimum(market.resources[resource][limit[direction]], left_kw)
        lost.append(total[resource, direction] - others_kw)
    return Offered(list(own), np.array(lost).reshape(-1, market.count), total)


def _pivotal(market: Market, question: Question, offered: Offered) -> dict[Owner, list[int]]:
    """Return the half hours in which owners are pivotal."""
    all_kw, lost_kw = _summed(offered, question.weight, market.count)
    line_kw, outside_kw = np.zeros(market.count), np.zeros(market.count)
    outside_lost_kw: dict[Owner, Array] = {}
    if question.area is not None:
        directions = {direction for _, direction in question.weight}
        sent = {
            where: market.sent_ratio(where[0])
            for where in offered.total_kw
            if where not in question.weight and where[1] in directions
        }
        outside_kw, outside_lost_kw = _summed(offered, sent, market.count)
        line_kw = _lines_kw(market, question.area)
    least_kw = SHORT_RATIO * np.maximum(1.0, question.asked_kw)
    found = {}
    for owner, mine_kw in lost_kw.items():
        elsewhere_kw = outside_kw - outside_lost_kw.get(owner, 0.0)
        left_kw = all_kw - mine_kw + np.minimum(line_kw, elsewhere_kw)
        is_short = (question.asked_kw > 0) & (question.asked_kw - left_kw > least_kw)
        half_hours = np.flatnonzero(is_short & (mine_kw > least_kw)).tolist()
        if half_hours:
            found[owner] = half_hours
    return found


def _summed(
    offered: Offered, weight: Mapping[tuple[str, str], float], count: int
) -> tuple[Array, dict[Owner, Array]]:
    """Return what all could do for a need, and what each owner's part of it is."""
    all_kw = np.zeros(count)
    for where, kw in offered.total_kw.items():
        all_kw = all_kw + weight.get(where, 0.0) * kw
    lost_kw: dict[Owner, Array] = {}
    for (owner, resource, direction), kw in zip(offered.keys, offered.lost_kw, strict=True):
        share = weight.get((resource, direction), 0.0)
        if share > 0:
            lost_kw[owner] = lost_kw.get(owner, 0.0) + share * kw
    return all_kw, lost_kw


def _lines_kw(market: Market, area: str) -> Array:
    """Return what links and transfers that end in an area carry at most, (T,)."""
    network = market.snapshot["network"]
    area_of = {bus["id"]: bus["area"] for bus in network["buses"]}
    ends = [(area_of[item["from"]], area_of[item["to"]], item) for item in network["links"]]
    transfers = market.snapshot["transfers"]
    ends += [(item["from_area"], item["to_area"], item) for item in transfers]
    crossing = [item["limit_kw"] for start, end, item in ends if (start == area) != (end == area)]
    limits = np.array(crossing, dtype=np.float64).reshape(-1, market.count)
    return np.asarray(limits.sum(axis=0))


def _questions(market: Market, grid: Grid) -> Iterator[Question]:
    """Yield what is asked for; needs at a posted price count, but are not tested."""
    snapshot, flow_kw_per_kw = market.snapshot, _sensitivities(market, grid)
    area_of = dict(zip(market.places, grid.place_area.tolist(), strict=True))
    inside: dict[str, list[str]] = {name: [] for name in grid.area_ids}
    for name, resource in market.resources.items():
        inside[grid.area_ids[area_of[resource["place"]]]].append(name)
    for group in _groups(snapshot["local_needs"], ("element", "sign")):
        (element, sign), names, asked_kw = group
        weight = _relief(market, grid, -sign * flow_kw_per_kw[element])
        yield Question("LOCAL", names, ENERGY, asked_kw, weight)
    for group in _groups(snapshot["balance_needs"], ("area", "direction")):
        (area, direction), names, asked_kw = group
        weight = {(name, direction): market.sent_ratio(name) for name in inside[area]}
        yield Question("BALANCE", names, ENERGY, asked_kw, weight, str(area))
    for group in _groups(snapshot["capacity_needs"], ("area", "product")):
        (area, product), names, asked_kw = group
        direction = market.products[product]["direction"]
        weight = {(name, direction): market.sent_ratio(name) for name in inside[area]}
        yield Question("CAPACITY", names, str(product), asked_kw, weight)


def _groups(
    needs: list[dict[str, Any]], keys: tuple[str, str]
) -> Iterator[tuple[tuple[Any, ...], list[str], Array]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for need in needs:
        groups.setdefault(tuple(need[key] for key in keys), []).append(need)
    for where, members in groups.items():
        names = [need["id"] for need in members if need["pricing"] == "auction"]
        if names:
            steps = [step["need_kw"] for need in members for step in need["steps"]]
            yield where, names, np.sum(np.array(steps, dtype=np.float64), axis=0)


def _sensitivities(market: Market, grid: Grid) -> dict[str, Array]:
    """Return kW of flow per kW sent from each place, by element with a need, (P,) each."""
    names = [item["id"] for item in market.snapshot["elements"]]
    needed = {need["element"] for need in market.snapshot["local_needs"]}
    asked = np.array([name in needed for name in names], dtype=np.bool_)
    nothing = np.zeros((len(market.places), 1))
    response = grid.respond(nothing, np.zeros((len(grid.link_from), 1)), asked)
    return dict(zip(names, grid.place_sensitivity(response), strict=True))


def _relief(market: Market, grid: Grid, pull: Array) -> dict[tuple[str, str], float]:
    """Return by how much one kW of each resource and direction reduces a flow."""
    per_place = dict(zip(market.places, (pull * grid.sent_ratio).tolist(), strict=True))
    return {
        (name, "UP" if per_place[item["place"]] > 0 else "DOWN"): abs(per_place[item["place"]])
        for name, item in market.resources.items()
    }


def lowered(bid: Mapping[str, Any], t: set[int], cap: float, h: float) -> dict[str, Any]:
    """Return a bid with asks of at most `cap` JPY/kWh in half hours `t`.

    Where a form has one ask for its whole window, everywhere; capacity counts as called in full.
    """
    form = bid["form"]
    if form in ("STEPS", "PORTFOLIO"):
        curves = []
        for curve in bid["curves"]:
            for piece, is_held in _split(curve, t):
                ceiling = cap if is_held else np.inf
                steps = [
                    {**step, "ask_jpy_per_kwh": min(ceiling, step["ask_jpy_per_kwh"])}
                    for step in piece["steps"]
                ]
                curves.append({**piece, "steps": steps})
        return {**bid, "curves": curves}
    if form in ("SHIFT", "CAPACITY"):
        name = "ask_jpy_per_kw" if form == "CAPACITY" else "ask_jpy_per_kwh"
        most = PRICED_H * cap if form == "CAPACITY" else cap
        offers = []
        for offer in bid["offers"]:
            for piece, is_held in _split(offer, t):
                offers.append({**piece, name: min(most, piece[name])} if is_held else piece)
        order = ("first_t", "last_t", name, "quantity_kw")
        return {**bid, "offers": sorted(offers, key=lambda item: [item[key] for key in order])}
    return {**bid, **_single(bid, cap, h)}


def _split(entry: Mapping[str, Any], t: set[int]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the runs of a window with and without the ceiling."""
    start = entry["first_t"]
    while start <= entry["last_t"]:
        stop = start
        while stop < entry["last_t"] and ((stop + 1) in t) == (start in t):
            stop += 1
        yield {**entry, "first_t": start, "last_t": stop}, start in t
        start = stop + 1


def _single(bid: Mapping[str, Any], cap: float, h: float) -> dict[str, float]:
    """Return the lowered asks of a form that has one for its whole window."""
    form = bid["form"]
    if form == "STORAGE":
        return {"wear_jpy_per_kwh": min(cap, bid["wear_jpy_per_kwh"])}
    if form == "RENEWABLE":
        curtail, release = bid["curtail_jpy_per_kwh"], bid["release_jpy_per_kwh"]
        return {
            "curtail_jpy_per_kwh": max(min(curtail, cap), -release),
            "release_jpy_per_kwh": max(min(release, cap), -curtail),
        }
    ceiling = cap * bid["pue_ratio"] if form == "COMPUTE_OFFER" else cap
    asks = {"ask_jpy_per_kwh": min(ceiling, bid["ask_jpy_per_kwh"])}
    if form == "BLOCK":
        left_jpy = (cap - asks["ask_jpy_per_kwh"]) * h * sum(bid["quantity_kw"])
        asks["start_cost_jpy"] = min(left_jpy, bid["start_cost_jpy"])
    return asks
