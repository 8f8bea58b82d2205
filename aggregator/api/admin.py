"""Answers kept for repetition, to look at; what was asked and answered is not shown."""

from django.contrib import admin

from accounts.fields.admin import FactAdmin
from aggregator.api.models import IdempotentAnswer


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(FactAdmin):
    list_display = ("created_at", "caller", "request", "status")
    list_filter = ("status",)
    exclude = ("body", "request_sha256", "headers")
    ordering = ("-created_at",)
