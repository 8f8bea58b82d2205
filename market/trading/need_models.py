"""What grid operators ask for: needs, their demand curves, and proposals of such."""

from django.db import models

from accounts.fields import bounded, half_hours_field, kw_field, price_field
from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from market.registry.models import Area, CongestionPoint, MarketProduct

STEPS_MAX = 20  # of one demand curve


class NeedKind(models.TextChoices):
    """Relief of a line or transformer, balance of an area, or capacity held ready in it."""

    LOCAL = "LOCAL", "ローカル"
    BALANCE = "BALANCE", "需給"
    CAPACITY = "CAPACITY", "調整力（ΔkW）"


class NeedPricing(models.TextChoices):
    """Whether the auction finds the price up to the cap, or the cap is the price for all."""

    AUCTION = "AUCTION", "オークション"
    POSTED = "POSTED", "公示価格"


class Direction(models.TextChoices):
    """UP: less consumption or more supply. DOWN: the reverse."""

    UP = "UP", "上げ"
    DOWN = "DOWN", "下げ"


class NeedState(models.TextChoices):
    """A revision supersedes its predecessor; a proposal waits for a second person's word."""

    PROPOSED = "PROPOSED", "承認待ち"
    REFUSED = "REFUSED", "不成立"
    PUBLISHED = "PUBLISHED", "公表"
    SUPERSEDED = "SUPERSEDED", "改訂済"
    WITHDRAWN = "WITHDRAWN", "撤回"


NEED_TRANSITIONS: dict[str, tuple[str, ...]] = {
    NeedState.PROPOSED: (NeedState.PUBLISHED, NeedState.REFUSED),
    NeedState.PUBLISHED: (NeedState.SUPERSEDED, NeedState.WITHDRAWN),
    NeedState.REFUSED: (),
    NeedState.SUPERSEDED: (),
    NeedState.WITHDRAWN: (),
}


class Need(models.Model):
    """Relief a grid operator asks for: where, when, how much, at most for how much."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    auction = models.ForeignKey(
        "trading.Auction", models.PROTECT, related_name="needs", verbose_name="オークション"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="needs", verbose_name="一般送配電事業者"
    )
    kind = models.CharField("種別", max_length=8, choices=NeedKind)
    code = models.SlugField("コード", max_length=60)
    congestion_point = models.ForeignKey(
        CongestionPoint, models.PROTECT, null=True, blank=True, verbose_name="混雑箇所"
    )
    flow_sign = models.SmallIntegerField(
        "潮流の向き", null=True, blank=True, help_text="減らす潮流の符号（+1 / −1）"
    )
    area = models.ForeignKey(Area, models.PROTECT, null=True, blank=True, verbose_name="エリア")
    product = models.ForeignKey(
        MarketProduct, models.PROTECT, null=True, blank=True, verbose_name="商品"
    )
    direction = models.CharField("方向", max_length=4, choices=Direction)
    pricing = models.CharField(
        "価格の決め方", max_length=8, choices=NeedPricing, default=NeedPricing.AUCTION
    )
    quantity_kw = half_hours_field(kw_field("kW"), "必要量 (kW)", help_text="全段の合計")
    cap_jpy_per_kwh = half_hours_field(
        price_field("円/kWh"),
        "上限価格 (円/kWh)",
        null=True,
        blank=True,
        help_text="第1段の価格。調整力では空欄",
    )
    cap_jpy_per_kw_30min = half_hours_field(
        price_field("円/kW・30分"), "上限価格 (円/kW・30分)", null=True, blank=True
    )
    revision = models.PositiveIntegerField("版", default=1)
    supersedes = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="superseded_by",
        verbose_name="前の版",
    )
    state = models.CharField("状態", max_length=10, choices=NeedState, default=NeedState.PUBLISHED)
    available_at = models.DateTimeField("公表日時")
    is_by_order = models.BooleanField(
        "発注により確定",
        default=False,
        help_text="充てられた約定は、発注があるまで仮約定。発注がなければ支払なく解除",
    )

    class Meta:
        verbose_name = "必要量"
        verbose_name_plural = "必要量"
        constraints = [
            models.UniqueConstraint(
                fields=["auction", "organisation", "code", "revision"], name="need_revision"
            ),
            models.UniqueConstraint(
                fields=["auction", "organisation", "code"],
                condition=models.Q(state="PUBLISHED"),
                name="need_one_current",
            ),
            models.UniqueConstraint(
                fields=["auction", "organisation", "code"],
                condition=models.Q(state="PROPOSED"),
                name="need_one_proposal",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=NeedState.values), name="need_state"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    kind="LOCAL",
                    congestion_point__isnull=False,
                    flow_sign__in=[-1, 1],
                    area__isnull=True,
                    product__isnull=True,
                )
                | models.Q(
                    kind="BALANCE",
                    congestion_point__isnull=True,
                    flow_sign__isnull=True,
                    area__isnull=False,
                    product__isnull=True,
                )
                | models.Q(
                    kind="CAPACITY",
                    congestion_point__isnull=True,
                    flow_sign__isnull=True,
                    area__isnull=False,
                    product__isnull=False,
                ),
                name="need_place",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    kind="CAPACITY",
                    cap_jpy_per_kwh__isnull=True,
                    cap_jpy_per_kw_30min__isnull=False,
                )
                | models.Q(
                    ~models.Q(kind="CAPACITY"),
                    cap_jpy_per_kwh__isnull=False,
                    cap_jpy_per_kw_30min__isnull=True,
                ),
                name="need_cap",
            ),
            models.CheckConstraint(
                condition=models.Q(pricing__in=NeedPricing.values), name="need_pricing"
            ),
        ]
        indexes = [
            models.Index(fields=["available_at", "id"], name="need_latest"),
            models.Index(fields=["auction", "available_at", "id"], name="need_auction"),
        ]

    def __str__(self) -> str:
        return f"{self.code} 版{self.revision}"


class NeedStep(models.Model):
    """One step of a need's demand curve; a need of a single step has no such rows."""

    need = models.ForeignKey(Need, models.PROTECT, related_name="steps", verbose_name="必要量")
    number = models.PositiveSmallIntegerField("段")
    quantity_kw = half_hours_field(kw_field("kW"), "必要量 (kW)")
    cap_jpy_per_kwh = half_hours_field(
        price_field("円/kWh"), "上限価格 (円/kWh)", null=True, blank=True
    )
    cap_jpy_per_kw_30min = half_hours_field(
        price_field("円/kW・30分"), "上限価格 (円/kW・30分)", null=True, blank=True
    )

    class Meta:
        verbose_name = "需要曲線の段"
        verbose_name_plural = "需要曲線の段"
        ordering = ["need", "number"]
        constraints = [
            models.UniqueConstraint(fields=["need", "number"], name="needstep_once"),
            bounded("number", 1, STEPS_MAX, name="needstep"),
            models.CheckConstraint(
                condition=models.Q(cap_jpy_per_kwh__isnull=True, cap_jpy_per_kw_30min__isnull=False)
                | models.Q(cap_jpy_per_kwh__isnull=False, cap_jpy_per_kw_30min__isnull=True),
                name="needstep_cap",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.need} 第{self.number}段"
