"""The CSV door to readings: one strict layout, refused whole or taken whole."""

import contextlib
import csv
import io
from datetime import datetime
from decimal import Decimal

from accounts.core.numbers import decimal_of
from accounts.fields import KWH_MAX
from aggregator.metering.models import Quality, Stage
from aggregator.metering.services import Ingested, ReadingRefused, ReadingRow, readings_ingest

HEADER = ["point_number", "start_at", "energy_kwh", "quality", "stage"]
TRAILER = "END"
BYTES_MAX = 64 * 1024 * 1024


def readings_ingest_csv(*, content: bytes, source: str) -> Ingested:
    """Take in a CSV file of readings.

    UTF-8, with or without a byte-order mark. The header is
    ``point_number,start_at,energy_kwh,quality,stage``; times carry their offset; quality and
    stage are names (``OK``, ``FINAL``); the energy of a MISSING value is empty. The last line
    is ``END,<number of rows>``, so that half a file is told from a whole one.

    Raises
    ------
    ReadingRefused
        With line, field, value and rule; nothing is stored.
    """
    return readings_ingest(rows=_rows(_text(content)), source=source)


def _text(content: bytes) -> str:
    if len(content) > BYTES_MAX:
        raise ReadingRefused(field="file", value=len(content), rule=f"at most {BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadingRefused(
            field="file", value=content[error.start : error.start + 8], rule="UTF-8"
        ) from None
    if "\0" in text:
        raise ReadingRefused(field="file", value="NUL", rule="text without NUL characters")
    return text


def _rows(text: str) -> list[ReadingRow]:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ReadingRefused(field="file", value=str(error), rule="well-formed CSV") from None
    if not lines or lines[0] != HEADER:
        raise ReadingRefused(field="line 1", value=lines[0] if lines else "", rule=",".join(HEADER))
    *body, last = lines
    count = len(body) - 1
    if last != [TRAILER, str(count)] or not body:
        raise ReadingRefused(
            field=f"line {len(lines)}",
            value=last,
            rule=f"the file ends with {TRAILER} and the number of rows before it",
        )
    return [_row(n, values) for n, values in enumerate(body[1:], start=2)]


def _row(n: int, values: list[str]) -> ReadingRow:
    if len(values) != len(HEADER):
        raise ReadingRefused(field=f"line {n}", value=values, rule=f"{len(HEADER)} columns")
    point_number, start_at, energy_kwh, quality, stage = values
    return ReadingRow(
        point_number=point_number,
        start_at=_time(n, start_at),
        energy_kwh=_energy(n, energy_kwh),
        quality=_member(n, "quality", quality, Quality),
        stage=_member(n, "stage", stage, Stage),
    )


def _time(n: int, text: str) -> datetime:
    moment: datetime | None = None
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
    if moment is None or moment.utcoffset() is None:
        raise ReadingRefused(
            field=f"line {n}.start_at", value=text, rule="a date-time with its UTC offset"
        )
    return moment


def _energy(n: int, text: str) -> Decimal | None:
    if not text:
        return None
    return decimal_of(
        text,
        field=f"line {n}.energy_kwh",
        low=Decimal(-KWH_MAX),
        high=Decimal(KWH_MAX),
        places=3,
    )


def _member(n: int, field: str, text: str, choices: type[Quality] | type[Stage]) -> int:
    if text not in choices.names:
        raise ReadingRefused(
            field=f"line {n}.{field}", value=text, rule=f"one of {', '.join(choices.names)}"
        )
    return int(choices[text])
