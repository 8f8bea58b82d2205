"""Bids are sealed until the gate: who can open what, when, and what everybody can prove."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from accounts.audit.models import AuditEntry
from accounts.clock.services import clock_set
from accounts.core.errors import NotFound
from accounts.jobs.models import Job
from accounts.jobs.services import job_claim, job_create
from market.clearing.book import book_freeze
from market.trading import services
from market.trading.baskets import receipt_of
from market.trading.bids import basket_submit, bid_withdraw, bids_submit
from market.trading.boxes import BoxBroken
from market.trading.gates import gate_shut
from market.trading.key_file import BookKeyMissing
from market.trading.keys import (
    InvalidKey,
    book_key_register,
    book_key_rotate,
    book_keys,
    owner_key_of,
    owner_key_register,
    owner_key_retire,
    receipt_keys,
)
from market.trading.leaves import Leaf
from market.trading.models import (
    Auction,
    AuctionState,
    Bid,
    BidContent,
    BookKey,
    BookOpening,
    BookRoot,
    ReceiptKey,
    SealedBasket,
    StandingBid,
    StandingBidContent,
)
from market.trading.opening import (
    ROOT_KIND,
    BookSealed,
    book_faults,
    book_open,
    book_root_of,
    book_root_publish,
    inclusion_of,
)
from market.trading.receipts import receipt_verify
from market.trading.sealing import owner_copy_open, owner_template_open, templates_open
from market.trading.standing_services import StandingDays, standing_bid_create
from tests import cast, forms

pytestmark = pytest.mark.django_db

OWNER = PrivateKey(bytes([7]) * 32)


@pytest.fixture
def day() -> cast.MarketDay:
    """Return an open auction on the triangle, an hour before its gate."""
    where = cast.places()
    auction = cast.auction(where)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


@pytest.fixture
def key_file(tmp_path: Path, settings: Any) -> Path:
    """Give this test a key file of its own."""
    path = tmp_path / "book_key"
    path.write_text(base64.b64encode(bytes([9]) * 32).decode() + "\n")
    settings.BOOK_KEY_FILE = str(path)
    return path


def _bid(name: str, ask: str = "21", **changes: Any) -> dict[str, Any]:
    step = {"quantity_kw": "1000", "ask_jpy_per_kwh": ask}
    return {
        "client_bid_id": name,
        "resource": "inzai-dc-1-load",
        "form": "STEPS",
        "mechanism": "DEFERRAL",
        "direction": "UP",
        "curves": [{"first_t": 34, "last_t": 39, "steps": [step]}],
        **changes,
    }


def _submit(day: cast.MarketDay, *bids: dict[str, Any]) -> Any:
    return basket_submit(
        auction_id=day.auction.id, organisation=day.places.people.inzai_dc, bids=list(bids)
    )


def _as_raw_sql(statement: str, *values: Any) -> None:
    """Change rows past every guard, as the owner of the tables can."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement, values)
        assert cursor.rowcount > 0
        cursor.execute("SET session_replication_role = DEFAULT")


def _closed(day: cast.MarketDay) -> Auction:
    clock_set(market_at=day.auction.gate_closure_at)
    gate_shut(day.auction.id)
    return Auction.objects.select_related("ruleset", "grid_model").get(id=day.auction.id)


def test_before_the_gate_there_is_one_envelope_and_no_offer(day: cast.MarketDay) -> None:
    made = _submit(day, *(_bid(f"b{n}", ask=f"2{n}") for n in range(5)))
    (basket,) = SealedBasket.objects.all()
    assert {bid.basket_id for bid in Bid.objects.all()} == {basket.id}
    assert sorted(bid.leaf_index for bid in Bid.objects.all()) == [0, 1, 2, 3, 4]
    assert (basket.leaf_count, basket.received_at) == (5, made.receipts[0].received_at)
    assert not BidContent.objects.exists()
    assert b"jpy" not in bytes(basket.ciphertext)


