"""What the doors of the registry share: one row that is seen, exact numbers, versions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import decimal_of
from accounts.core.text import is_plain
from accounts.parties.models import Organisation
from aggregator.api.v1.etag import expect, tag
from aggregator.api.v1.pagination import page
from aggregator.api.v1.problem import Stopped

Row = TypeVar("Row", bound=Model)

# Bounds of what is read at all; each column has its own, which its model checks.
NUMBER_HIGH: Final = Decimal(10**12)
NUMBER_PLACES: Final = 9
CODE_LENGTH_MAX: Final = 40

ORGANISATION: Final = OpenApiParameter(
    "organisation",
    OpenApiTypes.STR,
    description="Code of the organisation you act for, where you may for several.",
)
# what a change answers with beside its body
VERSION_TOLD: Final = OpenApiParameter(
    "ETag",
    OpenApiTypes.STR,
    location=OpenApiParameter.HEADER,
    response=(200, 201),
    description="Version of what is shown; send it as `If-Match` with a change.",
)


def one(rows: QuerySet[Row], *, lock: bool = False, **by: Any) -> Row:
    """Return the one row of those the caller may see; else 404, as if there were none.

    Raises
    ------
    Stopped
        ``not-found``, in the same words whether it does not exist or may not be seen.
    """
    if lock:
        rows = rows.select_for_update(of=("self",))
    found = rows.filter(**by).first()
    if found is None:
        raise Stopped(
            "not-found",
            "there is no such thing that you can see",
            detail_ja="該当するものがありません",
        )
    return found


def read(request: Request, rows: QuerySet[Row], **by: Any) -> tuple[Row, int]:
    """Return the row a change is for, locked, and the version that the caller read.

    Raises
    ------
    Stopped
        ``not-found``, ``version-required`` or ``version-changed``.
    """
    row: Any = one(rows, lock=True, **by)
    expect(request, row.version)
    return row, row.version


def printed(value: Any) -> Any:
    """Return a body with its exact numbers as text, to the places they are kept with."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {name: printed(part) for name, part in value.items()}
    if isinstance(value, list):
        return [printed(part) for part in value]
    return value


def listed(
    request: Request,
    rows: QuerySet[Row] | Sequence[QuerySet[Row]],
    write: Callable[[Row], Any],
    *,
    key: Sequence[str] = ("id",),
) -> Response:
    """Answer with one page of rows, see :func:`aggregator.api.v1.pagination.page`."""
    return Response(page(request, rows, lambda row: printed(write(row)), key=key))


def shown(row: Any, body: Mapping[str, Any], *, status: int = 200) -> Response:
    """Answer with a row and its version."""
    return Response(printed(body), status=status, headers={"ETag": tag(row.version)})


def organisation_of(code: Any, *, field: str) -> Organisation:
    """Return a registered organisation by its code.

    Raises
    ------
    NotFound
        If there is none.
    """
    is_code = isinstance(code, str) and len(code) <= CODE_LENGTH_MAX and is_plain(code)
    found = Organisation.objects.filter(code=code).first() if is_code else None
    if found is None:
        raise NotFound(field=field, value=code, rule="the code of a registered organisation")
    return found


def acting_code(value: Any) -> str | None:
    """Return the code of the organisation acted for, if a body or a form names one.

    Raises
    ------
    Refused
        If it is no text.
    """
    if value is None or isinstance(value, str):
        return value
    raise Refused(field="organisation", value=value, rule="the code of an organisation")


@contextmanager
def paths_of_body(label: str, **renamed: str) -> Iterator[None]:
    """Name what a service refuses as the body names it: without its `label`, or by another name."""
    try:
        yield
    except Refused as refused:
        field = refused.field.removeprefix(f"{label}.")
        field = renamed.get(field, field)
        raise type(refused)(field=field, value=refused.value, rule=refused.rule) from refused


def exact(fields: Mapping[str, Any], names: Collection[str], *, label: str = "") -> dict[str, Any]:
    """Return the entries with the named ones as exact numbers; null stays null.

    Raises
    ------
    Refused
        Naming the entry that is no plain decimal number.
    """
    path = f"{label}." if label else ""
    return {
        name: decimal_of(
            value,
            field=f"{path}{name}",
            low=-NUMBER_HIGH,
            high=NUMBER_HIGH,
            places=NUMBER_PLACES,
        )
        if name in names and value is not None
        else value
        for name, value in fields.items()
    }


def pages_of(item: type[serializers.Serializer[Any]], name: str) -> serializers.Serializer[Any]:
    """Document one page of rows."""
    fields = {
        "items": item(many=True),
        "next": serializers.CharField(
            allow_null=True, help_text="Cursor of the page after; null on the last."
        ),
    }
    kind = type(f"{name}Page", (serializers.Serializer,), fields)
    made: serializers.Serializer[Any] = kind()
    return made


def kw(help_text: str = "kW", **options: Any) -> serializers.DecimalField:
    """Document a power."""
    return serializers.DecimalField(
        max_digits=12, decimal_places=1, min_value=Decimal(0), help_text=help_text, **options
    )


def ratio(help_text: str, places: int = 4, **options: Any) -> serializers.DecimalField:
    """Document a number from 0 to 1."""
    return serializers.DecimalField(
        max_digits=places + 1,
        decimal_places=places,
        min_value=Decimal(0),
        max_value=Decimal(1),
        help_text=help_text,
        **options,
    )


def day(help_text: str = "JST delivery date", **options: Any) -> serializers.DateField:
    """Document a calendar date."""
    return serializers.DateField(help_text=help_text, **options)


def coded(help_text: str, **options: Any) -> serializers.CharField:
    """Document a code."""
    return serializers.CharField(max_length=CODE_LENGTH_MAX, help_text=help_text, **options)
