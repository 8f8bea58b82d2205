"""How baselines are found: the test of each resource, what was assigned, what looks like gaming."""

from __future__ import annotations

from django.db import models

from accounts.fields import KW_MAX, bounded, kw_field
from market.registry.models import Resource, Ruleset

VARIANT_LENGTH_MAX = 24
EXPLANATION_LENGTH_MAX = 2_000
# A load of nearly nothing makes any error large; beyond this the number says nothing more.
RATIO_MAX = 999_999


def ratio_field(verbose: str, **options: object) -> models.DecimalField[object, object]:
    """Make a column for a share, to the nearest millionth."""
    return models.DecimalField(verbose, max_digits=12, decimal_places=6, **options)  # type: ignore[arg-type]


class BaselineMethod(models.TextChoices):
    """How the baseline of a resource is found; a variant adds the parameters."""

    HIGH_4_OF_5 = "HIGH_4_OF_5", "High 4 of 5（当日調整あり）"
    X_OF_Y = "X_OF_Y", "X of Y"
    SIMILAR_DAYS = "SIMILAR_DAYS", "同等日採用法"
    BEFORE = "BEFORE", "事前計測"
    BEFORE_AFTER = "BEFORE_AFTER", "事前・事後計測"
    JUST_BEFORE = "JUST_BEFORE", "直前計測"
    DECLARED = "DECLARED", "計画値（事前予測）"
    GENERATION_PLAN = "GENERATION_PLAN", "発電計画"
    METER_ONLY = "METER_ONLY", "個別計量（ベースラインなし）"


class BaselineTest(models.Model):
    """A back-test of every candidate method on one resource's own past, for a term to come."""

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="baseline_tests", verbose_name="リソース"
    )
    as_of = models.DateTimeField("計量値の時点")
    history_from_on = models.DateField("対象期間の初日")
    history_to_on = models.DateField("対象期間の翌日")
    term_from_on = models.DateField("適用開始日")
    term_to_on = models.DateField("適用終了日の翌日")
    ruleset = models.ForeignKey(Ruleset, models.PROTECT, verbose_name="ルールセット")
    figures = models.JSONField("各方式の成績", default=list)
    mean_kw = kw_field("平均負荷 (kW)")
    variant = models.CharField("採用方式", max_length=VARIANT_LENGTH_MAX, blank=True)
    reason = models.CharField("採用できない理由", max_length=200, blank=True)
    input_sha256 = models.CharField("入力のハッシュ", max_length=64)

    class Meta:
        verbose_name = "ベースライン試験"
        verbose_name_plural = "ベースライン試験"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "term_from_on", "input_sha256"], name="baselinetest_once"
            ),
            models.CheckConstraint(
                condition=models.Q(term_from_on__lt=models.F("term_to_on"))
                & models.Q(history_from_on__lt=models.F("history_to_on"))
                & models.Q(history_to_on__lte=models.F("term_from_on")),
                name="baselinetest_spans",
            ),
            models.CheckConstraint(
                condition=~models.Q(variant="") | ~models.Q(reason=""), name="baselinetest_reason"
            ),
            bounded("mean_kw", -KW_MAX, KW_MAX, name="baselinetest"),
        ]
        indexes = [models.Index(fields=["resource", "term_from_on"], name="baselinetest_term")]

    def __str__(self) -> str:
        return f"{self.resource} {self.term_from_on}〜 {self.variant or self.reason}"


class BaselineAssignment(models.Model):
    """The method of one resource for a term, with its error bands; never changed.

    A trigger lets no two of a resource overlap.
    """

    id = models.BigAutoField(primary_key=True)
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="baseline_assignments", verbose_name="リソース"
    )
    test = models.OneToOneField(
        BaselineTest, models.PROTECT, related_name="assignment", verbose_name="試験"
    )
    variant = models.CharField("方式名", max_length=VARIANT_LENGTH_MAX)
    method = models.CharField("方式", max_length=16, choices=BaselineMethod)
    parameters = models.JSONField("パラメータ", default=dict)
    valid_from_on = models.DateField("適用開始日")
    valid_to_on = models.DateField("適用終了日の翌日")
    smallest_kw = kw_field("判別できる最小量 (kW)")
    bias_ratio = ratio_field("偏り")
    cv_rmse_ratio = ratio_field("CV-RMSE")
    low_ratio = ratio_field("誤差帯の下端")
    high_ratio = ratio_field("誤差帯の上端")
    assigned_at = models.DateTimeField("割当日時")

    class Meta:
        verbose_name = "ベースライン方式の割当"
        verbose_name_plural = "ベースライン方式の割当"
        ordering = ["-valid_from_on", "resource"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(method__in=BaselineMethod.values),
                name="baselineassignment_method",
            ),
            models.CheckConstraint(
                condition=models.Q(valid_from_on__lt=models.F("valid_to_on")),
                name="baselineassignment_term",
            ),
            bounded("smallest_kw", 0, KW_MAX, name="baselineassignment"),
            bounded("cv_rmse_ratio", 0, RATIO_MAX, name="baselineassignment"),
            *(
                bounded(field, -RATIO_MAX, RATIO_MAX, name="baselineassignment")
                for field in ("bias_ratio", "low_ratio", "high_ratio")
            ),
        ]
        indexes = [models.Index(fields=["resource", "valid_from_on"], name="assignment_term")]

    def __str__(self) -> str:
        return f"{self.resource} {self.variant} {self.valid_from_on}〜{self.valid_to_on}"


