"""Requests for a second person's word, and what became of them."""

from django.db import models

from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation


class ApprovalState(models.TextChoices):
    """Life of a request; a trigger lets it move forward only."""

    REQUESTED = "REQUESTED", "申請中"
    APPROVED = "APPROVED", "承認"
    REJECTED = "REJECTED", "却下"
    EXPIRED = "EXPIRED", "失効"
    USED = "USED", "実行済"


_S = ApprovalState
APPROVAL_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.REQUESTED: (_S.APPROVED, _S.REJECTED, _S.EXPIRED),
    _S.APPROVED: (_S.USED, _S.EXPIRED),
    _S.REJECTED: (),
    _S.EXPIRED: (),
    _S.USED: (),
}


class Approval(models.Model):
    """One request, bound to the SHA-256 of exactly what is asked for.

    The database itself refuses a checker who is the maker or no person, and any change but the
    decision.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField("種類", max_length=40, help_text="accounts.approvals.kinds.KINDS")
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="組織"
    )
    subject = models.CharField("対象", max_length=120, help_text="Model label and id.")
    content_sha256 = models.CharField("内容のハッシュ", max_length=64)
    detail = models.JSONField("内容", default=dict, help_text="What the checker is shown.")
    reason = models.CharField("申請理由", max_length=200, blank=True)
    maker = models.CharField("申請者", max_length=120)
    checker = models.CharField("承認者", max_length=120, blank=True)
    decision_reason = models.CharField("判断理由", max_length=200, blank=True)
    state = models.CharField("状態", max_length=10, choices=_S, default=_S.REQUESTED)
    requested_at = models.DateTimeField("申請日時", help_text="Market time.")
    expires_at = models.DateTimeField("期限", help_text="Market time.")
    decided_at = models.DateTimeField("判断日時", null=True, blank=True)
    used_at = models.DateTimeField("実行日時", null=True, blank=True)

    class Meta:
        verbose_name = "承認"
        verbose_name_plural = "承認"
        ordering = ["-requested_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=ApprovalState.values), name="approval_state"
            ),
            models.CheckConstraint(
                condition=~models.Q(maker=models.F("checker")), name="approval_two_people"
            ),
            models.CheckConstraint(
                condition=models.Q(checker="") | models.Q(checker__startswith="user:"),
                name="approval_checked_by_a_person",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["APPROVED", "REJECTED", "USED"])
                & ~models.Q(checker="")
                & models.Q(decided_at__isnull=False)
                | models.Q(state__in=["REQUESTED"], checker="", decided_at__isnull=True)
                | models.Q(state="EXPIRED"),
                name="approval_decided",
            ),
            models.CheckConstraint(
                condition=models.Q(state="USED", used_at__isnull=False)
                | ~models.Q(state="USED") & models.Q(used_at__isnull=True),
                name="approval_used",
            ),
            models.CheckConstraint(
                condition=models.Q(requested_at__lt=models.F("expires_at")), name="approval_times"
            ),
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=models.Q(state__in=["REQUESTED", "APPROVED"]),
                name="approval_one_open",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "requested_at", "id"], name="approval_of"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.get_state_display()}"
