"""Meters, readings and deliveries, to look at; nothing can be changed here."""

from django.contrib import admin
from django.utils.safestring import SafeString

from accounts.fields.admin import FactAdmin, admin_link, admin_list_link
from aggregator.metering.models import (
    Baseline,
    DeclaredSchedule,
    Delivery,
    DeliveryVerification,
    IntervalReading,
    Meter,
)


@admin.register(Meter)
class MeterAdmin(FactAdmin):
    list_display = ("point_number", "resource", "site", "readings_link")
    search_fields = ("point_number", "resource__code", "site__code")
    list_select_related = ("resource", "site")

    @admin.display(description="計量値")
    def readings_link(self, row: Meter) -> SafeString | str:
        return admin_list_link(
            "metering.intervalreading", f"meter__id__exact={row.pk}", "計量値を見る"
        )


@admin.register(IntervalReading)
class IntervalReadingAdmin(FactAdmin):
    list_display = (
        "start_at", "meter", "energy_kwh", "quality", "stage", "revision", "available_at", "source",
    )  # fmt: skip
    list_filter = ("stage", "quality")
    list_select_related = ("meter__resource", "meter__site")
    # the order of the table's key: the newest page is read from one partition
    ordering = ("-start_at", "-meter_id", "-revision")


@admin.register(DeclaredSchedule)
class DeclaredScheduleAdmin(FactAdmin):
    list_display = ("resource", "delivery_on", "available_at")
    list_select_related = ("resource",)
    search_fields = ("resource__code",)


@admin.register(DeliveryVerification)
class DeliveryVerificationAdmin(FactAdmin):
    list_display = ("auction", "revision", "stage", "as_of", "ruleset", "deliveries")
    list_select_related = ("auction", "ruleset")

    @admin.display(description="供出量")
    def deliveries(self, row: DeliveryVerification) -> SafeString | str:
        return admin_list_link("metering.delivery", f"verification__id__exact={row.pk}", "供出量")


@admin.register(Baseline)
class BaselineAdmin(FactAdmin):
    list_display = ("resource", "delivery_on", "revision", "method", "is_locked", "reason")
    list_filter = ("method", "is_locked")
    list_select_related = ("resource",)
    search_fields = ("resource__code",)


@admin.register(Delivery)
class DeliveryAdmin(FactAdmin):
    list_display = (
        "start_at", "award_link", "ordered_kwh", "delivered_kwh", "shortfall_kwh", "over_kwh",
    )  # fmt: skip
    list_select_related = ("award__bid",)
    ordering = ("-id",)
    readonly_fields = ("award_link",)

    @admin.display(description="約定")
    def award_link(self, row: Delivery) -> SafeString | str:
        return admin_link(row.award)
