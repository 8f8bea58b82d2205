"""Machines and their keys. A secret is shown once, by the answer that makes it."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.db import transaction
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import Refused
from accounts.parties.keys import (
    GRACE_MAX_S,
    GRACE_S,
    api_client_change,
    api_client_create,
    api_client_previous_revoke,
    api_client_rotate,
)
from accounts.parties.models import ApiClient
from accounts.parties.roles import Role
from accounts.parties.selectors import clients_seen
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, flag_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.organisations import organisation_for
from aggregator.api.v1.pagination import page
from aggregator.api.v1.registry_rows import VERSION_TOLD, coded, one, pages_of, read
from aggregator.api.v1.registry_rows import shown as _shown
from aggregator.api.v1.schema import IF_MATCH, PAGED

ACTION: Final = "client.manage"
CLIENT_ID: Final = r"^[A-Za-z0-9._~-]{1,128}$"


def _role() -> serializers.ChoiceField:
    return serializers.ChoiceField(
        choices=["", *Role.values], help_text="What it may do here; empty: nothing."
    )


class ClientChanged(serializers.Serializer[Any]):
    """What may change of a machine."""

    name = serializers.CharField(max_length=120)
    role = _role()
    is_active = serializers.BooleanField(help_text="Switched off, it loses its tokens at once.")


class ClientGiven(serializers.Serializer[Any]):
    """A new machine."""

    client_id = serializers.RegexField(CLIENT_ID, help_text="Its name for /oauth/token, unique.")
    name = serializers.CharField(max_length=120, required=False)
    role = _role()
    organisation = coded("Code of the organisation, where you act for several.", required=False)


class ClientWritten(serializers.Serializer[Any]):
    """A machine, without its secret."""

    id = serializers.UUIDField()
    client_id = serializers.CharField()
    name = serializers.CharField()
    organisation = coded("Its code.")
    role = _role()
    is_active = serializers.BooleanField()
    secret_made_at = serializers.DateTimeField(help_text="When its secret was last rotated.")
    previous_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when the secret before is valid too."
    )
    version = serializers.IntegerField()


class ClientKeyWritten(ClientWritten):
    """A machine with its new secret, which is shown here and never again."""

    client_secret = serializers.CharField()


class RotationGiven(serializers.Serializer[Any]):
    """How long the secret before stays valid."""

    grace_s = serializers.IntegerField(
        min_value=0, max_value=GRACE_MAX_S, required=False, help_text=f"Default {GRACE_S}, a day."
    )


def client_written(row: ApiClient) -> dict[str, Any]:
    """Print a machine; of its secrets only when they were made and end."""
    return {
        "id": str(row.id),
        "client_id": row.client_id,
        "name": row.name,
        "organisation": row.organisation.code,
        "role": row.role,
        "is_active": row.is_active,
        "secret_made_at": row.secret_made_at,
        "previous_until": row.previous_until,
        "version": row.version,
    }


class Clients(Door):
    """Machines whose keys the caller manages; a new one.

    A POST is not remembered under a key: the answer holds a secret, which is kept nowhere. Who
    loses it asks for a rotation.
    """

    access: ClassVar[Access] = {"GET": ACTION, "POST": ACTION}
    needs_key: ClassVar[bool] = False

    @extend_schema(
        operation_id="client_list",
        summary="List machines",
        tags=["clients"],
        parameters=[
            *PAGED,
            OpenApiParameter(
                "organisation", OpenApiTypes.STR, description="Only of this organisation."
            ),
        ],
        responses={200: pages_of(ClientWritten, "Client")},
    )
    def get(self, request: Request) -> Response:
        """In order of the client's id."""
        asked = query_of(request, "organisation")
        rows = clients_seen(seen_by=self.sight)
        if "organisation" in asked:
            rows = rows.filter(organisation__code=asked["organisation"])
        return Response(page(request, rows, client_written, key=("client_id",)))

    @extend_schema(
        operation_id="client_create",
        summary="Make a machine's key",
        tags=["clients"],
        parameters=[VERSION_TOLD],
        request=ClientGiven,
        responses={201: ClientKeyWritten},
    )
    def post(self, request: Request) -> Response:
        """Make a machine; its secret is in this answer only."""
        body = body_of(request, required=("client_id", "role"), optional=("name", "organisation"))
        organisation = organisation_for(self.sight, ACTION, body.get("organisation"))
        made, secret = api_client_create(
            organisation=organisation,
            client_id=_text(body["client_id"], "client_id"),
            role=_text(body["role"], "role"),
            name=_text(body.get("name", ""), "name"),
        )
        row = one(clients_seen(seen_by=self.sight), pk=made.pk)
        return _shown(row, {**client_written(row), "client_secret": secret}, status=201)


