"""Roles of people, and invitations to them."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.db.models.functions import Now
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.parties.invitations import (
    invitation_create,
    invitation_resend,
    invitation_revoke,
)
from accounts.parties.members import membership_change, membership_grant, membership_remove
from accounts.parties.models import Invitation, Membership
from accounts.parties.roles import Role
from accounts.parties.selectors import invitations_seen, members_seen
from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, query_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.organisations import organisation_for
from aggregator.api.v1.pagination import page
from aggregator.api.v1.registry_rows import VERSION_TOLD, coded, one, pages_of, read
from aggregator.api.v1.registry_rows import shown as _shown
from aggregator.api.v1.schema import IF_MATCH, PAGED

ACTION: Final = "member.invite"
STATES: Final = ("OPEN", "ACCEPTED", "EXPIRED", "REVOKED")
OF_ORGANISATION: Final = OpenApiParameter(
    "organisation", OpenApiTypes.STR, description="Only of the organisation with this code."
)


def _role() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=Role.values)


def _acted() -> serializers.CharField:
    return coded("Code of the organisation, where you act for several.", required=False)


class MemberGiven(serializers.Serializer[Any]):
    """Another role for somebody who is a member already."""

    username = serializers.CharField(max_length=150)
    role = _role()
    organisation = _acted()


class MemberChanged(serializers.Serializer[Any]):
    """The role there shall be instead."""

    role = _role()


class MemberWritten(serializers.Serializer[Any]):
    """A person's role in an organisation."""

    id = serializers.UUIDField()
    organisation = coded("Its code.")
    username = serializers.CharField()
    display_name = serializers.CharField()
    email = serializers.CharField()
    role = _role()
    is_active = serializers.BooleanField(help_text="Whether the person may sign in at all.")
    version = serializers.IntegerField()


class InvitationGiven(serializers.Serializer[Any]):
    """Who is invited to which role."""

    email = serializers.EmailField(max_length=254)
    role = _role()
    organisation = _acted()


class InvitationWritten(serializers.Serializer[Any]):
    """An invitation; its link is in the mail only."""

    id = serializers.UUIDField()
    organisation = coded("Its code.")
    email = serializers.EmailField()
    role = _role()
    state = serializers.ChoiceField(choices=STATES)
    invited_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True, help_text="When the mail went out.")
    version = serializers.IntegerField()


def member_written(row: Membership) -> dict[str, Any]:
    """Print a person's role."""
    return {
        "id": str(row.uid),
        "organisation": row.organisation.code,
        "username": row.user.username,
        "display_name": row.user.display_name,
        "email": row.user.email,
        "role": row.role,
        "is_active": row.user.is_active,
        "version": row.version,
    }


def invitation_written(row: Any) -> dict[str, Any]:
    """Print an invitation as of ``row.read_at``."""
    state = "EXPIRED" if row.expires_at <= row.read_at else "OPEN"
    if row.accepted_at is not None:
        state = "ACCEPTED"
    elif row.revoked_at is not None:
        state = "REVOKED"
    return {
        "id": str(row.id),
        "organisation": row.organisation.code,
        "email": row.email,
        "role": row.role,
        "state": state,
        "invited_by": row.invited_by,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "sent_at": row.sent_at,
        "version": row.version,
    }


class Members(Door):
    """Roles of people where the caller may read them; another one."""

    access: ClassVar[Access] = {"GET": "member.read", "POST": ACTION}

    @extend_schema(
        operation_id="member_list",
        summary="List roles of people",
        tags=["members"],
        parameters=[*PAGED, OF_ORGANISATION, OpenApiParameter("role", enum=sorted(Role.values))],
        responses={200: pages_of(MemberWritten, "Member")},
    )
    def get(self, request: Request) -> Response:
        """In order of id."""
        asked = query_of(request, "organisation", "role")
        rows = members_seen(seen_by=self.sight)
        if "organisation" in asked:
            rows = rows.filter(organisation__code=asked["organisation"])
        if "role" in asked:
            rows = rows.filter(role=choice_of(asked["role"], Role.values, field="role"))
        return Response(page(request, rows, member_written, key=("uid",)))

    @extend_schema(
        operation_id="member_create",
        summary="Give a member another role",
        description="Who is not a member yet is invited instead.",
        tags=["members"],
        parameters=[VERSION_TOLD],
        request=MemberGiven,
        responses={201: MemberWritten},
    )
    def post(self, request: Request) -> Response:
        """Grant."""
        body = body_of(request, required=("username", "role"), optional=("organisation",))
        organisation = organisation_for(self.sight, ACTION, body.get("organisation"))
        row = membership_grant(
            organisation=organisation,
            username=str(body["username"]),
            role=choice_of(body["role"], Role.values, field="role"),
        )
        return _shown(row, member_written(row), status=201)


