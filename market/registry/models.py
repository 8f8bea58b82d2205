"""Places, networks and resources, versioned where the market depends on them."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from accounts.fields import (
    KW_MAX,
    KWH_MAX,
    PRICE_MAX_JPY_PER_KWH,
    bounded,
    kw_field,
    price_field,
    version_field,
)
from accounts.parties.models import Organisation
from market.registry.agreements import (
    REVENUE_TRANSITIONS,
    AgreementState,
    Consent,
    RevenueAgreement,
    RevenueShare,
    RevenueSplit,
)
from market.registry.networks import (
    Area,
    Branch,
    BranchKind,
    Bus,
    CongestionPoint,
    ControllableLink,
    GridModel,
    SusceptanceConvention,
)
from market.registry.qualifications import (
    PREQUALIFICATION_TRANSITIONS,
    Prequalification,
    PrequalificationComment,
    PrequalificationFile,
    PrequalificationState,
    PrequalificationStep,
)

__all__ = [
    "PREQUALIFICATION_TRANSITIONS",
    "REVENUE_TRANSITIONS",
    "STORAGE_KINDS",
    "AgreementState",
    "Area",
    "Branch",
    "BranchKind",
    "Bus",
    "CongestionPoint",
    "Consent",
    "ControllableLink",
    "GridModel",
    "MarketProduct",
    "OpticalPath",
    "OpticalTrunk",
    "Portfolio",
    "Prequalification",
    "PrequalificationComment",
    "PrequalificationFile",
    "PrequalificationState",
    "PrequalificationStep",
    "Resource",
    "ResourceKind",
    "RevenueAgreement",
    "RevenueShare",
    "RevenueSplit",
    "Ruleset",
    "ScaleClass",
    "Site",
    "StorageUnit",
    "SusceptanceConvention",
    "WorkloadClass",
    "WorkloadKind",
]


RESPONSE_MAX_S = 86_400


class ScaleClass(models.Model):
    """Size classes of data centres: no agreed definition exists, so they are data."""

    code = models.SlugField("コード", primary_key=True, max_length=20)
    name = models.CharField("名称", max_length=20)
    name_en = models.CharField("名称（英語）", max_length=20)
    contract_min_kw = kw_field("下限 (kW)")
    contract_max_kw = kw_field("上限 (kW)", null=True, blank=True)

    class Meta:
        verbose_name = "規模区分"
        verbose_name_plural = "規模区分"
        ordering = ["contract_min_kw"]
        constraints = [
            bounded("contract_min_kw", 0, KW_MAX, name="scaleclass"),
            bounded("contract_max_kw", 0, KW_MAX, name="scaleclass"),
        ]

    def __str__(self) -> str:
        return self.name


class Site(models.Model):
    """Premises behind one connection point."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        related_name="sites",
        verbose_name="運用者",
        help_text="入札し精算を受ける者（テナント）",
    )
    facility_owner = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name="施設所有者"
    )
    retailer = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="小売電気事業者",
    )
    code = models.SlugField("コード", max_length=40, unique=True)
    name = models.CharField("名称", max_length=80)
    name_en = models.CharField("名称（英語）", max_length=80)
    bus_code = models.CharField("接続母線", max_length=40)
    area = models.ForeignKey(Area, models.PROTECT, verbose_name="エリア")
    point_number = models.CharField(
        "供給地点特定番号",
        max_length=22,
        unique=True,
        validators=[RegexValidator(r"^(0[1-9]|10)\d{20}$", "22桁の数字で入力してください。")],
    )
    contract_kw = kw_field("契約電力 (kW)")
    loss_ratio = models.DecimalField(
        "損失率", max_digits=5, decimal_places=4, help_text="送電端に対する損失の割合"
    )
    scale_class = models.ForeignKey(
        ScaleClass, models.PROTECT, null=True, blank=True, verbose_name="規模区分"
    )
    labels = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, verbose_name="データの所在ラベル"
    )
    longitude_deg = models.DecimalField("経度", max_digits=9, decimal_places=5)
    latitude_deg = models.DecimalField("緯度", max_digits=8, decimal_places=5)
    retired_at = models.DateTimeField("廃止日時", null=True, blank=True, editable=False)
    version = version_field()

    class Meta:
        verbose_name = "拠点"
        verbose_name_plural = "拠点"
        ordering = ["code"]
        indexes = [
            models.Index(fields=["organisation", "code"], name="site_of_operator"),
            models.Index(fields=["facility_owner", "code"], name="site_of_owner"),
            models.Index(fields=["area", "code"], name="site_of_area"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(point_number__regex=r"^(0[1-9]|10)[0-9]{20}$"),
                name="site_point_number",
            ),
            bounded("contract_kw", 0, KW_MAX, name="site"),
            bounded("loss_ratio", 0, 0.5, name="site"),
            bounded("longitude_deg", -180, 180, name="site"),
            bounded("latitude_deg", -90, 90, name="site"),
        ]

    def __str__(self) -> str:
        return self.name


