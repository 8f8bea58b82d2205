"""The audit trail."""

from django.conf import settings
from django.db import models


class AuditEntry(models.Model):
    """One thing that was done; a trigger refuses change and removal."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(verbose_name="時刻", help_text="Market time of the action.")
    action = models.CharField(
        "操作", max_length=80, help_text="Dotted past tense: market.bid.submitted."
    )
    organisation_id = models.UUIDField("組織", null=True, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="担当者",
    )
    subject = models.CharField("対象", max_length=120, help_text="Model label and id.")
    detail = models.JSONField("内容", default=dict)

    class Meta:
        verbose_name = "監査記録"
        verbose_name_plural = "監査記録"
        indexes = [
            models.Index(fields=["subject"], name="audit_subject"),
            models.Index(fields=["action", "at"], name="audit_action_at"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.subject}"
