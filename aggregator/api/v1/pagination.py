"""Pages by cursor: the place after the last row seen, never an offset.

A list door gives its rows in one total order (a key and the id). The cursor holds the key of the
last row, so that each page is one range scan however far one has read, and rows that are added
meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from accounts.core.errors import Refused

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 500
CURSOR_LENGTH_MAX: Final = 400
_KINDS: Final[dict[str, Callable[[str], Any]]] = {
    "s": str,
    "i": int,
    "u": UUID,
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "n": Decimal,
}
Row = TypeVar("Row", bound=Model)


def page(
    request: Request,
    rows: QuerySet[Row],
    write: Callable[[Row], Any],
    *,
    key: Sequence[str] = ("id",),
) -> dict[str, Any]:
    """Return one page of rows: ``{"items": […], "next": cursor or None}``.

    Parameters
    ----------
    request
        With ``limit`` (1 to 500) and ``cursor`` in its query.
    rows
        What the caller may see, filtered.
    write
        From a row to what is printed.
    key
        Fields that order the rows, unique together; a leading ``-`` turns all of them round.

    Raises
    ------
    Refused
        Naming ``limit`` or ``cursor``.
    """
    fields = [name.removeprefix("-") for name in key]
    is_falling = key[0].startswith("-")
    limit = _limit(request.query_params.get("limit"))
    cursor = request.query_params.get("cursor")
    ordered = rows.order_by(*[f"-{name}" if is_falling else name for name in fields])
    if cursor is not None:
        ordered = ordered.filter(_after(fields, _read(cursor, fields), is_falling=is_falling))
    found = list(ordered[: limit + 1])
    shown = found[:limit]
    more = len(found) > limit
    return {
        "items": [write(row) for row in shown],
        "next": _print([_value(shown[-1], name) for name in fields]) if more else None,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:5]) <= LIMIT_MAX):
        raise Refused(field="limit", value=text, rule=f"a number from 1 to {LIMIT_MAX}")
    return int(text)


def _after(fields: Sequence[str], values: Sequence[Any], *, is_falling: bool) -> Q:
    """Return what lies beyond the cursor: (a, b) > (x, y) as a > x or a = x and b > y."""
    beyond = "lt" if is_falling else "gt"
    found = Q()
    for i, name in enumerate(fields):
        same = Q(**dict(zip(fields[:i], values[:i], strict=True)))
        found |= same & Q(**{f"{name}__{beyond}": values[i]})
    # The first field alone bounds the scan of an index.
    return found & Q(**{f"{fields[0]}__{beyond}e": values[0]})


def _value(row: Model, name: str) -> Any:
    found: Any = row
    for part in name.split("__"):
        found = getattr(found, part)
    return found


def _print(values: Sequence[Any]) -> str:
    texts = []
    for value in values:
        kind = {str: "s", int: "i", UUID: "u", datetime: "t", date: "d", Decimal: "n"}[type(value)]
        texts.append([kind, value.isoformat() if kind in "td" else str(value)])
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def _read(cursor: str, fields: Sequence[str]) -> list[Any]:
    refused = Refused(field="cursor", value=cursor, rule="as `next` of the page before gave it")
    if len(cursor) > CURSOR_LENGTH_MAX or not cursor.isascii():
        raise refused
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded))
        values = [_KINDS[kind](text) for kind, text in parts]
    except (ValueError, TypeError, KeyError, ArithmeticError, binascii.Error) as error:
        raise refused from error
    if len(values) != len(fields):
        raise refused
    return values
