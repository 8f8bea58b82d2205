"""Meters: whose readings count for which resource or site."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, code_of, query_of, row_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED
from aggregator.metering.models import Meter
from aggregator.metering.seen import (
    READ,
    REGISTER,
    meters_by_way,
    meters_seen,
    resources_metered,
    sites_metered,
)
from aggregator.metering.services import meter_register


class MeterIn(serializers.Serializer[Any]):
    """A meter of a resource, or the grid meter of a site: one of the two."""

    point_number = serializers.RegexField(r"^(0[1-9]|10)[0-9]{20}$")
    resource = serializers.CharField(required=False, help_text="Code.")
    site = serializers.CharField(required=False, help_text="Code.")


class MeterOut(serializers.Serializer[Any]):
    """A meter."""

    point_number = serializers.CharField()
    organisation = serializers.CharField(help_text="Operator of the site.")
    area = serializers.CharField()
    site = serializers.CharField()
    resource = serializers.CharField(allow_null=True, help_text="Null: the grid meter of the site.")


class MeterPage(serializers.Serializer[Any]):
    """A page of meters."""

    items = MeterOut(many=True)
    next = serializers.CharField(allow_null=True)


def meter_written(row: Meter) -> dict[str, Any]:
    """Print a meter."""
    site = row.site if row.resource is None else row.resource.site
    if site is None:  # the table lets no meter be without both
        return {}
    return {
        "point_number": row.point_number,
        "organisation": site.organisation.code,
        "area": site.area.code,
        "site": site.code,
        "resource": None if row.resource is None else row.resource.code,
    }


class MeterList(Door):
    """Meters of one's sites, of one's area, or all."""

    access: ClassVar[Access] = {"GET": READ, "POST": REGISTER}

    @extend_schema(
        summary="List meters by their number", parameters=PAGED, responses={200: MeterPage}
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        query_of(request)
        rows = meters_by_way(seen_by=self.sight)
        return Response(page(request, rows, meter_written, key=("point_number",)))

    @extend_schema(summary="Register a meter", request=MeterIn, responses={201: MeterOut})
    def post(self, request: Request) -> Response:
        """Register the meter of a resource or a site that has none."""
        body = body_of(request, required=("point_number",), optional=("resource", "site"))
        if not isinstance(body["point_number"], str):
            raise Refused(field="point_number", value=body["point_number"], rule="a text")
        meter = meter_register(
            point_number=body["point_number"],
            resource=self._named(body, "resource", resources_metered),
            site=self._named(body, "site", sites_metered),
        )
        return Response(meter_written(meter), status=201)

    def _named(self, body: Any, field: str, rows_of: Any) -> Any:
        """Return the row that a code names; another's is as unknown as none."""
        if field not in body:
            return None
        code = code_of(body[field], field=field)
        row = rows_of(seen_by=self.sight, action=REGISTER).filter(code=code).first()
        if row is None:
            raise Refused(field=field, value=code, rule=f"a registered {field} that you may meter")
        return row


class MeterOne(Door):
    """One meter."""

    access: ClassVar[Access] = {"GET": READ}

    @extend_schema(summary="Show a meter", responses={200: MeterOut})
    def get(self, request: Request, point_number: str) -> Response:
        """Return it."""
        query_of(request, is_list=False)
        rows = meters_seen(seen_by=self.sight)
        return Response(meter_written(row_of(rows, "meter", point_number=point_number)))


urlpatterns = [
    path("meters", MeterList.as_view(), name="meter-list"),
    path("meters/<slug:point_number>", MeterOne.as_view(), name="meter"),
]
