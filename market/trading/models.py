"""Auctions, needs and bids. A bid's envelope is public to its owner; its content is sealed."""

import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.fields import bounded, half_hours_field, kw_field, price_field
from accounts.parties.models import Organisation
from market.registry.models import (
    Area,
    CongestionPoint,
    GridModel,
    MarketProduct,
    Portfolio,
    Resource,
    Ruleset,
    Site,
    WorkloadClass,
)
from market.trading.conditions import BaseFlow, Envelope, EnvelopeKind, TransferLimit
from market.trading.sealed import (
    BookKey,
    BookOpening,
    BookRoot,
    OwnerKey,
    ReceiptKey,
    SealedBasket,
)
from market.trading.standing import (
    StandingBid,
    StandingBidContent,
    StandingRenewal,
    StandingState,
)

__all__ = [
    "AUCTION_TRANSITIONS",
    "Auction",
    "AuctionState",
    "BaseFlow",
    "Bid",
    "BidContent",
    "BidForm",
    "BidState",
    "BookKey",
    "BookOpening",
    "BookRoot",
    "Direction",
    "Envelope",
    "EnvelopeKind",
    "Mechanism",
    "Need",
    "NeedKind",
    "NeedPricing",
    "NeedState",
    "NeedStep",
    "OwnerKey",
    "ReceiptKey",
    "SealedBasket",
    "StandingBid",
    "StandingBidContent",
    "StandingRenewal",
    "StandingState",
    "TransferLimit",
]


STEPS_MAX = 20  # of one demand curve


class AuctionState(models.TextChoices):
    """Life of an auction; a trigger lets it move along these edges only."""

    SCHEDULED = "SCHEDULED", "予定"
    OPEN = "OPEN", "入札受付中"
    CLOSED = "CLOSED", "締切"
    CLEARING = "CLEARING", "約定計算中"
    PUBLISHED = "PUBLISHED", "公表"
    PUBLISHED_BY_FALLBACK = "PUBLISHED_BY_FALLBACK", "公表（代替）"
    CANCELLED = "CANCELLED", "取消"
    SETTLED = "SETTLED", "精算済"


AUCTION_TRANSITIONS: dict[str, tuple[str, ...]] = {
    AuctionState.SCHEDULED: (AuctionState.OPEN, AuctionState.CANCELLED),
    AuctionState.OPEN: (AuctionState.CLOSED, AuctionState.CANCELLED),
    AuctionState.CLOSED: (AuctionState.CLEARING, AuctionState.CANCELLED),
    AuctionState.CLEARING: (
        AuctionState.PUBLISHED,
        AuctionState.PUBLISHED_BY_FALLBACK,
        AuctionState.CANCELLED,
    ),
    AuctionState.PUBLISHED: (AuctionState.SETTLED, AuctionState.CANCELLED),
    AuctionState.PUBLISHED_BY_FALLBACK: (AuctionState.SETTLED, AuctionState.CANCELLED),
    AuctionState.CANCELLED: (),
    AuctionState.SETTLED: (),
}


