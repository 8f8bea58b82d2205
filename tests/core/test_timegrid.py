"""Half hours of a Japanese delivery day, by ordinal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest

from market.core.errors import InvalidTime
from market.core.timegrid import (
    day_start_at,
    interval_start_at,
    interval_starts_at,
    koma_of_t,
    slot_of,
    t_of_koma,
)


def test_a_day_begins_at_three_in_the_afternoon_before_in_utc() -> None:
    assert day_start_at(date(2026, 11, 25)) == datetime(2026, 11, 24, 15, tzinfo=UTC)


def test_a_day_has_48_half_hours() -> None:
    starts_at = interval_starts_at(date(2026, 11, 25))
    assert len(starts_at) == 48
    assert starts_at[47] == datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
    assert {after - before for before, after in pairwise(starts_at)} == {timedelta(minutes=30)}


def test_koma_and_index_are_inverse() -> None:
    assert [t_of_koma(koma) for koma in (1, 48)] == [0, 47]
    assert all(t_of_koma(koma_of_t(t)) == t for t in range(48))


@pytest.mark.parametrize("koma", [0, 49, -1, True, 1.0, "1", None])
def test_no_other_koma_exists(koma: object) -> None:
    with pytest.raises(InvalidTime):
        t_of_koma(koma)  # type: ignore[arg-type]


@pytest.mark.parametrize("t", [-1, 48, True, 0.5])
def test_no_other_index_exists(t: object) -> None:
    with pytest.raises(InvalidTime):
        interval_start_at(date(2026, 11, 25), t)  # type: ignore[arg-type]


def test_an_instant_finds_its_day_and_index() -> None:
    day = date(2026, 11, 25)
    assert slot_of(interval_start_at(day, 17)) == (day, 17)
    assert slot_of(datetime(2026, 11, 25, 0, 30, tzinfo=timezone(timedelta(hours=9)))) == (day, 1)


@pytest.mark.parametrize(
    ("moment", "rule"),
    [
        (datetime(2026, 11, 25, 0, 0), "zone"),  # noqa: DTZ001 - the zone is what is missing
        (datetime(2026, 11, 25, 0, 10, tzinfo=UTC), "start of a half hour"),
    ],
)
def test_other_instants_are_refused(moment: datetime, rule: str) -> None:
    with pytest.raises(InvalidTime) as refusal:
        slot_of(moment)
    assert rule in refusal.value.rule
