"""The one way tables leave as CSV: no cell of text can be taken for a formula.

A spreadsheet runs what begins with ``=``, ``+``, ``-`` or ``@``, in some programs also after a tab
or a line end, and with an input method the full-width forms of these signs. Names of sites and
codes of bids are typed by strangers and opened by others, so such a *text* gets an apostrophe,
which a spreadsheet takes for "this is text" (OWASP ASVS 5.0, 1.2.10). Numbers are handed over as
numbers and stay what they are, negative ones too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final
from uuid import UUID

BOM: Final = "\ufeff"  # without it Excel in Japan reads Shift_JIS
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MARK: Final = "'"

Cell = str | int | float | Decimal | date | datetime | time | UUID | bool | None


def safe_cell(text: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula.

    Spaces before the sign, also ideographic ones, do not hide it.
    """
    return f"{_MARK}{text}" if text.lstrip(" \u3000").startswith(FORMULA_STARTS) else text


def cell_read(text: str) -> str:
    """Return what :func:`safe_cell` was given."""
    inner = text.removeprefix(_MARK)
    return inner if inner != text and safe_cell(inner) == text else text


def csv_text(rows: Iterable[Sequence[Cell]], *, header: Sequence[str]) -> str:
    """Write a table: one header line, CRLF, every text cell safe.

    Parameters
    ----------
    rows
        Cells in the order of the header. Numbers, dates and times are written as Python does;
        None becomes an empty cell.
    header
        Names of the columns, ours and not a stranger's.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(
        [safe_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return out.getvalue()


def csv_bytes(rows: Iterable[Sequence[Cell]], *, header: Sequence[str]) -> bytes:
    """Write a table as a file: UTF-8 with BOM."""
    return (BOM + csv_text(rows, header=header)).encode("utf-8")
