"""/api/v1/awards: what was accepted of one's bids; and for grid operators, what serves them."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1 import told
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import choice_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.etag import tag
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED
from market.clearing import selectors as results
from market.clearing.models import Award, Leg
from market.clearing.selectors import Relief
from market.trading import selectors
from market.trading.models import Direction


class AwardHalfHour(serializers.Serializer[Any]):
    """Quantity and price in one half hour."""

    t = serializers.IntegerField(min_value=0, max_value=47)
    start_at = serializers.DateTimeField()
    quantity_kw = serializers.DecimalField(max_digits=14, decimal_places=1)
    price_jpy_per_kwh = serializers.DecimalField(
        max_digits=10,
        decimal_places=2,
        required=False,
        help_text="Of energy: the seller of UP receives it, the seller of DOWN pays it.",
    )
    price_jpy_per_kw_30min = serializers.DecimalField(
        max_digits=10, decimal_places=2, required=False, help_text="Of capacity (RESERVED)."
    )


class AwardSeen(serializers.Serializer[Any]):
    """The accepted part of a bid at one resource."""

    id = serializers.UUIDField()
    auction = serializers.CharField(help_text="Code.")
    bid = serializers.UUIDField()
    client_bid_id = serializers.CharField()
    organisation = serializers.CharField(help_text="Code.")
    site = serializers.CharField(help_text="Code.")
    resource = serializers.CharField(help_text="Code.")
    leg = serializers.ChoiceField(Leg.choices)
    direction = serializers.ChoiceField(Direction.choices)
    product = serializers.CharField(allow_null=True, help_text="Of capacity.")
    version = serializers.IntegerField(min_value=1)
    intervals = AwardHalfHour(many=True, help_text="Half hours with a quantity.")


class AwardPage(serializers.Serializer[Any]):
    """Awards."""

    items = AwardSeen(many=True)
    next = serializers.CharField(allow_null=True)


class ReliefSeen(serializers.Serializer[Any]):
    """What one site was awarded for the operator's needs."""

    site = serializers.CharField(help_text="Code.")
    area = serializers.CharField(help_text="Code.")
    direction = serializers.ChoiceField(Direction.choices)
    product = serializers.CharField(allow_null=True, help_text="Of capacity.")
    quantity_kw = told.kw_series("kW where something was needed, t = 0…47")


class ReliefOfAuction(serializers.Serializer[Any]):
    """Awards that serve a grid operator's needs, by site."""

    auction = serializers.CharField()
    delivery_on = serializers.DateField()
    items = ReliefSeen(many=True)


def award_told(award: Award) -> dict[str, Any]:
    """Print an award whose half hours are read."""
    energy = [
        {
            "t": row.t,
            "start_at": row.start_at,
            "quantity_kw": row.quantity_kw,
            "price_jpy_per_kwh": row.price_jpy_per_kwh,
        }
        for row in award.intervals.all()
    ]
    capacity = [
        {
            "t": row.t,
            "start_at": row.start_at,
            "quantity_kw": row.quantity_kw,
            "price_jpy_per_kw_30min": row.price_jpy_per_kw_30min,
        }
        for row in award.capacity_intervals.all()
    ]
    return {
        "id": award.id,
        "auction": award.auction.code,
        "bid": award.bid_id,
        "client_bid_id": award.bid.client_bid_id,
        "organisation": award.organisation.code,
        "site": award.resource.site.code,
        "resource": award.resource.code,
        "leg": award.leg,
        "direction": award.direction,
        "product": award.product_id,
        "version": award.version,
        "intervals": energy or capacity,
    }


def relief_told(relief: Relief) -> dict[str, Any]:
    """Print what a site was awarded for the needs of a grid operator."""
    return {
        "site": relief.site.code,
        "area": relief.site.area_id,
        "direction": relief.direction,
        "product": relief.product,
        "quantity_kw": relief.quantity_kw,
    }


class Awards(Door):
    """Awards of one's own."""

    access: ClassVar[Access] = {"GET": "award.read"}

    @extend_schema(
        operation_id="award_list",
        summary="List awards with their half hours",
        parameters=[
            *PAGED,
            told.AUCTION,
            OpenApiParameter("resource", OpenApiTypes.STR, description="Code."),
            OpenApiParameter("direction", OpenApiTypes.STR, enum=Direction.values),
            OpenApiParameter("leg", OpenApiTypes.STR, enum=Leg.values),
        ],
        responses={200: AwardPage},
    )
    def get(self, request: Request) -> Response:
        """Own awards; all to the market's desk, settlement and auditors."""
        query = query_of(request, "auction", "resource", "direction", "leg")
        auction = selectors.auction_named(query["auction"]) if "auction" in query else None
        rows = results.with_intervals(results.awards_seen(seen_by=self.sight, auction=auction))
        for name, choices in (("direction", Direction.values), ("leg", Leg.values)):
            if name in query:
                rows = rows.filter(**{name: choice_of(query[name], choices, field=name)})
        if "resource" in query:
            rows = rows.filter(resource=selectors.resource_id_named(query["resource"]))
        return Response(page(request, rows, award_told))


class OneAward(Door):
    """One award."""

    access: ClassVar[Access] = {"GET": "award.read"}

    @extend_schema(operation_id="award", summary="One award", responses={200: AwardSeen})
    def get(self, _request: Request, award_id: UUID) -> Response:
        """Show it to its owner and to the market's desk, settlement and auditors."""
        award = results.award_seen(award_id, seen_by=self.sight)
        return Response(award_told(award), headers={"ETag": tag(award.version)})


class ReliefOf(Door):
    """Awards that serve a grid operator's needs."""

    access: ClassVar[Access] = {"GET": "need.read"}

    @extend_schema(
        operation_id="award_relief",
        summary="What was awarded for your needs, by site",
        description=(
            "For grid operators. Quantities only, summed by site: no bid, no ask, no price paid. "
            "Empty before a result is published."
        ),
        responses={200: ReliefOfAuction},
    )
    def get(self, _request: Request, code: str) -> Response:
        """Sum what sites give and take in the half hours in which something is needed."""
        auction = selectors.auction_named(code)
        found = results.relief_seen(auction, seen_by=self.sight)
        return Response(
            {
                "auction": auction.code,
                "delivery_on": auction.delivery_on,
                "items": [relief_told(relief) for relief in found],
            }
        )


urlpatterns: list[URLPattern] = [
    path("awards", Awards.as_view(), name="award-list"),
    path("awards/<uuid:award_id>", OneAward.as_view(), name="award"),
    path("auctions/<slug:code>/relief", ReliefOf.as_view(), name="award-relief"),
]
