"""The one seam between a bid's envelope and its content.

Everything that writes or reads an offer's prices and quantities goes through here. Before the
gate an offer exists only inside a box (`market.trading.boxes`) that this process, unless it is a
worker, cannot open; the book's opening is in `market.trading.opening`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts.audit.services import entry_append
from market.trading.boxes import BoxBroken, box_make, box_open
from market.trading.key_file import BookKeyMissing, KeyPair
from market.trading.keys import SealingKeys, book_key_pairs
from market.trading.leaves import Leaf, LeafBroken, leaves_bytes, leaves_read
from market.trading.models import BidContent, SealedBasket, StandingBidContent

_MAC_LABEL = b"wattbit.bid.content\0"


@dataclass(frozen=True, kw_only=True)
class SealedLeaves:
    """The boxed leaves of one basket, as its row stores them."""

    ciphertext: bytes
    sealed_key: bytes
    owner_sealed_key: bytes | None


def leaves_seal(basket_id: UUID, leaves: Sequence[Leaf], keys: SealingKeys) -> SealedLeaves:
    """Put the leaves of a basket into one box for the workers and, if it has a key, the owner."""
    box = box_make(leaves_bytes(leaves), context=_basket_context(basket_id), readers=keys.readers)
    return SealedLeaves(
        ciphertext=box.ciphertext,
        sealed_key=box.sealed_keys[0],
        owner_sealed_key=box.sealed_keys[1] if keys.owner_key_id is not None else None,
    )


def leaves_open(basket: SealedBasket, pairs: Mapping[str, KeyPair]) -> list[Leaf]:
    """Open a basket with the book's private key; `market.trading.opening` sees to the gate.

    Raises
    ------
    BookKeyMissing
        If its key is not among `pairs`.
    BoxBroken, LeafBroken
        If the row is not what was stored.
    """
    pair = pairs.get(basket.book_key_id)
    if pair is None:
        raise BookKeyMissing(f"no private half of the book key {basket.book_key_id}")
    return leaves_read(
        box_open(
            bytes(basket.ciphertext),
            bytes(basket.sealed_key),
            context=_basket_context(basket.id),
            private_key=pair.private_key,
        )
    )


def owner_copy_open(basket: SealedBasket, private_key: bytes) -> list[Leaf]:
    """Open a bidder's own copy with the private half of its key, which is neither kept nor told.

    Returns
    -------
    list of Leaf
        In the order of the receipt, with salt and header: all that a proof needs.

    Raises
    ------
    BoxBroken
        If there is no copy, or it is for another key.
    """
    if basket.owner_sealed_key is None:
        raise BoxBroken("the basket has no copy for its owner")
    try:
        return leaves_read(
            box_open(
                bytes(basket.ciphertext),
                bytes(basket.owner_sealed_key),
                context=_basket_context(basket.id),
                private_key=private_key,
            )
        )
    except LeafBroken as error:
        raise BoxBroken("the copy holds no bids") from error


def contents_open(bid_ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Read opened offers; of bids whose book is still sealed there are none."""
    return dict(
        BidContent.objects.filter(bid_id__in=list(bid_ids)).values_list("bid_id", "content")
    )


def template_seal(standing_bid_id: UUID, canonical: bytes, keys: SealingKeys) -> None:
    """Store what a standing bid renews, inside the caller's transaction."""
    box = box_make(canonical, context=_template_context(standing_bid_id), readers=keys.readers)
    StandingBidContent.objects.create(
        standing_bid_id=standing_bid_id,
        book_key_id=keys.book_key_id,
        sealed_key=box.sealed_keys[0],
        owner_key_id=keys.owner_key_id,
        owner_sealed_key=box.sealed_keys[1] if keys.owner_key_id is not None else None,
        ciphertext=box.ciphertext,
    )


def templates_open(standing_bid_ids: Iterable[UUID], *, purpose: str) -> dict[UUID, bytes]:
    """Open templates to renew them, in a worker; every opening is in the audit trail.

    Raises
    ------
    BookKeyMissing
        In every process that is no worker.
    """
    pairs = book_key_pairs()
    opened: dict[UUID, bytes] = {}
    for row in StandingBidContent.objects.filter(standing_bid_id__in=list(standing_bid_ids)):
        pair = pairs.get(row.book_key_id)
        if pair is None:
            raise BookKeyMissing(f"no private half of the book key {row.book_key_id}")
        opened[row.standing_bid_id] = box_open(
            bytes(row.ciphertext),
            bytes(row.sealed_key),
            context=_template_context(row.standing_bid_id),
            private_key=pair.private_key,
        )
    entry_append(
        action="market.standing_bids.opened", subject=purpose, detail={"count": len(opened)}
    )
    return opened


def owner_template_open(content: StandingBidContent, private_key: bytes) -> bytes:
    """Open a bidder's own copy of a standing bid; see :func:`owner_copy_open`.

    Raises
    ------
    BoxBroken
        If there is no copy, or it is for another key.
    """
    if content.owner_sealed_key is None:
        raise BoxBroken("the standing bid has no copy for its owner")
    return box_open(
        bytes(content.ciphertext),
        bytes(content.owner_sealed_key),
        context=_template_context(content.standing_bid_id),
        private_key=private_key,
    )


def mac_key_of(organisation_id: UUID) -> bytes:
    """Return the key that tells an organisation's repeated offers from changed ones."""
    secret: str = settings.SECRET_KEY
    return hmac.digest(secret.encode(), _MAC_LABEL + organisation_id.bytes, "sha256")


def content_mac(key: bytes, name: str, canonical: bytes) -> bytes:
    """Return the mark of an offer; `name` keeps equal offers of different bids from looking so."""
    return hmac.digest(key, name.encode() + b"\0" + canonical, "sha256")


def _basket_context(basket_id: UUID) -> bytes:
    return b"wattbit-basket/1:" + str(basket_id).encode()


def _template_context(standing_bid_id: UUID) -> bytes:
    return b"wattbit-standing/1:" + str(standing_bid_id).encode()
