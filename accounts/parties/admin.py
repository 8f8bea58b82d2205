"""Organisations, people and machines."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from oauth2_provider.models import AccessToken, DeviceGrant, Grant, IDToken, RefreshToken
from unfold.admin import TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.audit.admin import AuditedAdmin
from accounts.fields.admin import FactAdmin
from accounts.parties.models import ApiClient, Invitation, Membership, Organisation, User


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("user", "organisation")


@admin.register(Organisation)
class OrganisationAdmin(AuditedAdmin):
    list_display = ("code", "name", "name_en", "kind", "registration_number")
    list_filter = ("kind",)
    search_fields = ("code", "name", "name_en", "registration_number")
    readonly_fields = ("created_at", "version")
    inlines = (MembershipInline,)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Count an edit as a version, so that who read the one before is told."""
        obj.version += int(bool(change))
        super().save_model(request, obj, form, change)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, AuditedAdmin):  # type: ignore[misc, type-arg]  # as unfold asks
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "display_name", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username", "display_name", "email")
    ordering = ("username",)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("個人情報"), {"fields": ("display_name", "email")}),
        (
            gettext_lazy("権限"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (gettext_lazy("日時"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")


@admin.register(Membership)
class MembershipAdmin(AuditedAdmin):
    list_display = ("user", "organisation", "role")
    list_filter = ("role",)
    list_select_related = ("user", "organisation")
    search_fields = ("user__username", "user__display_name", "organisation__name")
    autocomplete_fields = ("user", "organisation")


@admin.register(Invitation)
class InvitationAdmin(FactAdmin):
    """Who was invited to what; the link is in the mail only."""

    list_display = ("email", "organisation", "role", "expires_at", "accepted_at", "revoked_at")
    list_select_related = ("organisation",)
    search_fields = ("email", "organisation__name")
    exclude = ("nonce",)


for model in (ApiClient, AccessToken, Grant, IDToken, RefreshToken):
    admin.site.unregister(model)


@admin.register(AccessToken)
class AccessTokenAdmin(FactAdmin):
    """Who holds a token until when; the token itself is stored nowhere, its checksum not shown."""

    list_display = ("id", "application", "expires", "created")
    list_select_related = ("application",)
    fields = ("application", "expires", "created")
    ordering = ("-id",)


@admin.register(DeviceGrant, Grant, IDToken, RefreshToken)
class UnusedAdmin(FactAdmin):
    """Tables of flows with people in them, which are not mounted: always empty."""

    list_display = ("id",)
    fields = ("id",)


@admin.register(ApiClient)
class ApiClientAdmin(AuditedAdmin):
    """Keys are made by the service, which shows the secret once; here one may switch them off."""

    list_display = ("client_id", "organisation", "is_active", "created_at")
    list_filter = ("is_active",)
    list_select_related = ("organisation",)
    search_fields = ("client_id", "organisation__name")
    fields = ("client_id", "organisation", "scopes", "is_active", "created_at")
    readonly_fields = ("client_id", "organisation", "scopes", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        del request
        return False

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ApiClient]":
        rows: QuerySet[ApiClient] = super().get_queryset(request)
        return rows.defer("client_secret", "previous_secret")


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, AuditedAdmin):  # type: ignore[misc]
    list_display = ("name",)
