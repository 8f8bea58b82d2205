"""What a retailer is owed for electricity that it had bought and that its customer did not use."""

from django.db import models

from accounts.fields import PRICE_MAX_JPY_PER_KWH, bounded
from accounts.parties.models import Organisation
from market.registry.models import Resource, Site


class NegawattMethod(models.TextChoices):
    """How the price of a kWh of compensation is formed."""

    UNIT_PRICE = "UNIT_PRICE", "単価"
    RETAIL_MINUS_WHEELING = "RETAIL_MINUS_WHEELING", "小売料金－託送料金"
    SPOT_LINKED = "SPOT_LINKED", "スポット価格連動"


class NegawattContract(models.Model):
    """A retailer's contract on compensation (ネガワット調整金), for delivery dates in a span.

    It is for one resource, or for a site, or for all sites that the retailer supplies; the
    narrowest in force on a day is the one that counts. `price_jpy_per_kwh` is the unit price,
    the retail price, or what is added to the area's spot price.
    """

    id = models.BigAutoField(primary_key=True)
    retailer = models.ForeignKey(
        Organisation, models.PROTECT, related_name="negawatt_contracts", verbose_name="小売事業者"
    )
    site = models.ForeignKey(
        Site,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="negawatt_contracts",
        verbose_name="拠点",
    )
    resource = models.ForeignKey(
        Resource,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="negawatt_contracts",
        verbose_name="リソース",
    )
    method = models.CharField("方式", max_length=24, choices=NegawattMethod)
    price_jpy_per_kwh = models.DecimalField("単価 (円/kWh)", max_digits=8, decimal_places=2)
    wheeling_jpy_per_kwh = models.DecimalField(
        "託送料金 (円/kWh)",
        max_digits=8,
        decimal_places=2,
        default=0,
        help_text="小売料金－託送料金の方式のみ",
    )
    valid_from_on = models.DateField("開始日")
    valid_to_on = models.DateField("終了日（含まない）", null=True, blank=True)
    noted_at = models.DateTimeField("登録日時")

    class Meta:
        verbose_name = "ネガワット調整金の契約"
        verbose_name_plural = "ネガワット調整金の契約"
        ordering = ["-valid_from_on", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(method__in=NegawattMethod.values), name="negawatt_method"
            ),
            models.CheckConstraint(
                condition=models.Q(site__isnull=True) | models.Q(resource__isnull=True),
                name="negawatt_place",
            ),
            models.CheckConstraint(
                condition=models.Q(method="RETAIL_MINUS_WHEELING")
                | models.Q(wheeling_jpy_per_kwh=0),
                name="negawatt_wheeling",
            ),
            models.CheckConstraint(
                condition=models.Q(valid_to_on__isnull=True)
                | models.Q(valid_to_on__gt=models.F("valid_from_on")),
                name="negawatt_dates",
            ),
            bounded(
                "price_jpy_per_kwh", -PRICE_MAX_JPY_PER_KWH, PRICE_MAX_JPY_PER_KWH, name="negawatt"
            ),
            bounded("wheeling_jpy_per_kwh", 0, PRICE_MAX_JPY_PER_KWH, name="negawatt"),
        ]

    def __str__(self) -> str:
        place = self.resource or self.site or ""
        return f"{self.retailer} {place} {self.get_method_display()}"
