"""Rows that are never edited: each revision is another row, and the latest known one counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models
from psycopg import sql

from accounts.core.errors import Refused, ensure

_INCOMING = sql.Identifier("forecasting_incoming")
_KEYS = ("area_id", "start_at")

# What was known of a half hour at the moment the incoming file became known.
_KNOWN = sql.SQL(
    "SELECT {columns} FROM {table} AS revision"
    " WHERE revision.area_id = incoming.area_id AND revision.start_at = incoming.start_at"
    " AND revision.available_at <= %s ORDER BY revision.available_at DESC LIMIT 1"
)


class RevisionConflict(Refused):
    """Two different values claim to have been published at the same moment."""


def store(
    model: type[models.Model],
    fields: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    available_at: datetime,
) -> int:
    """Insert the rows whose values differ from what was known at `available_at`.

    Parameters
    ----------
    model
        Has ``area``, ``start_at``, ``available_at`` and the value columns `fields`.
    rows
        ``(area code, start_at, *values)``; a half hour of an area stands once.

    Returns
    -------
    int
        Number of rows inserted; 0 when the same file is imported again.

    Raises
    ------
    RevisionConflict
        Another value is already recorded as published at exactly `available_at`.
    """
    ensure(connection.in_atomic_block, "revisions are stored inside the caller's transaction")
    table_name = model._meta.db_table  # noqa: SLF001 - Django's documented way
    table = sql.Identifier(table_name)
    known = _KNOWN.format(columns=_columns(fields, "revision"), table=table)
    differs = sql.SQL("({incoming}) IS DISTINCT FROM ({known})").format(
        incoming=_columns(fields, "incoming"), known=_columns(fields, "known")
    )
    with connection.cursor() as cursor:
        # The limits of a web page are not made for a year of half hours.
        cursor.execute("SET LOCAL statement_timeout = '600s'")
        cursor.execute("SET LOCAL lock_timeout = '600s'")
    _copy_aside(table, fields, rows)
    with connection.cursor() as cursor:
        # Two imports at once would each miss the other's rows; readers are not held up.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [table_name])
        _conflict_check(table, differs, available_at)
        cursor.execute(
            sql.SQL(
                "INSERT INTO {table} (area_id, start_at, available_at, {fields})"
                " SELECT incoming.area_id, incoming.start_at, %s, {incoming}"
                " FROM {aside} AS incoming LEFT JOIN LATERAL ({known}) AS known ON true"
                " WHERE {differs}"
            ).format(
                table=table,
                fields=sql.SQL(", ").join(map(sql.Identifier, fields)),
                incoming=_columns(fields, "incoming"),
                aside=_INCOMING,
                known=known,
                differs=differs,
            ),
            [available_at, available_at],
        )
        return int(cursor.rowcount)


def _columns(fields: Sequence[str], table: str) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, field) for field in fields)


def _copy_aside(
    table: sql.Identifier, fields: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, (*_KEYS, *fields)))
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(_INCOMING))
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA"
            ).format(_INCOMING, columns, table)
        )
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(_INCOMING, columns)
        # COPY raises psycopg's errors past Django's cursor, hence the wrapper.
        with connection.wrap_database_errors, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(sql.SQL("ANALYZE {}").format(_INCOMING))


def _conflict_check(table: sql.Identifier, differs: sql.Composed, available_at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT incoming.area_id, incoming.start_at FROM {aside} AS incoming"
                " JOIN {table} AS known ON known.area_id = incoming.area_id"
                " AND known.start_at = incoming.start_at AND known.available_at = %s"
                " WHERE {differs} ORDER BY 1, 2 LIMIT 1"
            ).format(aside=_INCOMING, table=table, differs=differs),
            [available_at],
        )
        found = cursor.fetchone()
    if found is not None:
        area, start_at = found
        raise RevisionConflict(
            field="available_at",
            value=available_at.isoformat(),
            rule=f"another value for area {area} at {start_at.isoformat()} has this moment",
        )
