"""The audit trail, to look at; and editing that leaves a trace in it."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.audit.models import AuditCheckpoint, AuditEntry, AuditLink
from accounts.audit.services import entry_append
from accounts.fields.admin import CappedPaginator, FactAdmin, GuardedAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(FactAdmin):
    list_display = ("at", "action", "subject", "actor", "organisation_id")
    search_fields = ("subject", "action")
    search_help_text = "対象（app.model:id）または操作"
    ordering = ("-id",)


@admin.register(AuditLink)
class AuditLinkAdmin(FactAdmin):
    list_display = ("number", "entry", "sha256_hex")
    list_select_related = ("entry",)
    fields = ("number", "entry", "sha256_hex")
    ordering = ("-number",)

    @admin.display(description="ハッシュ")
    def sha256_hex(self, row: AuditLink) -> str:
        return bytes(row.sha256).hex()


@admin.register(AuditCheckpoint)
class AuditCheckpointAdmin(FactAdmin):
    list_display = ("number", "sealed_at", "last_link_id", "count", "sha256")
    ordering = ("-number",)


class AuditedAdmin(GuardedAdmin):
    """Master rows that may be edited by those with Django's permission; each edit is audited.

    Nothing is deleted here: what others refer to must stay.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    actions = None
    list_filter_submit = True
    compressed_fields = True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_staff) or bool(
            super().has_view_permission(request, obj)
        )

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: models.Model,
        form: "ModelForm[models.Model]",
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        super().save_model(request, obj, form, change)
        entry_append(
            action=f"admin.{obj._meta.model_name}.{'changed' if change else 'added'}",  # noqa: SLF001 - Django's way to a model's name
            subject=obj,
            detail={"fields": sorted(form.changed_data)},
            user_id=request.user.pk,
        )
