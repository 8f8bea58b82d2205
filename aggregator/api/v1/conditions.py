"""What grid operators publish about the grid: forecast flows, limits between areas, envelopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from aggregator.api.v1 import told
from aggregator.api.v1.access import PUBLIC, SIGNED_IN, Access
from aggregator.api.v1.asked import body_of, code_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.pagination import page
from aggregator.api.v1.schema import PAGED, problems
from market.trading import selectors
from market.trading.condition_services import (
    base_flows_publish,
    envelope_publish,
    transfer_limit_publish,
)
from market.trading.models import BaseFlow, Envelope, EnvelopeKind, TransferLimit

ELEMENTS_MAX = 1_000


class BaseFlowSeen(serializers.Serializer[Any]):
    """Flow forecast on a monitored element before the market acts; signed."""

    auction = serializers.CharField()
    element = serializers.CharField()
    base_flow_kw = told.kw_series()
    revision = serializers.IntegerField(min_value=1)
    available_at = serializers.DateTimeField()


class BaseFlowPage(serializers.Serializer[Any]):
    """Forecasts, the latest first."""

    items = BaseFlowSeen(many=True)
    next = serializers.CharField(allow_null=True)


class BaseFlowsInput(serializers.Serializer[Any]):
    """Flows by code of their element; a further call is the next revision."""

    base_flows = serializers.DictField(
        child=told.kw_series("signed kW, positive from the branch's start to its end")
    )


class BaseFlowsPublished(serializers.Serializer[Any]):
    """What was published."""

    auction = serializers.CharField()
    elements = serializers.ListField(child=serializers.CharField())


class TransferLimitInput(serializers.Serializer[Any]):
    """What the market may move between two areas, both ways."""

    from_area = serializers.CharField()
    to_area = serializers.CharField()
    link = serializers.CharField(
        required=False, allow_null=True, help_text="Code; null = by AC lines."
    )
    limit_kw = told.kw_series()


class TransferLimitSeen(TransferLimitInput):
    """A published limit."""

    auction = serializers.CharField()
    available_at = serializers.DateTimeField()


class TransferLimitPage(serializers.Serializer[Any]):
    """Limits."""

    items = TransferLimitSeen(many=True)
    next = serializers.CharField(allow_null=True)


class EnvelopeInput(serializers.Serializer[Any]):
    """The most a flexible connection may import, and what the forecast flows contain of it."""

    site = serializers.CharField()
    kind = serializers.ChoiceField(EnvelopeKind.choices)
    scheduled_import_kw = told.kw_series("signed kW")
    max_import_kw = told.kw_series("kW; may be left out of a FIXED pattern that is in force")

    def get_fields(self) -> dict[str, Any]:
        """Let the limits be left out."""
        found: dict[str, Any] = super().get_fields()
        found["max_import_kw"].required = False
        return found


class EnvelopeSeen(serializers.Serializer[Any]):
    """A revision of an envelope."""

    auction = serializers.CharField()
    site = serializers.CharField()
    organisation = serializers.CharField(help_text="Code of the grid operator.")
    kind = serializers.ChoiceField(EnvelopeKind.choices)
    max_import_kw = told.kw_series()
    scheduled_import_kw = told.kw_series()
    revision = serializers.IntegerField(min_value=1)
    available_at = serializers.DateTimeField()


class EnvelopePage(serializers.Serializer[Any]):
    """Envelopes, the latest first."""

    items = EnvelopeSeen(many=True)
    next = serializers.CharField(allow_null=True)


def base_flow_told(row: BaseFlow) -> dict[str, Any]:
    """Print a forecast."""
    return {
        "auction": row.auction.code,
        "element": row.congestion_point.code,
        "base_flow_kw": row.base_flow_kw,
        "revision": row.revision,
        "available_at": row.available_at,
    }


def limit_told(row: TransferLimit) -> dict[str, Any]:
    """Print a limit between areas."""
    return {
        "auction": row.auction.code,
        "from_area": row.from_area_id,
        "to_area": row.to_area_id,
        "link": row.link.code if row.link else None,
        "limit_kw": row.limit_kw,
        "available_at": row.available_at,
    }


def envelope_told(row: Envelope) -> dict[str, Any]:
    """Print an envelope."""
    return {
        "auction": row.auction.code,
        "site": row.site.code,
        "organisation": row.organisation.code,
        "kind": row.kind,
        "max_import_kw": row.max_import_kw,
        "scheduled_import_kw": row.scheduled_import_kw,
        "revision": row.revision,
        "available_at": row.available_at,
    }


class BaseFlows(Door):
    """Forecast flows of an auction."""

    access: ClassVar[Access] = {"GET": "network.read", "POST": "need.publish"}

    @extend_schema(
        operation_id="base_flow_list",
        summary="Forecast flows on your elements, every revision",
        parameters=PAGED,
        responses={200: BaseFlowPage},
    )
    def get(self, request: Request, code: str) -> Response:
        """Own elements; all for the market's desk."""
        query_of(request)
        rows = selectors.base_flows_seen(selectors.auction_named(code), seen_by=self.sight)
        return Response(page(request, rows, base_flow_told, key=("-available_at", "-id")))

    @extend_schema(
        operation_id="base_flow_publish",
        summary="Publish forecast flows on your elements, until the gate",
        parameters=[told.ORGANISATION],
        request=BaseFlowsInput,
        responses={201: BaseFlowsPublished, **problems("gate-closed")},
    )
    def post(self, request: Request, code: str) -> Response:
        """Publish them, or their next revision."""
        query = query_of(request, "organisation", is_list=False)
        organisation = self.sight.acting_for("need.publish", query.get("organisation"))
        flows = body_of(request, required=("base_flows",))["base_flows"]
        if not isinstance(flows, Mapping) or not 1 <= len(flows) <= ELEMENTS_MAX:
            rule = f"an object of 1 to {ELEMENTS_MAX} elements"
            raise Refused(field="base_flows", value=flows, rule=rule)
        base_flows_publish(auction_id=code, organisation=organisation, base_flow_kw_of=flows)
        return Response({"auction": code, "elements": sorted(flows)}, status=201)


