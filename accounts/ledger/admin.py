"""Admin lists of the ledger; nothing can be changed here."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from accounts.ledger.models import LedgerAccount, Transfer


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """A list to look at: rows are added by services and never changed."""

    def has_add_permission(self, *_args: object, **_kwargs: object) -> bool:
        return False

    def has_change_permission(self, *_args: object, **_kwargs: object) -> bool:
        return False

    def has_delete_permission(self, *_args: object, **_kwargs: object) -> bool:
        return False


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    list_display = ("organisation", "code", "name", "kind")
    list_filter = ("kind",)
    search_fields = ("code", "name")
    list_select_related = ("organisation",)


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("posted_at", "code", "debit", "credit", "amount_jpy", "state", "period")
    list_filter = ("state", "code", "period")
    search_fields = ("id", "cause_id")
    list_select_related = ("debit__organisation", "credit__organisation")
