"""/api/v1/keys: public keys: what signs receipts, what books are sealed to, and bidders' own."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import NotFound, Refused
from aggregator.api.v1 import told
from aggregator.api.v1.access import PUBLIC, Access
from aggregator.api.v1.asked import body_of, query_of
from aggregator.api.v1.base import Door
from market.trading.keys import (
    book_keys,
    owner_key_of,
    owner_key_register,
    receipt_keys,
)
from market.trading.models import BookKey, OwnerKey, ReceiptKey

KEY_TEXT_MAX = 100


class PublicKey(serializers.Serializer[Any]):
    """The public half of a key."""

    id = serializers.CharField()
    public_key = serializers.CharField(help_text="32 bytes in base64.")
    created_at = serializers.DateTimeField()


class PublicKeys(serializers.Serializer[Any]):
    """All keys that receipts were ever signed with, or books sealed to."""

    receipt_keys = PublicKey(many=True, help_text="Ed25519.")
    book_keys = PublicKey(many=True, help_text="X25519.")


class OwnerKeyInput(serializers.Serializer[Any]):
    """Your own public key, under which your copies are sealed from now on."""

    public_key = serializers.CharField(help_text="X25519, 32 bytes in base64.")


def key_told(key: BookKey | ReceiptKey | OwnerKey) -> dict[str, Any]:
    """Print a public key."""
    return {
        "id": str(key.id),
        "public_key": b64encode(key.public_key).decode(),
        "created_at": key.created_at,
    }


class Keys(Door):
    """Public keys of the market."""

    access: ClassVar[Access] = {"GET": PUBLIC}

    @extend_schema(
        operation_id="key_list",
        summary="Public keys of receipts and books",
        responses={200: PublicKeys},
    )
    def get(self, request: Request) -> Response:
        """Show them all: old receipts are checked with old keys."""
        query_of(request, is_list=False)
        return Response(
            {
                "receipt_keys": [key_told(key) for key in receipt_keys()],
                "book_keys": [key_told(key) for key in book_keys()],
            }
        )


class OwnerKeys(Door):
    """The bidder's own key."""

    access: ClassVar[Access] = {"GET": "bid.read", "POST": "client.manage"}

    @extend_schema(
        operation_id="owner_key",
        summary="Your organisation's key, to which your copies are sealed",
        parameters=[told.ORGANISATION],
        responses={200: PublicKey},
    )
    def get(self, request: Request) -> Response:
        """Show the current one."""
        query = query_of(request, "organisation", is_list=False)
        key = owner_key_of(self.sight.acting_for("bid.read", query.get("organisation")))
        if key is None:
            raise NotFound(field="organisation", value="", rule="one that has given a key")
        return Response(key_told(key))

    @extend_schema(
        operation_id="owner_key_register",
        summary="Give a new public key of your own; copies made before stay under the old one",
        parameters=[told.ORGANISATION],
        request=OwnerKeyInput,
        responses={201: PublicKey},
    )
    def post(self, request: Request) -> Response:
        """Register it in place of the one before."""
        query = query_of(request, "organisation", is_list=False)
        text = body_of(request, required=("public_key",))["public_key"]
        organisation = self.sight.acting_for("client.manage", query.get("organisation"))
        key = owner_key_register(organisation=organisation, public_key=_bytes_of(text))
        return Response(key_told(key), status=201)


def _bytes_of(text: object) -> bytes:
    try:
        if isinstance(text, str) and len(text) <= KEY_TEXT_MAX:
            return b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise Refused(field="public_key", value=text, rule="32 bytes in base64")


urlpatterns: list[URLPattern] = [
    path("keys", Keys.as_view(), name="key-list"),
    path("owner-key", OwnerKeys.as_view(), name="owner-key"),
]
