"""All bids together: areas, needs, elements, resources, paths, computing and trade."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from market.core.audit.book import Book, respond
from market.core.audit.called import Held, held_kw
from market.core.audit.grid import Grid
from market.core.audit.ledger import Array, Ledger, column, ids, summed
from market.core.audit.physical import NEEDS, Physical
from market.core.audit.prices import CAPACITY_PRICED_H, Income, Prices


@dataclass(kw_only=True)
class Whole:
    """What the audit of all parts adds up to."""

    value_jpy: float = 0.0
    """Of needs and computing served."""
    cost_jpy: float = 0.0
    """Of bids, carrying, deviations and what is over an envelope; tariffs of paths included."""
    gross_jpy: float = 0.0
    """Size of the bids' costs, whatever their signs."""
    paid_jpy: float = 0.0
    """By needs, deviations and envelopes."""
    rent_jpy: float = 0.0
    """Of elements, links and transfers."""
    path_jpy: float = 0.0
    receipt_jpy: float = 0.0
    """Of energy, capacity and computing sold, less what is bought."""
    free_jpy: float = 0.0
    """What bids forgo beyond the gap because columns are held by a decision."""
    has_held: bool = False
    scale_kw: Array = field(default_factory=lambda: np.zeros(0))
    """Size of what moves in each half hour, (T,)."""
    headroom_kw: Array = field(default_factory=lambda: np.zeros((2, 0, 0)))
    """(2 sides, Q, T)."""
    flow_change_kw: Array = field(default_factory=lambda: np.zeros((0, 0)))
    need_price: dict[str, Array] = field(default_factory=dict)
    """By kind: raw price of each need, (needs, T)."""
    link_price: Array = field(default_factory=lambda: np.zeros((0, 0)))
    transfer_price: Array = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def objective_jpy(self) -> float:
        """Return value less cost."""
        return self.value_jpy - self.cost_jpy

    @property
    def turnover_jpy(self) -> float:
        """Return the scale of money residuals."""
        return max(1.0, self.value_jpy + self.gross_jpy + abs(self.path_jpy))

    @property
    def money_left_jpy(self) -> float:
        """Return what the raw money identity leaves over."""
        return self.paid_jpy - self.receipt_jpy - self.rent_jpy


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything the checks across bids look at."""

    book: Book
    grid: Grid
    physical: Physical
    held: Held
    flow_change_kw: Array
    """(Q, T)."""
    called_flow_kw: Mapping[tuple[int, int], Array]
    """What a full call adds, by area and direction, (Q, T)."""
    prices: Prices
    ledger: Ledger

    @property
    def h(self) -> float:
        """Return the length of an interval in hours."""
        return self.book.market.h

    @property
    def count(self) -> int:
        """Return the number of half hours."""
        return self.book.market.count

    @property
    def snapshot(self) -> Mapping[str, Any]:
        """Return the snapshot."""
        return self.book.market.snapshot

    def limit(self, name: str, entities: str) -> Array:
        """Return a series of each entity of a list, (entities, T)."""
        return column(self.snapshot[entities], name, self.count)

    def forgo(self, price: Array, room: Array, hours: float | None = None) -> None:
        """Count the gap of limits: their prices times what is left under them, row by row."""
        per = self.h if hours is None else hours
        self.ledger.forgo(per * (price * room).reshape(-1, self.count).sum(axis=1))

    def dual(self, price: Array) -> Array:
        """Return prices that must not be negative."""
        self.ledger.excess("dual signs", -price, price)
        return price


def check_whole(parts: Parts, income: Income) -> Whole:
    """Check everything that holds across bids and return what it adds up to.

    Parameters
    ----------
    parts
        The book, the grid, what happens on it and at which prices.
    income
        What each column brings in per unit.
    """
    whole = Whole(flow_change_kw=parts.flow_change_kw)
    whole.scale_kw = np.abs(parts.physical.sent_kw).sum(axis=0)
    net_kw = _balance(parts, whole)
    relief_kw = np.stack([-whole.flow_change_kw, whole.flow_change_kw])
    _needs(parts, whole, net_kw, relief_kw)
    _deviations(parts, whole, net_kw)
    parts.ledger.residual("balance", net_kw, whole.scale_kw)
    parts.forgo(parts.prices.duals.area, net_kw)
    _headroom(parts, whole)
    _carrying(parts, whole)
    _calls(parts, whole)
    _envelopes(parts, whole)
    _limits(parts)
    _computing(parts)
    _bids(parts, whole, income)
    return whole


def _balance(parts: Parts, whole: Whole) -> Array:
    """Return what each area's injections, links and transfers add up to, (A, T)."""
    grid, physical, duals = parts.grid, parts.physical, parts.prices.duals
    net_kw = np.zeros((len(grid.area_ids), parts.count))
    np.add.at(net_kw, grid.place_area, physical.sent_kw)
    numbers = {name: number for number, name in enumerate(grid.area_ids)}
    transfers = parts.snapshot["transfers"]
    ends = [
        np.array([numbers[item[end]] for item in transfers], dtype=np.int64)
        for end in ("from_area", "to_area")
    ]
    bus = parts.prices.bus
    whole.link_price = bus[grid.link_to] - bus[grid.link_from]
    whole.transfer_price = duals.area[ends[1]] - duals.area[ends[0]]
    links = column(parts.snapshot["network"]["links"], "limit_kw", parts.count)
    link_areas = [grid.bus_area[grid.link_from], grid.bus_area[grid.link_to]]
    for flow_kw, limit_kw, areas, price in (
        (physical.link_kw, links, link_areas, whole.link_price),
        (physical.transfer_kw, parts.limit("limit_kw", "transfers"), ends, whole.transfer_price),
    ):
        parts.ledger.excess("links and transfers", np.abs(flow_kw) - limit_kw, limit_kw)
        np.add.at(net_kw, areas[0], -flow_kw)
        np.add.at(net_kw, areas[1], flow_kw)
        whole.scale_kw = whole.scale_kw + np.abs(flow_kw).sum(axis=0)
        parts.forgo(np.abs(price), limit_kw - np.sign(price) * flow_kw)
        whole.rent_jpy += parts.h * float(np.sum(price * flow_kw))
    return net_kw


