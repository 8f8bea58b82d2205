"""Bodies before they are read: how long, how packed; and rows that come as CSV.

No body is longer than :data:`BODY_BYTES_MAX` on the wire; what says so in its header is refused
before a byte is read. Packed bodies are for doors that take many rows: they are unpacked piece
by piece, so that a bomb costs no more memory than what is allowed.
"""

from __future__ import annotations

import codecs
import csv
import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from rest_framework import parsers

from accounts.core.errors import Refused
from accounts.core.text import is_plain
from accounts.core.wording import rule_ja
from aggregator.api.v1.problem import Stopped, code_of, refusal_ja
from aggregator.api.v1.reading import BODY_BYTES_MAX

INFLATED_BYTES_MAX: Final = 50 * 1024 * 1024
RATIO_MAX: Final = 100
RATIO_FREE_BYTES: Final = 64 * 1024  # of so little no ratio is asked
PIECE_BYTES: Final = 64 * 1024
ROWS_MAX: Final = 50_000
CELLS_MAX: Final = 500_000
CELL_LENGTH_MAX: Final = 1_000
COLUMNS_MAX: Final = 100
ERRORS_SHOWN_MAX: Final = 100
_GZIP: Final = 16 + zlib.MAX_WBITS


def body_read(request: HttpRequest, *, takes_gzip: bool) -> None:
    """Read the body of a request into memory, and unpack it where the door takes packed ones.

    Afterwards ``request.body`` is what the parsers shall see, whatever they do with it.

    Raises
    ------
    Stopped
        ``malformed``, ``too-large`` or ``unsupported-media-type``.
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if length and not (length.isascii() and length.isdigit()):
        raise Stopped("malformed", "Content-Length is a number", field="Content-Length")
    if length and (len(length) > 12 or int(length) > BODY_BYTES_MAX):  # noqa: PLR2004
        raise _too_large(BODY_BYTES_MAX)
    packing = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("", "identity") and not (takes_gzip and packing == "gzip"):
        raise Stopped(
            "unsupported-media-type",
            "this door takes no packed bodies" if not takes_gzip else "packed by gzip, or not",
            detail_ja="この Content-Encoding は受け付けません",
            field="Content-Encoding",
        )
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise _too_large(BODY_BYTES_MAX) from error
    if len(body) > BODY_BYTES_MAX:  # sent in chunks, without a length
        raise _too_large(BODY_BYTES_MAX)
    if not body and (request.content_type or "").startswith(("text/", "multipart/")):
        # without a length no parser is asked, and the door would get something else than it reads
        raise Stopped("malformed", "the body is empty", detail_ja="本文が空です")
    if packing == "gzip":
        body = inflate(body)
        request._body = body  # noqa: SLF001 - Django's own place of it
    # without a length DRF would take a body in chunks for none
    request.META["CONTENT_LENGTH"] = str(len(body))


def inflate(packed: bytes) -> bytes:
    """Unpack one gzip member, piece by piece.

    Raises
    ------
    Stopped
        ``too-large`` once it grows beyond 50 MB or to more than a hundred times its size;
        ``malformed`` if it is cut off, broken or followed by anything.
    """
    limit = min(INFLATED_BYTES_MAX, max(RATIO_FREE_BYTES, RATIO_MAX * len(packed)))
    inflater = zlib.decompressobj(_GZIP)
    found = io.BytesIO()  # gives its content away without a copy
    left = packed
    try:
        while left and not inflater.eof:
            found.write(inflater.decompress(left, PIECE_BYTES))
            left = inflater.unconsumed_tail
            if found.tell() > limit:
                raise _too_large(limit)
    except zlib.error as error:
        raise Stopped("malformed", "the body is not gzip") from error
    if not inflater.eof or inflater.unused_data:
        raise Stopped("malformed", "the body is not one whole gzip member")
    return found.getvalue()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of a CSV body, all of them text.

    Parameters
    ----------
    rows
        One mapping of column to text per row.
    lines
        The line each row begins at, from 1.
    is_ended
        Whether a line break ends the last line, as it does unless the body was cut.
    """

    rows: Sequence[Mapping[str, str]]
    lines: Sequence[int]
    is_ended: bool = True


class CsvParser(parsers.BaseParser):
    """``text/csv`` as a :class:`Table`: UTF-8, with or without BOM, or Shift_JIS."""

    media_type = "text/csv"

    def parse(  # type: ignore[override]
        self,
        stream: IO[Any],
        media_type: str | None = None,
        _context: Mapping[str, Any] | None = None,
    ) -> Table:
        """Read the table; which columns it must have, the door says by :func:`columns_expect`."""
        del media_type
        return read_csv(stream.read())


