"""What every official CSV file needs: encoding, rows, exact numbers, dates, ordinals of komas."""

from __future__ import annotations

import csv
import gzip
import io
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

from accounts.core.errors import Refused

HALF_HOURS_PER_DAY = 48
HALF_HOUR_MIN = 30
DAY_MIN = 24 * 60
JST = timezone(timedelta(hours=9))
# A year of ten areas is 16 MB of text: more than this is not a file of ours.
FILE_BYTES_MAX = 100_000_000
YEAR_MIN, YEAR_MAX = 2000, 2100

_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DATE = re.compile(
    r"(?P<y>[0-9]{4})(?:/(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})|-(?P<m2>[0-9]{2})-(?P<d2>[0-9]{2})"
    r"|(?P<m3>[0-9]{2})(?P<d3>[0-9]{2}))",
    re.ASCII,
)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::00)?", re.ASCII)


class InvalidFile(Refused):
    """A file breaks a rule of its format; nothing of it was stored.

    Parameters
    ----------
    source
        Name of the file.
    line
        Line of the file, from 1; 0 speaks of the file as a whole.
    column
        Name of the column, or empty.
    value, rule
        As in :class:`accounts.core.errors.Refused`.
    """

    def __init__(self, *, source: str, line: int, column: str, value: object, rule: str) -> None:
        self.source = source
        self.line = line
        self.column = column
        place = source + (f" line {line}" if line else "") + (f" column {column}" if column else "")
        super().__init__(field=place, value=value, rule=rule)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a CSV file and the line it ends on."""

    line: int
    cells: tuple[str, ...]

    @property
    def is_blank(self) -> bool:
        """Whether every cell is empty."""
        return not any(self.cells)


@dataclass(frozen=True, slots=True)
class SlotLabel:
    """The date and time a file prints beside one half hour."""

    line: int
    on: date
    minute: int


def unzipped(content: bytes, source: str) -> bytes:
    """Inflate gzip content by its first bytes; other content is returned as it is.

    Raises
    ------
    InvalidFile
        The archive is cut or damaged, or what it holds is too large.
    """
    if len(content) > FILE_BYTES_MAX:
        raise _whole(source, len(content), f"at most {FILE_BYTES_MAX} bytes")
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            plain = stream.read(FILE_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _whole(source, str(error), "a complete gzip archive") from error
    if len(plain) > FILE_BYTES_MAX:
        raise _whole(source, "gzip", f"at most {FILE_BYTES_MAX} bytes inside")
    return plain


def decoded(content: bytes, source: str) -> str:
    """Read as UTF-8 (with or without BOM) or CP932, the only two that the publishers use.

    CP932 text is never valid UTF-8 where it holds Japanese, so the order decides nothing.

    Raises
    ------
    InvalidFile
        Neither fits, the file is empty, or it holds control characters.
    """
    if not content.strip():
        raise _whole(source, content[:8], "not empty")
    for encoding in ("utf-8-sig", "cp932"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        odd = _CONTROL.search(text)
        if odd is not None:
            line = text.count("\n", 0, odd.start()) + 1
            raise InvalidFile(
                source=source, line=line, column="", value=odd[0], rule="no control characters"
            )
        return text
    raise _whole(source, content[:16], "UTF-8 or CP932 text")


def csv_rows(text: str, source: str) -> list[Row]:
    """Split into rows with cells stripped of plain spaces; trailing blank rows are dropped.

    Raises
    ------
    InvalidFile
        A quote is left open or misplaced, or a blank row stands between rows.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        rows.extend(Row(reader.line_num, tuple(cell.strip(" ") for cell in c)) for c in reader)
    except csv.Error as error:
        raise InvalidFile(
            source=source,
            line=reader.line_num,
            column="",
            value=str(error),
            rule="well-formed CSV; a quote is left open where a file was cut",
        ) from error
    while rows and rows[-1].is_blank:
        rows.pop()
    return rows


