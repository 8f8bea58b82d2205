"""What pages remember: forms that were sent, and texts that are not sent yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation


class FormSent(models.Model):
    """One form, sent: a second click and the back button find its result here.

    A row exists only beside the effects of its form: both are committed or neither. What was
    refused is not kept, so that the corrected form may be sent under the same token.
    """

    token = models.UUIDField(primary_key=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name="利用者"
    )
    path = models.CharField("パス", max_length=300)
    fields_sha256 = models.BinaryField("内容のSHA-256", max_length=32)
    location = models.CharField("結果のパス", max_length=500, blank=True)
    said = models.CharField("結果", max_length=300, blank=True)
    sent_at = models.DateTimeField("送信日時", help_text="市場時計")
    created_at = models.DateTimeField("作成日時", db_default=Now())

    class Meta:
        verbose_name = "送信済みの画面"
        verbose_name_plural = "送信済みの画面"
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["created_at"], name="formsent_age")]

    def __str__(self) -> str:
        return f"{self.path} {self.token}"


class DraftKind(models.TextChoices):
    """What a draft will become."""

    BID = "BID", "入札"
    STANDING_BID = "STANDING_BID", "常時入札"
    NEED = "NEED", "必要量"
    OTHER = "OTHER", "その他"


class Draft(models.Model):
    """What somebody types and has not sent, or has sent and may revise.

    The text is encrypted: an offer must not be readable before the gate, not even to who reads
    the database. It belongs to an organisation, so that a colleague can go on.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="組織"
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name="保存した人"
    )
    kind = models.CharField("種類", max_length=12, choices=DraftKind)
    subject = models.CharField(
        "対象", max_length=80, help_text="オークションのコードなど。この下書きが属するもの"
    )
    name = models.CharField("番号", max_length=80, help_text="入札番号など。対象の中で一つ")
    version = models.PositiveIntegerField("版", default=1)
    is_sent = models.BooleanField("提出済", default=False)
    sealed_text = models.BinaryField("内容（暗号化）")
    created_at = models.DateTimeField("作成日時", db_default=Now())
    saved_at = models.DateTimeField("保存日時", help_text="市場時計")

    class Meta:
        verbose_name = "下書き"
        verbose_name_plural = "下書き"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "kind", "subject", "name"], name="draft_one"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=DraftKind.values), name="draft_kind"
            ),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="draft_version"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.name} 版{self.version}"
