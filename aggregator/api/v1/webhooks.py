"""Webhooks: where an organisation wants to be told, of what, and what became of it.

Messages follow Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``
(``v1,`` and the base64 of HMAC-SHA256 under the secret over ``id.timestamp.body``; two of them,
with a space between, for a day after a rotation). A secret is shown once, by the answer that makes
it. An address is told nothing before it has echoed ``{"challenge": …}``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import body_of, choice_of, flag_of, list_of, query_of, row_of, text_of
from aggregator.api.v1.base import Door
from aggregator.api.v1.organisations import organisation_for
from aggregator.api.v1.pagination import page
from aggregator.api.v1.registry_rows import VERSION_TOLD, coded, one, pages_of, read, shown
from aggregator.api.v1.schema import IF_MATCH, PAGED
from aggregator.outbox import subscriptions
from aggregator.outbox.client import URL_LENGTH_MAX
from aggregator.outbox.models import MessageState, OutboxMessage, Topic, WebhookSubscription
from aggregator.outbox.selectors import MANAGE, messages_seen, subscriptions_seen


def _topics() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.ChoiceField(choices=Topic.values),
        min_length=1,
        max_length=len(Topic.values),
        help_text="What to be told of, each once.",
    )


class WebhookChanged(serializers.Serializer[Any]):
    """What may change of a subscription; another `url` is challenged again."""

    url = serializers.CharField(max_length=URL_LENGTH_MAX, help_text="https, port 443 or 8443.")
    topics = _topics()
    is_active = serializers.BooleanField(help_text="Switched off, nothing is sent.")


class WebhookGiven(serializers.Serializer[Any]):
    """A new subscription."""

    url = serializers.CharField(max_length=URL_LENGTH_MAX, help_text="https, port 443 or 8443.")
    topics = _topics()
    organisation = coded("Code of the organisation, where you act for several.", required=False)


class WebhookWritten(serializers.Serializer[Any]):
    """A subscription, without its secret."""

    id = serializers.UUIDField()
    organisation = coded("Its code.")
    url = serializers.CharField()
    topics = _topics()
    is_active = serializers.BooleanField()
    confirmed_at = serializers.DateTimeField(
        allow_null=True, help_text="When the address echoed its challenge; null: nothing is sent."
    )
    paused_until = serializers.DateTimeField(
        allow_null=True, help_text="Nothing is sent until then, because it failed too often."
    )
    failures_count = serializers.IntegerField(help_text="In a row.")
    created_at = serializers.DateTimeField()
    rotated_at = serializers.DateTimeField(allow_null=True)
    secret_before_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when messages carry a signature by the secret before."
    )
    version = serializers.IntegerField()


class WebhookKeyWritten(WebhookWritten):
    """A subscription with its new secret, which is shown here and never again."""

    secret = serializers.CharField(help_text="`whsec_` and 32 bytes in base64.")


class WebhookMessageWritten(serializers.Serializer[Any]):
    """One message and how its delivery stands. What the receiver answered is not kept."""

    id = serializers.UUIDField(help_text="`webhook-id`: the same on every attempt.")
    topic = serializers.CharField()
    state = serializers.ChoiceField(choices=MessageState.values)
    body = serializers.CharField(help_text="As it is sent, byte for byte.")
    created_at = serializers.DateTimeField()
    attempts_count = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    status = serializers.IntegerField(allow_null=True, help_text="Of the last answer.")
    error = serializers.CharField(allow_blank=True)


def webhook_written(row: WebhookSubscription) -> dict[str, Any]:
    """Print a subscription; of its secrets only when they were made and end."""
    return {
        "id": row.id,
        "organisation": row.organisation.code,
        "url": row.url,
        "topics": row.topics,
        "is_active": row.is_active,
        "confirmed_at": row.confirmed_at,
        "paused_until": row.paused_until,
        "failures_count": row.failures_count,
        "created_at": row.created_at,
        "rotated_at": row.rotated_at,
        "secret_before_until": row.secret_before_until,
        "version": row.version,
    }


def message_written(row: OutboxMessage) -> dict[str, Any]:
    """Print a message."""
    waits = row.state == MessageState.WAITING
    return {
        "id": row.id,
        "topic": row.topic,
        "state": row.state,
        "body": row.body,
        "created_at": row.created_at,
        "attempts_count": row.attempts_count,
        "next_attempt_at": row.next_attempt_at if waits else None,
        "delivered_at": row.delivered_at,
        "status": row.status,
        "error": row.error,
    }


class Webhooks(Door):
    """The caller's subscriptions; a new one.

    A POST is not remembered under a key: the answer holds a secret, which is kept nowhere readable.
    """

    access: ClassVar[Access] = {"GET": MANAGE, "POST": MANAGE}
    needs_key: ClassVar[bool] = False

    @extend_schema(
        operation_id="webhook_list",
        summary="List one's own webhooks",
        tags=["webhooks"],
        parameters=PAGED,
        responses={200: pages_of(WebhookWritten, "Webhook")},
    )
    def get(self, request: Request) -> Response:
        """Return one page."""
        query_of(request)
        rows = subscriptions_seen(seen_by=self.sight)
        return Response(page(request, rows, webhook_written, key=("created_at", "id")))

    @extend_schema(
        operation_id="webhook_create",
        summary="Subscribe an address; it must echo a challenge before it is told anything",
        tags=["webhooks"],
        parameters=[VERSION_TOLD],
        request=WebhookGiven,
        responses={201: WebhookKeyWritten},
    )
    def post(self, request: Request) -> Response:
        """Subscribe; the secret is in this answer only."""
        body = body_of(request, required=("url", "topics"), optional=("organisation",))
        organisation = organisation_for(self.sight, MANAGE, body.get("organisation"))
        row, secret = subscriptions.subscription_create(
            organisation=organisation, url=_url_of(body["url"]), topics=_topics_of(body["topics"])
        )
        row = one(subscriptions_seen(seen_by=self.sight), pk=row.pk)
        return shown(row, {**webhook_written(row), "secret": secret}, status=201)


class OneWebhook(Door):
    """One of the caller's subscriptions."""

    access: ClassVar[Access] = {"GET": MANAGE, "PATCH": MANAGE, "DELETE": MANAGE}

    @extend_schema(
        operation_id="webhook",
        summary="Show a webhook",
        tags=["webhooks"],
        parameters=[VERSION_TOLD],
        responses={200: WebhookWritten},
    )
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Show it, without its secret."""
        query_of(request, is_list=False)
        row = one(subscriptions_seen(seen_by=self.sight), pk=webhook_id)
        return shown(row, webhook_written(row))

    @extend_schema(
        operation_id="webhook_change",
        summary="Change a webhook's address or topics, switch it off or on",
        tags=["webhooks"],
        parameters=[VERSION_TOLD],
        request=WebhookChanged(partial=True),
        responses={200: WebhookWritten},
    )
    def patch(self, request: Request, webhook_id: UUID) -> Response:
        """Only what is given changes."""
        row, _ = read(request, subscriptions_seen(seen_by=self.sight), pk=webhook_id)
        body = body_of(request, optional=("url", "topics", "is_active"))
        changes: dict[str, Any] = {}
        if "url" in body:
            changes["url"] = _url_of(body["url"])
        if "topics" in body:
            changes["topics"] = _topics_of(body["topics"])
        if "is_active" in body:
            changes["is_active"] = flag_of(body["is_active"], field="is_active")
        row = subscriptions.subscription_change(subscription_id=row.id, by=self.sight, **changes)
        return shown(row, webhook_written(row))

    @extend_schema(
        operation_id="webhook_remove",
        summary="End a webhook; what waits for it is not sent",
        tags=["webhooks"],
        responses={204: None},
    )
    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """End it."""
        row, _ = read(request, subscriptions_seen(seen_by=self.sight), pk=webhook_id)
        subscriptions.subscription_remove(subscription_id=row.id, by=self.sight)
        return Response(status=204)


class WebhookRotate(Door):
    """A new secret."""

    access: ClassVar[Access] = {"POST": MANAGE}
    needs_key: ClassVar[bool] = False  # the answer holds a secret

    @extend_schema(
        operation_id="webhook_rotate",
        summary="Give a webhook a new secret",
        description="For a day messages carry two signatures, by the new and by the old one.",
        tags=["webhooks"],
        parameters=[IF_MATCH, VERSION_TOLD],
        request=None,
        responses={200: WebhookKeyWritten},
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Rotate; the version that was read decides between two who rotate at once."""
        body_of(request)
        with transaction.atomic():
            row, _ = read(request, subscriptions_seen(seen_by=self.sight), pk=webhook_id)
            row, secret = subscriptions.subscription_rotate(subscription_id=row.id, by=self.sight)
        return shown(row, {**webhook_written(row), "secret": secret})


