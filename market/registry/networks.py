"""Areas and networks: what flows where; a model version is never edited, only followed."""

import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.fields import (
    KW_MAX,
    PRICE_MAX_JPY_PER_KWH,
    bounded,
    kw_field,
    price_field,
    version_field,
)
from accounts.parties.models import Organisation


class Area(models.Model):
    """A balancing area of a TSO, 01 Hokkaido … 10 Okinawa."""

    code = models.CharField("エリアコード", max_length=2, primary_key=True)
    name = models.CharField("名称", max_length=20)
    name_en = models.CharField("名称（英語）", max_length=20)
    frequency_hz = models.PositiveSmallIntegerField("周波数 (Hz)")
    tso = models.ForeignKey(
        Organisation, models.PROTECT, null=True, blank=True, verbose_name="一般送配電事業者"
    )

    class Meta:
        verbose_name = "エリア"
        verbose_name_plural = "エリア"
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=models.Q(frequency_hz__in=[50, 60]), name="area_hz"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class SusceptanceConvention(models.TextChoices):
    """How a branch's susceptance follows from r and x; published cases differ by it."""

    REACTANCE = "reactance", "1/x"
    SERIES = "series", "x/(r²+x²)"


class GridModel(models.Model):
    """One version of the network; never edited, only followed by the next."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField("名称", max_length=80)
    version = models.PositiveIntegerField("版")
    convention = models.CharField("サセプタンス", max_length=10, choices=SusceptanceConvention)
    base_mva = models.DecimalField("基準容量 (MVA)", max_digits=10, decimal_places=3)
    source = models.CharField("出典", max_length=200, blank=True)
    sha256 = models.CharField("ハッシュ", max_length=64)
    owner = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="一般送配電事業者",
        help_text="空欄はアグリゲーターの登録",
    )
    valid_from_on = models.DateField("適用開始", null=True, blank=True)
    bus_count = models.PositiveIntegerField("母線数", default=0)
    branch_count = models.PositiveIntegerField("送電設備数", default=0)
    link_count = models.PositiveIntegerField("連系設備数", default=0)
    created_at = models.DateTimeField("登録日時", db_default=Now())

    class Meta:
        verbose_name = "系統モデル"
        verbose_name_plural = "系統モデル"
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="gridmodel_version"),
            bounded("base_mva", 0.001, 1_000_000, name="gridmodel"),
        ]

    def __str__(self) -> str:
        return f"{self.name} 版{self.version}"


class Bus(models.Model):
    """A node of a grid model."""

    grid_model = models.ForeignKey(
        GridModel, models.CASCADE, related_name="buses", verbose_name="系統モデル"
    )
    code = models.CharField("コード", max_length=40)
    name = models.CharField("名称", max_length=60, blank=True)
    name_en = models.CharField("名称（英語）", max_length=60, blank=True)
    area = models.ForeignKey(Area, models.PROTECT, verbose_name="エリア")
    island = models.CharField("同期系統", max_length=20)
    voltage_kv = models.DecimalField("電圧 (kV)", max_digits=7, decimal_places=2)
    slack_share_ratio = models.DecimalField("調整分担", max_digits=8, decimal_places=6, default=0)
    longitude_deg = models.DecimalField(
        "経度", max_digits=9, decimal_places=5, null=True, blank=True
    )
    latitude_deg = models.DecimalField(
        "緯度", max_digits=8, decimal_places=5, null=True, blank=True
    )

    class Meta:
        verbose_name = "母線"
        verbose_name_plural = "母線"
        ordering = ["code"]
        constraints = [
            models.UniqueConstraint(fields=["grid_model", "code"], name="bus_code"),
            bounded("slack_share_ratio", 0, 1, name="bus"),
            bounded("voltage_kv", 0, 2_000, name="bus"),
            bounded("longitude_deg", -180, 180, name="bus"),
            bounded("latitude_deg", -90, 90, name="bus"),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class BranchKind(models.TextChoices):
    """What joins two buses."""

    LINE = "LINE", "送電線"
    TRANSFORMER = "TRANSFORMER", "変圧器"


class Branch(models.Model):
    """A line or transformer; per-unit values on the model's base."""

    grid_model = models.ForeignKey(
        GridModel, models.CASCADE, related_name="branches", verbose_name="系統モデル"
    )
    code = models.CharField("コード", max_length=40)
    name = models.CharField("名称", max_length=60, blank=True)
    name_en = models.CharField("名称（英語）", max_length=60, blank=True)
    kind = models.CharField("種別", max_length=12, choices=BranchKind, default=BranchKind.LINE)
    from_bus = models.ForeignKey(Bus, models.CASCADE, related_name="+", verbose_name="始点")
    to_bus = models.ForeignKey(Bus, models.CASCADE, related_name="+", verbose_name="終点")
    resistance_pu = models.DecimalField("抵抗 (pu)", max_digits=14, decimal_places=9, default=0)
    reactance_pu = models.DecimalField("リアクタンス (pu)", max_digits=14, decimal_places=9)
    tap_ratio = models.DecimalField("タップ比", max_digits=8, decimal_places=5, default=1)
    shift_deg = models.DecimalField("移相角 (度)", max_digits=8, decimal_places=4, default=0)
    rating_kw = kw_field("運用容量 (kW)")
    flow_cost_jpy_per_kwh = price_field("潮流費用 (円/kWh)", default=0)

    class Meta:
        verbose_name = "送電設備"
        verbose_name_plural = "送電設備"
        ordering = ["code"]
        constraints = [
            models.UniqueConstraint(fields=["grid_model", "code"], name="branch_code"),
            models.CheckConstraint(
                condition=~models.Q(reactance_pu=0) & models.Q(reactance_pu__lte=10_000),
                name="branch_reactance",
            ),
            bounded("resistance_pu", -10_000, 10_000, name="branch"),
            bounded("rating_kw", 0, KW_MAX, name="branch"),
            bounded("tap_ratio", 0.01, 100, name="branch"),
            bounded("shift_deg", -360, 360, name="branch"),
            bounded("flow_cost_jpy_per_kwh", 0, PRICE_MAX_JPY_PER_KWH, name="branch"),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class ControllableLink(models.Model):
    """A converter or HVDC link: injections at both ends, joins islands or areas."""

    grid_model = models.ForeignKey(
        GridModel, models.CASCADE, related_name="links", verbose_name="系統モデル"
    )
    code = models.CharField("コード", max_length=40)
    name = models.CharField("名称", max_length=60, blank=True)
    name_en = models.CharField("名称（英語）", max_length=60, blank=True)
    from_bus = models.ForeignKey(Bus, models.CASCADE, related_name="+", verbose_name="始点")
    to_bus = models.ForeignKey(Bus, models.CASCADE, related_name="+", verbose_name="終点")
    rating_kw = kw_field("定格 (kW)")

    class Meta:
        verbose_name = "連系設備"
        verbose_name_plural = "連系設備"
        constraints = [
            models.UniqueConstraint(fields=["grid_model", "code"], name="link_code"),
            bounded("rating_kw", 0, KW_MAX, name="link"),
        ]

    def __str__(self) -> str:
        return self.name or self.code


class CongestionPoint(models.Model):
    """A monitored element: a branch whose flow a TSO watches and may ask relief on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    grid_model = models.ForeignKey(
        GridModel, models.CASCADE, related_name="congestion_points", verbose_name="系統モデル"
    )
    branch = models.ForeignKey(Branch, models.CASCADE, related_name="+", verbose_name="送電設備")
    owner = models.ForeignKey(Organisation, models.PROTECT, related_name="+", verbose_name="所有者")
    co_owner = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="共同所有者",
        help_text="連系線の相手側（混雑収入を折半）",
    )
    code = models.CharField("コード", max_length=40)
    name = models.CharField("名称", max_length=60)
    name_en = models.CharField("名称（英語）", max_length=60)
    rating_kw = kw_field("運用容量 (kW)")
    version = version_field()

    class Meta:
        verbose_name = "混雑箇所"
        verbose_name_plural = "混雑箇所"
        ordering = ["code"]
        constraints = [
            models.UniqueConstraint(fields=["grid_model", "code"], name="congestionpoint_code"),
            bounded("rating_kw", 0, KW_MAX, name="congestionpoint"),
        ]

    def __str__(self) -> str:
        return self.name
