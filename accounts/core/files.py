"""Files that strangers send: small, of a known kind, and what they say they are.

A file is taken as evidence and handed out again as an attachment; nothing here or elsewhere
opens it. So what counts is that its name is harmless, that its kind is one of few, and that its
first and last bytes are those of the kind: a page of script called ``photo.png`` is refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.core.errors import Refused

FILE_BYTES_MAX: Final = 5_000_000
NAME_LENGTH_MAX: Final = 120
DEPTH_MAX: Final = 20
PNG_START: Final = b"\x89PNG\r\n\x1a\n"
PNG_LAST: Final = b"IEND"
PDF_START: Final = re.compile(rb"%PDF-[12]\.[0-9]")
PDF_END: Final = b"%%EOF"
PDF_TAIL_BYTES: Final = 1024
BOM: Final = "\ufeff"
_NEVER_IN_NAME: Final = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff/\\:*?"<>|\u202a-\u202e]')
_NEVER_IN_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_ESCAPE: Final = re.compile(r"\\.", re.DOTALL)
# once escapes are gone quotes come in pairs, so that no character is looked at twice
_BRACKET: Final = re.compile(r'"[^"]*"?|[\[\]{}]')


class FileRefused(Refused):
    """A file that is not taken: its name, size, kind or content breaks a rule."""


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """A file whose name, size, kind and content were checked."""

    name: str
    content_type: str
    content: bytes
    sha256: str

    @property
    def size_bytes(self) -> int:
        """Return how large it is."""
        return len(self.content)


def file_checked(
    name: str, content_type: str, content: bytes, *, field: str = "file"
) -> CheckedFile:
    """Return a file that may be kept, with its hash.

    Parameters
    ----------
    name
        As its sender calls it; the ending must fit the kind.
    content_type
        ``application/pdf``, ``text/csv``, ``image/png`` or ``application/json``; parameters such
        as a charset are left out.
    content
        1 byte to :data:`FILE_BYTES_MAX`.
    field
        Path of the file in refusals.

    Raises
    ------
    FileRefused
        Naming ``<field>.name``, ``<field>.content_type`` or ``<field>``, and the rule.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise FileRefused(
            field=f"{field}.content_type", value=content_type, rule=f"one of {', '.join(KINDS)}"
        )
    ending, fault_of = KINDS[kind]
    if not _is_name(name, ending):
        rule = f"a name of at most {NAME_LENGTH_MAX} plain characters without a path, with {ending}"
        raise FileRefused(field=f"{field}.name", value=name, rule=rule)
    if not 0 < len(content) <= FILE_BYTES_MAX:
        raise FileRefused(field=field, value=len(content), rule=f"1 to {FILE_BYTES_MAX} bytes")
    if fault := fault_of(content):
        raise FileRefused(field=field, value=content[:8], rule=fault)
    return CheckedFile(
        name=name, content_type=kind, content=content, sha256=hashlib.sha256(content).hexdigest()
    )


def _is_name(name: str, ending: str) -> bool:
    return (
        len(ending) < len(name) <= NAME_LENGTH_MAX
        and name.lower().endswith(ending)
        and not name.startswith(".")
        and name.strip() == name
        and _NEVER_IN_NAME.search(name) is None
    )


def _pdf_fault(content: bytes) -> str:
    if PDF_START.match(content) and PDF_END in content[-PDF_TAIL_BYTES:]:
        return ""
    return "a whole PDF: %PDF-1.x first, %%EOF last"


def _png_fault(content: bytes) -> str:
    """Walk the chunks: each of its length and checksum, IHDR first, IEND last, nothing after."""
    fault = "a whole PNG with nothing after it"
    if not content.startswith(PNG_START):
        return fault
    at, kind = len(PNG_START), b""
    while at + 12 <= len(content) and kind != PNG_LAST:
        length = int.from_bytes(content[at : at + 4])
        is_first, kind = at == len(PNG_START), content[at + 4 : at + 8]
        end = at + 8 + length
        if is_first != (kind == b"IHDR") or end + 4 > len(content):
            return fault
        if zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4]):
            return fault
        at = end + 4
    return "" if kind == PNG_LAST and at == len(content) else fault


def _text_of(content: bytes) -> str | None:
    """Return the content as text without its byte-order mark; None if it is none."""
    try:
        text = content.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError:
        return None
    return None if _NEVER_IN_TEXT.search(text) else text


def _csv_fault(content: bytes) -> str:
    text = _text_of(content)
    if text is None:
        return "CSV in UTF-8 without control characters"
    try:
        widths = {len(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row}
    except csv.Error:
        return "well-formed CSV"
    is_table = len(widths) == 1 and 1 not in widths
    return "" if is_table else "CSV of at least two columns, the same in every row"


def _json_fault(content: bytes) -> str:
    text = _text_of(content)
    if text is None:
        return "JSON in UTF-8 without control characters"
    depth = 0
    for token in _BRACKET.finditer(_ESCAPE.sub("", text)):
        if token.group() in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                return f"JSON of at most {DEPTH_MAX} levels"
        elif token.group() in "]}":
            depth -= 1
    try:
        # numbers stay text: reading huge ones would cost time, and nobody asks for them
        json.loads(
            text,
            parse_int=str,
            parse_float=str,
            parse_constant=_constant,
            object_pairs_hook=_pairs,
        )
    except ValueError:
        return "JSON that can be read in one way only"
    return ""


def _constant(name: str) -> Any:
    raise ValueError(name)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


KINDS: Final[Mapping[str, tuple[str, Callable[[bytes], str]]]] = {
    "application/pdf": (".pdf", _pdf_fault),
    "text/csv": (".csv", _csv_fault),
    "image/png": (".png", _png_fault),
    "application/json": (".json", _json_fault),
}
