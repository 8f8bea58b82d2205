"""Meters, readings and deliveries, to look at; nothing can be changed here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.safestring import SafeString
from unfold.decorators import action

from accounts.fields.admin import FactAdmin, admin_link, admin_list_link
from accounts.parties.models import User
from accounts.parties.sight import sight_of
from aggregator.metering.calls import CALL
from aggregator.metering.models import (
    Baseline,
    BaselineAssignment,
    BaselineTest,
    CapacityActivation,
    CapacityAssessment,
    DeclaredSchedule,
    Delivery,
    DeliveryVerification,
    FineReading,
    ForceMajeure,
    GamingFinding,
    IntervalReading,
    Meter,
    MeterRegister,
    PlacementLog,
    ReadingFinding,
    RegisterReading,
    ShiftCheck,
    StandInDelivery,
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
    list_display = (
        "auction", "revision", "stage", "as_of", "ruleset", "corrects", "cause_kind", "deliveries",
    )  # fmt: skip
    list_filter = ("stage", "cause_kind")
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
        "cause", "is_excused",
    )  # fmt: skip
    list_filter = ("cause", "is_excused")
    list_select_related = ("award__bid",)
    ordering = ("-id",)
    readonly_fields = ("award_link",)

    @admin.display(description="約定")
    def award_link(self, row: Delivery) -> SafeString | str:
        return admin_link(row.award)


@admin.register(StandInDelivery)
class StandInDeliveryAdmin(FactAdmin):
    list_display = (
        "start_at", "instruction", "award", "ordered_kwh", "delivered_kwh", "covered_kwh",
    )  # fmt: skip
    list_select_related = ("instruction__resource", "award__bid")


@admin.register(ForceMajeure)
class ForceMajeureAdmin(FactAdmin):
    list_display = ("starts_at", "ends_at", "organisation", "site", "resource", "state", "reason")
    list_filter = ("state",)
    list_select_related = ("organisation", "site", "resource")
    exclude = ("evidence",)


@admin.register(PlacementLog)
class PlacementLogAdmin(FactAdmin):
    list_display = (
        "start_at", "award", "label", "moved_gpu_h", "moved_kwh", "revision", "source",
    )  # fmt: skip
    list_select_related = ("award__bid",)


@admin.register(ShiftCheck)
class ShiftCheckAdmin(FactAdmin):
    list_display = (
        "start_at", "award", "moved_out_kwh", "moved_in_kwh", "counted_kwh", "is_conserved",
        "labels_ok",
    )  # fmt: skip
    list_filter = ("is_conserved", "labels_ok")
    list_select_related = ("award__bid",)


@admin.register(CapacityActivation)
class CapacityActivationAdmin(FactAdmin):
    list_display = ("start_at", "award", "instructed_kw", "revision", "noted_by")
    list_select_related = ("award__bid",)
    # acts lead to the desk's pages, where a call is seen before it is told
    actions_list = ("choose",)
    actions_detail = ("call",)

    def has_call_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Whether the person calls capacity: staff alone is not enough."""
        del object_id
        user = request.user
        return isinstance(user, User) and sight_of(user).may_everywhere(CALL)

    @action(description="調整力を呼び出す", url_path="choose", permissions=["call"])
    def choose(self, request: HttpRequest) -> HttpResponse:
        del request
        return redirect("portal:desk_calls")

    @action(description="変更・取消", permissions=["call"])
    def call(self, request: HttpRequest, object_id: str) -> HttpResponse:
        del request
        row = get_object_or_404(CapacityActivation, id=object_id)
        return redirect("portal:desk_call", award_id=row.award_id)


@admin.register(CapacityAssessment)
class CapacityAssessmentAdmin(FactAdmin):
    list_display = (
        "start_at", "award", "reserved_kw", "available_kw", "shortfall_kw", "is_declared",
        "is_responsive",
    )  # fmt: skip
    list_filter = ("is_declared", "is_responsive")
    list_select_related = ("award__bid",)


@admin.register(FineReading)
class FineReadingAdmin(FactAdmin):
    list_display = (
        "start_at", "interval_min", "meter", "energy_kwh", "quality", "stage", "revision",
        "available_at",
    )  # fmt: skip
    list_filter = ("interval_min",)
    list_select_related = ("meter__resource", "meter__site")
    ordering = ("-start_at", "-meter_id", "-interval_min", "-revision")


@admin.register(MeterRegister)
class MeterRegisterAdmin(FactAdmin):
    list_display = (
        "meter", "serial", "digits", "count_kwh", "coefficient_ratio", "is_export", "installed_at",
    )  # fmt: skip
    list_select_related = ("meter__resource", "meter__site")
    search_fields = ("serial", "meter__point_number")


@admin.register(RegisterReading)
class RegisterReadingAdmin(FactAdmin):
    list_display = ("read_at", "register", "count", "is_reset", "revision", "stage", "available_at")
    list_select_related = ("register__meter",)
    ordering = ("-id",)


@admin.register(ReadingFinding)
class ReadingFindingAdmin(FactAdmin):
    list_display = ("fault", "meter", "start_at", "end_at", "as_of")
    list_filter = ("fault",)
    list_select_related = ("meter__resource", "meter__site")
    search_fields = ("meter__point_number",)


@admin.register(BaselineTest)
class BaselineTestAdmin(FactAdmin):
    list_display = (
        "resource", "term_from_on", "term_to_on", "variant", "mean_kw", "reason", "as_of",
    )  # fmt: skip
    list_select_related = ("resource",)
    search_fields = ("resource__code",)


@admin.register(BaselineAssignment)
class BaselineAssignmentAdmin(FactAdmin):
    list_display = (
        "resource", "variant", "valid_from_on", "valid_to_on", "smallest_kw", "bias_ratio",
        "cv_rmse_ratio",
    )  # fmt: skip
    list_filter = ("method",)
    list_select_related = ("resource",)
    search_fields = ("resource__code",)


@admin.register(GamingFinding)
class GamingFindingAdmin(FactAdmin):
    list_display = (
        "indicator", "resource", "from_on", "to_on", "statistic_ratio", "threshold_ratio", "state",
    )  # fmt: skip
    list_filter = ("indicator", "state")
    list_select_related = ("resource",)
    search_fields = ("resource__code",)
