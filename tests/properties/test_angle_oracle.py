"""The engine against a formulation written apart from it: bus angles instead of sensitivities.

Everything is read from the canonical JSON; flows come from one angle per bus and half hour, the
imbalance of an island is taken up by its slack buses as explicit variables.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import coo_array

from market.core.clearing import clear
from market.core.snapshot import snapshot_from_json
from tests.mixed_books import market

SIGNS = {"UP": 1.0, "DOWN": -1.0}
KEPT_FORMS = {"STEPS", "STORAGE", "RENEWABLE"}


class Lp:
    """A linear problem written down term by term; minimises."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.bounds: list[tuple[float, float]] = []
        self.rows: dict[str, list[tuple[dict[int, float], float]]] = {"eq": [], "ub": []}

    def column(self, low: float, high: float, cost: float = 0.0) -> int:
        """Return a new column."""
        self.cost.append(cost)
        self.bounds.append((low, high))
        return len(self.cost) - 1

    def row(self, kind: str, terms: dict[int, float], rhs: float) -> None:
        """Add Σ terms = rhs (eq) or ≤ rhs (ub)."""
        self.rows[kind].append((terms, rhs))

    def least(self) -> float:
        """Return the optimum."""
        parts: dict[str, Any] = {}
        for kind, rows in self.rows.items():
            if rows:
                triples = [(n, c, v) for n, (terms, _) in enumerate(rows) for c, v in terms.items()]
                row, column, value = zip(*triples, strict=True)
                shape = (len(rows), len(self.cost))
                parts[f"A_{kind}"] = coo_array((value, (row, column)), shape=shape).tocsr()
                parts[f"b_{kind}"] = np.array([rhs for _, rhs in rows])
        found = linprog(self.cost, bounds=self.bounds, method="highs", **parts)
        assert found.status == 0, found.message
        return float(found.fun)


