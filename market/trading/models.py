"""Auctions, needs and bids. A bid's envelope is public to its owner; its content is sealed."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models.functions import Now

from accounts.parties.models import Organisation
from market.registry.models import (
    GridModel,
    Portfolio,
    Resource,
    Ruleset,
    Site,
    WorkloadClass,
)
from market.trading.conditions import BaseFlow, Envelope, EnvelopeKind, TransferLimit
from market.trading.need_models import (
    NEED_TRANSITIONS,
    STEPS_MAX,
    Direction,
    Need,
    NeedKind,
    NeedPricing,
    NeedState,
    NeedStep,
)
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
    "NEED_TRANSITIONS",
    "STEPS_MAX",
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

    @property
    def shut_at(self) -> datetime:
        """When the gate shut or will: as announced, unless two people closed it before."""
        return min(self.closed_at or self.gate_closure_at, self.gate_closure_at)


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
