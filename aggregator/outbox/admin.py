"""Messages to the outside and who subscribed to them, to look at; secrets are never shown."""

from django.contrib import admin

from accounts.fields.admin import FactAdmin
from aggregator.outbox.models import (
    OutboxEndpoint,
    OutboxMessage,
    WebhookCursor,
    WebhookSubscription,
)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(FactAdmin):
    list_display = (
        "created_at", "topic", "destination", "cause", "state", "attempts_count", "status",
    )  # fmt: skip
    list_filter = ("state", "topic")
    search_fields = ("destination", "cause")
    ordering = ("-created_at",)


@admin.register(OutboxEndpoint)
class OutboxEndpointAdmin(FactAdmin):
    list_display = (
        "created_at", "organisation", "url", "is_active", "failures_count", "broken_at",
        "paused_until",
    )  # fmt: skip
    list_select_related = ("organisation",)
    list_filter = ("is_active",)
    search_fields = ("url",)
    exclude = ("bearer_sealed",)
    ordering = ("-created_at",)


@admin.register(WebhookSubscription)
class WebhookSubscriptionAdmin(FactAdmin):
    list_display = (
        "created_at", "organisation", "url", "topics", "is_active", "confirmed_at", "paused_until",
    )  # fmt: skip
    list_select_related = ("organisation",)
    list_filter = ("is_active",)
    search_fields = ("url",)
    exclude = ("secret_sealed", "secret_before_sealed")
    ordering = ("-created_at",)


@admin.register(WebhookCursor)
class WebhookCursorAdmin(FactAdmin):
    list_display = ("id",)
