"""Alarms: what a person of the market desk has to look at."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from accounts.fields import bounded
from accounts.fields.keys import uuid7

COUNT_MAX = 1_000_000_000


class AlarmPriority(models.IntegerChoices):
    """How soon somebody has to act."""

    URGENT = 1, "至急"
    HIGH = 2, "重要"
    MEDIUM = 3, "注意"
    NOTE = 4, "通知"


class AlarmState(models.TextChoices):
    """Acknowledging is not resolving: the row stays until its cause is gone."""

    RAISED = "RAISED", "発生"
    ACKNOWLEDGED = "ACKNOWLEDGED", "確認済"
    CLEARED = "CLEARED", "解消"


_S = AlarmState
ALARM_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.RAISED: (_S.ACKNOWLEDGED, _S.CLEARED),
    _S.ACKNOWLEDGED: (_S.RAISED, _S.CLEARED),
    _S.CLEARED: (),
}
OPEN_STATES = (_S.RAISED, _S.ACKNOWLEDGED)


class Alarm(models.Model):
    """One thing that is wrong, however often it was noticed.

    While an alarm is open, whatever is raised under its key is counted on it; once its cause is
    gone, the same key makes another row.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField("種類", max_length=60)
    key = models.CharField("鍵", max_length=160, help_text="同じ鍵の警報は一つにまとめる")
    priority = models.PositiveSmallIntegerField("優先度", choices=AlarmPriority)
    subject = models.CharField("対象", max_length=120, blank=True, help_text="Model label and id.")
    text = models.CharField("内容", max_length=300, blank=True)
    state = models.CharField("状態", max_length=12, choices=AlarmState, default=AlarmState.RAISED)
    count = models.PositiveIntegerField("回数", default=1)
    version = models.PositiveIntegerField("版", default=1, help_text="Grows with each change.")
    raised_at = models.DateTimeField("発生日時", help_text="市場時計")
    repeated_at = models.DateTimeField("最終発生", help_text="市場時計")
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="確認した人",
    )
    acknowledged_at = models.DateTimeField("確認日時", null=True, blank=True)
    cleared_at = models.DateTimeField("解消日時", null=True, blank=True)
    created_at = models.DateTimeField("作成日時", db_default=Now())

    class Meta:
        verbose_name = "警報"
        verbose_name_plural = "警報"
        ordering = ["-raised_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(state__in=["RAISED", "ACKNOWLEDGED"]),
                name="alarm_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=AlarmState.values), name="alarm_state"
            ),
            bounded("priority", 1, 4, name="alarm"),
            bounded("count", 1, COUNT_MAX, name="alarm"),
            bounded("version", 1, COUNT_MAX, name="alarm"),
            models.CheckConstraint(
                condition=models.Q(state="RAISED", acknowledged_by__isnull=True)
                | models.Q(
                    state="ACKNOWLEDGED",
                    acknowledged_by__isnull=False,
                    acknowledged_at__isnull=False,
                )
                | models.Q(state="CLEARED"),
                name="alarm_acknowledged",
            ),
            models.CheckConstraint(
                condition=models.Q(state="CLEARED", cleared_at__isnull=False)
                | models.Q(~models.Q(state="CLEARED"), cleared_at__isnull=True),
                name="alarm_cleared",
            ),
        ]
        indexes = [
            models.Index(fields=["raised_at", "id"], name="alarm_in_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.get_priority_display()} {self.kind} {self.text}"
