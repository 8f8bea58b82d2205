"""API keys: machines of one's organisations; a secret is shown once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.parties.keys import (
    GRACE_S,
    api_client_change,
    api_client_create,
    api_client_previous_revoke,
    api_client_rotate,
)
from accounts.parties.models import ApiClient
from accounts.parties.roles import ROLES_OF_KIND, Role
from accounts.parties.selectors import clients_seen
from accounts.parties.sight import Sight
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, NothingForm, PortalForm, TextField
from aggregator.portal.frame import frame
from aggregator.portal.lists import listed
from aggregator.portal.team.access import SecretPage, allowed, choices_for, organisations_for
from aggregator.portal.team.words import role_word

PAGE = "api_keys"
MANAGE = "client.manage"
# what a page does with a key, by the last part of its address
ACTS = ("rotate", "revoke-previous", "off", "on")


@person_required()
@require_safe
def key_list(request: HttpRequest) -> HttpResponse:
    """List machines with their keys' age."""
    sight = allowed(request, MANAGE)
    listing = listed(
        request,
        clients_seen(seen_by=sight),
        sorts={"client": ("client_id", "id")},
        sort="client",
    )
    context = {**frame(request, page=PAGE), "listing": listing}
    return render(request, "portal/team/keys.html", context)


class KeyForm(PortalForm):
    """A machine: its name, and its one role."""

    organisation = ChoiceField(label=gettext_lazy("組織"))
    client_id = TextField(
        label=gettext_lazy("クライアントID"),
        max_length=128,
        help_text=gettext_lazy("英小文字・数字・ハイフン。例：inzai-ems"),
    )
    name = TextField(label=gettext_lazy("用途"), max_length=120, required=False)
    role = ChoiceField(label=gettext_lazy("役割"))

    def __init__(self, *args: Any, sight: Sight, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = {row.kind for row in organisations_for(sight, MANAGE)}
        roles = {role for kind in kinds for role in ROLES_OF_KIND[kind]}
        self.fields["organisation"].choices = choices_for(sight, MANAGE)  # type: ignore[attr-defined]
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            (role.value, role_word(role)) for role in Role if role in roles
        ]


@person_required()
@require_http_methods(["GET", "POST"])
def key_new(request: HttpRequest) -> HttpResponse:
    """Make a machine's key; its secret is in this answer only."""
    sight = allowed(request, MANAGE)
    made: dict[str, str] = {}

    def work(given: dict[str, Any]) -> Done:
        client, made["secret"] = api_client_create(
            organisation=sight.acting_for(MANAGE, given["organisation"]),
            client_id=given["client_id"],
            role=given["role"],
            name=given["name"],
        )
        made["name"] = client.client_id
        return Done(url=reverse("portal:api_keys"), said=gettext("APIキーを作りました。"))

    return SecretPage(
        form=lambda data, files: KeyForm(data, files, sight=sight),
        work=work,
        template="portal/team/key_new.html",
        context=lambda _: frame(request, page=PAGE),
        secret=lambda: made["secret"],
        shown=lambda: {**frame(request, page=PAGE), "name": made["name"], "is_key": True},
    ).answer(request)


def _client(sight: Sight, client_id: UUID) -> ApiClient:
    row = clients_seen(seen_by=sight).filter(pk=client_id).first()
    if row is None or row.organisation_id not in sight.organisations_for(MANAGE):
        raise Http404(gettext("このAPIキーは見つかりません。"))
    return row


@person_required()
@require_http_methods(["GET", "POST"])
def key_act(request: HttpRequest, client_id: UUID, act: str) -> HttpResponse:
    """Rotate a key, end the one before, switch it off or on; asked once before."""
    sight = allowed(request, MANAGE)
    row = _client(sight, client_id)
    if act not in ACTS:
        raise Http404(gettext("見つかりません。"))
    made: dict[str, str] = {}

    def work(_: dict[str, Any]) -> Done:
        if act == "rotate":
            _, made["secret"] = api_client_rotate(client_id=row.pk, grace_s=GRACE_S)
            said = gettext("新しい秘密鍵を作りました。前の鍵は24時間使えます。")
        elif act == "revoke-previous":
            api_client_previous_revoke(client_id=row.pk)
            said = gettext("前の秘密鍵を失効しました。")
        else:
            api_client_change(client_id=row.pk, is_active=act == "on")
            said = gettext("有効にしました。") if act == "on" else gettext("無効にしました。")
        return Done(url=reverse("portal:api_keys"), said=said)

    given: dict[str, Any] = {
        "form": NothingForm,
        "work": work,
        "template": "portal/team/key_act.html",
        "context": lambda _: {**frame(request, page=PAGE), "client": row, "act": act},
    }
    if act != "rotate":
        return FormPage(**given).answer(request)
    return SecretPage(
        **given,
        secret=lambda: made["secret"],
        shown=lambda: {**frame(request, page=PAGE), "name": row.client_id, "is_key": True},
    ).answer(request)
