"""Two tables to the last figure: three buses with virtual links, two sites with a compute market.

Their inputs are the documented examples; each row of a table is one change to them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from market.core.certificate import verify_result
from market.core.clearing import clear
from market.core.errors import ResultUnverified
from market.core.results import result_bytes
from market.core.snapshot import snapshot_bytes, snapshot_from_json
from tests.books import Result

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PAIRS = ("1-2", "1-3", "2-1", "2-3", "3-1", "3-2")
LINES = {"1-2": ("1", "2"), "1-3": ("1", "3"), "2-3": ("2", "3")}


def _example(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text())
    return document


@pytest.mark.parametrize(
    ("name", "welfare_jpy"), [("three-buses", 3_000_000), ("two-sites", 2_720_000)]
)
def test_an_example_clears_as_it_stands(name: str, welfare_jpy: float) -> None:
    result = Result(_example(name))
    assert result.json["objective_jpy"] == pytest.approx(welfare_jpy, rel=1e-9)


def test_every_example_is_in_a_test() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == {"three-buses", "two-sites"}


def _three_buses(links: dict[str, float], ask: float) -> Result:
    """Clear the three buses with virtual links of so many MW, each at one price."""
    document = _example("three-buses")
    kept = [bid for bid in document["bids"] if bid["form"] != "SHIFT"]
    for bid in document["bids"]:
        pair = bid["id"].removeprefix("link-")
        if pair in links:
            offer = {"quantity_kw": 1000 * links[pair], "ask_jpy_per_kwh": ask}
            kept.append(bid | {"offers": [bid["offers"][0] | offer]})
    return Result(document | {"bids": kept})


ONE = ("1-2", "2-1")
# Welfare, prices, supply, served load, earnings and cost of the links, of the lines, load pays:
# all of these are unique. Which link carries what is not, where links cost nothing.
TABLE_A = [
    (1, {}, 3, 2920, (10, 30, 18), (42.5, 30, 50), (40, 42.5, 40), (0, 0), 170, 2395),
    (
        2,
        dict.fromkeys(ONE, 5),
        3,
        2980,
        (10, 20, 13),
        (47.5, 27.5, 50),
        (40, 45, 40),
        (50, 15),
        95,
        1820,
    ),
    (
        3,
        dict.fromkeys(ONE, 15),
        3,
        2997.5,
        (17, 20, 16.5),
        (50, 25, 50),
        (40, 45, 40),
        (22.5, 22.5),
        42.5,
        2240,
    ),
    (
        4,
        dict.fromkeys(PAIRS, 15),
        3,
        3000,
        (17, 20, 17),
        (50, 25, 50),
        (40, 45, 40),
        (30, 30),
        30,
        2260,
    ),
    (
        5,
        dict.fromkeys(PAIRS, 100),
        3,
        3000,
        (17, 20, 17),
        (50, 25, 50),
        (40, 45, 40),
        (30, 30),
        30,
        2260,
    ),
    (
        6,
        dict.fromkeys(PAIRS, 15),
        1,
        3030,
        (19, 20, 19),
        (50, 25, 50),
        (40, 45, 40),
        (20, 20),
        0,
        2420,
    ),
    (
        7,
        dict.fromkeys(PAIRS, 15),
        0,
        3050,
        (20, 20, 20),
        (50, 25, 50),
        (40, 45, 40),
        (0, 0),
        0,
        2500,
    ),
]


@pytest.mark.parametrize("row", TABLE_A, ids=lambda row: f"S{row[0]}")
def test_three_buses_with_virtual_links(row: tuple[Any, ...]) -> None:
    _, links, ask, welfare, lmp, supply, served, (earned, cost), lines, paid = row
    result = _three_buses(links, ask)
    # MW at JPY/kWh over an hour are thousands of yen.
    assert result.json["objective_jpy"] == pytest.approx(1000 * welfare, rel=1e-9)
    assert [result.price("places", name)[0] for name in "123"] == list(lmp)
    assert [result.award_kw(f"supply-{name}")[0] for name in "123"] == [1000 * kw for kw in supply]
    assert [result.served_kw(f"load-{name}")[0] for name in "123"] == [1000 * kw for kw in served]
    assert _links_jpy(result) == pytest.approx((1000 * earned, 1000 * cost))
    assert _lines_jpy(result) == pytest.approx(1000 * lines)
    assert result.money["buyers_jpy"] == pytest.approx(1000 * paid)
    # Load payment = generators + links + lines.
    generators = sum(
        result.award_kw(f"supply-{name}")[0] * price for name, price in zip("123", lmp, strict=True)
    )
    assert generators + 1000 * (earned + lines) == pytest.approx(1000 * paid)
    assert result.money["residual_jpy"] == 0.0


def _links_jpy(result: Result) -> tuple[float, float]:
    """Return what the virtual links earn and what they ask for."""
    sold = [award for award in result.json["awards"] if award["leg"].startswith("SHIFT")]
    sign = {"UP": 1.0, "DOWN": -1.0}
    return (
        sum(
            sign[award["direction"]] * award["quantity_kw"][0] * award["price_jpy_per_kwh"][0]
            for award in sold
        ),
        sum(award["cost_jpy"] for award in sold),
    )


def _lines_jpy(result: Result) -> float:
    """Return what the lines earn: flow times the difference of the prices at their ends."""
    return sum(
        result.get("elements", name)["after_kw"][0]
        * (result.price("places", end)[0] - result.price("places", start)[0])
        for name, (start, end) in LINES.items()
    )


def _two_sites(path_mw: float, label: str | None = None, **payment: str) -> Result:
    """Clear the two sites with a path for so many MW; the label binds the first request."""
    document = copy.deepcopy(_example("two-sites"))
    rules = dict.fromkeys(("CAPACITY", "COMPUTE", "ENERGY"), "pay_as_clear") | payment
    document["rules"]["payment"] = rules
    document["paths"][0]["capacity_gb"] = 1000 * path_mw
    (first,) = [bid for bid in document["bids"] if bid["id"] == "r1"]
    first["labels_required"] = [label] if label else []
    return Result(document)


def _compute_price(result: Result, offer: str) -> float:
    return float(result.get("compute", offer)["price_jpy_per_kwh"][0])


def _served_kw(result: Result, request: str) -> float:
    return float(result.get("requests", request)["served_kw"][0])


def _used_kw(result: Result) -> list[float]:
    return [result.get("compute", offer)["used_kw"][0] for offer in ("gpu-a", "gpu-b")]


def test_two_sites_share_the_work_up_to_the_full_machine() -> None:
    result = _two_sites(6.5)
    assert result.json["objective_jpy"] == pytest.approx(2_814_000, rel=1e-9)
    # Which of the two requests goes to B is not unique; that 6 MW do is.
    assert (_served_kw(result, "r1"), _served_kw(result, "r2")) == (10_000.0, 4_000.0)
    assert _used_kw(result) == [8_000.0, 6_000.0]
    assert result.price("areas", "A") == [20.0]
    assert result.price("areas", "B") == [10.0]
    # A: 2 + 1.5 × 20. B is worth what A costs, less the path: 32 − 1.
    assert (_compute_price(result, "gpu-a"), _compute_price(result, "gpu-b")) == (32.0, 31.0)
    # 31 − 2 − 1.2 × 10; A has machines to spare.
    assert result.get("compute", "gpu-b")["rent_jpy_per_kwh"] == [17.0]
    assert result.get("compute", "gpu-a")["rent_jpy_per_kwh"] == [0.0]
    for request in ("r1", "r2"):
        assert result.get("requests", request)["price_jpy_per_kwh"] == [32.0]
    # Users 14 MW × 32 = 448 = A (op 16 + energy 240) + B (12 + 72 + rent 102) + migration 6.
    assert sum(item["paid_jpy"] for item in result.json["requests"]) == pytest.approx(448_000)
    assert result.award("gpu-a", "COMPUTE")["quantity_kw"] == [12_000.0]
    assert result.award("gpu-b", "COMPUTE")["quantity_kw"] == [7_200.0]
    assert result.award("gpu-a", "COMPUTE")["cost_jpy"] == pytest.approx(16_000)
    assert result.award("gpu-b", "COMPUTE")["cost_jpy"] == pytest.approx(12_000)
    assert 12_000 * 20 == 240_000
    assert 7_200 * 10 == 72_000
    assert 6_000 * 17 == 102_000
    assert result.get("paths", "a-b")["used_gb"] == [6_000.0]
    assert result.money["residual_jpy"] == 0.0


def test_a_full_path_earns_the_difference_of_the_sites() -> None:
    result = _two_sites(2)
    assert result.json["objective_jpy"] == pytest.approx(2_722_000, rel=1e-9)
    # 9 MW at A are 13.5 MW of power, all that costs 20; the second request decides the price: 40.
    assert (_served_kw(result, "r1"), _served_kw(result, "r2")) == (10_000.0, 1_000.0)
    assert _used_kw(result) == [9_000.0, 2_000.0]
    assert result.price("areas", "A") == [25.333]  # (40 − 2) ÷ 1.5
    assert result.price("areas", "B") == [10.0]
    assert (_compute_price(result, "gpu-a"), _compute_price(result, "gpu-b")) == (40.0, 14.0)
    assert result.get("paths", "a-b")["rent_jpy_per_gb"] == [25.0]  # 40 − 14 − 1
    # 2 GB per hour and MW·10⁻³ at 26: the path's owner gets 2,000 GB × (25 + 1).
    assert result.money["path_jpy"] == pytest.approx(52_000)
    assert abs(result.money["residual_jpy"]) <= 13_500 * 0.0005


def test_without_a_path_all_work_stays_and_power_is_dear() -> None:
    result = _two_sites(0)
    assert result.json["objective_jpy"] == pytest.approx(2_620_000, rel=1e-9)
    assert (_served_kw(result, "r1"), _served_kw(result, "r2")) == (10_000.0, 0.0)
    assert _used_kw(result) == [10_000.0, 0.0]
    assert result.price("areas", "A") == [60.0]
    # What B's computing would be worth is not unique: nobody can reach it.
    assert _compute_price(result, "gpu-a") == 92.0  # 2 + 1.5 × 60


def test_a_label_keeps_the_work_and_its_cost_is_shown() -> None:
    result = _two_sites(6.5, "country:JP")
    assert result.json["objective_jpy"] == pytest.approx(2_720_000, rel=1e-9)
    assert _served_kw(result, "r1") == 10_000.0
    assert _served_kw(result, "r2") == 4_000.0
    assert _used_kw(result) == [10_000.0, 4_000.0]
    (stays,) = result.get("requests", "r1")["placed"]
    assert (stays["offer"], stays["path"], stays["kw"]) == ("gpu-a", None, [10_000.0])
    (moves,) = result.get("requests", "r2")["placed"]
    assert (moves["offer"], moves["path"], moves["kw"]) == ("gpu-b", "a-b", [4_000.0])
    assert result.price("areas", "A") == [60.0]
    assert result.price("areas", "B") == [10.0]
    assert (_compute_price(result, "gpu-a"), _compute_price(result, "gpu-b")) == (92.0, 14.0)
    assert result.get("paths", "a-b")["rent_jpy_per_gb"] == [0.0]
    (cost,) = result.json["label_costs"]
    assert cost["label"] == "country:JP"
    assert cost["welfare_jpy"] == pytest.approx(2_720_000, rel=1e-9)
    assert cost["welfare_without_jpy"] == pytest.approx(2_814_000, rel=1e-9)
    assert cost["cost_jpy"] == pytest.approx(94_000, rel=1e-9)
    assert cost["bound_jpy"] >= cost["welfare_without_jpy"]


def test_computing_paid_as_bid_pays_cost_and_power_and_no_rent() -> None:
    result = _two_sites(6.5, COMPUTE="pay_as_bid")
    # The same placement and prices; B's machines get 2 + 1.2 × 10 = 14 instead of 31.
    assert _used_kw(result) == [8_000.0, 6_000.0]
    assert _compute_price(result, "gpu-b") == 31.0
    assert result.get("compute", "gpu-a")["receipt_jpy"] == pytest.approx(8_000 * 32)
    assert result.get("compute", "gpu-b")["receipt_jpy"] == pytest.approx(6_000 * 14)
    # Users: 256 + 84 and 6 for the path, 102 less than at the price.
    paid_jpy = sum(item["paid_jpy"] for item in result.json["requests"])
    assert paid_jpy == pytest.approx(346_000, abs=5)
    # A sixth of a kW of placements that rounding moves is worth at most 17 per kWh.
    assert abs(result.money["residual_jpy"]) <= 5


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of one number deep in a result."""

    def change(result: dict[str, Any]) -> None:
        found: Any = result
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return change


