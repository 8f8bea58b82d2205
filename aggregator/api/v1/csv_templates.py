"""/api/v1/csv-templates: empty tables with the columns that uploads read, to be filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from django.http import HttpResponse
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from accounts.core.csvtext import csv_bytes
from accounts.core.errors import NotFound
from aggregator.api.v1 import bids_csv, needs_csv, readings
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door

# The readers' own columns, so that a template cannot differ from what is read.
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "bids": bids_csv.COLUMNS,
    "needs": needs_csv.COLUMNS,
    "readings": (*readings.NEEDED, *readings.OPTIONAL),
}


class CsvTemplate(Door):
    """The columns of an upload."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="csv_template",
        summary="Empty table with the columns that an upload reads; public",
        description="Columns that a row does not need stay blank or are left out; which a bid of "
        "which form needs, the page of the API says.",
        parameters=[
            OpenApiParameter("rows", OpenApiTypes.STR, OpenApiParameter.PATH, enum=list(COLUMNS))
        ],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, rows: str) -> HttpResponse:
        """Answer with the line of names alone."""
        query_of(request, is_list=False)
        if rows not in COLUMNS:
            raise NotFound(field="rows", value=rows, rule=f"one of {', '.join(COLUMNS)}")
        answer = HttpResponse(
            csv_bytes((), header=COLUMNS[rows]), content_type="text/csv; charset=utf-8"
        )
        answer["Content-Disposition"] = f'attachment; filename="{rows}.csv"'
        return answer


urlpatterns: list[URLPattern] = [
    path("csv-templates/<slug:rows>", CsvTemplate.as_view(), name="csv-template"),
]
