"""Instructions to sites, to look at."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import action

from accounts.fields.admin import FactAdmin, admin_link
from accounts.parties.models import User
from accounts.parties.sight import sight_of
from aggregator.dispatch.models import (
    AvailabilityNotice,
    ConnectionLimit,
    ConnectionOutage,
    DispatchInstruction,
    FlexibleConnection,
    InstructionInterval,
    ResourceUnit,
    ServedNeed,
    SiteReport,
    Trial,
    UnitOrder,
)


class InstructionIntervalInline(TabularInline):
    model = InstructionInterval
    extra = 0
    fields = ("t", "start_at", "quantity_kw", "replacement_price_jpy_per_kwh")
    can_delete = False

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return False

    def has_view_permission(self, request: object, obj: object = None) -> bool:
        del request, obj
        return True  # whoever sees the instruction


def _changes_orders(request: HttpRequest) -> bool:
    user = request.user
    return isinstance(user, User) and sight_of(user).may_everywhere("instruction.change")


@admin.register(DispatchInstruction)
class DispatchInstructionAdmin(FactAdmin):
    list_display = (
        "resource", "organisation", "direction", "starts_at", "ends_at", "state", "version",
        "award_link",
    )  # fmt: skip
    list_filter = ("state", "direction")
    list_select_related = ("resource", "organisation", "award__bid")
    search_fields = ("resource__code", "resource__name", "organisation__name")
    date_hierarchy = "starts_at"
    readonly_fields = ("award_link",)
    inlines = (InstructionIntervalInline,)
    # acts lead to the desk's page, where the order is seen first and two people are asked
    actions_detail = ("change_or_stop",)

    def has_change_order_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether the person changes orders: staff alone is not enough."""
        del object_id
        return _changes_orders(request)

    @action(description="変更・停止", permissions=["change_order"])
    def change_or_stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        del request
        return redirect("portal:desk_instruction", instruction_id=object_id)

    @admin.display(description="約定")
    def award_link(self, row: DispatchInstruction) -> SafeString | str:
        return admin_link(row.award)


@admin.register(InstructionInterval)
class InstructionIntervalAdmin(FactAdmin):
    list_display = ("start_at", "instruction", "quantity_kw", "replacement_price_jpy_per_kwh")
    list_select_related = ("instruction__resource",)
    ordering = ("-id",)


@admin.register(ServedNeed)
class ServedNeedAdmin(FactAdmin):
    list_display = ("award", "need", "organisation")
    list_select_related = ("award__bid", "need", "organisation")
    ordering = ("-id",)


@admin.register(AvailabilityNotice)
class AvailabilityNoticeAdmin(FactAdmin):
    list_display = ("resource", "starts_at", "ends_at", "is_available", "reason", "noted_at")
    list_filter = ("is_available",)
    list_select_related = ("resource",)
    date_hierarchy = "starts_at"


@admin.register(ResourceUnit)
class ResourceUnitAdmin(FactAdmin):
    list_display = ("resource", "code", "rank", "limit_up_kw", "limit_down_kw", "retired_at")
    list_select_related = ("resource",)
    search_fields = ("code", "resource__code")


@admin.register(UnitOrder)
class UnitOrderAdmin(FactAdmin):
    list_display = ("instruction", "unit", "t", "quantity_kw")
    list_select_related = ("instruction__resource", "unit__resource")
    ordering = ("-id",)


@admin.register(FlexibleConnection)
class FlexibleConnectionAdmin(FactAdmin):
    list_display = (
        "site", "organisation", "firm_kw", "flexible_kw", "failsafe_s", "state", "heard_at",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("site", "organisation")


@admin.register(ConnectionLimit)
class ConnectionLimitAdmin(FactAdmin):
    list_display = ("connection", "number", "starts_at", "ends_at", "limit_kw", "reason")
    list_select_related = ("connection__site",)
    ordering = ("-id",)


@admin.register(ConnectionOutage)
class ConnectionOutageAdmin(FactAdmin):
    list_display = ("connection", "heard_at", "lost_at", "restored_at")
    list_select_related = ("connection__site",)
    ordering = ("-id",)


@admin.register(Trial)
class TrialAdmin(FactAdmin):
    list_display = (
        "resource", "direction", "quantity_kw", "starts_at", "ends_at", "state", "score_ratio",
    )  # fmt: skip
    list_filter = ("state",)
    list_select_related = ("resource",)
    ordering = ("-id",)
    # acts lead to the desk's pages, which name what cannot be and why
    actions_list = ("order_drill",)
    actions_detail = ("see_drill",)

    def has_change_order_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether the person orders drills."""
        del object_id
        return _changes_orders(request)

    @action(description="訓練を命じる", url_path="order", permissions=["change_order"])
    def order_drill(self, request: HttpRequest) -> HttpResponse:
        del request
        return redirect("portal:desk_drill_candidates")

    @action(description="証跡・取消", permissions=["change_order"])
    def see_drill(self, request: HttpRequest, object_id: str) -> HttpResponse:
        del request
        return redirect("portal:desk_drill", trial_id=object_id)


@admin.register(SiteReport)
class SiteReportAdmin(FactAdmin):
    list_display = ("resource", "kind", "start_at", "power_kw", "number", "noted_at")
    list_filter = ("kind",)
    list_select_related = ("resource",)
    ordering = ("-id",)