def _needs(parts: Parts, whole: Whole, net_kw: Array, relief_kw: Array) -> None:
    """Check what needs are served, at which price, and take it out of what covers them."""
    snapshot, grid, duals = parts.snapshot, parts.grid, parts.prices.duals
    elements = {name: row for row, name in enumerate(ids(snapshot["elements"]))}
    areas = {name: row for row, name in enumerate(grid.area_ids)}
    places = {name: row for row, name in enumerate(parts.book.market.places)}
    products = {name: row for row, name in enumerate(parts.book.market.products)}
    relief, asked_kw = parts.dual(duals.relief), np.zeros_like(relief_kw)
    wanted_kw = np.zeros_like(duals.reserve_jpy_per_kw)
    reserved_kw = held_kw(parts.held, wanted_kw.shape)
    for kind in NEEDS:
        whole.need_price[kind] = np.zeros((len(snapshot[NEEDS[kind]]), parts.count))
    for row, need in enumerate(snapshot["local_needs"]):
        where = (0 if need["sign"] > 0 else 1, elements[need["element"]])
        relief_kw[where] -= _serve(parts, whole, ("LOCAL", row), relief[where])
        asked_kw[where] += np.sum([step["need_kw"] for step in need["steps"]], axis=0)
    for row, need in enumerate(snapshot["balance_needs"]):
        sign, area = 1.0 if need["direction"] == "UP" else -1.0, areas[need["area"]]
        net_kw[area] -= sign * _serve(parts, whole, ("BALANCE", row), sign * duals.area[area])
    for row, need in enumerate(snapshot["place_needs"]):
        _serve(parts, whole, ("PLACE", row), parts.prices.place[places[need["place"]]])
    for row, need in enumerate(snapshot["capacity_needs"]):
        at = (products[need["product"]], areas[need["area"]])
        reserved_kw[at] -= _serve(parts, whole, ("CAPACITY", row), duals.reserve_jpy_per_kw[at])
        wanted_kw[at] += np.sum([step["need_kw"] for step in need["steps"]], axis=0)
    reserve = parts.dual(duals.reserve_jpy_per_kw)
    _covered(parts, "local needs", (relief, relief_kw, asked_kw), whole.scale_kw, parts.h)
    hours = parts.h / CAPACITY_PRICED_H
    scale_kw = np.abs(reserved_kw) + wanted_kw
    _covered(parts, "capacity needs", (reserve, reserved_kw, wanted_kw), scale_kw, hours)


