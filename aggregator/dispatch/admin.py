"""Instructions to sites, to look at."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from accounts.fields.admin import FactAdmin, admin_link
from aggregator.dispatch.models import (
    AvailabilityNotice,
    DispatchInstruction,
    InstructionInterval,
    ServedNeed,
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
