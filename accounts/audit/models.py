"""The audit trail, the chain that seals it, and the checkpoints that leave the house."""

from datetime import UTC

from django.conf import settings
from django.db import models

from accounts.core.chain import Checkpoint


class TransactionId(models.Func):
    """The number of the transaction that writes, as PostgreSQL counts them without end."""

    function = ""
    template = "((pg_current_xact_id()::text)::bigint)"
    arity = 0
    output_field = models.BigIntegerField()


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
    actor = models.CharField(
        "行為者",
        max_length=120,
        default="system",
        help_text="user:<番号>、client:<ID>、system:<ジョブ>",
    )
    subject = models.CharField("対象", max_length=120, help_text="Model label and id.")
    detail = models.JSONField("内容", default=dict)
    txid = models.BigIntegerField(
        "トランザクション",
        db_default=TransactionId(),
        editable=False,
        help_text="Says when all that was written together is committed and may be sealed.",
    )

    class Meta:
        verbose_name = "監査記録"
        verbose_name_plural = "監査記録"
        indexes = [
            models.Index(fields=["subject"], name="audit_subject"),
            models.Index(fields=["action", "at"], name="audit_action_at"),
            models.Index(fields=["organisation_id", "id"], name="audit_organisation"),
            models.Index(fields=["txid"], name="audit_txid"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} {self.subject}"


class AuditLink(models.Model):
    """The place of one entry in the chain; written by the sealer, never changed."""

    number = models.BigIntegerField("番号", primary_key=True, help_text="Dense, from 1.")
    entry = models.OneToOneField(
        AuditEntry, models.PROTECT, related_name="link", verbose_name="監査記録"
    )
    sha256 = models.BinaryField(
        "ハッシュ", max_length=32, help_text="Of the link before, and the entry's canonical bytes."
    )

    class Meta:
        verbose_name = "監査チェーン"
        verbose_name_plural = "監査チェーン"
        constraints = [
            models.CheckConstraint(condition=models.Q(number__gte=1), name="auditlink_number"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {bytes(self.sha256).hex()[:12]}"


class AuditCheckpoint(models.Model):
    """A signed statement of how far the chain reaches and what its last link is."""

    number = models.BigIntegerField("番号", primary_key=True, help_text="Dense, from 1.")
    last_link = models.OneToOneField(
        AuditLink, models.PROTECT, related_name="checkpoint", verbose_name="最後のリンク"
    )
    count = models.PositiveIntegerField("件数", help_text="Links since the checkpoint before.")
    sha256 = models.CharField("ハッシュ", max_length=64)
    public_key = models.CharField("公開鍵", max_length=64, help_text="Ed25519")
    signature = models.CharField("署名", max_length=128)
    sealed_at = models.DateTimeField("封印日時", help_text="Database clock, as signed.")

    class Meta:
        verbose_name = "監査チェックポイント"
        verbose_name_plural = "監査チェックポイント"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(number__gte=1, count__gte=1), name="auditcheckpoint_bounds"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.sha256[:12]}"

    def as_checkpoint(self) -> Checkpoint:
        """Return what was signed, with its signature."""
        return Checkpoint(
            number=self.number,
            last_link=self.last_link_id,
            count=self.count,
            sha256=self.sha256,
            sealed_at=self.sealed_at.astimezone(UTC).isoformat(timespec="microseconds"),
            public_key=self.public_key,
            signature=self.signature,
        )
