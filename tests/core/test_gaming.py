"""Signs of gaming: each with figures by hand, its threshold, and its evidence."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.core.errors import Refused
from aggregator.core.gaming import (
    RATIO_MAX,
    Indicator,
    Movement,
    Thresholds,
    Told,
    baseline_inflation,
    double_sale,
    frozen_baseline,
    inc_dec,
    late_data,
    phantom_shift,
    planned_outage,
    window_ramp,
    z_of,
)

DAY = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 3, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
USUAL = Thresholds()


def _days(first: int, *values: int) -> dict[date, Decimal]:
    return {DAY - timedelta(days=first + n): Decimal(value) for n, value in enumerate(values)}


def _numbers(*values: int) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_z_is_the_distance_of_means_in_standard_errors() -> None:
    # Means 110 and 100; variances 4 each ((−2)² + 0 + 2²) / 2; √(4/3 + 4/3) = 1.632993;
    # 10 / 1.632993 = 6.123724.
    assert z_of(_numbers(108, 110, 112), _numbers(98, 100, 102)) == Decimal("6.123724")
    assert z_of(_numbers(98, 100, 102), _numbers(108, 110, 112)) == Decimal("-6.123724")


def test_samples_without_spread_are_equal_or_as_far_apart_as_can_be() -> None:
    assert z_of(_numbers(5, 5), _numbers(5, 5)) == 0
    assert z_of(_numbers(6, 6), _numbers(5, 5)) == RATIO_MAX
    assert z_of(_numbers(6), _numbers(5, 5)) is None


def test_load_raised_on_baseline_days_is_a_sign() -> None:
    # Means 120 and 100; variances 20/3 on both sides (±3, ±1): √(2 · 20/3 / 4) = 1.825742;
    # 20 / 1.825742 = 10.954451.
    used, like = _days(1, 117, 119, 121, 123), _days(10, 97, 99, 101, 103)
    sign = baseline_inflation(
        used | like, baseline_days=list(used), matched_days=list(like), thresholds=USUAL
    )
    assert sign is not None
    assert sign.indicator == Indicator.BASELINE_INFLATION
    assert sign.statistic_ratio == Decimal("10.954451")
    assert (sign.from_on, sign.to_on) == (DAY - timedelta(days=4), DAY)
    assert sign.evidence["baseline_days_kwh"]["2026-11-24"] == "117"


def test_usual_baseline_days_and_too_few_are_no_sign() -> None:
    used, like = _days(1, 99, 100, 101, 102), _days(10, 97, 99, 101, 103)
    all_days = used | like
    assert not baseline_inflation(
        all_days, baseline_days=list(used), matched_days=list(like), thresholds=USUAL
    )
    few = _days(1, 200, 201, 202)
    assert not baseline_inflation(
        few | like, baseline_days=list(few), matched_days=list(like), thresholds=USUAL
    )


def test_ten_called_weekdays_in_a_row_freeze_a_baseline_whatever_the_weekend() -> None:
    weekdays = [DAY - timedelta(days=n) for n in range(40)]
    weekdays = sorted(day for day in weekdays if day.weekday() < 5)
    called = weekdays[5:15]
    (sign,) = frozen_baseline(called, weekdays, thresholds=USUAL)
    assert (sign.statistic_ratio, sign.from_on) == (10, called[0])
    assert sign.to_on == called[-1] + timedelta(days=1)
    assert frozen_baseline(called[1:], weekdays, thresholds=USUAL) == []
    # A free day inside ends the series.
    broken = [day for day in weekdays[:19] if day != weekdays[9]]
    assert frozen_baseline(broken, weekdays, thresholds=USUAL) == []


def test_a_rise_into_the_window_on_event_days_is_a_sign_and_a_fall_is_not() -> None:
    # Means 30 and 0; variances 20/3: 30 / 1.825742 = 16.431677.
    events, like = _days(1, 27, 29, 31, 33), _days(10, -3, -1, 1, 3)
    sign = window_ramp(
        events | like, event_days=list(events), matched_days=list(like), thresholds=USUAL
    )
    assert sign is not None
    assert sign.statistic_ratio == Decimal("16.431677")
    fall = {day: -value for day, value in events.items()}
    assert not window_ramp(
        fall | like, event_days=list(fall), matched_days=list(like), thresholds=USUAL
    )


def _moved(resource: str, reduced: str, relief: str, paid: str) -> Movement:
    return Movement(
        resource=resource,
        start_at=NOON,
        reduced_kwh=Decimal(reduced),
        relief_ratio=Decimal(relief),
        paid_kwh=Decimal(paid),
    )


def test_a_reduction_that_reappears_on_the_same_element_is_phantom() -> None:
    # Paid 0.6 · 100 = 60; net 0.6 · 100 − 0.5 · 90 = 15: 1 − 15/60 = 0.75 is phantom.
    here, there = _moved("a", "100", "0.6", "100"), _moved("b", "-90", "0.5", "0")
    sign = phantom_shift([here, there], element="line", day=DAY, thresholds=USUAL)
    assert sign is not None
    assert sign.statistic_ratio == Decimal("0.750000")
    assert sign.evidence["net_on_element_kwh"] == "15.0"


def test_work_moved_behind_another_element_and_work_not_done_are_no_phantoms() -> None:
    here, away = _moved("a", "100", "0.6", "100"), _moved("b", "-90", "0", "0")
    assert not phantom_shift([here, away], element="line", day=DAY, thresholds=USUAL)
    # Half is not delivered, but nobody rose: that is shortfall, and settled as such.
    short, still = _moved("a", "50", "0.6", "100"), _moved("b", "0", "0.5", "0")
    assert not phantom_shift([short, still], element="line", day=DAY, thresholds=USUAL)
    assert not phantom_shift([], element="line", day=DAY, thresholds=USUAL)


def test_a_stop_known_before_the_gate_and_sold_is_a_sign() -> None:
    starts = [NOON + n * HALF_HOUR for n in range(4)]
    gate_at = NOON - timedelta(hours=20)
    stop = (NOON + HALF_HOUR, NOON + 3 * HALF_HOUR, gate_at - timedelta(days=3))
    sign = planned_outage(starts, [stop], sold_at=gate_at, day=DAY, thresholds=USUAL)
    assert sign is not None
    # Two of four half hours.
    assert sign.statistic_ratio == Decimal("0.500000")
    assert [row["start_at"] for row in sign.evidence["half_hours"]] == [
        starts[1].isoformat(),
        starts[2].isoformat(),
    ]
    later = (*stop[:2], gate_at + timedelta(hours=1))
    assert not planned_outage(starts, [later], sold_at=gate_at, day=DAY, thresholds=USUAL)
    assert not planned_outage([], [stop], sold_at=gate_at, day=DAY, thresholds=USUAL)


def test_a_schedule_raised_where_relief_is_sold_is_a_sign() -> None:
    # Sold t = 36, 37: planned 115 + 115 against 100 + 100: 15 % above.
    plan = {t: Decimal(115 if t in (36, 37) else 100) for t in range(48)}
    usual = dict.fromkeys(range(48), Decimal(100))
    sign = inc_dec(plan, usual, sold=[36, 37], is_pivotal=True, day=DAY, thresholds=USUAL)
    assert sign is not None
    assert (sign.statistic_ratio, sign.evidence["is_pivotal"]) == (Decimal("0.150000"), True)
    assert not inc_dec(plan, usual, sold=[3], is_pivotal=True, day=DAY, thresholds=USUAL)
    nothing = dict.fromkeys(range(48), Decimal(0))
    assert not inc_dec(plan, nothing, sold=[36], is_pivotal=True, day=DAY, thresholds=USUAL)


def test_more_awarded_than_a_resource_can_change_is_a_double_sale() -> None:
    awards = {
        3: [("a", Decimal(600)), ("b", Decimal(600))],
        4: [("a", Decimal(600)), ("b", Decimal(400))],
    }
    sign = double_sale(awards, limit_kw=Decimal(1_000), day=DAY)
    assert sign is not None
    # 1,200 of 1,000 kW at t = 3; 1,000 at t = 4 is what it can.
    assert sign.statistic_ratio == Decimal("1.200000")
    assert [row["t"] for row in sign.evidence["half_hours"]] == [3]
    assert not double_sale({4: awards[4]}, limit_kw=Decimal(1_000), day=DAY)
    nothing = double_sale({4: awards[4]}, limit_kw=Decimal(0), day=DAY)
    assert nothing is not None
    assert nothing.statistic_ratio == RATIO_MAX


def test_values_late_missing_or_changed_are_counted() -> None:
    # Of fifty half hours one came after two days and a half hour, one never, one changed twice.
    on_time = [
        Told(start_at=NOON + n * HALF_HOUR, first_at=NOON + n * HALF_HOUR, changes_count=0)
        for n in range(47)
    ]
    limit = timedelta(days=2, minutes=30)
    late_at = NOON + 47 * HALF_HOUR
    odd = [
        Told(start_at=late_at, first_at=late_at + limit + timedelta(seconds=1), changes_count=0),
        Told(start_at=late_at + HALF_HOUR, first_at=None, changes_count=0),
        Told(start_at=late_at + 2 * HALF_HOUR, first_at=late_at + limit, changes_count=2),
    ]
    sign = late_data([*on_time, *odd], from_on=DAY, to_on=DAY + timedelta(days=1), thresholds=USUAL)
    assert sign is not None
    # 3 of 50 is 6 %; 2 % may be.
    assert sign.statistic_ratio == Decimal("0.060000")
    assert (sign.evidence["late_count"], sign.evidence["changed_count"]) == (2, 1)
    just = Told(start_at=late_at, first_at=late_at + limit, changes_count=0)
    assert not late_data([*on_time, just], from_on=DAY, to_on=DAY, thresholds=USUAL)
    assert not late_data([], from_on=DAY, to_on=DAY, thresholds=USUAL)


@pytest.mark.parametrize(
    "changes",
    [{"z_ratio": Decimal(0)}, {"matched_days": 1}, {"frozen_days": 0}, {"late_days": -1}],
)
def test_thresholds_that_everything_passes_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Refused):
        Thresholds(**changes)  # type: ignore[arg-type]
