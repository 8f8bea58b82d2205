"""Balancing areas and their grid operators: public."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import coded, listed, pages_of
from aggregator.api.v1.schema import PAGED
from market.registry import selectors
from market.registry.models import Area


class AreaWritten(serializers.Serializer[Any]):
    """A balancing area, 01 Hokkaido to 10 Okinawa."""

    code = coded("Two digits.")
    name = serializers.CharField()
    name_en = serializers.CharField()
    frequency_hz = serializers.IntegerField()
    tso = coded("Code of its grid operator, if one takes part.", allow_null=True)


def area_written(area: Area) -> dict[str, Any]:
    """Print an area."""
    return {
        "code": area.code,
        "name": area.name,
        "name_en": area.name_en,
        "frequency_hz": area.frequency_hz,
        "tso": None if area.tso is None else area.tso.code,
    }


class Areas(Door):
    """All areas."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="area_list",
        summary="List the balancing areas",
        tags=["areas"],
        parameters=PAGED,
        responses={200: pages_of(AreaWritten, "Area")},
    )
    def get(self, request: Request) -> Response:
        """In order of code."""
        query_of(request)
        return listed(request, selectors.areas(), area_written, key=("code",))


urlpatterns: list[URLPattern] = [path("areas", Areas.as_view(), name="area-list")]
