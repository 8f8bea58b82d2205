"""What is traded: public."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import coded, kw, listed, pages_of
from aggregator.api.v1.schema import PAGED
from market.registry import selectors
from market.registry.changes import market_today
from market.registry.models import MarketProduct


class ProductWritten(serializers.Serializer[Any]):
    """A product; what the rules in force today say of it stands beside it."""

    code = coded("Its code.")
    name = serializers.CharField()
    name_en = serializers.CharField()
    response_s = serializers.IntegerField(help_text="From an order to full power, at most.")
    quantity_min_kw = kw()
    quantity_tick_kw = kw()
    direction = serializers.ChoiceField(
        ["UP", "DOWN"], allow_null=True, help_text="Of capacity; null for energy."
    )
    sustained_h = serializers.DecimalField(
        max_digits=4, decimal_places=1, allow_null=True, help_text="How long capacity must last."
    )
    is_prequalification_asked = serializers.BooleanField(
        help_text="Whether only prequalified resources may be bid for it."
    )


def product_written(product: MarketProduct, terms: selectors.ProductTerms) -> dict[str, Any]:
    """Print a product under the rules in force."""
    direction, sustained_h = terms.capacity.get(product.code, (None, None))
    return {
        "code": product.code,
        "name": product.name,
        "name_en": product.name_en,
        "response_s": product.response_s,
        "quantity_min_kw": product.quantity_min_kw,
        "quantity_tick_kw": product.quantity_tick_kw,
        "direction": direction,
        "sustained_h": None if sustained_h is None else round(Decimal(sustained_h), 1),
        "is_prequalification_asked": product.code in terms.prequalified,
    }


class Products(Door):
    """All products."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="product_list",
        summary="List what is traded",
        tags=["products"],
        parameters=PAGED,
        responses={200: pages_of(ProductWritten, "Product")},
    )
    def get(self, request: Request) -> Response:
        """In order of code."""
        query_of(request)
        terms = selectors.product_terms_on(market_today())
        return listed(
            request,
            selectors.products(),
            lambda product: product_written(product, terms),
            key=("code",),
        )


urlpatterns: list[URLPattern] = [path("products", Products.as_view(), name="product-list")]
