"""Bodies that can be read in one way only: the JSON parser of all doors.

Refused are duplicate keys, NaN and infinity, numbers of more than 32 characters, wrong UTF-8,
more than 20 levels, and text with control characters other than line ends and tabs. Numbers
with a fraction become exact Decimals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import IO, Any, Final

from rest_framework import parsers

from aggregator.api.v1.problem import Stopped

BODY_BYTES_MAX: Final = 5 * 1024 * 1024
DEPTH_MAX: Final = 20
NUMBER_LENGTH_MAX: Final = 32
KEY_SHOWN_MAX: Final = 80
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_NEVER: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def read_json(body: bytes) -> Any:
    """Parse a body in which every reader would read the same thing.

    Raises
    ------
    Stopped
        ``too-large`` or ``malformed``, naming the rule that is broken.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Stopped("too-large", f"at most {BODY_BYTES_MAX} bytes")
    _refuse_deep(body)
    try:
        text = body.decode("utf-8")
        document = json.loads(
            text,
            object_pairs_hook=_pairs,
            parse_float=_decimal,
            parse_int=_int,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise Stopped("malformed", "the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise Stopped("malformed", f"no JSON from character {error.pos} on") from error
    if _NEVER.search(text) or ("\\u" in text and _has_strange_text(document)):
        raise Stopped("malformed", "text without control characters and lone surrogates")
    return document


class StrictJsonParser(parsers.BaseParser):
    """The only parser of JSON bodies."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        _media_type: str | None = None,
        _context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read at most one byte more than is allowed, so that a flood is not kept."""
        return read_json(stream.read(BODY_BYTES_MAX + 1))


def _refuse_deep(body: bytes) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > DEPTH_MAX:
            raise Stopped("malformed", f"at most {DEPTH_MAX} levels")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise Stopped("malformed", "each key once", field=twice[:KEY_SHOWN_MAX])
    return found


def _decimal(text: str) -> Decimal:
    if len(text) > NUMBER_LENGTH_MAX:
        raise Stopped("malformed", f"numbers of at most {NUMBER_LENGTH_MAX} characters")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise Stopped("malformed", "numbers that are finite") from error


def _int(text: str) -> int:
    if len(text) > NUMBER_LENGTH_MAX:
        raise Stopped("malformed", f"numbers of at most {NUMBER_LENGTH_MAX} characters")
    return int(text)


def _constant(text: str) -> float:
    raise Stopped("malformed", f"numbers; {text} is none")


def _has_strange_text(document: Any) -> bool:
    """Whether an escape hid what the text itself may not hold."""
    if isinstance(document, str):
        return _NEVER.search(document) is not None
    if isinstance(document, dict):
        return any(_has_strange_text(part) for pair in document.items() for part in pair)
    if isinstance(document, list):
        return any(map(_has_strange_text, document))
    return False
