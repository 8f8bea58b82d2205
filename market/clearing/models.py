"""Runs, their frozen input, and what they award at which price."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.fields import KW_MAX, PRICE_MAX_JPY_PER_KWH, bounded, kw_field
from accounts.parties.models import Organisation
from market.clearing.findings import (
    BidOutcome,
    ComputePlacement,
    ComputeUse,
    EnvelopeUse,
    Outcome,
    PivotalFinding,
    RentKind,
    RentShare,
)
from market.registry.models import Area, CongestionPoint, MarketProduct, Resource, Site
from market.trading.models import Auction, Bid, Direction, Need

__all__ = [
    "Award",
    "AwardInterval",
    "BidOutcome",
    "CapacityInterval",
    "CapacityPrice",
    "ClearingPrice",
    "ClearingRun",
    "ComputePlacement",
    "ComputeUse",
    "ElementFlow",
    "EnvelopeUse",
    "Leg",
    "Outcome",
    "PivotalFinding",
    "PriceKind",
    "RentKind",
    "RentShare",
    "RunState",
    "SnapshotRecord",
]


class SnapshotRecord(models.Model):
    """The frozen book: canonical bytes and their hash; never changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    auction = models.ForeignKey(
        Auction, models.PROTECT, related_name="snapshots", verbose_name="オークション"
    )
    sha256 = models.CharField("ハッシュ", max_length=64)
    content = models.BinaryField("内容（正規形）")
    created_at = models.DateTimeField("作成日時", db_default=Now())

    class Meta:
        verbose_name = "断面"
        verbose_name_plural = "断面"

    def __str__(self) -> str:
        return f"{self.auction} {self.sha256[:12]}"


class RunState(models.TextChoices):
    """How a clearing run stands; every failure has a name."""

    READY = "READY", "待機"
    RUNNING = "RUNNING", "計算中"
    VERIFIED = "VERIFIED", "検証済"
    PUBLISHED = "PUBLISHED", "公表"
    FAILED = "FAILED", "失敗"


class ClearingRun(models.Model):
    """One attempt to clear an auction from one snapshot."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    auction = models.ForeignKey(
        Auction, models.PROTECT, related_name="runs", verbose_name="オークション"
    )
    snapshot = models.ForeignKey(
        SnapshotRecord,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="runs",
        verbose_name="断面",
    )
    number = models.PositiveIntegerField("回", default=1)
    reason = models.CharField("やり直しの理由", max_length=200, blank=True)
    bids_left_out = ArrayField(
        models.UUIDField(), default=list, blank=True, verbose_name="除いた入札"
    )
    state = models.CharField("状態", max_length=10, choices=RunState, default=RunState.READY)
    token = models.BigIntegerField("世代", default=0)
    engine_version = models.CharField("エンジン", max_length=80, blank=True)
    result = models.BinaryField("結果（正規形）", null=True, blank=True)
    result_sha256 = models.CharField("結果のハッシュ", max_length=64, blank=True)
    objective_jpy = models.DecimalField(
        "社会的余剰 (円)", max_digits=18, decimal_places=2, null=True, blank=True
    )
    certificate = models.JSONField("証明書", default=dict, blank=True)
    error_code = models.CharField("失敗の名前", max_length=60, blank=True)
    error = models.TextField("失敗の内容", blank=True)
    created_at = models.DateTimeField("作成日時", db_default=Now())
    published_at = models.DateTimeField("公表日時", null=True, blank=True)

    class Meta:
        verbose_name = "約定計算"
        verbose_name_plural = "約定計算"
        constraints = [
            models.UniqueConstraint(fields=["auction", "number"], name="run_number"),
            models.UniqueConstraint(
                fields=["auction"], condition=models.Q(state="PUBLISHED"), name="run_published_once"
            ),
            models.CheckConstraint(condition=models.Q(state__in=RunState.values), name="run_state"),
        ]

    def __str__(self) -> str:
        return f"{self.auction} #{self.number}"


class Leg(models.TextChoices):
    """Which side of a bid an award is."""

    STEPS = "STEPS", "段階"
    CHARGE = "CHARGE", "充電"
    DISCHARGE = "DISCHARGE", "放電"
    SHIFT_OUT = "SHIFT_OUT", "移動元"
    SHIFT_IN = "SHIFT_IN", "移動先"
    BLOCK = "BLOCK", "ブロック"
    DEFERRED = "DEFERRED", "繰延べ"
    REBOUND = "REBOUND", "取戻し"
    CURTAILED = "CURTAILED", "出力抑制"
    RELEASED = "RELEASED", "抑制解除"
    PORTFOLIO = "PORTFOLIO", "ポートフォリオ"
    RESERVED = "RESERVED", "調整力確保"
    COMPUTE = "COMPUTE", "計算"


class Award(models.Model):
    """The accepted part of a bid at one resource; quantities in :class:`AwardInterval`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(
        ClearingRun, models.PROTECT, related_name="awards", verbose_name="約定計算"
    )
    auction = models.ForeignKey(
        Auction, models.PROTECT, related_name="awards", verbose_name="オークション"
    )
    bid = models.ForeignKey(Bid, models.PROTECT, related_name="awards", verbose_name="入札")
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="awards", verbose_name="組織"
    )
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="awards", verbose_name="リソース"
    )
    leg = models.CharField("区分", max_length=10, choices=Leg)
    direction = models.CharField("方向", max_length=4, choices=Direction)
    product = models.ForeignKey(
        MarketProduct,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="商品",
        help_text="調整力のみ",
    )
    version = models.PositiveIntegerField("版", default=1)

    class Meta:
        verbose_name = "約定"
        verbose_name_plural = "約定"
        constraints = [
            models.UniqueConstraint(
                fields=["run", "bid", "resource", "leg", "direction"], name="award_once"
            ),
            models.CheckConstraint(condition=models.Q(leg__in=Leg.values), name="award_leg"),
            models.CheckConstraint(
                condition=models.Q(leg="RESERVED", product__isnull=False)
                | models.Q(~models.Q(leg="RESERVED"), product__isnull=True),
                name="award_product",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "id"], name="award_own"),
            models.Index(fields=["organisation", "auction", "id"], name="award_own_auction"),
            models.Index(fields=["auction", "id"], name="award_auction"),
        ]

    def __str__(self) -> str:
        return f"{self.bid} {self.get_direction_display()}"


