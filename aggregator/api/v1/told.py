"""Small things that several doors say in the same way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1.etag import tag
from aggregator.api.v1.problem import Stopped, code_of
from aggregator.api.v1.uploads import row_error
from market.trading.refusals import RowsRefused

HALF_HOURS: Final = 48
IMMUTABLE: Final = "public, max-age=31536000, immutable"
CODE_LENGTH_MAX: Final = 64
ROWS_REFUSED: Final = "rows-refused"

AUCTION: Final = OpenApiParameter(
    "auction", OpenApiTypes.STR, description="Only of the auction with this code."
)
ORGANISATION: Final = OpenApiParameter(
    "organisation",
    OpenApiTypes.STR,
    description="Code of the organisation you act for, where you may for several.",
)


def kw_series(help_text: str = "kW, per half hour t = 0…47") -> serializers.ListField:
    """Document 48 quantities."""
    return serializers.ListField(
        child=serializers.DecimalField(max_digits=14, decimal_places=1),
        min_length=HALF_HOURS,
        max_length=HALF_HOURS,
        help_text=help_text,
    )


def price_series(help_text: str = "JPY/kWh, per half hour t = 0…47") -> serializers.ListField:
    """Document 48 prices."""
    return serializers.ListField(
        child=serializers.DecimalField(max_digits=10, decimal_places=2),
        min_length=HALF_HOURS,
        max_length=HALF_HOURS,
        help_text=help_text,
    )


def chosen(request: Request, name: str, of: Collection[str]) -> str | None:
    """Return a filter that must be one of known words, or None if it is not given."""
    value = request.query_params.get(name)
    if value is None or value in of:
        return value
    raise Refused(field=name, value=value, rule=f"one of {', '.join(of)}")


def day_given(value: object, *, field: str) -> date:
    """Return a calendar day from its text, 2026-11-25 and in no other way."""
    if isinstance(value, str) and len(value) == len("2026-11-25") and value.isascii():
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise Refused(field=field, value=value, rule="a day such as 2026-11-25")


def an_object(
    body: object, *, needed: Collection[str], allowed: Collection[str] = (), field: str = ""
) -> Mapping[str, Any]:
    """Return a body that has all needed names and no unknown one."""
    if not isinstance(body, Mapping):
        raise Refused(field=field or "body", value=body, rule="an object")
    path = f"{field}." if field else ""
    for name in needed:
        if name not in body:
            raise Refused(field=f"{path}{name}", value=None, rule="required")
    for name in body:
        if name not in needed and name not in allowed:
            raise Refused(field=f"{path}{name}"[:80], value=body[name], rule="not a field here")
    return body


def relabelled(refused: Refused, place: Callable[[str], str]) -> Refused:
    """Return the same refusal at another path."""
    if isinstance(refused, RowsRefused):
        return RowsRefused([relabelled(one, place) for one in refused.refusals])
    return type(refused)(field=place(refused.field), value=refused.value, rule=refused.rule)


def rows_stopped(
    refused: Refused, where: Callable[[str], tuple[str, int | None]] | None = None
) -> Stopped:
    """Return the problem that lists each row's refusal.

    Parameters
    ----------
    refused
        One, or :class:`market.trading.refusals.RowsRefused`.
    where
        From a path to the column and line of a file.
    """
    found = refused.refusals if isinstance(refused, RowsRefused) else (refused,)
    errors = []
    for one in found:
        field, line = (one.field, None) if where is None else where(one.field)
        errors.append(row_error(code_of(one), field, str(one), line=line))
    return Stopped(
        ROWS_REFUSED,
        f"{len(errors)} rows are refused; nothing was stored",
        detail_ja=f"{len(errors)} 行に誤りがあります。何も保存していません",
        field=errors[0]["field"],
        errors=errors,
    )


def immutable(body: Any, *, version: str) -> Response:
    """Answer with what never changes, for any cache to keep."""
    return Response(body, headers={"ETag": tag(version), "Cache-Control": IMMUTABLE})


def text_of(values: Sequence[Decimal | None]) -> list[str | None]:
    """Print exact numbers as they are stored."""
    return [None if value is None else str(value) for value in values]
