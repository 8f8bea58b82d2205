"""Put many rows into a table at once, past the ORM but not past the table's own rules."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models
from psycopg import sql

# Up to this many rows, an INSERT is cheaper than the four messages of a COPY.
FEW = 8


def insert_of(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    """Return the INSERT that puts a few rows into the model's table, and its parameters."""
    names = ", ".join(f'"{name}"' for name in columns)
    row_of = "(" + ", ".join(["%s"] * len(columns)) + ")"
    table = model._meta.db_table  # noqa: SLF001 - Django's documented way
    statement = f'INSERT INTO "{table}" ({names}) VALUES {", ".join([row_of] * len(rows))}'  # noqa: S608
    return statement, [value for row in rows for value in row]


def rows_copy(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """COPY `rows` into the model's table, inside the caller's transaction.

    Defaults, ``auto_now`` and ``full_clean`` of the model do not run: name every column that
    needs a value. Keys, checks and triggers of the table hold as always.

    Raises
    ------
    django.db.IntegrityError
        If a row breaks a rule of the table; then none is stored.
    """
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model._meta.db_table),  # noqa: SLF001 - Django's documented way
        sql.SQL(", ").join(map(sql.Identifier, columns)),
    )
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for row in rows:
            copy.write_row(row)
