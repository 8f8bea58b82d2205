"""Runs, awards, prices and flows; all immutable."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from accounts.fields.admin import FactAdmin, admin_link, admin_list_link
from market.clearing.models import (
    Award,
    AwardInterval,
    ClearingPrice,
    ClearingRun,
    ElementFlow,
    SnapshotRecord,
)


@admin.register(SnapshotRecord)
class SnapshotRecordAdmin(FactAdmin):
    list_display = ("auction", "sha256", "created_at")
    list_filter = ("auction",)
    list_select_related = ("auction",)
    search_fields = ("sha256",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[SnapshotRecord]":
        rows: QuerySet[SnapshotRecord] = super().get_queryset(request)
        return rows.defer("content")


@admin.register(ClearingRun)
class ClearingRunAdmin(FactAdmin):
    list_display = ("auction", "number", "state", "objective_jpy", "published_at", "awards")
    list_filter = ("state", "auction")
    list_select_related = ("auction",)
    search_fields = ("result_sha256", "auction__code")
    readonly_fields = ("snapshot_link",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ClearingRun]":
        rows: QuerySet[ClearingRun] = super().get_queryset(request)
        return rows.defer("result")

    @admin.display(description="約定")
    def awards(self, row: ClearingRun) -> SafeString | str:
        return admin_list_link("clearing.award", f"run__id__exact={row.pk}", "約定")

    @admin.display(description="断面")
    def snapshot_link(self, row: ClearingRun) -> SafeString | str:
        return admin_link(row.snapshot)


class AwardIntervalInline(TabularInline):
    model = AwardInterval
    extra = 0
    fields = ("t", "start_at", "quantity_kw", "price_jpy_per_kwh")
    ordering = ("t",)
    can_delete = False

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return False

    def has_view_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return True  # whoever sees the award


@admin.register(Award)
class AwardAdmin(FactAdmin):
    list_display = ("resource", "organisation", "direction", "leg", "auction", "bid_link", "needs")
    list_filter = ("direction", "leg", "auction")
    list_select_related = ("resource", "organisation", "auction", "bid")
    search_fields = ("resource__code", "resource__name", "bid__client_bid_id")
    readonly_fields = ("bid_link", "needs", "deliveries", "instructions")
    inlines = (AwardIntervalInline,)

    @admin.display(description="入札")
    def bid_link(self, row: Award) -> SafeString | str:
        return admin_link(row.bid)

    @admin.display(description="必要量")
    def needs(self, row: Award) -> SafeString | str:
        return admin_list_link(
            "trading.need", f"auction__id__exact={row.auction_id}", "対象の必要量"
        )

    @admin.display(description="供出量")
    def deliveries(self, row: Award) -> SafeString | str:
        return admin_list_link("metering.delivery", f"award__id__exact={row.pk}", "供出量を見る")

    @admin.display(description="指令")
    def instructions(self, row: Award) -> SafeString | str:
        return admin_list_link(
            "dispatch.dispatchinstruction", f"award__id__exact={row.pk}", "指令を見る"
        )


@admin.register(AwardInterval)
class AwardIntervalAdmin(FactAdmin):
    list_display = ("start_at", "award", "quantity_kw", "price_jpy_per_kwh")
    list_select_related = ("award__bid",)
    ordering = ("-id",)


@admin.register(ClearingPrice)
class ClearingPriceAdmin(FactAdmin):
    list_display = ("start_at", "kind", "need", "area", "site", "price_jpy_per_kwh", "unserved_kw")
    list_filter = ("kind", "area")
    list_select_related = ("need", "area", "site")
    ordering = ("-id",)


@admin.register(ElementFlow)
class ElementFlowAdmin(FactAdmin):
    list_display = ("congestion_point", "t", "before_kw", "after_kw", "run")
    list_filter = ("congestion_point",)
    list_select_related = ("congestion_point", "run__auction")
    ordering = ("-id",)
