"""Why bids won or lost: margins, what decided, and asks that really would have changed it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from market.core.certificate import verify_document
from market.core.snapshot import snapshot_bytes, snapshot_from_json, snapshot_sha256
from tests.books import (
    Result,
    balance_need,
    book,
    local_need,
    path,
    resource,
    shift,
    steps,
    store,
)


def told(result: Result, bid: str) -> dict[str, Any]:
    """Return what a bid is told."""
    (found,) = [item for item in result.json["explanations"] if item["bid"] == bid]
    return dict(found)


def at_twenty(*bids: dict[str, Any], count: int = 1, **parts: Any) -> Result:
    """Return a market in which a marginal offer at B makes every half hour worth 20."""
    marginal = steps("marginal", "b", "UP", (1000, 20), window=(0, count - 1))
    return Result(
        book(
            count,
            **{"bids": [marginal, *bids], "balance_needs": [balance_need(100, cap=50)]} | parts,
        )
    )


def test_a_bid_above_the_price_is_told_the_price() -> None:
    found = told(at_twenty(steps("dear", "a", "UP", (60, 30))), "dear")
    assert found == {
        "bid": "dear",
        "outcome": "REJECTED",
        "margin_jpy_per_kwh": -10.0,
        "deciding": {"kind": "price", "id": "03", "t": 0},
        "change_at_jpy_per_kwh": 20.0,
        "is_counterfactual": True,
        "note": "nobody in this area pays more than what it asks for more",
    }


@pytest.mark.parametrize(("ask", "outcome"), [(20.01, "REJECTED"), (19.99, "ACCEPTED")])
def test_the_ask_it_is_told_is_where_it_changes_sides(ask: float, outcome: str) -> None:
    assert told(at_twenty(steps("dear", "a", "UP", (60, ask))), "dear")["outcome"] == outcome


def test_a_winner_is_told_its_mean_margin_and_the_half_hour_it_would_lose_first() -> None:
    result = at_twenty(
        steps("cheap", "a", "UP", (60, 10), window=(0, 1)),
        steps("night", "b", "UP", (1000, 14), window=(1, 1)),
        count=2,
    )
    found = told(result, "cheap")
    # 60 kW earn 20 − 10 and 14 − 10: (10 + 4) ÷ 2 per kWh. Above 14 it loses t = 1.
    assert (found["outcome"], found["margin_jpy_per_kwh"]) == ("ACCEPTED", 7.0)
    assert found["deciding"] == {"kind": "quantity", "id": "cheap", "t": 1}
    assert found["change_at_jpy_per_kwh"] == 14.0


def test_a_bid_above_a_buyers_cap_is_told_the_buyer() -> None:
    result = Result(
        book(
            bids=[steps("dear", "a", "UP", (60, 60))],
            balance_needs=[balance_need(100, cap=50)],
            elements=[],
        )
    )
    found = told(result, "dear")
    assert found["deciding"] == {"kind": "need", "id": "balance-UP", "t": 0}
    assert (found["margin_jpy_per_kwh"], found["change_at_jpy_per_kwh"]) == (-10.0, 50.0)


def test_a_bid_behind_a_full_line_is_told_the_line() -> None:
    # The line is full from the pocket outwards: no UP at A fits.
    full = {"id": "line", "branch": "line", "rating_kw": 1000.0, "base_flow_kw": -1000.0}
    found = told(at_twenty(steps("cheap", "a", "UP", (60, 10)), elements=[full]), "cheap")
    # The least rent that keeps it out is 10, of the 20 outside.
    assert found["deciding"] == {"kind": "element", "id": "line", "t": 0}
    assert (found["margin_jpy_per_kwh"], found["change_at_jpy_per_kwh"]) == (0.0, 10.0)


def test_a_bid_in_the_money_on_a_sold_out_resource_is_told_the_resource() -> None:
    result = at_twenty(
        steps("first", "a", "UP", (50, 10)),
        steps("second", "a", "UP", (40, 12)),
        resources=[resource("a", "A", 50.0), resource("b", "B")],
    )
    found = told(result, "second")
    assert (found["outcome"], found["margin_jpy_per_kwh"]) == ("REJECTED", 8.0)
    assert found["deciding"] == {"kind": "resource", "id": "a", "t": 0}


def test_a_shift_over_a_full_path_is_told_the_path() -> None:
    offer = {"first_t": 0, "last_t": 0, "quantity_kw": 100.0, "ask_jpy_per_kwh": 7.0}
    result = Result(
        book(
            bids=[
                shift("first", gb_per_kwh=1.0),
                shift("second", gb_per_kwh=1.0, offers=[offer]),
            ],
            paths=[path(capacity_gb=10.0)],
            local_needs=[local_need(100, cap=100)],
        )
    )
    # 10 GB ÷ (1 GB/kWh × 0.5 h) = 20 kW, worth 100 each: 95 of rent once the first is paid 5.
    assert result.award_kw("first", "SHIFT_OUT") == [20.0]
    found = told(result, "second")
    assert found["deciding"] == {"kind": "path", "id": "ab", "t": 0}
    # 100 − 7 − 95; at an ask of 5 it would share the path.
    assert (found["margin_jpy_per_kwh"], found["change_at_jpy_per_kwh"]) == (-2.0, 5.0)


def test_work_that_may_run_nowhere_is_told_so() -> None:
    result = Result(
        book(
            bids=[shift("move", labels_required=["domestic"])],
            resources=[resource("a", "A", labels=["domestic"]), resource("b", "B")],
            paths=[path()],
        )
    )
    found = told(result, "move")
    assert found["deciding"] == {"kind": "eligibility", "id": "move", "t": None}
    assert found["margin_jpy_per_kwh"] is None
    assert found["change_at_jpy_per_kwh"] is None


@pytest.mark.parametrize(
    ("wear", "outcome"), [(11.12, "REJECTED"), (11.11, "ACCEPTED"), (15.0, "REJECTED")]
)
def test_an_idle_store_is_told_its_best_round_trip(wear: float, outcome: str) -> None:
    battery = store("battery", "b", 1, charge_efficiency_ratio=0.9, wear_jpy_per_kwh=wear)
    night = steps("night", "b", "UP", (1000, 8), window=(0, 0))
    found = told(at_twenty(battery, night, count=2), "battery")
    assert found["outcome"] == outcome
    if outcome == "REJECTED":
        # Bought at 8 ÷ 0.9 = 8.889, sold at 20: 11.111 before wear.
        assert found["margin_jpy_per_kwh"] == pytest.approx(20 - 8 / 0.9 - wear, abs=1e-6)
        assert found["change_at_jpy_per_kwh"] == pytest.approx(11.111111, abs=1e-6)
        assert (found["deciding"]["kind"], found["deciding"]["t"]) == ("price", 1)


def test_a_store_that_could_not_fill_behind_a_full_line_is_told_the_line() -> None:
    battery = store("battery", "a", 1, energy_limit_kwh=10.0, wear_jpy_per_kwh=2.0)
    night = steps("night", "b", "UP", (1000, 8), window=(0, 0))
    found = told(at_twenty(battery, night, count=2), "battery")
    # Buying at 8 would earn 10; the line into the pocket is full when it would buy.
    assert found["deciding"] == {"kind": "element", "id": "line", "t": 0}
    assert found["margin_jpy_per_kwh"] == 0.0


def test_a_store_that_cannot_be_filled_again_keeps_what_it_holds() -> None:
    battery = store("battery", "b", 1, start_kwh=50.0, end_min_kwh=50.0, wear_jpy_per_kwh=5.0)
    night = steps("night", "b", "UP", (1000, 18), window=(1, 1))
    found = told(at_twenty(battery, night, count=2), "battery")
    # Sold at 20 in t = 0, bought back at 18 in t = 1, at 5 of wear: the other order earns less.
    assert found["margin_jpy_per_kwh"] == -3.0
    assert found["deciding"]["t"] == 0


def test_a_store_that_acts_is_told_its_dearest_limit() -> None:
    battery = store("battery", "b", 1, energy_limit_kwh=10.0, wear_jpy_per_kwh=2.0)
    night = steps("night", "b", "UP", (1000, 8), window=(0, 0))
    found = told(at_twenty(battery, night, count=2), "battery")
    # (20 − 8) − 2 per kWh; a kWh more of capacity would be worth it.
    assert (found["outcome"], found["margin_jpy_per_kwh"]) == ("ACCEPTED", 10.0)
    assert found["deciding"] == {"kind": "limit", "id": "energy", "t": 0}
    assert found["change_at_jpy_per_kwh"] == 12.0
    assert not found["is_counterfactual"]


def test_idle_work_is_told_the_best_half_hour_within_its_deadline() -> None:
    job = {
        "id": "job",
        "form": "DEFERRAL",
        "resource": "a",
        "first_t": 0,
        "last_t": 2,
        "arriving_kw": [100.0, 0.0, 0.0],
        "slack_count": 1,
        "service_limit_kw": 200.0,
        "rebound_limit_kw": 200.0,
        "extra_work_ratio": 0.1,
        "ask_jpy_per_kwh": 10.0,
    }
    supply = [
        steps("day", "b", "UP", (1000, 15), window=(1, 1)),
        steps("night", "b", "UP", (1000, 1), window=(2, 2)),
    ]
    found = told(at_twenty(job, *supply, count=3), "job")
    # 20 − 1.1 × 15 − 10; t = 2 is cheaper and too late.
    assert (found["margin_jpy_per_kwh"], found["change_at_jpy_per_kwh"]) == (-6.5, 3.5)
    job |= {"slack_count": 2, "ask_jpy_per_kwh": 19.0}
    # 20 − 1.1 × 1 − 19
    assert told(at_twenty(job, *supply, count=3), "job")["margin_jpy_per_kwh"] == -0.1


def block(name: str, quantity_kw: list[float], ask: float, **parts: Any) -> dict[str, Any]:
    """Return a block at A."""
    return {
        "id": name,
        "form": "BLOCK",
        "resource": "a",
        "direction": "UP",
        "first_t": 0,
        "quantity_kw": quantity_kw,
        "ask_jpy_per_kwh": ask,
    } | parts


def test_a_block_that_is_too_large_is_told_that_all_or_none_decided() -> None:
    found = told(at_twenty(block("large", [200.0], 10.0)), "large")
    assert (found["outcome"], found["margin_jpy_per_kwh"]) == ("REJECTED", 10.0)
    assert found["deciding"] == {"kind": "integer", "id": "large", "t": 0}
    assert found["change_at_jpy_per_kwh"] == 20.0
    assert not found["is_counterfactual"]


def test_a_block_out_of_the_money_is_told_its_mean_price() -> None:
    found = told(
        at_twenty(block("dear", [50.0, 100.0], 25.0, start_cost_jpy=75.0), count=2), "dear"
    )
    # 20 − 25 − 75 ÷ (0.5 × 150)
    assert (found["margin_jpy_per_kwh"], found["change_at_jpy_per_kwh"]) == (-6.0, 19.0)
    assert found["deciding"] == {"kind": "price", "id": "03", "t": 0}


def test_blocks_are_told_which_group_or_parent_kept_them_out() -> None:
    result = at_twenty(
        block("better", [60.0], 10.0, exclusive_group="shift"),
        block("worse", [50.0], 12.0, exclusive_group="shift"),
        block("parent", [50.0], 90.0),
        block("child", [30.0], 12.0, parent="parent"),
    )
    assert told(result, "better")["outcome"] == "ACCEPTED"
    assert told(result, "worse")["deciding"] == {"kind": "group", "id": "better", "t": 0}
    assert told(result, "child")["deciding"] == {"kind": "parent", "id": "parent", "t": 0}


def test_portfolios_are_told_the_best_place_of_a_member_with_room() -> None:
    fleet = {
        "id": "fleet",
        "form": "PORTFOLIO",
        "direction": "UP",
        "members": [{"resource": "a", "limit_kw": 0.0}, {"resource": "b", "limit_kw": 5.0}],
        "curves": [
            {
                "first_t": 0,
                "last_t": 0,
                "steps": [{"quantity_kw": 9.0, "ask_jpy_per_kwh": 30.0}],
            }
        ],
    }
    result = at_twenty(fleet, local_needs=[local_need(100, cap=70)])
    # At A, where 70 would be paid on top, its member has nothing to give: 20 − 30 at B.
    assert told(result, "fleet")["margin_jpy_per_kwh"] == -10.0


def test_a_plant_is_told_the_better_of_its_two_sides() -> None:
    plant = {
        "id": "sun",
        "form": "RENEWABLE",
        "resource": "a",
        "first_t": 0,
        "last_t": 0,
        "available_kw": 50.0,
        "scheduled_kw": 40.0,
        "curtail_jpy_per_kwh": 1.0,
        "release_jpy_per_kwh": 23.0,
    }
    # Curtailing would lose 20 + 1, releasing earns 20 − 23.
    assert told(at_twenty(plant), "sun")["margin_jpy_per_kwh"] == -3.0


def test_capacity_is_told_per_kilowatt_and_half_hour() -> None:
    reserve = {
        "id": "reserve",
        "form": "CAPACITY",
        "resource": "a",
        "product": "up",
        "offers": [{"first_t": 0, "last_t": 0, "quantity_kw": 10.0, "ask_jpy_per_kw": 9.0}],
        "v1_jpy_per_kwh": 30.0,
        "v2_jpy_per_kwh": 0.0,
    }
    need = {"id": "spare", "area": "03", "product": "up", "need_kw": 50.0, "cap_jpy_per_kwh": 4.0}
    result = Result(
        book(
            bids=[reserve],
            products=[{"id": "up", "direction": "UP", "sustained_h": 0.5}],
            capacity_needs=[need],
        )
    )
    found = told(result, "reserve")
    # Nobody sells any, so the price is the cap of 4.
    assert (found["margin_jpy_per_kw"], found["change_at_jpy_per_kw"]) == (-5.0, 4.0)
    assert found["deciding"] == {"kind": "need", "id": "spare", "t": 0}


def compute_book(value: float) -> dict[str, Any]:
    """Return 10 kW-IT wanted at A, where computing costs 3 and 1.5 times a price of 20."""
    offer = {
        "id": "site",
        "form": "COMPUTE_OFFER",
        "resource": "a",
        "hardware": "gpu",
        "capacity_kw": 100.0,
        "ask_jpy_per_kwh": 3.0,
        "pue_ratio": 1.5,
    }
    request = {
        "id": "job",
        "form": "COMPUTE_REQUEST",
        "place": "A",
        "first_t": 0,
        "last_t": 0,
        "quantity_kw": 10.0,
        "value_jpy_per_kwh": value,
        "labels_required": [],
        "hardware": "gpu",
        "latency_max_ms": 10.0,
        "gb_per_kwh": 0.0,
    }
    return book(
        bids=[steps("supply", "b", "UP", (1000, 20)), offer, request],
        resources=[resource("a", "A", hardware=["gpu"]), resource("b", "B")],
        balance_needs=[balance_need(100, cap=50)],
        elements=[],
    )


def test_a_request_is_told_what_computing_costs_and_an_offer_what_it_earns() -> None:
    result = Result(compute_book(100.0))
    # 3 + 1.5 × 20 = 33 JPY per kWh computed.
    request, offer = told(result, "job"), told(result, "site")
    assert (request["outcome"], request["margin_jpy_per_kwh"]) == ("ACCEPTED", 67.0)
    assert request["change_at_jpy_per_kwh"] == 33.0
    assert (offer["outcome"], offer["margin_jpy_per_kwh"]) == ("PARTLY", 0.0)


def test_a_request_worth_less_than_computing_costs_is_told_the_cheapest_offer() -> None:
    found = told(Result(compute_book(30.0)), "job")
    assert found["deciding"] == {"kind": "compute", "id": "site", "t": 0}
    assert found["outcome"] == "REJECTED"
    # With the value at the price of computing, whatever between 30 and 33 that is.
    assert found["change_at_jpy_per_kwh"] == pytest.approx(30.0 - found["margin_jpy_per_kwh"])


@pytest.mark.parametrize(
    ("bid", "changes"),
    [
        ("dear", {"margin_jpy_per_kwh": -9.99}),
        ("dear", {"margin_jpy_per_kwh": None}),
        ("dear", {"outcome": "PARTLY"}),
        ("marginal", {"margin_jpy_per_kwh": 0.001}),
        ("marginal", {"outcome": "ACCEPTED"}),
        ("marginal", {"deciding": {"kind": "weather", "id": "03", "t": 0}}),
        ("dear", {"bid": "marginal"}),
    ],
)
def test_the_audit_refuses_an_explanation_that_is_not_so(bid: str, changes: dict[str, Any]) -> None:
    document = book(
        bids=[steps("marginal", "b", "UP", (1000, 20)), steps("dear", "a", "UP", (60, 30))],
        balance_needs=[balance_need(100, cap=50)],
    )
    frozen = snapshot_from_json(document)
    result = Result(document)
    canonical = json.loads(snapshot_bytes(frozen))
    told_wrong = copy.deepcopy(result.json)
    for item in told_wrong["explanations"]:
        if item["bid"] == bid:
            item.update(changes)
    certificate = verify_document(canonical, told_wrong, snapshot_sha256(frozen))
    assert not certificate.passed
    assert verify_document(canonical, result.json, snapshot_sha256(frozen)).passed
