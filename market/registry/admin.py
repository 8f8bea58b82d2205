"""Places, networks and resources."""

from typing import Any

from django.contrib import admin
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from accounts.audit.admin import AuditedAdmin
from accounts.fields.admin import FactAdmin, admin_list_link
from market.registry import models


@admin.register(models.Area)
class AreaAdmin(AuditedAdmin):
    list_display = ("code", "name", "name_en", "frequency_hz", "tso")
    list_select_related = ("tso",)
    search_fields = ("code", "name")


@admin.register(models.GridModel)
class GridModelAdmin(FactAdmin):
    list_display = ("name", "version", "convention", "base_mva", "parts", "created_at")
    search_fields = ("name", "sha256")

    @admin.display(description="内訳")
    def parts(self, row: models.GridModel) -> str:
        return admin_list_link(
            "registry.branch", f"grid_model__id__exact={row.pk}", "送電設備を見る"
        )


@admin.register(models.Bus)
class BusAdmin(FactAdmin):
    list_display = ("code", "name", "area", "island", "voltage_kv", "grid_model")
    list_filter = ("area", "grid_model")
    list_select_related = ("area", "grid_model")
    search_fields = ("code", "name", "name_en")


@admin.register(models.Branch)
class BranchAdmin(FactAdmin):
    list_display = ("code", "name", "kind", "from_bus", "to_bus", "rating_kw", "grid_model")
    list_filter = ("kind", "grid_model")
    list_select_related = ("from_bus", "to_bus", "grid_model")
    search_fields = ("code", "name", "name_en")


@admin.register(models.ControllableLink)
class ControllableLinkAdmin(FactAdmin):
    list_display = ("code", "name", "from_bus", "to_bus", "rating_kw", "grid_model")
    list_filter = ("grid_model",)
    list_select_related = ("from_bus", "to_bus", "grid_model")
    search_fields = ("code", "name")


@admin.register(models.CongestionPoint)
class CongestionPointAdmin(FactAdmin):
    list_display = ("code", "name", "branch", "rating_kw", "owner", "grid_model")
    list_filter = ("grid_model", "owner")
    list_select_related = ("branch", "owner", "grid_model")
    search_fields = ("code", "name", "name_en")


@admin.register(models.ScaleClass)
class ScaleClassAdmin(AuditedAdmin):
    list_display = ("code", "name", "contract_min_kw", "contract_max_kw")


class ResourceInline(TabularInline):
    model = models.Resource
    extra = 0
    fields = ("code", "name", "kind", "limit_up_kw", "limit_down_kw", "is_behind_meter")
    show_change_link = True


@admin.register(models.Site)
class SiteAdmin(AuditedAdmin):
    list_display = ("code", "name", "organisation", "area", "scale_class", "contract_kw")
    list_filter = ("area", "scale_class")
    list_select_related = ("organisation", "area", "scale_class")
    search_fields = ("code", "name", "name_en", "point_number")
    autocomplete_fields = ("organisation", "facility_owner", "retailer")
    inlines = (ResourceInline,)


@admin.register(models.Resource)
class ResourceAdmin(AuditedAdmin):
    list_display = ("code", "name", "kind", "site", "limit_up_kw", "limit_down_kw")
    list_filter = ("kind", "is_behind_meter")
    list_select_related = ("site",)
    search_fields = ("code", "name", "name_en")
    autocomplete_fields = ("site",)


