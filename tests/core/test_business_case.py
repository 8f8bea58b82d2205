"""A business case worked by hand: a year of it, its years, and a store's day."""

from __future__ import annotations

from decimal import Decimal

from aggregator.core.business_case import (
    DayEarned,
    Terms,
    annuity,
    case_of,
    day_earned,
    stored_day_earned,
    turned,
    value_of_years,
)
from aggregator.core.value_of_compute import CostStep, deferral_jpy_per_kwh

PRICES = [Decimal(10)] * 44 + [Decimal(60)] * 3 + [Decimal(150)]
TERMS = Terms(
    day_count=Decimal(300),
    missing_ratio=Decimal("0.2"),
    tolerance_ratio=Decimal("0.1"),
    penalty_factor_ratio=Decimal("1.5"),
    fee_ratio=Decimal("0.05"),
    capital_jpy=Decimal(100_000_000),
    fixed_jpy=Decimal(1_000_000),
    year_count=10,
    discount_ratio=Decimal("0.05"),
)


def deferred() -> DayEarned:
    # 240 × (5 % + 5 min / 3 h) = 240 × (0.05 + 1/36) = 18.67
    cost = deferral_jpy_per_kwh(Decimal(240))
    assert cost == Decimal("18.67")
    step = CostStep(quantity_kw=Decimal(1_000), cost_jpy_per_kwh=cost)
    return day_earned(PRICES, [step], longest_h=Decimal(2))


def test_a_day_sells_its_dearest_half_hours_as_long_as_it_may() -> None:
    day = deferred()
    # four half hours of 500 kWh: 500 × (150 + 3 × 60); 2,000 × 18.67
    assert (day.sold_kwh, day.received_jpy, day.cost_jpy) == (2_000, 165_000, 37_340)


def test_steps_that_cost_more_than_the_price_are_not_sold() -> None:
    steps = [
        CostStep(quantity_kw=Decimal(100), cost_jpy_per_kwh=Decimal(9)),
        CostStep(quantity_kw=Decimal(100), cost_jpy_per_kwh=Decimal(100)),
    ]
    day = day_earned(PRICES, steps, longest_h=Decimal(24))
    # the first step all day: 50 × (44 × 10 + 3 × 60 + 150); the second at 150 alone
    assert day.received_jpy == 50 * 770 + 50 * 150
    assert day.cost_jpy == 2_400 * 9 + 50 * 100


def test_a_year_and_its_years_are_what_they_are_by_hand() -> None:
    case = case_of([deferred(), deferred()], TERMS)
    assert case.received_jpy == 49_500_000  # 300 × 165,000
    assert case.cost_jpy == 11_202_000  # 300 × 37,340
    assert case.unpaid_jpy == 9_900_000  # 20 %
    assert case.penalty_jpy == 2_475_000  # (20 − 10) % × (1.5 − 1)
    assert case.fee_jpy == 1_980_000  # 5 % of 39,600,000
    # 49,500,000 − 9,900,000 − 2,475,000 − 1,980,000 − 11,202,000 − 1,000,000
    assert case.net_jpy == 22_943_000
    assert round(annuity(Decimal("0.05"), 10), 6) == Decimal("7.721735")
    assert round(case.value_jpy) == 77_159_764  # 22,943,000 × 7.7217349… − 100,000,000
    assert case.payback_years is not None
    assert round(case.payback_years, 4) == Decimal("4.3586")
    rate = case.return_ratio
    assert rate is not None
    assert round(rate, 3) == Decimal("0.189")
    assert abs(value_of_years(case.net_jpy, TERMS, rate)) < 1
    # (100,000,000 / 7.7217349… + 1,000,000 + 11,202,000) / (600,000 × 0.8)
    assert case.cost_jpy_per_kwh is not None
    assert round(case.cost_jpy_per_kwh, 2) == Decimal("52.40")


def test_a_fifth_more_capital_lowers_the_value_by_just_that() -> None:
    case = case_of([deferred()], TERMS)
    more = turned(case, "capital", Decimal("1.2"))
    assert case.value_jpy - more.value_jpy == 20_000_000
    less = turned(case, "receipts", Decimal("0.8"))
    # of each yen received 1 − 0.2 − 0.05 − 0.05 × 0.8 = 0.71 stays
    assert case.net_jpy - less.net_jpy == Decimal("0.2") * 49_500_000 * Decimal("0.71")


def test_what_never_pays_has_no_payback_and_no_return() -> None:
    nothing = DayEarned(received_jpy=Decimal(0), cost_jpy=Decimal(0), sold_kwh=Decimal(0))
    case = case_of([nothing], TERMS)
    assert case.net_jpy == -1_000_000
    assert (case.payback_years, case.return_ratio, case.cost_jpy_per_kwh) == (None, None, None)


def test_a_store_charges_cheap_and_discharges_dear_while_that_pays() -> None:
    day = stored_day_earned(
        PRICES,
        discharge_kw=Decimal(800),
        charge_kw=Decimal(1_000),
        usable_kwh=Decimal(1_500),
        charge_efficiency_ratio=Decimal("0.8"),
        discharge_efficiency_ratio=Decimal(1),
        wear_jpy_per_kwh=Decimal(3),
    )
    # 400 kWh a half hour take 500 at 10 yen; three fit in 1,500: 150, 60, 60
    assert day.sold_kwh == 1_200
    assert day.received_jpy == 400 * (150 + 60 + 60)
    assert day.cost_jpy == 3 * 500 * 10 + 1_200 * 3
    flat = stored_day_earned(
        [Decimal(10)] * 48,
        discharge_kw=Decimal(800),
        charge_kw=Decimal(1_000),
        usable_kwh=Decimal(1_500),
        charge_efficiency_ratio=Decimal("0.8"),
        discharge_efficiency_ratio=Decimal(1),
        wear_jpy_per_kwh=Decimal(3),
    )
    assert flat.sold_kwh == 0