def _covered(
    parts: Parts, name: str, row: tuple[Array, Array, Array], scale_kw: Array, hours: float
) -> None:
    """Check that what is served is covered where anything is asked, and has no price elsewhere."""
    price, left_kw, asked_kw = row
    is_asked = asked_kw > 0
    scale_kw = np.broadcast_to(scale_kw, left_kw.shape)
    parts.ledger.excess(name, -left_kw[is_asked], scale_kw[is_asked])
    parts.ledger.residual("dual signs", price[~is_asked])
    parts.forgo(np.where(is_asked, price, 0.0), left_kw, hours)


def _serve(parts: Parts, whole: Whole, which: tuple[str, int], price: Array) -> Array:
    """Check one need's service and price, step by step; return what is served."""
    kind, row = which
    need = parts.snapshot[NEEDS[kind]][row]
    hours = parts.h / CAPACITY_PRICED_H if kind == "CAPACITY" else parts.h
    served_kw = np.array(parts.physical.served_kw[kind][row])
    need_kw = column(need["steps"], "need_kw", parts.count)
    cap = column(need["steps"], "cap_jpy_per_kwh", parts.count)
    parts.ledger.excess("needs", -served_kw, need_kw)
    parts.ledger.excess("needs", served_kw - need_kw, need_kw)
    margin = cap - price
    parts.forgo(margin, np.where(margin > 0, need_kw, 0.0) - served_kw, hours)
    total_kw = served_kw.sum(axis=0)
    whole.value_jpy += hours * float(np.sum(cap * served_kw))
    whole.paid_jpy += hours * float(price @ total_kw)
    if kind != "PLACE":
        whole.scale_kw = whole.scale_kw + total_kw
    whole.need_price[kind][row] = np.where(total_kw > 0, price, np.minimum(price, cap[0]))
    return np.asarray(total_kw)


def _deviations(parts: Parts, whole: Whole, net_kw: Array) -> None:
    rules, area = parts.snapshot["rules"], parts.prices.duals.area
    limit_kw, cost = rules["deviation_limit_kw"], rules["deviation_price_jpy_per_kwh"]
    for found_kw, sign in ((parts.physical.excess_kw, 1.0), (parts.physical.shortage_kw, -1.0)):
        parts.ledger.excess("deviations", -found_kw, limit_kw)
        parts.ledger.excess("deviations", found_kw - limit_kw, limit_kw)
        gain = -(cost + sign * area)
        parts.forgo(gain, np.where(gain > 0, limit_kw, 0.0) - found_kw)
        net_kw -= sign * found_kw
        whole.paid_jpy += parts.h * float(np.sum(sign * area * found_kw))
        whole.cost_jpy += parts.h * cost * float(found_kw.sum())


def _headroom(parts: Parts, whole: Whole) -> None:
    """Check that no flow moves past its rating, or further past it, where nobody asked for it."""
    snapshot, duals = parts.snapshot, parts.prices.duals
    elements = {name: row for row, name in enumerate(ids(snapshot["elements"]))}
    base_kw = parts.limit("base_flow_kw", "elements")
    rating_kw = np.array([element["rating_kw"] for element in snapshot["elements"]])
    room_kw = np.maximum(rating_kw[None, :, None] - np.stack([base_kw, -base_kw]), 0.0)
    asked_kw = np.zeros_like(room_kw)
    for need in snapshot["local_needs"]:
        side = 1 if need["sign"] > 0 else 0
        for step in need["steps"]:
            asked_kw[side, elements[need["element"]]] += step["need_kw"]
    whole.headroom_kw = np.maximum(room_kw, asked_kw)
    left_kw = whole.headroom_kw - np.stack([whole.flow_change_kw, -whole.flow_change_kw])
    rent = parts.dual(np.stack([duals.rent_up, duals.rent_down]))
    parts.ledger.excess("headroom", -left_kw, np.maximum(whole.headroom_kw, whole.scale_kw))
    parts.forgo(rent, left_kw)
    whole.rent_jpy += parts.h * float(np.sum(rent * whole.headroom_kw))


