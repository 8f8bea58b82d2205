"""Controllable units at sites: their operator sees all, their grid operator what they can do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.parties.sight import Sight
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, flag_of, list_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import (
    VERSION_TOLD,
    coded,
    exact,
    kw,
    listed,
    one,
    pages_of,
    paths_of_body,
    ratio,
    read,
    shown,
)
from aggregator.api.v1.schema import IF_MATCH, PAGED
from aggregator.api.v1.workload_classes import (
    WORK_NUMBERS,
    WorkloadClassGiven,
    WorkloadClassWritten,
    workload_class_written,
)
from market.registry import selectors
from market.registry.models import Resource, ResourceKind, StorageUnit
from market.registry.services import RESOURCE_REQUIRED, resource_register
from market.registry.site_services import RESOURCE_CHANGES, resource_change, resource_retire

CLASSES_MAX: Final = 40
NUMBERS: Final = frozenset({"limit_up_kw", "limit_down_kw"})
STORAGE_NUMBERS: Final = frozenset(
    {
        "energy_kwh",
        "reserve_kwh",
        "charge_kw",
        "discharge_kw",
        "charge_efficiency_ratio",
        "discharge_efficiency_ratio",
        "standing_loss_ratio",
    }
)
IN_ORDER: Final = ("site__code", "code")
REPLACED: Final = ("name", "name_en", "limit_up_kw", "limit_down_kw")


def _kwh(help_text: str, **options: Any) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=14, decimal_places=1, min_value=Decimal(0), help_text=help_text, **options
    )


class StorageGiven(serializers.Serializer[Any]):
    """Limits of a store."""

    energy_kwh = _kwh("What it holds.")
    reserve_kwh = _kwh("What is never sold.", required=False)
    charge_kw = kw("Most it charges.")
    discharge_kw = kw("Most it discharges.")
    charge_efficiency_ratio = ratio("Stored of what is taken, 0.01 to 1.")
    discharge_efficiency_ratio = ratio("Given of what was stored, 0.01 to 1.")
    standing_loss_ratio = ratio("Lost per hour of what is stored.", places=6, required=False)


class ResourceChanged(serializers.Serializer[Any]):
    """What may change of a resource; left out of a PATCH, it stays."""

    name = serializers.CharField(max_length=80)
    name_en = serializers.CharField(max_length=80)
    limit_up_kw = kw("Most it can do upwards (less load, more supply).")
    limit_down_kw = kw("Most it can do downwards.")
    is_behind_meter = serializers.BooleanField(required=False)
    hardware = serializers.ListField(
        child=serializers.CharField(max_length=20), required=False, help_text="`GPU`, `CPU`…"
    )
    response_s = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=86_400,
        help_text="From an order to full power.",
    )
    storage = StorageGiven(required=False, help_text="Of storing kinds, as a whole.")


class ResourceGiven(ResourceChanged):
    """A resource to register; its code, kind and site stay as they are then."""

    site = coded("Code of a site of yours.")
    code = coded("Chosen by you, unique.")
    kind = serializers.ChoiceField(ResourceKind.values)
    workload_classes = WorkloadClassGiven(many=True, required=False)


class StorageWritten(serializers.Serializer[Any]):
    """Limits of a store."""

    energy_kwh = _kwh("What it holds.")
    reserve_kwh = _kwh("What is never sold.")
    charge_kw = kw("Most it charges.")
    discharge_kw = kw("Most it discharges.")
    charge_efficiency_ratio = ratio("Stored of what is taken.")
    discharge_efficiency_ratio = ratio("Given of what was stored.")
    standing_loss_ratio = ratio("Lost per hour of what is stored.", places=6)


class ResourceWritten(serializers.Serializer[Any]):
    """A resource. Commercial fields are there for its operator and the market's desk only."""

    code = coded("Its code.")
    name = serializers.CharField()
    name_en = serializers.CharField()
    site = coded("Code of its site.")
    kind = serializers.ChoiceField(ResourceKind.values)
    limit_up_kw = kw()
    limit_down_kw = kw()
    is_behind_meter = serializers.BooleanField()
    response_s = serializers.IntegerField(allow_null=True)
    storage = StorageWritten(allow_null=True)
    retired_at = serializers.DateTimeField(allow_null=True)
    version = serializers.IntegerField()
    hardware = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Commercial."
    )
    workload_classes = WorkloadClassWritten(many=True, required=False, help_text="Commercial.")


