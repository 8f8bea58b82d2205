"""Runs, exact lines, and the whole yen that a close makes of them."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from accounts.core.money import JPY_MAX
from accounts.core.money_words import MONEY_WORDS
from accounts.fields import KWH_MAX, PRICE_MAX_JPY_PER_KWH, bounded
from aggregator.core.settlement import Item
from aggregator.metering.models import DeliveryVerification
from aggregator.settlement.agreed_models import RunTerms
from aggregator.settlement.dispute_models import (
    Dispute,
    DisputedLine,
    DisputeEntry,
    DisputeEvidence,
)
from aggregator.settlement.documents_models import Document, DocumentFile, DocumentSeries
from aggregator.settlement.negawatt_models import NegawattContract, NegawattMethod
from aggregator.settlement.payments_models import (
    BankAccount,
    IncomingPayment,
    PaymentBatch,
    PaymentFile,
    PaymentPart,
    PaymentResult,
    PaymentRow,
)
from market.clearing.models import Award
from market.trading.models import Auction, Need

__all__ = (
    "ITEM_CHOICES", "ITEM_NAMES", "BankAccount", "CorrectionCause", "Dispute", "DisputeEntry",
    "DisputeEvidence", "DisputedLine", "Document", "DocumentFile", "DocumentSeries",
    "IncomingPayment", "LineAdjustment", "NegawattContract", "NegawattMethod", "PaymentBatch",
    "PaymentFile", "PaymentPart", "PaymentResult", "PaymentRow", "PeriodState", "RunKind",
    "RunTerms", "RunTotal",
    "SettlementItem", "SettlementLine", "SettlementPeriod", "SettlementRun",
)  # fmt: skip

ITEM_NAMES = {item: MONEY_WORDS[item.value].ja for item in Item}
ITEM_CHOICES = [(item.value, name) for item, name in ITEM_NAMES.items()]


class PeriodState(models.TextChoices):
    """A closed period is never opened again; what comes later is posted as a difference."""

    OPEN = "OPEN", "未締"
    CLOSED = "CLOSED", "締済"


class SettlementPeriod(models.Model):
    """Delivery dates [start_on, end_on) settled together: a month, in the demo a day."""

    id = models.BigAutoField(primary_key=True)
    start_on = models.DateField("開始日", unique=True)
    end_on = models.DateField("終了日（含まない）")
    state = models.CharField("状態", max_length=8, choices=PeriodState, default=PeriodState.OPEN)
    closed_at = models.DateTimeField("締日時", null=True, blank=True)

    class Meta:
        verbose_name = "精算期間"
        verbose_name_plural = "精算期間"
        ordering = ["-start_on"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(start_on__lt=models.F("end_on")), name="period_dates"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=PeriodState.values), name="period_state"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """Return the name under which its transfers are posted."""
        return f"{self.start_on:%Y-%m-%d}/{self.end_on:%Y-%m-%d}"


class RunKind(models.TextChoices):
    """A provisional run informs; a final one is posted, and what corrections add to it."""

    PROVISIONAL = "PROVISIONAL", "速報"
    FINAL = "FINAL", "確定"
    CORRECTION = "CORRECTION", "訂正"


class CorrectionCause(models.TextChoices):
    """Why a correction was made; its id names which."""

    READING = "READING", "計量値の訂正"
    DISPUTE = "DISPUTE", "異議の認容"
    FORCE_MAJEURE = "FORCE_MAJEURE", "不可抗力"
    PLACEMENT = "PLACEMENT", "配置記録"
    ACTIVATION = "ACTIVATION", "調整力の発動"
    RULE = "RULE", "規則の訂正"


class SettlementRun(models.Model):
    """One settlement of one auction from one set of inputs.

    What an auction is settled at is its final run and, in turn, the corrections after it: each
    holds the differences alone and names the run before it. No run is corrected twice, so the
    runs of an auction are a chain and never a tree.
    """

    id = models.BigAutoField(primary_key=True)
    auction = models.ForeignKey(
        Auction, models.PROTECT, related_name="settlement_runs", verbose_name="オークション"
    )
    verification = models.ForeignKey(
        DeliveryVerification, models.PROTECT, related_name="+", verbose_name="供出量の確認"
    )
    kind = models.CharField("種別", max_length=12, choices=RunKind)
    revision = models.PositiveIntegerField("版")
    input_sha256 = models.CharField("入力のハッシュ", max_length=64)
    ruleset_version = models.CharField("規則の版", max_length=40)
    executed_at = models.DateTimeField("実行日時")
    corrects = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrected_by",
        verbose_name="訂正対象",
    )
    cause_kind = models.CharField(
        "訂正の原因", max_length=16, choices=CorrectionCause, blank=True, default=""
    )
    cause_id = models.CharField("原因の番号", max_length=64, blank=True, default="")

    class Meta:
        verbose_name = "精算"
        verbose_name_plural = "精算"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["auction", "kind", "revision"], name="settlementrun_revision"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=RunKind.values), name="settlementrun_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    kind="CORRECTION",
                    corrects__isnull=False,
                    cause_kind__in=CorrectionCause.values,
                )
                & ~models.Q(cause_id="")
                | ~models.Q(kind="CORRECTION")
                & models.Q(corrects__isnull=True, cause_kind="", cause_id=""),
                name="settlementrun_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.auction} {self.get_kind_display()} 版{self.revision}"


class SettlementLine(models.Model):
    """`payer` owes `payee` an exact positive amount; unposted until a period closes.

    Lines are written a million at a time by one statement that reads what it refers to, so
    their references carry no foreign key triggers. A trigger refuses UPDATE and DELETE.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        SettlementRun,
        models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="lines",
        verbose_name="精算",
    )
    item = models.CharField("項目", max_length=24, choices=ITEM_CHOICES)
    payer = models.ForeignKey(
        "ledger.LedgerAccount",
        models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name="支払",
    )
    payee = models.ForeignKey(
        "ledger.LedgerAccount",
        models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name="受取",
    )
    award = models.ForeignKey(
        Award,
        models.PROTECT,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name="約定",
    )
    need = models.ForeignKey(
        Need,
        models.PROTECT,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name="必要量",
    )
    element = models.CharField("設備", max_length=64, null=True)
    t = models.SmallIntegerField("番号", null=True, help_text="空欄は一日分")
    start_at = models.DateTimeField("開始", null=True)
    quantity_kwh = models.DecimalField("電力量 (kWh)", max_digits=20, decimal_places=6, null=True)
    price_jpy_per_kwh = models.DecimalField(
        "単価 (円/kWh)", max_digits=14, decimal_places=6, null=True
    )
    quantity_gb = models.DecimalField("転送量 (GB)", max_digits=20, decimal_places=6, null=True)
    price_jpy_per_gb = models.DecimalField(
        "料金 (円/GB)", max_digits=14, decimal_places=6, null=True
    )
    amount_exact_jpy = models.DecimalField("金額（円、端数あり）", max_digits=22, decimal_places=6)

    class Meta:
        verbose_name = "精算明細"
        verbose_name_plural = "精算明細"
        constraints = [
            # One constraint, because every one of a million lines is held against each.
            models.CheckConstraint(
                condition=~models.Q(payer=models.F("payee"))
                & models.Q(
                    amount_exact_jpy__gt=0,
                    amount_exact_jpy__lte=JPY_MAX,
                    quantity_kwh__gte=-KWH_MAX,
                    quantity_kwh__lte=KWH_MAX,
                    quantity_gb__gte=0,
                    quantity_gb__lte=KWH_MAX,
                    price_jpy_per_kwh__gte=-PRICE_MAX_JPY_PER_KWH,
                    price_jpy_per_kwh__lte=PRICE_MAX_JPY_PER_KWH,
                    price_jpy_per_gb__gte=0,
                    price_jpy_per_gb__lte=PRICE_MAX_JPY_PER_KWH,
                    t__gte=0,
                    t__lte=47,
                ),
                name="settlementline_bounds",
            ),
        ]
        indexes = [
            # A run's lines lie together: a few pages of index find them, and a million more
            # lines cost it next to nothing.
            BrinIndex(
                fields=["run"], name="settlementline_run", pages_per_range=32, autosummarize=True
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_item_display()} {self.amount_exact_jpy} 円"


class LineAdjustment(models.Model):
    """What a decided dispute says a line should have been; its correction follows from these.

    Exactly the amount, or the quantity or price (or both) that it is to be computed from.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        SettlementRun, models.PROTECT, related_name="adjustments", verbose_name="訂正"
    )
    line = models.ForeignKey(
        SettlementLine, models.PROTECT, related_name="adjustments", verbose_name="明細"
    )
    quantity_kwh = models.DecimalField(
        "正しい電力量 (kWh)", max_digits=20, decimal_places=6, null=True, blank=True
    )
    price_jpy_per_kwh = models.DecimalField(
        "正しい単価 (円/kWh)", max_digits=14, decimal_places=6, null=True, blank=True
    )
    amount_exact_jpy = models.DecimalField(
        "正しい金額（円、端数あり）",
        max_digits=22,
        decimal_places=6,
        null=True,
        blank=True,
        help_text="明細の向きで正；負は支払と受取が逆",
    )

    class Meta:
        verbose_name = "明細の訂正"
        verbose_name_plural = "明細の訂正"
        constraints = [
            models.UniqueConstraint(fields=["run", "line"], name="lineadjustment_once"),
            models.CheckConstraint(
                condition=models.Q(amount_exact_jpy__isnull=True)
                & (models.Q(quantity_kwh__isnull=False) | models.Q(price_jpy_per_kwh__isnull=False))
                | models.Q(
                    amount_exact_jpy__isnull=False,
                    quantity_kwh__isnull=True,
                    price_jpy_per_kwh__isnull=True,
                ),
                name="lineadjustment_says_one",
            ),
            bounded("quantity_kwh", 0, KWH_MAX, name="lineadjustment"),
            bounded(
                "price_jpy_per_kwh",
                -PRICE_MAX_JPY_PER_KWH,
                PRICE_MAX_JPY_PER_KWH,
                name="lineadjustment",
            ),
            bounded("amount_exact_jpy", -JPY_MAX, JPY_MAX, name="lineadjustment"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.line_id}"


class RunTotal(models.Model):
    """What a run's lines come to for one account and item; kept when a close first asks."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        SettlementRun,
        models.PROTECT,
        db_index=False,
        related_name="totals",
        verbose_name="精算",
    )
    account = models.ForeignKey(
        "ledger.LedgerAccount",
        models.PROTECT,
        db_index=False,
        related_name="+",
        verbose_name="勘定",
    )
    item = models.CharField("項目", max_length=24, choices=ITEM_CHOICES)
    total_exact_jpy = models.DecimalField("合計（円、端数あり）", max_digits=22, decimal_places=6)

    class Meta:
        verbose_name = "精算の合計"
        verbose_name_plural = "精算の合計"
        constraints = [
            models.UniqueConstraint(fields=["run", "account", "item"], name="runtotal_once"),
            bounded("total_exact_jpy", -JPY_MAX, JPY_MAX, name="runtotal"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.item} {self.total_exact_jpy} 円"


class SettlementItem(models.Model):
    """What one close found for one account and kind of charge, and the transfer it made.

    `amount_jpy` is the rounded total as of this close; the transfer moves what earlier closes
    of the period had not. Rows are added, never changed: the latest close is the truth.
    """

    id = models.BigAutoField(primary_key=True)
    period = models.ForeignKey(
        SettlementPeriod, models.PROTECT, related_name="items", verbose_name="精算期間"
    )
    close_number = models.PositiveIntegerField("締の回")
    account = models.ForeignKey(
        "ledger.LedgerAccount",
        models.PROTECT,
        related_name="+",
        db_index=False,
        verbose_name="勘定",
    )
    item = models.CharField("項目", max_length=24)
    total_exact_jpy = models.DecimalField("合計（円、端数あり）", max_digits=22, decimal_places=6)
    amount_jpy = models.BigIntegerField("合計 (円)")
    posted_before_jpy = models.BigIntegerField("記帳済 (円)")
    transfer = models.OneToOneField(
        "ledger.Transfer",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="settlement_item",
        verbose_name="仕訳",
    )

    class Meta:
        verbose_name = "精算項目"
        verbose_name_plural = "精算項目"
        indexes = [models.Index(fields=["account", "id"], name="settlementitem_of")]
        constraints = [
            models.UniqueConstraint(
                fields=["period", "close_number", "account", "item"], name="settlementitem_once"
            ),
            bounded("amount_jpy", -JPY_MAX, JPY_MAX, name="settlementitem"),
            bounded("posted_before_jpy", -JPY_MAX, JPY_MAX, name="settlementitem"),
            bounded("total_exact_jpy", -JPY_MAX, JPY_MAX, name="settlementitem"),
        ]

    def __str__(self) -> str:
        return f"{self.period} {self.item} {self.amount_jpy} 円"