class Auction(models.Model):
    """One clearing of 48 half hours."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The advisory-lock number of the gate: small, never reused.
    gate_number = models.BigIntegerField("ゲート番号", unique=True, editable=False)
    code = models.SlugField("コード", max_length=40, unique=True)
    name = models.CharField("名称", max_length=80)
    delivery_on = models.DateField("受渡日")
    delivery_start = models.DateTimeField("受渡開始", help_text="受渡日 00:00 JST")
    opens_at = models.DateTimeField("募集開始")
    gate_closure_at = models.DateTimeField("入札締切")
    closed_at = models.DateTimeField("締切処理", null=True, blank=True)
    state = models.CharField(
        "状態", max_length=24, choices=AuctionState, default=AuctionState.SCHEDULED
    )
    state_reason = models.CharField("理由", max_length=200, blank=True)
    ruleset = models.ForeignKey(Ruleset, models.PROTECT, verbose_name="ルールセット")
    grid_model = models.ForeignKey(GridModel, models.PROTECT, verbose_name="系統モデル")
    created_at = models.DateTimeField("登録日時", db_default=Now())

    class Meta:
        verbose_name = "オークション"
        verbose_name_plural = "オークション"
        ordering = ["-delivery_on", "code"]
        indexes = [models.Index(fields=["delivery_on", "code"], name="auction_day")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=AuctionState.values), name="auction_state"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    opens_at__lt=models.F("gate_closure_at"),
                    gate_closure_at__lte=models.F("delivery_start"),
                ),
                name="auction_times",
            ),
        ]

    def __str__(self) -> str:
        return self.code


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

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    auction = models.ForeignKey(
        Auction, models.PROTECT, related_name="needs", verbose_name="オークション"
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


class BidForm(models.TextChoices):
    """How an offer is written."""

    STEPS = "STEPS", "段階入札"
    STORAGE = "STORAGE", "蓄電池"
    SHIFT = "SHIFT", "空間シフト"
    BLOCK = "BLOCK", "ブロック"
    DEFERRAL = "DEFERRAL", "時間シフト"
    RENEWABLE = "RENEWABLE", "再エネ"
    PORTFOLIO = "PORTFOLIO", "ポートフォリオ"
    CAPACITY = "CAPACITY", "調整力（ΔkW）"
    COMPUTE_OFFER = "COMPUTE_OFFER", "計算の提供"
    COMPUTE_REQUEST = "COMPUTE_REQUEST", "計算の依頼"


class Mechanism(models.TextChoices):
    """What the seller does to deliver, cheap to dear."""

    BATTERY = "BATTERY", "蓄電池"
    SPATIAL = "SPATIAL", "空間シフト"
    DEFERRAL = "DEFERRAL", "時間シフト"
    POWER_CAP = "POWER_CAP", "電力制限"
    STOP = "STOP", "停止"
    RENEWABLE = "RENEWABLE", "再エネ"
    COMPUTE = "COMPUTE", "計算"


class BidState(models.TextChoices):
    """Only a submitted version is in the book."""

    SUBMITTED = "SUBMITTED", "提出済"
    SUPERSEDED = "SUPERSEDED", "差替済"
    WITHDRAWN = "WITHDRAWN", "取下げ"


class Bid(models.Model):
    """The envelope: whose bid, for what, which version, when received. No price, no quantity."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client_bid_id = models.CharField(
        "入札番号", max_length=64, help_text="入札者が付ける番号。再送は同じ番号で行う"
    )
    version = models.PositiveIntegerField("版", default=1)
    auction = models.ForeignKey(
        Auction,
        models.PROTECT,
        related_name="bids",
        verbose_name="オークション",
        db_index=False,  # `bid_auction` begins with it
    )
    organisation = models.ForeignKey(
        Organisation,
        models.PROTECT,
        related_name="bids",
        verbose_name="組織",
        db_index=False,  # `bid_own` begins with it
    )
    resource = models.ForeignKey(
        Resource, models.PROTECT, null=True, blank=True, verbose_name="リソース"
    )
    portfolio = models.ForeignKey(
        Portfolio, models.PROTECT, null=True, blank=True, verbose_name="ポートフォリオ"
    )
    site = models.ForeignKey(
        Site,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="利用地点",
        help_text="計算を頼む地点",
    )
    workload_class = models.ForeignKey(
        WorkloadClass, models.PROTECT, null=True, blank=True, verbose_name="作業クラス"
    )
    form = models.CharField("形式", max_length=16, choices=BidForm)
    mechanism = models.CharField("手段", max_length=10, choices=Mechanism)
    state = models.CharField("状態", max_length=10, choices=BidState, default=BidState.SUBMITTED)
    supersedes = models.OneToOneField(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="superseded_by",
        verbose_name="前の版",
    )
    received_at = models.DateTimeField("受付日時", help_text="市場時計。ゲートの判定と同じ時刻")
    # What rules need to know before the gate; shown to nobody but the bidder.
    parent_client_bid_id = models.CharField("親の入札番号", max_length=64, blank=True)
    exclusive_group = models.CharField("排他グループ", max_length=40, blank=True)
    basket = models.ForeignKey(
        SealedBasket,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="bids",
        verbose_name="封印",
        db_index=False,  # `bid_leaf` begins with it
    )
    leaf_index = models.PositiveIntegerField("葉の番号", null=True, blank=True)
    leaf_sha256 = models.CharField(
        "葉のハッシュ", max_length=64, help_text="塩を加えた内容のハッシュ。受付票に載る"
    )
    # Tells a repeated offer from a changed one; keyed, so that nobody finds the offer by trying.
    content_mac = models.BinaryField("内容の認証符号", max_length=32, default=b"")

    class Meta:
        verbose_name = "入札"
        verbose_name_plural = "入札"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "client_bid_id", "version"], name="bid_version"
            ),
            models.UniqueConstraint(
                fields=["organisation", "client_bid_id"],
                condition=models.Q(state="SUBMITTED"),
                name="bid_one_current",
            ),
            models.CheckConstraint(condition=models.Q(form__in=BidForm.values), name="bid_form"),
            models.CheckConstraint(
                condition=models.Q(
                    form="PORTFOLIO",
                    resource__isnull=True,
                    portfolio__isnull=False,
                    site__isnull=True,
                )
                | models.Q(
                    form="COMPUTE_REQUEST",
                    resource__isnull=True,
                    portfolio__isnull=True,
                    site__isnull=False,
                )
                | models.Q(
                    ~models.Q(form__in=["PORTFOLIO", "COMPUTE_REQUEST"]),
                    resource__isnull=False,
                    portfolio__isnull=True,
                    site__isnull=True,
                ),
                name="bid_subject",
            ),
            models.CheckConstraint(condition=models.Q(state__in=BidState.values), name="bid_state"),
            models.UniqueConstraint(fields=["basket", "leaf_index"], name="bid_leaf"),
            models.CheckConstraint(
                condition=models.Q(basket__isnull=True, leaf_index__isnull=True)
                | models.Q(basket__isnull=False, leaf_index__gte=0, leaf_index__lt=5_000),
                name="bid_sealed",
            ),
        ]
        indexes = [
            models.Index(
                fields=["auction", "resource"],
                name="bid_book",
                condition=models.Q(state="SUBMITTED"),
            ),
            # Lists, each in its order of reading; they also serve the keys they begin with.
            models.Index(fields=["organisation", "received_at", "id"], name="bid_own"),
            models.Index(
                fields=["organisation", "auction", "received_at", "id"], name="bid_own_auction"
            ),
            models.Index(
                fields=["organisation", "resource", "received_at", "id"], name="bid_own_resource"
            ),
            models.Index(fields=["organisation", "form", "received_at", "id"], name="bid_own_form"),
            models.Index(
                fields=["organisation", "received_at", "id"],
                name="bid_own_over",
                condition=models.Q(state__in=["SUPERSEDED", "WITHDRAWN"]),
            ),
            models.Index(fields=["auction", "received_at", "id"], name="bid_auction"),
        ]

    def __str__(self) -> str:
        return f"{self.client_bid_id} 版{self.version}"


class BidContent(models.Model):
    """What the bid offers, in the layout of the snapshot's `bids` (docs/snapshot.md).

    There is none before the gate: the worker that opens the book writes it. Written and read
    through `market.trading.sealing` only.
    """

    bid = models.OneToOneField(
        Bid, models.CASCADE, primary_key=True, related_name="content", verbose_name="入札"
    )
    content = models.JSONField("内容")
    salt = models.BinaryField("塩", max_length=16, default=b"")

    class Meta:
        verbose_name = "入札内容"
        verbose_name_plural = "入札内容"

    def __str__(self) -> str:
        return str(self.bid_id)
