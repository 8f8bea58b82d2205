"""One call's bids on their way into the book: sealed as one envelope, receipted as one tree."""

import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from accounts.audit.acting import actor_now
from accounts.audit.services import entries_insert, entry_row
from accounts.fields.copying import FEW, insert_of, rows_copy
from accounts.parties.models import Organisation
from market.trading.bid_checks import Draft
from market.trading.contents import InvalidBid
from market.trading.keys import SealingKeys, sealing_keys
from market.trading.leaves import SALT_LENGTH, Leaf, bid_header
from market.trading.merkle import root_of
from market.trading.models import Auction, Bid, BidState, SealedBasket
from market.trading.receipts import SCHEMA, receipt_sign, receipt_with, signature_of
from market.trading.sealing import content_mac, leaves_seal, mac_key_of

BID_COLUMNS = (
    "id",
    "client_bid_id",
    "version",
    "auction_id",
    "organisation_id",
    "resource_id",
    "portfolio_id",
    "site_id",
    "workload_class_id",
    "form",
    "mechanism",
    "state",
    "supersedes_id",
    "received_at",
    "parent_client_bid_id",
    "exclusive_group",
    "basket_id",
    "leaf_index",
    "leaf_sha256",
    "content_mac",
)
BASKET_COLUMNS = (
    "id",
    "auction_id",
    "organisation_id",
    "book_key_id",
    "sealed_key",
    "owner_key_id",
    "owner_sealed_key",
    "ciphertext",
    "leaf_count",
    "merkle_root",
    "received_at",
    "receipt_key_id",
    "receipt_signature",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What a bidder gets for a bid that is in the book."""

    bid_id: UUID
    client_bid_id: str
    version: int
    received_at: datetime
    leaf_sha256: str
    basket_id: UUID | None
    is_new: bool


@dataclass(kw_only=True)
class Basket:
    """What one call adds to the book, gathered row by row and stored at once."""

    auction: Auction
    organisation: Organisation
    moment: datetime
    actor: str = field(default_factory=actor_now)
    id: UUID = field(default_factory=uuid4)
    receipts: list[Receipt] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    superseded: list[UUID] = field(default_factory=list)

    @cached_property
    def _mac_key(self) -> bytes:
        return mac_key_of(self.organisation.id)

    def put(self, draft: Draft, before: Bid | None, place: str) -> None:
        """Add a draft as a new version, unless it repeats the version `before`."""
        if before is not None and before.auction_id != self.auction.id:
            raise InvalidBid(
                field=f"{place}.client_bid_id",
                value=draft.client_bid_id,
                rule="already used in another auction",
            )
        if before is not None and self._is_same(before, draft):
            self.receipts.append(_receipt(before))
            return
        is_alive = before is not None and before.state == BidState.SUBMITTED
        supersedes_id = before.id if before is not None and is_alive else None
        if supersedes_id is not None:
            self.superseded.append(supersedes_id)
        self._add(draft, 1 if before is None else before.version + 1, supersedes_id)

    def _add(self, draft: Draft, version: int, supersedes_id: UUID | None) -> None:
        leaf = self._leaf(draft, version)
        leaf_hash = leaf.hash
        receipt = Receipt(
            bid_id=uuid4(),
            client_bid_id=draft.client_bid_id,
            version=version,
            received_at=self.moment,
            leaf_sha256=leaf_hash.hex(),
            basket_id=self.id,
            is_new=True,
        )
        self.rows.append(
            (
                receipt.bid_id,
                receipt.client_bid_id,
                receipt.version,
                self.auction.id,
                self.organisation.id,
                None if draft.resource is None else draft.resource.id,
                None if draft.portfolio is None else draft.portfolio.id,
                None if draft.site is None else draft.site.id,
                draft.workload_class_id,
                draft.form,
                draft.mechanism,
                BidState.SUBMITTED.value,
                supersedes_id,
                self.moment,
                draft.content.get("parent", ""),
                draft.content.get("exclusive_group", ""),
                self.id,
                len(self.leaves),
                receipt.leaf_sha256,
                self._mac(draft, version),
            )
        )
        self.leaves.append(leaf)
        self.hashes.append(leaf_hash)
        self.receipts.append(receipt)

    def _leaf(self, draft: Draft, version: int) -> Leaf:
        subject = draft.resource or draft.portfolio or draft.site
        return Leaf(
            salt=os.urandom(SALT_LENGTH),
            header=bid_header(
                auction=self.auction.code,
                organisation=self.organisation.code,
                client_bid_id=draft.client_bid_id,
                version=version,
                form=draft.form,
                mechanism=draft.mechanism,
                subject="" if subject is None else subject.code,
                workload_class=draft.workload_class,
            ),
            content=draft.canonical,
        )

    def _mac(self, draft: Draft, version: int) -> bytes:
        return content_mac(self._mac_key, f"{draft.client_bid_id}/{version}", draft.canonical)

    def _is_same(self, before: Bid, draft: Draft) -> bool:
        return (
            before.state == BidState.SUBMITTED
            and hmac.compare_digest(bytes(before.content_mac), self._mac(draft, before.version))
            and before.resource_id == (None if draft.resource is None else draft.resource.id)
            and before.portfolio_id == (None if draft.portfolio is None else draft.portfolio.id)
            and before.site_id == (None if draft.site is None else draft.site.id)
            and before.form == draft.form
            and before.mechanism == draft.mechanism
            and before.workload_class_id == draft.workload_class_id
        )

    def store(self) -> dict[str, Any] | None:
        """Write what is new, and say so in the audit trail; return its signed receipt."""
        return baskets_store([self])[0]

    def entry(self) -> list[Any]:
        """Return what the audit trail says of it."""
        return entry_row(
            action="market.bid.submitted",
            subject=self.auction,
            organisation_id=self.organisation.id,
            detail={
                "basket": str(self.id),
                "bids": len(self.rows),
                "superseded": len(self.superseded),
            },
            actor=self.actor,
        )

    def sealed(self, keys: SealingKeys) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the envelope's row and the signed receipt."""
        root = root_of(self.hashes).hex()
        signed = receipt_sign(self._receipt_body(keys, root), keys.receipt_key)
        sealed = leaves_seal(self.id, self.leaves, keys)
        row = (
            self.id,
            self.auction.id,
            self.organisation.id,
            keys.book_key_id,
            sealed.sealed_key,
            keys.owner_key_id,
            sealed.owner_sealed_key,
            sealed.ciphertext,
            len(self.rows),
            root,
            self.moment,
            keys.receipt_key_id,
            signature_of(signed),
        )
        return row, signed

    def _receipt_body(self, keys: SealingKeys, root: str) -> Mapping[str, Any]:
        return receipt_body(
            auction=self.auction.code,
            organisation=self.organisation.code,
            basket_id=self.id,
            received_at=self.moment,
            key_id=keys.receipt_key_id,
            merkle_root=root,
            bids=[
                (receipt.client_bid_id, receipt.version, receipt.leaf_sha256)
                for receipt in self.receipts
                if receipt.is_new
            ],
        )


def baskets_store(baskets: Sequence[Basket]) -> list[dict[str, Any] | None]:
    """Write what is new in each basket; return their signed receipts, None where nothing is."""
    signed: list[dict[str, Any] | None] = []
    envelopes, bids, entries, superseded = [], [], [], []
    for basket in baskets:
        if not basket.rows:
            signed.append(None)
            continue
        envelope, receipt = basket.sealed(sealing_keys(basket.organisation))
        signed.append(receipt)
        envelopes.append(envelope)
        entries.append(basket.entry())
        bids += basket.rows
        superseded += basket.superseded
    if not bids:
        return signed
    if superseded:
        Bid.objects.filter(id__in=superseded).update(state=BidState.SUPERSEDED)
    is_few = len(bids) <= FEW
    statements = [insert_of(SealedBasket, BASKET_COLUMNS, envelopes), entries_insert(entries)]
    if is_few:
        statements.insert(1, insert_of(Bid, BID_COLUMNS, bids))
    with connection.cursor() as cursor:
        # One message for all of it: a single bid spends most of its time on messages.
        cursor.execute(
            ";".join(statement for statement, _ in statements),
            [value for _, values in statements for value in values],
        )
    if not is_few:
        rows_copy(Bid, BID_COLUMNS, bids)
    return signed


def receipt_body(
    *,
    auction: str,
    organisation: str,
    basket_id: UUID,
    received_at: datetime,
    key_id: str,
    merkle_root: str,
    bids: list[tuple[str, int, str]],
) -> dict[str, Any]:
    """Return what the receipt of a basket says, without its signature."""
    return {
        "schema": SCHEMA,
        "auction": auction,
        "organisation": organisation,
        "basket": str(basket_id),
        "received_at": received_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "key": key_id,
        "merkle_root": merkle_root,
        "leaf_count": len(bids),
        "bids": [
            {"client_bid_id": client_bid_id, "version": version, "leaf": leaf}
            for client_bid_id, version, leaf in bids
        ],
    }


def receipt_of(basket: SealedBasket) -> dict[str, Any]:
    """Return the signed receipt of a stored basket, byte for byte as at its acceptance."""
    body = receipt_body(
        auction=basket.auction.code,
        organisation=basket.organisation.code,
        basket_id=basket.id,
        received_at=basket.received_at,
        key_id=basket.receipt_key_id,
        merkle_root=basket.merkle_root,
        bids=list(
            basket.bids.order_by("leaf_index").values_list(
                "client_bid_id", "version", "leaf_sha256"
            )
        ),
    )
    return receipt_with(body, bytes(basket.receipt_signature))


def _receipt(bid: Bid) -> Receipt:
    return Receipt(
        bid_id=bid.id,
        client_bid_id=bid.client_bid_id,
        version=bid.version,
        received_at=bid.received_at,
        leaf_sha256=bid.leaf_sha256,
        basket_id=bid.basket_id,
        is_new=False,
    )
