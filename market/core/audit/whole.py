"""All bids together: areas, needs, elements, resources, paths and trade."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core.audit.bids import BidAudit, Market
from market.core.audit.grid import Grid
from market.core.audit.ledger import Array, Ledger, series


@dataclass(frozen=True, kw_only=True)
class Whole:
    """What the audit of all parts adds up to."""

    objective_jpy: float
    one_sided_bound_jpy: float
    bid_cost_jpy: float
    """Gross cost of the bids accepted."""
    turnover_jpy: float
    """Value served plus gross cost: the scale of money residuals."""
    money_left_jpy: float
    """What the raw money identity leaves over."""
    has_fixed_sides: bool
    sent_kw: Mapping[str, Array]
    flow_change_kw: Mapping[str, Array]
    headroom_kw: Mapping[str, tuple[Array, Array]]
    prices_jpy_per_kwh: Mapping[str, Mapping[str, Array]]
    """Raw prices by kind (place, area, need, link, transfer) and id."""


def element_worth(snapshot: Mapping[str, Any], duals: Mapping[str, Any]) -> dict[str, Array]:
    """Return what one kWh of flow costs on each element: rents plus the prices of relief."""
    count = snapshot["interval_count"]
    relief = duals["relief_jpy_per_kwh"]
    return {
        element["id"]: series(duals["rent_up_jpy_per_kwh"], element["id"], count)
        - series(duals["rent_down_jpy_per_kwh"], element["id"], count)
        + series(relief["1"], element["id"], count)
        - series(relief["-1"], element["id"], count)
        for element in snapshot["elements"]
    }


class _Sum:
    """Everything :func:`check_whole` passes from part to part."""

    def __init__(
        self, grid: Grid, raw: Mapping[str, Any], bus_price: Array, ledger: Ledger
    ) -> None:
        self.grid, self.raw, self.bus_price, self.ledger = grid, raw, bus_price, ledger
        self.snapshot, self.duals, self.count = grid.snapshot, raw["duals"], grid.count
        self.h = float(grid.snapshot["interval_h"])
        self.value_jpy = self.paid_jpy = self.rent_jpy = self.deviation_cost_jpy = 0.0
        self.scale_kw = np.zeros(self.count)
        self.prices: dict[str, dict[str, Array]] = {
            kind: {} for kind in ("area", "need", "link", "transfer")
        }

    def dual(self, family: str, name: str) -> Array:
        """Return a dual that must not be negative."""
        return self._signed(series(self.duals[family], name, self.count))

    def relief(self, element: str, sign: int) -> Array:
        """Return the price of relief on an element, which must not be negative."""
        found = self.duals["relief_jpy_per_kwh"][str(sign)]
        return self._signed(series(found, element, self.count))

    def _signed(self, found: Array) -> Array:
        self.ledger.excess("dual signs", -found, found)
        return found

    def forgo(self, price: Array, room: Array) -> None:
        """Count the gap of a limit: its price times the room left under it."""
        self.ledger.forgone_jpy.append(self.h * float(price @ room))


def check_whole(
    grid: Grid,
    raw: Mapping[str, Any],
    at: tuple[Array, Market],
    audits: list[BidAudit],
    ledger: Ledger,
) -> Whole:
    """Check everything that holds across bids and return what it adds up to.

    Parameters
    ----------
    grid, raw
        The grid and the unrounded numbers of the result.
    at
        Prices at buses, (N, T), and what bids see of them.
    audits
        One per bid.
    ledger
        Takes up the residuals.
    """
    bus_price, market = at
    total = _Sum(grid, raw, bus_price, ledger)
    sent_kw = _sent_kw(grid, market, audits)
    change_kw = grid.flow_change_kw(sent_kw, raw["link_kw"])
    balance_kw = _balance(total, sent_kw)
    _needs(total, balance_kw, change_kw)
    _deviations(total, balance_kw)
    for area, left_kw in balance_kw.items():
        ledger.residual("balance", left_kw, total.scale_kw)
        ledger.forgone_jpy.append(total.h * float(total.prices["area"][area] @ left_kw))
    headroom_kw = _headroom(total, change_kw)
    _limits(total, market, audits)
    receipts_jpy = sum(audit.receipt_jpy(market) for audit in audits)
    paths_jpy = sum(audit.path_jpy(market) for audit in audits)
    for audit in audits:
        surplus_jpy = audit.receipt_jpy(market) - audit.cost_jpy - audit.path_jpy(market)
        ledger.excess("individual rationality", -surplus_jpy, abs(audit.cost_jpy) + total.value_jpy)
    # A path's tariff is its owner's cost, its rent is not: only the tariff lowers welfare.
    cost_jpy = sum(audit.cost_jpy + audit.tariff_jpy(market) for audit in audits)
    gross_jpy = sum(abs(audit.cost_jpy) + audit.tariff_jpy(market) for audit in audits)
    objective_jpy = total.value_jpy - cost_jpy - total.deviation_cost_jpy
    one_sided = [audit.best_one_sided_jpy - audit.best_jpy for audit in audits]
    return Whole(
        objective_jpy=objective_jpy,
        one_sided_bound_jpy=objective_jpy + sum(ledger.forgone_jpy) + sum(one_sided),
        bid_cost_jpy=gross_jpy,
        turnover_jpy=max(1.0, total.value_jpy + gross_jpy + abs(paths_jpy)),
        money_left_jpy=total.paid_jpy - receipts_jpy - total.rent_jpy,
        has_fixed_sides=any(audit.has_fixed_sides for audit in audits),
        sent_kw=sent_kw,
        flow_change_kw=change_kw,
        headroom_kw=headroom_kw,
        prices_jpy_per_kwh=total.prices,
    )


def _sent_kw(grid: Grid, market: Market, audits: Iterable[BidAudit]) -> dict[str, Array]:
    """Return the change of injection at the sending end of each place."""
    sent_kw = {name: np.zeros(grid.count) for name in grid.place}
    for audit in audits:
        for resource, quantity_kw in audit.up_kw.items():
            place = market.resources[resource]["place"]
            sent_kw[place] = sent_kw[place] + grid.sent_ratio(place) * quantity_kw
        for resource, quantity_kw in audit.down_kw.items():
            place = market.resources[resource]["place"]
            sent_kw[place] = sent_kw[place] - grid.sent_ratio(place) * quantity_kw
    return sent_kw


def _balance(total: _Sum, sent_kw: Mapping[str, Array]) -> dict[str, Array]:
    """Return what each area's injections, links and transfers add up to."""
    grid, count, ledger = total.grid, total.count, total.ledger
    net_kw = {area: np.zeros(count) for area in sorted(set(grid.area_of_bus))}
    for place, change_kw in sent_kw.items():
        net_kw[grid.area_of(place)] += change_kw
        total.scale_kw = total.scale_kw + np.abs(change_kw)
    trades: list[tuple[str, dict[str, Any], str, str, Array]] = []
    for area in net_kw:
        total.prices["area"][area] = series(total.duals["area_jpy_per_kwh"], area, count)
    for link in total.snapshot["network"]["links"]:
        ends = grid.bus[link["from"]], grid.bus[link["to"]]
        price = total.bus_price[ends[1]] - total.bus_price[ends[0]]
        areas = grid.area_of_bus[ends[0]], grid.area_of_bus[ends[1]]
        trades.append(("link", link, *areas, price))
    for transfer in total.snapshot["transfers"]:
        areas = transfer["from_area"], transfer["to_area"]
        price = total.prices["area"][areas[1]] - total.prices["area"][areas[0]]
        trades.append(("transfer", transfer, *areas, price))
    for kind, trade, start, end, price in trades:
        flow_kw = series(total.raw[f"{kind}_kw"], trade["id"], count)
        limit_kw = np.asarray(trade["limit_kw"])
        ledger.excess("links and transfers", np.abs(flow_kw) - limit_kw, limit_kw)
        net_kw[start] -= flow_kw
        net_kw[end] += flow_kw
        total.scale_kw = total.scale_kw + np.abs(flow_kw)
        total.prices[kind][trade["id"]] = price
        total.forgo(np.abs(price), limit_kw - np.sign(price) * flow_kw)
        total.rent_jpy += total.h * float(price @ flow_kw)
    return net_kw


