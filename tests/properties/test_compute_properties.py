"""Random compute markets, cleared whole: the optimum of an LP written apart, and fair money."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.books import RULES, Result, bus, path, place, resource

PLACES = ("A", "B", "C")
LABELS = ("country:JP", "private")
ENDS = ("AB", "BA", "AC", "BC", "AB")
COUNT = 2
H = 0.5

Items = dict[str, dict[str, Any]]


def _some(dice: Any, share: float) -> list[str]:
    return [label for label in LABELS if dice.random() < share]


def _kw(dice: Any, high: int) -> list[float]:
    return [float(value) for value in dice.integers(0, high, COUNT) * 1.3]


def _bids(dice: Any, sites: list[str]) -> list[dict[str, Any]]:
    window = {"first_t": 0, "last_t": COUNT - 1}
    return (
        [
            {
                "id": f"power-{name}",
                "form": "STEPS",
                "resource": f"plant-{name}",
                "direction": "UP",
                "curves": [
                    window
                    | {
                        "steps": [
                            {"quantity_kw": 50.0, "ask_jpy_per_kwh": float(dice.integers(-3, 15))},
                            {"quantity_kw": 50.0, "ask_jpy_per_kwh": float(dice.integers(15, 60))},
                        ]
                    }
                ],
            }
            for name in PLACES
        ]
        + [
            {
                "id": f"offer-{name}",
                "form": "COMPUTE_OFFER",
                "resource": name,
                "hardware": "GPU" if dice.random() < 0.7 else "CPU",
                "capacity_kw": _kw(dice, 70),
                "ask_jpy_per_kwh": float(dice.integers(0, 6)),
                "pue_ratio": 1.0 + float(dice.integers(0, 60)) / 100,
            }
            for name in sites
        ]
        + [
            {
                "id": f"request-{n}",
                "form": "COMPUTE_REQUEST",
                "place": PLACES[int(dice.integers(2))],
                **window,
                "quantity_kw": _kw(dice, 50),
                "value_jpy_per_kwh": float(dice.integers(5, 120)),
                "labels_required": _some(dice, 0.3),
                "gb_per_kwh": float(dice.integers(0, 4)),
                **({"hardware": "GPU"} if n % 2 else {"latency_max_ms": 5.0}),
            }
            for n in range(5)
        ]
    )


def _book(seed: int, payment: str = "pay_as_clear") -> dict[str, Any]:
    """Return three islands with power, machines, paths in one trunk, and requests."""
    dice = np.random.default_rng(seed)  # noqa: TID251 - seeded

    sites = [f"site-{n}" for n in range(4)]
    return {
        "schema": "wattbit-snapshot/2",
        "auction": "compute",
        "interval_h": H,
        "interval_count": COUNT,
        "rules": RULES | {"payment": payment},
        "network": {
            "convention": "reactance",
            "base_mva": 100.0,
            "buses": [bus(name, area=name, island=name, slack=1.0) for name in PLACES],
        },
        "places": [place(name, loss_ratio=0.02 * n) for n, name in enumerate(PLACES)],
        "labels": list(LABELS),
        "resources": [
            resource(
                name,
                PLACES[n % 3],
                60.0 + 20.0 * n,
                labels=_some(dice, 0.7),
                hardware=["CPU", "GPU"],
            )
            for n, name in enumerate(sites)
        ]
        + [resource(f"plant-{name}", name) for name in PLACES],
        "paths": [
            path(
                id=f"p{n}",
                from_place=ends[0],
                to_place=ends[1],
                capacity_gb=float(dice.integers(5, 60)),
                price_jpy_per_gb=float(dice.integers(0, 5)) / 2,
                latency_ms=float(dice.integers(1, 9)),
            )
            for n, ends in enumerate(ENDS)
        ],
        "trunks": [{"id": "trunk", "paths": ["p0", "p2"], "capacity_gb": 12.0}],
        "bids": _bids(dice, sites),
    }


def _by_id(items: list[dict[str, Any]]) -> Items:
    return {item["id"]: item for item in items}


def _welfare_jpy(book: dict[str, Any]) -> float:
    """Return the optimum of one half hour after the other, each a small LP of its own."""
    return sum(_welfare_at_jpy(book, t) for t in range(COUNT))


def _ways(
    requests: Items, offers: Items, resources: Items, paths: Items
) -> Iterator[tuple[str, str, str | None]]:
    """Yield every placement allowed as (request, offer, path)."""
    for (k, request), (s, offer) in itertools.product(requests.items(), offers.items()):
        site = resources[offer["resource"]]
        if not set(request["labels_required"]) <= set(site["labels"]):
            continue
        if request.get("hardware", offer["hardware"]) != offer["hardware"]:
            continue
        if site["place"] == request["place"]:
            yield k, s, None
            continue
        for name, way in paths.items():
            is_joined = (way["from_place"], way["to_place"]) == (request["place"], site["place"])
            if is_joined and way["latency_ms"] <= request.get("latency_max_ms", 1e9):
                yield k, s, name


def _welfare_at_jpy(book: dict[str, Any], t: int) -> float:
    resources, paths = _by_id(book["resources"]), _by_id(book["paths"])
    bids = _by_id(book["bids"])
    offers = {name: bid for name, bid in bids.items() if bid["form"] == "COMPUTE_OFFER"}
    requests = {name: bid for name, bid in bids.items() if bid["form"] == "COMPUTE_REQUEST"}
    ways = list(_ways(requests, offers, resources, paths))
    power = [(name, step) for name in PLACES for step in (0, 1)]
    cost = []
    for k, s, p in ways:
        tariff = 0.0 if p is None else requests[k]["gb_per_kwh"] * paths[p]["price_jpy_per_gb"]
        cost.append(H * (offers[s]["ask_jpy_per_kwh"] + tariff - requests[k]["value_jpy_per_kwh"]))
    step_of = {
        (name, step): bids[f"power-{name}"]["curves"][0]["steps"][step] for name, step in power
    }
    cost += [H * step_of[key]["ask_jpy_per_kwh"] for key in power]
    sums: list[tuple[list[float], float]] = []

    def limit(of_way: list[float], most: float) -> None:
        sums.append((of_way + [0.0] * len(power), most))

    for k, request in requests.items():
        limit([float(way[0] == k) for way in ways], request["quantity_kw"][t])
    for s, offer in offers.items():
        limit([float(way[1] == s) for way in ways], offer["capacity_kw"][t])
        site = resources[offer["resource"]]
        limit([offer["pue_ratio"] * (way[1] == s) for way in ways], site["limit_down_kw"])
    for group, most in [((p,), way["capacity_gb"]) for p, way in paths.items()] + [
        (("p0", "p2"), 12.0)
    ]:
        limit([H * requests[k]["gb_per_kwh"] * (p in group) for k, _, p in ways], most)
    balance = [
        [
            -offers[s]["pue_ratio"] * (resources[offers[s]["resource"]]["place"] == name)
            for _, s, _ in ways
        ]
        + [float(key[0] == name) for key in power]
        for name in PLACES
    ]
    found = linprog(
        cost,
        A_ub=[row for row, _ in sums],
        b_ub=[most for _, most in sums],
        A_eq=balance,
        b_eq=[0.0] * len(PLACES),
        bounds=[(0, None)] * len(ways) + [(0, step_of[key]["quantity_kw"]) for key in power],
    )
    assert found.status == 0
    return -float(found.fun)


@pytest.mark.parametrize("seed", range(6))
def test_the_compute_market_is_cleared_to_the_optimum(seed: int) -> None:
    book = _book(seed)
    result = Result(book)
    assert result.json["objective_jpy"] == pytest.approx(_welfare_jpy(book), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("payment", ["pay_as_clear", "pay_as_bid"])
@pytest.mark.parametrize("seed", range(6, 10))
def test_no_request_pays_above_its_value_and_no_offer_runs_at_a_loss(
    seed: int, payment: str
) -> None:
    book = _book(seed, payment)
    result = Result(book)
    bids = _by_id(book["bids"])
    assert any(any(item["served_kw"]) for item in result.json["requests"])
    for item in result.json["requests"]:
        worth_jpy = H * bids[item["id"]]["value_jpy_per_kwh"] * sum(item["served_kw"])
        assert item["paid_jpy"] <= worth_jpy + 1e-6
    for offer in result.json["compute"]:
        sold = [award for award in result.json["awards"] if award["bid"] == offer["id"]]
        power_jpy = sum(
            H * float(np.dot(award["quantity_kw"], award["price_jpy_per_kwh"])) for award in sold
        )
        asked_jpy = sum(award["cost_jpy"] for award in sold)
        assert offer["receipt_jpy"] >= power_jpy + asked_jpy - 1e-3


def test_a_useless_extra_offer_changes_nothing() -> None:
    book = _book(3)
    before = Result(book).json
    extra = {
        "id": "offer-zzz",
        "form": "COMPUTE_OFFER",
        "resource": "site-0",
        "hardware": "GPU",
        "capacity_kw": 50.0,
        "ask_jpy_per_kwh": 1000.0,
        "pue_ratio": 1.0,
    }
    after = Result(book | {"bids": [*book["bids"], extra]}).json
    assert after["requests"] == before["requests"]
    assert after["areas"] == before["areas"]
    assert after["awards"] == before["awards"]


def test_the_order_of_the_book_changes_no_byte() -> None:
    book = _book(5)
    turned = {
        name: list(reversed(value)) if isinstance(value, list) else value
        for name, value in book.items()
    }
    assert Result(turned).content == Result(book).content
