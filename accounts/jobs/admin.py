"""Jobs, to look at."""

from django.contrib import admin

from accounts.fields.admin import FactAdmin
from accounts.jobs.models import Job


@admin.register(Job)
class JobAdmin(FactAdmin):
    list_display = ("kind", "key", "state", "due_at", "attempts_count", "step", "finished_at")
    list_filter = ("state",)
    search_fields = ("kind", "key")
    ordering = ("-created_at",)
