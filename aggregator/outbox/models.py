"""Messages that must leave the platform, and who subscribed to them."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation

RETRIED_FOR = timedelta(hours=24)


class Topic(models.TextChoices):
    """What a subscription may be about."""

    AUCTION_OPENED = "auction.opened", "募集開始"
    AUCTION_CLOSED = "auction.closed", "入札締切"
    AUCTION_CANCELLED = "auction.cancelled", "オークション取消"
    NEED_PUBLISHED = "need.published", "必要量の公表"
    RESULT_PUBLISHED = "result.published", "約定結果の公表"
    AWARD_PUBLISHED = "award.published", "自社の約定"
    INSTRUCTION_SENT = "instruction.sent", "自社への指令"
    STATEMENT_ISSUED = "statement.issued", "自社の明細書"
    PREQUALIFICATION_CHANGED = "prequalification.changed", "事前審査の進捗"
    AUDIT_CHECKPOINT = "audit.checkpoint", "監査チェックポイント"


class WebhookSubscription(models.Model):
    """Where an organisation wants to be told, and of what.

    Nothing is sent before its address has echoed a challenge (`confirmed_at`); a change of the
    address needs another. The secret is stored encrypted (:mod:`aggregator.outbox.signing`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="組織"
    )
    url = models.CharField("宛先", max_length=2000)
    topics = ArrayField(models.CharField(max_length=40, choices=Topic), verbose_name="通知の種類")
    secret_sealed = models.BinaryField("秘密鍵（暗号化）")
    secret_before_sealed = models.BinaryField("前の秘密鍵（暗号化）", null=True, blank=True)
    secret_before_until = models.DateTimeField("前の秘密鍵の期限", null=True, blank=True)
    is_active = models.BooleanField("有効", default=True)
    confirmed_at = models.DateTimeField("宛先確認", null=True, blank=True)
    version = models.PositiveIntegerField("版", default=1)
    created_at = models.DateTimeField("登録日時", db_default=Now())
    rotated_at = models.DateTimeField("鍵の更新", null=True, blank=True)
    removed_at = models.DateTimeField("削除日時", null=True, blank=True)
    # the breaker: database clock, because receivers live in real time
    failures_count = models.PositiveIntegerField("連続失敗", default=0)
    paused_until = models.DateTimeField("休止", null=True, blank=True)
    busy_until = models.DateTimeField(
        "送信中", null=True, blank=True, help_text="One message at a time is under way."
    )

    class Meta:
        verbose_name = "Webhook"
        verbose_name_plural = "Webhook"
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    topics__contained_by=Topic.values, topics__len__gte=1, topics__len__lte=20
                ),
                name="webhook_topics",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    secret_before_sealed__isnull=True, secret_before_until__isnull=True
                )
                | models.Q(secret_before_sealed__isnull=False, secret_before_until__isnull=False),
                name="webhook_secret_before",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "created_at", "id"], name="webhook_of"),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookCursor(models.Model):
    """How far causes have become messages: one row, moved in the transaction that makes them."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    link_number = models.BigIntegerField("監査リンク", default=0)
    checkpoint_number = models.BigIntegerField("監査チェックポイント", default=0)

    class Meta:
        verbose_name = "Webhookの位置"
        verbose_name_plural = "Webhookの位置"
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="webhookcursor_one"),
        ]

    def __str__(self) -> str:
        return f"{self.link_number} {self.checkpoint_number}"


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


class OutboxEndpoint(models.Model):
    """An address that a protocol's peer named, with the word it wants to be greeted by.

    Messages to it go one at a time, in their order; an address that fails again and again is left
    alone for a while that doubles, and stands marked as broken until it answers.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    url = models.CharField("宛先", max_length=2000)
    bearer_sealed = models.BinaryField("トークン（暗号化）", null=True, blank=True)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="組織",
    )
    is_active = models.BooleanField("有効", default=True)
    created_at = models.DateTimeField("登録日時", db_default=Now())
    failures_count = models.PositiveIntegerField("連続失敗", default=0)
    paused_until = models.DateTimeField("休止", null=True, blank=True)
    busy_until = models.DateTimeField("送信中", null=True, blank=True)
    broken_at = models.DateTimeField(
        "故障", null=True, blank=True, help_text="Since when it fails; empty once it answers."
    )

    class Meta:
        verbose_name = "送信先"
        verbose_name_plural = "送信先"
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.url


class OutboxMessage(models.Model):
    """One HTTP POST to somebody outside, delivered at least once.

    Its id travels with it (``Message-Id``), so that a receiver can tell a repetition.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    destination = models.CharField("宛先", max_length=2000)
    content_type = models.CharField("形式", max_length=80, default="application/json")
    body = models.TextField("本文")
    cause = models.CharField(
        "原因", max_length=120, help_text="Model label and id of what the message tells of."
    )
    subscription = models.ForeignKey(
        WebhookSubscription,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="messages",
        verbose_name="Webhook",
    )
    endpoint = models.ForeignKey(
        OutboxEndpoint,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="messages",
        verbose_name="送信先",
    )
    topic = models.CharField("種類", max_length=40, blank=True)
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
    retry_until = models.DateTimeField(
        "再試行の期限", db_default=Now() + models.Value(RETRIED_FOR), help_text="Database clock."
    )
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
            models.Index(
                fields=["subscription", "created_at", "id"],
                name="outbox_of",
                condition=models.Q(subscription__isnull=False),
            ),
            models.Index(
                fields=["endpoint", "created_at", "id"],
                name="outbox_to",
                condition=models.Q(state="WAITING", endpoint__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"
