"""Monitored elements: branches whose flow a grid operator watches; public."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import body_of, query_of, uuid_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import (
    VERSION_TOLD,
    acting_code,
    coded,
    exact,
    kw,
    listed,
    one,
    pages_of,
    read,
    shown,
)
from aggregator.api.v1.schema import PAGED
from market.registry import selectors
from market.registry.element_services import (
    ELEMENT_CHANGES,
    ELEMENT_REQUIRED,
    congestion_point_create,
    congestion_point_revise,
)
from market.registry.models import CongestionPoint

NUMBERS: Final = frozenset({"rating_kw"})


class ElementRevised(serializers.Serializer[Any]):
    """What may change of a monitored element."""

    name = serializers.CharField(max_length=60)
    name_en = serializers.CharField(max_length=60)
    rating_kw = kw("What may flow, either way.")


class ElementGiven(ElementRevised):
    """A branch to watch; one of its ends is in an area of yours."""

    grid_model = serializers.UUIDField(help_text="Id of the grid model.")
    branch = coded("Code of the branch.")
    code = coded("Chosen by you, once in a grid model.")
    organisation = coded(
        "Code of the organisation you act for, where you may for several.", required=False
    )


class ElementWritten(serializers.Serializer[Any]):
    """A monitored element."""

    id = serializers.UUIDField()
    grid_model = serializers.UUIDField()
    branch = serializers.CharField()
    code = serializers.CharField()
    name = serializers.CharField()
    name_en = serializers.CharField()
    owner = coded("Code of its grid operator.")
    co_owner = coded("Grid operator of the other end, if it is another.", allow_null=True)
    rating_kw = kw()
    version = serializers.IntegerField()


def element_written(point: CongestionPoint) -> dict[str, Any]:
    """Print a monitored element."""
    return {
        "id": point.id,
        "grid_model": point.grid_model_id,
        "branch": point.branch.code,
        "code": point.code,
        "name": point.name,
        "name_en": point.name_en,
        "owner": point.owner.code,
        "co_owner": None if point.co_owner is None else point.co_owner.code,
        "rating_kw": point.rating_kw,
        "version": point.version,
    }


class Elements(Door):
    """All monitored elements; a new one."""

    access: ClassVar[Access] = {"GET": PUBLIC, "POST": "network.publish"}

    @extend_schema(
        operation_id="element_list",
        summary="List monitored elements",
        tags=["elements"],
        parameters=[
            *PAGED,
            OpenApiParameter("grid_model", OpenApiTypes.UUID, description="Only of this model."),
            OpenApiParameter(
                "owner", OpenApiTypes.STR, description="Only of this grid operator (code)."
            ),
        ],
        responses={200: pages_of(ElementWritten, "Element")},
    )
    def get(self, request: Request) -> Response:
        """In order of grid model and code."""
        asked = query_of(request, "grid_model", "owner")
        rows = selectors.elements()
        if "grid_model" in asked:
            rows = rows.filter(grid_model=uuid_of(asked["grid_model"], field="grid_model"))
        if "owner" in asked:
            rows = rows.filter(owner__code=asked["owner"])
        return listed(request, rows, element_written, key=("grid_model_id", "code"))

    @extend_schema(
        operation_id="element_create",
        summary="Watch a branch",
        tags=["elements"],
        parameters=[VERSION_TOLD],
        request=ElementGiven,
        responses={201: ElementWritten},
    )
    def post(self, request: Request) -> Response:
        """Watch it together with the grid operator of the other end, if that is another."""
        body = body_of(
            request, required=("grid_model", *ELEMENT_REQUIRED), optional=("organisation",)
        )
        owner = self.sight.acting_for("network.publish", acting_code(body.get("organisation")))
        grid_model = one(
            selectors.grid_models(), id=uuid_of(body["grid_model"], field="grid_model")
        )
        fields = {name: body[name] for name in ELEMENT_REQUIRED}
        point = congestion_point_create(
            grid_model=grid_model, owner=owner, fields=exact(fields, NUMBERS)
        )
        point = one(selectors.elements(), id=point.id)
        return shown(point, element_written(point), status=201)


class OneElement(Door):
    """A monitored element."""

    access: ClassVar[Access] = {"GET": PUBLIC, "PATCH": "network.publish"}

    @extend_schema(
        operation_id="element",
        summary="Show a monitored element",
        tags=["elements"],
        parameters=[VERSION_TOLD],
        responses={200: ElementWritten},
    )
    def get(self, request: Request, element_id: Any) -> Response:
        """Public."""
        query_of(request, is_list=False)
        point = one(selectors.elements(), id=element_id)
        return shown(point, element_written(point))

    @extend_schema(
        operation_id="element_revise",
        summary="Revise a monitored element",
        description="Books that close later are cleared with the new rating.",
        tags=["elements"],
        parameters=[VERSION_TOLD],
        request=ElementRevised(partial=True),
        responses={200: ElementWritten},
    )
    def patch(self, request: Request, element_id: Any) -> Response:
        """Its owner may; only what is given changes."""
        body = body_of(request, optional=ELEMENT_CHANGES)
        point, version = read(request, selectors.elements_of(seen_by=self.sight), id=element_id)
        congestion_point_revise(point=point, version=version, fields=exact(body, NUMBERS))
        point = one(selectors.elements(), id=element_id)
        return shown(point, element_written(point))


urlpatterns: list[URLPattern] = [
    path("elements", Elements.as_view(), name="element-list"),
    path("elements/<uuid:element_id>", OneElement.as_view(), name="element"),
]
