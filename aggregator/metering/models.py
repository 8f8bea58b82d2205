"""Meters, what they said and when, what would have been used, what was delivered."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from accounts.fields import KWH_MAX, bounded
from aggregator.core.delivery import Cause
from aggregator.metering.assessment_models import CapacityActivation, CapacityAssessment
from aggregator.metering.baseline_models import (
    FINDING_TRANSITIONS,
    VARIANT_LENGTH_MAX,
    BaselineAssignment,
    BaselineMethod,
    BaselineTest,
    FindingState,
    GamingFinding,
    GamingIndicator,
)
from aggregator.metering.excuse_models import EXCUSE_TRANSITIONS, ExcuseState, ForceMajeure
from aggregator.metering.fields import kwh_field
from aggregator.metering.placement_models import PlacementLog, ShiftCheck
from aggregator.metering.reading_models import (
    FineReading,
    MeterRegister,
    ReadingFault,
    ReadingFinding,
    RegisterReading,
)
from aggregator.metering.standin_models import StandInDelivery
from market.clearing.models import Award
from market.registry.models import Resource, Ruleset, Site
from market.trading.models import Auction

__all__ = [
    "CAUSE_CHOICES",
    "CAUSE_NAMES",
    "EXCUSE_TRANSITIONS",
    "FINDING_TRANSITIONS",
    "Baseline",
    "BaselineAssignment",
    "BaselineMethod",
    "BaselineTest",
    "CapacityActivation",
    "CapacityAssessment",
    "CorrectionCause",
    "DeclaredSchedule",
    "Delivery",
    "DeliveryVerification",
    "ExcuseState",
    "FindingState",
    "FineReading",
    "ForceMajeure",
    "GamingFinding",
    "GamingIndicator",
    "IntervalReading",
    "Meter",
    "MeterRegister",
    "PlacementLog",
    "Quality",
    "ReadingFault",
    "ReadingFinding",
    "RegisterReading",
    "ShiftCheck",
    "Stage",
    "StandInDelivery",
    "VerificationStage",
    "kwh_field",
]

CAUSE_NAMES = {
    Cause.OPTED_OUT: "辞退",
    Cause.REPLACED: "差替",
    Cause.STOOD_IN: "差替先",
    Cause.EXCUSED: "免責",
    Cause.NOT_METERED: "計量なし",
}
CAUSE_CHOICES = [(cause.value, name) for cause, name in CAUSE_NAMES.items()]


class Meter(models.Model):
    """A meter of one resource, or the grid meter of one site."""

    id = models.BigAutoField(primary_key=True)
    point_number = models.CharField(
        "地点特定番号",
        max_length=22,
        unique=True,
        validators=[RegexValidator(r"^(0[1-9]|10)\d{20}$", "22桁の数字で入力してください。")],
    )
    resource = models.OneToOneField(
        Resource,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="meter",
        verbose_name="リソース",
    )
    site = models.OneToOneField(
        Site,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="grid_meter",
        verbose_name="拠点（受電点）",
    )

    class Meta:
        verbose_name = "計量器"
        verbose_name_plural = "計量器"
        ordering = ["point_number"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(resource__isnull=False, site__isnull=True)
                | models.Q(resource__isnull=True, site__isnull=False),
                name="meter_of_one",
            ),
            models.CheckConstraint(
                condition=models.Q(point_number__regex=r"^(0[1-9]|10)[0-9]{20}$"),
                name="meter_point_number",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.point_number} {self.resource or self.site}"


class Quality(models.IntegerChoices):
    """How far a value may be trusted."""

    OK = 0, "正常"
    ESTIMATED = 1, "推定"
    MISSING = 2, "欠測"
    BAD = 3, "異常"


class Stage(models.IntegerChoices):
    """速報 soon after, 確報 the next day, 確定 to be paid on; a higher stage prevails."""

    PRELIMINARY = 1, "速報"
    CONFIRMED = 2, "確報"
    FINAL = 3, "確定"


class IntervalReading(models.Model):
    """Metered energy of one half hour; positive = flow to the customer.

    The table is partitioned by month of `start_at` and made by SQL (migration 0002); its key
    is (start_at, meter, revision). A changed value is a row of the next revision. Nothing
    refers to a reading by `id`, which exists so that the admin can list it.
    """

    id = models.BigIntegerField(primary_key=True)
    meter = models.ForeignKey(
        Meter,
        models.DO_NOTHING,
        db_constraint=False,
        related_name="readings",
        verbose_name="計量器",
    )
    start_at = models.DateTimeField("開始")
    energy_kwh = kwh_field("電力量 (kWh)", null=True)
    quality = models.SmallIntegerField("品質", choices=Quality)
    revision = models.SmallIntegerField("版")
    stage = models.SmallIntegerField("段階", choices=Stage)
    available_at = models.DateTimeField("入手日時")
    source = models.CharField("入手元", max_length=40)

    class Meta:
        managed = False
        db_table = "metering_intervalreading"
        verbose_name = "計量値"
        verbose_name_plural = "計量値"

    def __str__(self) -> str:
        return f"{self.start_at:%Y-%m-%d %H:%M} {self.energy_kwh} kWh"


class DeclaredSchedule(models.Model):
    """A resource's own plan for a day, filed before the gate (発電計画, 基準値計画)."""

    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="schedules", verbose_name="リソース"
    )
    delivery_on = models.DateField("受渡日")
    schedule_kwh = ArrayField(kwh_field("kWh"), size=48, verbose_name="計画値 (kWh)")
    available_at = models.DateTimeField("提出日時")

    class Meta:
        verbose_name = "計画値"
        verbose_name_plural = "計画値"
        constraints = [
            models.UniqueConstraint(fields=["resource", "delivery_on"], name="schedule_once"),
            models.CheckConstraint(
                condition=models.Q(schedule_kwh__len=48), name="schedule_half_hours"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.delivery_on}"


class VerificationStage(models.TextChoices):
    """On which readings a verification stands."""

    PRELIMINARY = "PRELIMINARY", "速報"
    FINAL = "FINAL", "確定"


class CorrectionCause(models.TextChoices):
    """Why a final verification was corrected."""

    READING = "READING", "計量値"
    DISPUTE = "DISPUTE", "異議"
    FORCE_MAJEURE = "FORCE_MAJEURE", "不可抗力"
    PLACEMENT = "PLACEMENT", "配置記録"
    ACTIVATION = "ACTIVATION", "調整力の発動"


class DeliveryVerification(models.Model):
    """One look at an auction's delivery.

    A look at final readings after the first corrects the one before it and holds only the rows
    that differ; what counts is the newest row of each award and half hour along that chain
    (SQL function ``deliveries_effective``). Looks at preliminary readings are whole.
    """

    id = models.BigAutoField(primary_key=True)
    auction = models.ForeignKey(
        Auction, models.PROTECT, related_name="verifications", verbose_name="オークション"
    )
    revision = models.PositiveIntegerField("版")
    stage = models.CharField("段階", max_length=12, choices=VerificationStage)
    as_of = models.DateTimeField("計量値の時点")
    ruleset = models.ForeignKey(Ruleset, models.PROTECT, verbose_name="ルールセット")
    input_sha256 = models.CharField("入力のハッシュ", max_length=64)
    corrects = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrected_by",
        verbose_name="訂正する確認",
    )
    cause_kind = models.CharField(
        "訂正の理由", max_length=16, choices=CorrectionCause, blank=True, db_default=""
    )
    cause_id = models.CharField("訂正の根拠", max_length=60, blank=True, db_default="")

    class Meta:
        verbose_name = "供出量の確認"
        verbose_name_plural = "供出量の確認"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(corrects__isnull=True, cause_kind="", cause_id="")
                | models.Q(
                    corrects__isnull=False, stage="FINAL", cause_kind__in=CorrectionCause.values
                ),
                name="verification_correction",
            ),
            models.UniqueConstraint(fields=["auction", "revision"], name="verification_revision"),
            models.CheckConstraint(
                condition=models.Q(stage__in=VerificationStage.values), name="verification_stage"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.auction} 供出量 版{self.revision}"


