"""What a bidder can prove: signed receipts, inclusion in a closed book, its own sealed copy."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar
from uuid import UUID

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.api.v1.access import Access
from aggregator.api.v1.asked import query_of
from aggregator.api.v1.base import Door
from market.trading import selectors
from market.trading.baskets import Receipt, receipt_of
from market.trading.opening import inclusion_of, leaf_of


class SignedLeaf(serializers.Serializer[Any]):
    """One bid of a signed receipt."""

    client_bid_id = serializers.CharField()
    version = serializers.IntegerField(min_value=1)
    leaf = serializers.CharField(help_text="SHA-256 of salt, header and offer.")


class SignedReceipt(serializers.Serializer[Any]):
    """What proves that a basket was accepted, and when."""

    schema = serializers.CharField()
    auction = serializers.CharField()
    organisation = serializers.CharField()
    basket = serializers.UUIDField()
    received_at = serializers.CharField()
    key = serializers.CharField(help_text="Id of the key that signed; see /keys.")
    merkle_root = serializers.CharField()
    leaf_count = serializers.IntegerField(min_value=1)
    bids = SignedLeaf(many=True)
    signature = serializers.CharField(help_text="Ed25519, base64.")


class ReceiptSeen(serializers.Serializer[Any]):
    """A bid is in the book."""

    bid_id = serializers.UUIDField()
    client_bid_id = serializers.CharField()
    version = serializers.IntegerField(min_value=1)
    received_at = serializers.DateTimeField(help_text="Market time; decided the gate.")
    leaf_sha256 = serializers.CharField(help_text="Salted commitment to the offer: its leaf.")
    basket = serializers.UUIDField(allow_null=True)
    is_new = serializers.BooleanField(help_text="False if it repeats the current version.")


class OneSubmitted(ReceiptSeen):
    """A bid is in the book, with the signed receipt of it."""

    signed = SignedReceipt(allow_null=True, help_text="Null if nothing was new.")


class ManySubmitted(serializers.Serializer[Any]):
    """Bids are in the book, in the order given, with the signed receipt of all that are new."""

    receipts = ReceiptSeen(many=True)
    signed = SignedReceipt(allow_null=True, help_text="Null if nothing was new.")


class InclusionSeen(serializers.Serializer[Any]):
    """The path from a bid's leaf to the published root of its book."""

    leaf = serializers.CharField()
    index = serializers.IntegerField(min_value=0)
    leaf_count = serializers.IntegerField(min_value=1)
    path = serializers.ListField(child=serializers.CharField(), help_text="Hashes beside the way.")
    merkle_root = serializers.CharField()
    salt = serializers.CharField(
        allow_null=True, help_text="16 bytes in hexadecimal; null until the book is opened."
    )
    header = serializers.CharField(
        allow_null=True, help_text="What the leaf binds the offer to, as hashed: JSON as a text."
    )
    content = serializers.CharField(
        allow_null=True,
        help_text="The offer as hashed: the leaf is SHA-256 of 0x00, salt, header and content.",
    )


class OwnCopy(serializers.Serializer[Any]):
    """A bidder's own sealed copy of a basket; only its private key opens it."""

    basket = serializers.UUIDField()
    owner_key = serializers.UUIDField(allow_null=True)
    sealed_key = serializers.CharField(allow_null=True, help_text="Base64; null without a key.")
    ciphertext = serializers.CharField(help_text="Base64.")
    leaf_index = serializers.IntegerField(min_value=0, allow_null=True)


def receipt_told(receipt: Receipt) -> dict[str, Any]:
    """Print a receipt."""
    return {
        "bid_id": str(receipt.bid_id),
        "client_bid_id": receipt.client_bid_id,
        "version": receipt.version,
        "received_at": receipt.received_at,
        "leaf_sha256": receipt.leaf_sha256,
        "basket": None if receipt.basket_id is None else str(receipt.basket_id),
        "is_new": receipt.is_new,
    }


class ReceiptOf(Door):
    """The signed receipt of a bid's basket."""

    access: ClassVar[Access] = {"GET": "bid.read"}

    @extend_schema(
        operation_id="bid_receipt",
        summary="The signed receipt of the basket that a bid came in, as at its acceptance",
        responses={200: SignedReceipt},
    )
    def get(self, request: Request, bid_id: UUID) -> Response:
        """Print it as it was signed."""
        query_of(request, is_list=False)
        basket = selectors.basket_of(selectors.bid_seen(bid_id, seen_by=self.sight))
        return Response(receipt_of(basket))


class InclusionOf(Door):
    """The proof that a bid is in its book."""

    access: ClassVar[Access] = {"GET": "bid.read"}

    @extend_schema(
        operation_id="bid_inclusion",
        summary="Prove that a bid is in the book whose root was published at the gate",
        responses={200: InclusionSeen},
    )
    def get(self, request: Request, bid_id: UUID) -> Response:
        """Show the path from the leaf to the root, and what the leaf is made of."""
        query_of(request, is_list=False)
        bid = selectors.bid_seen(bid_id, seen_by=self.sight)
        proof, leaf = inclusion_of(bid), leaf_of(bid)
        return Response(
            {
                "leaf": proof.leaf,
                "index": proof.index,
                "leaf_count": proof.leaf_count,
                "path": proof.path,
                "merkle_root": proof.merkle_root,
                "salt": None if leaf is None else leaf.salt.hex(),
                "header": None if leaf is None else leaf.header.decode(),
                "content": None if leaf is None else leaf.content.decode(),
            }
        )


class CopyOf(Door):
    """One's own sealed copy of a bid."""

    access: ClassVar[Access] = {"GET": "bid.read"}

    @extend_schema(
        operation_id="bid_copy",
        summary="Your own sealed copy of a bid's basket; only your private key opens it",
        responses={200: OwnCopy},
    )
    def get(self, request: Request, bid_id: UUID) -> Response:
        """Hand out what is sealed; nobody here can read it."""
        query_of(request, is_list=False)
        bid = selectors.bid_seen(bid_id, seen_by=self.sight)
        basket = selectors.basket_of(bid)
        sealed_key = basket.owner_sealed_key
        return Response(
            {
                "basket": basket.id,
                "owner_key": basket.owner_key_id,
                "sealed_key": None if sealed_key is None else b64encode(sealed_key).decode(),
                "ciphertext": b64encode(basket.ciphertext).decode(),
                "leaf_index": bid.leaf_index,
            }
        )


urlpatterns: list[URLPattern] = [
    path("bids/<uuid:bid_id>/receipt", ReceiptOf.as_view(), name="bid-receipt"),
    path("bids/<uuid:bid_id>/inclusion", InclusionOf.as_view(), name="bid-inclusion"),
    path("bids/<uuid:bid_id>/copy", CopyOf.as_view(), name="bid-copy"),
]