def read_csv(body: bytes) -> Table:
    """Read a table with a header line; the text of every cell as it stands.

    Raises
    ------
    Stopped
        ``malformed`` with one entry per wrong line, so that all can be mended at once.
    """
    # a line end inside a cell is refused anyway, so that lines bound rows before any is built
    if body.count(b"\n") > ROWS_MAX + 1 or body.count(b"\r") > ROWS_MAX + 1:
        raise _too_many(f"{ROWS_MAX} rows", f"{ROWS_MAX} 行")
    text = io.TextIOWrapper(io.BytesIO(body), encoding=_encoding(body), newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_header(header)
        rows: list[Mapping[str, str]] = []
        lines: list[int] = []
        wrong: list[dict[str, Any]] = []
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not cells:
                continue  # an empty line, as editors leave them at the end
            if fault := _fault(cells, len(header)):
                wrong.append(row_error("malformed", "", fault, line=line))
                continue
            if len(rows) * len(header) >= CELLS_MAX:
                raise _too_many(f"{CELLS_MAX} cells", f"{CELLS_MAX} セル")
            rows.append(dict(zip(header, map(str.strip, cells), strict=True)))
            lines.append(line)
    except csv.Error as error:
        raise Stopped("malformed", f"no CSV from line {reader.line_num} on: {error}") from error
    refuse_rows(wrong)
    return Table(rows=rows, lines=lines, is_ended=body.endswith((b"\n", b"\r")))


def columns_expect(table: Table, *, needed: Iterable[str], allowed: Iterable[str] = ()) -> None:
    """Refuse a table that lacks a column or has one that nobody reads.

    Raises
    ------
    Stopped
        ``malformed``, naming the columns.
    """
    present = set(table.rows[0]) if table.rows else set(needed)
    missing = sorted(set(needed) - present)
    strange = sorted(present - set(needed) - set(allowed))
    if missing or strange:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing)
        parts += [f"unknown: {', '.join(strange)}"] * bool(strange)
        raise Stopped(
            "malformed",
            f"columns {'; '.join(parts)}",
            detail_ja=f"列が違います（{'; '.join(parts)}）",
            field=(missing or strange)[0],
        )


def row_error(
    code: str, field: str, detail: str, *, detail_ja: str = "", line: int | None = None
) -> dict[str, Any]:
    """Return one entry of the ``errors`` of a problem."""
    entry: dict[str, Any] = {"code": code, "field": field, "detail": detail}
    if told := detail_ja or rule_ja(detail):
        entry["detail_ja"] = told
    return entry if line is None else {**entry, "line": line}


def refusal_entry(
    refused: Refused, *, code: str = "", field: str | None = None, line: int | None = None
) -> dict[str, Any]:
    """Return a refusal as an entry of the ``errors``, at its own place unless told another."""
    return row_error(
        code or code_of(refused),
        refused.field if field is None else field,
        str(refused),
        detail_ja=refusal_ja(refused),
        line=line,
    )


def refuse_rows(errors: Sequence[Mapping[str, Any]], *, code: str = "malformed") -> None:
    """Refuse the whole request if any of its rows is refused.

    Raises
    ------
    Stopped
        With the first :data:`ERRORS_SHOWN_MAX` entries, and how many there are.
    """
    if errors:
        first = errors[0]
        raise Stopped(
            code,
            f"{len(errors)} rows are refused; nothing was stored",
            detail_ja=f"{len(errors)} 行に誤りがあります。何も保存していません",
            field=str(first.get("field", "")),
            errors=errors[:ERRORS_SHOWN_MAX],
        )


def _encoding(body: bytes) -> str:
    """Tell what the bytes can only be: UTF-8 first, for Shift_JIS is rarely valid UTF-8."""
    whole = memoryview(body)
    for encoding in ("utf-8-sig", "cp932"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for start in range(0, len(body), PIECE_BYTES):
                decoder.decode(whole[start : start + PIECE_BYTES])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise Stopped("malformed", "CSV in UTF-8 or Shift_JIS", detail_ja="文字コードが不明です")


def _refuse_header(header: Sequence[str]) -> None:
    if not header or not all(header):
        raise Stopped("malformed", "the first line names the columns")
    if len(header) > COLUMNS_MAX or any(len(name) > CELL_LENGTH_MAX for name in header):
        raise Stopped("malformed", f"at most {COLUMNS_MAX} columns")
    if len(set(header)) != len(header):
        raise Stopped("malformed", "each column once")
    if not all(map(is_plain, header)):
        raise Stopped("malformed", "names of columns without control characters")


def _fault(cells: Sequence[str], count: int) -> str:
    if len(cells) != count:
        return f"{len(cells)} cells, but {count} columns"
    if any(len(cell) > CELL_LENGTH_MAX for cell in cells):
        return f"cells of at most {CELL_LENGTH_MAX} characters"
    if not all(map(is_plain, cells)):
        return "text without control characters"
    return ""


def _too_large(limit: int) -> Stopped:
    return Stopped(
        "too-large", f"at most {limit} bytes", detail_ja=f"本文は {limit} バイトまでです"
    )


def _too_many(most: str, most_ja: str) -> Stopped:
    return Stopped("too-large", f"at most {most}", detail_ja=f"{most_ja}までです")