class TransferLimits(Door):
    """Limits between areas in an auction."""

    access: ClassVar[Access] = {"GET": PUBLIC, "POST": "need.publish"}

    @extend_schema(
        operation_id="transfer_limit_list",
        summary="What the market may move between areas; public",
        parameters=PAGED,
        responses={200: TransferLimitPage},
    )
    def get(self, request: Request, code: str) -> Response:
        """Show what is published."""
        query_of(request)
        rows = selectors.transfer_limits_of(selectors.auction_named(code))
        return Response(page(request, rows, limit_told, key=("-available_at", "-id")))

    @extend_schema(
        operation_id="transfer_limit_publish",
        summary="Let the market move power between two areas, until the gate",
        parameters=[told.ORGANISATION],
        request=TransferLimitInput,
        responses={201: TransferLimitSeen, **problems("gate-closed")},
    )
    def post(self, request: Request, code: str) -> Response:
        """Publish a limit; one of the two areas is the operator's own."""
        query = query_of(request, "organisation", is_list=False)
        organisation = self.sight.acting_for("need.publish", query.get("organisation"))
        body = body_of(request, required=("from_area", "to_area", "limit_kw"), optional=("link",))
        link = body.get("link")
        limit = transfer_limit_publish(
            auction_id=code,
            organisation=organisation,
            from_area=code_of(body["from_area"], field="from_area"),
            to_area=code_of(body["to_area"], field="to_area"),
            limit_kw=body["limit_kw"],
            link_code=None if link is None else code_of(link, field="link"),
        )
        limit.refresh_from_db()  # numbers with the digits of their columns
        return Response(limit_told(limit), status=201)


class Envelopes(Door):
    """Envelopes of flexible connections in an auction."""

    access: ClassVar[Access] = {"GET": SIGNED_IN, "POST": "need.publish"}

    @extend_schema(
        operation_id="envelope_list",
        summary="Envelopes of your sites or your grid, every revision",
        parameters=PAGED,
        responses={200: EnvelopePage},
    )
    def get(self, request: Request, code: str) -> Response:
        """To the grid operator, the site's operator and the market's desk."""
        query_of(request)
        rows = selectors.envelopes_seen(selectors.auction_named(code), seen_by=self.sight)
        return Response(page(request, rows, envelope_told, key=("-available_at", "-id")))

    @extend_schema(
        operation_id="envelope_publish",
        summary="Publish the most a flexible connection may import, until the gate",
        parameters=[told.ORGANISATION],
        request=EnvelopeInput,
        responses={201: EnvelopeSeen, **problems("gate-closed")},
    )
    def post(self, request: Request, code: str) -> Response:
        """Publish it, or its next revision."""
        query = query_of(request, "organisation", is_list=False)
        organisation = self.sight.acting_for("need.publish", query.get("organisation"))
        body = body_of(
            request, required=("site", "kind", "scheduled_import_kw"), optional=("max_import_kw",)
        )
        envelope = envelope_publish(
            auction_id=code,
            organisation=organisation,
            site_code=code_of(body["site"], field="site"),
            kind=str(body["kind"]),
            scheduled_import_kw=body["scheduled_import_kw"],
            max_import_kw=body.get("max_import_kw"),
        )
        envelope.refresh_from_db()  # numbers with the digits of their columns
        return Response(envelope_told(envelope), status=201)


urlpatterns: list[URLPattern] = [
    path("auctions/<slug:code>/base-flows", BaseFlows.as_view(), name="base-flow-list"),
    path(
        "auctions/<slug:code>/transfer-limits",
        TransferLimits.as_view(),
        name="transfer-limit-list",
    ),
    path("auctions/<slug:code>/envelopes", Envelopes.as_view(), name="envelope-list"),
]
