"""Approvals, to look at."""

from django.contrib import admin

from accounts.approvals.models import Approval
from accounts.fields.admin import FactAdmin


@admin.register(Approval)
class ApprovalAdmin(FactAdmin):
    list_display = (
        "requested_at",
        "kind",
        "organisation",
        "subject",
        "state",
        "maker",
        "checker",
        "expires_at",
    )
    list_select_related = ("organisation",)
    list_filter = ("state", "kind")
    search_fields = ("subject", "maker", "checker")
    ordering = ("-requested_at", "-id")
