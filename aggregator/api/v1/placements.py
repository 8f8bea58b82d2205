"""Placement logs: where the work of a shift ran, by award, half hour and label.

What left the one place and what arrived at the other is told in GPU-h or in kWh, in the same unit
at both ends. A batch comes as JSON or as CSV with the columns ``award, t, label`` and
``moved_gpu_h`` or ``moved_kwh``, and is taken whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KWH_MAX
from accounts.fields.checking import entries_checked
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, code_of, list_of, number_of, query_of, uuid_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact_or_none
from aggregator.api.v1.reading import StrictJsonParser
from aggregator.api.v1.schema import PAGED, problems
from aggregator.api.v1.uploads import CsvParser, Table, columns_expect
from aggregator.metering.models import PlacementLog
from aggregator.metering.placements import (
    EVIDENCE_LENGTH_MAX,
    LABEL_LENGTH_MAX,
    READ,
    ROWS_MAX,
    SUBMIT,
    PlacementRow,
    placements_note,
    placements_seen,
)

NEEDED: Final = ("award", "t")
OPTIONAL: Final = ("label", "moved_gpu_h", "moved_kwh", "evidence")


class PlacementLogIn(serializers.Serializer[Any]):
    """Work of one label at one end of a shift in one half hour."""

    award = serializers.UUIDField(help_text="An award of a shift of yours, of either end.")
    t = serializers.IntegerField(min_value=0, max_value=47)
    label = serializers.CharField(  # type: ignore[assignment]  # a field of this name
        max_length=LABEL_LENGTH_MAX,
        required=False,
        help_text="Which places may hold the work; without one it may run anywhere.",
    )
    moved_gpu_h = serializers.DecimalField(max_digits=14, decimal_places=3, required=False)
    moved_kwh = serializers.DecimalField(
        max_digits=14, decimal_places=3, required=False, help_text="At a destination: taken there."
    )
    evidence = serializers.CharField(
        max_length=EVIDENCE_LENGTH_MAX, required=False, help_text="Job id, digest of a log."
    )


class PlacementLogsIn(serializers.Serializer[Any]):
    """A log of at most 20,000 rows."""

    rows = PlacementLogIn(many=True)
    organisation = serializers.CharField(
        required=False, help_text="Code of the organisation you act for, where you may for several."
    )


class PlacementsTakenOut(serializers.Serializer[Any]):
    """What became of a log; `unchanged` rows were known before, `revised` ones differently."""

    added = serializers.IntegerField()
    revised = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class PlacementLogOut(serializers.Serializer[Any]):
    """One value of a log."""

    award = serializers.UUIDField()
    resource = serializers.CharField()
    t = serializers.IntegerField(min_value=0, max_value=47)
    start_at = serializers.DateTimeField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # a field
    moved_gpu_h = serializers.DecimalField(max_digits=14, decimal_places=3, allow_null=True)
    moved_kwh = serializers.DecimalField(max_digits=14, decimal_places=3, allow_null=True)
    evidence = serializers.CharField(allow_blank=True)
    revision = serializers.IntegerField()
    available_at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field of this name


class PlacementLogPage(serializers.Serializer[Any]):
    """A page of a log."""

    items = PlacementLogOut(many=True)
    next = serializers.CharField(allow_null=True)


class PlacementList(Door):
    """Logs of one's own shifts."""

    access: ClassVar[Access] = {"GET": READ, "POST": SUBMIT}
    parser_classes = (StrictJsonParser, CsvParser)

    @extend_schema(
        summary="List where the work of shifts ran, every revision",
        parameters=[
            *PAGED,
            OpenApiParameter("award", OpenApiTypes.UUID, description="Of one award."),
        ],
        responses={200: PlacementLogPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "award")
        rows = placements_seen(seen_by=self.sight)
        if "award" in asked:
            rows = rows.filter(award_id=uuid_of(asked["award"], field="award"))
        return Response(page(request, rows, placement_written))

    @extend_schema(
        summary="Send a log of where the work of shifts ran",
        request={"application/json": PlacementLogsIn, "text/csv": OpenApiTypes.STR},
        responses={201: PlacementsTakenOut, **problems("too-large")},
    )
    def post(self, request: Request) -> Response:
        """Take it in whole, or refuse it naming the row."""
        code = None
        if isinstance(request.data, Table):
            columns_expect(request.data, needed=NEEDED, allowed=OPTIONAL)
            entries: Sequence[Any] = [_filled(cells) for cells in request.data.rows]
        else:
            body = body_of(request, required=("rows",), optional=("organisation",))
            entries = list_of(body["rows"], field="rows", length_max=ROWS_MAX)
            code = body.get("organisation")
        whose = self.sight.acting_for(
            SUBMIT, None if code is None else code_of(code, field="organisation")
        )
        noted = placements_note(
            organisation=whose,
            rows=[_row(entry, f"rows[{n}]") for n, entry in enumerate(entries)],
            source=f"api:{whose.code}"[:40],
        )
        return Response(
            {"added": noted.added, "revised": noted.revised, "unchanged": noted.unchanged},
            status=201,
        )


def placement_written(row: PlacementLog) -> dict[str, Any]:
    """Print one value of a log."""
    return {
        "award": row.award_id,
        "resource": row.award.resource.code,
        "t": row.t,
        "start_at": row.start_at,
        "label": row.label,
        "moved_gpu_h": exact_or_none(row.moved_gpu_h),
        "moved_kwh": exact_or_none(row.moved_kwh),
        "evidence": row.evidence,
        "revision": row.revision,
        "available_at": row.available_at,
        "source": row.source,
    }


def _filled(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return the cells of a CSV row that say something."""
    return {
        name: number_of(text, field=name) if name == "t" else text
        for name, text in cells.items()
        if text
    }


def _row(entry: Any, label: str) -> PlacementRow:
    given = entries_checked(entry, required=NEEDED, optional=OPTIONAL, label=label)
    if type(given["t"]) is not int:
        raise Refused(field=f"{label}.t", value=given["t"], rule="an integer from 0 to 47")
    for name in ("label", "evidence"):
        if not isinstance(given.get(name, ""), str):
            raise Refused(field=f"{label}.{name}", value=given[name], rule="a text")
    return PlacementRow(
        award_id=uuid_of(given["award"], field=f"{label}.award"),
        t=given["t"],
        label=given.get("label", ""),
        moved_gpu_h=_quantity(given, "moved_gpu_h", label),
        moved_kwh=_quantity(given, "moved_kwh", label),
        evidence=given.get("evidence", ""),
    )


def _quantity(given: Mapping[str, Any], name: str, label: str) -> Decimal | None:
    if given.get(name) is None:
        return None
    return decimal_of(
        given[name], field=f"{label}.{name}", low=Decimal(0), high=Decimal(KWH_MAX), places=3
    )


urlpatterns = [
    path("placements", PlacementList.as_view(), name="placement-list"),
]
