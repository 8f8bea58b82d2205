"""Cumulative registers: rollover, resets, exchanges and gaps; differences telescope."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.errors import Refused
from aggregator.core.readings import Fault
from aggregator.core.registers import Dial, Shown, half_hours_of, pieces_of

NOON = datetime(2026, 11, 25, 3, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def _dial(**changes: object) -> Dial:
    values: dict[str, object] = {
        "digits": 4,
        "count_kwh": Decimal("0.1"),
        "coefficient_ratio": Decimal(10),
        "power_max_kw": Decimal(2_000),
        **changes,
    }
    return Dial(**values)  # type: ignore[arg-type]


def _shown(*counts: int, every: timedelta = HALF_HOUR) -> list[Shown]:
    return [Shown(read_at=NOON + n * every, count=count) for n, count in enumerate(counts)]


def _energies(*counts: int, **dial: object) -> list[Decimal]:
    return [piece.energy_kwh for piece in pieces_of(_shown(*counts), _dial(**dial))[0]]


def test_energy_is_count_times_unit_times_coefficient() -> None:
    # 0.1 kWh a count, times 10: 1 kWh a count.
    assert _energies(100, 150, 150, 400) == [50, 0, 250]


def test_export_reads_as_negative() -> None:
    assert _energies(100, 150, is_export=True) == [-50]


def test_a_register_turns_over_after_its_digits() -> None:
    # 9,950 → 40 of 10,000: 90 counts; in a half hour 1,000 kWh are possible.
    pieces, found = pieces_of(_shown(9_950, 40, 50), _dial())
    assert [piece.energy_kwh for piece in pieces] == [90, 10]
    assert found == []


def test_a_step_back_too_large_for_a_turn_is_a_reset_without_energy() -> None:
    # 500 → 0 would be 9,500 kWh in half an hour where 1,000 are possible.
    pieces, found = pieces_of(_shown(500, 0, 30), _dial())
    assert [(piece.start_at, piece.energy_kwh) for piece in pieces] == [(NOON + HALF_HOUR, 30)]
    assert [(f.fault, f.start_at, f.end_at) for f in found] == [
        (Fault.RESET, NOON, NOON + HALF_HOUR)
    ]
    assert found[0].evidence == {"count_before": 500, "count_after": 0, "is_reset": False}


def test_a_reset_that_is_told_ends_a_span_even_where_it_looks_like_a_turn() -> None:
    shown = [
        Shown(read_at=NOON, count=9_950),
        Shown(read_at=NOON + HALF_HOUR, count=0, is_reset=True),
        Shown(read_at=NOON + 2 * HALF_HOUR, count=25),
    ]
    pieces, found = pieces_of(shown, _dial())
    assert [piece.energy_kwh for piece in pieces] == [25]
    assert [f.fault for f in found] == [Fault.RESET]


def test_a_step_the_place_cannot_draw_is_absurd() -> None:
    # 1,001 kWh in half an hour of at most 2,000 kW.
    pieces, found = pieces_of(_shown(0, 1_001), _dial())
    assert [piece.energy_kwh for piece in pieces] == [1_001]
    assert [f.fault for f in found] == [Fault.ABSURD]
    assert pieces_of(_shown(0, 1_000), _dial())[1] == []


def test_a_count_beyond_the_digits_or_two_at_one_moment_are_refused() -> None:
    with pytest.raises(Refused, match="9999"):
        pieces_of(_shown(10_000), _dial())
    two = [Shown(read_at=NOON, count=1), Shown(read_at=NOON, count=2)]
    with pytest.raises(Refused, match="one count"):
        pieces_of(two, _dial())


@pytest.mark.parametrize(
    "changes",
    [{"digits": 0}, {"digits": 13}, {"count_kwh": Decimal(0)}, {"power_max_kw": Decimal(-1)}],
)
def test_a_dial_that_counts_nothing_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Refused):
        _dial(**changes)


def test_ten_minute_readings_add_up_to_half_hours() -> None:
    pieces, _ = pieces_of(_shown(0, 10, 30, 60, 70, every=timedelta(minutes=10)), _dial())
    halves, found = half_hours_of(pieces)
    # 10 + 20 + 30; of the second half hour ten minutes are known, which make no half hour.
    assert (halves, found) == ({NOON: Decimal(60)}, [])


def test_a_piece_over_two_half_hours_is_not_split() -> None:
    pieces, _ = pieces_of(_shown(0, 100, every=2 * HALF_HOUR), _dial())
    halves, (gap,) = half_hours_of(pieces)
    assert halves == {}
    assert (gap.fault, gap.start_at, gap.end_at) == (Fault.GAP, NOON, NOON + 2 * HALF_HOUR)
    assert gap.evidence == {"energy_kwh": "100.000"}


def test_an_exchanged_meter_gives_its_half_hour_with_the_one_before() -> None:
    # Old until 12:10: 9,990 → 9,995, 5 kWh; new from 12:10: 0 → 7 at 12:30, 2 kWh a count.
    at = NOON + timedelta(minutes=10)
    old, _ = pieces_of([Shown(read_at=NOON, count=9_990), Shown(read_at=at, count=9_995)], _dial())
    new, _ = pieces_of(
        [Shown(read_at=at, count=0), Shown(read_at=NOON + HALF_HOUR, count=7)],
        _dial(digits=6, count_kwh=Decimal(2), coefficient_ratio=Decimal(1)),
    )
    assert half_hours_of([*new, *old])[0] == {NOON: Decimal(19)}


def test_rounded_totals_telescope() -> None:
    # 1/3 of a Wh a count: 0.333 Wh each would lose a Wh in three; the totals do not.
    found = _energies(0, 1, 2, 3, count_kwh=Decimal("0.000333"), coefficient_ratio=Decimal(1))
    # totals 0, 0.333 → 0, 0.666 → 0.001, 0.999 → 0.001 kWh
    assert found == [Decimal("0.000"), Decimal("0.001"), Decimal("0.000")]


@given(
    st.integers(min_value=0, max_value=9_999),
    st.lists(st.integers(min_value=0, max_value=1_000), min_size=1, max_size=60),
    st.sampled_from([Decimal("0.1"), Decimal("0.0333"), Decimal("0.0007")]),
)
def test_half_hours_add_up_to_what_was_counted_over_any_number_of_turns(
    first: int, steps: list[int], count_kwh: Decimal
) -> None:
    counts = [first]
    for step in steps:
        counts.append((counts[-1] + step) % 10_000)
    pieces, found = pieces_of(_shown(*counts), _dial(count_kwh=count_kwh))
    halves, gaps = half_hours_of(pieces)
    assert (found, gaps) == ([], [])
    assert len(halves) == len(steps)
    turns_at_most = sum(steps) // 10_000 + 1
    exact = sum(steps) * count_kwh * 10
    assert abs(sum(halves.values()) - exact) <= Decimal("0.0005") * (turns_at_most + 1)


@given(st.lists(st.integers(min_value=0, max_value=9_999), min_size=2, max_size=30))
def test_whatever_is_shown_every_span_is_energy_or_a_finding(counts: list[int]) -> None:
    pieces, found = pieces_of(_shown(*counts), _dial())
    resets = [f for f in found if f.fault == Fault.RESET]
    assert len(pieces) + len(resets) == len(counts) - 1
    assert all(piece.energy_kwh >= 0 for piece in pieces)
    absurd = {f.start_at for f in found if f.fault == Fault.ABSURD}
    assert all(p.energy_kwh <= 1_000 or p.start_at in absurd for p in pieces)