class GamingIndicator(models.TextChoices):
    """What a finding is about."""

    BASELINE_INFLATION = "BASELINE_INFLATION", "ベースライン日の負荷増"
    FROZEN_BASELINE = "FROZEN_BASELINE", "連日の発動による固定"
    WINDOW_RAMP = "WINDOW_RAMP", "当日調整時間帯の負荷増"
    PHANTOM_SHIFT = "PHANTOM_SHIFT", "見かけの空間シフト"
    PLANNED_OUTAGE = "PLANNED_OUTAGE", "予定停止の販売"
    INC_DEC = "INC_DEC", "混雑地点の計画水増し"
    DOUBLE_SALE = "DOUBLE_SALE", "二重販売"
    LATE_DATA = "LATE_DATA", "計量値の遅延・改変"


class FindingState(models.TextChoices):
    """Life of a finding; a trigger lets it move along :data:`FINDING_TRANSITIONS` only."""

    NEW = "NEW", "未確認"
    EXPLAINED = "EXPLAINED", "説明済"
    CONFIRMED = "CONFIRMED", "確定"


FINDING_TRANSITIONS: dict[str, tuple[str, ...]] = {
    FindingState.NEW: (FindingState.EXPLAINED, FindingState.CONFIRMED),
    FindingState.EXPLAINED: (FindingState.CONFIRMED,),
    FindingState.CONFIRMED: (),
}


class GamingFinding(models.Model):
    """A statistic of one resource over a span that passed its threshold, with its evidence."""

    id = models.BigAutoField(primary_key=True)
    indicator = models.CharField("指標", max_length=20, choices=GamingIndicator)
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="gaming_findings", verbose_name="リソース"
    )
    from_on = models.DateField("初日")
    to_on = models.DateField("翌日")
    statistic_ratio = ratio_field("統計量")
    threshold_ratio = ratio_field("しきい値")
    evidence = models.JSONField("根拠", default=dict)
    evidence_sha256 = models.CharField("根拠のハッシュ", max_length=64)
    found_at = models.DateTimeField("検出日時")
    state = models.CharField("状態", max_length=10, choices=FindingState, default=FindingState.NEW)
    explanation = models.CharField("説明", max_length=EXPLANATION_LENGTH_MAX, blank=True)
    decided_by = models.CharField("判断者", max_length=60, blank=True)
    decided_at = models.DateTimeField("判断日時", null=True, blank=True)

    class Meta:
        verbose_name = "不正の兆候"
        verbose_name_plural = "不正の兆候"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["indicator", "resource", "from_on", "to_on", "evidence_sha256"],
                name="gamingfinding_once",
            ),
            models.CheckConstraint(
                condition=models.Q(indicator__in=GamingIndicator.values),
                name="gamingfinding_indicator",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=FindingState.values), name="gamingfinding_state"
            ),
            models.CheckConstraint(
                condition=models.Q(state=FindingState.NEW) | models.Q(decided_at__isnull=False),
                name="gamingfinding_decided",
            ),
            models.CheckConstraint(
                condition=models.Q(from_on__lt=models.F("to_on")), name="gamingfinding_span"
            ),
            bounded("statistic_ratio", -RATIO_MAX, RATIO_MAX, name="gamingfinding"),
            bounded("threshold_ratio", -RATIO_MAX, RATIO_MAX, name="gamingfinding"),
        ]

    def __str__(self) -> str:
        return f"{self.get_indicator_display()} {self.resource} {self.from_on}"
