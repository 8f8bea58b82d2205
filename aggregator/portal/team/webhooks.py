"""Webhooks: addresses that are told, their verification, deliveries and another try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.parties.sight import Sight
from aggregator.outbox import subscriptions
from aggregator.outbox.models import MessageState, Topic, WebhookSubscription
from aggregator.outbox.selectors import messages_seen, subscriptions_seen
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, NothingForm, PortalForm, TextField
from aggregator.portal.frame import frame
from aggregator.portal.lists import Filter, listed
from aggregator.portal.team.access import SecretPage, allowed, choices_for
from aggregator.portal.team.words import message_mark, topic_word

PAGE = "webhooks"
MANAGE = "webhook.manage"
ACTS = ("challenge", "test", "off", "on", "remove", "rotate")


@person_required()
@require_safe
def webhook_list(request: HttpRequest) -> HttpResponse:
    """List one's webhooks and how they stand."""
    sight = allowed(request, MANAGE)
    listing = listed(
        request,
        subscriptions_seen(seen_by=sight),
        sorts={"created": ("created_at", "id")},
        sort="-created",
    )
    context = {**frame(request, page=PAGE), "listing": listing}
    return render(request, "portal/team/webhooks.html", context)


class HookForm(PortalForm):
    """An address and what it is told."""

    places = ((r"topics(\[\d+\])?", "topics"),)
    organisation = ChoiceField(label=gettext_lazy("組織"))
    url = TextField(
        label=gettext_lazy("宛先URL"),
        max_length=2000,
        help_text=gettext_lazy("https で始まる、外から届く宛先"),
    )
    topics = forms.MultipleChoiceField(
        label=gettext_lazy("通知の種類"),
        widget=forms.CheckboxSelectMultiple(attrs={"class": "tick"}),
        choices=lambda: [(topic, topic_word(topic)) for topic in Topic.values],
    )

    def __init__(self, *args: Any, sight: Sight, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["organisation"].choices = choices_for(sight, MANAGE)  # type: ignore[attr-defined]


@person_required()
@require_http_methods(["GET", "POST"])
def webhook_new(request: HttpRequest) -> HttpResponse:
    """Subscribe an address; its secret is in this answer only."""
    sight = allowed(request, MANAGE)
    made: dict[str, str] = {}

    def work(given: dict[str, Any]) -> Done:
        row, made["secret"] = subscriptions.subscription_create(
            organisation=sight.acting_for(MANAGE, given["organisation"]),
            url=given["url"],
            topics=given["topics"],
        )
        made["name"] = row.url
        return Done(
            url=reverse("portal:webhook", args=[row.id]),
            said=gettext("登録しました。宛先へ確認を送っています。"),
        )

    return SecretPage(
        form=lambda data, files: HookForm(data, files, sight=sight),
        work=work,
        template="portal/team/webhook_new.html",
        context=lambda _: frame(request, page=PAGE),
        secret=lambda: made["secret"],
        shown=lambda: {**frame(request, page=PAGE), "name": made["name"]},
    ).answer(request)


def _hook(sight: Sight, webhook_id: UUID) -> WebhookSubscription:
    row = subscriptions_seen(seen_by=sight).filter(pk=webhook_id).first()
    if row is None:
        raise Http404(gettext("このWebhookは見つかりません。"))
    return row


@person_required()
@require_safe
def webhook(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Show a webhook with its deliveries."""
    sight = allowed(request, MANAGE)
    row = _hook(sight, webhook_id)
    listing = listed(
        request,
        messages_seen(seen_by=sight).filter(subscription=row),
        filters=[
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda rows, value: rows.filter(state=value),
                choices=[(state, message_mark(state).word) for state in MessageState.values],
            )
        ],
        sorts={"created": ("created_at", "id")},
        sort="-created",
    )
    page = FormPage(
        form=NothingForm,
        work=lambda _: Done(url=""),
        template="portal/team/webhook.html",
        context=lambda _: {**frame(request, page=PAGE), "hook": row, "listing": listing},
    )
    return page.show(request, NothingForm())


def _works(row: WebhookSubscription, sight: Sight) -> dict[str, Callable[[], str]]:
    """Return what may be done with a webhook; each says what was done."""
    about: dict[str, Any] = {"subscription_id": row.id, "by": sight}

    def challenge() -> str:
        subscriptions.subscription_confirm_again(**about)
        return gettext("宛先へ確認を送り直しました。数秒で結果が出ます。")

    def test() -> str:
        subscriptions.subscription_ping(**about)
        return gettext("試験の通知を送りました。")

    def off() -> str:
        subscriptions.subscription_change(**about, is_active=False)
        return gettext("無効にしました。")

    def on() -> str:
        subscriptions.subscription_change(**about, is_active=True)
        return gettext("有効にしました。")

    def remove() -> str:
        subscriptions.subscription_remove(**about)
        return gettext("Webhookを終わらせました。待っていた通知は送られません。")

    return {"challenge": challenge, "test": test, "off": off, "on": on, "remove": remove}


@person_required()
@require_http_methods(["GET", "POST"])
def webhook_act(request: HttpRequest, webhook_id: UUID, act: str) -> HttpResponse:
    """Challenge, test, switch, rotate or end a webhook."""
    sight = allowed(request, MANAGE)
    row = _hook(sight, webhook_id)
    if act not in ACTS:
        raise Http404(gettext("見つかりません。"))
    made: dict[str, str] = {}
    here = reverse("portal:webhook", args=[row.id])

    def work(_: dict[str, Any]) -> Done:
        if act == "rotate":
            made["secret"] = subscriptions.subscription_rotate(subscription_id=row.id, by=sight)[1]
            return Done(url=here, said=gettext("新しい秘密鍵を作りました。"))
        said = _works(row, sight)[act]()
        return Done(url=reverse("portal:webhooks") if act == "remove" else here, said=said)

    given: dict[str, Any] = {
        "form": NothingForm,
        "work": work,
        "template": "portal/team/webhook_act.html",
        "context": lambda _: {**frame(request, page=PAGE), "hook": row, "act": act},
    }
    if act != "rotate":
        return FormPage(**given).answer(request)
    return SecretPage(
        **given,
        secret=lambda: made["secret"],
        shown=lambda: {**frame(request, page=PAGE), "name": row.url},
    ).answer(request)


@person_required()
@require_http_methods(["POST"])
def message_resend(request: HttpRequest, webhook_id: UUID, message_id: UUID) -> HttpResponse:
    """Send a message that was given up once more."""
    sight = allowed(request, MANAGE)
    row = _hook(sight, webhook_id)
    here = reverse("portal:webhook", args=[row.id])

    def work(_: dict[str, Any]) -> Done:
        subscriptions.message_resend(subscription_id=row.id, message_id=message_id, by=sight)
        return Done(url=here, said=gettext("もう一度送ります。"))

    return FormPage(
        form=NothingForm,
        work=work,
        template="portal/team/refused.html",
        context=lambda _: {**frame(request, page=PAGE), "back_url": here},
    ).answer(request)