def test_nobody_opens_a_book_before_its_gate(day: cast.MarketDay) -> None:
    _submit(day, _bid("b"))
    with pytest.raises(BookSealed):
        book_open(auction_id=day.auction.id)
    # nor by closing the auction early: the database's clock decides
    clock_set(market_at=day.auction.gate_closure_at - timedelta(minutes=1))
    closed = Auction.objects.filter(id=day.auction.id)
    with pytest.raises(IntegrityError, match="before its gate alone"), transaction.atomic():
        closed.update(state=AuctionState.CLOSED)
    assert not BidContent.objects.exists()
    assert not BookRoot.objects.exists()
    clock_set(market_at=day.auction.gate_closure_at)
    with pytest.raises(BookSealed):
        book_open(auction_id=day.auction.id)
    closed.update(state=AuctionState.CLOSED)
    opening = book_open(auction_id=day.auction.id)
    assert opening is not None
    assert (opening.opened_count, opening.quarantined_count) == (1, 0)


def test_the_gate_is_not_closed_by_the_clock_alone(day: cast.MarketDay) -> None:
    _submit(day, _bid("b"))
    clock_set(market_at=day.auction.gate_closure_at + timedelta(seconds=1))
    with pytest.raises(BookSealed):
        book_open(auction_id=day.auction.id)


def test_a_cancelled_auction_is_never_opened(day: cast.MarketDay) -> None:
    _submit(day, _bid("b"))
    _closed(day)
    services.auction_cancel(auction_id=day.auction.id, reason="停電")
    assert book_open(auction_id=day.auction.id) is None
    assert not BidContent.objects.exists()


def test_opening_is_told_once_however_often_it_is_done(day: cast.MarketDay) -> None:
    _submit(day, _bid("kept"), _bid("withdrawn"), _bid("replaced"))
    _submit(day, _bid("replaced", ask="22"))
    inzai = day.places.people.inzai_dc
    bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="withdrawn")
    cast.book_opened(day.auction)
    assert book_open(auction_id=day.auction.id) == BookOpening.objects.get()
    # what is not in the book stays sealed for good
    opened = BidContent.objects.values_list("bid__client_bid_id", "bid__version")
    assert sorted(opened) == [("kept", 1), ("replaced", 2)]
    (entry,) = AuditEntry.objects.filter(action="market.book.opened")
    root = BookRoot.objects.get()
    assert entry.detail == {
        "opened": 2,
        "quarantined": 0,
        "leaf_count": 2,
        "merkle_root": root.merkle_root,
        "book_keys": [BookKey.objects.get().id],
    }
    assert AuditEntry.objects.filter(action="market.book.root_published").count() == 1
    assert list(book_faults(day.auction)) == []


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE trading_sealedbasket SET ciphertext = set_byte(ciphertext, 99, 0)", "open"),
        ("UPDATE trading_sealedbasket SET sealed_key = set_byte(sealed_key, 0, 0)", "open"),
        ("UPDATE trading_bid SET leaf_sha256 = repeat('0', 64)", "leaf is not the one"),
        ("UPDATE trading_bid SET leaf_index = leaf_index + 9", "no such leaf"),
        ("UPDATE trading_bid SET mechanism = 'STOP'", "envelope is not the one"),
        ("UPDATE trading_bid SET basket_id = NULL, leaf_index = NULL", "in no basket"),
    ],
)
def test_what_was_changed_in_the_database_is_left_out_by_name(
    day: cast.MarketDay, statement: str, reason: str
) -> None:
    good = _submit(day, _bid("good")).receipts[0]
    bad = _submit(day, _bid("bad")).receipts[0]
    auction = _closed(day)
    where = "id" if "sealedbasket" in statement else "basket_id"
    _as_raw_sql(f"{statement} WHERE {where} = %s", bad.basket_id)
    opening = book_open(auction_id=auction.id)
    assert opening is not None
    assert (opening.opened_count, opening.quarantined_count) == (1, 1)
    (entry,) = AuditEntry.objects.filter(action="market.bid.quarantined")
    assert entry.subject == f"trading.bid:{bad.bid_id}"
    assert reason in entry.detail["reason"]
    # the auction goes on with the others
    book = book_freeze(auction)
    assert list(book.left_out) == [bad.bid_id]
    assert [bid["id"] for bid in json.loads(book.content)["bids"]] == [str(good.bid_id)]
    assert list(book_faults(auction)) != []


