"""What the parties of a site agree on: who may sell its flexibility, and who gets what of it."""

import uuid

from django.db import models

from accounts.fields import bounded, version_field
from accounts.parties.models import Organisation


class Consent(models.Model):
    """The facility owner's consent that a tenant sells the site's flexibility."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(
        "registry.Site", models.PROTECT, related_name="consents", verbose_name="拠点"
    )
    granted_by = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="同意者"
    )
    granted_to = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="相手"
    )
    valid_from_on = models.DateField("開始日")
    valid_to_on = models.DateField("終了日", null=True, blank=True)
    version = version_field()

    class Meta:
        verbose_name = "同意"
        verbose_name_plural = "同意"
        indexes = [
            models.Index(fields=["granted_by", "id"], name="consent_by"),
            models.Index(fields=["granted_to", "id"], name="consent_to"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(valid_to_on__isnull=True)
                | models.Q(valid_to_on__gte=models.F("valid_from_on")),
                name="consent_dates",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.granted_by} → {self.granted_to}"


class AgreementState(models.TextChoices):
    """Life of an agreement on shares."""

    PROPOSED = "PROPOSED", "提案"
    AGREED = "AGREED", "合意"
    REJECTED = "REJECTED", "不同意"
    WITHDRAWN = "WITHDRAWN", "取下げ"


REVENUE_TRANSITIONS: dict[str, tuple[str, ...]] = {
    AgreementState.PROPOSED: (
        AgreementState.AGREED,
        AgreementState.REJECTED,
        AgreementState.WITHDRAWN,
    ),
    AgreementState.AGREED: (),
    AgreementState.REJECTED: (),
    AgreementState.WITHDRAWN: (),
}


class RevenueAgreement(models.Model):
    """Shares of a site's receipts, proposed by one side and in force once all have agreed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(
        "registry.Site", models.PROTECT, related_name="revenue_agreements", verbose_name="拠点"
    )
    proposed_by = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="提案者"
    )
    proposed_at = models.DateTimeField("提案日時")
    valid_from_on = models.DateField("開始日")
    valid_to_on = models.DateField("終了日", null=True, blank=True)
    state = models.CharField(
        "状態", max_length=10, choices=AgreementState, default=AgreementState.PROPOSED
    )
    state_reason = models.CharField("理由", max_length=300, blank=True)
    version = version_field()

    class Meta:
        verbose_name = "収益分配の合意"
        verbose_name_plural = "収益分配の合意"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=AgreementState.values), name="agreement_state"
            ),
            models.CheckConstraint(
                condition=models.Q(valid_to_on__isnull=True)
                | models.Q(valid_to_on__gt=models.F("valid_from_on")),
                name="agreement_dates",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.valid_from_on}"


class RevenueShare(models.Model):
    """What one party of an agreement gets; the shares of an agreement sum to exactly 1."""

    agreement = models.ForeignKey(
        RevenueAgreement, models.PROTECT, related_name="shares", verbose_name="合意"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="受取人"
    )
    share_ratio = models.DecimalField("割合", max_digits=6, decimal_places=5)
    agreed_at = models.DateTimeField("合意日時", null=True, blank=True)
    agreed_by = models.CharField("合意した者", max_length=60, blank=True)

    class Meta:
        verbose_name = "合意の割合"
        verbose_name_plural = "合意の割合"
        ordering = ["organisation"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "agreement"], name="revenueshare_once"),
            bounded("share_ratio", 0, 1, name="revenueshare"),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} {self.share_ratio}"


class RevenueSplit(models.Model):
    """Share of a site's receipts that its operator passes to another party, as it is in force."""

    site = models.ForeignKey(
        "registry.Site", models.PROTECT, related_name="revenue_splits", verbose_name="拠点"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="受取人"
    )
    share_ratio = models.DecimalField("割合", max_digits=6, decimal_places=5)
    valid_from_on = models.DateField("開始日")
    valid_to_on = models.DateField("終了日", null=True, blank=True)
    agreement = models.ForeignKey(
        RevenueAgreement,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="splits",
        verbose_name="合意",
    )

    class Meta:
        verbose_name = "収益分配"
        verbose_name_plural = "収益分配"
        constraints = [
            models.UniqueConstraint(
                fields=["site", "organisation", "valid_from_on"], name="revenuesplit_once"
            ),
            bounded("share_ratio", 0, 1, name="revenuesplit"),
        ]

    def __str__(self) -> str:
        return f"{self.site} → {self.organisation} {self.share_ratio}"
