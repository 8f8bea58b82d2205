"""What a request asks for: filters of its query and fields of its body, each read exactly.

A parameter that nobody reads is refused by name, so that a misspelt filter never shows more
than was asked for. Times carry their offset, codes are names, flags are ``true`` or ``false``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from accounts.core.errors import NotFound, Refused
from accounts.core.text import is_plain
from accounts.fields.checking import entries_checked

PAGE_NAMES: Final = ("limit", "cursor")
LENGTH_MAX: Final = 100
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII
)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_CODE: Final = re.compile(r"[\w.:/-]{1,100}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
Row = TypeVar("Row", bound=Model)


def row_of(rows: QuerySet[Row], noun: str, /, **by: Any) -> Row:
    """Return the one row that the caller can see.

    Parameters
    ----------
    rows
        What the caller may see.
    noun
        What is looked for, in refusals.
    by
        The one field and value it is looked for by.

    Raises
    ------
    NotFound
        In the same words whether there is none or it may not be seen.
    """
    found = rows.filter(**by).first()
    if found is None:
        value = next(iter(by.values()))
        raise NotFound(field=noun, value=str(value), rule="one that you can see")
    return found


def query_of(request: Request, *names: str, is_list: bool = True) -> dict[str, str]:
    """Return the query's parameters by name; each at most once, none that is not named here.

    Raises
    ------
    Refused
        Naming the first that is unknown or comes twice.
    """
    known = {*names, *(PAGE_NAMES if is_list else ())}
    found = {}
    for name, values in request.query_params.lists():
        if name not in known:
            rule = f"one of {', '.join(sorted(known))}" if known else "no parameters here"
            raise Refused(field=name[:LENGTH_MAX], value=values[0], rule=rule)
        if len(values) != 1:
            raise Refused(field=name, value=len(values), rule="once")
        found[name] = values[0]
    return found


def body_of(
    request: Request, *, required: Collection[str] = (), optional: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return the body's entries: none missing, none unknown; no body is an empty one.

    Raises
    ------
    Refused
        Naming the entry.
    """
    data = request.data if request.data or isinstance(request.data, list) else {}
    return entries_checked(data, required=required, optional=optional)


def moment_of(value: Any, *, field: str) -> datetime:
    """Return an RFC 3339 date-time with its offset, as UTC.

    Raises
    ------
    Refused
        On anything else, a local time without offset above all.
    """
    rule = "a date-time with its UTC offset, e.g. 2026-11-25T17:00:00+09:00"
    # in a query a plus sign that was not escaped arrives as a space
    if not isinstance(value, str) or _MOMENT.fullmatch(value) is None:
        raise Refused(field=field, value=value, rule=rule)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(field=field, value=value, rule=rule) from None


def day_of(value: Any, *, field: str) -> date:
    """Return a calendar date.

    Raises
    ------
    Refused
        If it is none.
    """
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise Refused(field=field, value=value, rule="a date, e.g. 2026-11-25")


def uuid_of(value: Any, *, field: str) -> UUID:
    """Return an id.

    Raises
    ------
    Refused
        If it is none.
    """
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value)
    raise Refused(field=field, value=value, rule="an id, e.g. 3f0c1d2e-…")


def code_of(value: Any, *, field: str) -> str:
    """Return a code: letters, digits and a few marks.

    Raises
    ------
    Refused
        If it is none.
    """
    if isinstance(value, str) and _CODE.fullmatch(value):
        return value
    raise Refused(field=field, value=value, rule="a code of at most 100 letters, digits and -_.:/")


def number_of(value: Any, *, field: str) -> int:
    """Return a whole number of at most 18 digits, written as text.

    Raises
    ------
    Refused
        If it is none.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    raise Refused(field=field, value=value, rule="a whole number")


def choice_of(value: Any, choices: Collection[str], *, field: str) -> str:
    """Return one of a few words.

    Raises
    ------
    Refused
        If it is none of them.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise Refused(field=field, value=value, rule=f"one of {', '.join(sorted(choices))}")


def flag_of(value: Any, *, field: str) -> bool:
    """Return a truth value: of a body true or false, of a query the words.

    Raises
    ------
    Refused
        On anything that only looks like one.
    """
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise Refused(field=field, value=value, rule="true or false")


def text_of(value: Any, *, field: str, length_max: int, lines: bool = False) -> str:
    """Return a text that is not blank; of several lines only where `lines` are allowed.

    Raises
    ------
    Refused
        If it is none.
    """
    is_text = isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= length_max
    if not is_text or not is_plain(value.translate(_LINES) if lines else value):
        raise Refused(field=field, value=value, rule=f"a text of 1 to {length_max} characters")
    return str(value)


def list_of(value: Any, *, field: str, length_max: int) -> Sequence[Any]:
    """Return a list of 1 to `length_max` entries.

    Raises
    ------
    Refused
        If it is none.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= length_max:
        raise Refused(field=field, value=value, rule=f"a list of 1 to {length_max} entries")
    return value


_LINES: Final = {ord("\n"): " ", ord("\r"): " ", ord("\t"): " "}