def test_swapped_contents_do_not_pass_for_each_other(day: cast.MarketDay) -> None:
    first = _submit(day, _bid("first", ask="11")).receipts[0]
    second = _submit(day, _bid("second", ask="99")).receipts[0]
    auction = _closed(day)
    _as_raw_sql(
        "UPDATE trading_sealedbasket a SET ciphertext = b.ciphertext, sealed_key = b.sealed_key "
        "FROM trading_sealedbasket b WHERE a.id <> b.id AND a.id IN (%s, %s)",
        first.basket_id,
        second.basket_id,
    )
    opening = book_open(auction_id=auction.id)
    assert opening is not None
    assert opening.quarantined_count == 2
    assert not BidContent.objects.exists()


def test_a_child_goes_with_its_quarantined_parent(day: cast.MarketDay) -> None:
    where = {"resource": "inzai-dc-1-load"}
    parent = _submit(day, forms.block(**where)).receipts[0]
    _submit(day, forms.block(client_bid_id="child", parent="block", **where))
    other = _submit(day, _bid("other")).receipts[0]
    auction = _closed(day)
    _as_raw_sql("UPDATE trading_sealedbasket SET ciphertext = '' WHERE id = %s", parent.basket_id)
    book_open(auction_id=auction.id)
    bids = json.loads(book_freeze(auction).content)["bids"]
    assert [bid["id"] for bid in bids] == [str(other.bid_id)]


def test_a_worker_without_the_key_stores_nothing_and_one_with_it_goes_on(
    day: cast.MarketDay, settings: Any, key_file: Path
) -> None:
    _submit(day, _bid("b"))
    _closed(day)
    mine = key_file.read_text()
    key_file.write_text(base64.b64encode(bytes([8]) * 32).decode())
    with pytest.raises(BookKeyMissing):
        book_open(auction_id=day.auction.id)
    settings.BOOK_KEY_FILE = None
    with pytest.raises(BookKeyMissing):
        book_open(auction_id=day.auction.id)
    assert not BookOpening.objects.exists()
    settings.BOOK_KEY_FILE = str(key_file)
    key_file.write_text(mine)
    opening = book_open(auction_id=day.auction.id)
    assert opening is not None
    assert opening.opened_count == 1


def test_a_book_sealed_before_and_after_a_rotation_opens(
    day: cast.MarketDay, key_file: Path
) -> None:
    _submit(day, _bid("before"))
    first = BookKey.objects.get()
    second = book_key_rotate()
    assert len(key_file.read_text().splitlines()) == 2
    _submit(day, _bid("after"))
    assert list(book_keys()) == [first, second]
    first.refresh_from_db()
    assert first.retired_at is not None
    assert book_key_register() == second  # again changes nothing
    used = SealedBasket.objects.order_by("received_at").values_list("book_key_id", flat=True)
    assert list(used) == [first.id, second.id]
    cast.book_opened(day.auction)
    assert BidContent.objects.count() == 2


def test_without_any_key_no_bid_is_taken(day: cast.MarketDay, settings: Any) -> None:
    settings.BOOK_KEY_FILE = None
    with pytest.raises(BookKeyMissing):
        _submit(day, _bid("b"))
    assert not Bid.objects.exists()


def test_a_receipt_is_signed_and_given_again_as_it_was(day: cast.MarketDay) -> None:
    made = _submit(day, _bid("a"), _bid("b"))
    public_key = bytes(receipt_keys().get().public_key)
    assert made.signed is not None
    assert receipt_verify(public_key, json.loads(json.dumps(made.signed)))
    assert made.signed["auction"] == day.auction.code
    assert made.signed["organisation"] == "inzai-dc"
    assert [bid["client_bid_id"] for bid in made.signed["bids"]] == ["a", "b"]
    assert [bid["leaf"] for bid in made.signed["bids"]] == [
        receipt.leaf_sha256 for receipt in made.receipts
    ]
    assert receipt_of(SealedBasket.objects.get()) == made.signed
    # a repeat is no new basket and has no new receipt; what is new beside it has its own
    again = _submit(day, _bid("a"), _bid("c"))
    assert [receipt.is_new for receipt in again.receipts] == [False, True]
    assert again.receipts[0].basket_id == made.receipts[0].basket_id
    assert again.signed is not None
    assert [bid["client_bid_id"] for bid in again.signed["bids"]] == ["c"]
    assert _submit(day, _bid("a"), _bid("b")).signed is None


