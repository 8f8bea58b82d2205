"""Admin lists of settlement; nothing can be changed here."""

from django.contrib import admin

from accounts.ledger.admin import ReadOnlyAdmin
from aggregator.settlement.models import (
    SettlementItem,
    SettlementLine,
    SettlementPeriod,
    SettlementRun,
)


@admin.register(SettlementPeriod)
class SettlementPeriodAdmin(ReadOnlyAdmin):
    list_display = ("start_on", "end_on", "state", "closed_at")


@admin.register(SettlementRun)
class SettlementRunAdmin(ReadOnlyAdmin):
    list_display = ("auction", "kind", "revision", "ruleset_version", "executed_at")
    list_filter = ("kind",)
    list_select_related = ("auction",)


@admin.register(SettlementLine)
class SettlementLineAdmin(ReadOnlyAdmin):
    list_display = ("run", "item", "payer", "payee", "t", "quantity_kwh", "amount_exact_jpy")
    list_filter = ("item",)
    list_select_related = ("run__auction", "payer__organisation", "payee__organisation")
    show_full_result_count = False


@admin.register(SettlementItem)
class SettlementItemAdmin(ReadOnlyAdmin):
    list_display = ("period", "close_number", "account", "item", "amount_jpy", "total_exact_jpy")
    list_filter = ("item",)
    list_select_related = ("period", "account__organisation")
