"""Put many rows into a table at once, past the ORM but not past the table's own rules."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models
from psycopg import sql

# Below this many rows, one INSERT is cheaper than the four messages of a COPY.
FEW = 8


def rows_copy(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Put `rows` into the model's table, inside the caller's transaction: by COPY if many.

    Defaults, ``auto_now`` and ``full_clean`` of the model do not run: name every column that
    needs a value. Keys, checks and triggers of the table hold as always.

    Raises
    ------
    django.db.IntegrityError
        If a row breaks a rule of the table; then none is stored.
    """
    table = sql.Identifier(model._meta.db_table)  # noqa: SLF001 - Django's documented way
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    if isinstance(rows, list) and len(rows) <= FEW:
        if rows:
            row_of = sql.SQL("({})").format(sql.SQL(", ").join([sql.Placeholder()] * len(columns)))
            inserted = sql.SQL("INSERT INTO {} ({}) VALUES {}").format(
                table, names, sql.SQL(", ").join([row_of] * len(rows))
            )
            with connection.cursor() as cursor:
                cursor.execute(inserted, [value for row in rows for value in row])
        return
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table, names)
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for row in rows:
            copy.write_row(row)