def test_receipts_stay_checkable_after_their_key_was_replaced(
    day: cast.MarketDay, settings: Any
) -> None:
    first = _submit(day, _bid("a")).signed
    settings.RECEIPT_KEY = base64.b64encode(bytes([5]) * 32).decode()
    second = _submit(day, _bid("b")).signed
    keys = {key.id: bytes(key.public_key) for key in receipt_keys()}
    assert keys[second["key"]] == bytes(SigningKey(bytes([5]) * 32).verify_key)
    for receipt in (first, second):
        assert receipt_verify(keys[receipt["key"]], receipt)
    assert ReceiptKey.objects.count() == 2


def test_a_seed_that_is_none_is_refused_without_being_shown(
    day: cast.MarketDay, settings: Any
) -> None:
    settings.RECEIPT_KEY = "dG9vIHNob3J0"
    with pytest.raises(BookKeyMissing) as refused:
        _submit(day, _bid("a"))
    assert "dG9v" not in str(refused.value)


def test_each_bid_in_the_book_is_proven_and_no_other(day: cast.MarketDay) -> None:
    for n in range(3):
        _submit(day, _bid(f"x{n}"), _bid(f"y{n}"))
    inzai = day.places.people.inzai_dc
    bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="y1")
    with pytest.raises(NotFound):
        inclusion_of(Bid.objects.first())
    assert book_root_of(day.auction) is None
    cast.book_opened(day.auction)
    root = book_root_of(day.auction)
    assert root is not None
    assert root.leaf_count == 5
    for bid in Bid.objects.all():
        if bid.client_bid_id == "y1":
            with pytest.raises(NotFound):
                inclusion_of(bid)
            continue
        proof = inclusion_of(bid)
        assert (proof.leaf, proof.merkle_root) == (bid.leaf_sha256, root.merkle_root)
        assert proof.holds


def test_the_root_follows_the_gate_by_a_job_of_its_own(day: cast.MarketDay) -> None:
    _submit(day, _bid("b"))
    clock_set(market_at=day.auction.gate_closure_at)
    job_create(kind="market.trading.gate_close", key=str(day.auction.id))
    claim = job_claim(job_id=Job.objects.get(kind="market.trading.gate_close").id)
    assert claim is not None
    services.gate_close(claim=claim)
    assert not BookRoot.objects.exists()  # closing waits for nothing
    claim = job_claim(job_id=Job.objects.get(kind=ROOT_KIND).id)
    assert claim is not None
    book_root_publish(claim=claim)
    assert BookRoot.objects.get().merkle_root == Bid.objects.get().leaf_sha256  # a tree of one
    assert not BidContent.objects.exists()


def test_equal_offers_look_different_everywhere(day: cast.MarketDay) -> None:
    _submit(day, _bid("a"), _bid("b"))
    one, two = Bid.objects.order_by("client_bid_id")
    assert one.leaf_sha256 != two.leaf_sha256
    assert bytes(one.content_mac) != bytes(two.content_mac)
    # taken back and bid again as it was: the mark is another one
    inzai = day.places.people.inzai_dc
    bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="a")
    _submit(day, _bid("a"))
    again = Bid.objects.get(client_bid_id="a", version=2)
    assert bytes(again.content_mac) != bytes(one.content_mac)


def test_a_bidder_with_a_key_opens_its_own_copy(day: cast.MarketDay) -> None:
    people = day.places.people
    owner_key_register(organisation=people.inzai_dc, public_key=bytes(OWNER.public_key))
    made = _submit(day, _bid("a", ask="12.5"), _bid("b"))
    basket = SealedBasket.objects.get()
    first, _ = owner_copy_open(basket, bytes(OWNER))
    assert json.loads(first.content)["curves"][0]["steps"][0]["ask_jpy_per_kwh"] == "12.5"
    assert json.loads(first.header)["client_bid_id"] == "a"
    assert first.hash.hex() == made.receipts[0].leaf_sha256
    for key in (bytes([1]) * 32, b"", b"short"):
        with pytest.raises(BoxBroken):
            owner_copy_open(basket, key)
    # of another bidder, and after retiring the key, there is no copy
    owner_key_retire(organisation=people.inzai_dc)
    assert owner_key_of(people.inzai_dc) is None
    _submit(day, _bid("c"))
    with pytest.raises(BoxBroken, match="no copy"):
        owner_copy_open(SealedBasket.objects.get(owner_key=None), bytes(OWNER))
    with pytest.raises(NotFound):
        owner_key_retire(organisation=people.inzai_dc)