class ResourceKind(models.TextChoices):
    """What can be controlled."""

    DC_LOAD = "DC_LOAD", "計算負荷"
    BATTERY = "BATTERY", "蓄電池"
    UPS = "UPS", "無停電電源"
    THERMAL = "THERMAL", "蓄熱"
    HYDROGEN = "HYDROGEN", "水素貯蔵"
    PV = "PV", "太陽光"
    WIND = "WIND", "風力"


STORAGE_KINDS = frozenset(
    {ResourceKind.BATTERY, ResourceKind.UPS, ResourceKind.THERMAL, ResourceKind.HYDROGEN}
)


class Resource(models.Model):
    """A controllable unit that can be bid; limits are what it can change at most."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, models.PROTECT, related_name="resources", verbose_name="拠点")
    code = models.SlugField("コード", max_length=40, unique=True)
    name = models.CharField("名称", max_length=80)
    name_en = models.CharField("名称（英語）", max_length=80)
    kind = models.CharField("種別", max_length=10, choices=ResourceKind)
    limit_up_kw = kw_field("上げ上限 (kW)")
    limit_down_kw = kw_field("下げ上限 (kW)")
    is_behind_meter = models.BooleanField("構内設置", default=True)
    hardware = ArrayField(
        models.CharField(max_length=20), default=list, blank=True, verbose_name="計算機種別"
    )
    response_s = models.PositiveIntegerField(
        "応動時間 (秒)", null=True, blank=True, help_text="指令から全量が出るまで"
    )
    retired_at = models.DateTimeField("廃止日時", null=True, blank=True, editable=False)
    version = version_field()

    class Meta:
        verbose_name = "リソース"
        verbose_name_plural = "リソース"
        ordering = ["code"]
        indexes = [models.Index(fields=["site", "code"], name="resource_of_site")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=ResourceKind.values), name="resource_kind"
            ),
            bounded("limit_up_kw", 0, KW_MAX, name="resource"),
            bounded("limit_down_kw", 0, KW_MAX, name="resource"),
            bounded("response_s", 0, RESPONSE_MAX_S, name="resource"),
        ]

    def __str__(self) -> str:
        return self.name


class StorageUnit(models.Model):
    """Physical limits of a storing resource; the reserve is never sold (UPS autonomy)."""

    resource = models.OneToOneField(
        Resource, models.CASCADE, primary_key=True, related_name="storage", verbose_name="リソース"
    )
    energy_kwh = models.DecimalField("容量 (kWh)", max_digits=14, decimal_places=1)
    reserve_kwh = models.DecimalField("予備 (kWh)", max_digits=14, decimal_places=1, default=0)
    charge_kw = kw_field("充電上限 (kW)")
    discharge_kw = kw_field("放電上限 (kW)")
    charge_efficiency_ratio = models.DecimalField("充電効率", max_digits=5, decimal_places=4)
    discharge_efficiency_ratio = models.DecimalField("放電効率", max_digits=5, decimal_places=4)
    standing_loss_ratio = models.DecimalField(
        "待機損失（毎時）", max_digits=7, decimal_places=6, default=0
    )

    class Meta:
        verbose_name = "貯蔵設備"
        verbose_name_plural = "貯蔵設備"
        constraints = [
            bounded("energy_kwh", 0, KWH_MAX, name="storage"),
            bounded("reserve_kwh", 0, KWH_MAX, name="storage"),
            models.CheckConstraint(
                condition=models.Q(reserve_kwh__lte=models.F("energy_kwh")), name="storage_reserve"
            ),
            bounded("charge_kw", 0, KW_MAX, name="storage"),
            bounded("discharge_kw", 0, KW_MAX, name="storage"),
            bounded("charge_efficiency_ratio", 0.01, 1, name="storage"),
            bounded("discharge_efficiency_ratio", 0.01, 1, name="storage"),
            bounded("standing_loss_ratio", 0, 1, name="storage"),
        ]

    def __str__(self) -> str:
        return str(self.resource)


class WorkloadKind(models.TextChoices):
    """What a part of the load computes."""

    TRAINING = "TRAINING", "事前学習"
    FINE_TUNING = "FINE_TUNING", "追加学習"
    INFERENCE = "INFERENCE", "推論"
    BATCH = "BATCH", "バッチ"


class WorkloadClass(models.Model):
    """A class of work in a data-centre load: how patient it is and what it is worth."""

    resource = models.ForeignKey(
        Resource, models.CASCADE, related_name="workload_classes", verbose_name="リソース"
    )
    kind = models.CharField("作業の種類", max_length=12, choices=WorkloadKind)
    pool = models.CharField("計算機", max_length=20)
    power_kw = kw_field("電力 (kW)")
    slack_h = models.DecimalField("猶予 (時間)", max_digits=6, decimal_places=1)
    latency_max_ms = models.DecimalField(
        "許容遅延 (ms)", max_digits=8, decimal_places=2, null=True, blank=True
    )
    labels_required = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, verbose_name="必要なラベル"
    )
    value_jpy_per_kwh = price_field("計算の価値 (円/kWh)")
    version = version_field()

    class Meta:
        verbose_name = "作業クラス"
        verbose_name_plural = "作業クラス"
        constraints = [
            models.UniqueConstraint(fields=["resource", "kind", "pool"], name="workload_once"),
            models.CheckConstraint(
                condition=models.Q(kind__in=WorkloadKind.values), name="workload_kind"
            ),
            bounded("power_kw", 0, KW_MAX, name="workload"),
            bounded("slack_h", 0, 8760, name="workload"),
            bounded("latency_max_ms", 0, 100_000, name="workload"),
            bounded("value_jpy_per_kwh", 0, PRICE_MAX_JPY_PER_KWH, name="workload"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.get_kind_display()}"


class OpticalPath(models.Model):
    """A wavelength between two sites that carries moved work."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", db_index=False, verbose_name="所有者"
    )
    code = models.SlugField("コード", max_length=40, unique=True)
    name = models.CharField("名称", max_length=80)
    from_site = models.ForeignKey(Site, models.PROTECT, related_name="+", verbose_name="始点")
    to_site = models.ForeignKey(Site, models.PROTECT, related_name="+", verbose_name="終点")
    capacity_gb = models.DecimalField(
        "容量 (GB/30分)", max_digits=12, decimal_places=1, help_text="30分あたりの転送量"
    )
    price_jpy_per_gb = models.DecimalField("料金 (円/GB)", max_digits=8, decimal_places=4)
    latency_ms = models.DecimalField("遅延 (ms)", max_digits=8, decimal_places=2)
    # whoever writes, a trigger keeps them as the sites say: lists of an operator need an index
    from_operator = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", null=True, editable=False, db_index=False
    )
    to_operator = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", null=True, editable=False, db_index=False
    )

    class Meta:
        verbose_name = "光パス"
        verbose_name_plural = "光パス"
        ordering = ["code"]
        indexes = [
            models.Index(fields=["owner", "code"], name="path_of_owner"),
            models.Index(fields=["from_operator", "code"], name="path_from_operator"),
            models.Index(fields=["to_operator", "code"], name="path_to_operator"),
        ]
        constraints = [
            bounded("capacity_gb", 0, 1_000_000_000, name="path"),
            bounded("price_jpy_per_gb", 0, 9_999, name="path"),
            bounded("latency_ms", 0, 100_000, name="path"),
        ]

    def __str__(self) -> str:
        return self.name


