"""Storage: energy, losses, reserve, end, cycles, and one side at a time."""

from __future__ import annotations

import pytest

from market.core.errors import InvalidSnapshot
from market.core.snapshot import snapshot_from_json
from tests.books import Result, balance_need, book, resource, steps, store


def test_energy_bought_in_one_half_hour_is_sold_in_the_next_less_losses() -> None:
    result = Result(
        book(
            2,
            bids=[
                store(
                    "battery",
                    "a",
                    1,
                    charge_efficiency_ratio=0.8,
                    discharge_efficiency_ratio=0.9,
                    wear_jpy_per_kwh=2.0,
                )
            ],
            balance_needs=[
                balance_need([100, 0], "DOWN", cap=5),
                balance_need([0, 200], "UP", cap=50),
            ],
            elements=[],
        )
    )
    # 100 kW × 0.5 h × 0.8 = 40 kWh stored; 40 × 0.9 ÷ 0.5 = 72 kW delivered.
    assert result.award_kw("battery", "CHARGE") == [100.0, 0.0]
    assert result.award_kw("battery", "DISCHARGE") == [0.0, 72.0]
    # 0.5 × (100 × 5 + 72 × 50) − 0.5 × 72 × 2
    assert result.json["objective_jpy"] == pytest.approx(1978, abs=1e-6)
    assert result.award("battery", "DISCHARGE")["cost_jpy"] == 72.0


def test_the_reserve_is_never_sold() -> None:
    result = Result(
        book(
            bids=[store("ups", "a", 0, start_kwh=50.0, reserve_kwh=30.0)],
            balance_needs=[balance_need(100)],
            elements=[],
        )
    )
    # (50 − 30) kWh ÷ 0.5 h
    assert result.award_kw("ups", "DISCHARGE") == [40.0]


def test_the_end_energy_is_bought_back() -> None:
    result = Result(
        book(
            2,
            bids=[
                store("battery", "a", 1, start_kwh=50.0, end_min_kwh=50.0),
                steps("supply", "b", "UP", (100, 10), window=(1, 1)),
            ],
            balance_needs=[balance_need([100, 0], cap=50)],
            elements=[],
        )
    )
    assert result.award_kw("battery", "DISCHARGE") == [100.0, 0.0]
    assert result.award_kw("battery", "CHARGE") == [0.0, 100.0]
    # 0.5 × 100 × (50 − 10)
    assert result.json["objective_jpy"] == pytest.approx(2000, abs=1e-6)
    # Buying back at 10 makes 10 the worth of a stored kWh, and so the price of both half hours.
    assert result.price("areas", "03") == [10.0, 10.0]


def test_standing_loss_compounds_over_the_half_hour() -> None:
    result = Result(
        book(
            bids=[store("heat", "a", 0, start_kwh=100.0, standing_loss_ratio=0.19)],
            balance_needs=[balance_need(1000)],
            elements=[],
        )
    )
    # 19 % an hour leave √0.81 = 0.9 after half an hour: 90 kWh ÷ 0.5 h.
    assert result.award_kw("heat", "DISCHARGE") == [180.0]


def test_cycles_limit_what_leaves_the_store() -> None:
    result = Result(
        book(
            bids=[store("battery", "a", 0, start_kwh=100.0, cycles_max=0.25)],
            balance_needs=[balance_need(1000)],
            elements=[],
        )
    )
    # 0.25 × 100 kWh ÷ 0.5 h
    assert result.award_kw("battery", "DISCHARGE") == [50.0]


def test_wear_above_the_price_keeps_the_store_idle() -> None:
    result = Result(
        book(
            bids=[store("battery", "a", 0, start_kwh=100.0, wear_jpy_per_kwh=60.0)],
            balance_needs=[balance_need(100, cap=50)],
            elements=[],
        )
    )
    assert result.award_kw("battery", "DISCHARGE") == [0.0]


def test_a_store_does_not_burn_energy_by_charging_and_discharging_at_once() -> None:
    lossy = {"charge_efficiency_ratio": 0.5, "discharge_efficiency_ratio": 0.5}
    result = Result(
        book(
            bids=[store("battery", "a", 0, start_kwh=90.0, **lossy)],
            balance_needs=[balance_need(1000, "DOWN", cap=100)],
            elements=[],
        )
    )
    # Room for 10 kWh: 10 ÷ 0.5 ÷ 0.5 h = 40 kW. Burning would have served far more of the need.
    assert result.award_kw("battery", "CHARGE") == [40.0]
    assert result.award_kw("battery", "DISCHARGE") == [0.0]
    assert result.price("needs", "balance-DOWN") == [100.0]
    assert result.json["raw"]["bids"]["battery"]["held"] == {"discharge": [0]}
    assert result.json["gap_ratio"] == 0.0


def test_a_full_store_stays_idle_at_a_negative_price() -> None:
    lossy = {"charge_efficiency_ratio": 0.5, "discharge_efficiency_ratio": 0.5}
    result = Result(
        book(
            bids=[store("battery", "a", 0, start_kwh=100.0, **lossy)],
            balance_needs=[balance_need(1000, "DOWN", cap=100)],
            elements=[],
        )
    )
    assert result.json["awards"] == []
    assert result.served_kw("balance-DOWN") == [0.0]