class AwardInterval(models.Model):
    """Quantity and price of an award in one half hour, at the receiving end.

    `price_jpy_per_kwh` is the value of one kWh of UP at the place: the seller of UP
    receives it, the seller of DOWN pays it.
    """

    id = models.BigAutoField(primary_key=True)
    award = models.ForeignKey(Award, models.PROTECT, related_name="intervals", verbose_name="約定")
    t = models.PositiveSmallIntegerField("番号", help_text="0…47（コマ−1）")
    start_at = models.DateTimeField("開始")
    quantity_kw = kw_field("約定量 (kW)")
    price_jpy_per_kwh = models.DecimalField("約定単価 (円/kWh)", max_digits=10, decimal_places=2)

    class Meta:
        verbose_name = "約定（30分）"
        verbose_name_plural = "約定（30分）"
        constraints = [
            models.UniqueConstraint(fields=["award", "t"], name="awardinterval_once"),
            bounded("t", 0, 47, name="awardinterval"),
            bounded("quantity_kw", 0, KW_MAX, name="awardinterval"),
            bounded(
                "price_jpy_per_kwh",
                -PRICE_MAX_JPY_PER_KWH,
                PRICE_MAX_JPY_PER_KWH,
                name="awardinterval",
            ),
        ]
        indexes = [models.Index(fields=["start_at"], name="awardinterval_start")]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.quantity_kw} kW"


class CapacityInterval(models.Model):
    """Capacity reserved by an award in one half hour; nobody is called yet, no energy moves."""

    id = models.BigAutoField(primary_key=True)
    award = models.ForeignKey(
        Award, models.PROTECT, related_name="capacity_intervals", verbose_name="約定"
    )
    t = models.PositiveSmallIntegerField("番号", help_text="0…47（コマ−1）")
    start_at = models.DateTimeField("開始")
    quantity_kw = kw_field("確保量 (kW)")
    price_jpy_per_kw_30min = models.DecimalField(
        "約定単価 (円/kW・30分)", max_digits=10, decimal_places=2
    )

    class Meta:
        verbose_name = "調整力の約定（30分）"
        verbose_name_plural = "調整力の約定（30分）"
        constraints = [
            models.UniqueConstraint(fields=["award", "t"], name="capacityinterval_once"),
            bounded("t", 0, 47, name="capacityinterval"),
            bounded("quantity_kw", 0, KW_MAX, name="capacityinterval"),
            bounded("price_jpy_per_kw_30min", 0, PRICE_MAX_JPY_PER_KWH, name="capacityinterval"),
        ]

    def __str__(self) -> str:
        return f"コマ{self.t + 1} {self.quantity_kw} kW"


