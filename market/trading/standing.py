"""Bids given once and renewed at every gate. The envelope is here, the offer itself is sealed."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.fields.keys import uuid7
from accounts.parties.models import Organisation
from market.trading.sealed import BookKey, OwnerKey


class StandingState(models.TextChoices):
    """A standing bid is renewed while it is active, until it is withdrawn."""

    ACTIVE = "ACTIVE", "有効"
    PAUSED = "PAUSED", "休止"
    WITHDRAWN = "WITHDRAWN", "取下げ"


class StandingBid(models.Model):
    """A template that becomes a bid in each auction whose delivery day it is valid for."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="standing_bids", verbose_name="組織"
    )
    code = models.CharField(
        "番号", max_length=20, help_text="入札者が付ける番号。入札番号は「番号@オークション」"
    )
    valid_from_on = models.DateField("開始日（受渡日）")
    valid_to_on = models.DateField("終了日（受渡日）", null=True, blank=True)
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(), size=7, verbose_name="曜日（0＝月曜）"
    )
    state = models.CharField(
        "状態", max_length=10, choices=StandingState, default=StandingState.ACTIVE
    )
    # As of bids: tells a repeated template from a changed one.
    content_mac = models.BinaryField("内容の認証符号", max_length=32)
    created_at = models.DateTimeField("登録日時", db_default=Now())

    class Meta:
        verbose_name = "常設入札"
        verbose_name_plural = "常設入札"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "code"],
                condition=models.Q(state__in=["ACTIVE", "PAUSED"]),
                name="standingbid_one_alive",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=StandingState.values), name="standingbid_state"
            ),
            models.CheckConstraint(
                condition=models.Q(valid_to_on__isnull=True)
                | models.Q(valid_to_on__gt=models.F("valid_from_on")),
                name="standingbid_dates",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    weekdays__contained_by=[0, 1, 2, 3, 4, 5, 6], weekdays__len__gte=1
                ),
                name="standingbid_weekdays",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "created_at", "id"], name="standingbid_own"),
        ]

    def __str__(self) -> str:
        return self.code


class StandingBidContent(models.Model):
    """The bid that is renewed, in a box for the workers and, if it has a key, its owner.

    Written and read through `market.trading.sealing` only.
    """

    standing_bid = models.OneToOneField(
        StandingBid,
        models.CASCADE,
        primary_key=True,
        related_name="content",
        verbose_name="常設入札",
    )
    book_key = models.ForeignKey(
        BookKey, models.PROTECT, related_name="+", verbose_name="板の鍵", db_index=False
    )
    sealed_key = models.BinaryField("板の鍵で封印した鍵")
    owner_key = models.ForeignKey(
        OwnerKey,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="入札者の鍵",
        db_index=False,
    )
    owner_sealed_key = models.BinaryField("入札者の鍵で封印した鍵", null=True, blank=True)
    ciphertext = models.BinaryField("封印された内容")

    class Meta:
        verbose_name = "常設入札の内容"
        verbose_name_plural = "常設入札の内容"

    def __str__(self) -> str:
        return str(self.standing_bid_id)


class StandingRenewal(models.Model):
    """What became of a standing bid at one gate: a bid, or a refusal with its reason."""

    id = models.BigAutoField(primary_key=True)
    standing_bid = models.ForeignKey(
        StandingBid, models.PROTECT, related_name="renewals", verbose_name="常設入札"
    )
    auction = models.ForeignKey(
        "trading.Auction",
        models.PROTECT,
        related_name="standing_renewals",
        verbose_name="オークション",
    )
    bid = models.ForeignKey(
        "trading.Bid",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="入札",
    )
    refusal = models.CharField("断られた理由", max_length=300, blank=True)

    class Meta:
        verbose_name = "常設入札の更新"
        verbose_name_plural = "常設入札の更新"
        constraints = [
            models.UniqueConstraint(
                fields=["standing_bid", "auction"], name="standingrenewal_once"
            ),
            models.CheckConstraint(
                condition=models.Q(bid__isnull=False, refusal="")
                | models.Q(models.Q(bid__isnull=True), ~models.Q(refusal="")),
                name="standingrenewal_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.standing_bid} {self.auction_id}"