@pytest.mark.parametrize(
    ("direction", "leg", "limits"),
    [
        ("UP", "DISCHARGE", {"limit_up_kw": 30.0}),
        ("DOWN", "CHARGE", {"limit_down_kw": 30.0}),
    ],
)
def test_a_store_acts_within_the_limits_of_its_resource(
    direction: str, leg: str, limits: dict[str, float]
) -> None:
    result = Result(
        book(
            bids=[store("battery", "a", 0, start_kwh=50.0)],
            resources=[resource("a", "A", 1000.0, **limits)],
            balance_needs=[balance_need(100, direction)],
            elements=[],
        )
    )
    assert result.award_kw("battery", leg) == [30.0]


def test_a_window_bounds_when_a_store_acts() -> None:
    result = Result(
        book(
            3,
            bids=[store("battery", "a", 1, first_t=1, start_kwh=100.0)],
            balance_needs=[balance_need(100)],
            elements=[],
        )
    )
    assert result.award_kw("battery", "DISCHARGE") == [0.0, 100.0, 0.0]


@pytest.mark.parametrize(
    ("parts", "field", "rule"),
    [
        ({"start_kwh": 20.0, "reserve_kwh": 30.0}, "start_kwh", "reserve"),
        ({"start_kwh": 20.0, "end_min_kwh": 30.0}, "end_min_kwh", "idle"),
        ({"start_kwh": 120.0}, "start_kwh", "energy_limit_kwh"),
        (
            {"start_kwh": 30.0, "reserve_kwh": 30.0, "standing_loss_ratio": 0.1},
            "start_kwh",
            "reserve",
        ),
        ({"charge_efficiency_ratio": 1.1}, "charge_efficiency_ratio", "at most 1"),
        ({"discharge_efficiency_ratio": 0.0}, "discharge_efficiency_ratio", "at least"),
    ],
)
def test_a_store_that_could_not_stay_idle_is_refused(
    parts: dict[str, float], field: str, rule: str
) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(book(bids=[store("battery", "a", 0, **parts)]))
    assert refusal.value.field == f"bids[0].{field}"
    assert rule in refusal.value.rule


TINY = {
    "held charge": {
        "charge_limit_kw": 0.1,
        "discharge_limit_kw": 0.0,
        "start_kwh": 0.1,
        "wear_jpy_per_kwh": 0.01,
        "cycles_max": 1.0,
        "charge_efficiency_ratio": 0.9,
    },
    "lossy discharge": {
        "charge_limit_kw": 0.1,
        "discharge_limit_kw": 0.1,
        "discharge_efficiency_ratio": 0.01,
        "cycles_max": 48.0,
    },
    "power far beyond its energy": {
        "charge_limit_kw": 10_000.0,
        "discharge_limit_kw": 10_000.0,
        "start_kwh": 0.1,
        "discharge_efficiency_ratio": 0.01,
        "cycles_max": 48.0,
    },
    "leak of nearly all": {
        "charge_limit_kw": 10_000.0,
        "discharge_limit_kw": 0.1,
        "start_kwh": 0.1,
        "wear_jpy_per_kwh": 9999.0,
        "standing_loss_ratio": 0.999,
        "cycles_max": 0.01,
        "discharge_efficiency_ratio": 0.9,
    },
}


@pytest.mark.parametrize("name", TINY)
def test_a_store_of_a_hundred_watt_hours_clears_beside_hundreds_of_megawatts(name: str) -> None:
    tiny = store(
        "tiny", "a", 9, **{"energy_limit_kwh": 0.1, "standing_loss_ratio": 1e-6} | TINY[name]
    )
    need_kw = [1000.0 * (t % 3 + 1) for t in range(10)]
    result = Result(  # raises if the certificate does not pass
        book(
            10,
            bids=[
                tiny,
                steps("cheap", "b", "UP", (300_000, 5.0), window=(0, 9)),
                steps("soak", "b", "DOWN", (300_000, -4.0), window=(0, 9)),
            ],
            resources=[resource("a", "A", 1e6), resource("b", "B", 1e6)],
            balance_needs=[balance_need(need_kw, cap=50)],
            elements=[],
        )
    )
    columns = result.json["raw"]["bids"].get("tiny", {}).get("x", {})
    raw = {name: columns.get(name, [0.0] * 10) for name in ("charge", "discharge", "energy")}
    # e = (1 − loss)^½ e₋ + ½ η c − ½ d ÷ η, to the last digit of the 0.1 kWh it can hold.
    bid = tiny
    stored_kwh = bid["start_kwh"]
    for charge_kw, discharge_kw, energy_kwh in zip(
        raw["charge"], raw["discharge"], raw["energy"], strict=True
    ):
        stored_kwh *= (1 - bid["standing_loss_ratio"]) ** 0.5
        stored_kwh += 0.5 * bid["charge_efficiency_ratio"] * charge_kw
        stored_kwh -= 0.5 * discharge_kw / bid["discharge_efficiency_ratio"]
        assert energy_kwh == pytest.approx(stored_kwh, abs=1e-14)