def _needs(total: _Sum, balance_kw: dict[str, Array], change_kw: Mapping[str, Array]) -> None:
    """Check what needs are served, at which price, and take it out of the balances."""
    relief_kw = {
        (element["id"], sign): -sign * change_kw[element["id"]]
        for element in total.snapshot["elements"]
        for sign in (1, -1)
    }
    asked = set()
    for need in total.snapshot["local_needs"]:
        key = (need["element"], need["sign"])
        asked.add(key)
        price = total.relief(*key)
        relief_kw[key] = relief_kw[key] - _served(total, need, "LOCAL", price)
    for need in total.snapshot["balance_needs"]:
        sign = 1.0 if need["direction"] == "UP" else -1.0
        price = sign * total.prices["area"][need["area"]]
        balance_kw[need["area"]] -= sign * _served(total, need, "BALANCE", price)
    needed_kw = _asked_kw(total)
    for key in sorted(asked):
        price = total.relief(*key)
        is_needed = needed_kw[key] > 0
        left_kw = relief_kw[key][is_needed]
        total.ledger.excess("local needs", -left_kw, total.scale_kw[is_needed])
        total.ledger.residual("dual signs", price[~is_needed])
        total.ledger.forgone_jpy.append(total.h * float(price[is_needed] @ left_kw))