# In the example r1 (row 0) runs 10 MW at gpu-a, r2 (row 1) 4 MW at gpu-b over the path a-b.
TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "an offer ran more": (_set("compute", 0, "used_kw", 0, value=10_000.2), "computing adds up"),
    "an offer's price": (
        _set("compute", 1, "price_jpy_per_kwh", 0, value=14.01),
        "computing prices within half a tick",
    ),
    "an offer's rent": (
        _set("compute", 1, "rent_jpy_per_kwh", 0, value=1.0),
        "computing prices within half a tick",
    ),
    "an offer's receipt": (
        _set("compute", 1, "receipt_jpy", value=56_001.0),
        "computing as listed",
    ),
    "a request served more": (
        _set("requests", 0, "served_kw", 0, value=10_000.2),
        "computing within requests",
    ),
    "a request's price": (
        _set("requests", 1, "price_jpy_per_kwh", 0, value=15.01),
        "computing prices within half a tick",
    ),
    "what a request paid": (_set("requests", 1, "paid_jpy", value=60_001.0), "computing as listed"),
    "what its path got": (_set("requests", 1, "path_jpy", value=3_999.0), "computing as listed"),
    "a placement's size": (
        _set("requests", 1, "placed", 0, "kw", 0, value=3_999.0),
        "placements within a tick of the optimum",
    ),
    "a placement the label forbids": (
        _set("requests", 0, "placed", 0, "offer", value="gpu-b"),
        "placements once, and allowed",
    ),
    "a request left out": (lambda result: result["requests"].pop(), "not whole"),
    "the price behind the offer's": (
        _set("raw", "duals", "compute_jpy_per_kwh", "gpu-b", value=[15.0]),
        "raw: gap",
    ),
    "more run than is placed": (
        _set("raw", "bids", "gpu-b", "x", "run", 0, value=4_001.0),
        "raw: computing",
    ),
    "more placed than asked": (
        _set("raw", "bids", "r1", "x", "placed", 0, value=10_001.0),
        "raw: ",
    ),
    "the cost of the label": (_set("label_costs", 0, "cost_jpy", value=1.0), "label"),
}


@cache
def _published() -> tuple[bytes, bytes]:
    snapshot = snapshot_from_json(_example("two-sites"))
    return snapshot_bytes(snapshot), result_bytes(clear(snapshot))


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_compute_market_is_refused(name: str) -> None:
    change, check = TAMPERED[name]
    snapshot_content, result_content = _published()
    result = json.loads(result_content)
    change(result)
    try:
        failures = verify_result(snapshot_content, json.dumps(result).encode()).failures
    except ResultUnverified as refusal:
        failures = (str(refusal),)
    assert any(check in failure for failure in failures), failures