class PriceKind(models.TextChoices):
    """What a published price is of."""

    NEED = "NEED", "必要量"
    AREA = "AREA", "エリア"
    PLACE = "PLACE", "地点"


class ClearingPrice(models.Model):
    """Price of one need, area or place in one half hour, with what was served of a need."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        ClearingRun, models.PROTECT, related_name="prices", verbose_name="約定計算"
    )
    kind = models.CharField("種別", max_length=6, choices=PriceKind)
    need = models.ForeignKey(
        Need, models.PROTECT, null=True, blank=True, related_name="prices", verbose_name="必要量"
    )
    area = models.ForeignKey(Area, models.PROTECT, null=True, blank=True, verbose_name="エリア")
    site = models.ForeignKey(Site, models.PROTECT, null=True, blank=True, verbose_name="拠点")
    t = models.PositiveSmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    price_jpy_per_kwh = models.DecimalField("単価 (円/kWh)", max_digits=10, decimal_places=2)
    served_kw = kw_field("充足 (kW)", null=True, blank=True)
    unserved_kw = kw_field("未充足 (kW)", null=True, blank=True)

    class Meta:
        verbose_name = "約定価格"
        verbose_name_plural = "約定価格"
        constraints = [
            models.UniqueConstraint(
                fields=["run", "kind", "need", "area", "site", "t"],
                name="price_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(kind="NEED", need__isnull=False)
                | models.Q(kind="AREA", area__isnull=False)
                | models.Q(kind="PLACE", site__isnull=False),
                name="price_of",
            ),
            bounded("t", 0, 47, name="price"),
            bounded(
                "price_jpy_per_kwh", -PRICE_MAX_JPY_PER_KWH, PRICE_MAX_JPY_PER_KWH, name="price"
            ),
            bounded("served_kw", 0, KW_MAX, name="price"),
            bounded("unserved_kw", 0, KW_MAX, name="price"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} コマ{self.t + 1} {self.price_jpy_per_kwh} 円/kWh"


class CapacityPrice(models.Model):
    """Price of capacity that a need asked for in one half hour, with what was served of it."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        ClearingRun, models.PROTECT, related_name="capacity_prices", verbose_name="約定計算"
    )
    need = models.ForeignKey(
        Need, models.PROTECT, related_name="capacity_prices", verbose_name="必要量"
    )
    t = models.PositiveSmallIntegerField("番号")
    start_at = models.DateTimeField("開始")
    price_jpy_per_kw_30min = models.DecimalField(
        "単価 (円/kW・30分)", max_digits=10, decimal_places=2
    )
    served_kw = kw_field("充足 (kW)")
    unserved_kw = kw_field("未充足 (kW)")

    class Meta:
        verbose_name = "調整力の約定価格"
        verbose_name_plural = "調整力の約定価格"
        constraints = [
            models.UniqueConstraint(fields=["run", "need", "t"], name="capacityprice_once"),
            bounded("t", 0, 47, name="capacityprice"),
            bounded("price_jpy_per_kw_30min", 0, PRICE_MAX_JPY_PER_KWH, name="capacityprice"),
            bounded("served_kw", 0, KW_MAX, name="capacityprice"),
            bounded("unserved_kw", 0, KW_MAX, name="capacityprice"),
        ]

    def __str__(self) -> str:
        return f"{self.need} コマ{self.t + 1} {self.price_jpy_per_kw_30min} 円/kW"


class ElementFlow(models.Model):
    """Flow on a monitored element before and after the market acts."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(
        ClearingRun, models.PROTECT, related_name="flows", verbose_name="約定計算"
    )
    congestion_point = models.ForeignKey(CongestionPoint, models.PROTECT, verbose_name="混雑箇所")
    t = models.PositiveSmallIntegerField("番号")
    before_kw = kw_field("対策前 (kW)")
    after_kw = kw_field("約定後 (kW)")

    class Meta:
        verbose_name = "潮流（前後）"
        verbose_name_plural = "潮流（前後）"
        constraints = [
            models.UniqueConstraint(fields=["run", "congestion_point", "t"], name="flow_once"),
            bounded("t", 0, 47, name="flow"),
            bounded("before_kw", -KW_MAX, KW_MAX, name="flow"),
            bounded("after_kw", -KW_MAX, KW_MAX, name="flow"),
        ]

    def __str__(self) -> str:
        return f"{self.congestion_point} コマ{self.t + 1}"