def _asked_kw(total: _Sum) -> dict[tuple[str, int], Array]:
    asked_kw = {
        (element["id"], sign): np.zeros(total.count)
        for element in total.snapshot["elements"]
        for sign in (1, -1)
    }
    for need in total.snapshot["local_needs"]:
        asked_kw[need["element"], need["sign"]] += np.asarray(need["need_kw"])
    return asked_kw


def _served(total: _Sum, need: Mapping[str, Any], kind: str, price: Array) -> Array:
    """Check one need's service and price; return what is served."""
    need_kw, cap = np.asarray(need["need_kw"]), np.asarray(need["cap_jpy_per_kwh"])
    served_kw = series(total.raw["served_kw"][kind], need["id"], total.count)
    total.ledger.excess("needs", -served_kw, need_kw)
    total.ledger.excess("needs", served_kw - need_kw, need_kw)
    margin = cap - price
    total.forgo(margin, np.where(margin > 0, need_kw, 0.0) - served_kw)
    total.value_jpy += total.h * float(cap @ served_kw)
    total.paid_jpy += total.h * float(price @ served_kw)
    total.scale_kw = total.scale_kw + served_kw
    total.prices["need"][f"{kind} {need['id']}"] = np.where(
        served_kw > 0, price, np.minimum(price, cap)
    )
    return served_kw


def _deviations(total: _Sum, balance_kw: dict[str, Array]) -> None:
    rules = total.snapshot["rules"]
    limit_kw, cost = rules["deviation_limit_kw"], rules["deviation_price_jpy_per_kwh"]
    for area in balance_kw:
        price = total.prices["area"][area]
        for name, sign in (("excess_kw", 1.0), ("shortage_kw", -1.0)):
            found_kw = series(total.raw[name], area, total.count)
            total.ledger.excess("deviations", -found_kw, limit_kw)
            total.ledger.excess("deviations", found_kw - limit_kw, limit_kw)
            gain = -(cost + sign * price)
            total.forgo(gain, np.where(gain > 0, limit_kw, 0.0) - found_kw)
            balance_kw[area] -= sign * found_kw
            total.paid_jpy += total.h * float(sign * price @ found_kw)
            total.deviation_cost_jpy += total.h * cost * float(found_kw.sum())


def _headroom(total: _Sum, change_kw: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Check that no flow moves past its rating, or further past it, where nobody asked for it."""
    asked_kw, headroom_kw = _asked_kw(total), {}
    for element in total.snapshot["elements"]:
        name, rating_kw = element["id"], element["rating_kw"]
        base_kw = np.asarray(element["base_flow_kw"])
        rooms = []
        for sign, family in ((1, "rent_up_jpy_per_kwh"), (-1, "rent_down_jpy_per_kwh")):
            room_kw = np.maximum(rating_kw - sign * base_kw, 0.0)
            room_kw = np.maximum(room_kw, asked_kw[name, -sign])
            left_kw = room_kw - sign * change_kw[name]
            rent = total.dual(family, name)
            total.ledger.excess("headroom", -left_kw, np.maximum(room_kw, total.scale_kw))
            total.forgo(rent, left_kw)
            total.rent_jpy += total.h * float(rent @ room_kw)
            rooms.append(room_kw)
        headroom_kw[name] = (rooms[0], rooms[1])
    return headroom_kw


def _limits(total: _Sum, market: Market, audits: Iterable[BidAudit]) -> None:
    """Check that nothing is sold twice and no path is overfilled."""
    zero = np.zeros(total.count)
    used: dict[str, dict[str, Array]] = {"up_kw": {}, "down_kw": {}, "carried_gb": {}}
    for audit in audits:
        for kind, sums in used.items():
            for name, amount in getattr(audit, kind).items():
                sums[name] = sums.get(name, zero) + amount
    for kind, entities, limit, family in (
        ("up_kw", market.resources, "limit_up_kw", "sold_up_jpy_per_kwh"),
        ("down_kw", market.resources, "limit_down_kw", "sold_down_jpy_per_kwh"),
        ("carried_gb", market.paths, "capacity_gb", "path_jpy_per_gb"),
    ):
        for name, entity in entities.items():
            limits = np.asarray(entity[limit])
            left = limits - used[kind].get(name, zero)
            price = total.dual(family, name)
            total.ledger.excess("resources and paths", -left, limits)
            hours = 1.0 if kind == "carried_gb" else total.h
            total.ledger.forgone_jpy.append(hours * float(price @ left))
