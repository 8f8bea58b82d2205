"""Small things that several doors say in the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1.etag import tag
from aggregator.api.v1.problem import Stopped
from aggregator.api.v1.uploads import refusal_entry
from market.trading.refusals import RowsRefused

HALF_HOURS: Final = 48
# Of a published result: it never changes, and anybody may keep it.
IMMUTABLE: Final = "public, max-age=86400, immutable"
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
        errors.append(refusal_entry(one, field=field, line=line))
    return Stopped(
        ROWS_REFUSED,
        f"{len(errors)} rows are refused; nothing was stored",
        detail_ja=f"{len(errors)} 行に誤りがあります。何も保存していません",
        field=errors[0]["field"],
        errors=errors,
    )


def immutable(
    request: Request, version: str, body: Callable[[], Any], *, cached: str = IMMUTABLE
) -> Response:
    """Answer with what never changes, or that the caller has it already (304)."""
    headers = {"ETag": tag(version), "Cache-Control": cached}
    if tag(version) in request.headers.get("If-None-Match", ""):
        return Response(status=304, headers=headers)
    return Response(body(), headers=headers)