def column_name(cell: str) -> str:
    """Bring a header cell to one form: NFKC (brackets vary in width) and no spaces."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", cell))


def cells_of(row: Row, width: int, source: str) -> tuple[str, ...]:
    """Return the row's first `width` cells; what stands beyond must be empty.

    Raises
    ------
    InvalidFile
        The row is blank between others, too short (cut) or too long.
    """
    if row.is_blank:
        raise InvalidFile(
            source=source, line=row.line, column="", value="", rule="no blank row between rows"
        )
    if len(row.cells) < width or any(row.cells[width:]):
        raise InvalidFile(
            source=source,
            line=row.line,
            column="",
            value=f"{len(row.cells)} cells",
            rule=f"{width} cells as in the header; fewer mean a cut line",
        )
    return row.cells[:width]


def number(cell: str, *, source: str, line: int, column: str) -> Decimal:
    """Read plain ASCII digits with an optional minus and fraction, at most 12 and 6 of them.

    Length is bounded before conversion; ``NaN``, ``1_000``, ``1e3``, full-width digits and
    thousands separators are no numbers here.
    """
    if _NUMBER.fullmatch(cell) is None:
        rule = "a value is missing" if not cell else "a number like -123.45 in ASCII digits"
        raise InvalidFile(source=source, line=line, column=column, value=cell, rule=rule)
    return Decimal(cell)


def day(cell: str, *, source: str, line: int, column: str) -> date:
    """Read ``2024/4/1``, ``2024-04-01`` or ``20240401``."""
    match = _DATE.fullmatch(cell)
    if match is not None:
        year = int(match["y"])
        month = int(match["m"] or match["m2"] or match["m3"])
        day_of_month = int(match["d"] or match["d2"] or match["d3"])
        if YEAR_MIN <= year <= YEAR_MAX:
            try:
                return date(year, month, day_of_month)
            except ValueError:
                pass  # 2024/2/30: refused below with the cell as it stands
    raise InvalidFile(
        source=source,
        line=line,
        column=column,
        value=cell,
        rule=f"a date like 2024/4/1 between {YEAR_MIN} and {YEAR_MAX}",
    )


def minute_of_day(cell: str, *, source: str, line: int, column: str) -> int:
    """Read ``0:00`` to ``24:00`` in half hours; returns minutes after midnight."""
    match = _TIME.fullmatch(cell)
    if match is not None:
        minute = int(match[1]) * 60 + int(match[2])
        if minute <= DAY_MIN and minute % HALF_HOUR_MIN == 0 and int(match[2]) < 60:  # noqa: PLR2004
            return minute
    raise InvalidFile(
        source=source, line=line, column=column, value=cell, rule="a half hour like 9:30"
    )


def slot_starts(labels: Sequence[SlotLabel], *, source: str, column: str) -> list[datetime]:
    """Map labels to the UTC starts of half hours by ordinal: the n-th row of a day is koma n.

    Publishers name a slot by its start (first row 0:00) or by its end (first row 0:30, last
    row 24:00, or 0:00 of either date). The first row tells which; the others must follow
    without a gap, so that the label only ever confirms what the ordinal says.

    Raises
    ------
    InvalidFile
        A half hour is missing, repeated or out of order, or the last day is incomplete.
    """
    if not labels:
        raise _whole(source, "no rows", "at least one day of 48 half hours")
    first = labels[0]
    if first.minute not in {0, HALF_HOUR_MIN}:
        raise InvalidFile(
            source=source,
            line=first.line,
            column=column,
            value=_clock(first.minute),
            rule="a day begins with its first half hour",
        )
    midnight = datetime.combine(first.on, time(), JST)
    starts = []
    for i, label in enumerate(labels):
        expected_min = HALF_HOUR_MIN * i + first.minute
        actual_min = (label.on - first.on).days * DAY_MIN + label.minute
        ends_a_day = first.minute == HALF_HOUR_MIN and (i + 1) % HALF_HOURS_PER_DAY == 0
        if actual_min != expected_min and not (ends_a_day and actual_min == expected_min - DAY_MIN):
            raise InvalidFile(
                source=source,
                line=label.line,
                column=column,
                value=f"{label.on} {_clock(label.minute)}",
                rule="a half hour is missing before this row"
                if actual_min > expected_min
                else "a half hour is repeated or out of order",
            )
        starts.append((midnight + timedelta(minutes=HALF_HOUR_MIN * i)).astimezone(UTC))
    over = len(labels) % HALF_HOURS_PER_DAY
    if over:
        raise InvalidFile(
            source=source,
            line=labels[-1].line,
            column=column,
            value=f"{over} half hours on {labels[-1].on}",
            rule="every day has 48 half hours; the file seems cut",
        )
    return starts


def _clock(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02d}"


def _whole(source: str, value: object, rule: str) -> InvalidFile:
    return InvalidFile(source=source, line=0, column="", value=value, rule=rule)
