"""Force majeure: half hours in which nobody is to blame, asked for with a file, decided by two."""

from django.db import models

from accounts.core.files import FILE_BYTES_MAX, NAME_LENGTH_MAX
from accounts.fields import bounded
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from market.registry.models import Resource, Site

TEXT_LENGTH_MAX = 2_000
ACTOR_LENGTH_MAX = 60


class ExcuseState(models.TextChoices):
    """Life of a request; a trigger lets it move along :data:`EXCUSE_TRANSITIONS` only."""

    REQUESTED = "REQUESTED", "申請"
    ACCEPTED = "ACCEPTED", "認定"
    REJECTED = "REJECTED", "却下"


EXCUSE_TRANSITIONS: dict[str, tuple[str, ...]] = {
    ExcuseState.REQUESTED: (ExcuseState.ACCEPTED, ExcuseState.REJECTED),
    ExcuseState.ACCEPTED: (),
    ExcuseState.REJECTED: (),
}


class ForceMajeure(models.Model):
    """A request that a resource, a site or everybody be excused in [starts_at, ends_at).

    Once accepted, a half hour that it touches carries no penalty; what was not delivered is
    not paid either way.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        db_index=False,
        related_name="force_majeures",
        verbose_name="申請者",
    )
    site = models.ForeignKey(
        Site, models.PROTECT, null=True, blank=True, related_name="+", verbose_name="拠点"
    )
    resource = models.ForeignKey(
        Resource,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="リソース",
        help_text="拠点もリソースも空欄なら全員",
    )
    starts_at = models.DateTimeField("開始")
    ends_at = models.DateTimeField("終了")
    reason = models.CharField("理由", max_length=TEXT_LENGTH_MAX)
    evidence_name = models.CharField("証拠の名称", max_length=NAME_LENGTH_MAX)
    evidence_type = models.CharField("証拠の形式", max_length=40)
    evidence_size_bytes = models.PositiveIntegerField("証拠の大きさ (B)")
    evidence_sha256 = models.CharField("証拠のハッシュ", max_length=64)
    evidence = models.BinaryField("証拠")
    state = models.CharField(
        "状態", max_length=10, choices=ExcuseState, default=ExcuseState.REQUESTED
    )
    requested_by = models.CharField("申請の担当", max_length=ACTOR_LENGTH_MAX)
    requested_at = models.DateTimeField("申請日時")
    decided_by = models.CharField("決定の担当", max_length=ACTOR_LENGTH_MAX, blank=True)
    decided_at = models.DateTimeField("決定日時", null=True, blank=True)
    decision = models.CharField("決定の理由", max_length=TEXT_LENGTH_MAX, blank=True)

    class Meta:
        verbose_name = "不可抗力"
        verbose_name_plural = "不可抗力"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=ExcuseState.values), name="forcemajeure_state"
            ),
            models.CheckConstraint(
                condition=models.Q(starts_at__lt=models.F("ends_at")), name="forcemajeure_times"
            ),
            models.CheckConstraint(
                condition=models.Q(site__isnull=True) | models.Q(resource__isnull=True),
                name="forcemajeure_of_one",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state="REQUESTED", decided_at__isnull=True, decided_by="", decision=""
                )
                | (
                    ~models.Q(state="REQUESTED")
                    & models.Q(decided_at__isnull=False)
                    & ~models.Q(decided_by="")
                    & ~models.Q(decision="")
                    & ~models.Q(decided_by=models.F("requested_by"))
                ),
                name="forcemajeure_two_people",
            ),
            bounded("evidence_size_bytes", 1, FILE_BYTES_MAX, name="forcemajeure"),
        ]
        indexes = [
            models.Index(fields=["organisation", "id"], name="forcemajeure_of"),
            models.Index(
                fields=["starts_at", "ends_at"],
                condition=models.Q(state="ACCEPTED"),
                name="forcemajeure_accepted",
            ),
        ]

    def __str__(self) -> str:
        what = self.resource or self.site or "全員"
        return f"{what} {self.starts_at:%Y-%m-%d %H:%M} {self.get_state_display()}"
