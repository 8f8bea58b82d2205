"""After the gate: the book's root for everybody, and its contents for the clearing.

Both happen in a worker, once, whatever is delivered twice or dies in between. There is no other
opening: before the gate these functions refuse, and other processes have no key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.fields.copying import rows_copy
from accounts.jobs.services import Claim, job_finish
from market.trading.boxes import BoxBroken
from market.trading.contents import content_bytes
from market.trading.key_file import KeyPair
from market.trading.keys import book_key_pairs
from market.trading.leaves import Leaf, LeafBroken, bid_header
from market.trading.merkle import inclusion_verify, path_of, root_of
from market.trading.models import (
    Auction,
    AuctionState,
    Bid,
    BidContent,
    BookOpening,
    BookRoot,
    SealedBasket,
)
from market.trading.sealing import leaves_open
from market.trading.selectors import book_of

ROOT_KIND = "market.trading.book_root"
BASKETS_AT_ONCE = 500
SEALED_STATES = (AuctionState.SCHEDULED, AuctionState.OPEN)
OPENABLE_STATES = (AuctionState.CLOSED, AuctionState.CLEARING)


class BookSealed(Refused):
    """The gate has not closed: nobody opens this book, for no reason."""


@dataclass(frozen=True, kw_only=True)
class InclusionProof:
    """That a leaf is in the book: check it with `market.trading.merkle.inclusion_verify`."""

    leaf: str
    index: int
    leaf_count: int
    path: tuple[str, ...]
    merkle_root: str

    @property
    def holds(self) -> bool:
        """Whether the path leads from the leaf to the root."""
        return inclusion_verify(
            bytes.fromhex(self.leaf),
            [bytes.fromhex(beside) for beside in self.path],
            bytes.fromhex(self.merkle_root),
            index=self.index,
            leaf_count=self.leaf_count,
        )


@dataclass(kw_only=True)
class _Found:
    """What the opening of a book brought to light."""

    rows: list[tuple[UUID, str, bytes]] = field(default_factory=list)
    quarantined: dict[UUID, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


@transaction.atomic
def book_root_publish(*, claim: Claim) -> None:
    """Publish the root of the book that the claim's gate has closed."""
    auction = Auction.objects.select_for_update().get(id=UUID(claim.key))
    if auction.state not in SEALED_STATES:
        _root_ensure(auction, market_now())
    job_finish(claim=claim)


@transaction.atomic
def book_open(*, auction_id: UUID) -> BookOpening | None:
    """Open a closed book: contents of its bids are checked, one by one, and stored.

    A bid whose leaf is not what its receipt says is left sealed and named in the audit trail; the
    clearing goes on without it.

    Returns
    -------
    BookOpening or None
        Of the first opening, however often this is called; None of an auction that was cancelled.

    Raises
    ------
    BookSealed
        Before the gate by the market clock, or while the auction takes bids.
    BookKeyMissing
        If this process lacks a key that a basket was sealed to: nothing is stored, and a worker
        that has it will do it.
    """
    auction = Auction.objects.select_for_update().get(id=auction_id)
    opening = BookOpening.objects.filter(auction=auction).first()
    if opening is not None:
        return opening
    moment = market_now()
    if auction.state in SEALED_STATES or moment < auction.shut_at:
        raise BookSealed(
            field="auction",
            value=auction.code,
            rule=f"closed, and after its gate at {auction.gate_closure_at.isoformat()}",
        )
    if auction.state not in OPENABLE_STATES:
        return None
    root = _root_ensure(auction, moment)
    found = _opened(auction)
    rows_copy(BidContent, ("bid_id", "content", "salt"), found.rows)
    opening = BookOpening.objects.create(
        auction=auction,
        opened_at=moment,
        opened_count=len(found.rows),
        quarantined_count=len(found.quarantined),
    )
    _tell(auction, root, found)
    return opening


def _root_ensure(auction: Auction, moment: datetime) -> BookRoot:
    """Return the root of a closed book, made at the first call; the auction's row is locked."""
    known = BookRoot.objects.filter(auction=auction).first()
    if known is not None:
        return known
    leaves = _leaves_of(auction)
    made = BookRoot.objects.create(
        auction=auction, merkle_root=root_of(leaves).hex(), leaf_count=len(leaves), made_at=moment
    )
    entry_append(
        action="market.book.root_published",
        subject=auction,
        detail={"merkle_root": made.merkle_root, "leaf_count": made.leaf_count},
    )
    return made


def _leaves_of(auction: Auction) -> list[bytes]:
    """Return the leaves of a closed book in order of their hashes, which tells nothing else."""
    hashes = book_of(auction).select_related(None).order_by().values_list("leaf_sha256", flat=True)
    return sorted(map(bytes.fromhex, hashes))


def _opened(auction: Auction) -> _Found:
    found = _Found()
    pairs: Mapping[str, KeyPair] | None = None
    bids_of: dict[UUID, list[Bid]] = {}
    loose = []
    opened = set(BidContent.objects.filter(bid__auction=auction).values_list("bid_id", flat=True))
    for bid in book_of(auction).select_related("portfolio", "workload_class"):
        if bid.basket_id is not None:
            bids_of.setdefault(bid.basket_id, []).append(bid)
        elif bid.id not in opened:
            loose.append(bid)
    for bid in loose:
        found.quarantined[bid.id] = "the bid is in no basket"
    baskets = SealedBasket.objects.filter(id__in=bids_of).order_by("id")
    for basket in baskets.iterator(chunk_size=BASKETS_AT_ONCE):
        if pairs is None:
            pairs = book_key_pairs()
        found.keys.add(basket.book_key_id)
        _open_one(auction, basket, bids_of[basket.id], pairs, found)
    return found


