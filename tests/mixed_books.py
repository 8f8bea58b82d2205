"""Whole markets by seed: every bid form and every kind of need on a ring of four places."""

from __future__ import annotations

import random
from typing import Any

from tests.books import book, branch, bus, path, place, resource, shift, steps, store

T = 4
PLACES = "ABCD"
RESOURCES = "abcd"


class Draw:
    """One market, drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - markets, not secrets

    def kw(self, most: int = 300) -> float:
        """Return a power in tenths of a kW."""
        return self.dice.randint(0, 10 * most) / 10

    def kws(self, count: int = T, most: int = 300) -> list[float]:
        """Return a series of powers."""
        return [self.kw(most) for _ in range(count)]

    def ask(self, low: int = -10, high: int = 60) -> float:
        """Return a price in sen."""
        return self.dice.randint(100 * low, 100 * high) / 100

    def one(self, *of: Any) -> Any:
        """Return one of several."""
        return self.dice.choice(of)

    def either(self) -> bool:
        """Return true or false."""
        return self.dice.randrange(2) == 0

    def window(self) -> tuple[int, int]:
        """Return a window."""
        first = self.dice.randrange(T)
        return first, self.dice.randrange(first, T)

    def curve(self) -> list[dict[str, Any]]:
        """Return one step curve."""
        first, last = self.window()
        prices = sorted(self.ask() for _ in range(self.dice.randint(1, 3)))
        rows = [{"quantity_kw": self.kw(), "ask_jpy_per_kwh": price} for price in prices]
        return [{"first_t": first, "last_t": last, "steps": rows}]

    def steps(self) -> dict[str, Any]:
        """Return a step bid."""
        bid = steps("", self.one(*RESOURCES), self.one("UP", "DOWN"), (0, 0))
        return bid | {"curves": self.curve()}

    def storage(self) -> dict[str, Any]:
        """Return a store; some are so cheap that burning energy pays at negative prices."""
        limit_kwh = float(self.dice.randint(10, 200))
        start_kwh = limit_kwh * self.one(0.0, 0.5, 1.0)
        return store(
            "",
            self.one(*RESOURCES),
            T - 1,
            kind=self.one("BATTERY", "UPS", "THERMAL", "HYDROGEN"),
            energy_limit_kwh=limit_kwh,
            start_kwh=start_kwh,
            end_min_kwh=start_kwh * self.one(0.0, 0.9),
            reserve_kwh=start_kwh * self.one(0.0, 0.3),
            charge_limit_kw=self.kw(),
            discharge_limit_kw=self.kw(),
            charge_efficiency_ratio=self.one(0.9, 1.0),
            discharge_efficiency_ratio=self.one(0.9, 1.0),
            standing_loss_ratio=self.one(0.0, 0.01),
            wear_jpy_per_kwh=self.one(0.0, 1.5, 3.0),
            cycles_max=self.one(None, 0.5),
        )

    def shift(self) -> dict[str, Any]:
        """Return work that may move from a to b, or to c over the same trunk."""
        ends = [{"resource": "b", "path": "ab", "ratio": self.one(0.9, 1.0, 1.2)}]
        if self.either():
            ends.append({"resource": "c", "path": "ac", "ratio": 1.1})
        first, last = self.window()
        return shift(
            "",
            destinations=ends,
            offers=[
                {
                    "first_t": first,
                    "last_t": last,
                    "quantity_kw": self.kw(),
                    "ask_jpy_per_kwh": self.ask(0, 20),
                }
            ],
            change_cost_jpy_per_kw=self.one(0.0, 1.5),
            gb_per_kw=self.one(0.0, 2.0),
            gb_per_kwh=self.one(0.0, 1.0),
            labels_required=self.one([], ["home"]),
        )

    def block(self) -> dict[str, Any]:
        """Return a block over a few half hours, whole or in runs."""
        first, last = self.window()
        length = last - first + 1
        return {
            "form": "BLOCK",
            "resource": self.one(*RESOURCES),
            "direction": self.one("UP", "DOWN"),
            "first_t": first,
            "quantity_kw": [max(0.1, kw) for kw in self.kws(length, 200)],
            "ask_jpy_per_kwh": self.ask(),
            "acceptance_min_ratio": self.one(1.0, 0.5, 0.0),
            "start_cost_jpy": self.one(0.0, 500.0),
            "run_min_count": self.one(None, None, self.dice.randint(1, length)),
            "exclusive_group": self.one(None, None, "either"),
        }

    def deferral(self) -> dict[str, Any]:
        """Return work that may wait."""
        first, last = self.window()
        arriving = self.kws(last - first + 1, 200)
        return {
            "form": "DEFERRAL",
            "resource": self.one(*RESOURCES),
            "first_t": first,
            "last_t": last,
            "arriving_kw": arriving,
            "slack_count": self.dice.randint(1, 3),
            "service_limit_kw": [kw + 100.0 for kw in arriving],
            "rebound_limit_kw": self.kw(),
            "extra_work_ratio": self.one(0.0, 0.05),
            "ask_jpy_per_kwh": self.ask(0, 20),
        }

    def renewable(self) -> dict[str, Any]:
        """Return a plant that may be curtailed or released."""
        first, last = self.window()
        return {
            "form": "RENEWABLE",
            "resource": self.one(*RESOURCES),
            "first_t": first,
            "last_t": last,
            "available_kw": self.kws(last - first + 1),
            "scheduled_kw": self.kws(last - first + 1),
            "curtail_jpy_per_kwh": self.ask(0, 12),
            "release_jpy_per_kwh": self.one(0.0, 1.0),
        }

    def portfolio(self) -> dict[str, Any]:
        """Return a curve over several resources."""
        names = self.dice.sample(RESOURCES, 2)
        return {
            "form": "PORTFOLIO",
            "direction": self.one("UP", "DOWN"),
            "members": [{"resource": name, "limit_kw": self.kws()} for name in names],
            "curves": self.curve(),
        }

    def capacity(self) -> dict[str, Any]:
        """Return capacity held ready."""
        first, last = self.window()
        return {
            "form": "CAPACITY",
            "resource": self.one(*RESOURCES),
            "product": self.one("raise", "lower"),
            "offers": [
                {
                    "first_t": first,
                    "last_t": last,
                    "quantity_kw": self.kw(),
                    "ask_jpy_per_kw": self.ask(0, 5),
                }
            ],
            "v1_jpy_per_kwh": 20.0,
            "v2_jpy_per_kwh": 5.0,
        }

    def offer(self) -> dict[str, Any]:
        """Return machines on offer."""
        return {
            "form": "COMPUTE_OFFER",
            "resource": self.one("b", "c"),
            "hardware": "gpu",
            "capacity_kw": self.kws(most=150),
            "ask_jpy_per_kwh": self.ask(0, 10),
            "pue_ratio": self.one(1.1, 1.4),
        }

    def request(self) -> dict[str, Any]:
        """Return computing asked for at A, where it has to travel."""
        first, last = self.window()
        asked = [self.kw(150) if first <= t <= last else 0.0 for t in range(T)]
        return {
            "form": "COMPUTE_REQUEST",
            "place": self.one("A", "B"),
            "first_t": first,
            "last_t": last,
            "quantity_kw": asked,
            "value_jpy_per_kwh": self.ask(20, 200),
            "labels_required": self.one([], ["home"]),
            "hardware": "gpu",
            "latency_max_ms": 50.0,
            "gb_per_kwh": self.one(0.0, 1.0),
        }

    def bids(self) -> list[dict[str, Any]]:
        """Return up to a dozen bids of all forms, with a parent here and there."""
        makers = (
            [self.steps] * 4
            + [self.storage, self.storage, self.shift, self.block, self.block, self.deferral]
            + [self.renewable, self.portfolio, self.capacity, self.capacity, self.offer]
            + [self.request]
        )
        chosen = self.dice.sample(makers, self.dice.randint(0, len(makers)))
        bids = [make() | {"id": f"bid{n:02d}"} for n, make in enumerate(chosen)]
        for bid in bids:
            bid["owner"] = self.one("one", "two", "three")
        blocks = [bid for bid in bids if bid["form"] == "BLOCK"]
        if len(blocks) > 1 and self.either():
            same = {"owner": blocks[0]["owner"], "exclusive_group": None}
            blocks[0].update(same)
            blocks[1].update(same | {"parent": blocks[0]["id"]})
        return bids

    def needs(self) -> dict[str, list[dict[str, Any]]]:
        """Return needs of every kind."""

        def demand(top: float) -> dict[str, Any]:
            steps_ = [{"need_kw": self.kws(), "cap_jpy_per_kwh": top}]
            if self.either():
                steps_.append({"need_kw": self.kws(most=100), "cap_jpy_per_kwh": top / 2})
                return {"steps": steps_}
            return {"steps": steps_, "pricing": self.one("auction", "posted")}

        return {
            "local_needs": [
                {"id": "in", "element": "line", "sign": 1} | demand(90.0),
                {"id": "out", "element": "bc", "sign": -1} | demand(20.0),
            ],
            "balance_needs": [
                {"id": "up", "area": "03", "direction": "UP"} | demand(45.0),
                {"id": "down", "area": "02", "direction": "DOWN"} | demand(9.0),
            ],
            "place_needs": [{"id": "load", "place": "B"} | demand(30.0)],
            "capacity_needs": [
                {"id": "ready", "area": "03", "product": "raise"} | demand(12.0),
                {"id": "steady", "area": "02", "product": "lower"} | demand(8.0),
            ],
        }

    def market(self) -> dict[str, Any]:
        """Return a market: a ring of three places and an island of one behind a link."""
        document = book(
            T,
            network={
                "convention": self.one("series", "reactance"),
                "base_mva": 100.0,
                "buses": [
                    *(bus("A"), bus("B", slack=0.5), bus("C", area="02", slack=0.5)),
                    bus("D", area="01", island="60", slack=1.0),
                ],
                "branches": [
                    branch("line", "B", "A", 0.1),
                    branch("bc", "B", "C", 0.05),
                    branch("ac", "A", "C", 0.2),
                ],
                "links": [{"id": "hvdc", "from": "D", "to": "C", "limit_kw": self.kws(most=80)}],
            },
            elements=[
                {
                    "id": name,
                    "branch": name,
                    "rating_kw": 1000.0,
                    "base_flow_kw": [float(self.dice.randint(-1200, 1200)) for _ in range(T)],
                }
                for name in ("line", "bc")
            ],
            places=[place("A", 0.04), place("B"), place("C", 0.02), place("D")],
            resources=[
                resource(name, at, limit_kw, labels=labels, hardware=["gpu"])
                for name, at, limit_kw, labels in zip(
                    RESOURCES, PLACES, (400, 300, 500, 200), ([], ["home"], [], []), strict=True
                )
            ],
            paths=[
                path(price_jpy_per_gb=0.1, capacity_gb=self.one(100.0, 1e6), owner="fibre"),
                path() | {"id": "ac", "to_place": "C"},
            ],
            trunks=[{"id": "trunk", "paths": ["ab", "ac"], "capacity_gb": self.one(50.0, 1e6)}],
            transfers=[
                {"id": "tie", "from_area": "02", "to_area": "03", "limit_kw": self.kw()},
            ],
            products=[
                {"id": "raise", "direction": "UP", "sustained_h": self.one(0.5, 1.0)},
                {"id": "lower", "direction": "DOWN", "sustained_h": 0.5},
            ],
            envelopes=[
                {
                    "id": "envelope",
                    "place": self.one(*PLACES),
                    "kind": "ONLINE",
                    "owner": "one",
                    "max_import_kw": self.kws(),
                    "scheduled_import_kw": self.kws(),
                }
            ],
            bids=self.bids(),
            **self.needs(),
        )
        document["rules"] |= {
            "deviation_limit_kw": self.one(0.0, 30.0),
            "kwh_xor_dkw": self.either(),
            "fee_jpy_per_kwh": self.one(0.0, 0.3),
            "reference_cap_jpy_per_kwh": self.one(None, 25.0),
            "payment": self.one("pay_as_clear", "pay_as_clear", "pay_as_bid"),
            "label_costs": False,
        }
        return document


def market(seed: int) -> dict[str, Any]:
    """Return the market of a seed."""
    return Draw(seed).market()
