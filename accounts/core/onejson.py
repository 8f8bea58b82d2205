"""Bodies that can be read in one way only: the JSON reader of every door.

Refused are duplicate keys, NaN and infinity, numbers of more than 32 characters, wrong UTF-8,
more than 20 levels, 100,000 values or 10,000 values in one list, and text with control
characters other than line ends and tabs. Numbers with a fraction become what the door asks for:
exact Decimals, or floats, which print back as they were sent.

The shape is judged before anything is built, on what is left of the body without its strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import numpy as np

DEPTH_MAX: Final = 20
NODES_MAX: Final = 100_000
LIST_LENGTH_MAX: Final = 10_000
NUMBER_LENGTH_MAX: Final = 32
KEY_SHOWN_MAX: Final = 80
_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_SHAPE: Final = b'[]{},:"'
_NOT_SHAPE: Final = bytes(set(range(256)) - set(_SHAPE))
_QUOTE: Final = ord('"')
_CLIMB: Final = np.zeros(256, dtype=np.int8)
_CLIMB[list(b"[{")], _CLIMB[list(b"]}")] = 1, -1
_INNERMOST: Final = re.compile(rb"[\[{][,:]*[\]}]")
_LIST_END: Final = re.compile(rb"\[(,*)\]")
# every character that a number may have becomes 0, and every other one a space
_RUNS: Final = bytes(48 if chr(i) in "+-.0123456789eE" else 32 for i in range(256))
_LONG_RUN: Final = b"0" * (NUMBER_LENGTH_MAX + 1)
_NEVER: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class JsonFault(Exception):
    """The body could be read in two ways, or not at all.

    Parameters
    ----------
    code
        ``malformed`` or ``too-large``.
    rule, rule_ja
        What it must be, in both languages.
    field
        The key it is about, if it is about one.
    """

    def __init__(self, code: str, rule: str, rule_ja: str, *, field: str = "") -> None:
        self.code = code
        self.rule = rule
        self.rule_ja = rule_ja
        self.field = field
        super().__init__(rule)


def read_json(body: bytes, *, bytes_max: int, fraction: Callable[[str], Any] = Decimal) -> Any:
    """Parse a body in which every reader would read the same thing.

    Parameters
    ----------
    bytes_max
        Longest body of the door.
    fraction
        Makes a number of a text with a fraction or an exponent; raises ``InvalidOperation`` if
        there is none.

    Raises
    ------
    JsonFault
        Naming the rule that is broken.
    """
    if len(body) > bytes_max:
        raise _too_large(f"{bytes_max} bytes", f"{bytes_max} バイト")
    members = _members(body)
    # Numbers are looked at one by one only where any may be too long.
    are_short = _LONG_RUN not in body.translate(_RUNS)
    objects: list[dict[str, Any]] = []

    def see(found: dict[str, Any]) -> dict[str, Any]:
        objects.append(found)
        return found

    try:
        text = body.decode("utf-8")
        document = json.loads(
            text,
            object_hook=see,
            parse_float=_reader_of(fraction, are_short=are_short),
            parse_int=None if are_short else _int,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise _malformed("the body is not UTF-8", "本文が UTF-8 ではありません") from error
    except json.JSONDecodeError as error:
        raise _malformed(
            f"no JSON from character {error.pos} on",
            f"{error.pos} 文字目から JSON ではありません",
        ) from error
    except InvalidOperation as error:
        raise _malformed("numbers that are finite", "数値は有限でなければなりません") from error
    if sum(map(len, objects)) != members:
        raise _twice(text)
    if _is_strange(text) or ("\\u" in text and _has_strange_text(document)):
        raise _malformed(
            "text without control characters and lone surrogates",
            "制御文字や単独のサロゲートは使えません",
        )
    return document


def _members(body: bytes) -> int:
    """Return the number of members of all objects; refuse what is too deep, or too many.

    Only brackets, commas and colons matter, outside strings, which begin and end at every other
    quote. Fewer keys than members are found where one stands twice.
    """
    plain = _ESCAPE.sub(b"", body) if b"\\" in body else body
    marks = np.frombuffer(plain.translate(None, _NOT_SHAPE), dtype=np.uint8)
    is_quote = marks == _QUOTE
    is_inside = np.add.accumulate(is_quote, dtype=np.uint8) & 1
    shape = marks[~(is_quote | is_inside.astype(bool))]
    objects, lists, commas, colons = (int(np.count_nonzero(shape == mark)) for mark in b"{[,:")
    if commas + objects + lists >= NODES_MAX:
        raise _too_large(f"{NODES_MAX} values", f"値は {NODES_MAX} 個")
    if np.add.accumulate(_CLIMB[shape], dtype=np.int32).max(initial=0) > DEPTH_MAX:
        raise _malformed(f"at most {DEPTH_MAX} levels", f"入れ子は {DEPTH_MAX} 段までです")
    # an object of n members has n colons and n - 1 commas; the other commas are those of lists
    if commas - colons + objects >= LIST_LENGTH_MAX and _longest(shape.tobytes()) > LIST_LENGTH_MAX:
        raise _too_large(f"{LIST_LENGTH_MAX} values in one list", f"一覧は {LIST_LENGTH_MAX} 個")
    return colons


def _longest(shape: bytes) -> int:
    """Return the length of the longest list, taking innermost containers away level by level."""
    longest, before = 0, -1
    while len(shape) != before:
        commas = max(map(len, _LIST_END.findall(shape)), default=0)
        longest = max(longest, commas + 1)
        before, shape = len(shape), _INNERMOST.sub(b"", shape)
    return longest


def _twice(text: str) -> JsonFault:
    """Read again, to name the key that stands twice."""
    twice: list[str] = []

    def see(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                twice.append(key)
            seen.add(key)

    json.loads(text, object_pairs_hook=see)
    return _malformed("each key once", "同じキーが重複しています", field=twice[0][:KEY_SHOWN_MAX])


def _reader_of(fraction: Callable[[str], Any], *, are_short: bool) -> Callable[[str], Any]:
    """Return what reads a number with a fraction; one that never ends is looked at first."""
    if are_short:
        return fraction

    def read(text: str) -> Any:
        _refuse_long(text)
        return fraction(text)

    return read


def _int(text: str) -> int:
    _refuse_long(text)
    return int(text)


def _refuse_long(text: str) -> None:
    if len(text) > NUMBER_LENGTH_MAX:
        raise _malformed(
            f"numbers of at most {NUMBER_LENGTH_MAX} characters",
            f"数値は {NUMBER_LENGTH_MAX} 文字までです",
        )


def _constant(text: str) -> float:
    raise _malformed(f"numbers; {text} is none", f"{text} は数値ではありません")


def _is_strange(text: str) -> bool:
    """Whether the text holds what it may not; of ASCII the parser refuses all but DEL."""
    return "\x7f" in text if text.isascii() else _NEVER.search(text) is not None


def _has_strange_text(document: Any) -> bool:
    """Whether an escape hid what the text itself may not hold."""
    if isinstance(document, str):
        return _NEVER.search(document) is not None
    if isinstance(document, dict):
        return any(_has_strange_text(part) for pair in document.items() for part in pair)
    if isinstance(document, list):
        return any(map(_has_strange_text, document))
    return False


def _malformed(rule: str, rule_ja: str, *, field: str = "") -> JsonFault:
    return JsonFault("malformed", rule, rule_ja, field=field)


def _too_large(most: str, most_ja: str) -> JsonFault:
    return JsonFault("too-large", f"at most {most}", f"{most_ja}までです")
