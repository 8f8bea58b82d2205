"""What sites say they can do and will use, and what they say they delivered."""

from django.db import models

from accounts.fields import KW_MAX, bounded, kw_field
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from market.registry.models import Resource


class SiteReportKind(models.TextChoices):
    """What a value tells: a forecast of the site, or its own count of what it did."""

    SHED_AVAILABLE = "SHED_AVAILABLE", "下げ余力"
    GENERATION_AVAILABLE = "GENERATION_AVAILABLE", "増出力余力"
    USAGE_FORECAST = "USAGE_FORECAST", "使用量予測"
    DELIVERED = "DELIVERED", "供出量（自己申告）"


class SiteReport(models.Model):
    """One half hour's word of a site about a resource [kW]; of several the latest counts.

    Nothing is paid on it: availability informs the desk and the search for stand-ins, and what a
    site says it delivered is held beside what the meter shows.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource = models.ForeignKey(
        Resource, models.PROTECT, db_index=False, related_name="+", verbose_name="リソース"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, db_index=False, related_name="+", verbose_name="組織"
    )
    kind = models.CharField("種別", max_length=20, choices=SiteReportKind)
    start_at = models.DateTimeField("開始")
    power_kw = kw_field("電力 (kW)")
    number = models.PositiveIntegerField("順番")
    noted_at = models.DateTimeField("通知日時")

    class Meta:
        verbose_name = "拠点からの報告"
        verbose_name_plural = "拠点からの報告"
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "kind", "start_at", "number"], name="sitereport_number"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=SiteReportKind.values), name="sitereport_kind"
            ),
            bounded("power_kw", -KW_MAX, KW_MAX, name="sitereport"),
        ]
        indexes = [
            models.Index(fields=["organisation", "start_at", "id"], name="sitereport_of"),
            models.Index(fields=["start_at", "id"], name="sitereport_in_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.get_kind_display()} {self.power_kw} kW"