class WebhookChallenge(Door):
    """Another try to confirm an address."""

    access: ClassVar[Access] = {"POST": MANAGE}

    @extend_schema(
        operation_id="webhook_challenge",
        summary="Challenge the address of a webhook once more",
        tags=["webhooks"],
        request=None,
        responses={202: WebhookWritten},
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Put the challenge on the list; it is sent within seconds."""
        body_of(request)
        row = one(subscriptions_seen(seen_by=self.sight), pk=webhook_id)
        row = subscriptions.subscription_confirm_again(subscription_id=row.id, by=self.sight)
        return shown(row, webhook_written(row), status=202)


class WebhookTest(Door):
    """A message that tells nothing, to see whether it arrives."""

    access: ClassVar[Access] = {"POST": MANAGE}

    @extend_schema(
        operation_id="webhook_test",
        summary="Send a test message to a webhook",
        tags=["webhooks"],
        request=None,
        responses={202: WebhookMessageWritten},
    )
    def post(self, request: Request, webhook_id: UUID) -> Response:
        """Put a `ping` on the list."""
        body_of(request)
        row = one(subscriptions_seen(seen_by=self.sight), pk=webhook_id)
        message = subscriptions.subscription_ping(subscription_id=row.id, by=self.sight)
        message.refresh_from_db()
        return Response(message_written(message), status=202)


class WebhookMessages(Door):
    """What was sent to a subscription, or waits."""

    access: ClassVar[Access] = {"GET": MANAGE}

    @extend_schema(
        operation_id="webhook_message_list",
        summary="List a webhook's messages, latest first",
        tags=["webhooks"],
        parameters=[*PAGED, OpenApiParameter("state", OpenApiTypes.STR, enum=MessageState.values)],
        responses={200: pages_of(WebhookMessageWritten, "WebhookMessage")},
    )
    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Return one page."""
        asked = query_of(request, "state")
        row = one(subscriptions_seen(seen_by=self.sight), pk=webhook_id)
        rows = messages_seen(seen_by=self.sight).filter(subscription=row)
        if "state" in asked:
            rows = rows.filter(state=choice_of(asked["state"], MessageState.values, field="state"))
        return Response(page(request, rows, message_written, key=("-created_at", "id")))


class WebhookMessageResend(Door):
    """Another day of tries for a message that was given up."""

    access: ClassVar[Access] = {"POST": MANAGE}

    @extend_schema(
        operation_id="webhook_message_resend",
        summary="Send a message again that was given up",
        tags=["webhooks"],
        request=None,
        responses={202: WebhookMessageWritten},
    )
    def post(self, request: Request, webhook_id: UUID, message_id: UUID) -> Response:
        """Put it on the list again, under the same id."""
        body_of(request)
        row = one(subscriptions_seen(seen_by=self.sight), pk=webhook_id)
        message = row_of(
            messages_seen(seen_by=self.sight).filter(subscription=row), "message", id=message_id
        )
        message = subscriptions.message_resend(
            subscription_id=row.id, message_id=message.id, by=self.sight
        )
        return Response(message_written(message), status=202)


def _url_of(value: Any) -> str:
    return text_of(value, field="url", length_max=URL_LENGTH_MAX)


def _topics_of(value: Any) -> Collection[str]:
    found = list_of(value, field="topics", length_max=len(Topic.values))
    return [choice_of(each, Topic.values, field=f"topics[{i}]") for i, each in enumerate(found)]


_ONE = "webhooks/<uuid:webhook_id>"
urlpatterns: list[URLPattern] = [
    path("webhooks", Webhooks.as_view(), name="webhook-list"),
    path(_ONE, OneWebhook.as_view(), name="webhook"),
    path(f"{_ONE}/challenge", WebhookChallenge.as_view(), name="webhook-challenge"),
    path(f"{_ONE}/messages", WebhookMessages.as_view(), name="webhook-message-list"),
    path(
        f"{_ONE}/messages/<uuid:message_id>/resend",
        WebhookMessageResend.as_view(),
        name="webhook-message-resend",
    ),
    path(f"{_ONE}/rotate", WebhookRotate.as_view(), name="webhook-rotate"),
    path(f"{_ONE}/test", WebhookTest.as_view(), name="webhook-test"),
]
