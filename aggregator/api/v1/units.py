"""Units behind a resource, and what sites say they can do, will use and did."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, code_of, moment_of, query_of, row_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import coded, listed, pages_of
from aggregator.api.v1.schema import PAGED, problems
from aggregator.dispatch import site_reports, units
from aggregator.dispatch.models import ResourceUnit, SiteReport, SiteReportKind
from market.registry.models import Resource


class UnitGiven(serializers.Serializer[Any]):
    """A unit to be added."""

    resource = coded("A resource of yours.")
    code = coded("Its name behind the resource.")
    rank = serializers.IntegerField(min_value=0, max_value=units.RANK_MAX, help_text="Low: first.")
    limit_up_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    limit_down_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    minimum_kw = serializers.DecimalField(max_digits=12, decimal_places=1, required=False)
    ramp_kw_per_min = serializers.DecimalField(
        max_digits=12, decimal_places=1, required=False, allow_null=True
    )


class UnitWritten(UnitGiven):
    """A unit."""

    id = serializers.UUIDField()
    added_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)


class SiteReportWritten(serializers.Serializer[Any]):
    """One half hour's word of a site; of several the one with the highest number counts."""

    id = serializers.UUIDField()
    resource = coded("Of which it is.")
    kind = serializers.ChoiceField(choices=SiteReportKind.values)
    start_at = serializers.DateTimeField()
    power_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    number = serializers.IntegerField()
    noted_at = serializers.DateTimeField()


def unit_written(row: ResourceUnit) -> dict[str, Any]:
    """Print a unit."""
    return {
        "id": row.id,
        "resource": row.resource.code,
        "code": row.code,
        "rank": row.rank,
        "limit_up_kw": row.limit_up_kw,
        "limit_down_kw": row.limit_down_kw,
        "minimum_kw": row.minimum_kw,
        "ramp_kw_per_min": row.ramp_kw_per_min,
        "added_at": row.added_at,
        "retired_at": row.retired_at,
    }


def site_report_written(row: SiteReport) -> dict[str, Any]:
    """Print a word of a site."""
    return {
        "id": row.id,
        "resource": row.resource.code,
        "kind": row.kind,
        "start_at": row.start_at,
        "power_kw": row.power_kw,
        "number": row.number,
        "noted_at": row.noted_at,
    }


class Units(Door):
    """Units the caller can see."""

    access: ClassVar[Access] = {"GET": units.READ, "POST": units.CHANGE}

    @extend_schema(
        operation_id="unit_list",
        summary="List units behind resources",
        tags=["units"],
        parameters=[*PAGED, OpenApiParameter("resource", OpenApiTypes.STR, description="Code.")],
        responses={200: pages_of(UnitWritten, "Unit")},
    )
    def get(self, request: Request) -> Response:
        """Return one page, retired ones included."""
        rows = units.units_seen(seen_by=self.sight)
        asked = query_of(request, "resource")
        if "resource" in asked:
            rows = rows.filter(resource__code=code_of(asked["resource"], field="resource"))
        return listed(request, rows, unit_written, key=("id",))

    @extend_schema(
        operation_id="unit_add",
        summary="Add a unit behind a resource",
        description="Orders that are planned from now on are shared among its units, by rank, "
        "limit, minimum and ramp; the order's event says each one's part.",
        tags=["units"],
        request=UnitGiven,
        responses={201: UnitWritten, **problems("conflict")},
    )
    def post(self, request: Request) -> Response:
        """Add it."""
        body = body_of(
            request,
            required=("resource", "code", "rank", "limit_up_kw", "limit_down_kw"),
            optional=("minimum_kw", "ramp_kw_per_min"),
        )
        code = code_of(body["resource"], field="resource")
        own = Resource.objects.select_related("site").filter(
            code=code, site__organisation_id__in=self.sight.organisations_for(units.CHANGE)
        )
        resource = own.first()
        if resource is None:
            raise Refused(field="resource", value=code, rule="a registered resource of yours")
        if type(body["rank"]) is not int:
            raise Refused(field="rank", value=body["rank"], rule="a whole number")
        ramp = body.get("ramp_kw_per_min")
        made = units.unit_add(
            resource=resource,
            code=code_of(body["code"], field="code"),
            rank=body["rank"],
            limit_up_kw=_kw(body["limit_up_kw"], field="limit_up_kw"),
            limit_down_kw=_kw(body["limit_down_kw"], field="limit_down_kw"),
            minimum_kw=_kw(body.get("minimum_kw", 0), field="minimum_kw"),
            ramp_kw_per_min=None if ramp is None else _kw(ramp, field="ramp_kw_per_min"),
            by=self.sight,
        )
        return Response(unit_written(made), status=201)


def _kw(value: Any, *, field: str) -> Decimal:
    return decimal_of(value, field=field, low=Decimal(0), high=Decimal(KW_MAX), places=1)


class UnitRetire(Door):
    """A unit that goes out of service."""

    access: ClassVar[Access] = {"POST": units.CHANGE}

    @extend_schema(
        operation_id="unit_retire",
        summary="Take a unit out of service",
        tags=["units"],
        request=None,
        responses={200: UnitWritten},
    )
    def post(self, request: Request, unit_id: UUID) -> Response:
        """Take it out; orders that were told stay."""
        row = row_of(units.units_seen(seen_by=self.sight), "unit", id=unit_id)
        body_of(request)
        return Response(unit_written(units.unit_retire(unit_id=row.id, by=self.sight)))


class SiteReports(Door):
    """What sites say of half hours."""

    access: ClassVar[Access] = {"GET": site_reports.READ}

    @extend_schema(
        operation_id="site_report_list",
        summary="List what sites said they can do, will use and did",
        description="From their OpenADR reports. Nothing is paid on it.",
        tags=["instructions"],
        parameters=[
            *PAGED,
            OpenApiParameter("resource", OpenApiTypes.STR, description="Code."),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=SiteReportKind.values),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="Starts then or later."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Starts before."),
        ],
        responses={200: pages_of(SiteReportWritten, "SiteReport")},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        rows = site_reports.site_reports_seen(seen_by=self.sight)
        asked = query_of(request, "resource", "kind", "from", "to")
        if "resource" in asked:
            rows = rows.filter(resource__code=code_of(asked["resource"], field="resource"))
        if "kind" in asked:
            rows = rows.filter(kind=choice_of(asked["kind"], SiteReportKind.values, field="kind"))
        if "from" in asked:
            rows = rows.filter(start_at__gte=moment_of(asked["from"], field="from"))
        if "to" in asked:
            rows = rows.filter(start_at__lt=moment_of(asked["to"], field="to"))
        return listed(request, rows, site_report_written, key=("start_at", "id"))


urlpatterns: list[URLPattern] = [
    path("units", Units.as_view(), name="unit-list"),
    path("units/<uuid:unit_id>/retire", UnitRetire.as_view(), name="unit-retire"),
    path("site-reports", SiteReports.as_view(), name="site-report-list"),
]
