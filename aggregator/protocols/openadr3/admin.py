"""OpenADR's objects, to look at."""

from django.contrib import admin

from accounts.fields.admin import FactAdmin
from aggregator.protocols.openadr3.models import (
    Event,
    Program,
    Report,
    Subscription,
    SubscriptionRule,
    Ven,
    VenResource,
)


@admin.register(Program)
class ProgramAdmin(FactAdmin):
    list_display = ("name", "organisation", "is_house", "created_at", "modified_at", "removed_at")
    list_select_related = ("organisation",)
    search_fields = ("name",)


@admin.register(Event)
class EventAdmin(FactAdmin):
    list_display = ("__str__", "program", "starts_at", "ends_at", "created_at", "removed_at")
    list_filter = ("program",)
    list_select_related = ("program",)
    search_fields = ("key",)
    ordering = ("-created_at",)


@admin.register(Ven)
class VenAdmin(FactAdmin):
    list_display = ("name", "client", "organisation", "created_at", "removed_at")
    list_select_related = ("client", "organisation")
    search_fields = ("name", "client__client_id")


@admin.register(VenResource)
class VenResourceAdmin(FactAdmin):
    list_display = ("name", "ven", "resource", "created_at", "removed_at")
    list_select_related = ("ven", "resource")
    search_fields = ("name", "resource__code")


@admin.register(Report)
class ReportAdmin(FactAdmin):
    list_display = ("client_name", "event", "client", "created_at")
    list_select_related = ("event", "client")
    search_fields = ("client_name", "event__key")
    ordering = ("-created_at",)


@admin.register(Subscription)
class SubscriptionAdmin(FactAdmin):
    list_display = ("client_name", "client", "program", "created_at", "removed_at")
    list_select_related = ("client", "program")
    search_fields = ("client_name", "client__client_id")
    ordering = ("-created_at",)


@admin.register(SubscriptionRule)
class SubscriptionRuleAdmin(FactAdmin):
    list_display = ("subscription", "endpoint", "objects_told", "operations_told")
    list_select_related = ("subscription", "endpoint")
