"""Tables of Django and of packages, which belong to no app of ours: to look at."""

from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt, AccessAttemptExpiration, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from accounts.fields.admin import FactAdmin
from aggregator.portal.models import Draft, FormSent


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


for model in (EmailAddress, EmailConfirmation, Authenticator, UserSession):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(EmailAddress)
class EmailAddressAdmin(FactAdmin):
    list_display = ("email", "user", "verified", "primary")
    list_select_related = ("user",)
    search_fields = ("email", "user__username")


@admin.register(Authenticator)
class AuthenticatorAdmin(FactAdmin):
    """Who has which second factor; its secret is shown nowhere."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)
    search_fields = ("user__username",)
    fields = ("user", "type", "created_at", "last_used_at")


@admin.register(UserSession)
class UserSessionAdmin(FactAdmin):
    """Where people are signed in; the key would be a way in and is shown nowhere."""

    list_display = ("user", "ip", "last_seen_at", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fields = ("user", "ip", "created_at", "last_seen_at", "user_agent")


@admin.register(AccessAttempt)
class AccessAttemptAdmin(FactAdmin):
    """Failed sign-ins and what is locked out by them."""

    list_display = ("username", "ip_address", "attempt_time", "failures_since_start")
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "attempt_time", "failures_since_start", "user_agent")


@admin.register(AccessAttemptExpiration, AccessFailureLog, AccessLog, EmailConfirmation)
class UnusedAdmin(FactAdmin):
    """Tables of ways we do not go: empty."""

    list_display = ("pk",)
    fields = ()


@admin.register(FormSent)
class FormSentAdmin(FactAdmin):
    """Which forms were sent when; what they said is kept as a hash only."""

    list_display = ("sent_at", "user", "path", "said")
    list_select_related = ("user",)
    exclude = ("fields_sha256",)


@admin.register(Draft)
class DraftAdmin(FactAdmin):
    """That there is a draft; its text is for its organisation alone."""

    list_display = ("subject", "name", "kind", "organisation", "version", "is_sent", "saved_at")
    list_filter = ("kind", "is_sent")
    list_select_related = ("organisation",)
    exclude = ("sealed_text",)
