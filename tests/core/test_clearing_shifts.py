"""Shifts: ratio, change cost, paths, and what labels, hardware and latency forbid."""

from __future__ import annotations

from typing import Any

import pytest

from market.core.errors import InvalidSnapshot
from market.core.snapshot import snapshot_from_json
from tests.books import Result, book, local_need, path, resource, shift, steps


def _moved(paths: dict[str, Any] | None = None, **parts: Any) -> Result:
    """Clear a need of 100 kW that only moving work from A to B can serve."""
    return Result(
        book(
            bids=[shift("move", **parts), steps("supply", "b", "UP", (1000, 10))],
            paths=[path(**(paths or {}))],
            resources=[
                resource("a", "A", labels=["government"]),
                resource("b", "B", labels=["country:JP"], hardware=["GPU"]),
            ],
            local_needs=[local_need(100)],
        )
    )


COSTS: dict[str, Any] = {
    "destinations": [{"resource": "b", "path": "ab", "ratio": 1.1}],
    "change_cost_jpy_per_kw": 2.0,
    "gb_per_kw": 1.0,
    "gb_per_kwh": 4.0,
}


def test_moved_work_is_paid_the_difference_of_both_places() -> None:
    result = _moved({"price_jpy_per_gb": 0.5}, **COSTS)
    assert result.award_kw("move", "SHIFT_OUT") == [100.0]
    assert result.award_kw("move", "SHIFT_IN") == [110.0]
    assert result.award_kw("supply") == [10.0]
    # Per kW moved for half an hour: ask 0.5 × 5, change 2, path (1 + 0.5 × 4) GB × 0.5 = 6 JPY.
    # So π_A − 1.1 × 10 = 6 ÷ 0.5, π_A = 23, of which 13 is the price of relief.
    assert result.price("places", "A") == [23.0]
    assert result.price("needs", "local") == [13.0]
    out = result.award("move", "SHIFT_OUT")
    assert out["cost_jpy"] == 450.0  # 0.5 × 5 × 100 + 2 × 100
    assert out["path_jpy"] == 150.0  # 300 GB × 0.5
    # 0.5 × 100 × 13 = 650 = seller 0.5 × (100 × 23 − 110 × 10) − 150 + supply 0.5 × 10 × 10 + path
    assert result.money["buyers_jpy"] == 650.0
    assert result.money["sellers_jpy"] == 500.0
    assert result.money["path_jpy"] == 150.0
    assert result.money["residual_jpy"] == 0.0


def test_a_full_path_limits_the_move_and_earns_a_rent() -> None:
    result = _moved({"price_jpy_per_gb": 0.5, "capacity_gb": 150.0}, **COSTS)
    assert result.award_kw("move", "SHIFT_OUT") == [50.0]
    assert result.price("needs", "local") == [100.0]
    # π_A = 110: 0.5 × (110 − 11) − 6 = 43.5 JPY per kW on 3 GB: 14.5 JPY/GB above the tariff.
    found = result.get("paths", "ab")
    assert found["used_gb"] == [150.0]
    assert found["price_jpy_per_gb"] == [15.0]
    assert found["rent_jpy_per_gb"] == [14.5]
    assert result.award("move", "SHIFT_OUT")["path_jpy"] == 2250.0
    assert result.money["residual_jpy"] == 0.0


@pytest.mark.parametrize(
    ("parts", "moved_kw"),
    [
        ({"labels_required": ["country:JP"]}, 100.0),
        ({"labels_required": ["country:JP", "government"]}, 0.0),
        ({"hardware": "GPU"}, 100.0),
        ({"hardware": "CPU"}, 0.0),
        ({"latency_max_ms": 5.0}, 100.0),
        ({"latency_max_ms": 4.9}, 0.0),
    ],
)
def test_what_a_label_hardware_or_latency_forbids_does_not_move(
    parts: dict[str, Any], moved_kw: float
) -> None:
    result = _moved(**parts)
    assert result.award_kw("move", "SHIFT_OUT") == [moved_kw]
    assert result.served_kw("local") == [moved_kw]


def test_the_change_is_charged_not_the_stay() -> None:
    result = Result(
        book(
            3,
            bids=[
                shift(
                    "move",
                    2,
                    offers=[
                        {"first_t": 0, "last_t": 2, "quantity_kw": 100.0, "ask_jpy_per_kwh": 1.0}
                    ],
                    change_cost_jpy_per_kw=5.0,
                )
            ],
            paths=[path()],
            local_needs=[local_need([100, 0, 100])],
        )
    )
    # Staying away over the middle half hour costs 0.5 × 1, going home and back 5 per kW.
    assert result.award_kw("move", "SHIFT_OUT") == [100.0, 100.0, 100.0]
    # 3 × 0.5 × 1 × 100 + 5 × 100
    assert result.award("move", "SHIFT_OUT")["cost_jpy"] == 650.0


def test_work_goes_home_when_staying_away_costs_more() -> None:
    result = Result(
        book(
            3,
            bids=[shift("move", 2, change_cost_jpy_per_kw=1.0)],
            paths=[path()],
            local_needs=[local_need([100, 0, 100])],
        )
    )
    # Staying away costs 0.5 × 5 per kW, moving again 1.
    assert result.award_kw("move", "SHIFT_OUT") == [100.0, 0.0, 100.0]


def test_what_arrives_counts_against_the_destination() -> None:
    result = Result(
        book(
            bids=[shift("move"), steps("soak", "b", "DOWN", (100, -8))],
            paths=[path()],
            resources=[resource("a", "A"), resource("b", "B", 60)],
            local_needs=[local_need(100)],
        )
    )
    assert result.award_kw("move", "SHIFT_IN")[0] + result.award_kw("soak")[0] == 60.0


@pytest.mark.parametrize(
    ("destination", "field"),
    [
        ({"resource": "a", "path": "ab", "ratio": 1.0}, "destinations[0].resource"),
        ({"resource": "b", "path": "none", "ratio": 1.0}, "destinations[0].path"),
        ({"resource": "b", "path": "ba", "ratio": 1.0}, "destinations[0].path"),
        ({"resource": "b", "path": "ab", "ratio": 0.0}, "destinations[0].ratio"),
        ({"resource": "b", "path": "ab", "ratio": float("nan")}, "destinations[0].ratio"),
    ],
)
def test_a_destination_that_cannot_be_is_refused(destination: dict[str, Any], field: str) -> None:
    back = path(id="ba", from_place="B", to_place="A")
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(
            book(bids=[shift("move", destinations=[destination])], paths=[path(), back])
        )
    assert refusal.value.field == f"bids[0].{field}"
