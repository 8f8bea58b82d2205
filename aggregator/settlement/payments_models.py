"""Where money goes to, what was sent to a bank, and what became of it."""

from django.db import models

from accounts.core.money import JPY_MAX
from accounts.fields import bounded
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from aggregator.core.zengin import BankDetails, masked

ACTOR_LENGTH_MAX = 60
REASON_LENGTH_MAX = 200
ROWS_MAX = 10**9


class BankAccountKind(models.TextChoices):
    """Kinds of deposit as bank files number them (預金種目)."""

    ORDINARY = "1", "普通"
    CURRENT = "2", "当座"
    SAVINGS = "4", "貯蓄"
    OTHER = "9", "その他"


class BankAccountState(models.TextChoices):
    """A proposed account is used once a second person has approved it."""

    PROPOSED = "PROPOSED", "申請中"
    ACTIVE = "ACTIVE", "有効"
    RETIRED = "RETIRED", "廃止"


_B = BankAccountState
BANK_ACCOUNT_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _B.PROPOSED: (_B.ACTIVE, _B.RETIRED),
    _B.ACTIVE: (_B.RETIRED,),
    _B.RETIRED: (),
}


class BankAccount(models.Model):
    """An organisation's account at a bank; a change is a new row.

    The number stands in this row and in files for banks alone: everything that is shown or logged
    shows its last three digits.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="bank_accounts", verbose_name="組織"
    )
    bank_code = models.CharField("銀行番号", max_length=4)
    bank_name = models.CharField("銀行名（カナ）", max_length=15)
    branch_code = models.CharField("支店番号", max_length=3)
    branch_name = models.CharField("支店名（カナ）", max_length=15)
    kind = models.CharField("預金種目", max_length=1, choices=BankAccountKind)
    number = models.CharField("口座番号", max_length=7)
    holder = models.CharField("口座名義（カナ）", max_length=40)
    payer_code = models.CharField(
        "委託者コード", max_length=10, blank=True, help_text="振込元の口座のみ"
    )
    state = models.CharField("状態", max_length=8, choices=_B, default=_B.PROPOSED)
    proposed_by = models.CharField("申請者", max_length=ACTOR_LENGTH_MAX)
    proposed_at = models.DateTimeField("申請日時")
    activated_at = models.DateTimeField("有効日時", null=True, blank=True)
    retired_at = models.DateTimeField("廃止日時", null=True, blank=True)

    class Meta:
        verbose_name = "銀行口座"
        verbose_name_plural = "銀行口座"
        ordering = ["-proposed_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation"],
                condition=models.Q(state="ACTIVE"),
                name="bankaccount_one_active",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    bank_code__regex=r"^[0-9]{4}$",
                    branch_code__regex=r"^[0-9]{3}$",
                    number__regex=r"^[0-9]{7}$",
                    payer_code__regex=r"^[0-9]{0,10}$",
                    kind__in=BankAccountKind.values,
                ),
                name="bankaccount_codes",
            ),
            models.CheckConstraint(
                condition=models.Q(state="PROPOSED", activated_at__isnull=True)
                | models.Q(state="ACTIVE", activated_at__isnull=False, retired_at__isnull=True)
                | models.Q(state="RETIRED", retired_at__isnull=False),
                name="bankaccount_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bank_code}-{self.branch_code} {self.masked_number}"

    @property
    def masked_number(self) -> str:
        """Return the number with its last three digits only."""
        return masked(self.number)

    @property
    def details(self) -> BankDetails:
        """Return the account as records of bank files name it."""
        return BankDetails(
            bank_code=self.bank_code,
            bank_name=self.bank_name,
            branch_code=self.branch_code,
            branch_name=self.branch_name,
            kind=self.kind,
            number=self.number,
            holder=self.holder,
        )


class BatchState(models.TextChoices):
    """Life of a batch; a trigger lets it move along :data:`BATCH_TRANSITIONS` only."""

    DRAFT = "DRAFT", "作成済"
    RELEASED = "RELEASED", "送付済"
    ACKNOWLEDGED = "ACKNOWLEDGED", "一部結果あり"
    PARTLY_FAILED = "PARTLY_FAILED", "一部不能"
    SETTLED = "SETTLED", "完了"
    REJECTED = "REJECTED", "取止め"


_S = BatchState
BATCH_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.DRAFT: (_S.RELEASED, _S.REJECTED),
    _S.RELEASED: (_S.ACKNOWLEDGED, _S.PARTLY_FAILED, _S.SETTLED),
    _S.ACKNOWLEDGED: (_S.PARTLY_FAILED, _S.SETTLED),
    _S.SETTLED: (_S.PARTLY_FAILED,),
    _S.PARTLY_FAILED: (),
    _S.REJECTED: (),
}


class PaymentFormat(models.TextChoices):
    """Forms in which the same transfers are written."""

    ZENGIN = "ZENGIN", "全銀総合振込"
    PAIN001 = "PAIN001", "ISO 20022 pain.001"


class PaymentBatch(models.Model):
    """Transfers sent to the bank together, in files that cannot change once they are made.

    Its files say the same in every form; the form that may leave the house is chosen when it is
    released, for a bank that is given both pays twice.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    payer = models.ForeignKey(
        BankAccount, models.PROTECT, related_name="+", verbose_name="振込元口座"
    )
    pay_on = models.DateField("振込指定日")
    state = models.CharField("状態", max_length=13, choices=_S, default=_S.DRAFT)
    rows_count = models.PositiveIntegerField("件数")
    total_jpy = models.BigIntegerField("合計 (円)")
    files_sha256 = models.CharField(
        "ファイルのハッシュ", max_length=64, help_text="全ファイルのハッシュのハッシュ"
    )
    created_by = models.CharField("作成者", max_length=ACTOR_LENGTH_MAX)
    created_at = models.DateTimeField("作成日時")
    released_by = models.CharField("送付者", max_length=ACTOR_LENGTH_MAX, blank=True)
    released_at = models.DateTimeField("送付日時", null=True, blank=True)
    file_format = models.CharField("送付形式", max_length=8, choices=PaymentFormat, blank=True)
    approval = models.OneToOneField(
        "approvals.Approval",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="承認",
    )

    class Meta:
        verbose_name = "総合振込"
        verbose_name_plural = "総合振込"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=BatchState.values), name="paymentbatch_state"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["DRAFT", "REJECTED"], released_at__isnull=True, file_format=""
                )
                | ~models.Q(state__in=["DRAFT", "REJECTED"])
                & models.Q(
                    released_at__isnull=False,
                    approval__isnull=False,
                    file_format__in=PaymentFormat.values,
                ),
                name="paymentbatch_release",
            ),
            bounded("total_jpy", 1, JPY_MAX, name="paymentbatch"),
            bounded("rows_count", 1, ROWS_MAX, name="paymentbatch"),
        ]

    def __str__(self) -> str:
        return f"{self.pay_on} {self.rows_count} 件 {self.total_jpy:,} 円"


