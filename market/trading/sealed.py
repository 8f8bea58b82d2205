"""Rows of sealing: public keys, sealed baskets, the book's root and its opening."""

import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.parties.models import Organisation


class BookKey(models.Model):
    """Public half of a key to books (X25519); the private half is the workers' alone."""

    id = models.CharField("鍵番号", primary_key=True, max_length=16)
    public_key = models.BinaryField("公開鍵", max_length=32)
    created_at = models.DateTimeField("登録日時", db_default=Now())
    retired_at = models.DateTimeField("更新日時", null=True, blank=True)

    class Meta:
        verbose_name = "板の鍵"
        verbose_name_plural = "板の鍵"
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                models.Value(1),
                condition=models.Q(retired_at__isnull=True),
                name="bookkey_one_current",
            ),
        ]

    def __str__(self) -> str:
        return self.id


class ReceiptKey(models.Model):
    """Public half of a key that signs receipts (Ed25519); published, kept for old receipts."""

    id = models.CharField("鍵番号", primary_key=True, max_length=16)
    public_key = models.BinaryField("公開鍵", max_length=32)
    created_at = models.DateTimeField("登録日時", db_default=Now())

    class Meta:
        verbose_name = "受付票の鍵"
        verbose_name_plural = "受付票の鍵"
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.id


class OwnerKey(models.Model):
    """Public half of a bidder's own key (X25519): its copy of what it bids is sealed to it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="owner_keys", verbose_name="組織"
    )
    public_key = models.BinaryField("公開鍵", max_length=32)
    created_at = models.DateTimeField("登録日時", db_default=Now())
    retired_at = models.DateTimeField("更新日時", null=True, blank=True)

    class Meta:
        verbose_name = "入札者の鍵"
        verbose_name_plural = "入札者の鍵"
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation"],
                condition=models.Q(retired_at__isnull=True),
                name="ownerkey_one_current",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class SealedBasket(models.Model):
    """One call's bids in one envelope, which only a worker opens, and only after the gate.

    The contents are under a key of their own; that key is sealed to the book's key and, if the
    bidder has one, to the bidder's.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    auction = models.ForeignKey(
        "trading.Auction", models.PROTECT, related_name="baskets", verbose_name="オークション"
    )
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="baskets", verbose_name="組織"
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
    leaf_count = models.PositiveIntegerField("件数")
    merkle_root = models.CharField("マークル根", max_length=64)
    received_at = models.DateTimeField("受付日時")
    receipt_key = models.ForeignKey(
        ReceiptKey, models.PROTECT, related_name="+", verbose_name="受付票の鍵", db_index=False
    )
    receipt_signature = models.BinaryField("受付票の署名")

    class Meta:
        verbose_name = "封印された入札"
        verbose_name_plural = "封印された入札"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(leaf_count__gte=1, leaf_count__lte=5_000),
                name="sealedbasket_leaf_count",
            ),
            models.CheckConstraint(
                condition=models.Q(owner_key__isnull=True, owner_sealed_key__isnull=True)
                | models.Q(owner_key__isnull=False, owner_sealed_key__isnull=False),
                name="sealedbasket_owner",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class BookRoot(models.Model):
    """The root over all bids in a closed book, published right after the gate."""

    auction = models.OneToOneField(
        "trading.Auction",
        models.PROTECT,
        primary_key=True,
        related_name="book_root",
        verbose_name="オークション",
    )
    merkle_root = models.CharField("マークル根", max_length=64)
    leaf_count = models.PositiveIntegerField("件数")
    made_at = models.DateTimeField("作成日時")

    class Meta:
        verbose_name = "板のマークル根"
        verbose_name_plural = "板のマークル根"

    def __str__(self) -> str:
        return self.merkle_root


class BookOpening(models.Model):
    """That a closed book was opened, once, and what was found."""

    auction = models.OneToOneField(
        "trading.Auction",
        models.PROTECT,
        primary_key=True,
        related_name="book_opening",
        verbose_name="オークション",
    )
    opened_at = models.DateTimeField("開封日時")
    opened_count = models.PositiveIntegerField("開封数")
    quarantined_count = models.PositiveIntegerField("隔離数")

    class Meta:
        verbose_name = "板の開封"
        verbose_name_plural = "板の開封"

    def __str__(self) -> str:
        return str(self.auction_id)
