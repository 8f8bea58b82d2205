"""Prequalification: whether a resource is fit for a product in a grid operator's area."""

from django.db import models

from accounts.core.files import FILE_BYTES_MAX
from accounts.fields import KW_MAX, bounded, kw_field, version_field
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from market.registry.networks import Area


class PrequalificationState(models.TextChoices):
    """Life of a prequalification."""

    REQUESTED = "REQUESTED", "申請"
    CHECKED = "CHECKED", "自動確認済"
    TEMPORARY = "TEMPORARY", "仮認定"
    QUALIFIED = "QUALIFIED", "認定"
    SUSPENDED = "SUSPENDED", "停止"
    REJECTED = "REJECTED", "却下"
    WITHDRAWN = "WITHDRAWN", "取下げ"


_S = PrequalificationState

# from -> to; who takes which step stands in docs/states.md, which a test holds equal to this.
PREQUALIFICATION_TRANSITIONS: dict[str, tuple[str, ...]] = {
    _S.REQUESTED: (_S.CHECKED, _S.REJECTED, _S.WITHDRAWN),
    _S.CHECKED: (_S.REQUESTED, _S.TEMPORARY, _S.QUALIFIED, _S.REJECTED, _S.WITHDRAWN),
    _S.TEMPORARY: (_S.TEMPORARY, _S.QUALIFIED, _S.SUSPENDED, _S.REJECTED, _S.WITHDRAWN),
    _S.QUALIFIED: (_S.SUSPENDED, _S.WITHDRAWN),
    _S.SUSPENDED: (_S.TEMPORARY, _S.QUALIFIED, _S.REJECTED, _S.WITHDRAWN),
    _S.REJECTED: (),
    _S.WITHDRAWN: (),
}
FIT_STATES = (_S.TEMPORARY, _S.QUALIFIED)
ENDED_STATES = (_S.REJECTED, _S.WITHDRAWN)


class Prequalification(models.Model):
    """An operator's request that a resource may be bid for a product in an area, and its answer."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    resource = models.ForeignKey(
        "registry.Resource",
        models.PROTECT,
        related_name="prequalifications",
        verbose_name="リソース",
    )
    product = models.ForeignKey(
        "registry.MarketProduct", models.PROTECT, related_name="+", verbose_name="商品"
    )
    area = models.ForeignKey(Area, models.PROTECT, related_name="+", verbose_name="エリア")
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="prequalifications", verbose_name="申請者"
    )
    quantity_kw = kw_field("供出可能量 (kW)")
    security_confirmed_to_on = models.DateField(
        "サイバーセキュリティ適合の期限",
        null=True,
        blank=True,
        help_text="ERABサイバーセキュリティガイドラインへの適合が確認されている期限（その日を含まない）",
    )
    state = models.CharField("状態", max_length=10, choices=_S, default=_S.REQUESTED)
    state_reason = models.CharField("理由", max_length=300, blank=True)
    valid_until_at = models.DateTimeField("有効期限", null=True, blank=True)
    findings = models.JSONField("自動確認の結果", default=list, blank=True)
    checked_at = models.DateTimeField("自動確認日時", null=True, blank=True)
    requested_at = models.DateTimeField("申請日時")
    version = version_field()

    class Meta:
        verbose_name = "事前審査"
        verbose_name_plural = "事前審査"
        indexes = [
            models.Index(fields=["organisation", "requested_at", "id"], name="prequalification_of"),
            models.Index(fields=["area", "requested_at", "id"], name="prequalification_in"),
            models.Index(fields=["requested_at", "id"], name="prequalification_at"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=_S.values), name="prequalification_state"
            ),
            bounded("quantity_kw", 0.1, KW_MAX, name="prequalification"),
            models.UniqueConstraint(
                fields=["resource", "product", "area"],
                condition=~models.Q(state__in=[str(state) for state in ENDED_STATES]),
                name="prequalification_once",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="TEMPORARY") | models.Q(valid_until_at__isnull=False),
                name="prequalification_until",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.product_id} {self.get_state_display()}"


class PrequalificationStep(models.Model):
    """One step of a prequalification: who took it, when and why."""

    prequalification = models.ForeignKey(
        Prequalification, models.PROTECT, related_name="steps", verbose_name="事前審査"
    )
    from_state = models.CharField("前の状態", max_length=10, choices=_S, blank=True)
    to_state = models.CharField("次の状態", max_length=10, choices=_S)
    at = models.DateTimeField("日時")
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, null=True, blank=True, related_name="+", verbose_name="組織"
    )
    actor = models.CharField("操作者", max_length=60, blank=True)
    reason = models.CharField("理由", max_length=300, blank=True)
    valid_until_at = models.DateTimeField("有効期限", null=True, blank=True)
    findings = models.JSONField("自動確認の結果", default=list, blank=True)

    class Meta:
        verbose_name = "事前審査の経過"
        verbose_name_plural = "事前審査の経過"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}"


class PrequalificationComment(models.Model):
    """What either side wrote to the other."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    prequalification = models.ForeignKey(
        Prequalification, models.PROTECT, related_name="comments", verbose_name="事前審査"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="組織"
    )
    actor = models.CharField("記入者", max_length=60)
    text = models.TextField("内容", max_length=2_000)
    written_at = models.DateTimeField("記入日時")

    class Meta:
        verbose_name = "事前審査のコメント"
        verbose_name_plural = "事前審査のコメント"
        indexes = [
            models.Index(
                fields=["prequalification", "written_at", "id"], name="prequalification_comment"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organisation}: {self.text[:40]}"


class PrequalificationFile(models.Model):
    """Evidence from either side, kept as it came."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    prequalification = models.ForeignKey(
        Prequalification, models.PROTECT, related_name="files", verbose_name="事前審査"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="組織"
    )
    actor = models.CharField("提出者", max_length=60)
    name = models.CharField("ファイル名", max_length=120)
    content_type = models.CharField("形式", max_length=40)
    size_bytes = models.PositiveIntegerField("大きさ (バイト)")
    sha256 = models.CharField("ハッシュ", max_length=64)
    content = models.BinaryField("内容")
    submitted_at = models.DateTimeField("提出日時")

    class Meta:
        verbose_name = "事前審査の書類"
        verbose_name_plural = "事前審査の書類"
        indexes = [
            models.Index(
                fields=["prequalification", "submitted_at", "id"], name="prequalification_file"
            )
        ]
        constraints = [bounded("size_bytes", 1, FILE_BYTES_MAX, name="prequalificationfile")]

    def __str__(self) -> str:
        return self.name
