"""The baseline test: figures by hand, the choice, and the published figures of real traces."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from accounts.core.errors import Refused
from aggregator.core.backtest import Figures, Trial, backtest, choose, quantile
from aggregator.core.baseline_variants import CATALOGUE, Variant, variant_from_mapping
from aggregator.core.baselines import Day

MONDAY = date(2026, 6, 1)


def _variant(name: str) -> Variant:
    return variant_from_mapping(name, CATALOGUE[name])


def _days(*values: int) -> dict[date, Day]:
    return {MONDAY + timedelta(days=n): [Decimal(value)] * 48 for n, value in enumerate(values)}


def test_bias_and_cv_rmse_by_hand() -> None:
    # The hour before (BEFORE) of Mon: 100 against 90 and 110 in the event: errors +10, −10; of
    # Tue: 100 against 80 and 80: +20, +20. Σ(b − a) = 40, Σa = 360: bias 1/9.
    # rms = √((100 + 100 + 400 + 400)/4) = √250 = 15.811388; mean 90: 0.175682.
    # Per event: √100 / 100 = 0.1 and 20 / 80 = 0.25; the ninetieth percentile lies nine tenths
    # of the way: 0.235. Energy errors 0 / 200 = 0 and 40 / 160 = 0.25; 5 % and 95 % of the way:
    # 0.0125 and 0.2375. Mean 90 kWh a half hour is 180 kW.
    load = _days(100, 100)
    load[MONDAY] = [*[Decimal(100)] * 20, Decimal(90), Decimal(110), *[Decimal(100)] * 26]
    load[MONDAY + timedelta(days=1)] = [
        *[Decimal(100)] * 20, Decimal(80), Decimal(80), *[Decimal(100)] * 26,
    ]  # fmt: skip
    found = backtest(
        load, variant=_variant("BEFORE"), days=list(load), trial=Trial(starts=(20,), length=2)
    )
    assert found == Figures(
        variant="BEFORE",
        events_count=2,
        skipped_count=0,
        bias_ratio=Decimal("0.111111"),
        cv_rmse_ratio=Decimal("0.175682"),
        p90_ratio=Decimal("0.235000"),
        low_ratio=Decimal("0.012500"),
        high_ratio=Decimal("0.237500"),
        mean_kw=Decimal("180.000000"),
    )
    # 2 · 0.175682 · 180 = 63.24552, up to the next 0.1 kW.
    assert found.smallest_kw(Decimal(2)) == Decimal("63.3")


def test_days_of_calls_weekends_and_gaps_hold_no_pseudo_events() -> None:
    # Two weeks from a Monday: ten weekdays, of which one was called and one has a gap.
    load = _days(*[100] * 14)
    load[MONDAY + timedelta(days=2)] = [None] * 48
    found = backtest(
        load,
        variant=_variant("BEFORE"),
        days=list(load),
        called_on={MONDAY + timedelta(days=1)},
        trial=Trial(starts=(20,)),
    )
    assert (found.events_count, found.skipped_count) == (8, 0)
    with_weekends = Trial(starts=(20,), weekdays_only=False)
    found = backtest(load, variant=_variant("BEFORE"), days=list(load), trial=with_weekends)
    assert found.events_count == 13


def test_events_a_method_cannot_compute_are_counted() -> None:
    # High 4 of 5 needs four earlier weekdays: Monday to Thursday can't, Friday and five more can.
    load = _days(*[100] * 12)
    found = backtest(
        load, variant=_variant("HIGH_4_OF_5_RAW"), days=list(load), trial=Trial(starts=(20,))
    )
    assert (found.events_count, found.skipped_count) == (6, 4)
    assert (found.bias_ratio, found.cv_rmse_ratio) == (0, 0)


def test_a_load_of_nothing_has_no_figures() -> None:
    found = backtest(
        _days(0, 0), variant=_variant("BEFORE"), days=[MONDAY], trial=Trial(starts=(20,))
    )
    assert (found.events_count, found.skipped_count) == (0, 1)


def _figures(name: str, cv: str, bias: str = "0", events: int = 30) -> Figures:
    return Figures(
        variant=name,
        events_count=events,
        skipped_count=0,
        bias_ratio=Decimal(bias),
        cv_rmse_ratio=Decimal(cv),
        mean_kw=Decimal(100),
    )


def test_the_least_cv_rmse_wins_if_it_was_tried_often_enough() -> None:
    trial = Trial()
    few = _figures("FEW", "0.01", events=trial.events_min - 1)
    wide, narrow = _figures("WIDE", "0.09"), _figures("NARROW", "0.05")
    assert choose([few, wide, narrow], trial) == narrow
    assert choose([few], trial) is None


def test_of_equals_the_least_bias_then_the_first_wins() -> None:
    one, two = _figures("ONE", "0.05", "-0.02"), _figures("TWO", "0.05", "0.01")
    three = _figures("THREE", "0.05", "-0.01")
    assert choose([one, two, three], Trial()) == two


def test_a_quantile_lies_between_two_values_in_proportion() -> None:
    values = [Decimal(4), Decimal(1), Decimal(3), Decimal(2)]
    # 0.9 · 3 = 2.7: between the third (3) and the fourth (4).
    assert quantile(values, Decimal("0.9")) == Decimal("3.7")
    assert quantile([Decimal(7)], Decimal("0.5")) == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": ()},
        {"starts": (43,)},
        {"starts": (-1,)},
        {"length": 0},
        {"events_min": 0},
        {"noise_factor": Decimal(0)},
        {"tail_ratio": Decimal(1)},
    ],
)
def test_a_trial_that_looks_at_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Refused):
        Trial(**changes)  # type: ignore[arg-type]
