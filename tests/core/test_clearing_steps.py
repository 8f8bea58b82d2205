"""Step curves, needs and the grid: what clears, and at which price."""

from __future__ import annotations

from typing import Any

import pytest

from tests.books import (
    Result,
    balance_need,
    book,
    branch,
    bus,
    local_need,
    place,
    resource,
    steps,
)


def test_the_marginal_offer_sets_the_price() -> None:
    result = Result(
        book(
            bids=[steps("cheap", "a", "UP", (200, 10)), steps("dear", "b", "UP", (200, 20))],
            balance_needs=[balance_need(300)],
            elements=[],
        )
    )
    assert result.award_kw("cheap") == [200.0]
    assert result.award_kw("dear") == [100.0]
    assert result.price("needs", "balance-UP") == [20.0]
    # 0.5 h × (300 × 100 − 200 × 10 − 100 × 20) = 13,000
    assert result.json["objective_jpy"] == pytest.approx(13_000, abs=1e-6)
    # 0.5 h × 300 kW × 20 JPY/kWh from the buyer, all of it to the sellers
    assert result.money["buyers_jpy"] == 3000.0
    assert result.money["sellers_jpy"] == 3000.0
    assert result.money["residual_jpy"] == 0.0


def test_a_curve_is_filled_from_its_cheapest_step() -> None:
    result = Result(
        book(
            bids=[steps("curve", "a", "UP", (50, 5), (50, 8), (50, 12))],
            balance_needs=[balance_need(80)],
            elements=[],
        )
    )
    assert result.award_kw("curve") == [80.0]
    assert result.price("areas", "03") == [8.0]
    # 0.5 h × (50 × 5 + 30 × 8)
    assert result.award("curve")["cost_jpy"] == 245.0


def test_an_unserved_need_is_priced_at_its_cap() -> None:
    result = Result(
        book(
            bids=[steps("only", "a", "UP", (200, 10))],
            balance_needs=[balance_need(300, cap=50)],
            elements=[],
        )
    )
    need = result.get("needs", "balance-UP")
    assert (need["served_kw"], need["unserved_kw"]) == ([200.0], [100.0])
    assert need["price_jpy_per_kwh"] == [50.0]
    assert result.award("only")["price_jpy_per_kwh"] == [50.0]


def test_a_need_that_nobody_can_serve_is_a_priced_shortfall() -> None:
    result = Result(book(local_needs=[local_need(100, cap=40)]))
    need = result.get("needs", "local")
    assert (need["served_kw"], need["unserved_kw"]) == ([0.0], [100.0])
    assert need["price_jpy_per_kwh"] == [40.0]
    assert result.json["objective_jpy"] == 0.0


def test_an_offer_above_the_cap_is_not_bought() -> None:
    result = Result(
        book(
            bids=[steps("dear", "a", "UP", (200, 60))],
            balance_needs=[balance_need(100, cap=50)],
            elements=[],
        )
    )
    assert result.award_kw("dear") == [0.0]
    assert result.price("needs", "balance-UP") == [50.0]


def test_neutral_redispatch_pays_both_ends_once() -> None:
    result = Result(
        book(
            bids=[steps("out", "a", "UP", (300, 20)), steps("in", "b", "DOWN", (300, -5))],
            local_needs=[local_need(200)],
        )
    )
    assert result.award_kw("out") == result.award_kw("in") == [200.0]
    # The marginal kWh at B is worth 5 (the DOWN bid pays it); at A the line's relief comes on top.
    assert result.price("areas", "03") == [5.0]
    assert result.price("places", "A") == [20.0]
    assert result.price("needs", "local") == [15.0]
    # Buyer 0.5 × 200 × 15 = 1,500 and the DOWN seller 0.5 × 200 × 5 = 500 pay the UP seller 2,000.
    assert result.money["buyers_jpy"] == 1500.0
    assert result.money["sellers_jpy"] == 1500.0
    assert result.get("elements", "line")["after_kw"] == [1000.0]


def test_one_action_is_paid_once_for_both_its_effects() -> None:
    result = Result(
        book(
            bids=[steps("pocket", "a", "UP", (100, 30)), steps("rest", "b", "UP", (100, 10))],
            local_needs=[local_need(60)],
            balance_needs=[balance_need(100)],
        )
    )
    assert result.award_kw("pocket") == [60.0]
    assert result.award_kw("rest") == [40.0]
    # 10 for the balance + 20 for the relief = 30 at A
    assert result.price("needs", "balance-UP") == [10.0]
    assert result.price("needs", "local") == [20.0]
    assert result.price("places", "A") == [30.0]
    # 0.5 × (100 × 10 + 60 × 20) = 1,100 = 0.5 × (60 × 30 + 40 × 10)
    assert result.money["buyers_jpy"] == result.money["sellers_jpy"] == 1100.0