class Oracle:
    """The clearing problem of one document, in angles."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.it, self.lp = document, Lp()
        self.h, self.count = document["interval_h"], document["interval_count"]
        self.place = {place["id"]: place for place in document["places"]}
        self.resource = {item["id"]: item for item in document["resources"]}
        # terms of the injection sent from each place, and sold of each resource, per half hour
        self.sent: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
        self.sold: dict[tuple[str, str, int], dict[int, float]] = defaultdict(dict)
        self.area: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
        self.relief: dict[tuple[str, int, int], dict[int, float]] = defaultdict(dict)
        self.asked: dict[tuple[str, int, int], float] = defaultdict(float)

    def value_jpy(self) -> float:
        """Return the most that needs served are worth above what bids cost."""
        for bid in self.it["bids"]:
            getattr(self, f"_{bid['form'].lower()}")(bid)
        self._needs()
        self._network()
        for (name, direction, t), terms in self.sold.items():
            limit = self.resource[name][f"limit_{direction.lower()}_kw"][t]
            self.lp.row("ub", terms, limit)
        return -self.lp.least()

    def _act(self, resource: str, direction: str, t: int, column: int) -> None:
        place = self.resource[resource]["place"]
        ratio = 1.0 / (1.0 - self.place[place]["loss_ratio"])
        self.sent[place, t][column] = SIGNS[direction] * ratio
        self.sold[resource, direction, t][column] = 1.0

    def _steps(self, bid: dict[str, Any]) -> None:
        for curve in bid["curves"]:
            for t in range(curve["first_t"], curve["last_t"] + 1):
                for step in curve["steps"]:
                    ask_jpy = self.h * step["ask_jpy_per_kwh"]
                    column = self.lp.column(0.0, step["quantity_kw"], ask_jpy)
                    self._act(bid["resource"], bid["direction"], t, column)

    def _renewable(self, bid: dict[str, Any]) -> None:
        for n, t in enumerate(range(bid["first_t"], bid["last_t"] + 1)):
            scheduled, available = bid["scheduled_kw"][n], bid["available_kw"][n]
            down = self.lp.column(0.0, scheduled, self.h * bid["curtail_jpy_per_kwh"])
            self._act(bid["resource"], "DOWN", t, down)
            more = max(0.0, available - scheduled)
            up = self.lp.column(0.0, more, self.h * bid["release_jpy_per_kwh"])
            self._act(bid["resource"], "UP", t, up)

    def _storage(self, bid: dict[str, Any]) -> None:
        keep = (1.0 - bid["standing_loss_ratio"]) ** self.h
        before, drawn = None, {}
        for t in range(bid["first_t"], bid["last_t"] + 1):
            charge = self.lp.column(0.0, bid["charge_limit_kw"])
            wear_jpy = self.h * bid["wear_jpy_per_kwh"]
            discharge = self.lp.column(0.0, bid["discharge_limit_kw"], wear_jpy)
            is_last = t == bid["last_t"]
            floor = max(bid["reserve_kwh"], bid["end_min_kwh"] if is_last else 0.0)
            floor = min(floor, bid["start_kwh"] * keep ** (t - bid["first_t"] + 1))
            energy = self.lp.column(floor, bid["energy_limit_kwh"])
            out = self.h / bid["discharge_efficiency_ratio"]
            terms = {energy: 1.0, charge: -self.h * bid["charge_efficiency_ratio"], discharge: out}
            if before is not None:
                terms[before] = -keep
            self.lp.row("eq", terms, keep * bid["start_kwh"] if before is None else 0.0)
            self._act(bid["resource"], "DOWN", t, charge)
            self._act(bid["resource"], "UP", t, discharge)
            drawn[discharge], before = out, energy
        if bid["cycles_max"] is not None:
            self.lp.row("ub", drawn, bid["cycles_max"] * bid["energy_limit_kwh"])

    def _needs(self) -> None:
        def served(need: dict[str, Any], t: int) -> list[int]:
            return [
                self.lp.column(0.0, step["need_kw"][t], -self.h * step["cap_jpy_per_kwh"][t])
                for step in need["steps"]
            ]

        for t in range(self.count):
            for need in self.it["balance_needs"]:
                for column in served(need, t):
                    self.area[need["area"], t][column] = -SIGNS[need["direction"]]
            for need in self.it["place_needs"]:
                ratio = 1.0 / (1.0 - self.place[need["place"]]["loss_ratio"])
                for column in served(need, t):
                    self.sent[need["place"], t][column] = -ratio
            for need in self.it["local_needs"]:
                key = (need["element"], need["sign"], t)
                self.asked[key] += sum(step["need_kw"][t] for step in need["steps"])
                for column in served(need, t):
                    self.relief[key][column] = 1.0

    def _network(self) -> None:
        network, rules = self.it["network"], self.it["rules"]
        area_of = {bus["id"]: bus["area"] for bus in network["buses"]}
        for t in range(self.count):
            injected: dict[str, dict[int, float]] = {bus["id"]: {} for bus in network["buses"]}
            for name, place in self.place.items():
                for column, value in self.sent[name, t].items():
                    injected[place["bus"]][column] = value
                    self.area[area_of[place["bus"]], t][column] = value
            for link in network["links"]:
                column = self.lp.column(-link["limit_kw"][t], link["limit_kw"][t])
                for end, sign in (("from", -1.0), ("to", 1.0)):
                    injected[link[end]][column] = sign
                    self.area[area_of[link[end]], t][column] = sign
            for transfer in self.it["transfers"]:
                column = self.lp.column(-transfer["limit_kw"][t], transfer["limit_kw"][t])
                self.area[transfer["from_area"], t][column] = -1.0
                self.area[transfer["to_area"], t][column] = 1.0
            limit, price = rules["deviation_limit_kw"], rules["deviation_price_jpy_per_kwh"]
            for area in set(area_of.values()):
                for sign in (-1.0, 1.0):
                    self.area[area, t][self.lp.column(0.0, limit, self.h * price)] = sign
                self.lp.row("eq", self.area[area, t], 0.0)
            self._flows(t, injected)

    def _flows(self, t: int, injected: dict[str, dict[int, float]]) -> None:
        network = self.it["network"]
        angle = {bus["id"]: self.lp.column(-1e9, 1e9) for bus in network["buses"]}
        flow: dict[str, dict[int, float]] = {}
        out: dict[str, dict[int, float]] = {
            bus["id"]: defaultdict(float) for bus in network["buses"]
        }
        for branch in network["branches"]:
            x, r = branch["reactance_pu"], branch["resistance_pu"]
            b = 1.0 / x if network["convention"] == "reactance" else x / (x * x + r * r)
            b /= branch["tap_ratio"]
            terms = {angle[branch["from"]]: b, angle[branch["to"]]: -b}
            flow[branch["id"]] = terms
            for end, sign in (("from", 1.0), ("to", -1.0)):
                for column, value in terms.items():
                    out[branch[end]][column] += sign * value
        islands: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for bus in network["buses"]:
            islands[bus["island"]].append(bus)
        for buses in islands.values():
            taken = self.lp.column(-1e9, 1e9)  # the island's imbalance, spread over its slack
            total = sum(bus["slack_share_ratio"] for bus in buses)
            self.lp.row("eq", {angle[buses[0]["id"]]: 1.0}, 0.0)
            for bus in buses:
                terms = {c: -v for c, v in injected[bus["id"]].items()}
                for column, value in out[bus["id"]].items():
                    terms[column] = terms.get(column, 0.0) + value
                terms[taken] = bus["slack_share_ratio"] / total
                self.lp.row("eq", terms, 0.0)
        self._limits(t, flow)

    def _limits(self, t: int, flow: dict[str, dict[int, float]]) -> None:
        for element in self.it["elements"]:
            terms, name = flow[element["branch"]], element["id"]
            for sign in (1, -1):
                room = max(0.0, element["rating_kw"] - sign * element["base_flow_kw"][t])
                room = max(room, self.asked[name, -sign, t])
                self.lp.row("ub", {c: sign * v for c, v in terms.items()}, room)
                if self.asked[name, sign, t] > 0:
                    both = {c: sign * v for c, v in terms.items()} | self.relief[name, sign, t]
                    self.lp.row("ub", both, 0.0)
                else:
                    for column in self.relief[name, sign, t]:
                        self.lp.row("eq", {column: 1.0}, 0.0)


@pytest.mark.parametrize("seed", range(12))
def test_bus_angles_find_the_same_value(seed: int) -> None:
    document = market(seed)
    document["bids"] = [bid for bid in document["bids"] if bid["form"] in KEPT_FORMS]
    for bid in document["bids"]:
        if bid["form"] == "STORAGE":
            bid["wear_jpy_per_kwh"] = 60.0  # burning energy never pays: no integers
    document |= {"envelopes": [], "capacity_needs": [], "products": [], "trunks": []}
    document["rules"] |= {"reference_cap_jpy_per_kwh": None}
    snapshot = snapshot_from_json(document)
    found = clear(snapshot)
    assert not found.is_held.any()
    expected = Oracle(json.loads(snapshot.canonical)).value_jpy()
    assert found.objective_jpy == pytest.approx(expected, rel=1e-9, abs=1e-6)
