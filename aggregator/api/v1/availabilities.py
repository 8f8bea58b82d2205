"""Availability: a site's word that a resource can act for a while, or cannot."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, code_of, flag_of, moment_of, query_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED
from aggregator.dispatch.availability import REASON_LENGTH_MAX, availability_note
from aggregator.dispatch.models import AvailabilityNotice
from aggregator.dispatch.selectors import ANSWER, READ, availabilities_seen, resources_answered
from market.registry.models import Resource


class AvailabilityIn(serializers.Serializer[Any]):
    """A word on a resource for [starts_at, ends_at); the latest word prevails."""

    resource = serializers.CharField(help_text="Code of a resource of yours.")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    is_available = serializers.BooleanField()
    reason = serializers.CharField(
        max_length=REASON_LENGTH_MAX, required=False, help_text="Needed if it cannot act."
    )


class AvailabilityOut(serializers.Serializer[Any]):
    """A notice; later ones of the resource, by `number`, prevail over it where they overlap."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    organisation = serializers.CharField()
    site = serializers.CharField()
    resource = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    is_available = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)
    noted_at = serializers.DateTimeField()


class AvailabilityPage(serializers.Serializer[Any]):
    """A page of notices."""

    items = AvailabilityOut(many=True)
    next = serializers.CharField(allow_null=True)


def availability_written(row: AvailabilityNotice) -> dict[str, Any]:
    """Print a notice."""
    return {
        "id": row.id,
        "number": row.number,
        "organisation": row.organisation.code,
        "site": row.resource.site.code,
        "resource": row.resource.code,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "is_available": row.is_available,
        "reason": row.reason,
        "noted_at": row.noted_at,
    }


class AvailabilityList(Door):
    """Notices of the caller's resources; the desk sees all."""

    access: ClassVar[Access] = {"GET": READ, "POST": ANSWER}

    @extend_schema(
        summary="List notices of availability by their start",
        parameters=[
            *PAGED,
            OpenApiParameter("resource", OpenApiTypes.STR, description="Code."),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="Starts then or later."),
        ],
        responses={200: AvailabilityPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        rows = availabilities_seen(seen_by=self.sight)
        asked = query_of(request, "resource", "from")
        if "resource" in asked:
            rows = rows.filter(resource__code=code_of(asked["resource"], field="resource"))
        if "from" in asked:
            rows = rows.filter(starts_at__gte=moment_of(asked["from"], field="from"))
        return Response(page(request, rows, availability_written, key=("starts_at", "id")))

    @extend_schema(
        summary="Say that a resource can act, or cannot",
        request=AvailabilityIn,
        responses={201: AvailabilityOut},
    )
    def post(self, request: Request) -> Response:
        """Note it; a resource that cannot act is not asked to stand in."""
        body = body_of(
            request,
            required=("resource", "starts_at", "ends_at", "is_available"),
            optional=("reason",),
        )
        resource = self._resource(body["resource"])
        reason = body.get("reason", "")
        if not isinstance(body["is_available"], bool):
            raise Refused(field="is_available", value=body["is_available"], rule="true or false")
        if reason != "":
            reason = text_of(reason, field="reason", length_max=REASON_LENGTH_MAX)
        notice = availability_note(
            resource=resource,
            starts_at=moment_of(body["starts_at"], field="starts_at"),
            ends_at=moment_of(body["ends_at"], field="ends_at"),
            is_available=flag_of(body["is_available"], field="is_available"),
            reason=reason,
        )
        return Response(availability_written(notice), status=201)

    def _resource(self, code: Any) -> Resource:
        """Return a resource of the caller's; another's is as unknown as none."""
        found = resources_answered(seen_by=self.sight).filter(code=code_of(code, field="resource"))
        row = found.first()
        if row is None:
            raise Refused(field="resource", value=code, rule="a registered resource of yours")
        return row


urlpatterns = [
    path("availabilities", AvailabilityList.as_view(), name="availability-list"),
]