def resource_written(resource: Resource, seen_by: Sight) -> dict[str, Any]:
    """Print what the caller may see of a resource."""
    body = {
        "code": resource.code,
        "name": resource.name,
        "name_en": resource.name_en,
        "site": resource.site.code,
        "kind": resource.kind,
        "limit_up_kw": resource.limit_up_kw,
        "limit_down_kw": resource.limit_down_kw,
        "is_behind_meter": resource.is_behind_meter,
        "response_s": resource.response_s,
        "storage": _storage_written(getattr(resource, "storage", None)),
        "retired_at": resource.retired_at,
        "version": resource.version,
    }
    if selectors.sees_trade_of(resource.site, seen_by=seen_by):
        body |= {
            "hardware": resource.hardware,
            "workload_classes": [
                workload_class_written(work, resource.code)
                for work in resource.workload_classes.all()
            ],
        }
    return body


def _storage_written(unit: StorageUnit | None) -> dict[str, Any] | None:
    if unit is None:
        return None
    return {name: getattr(unit, name) for name in sorted(STORAGE_NUMBERS)}


def _storage(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Refused(field="storage", value=value, rule="an object with named entries")
    return exact(value, STORAGE_NUMBERS, label="storage")


def _response_checked(body: dict[str, Any]) -> dict[str, Any]:
    """Refuse a response time that only looks like a whole number."""
    value = body.get("response_s")
    if value is not None and type(value) is not int:
        raise Refused(field="response_s", value=value, rule="a whole number of seconds")
    return body


class Resources(Door):
    """Resources the caller may see; a new one."""

    access: ClassVar[Access] = {"GET": "site.read", "POST": "site.change"}

    @extend_schema(
        operation_id="resource_list",
        summary="List resources",
        description="Those at your own sites and in your area.",
        tags=["resources"],
        parameters=[
            *PAGED,
            OpenApiParameter("site", OpenApiTypes.STR, description="Only at this site."),
            OpenApiParameter(
                "kind", OpenApiTypes.STR, enum=ResourceKind.values, description="Only of this kind."
            ),
            OpenApiParameter(
                "is_retired", OpenApiTypes.BOOL, description="Only retired ones, or only others."
            ),
        ],
        responses={200: pages_of(ResourceWritten, "Resource")},
    )
    def get(self, request: Request) -> Response:
        """In order of site and code."""
        asked = query_of(request, "site", "kind", "is_retired")
        only: dict[str, Any] = {}
        if "site" in asked:
            only["site__code"] = asked["site"]
        if "kind" in asked:
            only["kind"] = choice_of(asked["kind"], ResourceKind.values, field="kind")
        if "is_retired" in asked:
            only["retired_at__isnull"] = not flag_of(asked["is_retired"], field="is_retired")
        seen_by = self.sight
        rows = [way.filter(**only) for way in selectors.resources_by_way(seen_by=seen_by)]
        return listed(request, rows, lambda r: resource_written(r, seen_by), key=IN_ORDER)

    @extend_schema(
        operation_id="resource_create",
        summary="Register a resource",
        tags=["resources"],
        parameters=[VERSION_TOLD],
        request=ResourceGiven,
        responses={201: ResourceWritten},
    )
    def post(self, request: Request) -> Response:
        """Register a unit with its store or its classes of work."""
        extras = ("storage", "workload_classes")
        body = body_of(
            request,
            required=("site", *RESOURCE_REQUIRED),
            optional=("is_behind_meter", "hardware", "response_s", *extras),
        )
        site = one(
            selectors.sites_changed_by(seen_by=self.sight), lock=True, code=str(body["site"])
        )
        plain = {k: v for k, v in body.items() if k not in ("site", *extras)}
        with paths_of_body("resource"):
            resource = resource_register(
                site=site,
                fields=exact(_response_checked(plain), NUMBERS),
                storage=_storage(body.get("storage")),
                workload_classes=_classes(body.get("workload_classes")),
            )
        resource = one(selectors.resources_seen(seen_by=self.sight), code=resource.code)
        return shown(resource, resource_written(resource, self.sight), status=201)


def _classes(value: Any) -> list[Any]:
    if value in (None, []):
        return []
    return [
        exact(row, WORK_NUMBERS, label=f"workload_classes[{i}]") if isinstance(row, dict) else row
        for i, row in enumerate(list_of(value, field="workload_classes", length_max=CLASSES_MAX))
    ]


class OneResource(Door):
    """A resource."""

    access: ClassVar[Access] = {"GET": "site.read", "PUT": "site.change", "PATCH": "site.change"}

    @extend_schema(
        operation_id="resource",
        summary="Show a resource",
        tags=["resources"],
        parameters=[VERSION_TOLD],
        responses={200: ResourceWritten},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show what the caller may see of it."""
        query_of(request, is_list=False)
        resource = one(selectors.resources_seen(seen_by=self.sight), code=code)
        return shown(resource, resource_written(resource, self.sight))

    @extend_schema(
        operation_id="resource_replace",
        summary="Replace what may change of a resource",
        description="A store left out stays; a response time left out is unknown.",
        tags=["resources"],
        parameters=[VERSION_TOLD],
        request=ResourceChanged,
        responses={200: ResourceWritten},
    )
    def put(self, request: Request, code: str) -> Response:
        """All that may change is given."""
        body = body_of(
            request,
            required=REPLACED,
            optional=("is_behind_meter", "hardware", "response_s", "storage"),
        )
        defaults = {"is_behind_meter": True, "hardware": [], "response_s": None}
        return self._change(request, code, {**defaults, **body})

    @extend_schema(
        operation_id="resource_change",
        summary="Change some of a resource",
        tags=["resources"],
        parameters=[VERSION_TOLD],
        request=ResourceChanged(partial=True),
        responses={200: ResourceWritten},
    )
    def patch(self, request: Request, code: str) -> Response:
        """Only what is given changes; a store is given as a whole."""
        body = body_of(request, optional=(*RESOURCE_CHANGES, "storage"))
        return self._change(request, code, dict(body))

    def _change(self, request: Request, code: str, body: dict[str, Any]) -> Response:
        resource, version = read(
            request, selectors.resources_changed_by(seen_by=self.sight), code=code
        )
        storage = _storage(body.pop("storage", None))
        resource_change(
            resource=resource,
            version=version,
            fields=exact(_response_checked(body), NUMBERS),
            storage=storage,
        )
        resource = one(selectors.resources_seen(seen_by=self.sight), code=code)
        return shown(resource, resource_written(resource, self.sight))


class ResourceRetirement(Door):
    """The end of a resource; its row stays."""

    access: ClassVar[Access] = {"POST": "site.change"}

    @extend_schema(
        operation_id="resource_retire",
        summary="Take a resource out of use",
        description="It can be bid no more; bids that are in a book stay.",
        tags=["resources"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=None,
        responses={200: ResourceWritten},
    )
    def post(self, request: Request, code: str) -> Response:
        """Nothing is deleted."""
        body_of(request)
        resource, version = read(
            request, selectors.resources_changed_by(seen_by=self.sight), code=code
        )
        resource_retire(resource=resource, version=version)
        resource = one(selectors.resources_seen(seen_by=self.sight), code=code)
        return shown(resource, resource_written(resource, self.sight))


urlpatterns: list[URLPattern] = [
    path("resources", Resources.as_view(), name="resource-list"),
    path("resources/<slug:code>", OneResource.as_view(), name="resource"),
    path("resources/<slug:code>/retire", ResourceRetirement.as_view(), name="resource-retire"),
]
