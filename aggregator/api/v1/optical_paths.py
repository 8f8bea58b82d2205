"""Optical paths and trunks: for who owns them and who operates an end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import coded, listed, one, pages_of, printed
from aggregator.api.v1.schema import PAGED
from market.registry import selectors
from market.registry.models import OpticalPath, OpticalTrunk


def _gb() -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=12, decimal_places=1, min_value=Decimal(0), help_text="GB per half hour."
    )


class OpticalPathWritten(serializers.Serializer[Any]):
    """A wavelength from one site to another."""

    code = coded("Its code.")
    name = serializers.CharField()
    owner = coded("Code of its owner.")
    from_site = coded("Code of the site it leaves.")
    to_site = coded("Code of the site it reaches.")
    capacity_gb = _gb()
    price_jpy_per_gb = serializers.DecimalField(max_digits=8, decimal_places=4)
    latency_ms = serializers.DecimalField(max_digits=8, decimal_places=2)


class OpticalTrunkWritten(serializers.Serializer[Any]):
    """A wavelength that several paths share."""

    code = coded("Its code.")
    name = serializers.CharField()
    owner = coded("Code of its owner.")
    capacity_gb = _gb()
    paths = serializers.ListField(
        child=serializers.CharField(), help_text="Codes of those of its paths that you see."
    )


def path_written(row: OpticalPath) -> dict[str, Any]:
    """Print a path."""
    return {
        "code": row.code,
        "name": row.name,
        "owner": row.owner.code,
        "from_site": row.from_site.code,
        "to_site": row.to_site.code,
        "capacity_gb": row.capacity_gb,
        "price_jpy_per_gb": row.price_jpy_per_gb,
        "latency_ms": row.latency_ms,
    }


def trunk_written(row: OpticalTrunk) -> dict[str, Any]:
    """Print a trunk with those of its paths that were fetched for the caller."""
    return {
        "code": row.code,
        "name": row.name,
        "owner": row.owner.code,
        "capacity_gb": row.capacity_gb,
        "paths": [carried.code for carried in row.paths.all()],
    }


class OpticalPaths(Door):
    """Paths the caller may see."""

    access: ClassVar[Access] = {"GET": "site.read"}

    @extend_schema(
        operation_id="optical_path_list",
        summary="List optical paths",
        description="Those you own, and those from or to a site of yours.",
        tags=["optical paths"],
        parameters=PAGED,
        responses={200: pages_of(OpticalPathWritten, "OpticalPath")},
    )
    def get(self, request: Request) -> Response:
        """In order of code."""
        query_of(request)
        rows = selectors.optical_paths_by_way(seen_by=self.sight)
        return listed(request, rows, path_written, key=("code",))


class OneOpticalPath(Door):
    """A path."""

    access: ClassVar[Access] = {"GET": "site.read"}

    @extend_schema(
        operation_id="optical_path",
        summary="Show an optical path",
        tags=["optical paths"],
        responses={200: OpticalPathWritten},
    )
    def get(self, request: Request, code: str) -> Response:
        """For who owns it or operates an end."""
        query_of(request, is_list=False)
        return Response(
            printed(path_written(one(selectors.optical_paths_seen(seen_by=self.sight), code=code)))
        )


class OpticalTrunks(Door):
    """Trunks the caller may see."""

    access: ClassVar[Access] = {"GET": "site.read"}

    @extend_schema(
        operation_id="optical_trunk_list",
        summary="List optical trunks",
        description="Those you own, and those that carry a path you see.",
        tags=["optical paths"],
        parameters=PAGED,
        responses={200: pages_of(OpticalTrunkWritten, "OpticalTrunk")},
    )
    def get(self, request: Request) -> Response:
        """In order of code."""
        query_of(request)
        rows = selectors.optical_trunks_by_way(seen_by=self.sight)
        return listed(request, rows, trunk_written, key=("code",))


urlpatterns: list[URLPattern] = [
    path("optical-paths", OpticalPaths.as_view(), name="optical-path-list"),
    path("optical-paths/<slug:code>", OneOpticalPath.as_view(), name="optical-path"),
    path("optical-trunks", OpticalTrunks.as_view(), name="optical-trunk-list"),
]