@admin.register(models.StorageUnit)
class StorageUnitAdmin(AuditedAdmin):
    list_display = ("resource", "energy_kwh", "reserve_kwh", "charge_kw", "discharge_kw")
    list_select_related = ("resource",)
    autocomplete_fields = ("resource",)
    search_fields = ("resource__code", "resource__name")

    def save_model(
        self,
        request: HttpRequest,
        obj: Model,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        """Raise the resource's version too: its store is part of what the API shows of it."""
        super().save_model(request, obj, form, change)
        models.Resource.objects.filter(pk=obj.pk).update(version=F("version") + 1)


@admin.register(models.WorkloadClass)
class WorkloadClassAdmin(AuditedAdmin):
    list_display = ("resource", "kind", "pool", "power_kw", "slack_h", "value_jpy_per_kwh")
    list_filter = ("kind",)
    list_select_related = ("resource",)
    autocomplete_fields = ("resource",)
    search_fields = ("resource__code", "resource__name")


@admin.register(models.OpticalPath)
class OpticalPathAdmin(AuditedAdmin):
    list_display = ("code", "name", "owner", "from_site", "to_site", "capacity_gb", "latency_ms")
    list_select_related = ("owner", "from_site", "to_site")
    search_fields = ("code", "name")
    autocomplete_fields = ("owner", "from_site", "to_site")


@admin.register(models.OpticalTrunk)
class OpticalTrunkAdmin(AuditedAdmin):
    list_display = ("code", "name", "owner", "capacity_gb")
    list_select_related = ("owner",)
    search_fields = ("code", "name")
    autocomplete_fields = ("owner", "paths")


@admin.register(models.Portfolio)
class PortfolioAdmin(AuditedAdmin):
    list_display = ("code", "name", "organisation")
    list_select_related = ("organisation",)
    search_fields = ("code", "name")
    autocomplete_fields = ("organisation", "resources")


@admin.register(models.Consent)
class ConsentAdmin(FactAdmin):
    list_display = ("site", "granted_by", "granted_to", "valid_from_on", "valid_to_on")
    list_select_related = ("site", "granted_by", "granted_to")
    search_fields = ("site__code", "site__name")


@admin.register(models.RevenueSplit)
class RevenueSplitAdmin(FactAdmin):
    list_display = ("site", "organisation", "share_ratio", "valid_from_on", "valid_to_on")
    list_select_related = ("site", "organisation")
    search_fields = ("site__code", "site__name")


class RevenueShareInline(TabularInline):
    model = models.RevenueShare
    extra = 0
    can_delete = False
    fields = ("organisation", "share_ratio", "agreed_at", "agreed_by")
    readonly_fields = fields


@admin.register(models.RevenueAgreement)
class RevenueAgreementAdmin(FactAdmin):
    list_display = ("site", "proposed_by", "state", "valid_from_on", "valid_to_on", "proposed_at")
    list_filter = ("state",)
    list_select_related = ("site", "proposed_by")
    search_fields = ("site__code", "site__name")
    inlines = (RevenueShareInline,)


class PrequalificationStepInline(TabularInline):
    model = models.PrequalificationStep
    extra = 0
    can_delete = False
    fields = ("at", "from_state", "to_state", "organisation", "actor", "reason", "valid_until_at")
    readonly_fields = fields


class PrequalificationCommentInline(TabularInline):
    model = models.PrequalificationComment
    extra = 0
    can_delete = False
    fields = ("written_at", "organisation", "actor", "text")
    readonly_fields = fields


@admin.register(models.Prequalification)
class PrequalificationAdmin(FactAdmin):
    list_display = (
        "resource", "product", "area", "state", "quantity_kw", "valid_until_at", "requested_at",
    )  # fmt: skip
    list_filter = ("state", "product", "area")
    list_select_related = ("resource", "product", "area")
    search_fields = ("resource__code", "resource__name")
    inlines = (PrequalificationStepInline, PrequalificationCommentInline)


@admin.register(models.PrequalificationFile)
class PrequalificationFileAdmin(FactAdmin):
    list_display = (
        "name", "prequalification", "organisation", "content_type", "size_bytes", "submitted_at",
    )  # fmt: skip
    list_select_related = ("prequalification__resource", "organisation")
    search_fields = ("name", "sha256")
    exclude = ("content",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.PrequalificationFile]:
        rows: QuerySet[models.PrequalificationFile] = super().get_queryset(request)
        return rows.defer("content")


@admin.register(models.MarketProduct)
class MarketProductAdmin(AuditedAdmin):
    list_display = ("code", "name", "response_s", "quantity_min_kw", "quantity_tick_kw")


@admin.register(models.Ruleset)
class RulesetAdmin(FactAdmin):
    list_display = ("version", "valid_from_on", "created_at")


@admin.register(models.RevenueShare)
class RevenueShareAdmin(FactAdmin):
    list_display = ("agreement", "organisation", "share_ratio", "agreed_at")
    list_select_related = ("agreement", "organisation")


@admin.register(models.PrequalificationStep)
class PrequalificationStepAdmin(FactAdmin):
    list_display = ("at", "prequalification", "from_state", "to_state", "valid_until_at")
    list_select_related = ("prequalification__resource",)
    list_filter = ("to_state",)


@admin.register(models.PrequalificationComment)
class PrequalificationCommentAdmin(FactAdmin):
    list_display = ("written_at", "prequalification", "organisation")
    list_select_related = ("prequalification__resource", "organisation")
