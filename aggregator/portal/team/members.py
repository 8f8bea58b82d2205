"""Members and invitations of one's organisations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.parties.invitations import (
    invitation_create,
    invitation_resend,
    invitation_revoke,
)
from accounts.parties.members import membership_change, membership_remove
from accounts.parties.models import Invitation, Membership
from accounts.parties.roles import ROLES_OF_KIND, Role
from accounts.parties.selectors import invitations_seen, members_seen
from accounts.parties.sight import Sight
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, NothingForm, PortalForm, TextField
from aggregator.portal.frame import frame
from aggregator.portal.lists import Filter, listed
from aggregator.portal.team.access import allowed, choices_for, organisations_for
from aggregator.portal.team.words import role_word

PAGE = "team"
READ = "member.read"
INVITE = "member.invite"
MEMBER_CSV = ("organisation", "username", "display_name", "email", "role", "is_active")


def _roles(sight: Sight) -> list[tuple[str, str]]:
    kinds = {row.kind for row in organisations_for(sight, INVITE)}
    found = {role for kind in kinds for role in ROLES_OF_KIND[kind]}
    return [(role.value, role_word(role)) for role in Role if role in found]


@person_required()
@require_safe
def member_list(request: HttpRequest) -> HttpResponse:
    """List people with their roles, and invitations that wait."""
    sight = allowed(request, READ)
    listing = listed(
        request,
        members_seen(seen_by=sight),
        filters=[
            Filter(
                name="role",
                label=gettext("役割"),
                apply=lambda rows, value: rows.filter(role=value),
                choices=_roles(sight),
            )
        ],
        sorts={"name": ("user__username", "id"), "role": ("role", "user__username", "id")},
        sort="name",
    )
    if listing.wants_csv:
        return listing.csv("members.csv", MEMBER_CSV, _cells)
    waiting = invitations_seen(seen_by=sight).filter(accepted_at=None, revoked_at=None)
    return render(
        request,
        "portal/team/members.html",
        {
            **frame(request, page=PAGE),
            "listing": listing,
            "invitations": list(waiting.annotate(read_at=Now()).order_by("-created_at")[:50]),
            "invites_at": sight.organisations_for(INVITE),
        },
    )


def _cells(row: Membership) -> list[Any]:
    user = row.user
    return [
        row.organisation.code, user.username, user.display_name, user.email, row.role,
        user.is_active,
    ]  # fmt: skip


class InviteForm(PortalForm):
    """Whom to invite, and as what."""

    organisation = ChoiceField(label=gettext_lazy("組織"))
    email = TextField(label=gettext_lazy("メールアドレス"), max_length=254)
    role = ChoiceField(label=gettext_lazy("役割"))

    def __init__(self, *args: Any, sight: Sight, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["organisation"].choices = choices_for(sight, INVITE)  # type: ignore[attr-defined]
        self.fields["role"].choices = _roles(sight)  # type: ignore[attr-defined]


@person_required()
@require_http_methods(["GET", "POST"])
def member_invite(request: HttpRequest) -> HttpResponse:
    """Invite somebody by mail; the link is good once, for 72 hours."""
    sight = allowed(request, INVITE)

    def work(given: dict[str, Any]) -> Done:
        invitation_create(
            organisation=sight.acting_for(INVITE, given["organisation"]),
            email=given["email"],
            role=given["role"],
            invited_by=sight.actor,
            address=request.build_absolute_uri("/"),
        )
        return Done(url=reverse("portal:team"), said=gettext("招待を送りました。"))

    return FormPage(
        form=lambda data, files: InviteForm(data, files, sight=sight),
        work=work,
        template="portal/team/invite.html",
        context=lambda _: frame(request, page=PAGE),
    ).answer(request)


class RoleForm(PortalForm):
    """Another role instead."""

    role = ChoiceField(label=gettext_lazy("役割"))

    def __init__(self, *args: Any, roles: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = roles  # type: ignore[attr-defined]


def _member(sight: Sight, member_id: UUID) -> Membership:
    row = members_seen(seen_by=sight).filter(uid=member_id).first()
    if row is None or row.organisation_id not in sight.organisations_for(INVITE):
        raise Http404(gettext("このメンバーは見つかりません。"))
    return row


@person_required()
@require_http_methods(["GET", "POST"])
def member(request: HttpRequest, member_id: UUID) -> HttpResponse:
    """Change a person's role."""
    sight = allowed(request, INVITE)
    row = _member(sight, member_id)
    roles = [(one.value, role_word(one)) for one in Role
             if one in ROLES_OF_KIND[row.organisation.kind]]  # fmt: skip

    def work(given: dict[str, Any]) -> Done:
        membership_change(membership_id=row.uid, role=given["role"])
        said = gettext("%(name)s の役割を変えました。") % {"name": row.user}
        return Done(url=reverse("portal:team"), said=said)

    return FormPage(
        form=lambda data, files: RoleForm(data, files, roles=roles, initial={"role": row.role}),
        work=work,
        template="portal/team/member.html",
        context=lambda _: {**frame(request, page=PAGE), "member": row},
    ).answer(request)


@person_required()
@require_http_methods(["GET", "POST"])
def member_remove(request: HttpRequest, member_id: UUID) -> HttpResponse:
    """Take a person's role away, after asking once."""
    sight = allowed(request, INVITE)
    row = _member(sight, member_id)

    def work(_: dict[str, Any]) -> Done:
        membership_remove(membership_id=row.uid)
        said = gettext("%(name)s の役割を外しました。") % {"name": row.user}
        return Done(url=reverse("portal:team"), said=said)

    return FormPage(
        form=NothingForm,
        work=work,
        template="portal/team/member_remove.html",
        context=lambda _: {**frame(request, page=PAGE), "member": row},
    ).answer(request)


def _invitation(sight: Sight, invitation_id: UUID) -> Invitation:
    row = invitations_seen(seen_by=sight).filter(id=invitation_id).first()
    if row is None:
        raise Http404(gettext("この招待は見つかりません。"))
    return row


@person_required()
@require_http_methods(["POST"])
def invitation_act(request: HttpRequest, invitation_id: UUID, act: str) -> HttpResponse:
    """Send an invitation again, or revoke it."""
    sight = allowed(request, INVITE)
    row = _invitation(sight, invitation_id)

    def work(_: dict[str, Any]) -> Done:
        if act == "resend":
            address = request.build_absolute_uri("/")
            invitation_resend(invitation_id=row.pk, address=address)
            said = gettext("招待を送り直しました。前のリンクは使えません。")
        else:
            invitation_revoke(invitation_id=row.pk)
            said = gettext("招待を取り消しました。")
        return Done(url=reverse("portal:team"), said=said)

    if act not in ("resend", "revoke"):
        raise Http404(gettext("見つかりません。"))
    return FormPage(
        form=NothingForm,
        work=work,
        template="portal/team/refused.html",
        context=lambda _: {**frame(request, page=PAGE), "back_url": reverse("portal:team")},
    ).answer(request)
