"""Cost floors of flexibility, against the arithmetic of the reference tables."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.core.value_of_compute import (
    CostStep,
    battery_jpy_per_kwh,
    deferral_jpy_per_kwh,
    floor_at,
    power_cap_steps,
    spatial_jpy_per_kwh,
    stop_jpy_per_kwh,
)

VALUE = Decimal(352)  # 2.35 USD per GPU hour at 150 JPY and 1 kW per GPU


def test_a_stop_costs_the_value_less_the_energy_that_is_not_bought() -> None:
    assert stop_jpy_per_kwh(VALUE) == Decimal("352.00")
    assert stop_jpy_per_kwh(VALUE, avoided_jpy_per_kwh=Decimal(20)) == Decimal("332.00")
    assert stop_jpy_per_kwh(Decimal(5), avoided_jpy_per_kwh=Decimal(20)) == Decimal("0.00")


def test_deferral_costs_displaced_work_and_restarts() -> None:
    # 352 · 0.05 = 17.6, and 352 · (5 min / 180 min) = 9.78
    assert deferral_jpy_per_kwh(VALUE) == Decimal("27.38")
    # with idle machines before the deadline only the restarts are left
    assert deferral_jpy_per_kwh(VALUE, displaced_ratio=Decimal(0)) == Decimal("9.78")


def test_caps_of_inference_rise_step_by_step() -> None:
    # slopes .024/.10, .045/.12, .060/.12, .090/.13 of 400 JPY; 10,000 kW in tens of kW
    assert power_cap_steps(Decimal(400), power_kw=Decimal(10_000), kind="INFERENCE") == [
        CostStep(quantity_kw=Decimal(1_000), cost_jpy_per_kwh=Decimal("96.00")),
        CostStep(quantity_kw=Decimal(1_200), cost_jpy_per_kwh=Decimal("150.00")),
        CostStep(quantity_kw=Decimal(1_200), cost_jpy_per_kwh=Decimal("200.00")),
        CostStep(quantity_kw=Decimal(1_300), cost_jpy_per_kwh=Decimal("276.92")),
    ]


def test_a_deeper_cap_that_costs_less_joins_the_one_before() -> None:
    # pre-training: .077/.12 = .642 falls to .056/.12 = .467, so both are .133/.24 = .554
    steps = power_cap_steps(Decimal(400), power_kw=Decimal(1_000), kind="TRAINING")
    assert steps[0] == CostStep(quantity_kw=Decimal(240), cost_jpy_per_kwh=Decimal("221.67"))
    assert [step.cost_jpy_per_kwh for step in steps] == sorted(
        step.cost_jpy_per_kwh for step in steps
    )


def test_a_small_load_has_no_steps_below_ten_kilowatts() -> None:
    assert power_cap_steps(Decimal(400), power_kw=Decimal(50), kind="INFERENCE") == []


def test_a_class_never_measured_is_taken_as_fine_tuning() -> None:
    batch = power_cap_steps(Decimal(400), power_kw=Decimal(10_000), kind="BATCH")
    assert batch == power_cap_steps(Decimal(400), power_kw=Decimal(10_000), kind="FINE_TUNING")


def test_a_move_costs_its_pause_the_move_and_energy_there() -> None:
    # 352 · 0.001 + 2 + 0.9 · 12
    assert spatial_jpy_per_kwh(
        VALUE,
        downtime_ratio=Decimal("0.001"),
        migration_jpy_per_kwh=Decimal(2),
        energy_ratio=Decimal("0.9"),
        there_jpy_per_kwh=Decimal(12),
    ) == Decimal("13.15")


def test_a_battery_costs_wear_and_what_charged_it() -> None:
    assert battery_jpy_per_kwh(
        wear_jpy_per_kwh=Decimal(3),
        charge_jpy_per_kwh=Decimal(9),
        efficiency_ratio=Decimal("0.9"),
    ) == Decimal("13.00")


@pytest.mark.parametrize(("kw", "floor"), [(1, 96), (1_000, 96), (1_001, 150), (4_701, None)])
def test_the_floor_of_the_last_kilowatt(kw: int, floor: int | None) -> None:
    steps = power_cap_steps(Decimal(400), power_kw=Decimal(10_000), kind="INFERENCE")
    assert floor_at(steps, Decimal(kw)) == floor
