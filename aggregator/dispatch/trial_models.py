"""Scripted test dispatches: whether a resource does what it is qualified for, with evidence."""

from django.db import models

from accounts.fields import KW_MAX, bounded, kw_field
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from market.registry.models import Prequalification, Resource
from market.trading.models import Direction


class TrialState(models.TextChoices):
    """Life of a test dispatch; a trigger holds the edges."""

    PLANNED = "PLANNED", "予定"
    SENT = "SENT", "送信済"
    ACKNOWLEDGED = "ACKNOWLEDGED", "受諾"
    PASSED = "PASSED", "合格"
    FAILED = "FAILED", "不合格"
    CANCELLED = "CANCELLED", "取消"


_S = TrialState

TRIAL_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.PLANNED: (_S.SENT, _S.CANCELLED),
    _S.SENT: (_S.ACKNOWLEDGED, _S.FAILED, _S.CANCELLED),
    _S.ACKNOWLEDGED: (_S.PASSED, _S.FAILED, _S.CANCELLED),
    _S.PASSED: (),
    _S.FAILED: (),
    _S.CANCELLED: (),
}


class Trial(models.Model):
    """A test order to a resource that asks to be qualified; what it did is scored and kept.

    The order is sent like any other, without notice of its hour: `announce_s` before it starts.
    `evidence` holds every reading it was scored on, and `evidence_sha256` binds it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    prequalification = models.ForeignKey(
        Prequalification, models.PROTECT, related_name="trials", verbose_name="事前審査"
    )
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="trials", verbose_name="リソース"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="組織"
    )
    direction = models.CharField("方向", max_length=4, choices=Direction)
    quantity_kw = kw_field("指令量 (kW)")
    response_s = models.PositiveIntegerField("応動時間 (秒)")
    send_at = models.DateTimeField("送信予定")
    starts_at = models.DateTimeField("開始")
    ends_at = models.DateTimeField("終了")
    state = models.CharField("状態", max_length=12, choices=_S, default=_S.PLANNED)
    reason = models.CharField("理由", max_length=200, blank=True)
    ordered_by = models.CharField("操作者", max_length=60)
    ordered_at = models.DateTimeField("作成日時")
    sent_at = models.DateTimeField("送信", null=True, blank=True)
    acknowledged_at = models.DateTimeField("受諾", null=True, blank=True)
    scored_at = models.DateTimeField("採点", null=True, blank=True)
    score_ratio = models.DecimalField(
        "得点", max_digits=5, decimal_places=4, null=True, blank=True, help_text="0…1"
    )
    evidence = models.JSONField("証拠", default=dict, blank=True)
    evidence_sha256 = models.CharField("証拠のハッシュ", max_length=64, blank=True)

    class Meta:
        verbose_name = "試験指令"
        verbose_name_plural = "試験指令"
        ordering = ["id"]
        indexes = [
            models.Index(fields=["organisation", "starts_at", "id"], name="trial_of"),
            models.Index(fields=["starts_at", "id"], name="trial_in_turn"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=_S.values), name="trial_state"),
            models.CheckConstraint(
                condition=models.Q(send_at__lte=models.F("starts_at"))
                & models.Q(starts_at__lt=models.F("ends_at")),
                name="trial_times",
            ),
            bounded("quantity_kw", 0.1, KW_MAX, name="trial"),
            bounded("score_ratio", 0, 1, name="trial"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.quantity_kw} kW {self.get_state_display()}"
