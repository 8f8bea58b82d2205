"""Capacity held ready: when it was called, whether it was there, whether it responded."""

from django.db import models

from accounts.fields import KW_MAX, KWH_MAX, bounded, kw_field
from accounts.fields.keys import uuid7
from aggregator.metering.fields import kwh_field
from market.clearing.models import Award


class CapacityActivation(models.Model):
    """A call of reserved capacity in one half hour, as its grid operator gave it.

    A later word on the same half hour is the next revision and replaces the earlier; 0 kW
    takes the call back.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    award = models.ForeignKey(
        Award, models.PROTECT, db_index=False, related_name="activations", verbose_name="約定"
    )
    t = models.SmallIntegerField("番号", help_text="0…47（コマ−1）")
    start_at = models.DateTimeField("開始")
    instructed_kw = kw_field("指令 (kW)")
    revision = models.SmallIntegerField("版", default=1)
    noted_at = models.DateTimeField("記録日時")
    noted_by = models.CharField("記録の担当", max_length=60)

    class Meta:
        verbose_name = "調整力の発動"
        verbose_name_plural = "調整力の発動"
        constraints = [
            models.UniqueConstraint(
                fields=["award", "t", "revision"], name="capacityactivation_once"
            ),
            bounded("t", 0, 47, name="capacityactivation"),
            bounded("instructed_kw", 0, KW_MAX, name="capacityactivation"),
            bounded("revision", 1, 32_767, name="capacityactivation"),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.instructed_kw} kW"


class CapacityAssessment(models.Model):
    """One half hour of reserved capacity: assessment I (was it there), II (did it respond).

    `available_kw` is null where there is no reading to say so, which counts as nothing
    available. The products sold from one resource in a half hour stand in each other's rows:
    what all of them need at once is held against what is there (see the algorithm page).
    """

    id = models.BigAutoField(primary_key=True)
    verification = models.ForeignKey(
        "metering.DeliveryVerification",
        models.PROTECT,
        db_index=False,
        related_name="assessments",
        verbose_name="確認",
    )
    award = models.ForeignKey(
        Award, models.PROTECT, related_name="assessments", verbose_name="約定"
    )
    t = models.SmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    reserved_kw = kw_field("確保量 (kW)")
    available_kw = kw_field("供出可能量 (kW)", null=True, blank=True)
    shortfall_kw = kw_field("不足 (kW)", help_text="アセスメントI")
    is_declared = models.BooleanField("事前の申告", help_text="ゲート閉場前に供出不可を通知")
    is_excused = models.BooleanField("不可抗力")
    instructed_kwh = kwh_field("発動量 (kWh)", null=True, blank=True)
    responded_kwh = kwh_field("応動量 (kWh)", null=True, blank=True)
    is_responsive = models.BooleanField(
        "応動の適合", null=True, blank=True, help_text="アセスメントII（許容差の内）"
    )
    evidence = models.JSONField("根拠", default=dict)

    class Meta:
        verbose_name = "調整力の評価"
        verbose_name_plural = "調整力の評価"
        constraints = [
            models.UniqueConstraint(
                fields=["verification", "award", "t"], name="capacityassessment_once"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    instructed_kwh__isnull=True,
                    responded_kwh__isnull=True,
                    is_responsive__isnull=True,
                )
                | models.Q(
                    instructed_kwh__isnull=False,
                    responded_kwh__isnull=False,
                    is_responsive__isnull=False,
                ),
                name="capacityassessment_called",
            ),
            bounded("t", 0, 47, name="capacityassessment"),
            bounded("reserved_kw", 0, KW_MAX, name="capacityassessment"),
            bounded("available_kw", 0, KW_MAX, name="capacityassessment"),
            bounded("shortfall_kw", 0, KW_MAX, name="capacityassessment"),
            bounded("instructed_kwh", 0, KWH_MAX, name="capacityassessment"),
            bounded("responded_kwh", 0, KWH_MAX, name="capacityassessment"),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.available_kw} kW"