class OneMember(Door):
    """A person's role."""

    access: ClassVar[Access] = {"GET": "member.read", "PUT": ACTION, "DELETE": ACTION}

    @extend_schema(
        operation_id="member",
        summary="Show a person's role",
        tags=["members"],
        parameters=[VERSION_TOLD],
        responses={200: MemberWritten},
    )
    def get(self, request: Request, member_id: UUID) -> Response:
        """Show it."""
        query_of(request, is_list=False)
        row = one(members_seen(seen_by=self.sight), uid=member_id)
        return _shown(row, member_written(row))

    @extend_schema(
        operation_id="member_change",
        summary="Give another role instead",
        tags=["members"],
        parameters=[VERSION_TOLD],
        request=MemberChanged,
        responses={200: MemberWritten},
    )
    def put(self, request: Request, member_id: UUID) -> Response:
        """Change the role; the last administrator stays."""
        row, _ = self._read(request, member_id)
        body = body_of(request, required=("role",))
        role = choice_of(body["role"], Role.values, field="role")
        membership_change(membership_id=row.uid, role=role)
        row = one(members_seen(seen_by=self.sight), uid=member_id)
        return _shown(row, member_written(row))

    @extend_schema(
        operation_id="member_remove",
        summary="Take a role away",
        tags=["members"],
        responses={204: None},
    )
    def delete(self, request: Request, member_id: UUID) -> Response:
        """Remove the role; the last administrator stays."""
        row, _ = self._read(request, member_id)
        membership_remove(membership_id=row.uid)
        return Response(status=204)

    def _read(self, request: Request, member_id: UUID) -> tuple[Membership, int]:
        row = one(members_seen(seen_by=self.sight), uid=member_id)
        organisation_for(self.sight, ACTION, row.organisation.code)
        return read(request, members_seen(seen_by=self.sight), uid=member_id)


class Invitations(Door):
    """Invitations to organisations for which the caller invites; a new one."""

    access: ClassVar[Access] = {"GET": ACTION, "POST": ACTION}

    @extend_schema(
        operation_id="invitation_list",
        summary="List invitations",
        tags=["members"],
        parameters=[*PAGED, OF_ORGANISATION],
        responses={200: pages_of(InvitationWritten, "Invitation")},
    )
    def get(self, request: Request) -> Response:
        """List the newest first."""
        asked = query_of(request, "organisation")
        rows = invitations_seen(seen_by=self.sight).annotate(read_at=Now())
        if "organisation" in asked:
            rows = rows.filter(organisation__code=asked["organisation"])
        return Response(page(request, rows, invitation_written, key=("-created_at", "id")))

    @extend_schema(
        operation_id="invitation_create",
        summary="Invite somebody by mail",
        description="The link in the mail is good once, for 72 hours.",
        tags=["members"],
        parameters=[VERSION_TOLD],
        request=InvitationGiven,
        responses={201: InvitationWritten},
    )
    def post(self, request: Request) -> Response:
        """Invite."""
        body = body_of(request, required=("email", "role"), optional=("organisation",))
        organisation = organisation_for(self.sight, ACTION, body.get("organisation"))
        made = invitation_create(
            organisation=organisation,
            email=body["email"],
            role=choice_of(body["role"], Role.values, field="role"),
            invited_by=self.sight.actor,
            address=request.build_absolute_uri("/"),
        )
        return self._told(made, status=201)

    def _told(self, made: Invitation, *, status: int = 200) -> Response:
        rows = invitations_seen(seen_by=self.sight).annotate(read_at=Now())
        row = one(rows, pk=made.pk)
        return _shown(row, invitation_written(row), status=status)


class OneInvitation(Invitations):
    """An invitation."""

    access: ClassVar[Access] = {"GET": ACTION}

    @extend_schema(
        operation_id="invitation",
        summary="Show an invitation",
        tags=["members"],
        parameters=[VERSION_TOLD],
        responses={200: InvitationWritten},
    )
    def get(self, request: Request, invitation_id: UUID) -> Response:  # type: ignore[override]
        """Show how far it is."""
        query_of(request, is_list=False)
        return self._told(one(invitations_seen(seen_by=self.sight), pk=invitation_id))


class InvitationResend(Invitations):
    """A new link for an invitation."""

    access: ClassVar[Access] = {"POST": ACTION}

    @extend_schema(
        operation_id="invitation_resend",
        summary="Send a new link",
        description="For another 72 hours; the link before is worth nothing.",
        tags=["members"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=None,
        responses={200: InvitationWritten},
    )
    def post(self, request: Request, invitation_id: UUID) -> Response:  # type: ignore[override]
        """Send again."""
        body_of(request)
        row, _ = read(request, invitations_seen(seen_by=self.sight), pk=invitation_id)
        address = request.build_absolute_uri("/")
        return self._told(invitation_resend(invitation_id=row.pk, address=address))


class InvitationRevoke(Invitations):
    """The end of an invitation."""

    access: ClassVar[Access] = {"POST": ACTION}

    @extend_schema(
        operation_id="invitation_revoke",
        summary="Revoke an invitation",
        tags=["members"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=None,
        responses={200: InvitationWritten},
    )
    def post(self, request: Request, invitation_id: UUID) -> Response:  # type: ignore[override]
        """Make its link worthless."""
        body_of(request)
        row, _ = read(request, invitations_seen(seen_by=self.sight), pk=invitation_id)
        return self._told(invitation_revoke(invitation_id=row.pk))


urlpatterns: list[URLPattern] = [
    path("members", Members.as_view(), name="member-list"),
    path("members/<uuid:member_id>", OneMember.as_view(), name="member"),
    path("invitations", Invitations.as_view(), name="invitation-list"),
    path("invitations/<uuid:invitation_id>", OneInvitation.as_view(), name="invitation"),
    path(
        "invitations/<uuid:invitation_id>/resend",
        InvitationResend.as_view(),
        name="invitation-resend",
    ),
    path(
        "invitations/<uuid:invitation_id>/revoke",
        InvitationRevoke.as_view(),
        name="invitation-revoke",
    ),
]