def _open_one(
    auction: Auction,
    basket: SealedBasket,
    bids: list[Bid],
    pairs: Mapping[str, KeyPair],
    found: _Found,
) -> None:
    try:
        leaves = leaves_open(basket, pairs)
    except (BoxBroken, LeafBroken) as broken:
        found.quarantined |= {bid.id: f"basket {basket.id}: {broken}" for bid in bids}
        return
    for bid in bids:
        leaf = _leaf_at(leaves, bid.leaf_index)
        reason = _wrong(auction, bid, leaf)
        if leaf is None or reason is not None:
            found.quarantined[bid.id] = f"basket {basket.id}: {reason}"
        else:
            found.rows.append((bid.id, leaf.content.decode(), leaf.salt))


def _leaf_at(leaves: list[Leaf], index: int | None) -> Leaf | None:
    return leaves[index] if index is not None and index < len(leaves) else None


def _wrong(auction: Auction, bid: Bid, leaf: Leaf | None) -> str | None:
    """Return what is wrong with a leaf of a bid, None if it is the one its receipt names."""
    if leaf is None:
        return "no such leaf"
    if leaf.hash.hex() != bid.leaf_sha256:
        return "the leaf is not the one of the receipt"
    if leaf.header != header_of(auction, bid):
        return "the envelope is not the one that was sealed"
    return None


def header_of(auction: Auction, bid: Bid) -> bytes:
    """Return the header that a bid's leaf must have by what its row says."""
    subject = bid.resource or bid.portfolio or bid.site
    return bid_header(
        auction=auction.code,
        organisation=bid.organisation.code,
        client_bid_id=bid.client_bid_id,
        version=bid.version,
        form=bid.form,
        mechanism=bid.mechanism,
        subject="" if subject is None else subject.code,
        workload_class=None if bid.workload_class is None else bid.workload_class.kind,
    )


def _tell(auction: Auction, root: BookRoot, found: _Found) -> None:
    owners = dict(Bid.objects.filter(id__in=found.quarantined).values_list("id", "organisation_id"))
    for bid_id, reason in sorted(found.quarantined.items()):
        entry_append(
            action="market.bid.quarantined",
            subject=f"trading.bid:{bid_id}",
            organisation_id=owners[bid_id],
            detail={"auction": auction.code, "reason": reason},
        )
    entry_append(
        action="market.book.opened",
        subject=auction,
        detail={
            "opened": len(found.rows),
            "quarantined": len(found.quarantined),
            "leaf_count": root.leaf_count,
            "merkle_root": root.merkle_root,
            "book_keys": sorted(found.keys),
        },
    )


def book_root_of(auction: Auction) -> BookRoot | None:
    """Return the published root of a book, None before its gate; it is for everybody."""
    return BookRoot.objects.filter(auction=auction).first()


def inclusion_of(bid: Bid) -> InclusionProof:
    """Return the proof that a bid is in the published book; who may see the bid may see it.

    Raises
    ------
    NotFound
        Before the root is published, and of a bid that is not in the book.
    """
    root = book_root_of(bid.auction)
    if root is None:
        raise NotFound(field="auction", value=bid.auction.code, rule="a book with a root")
    leaves = _leaves_of(bid.auction)
    leaf = bytes.fromhex(bid.leaf_sha256)
    if leaf not in leaves:
        raise NotFound(field="bid", value=str(bid.id), rule="a bid in the book")
    index = leaves.index(leaf)
    return InclusionProof(
        leaf=bid.leaf_sha256,
        index=index,
        leaf_count=len(leaves),
        path=tuple(beside.hex() for beside in path_of(leaves, index)),
        merkle_root=root.merkle_root,
    )


def leaf_of(bid: Bid) -> Leaf | None:
    """Return what a bid's leaf was made of, None until its book is opened.

    Who may see the bid may see it, and can hash it: that is the leaf of the receipt.
    """
    content = BidContent.objects.filter(bid=bid).first()
    if content is None:
        return None
    return Leaf(
        salt=bytes(content.salt),
        header=header_of(bid.auction, bid),
        content=content_bytes(content.content),
    )


def book_faults(auction: Auction) -> Iterator[str]:
    """Yield what does not fit between a published root and an opened book; nothing if all does.

    Every leaf is made again from salt, envelope and content.
    """
    root = book_root_of(auction)
    if root is None:
        yield "no root was published"
        return
    leaves: list[bytes] = []
    bids = book_of(auction).select_related("portfolio", "workload_class", "content")
    for bid in bids:
        leaves.append(bytes.fromhex(bid.leaf_sha256))
        fault = _content_fault(auction, bid)
        if fault is not None:
            yield f"{bid.organisation.code} {bid}: {fault}"
    if len(leaves) != root.leaf_count:
        yield f"{len(leaves)} bids, {root.leaf_count} leaves under the root"
    if root_of(sorted(leaves)).hex() != root.merkle_root:
        yield "the leaves do not have the published root"


def _content_fault(auction: Auction, bid: Bid) -> str | None:
    content: Any = getattr(bid, "content", None)
    if content is None:
        return "not opened"
    leaf = Leaf(
        salt=bytes(content.salt),
        header=header_of(auction, bid),
        content=content_bytes(content.content),
    )
    return None if leaf.hash.hex() == bid.leaf_sha256 else "the leaf is not made of this content"
