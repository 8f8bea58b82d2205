"""Accounts and transfers, to look at; nothing can be changed here."""

from django.contrib import admin
from django.utils.safestring import SafeString

from accounts.fields.admin import FactAdmin, admin_link, admin_list_link
from accounts.ledger.models import LedgerAccount, Transfer


@admin.register(LedgerAccount)
class LedgerAccountAdmin(FactAdmin):
    list_display = ("organisation", "code", "name", "kind", "transfers_out", "transfers_in")
    list_filter = ("kind",)
    search_fields = ("code", "name", "organisation__name")
    list_select_related = ("organisation",)

    @admin.display(description="支払")
    def transfers_out(self, row: LedgerAccount) -> SafeString | str:
        return admin_list_link("ledger.transfer", f"debit__id__exact={row.pk}", "仕訳")

    @admin.display(description="受取")
    def transfers_in(self, row: LedgerAccount) -> SafeString | str:
        return admin_list_link("ledger.transfer", f"credit__id__exact={row.pk}", "仕訳")


@admin.register(Transfer)
class TransferAdmin(FactAdmin):
    list_display = ("posted_at", "code", "debit", "credit", "amount_jpy", "state", "period")
    list_filter = ("state", "code", "period")
    search_fields = ("=id", "cause_id")
    list_select_related = ("debit__organisation", "credit__organisation")
    readonly_fields = ("debit_link", "credit_link", "lines_link")

    @admin.display(description="借方")
    def debit_link(self, row: Transfer) -> SafeString | str:
        return admin_link(row.debit)

    @admin.display(description="貸方")
    def credit_link(self, row: Transfer) -> SafeString | str:
        return admin_link(row.credit)

    @admin.display(description="原因の明細")
    def lines_link(self, row: Transfer) -> SafeString | str:
        return admin_list_link(
            "settlement.settlementline", f"item__exact={row.code}", f"{row.code} の精算明細"
        )
