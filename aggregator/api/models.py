"""What the doors remember: the first answer to each key."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now

STATUS_MIN = 200
STATUS_MAX = 399


class IdempotentAnswer(models.Model):
    """One answer to one ``Idempotency-Key`` of one caller, written with what it tells of.

    A row exists only beside the effects of its request: both are committed or neither. Refusals
    are not kept, so that a corrected request may use the same key.
    """

    # half of SHA-256 over caller and key: one narrow index decides, whatever the key's length
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    caller = models.CharField("呼出元", max_length=80)
    key = models.CharField("Idempotency-Key", max_length=255)
    request = models.CharField("要求", max_length=300, help_text="方法とパス")
    request_sha256 = models.BinaryField("要求のSHA-256", max_length=32)
    status = models.PositiveSmallIntegerField("状態コード")
    content_type = models.CharField("形式", max_length=100)
    headers = models.JSONField("見出し", default=dict)
    body = models.BinaryField("本文")
    created_at = models.DateTimeField("作成日時", db_default=Now())

    class Meta:
        verbose_name = "冪等応答"
        verbose_name_plural = "冪等応答"
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["created_at"], name="idempotentanswer_age")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__gte=STATUS_MIN, status__lte=STATUS_MAX),
                name="idempotentanswer_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.caller} {self.key}"
