"""What one bid would have done at given prices: worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.core.offers.terms import Terms
from market.core.response import Response, responses

HERE = {"id": "a", "place": "p", "labels": [], "hardware": []}
THERE = {"id": "b", "place": "q", "labels": [], "hardware": []}
PATH = {"id": "l", "from_place": "p", "to_place": "q", "latency_ms": 1.0, "price_jpy_per_gb": 2.0}
TERMS = Terms(
    interval_count=4, interval_h=0.5, resources={"a": HERE, "b": THERE}, paths={"l": PATH}
)
STORE = {
    "id": "s", "form": "STORAGE", "resource": "a", "first_t": 0, "last_t": 3,
    "charge_limit_kw": 100.0, "discharge_limit_kw": 80.0, "energy_limit_kwh": 1000.0,
    "reserve_kwh": 0.0, "start_kwh": 0.0, "end_min_kwh": 0.0, "charge_efficiency_ratio": 0.8,
    "discharge_efficiency_ratio": 1.0, "standing_loss_ratio": 0.0, "wear_jpy_per_kwh": 3.0,
    "cycles_max": 1.0,
}  # fmt: skip
BLOCK = {
    "id": "b", "form": "BLOCK", "resource": "a", "direction": "UP", "first_t": 1,
    "quantity_kw": [100.0, 200.0], "ask_jpy_per_kwh": 10.0, "acceptance_min_ratio": 1.0,
    "start_cost_jpy": 500.0, "parent": "gone", "exclusive_group": "g",
}  # fmt: skip
WAIT = {
    "id": "d", "form": "DEFERRAL", "resource": "a", "first_t": 0, "last_t": 3,
    "arriving_kw": [100.0, 0.0, 0.0, 0.0], "slack_count": 2, "service_limit_kw": [100.0] * 4,
    "rebound_limit_kw": 100.0, "extra_work_ratio": 0.0, "ask_jpy_per_kwh": 4.0,
}  # fmt: skip
MOVE = {
    "id": "m", "form": "SHIFT", "resource": "a",
    "destinations": [{"resource": "b", "path": "l", "ratio": 1.5}],
    "offers": [{"first_t": 1, "last_t": 1, "quantity_kw": 100.0, "ask_jpy_per_kwh": 1.0}],
    "change_cost_jpy_per_kw": 1.0, "gb_per_kw": 0.0, "gb_per_kwh": 0.5,
}  # fmt: skip


def _at(bid: dict[str, Any], here: list[float], there: float = 0.0) -> Response:
    (found,) = responses(bid, TERMS, [{"a": np.array(here), "b": np.full(4, there)}])
    return found


def test_a_store_buys_cheap_and_sells_dear_within_its_losses() -> None:
    found = _at(STORE, [10.0, 20.0, 40.0, 20.0])
    # 100 kW for half an hour at 10 JPY keep 40 kWh: all of it is sold at 40, for 3 JPY of wear
    assert found.bought_kw == pytest.approx([100, 0, 0, 0])
    assert found.sold_kw == pytest.approx([0, 0, 80, 0])
    assert found.received_jpy == pytest.approx([-500, 0, 1600, 0])
    assert found.cost_jpy == pytest.approx(120)


def test_a_store_never_charges_and_discharges_at_once_though_it_would_be_paid() -> None:
    found = _at(STORE, [-10.0, -10.0, -10.0, -10.0])
    assert not ((found.sold_kw > 1e-6) & (found.bought_kw > 1e-6)).any()
    assert found.received_jpy.sum() == pytest.approx(2000)  # 4 half hours of 50 kWh at 10 JPY


def test_a_block_is_taken_whole_once_it_covers_its_start() -> None:
    # 50 and 100 kWh: at 13 JPY a gain of 3 JPY on 150 kWh is less than the start of 500 JPY
    assert _at(BLOCK, [0.0, 13.0, 13.0, 0.0]).sold_kw == pytest.approx([0, 0, 0, 0])
    found = _at(BLOCK, [0.0, 13.0, 14.0, 0.0])  # 150 + 400 JPY
    assert found.sold_kw == pytest.approx([0, 100, 200, 0])
    assert found.received_jpy.sum() == pytest.approx(650 + 1400)
    assert found.cost_jpy == pytest.approx(1500 + 500)


def test_work_waits_as_long_as_it_may_and_pays_for_the_rebound() -> None:
    found = _at(WAIT, [20.0, 18.0, 5.0, 1.0])
    assert found.sold_kw == pytest.approx([100, 0, 0, 0])
    assert found.bought_kw == pytest.approx([0, 0, 100, 0])  # the fourth half hour is too late
    assert found.received_jpy.sum() == pytest.approx(50 * (20 - 5))
    assert found.cost_jpy == pytest.approx(200)


def test_work_moves_where_power_path_and_change_cost_less_than_here() -> None:
    # per kWh here: 1.5 × 6 there, 1 asked, 0.5 GB × 2; 2 of the change per kWh of a half hour
    assert _at(MOVE, [0.0, 12.9, 0.0, 0.0], there=6.0).sold_kw.sum() == pytest.approx(0)
    found = _at(MOVE, [0.0, 13.1, 0.0, 0.0], there=6.0)
    assert found.sold_kw == pytest.approx([0, 100, 0, 0])
    assert found.bought_kw == pytest.approx([0, 150, 0, 0])
    assert found.received_jpy.sum() == pytest.approx(50 * 13.1 - 75 * 6)
    assert found.cost_jpy == pytest.approx(50 + 50 + 100)
