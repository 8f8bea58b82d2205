"""Messages to the outside, to look at."""

from django.contrib import admin

from accounts.fields.admin import FactAdmin
from aggregator.outbox.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(FactAdmin):
    list_display = ("created_at", "destination", "cause", "state", "attempts_count", "status")
    list_filter = ("state",)
    search_fields = ("destination", "cause")
    ordering = ("-created_at",)
