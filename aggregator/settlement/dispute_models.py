"""Objections to settlement lines: what is disputed, by whom, with what, and what was decided."""

from django.db import models

from accounts.core.files import FILE_BYTES_MAX, NAME_LENGTH_MAX
from accounts.core.money import JPY_MAX
from accounts.fields import bounded
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation

TEXT_LENGTH_MAX = 2_000
ACTOR_LENGTH_MAX = 60


class DisputeState(models.TextChoices):
    """Life of a dispute; a trigger lets it move along :data:`DISPUTE_TRANSITIONS` only."""

    OPEN = "OPEN", "申立済"
    UNDER_REVIEW = "UNDER_REVIEW", "審査中"
    ACCEPTED = "ACCEPTED", "認容"
    REJECTED = "REJECTED", "棄却"
    WITHDRAWN = "WITHDRAWN", "取下げ"


_S = DisputeState

DISPUTE_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.OPEN: (_S.UNDER_REVIEW, _S.WITHDRAWN),
    _S.UNDER_REVIEW: (_S.ACCEPTED, _S.REJECTED, _S.WITHDRAWN),
    _S.ACCEPTED: (),
    _S.REJECTED: (),
    _S.WITHDRAWN: (),
}
UNDECIDED_STATES = (_S.OPEN, _S.UNDER_REVIEW)


class DisputeReason(models.TextChoices):
    """What is wrong with a line, in the eyes of who objects."""

    READING = "READING", "計量値"
    BASELINE = "BASELINE", "ベースライン"
    DELIVERY = "DELIVERY", "供出量"
    PRICE = "PRICE", "単価"
    RULE = "RULE", "規則の適用"
    FORCE_MAJEURE = "FORCE_MAJEURE", "不可抗力"
    OTHER = "OTHER", "その他"