class PaymentFile(models.Model):
    """The bytes for the bank, kept as they were approved."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(
        PaymentBatch, models.PROTECT, related_name="files", verbose_name="総合振込"
    )
    format = models.CharField("形式", max_length=8, choices=PaymentFormat)
    position = models.PositiveIntegerField("番号")
    content = models.BinaryField("内容")
    sha256 = models.CharField("ハッシュ", max_length=64)

    class Meta:
        verbose_name = "振込ファイル"
        verbose_name_plural = "振込ファイル"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "format", "position"], name="paymentfile_once"
            ),
            models.CheckConstraint(
                condition=models.Q(format__in=PaymentFormat.values), name="paymentfile_format"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.format} {self.position}"


class PaymentState(models.TextChoices):
    """What became of one transfer."""

    PENDING = "PENDING", "結果待ち"
    PAID = "PAID", "振込済"
    FAILED = "FAILED", "不能"
    RETURNED = "RETURNED", "組戻し"


_P = PaymentState
PAYMENT_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _P.PENDING: (_P.PAID, _P.FAILED),
    _P.PAID: (_P.RETURNED,),
    _P.FAILED: (),
    _P.RETURNED: (),
}


class PaymentRow(models.Model):
    """One transfer of a batch; its reference comes back in the bank's result."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(
        PaymentBatch, models.PROTECT, related_name="rows", verbose_name="総合振込"
    )
    reference = models.PositiveBigIntegerField("顧客コード", help_text="一括内の番号")
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="payments", verbose_name="受取人"
    )
    bank_account = models.ForeignKey(
        BankAccount, models.PROTECT, related_name="+", verbose_name="振込先口座"
    )
    amount_jpy = models.BigIntegerField("金額 (円)")
    state = models.CharField("状態", max_length=8, choices=_P, default=_P.PENDING)
    reason = models.CharField("理由", max_length=REASON_LENGTH_MAX, blank=True)
    result_at = models.DateTimeField("結果日時", null=True, blank=True)

    class Meta:
        verbose_name = "振込"
        verbose_name_plural = "振込"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["batch", "reference"], name="paymentrow_in_batch"),
            models.UniqueConstraint(fields=["batch", "organisation"], name="paymentrow_payee"),
            models.CheckConstraint(
                condition=models.Q(state__in=PaymentState.values), name="paymentrow_state"
            ),
            bounded("amount_jpy", 1, JPY_MAX, name="paymentrow"),
            bounded("reference", 1, ROWS_MAX, name="paymentrow"),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} {self.amount_jpy:,} 円"