def _carrying(parts: Parts, whole: Whole) -> None:
    """Check the price of flow where carrying costs something: its cost in the flow's direction."""
    elements = parts.snapshot["elements"]
    price, flow_kw = parts.prices.duals.flow, whole.flow_change_kw
    cost = np.array([element["flow_cost_jpy_per_kwh"] for element in elements])
    cost = np.broadcast_to(cost[:, None], price.shape)
    parts.ledger.excess("dual signs", np.abs(price) - cost, cost)
    parts.forgo(np.ones_like(flow_kw), cost * np.abs(flow_kw) - price * flow_kw)
    whole.cost_jpy += parts.h * float(np.sum(cost * np.abs(flow_kw)))
    whole.rent_jpy += parts.h * float(np.sum(price * flow_kw))


def _calls(parts: Parts, whole: Whole) -> None:
    """Check that a full call of capacity keeps every flow within its headroom."""
    price = parts.dual(parts.prices.duals.call)
    idle = np.ones(price.shape[:2], dtype=np.bool_)
    for where, called_kw in parts.called_flow_kw.items():
        idle[where] = False
        flow_kw = whole.flow_change_kw + called_kw
        left_kw = whole.headroom_kw - np.stack([flow_kw, -flow_kw])
        size_kw = np.maximum(whole.headroom_kw, whole.scale_kw)
        parts.ledger.excess("flows under a call of capacity", -left_kw, size_kw)
        mine = np.moveaxis(price[where], 1, 0)
        parts.forgo(mine, left_kw)
        whole.rent_jpy += parts.h * float(np.sum(mine * whole.headroom_kw))
    parts.ledger.residual("dual signs", price[idle])


def _envelopes(parts: Parts, whole: Whole) -> None:
    """Check imports at flexible connections; what is over an envelope has the rules' price."""
    snapshot, over_kw = parts.snapshot, parts.physical.over_kw
    envelopes = snapshot["envelopes"]
    most_kw, scheduled_kw = (
        parts.limit(name, "envelopes") for name in ("max_import_kw", "scheduled_import_kw")
    )
    numbers = {name: number for number, name in enumerate(parts.book.market.places)}
    place = [numbers[item["place"]] for item in envelopes]
    received_kw = parts.physical.received_kw[place]
    price = parts.dual(parts.prices.duals.envelope)
    limit_kw = np.maximum(0.0, scheduled_kw - most_kw) + _import_kw(parts)[place]
    parts.ledger.excess("envelopes", -over_kw, limit_kw)
    parts.ledger.excess("envelopes", over_kw - limit_kw, limit_kw)
    left_kw = most_kw - scheduled_kw + received_kw + over_kw
    scale_kw = np.maximum(np.abs(scheduled_kw), whole.scale_kw)
    parts.ledger.excess("envelopes", -left_kw, scale_kw)
    parts.forgo(price, left_kw)
    cost = snapshot["rules"]["envelope_price_jpy_per_kwh"]
    margin = price - cost
    parts.forgo(margin, np.where(margin > 0, limit_kw, 0.0) - over_kw)
    whole.cost_jpy += parts.h * cost * float(over_kw.sum())
    whole.paid_jpy += parts.h * float(np.sum(price * received_kw))


