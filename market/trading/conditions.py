"""What grid operators publish about the grid before the gate: flows, limits, envelopes."""

from django.db import models

from accounts.fields import half_hours_field, kw_field
from accounts.parties.models import Organisation
from market.registry.models import Area, CongestionPoint, ControllableLink, Site


class EnvelopeKind(models.TextChoices):
    """A pattern agreed for good, or one the operator revises until the gate."""

    FIXED = "FIXED", "固定パターン"
    ONLINE = "ONLINE", "オンライン"


class Envelope(models.Model):
    """Most a flexible connection may import: an obligation, never bought or paid.

    `scheduled_import_kw` is what the site's declared schedule imports, as it is contained in the
    operator's forecast flows; the market moves the site from there.
    """

    auction = models.ForeignKey(
        "trading.Auction",
        models.PROTECT,
        related_name="envelopes",
        db_index=False,
        verbose_name="オークション",
    )
    site = models.ForeignKey(Site, models.PROTECT, related_name="envelopes", verbose_name="拠点")
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="一般送配電事業者"
    )
    kind = models.CharField("種別", max_length=6, choices=EnvelopeKind)
    max_import_kw = half_hours_field(kw_field("kW"), "受電上限 (kW)")
    scheduled_import_kw = half_hours_field(kw_field("kW"), "計画受電 (kW)")
    revision = models.PositiveIntegerField("版", default=1)
    available_at = models.DateTimeField("公表日時")

    class Meta:
        verbose_name = "受電枠"
        verbose_name_plural = "受電枠"
        indexes = [
            models.Index(fields=["auction", "available_at", "id"], name="envelope_in_turn"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["auction", "site", "revision"], name="envelope_revision"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=EnvelopeKind.values), name="envelope_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site} 版{self.revision}"


class BaseFlow(models.Model):
    """Flow a TSO forecasts on a monitored element, before the market acts."""

    auction = models.ForeignKey(
        "trading.Auction",
        models.PROTECT,
        related_name="base_flows",
        db_index=False,
        verbose_name="オークション",
    )
    congestion_point = models.ForeignKey(CongestionPoint, models.PROTECT, verbose_name="混雑箇所")
    base_flow_kw = half_hours_field(kw_field("kW"), "予想潮流 (kW)")
    revision = models.PositiveIntegerField("版", default=1)
    available_at = models.DateTimeField("公表日時")

    class Meta:
        verbose_name = "予想潮流"
        verbose_name_plural = "予想潮流"
        indexes = [
            models.Index(fields=["auction", "available_at", "id"], name="baseflow_in_turn"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["auction", "congestion_point", "revision"], name="baseflow_revision"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.congestion_point} 版{self.revision}"


class TransferLimit(models.Model):
    """What the TSOs allow the market to move between two areas; none without a row."""

    auction = models.ForeignKey(
        "trading.Auction",
        models.PROTECT,
        related_name="transfer_limits",
        db_index=False,
        verbose_name="オークション",
    )
    from_area = models.ForeignKey(Area, models.PROTECT, related_name="+", verbose_name="送り側")
    to_area = models.ForeignKey(Area, models.PROTECT, related_name="+", verbose_name="受け側")
    link = models.ForeignKey(
        ControllableLink,
        models.PROTECT,
        null=True,
        blank=True,
        verbose_name="連系設備",
        help_text="空欄は交流連系（潮流は物理に従う）",
    )
    limit_kw = half_hours_field(kw_field("kW"), "上限 (kW)")
    available_at = models.DateTimeField("公表日時")

    class Meta:
        verbose_name = "エリア間上限"
        verbose_name_plural = "エリア間上限"
        indexes = [
            models.Index(fields=["auction", "available_at", "id"], name="transferlimit_in_turn"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["auction", "from_area", "to_area"], name="transferlimit_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.from_area_id} → {self.to_area_id}"
