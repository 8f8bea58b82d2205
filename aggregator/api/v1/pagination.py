"""Pages by cursor: the place after the last row seen, never an offset.

A list door gives its rows in one total order (a key and the id). The cursor holds the key of the
last row, so that each page is one range scan however far one has read, and rows that are added
meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from accounts.core.errors import Refused
from accounts.core.text import is_plain

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 500
CURSOR_LENGTH_MAX: Final = 400
# Which letter stands for a column, the first that fits; a moment is a date too.
_LETTERS: Final = (
    (models.DateTimeField, "t"),
    (models.DateField, "d"),
    (models.UUIDField, "u"),
    (models.IntegerField, "i"),
    (models.DecimalField, "n"),
    (models.CharField, "s"),
    (models.TextField, "s"),
)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
# written out: int() of 1e1000000 would take minutes
_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
Row = TypeVar("Row", bound=Model)


def page(
    request: Request,
    rows: QuerySet[Row] | Sequence[QuerySet[Row]],
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
        What the caller may see, filtered; where it is seen in several ways, the rows of each way.
        No index finds a page of an "or" in order, but one finds the page of each way.
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
    ways = [rows] if isinstance(rows, QuerySet) else rows
    order = [f"-{name}" if is_falling else name for name in fields]
    after = Q()
    if cursor is not None:
        after = _after(fields, _read(cursor, ways[0], fields), is_falling=is_falling)
    found = _first(ways, after, order, limit + 1)
    shown = found[:limit]
    more = len(found) > limit
    return {
        "items": [write(row) for row in shown],
        "next": _print([_value(shown[-1], name) for name in fields]) if more else None,
    }


def _first(ways: Sequence[QuerySet[Row]], after: Q, order: Sequence[str], count: int) -> list[Row]:
    """Return the first rows of all ways together: they are among the first of each."""
    if len(ways) == 1:
        return list(ways[0].filter(after).order_by(*order)[:count])
    ids = {
        pk
        for way in ways
        for pk in way.filter(after).order_by(*order).values_list("pk", flat=True)[:count]
    }
    # the database compares: its order of text is not Python's
    merged = reduce(or_, ways).filter(pk__in=ids).order_by(*order)
    return list(merged[:count]) if ids else []


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
        text = value.isoformat() if kind in "td" else f"{value:f}" if kind == "n" else str(value)
        texts.append([kind, text])
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def _read(cursor: str, rows: QuerySet[Any], fields: Sequence[str]) -> list[Any]:
    """Return the values of a cursor; each must be of its column's kind, for anybody may make one.

    Who forges one learns nothing: the rows are those that they see without it.
    """
    refused = Refused(field="cursor", value=cursor, rule="as `next` of the page before gave it")
    if len(cursor) > CURSOR_LENGTH_MAX or not cursor.isascii():
        raise refused
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded))
        given = [(kind, text) for kind, text in parts]
        expected = [_letter(rows, name) for name in fields]
        if [kind for kind, _ in given] != expected:
            raise refused
        return [_value_read(kind, text) for kind, text in given]
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise refused from error


def _letter(rows: QuerySet[Any], name: str) -> str:
    """Return the letter of the column that a path such as ``site__code`` leads to."""
    annotation = rows.query.annotations.get(name)
    column: Any = None if annotation is None else annotation.output_field
    if column is None:
        model: Any = rows.model
        for part in name.split("__"):
            column = model._meta.get_field(part)  # noqa: SLF001 - Django's documented way
            model = column.related_model
    while column.is_relation:
        column = column.target_field
    return next(letter for kind, letter in _LETTERS if isinstance(column, kind))


def _value_read(letter: str, text: object) -> Any:
    """Return one value; a ValueError, TypeError or OverflowError if it is none."""
    if not isinstance(text, str) or not is_plain(text):
        raise ValueError(letter)
    if letter == "t":
        return _moment(text)
    if letter == "d":
        return date.fromisoformat(text)
    rule = {"u": _UUID, "i": _INTEGER, "n": _DECIMAL}.get(letter)
    if rule is not None and rule.fullmatch(text) is None:
        raise ValueError(letter)
    return {"u": UUID, "i": int, "n": Decimal, "s": str}[letter](text)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found.astimezone(UTC)