class Dispute(models.Model):
    """An objection of one party to lines it pays or is paid, all with the same other side.

    `is_held` is a fact for whoever moves money: as long as it holds, the lines' amounts are not
    to be paid. It ends with the rejection or withdrawal, or once an accepted dispute is corrected.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        db_index=False,
        related_name="disputes",
        verbose_name="申立者",
    )
    counterparty = models.ForeignKey(
        Organisation, models.PROTECT, db_index=False, related_name="+", verbose_name="相手方"
    )
    reason_code = models.CharField("理由コード", max_length=16, choices=DisputeReason)
    reason = models.CharField("理由", max_length=TEXT_LENGTH_MAX)
    disputed_exact_jpy = models.DecimalField(
        "係争額（円、端数あり）",
        max_digits=22,
        decimal_places=6,
        help_text="申立者から見た明細の合計（受取は正、支払は負）",
    )
    state = models.CharField("状態", max_length=12, choices=DisputeState, default=DisputeState.OPEN)
    is_held = models.BooleanField("支払保留", default=True)
    decision = models.CharField("決定", max_length=TEXT_LENGTH_MAX, blank=True)
    opened_at = models.DateTimeField("申立日時")
    ended_at = models.DateTimeField("終結日時", null=True, blank=True)
    corrected_by = models.ForeignKey(
        "settlement.SettlementRun",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="disputes",
        verbose_name="訂正した精算",
    )

    class Meta:
        verbose_name = "異議"
        verbose_name_plural = "異議"
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=DisputeState.values), name="dispute_state"
            ),
            models.CheckConstraint(
                condition=models.Q(reason_code__in=DisputeReason.values), name="dispute_reason"
            ),
            models.CheckConstraint(
                condition=~models.Q(organisation=models.F("counterparty")),
                name="dispute_two_sides",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["OPEN", "UNDER_REVIEW"], ended_at__isnull=True)
                | models.Q(state__in=["ACCEPTED", "REJECTED", "WITHDRAWN"], ended_at__isnull=False),
                name="dispute_end",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["OPEN", "UNDER_REVIEW"], is_held=True)
                | models.Q(state__in=["REJECTED", "WITHDRAWN"], is_held=False)
                | models.Q(state="ACCEPTED", is_held=True, corrected_by__isnull=True)
                | models.Q(state="ACCEPTED", is_held=False, corrected_by__isnull=False),
                name="dispute_hold",
            ),
            models.CheckConstraint(
                condition=models.Q(corrected_by__isnull=True) | models.Q(state="ACCEPTED"),
                name="dispute_correction",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["ACCEPTED", "REJECTED"]) | ~models.Q(decision=""),
                name="dispute_decision",
            ),
            bounded("disputed_exact_jpy", -JPY_MAX, JPY_MAX, name="dispute"),
        ]
        indexes = [
            models.Index(fields=["organisation", "opened_at", "id"], name="dispute_of"),
            models.Index(fields=["counterparty", "opened_at", "id"], name="dispute_against"),
            models.Index(fields=["opened_at", "id"], name="dispute_in_turn"),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} {self.get_reason_code_display()} {self.get_state_display()}"


class DisputedLine(models.Model):
    """A settlement line that a dispute is about."""

    id = models.BigAutoField(primary_key=True)
    dispute = models.ForeignKey(
        Dispute,
        models.PROTECT,
        db_index=False,
        related_name="disputed_lines",
        verbose_name="異議",
    )
    line = models.ForeignKey(
        "settlement.SettlementLine", models.PROTECT, related_name="disputed", verbose_name="明細"
    )

    class Meta:
        verbose_name = "係争中の明細"
        verbose_name_plural = "係争中の明細"
        constraints = [
            models.UniqueConstraint(fields=["dispute", "line"], name="disputedline_once"),
        ]

    def __str__(self) -> str:
        return f"{self.dispute_id} {self.line_id}"


class DisputeEvidence(models.Model):
    """A file that one side shows; kept as it came, handed out as an attachment."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    dispute = models.ForeignKey(
        Dispute, models.PROTECT, db_index=False, related_name="evidence", verbose_name="異議"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="提出者"
    )
    name = models.CharField("名称", max_length=NAME_LENGTH_MAX)
    content_type = models.CharField("形式", max_length=40)
    size_bytes = models.PositiveIntegerField("大きさ (B)")
    sha256 = models.CharField("ハッシュ", max_length=64)
    content = models.BinaryField("内容")
    added_at = models.DateTimeField("提出日時")

    class Meta:
        verbose_name = "証拠"
        verbose_name_plural = "証拠"
        constraints = [
            models.UniqueConstraint(fields=["dispute", "sha256"], name="disputeevidence_once"),
            bounded("size_bytes", 1, FILE_BYTES_MAX, name="disputeevidence"),
        ]

    def __str__(self) -> str:
        return self.name


class EntryKind(models.TextChoices):
    """What happened in a dispute."""

    OPENED = "OPENED", "申立"
    COMMENTED = "COMMENTED", "意見"
    EVIDENCE_ADDED = "EVIDENCE_ADDED", "証拠提出"
    REVIEW_STARTED = "REVIEW_STARTED", "審査開始"
    ACCEPTED = "ACCEPTED", "認容"
    REJECTED = "REJECTED", "棄却"
    WITHDRAWN = "WITHDRAWN", "取下げ"


class DisputeEntry(models.Model):
    """One line of a dispute's history, which both sides see."""

    id = models.BigAutoField(primary_key=True)
    dispute = models.ForeignKey(
        Dispute, models.PROTECT, db_index=False, related_name="entries", verbose_name="異議"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="記入者"
    )
    actor = models.CharField("担当", max_length=ACTOR_LENGTH_MAX, help_text="user:7 など")
    kind = models.CharField("種別", max_length=16, choices=EntryKind)
    text = models.CharField("内容", max_length=TEXT_LENGTH_MAX, blank=True)
    evidence = models.OneToOneField(
        DisputeEvidence,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="entry",
        verbose_name="証拠",
    )
    at = models.DateTimeField("日時")

    class Meta:
        verbose_name = "異議の経過"
        verbose_name_plural = "異議の経過"
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=EntryKind.values), name="disputeentry_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="EVIDENCE_ADDED", evidence__isnull=False)
                | (~models.Q(kind="EVIDENCE_ADDED") & models.Q(evidence__isnull=True)),
                name="disputeentry_evidence",
            ),
        ]
        indexes = [models.Index(fields=["dispute", "id"], name="disputeentry_in_turn")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.get_kind_display()}"