class Baseline(models.Model):
    """What a resource would have used on a day; locked once settled on final readings."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verification = models.ForeignKey(
        DeliveryVerification, models.PROTECT, related_name="baselines", verbose_name="確認"
    )
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="baselines", verbose_name="リソース"
    )
    delivery_on = models.DateField("受渡日")
    revision = models.PositiveIntegerField("版", default=1)
    method = models.CharField("方式", max_length=16, choices=BaselineMethod)
    variant = models.CharField("方式名", max_length=VARIANT_LENGTH_MAX, blank=True, default="")
    baseline_kwh = ArrayField(
        kwh_field("kWh"), size=48, null=True, blank=True, verbose_name="ベースライン (kWh)"
    )
    adjustment_kwh = kwh_field("当日調整 (kWh)", default=0)
    days_used = ArrayField(models.DateField(), default=list, blank=True, verbose_name="採用日")
    reason = models.CharField("算定できない理由", max_length=200, blank=True)
    computed_at = models.DateTimeField("算定日時")
    is_locked = models.BooleanField("確定", default=False)

    class Meta:
        verbose_name = "ベースライン"
        verbose_name_plural = "ベースライン"
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "delivery_on", "revision"], name="baseline_revision"
            ),
            models.UniqueConstraint(
                fields=["resource", "delivery_on"],
                condition=models.Q(is_locked=True),
                name="baseline_locked_once",
            ),
            models.CheckConstraint(
                condition=models.Q(baseline_kwh__len=48)
                | (models.Q(baseline_kwh__isnull=True) & ~models.Q(reason="")),
                name="baseline_half_hours",
            ),
            models.CheckConstraint(
                condition=models.Q(method__in=BaselineMethod.values), name="baseline_method"
            ),
            bounded("adjustment_kwh", -KWH_MAX, KWH_MAX, name="baseline"),
        ]
        indexes = [
            models.Index(fields=["delivery_on", "resource", "revision"], name="baseline_in_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.delivery_on} 版{self.revision}"


class Delivery(models.Model):
    """What counts as delivered on one award in one half hour.

    Written by COPY, a month of a large market at a time, so its references carry no foreign
    key triggers; the one statement that writes them reads the awards it names.
    """

    id = models.BigAutoField(primary_key=True)
    verification = models.ForeignKey(
        DeliveryVerification,
        models.PROTECT,
        db_constraint=False,
        # the rows' key begins with it
        db_index=False,
        related_name="deliveries",
        verbose_name="確認",
    )
    award = models.ForeignKey(
        Award,
        models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
        verbose_name="約定",
    )
    t = models.SmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    ordered_kwh = kwh_field("約定量 (kWh)")
    baseline_kwh = kwh_field("ベースライン (kWh)", null=True)
    metered_kwh = kwh_field("計量値 (kWh)", null=True)
    delivered_kwh = kwh_field("供出量 (kWh)")
    shortfall_kwh = kwh_field("未達 (kWh)")
    over_kwh = kwh_field("超過 (kWh)")
    reading_revision = models.SmallIntegerField("計量値の版", null=True)
    reading_stage = models.SmallIntegerField("計量値の段階", choices=Stage, null=True)
    cause = models.CharField(
        "理由", max_length=12, choices=CAUSE_CHOICES, blank=True, db_default=""
    )
    is_excused = models.BooleanField("免責", db_default=False)

    class Meta:
        verbose_name = "供出量"
        verbose_name_plural = "供出量"
        constraints = [
            models.UniqueConstraint(fields=["verification", "award", "t"], name="delivery_once"),
            bounded("t", 0, 47, name="delivery"),
            bounded("ordered_kwh", 0, KWH_MAX, name="delivery"),
            bounded("delivered_kwh", 0, KWH_MAX, name="delivery"),
            bounded("shortfall_kwh", 0, KWH_MAX, name="delivery"),
            bounded("over_kwh", 0, KWH_MAX, name="delivery"),
            bounded("baseline_kwh", -KWH_MAX, KWH_MAX, name="delivery"),
            bounded("metered_kwh", -KWH_MAX, KWH_MAX, name="delivery"),
            models.CheckConstraint(
                condition=models.Q(
                    ordered_kwh=models.F("delivered_kwh") + models.F("shortfall_kwh")
                ),
                name="delivery_adds_up",
            ),
            models.CheckConstraint(
                condition=models.Q(cause__in=[cause.value for cause in Cause]),
                name="delivery_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.delivered_kwh} kWh"
