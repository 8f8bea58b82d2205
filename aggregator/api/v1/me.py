"""Who the caller is, what they may do where, and where they are signed in."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotPermitted
from accounts.parties.models import User
from accounts.parties.roles import MAY
from accounts.parties.sessions import session_end, sessions_seen
from aggregator.api.v1.access import SIGNED_IN, Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.etag import expect, tag
from aggregator.api.v1.pagination import page
from aggregator.api.v1.registry_rows import VERSION_TOLD, coded, one, pages_of
from aggregator.api.v1.schema import PAGED

DIGITS_MAX: Final = 18


class PlaceWritten(serializers.Serializer[Any]):
    """An organisation the caller acts for."""

    organisation = coded("Its code.")
    roles = serializers.ListField(child=serializers.CharField())
    actions = serializers.ListField(
        child=serializers.CharField(), help_text="What those roles allow, by the table of roles."
    )


class MeWritten(serializers.Serializer[Any]):
    """The caller."""

    kind = serializers.ChoiceField(choices=["person", "machine"])
    actor = serializers.CharField(help_text="As the audit trail names the caller.")
    runs_the_market = serializers.BooleanField(help_text="Then roles count for everybody's rows.")
    lacks_second_factor = serializers.BooleanField(
        help_text="Whether roles were left out that need one."
    )
    places = PlaceWritten(many=True)


class SessionWritten(serializers.Serializer[Any]):
    """Where a person is signed in."""

    id = serializers.IntegerField()
    user_agent = serializers.CharField(help_text="What the browser calls itself.")
    address = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="To the minute.")
    is_current = serializers.BooleanField()


class Me(Door):
    """The caller."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="me",
        summary="Who am I, and what may I do",
        tags=["me"],
        responses={200: MeWritten},
    )
    def get(self, request: Request) -> Response:
        """Say it as every door sees it."""
        query_of(request, is_list=False)
        sight = self.sight
        places = []
        for row in sight.organisations:
            roles = sorted(role for at, role in sight.roles if at == row.id)
            actions = sorted(set().union(*(MAY.get(role, frozenset()) for role in roles)))
            places.append({"organisation": row.code, "roles": roles, "actions": actions})
        return Response(
            {
                "kind": "person" if sight.user_id is not None else "machine",
                "actor": sight.actor,
                "runs_the_market": sight.market_id is not None,
                "lacks_second_factor": sight.lacks_second_factor,
                "places": places,
            }
        )


class Sessions(Door):
    """The person's own sessions."""

    access: ClassVar[Access] = {"GET": SIGNED_IN}

    @extend_schema(
        operation_id="session_list",
        summary="List my sessions",
        description="A machine has none.",
        tags=["me"],
        parameters=PAGED,
        responses={200: pages_of(SessionWritten, "Session")},
    )
    def get(self, request: Request) -> Response:
        """In order of sign-in."""
        query_of(request)
        rows = sessions_seen(seen_by=self.sight)
        key = _key_of(request)
        return Response(page(request, rows, lambda row: session_written(row, key), key=("id",)))


class OneSession(Door):
    """One of the person's own sessions."""

    access: ClassVar[Access] = {"GET": SIGNED_IN, "DELETE": SIGNED_IN}

    @extend_schema(
        operation_id="session",
        summary="Show one of my sessions",
        tags=["me"],
        parameters=[VERSION_TOLD],
        responses={200: SessionWritten},
    )
    def get(self, request: Request, session_id: str) -> Response:
        """Show it."""
        query_of(request, is_list=False)
        row = one(sessions_seen(seen_by=self.sight), pk=_number(session_id))
        return Response(session_written(row, _key_of(request)), headers={"ETag": tag(row.pk)})

    @extend_schema(
        operation_id="session_end",
        summary="End one of my sessions",
        description="Its ETag is its id: a session does not change.",
        tags=["me"],
        responses={204: None},
    )
    def delete(self, request: Request, session_id: str) -> Response:
        """Sign it out, wherever it is."""
        row = one(sessions_seen(seen_by=self.sight), pk=_number(session_id))
        expect(request, row.pk)
        if not isinstance(request.user, User):
            raise NotPermitted(field="session", value=session_id, rule="for people")
        session_end(user=request.user, session_id=row.pk)
        return Response(status=204)


def session_written(row: Any, key: str | None) -> dict[str, Any]:
    """Print a session; its key is a way in and stays out."""
    return {
        "id": row.pk,
        "user_agent": row.user_agent,
        "address": row.ip,
        "created_at": row.created_at,
        "last_seen_at": row.last_seen_at,
        "is_current": row.session_key == key,
    }


def _number(session_id: str) -> int:
    """Return the id, or one that no session has."""
    is_number = session_id.isascii() and session_id.isdigit() and len(session_id) <= DIGITS_MAX
    return int(session_id) if is_number else 0


def _key_of(request: Request) -> str | None:
    session = getattr(request, "session", None)
    return None if session is None else session.session_key


urlpatterns: list[URLPattern] = [
    path("me", Me.as_view(), name="me"),
    path("sessions", Sessions.as_view(), name="session-list"),
    path("sessions/<slug:session_id>", OneSession.as_view(), name="session"),
]