def test_an_owner_key_is_replaced_not_added(day: cast.MarketDay) -> None:
    inzai = day.places.people.inzai_dc
    first = owner_key_register(organisation=inzai, public_key=bytes(OWNER.public_key))
    assert owner_key_register(organisation=inzai, public_key=bytes(OWNER.public_key)) == first
    other = bytes(PrivateKey(bytes([4]) * 32).public_key)
    assert owner_key_register(organisation=inzai, public_key=other) == owner_key_of(inzai) != first


@pytest.mark.parametrize(
    "public_key",
    # among them points of small order, which anybody could open
    [b"", b"x" * 31, bytes(32), bytes([1]) + bytes(31), "text", None],
)
def test_a_weak_owner_key_is_refused(day: cast.MarketDay, public_key: Any) -> None:
    with pytest.raises(InvalidKey):
        owner_key_register(organisation=day.places.people.inzai_dc, public_key=public_key)


def test_the_book_key_is_nobodys_own(day: cast.MarketDay) -> None:
    _submit(day, _bid("a"))
    with pytest.raises(InvalidKey):
        owner_key_register(
            organisation=day.places.people.inzai_dc,
            public_key=bytes(BookKey.objects.get().public_key),
        )


def test_a_standing_bid_is_sealed_and_opened_only_where_the_key_is(
    day: cast.MarketDay, settings: Any
) -> None:
    inzai = day.places.people.inzai_dc
    owner_key_register(organisation=inzai, public_key=bytes(OWNER.public_key))
    bid = {name: value for name, value in _bid("").items() if name != "client_bid_id"}
    days = StandingDays(valid_from_on=day.auction.delivery_on)
    standing = standing_bid_create(organisation=inzai, code="s", bid=bid, days=days)
    content = StandingBidContent.objects.get()
    assert b"jpy" not in bytes(content.ciphertext)
    own = json.loads(owner_template_open(content, bytes(OWNER)))
    assert own["curves"][0]["steps"][0]["ask_jpy_per_kwh"] == "21"
    assert templates_open([standing.id], purpose="a test")[standing.id]
    assert AuditEntry.objects.get(action="market.standing_bids.opened").detail == {"count": 1}
    settings.BOOK_KEY_FILE = None
    with pytest.raises(BookKeyMissing):
        templates_open([standing.id], purpose="a test")
    assert StandingBid.objects.count() == 1


def test_an_opened_book_that_was_changed_afterwards_is_found(day: cast.MarketDay) -> None:
    bids_submit(
        auction_id=day.auction.id,
        organisation=day.places.people.inzai_dc,
        bids=[_bid("a", ask="21"), _bid("b")],
    )
    cast.book_opened(day.auction)
    assert list(book_faults(day.auction)) == []
    content = BidContent.objects.select_related("bid").get(bid__client_bid_id="a")
    leaf = Leaf(salt=bytes(content.salt), header=b"", content=b"")
    assert len(leaf.salt) == 16
    changed = json.dumps(content.content).replace('"21"', '"12"')
    _as_raw_sql(
        "UPDATE trading_bidcontent SET content = %s WHERE bid_id = %s", changed, content.bid_id
    )
    (fault,) = book_faults(day.auction)
    assert fault == "inzai-dc a 版1: the leaf is not made of this content"


def test_no_offer_is_stored_readable_while_bids_are_taken(day: cast.MarketDay) -> None:
    _submit(day, _bid("b"))
    with pytest.raises(IntegrityError, match="takes bids"), transaction.atomic():
        BidContent.objects.create(bid=Bid.objects.get(), content={})
