"""/api/v1/auctions/<code>/explanations: why bids won or lost, told to their owners."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import SIGNED_IN, Access
from aggregator.api.v1.asked import choice_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED
from market.clearing import selectors as results
from market.clearing.models import BidOutcome, Outcome
from market.trading import selectors


class ExplanationSeen(serializers.Serializer[Any]):
    """How a bid fared and why (docs/algorithms/explanations.md)."""

    bid = serializers.UUIDField()
    client_bid_id = serializers.CharField()
    outcome = serializers.ChoiceField(Outcome.choices)
    make_whole_jpy = serializers.DecimalField(max_digits=18, decimal_places=2)
    surplus_forgone_jpy = serializers.DecimalField(
        max_digits=18,
        decimal_places=2,
        allow_null=True,
        help_text="Of a block that the prices would have paid, but all-or-none rules left out.",
    )
    explanation = serializers.JSONField(
        help_text="Margin, what decided, where it would change sides, and the same in words."
    )


class ExplanationPage(serializers.Serializer[Any]):
    """Explanations."""

    items = ExplanationSeen(many=True)
    next = serializers.CharField(allow_null=True)


def outcome_told(outcome: BidOutcome) -> dict[str, Any]:
    """Print the outcome of a bid."""
    return {
        "bid": outcome.bid_id,
        "client_bid_id": outcome.bid.client_bid_id,
        "outcome": outcome.outcome,
        "make_whole_jpy": outcome.make_whole_jpy,
        "surplus_forgone_jpy": outcome.surplus_forgone_jpy,
        "explanation": outcome.explanation,
    }


class Explanations(Door):
    """Explanations of one's own bids in one auction."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="explanation_list",
        summary="Why bids won or lost",
        parameters=[
            *PAGED,
            OpenApiParameter("outcome", OpenApiTypes.STR, enum=Outcome.values),
        ],
        responses={200: ExplanationPage},
    )
    def get(self, request: Request, code: str) -> Response:
        """Own bids; all to those who may read an opened book."""
        query = query_of(request, "outcome")
        rows = results.outcomes_seen(selectors.auction_named(code), seen_by=self.sight)
        if "outcome" in query:
            rows = rows.filter(outcome=choice_of(query["outcome"], Outcome.values, field="outcome"))
        return Response(page(request, rows, outcome_told, key=("bid_id",)))


urlpatterns: list[URLPattern] = [
    path("auctions/<slug:code>/explanations", Explanations.as_view(), name="explanation-list"),
]