def _import_kw(parts: Parts) -> Array:
    """Return by how much each place could import more at most, (P, T)."""
    snapshot = parts.snapshot
    numbers = {name: number for number, name in enumerate(parts.book.market.places)}
    more_kw = np.zeros((len(numbers), parts.count))
    for resource in snapshot["resources"]:
        more_kw[numbers[resource["place"]]] += resource["limit_down_kw"]
    for need in snapshot["place_needs"]:
        for step in need["steps"]:
            more_kw[numbers[need["place"]]] += step["need_kw"]
    return more_kw


def _limits(parts: Parts) -> None:
    """Check that nothing is sold twice and no path or trunk is overfilled."""
    book, duals, market = parts.book, parts.prices.duals, parts.book.market
    resources = (len(market.resources), parts.count)
    used_gb = book.traffic.summed(book.x, (len(market.paths), parts.count))
    paths = {name: number for number, name in enumerate(market.paths)}
    trunks = parts.snapshot["trunks"]
    bundled_gb = np.array(
        [used_gb[[paths[name] for name in item["paths"]]].sum(axis=0) for item in trunks]
    )
    for used, limit, price, hours in (
        (
            book.legs.entries(book.legs.is_up).summed(book.x, resources),
            *(parts.limit("limit_up_kw", "resources"), duals.sold_up, parts.h),
        ),
        (
            book.legs.entries(~book.legs.is_up).summed(book.x, resources),
            *(parts.limit("limit_down_kw", "resources"), duals.sold_down, parts.h),
        ),
        (used_gb, parts.limit("capacity_gb", "paths"), duals.path_jpy_per_gb, 1.0),
        (
            bundled_gb.reshape(-1, parts.count),
            *(parts.limit("capacity_gb", "trunks"), duals.trunk_jpy_per_gb, 1.0),
        ),
    ):
        parts.ledger.excess("resources and paths", used - limit, limit)
        parts.forgo(parts.dual(price), limit - used, hours)


def _computing(parts: Parts) -> None:
    """Check that what runs at each compute offer is what it provides."""
    book, offers = parts.book, list(parts.book.market.compute_offers.values())
    size = (len(offers), parts.count)
    left_kw = book.compute.summed(book.x, size)
    capacity_kw = column(offers, "capacity_kw", parts.count)
    parts.ledger.residual("computing", left_kw, capacity_kw)
    parts.forgo(parts.prices.duals.compute, -left_kw)


def _bids(parts: Parts, whole: Whole, income: Income) -> None:
    """Add up what bids cost, receive and forgo; no bid without a decision may lose."""
    book = parts.book
    cost_jpy = book.by_bid(book.cost_jpy * book.x)
    path_jpy = book.by_bid(income.traffic * book.x)
    sold = income.energy + income.capacity + income.computing
    receipt_jpy = book.by_bid(sold * book.x)
    tariff = np.array([path["price_jpy_per_gb"] for path in book.market.paths.values()])
    tariff = np.broadcast_to(tariff.reshape(-1, 1), (len(tariff), parts.count))
    tariff_jpy = book.traffic.priced(tariff, book.size) * book.x
    whole.cost_jpy += float(cost_jpy.sum()) + float(tariff_jpy.sum())
    whole.gross_jpy = float(np.abs(book.cost_jpy * book.x).sum() + np.abs(tariff_jpy).sum())
    whole.path_jpy = float(path_jpy.sum())
    whole.receipt_jpy = float(receipt_jpy.sum())
    response = respond(book, income.gain)
    parts.ledger.forgo(response.forgone_jpy)
    parts.ledger.forgo(book.joint.y * (book.joint.rhs - book.joint.left(book.x)))
    whole.free_jpy = float(np.sum(response.free_jpy - response.forgone_jpy))
    whole.has_held = bool(book.is_held.any())
    # Bids that rows bind together earn for each other: their surplus is one.
    group = book.groups
    short_jpy = summed(group, cost_jpy + path_jpy - receipt_jpy, len(group))
    may_lose = summed(group, book.has_decision.astype(float), len(group)) > 0
    size_jpy = summed(group, np.abs(cost_jpy), len(group)) + whole.value_jpy
    parts.ledger.excess("individual rationality", short_jpy[~may_lose], size_jpy[~may_lose])
