"""Admin lists of metering; nothing can be changed here."""

from django.contrib import admin

from accounts.ledger.admin import ReadOnlyAdmin
from aggregator.metering.models import (
    Baseline,
    DeclaredSchedule,
    Delivery,
    DeliveryVerification,
    IntervalReading,
    Meter,
)


@admin.register(Meter)
class MeterAdmin(ReadOnlyAdmin):
    list_display = ("point_number", "resource", "site")
    search_fields = ("point_number",)
    list_select_related = ("resource", "site")


@admin.register(IntervalReading)
class IntervalReadingAdmin(ReadOnlyAdmin):
    list_display = (
        "start_at",
        "meter",
        "energy_kwh",
        "quality",
        "stage",
        "revision",
        "available_at",
        "source",
    )
    list_filter = ("stage", "quality")
    list_select_related = ("meter__resource", "meter__site")
    ordering = ("-start_at", "meter_id", "-revision")
    show_full_result_count = False


@admin.register(DeclaredSchedule)
class DeclaredScheduleAdmin(ReadOnlyAdmin):
    list_display = ("resource", "delivery_on", "available_at")
    list_select_related = ("resource",)


@admin.register(DeliveryVerification)
class DeliveryVerificationAdmin(ReadOnlyAdmin):
    list_display = ("auction", "revision", "stage", "as_of", "ruleset")
    list_select_related = ("auction", "ruleset")


@admin.register(Baseline)
class BaselineAdmin(ReadOnlyAdmin):
    list_display = ("resource", "delivery_on", "revision", "method", "is_locked", "reason")
    list_filter = ("method", "is_locked")
    list_select_related = ("resource",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("start_at", "award", "ordered_kwh", "delivered_kwh", "shortfall_kwh")
    list_select_related = ("award__bid",)
    show_full_result_count = False
