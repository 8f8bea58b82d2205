"""Connections with a firm and a flexible part: opened and limited by their grid operator."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, code_of, moment_of, query_of, row_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.registry_rows import coded, listed, pages_of
from aggregator.api.v1.schema import PAGED, problems
from aggregator.dispatch import connections
from aggregator.dispatch.connection_models import HEARTBEAT_MAX_S, HEARTBEAT_MIN_S
from aggregator.dispatch.models import ConnectionLimit, ConnectionState, FlexibleConnection
from market.registry.models import Site


class ConnectionGiven(serializers.Serializer[Any]):
    """A connection to be opened."""

    site = coded("A site of your own area.")
    firm_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    flexible_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    heartbeat_s = serializers.IntegerField(min_value=HEARTBEAT_MIN_S, max_value=HEARTBEAT_MAX_S)
    failsafe_s = serializers.IntegerField(
        max_value=connections.FAILSAFE_MAX_S, help_text="At least two heartbeats."
    )


class ConnectionWritten(serializers.Serializer[Any]):
    """A connection, and whether its site is heard."""

    id = serializers.UUIDField()
    site = coded("Its site.")
    organisation = coded("Its grid operator.")
    firm_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    flexible_kw = serializers.DecimalField(max_digits=12, decimal_places=1)
    heartbeat_s = serializers.IntegerField()
    failsafe_s = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ConnectionState.values)
    heard_at = serializers.DateTimeField(allow_null=True)


class LimitGiven(serializers.Serializer[Any]):
    """What may be drawn for a while; the latest word prevails."""

    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    limit_kw = serializers.DecimalField(
        max_digits=12, decimal_places=1, help_text="From the firm part to the whole connection."
    )
    reason = serializers.CharField(max_length=connections.REASON_LENGTH_MAX, required=False)


class LimitWritten(LimitGiven):
    """A limit as it was said."""

    number = serializers.IntegerField()
    noted_at = serializers.DateTimeField()


def connection_written(row: FlexibleConnection) -> dict[str, Any]:
    """Print a connection."""
    return {
        "id": row.id,
        "site": row.site.code,
        "organisation": row.organisation.code,
        "firm_kw": row.firm_kw,
        "flexible_kw": row.flexible_kw,
        "heartbeat_s": row.heartbeat_s,
        "failsafe_s": row.failsafe_s,
        "state": row.state,
        "heard_at": row.heard_at,
    }


def limit_written(row: ConnectionLimit) -> dict[str, Any]:
    """Print a limit."""
    return {
        "number": row.number,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "limit_kw": row.limit_kw,
        "reason": row.reason,
        "noted_at": row.noted_at,
    }


def _seconds(value: Any, *, field: str) -> int:
    if type(value) is not int or not 0 < value <= connections.FAILSAFE_MAX_S:
        raise Refused(field=field, value=value, rule="a whole number of seconds, up to a day")
    return value


def _kw(value: Any, *, field: str) -> Decimal:
    return decimal_of(value, field=field, low=Decimal(0), high=Decimal(KW_MAX), places=1)


class FlexibleConnections(Door):
    """Connections the caller can see."""

    access: ClassVar[Access] = {"GET": connections.OWN, "POST": connections.OPEN}

    @extend_schema(
        operation_id="flexible_connection_list",
        summary="List conditional connections",
        tags=["flexible-connections"],
        parameters=[*PAGED, OpenApiParameter("site", OpenApiTypes.STR, description="Code.")],
        responses={200: pages_of(ConnectionWritten, "FlexibleConnection")},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        rows = connections.connections_seen(seen_by=self.sight)
        asked = query_of(request, "site")
        if "site" in asked:
            rows = rows.filter(site__code=code_of(asked["site"], field="site"))
        return listed(request, rows, connection_written, key=("id",))

    @extend_schema(
        operation_id="flexible_connection_open",
        summary="Open a conditional connection for a site of your area",
        tags=["flexible-connections"],
        request=ConnectionGiven,
        responses={201: ConnectionWritten, **problems("conflict")},
    )
    def post(self, request: Request) -> Response:
        """Open it; the site is told over OpenADR."""
        body = body_of(
            request, required=("site", "firm_kw", "flexible_kw", "heartbeat_s", "failsafe_s")
        )
        code = code_of(body["site"], field="site")
        mine = Site.objects.filter(area__tso_id__in=self.sight.organisations_for(connections.OPEN))
        site = mine.select_related("area__tso").filter(code=code, retired_at__isnull=True).first()
        if site is None:
            raise Refused(field="site", value=code, rule="a site of your area")
        row = connections.connection_open(
            site=site,
            firm_kw=_kw(body["firm_kw"], field="firm_kw"),
            flexible_kw=_kw(body["flexible_kw"], field="flexible_kw"),
            heartbeat_s=_seconds(body["heartbeat_s"], field="heartbeat_s"),
            failsafe_s=_seconds(body["failsafe_s"], field="failsafe_s"),
            by=self.sight,
        )
        return Response(connection_written(row), status=201)


class ConnectionLimits(Door):
    """What may be drawn, as it was said."""

    access: ClassVar[Access] = {"GET": connections.OWN, "POST": connections.OPEN}

    @extend_schema(
        operation_id="flexible_connection_limit_list",
        summary="List what was said of a connection, in turn",
        tags=["flexible-connections"],
        parameters=PAGED,
        responses={200: pages_of(LimitWritten, "ConnectionLimit")},
    )
    def get(self, request: Request, connection_id: UUID) -> Response:
        """Return one page."""
        query_of(request)
        row = row_of(
            connections.connections_seen(seen_by=self.sight), "connection", id=connection_id
        )
        return listed(request, row.limits.all(), limit_written, key=("number",))

    @extend_schema(
        operation_id="flexible_connection_limit",
        summary="Say what a connection may draw for a while",
        tags=["flexible-connections"],
        request=LimitGiven,
        responses={201: LimitWritten},
    )
    def post(self, request: Request, connection_id: UUID) -> Response:
        """Say it; the site is told over OpenADR at once."""
        row = row_of(
            connections.connections_seen(seen_by=self.sight), "connection", id=connection_id
        )
        body = body_of(request, required=("starts_at", "ends_at", "limit_kw"), optional=("reason",))
        reason = body.get("reason", "")
        if reason != "":
            length_max = connections.REASON_LENGTH_MAX
            reason = text_of(reason, field="reason", length_max=length_max)
        made = connections.connection_limit(
            connection_id=row.id,
            starts_at=moment_of(body["starts_at"], field="starts_at"),
            ends_at=moment_of(body["ends_at"], field="ends_at"),
            limit_kw=_kw(body["limit_kw"], field="limit_kw"),
            reason=reason,
            by=self.sight,
        )
        return Response(limit_written(made), status=201)


class ConnectionEnd(Door):
    """The end of a connection."""

    access: ClassVar[Access] = {"POST": connections.OPEN}

    @extend_schema(
        operation_id="flexible_connection_end",
        summary="End a conditional connection",
        tags=["flexible-connections"],
        request=None,
        responses={200: ConnectionWritten},
    )
    def post(self, request: Request, connection_id: UUID) -> Response:
        """End it: the contract holds again."""
        row = row_of(
            connections.connections_seen(seen_by=self.sight), "connection", id=connection_id
        )
        body_of(request)
        ended = connections.connection_end(connection_id=row.id, by=self.sight)
        return Response(connection_written(ended))


urlpatterns: list[URLPattern] = [
    path("flexible-connections", FlexibleConnections.as_view(), name="flexible-connection-list"),
    path(
        "flexible-connections/<uuid:connection_id>/limits",
        ConnectionLimits.as_view(),
        name="connection-limit-list",
    ),
    path(
        "flexible-connections/<uuid:connection_id>/end",
        ConnectionEnd.as_view(),
        name="connection-end",
    ),
]