def test_half_the_sensitivity_costs_the_need_double() -> None:
    document = book(
        bids=[steps("half", "a", "UP", (500, 10))],
        local_needs=[local_need(100)],
        elements=[
            {
                "id": "line",
                "sensitivity": {"A": -0.5},
                "rating_kw": 1000.0,
                "base_flow_kw": 1100.0,
            }
        ],
    )
    document["rules"] |= {"deviation_limit_kw": 1000.0, "deviation_price_jpy_per_kwh": 0.0}
    result = Result(document)
    # 200 kW at A take 100 kW off the element; 10 JPY/kWh at A are 20 JPY/kWh of relief.
    assert result.award_kw("half") == [200.0]
    assert result.price("needs", "local") == [20.0]
    assert result.money["buyers_jpy"] == result.money["sellers_jpy"] == 1000.0


def test_a_deviation_within_its_limit_costs_the_reference_price() -> None:
    document = book(
        bids=[steps("only", "a", "UP", (60, 10))], balance_needs=[balance_need(100)], elements=[]
    )
    document["rules"] |= {"deviation_limit_kw": 50.0, "deviation_price_jpy_per_kwh": 30.0}
    result = Result(document)
    assert result.get("areas", "03")["deviation_kw"] == [-40.0]
    assert result.price("areas", "03") == [30.0]
    # The buyer pays 0.5 × 100 × 30 = 1,500: 900 to the seller, 600 to whoever made up the rest.
    assert result.money["buyers_jpy"] == 1500.0
    assert result.money["sellers_jpy"] == 900.0
    assert result.money["deviation_jpy"] == -600.0
    assert result.money["residual_jpy"] == 0.0


def test_losses_are_counted_once_and_priced() -> None:
    document = book(
        bids=[steps("far", "a", "UP", (500, 10))],
        balance_needs=[balance_need(125)],
        elements=[],
        places=[place("A", loss_ratio=0.2), place("B")],
    )
    result = Result(document)
    # 100 kW received at A are 100 ÷ 0.8 = 125 kW at the sending end; 8 × 1.25 = 10.
    assert result.award_kw("far") == [100.0]
    assert result.price("areas", "03") == [8.0]
    assert result.price("places", "A") == [10.0]
    assert result.money["residual_jpy"] == 0.0


def test_a_resource_is_not_sold_twice() -> None:
    result = Result(
        book(
            bids=[
                steps("first", "a", "UP", (80, 10)),
                steps("second", "a", "UP", (80, 12)),
                steps("other", "b", "UP", (80, 30)),
            ],
            resources=[resource("a", "A", 100), resource("b", "B")],
            balance_needs=[balance_need(120)],
            elements=[],
        )
    )
    assert result.award_kw("first") == [80.0]
    assert result.award_kw("second") == [20.0]
    assert result.award_kw("other") == [20.0]
    assert result.price("areas", "03") == [30.0]


def test_an_action_that_would_overload_another_element_is_limited() -> None:
    result = Result(
        book(
            bids=[steps("near", "a", "UP", (100, 5)), steps("far", "b", "UP", (100, 20))],
            balance_needs=[balance_need(100)],
            elements=[
                {
                    "id": "other",
                    "sensitivity": {"A": 1.0},
                    "rating_kw": 100.0,
                    "base_flow_kw": 50.0,
                }
            ],
        )
    )
    assert result.award_kw("near") == result.award_kw("far") == [50.0]
    assert result.price("areas", "03") == [20.0]
    assert result.price("places", "A") == [5.0]
    element = result.get("elements", "other")
    assert element["after_kw"] == [100.0]
    assert element["rent_up_jpy_per_kwh"] == [15.0]
    # 0.5 h × 15 JPY/kWh × 50 kW of headroom
    assert result.money["congestion_rent_jpy"] == 375.0
    assert result.money["residual_jpy"] == 0.0


@pytest.mark.parametrize(
    ("sensitivity", "awarded"), [(1.0, 0.0), (-1.0, 100.0)], ids=["worsens", "relieves"]
)
def test_an_overloaded_element_may_be_relieved_but_not_worsened(
    sensitivity: float, awarded: float
) -> None:
    result = Result(
        book(
            bids=[steps("near", "a", "UP", (100, 5))],
            balance_needs=[balance_need(100)],
            elements=[
                {
                    "id": "other",
                    "sensitivity": {"A": sensitivity},
                    "rating_kw": 100.0,
                    "base_flow_kw": 120.0,
                }
            ],
        )
    )
    assert result.award_kw("near") == [awarded]


def test_a_need_may_be_served_whatever_the_rating_says() -> None:
    document = book(
        bids=[steps("near", "a", "UP", (100, 5)), steps("in", "b", "DOWN", (100, 0))],
        local_needs=[local_need(70)],
        elements=[{"id": "line", "branch": "line", "rating_kw": 0.0, "base_flow_kw": 0.0}],
    )
    assert Result(document).served_kw("local") == [70.0]


def test_needs_on_one_element_add_up_and_the_higher_cap_is_served_first() -> None:
    result = Result(
        book(
            bids=[steps("near", "a", "UP", (100, 5)), steps("in", "b", "DOWN", (100, 0))],
            local_needs=[
                local_need(80, cap=30, id="low"),
                local_need(80, cap=60, id="high"),
            ],
        )
    )
    assert result.served_kw("high") == [80.0]
    assert result.served_kw("low") == [20.0]
    # The marginal kWh goes to the need that is only partly served.
    assert result.price("needs", "high") == result.price("needs", "low") == [30.0]


