"""What holds for every book: limits, asks, money, order, and prices that answer to bids."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.books import (
    Result,
    balance_need,
    book,
    branch,
    bus,
    local_need,
    path,
    place,
    resource,
    shift,
    steps,
    store,
)

T = 4
H = 0.5
SIGNS = {"UP": 1.0, "DOWN": -1.0}

kilowatts = st.integers(0, 3000).map(lambda tenths: tenths / 10)
asks = st.integers(-2000, 6000).map(lambda cents: cents / 100)


@st.composite
def curves(draw: st.DrawFn, name: str) -> dict[str, Any]:
    prices = sorted(draw(st.lists(asks, min_size=1, max_size=3)))
    first = draw(st.integers(0, T - 1))
    return steps(
        name,
        draw(st.sampled_from("abc")),
        draw(st.sampled_from(["UP", "DOWN"])),
        *((draw(kilowatts), price) for price in prices),
        window=(first, draw(st.integers(first, T - 1))),
    )


@st.composite
def stores(draw: st.DrawFn, name: str) -> dict[str, Any]:
    limit_kwh = draw(st.integers(10, 200))
    start_kwh = limit_kwh * draw(st.sampled_from([0.0, 0.5, 1.0]))
    return store(
        name,
        draw(st.sampled_from("abc")),
        T - 1,
        energy_limit_kwh=float(limit_kwh),
        start_kwh=start_kwh,
        end_min_kwh=start_kwh * draw(st.sampled_from([0.0, 0.9])),
        charge_limit_kw=draw(kilowatts),
        discharge_limit_kw=draw(kilowatts),
        charge_efficiency_ratio=draw(st.sampled_from([0.9, 1.0])),
        standing_loss_ratio=draw(st.sampled_from([0.0, 0.01])),
        # Above what burning energy could earn at the cap of 9, so that no binary is needed: ties
        # between integer choices fall as the solver finds them.
        wear_jpy_per_kwh=draw(st.sampled_from([1.5, 3.0])),
        cycles_max=draw(st.sampled_from([None, 0.5])),
    )


@st.composite
def shifts(draw: st.DrawFn, name: str) -> dict[str, Any]:
    return shift(
        name,
        offers=[
            {
                "first_t": 0,
                "last_t": T - 1,
                "quantity_kw": draw(kilowatts),
                "ask_jpy_per_kwh": abs(draw(asks)),
            }
        ],
        destinations=[
            {"resource": "b", "path": "ab", "ratio": draw(st.sampled_from([0.9, 1.0, 1.2]))}
        ],
        change_cost_jpy_per_kw=draw(st.sampled_from([0.0, 1.5])),
        gb_per_kw=draw(st.sampled_from([0.0, 2.0])),
        gb_per_kwh=draw(st.sampled_from([0.0, 1.0])),
    )


@st.composite
def books(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a ring of three places, needs of both kinds and up to eight bids."""
    bids = [draw(curves(f"curve{n}")) for n in range(draw(st.integers(0, 5)))]
    bids += [draw(stores(f"store{n}")) for n in range(draw(st.integers(0, 2)))]
    bids += [draw(shifts("shift"))] if draw(st.booleans()) else []
    needs = st.lists(kilowatts, min_size=T, max_size=T)
    flows = st.lists(st.integers(-1200, 1200), min_size=T, max_size=T)
    document = book(
        T,
        network={
            "convention": "series",
            "base_mva": 100.0,
            "buses": [bus("A"), bus("B", slack=0.5), bus("C", area="02", slack=0.5)],
            "branches": [
                branch("line", "B", "A", 0.1),
                branch("bc", "B", "C", 0.05),
                branch("ac", "A", "C", 0.2),
            ],
        },
        elements=[
            {"id": name, "branch": name, "rating_kw": 1000.0, "base_flow_kw": draw(flows)}
            for name in ("line", "bc")
        ],
        places=[place("A", 0.04), place("B"), place("C", 0.02)],
        resources=[resource("a", "A", 400), resource("b", "B", 300), resource("c", "C", 500)],
        paths=[path(price_jpy_per_gb=0.1, capacity_gb=draw(st.sampled_from([100.0, 1e6])))],
        transfers=[{"id": "tie", "from_area": "02", "to_area": "03", "limit_kw": draw(kilowatts)}],
        local_needs=[local_need(draw(needs), cap=draw(st.sampled_from([20.0, 90.0])))],
        balance_needs=[balance_need(draw(needs), cap=45.0), balance_need(draw(needs), "DOWN", 9.0)],
        bids=bids,
    )
    document["rules"] |= {"deviation_limit_kw": draw(st.sampled_from([0.0, 30.0]))}
    return document


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(books())
def test_many_books_have_a_verified_result(document: dict[str, Any]) -> None:
    Result(document)


