"""What was known of prices, supply and demand."""

from django.contrib import admin

from accounts.fields.admin import FactAdmin
from aggregator.forecasting.models import AreaSupplyDemand, SpotPrice


@admin.register(SpotPrice)
class SpotPriceAdmin(FactAdmin):
    list_display = ("start_at", "area", "price_jpy_per_kwh", "available_at")
    list_filter = ("area",)
    list_select_related = ("area",)
    ordering = ("-id",)


@admin.register(AreaSupplyDemand)
class AreaSupplyDemandAdmin(FactAdmin):
    list_display = ("start_at", "area", "demand_kw", "solar_kw", "wind_kw", "interconnector_kw")
    list_filter = ("area",)
    list_select_related = ("area",)
    ordering = ("-id",)
