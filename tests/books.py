"""Small auctions for tests of the engine: whole documents, one line per thing that matters."""

from __future__ import annotations

import copy
import json
from typing import Any

from market.core.clearing import clear
from market.core.results import result_bytes
from market.core.snapshot import snapshot_from_json

RULES: dict[str, Any] = {
    "version": "test",
    "deviation_limit_kw": 0.0,
    "deviation_price_jpy_per_kwh": 200.0,
    "payment": "pay_as_clear",
    "price_tick_jpy_per_kwh": 0.01,
    "quantity_tick_kw": 0.1,
    "gap_max_ratio": 1e-9,
    "iteration_limit": 2_000_000,
}


def book(interval_count: int = 1, **parts: Any) -> dict[str, Any]:
    """Return a pocket A behind one line from the rest B, both in area 03, without any trade.

    A kW of UP at A takes a kW off the line; the slack is at B, so UP at B does nothing to it.
    """
    document = {
        "schema": "wattbit-snapshot/2",
        "auction": "test",
        "interval_h": 0.5,
        "interval_count": interval_count,
        "rules": copy.deepcopy(RULES),
        "network": {
            "convention": "reactance",
            "base_mva": 100.0,
            "buses": [bus("A"), bus("B", slack=1.0)],
            "branches": [branch("line", "B", "A")],
        },
        "elements": [{"id": "line", "branch": "line", "rating_kw": 1000.0, "base_flow_kw": 1200.0}],
        "places": [place("A"), place("B")],
        "resources": [resource("a", "A"), resource("b", "B")],
    }
    return document | parts


def bus(name: str, *, area: str = "03", island: str = "50", slack: float = 0.0) -> dict[str, Any]:
    """Return a bus."""
    return {"id": name, "area": area, "island": island, "slack_share_ratio": slack}


def branch(name: str, start: str, end: str, reactance_pu: float = 0.1) -> dict[str, Any]:
    """Return a branch without resistance."""
    return {
        "id": name,
        "from": start,
        "to": end,
        "resistance_pu": 0.0,
        "reactance_pu": reactance_pu,
        "rating_kw": 1000.0,
    }


def place(name: str, loss_ratio: float = 0.0) -> dict[str, Any]:
    """Return a place at the bus of the same name."""
    return {"id": name, "bus": name, "loss_ratio": loss_ratio}


def resource(name: str, at: str, limit_kw: float = 1000.0, **parts: Any) -> dict[str, Any]:
    """Return a resource with the same limit both ways."""
    return {"id": name, "place": at, "limit_up_kw": limit_kw, "limit_down_kw": limit_kw} | parts


def steps(
    name: str,
    at: str,
    direction: str,
    *pairs: tuple[float, float],
    window: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """Return a step bid of (kW, JPY/kWh) pairs over one window."""
    return {
        "id": name,
        "form": "STEPS",
        "resource": at,
        "direction": direction,
        "curves": [
            {
                "first_t": window[0],
                "last_t": window[1],
                "steps": [
                    {"quantity_kw": quantity_kw, "ask_jpy_per_kwh": ask}
                    for quantity_kw, ask in pairs
                ],
            }
        ],
    }


def store(name: str, at: str, last_t: int, **parts: Any) -> dict[str, Any]:
    """Return a lossless store of 100 kWh, empty, that must keep nothing."""
    return {
        "id": name,
        "form": "STORAGE",
        "resource": at,
        "first_t": 0,
        "last_t": last_t,
        "charge_limit_kw": 1000.0,
        "discharge_limit_kw": 1000.0,
        "energy_limit_kwh": 100.0,
        "reserve_kwh": 0.0,
        "start_kwh": 0.0,
        "end_min_kwh": 0.0,
        "charge_efficiency_ratio": 1.0,
        "discharge_efficiency_ratio": 1.0,
        "standing_loss_ratio": 0.0,
        "wear_jpy_per_kwh": 0.0,
        "cycles_max": None,
    } | parts


def shift(name: str, last_t: int = 0, **parts: Any) -> dict[str, Any]:
    """Return work of 100 kW that may move from resource a to resource b over path ab."""
    return {
        "id": name,
        "form": "SHIFT",
        "resource": "a",
        "destinations": [{"resource": "b", "path": "ab", "ratio": 1.0}],
        "offers": [{"first_t": 0, "last_t": last_t, "quantity_kw": 100.0, "ask_jpy_per_kwh": 5.0}],
        "change_cost_jpy_per_kw": 0.0,
        "gb_per_kw": 0.0,
        "gb_per_kwh": 0.0,
    } | parts


def path(**parts: Any) -> dict[str, Any]:
    """Return the path from A to B."""
    return {
        "id": "ab",
        "from_place": "A",
        "to_place": "B",
        "capacity_gb": 1e6,
        "price_jpy_per_gb": 0.0,
        "latency_ms": 5.0,
    } | parts


def local_need(need_kw: Any, cap: Any = 100.0, **parts: Any) -> dict[str, Any]:
    """Return a need to reduce the flow on the line towards the pocket."""
    return {
        "id": "local",
        "element": "line",
        "sign": 1,
        "need_kw": need_kw,
        "cap_jpy_per_kwh": cap,
    } | parts


def balance_need(
    need_kw: Any, direction: str = "UP", cap: Any = 100.0, **parts: Any
) -> dict[str, Any]:
    """Return a need of area 03."""
    return {
        "id": f"balance-{direction}",
        "area": "03",
        "direction": direction,
        "need_kw": need_kw,
        "cap_jpy_per_kwh": cap,
    } | parts


class Result:
    """A verified result, addressed by ids; the certificate has passed."""

    def __init__(self, document: dict[str, Any]) -> None:
        content = result_bytes(clear(snapshot_from_json(document)))
        self.content = content
        self.json: dict[str, Any] = json.loads(content)
        failed = [check for check in self.json["certificate"]["checks"] if not check["passed"]]
        assert failed == []

    def _one(self, kind: str, **where: str) -> dict[str, Any]:
        (found,) = [
            item
            for item in self.json[kind]
            if all(item[name] == value for name, value in where.items())
        ]
        return dict(found)

    def award_kw(self, bid: str, leg: str = "STEPS") -> list[float]:
        """Return what a leg of a bid was awarded; zeros if it was not."""
        if not any(item["bid"] == bid and item["leg"] == leg for item in self.json["awards"]):
            return [0.0] * len(self.json["areas"][0]["price_jpy_per_kwh"])
        return list(self._one("awards", bid=bid, leg=leg)["quantity_kw"])

    def award(self, bid: str, leg: str = "STEPS") -> dict[str, Any]:
        """Return an award."""
        return self._one("awards", bid=bid, leg=leg)

    def price(self, kind: str, name: str) -> list[float]:
        """Return the price series of a need, area or place."""
        return list(self._one(kind, id=name)["price_jpy_per_kwh"])

    def served_kw(self, need: str) -> list[float]:
        """Return what a need was served."""
        return list(self._one("needs", id=need)["served_kw"])

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return an entry of the result by its id."""
        return self._one(kind, id=name)

    @property
    def money(self) -> dict[str, float]:
        """Return the money flows."""
        return dict(self.json["money"])
