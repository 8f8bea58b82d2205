"""Baselines: what a resource would have used, how that was found, and on which readings."""

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
from aggregator.api.v1.asked import code_of, day_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact
from aggregator.api.v1.schema import PAGED
from aggregator.metering.models import Baseline, BaselineMethod, VerificationStage
from aggregator.metering.seen import READ_DELIVERY, baselines_seen


class BaselineOut(serializers.Serializer[Any]):
    """The baseline of a resource on a day; `is_locked` once settled on final readings."""

    id = serializers.UUIDField()
    resource = serializers.CharField()
    site = serializers.CharField()
    delivery_on = serializers.DateField()
    revision = serializers.IntegerField()
    method = serializers.ChoiceField(choices=BaselineMethod.values)
    baseline_kwh = serializers.ListField(
        child=serializers.DecimalField(max_digits=14, decimal_places=3),
        min_length=48,
        max_length=48,
        allow_null=True,
        help_text="Per half hour t = 0…47; null where it cannot be computed, see `reason`.",
    )
    adjustment_kwh = serializers.DecimalField(max_digits=14, decimal_places=3)
    days_used = serializers.ListField(child=serializers.DateField())
    reason = serializers.CharField(allow_blank=True)
    computed_at = serializers.DateTimeField()
    is_locked = serializers.BooleanField()
    auction = serializers.CharField()
    verification_revision = serializers.IntegerField()
    verification_stage = serializers.ChoiceField(choices=VerificationStage.values)


class BaselinePage(serializers.Serializer[Any]):
    """A page of baselines."""

    items = BaselineOut(many=True)
    next = serializers.CharField(allow_null=True)


def baseline_written(row: Baseline) -> dict[str, Any]:
    """Print a baseline."""
    values = row.baseline_kwh
    return {
        "id": row.id,
        "resource": row.resource.code,
        "site": row.resource.site.code,
        "delivery_on": row.delivery_on,
        "revision": row.revision,
        "method": row.method,
        "baseline_kwh": None if values is None else [exact(value) for value in values],
        "adjustment_kwh": exact(row.adjustment_kwh),
        "days_used": row.days_used,
        "reason": row.reason,
        "computed_at": row.computed_at,
        "is_locked": row.is_locked,
        "auction": row.verification.auction.code,
        "verification_revision": row.verification.revision,
        "verification_stage": row.verification.stage,
    }


class BaselineList(Door):
    """Baselines of a day, or of a resource, or both."""

    access: ClassVar[Access] = {"GET": READ_DELIVERY}

    @extend_schema(
        summary="List baselines of a day or of a resource, every revision",
        parameters=[
            *PAGED,
            OpenApiParameter("delivery_on", OpenApiTypes.DATE, description="This or `resource`."),
            OpenApiParameter("resource", OpenApiTypes.STR, description="Code."),
        ],
        responses={200: BaselinePage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "delivery_on", "resource")
        if not asked.keys() & {"delivery_on", "resource"}:
            raise Refused(field="delivery_on", value=None, rule="a day, a resource, or both")
        named = asked.get("resource")
        rows = baselines_seen(
            seen_by=self.sight,
            resource=None if named is None else code_of(named, field="resource"),
        )
        if "delivery_on" in asked:
            rows = rows.filter(delivery_on=day_of(asked["delivery_on"], field="delivery_on"))
        key = ("delivery_on", "resource_id", "revision")
        return Response(page(request, rows, baseline_written, key=key))


urlpatterns = [
    path("baselines", BaselineList.as_view(), name="baseline-list"),
]
