"""The other methods: middle and low days, caps, same day, similar days, just before the call."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.core.errors import Refused
from aggregator.core.baseline_variants import (
    CATALOGUE,
    Facts,
    Method,
    baseline_of,
    parameters_written,
    variant_from_mapping,
)
from aggregator.core.baselines import BaselineNotComputable, Day, Rank, XOfY, baseline_x_of_y
from aggregator.core.baselines_sameday import (
    BeforeAndAfter,
    FineValue,
    JustBefore,
    baseline_before_and_after,
    baseline_just_before,
)
from aggregator.core.baselines_similar import SimilarDays, baseline_similar_days

FRIDAY = date(2026, 11, 27)
NOON = datetime(2026, 11, 27, 3, tzinfo=UTC)
EVENT = (24, 25)


def _day(value: str | int, **slots: str | int) -> list[Decimal | None]:
    values: list[Decimal | None] = [Decimal(value)] * 48
    for key, special in slots.items():
        values[int(key[1:])] = Decimal(special)
    return values


def _weekdays(count: int) -> list[date]:
    days = [FRIDAY - timedelta(days=n) for n in range(1, 80)]
    return [d for d in days if d.weekday() < 5][:count]


def _flat(*values: str | int) -> dict[date, Day]:
    days = _weekdays(len(values))
    return {day: _day(value) for day, value in zip(days, values, strict=True)}


def _x_of_y(load: dict[date, Day], called: set[date] | None = None, **rules: Any) -> Any:
    return baseline_x_of_y(
        load,
        day=FRIDAY,
        event=EVENT,
        called_on=called or (),
        rules=XOfY(**{"window": None, **rules}),
    )


def test_low_four_of_five_drops_the_highest_day() -> None:
    # 100, 110, 120, 130, 90: without 130 the mean is (100 + 110 + 120 + 90) / 4 = 105.
    found = _x_of_y(_flat(100, 110, 120, 130, 90), rank=Rank.LOW)
    assert found.baseline_kwh[24] == Decimal("105.000")


def test_middle_four_of_six_drops_one_at_either_end() -> None:
    # 100, 110, 120, 130, 90, 200: without 200 and 90, (100 + 110 + 120 + 130) / 4 = 115.
    found = _x_of_y(
        _flat(100, 110, 120, 130, 90, 200), rank=Rank.MIDDLE, weekday_days=6, weekday_keep=4
    )
    assert found.baseline_kwh[24] == Decimal("115.000")


def test_ten_of_ten_is_the_mean_of_ten_days() -> None:
    # (100 + 110 + … + 190) / 10 = 145; the eleventh day back is not looked at.
    values = [*range(100, 200, 10), 999]
    found = _x_of_y(_flat(*values), weekday_days=10, weekday_keep=10)
    assert found.baseline_kwh[24] == Decimal("145.000")
    assert len(found.days_used) == 10


@pytest.mark.parametrize(
    ("window_kwh", "adjustment"), [(160, "20.000"), (10, "-20.000"), (115, "15.000")]
)
def test_the_adjustment_is_capped_the_same_up_and_down(window_kwh: int, adjustment: str) -> None:
    # Raw 100 in the window; 20 % of it is 20. 160 asks for +60 and 10 for −90; 115 for +15.
    load = _flat(100, 100, 100, 100, 100)
    load[FRIDAY] = _day(window_kwh)
    found = _x_of_y(load, window=(-10, -4), cap_ratio=Decimal("0.2"))
    assert found.adjustment_kwh == Decimal(adjustment)
    assert found.baseline_kwh[24] == Decimal(100) + Decimal(adjustment)


def test_a_frozen_baseline_moves_to_days_before_the_chosen_ones() -> None:
    # Called on the ten weekdays before: the five free days next to the series (300) are the ones
    # that were chosen, so the five before them (100) are taken.
    days = _weekdays(20)
    load = _flat(*[50] * 10, *[300] * 5, *[100] * 5)
    called = set(days[:10])
    assert _x_of_y(load, called).baseline_kwh[24] == Decimal("300.000")
    moved = _x_of_y(load, called, frozen_days=10)
    assert moved.baseline_kwh[24] == Decimal("100.000")
    assert moved.days_used == tuple(days[15:19])
    # Nine called days are no series of ten.
    nine = _x_of_y(load, called - {days[0]}, frozen_days=10)
    assert nine.baseline_kwh[24] == Decimal("300.000")


def test_the_hour_before_is_held_flat_over_each_block() -> None:
    # Block 24–25: slots 22, 23 = 90, 110, mean 100. Block 30: slots 28, 29 = 200, 220, mean 210.
    load = {FRIDAY: _day(50, s22=90, s23=110, s28=200, s29=220)}
    found = baseline_before_and_after(load, day=FRIDAY, event=(24, 25, 30))
    assert [found.baseline_kwh[t] for t in (24, 25, 30)] == [100, 100, 210]
    assert found.baseline_kwh[40] == 0


def test_before_and_after_is_the_mean_of_both_sides() -> None:
    # (90 + 110) before and (130 + 150) after: 480 / 4 = 120.
    load = {FRIDAY: _day(50, s22=90, s23=110, s26=130, s27=150)}
    rules = BeforeAndAfter(before=(-2, 0), after=(0, 2))
    found = baseline_before_and_after(load, day=FRIDAY, event=EVENT, rules=rules)
    assert found.baseline_kwh[24:26] == (Decimal(120), Decimal(120))


def test_same_day_3_2_takes_the_hours_of_the_pjm_example() -> None:
    # An event in hours ending 13–17 (t = 24 … 33): hours ending 9–11 are t = 16 … 21 and hours
    # ending 19–20 are t = 36 … 39. 6 · 100 + 4 · 150 = 1,200 over ten half hours is 120; the
    # skipped hours (999) count nothing.
    skipped = {f"s{t}": 999 for t in (22, 23, 34, 35)}
    after = {f"s{t}": 150 for t in range(36, 40)}
    load = {FRIDAY: _day(100, **skipped, **after, s15=999, s40=999)}
    variant = variant_from_mapping("SAME_DAY_3_2", CATALOGUE["SAME_DAY_3_2"])
    found = baseline_of(variant, Facts(load_kwh=load, day=FRIDAY, event=range(24, 34)))
    assert set(found.baseline_kwh[24:34]) == {Decimal(120)}


def test_a_called_half_hour_beside_a_block_is_left_out() -> None:
    # Blocks 24 and 26: before 26 lie 24 (called) and 25 (100), after it 27 and 28 (100).
    load = {FRIDAY: _day(100, s24=10, s26=10)}
    rules = BeforeAndAfter(before=(-2, 0), after=(0, 2))
    found = baseline_before_and_after(load, day=FRIDAY, event=(24, 26), rules=rules)
    assert (found.baseline_kwh[24], found.baseline_kwh[26]) == (100, 100)


def test_a_gap_beside_the_event_is_refused() -> None:
    load = {FRIDAY: _day(100)}
    load[FRIDAY][23] = None  # type: ignore[index]
    with pytest.raises(BaselineNotComputable, match="beside the event"):
        baseline_before_and_after(load, day=FRIDAY, event=EVENT)


def test_the_three_days_most_alike_outside_the_event_are_averaged() -> None:
    # The day reads 100 outside the event. Distances per compared half hour: 1, 4, 9, 2500; the
    # 101, 98 and 103 are nearest. Over the event they read 200, 210 and 220: 210.
    days = _weekdays(4)
    shapes = [(101, 200), (150, 999), (98, 210), (103, 220)]
    load: dict[date, Day] = {
        day: _day(base, s24=event, s25=event)
        for day, (base, event) in zip(days, shapes, strict=True)
    }
    load[FRIDAY] = _day(100, s24=1, s25=1)
    found = baseline_similar_days(load, day=FRIDAY, event=EVENT)
    assert found.baseline_kwh[24] == Decimal("210.000")
    assert found.days_used == (days[0], days[2], days[3])


def test_the_hour_beside_the_event_does_not_say_which_days_are_alike() -> None:
    days = _weekdays(4)
    load: dict[date, Day] = {day: _day(100 + n) for n, day in enumerate(days)}
    # The nearest day differs wildly only in the hour before the event.
    load[days[0]] = _day(100, s22=999, s23=999)
    load[FRIDAY] = _day(100)
    found = baseline_similar_days(load, day=FRIDAY, event=EVENT, rules=SimilarDays(days=1))
    assert found.days_used == (days[0],)
    found = baseline_similar_days(
        load, day=FRIDAY, event=EVENT, rules=SimilarDays(days=1, guard_slots=0)
    )
    assert found.days_used == (days[1],)


def test_of_equally_similar_days_the_later_ones_are_taken_and_called_ones_never() -> None:
    days = _weekdays(5)
    load = _flat(100, 100, 100, 100, 100)
    load[FRIDAY] = _day(100)
    found = baseline_similar_days(load, day=FRIDAY, event=EVENT, called_on={days[0]})
    assert found.days_used == tuple(days[1:4])


def test_too_few_similar_days_and_nothing_to_compare_are_refused() -> None:
    load = {**_flat(100, 100), FRIDAY: _day(100)}
    with pytest.raises(BaselineNotComputable, match="3 similar"):
        baseline_similar_days(load, day=FRIDAY, event=EVENT)
    with pytest.raises(Refused, match="compare"):
        baseline_similar_days(load, day=FRIDAY, event=range(48))
    with pytest.raises(BaselineNotComputable, match="compare"):
        baseline_similar_days(_flat(1, 1, 1), day=FRIDAY, event=EVENT)


def _minutes(first: int, *kwh: str | None, interval_min: int = 1) -> list[FineValue]:
    return [
        FineValue(
            start_at=NOON + timedelta(minutes=first + n * interval_min),
            interval_min=interval_min,
            energy_kwh=None if value is None else Decimal(value),
        )
        for n, value in enumerate(kwh)
    ]


def test_the_last_minutes_before_the_call_are_held_flat() -> None:
    # Called at 12:00; 11:55–12:00 read 2, 2, 2, 2, 4 kWh a minute: 12 kWh in 5 min = 144 kW,
    # that is 72 kWh a half hour. What was read before and after does not matter.
    fine = _minutes(-7, "9", "9", "2", "2", "2", "2", "4", "9")
    found = baseline_just_before(fine, event=EVENT, instructed_at=dict.fromkeys(EVENT, NOON))
    assert found.baseline_kwh[24:26] == (Decimal(72), Decimal(72))
    assert found.baseline_kwh[26] == 0


def test_each_instruction_has_its_own_last_minutes() -> None:
    # Before 12:00 1 kWh a minute (30 kWh a half hour), before 13:00 3 kWh a minute (90 kWh).
    fine = [*_minutes(-5, *["1"] * 5), *_minutes(55, *["3"] * 5)]
    called = {24: NOON, 26: NOON + timedelta(hours=1)}
    found = baseline_just_before(fine, event=(24, 26), instructed_at=called)
    assert (found.baseline_kwh[24], found.baseline_kwh[26]) == (30, 90)


def test_a_call_between_two_readings_takes_those_that_had_ended() -> None:
    # Called at 12:00:30: the five minutes that had ended are 11:55–12:00, 10 kWh in 5 min =
    # 120 kW = 60 kWh. The running minute (9) is not cut.
    fine = _minutes(-6, "9", "2", "2", "2", "2", "2", "9")
    called = dict.fromkeys(EVENT, NOON + timedelta(seconds=30))
    assert baseline_just_before(fine, event=EVENT, instructed_at=called).baseline_kwh[24] == 60


@pytest.mark.parametrize(
    ("fine", "called"),
    [
        (_minutes(-5, "2", "2", None, "2", "2"), NOON),
        (_minutes(-5, "2", "2", "2", "2"), NOON),
        ([], NOON),
        (_minutes(-5, *["2"] * 5), None),
    ],
    ids=["missing value", "missing minute", "nothing", "no instruction"],
)
def test_what_was_not_metered_before_the_call_is_refused(
    fine: list[FineValue], called: datetime | None
) -> None:
    moments = {} if called is None else dict.fromkeys(EVENT, called)
    with pytest.raises(BaselineNotComputable):
        baseline_just_before(fine, event=EVENT, instructed_at=moments, rules=JustBefore(minutes=5))


def test_every_variant_of_the_catalogue_is_read_and_written_back() -> None:
    for name, entry in CATALOGUE.items():
        variant = variant_from_mapping(name, entry)
        again = variant_from_mapping(name, parameters_written(variant))
        assert again == variant
    assert {entry["method"] for entry in CATALOGUE.values()} == set(Method)


def test_a_plan_and_a_meter_of_ones_own_need_no_history() -> None:
    plan = [Decimal(n) for n in range(48)]
    for name, expected in (("DECLARED", plan), ("GENERATION_PLAN", plan), ("METER_ONLY", [0] * 48)):
        facts = Facts(load_kwh={}, day=FRIDAY, event=EVENT, plan_kwh=plan)
        found = baseline_of(variant_from_mapping(name, {"method": name}), facts)
        assert list(found.baseline_kwh) == expected


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"method": "MAGIC"},
        {"method": "METER_ONLY", "days": 3},
        {"method": "X_OF_Y", "rank": "TOP"},
        {"method": "X_OF_Y", "weekday_days": "5"},
        {"method": "X_OF_Y", "weekday_days": True},
        {"method": "X_OF_Y", "cap_ratio": 0.2},
        {"method": "X_OF_Y", "cap_ratio": "NaN"},
        {"method": "X_OF_Y", "cap_ratio": "1.1"},
        {"method": "X_OF_Y", "window": [-4]},
        {"method": "X_OF_Y", "frozen_days": 0},
        {"method": "BEFORE", "before": None},
        {"method": "BEFORE", "before": [-2, 1]},
        {"method": "BEFORE_AFTER", "after": [-1, 2]},
        {"method": "JUST_BEFORE", "minutes": 0},
        {"method": "SIMILAR_DAYS", "days": 0},
        {"method": "SIMILAR_DAYS", "lookback_days": 400},
        {"method": "SIMILAR_DAYS", "guard_slots": 48},
        {"method": "SIMILAR_DAYS", "compare": [0, 2]},
        {"method": "SIMILAR_DAYS", "colour": "red"},
    ],
)
def test_parameters_that_name_no_method_are_refused(mapping: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        variant_from_mapping("TRIED", mapping)
