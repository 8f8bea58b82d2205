"""High 4 of 5 with same-day adjustment, rule by rule."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from accounts.core.errors import Refused
from aggregator.core.baselines import (
    BaselineNotComputable,
    Day,
    XOfY,
    baseline_declared,
    baseline_meter_only,
    baseline_x_of_y,
)

# Friday 2026-11-27; the five weekdays before are Thu 26, Wed 25, Tue 24, Fri 20, Thu 19 when
# Monday 23 November (勤労感謝の日) is a holiday.
FRIDAY = date(2026, 11, 27)
LABOUR_DAY = date(2026, 11, 23)
EVENT = (20, 21)


def _day(value: float | str, **slots: float | str) -> list[Decimal | None]:
    values: list[Decimal | None] = [Decimal(str(value))] * 48
    for key, special in slots.items():
        values[int(key[1:])] = Decimal(str(special))
    return values


def _flat(days: dict[date, str]) -> dict[date, Day]:
    return {day: _day(value) for day, value in days.items()}


def _weekdays_before(day: date, count: int) -> list[date]:
    days = [day - timedelta(days=n) for n in range(1, 60)]
    return [d for d in days if d.weekday() < 5][:count]


def test_the_guideline_vector() -> None:
    # E = slots 20, 21; means 1005, 1045, 985 (dropped), 1110, 1045.
    # B0 = [(1000+1040+1100+1060)/4, (1010+1050+1120+1030)/4] = [1050, 1052.5].
    # W = slots 10..15: kept days hold [1000,1000,1010,1020,1020,1010], the day itself
    # [1020,1030,1040,1040,1050,1060]; differences 20,30,30,20,30,50 = 180/6 = +30.
    window = [1000, 1000, 1010, 1020, 1020, 1010]
    slots = {f"s{10 + n}": value for n, value in enumerate(window)}
    events = [(1000, 1010), (1040, 1050), (980, 990), (1100, 1120), (1060, 1030)]
    load = {
        day: _day(900, **slots, s20=first, s21=second)
        for day, (first, second) in zip(_weekdays_before(FRIDAY, 5), events, strict=True)
    }
    today = {f"s{10 + n}": v for n, v in enumerate([1020, 1030, 1040, 1040, 1050, 1060])}
    load[FRIDAY] = _day(900, **today)
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT)
    assert result.baseline_kwh[20:22] == (Decimal("1080.000"), Decimal("1082.500"))
    assert result.adjustment_kwh == Decimal("30.000")
    assert _weekdays_before(FRIDAY, 5)[2] not in result.days_used
    assert len(result.days_used) == 4


def test_the_lowest_of_five_is_dropped_and_four_are_averaged() -> None:
    days = _weekdays_before(FRIDAY, 6)
    load = _flat(dict(zip(days, ["100", "110", "120", "130", "90", "999"], strict=True)))
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=XOfY(window=None))
    # (100 + 110 + 120 + 130) / 4 = 115; the sixth day back is not looked at.
    assert result.baseline_kwh[20] == Decimal("115.000")
    assert result.days_used == tuple(days[:4])


def test_of_equally_low_days_the_farthest_is_dropped() -> None:
    days = _weekdays_before(FRIDAY, 5)
    load = _flat(dict.fromkeys(days, "100"))
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=XOfY(window=None))
    assert result.days_used == tuple(days[:4])


def test_a_holiday_is_no_weekday_and_is_skipped() -> None:
    load = _flat({FRIDAY - timedelta(days=n): "100" for n in range(1, 15)})
    load[LABOUR_DAY] = _day(900)
    result = baseline_x_of_y(
        load,
        day=FRIDAY,
        event=EVENT,
        holidays={LABOUR_DAY},
        rules=XOfY(window=None),
    )
    assert LABOUR_DAY not in result.days_used
    assert result.baseline_kwh[20] == Decimal("100.000")


def test_on_a_holiday_two_of_three_like_days_are_kept() -> None:
    # Before Monday 23: Sun 22, Sat 21, Sun 15 are candidates; (300 + 200) / 2 = 250.
    load = _flat({LABOUR_DAY - timedelta(days=n): "700" for n in range(1, 15)})
    load[date(2026, 11, 22)] = _day(300)
    load[date(2026, 11, 21)] = _day(200)
    load[date(2026, 11, 15)] = _day(100)
    result = baseline_x_of_y(
        load, day=LABOUR_DAY, event=EVENT, holidays={LABOUR_DAY}, rules=XOfY(window=None)
    )
    assert result.baseline_kwh[20] == Decimal("250.000")
    assert result.days_used == (date(2026, 11, 22), date(2026, 11, 21))


def test_a_day_of_calling_is_skipped() -> None:
    days = _weekdays_before(FRIDAY, 6)
    load = _flat(dict.fromkeys(days, "100"))
    load[days[0]] = _day(500)
    result = baseline_x_of_y(
        load, day=FRIDAY, event=EVENT, called_on={days[0]}, rules=XOfY(window=None)
    )
    assert days[0] not in result.days_used
    assert result.baseline_kwh[20] == Decimal("100.000")


def test_days_under_a_quarter_of_the_mean_give_way_to_older_ones() -> None:
    # Candidates 100, 1, 100, 1, 100: mean 60.4, a quarter 15.1, so both 1 are skipped and 90 and
    # 80 come in: (100 + 100 + 100 + 90) / 4 = 97.5. With 20 for 1 the mean is 68, a quarter 17:
    # nothing is skipped and (100 + 100 + 100 + 20) / 4 = 80.
    days = _weekdays_before(FRIDAY, 7)
    for low, expected in (("1", "97.500"), ("20", "80.000")):
        values = ["100", low, "100", low, "100", "90", "80"]
        load = _flat(dict(zip(days, values, strict=True)))
        result = baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=XOfY(window=None))
        assert result.baseline_kwh[20] == Decimal(expected)


def test_four_valid_days_suffice() -> None:
    days = _weekdays_before(FRIDAY, 4)
    load = _flat(dict(zip(days, ["100", "110", "120", "130"], strict=True)))
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=XOfY(window=None))
    assert result.baseline_kwh[20] == Decimal("115.000")


def test_with_three_valid_days_the_heaviest_called_day_comes_back() -> None:
    days = _weekdays_before(FRIDAY, 5)
    load = _flat(dict(zip(days, ["100", "100", "100", "180", "140"], strict=True)))
    result = baseline_x_of_y(
        load, day=FRIDAY, event=EVENT, called_on=set(days[3:]), rules=XOfY(window=None)
    )
    # (100 + 100 + 100 + 180) / 4 = 120.
    assert result.baseline_kwh[20] == Decimal("120.000")


def test_too_few_days_are_refused_by_name() -> None:
    load = _flat(dict.fromkeys(_weekdays_before(FRIDAY, 3), "100"))
    with pytest.raises(BaselineNotComputable, match="at least 4"):
        baseline_x_of_y(load, day=FRIDAY, event=EVENT)


def test_a_gap_of_more_than_thirty_days_ends_the_walk() -> None:
    old = [d for d in _weekdays_before(FRIDAY, 40) if (FRIDAY - d).days > 30]
    load = _flat(dict.fromkeys(old, "100"))
    rules = XOfY(window=None)
    with pytest.raises(BaselineNotComputable, match="at least 4"):
        baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=rules)


def test_the_adjustment_may_be_negative_but_the_baseline_is_not() -> None:
    load = _flat(dict.fromkeys(_weekdays_before(FRIDAY, 5), "100"))
    load[FRIDAY] = _day(0)
    for day in _weekdays_before(FRIDAY, 5):
        load[day] = _day(100, s20=50)
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT)
    # Adjustment 0 - 100 = -100: slot 20 would be -50 and is 0.
    assert result.adjustment_kwh == Decimal("-100.000")
    assert result.baseline_kwh[20] == Decimal("0.000")


def test_the_older_window_is_a_parameter() -> None:
    load = _flat(dict.fromkeys(_weekdays_before(FRIDAY, 5), "100"))
    # Only slots 16 and 17 are high: in (-8, -2) = slots 12..17 two of six, mean +20.
    load[FRIDAY] = _day(100, s16=160, s17=160)
    rules = XOfY(window=(-8, -2))
    assert baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=rules).adjustment_kwh == Decimal(
        "20.000"
    )
    assert baseline_x_of_y(load, day=FRIDAY, event=EVENT).adjustment_kwh == 0


def test_an_early_event_takes_its_window_from_the_evening_before() -> None:
    days = _weekdays_before(FRIDAY, 5)
    load = _flat({FRIDAY - timedelta(days=n): "100" for n in range(1, 15)})
    # Event at slot 4: W = slots -6..-1 = 42..47 of the day before. Thursday evening was +60.
    load[days[0]] = _day(100, **{f"s{slot}": 160 for slot in range(42, 48)})
    result = baseline_x_of_y(load, day=FRIDAY, event=(4,))
    assert result.adjustment_kwh == Decimal("60.000")


def test_an_unmetered_window_is_refused() -> None:
    load = _flat(dict.fromkeys(_weekdays_before(FRIDAY, 5), "100"))
    with pytest.raises(BaselineNotComputable, match="window"):
        baseline_x_of_y(load, day=FRIDAY, event=EVENT)


def test_a_day_with_a_gap_in_the_event_is_no_candidate() -> None:
    days = _weekdays_before(FRIDAY, 6)
    load = _flat(dict.fromkeys(days, "100"))
    broken = _day(900)
    broken[20] = None
    load[days[0]] = broken
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=XOfY(window=None))
    assert days[0] not in result.days_used


def test_a_gap_elsewhere_is_averaged_over_the_days_that_have_it() -> None:
    days = _weekdays_before(FRIDAY, 4)
    load = _flat(dict.fromkeys(days, "100"))
    broken = _day(100)
    broken[40] = None
    load[days[0]] = broken
    for day in days:
        load[day] = [*load[day][:41], None, *load[day][42:]]
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=XOfY(window=None))
    assert result.baseline_kwh[40] == Decimal("100.000")
    assert result.baseline_kwh[41] == Decimal("0.000")


def test_a_mean_is_rounded_once_half_even_to_a_thousandth() -> None:
    days = _weekdays_before(FRIDAY, 4)
    load = _flat(dict(zip(days, ["1.000", "1.000", "1.000", "1.002"], strict=True)))
    result = baseline_x_of_y(load, day=FRIDAY, event=EVENT, rules=XOfY(window=None))
    # 4.002 / 4 = 1.0005, to even: 1.000.
    assert result.baseline_kwh[20] == Decimal("1.000")


@pytest.mark.parametrize("event", [(), (-1,), (48,)])
def test_an_event_outside_the_day_is_refused(event: tuple[int, ...]) -> None:
    with pytest.raises(Refused, match="event"):
        baseline_x_of_y({}, day=FRIDAY, event=event)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"weekday_keep": 6}, "weekday_keep"),
        ({"holiday_keep": 0}, "holiday_keep"),
        ({"lookback_days": 0}, "lookback_days"),
        ({"low_day_ratio": Decimal(1)}, "low_day_ratio"),
        ({"window": (-4, -10)}, "window"),
    ],
)
def test_parameters_that_name_no_method_are_refused(
    parameters: dict[str, object], field: str
) -> None:
    with pytest.raises(Refused, match=field):
        XOfY(**parameters)  # type: ignore[arg-type]


def test_a_store_has_a_baseline_of_zero() -> None:
    assert set(baseline_meter_only().baseline_kwh) == {Decimal(0)}


def test_a_declared_schedule_is_taken_as_it_stands() -> None:
    plan = [Decimal(n) for n in range(48)]
    assert baseline_declared(plan).baseline_kwh == tuple(plan)
    with pytest.raises(BaselineNotComputable, match="48"):
        baseline_declared(plan[:47])
