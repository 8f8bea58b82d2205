"""The CSV door to readings: one strict layout, every wrong line told, taken whole or not at all."""

import contextlib
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KWH_MAX
from aggregator.core.readings import point_number_of
from aggregator.metering.fine import FineRow
from aggregator.metering.intake import Fault, batch_take
from aggregator.metering.models import Quality, Stage
from aggregator.metering.services import Ingested, ReadingRefused, ReadingRow

HEADER: Final = ("point_number", "start_at", "energy_kwh", "quality", "stage")
INTERVAL: Final = "interval_min"
TRAILER: Final = "END"
BYTES_MAX: Final = 64 * 1024 * 1024
ENCODINGS: Final = ("utf-8-sig", "cp932")
HALF_HOUR_MIN: Final = 30
INTERVALS: Final = {"1": 1, "5": 5, "30": HALF_HOUR_MIN}


class FileRefused(ReadingRefused):
    """A file has wrong lines; nothing of it was stored. `faults` has every one of them."""

    def __init__(self, faults: Sequence["LineFault"]) -> None:
        first = faults[0].refused
        super().__init__(
            field=f"line {faults[0].line}.{first.field}", value=first.value, rule=first.rule
        )
        self.faults = tuple(faults)


@dataclass(frozen=True, kw_only=True)
class LineFault:
    """Why one line of a file is refused; the first line is 1."""

    line: int
    refused: Refused


@dataclass(frozen=True, kw_only=True)
class FileTaken:
    """What became of a file: counts of what was kept, warnings, and lines that were refused."""

    ingested: Ingested
    faults: tuple[LineFault, ...] = ()
    warnings: tuple[str, ...] = ()


def readings_ingest_csv(*, content: bytes, source: str, is_partial: bool = False) -> FileTaken:
    """Take in a CSV file of readings.

    UTF-8, with or without a byte-order mark, or Shift_JIS as Windows writes it (CP932). The
    header is ``point_number,start_at,energy_kwh,quality,stage``, with ``interval_min`` (1, 5 or
    30) after it where intervals are shorter; a point number may be written with hyphens; times
    carry their offset; quality and stage are names (``OK``, ``FINAL``); the energy of a MISSING
    value is empty. The last line is ``END,<number of rows>``, so that half a file is told from a
    whole one.

    Parameters
    ----------
    content
        The file.
    source
        Where it comes from, at most 40 characters.
    is_partial
        Keep the good lines of a file that has wrong ones, or that ends too early.

    Raises
    ------
    FileRefused
        With every wrong line, unless a part was asked for; nothing is stored.
    ReadingRefused
        If no line can be read at all: too long, in another encoding, no CSV, another header.
    """
    header, lines = _lines(content)
    rows: dict[int, ReadingRow | FineRow] = {}
    faults: list[LineFault] = []
    warnings: set[str] = set()
    body, end = _without_trailer(lines)
    for n, cells in body:
        try:
            rows[n], odd = _row(cells, header)
            warnings |= {f"{cells[0]}: {warning}" for warning in odd}
        except Refused as refused:
            faults.append(LineFault(line=n, refused=refused))
    if end is not None:
        faults.append(end)
    intake = batch_take(
        rows=rows,
        source=source,
        faults=[Fault(n=fault.line, refused=fault.refused) for fault in faults],
        is_partial=is_partial,
    )
    told = tuple(LineFault(line=fault.n, refused=fault.refused) for fault in intake.faults)
    if told and not is_partial:
        raise FileRefused(told)
    return FileTaken(ingested=intake.ingested, faults=told, warnings=tuple(sorted(warnings)))


def _lines(content: bytes) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """Return the header, and each later line's number and cells."""
    reader = csv.reader(io.StringIO(_text(content), newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    before = 0
    try:
        for cells in reader:
            lines.append((before + 1, cells))
            before = reader.line_num
    except csv.Error as error:
        raise ReadingRefused(field="file", value=str(error), rule="well-formed CSV") from None
    header = tuple(lines[0][1]) if lines else ()
    if header not in {HEADER, (*HEADER, INTERVAL)}:
        raise ReadingRefused(field="line 1", value=",".join(header), rule=",".join(HEADER))
    return header, lines[1:]


def _text(content: bytes) -> str:
    if len(content) > BYTES_MAX:
        raise ReadingRefused(field="file", value=len(content), rule=f"at most {BYTES_MAX} bytes")
    text = None
    # UTF-8 first: Shift_JIS is rarely valid UTF-8, but most of UTF-8 is valid Shift_JIS.
    for encoding in ENCODINGS:
        with contextlib.suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            break
    if text is None:
        raise ReadingRefused(field="file", value=content[:8], rule="UTF-8 or Shift_JIS")
    if "\0" in text:
        raise ReadingRefused(field="file", value="NUL", rule="text without NUL characters")
    return text


def _without_trailer(
    lines: list[tuple[int, list[str]]],
) -> tuple[list[tuple[int, list[str]]], LineFault | None]:
    """Return the rows before the trailer, and what is wrong with it."""
    last_n, last = lines[-1] if lines else (1, [])
    has_trailer = bool(last) and last[0] == TRAILER
    body = lines[:-1] if has_trailer else lines
    if has_trailer and last == [TRAILER, str(len(body))]:
        return body, None
    rule = f"the file ends with {TRAILER} and the number of rows before it, {len(body)}"
    refused = ReadingRefused(field="trailer", value=",".join(last)[:80], rule=rule)
    return body, LineFault(line=last_n if has_trailer else last_n + 1, refused=refused)


def _row(cells: list[str], header: tuple[str, ...]) -> tuple[ReadingRow | FineRow, tuple[str, ...]]:
    if len(cells) != len(header):
        raise ReadingRefused(
            field="columns", value=len(cells), rule=f"{len(header)} columns: {','.join(header)}"
        )
    point_number, start_at, energy_kwh, quality, stage, *rest = cells
    number = point_number_of(point_number)
    interval = rest[0] if rest else str(HALF_HOUR_MIN)
    if interval not in INTERVALS:
        raise ReadingRefused(field=INTERVAL, value=interval, rule="1, 5 or 30 minutes")
    at, energy = _time(start_at), _energy(energy_kwh)
    marks = (_member("quality", quality, Quality), _member("stage", stage, Stage))
    if INTERVALS[interval] == HALF_HOUR_MIN:
        return ReadingRow(number.digits, at, energy, *marks), number.warnings
    return FineRow(number.digits, at, INTERVALS[interval], energy, *marks), number.warnings


def _time(text: str) -> datetime:
    moment: datetime | None = None
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
    if moment is None or moment.utcoffset() is None:
        raise ReadingRefused(field="start_at", value=text, rule="a date-time with its UTC offset")
    return moment


def _energy(text: str) -> Decimal | None:
    if not text:
        return None
    return decimal_of(
        text, field="energy_kwh", low=Decimal(-KWH_MAX), high=Decimal(KWH_MAX), places=3
    )


def _member(field: str, text: str, choices: type[Quality] | type[Stage]) -> int:
    if text not in choices.names:
        raise ReadingRefused(field=field, value=text, rule=f"one of {', '.join(choices.names)}")
    return int(choices[text])
