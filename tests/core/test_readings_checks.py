"""Point numbers, folding of short intervals, and what looks wrong in readings."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.errors import Refused
from aggregator.core.readings import (
    Fault,
    Fine,
    Limits,
    compared,
    folded,
    gaps,
    half_hour_of,
    negatives,
    overlaps,
    point_number_of,
    repeated,
    swapped,
)

NOON = datetime(2026, 11, 25, 3, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
DAY = date(2026, 11, 25)


def test_a_point_number_is_22_digits_with_or_without_hyphens() -> None:
    digits = "0310000000000000000001"
    assert point_number_of(digits).digits == digits
    hyphenated = point_number_of("03-1000-0000-0000-0000-0001")
    assert (hyphenated.digits, hyphenated.area, hyphenated.voltage) == (digits, "03", "HIGH")
    assert hyphenated.warnings == ()
    assert point_number_of("10" + "0" * 20).voltage == "LOW"


def test_a_third_digit_other_than_0_or_1_is_odd_but_taken() -> None:
    found = point_number_of("0320000000000000000001")
    assert found.voltage == ""
    assert "third digit is 2" in found.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "031000000000000000000",
        "03100000000000000000011",
        "1110000000000000000001",
        "0010000000000000000001",
        "03-1000-0000-0000-0000-000１",
        "0３10000000000000000001",
        "03--100000000000000000001",
        "-0310000000000000000001",
        "0310000000000000000001-",
        "0310000000000000000001\n",
        " 0310000000000000000001",
        310000000000000000001,
        None,
    ],
)
def test_anything_else_is_no_point_number(text: object) -> None:
    with pytest.raises(Refused, match="22 digits"):
        point_number_of(text)


def _fine(minute: int, kwh: str | None, **changes: object) -> Fine:
    values: dict[str, object] = {
        "start_at": NOON + timedelta(minutes=minute),
        "interval_min": 5,
        "energy_kwh": None if kwh is None else Decimal(kwh),
        "quality": 2 if kwh is None else 0,
        "stage": 3,
        "available_at": NOON + timedelta(hours=1),
        **changes,
    }
    return Fine(**values)  # type: ignore[arg-type]


def test_six_five_minute_values_make_a_half_hour() -> None:
    # 1 + 2 + 3 + 4 + 5 + 6.5 = 21.5; one was estimated, one is 速報, the last came at 14:00.
    late = NOON + timedelta(hours=2)
    values = [_fine(5 * n, str(n + 1)) for n in range(5)]
    values[2] = _fine(10, "3", quality=1)
    values[3] = _fine(15, "4", stage=1)
    values.append(_fine(25, "6.5", available_at=late))
    (half,) = folded(values[::-1])
    assert (half.start_at, half.energy_kwh) == (NOON, Decimal("21.5"))
    assert (half.quality, half.stage, half.available_at) == (1, 1, late)


def test_a_half_hour_with_an_interval_never_told_is_not_made() -> None:
    assert folded([_fine(5 * n, "1") for n in range(5)]) == []
    assert folded([]) == []


def test_one_missing_interval_makes_the_half_hour_missing() -> None:
    values = [_fine(5 * n, "1") for n in range(5)]
    (half,) = folded([*values, _fine(25, None)])
    assert (half.energy_kwh, half.quality) == (None, 2)
    (bad,) = folded([*values, _fine(25, "1", quality=3)])
    assert (bad.energy_kwh, bad.quality) == (Decimal(6), 3)


@given(
    st.lists(st.integers(min_value=-(10**9), max_value=10**9), min_size=30, max_size=30),
    st.permutations(range(30)),
    st.sets(st.integers(min_value=0, max_value=29), max_size=3),
)
def test_minutes_add_up_in_any_order_or_make_nothing(
    wh: list[int], order: list[int], left_out: set[int]
) -> None:
    values = [
        _fine(n, str(Decimal(wh[n]) / 1000), interval_min=1) for n in order if n not in left_out
    ]
    made = folded(values)
    if left_out:
        assert made == []
    else:
        assert [half.energy_kwh for half in made] == [Decimal(sum(wh)) / 1000]


def test_a_moment_lies_in_its_half_hour() -> None:
    assert half_hour_of(NOON + timedelta(minutes=29, seconds=59)) == NOON
    assert half_hour_of(NOON + HALF_HOUR) == NOON + HALF_HOUR


def test_gaps_are_runs_of_half_hours_without_a_value() -> None:
    series = {NOON + n * HALF_HOUR: Decimal(1) for n in (1, 2, 5)}
    series[NOON + 3 * HALF_HOUR] = None  # type: ignore[assignment]
    found = gaps(series, start_at=NOON, end_at=NOON + 7 * HALF_HOUR)
    spans = [((g.start_at - NOON) // HALF_HOUR, (g.end_at - NOON) // HALF_HOUR) for g in found]
    assert spans == [(0, 1), (3, 5), (6, 7)]
    assert [g.evidence["half_hours_count"] for g in found] == [1, 2, 1]


def test_a_load_that_feeds_the_grid_is_listed() -> None:
    found = negatives({NOON: Decimal("-0.001"), NOON + HALF_HOUR: Decimal(0)})
    assert [(f.fault, f.evidence["energy_kwh"]) for f in found] == [(Fault.NEGATIVE, "-0.001")]


def _shape(factor: str = "1") -> list[Decimal | None]:
    return [(100 + Decimal(t % 7)) * Decimal(factor) for t in range(48)]


def _history(days: int = 5) -> dict[date, list[Decimal | None]]:
    return {DAY - timedelta(days=n): _shape() for n in range(1, days + 1)}


@pytest.mark.parametrize(
    ("factor", "fault", "told"),
    [
        ("1000", Fault.UNIT, "1000"),
        ("0.001", Fault.UNIT, "0.001"),
        ("2", Fault.UNIT, "2"),
        ("0.5", Fault.UNIT, "0.5"),
        ("1.95", Fault.UNIT, "2"),
        ("-1", Fault.SIGN, "-1"),
    ],
)
def test_a_wrong_unit_or_sign_shows_against_the_days_before(
    factor: str, fault: Fault, told: str
) -> None:
    (found,) = compared(_shape(factor), _history(), start_at=NOON, limits=Limits())
    assert (found.fault, found.evidence["factor"]) == (fault, told)
    assert (found.start_at, found.end_at) == (NOON, NOON + 48 * HALF_HOUR)


def test_a_usual_day_a_changed_one_and_a_short_history_are_not_suspect() -> None:
    limits = Limits()
    assert compared(_shape(), _history(), start_at=NOON, limits=limits) == []
    assert compared(_shape("1.5"), _history(), start_at=NOON, limits=limits) == []
    assert compared(_shape("1000"), _history(4), start_at=NOON, limits=limits) == []
    # Twice as much by day and as usual by night is work, not a unit.
    half_doubled = _shape("2")[:30] + _shape()[30:]
    assert compared(half_doubled, _history(), start_at=NOON, limits=limits) == []
    # Less than half of the day is known.
    few = [*_shape("1000")[:23], *[None] * 25]
    assert compared(few, _history(), start_at=NOON, limits=limits) == []


def test_a_day_that_repeats_another_is_listed_and_a_flat_one_is_not() -> None:
    def lively(seed: int) -> list[Decimal | None]:
        return [Decimal(100 + seed * t) for t in range(48)]

    starts = {DAY + timedelta(days=n): NOON + timedelta(days=n) for n in range(4)}
    days = dict(zip(starts, [lively(1), lively(2), lively(1), [Decimal(5)] * 48], strict=True))
    days[DAY + timedelta(days=4)] = [Decimal(5)] * 48
    starts[DAY + timedelta(days=4)] = NOON + timedelta(days=4)
    (found,) = repeated(days, starts_at=starts)
    assert found.fault == Fault.DUPLICATE
    assert found.start_at == NOON + timedelta(days=2)
    assert found.evidence == {"same_as": DAY.isoformat()}


def test_two_meters_that_read_the_same_all_day_are_both_listed() -> None:
    lively = [Decimal(100 + t) for t in range(48)]
    other = [Decimal(100 + 2 * t) for t in range(48)]
    found = swapped({"b": lively, "a": lively, "c": other, "d": [None, *other[1:]]}, start_at=NOON)
    assert [(number, s.evidence["same_as"]) for number, s in found] == [("a", ["b"]), ("b", ["a"])]
    assert {s.fault for _, s in found} == {Fault.WRONG_METER}


def test_intervals_of_two_lengths_that_differ_overlap() -> None:
    readings = {NOON: Decimal(10), NOON + HALF_HOUR: Decimal(20)}
    halves = {5: {NOON: Decimal(10), NOON + HALF_HOUR: Decimal("20.001")}}
    (found,) = overlaps(halves, readings)
    assert (found.fault, found.start_at) == (Fault.OVERLAP, NOON + HALF_HOUR)
    assert found.evidence == {"30 min": "20", "5 min": "20.001"}
