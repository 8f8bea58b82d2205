"""Flows and prices on the grid, from a fresh factorisation and without any sensitivity matrix.

Flows come from bus angles. Prices at buses come from the transposed problem: what a kW of flow on
each element is worth, carried back to the injections that cause it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core.audit.ledger import Array, by_id, series


@dataclass(frozen=True)
class Grid:
    """The grid of one snapshot, ready for flows and prices."""

    snapshot: Mapping[str, Any]
    bus: Mapping[str, int]
    area_of_bus: tuple[str, ...]
    place: Mapping[str, dict[str, Any]]
    transfer: Array
    """Angle of every bus per kW injected at every bus, slack included, (N, N)."""
    element_ends: Mapping[str, tuple[int, int, float]]
    """From bus, to bus and susceptance of each element that is a branch."""

    @property
    def count(self) -> int:
        """Return the number of half hours."""
        return int(self.snapshot["interval_count"])

    def sent_ratio(self, place: str) -> float:
        """Return kW at the sending end per kW at the receiving end."""
        return 1.0 / (1.0 - float(self.place[place]["loss_ratio"]))

    def area_of(self, place: str) -> str:
        """Return the area a place lies in."""
        return self.area_of_bus[self.bus[self.place[place]["bus"]]]

    def flow_change_kw(
        self, sent_kw: Mapping[str, Array], link_kw: Mapping[str, Any]
    ) -> dict[str, Array]:
        """Return the change of flow on each element.

        Parameters
        ----------
        sent_kw
            Change of injection of each place at the sending end.
        link_kw
            Flow on each link, from its ``from`` to its ``to`` bus.
        """
        injected_kw = np.zeros((len(self.bus), self.count))
        for place, change_kw in sent_kw.items():
            injected_kw[self.bus[self.place[place]["bus"]]] += change_kw
        for link in self.snapshot["network"]["links"]:
            carried_kw = series(link_kw, link["id"], self.count)
            injected_kw[self.bus[link["from"]]] -= carried_kw
            injected_kw[self.bus[link["to"]]] += carried_kw
        angle = self.transfer @ injected_kw
        changes = {}
        for element in self.snapshot["elements"]:
            if "branch" in element:
                start, end, susceptance = self.element_ends[element["id"]]
                changes[element["id"]] = susceptance * (angle[start] - angle[end])
            else:
                changes[element["id"]] = sum(
                    (
                        kw_per_kw * sent_kw[place]
                        for place, kw_per_kw in element["sensitivity"].items()
                    ),
                    start=np.zeros(self.count),
                )
        return changes

    def bus_price_jpy_per_kwh(
        self, area_price: Mapping[str, Any], worth: Mapping[str, Array]
    ) -> Array:
        """Return the value of one kWh injected at each bus, (N, T)."""
        pulled = np.zeros((len(self.bus), self.count))
        for element, (start, end, susceptance) in self.element_ends.items():
            pulled[start] += susceptance * worth[element]
            pulled[end] -= susceptance * worth[element]
        areas = np.array([series(area_price, area, self.count) for area in self.area_of_bus])
        return np.asarray(areas.reshape(-1, self.count) - self.transfer.T @ pulled)

    def place_price_jpy_per_kwh(
        self, bus_price: Array, worth: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the value of one kWh of UP at the receiving end of each place."""
        prices = {}
        for name, place in self.place.items():
            price = bus_price[self.bus[place["bus"]]].copy()
            for element in self.snapshot["elements"]:
                if name in element.get("sensitivity", {}):
                    price -= element["sensitivity"][name] * worth[element["id"]]
            prices[name] = price * self.sent_ratio(name)
        return prices


def grid_of(snapshot: Mapping[str, Any]) -> Grid:
    """Factorise the grid of a snapshot anew."""
    network = snapshot["network"]
    buses = network["buses"]
    bus = {item["id"]: number for number, item in enumerate(buses)}
    matrix = np.zeros((len(buses), len(buses)))
    ends = {}
    for branch in network["branches"]:
        x, r = branch["reactance_pu"], branch["resistance_pu"]
        susceptance = 1.0 / x if network["convention"] == "reactance" else x / (r * r + x * x)
        susceptance /= branch["tap_ratio"]
        start, end = bus[branch["from"]], bus[branch["to"]]
        ends[branch["id"]] = (start, end, susceptance)
        matrix[start, start] += susceptance
        matrix[end, end] += susceptance
        matrix[start, end] -= susceptance
        matrix[end, start] -= susceptance
    return Grid(
        snapshot=snapshot,
        bus=bus,
        area_of_bus=tuple(item["area"] for item in buses),
        place=by_id(snapshot["places"]),
        transfer=_transfer(matrix, buses),
        element_ends={
            element["id"]: ends[element["branch"]]
            for element in snapshot["elements"]
            if "branch" in element
        },
    )


def _transfer(matrix: Array, buses: list[dict[str, Any]]) -> Array:
    """Return bus angles per injection, each island's imbalance taken by its slack."""
    transfer = np.zeros_like(matrix)
    for island in sorted({item["island"] for item in buses}):
        members = np.array([n for n, item in enumerate(buses) if item["island"] == island])
        free = members[:-1]
        if len(free) == 0:
            continue
        share = np.array([buses[n]["slack_share_ratio"] for n in members])
        balanced = np.eye(len(members)) - np.outer(share / share.sum(), np.ones(len(members)))
        transfer[np.ix_(free, members)] = np.linalg.solve(matrix[np.ix_(free, free)], balanced[:-1])
    return transfer