@settings(max_examples=12, deadline=None)
@given(books())
def test_no_award_exceeds_its_bid_and_no_resource_is_sold_twice(document: dict[str, Any]) -> None:
    result = Result(document)
    sold: dict[tuple[str, str], Any] = {}
    offered = {bid["id"]: bid for bid in document["bids"] if bid["form"] == "STEPS"}
    for award in result.json["awards"]:
        quantity_kw = np.array(award["quantity_kw"])
        assert (quantity_kw >= 0).all()
        key = (award["resource"], award["direction"])
        sold[key] = sold.get(key, 0) + quantity_kw
        if award["bid"] in offered:
            curve = offered[award["bid"]]["curves"][0]
            most_kw = np.zeros(T)
            most_kw[curve["first_t"] : curve["last_t"] + 1] = sum(
                step["quantity_kw"] for step in curve["steps"]
            )
            assert (quantity_kw <= most_kw + 1e-9).all()
    limits = {item["id"]: item["limit_up_kw"] for item in document["resources"]}
    for (name, _), total_kw in sold.items():
        # Each of at most eight bids on a resource is rounded by less than a tick.
        assert (total_kw <= limits[name] + 8 * 0.1).all()


@settings(max_examples=12, deadline=None)
@given(books())
def test_nobody_is_paid_below_ask_and_the_money_adds_up(document: dict[str, Any]) -> None:
    result = Result(document)
    earned: dict[str, float] = {}
    sellers_jpy = 0.0
    for award in result.json["awards"]:
        receipt_jpy = (
            SIGNS[award["direction"]]
            * H
            * float(np.dot(award["quantity_kw"], award["price_jpy_per_kwh"]))
        )
        sellers_jpy += receipt_jpy - award["path_jpy"]
        earned[award["bid"]] = (
            earned.get(award["bid"], 0.0) + receipt_jpy - award["cost_jpy"] - award["path_jpy"]
        )
    assert all(surplus_jpy >= -1e-4 for surplus_jpy in earned.values())
    money = result.money
    assert money["sellers_jpy"] == pytest.approx(sellers_jpy, abs=1e-4)
    left_jpy = (
        money["buyers_jpy"]
        + money["deviation_jpy"]
        - money["sellers_jpy"]
        - money["congestion_rent_jpy"]
        - money["link_rent_jpy"]
        - money["path_jpy"]
    )
    assert money["residual_jpy"] == pytest.approx(left_jpy, abs=1e-5)
    assert money["congestion_rent_jpy"] >= 0
    assert money["link_rent_jpy"] >= 0


@settings(max_examples=12, deadline=None)
@given(books())
def test_what_needs_pay_is_at_most_their_caps(document: dict[str, Any]) -> None:
    result = Result(document)
    caps = {need["id"]: need["cap_jpy_per_kwh"] for need in document["local_needs"]}
    caps |= {need["id"]: need["cap_jpy_per_kwh"] for need in document["balance_needs"]}
    for need in result.json["needs"]:
        assert max(need["price_jpy_per_kwh"]) <= caps[need["id"]]
        for served_kw, unserved_kw, price in zip(
            need["served_kw"], need["unserved_kw"], need["price_jpy_per_kwh"], strict=True
        ):
            if served_kw > 1 and unserved_kw > 1:
                assert price == caps[need["id"]]


