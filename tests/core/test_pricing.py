"""Ties, degenerate prices, rounding, and the worked table of docs/algorithms/pricing.md."""

from __future__ import annotations

import numpy as np
import pytest

from market.core.pricing import rounded, rounded_down, rounded_up, share_ticks
from tests.books import Result, balance_need, book, local_need, steps, store


def test_the_worked_table_of_the_pricing_page() -> None:
    """Two buses, one line, two needs: every number of the page."""
    result = Result(
        book(
            bids=[
                steps("dc", "a", "UP", (120, 12), (200, 30)),
                steps("plant", "b", "UP", (400, 16)),
                steps("soak", "b", "DOWN", (50, -9)),
            ],
            local_needs=[local_need(200, cap=80)],
            balance_needs=[balance_need(260, cap=45)],
        )
    )
    # The pocket gives 200 (120 at 12, 80 at 30), the plant the remaining 60 of 260.
    assert result.award_kw("dc") == [200.0]
    assert result.award_kw("plant") == [60.0]
    assert result.award_kw("soak") == [0.0]
    assert result.price("areas", "03") == [16.0]
    assert result.price("needs", "balance-UP") == [16.0]
    assert result.price("needs", "local") == [14.0]
    assert result.price("places", "A") == [30.0]
    assert result.price("places", "B") == [16.0]
    # buyers 0.5 × (260 × 16 + 200 × 14) = 3,480; sellers 0.5 × (200 × 30 + 60 × 16) = 3,480
    assert result.money["buyers_jpy"] == 3480.0
    assert result.money["sellers_jpy"] == 3480.0
    # value 0.5 × (260 × 45 + 200 × 80) = 13,850; cost 0.5 × (120 × 12 + 80 × 30 + 60 × 16) = 2,400
    assert result.json["objective_jpy"] == pytest.approx(11_450, abs=1e-6)


def test_equal_offers_share_in_the_ratio_of_what_they_offer() -> None:
    result = Result(
        book(
            bids=[steps("large", "a", "UP", (300, 10)), steps("small", "b", "UP", (100, 10))],
            balance_needs=[balance_need(200)],
            elements=[],
        )
    )
    assert result.award_kw("large") == [150.0]
    assert result.award_kw("small") == [50.0]


def test_the_tick_left_over_goes_to_the_first_id() -> None:
    result = Result(
        book(
            bids=[steps(name, "a", "UP", (50, 10)) for name in ("c", "a", "b")],
            balance_needs=[balance_need(100)],
            elements=[],
        )
    )
    # 33.333… each: 33.3 three times, and the tick that is left to the first.
    assert [result.award_kw(name) for name in "abc"] == [[33.4], [33.3], [33.3]]


def test_a_price_that_many_duals_allow_is_the_least() -> None:
    result = Result(
        book(
            bids=[steps("full", "a", "UP", (100, 10)), steps("next", "b", "UP", (50, 30))],
            balance_needs=[balance_need(100)],
            elements=[],
        )
    )
    # Anything from 10 to 30 clears this half hour; 10 has the least square.
    assert result.price("areas", "03") == [10.0]


def test_two_components_that_may_share_a_price_share_it_evenly() -> None:
    result = Result(
        book(
            bids=[steps("pocket", "a", "UP", (100, 30))],
            local_needs=[local_need(100)],
            balance_needs=[balance_need(100)],
        )
    )
    # λ + μ ≥ 30 for the offer, both up to their caps: the least λ² + μ² is 15 each.
    assert result.price("needs", "balance-UP") == [15.0]
    assert result.price("needs", "local") == [15.0]
    assert result.price("places", "A") == [30.0]


def test_a_half_hour_without_trade_is_priced_at_zero() -> None:
    result = Result(
        book(2, bids=[steps("idle", "a", "UP", (100, 10)), store("battery", "b", 1)], elements=[])
    )
    assert result.price("areas", "03") == [0.0, 0.0]


def test_a_published_price_never_falls_below_an_accepted_ask() -> None:
    result = Result(
        book(
            bids=[steps("fine", "a", "UP", (100, 10.004))],
            balance_needs=[balance_need(50)],
            elements=[],
        )
    )
    # The place is worth 10.004, published as 10.00; the seller who asked 10.004 gets 10.01.
    assert result.price("places", "A") == [10.0]
    assert result.award("fine")["price_jpy_per_kwh"] == [10.01]
    # 0.5 × 50 × (10.00 − 10.01): what rounding costs is shown, and small.
    assert result.money["residual_jpy"] == -0.25


def test_rounding_of_quantities_leaves_no_storage_below_its_cost() -> None:
    result = Result(
        book(
            2,
            bids=[
                store("battery", "a", 1, charge_efficiency_ratio=0.93, wear_jpy_per_kwh=1.0),
                steps("supply", "b", "UP", (1000, 10), window=(0, 0)),
            ],
            balance_needs=[balance_need([0, 33.3], cap=100)],
            elements=[],
        )
    )
    sold = [award for award in result.json["awards"] if award["bid"] == "battery"]
    signs = {"UP": 1.0, "DOWN": -1.0}
    receipt_jpy = sum(
        0.5 * signs[leg["direction"]] * np.dot(leg["quantity_kw"], leg["price_jpy_per_kwh"])
        for leg in sold
    )
    assert receipt_jpy >= sum(leg["cost_jpy"] for leg in sold) - 1e-9


def test_ticks_round_to_the_nearest_down_and_up() -> None:
    values = np.array([0.126, 0.124, -0.126, 0.12, 0.3 - 1e-12])
    assert rounded(values, 0.01).tolist() == [0.13, 0.12, -0.13, 0.12, 0.3]
    assert rounded_down(values, 0.01).tolist() == [0.12, 0.12, -0.13, 0.12, 0.3]
    assert rounded_up(values, 0.01).tolist() == [0.13, 0.13, -0.12, 0.12, 0.3]


def test_shared_ticks_keep_the_total_of_each_group() -> None:
    quantity_kw = np.array([[1.06], [1.06], [1.06], [7.0], [2.04]])
    group = np.array([0, 0, 0, 1, 1])
    found = share_ticks(quantity_kw, np.full((5, 1), 10.0), group, 0.1)
    # 3.18 → 3.2 in the first group: floors 1.0 each, two ticks left; 9.04 → 9.0 in the second.
    assert found.ravel().tolist() == [1.1, 1.1, 1.0, 7.0, 2.0]


def test_a_tick_is_not_given_beyond_what_was_offered() -> None:
    quantity_kw = np.array([[1.06], [1.06]])
    most_kw = np.array([[1.06], [2.0]])
    found = share_ticks(quantity_kw, most_kw, np.zeros(2, dtype=np.int64), 0.1)
    assert found.ravel().tolist() == [1.0, 1.1]