class OpticalTrunk(models.Model):
    """A shared wavelength from one site to several (P2MP): it bounds the sum of its paths."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(Organisation, models.PROTECT, related_name="+", verbose_name="所有者")
    code = models.SlugField("コード", max_length=40, unique=True)
    name = models.CharField("名称", max_length=80)
    paths = models.ManyToManyField(OpticalPath, related_name="trunks", verbose_name="光パス")
    capacity_gb = models.DecimalField(
        "容量 (GB/30分)", max_digits=12, decimal_places=1, help_text="全パスの合計"
    )

    class Meta:
        verbose_name = "光幹線"
        verbose_name_plural = "光幹線"
        ordering = ["code"]
        constraints = [bounded("capacity_gb", 0, 1_000_000_000, name="trunk")]

    def __str__(self) -> str:
        return self.name


class Portfolio(models.Model):
    """Several resources bid as one: a virtual large data centre, or many units of 1 kW."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="portfolios", verbose_name="組織"
    )
    code = models.SlugField("コード", max_length=40, unique=True)
    name = models.CharField("名称", max_length=80)
    resources = models.ManyToManyField(Resource, related_name="portfolios", verbose_name="リソース")

    class Meta:
        verbose_name = "ポートフォリオ"
        verbose_name_plural = "ポートフォリオ"

    def __str__(self) -> str:
        return self.name


class MarketProduct(models.Model):
    """Template of what is traded."""

    code = models.SlugField("コード", primary_key=True, max_length=40)
    name = models.CharField("名称", max_length=60)
    name_en = models.CharField("名称（英語）", max_length=60)
    response_s = models.PositiveIntegerField("応動時間 (秒)")
    quantity_min_kw = kw_field("最小量 (kW)")
    quantity_tick_kw = kw_field("刻み (kW)")

    class Meta:
        verbose_name = "商品"
        verbose_name_plural = "商品"
        constraints = [
            bounded("quantity_min_kw", 0, KW_MAX, name="product"),
            bounded("quantity_tick_kw", 0.1, KW_MAX, name="product"),
        ]

    def __str__(self) -> str:
        return self.name


class Ruleset(models.Model):
    """The market's rules by delivery date; a change is a new row."""

    version = models.CharField("版", primary_key=True, max_length=40)
    valid_from_on = models.DateField("適用開始（受渡日）", unique=True)
    rules = models.JSONField("規則", help_text="検査済みの規則（market.core.rules）")
    created_at = models.DateTimeField("登録日時", db_default=Now())

    class Meta:
        verbose_name = "ルールセット"
        verbose_name_plural = "ルールセット"
        ordering = ["-valid_from_on"]

    def __str__(self) -> str:
        return self.version