def test_a_need_outbid_on_its_element_shows_its_own_cap() -> None:
    result = Result(
        book(
            bids=[steps("near", "a", "UP", (50, 5)), steps("in", "b", "DOWN", (100, 0))],
            local_needs=[
                local_need(80, cap=30, id="low"),
                local_need(80, cap=60, id="high"),
            ],
        )
    )
    # The element's relief is worth 60 to the one that gets it; the other would never pay that.
    assert (result.served_kw("high"), result.served_kw("low")) == ([50.0], [0.0])
    assert (result.price("needs", "high"), result.price("needs", "low")) == ([60.0], [30.0])


def test_a_down_need_pays_for_more_load() -> None:
    result = Result(
        book(
            bids=[steps("soak", "a", "DOWN", (100, 3)), steps("dear", "b", "DOWN", (100, 8))],
            balance_needs=[balance_need(150, "DOWN")],
            elements=[],
        )
    )
    assert result.award_kw("soak") == [100.0]
    assert result.award_kw("dear") == [50.0]
    # UP is worth −8 here: the need pays 8 per kWh of DOWN and the sellers receive it.
    assert result.price("areas", "03") == [-8.0]
    assert result.price("needs", "balance-DOWN") == [8.0]
    assert result.money["buyers_jpy"] == result.money["sellers_jpy"] == 600.0


def _two_areas() -> dict[str, Any]:
    return book(
        network={
            "convention": "reactance",
            "base_mva": 100.0,
            "buses": [bus("A", area="02"), bus("B", slack=1.0)],
            "branches": [branch("line", "B", "A")],
        },
        bids=[steps("north", "a", "UP", (100, 10)), steps("south", "b", "UP", (100, 30))],
        balance_needs=[balance_need(100)],
        elements=[],
    )


def test_areas_trade_nothing_that_was_not_published() -> None:
    result = Result(_two_areas())
    assert result.award_kw("north") == [0.0]
    assert result.award_kw("south") == [100.0]


def test_a_published_transfer_is_used_up_and_earns_the_price_difference() -> None:
    result = Result(
        _two_areas()
        | {"transfers": [{"id": "tie", "from_area": "02", "to_area": "03", "limit_kw": 60.0}]}
    )
    assert result.award_kw("north") == [60.0]
    assert result.award_kw("south") == [40.0]
    assert result.price("areas", "02") == [10.0]
    assert result.price("areas", "03") == [30.0]
    tie = result.get("transfers", "tie")
    assert (tie["flow_kw"], tie["rent_jpy_per_kwh"]) == ([60.0], [20.0])
    # 0.5 × 60 × 20
    assert tie["rent_jpy"] == result.money["link_rent_jpy"] == 600.0


def test_a_link_joins_islands_and_its_flow_counts_on_the_elements() -> None:
    document = _two_areas()
    document["network"] = {
        "convention": "reactance",
        "base_mva": 100.0,
        "buses": [
            bus("A", area="09", island="60", slack=1.0),
            bus("B", slack=1.0),
            bus("C"),
        ],
        "branches": [branch("line", "C", "B")],
        "links": [{"id": "dc", "from": "A", "to": "C", "limit_kw": 80.0}],
    }
    # The link feeds C, from where everything flows over the line: 50 kW of room.
    document["elements"] = [
        {"id": "line", "branch": "line", "rating_kw": 100.0, "base_flow_kw": 50.0}
    ]
    result = Result(document)
    assert result.award_kw("north") == [50.0]
    assert result.award_kw("south") == [50.0]
    link = result.get("links", "dc")
    assert link["flow_kw"] == [50.0]
    # 10 at A and, behind the congested line, 10 at C: the rent is the line's, not the link's.
    assert link["rent_jpy_per_kwh"] == [0.0]
    assert result.get("elements", "line")["rent_up_jpy_per_kwh"] == [20.0]
    assert result.money["congestion_rent_jpy"] == 500.0
    assert result.money["residual_jpy"] == 0.0


def test_each_half_hour_stands_alone_where_nothing_links_it() -> None:
    result = Result(
        book(
            3,
            bids=[
                steps("early", "a", "UP", (100, 10), window=(0, 1)),
                steps("late", "b", "UP", (100, 20), window=(1, 2)),
            ],
            balance_needs=[balance_need([50, 150, 50])],
            elements=[],
        )
    )
    assert result.award_kw("early") == [50.0, 100.0, 0.0]
    assert result.award_kw("late") == [0.0, 50.0, 50.0]
    assert result.price("areas", "03") == [10.0, 20.0, 20.0]


def test_an_empty_book_is_a_result_without_awards() -> None:
    result = Result(book(2))
    assert result.json["awards"] == []
    assert result.price("areas", "03") == [0.0, 0.0]
    assert result.json["objective_jpy"] == 0.0
