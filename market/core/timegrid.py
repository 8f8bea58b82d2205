"""The half-hour grid: a delivery day in Japan as 48 instants in UTC.

A koma is 1 to 48 and lives at the edges; ``t`` is 0 to 47 and lives inside. Both are ordinals:
koma 1 begins at 00:00 JST. Official files label a slot by its start or by its end, so a label is
never used to find the koma.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

from market.core.errors import InvalidTime

INTERVALS_PER_DAY: Final = 48
INTERVAL_H: Final = 0.5
INTERVAL: Final = timedelta(hours=INTERVAL_H)
JST: Final = timezone(timedelta(hours=9), "JST")  # Japan keeps no summer time


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def t_of_koma(koma: int) -> int:
    """Return the index 0…47 of a koma 1…48.

    Raises
    ------
    InvalidTime
        If the koma is none.
    """
    if not _is_integer(koma) or not 1 <= koma <= INTERVALS_PER_DAY:
        raise InvalidTime(field="koma", value=koma, rule="must be an integer from 1 to 48")
    return koma - 1


def koma_of_t(t: int) -> int:
    """Return the koma 1…48 of an index 0…47.

    Raises
    ------
    InvalidTime
        If the index lies outside the day.
    """
    if not _is_integer(t) or not 0 <= t < INTERVALS_PER_DAY:
        raise InvalidTime(field="t", value=t, rule="must be an integer from 0 to 47")
    return t + 1


def day_start_at(delivery_on: date) -> datetime:
    """Return the instant, in UTC, at which a delivery day begins in Japan."""
    return datetime.combine(delivery_on, time.min, tzinfo=JST).astimezone(UTC)


def interval_start_at(delivery_on: date, t: int) -> datetime:
    """Return the start, in UTC, of half hour `t` of a delivery day."""
    koma_of_t(t)
    return day_start_at(delivery_on) + t * INTERVAL


def interval_starts_at(delivery_on: date) -> tuple[datetime, ...]:
    """Return the 48 starts, in UTC, of a delivery day."""
    start = day_start_at(delivery_on)
    return tuple(start + t * INTERVAL for t in range(INTERVALS_PER_DAY))


def slot_of(moment: datetime) -> tuple[date, int]:
    """Return delivery day and index of the half hour that begins at `moment`.

    Raises
    ------
    InvalidTime
        If the moment has no zone or is no start of a half hour.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InvalidTime(field="start_at", value=moment, rule="must carry its time zone")
    local = moment.astimezone(JST)
    since_midnight = local - datetime.combine(local.date(), time.min, tzinfo=JST)
    t, rest = divmod(since_midnight, INTERVAL)
    if rest:
        raise InvalidTime(field="start_at", value=moment, rule="must be the start of a half hour")
    return local.date(), t