class PaymentPart(models.Model):
    """What of one account a transfer pays: its net, less what is held, less what was paid."""

    id = models.BigAutoField(primary_key=True)
    row = models.ForeignKey(PaymentRow, models.PROTECT, related_name="parts", verbose_name="振込")
    document = models.ForeignKey(
        "settlement.Document", models.PROTECT, related_name="payment_parts", verbose_name="精算書"
    )
    net_jpy = models.BigIntegerField("差引額 (円)")
    held_jpy = models.BigIntegerField("保留額 (円)")
    moved_jpy = models.BigIntegerField("既払額 (円)", help_text="支払済み（入金は負）")
    amount_jpy = models.BigIntegerField("金額 (円)", help_text="負は控除")

    class Meta:
        verbose_name = "振込の内訳"
        verbose_name_plural = "振込の内訳"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["row", "document"], name="paymentpart_once"),
            models.CheckConstraint(
                condition=models.Q(
                    amount_jpy=models.F("net_jpy") - models.F("held_jpy") - models.F("moved_jpy")
                ),
                name="paymentpart_sum",
            ),
            bounded("net_jpy", -JPY_MAX, JPY_MAX, name="paymentpart"),
            bounded("held_jpy", -JPY_MAX, JPY_MAX, name="paymentpart"),
            bounded("moved_jpy", -JPY_MAX, JPY_MAX, name="paymentpart"),
        ]

    def __str__(self) -> str:
        return f"{self.document_id} {self.amount_jpy:,} 円"


class PaymentResult(models.Model):
    """A bank's result as it came; the same file a second time changes nothing."""

    id = models.BigAutoField(primary_key=True)
    batch = models.ForeignKey(
        PaymentBatch, models.PROTECT, related_name="results", verbose_name="総合振込"
    )
    content = models.BinaryField("内容")
    sha256 = models.CharField("ハッシュ", max_length=64)
    imported_by = models.CharField("取込者", max_length=ACTOR_LENGTH_MAX)
    imported_at = models.DateTimeField("取込日時")

    class Meta:
        verbose_name = "振込結果"
        verbose_name_plural = "振込結果"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["batch", "sha256"], name="paymentresult_once")
        ]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.imported_at:%Y-%m-%d}"


class IncomingPayment(models.Model):
    """Money that came in for an account that a party owed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="incoming_payments", verbose_name="支払人"
    )
    document = models.ForeignKey(
        "settlement.Document",
        models.PROTECT,
        related_name="incoming_payments",
        verbose_name="精算書",
    )
    amount_jpy = models.BigIntegerField("金額 (円)")
    received_on = models.DateField("入金日")
    reference = models.CharField(
        "照会番号", max_length=60, unique=True, help_text="入出金明細の番号"
    )
    recorded_by = models.CharField("記録者", max_length=ACTOR_LENGTH_MAX)
    recorded_at = models.DateTimeField("記録日時")

    class Meta:
        verbose_name = "入金"
        verbose_name_plural = "入金"
        ordering = ["-received_on", "-id"]
        constraints = [bounded("amount_jpy", 1, JPY_MAX, name="incomingpayment")]

    def __str__(self) -> str:
        return f"{self.organisation} {self.amount_jpy:,} 円"
