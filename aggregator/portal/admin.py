"""Django's own tables, which belong to no app of ours: to look at."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from accounts.fields.admin import FactAdmin


@admin.register(LogEntry)
class LogEntryAdmin(FactAdmin):
    list_display = ("action_time", "user", "content_type", "object_repr", "action_flag")
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr",)


@admin.register(Permission)
class PermissionAdmin(FactAdmin):
    list_display = ("codename", "name", "content_type")
    list_select_related = ("content_type",)
    search_fields = ("codename", "name")


@admin.register(ContentType)
class ContentTypeAdmin(FactAdmin):
    list_display = ("app_label", "model")


@admin.register(Session)
class SessionAdmin(FactAdmin):
    """How many are signed in until when; the key would be a way in and is shown nowhere."""

    list_display = ("expire_date",)
    list_display_links = None
    search_fields = ()

    def change_view(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> Any:
        from django.core.exceptions import PermissionDenied

        del request
        raise PermissionDenied
