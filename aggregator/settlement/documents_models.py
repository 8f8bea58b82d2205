"""Documents issued to parties: numbered without gaps, kept as issued, corrected by new ones."""

from django.db import models

from accounts.core.money import JPY_MAX
from accounts.fields import bounded
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from aggregator.core.documents import DocumentKind

SEQUENCE_MAX = 999_999
FILE_MAX_BYTES = 50_000_000
NUMBER_LENGTH_MAX = 16


class Kind(models.TextChoices):
    """What a document is."""

    STATEMENT = DocumentKind.STATEMENT.value, "支払通知書（仕入明細書）"
    INVOICE = DocumentKind.INVOICE.value, "請求書（適格請求書）"
    ACCOUNT = DocumentKind.ACCOUNT.value, "精算書"


class DocumentState(models.TextChoices):
    """Whether its recipient agrees; only a statement asks for it."""

    ISSUED = "ISSUED", "発行済"
    CONFIRMED = "CONFIRMED", "確認済"
    OBJECTED = "OBJECTED", "異議あり"


_S = DocumentState
DOCUMENT_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.ISSUED: (_S.CONFIRMED, _S.OBJECTED),
    _S.OBJECTED: (_S.CONFIRMED,),
    _S.CONFIRMED: (),
}


class ConfirmationMethod(models.TextChoices):
    """How a statement came to count as confirmed."""

    CLICK = "CLICK", "確認操作"
    NO_OBJECTION = "NO_OBJECTION", "期限内に異議なし"


class Language(models.TextChoices):
    """Languages of files."""

    JA = "ja", "日本語"
    EN = "en", "英語"


class FileFormat(models.TextChoices):
    """Formats of files."""

    PDF = "pdf", "PDF"
    XLSX = "xlsx", "XLSX"
    CSV = "csv", "CSV"


class DocumentSeries(models.Model):
    """The last number given of a kind in a fiscal year; locked while one is given."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField("種類", max_length=10, choices=Kind)
    fiscal_year = models.PositiveSmallIntegerField("年度")
    last_sequence = models.PositiveIntegerField("最終番号", default=0)

    class Meta:
        verbose_name = "文書番号の系列"
        verbose_name_plural = "文書番号の系列"
        ordering = ["-fiscal_year", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "fiscal_year"], name="documentseries_once"),
            bounded("last_sequence", 0, SEQUENCE_MAX, name="documentseries"),
            bounded("fiscal_year", 2000, 2999, name="documentseries"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.fiscal_year}年度"


class Document(models.Model):
    """One document of one party's period; triggers let nothing but its confirmation change.

    `content` is the whole document as data, and `content_sha256` its digest; files are made from
    it alone. What later turns out otherwise is another row that names this one in `corrects`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField("種類", max_length=10, choices=Kind)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="documents", verbose_name="相手方"
    )
    period = models.ForeignKey(
        "settlement.SettlementPeriod",
        models.PROTECT,
        related_name="documents",
        verbose_name="精算期間",
    )
    revision = models.PositiveIntegerField("版")
    fiscal_year = models.PositiveSmallIntegerField("年度")
    sequence = models.PositiveIntegerField("番号")
    number = models.CharField("文書番号", max_length=NUMBER_LENGTH_MAX, unique=True)
    corrects = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="corrected_by",
        verbose_name="訂正対象",
    )
    close_number = models.PositiveIntegerField("締の回")
    issued_at = models.DateTimeField("発行日時", help_text="市場時計")
    issued_on = models.DateField("発行日")
    tax_jpy = models.BigIntegerField("消費税 (円)")
    total_jpy = models.BigIntegerField("合計 (円)", help_text="税込")
    content = models.JSONField("内容")
    content_sha256 = models.CharField("内容のハッシュ", max_length=64)
    state = models.CharField("状態", max_length=10, choices=_S, default=_S.ISSUED)
    objection_due_at = models.DateTimeField("異議申立期限", null=True, blank=True)
    confirmed_at = models.DateTimeField("確認日時", null=True, blank=True)
    confirmation_method = models.CharField(
        "確認方法", max_length=12, choices=ConfirmationMethod, blank=True
    )
    confirmed_by = models.CharField("確認者", max_length=60, blank=True)
    dispute = models.ForeignKey(
        "settlement.Dispute",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="documents",
        verbose_name="異議",
    )

    class Meta:
        verbose_name = "文書"
        verbose_name_plural = "文書"
        ordering = ["-issued_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["period", "organisation", "kind", "revision"], name="document_revision"
            ),
            models.UniqueConstraint(
                fields=["kind", "fiscal_year", "sequence"], name="document_in_series"
            ),
            models.CheckConstraint(condition=models.Q(kind__in=Kind.values), name="document_kind"),
            models.CheckConstraint(
                condition=models.Q(state__in=DocumentState.values), name="document_state"
            ),
            models.CheckConstraint(
                condition=models.Q(revision=1, corrects__isnull=True)
                | models.Q(revision__gt=1, corrects__isnull=False),
                name="document_corrects",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state="CONFIRMED",
                    confirmed_at__isnull=False,
                    confirmation_method__in=ConfirmationMethod.values,
                )
                | ~models.Q(state="CONFIRMED")
                & models.Q(confirmed_at__isnull=True, confirmation_method=""),
                name="document_confirmation",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="OBJECTED") | models.Q(dispute__isnull=False),
                name="document_objection",
            ),
            bounded("total_jpy", -JPY_MAX, JPY_MAX, name="document"),
            bounded("tax_jpy", -JPY_MAX, JPY_MAX, name="document"),
            bounded("sequence", 1, SEQUENCE_MAX, name="document"),
        ]
        indexes = [
            # searches that the law asks for: partner, date, amount (電子帳簿保存法)
            models.Index(fields=["organisation", "issued_on", "id"], name="document_partner"),
            models.Index(fields=["issued_on", "id"], name="document_day"),
            models.Index(fields=["total_jpy", "id"], name="document_amount"),
        ]

    def __str__(self) -> str:
        return self.number


class DocumentFile(models.Model):
    """A file of a document, kept from when it was first made; never replaced."""

    id = models.BigAutoField(primary_key=True)
    document = models.ForeignKey(
        Document, models.PROTECT, db_index=False, related_name="files", verbose_name="文書"
    )
    language = models.CharField("言語", max_length=2, choices=Language)
    format = models.CharField("形式", max_length=4, choices=FileFormat)
    content = models.BinaryField("内容")
    sha256 = models.CharField("ハッシュ", max_length=64)
    size_bytes = models.PositiveIntegerField("大きさ (B)")
    made_at = models.DateTimeField("作成日時")

    class Meta:
        verbose_name = "文書ファイル"
        verbose_name_plural = "文書ファイル"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "language", "format"], name="documentfile_once"
            ),
            models.CheckConstraint(
                condition=models.Q(language__in=Language.values, format__in=FileFormat.values),
                name="documentfile_form",
            ),
            bounded("size_bytes", 1, FILE_MAX_BYTES, name="documentfile"),
        ]

    def __str__(self) -> str:
        return f"{self.document_id} {self.language} {self.format}"
