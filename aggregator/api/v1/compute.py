"""/api/v1/compute: computing asked for and offered, where it runs, and what it costs.

Requests and offers are bids of the forms COMPUTE_REQUEST and COMPUTE_OFFER: they are submitted,
replaced and withdrawn through the doors of bids.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1 import told
from aggregator.api.v1.access import SIGNED_IN, Access
from aggregator.api.v1.asked import choice_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.bids import BidPage, envelope_told
from aggregator.api.v1.pagination import page
from aggregator.api.v1.prices import OfAuction, PublishedDoor, RentSeen
from aggregator.api.v1.schema import PAGED
from market.clearing import published
from market.clearing import selectors as results
from market.clearing.models import ComputePlacement, RentKind
from market.trading import selectors
from market.trading.models import BidForm, BidState


class ComputePrice(serializers.Serializer[Any]):
    """Price of a kWh computed (IT) at a connection point."""

    bus = serializers.CharField()
    area = serializers.CharField()
    price_jpy_per_kwh = told.price_series("JPY per kWh at the IT equipment, t = 0…47")


class LabelCost(serializers.Serializer[Any]):
    """What a label costs: welfare as it is, and as it would be without it."""

    label = serializers.CharField()  # type: ignore[assignment]
    welfare_jpy = serializers.FloatField()
    welfare_without_jpy = serializers.FloatField()
    cost_jpy = serializers.FloatField()
    bound_jpy = serializers.FloatField()


class ComputeOfAuction(OfAuction):
    """Computing in a published result."""

    prices = ComputePrice(many=True)
    rents = RentSeen(many=True, help_text="Of optical paths and trunks.")
    label_costs = LabelCost(many=True)


class PlacementSeen(serializers.Serializer[Any]):
    """Where a request runs in one half hour."""

    request = serializers.UUIDField(help_text="The asking bid.")
    offer = serializers.UUIDField(help_text="The bid that runs it.")
    place = serializers.CharField(allow_null=True, help_text="Code of the asking site.")
    site = serializers.CharField(allow_null=True, help_text="Code of the site it runs at.")
    path = serializers.CharField(allow_null=True)
    t = serializers.IntegerField(min_value=0, max_value=47)
    start_at = serializers.DateTimeField()
    quantity_kw = serializers.DecimalField(max_digits=14, decimal_places=1)


class PlacementPage(serializers.Serializer[Any]):
    """Placements."""

    items = PlacementSeen(many=True)
    next = serializers.CharField(allow_null=True)


def placement_told(row: ComputePlacement) -> dict[str, Any]:
    """Print where a request runs."""
    return {
        "request": row.bid_id,
        "offer": row.offer_id,
        "place": row.bid.site.code if row.bid.site else None,
        "site": row.offer.resource.site.code if row.offer.resource else None,
        "path": row.path.code if row.path else None,
        "t": row.t,
        "start_at": row.start_at,
        "quantity_kw": row.quantity_kw,
    }


class ComputeBids(Door):
    """Bids of one of the two forms."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}
    form: ClassVar[str]

    def listed(self, request: Request) -> Response:
        """List one's own, or all of an auction to those who may read its opened book."""
        query = query_of(request, "auction", "state")
        auction = selectors.auction_named(query["auction"]) if "auction" in query else None
        rows = selectors.bids_seen(seen_by=self.sight, auction=auction).filter(form=self.form)
        if "state" in query:
            rows = rows.filter(state=choice_of(query["state"], BidState.values, field="state"))
        return Response(page(request, rows, envelope_told, key=("-received_at", "-id")))


FILTERS = [
    *PAGED,
    told.AUCTION,
    OpenApiParameter("state", OpenApiTypes.STR, enum=BidState.values),
]


class ComputeRequests(ComputeBids):
    """Computing asked for."""

    form: ClassVar[str] = BidForm.COMPUTE_REQUEST

    @extend_schema(
        operation_id="compute_request_list",
        summary="Requests of computing; submit them as bids of form COMPUTE_REQUEST",
        parameters=FILTERS,
        responses={200: BidPage},
    )
    def get(self, request: Request) -> Response:
        """List them, the newest first."""
        return self.listed(request)


class ComputeOffers(ComputeBids):
    """Computing for sale."""

    form: ClassVar[str] = BidForm.COMPUTE_OFFER

    @extend_schema(
        operation_id="compute_offer_list",
        summary="Offers of computing; submit them as bids of form COMPUTE_OFFER",
        parameters=FILTERS,
        responses={200: BidPage},
    )
    def get(self, request: Request) -> Response:
        """List them, the newest first."""
        return self.listed(request)


class Placements(Door):
    """Where computing runs."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="compute_placement_list",
        summary="Where computing runs: to who asked for it and who runs it",
        parameters=PAGED,
        responses={200: PlacementPage},
    )
    def get(self, request: Request, code: str) -> Response:
        """List the log of placements of a published result."""
        query_of(request)
        rows = results.placements_seen(selectors.auction_named(code), seen_by=self.sight)
        return Response(page(request, rows, placement_told))


class ComputeResult(PublishedDoor):
    """Prices of computing."""

    @extend_schema(
        operation_id="compute_prices",
        summary="Prices of computing, rents of paths and trunks, costs of labels; public",
        responses={200: ComputeOfAuction},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show what computing cost, by connection point."""
        auction, run = self.published(request, code)
        return self.frame(
            request,
            auction,
            run,
            lambda: {
                "prices": [
                    {
                        "bus": row["bid__resource__site__bus_code"],
                        "area": row["bid__resource__site__area_id"],
                        "price_jpy_per_kwh": row["price"],
                    }
                    for row in published.compute_prices(run)
                ],
                "rents": [
                    rent
                    for rent in published.rents(run)
                    if rent["kind"] in (RentKind.PATH, RentKind.TRUNK)
                ],
                "label_costs": published.label_costs(run),
            },
        )


urlpatterns: list[URLPattern] = [
    path("compute/requests", ComputeRequests.as_view(), name="compute-request-list"),
    path("compute/offers", ComputeOffers.as_view(), name="compute-offer-list"),
    path("auctions/<slug:code>/compute", ComputeResult.as_view(), name="compute"),
    path("auctions/<slug:code>/placements", Placements.as_view(), name="compute-placement-list"),
]
