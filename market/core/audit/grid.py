"""Flows and prices on the grid, from a fresh factorisation of the bus susceptances.

Flows come from bus angles. Prices at buses come from the transposed problem: the flow on an
element per kW injected anywhere, for those elements alone whose flow is worth something. Both are
right-hand sides of one solution per island; no inverse is formed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.core.audit.block import IntArray, Market
from market.core.audit.ledger import Array


@dataclass(frozen=True)
class Response:
    """How elements react: axes Q = elements, N = buses, S = situations (a half hour each)."""

    flow_change_kw: Array
    """(Q, S)."""
    kw_per_kw: Array
    """Flow per kW injected at each bus, (Q, N); zero rows where it was not asked for."""


@dataclass(frozen=True)
class Grid:
    """The grid of one snapshot; axes N = buses, P = places, Q = elements, K = links, A = areas."""

    market: Market
    area_ids: list[str]
    bus_area: IntArray
    """(N,)."""
    place_bus: IntArray
    """(P,)."""
    sent_ratio: Array
    """kW at the sending end per kW at the receiving end, (P,)."""
    link_from: IntArray
    link_to: IntArray
    element_start: IntArray
    """Bus at the start of each element, −1 where sensitivities are published instead, (Q,)."""
    element_end: IntArray
    element_susceptance: Array
    published_kw_per_kw: Array
    """(Q, P), zero for branches."""
    matrix: Array
    """Susceptances, (N, N)."""
    islands: list[IntArray]
    slack_share_ratio: Array
    """Sums to one over each island, (N,)."""

    @property
    def place_area(self) -> IntArray:
        """Return the area of each place, (P,)."""
        return self.bus_area[self.place_bus]

    def respond(self, sent_kw: Array, link_kw: Array, asked: NDArray[np.bool_]) -> Response:
        """Return changes of flow, and the sensitivities of the elements asked for.

        Parameters
        ----------
        sent_kw
            Change of injection of each place at the sending end, (P, S).
        link_kw
            Flow on each link, from its ``from`` to its ``to`` bus, (K, S).
        asked
            Elements whose sensitivities are wanted, (Q,).
        """
        injected_kw = np.zeros((len(self.bus_area), sent_kw.shape[1]))
        np.add.at(injected_kw, self.place_bus, sent_kw)
        np.add.at(injected_kw, self.link_from, -link_kw)
        np.add.at(injected_kw, self.link_to, link_kw)
        is_branch = self.element_start >= 0
        rows = np.flatnonzero(asked & is_branch)
        pulled = np.zeros((len(self.bus_area), len(rows)))
        column = np.arange(len(rows))
        np.add.at(pulled, (self.element_start[rows], column), self.element_susceptance[rows])
        np.add.at(pulled, (self.element_end[rows], column), -self.element_susceptance[rows])
        angle, carried = self._solved(injected_kw, pulled)
        kw_per_kw = np.zeros((len(is_branch), len(self.bus_area)))
        kw_per_kw[rows] = carried.T
        difference = angle[self.element_start] - angle[self.element_end]
        by_angle = self.element_susceptance[:, None] * difference
        return Response(
            flow_change_kw=np.where(
                is_branch[:, None], by_angle, self.published_kw_per_kw @ sent_kw
            ),
            kw_per_kw=kw_per_kw,
        )

    def _solved(self, injected_kw: Array, pulled: Array) -> tuple[Array, Array]:
        """Return bus angles, and flows per kW at each bus with the slack taken off."""
        angle, carried = np.zeros_like(injected_kw), np.zeros_like(pulled)
        for members in self.islands:
            share = self.slack_share_ratio[members][:, None]
            balanced = injected_kw[members] - share * injected_kw[members].sum(axis=0)
            free = members[:-1]
            if len(free):
                right = np.concatenate([balanced[:-1], pulled[free]], axis=1)
                found = np.linalg.solve(self.matrix[np.ix_(free, free)], right)
                angle[free] = found[:, : angle.shape[1]]
                carried[free] = found[:, angle.shape[1] :]
            carried[members] -= (share * carried[members]).sum(axis=0)
        return angle, carried

    def place_sensitivity(self, response: Response) -> Array:
        """Return kW of flow per kW sent from each place, (Q, P)."""
        return np.asarray(response.kw_per_kw[:, self.place_bus] + self.published_kw_per_kw)

    def bus_price_jpy_per_kwh(self, response: Response, area_price: Array, worth: Array) -> Array:
        """Return the value of one kWh injected at each bus, (N, T).

        Parameters
        ----------
        area_price
            (A, T).
        worth
            What one kWh of flow costs on each element, (Q, T).
        """
        return np.asarray(area_price[self.bus_area] - response.kw_per_kw.T @ worth)

    def place_price_jpy_per_kwh(self, bus_price: Array, worth: Array) -> Array:
        """Return the value of one kWh of UP at the receiving end of each place, (P, T)."""
        sent = bus_price[self.place_bus] - self.published_kw_per_kw.T @ worth
        return np.asarray(self.sent_ratio[:, None] * sent)


def grid_of(market: Market) -> Grid:
    """Read the grid of a snapshot anew."""
    snapshot = market.snapshot
    network = snapshot["network"]
    buses, places, links = network["buses"], list(market.places.values()), network["links"]
    bus = {item["id"]: number for number, item in enumerate(buses)}
    area_ids = sorted({item["area"] for item in buses})
    ends, matrix = _susceptances(network, bus)
    elements = snapshot["elements"]
    found = [ends.get(element.get("branch"), (-1, -1, 0.0)) for element in elements]
    place = {name: number for number, name in enumerate(market.places)}
    published = np.zeros((len(elements), len(places)))
    for row, element in enumerate(elements):
        for name, kw_per_kw in element.get("sensitivity", {}).items():
            published[row, place[name]] = kw_per_kw
    islands = [
        np.array([number for number, item in enumerate(buses) if item["island"] == island])
        for island in sorted({item["island"] for item in buses})
    ]
    share = np.array([item["slack_share_ratio"] for item in buses], dtype=np.float64)
    for members in islands:
        share[members] = share[members] / share[members].sum()
    return Grid(
        market=market,
        area_ids=area_ids,
        bus_area=_integers(area_ids.index(item["area"]) for item in buses),
        place_bus=_integers(bus[item["bus"]] for item in places),
        sent_ratio=np.array([1.0 / (1.0 - item["loss_ratio"]) for item in places]),
        link_from=_integers(bus[link["from"]] for link in links),
        link_to=_integers(bus[link["to"]] for link in links),
        element_start=_integers(start for start, _, _ in found),
        element_end=_integers(end for _, end, _ in found),
        element_susceptance=np.array([weight for _, _, weight in found], dtype=np.float64),
        published_kw_per_kw=published,
        matrix=matrix,
        islands=islands,
        slack_share_ratio=share,
    )


def _susceptances(
    network: Mapping[str, Any], bus: Mapping[str, int]
) -> tuple[dict[Any, tuple[int, int, float]], Array]:
    """Return from bus, to bus and susceptance of each branch, and the matrix of all."""
    matrix = np.zeros((len(bus), len(bus)))
    ends: dict[Any, tuple[int, int, float]] = {}
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
    return ends, matrix


def _integers(values: Iterable[int]) -> IntArray:
    return np.array(list(values), dtype=np.int64)
