"""One row per message of a protocol, in or out."""

from django.db import models
from django.db.models.functions import Now

from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation

ID_LENGTH_MAX = 200
PEER_LENGTH_MAX = 253
KIND_LENGTH_MAX = 80
OUTCOME_LENGTH_MAX = 300


class Direction(models.TextChoices):
    """Which way a message went."""

    IN = "IN", "受信"
    OUT = "OUT", "送信"


class Protocol(models.TextChoices):
    """What it was spoken in."""

    OPENADR3 = "OPENADR3", "OpenADR 3"
    UFTP = "UFTP", "UFTP 3.1"


class Encoding(models.TextChoices):
    """How the bytes of a message stand in the column."""

    UTF8 = "utf-8", "UTF-8"
    BASE64 = "base64", "Base64"


class ProtocolMessage(models.Model):
    """What was said, byte by byte; only what came of it may be added later."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(
        "日時", db_default=Now(), help_text="Database clock: peers live in real time."
    )
    direction = models.CharField("方向", max_length=3, choices=Direction)
    protocol = models.CharField("方式", max_length=10, choices=Protocol)
    message_id = models.CharField("メッセージID", max_length=ID_LENGTH_MAX)
    peer = models.CharField(
        "相手", max_length=PEER_LENGTH_MAX, help_text="A client's id, a domain, a host."
    )
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="組織",
    )
    kind = models.CharField("種類", max_length=KIND_LENGTH_MAX, blank=True)
    conversation_id = models.CharField("会話ID", max_length=ID_LENGTH_MAX, blank=True)
    content = models.TextField("内容")
    encoding = models.CharField("符号化", max_length=6, choices=Encoding, default=Encoding.UTF8)
    content_sha256 = models.CharField("SHA-256", max_length=64)
    subject = models.CharField(
        "対象", max_length=120, blank=True, help_text="Model label and id of what it made."
    )
    outcome = models.CharField("結果", max_length=OUTCOME_LENGTH_MAX, blank=True)

    class Meta:
        verbose_name = "通信メッセージ"
        verbose_name_plural = "通信メッセージ"
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["message_id", "protocol", "direction", "peer"], name="protocolmessage_once"
            ),
            models.CheckConstraint(
                condition=models.Q(direction__in=Direction.values), name="protocolmessage_direction"
            ),
            models.CheckConstraint(
                condition=models.Q(protocol__in=Protocol.values), name="protocolmessage_protocol"
            ),
            models.CheckConstraint(
                condition=models.Q(encoding__in=Encoding.values), name="protocolmessage_encoding"
            ),
        ]
        indexes = [
            models.Index(fields=["at", "id"], name="protocolmessage_at"),
            models.Index(fields=["peer", "at"], name="protocolmessage_peer"),
            models.Index(
                fields=["subject"],
                name="protocolmessage_subject",
                condition=~models.Q(subject=""),
            ),
            models.Index(
                fields=["conversation_id"],
                name="protocolmessage_talk",
                condition=~models.Q(conversation_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.protocol} {self.direction} {self.message_id}"
