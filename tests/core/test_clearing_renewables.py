"""Renewables: curtailment below the schedule, release up to what is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.core.errors import InvalidSnapshot
from market.core.offers import renewables
from market.core.offers.terms import Numbers, Terms
from market.core.reading import Reader
from tests.books import Result, balance_need, book

H = 0.5


def sun(name: str = "sun", last_t: int = 2, **parts: Any) -> dict[str, Any]:
    """Return a plant at resource a that could supply 100 kW and is scheduled for 80."""
    return {
        "id": name,
        "form": "RENEWABLE",
        "resource": "a",
        "first_t": 0,
        "last_t": last_t,
        "available_kw": 100.0,
        "scheduled_kw": 80.0,
        "curtail_jpy_per_kwh": 4.0,
    } | parts


def terms(count: int) -> Terms:
    """Return a horizon with one resource."""
    return Terms(interval_count=count, interval_h=H, resources={"a": {"id": "a"}}, paths={})


def parsed(bid: dict[str, Any], count: int = 3) -> dict[str, Any]:
    """Return a bid's canonical content."""
    return renewables.parse(Reader(bid, "bid", InvalidSnapshot), terms(count))


def table(*bids: dict[str, Any], count: int = 3) -> renewables.RenewableTable:
    """Return the table of bids."""
    numbers = Numbers(terms(count), {"a": 0}, {}, {}, {})
    return renewables.table([parsed(bid, count) for bid in bids], numbers)


def test_a_plant_falls_by_its_schedule_and_rises_to_what_is_available() -> None:
    found = renewables.columns(
        table(sun(available_kw=[100, 80, 50], scheduled_kw=[80, 80, 80], release_jpy_per_kwh=1)),
        interval_h=H,
    )
    assert found.upper_kw[found.families["curtailed"]].tolist() == [80.0, 80.0, 80.0]
    # 100 − 80, 80 − 80, and nothing where less is there than is scheduled.
    assert found.upper_kw[found.families["released"]].tolist() == [20.0, 0.0, 0.0]
    # 0.5 h × 4 JPY/kWh and 0.5 h × 1 JPY/kWh
    assert found.cost_jpy.tolist() == [2.0] * 3 + [0.5] * 3
    assert [(leg.name, leg.direction) for leg in found.legs] == [
        ("CURTAILED", "DOWN"),
        ("RELEASED", "UP"),
    ]


def test_a_release_is_free_unless_the_bid_says_otherwise() -> None:
    assert parsed(sun())["release_jpy_per_kwh"] == 0.0


def test_columns_of_several_plants_stand_by_side_then_bid_then_half_hour() -> None:
    found = renewables.columns(table(sun(last_t=0), sun("wind", first_t=1, last_t=2)), interval_h=H)
    assert found.bid.tolist() == [0, 1, 1, 0, 1, 1]
    assert np.concatenate([leg.t for leg in found.legs]).tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("parts", "field", "rule"),
    [
        ({"curtail_jpy_per_kwh": -2.0, "release_jpy_per_kwh": 1.0}, "curtail_jpy_per_kwh", "at on"),
        ({"curtail_jpy_per_kwh": -1.0}, "curtail_jpy_per_kwh", "at once"),
        ({"available_kw": [100, -1, 0]}, "available_kw[1]", "at least 0"),
        ({"scheduled_kw": float("inf")}, "scheduled_kw", "finite"),
        ({"scheduled_kw": [1, 2]}, "scheduled_kw", "3 numbers"),
        ({"resource": "z"}, "resource", "known resource"),
        ({"first_t": 2, "last_t": 1}, "last_t", "at least 2"),
    ],
)
def test_a_renewable_bid_that_breaks_a_rule_is_refused(
    parts: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        parsed(sun(**parts))
    assert refusal.value.field == f"bid.{field}"
    assert rule in refusal.value.rule


def test_a_plant_may_pay_to_be_curtailed_as_long_as_releasing_costs_as_much() -> None:
    bid = parsed(sun(curtail_jpy_per_kwh=-2.0, release_jpy_per_kwh=2.0))
    assert bid["curtail_jpy_per_kwh"] == -2.0


def test_curtailment_is_bought_at_its_price_where_energy_is_too_much() -> None:
    result = Result(
        book(bids=[sun(last_t=0)], balance_needs=[balance_need(50, "DOWN", cap=20)], elements=[])
    )
    assert result.award_kw("sun", "CURTAILED") == [50.0]
    assert result.award_kw("sun", "RELEASED") == [0.0]
    # 0.5 × 50 × (20 − 4); the plant receives 4 JPY for each kWh it does not make.
    assert result.json["objective_jpy"] == pytest.approx(400, abs=1e-6)
    assert result.price("places", "A") == [-4.0]


def test_a_plant_is_not_curtailed_below_its_schedule_nor_released_above_what_is_there() -> None:
    result = Result(
        book(
            2,
            bids=[sun(last_t=1, release_jpy_per_kwh=3.0)],
            balance_needs=[
                balance_need([500, 0], "DOWN", cap=20),
                balance_need([0, 500], "UP", cap=30),
            ],
            elements=[],
        )
    )
    assert result.award_kw("sun", "CURTAILED") == [80.0, 0.0]
    # 100 − 80, at the cap of the need that gets too little.
    assert result.award_kw("sun", "RELEASED") == [0.0, 20.0]
    assert result.price("places", "A") == [-20.0, 30.0]


def test_a_free_plant_does_not_curtail_what_it_releases() -> None:
    # Both are free at price 0, and nobody needs either.
    result = Result(book(bids=[sun(last_t=0, curtail_jpy_per_kwh=0.0)], elements=[]))
    assert result.json["awards"] == []
