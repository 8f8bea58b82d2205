"""Strict reading of JSON: every refusal names the path, the value and the rule."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NoReturn

from accounts.core.errors import Refused

MAGNITUDE_MAX: Final = 1e12
TEXT_LENGTH_MAX: Final = 200


class Reader:
    """A value at a path of a JSON document, readable only as what the rules allow.

    Parameters
    ----------
    value
        What stands there.
    path
        Where, as in ``bids[3].curves[0].steps[1].ask_jpy_per_kwh``.
    error
        The refusal to raise.
    """

    __slots__ = ("error", "path", "value")

    def __init__(self, value: Any, path: str, error: type[Refused]) -> None:
        self.value = value
        self.path = path
        self.error = error

    def refuse(self, rule: str) -> NoReturn:
        """Raise the reader's error for this value."""
        raise self.error(field=self.path or "document", value=self.value, rule=rule)

    def fields(
        self, *, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, Reader]:
        """Return the entries of an object, none missing and none unknown."""
        if not isinstance(self.value, Mapping):
            self.refuse("must be an object")
        for name in self.value:
            if name not in required and name not in optional:
                self._at(name).refuse("is not an entry of this layout")
        for name in required:
            if name not in self.value:
                raise self.error(
                    field=self._path_of(name), value=None, rule="is missing and must be given"
                )
        return {name: self._at(name) for name in self.value}

    def entries(self) -> dict[str, Reader]:
        """Return the entries of an object whose names are free (ids, for instance)."""
        if not isinstance(self.value, Mapping):
            self.refuse("must be an object")
        if any(not isinstance(name, str) for name in self.value):
            self.refuse("must have texts as names")
        return {name: self._at(name) for name in self.value}

    def items(self) -> list[Reader]:
        """Return the entries of an array."""
        if not isinstance(self.value, (list, tuple)):
            self.refuse("must be an array")
        return [
            Reader(item, f"{self.path}[{index}]", self.error)
            for index, item in enumerate(self.value)
        ]

    def text(self) -> str:
        """Return a non-empty text without control characters."""
        if not isinstance(self.value, str):
            self.refuse("must be a text")
        if not 0 < len(self.value) <= TEXT_LENGTH_MAX:
            self.refuse(f"must have 1 to {TEXT_LENGTH_MAX} characters")
        if not self.value.isprintable():
            self.refuse("must have no control characters")
        return str(self.value)

    def choice(self, allowed: Iterable[str]) -> str:
        """Return one of the texts allowed."""
        names = tuple(allowed)
        if self.value not in names or not isinstance(self.value, str):
            self.refuse(f"must be one of {', '.join(names)}")
        return str(self.value)

    def reference(self, known: Mapping[str, Any] | Collection[str], kind: str) -> str:
        """Return an id that must exist among those of its kind."""
        name = self.text()
        if name not in known:
            self.refuse(f"must be the id of a known {kind}")
        return name

    def number(self, *, low: float = -MAGNITUDE_MAX, high: float = MAGNITUDE_MAX) -> float:
        """Return a finite float within [low, high]; truth values and texts are no numbers."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            self.refuse("must be a number")
        try:
            number = float(self.value)
        except OverflowError:
            self.refuse("must be a finite number")
        if not math.isfinite(number):
            self.refuse("must be a finite number")
        if not low <= number <= high:
            self.refuse(f"must be at least {low:g} and at most {high:g}")
        return number + 0.0  # turns −0.0 into 0.0, so that equal numbers have equal bytes

    def integer(self, *, low: int, high: int) -> int:
        """Return an integer within [low, high]."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.refuse("must be an integer")
        if not low <= self.value <= high:
            self.refuse(f"must be at least {low} and at most {high}")
        return self.value

    def truth(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.refuse("must be true or false")
        return self.value

    def series(
        self, count: int, *, low: float = -MAGNITUDE_MAX, high: float = MAGNITUDE_MAX
    ) -> list[float]:
        """Return `count` numbers; a single number stands for all of them."""
        if not isinstance(self.value, (list, tuple)):
            return [self.number(low=low, high=high)] * count
        if len(self.value) != count:
            self.refuse(f"must have {count} numbers, one per interval (has {len(self.value)})")
        return [item.number(low=low, high=high) for item in self.items()]

    def texts(self) -> list[str]:
        """Return distinct texts in ascending order."""
        names = [item.text() for item in self.items()]
        if len(set(names)) != len(names):
            self.refuse("must name each entry once")
        return sorted(names)

    def _at(self, name: Any) -> Reader:
        return Reader(self.value[name], self._path_of(name), self.error)

    def _path_of(self, name: Any) -> str:
        return f"{self.path}.{name}" if self.path else str(name)


def json_read(content: bytes, error: type[Refused]) -> Any:
    """Parse JSON bytes, refusing what the standard leaves open.

    Refused are duplicate keys (parsers differ on which wins), ``NaN`` and ``Infinity`` (not
    JSON), text that is not UTF-8, half a file and nesting beyond the parser's depth.

    Raises
    ------
    Refused
        The class given as `error`.
    """

    def constant(name: str) -> NoReturn:
        raise error(field="document", value=name, rule="must have finite numbers only")

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        if len(found) != len(members):
            names = [name for name, _ in members]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise error(field=twice[0], value=len(members), rule="must occur once in its object")
        return found

    try:
        return json.loads(content.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except UnicodeDecodeError as found:
        raise error(field="document", value=found.start, rule="must be UTF-8 text") from found
    except json.JSONDecodeError as found:
        raise error(field="document", value=found.pos, rule="must be whole JSON") from found
    except RecursionError as found:
        raise error(field="document", value=None, rule="must not be nested so deeply") from found
    except ValueError as found:  # an integer with more digits than Python converts
        raise error(field="document", value=None, rule="must have finite numbers only") from found


def canonical_bytes(document: Any) -> bytes:
    """Write JSON with sorted keys, no white space and floats in their shortest exact form."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
