"""Payment rules by hand: who pays whom beside the market's prices."""

from __future__ import annotations

from typing import Any

import pytest

from market.core.clearing import clear
from market.core.publication import result_document
from market.core.snapshot import snapshot_from_json
from tests.books import RULES, book, branch, bus, steps


def need(**parts: Any) -> list[dict[str, Any]]:
    """Return a need of 200 kW off the line into A."""
    asked = {"need_kw": 200.0, "cap_jpy_per_kwh": 100.0}
    return [{"id": "need", "element": "line", "sign": 1} | asked | parts]


def block(**parts: Any) -> dict[str, Any]:
    """Return 200 kW of UP at A, all or none, at 20 JPY/kWh."""
    return {
        "id": "block",
        "form": "BLOCK",
        "resource": "a",
        "direction": "UP",
        "first_t": 0,
        "quantity_kw": [200.0],
        "ask_jpy_per_kwh": 20.0,
    } | parts


def result(**parts: Any) -> dict[str, Any]:
    """Return the published result of the pocket with a filling bid at B."""
    bids = parts.pop("bids")
    filling = steps("in", "b", "DOWN", (300.0, -5.0))
    return result_document(clear(snapshot_from_json(book(bids=[*bids, filling], **parts))))


def sellers(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each bid is paid, by bid."""
    return {row["bid"]: row for row in found["payments"]["sellers"]}


def assert_money_adds_up(found: dict[str, Any]) -> None:
    """Check that what buyers pay is what sellers, owners and the fee receive."""
    payments, money = found["payments"], found["money"]
    paid = sum(row["paid_jpy"] for row in payments["buyers"])
    paid += money["deviation_jpy"] + money["envelope_jpy"] + money["computing_jpy"]
    received = sum(row["paid_jpy"] for row in payments["sellers"])
    received += sum(row["settled_jpy"] for row in payments["rents"])
    received += payments["fee_jpy"] + money["residual_jpy"]
    assert paid == pytest.approx(received, abs=1e-4)


def test_a_start_cost_the_price_does_not_cover_is_made_whole_by_the_need() -> None:
    found = result(local_needs=need(), bids=[block(start_cost_jpy=1000.0)])
    # With the block fixed nothing else prices the relief: the least price is 0, so that A sees the
    # area's 5 and 100 kWh earn 500 of the 3000 that the block asks. The need would pay up to
    # 100 · 100 = 10000 for them.
    seller = sellers(found)["block"]
    assert seller["market_jpy"] == 500
    assert seller["make_whole_jpy"] == 2500
    assert seller["paid_jpy"] == 3000
    assert found["payments"]["make_whole"] == [
        {
            "bid": "block",
            "amount_jpy": 2500.0,
            "needs": [{"kind": "LOCAL", "id": "need", "jpy": 2500.0}],
            "congestion_rent_jpy": 0.0,
            "fee_jpy": 0.0,
        }
    ]
    [buyer] = found["payments"]["buyers"]
    assert (buyer["market_jpy"], buyer["make_whole_jpy"], buyer["paid_jpy"]) == (0, 2500, 2500)
    assert_money_adds_up(found)


def test_a_block_the_price_covers_gets_nothing_beside_it() -> None:
    dear = steps("dear", "a", "UP", (100.0, 60.0))
    found = result(local_needs=need(need_kw=250.0), bids=[block(start_cost_jpy=1000.0), dear])
    # The dear offer sets the price: 60 · 100 kWh is more than 3000.
    assert sellers(found)["block"]["make_whole_jpy"] == 0
    assert found["payments"]["make_whole"] == []
    assert_money_adds_up(found)


def test_a_need_that_posts_its_price_pays_it_to_those_who_serve_it() -> None:
    found = result(
        local_needs=need(pricing="posted", cap_jpy_per_kwh=30.0),
        bids=[steps("one", "a", "UP", (150.0, 20.0)), steps("two", "a", "UP", (50.0, 10.0))],
    )
    # The relief is worth 15 in the market and pays 30: 15 · 100 kWh more, by what each relieves.
    paid = sellers(found)
    assert (paid["one"]["posted_jpy"], paid["two"]["posted_jpy"]) == (1125, 375)
    assert paid["in"]["posted_jpy"] == 0
    [buyer] = found["payments"]["buyers"]
    assert (buyer["market_jpy"], buyer["posted_jpy"], buyer["paid_jpy"]) == (1500, 1500, 3000)
    assert_money_adds_up(found)


def test_pay_as_bid_pays_the_ask_and_the_need_pays_the_asks() -> None:
    found = result(
        rules=RULES | {"payment": "pay_as_bid"},
        local_needs=need(),
        bids=[steps("one", "a", "UP", (150.0, 20.0)), steps("two", "a", "UP", (100.0, 10.0))],
    )
    # 100 kW at 20 and 100 kW at 10 for half an hour, less what the filling bid pays in, 5 · 100.
    paid = {name: row["paid_jpy"] for name, row in sellers(found).items()}
    assert paid == {"one": 1000, "two": 500, "in": -500}
    [buyer] = found["payments"]["buyers"]
    assert (buyer["market_jpy"], buyer["as_bid_jpy"], buyer["paid_jpy"]) == (1500, -500, 1000)
    assert_money_adds_up(found)


def test_the_rent_of_a_link_is_half_each_sides() -> None:
    found = result_document(
        clear(
            snapshot_from_json(
                book(
                    network={
                        "convention": "reactance",
                        "base_mva": 100.0,
                        "buses": [
                            bus("A", slack=1.0),
                            bus("B", area="04", island="60", slack=1.0),
                        ],
                        "branches": [],
                        "links": [{"id": "hvdc", "from": "B", "to": "A", "limit_kw": 100.0}],
                    },
                    elements=[],
                    balance_needs=[
                        {
                            "id": "up",
                            "area": "03",
                            "direction": "UP",
                            "need_kw": 300.0,
                            "cap_jpy_per_kwh": 100.0,
                        }
                    ],
                    bids=[
                        steps("near", "a", "UP", (300.0, 30.0)),
                        steps("far", "b", "UP", (300.0, 10.0)),
                    ],
                )
            )
        )
    )
    # 50 kWh over the link from a price of 10 to one of 30.
    assert found["payments"]["rents"] == [
        {"owner": "03", "kind": "LINK", "id": "hvdc", "jpy": 500.0, "settled_jpy": 500.0},
        {"owner": "04", "kind": "LINK", "id": "hvdc", "jpy": 500.0, "settled_jpy": 500.0},
    ]
    assert_money_adds_up(found)


def test_the_fee_is_on_what_needs_are_served() -> None:
    found = result(
        rules=RULES | {"fee_jpy_per_kwh": 0.5},
        local_needs=need(),
        bids=[steps("one", "a", "UP", (250.0, 20.0))],
    )
    assert found["payments"]["fee_jpy"] == 50
    assert found["payments"]["buyers"][0]["paid_jpy"] == 1550
    assert_money_adds_up(found)


def test_an_element_between_two_areas_belongs_to_both() -> None:
    parts = book(
        network={
            "convention": "reactance",
            "base_mva": 100.0,
            "buses": [bus("A"), bus("B", area="04", slack=1.0)],
            "branches": [branch("line", "B", "A")],
        }
    )
    [element] = snapshot_from_json(parts).document()["elements"]
    assert element["owners"] == ["03", "04"]
