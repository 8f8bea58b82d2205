"""Messages that must leave the platform."""

import uuid

from django.db import models
from django.db.models.functions import Now


class MessageState(models.TextChoices):
    """How a message stands."""

    WAITING = "WAITING", "送信待ち"
    DELIVERED = "DELIVERED", "送達"
    DEAD = "DEAD", "送信断念"


MESSAGE_TRANSITIONS: dict[str, tuple[str, ...]] = {
    MessageState.WAITING: (MessageState.DELIVERED, MessageState.DEAD),
    MessageState.DELIVERED: (),
    MessageState.DEAD: (MessageState.WAITING,),
}


class OutboxMessage(models.Model):
    """One HTTP POST to somebody outside, delivered at least once.

    Its id travels with it (``Message-Id``), so that a receiver can tell a repetition.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    destination = models.CharField("宛先", max_length=2000)
    content_type = models.CharField("形式", max_length=80, default="application/json")
    body = models.TextField("本文")
    cause = models.CharField(
        "原因", max_length=120, help_text="Model label and id of what the message tells of."
    )
    state = models.CharField(
        "状態", max_length=10, choices=MessageState, default=MessageState.WAITING
    )
    attempts_count = models.PositiveIntegerField("試行回数", default=0)
    next_attempt_at = models.DateTimeField(
        "次の試行", db_default=Now(), help_text="Database clock: the receiver lives in real time."
    )
    status = models.PositiveSmallIntegerField("直近の応答", null=True, blank=True)
    error = models.CharField("直近の失敗", max_length=200, blank=True)
    created_at = models.DateTimeField("作成日時", db_default=Now())
    delivered_at = models.DateTimeField("送達日時", null=True, blank=True)

    class Meta:
        verbose_name = "送信メッセージ"
        verbose_name_plural = "送信メッセージ"
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=MessageState.values), name="outbox_state"
            ),
            models.CheckConstraint(
                condition=models.Q(attempts_count__lte=1_000_000), name="outbox_attempts"
            ),
            models.CheckConstraint(
                condition=models.Q(status__isnull=True)
                | models.Q(status__gte=100, status__lte=999),
                name="outbox_status",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="outbox_due", condition=models.Q(state="WAITING")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"
