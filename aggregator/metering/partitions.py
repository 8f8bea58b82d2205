"""Partitions of the tables of readings: a month each, made ahead and whenever one is met."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, timedelta
from typing import Any, Final

from django.db import connection, transaction

from accounts.clock.selectors import market_now
from accounts.core.errors import Refused, ensure

HALF_HOURS: Final = "metering_intervalreading"
FINE: Final = "metering_finereading"
AHEAD_MONTHS = 3
# One lock for making partitions; two ingests of a new month would otherwise collide.
PARTITION_LOCK = 7_301_001


def reading_partitions_ensure(*, months: Iterable[tuple[int, int]]) -> list[str]:
    """Make the partitions of half hours for (year, month) pairs in UTC; returns the new ones.

    Raises
    ------
    Refused
        If a month is not a month.
    """
    return _ensure(HALF_HOURS, months)


def fine_partitions_ensure(*, months: Iterable[tuple[int, int]]) -> list[str]:
    """Make the partitions of short intervals likewise."""
    return _ensure(FINE, months)


@transaction.atomic
def partitions_ahead() -> list[str]:
    """Make the partitions of both tables for this month and the three after it."""
    first_on = market_now().astimezone(UTC).date().replace(day=1)
    months = []
    for _ in range(AHEAD_MONTHS + 1):
        months.append((first_on.year, first_on.month))
        first_on = (first_on + timedelta(days=31)).replace(day=1)
    return _ensure(HALF_HOURS, months) + _ensure(FINE, months)


def _ensure(table: str, months: Iterable[tuple[int, int]]) -> list[str]:
    wanted: dict[str, tuple[date, date]] = {}
    for year, month in months:
        if not (1 <= month <= 12 and 1 <= year <= 9998):  # noqa: PLR2004 - the calendar
            raise Refused(field="months", value=(year, month), rule="a year and a month")
        first_on = date(year, month, 1)
        next_on = date(year + month // 12, month % 12 + 1, 1)
        wanted[f"{table}_{year:04d}_{month:02d}"] = (first_on, next_on)
    with connection.cursor() as cursor:
        missing = [name for name in sorted(wanted) if not _relation_exists(cursor, name)]
        if not missing:
            return []
        ensure(connection.in_atomic_block, "partitions are made inside a transaction")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
        made = [name for name in missing if not _relation_exists(cursor, name)]
        for name in made:
            first_on, next_on = wanted[name]
            # Names and dates are of our own making; DDL takes no parameters.
            cursor.execute(
                f"CREATE TABLE {name} PARTITION OF {table}"
                f" FOR VALUES FROM ('{first_on} 00:00+00') TO ('{next_on} 00:00+00')"
            )
            # row guards are the parent's; that against TRUNCATE is not inherited
            cursor.execute(
                f"CREATE TRIGGER append_only_all BEFORE TRUNCATE ON {name}"
                " FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only()"
            )
    return made


def _relation_exists(cursor: Any, name: str) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    return bool(cursor.fetchone()[0])
