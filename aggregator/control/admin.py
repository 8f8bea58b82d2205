"""Alarms, to look at; the control room acknowledges them."""

from django.contrib import admin

from accounts.fields.admin import FactAdmin
from aggregator.control.models import Alarm


@admin.register(Alarm)
class AlarmAdmin(FactAdmin):
    list_display = (
        "raised_at", "priority", "kind", "text", "count", "state", "acknowledged_by", "cleared_at",
    )  # fmt: skip
    list_filter = ("priority", "state")
    search_fields = ("kind", "text", "key")
    date_hierarchy = "raised_at"
    list_select_related = ("acknowledged_by",)