@settings(max_examples=8, deadline=None)
@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_no_byte(
    document: dict[str, Any], dice: random.Random
) -> None:
    turned = copy.deepcopy(document)
    for name in ("bids", "elements", "places", "resources", "balance_needs"):
        dice.shuffle(turned[name])
    for name in ("buses", "branches"):
        dice.shuffle(turned["network"][name])
    assert Result(turned).content == Result(document).content


@settings(max_examples=8, deadline=None)
@given(books())
def test_a_second_run_gives_the_same_bytes(document: dict[str, Any]) -> None:
    assert Result(document).content == Result(document).content


@settings(max_examples=8, deadline=None)
@given(books())
def test_a_bid_nobody_would_buy_changes_no_award_and_no_price(document: dict[str, Any]) -> None:
    useless = steps("useless", "c", "UP", (100, 100_000.0), window=(0, T - 1))
    without = Result(document).json
    beside = Result(document | {"bids": [*document["bids"], useless]}).json
    assert beside["awards"] == without["awards"]
    for kind in ("needs", "areas", "places"):
        assert beside[kind] == without[kind]


@settings(max_examples=8, deadline=None)
@given(books(), st.integers(1, 2000))
def test_asking_less_never_sells_less(document: dict[str, Any], cents: int) -> None:
    mine = steps("mine", "a", "UP", (100, 25.0), window=(0, T - 1))
    cheaper = steps("mine", "a", "UP", (100, 25.0 - cents / 100), window=(0, T - 1))
    before = Result(document | {"bids": [*document["bids"], mine]})
    after = Result(document | {"bids": [*document["bids"], cheaper]})
    # In total over the day: with storage about, single half hours may trade places. Ties at the
    # margin and ticks may move a sale by a tick per half hour.
    assert sum(after.award_kw("mine")) >= sum(before.award_kw("mine")) - T * 0.1 - 1e-9
    assert after.json["objective_jpy"] >= before.json["objective_jpy"] - 1e-6


@st.composite
def extreme_stores(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw stores a gate accepts and nobody would build: tiny, huge, powerless, leaking."""
    drawn = []
    for number in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, T - 1))
        limit_kwh = draw(st.sampled_from([0.1, 10.0, 5e4, 1e6, 1e9]))
        power = st.sampled_from([0.0, 0.1, 1e4])
        drawn.append(
            store(
                f"extreme-{number}",
                draw(st.sampled_from("abc")),
                draw(st.integers(first, T - 1)),
                first_t=first,
                energy_limit_kwh=limit_kwh,
                start_kwh=limit_kwh * draw(st.sampled_from([0.0, 0.56, 1.0])),
                charge_limit_kw=draw(power),
                discharge_limit_kw=draw(power),
                charge_efficiency_ratio=draw(st.sampled_from([0.01, 0.9, 1.0])),
                discharge_efficiency_ratio=draw(st.sampled_from([0.01, 0.9, 1.0])),
                standing_loss_ratio=draw(st.sampled_from([0.0, 1e-6, 0.5, 0.999])),
                wear_jpy_per_kwh=draw(st.sampled_from([0.0, 0.01, 9999.0])),
                cycles_max=draw(st.sampled_from([None, 0.01, 1.0, 48.0])),
            )
        )
    return drawn


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(books(), extreme_stores())
def test_no_accepted_store_keeps_an_auction_from_clearing(
    document: dict[str, Any], stores: list[dict[str, Any]]
) -> None:
    # Result asserts that the certificate passes.
    Result(document | {"bids": [*document["bids"], *stores]})
