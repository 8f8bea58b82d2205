"""Classes of work in a computing load: how patient it is and what it is worth; its operator's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import (
    VERSION_TOLD,
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
from market.registry.models import WorkloadClass, WorkloadKind
from market.registry.services import WORKLOAD_REQUIRED
from market.registry.site_services import (
    WORKLOAD_OPTIONAL,
    workload_class_add,
    workload_class_change,
)

WORK_NUMBERS: Final = frozenset({"power_kw", "slack_h", "latency_max_ms", "value_jpy_per_kwh"})


class WorkloadClassChanged(serializers.Serializer[Any]):
    """What a class of work is; one that is run no more has 0 kW."""

    power_kw = kw("Its power.")
    slack_h = serializers.DecimalField(
        max_digits=6, decimal_places=1, min_value=Decimal(0), help_text="How long it can wait."
    )
    latency_max_ms = serializers.DecimalField(
        max_digits=8,
        decimal_places=2,
        min_value=Decimal(0),
        required=False,
        allow_null=True,
        help_text="Null where it does not matter.",
    )
    labels_required = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False
    )
    value_jpy_per_kwh = serializers.DecimalField(
        max_digits=8, decimal_places=2, min_value=Decimal(0), help_text="What computing is worth."
    )


class WorkloadClassGiven(WorkloadClassChanged):
    """A class of work to add; kind and pool together are new at the resource."""

    kind = serializers.ChoiceField(WorkloadKind.values)
    pool = serializers.CharField(max_length=20, help_text="Hardware it runs on, e.g. `GPU`.")


class WorkloadClassWritten(serializers.Serializer[Any]):
    """A class of work."""

    resource = coded("Code of its resource.")
    kind = serializers.ChoiceField(WorkloadKind.values)
    pool = serializers.CharField()
    power_kw = kw()
    slack_h = serializers.DecimalField(max_digits=6, decimal_places=1)
    latency_max_ms = serializers.DecimalField(max_digits=8, decimal_places=2, allow_null=True)
    labels_required = serializers.ListField(child=serializers.CharField())
    value_jpy_per_kwh = serializers.DecimalField(max_digits=8, decimal_places=2)
    version = serializers.IntegerField()


def workload_class_written(work: WorkloadClass, resource_code: str) -> dict[str, Any]:
    """Print a class of work."""
    return {
        "resource": resource_code,
        "kind": work.kind,
        "pool": work.pool,
        "power_kw": work.power_kw,
        "slack_h": work.slack_h,
        "latency_max_ms": work.latency_max_ms,
        "labels_required": work.labels_required,
        "value_jpy_per_kwh": work.value_jpy_per_kwh,
        "version": work.version,
    }


class WorkloadClasses(Door):
    """Classes of work of one resource; a new one."""

    access: ClassVar[Access] = {"GET": "site.read", "POST": "site.change"}

    @extend_schema(
        operation_id="workload_class_list",
        summary="List the classes of work of a resource",
        tags=["workload classes"],
        parameters=PAGED,
        responses={200: pages_of(WorkloadClassWritten, "WorkloadClass")},
    )
    def get(self, request: Request, code: str) -> Response:
        """In order of kind and pool; of a rival's resource there is no such door."""
        query_of(request)
        sight = self.sight
        resource = one(selectors.resources_seen(seen_by=sight), code=code)
        rows = selectors.workload_classes_seen(seen_by=sight).filter(resource=resource)
        return listed(
            request, rows, lambda work: workload_class_written(work, code), key=("kind", "pool")
        )

    @extend_schema(
        operation_id="workload_class_create",
        summary="Add a class of work",
        tags=["workload classes"],
        parameters=[VERSION_TOLD],
        request=WorkloadClassGiven,
        responses={201: WorkloadClassWritten},
    )
    def post(self, request: Request, code: str) -> Response:
        """Kind and pool together are new at the resource."""
        body = body_of(request, required=WORKLOAD_REQUIRED, optional=WORKLOAD_OPTIONAL)
        resource = one(selectors.resources_changed_by(seen_by=self.sight), code=code)
        work = workload_class_add(resource=resource, fields=exact(body, WORK_NUMBERS))
        work.refresh_from_db()
        return shown(work, workload_class_written(work, code), status=201)


class OneWorkloadClass(Door):
    """A class of work."""

    access: ClassVar[Access] = {"GET": "site.read", "PUT": "site.change"}

    @extend_schema(
        operation_id="workload_class",
        summary="Show a class of work",
        tags=["workload classes"],
        parameters=[VERSION_TOLD],
        responses={200: WorkloadClassWritten},
    )
    def get(self, request: Request, code: str, kind: str, pool: str) -> Response:
        """Its operator's and the market's desk's."""
        query_of(request, is_list=False)
        rows = selectors.workload_classes_seen(seen_by=self.sight)
        work = one(rows, resource__code=code, kind=kind, pool=pool)
        return shown(work, workload_class_written(work, code))

    @extend_schema(
        operation_id="workload_class_replace",
        summary="Replace a class of work",
        tags=["workload classes"],
        parameters=[VERSION_TOLD],
        request=WorkloadClassChanged,
        responses={200: WorkloadClassWritten},
    )
    def put(self, request: Request, code: str, kind: str, pool: str) -> Response:
        """Kind and pool stay; what is left out of the others is none."""
        required = [name for name in WORKLOAD_REQUIRED if name not in ("kind", "pool")]
        body = body_of(request, required=required, optional=WORKLOAD_OPTIONAL)
        rows = selectors.workload_classes_changed_by(seen_by=self.sight)
        work, version = read(request, rows, resource__code=code, kind=kind, pool=pool)
        work = workload_class_change(work=work, version=version, fields=exact(body, WORK_NUMBERS))
        work.refresh_from_db()
        return shown(work, workload_class_written(work, code))


urlpatterns: list[URLPattern] = [
    path(
        "resources/<slug:code>/workload-classes",
        WorkloadClasses.as_view(),
        name="workload-class-list",
    ),
    path(
        "resources/<slug:code>/workload-classes/<slug:kind>/<str:pool>",
        OneWorkloadClass.as_view(),
        name="workload-class",
    ),
]
