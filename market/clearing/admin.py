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
    BidOutcome,
    CapacityInterval,
    CapacityPrice,
    ClearingPrice,
    ClearingRun,
    ComputePlacement,
    ComputeUse,
    ElementFlow,
    EnvelopeUse,
    PivotalFinding,
    RentShare,
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


class FactInline(TabularInline):
    """Rows of a fact, shown to whoever sees it."""

    extra = 0
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
        return True


class AwardIntervalInline(FactInline):
    model = AwardInterval
    fields = ("t", "start_at", "quantity_kw", "price_jpy_per_kwh")


class CapacityIntervalInline(FactInline):
    model = CapacityInterval
    fields = ("t", "start_at", "quantity_kw", "price_jpy_per_kw_30min")


@admin.register(Award)
class AwardAdmin(FactAdmin):
    list_display = ("resource", "organisation", "direction", "leg", "auction", "bid_link", "needs")
    list_filter = ("direction", "leg", "auction")
    list_select_related = ("resource", "organisation", "auction", "bid")
    search_fields = ("resource__code", "resource__name", "bid__client_bid_id")
    readonly_fields = ("bid_link", "needs", "deliveries", "instructions")
    inlines = (AwardIntervalInline, CapacityIntervalInline)

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


@admin.register(CapacityPrice)
class CapacityPriceAdmin(FactAdmin):
    list_display = ("start_at", "need", "price_jpy_per_kw_30min", "served_kw", "unserved_kw")
    list_select_related = ("need",)
    ordering = ("-id",)


@admin.register(CapacityInterval)
class CapacityIntervalAdmin(FactAdmin):
    list_display = ("start_at", "award", "quantity_kw", "price_jpy_per_kw_30min")
    list_select_related = ("award__bid",)
    ordering = ("-id",)


@admin.register(BidOutcome)
class BidOutcomeAdmin(FactAdmin):
    list_display = ("bid", "outcome", "make_whole_jpy", "surplus_forgone_jpy", "run")
    list_filter = ("outcome", "run__auction")
    list_select_related = ("bid", "run__auction")
    ordering = ("-id",)


@admin.register(RentShare)
class RentShareAdmin(FactAdmin):
    list_display = ("kind", "code", "organisation", "amount_jpy", "run")
    list_filter = ("kind", "run__auction")
    list_select_related = ("organisation", "run__auction")
    ordering = ("-id",)


@admin.register(PivotalFinding)
class PivotalFindingAdmin(FactAdmin):
    list_display = ("need", "organisation", "run")
    list_filter = ("run__auction",)
    list_select_related = ("need", "organisation", "run__auction")
    ordering = ("-id",)


@admin.register(ComputeUse)
class ComputeUseAdmin(FactAdmin):
    list_display = ("start_at", "bid", "used_kw", "price_jpy_per_kwh")
    list_select_related = ("bid",)
    ordering = ("-id",)


@admin.register(ComputePlacement)
class ComputePlacementAdmin(FactAdmin):
    list_display = ("start_at", "bid", "offer", "path", "quantity_kw")
    list_select_related = ("bid", "offer", "path")
    ordering = ("-id",)


@admin.register(EnvelopeUse)
class EnvelopeUseAdmin(FactAdmin):
    list_display = ("start_at", "site", "over_kw", "price_jpy_per_kwh")
    list_select_related = ("site",)
    ordering = ("-id",)
