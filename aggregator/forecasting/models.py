"""What was known of prices, supply and demand, and since when."""

from django.core.validators import MinValueValidator
from django.db import models

from accounts.fields import KW_MAX, PRICE_MAX_JPY_PER_KWH, bounded, kw_field, price_field
from market.registry.models import Area

SIGNED_KW_FIELDS = (
    "nuclear_kw",
    "lng_kw",
    "coal_kw",
    "oil_kw",
    "thermal_other_kw",
    "hydro_kw",
    "geothermal_kw",
    "biomass_kw",
    "solar_kw",
    "wind_kw",
    "pumped_hydro_kw",
    "battery_kw",
    "interconnector_kw",
    "other_kw",
)
UNSIGNED_KW_FIELDS = (
    "demand_kw",
    "thermal_curtailed_kw",
    "biomass_curtailed_kw",
    "solar_curtailed_kw",
    "wind_curtailed_kw",
    "total_kw",
)


class SpotPrice(models.Model):
    """Day-ahead price of one area and half hour; a revision is another row, the latest wins."""

    area = models.ForeignKey(
        Area, models.PROTECT, related_name="+", db_index=False, verbose_name="エリア"
    )
    start_at = models.DateTimeField("開始")
    price_jpy_per_kwh = price_field("エリアプライス (円/kWh)", validators=[MinValueValidator(0)])
    available_at = models.DateTimeField("公表", help_text="Market time from which it was known.")

    class Meta:
        verbose_name = "スポット価格"
        verbose_name_plural = "スポット価格"
        constraints = [
            models.UniqueConstraint(
                fields=["area", "start_at", "available_at"], name="spotprice_revision"
            ),
            bounded("price_jpy_per_kwh", 0, PRICE_MAX_JPY_PER_KWH, name="spotprice"),
        ]

    def __str__(self) -> str:
        return f"{self.area_id} {self.start_at:%Y-%m-%dT%H:%MZ} {self.price_jpy_per_kwh}"


class AreaSupplyDemand(models.Model):
    """Half-hourly means of one area as its TSO reported them.

    ``demand_kw = total_kw = Σ generation + pumped_hydro + battery + interconnector + other`` up
    to rounding; the curtailed columns are outside that sum. Interconnector: positive is import.
    Null: the TSO does not publish the column.
    """

    area = models.ForeignKey(
        Area, models.PROTECT, related_name="+", db_index=False, verbose_name="エリア"
    )
    start_at = models.DateTimeField("開始")
    available_at = models.DateTimeField("公表", help_text="Market time from which it was known.")
    demand_kw = kw_field("エリア需要 (kW)")
    nuclear_kw = kw_field("原子力 (kW)", null=True)
    lng_kw = kw_field("火力・LNG (kW)")
    coal_kw = kw_field("火力・石炭 (kW)")
    oil_kw = kw_field("火力・石油 (kW)")
    thermal_other_kw = kw_field("火力・その他 (kW)")
    thermal_curtailed_kw = kw_field("火力出力制御量 (kW)", null=True)
    hydro_kw = kw_field("水力 (kW)")
    geothermal_kw = kw_field("地熱 (kW)", null=True)
    biomass_kw = kw_field("バイオマス (kW)")
    biomass_curtailed_kw = kw_field("バイオマス出力制御量 (kW)", null=True)
    solar_kw = kw_field("太陽光発電実績 (kW)")
    solar_curtailed_kw = kw_field("太陽光出力制御量 (kW)")
    wind_kw = kw_field("風力発電実績 (kW)")
    wind_curtailed_kw = kw_field("風力出力制御量 (kW)")
    pumped_hydro_kw = kw_field("揚水 (kW)")
    battery_kw = kw_field("蓄電池 (kW)", null=True)
    interconnector_kw = kw_field("連系線 (kW)", help_text="Positive: import.")
    other_kw = kw_field("その他 (kW)", null=True)
    total_kw = kw_field("合計 (kW)")

    class Meta:
        verbose_name = "エリア需給実績"
        verbose_name_plural = "エリア需給実績"
        constraints = [
            models.UniqueConstraint(
                fields=["area", "start_at", "available_at"], name="areasupplydemand_revision"
            ),
            *(bounded(name, -KW_MAX, KW_MAX, name="asd") for name in SIGNED_KW_FIELDS),
            *(bounded(name, 0, KW_MAX, name="asd") for name in UNSIGNED_KW_FIELDS),
        ]

    def __str__(self) -> str:
        return f"{self.area_id} {self.start_at:%Y-%m-%dT%H:%MZ}"
