"""Accounts and transfers; imported inside this app only."""

import uuid

from django.db import models

from accounts.core.money import JPY_MAX
from accounts.fields import bounded
from accounts.parties.models import Organisation


class LedgerAccountKind(models.TextChoices):
    """What an account is in the house's books."""

    MEMBER = "MEMBER", "参加者勘定"
    CLEARING = "CLEARING", "清算勘定"
    REVENUE = "REVENUE", "収益"
    ROUNDING = "ROUNDING", "端数調整"
    IMBALANCE = "IMBALANCE", "インバランス"
    TAX = "TAX", "消費税"
    BANK = "BANK", "預金"


class LedgerAccount(models.Model):
    """A place where money stands; what it holds is the sum of its transfers."""

    id = models.BigAutoField(primary_key=True)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="ledger_accounts", verbose_name="組織"
    )
    code = models.SlugField("コード", max_length=40)
    name = models.CharField("名称", max_length=80)
    kind = models.CharField("種別", max_length=10, choices=LedgerAccountKind)

    class Meta:
        verbose_name = "勘定科目"
        verbose_name_plural = "勘定科目"
        ordering = ["organisation__code", "code"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "code"], name="ledgeraccount_code"),
            models.CheckConstraint(
                condition=models.Q(kind__in=LedgerAccountKind.values), name="ledgeraccount_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} {self.name}"


class TransferState(models.TextChoices):
    """What a row says; a row's state never changes, a later row settles a pending one."""

    PENDING = "PENDING", "仮"
    POSTED = "POSTED", "記帳"
    VOIDED = "VOIDED", "取消"


class Transfer(models.Model):
    """One debit, one credit, a positive number of yen: unbalanced is not expressible.

    A trigger refuses UPDATE, DELETE and TRUNCATE. A mistake is put right by a transfer the
    other way round that names it in `corrects`; a pending one by a POSTED or VOIDED row that
    names it in `settles`. Only POSTED rows move balances.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    debit = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="debits", verbose_name="借方"
    )
    credit = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="credits", verbose_name="貸方"
    )
    amount_jpy = models.BigIntegerField("金額 (円)")
    state = models.CharField("状態", max_length=8, choices=TransferState)
    code = models.CharField("摘要コード", max_length=40)
    period = models.CharField("精算期間", max_length=40, blank=True)
    posted_at = models.DateTimeField("記帳日時", help_text="市場時計")
    cause_kind = models.CharField("原因の種類", max_length=40)
    cause_id = models.CharField("原因", max_length=64)
    corrects = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrected_by",
        verbose_name="訂正対象",
    )
    settles = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="settled_by",
        verbose_name="確定対象",
    )
    detail = models.JSONField("内容", default=dict, blank=True)

    class Meta:
        verbose_name = "仕訳"
        verbose_name_plural = "仕訳"
        ordering = ["-posted_at", "id"]
        constraints = [
            bounded("amount_jpy", 1, JPY_MAX, name="transfer"),
            models.CheckConstraint(
                condition=~models.Q(debit=models.F("credit")), name="transfer_two_accounts"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=TransferState.values), name="transfer_state"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="VOIDED") | models.Q(settles__isnull=False),
                name="transfer_void_settles",
            ),
        ]
        indexes = [
            models.Index(fields=["debit", "posted_at"], name="transfer_debit"),
            models.Index(fields=["credit", "posted_at"], name="transfer_credit"),
            models.Index(fields=["cause_kind", "cause_id"], name="transfer_cause"),
            models.Index(fields=["period", "debit"], name="transfer_period_debit"),
            models.Index(fields=["period", "credit"], name="transfer_period_credit"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.amount_jpy} 円"
