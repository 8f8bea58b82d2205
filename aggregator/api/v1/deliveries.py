"""Deliveries: what counts as delivered on each award and half hour, by the latest look at it.

The seller and the market see award, resource and baseline; a grid operator sees site and
quantities of what served its needs.
"""

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
from aggregator.api.v1.asked import choice_of, code_of, query_of, uuid_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.printed import exact, exact_or_none
from aggregator.api.v1.schema import PAGED
from aggregator.metering.models import Delivery, Stage, VerificationStage
from aggregator.metering.seen import (
    READ_DELIVERY,
    DeliveryView,
    deliveries_seen,
    delivery_view_of,
)
from aggregator.metering.selectors import verification_of


class VerificationOut(serializers.Serializer[Any]):
    """The look at an auction's delivery that the rows come from."""

    revision = serializers.IntegerField()
    stage = serializers.ChoiceField(choices=VerificationStage.values)
    as_of = serializers.DateTimeField(help_text="Readings known then.")
    ruleset = serializers.CharField()


class DeliveryOut(serializers.Serializer[Any]):
    """One half hour; energies in kWh. A grid operator sees the fields without a note."""

    site = serializers.CharField()
    direction = serializers.CharField()
    t = serializers.IntegerField(min_value=0, max_value=47)
    start_at = serializers.DateTimeField()
    ordered_kwh = serializers.DecimalField(max_digits=14, decimal_places=3)
    metered_kwh = serializers.DecimalField(max_digits=14, decimal_places=3, allow_null=True)
    delivered_kwh = serializers.DecimalField(max_digits=14, decimal_places=3)
    shortfall_kwh = serializers.DecimalField(max_digits=14, decimal_places=3)
    over_kwh = serializers.DecimalField(max_digits=14, decimal_places=3)
    reading_stage = serializers.ChoiceField(choices=Stage.names, allow_null=True)
    reading_revision = serializers.IntegerField(allow_null=True)
    cause = serializers.CharField(
        allow_blank=True,
        help_text="Why it counts otherwise than its meter alone says: OPTED_OUT, REPLACED,"
        " EXCUSED, NOT_METERED, or nothing.",
    )
    is_excused = serializers.BooleanField(help_text="No penalty: force majeure, or taken back.")
    award = serializers.UUIDField(required=False, help_text="Own and market.")
    organisation = serializers.CharField(required=False, help_text="Own and market.")
    resource = serializers.CharField(required=False, help_text="Own and market.")
    baseline_kwh = serializers.DecimalField(
        max_digits=14,
        decimal_places=3,
        required=False,
        allow_null=True,
        help_text="Own and market.",
    )


class DeliveryPage(serializers.Serializer[Any]):
    """A page of deliveries of one verification; null before there is one."""

    verification = VerificationOut(allow_null=True)
    items = DeliveryOut(many=True)
    next = serializers.CharField(allow_null=True)


def delivery_written(row: Delivery, view: DeliveryView) -> dict[str, Any]:
    """Print a delivery for one side."""
    found: dict[str, Any] = {
        "site": row.award.resource.site.code,
        "direction": row.award.direction,
        "t": row.t,
        "start_at": row.start_at,
        "ordered_kwh": exact(row.ordered_kwh),
        "metered_kwh": exact_or_none(row.metered_kwh),
        "delivered_kwh": exact(row.delivered_kwh),
        "shortfall_kwh": exact(row.shortfall_kwh),
        "over_kwh": exact(row.over_kwh),
        "reading_stage": None if row.reading_stage is None else Stage(row.reading_stage).name,
        "reading_revision": row.reading_revision,
        "cause": row.cause,
        "is_excused": row.is_excused,
    }
    if view.is_own(row):
        found |= {
            "award": row.award_id,
            "organisation": row.award.organisation.code,
            "resource": row.award.resource.code,
            "baseline_kwh": exact_or_none(row.baseline_kwh),
        }
    return found


class DeliveryList(Door):
    """Deliveries of one auction."""

    access: ClassVar[Access] = {"GET": READ_DELIVERY}

    @extend_schema(
        summary="List an auction's deliveries by award and half hour",
        parameters=[
            *PAGED,
            OpenApiParameter("auction", OpenApiTypes.STR, required=True, description="Code."),
            OpenApiParameter(
                "stage",
                OpenApiTypes.STR,
                enum=VerificationStage.values,
                description="The latest look on such readings; else the latest of all.",
            ),
            OpenApiParameter("award", OpenApiTypes.UUID, description="Own and market."),
        ],
        responses={200: DeliveryPage},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        asked = query_of(request, "auction", "stage", "award")
        if "auction" not in asked:
            raise Refused(field="auction", value=None, rule="the code of an auction")
        stage = asked.get("stage")
        verification = verification_of(
            auction=code_of(asked["auction"], field="auction"),
            stage=None
            if stage is None
            else choice_of(stage, VerificationStage.values, field="stage"),
        )
        if verification is None:
            return Response({"verification": None, "items": [], "next": None})
        view = delivery_view_of(self.sight)
        rows = deliveries_seen(seen_by=self.sight, verification=verification)
        if "award" in asked:
            rows = rows.filter(award_id=uuid_of(asked["award"], field="award"))
            if not view.sees_all:
                rows = rows.filter(award__organisation_id__in=view.own_ids)
        found = page(request, rows, lambda row: delivery_written(row, view), key=("award_id", "t"))
        told = {
            "revision": verification.revision,
            "stage": verification.stage,
            "as_of": verification.as_of,
            "ruleset": verification.ruleset_id,
        }
        return Response({"verification": told, **found})


urlpatterns = [
    path("deliveries", DeliveryList.as_view(), name="delivery-list"),
]
