"""Columns of numbers in and out of PostgreSQL by binary COPY, past Python's objects.

The layouts are PostgreSQL's own: an array is its dimensions and then each element behind its
length; a numeric is digits of four places behind a header. What is written has one width, so that
a block of rows is one array of bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
TRAILER: Final = struct.pack(">h", -1)
ARRAY_HEADER_BYTES: Final = 20
# microseconds between 1970 and 2000, where PostgreSQL's times begin
EPOCH_2000_US: Final = 946_684_800_000_000
# Three groups of four digits before the point and one behind it: 12 digits and thousandths.
NUMERIC: Final = np.dtype([("head", ">i2", 4), ("digits", ">i2", 4)])
NEGATIVE: Final = 0x4000
Field = memoryview | None


def rows_out(statement: str, parameters: Mapping[str, Any]) -> Iterator[list[Field]]:
    """Yield the rows of a query, each field as PostgreSQL sends it; None is null."""
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT BINARY)", parameters) as copy,
    ):
        is_first = True
        for block in copy:
            view = memoryview(block)
            if is_first:
                view, is_first = view[len(HEADER) :], False
            while len(view) > len(TRAILER):
                row, view = _row(view)
                yield row


def _row(view: memoryview) -> tuple[list[Field], memoryview]:
    (count,) = struct.unpack_from(">h", view)
    at = 2
    fields: list[Field] = []
    for _ in range(count):
        (length,) = struct.unpack_from(">i", view, at)
        at += 4
        fields.append(None if length < 0 else view[at : at + length])
        at += max(length, 0)
    return fields, view[at:]


def integers(field: Field, size_bytes: int) -> NDArray[Any]:
    """Read an array of integers so wide, none of them null."""
    if field is None or len(field) <= ARRAY_HEADER_BYTES:
        return np.zeros(0, dtype=f"i{size_bytes}")
    element = np.dtype([("length", ">i4"), ("value", f">i{size_bytes}")])
    found = np.frombuffer(field, dtype=element, offset=ARRAY_HEADER_BYTES)["value"]
    return found.astype(f"i{size_bytes}")


def numeric(values_wh: NDArray[np.int64]) -> NDArray[Any]:
    """Write whole Wh as numerics of kWh with three places."""
    found = np.zeros(len(values_wh), dtype=NUMERIC)
    size = np.abs(values_wh)
    whole, thousandths = np.divmod(size, 1000)
    found["head"] = (4, 2, 0, 3)
    found["head"][:, 2] = np.where(values_wh < 0, NEGATIVE, 0)
    found["digits"][:, 0] = whole // 100_000_000
    found["digits"][:, 1] = whole // 10_000 % 10_000
    found["digits"][:, 2] = whole % 10_000
    found["digits"][:, 3] = thousandths * 10
    return found


def rows_in(
    table: str, blocks: Sequence[tuple[int, Mapping[str, NDArray[Any] | bytes | None]]]
) -> None:
    """COPY blocks of rows into a table, inside the caller's transaction.

    Parameters
    ----------
    table
        Its rules hold as always; columns that are not named take their defaults.
    blocks
        How many rows, and their columns, the same ones in the same order in each block: an array
        of what each row holds in network order, one value for all of them, or None for null.
    """
    names = ", ".join(f'"{name}"' for name in blocks[0][1])
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f'COPY "{table}" ({names}) FROM STDIN (FORMAT BINARY)') as copy,
    ):
        copy.write(HEADER)
        for count, columns in blocks:
            copy.write(_block(count, columns))
        copy.write(TRAILER)


def _block(count: int, columns: Mapping[str, NDArray[Any] | bytes | None]) -> bytes:
    layout: list[tuple[str, Any]] = [("fields", ">i2")]
    for name, column in columns.items():
        layout.append((f"{name}:length", ">i4"))
        if isinstance(column, bytes):
            if column:
                layout.append((name, f"V{len(column)}"))
        elif column is not None:
            layout.append((name, column.dtype))
    rows = np.zeros(count, dtype=layout)
    rows["fields"] = len(columns)
    for name, column in columns.items():
        if column is None:
            rows[f"{name}:length"] = -1
        elif isinstance(column, bytes):
            rows[f"{name}:length"] = len(column)
            if column:
                rows[name] = np.void(column)
        else:
            rows[f"{name}:length"] = column.dtype.itemsize
            rows[name] = column
    return rows.tobytes()
