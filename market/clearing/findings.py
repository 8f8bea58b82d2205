"""What a result says besides awards and prices: why, whose rents, whose computing, who is alone."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.fields import KW_MAX, PRICE_MAX_JPY_PER_KWH, bounded, kw_field
from accounts.parties.models import Organisation
from market.registry.models import OpticalPath, Site
from market.trading.models import Bid, Need

JPY_MAX = 1_000_000_000_000


class Outcome(models.TextChoices):
    """How a bid fared."""

    ACCEPTED = "ACCEPTED", "全量約定"
    PARTLY = "PARTLY", "一部約定"
    REJECTED = "REJECTED", "不約定"


class BidOutcome(models.Model):
    """Why one bid won or lost; its owner and the aggregator may read it."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        "clearing.ClearingRun",
        models.PROTECT,
        related_name="outcomes",
        verbose_name="約定計算",
    )
    bid = models.ForeignKey(Bid, models.PROTECT, related_name="outcomes", verbose_name="入札")
    outcome = models.CharField("結果", max_length=8, choices=Outcome)
    explanation = models.JSONField("説明", help_text="docs/snapshot.md の explanations")
    make_whole_jpy = models.DecimalField("補填 (円)", max_digits=18, decimal_places=2, default=0)
    surplus_forgone_jpy = models.DecimalField(
        "逸失余剰 (円)",
        max_digits=18,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="価格では採算が合うが、分割できないため約定しなかった入札",
    )

    class Meta:
        verbose_name = "入札の結果"
        verbose_name_plural = "入札の結果"
        constraints = [
            models.UniqueConstraint(fields=["run", "bid"], name="outcome_once"),
            models.CheckConstraint(
                condition=models.Q(outcome__in=Outcome.values), name="outcome_known"
            ),
            bounded("make_whole_jpy", 0, JPY_MAX, name="outcome"),
            bounded("surplus_forgone_jpy", 0, JPY_MAX, name="outcome"),
        ]

    def __str__(self) -> str:
        return f"{self.bid} {self.get_outcome_display()}"


class RentKind(models.TextChoices):
    """What earns a rent."""

    ELEMENT = "ELEMENT", "混雑箇所"
    LINK = "LINK", "連系設備"
    TRANSFER = "TRANSFER", "エリア間"
    PATH = "PATH", "光パス"
    TRUNK = "TRUNK", "光幹線"


class RentShare(models.Model):
    """What one owner earns from one scarce thing over the day."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        "clearing.ClearingRun",
        models.PROTECT,
        related_name="rents",
        verbose_name="約定計算",
    )
    kind = models.CharField("種別", max_length=8, choices=RentKind)
    code = models.CharField("コード", max_length=200)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="所有者",
        help_text="空欄は市場参加者でない所有者",
    )
    amount_jpy = models.DecimalField("金額 (円)", max_digits=18, decimal_places=2)

    class Meta:
        verbose_name = "レント"
        verbose_name_plural = "レント"
        constraints = [
            models.UniqueConstraint(
                fields=["run", "kind", "code", "organisation"],
                name="rent_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=models.Q(kind__in=RentKind.values), name="rent_kind"),
            bounded("amount_jpy", -JPY_MAX, JPY_MAX, name="rent"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.code}"


class PivotalFinding(models.Model):
    """A seller without whose bids a need could not be met, and when."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        "clearing.ClearingRun",
        models.PROTECT,
        related_name="pivotal_findings",
        verbose_name="約定計算",
    )
    need = models.ForeignKey(
        Need, models.PROTECT, related_name="pivotal_findings", verbose_name="必要量"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="組織"
    )
    half_hours = ArrayField(models.PositiveSmallIntegerField(), verbose_name="番号（0…47）")

    class Meta:
        verbose_name = "不可欠な供給者"
        verbose_name_plural = "不可欠な供給者"
        constraints = [
            models.UniqueConstraint(fields=["run", "need", "organisation"], name="pivotal_once"),
        ]

    def __str__(self) -> str:
        return f"{self.organisation} {self.need}"


class ComputeUse(models.Model):
    """IT power used of a compute offer in one half hour, and its price there."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        "clearing.ClearingRun",
        models.PROTECT,
        related_name="compute_uses",
        verbose_name="約定計算",
    )
    bid = models.ForeignKey(
        Bid, models.PROTECT, related_name="compute_uses", verbose_name="計算の提供"
    )
    t = models.PositiveSmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    used_kw = kw_field("IT電力 (kW)")
    price_jpy_per_kwh = models.DecimalField("単価 (円/kWh-IT)", max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = "計算の利用"
        verbose_name_plural = "計算の利用"
        constraints = [
            models.UniqueConstraint(fields=["run", "bid", "t"], name="computeuse_once"),
            bounded("t", 0, 47, name="computeuse"),
            bounded("used_kw", 0, KW_MAX, name="computeuse"),
            bounded(
                "price_jpy_per_kwh",
                -PRICE_MAX_JPY_PER_KWH,
                PRICE_MAX_JPY_PER_KWH,
                name="computeuse",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bid} コマ{self.t + 1}"


class ComputePlacement(models.Model):
    """Where a request runs in one half hour: the log that proves it afterwards."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        "clearing.ClearingRun",
        models.PROTECT,
        related_name="compute_placements",
        verbose_name="約定計算",
    )
    bid = models.ForeignKey(
        Bid, models.PROTECT, related_name="placements", verbose_name="計算の依頼"
    )
    offer = models.ForeignKey(
        Bid, models.PROTECT, related_name="placed_requests", verbose_name="計算の提供"
    )
    path = models.ForeignKey(
        OpticalPath,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="光パス",
    )
    t = models.PositiveSmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    quantity_kw = kw_field("IT電力 (kW)")

    class Meta:
        verbose_name = "計算の配置"
        verbose_name_plural = "計算の配置"
        constraints = [
            models.UniqueConstraint(
                fields=["run", "bid", "offer", "path", "t"],
                name="placement_once",
                nulls_distinct=False,
            ),
            bounded("t", 0, 47, name="placement"),
            bounded("quantity_kw", 0, KW_MAX, name="placement"),
        ]
        indexes = [models.Index(fields=["run", "id"], name="placement_run")]

    def __str__(self) -> str:
        return f"{self.bid} → {self.offer} コマ{self.t + 1}"


class EnvelopeUse(models.Model):
    """Import above a flexible connection's envelope, and what a kWh of it costs the site."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        "clearing.ClearingRun",
        models.PROTECT,
        related_name="envelope_uses",
        verbose_name="約定計算",
    )
    site = models.ForeignKey(
        Site, models.PROTECT, related_name="envelope_uses", verbose_name="拠点"
    )
    t = models.PositiveSmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    over_kw = kw_field("超過 (kW)")
    price_jpy_per_kwh = models.DecimalField("単価 (円/kWh)", max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = "受電枠の超過"
        verbose_name_plural = "受電枠の超過"
        constraints = [
            models.UniqueConstraint(fields=["run", "site", "t"], name="envelopeuse_once"),
            bounded("t", 0, 47, name="envelopeuse"),
            bounded("over_kw", 0, KW_MAX, name="envelopeuse"),
            bounded("price_jpy_per_kwh", 0, PRICE_MAX_JPY_PER_KWH, name="envelopeuse"),
        ]

    def __str__(self) -> str:
        return f"{self.site} コマ{self.t + 1}"