class OneClient(Door):
    """A machine."""

    access: ClassVar[Access] = {"GET": ACTION, "PATCH": ACTION}

    @extend_schema(
        operation_id="client",
        summary="Show a machine",
        tags=["clients"],
        parameters=[VERSION_TOLD],
        responses={200: ClientWritten},
    )
    def get(self, request: Request, client_id: UUID) -> Response:
        """Show it, without secrets."""
        query_of(request, is_list=False)
        row = one(clients_seen(seen_by=self.sight), pk=client_id)
        return _shown(row, client_written(row))

    @extend_schema(
        operation_id="client_change",
        summary="Rename a machine, change its role, switch it off or on",
        tags=["clients"],
        parameters=[VERSION_TOLD],
        request=ClientChanged(partial=True),
        responses={200: ClientWritten},
    )
    def patch(self, request: Request, client_id: UUID) -> Response:
        """Only what is given changes."""
        row, _ = read(request, clients_seen(seen_by=self.sight), pk=client_id)
        body = body_of(request, optional=("name", "role", "is_active"))
        changes: dict[str, Any] = {
            name: _text(body[name], name) for name in ("name", "role") if name in body
        }
        if "is_active" in body:
            changes["is_active"] = flag_of(body["is_active"], field="is_active")
        api_client_change(client_id=row.pk, **changes)
        row = one(clients_seen(seen_by=self.sight), pk=client_id)
        return _shown(row, client_written(row))


class ClientRotate(Door):
    """A new secret for a machine."""

    access: ClassVar[Access] = {"POST": ACTION}
    needs_key: ClassVar[bool] = False  # the answer holds a secret

    @extend_schema(
        operation_id="client_rotate",
        summary="Give a machine a new secret",
        description="It is valid at once; the one before until `grace_s` is over or it is "
        "revoked. With a grace of 0 all its tokens end now.",
        tags=["clients"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=RotationGiven,
        responses={200: ClientKeyWritten},
    )
    def post(self, request: Request, client_id: UUID) -> Response:
        """Rotate; the version that was read decides between two who rotate at once."""
        body = body_of(request, optional=("grace_s",))
        with transaction.atomic():
            row, _ = read(request, clients_seen(seen_by=self.sight), pk=client_id)
            _, secret = api_client_rotate(client_id=row.pk, grace_s=body.get("grace_s", GRACE_S))
            row = one(clients_seen(seen_by=self.sight), pk=client_id)
        return _shown(row, {**client_written(row), "client_secret": secret})


class ClientPreviousRevoke(Door):
    """The end of the secret before."""

    access: ClassVar[Access] = {"POST": ACTION}

    @extend_schema(
        operation_id="client_revoke_previous",
        summary="End the grace of the secret before",
        description="All tokens of the machine end with it and are asked for anew.",
        tags=["clients"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=None,
        responses={200: ClientWritten},
    )
    def post(self, request: Request, client_id: UUID) -> Response:
        """Revoke."""
        body_of(request)
        row, _ = read(request, clients_seen(seen_by=self.sight), pk=client_id)
        api_client_previous_revoke(client_id=row.pk)
        row = one(clients_seen(seen_by=self.sight), pk=client_id)
        return _shown(row, client_written(row))


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise Refused(field=field, value=value, rule="a text")
    return value


urlpatterns: list[URLPattern] = [
    path("clients", Clients.as_view(), name="client-list"),
    path("clients/<uuid:client_id>", OneClient.as_view(), name="client"),
    path("clients/<uuid:client_id>/rotate", ClientRotate.as_view(), name="client-rotate"),
    path(
        "clients/<uuid:client_id>/revoke-previous",
        ClientPreviousRevoke.as_view(),
        name="client-revoke-previous",
    ),
]
