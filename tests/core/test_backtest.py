"""The baseline test: figures by hand, the choice, and the published figures of real traces."""

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from accounts.core.errors import Refused
from aggregator.core.backtest import Figures, Trial, backtest, choose, quantile
from aggregator.core.baseline_variants import CATALOGUE, Variant, variant_from_mapping
from aggregator.core.baselines import Day
from tests.shared_files import shared_path

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


# Bias and CV-RMSE in percent as published for the two traces. On which half hours the
# pseudo-events were put, and which day of the week a trace begins on, was not: with the ones here
# every CV-RMSE is found to a tenth, every bias to a third, but one. Ten of ten on the second
# trace was averaged over fewer days at its beginning, which we refuse: its bias differs by 1.1.
VARIANTS = ("HIGH_4_OF_5_RAW", "HIGH_4_OF_5", "TEN_OF_TEN", "TEN_OF_TEN_ADJUSTED")
TRACES = {
    "google2019_cell_5min_28d.csv": (
        ("avg_cpu", Decimal(100_000)),
        (range(12, 31), 0),
        ((1.05, 7.74), (1.60, 8.90), (0.47, 7.59), (-0.11, 8.65)),
    ),
    "azure_v2_vm_5min_30d.csv": (
        ("cpu_usage", Decimal("0.001")),
        (range(18, 35, 2), 10),
        ((1.31, 7.21), (0.82, 4.33), (-2.06, 7.34), (0.01, 3.54)),
    ),
}


def _trace(path: Path, column: str, scale: Decimal) -> dict[date, Day]:
    """Means of six five-minute values as half hours; the first day stands as a Monday."""
    with path.open(encoding="utf-8") as file:
        values = [Decimal(row[column]) * scale for row in csv.DictReader(file)]
    halves = [sum(values[n : n + 6], Decimal(0)) / 6 for n in range(0, len(values) - 5, 6)]
    return {
        MONDAY + timedelta(days=n): halves[48 * n : 48 * (n + 1)] for n in range(len(halves) // 48)
    }


@pytest.mark.parametrize("name", TRACES)
def test_the_published_figures_of_real_traces_are_found_again(name: str) -> None:
    path = shared_path(f"dc_utilisation/{name}")
    if path is None:
        pytest.skip("the trace is not there")
    (column, scale), (starts, first), published = TRACES[name]
    load = _trace(path, column, scale)
    found = {}
    for variant, (bias, cv_rmse) in zip(VARIANTS, published, strict=True):
        figures = backtest(
            load,
            variant=_variant(variant),
            days=sorted(load)[first:],
            trial=Trial(starts=tuple(starts)),
        )
        found[variant] = figures
        few_days = (variant, bias) == ("TEN_OF_TEN", -2.06)
        near = pytest.approx(bias, abs=1.15 if few_days else 0.35)
        assert float(figures.bias_ratio) * 100 == near
        assert float(figures.cv_rmse_ratio) * 100 == pytest.approx(cv_rmse, abs=0.12)
    # The adjustment hurts the one site and helps the other: what the test is for.
    helps = found["HIGH_4_OF_5"].cv_rmse_ratio < found["HIGH_4_OF_5_RAW"].cv_rmse_ratio
    assert helps == name.startswith("azure")
    best = choose(list(found.values()), Trial())
    assert best is not None
    assert best.variant == ("TEN_OF_TEN_ADJUSTED" if helps else "TEN_OF_TEN")
