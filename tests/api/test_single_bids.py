"""Single bids that come at once are written together; each gets the answer it would get alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from accounts.audit.models import AuditEntry
from accounts.parties.roles import Role
from aggregator.api.models import IdempotentAnswer
from aggregator.api.v1 import single_bids
from market.trading.bids import bids_submit
from market.trading.gates import BIDDER_LOCK_CLASS, GATE_LOCK_CLASS, gate_shut
from market.trading.keys import receipt_keys
from market.trading.models import Bid, BidState, SealedBasket
from market.trading.receipts import receipt_verify
from tests import cast
from tests.api.conftest import AsMember, DoorClient
from tests.api.test_bid_doors import STEPS

pytestmark = pytest.mark.django_db(transaction=True)
WAIT_S = 20.0
INZAI, SHIROI = "inzai-dc", "shiroi-dc"


def _bid(owner: str, name: str, price: str = "12.5", **changes: Any) -> dict[str, Any]:
    bid = deepcopy(STEPS)
    bid["curves"][0]["steps"] = [{"quantity_kw": "100", "ask_jpy_per_kwh": price}]
    return {**bid, "client_bid_id": name, "resource": f"{owner}-1-load", **changes}


@pytest.fixture
def day(transactional_db: None) -> cast.MarketDay:
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


class _Hall:
    """Callers whose bids all wait before the gate, and so go together once it is free."""

    def __init__(self, day: cast.MarketDay, as_member: AsMember) -> None:
        self.day = day
        self.door = f"/api/v1/auctions/{day.auction.code}/bids"
        self._as_member = as_member

    def client(self, owner: str) -> DoorClient:
        return self._as_member(Role.OPERATOR_TRADER, owner)

    @contextmanager
    def locked(self, *key: int) -> Iterator[None]:
        """Hold an advisory lock on another connection while the block lasts."""
        is_held, may_end = Event(), Event()

        def hold() -> None:
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", key)
                    is_held.set()
                    assert may_end.wait(WAIT_S)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(hold)
            try:
                assert is_held.wait(WAIT_S)
                yield
            finally:
                may_end.set()
            held.result(WAIT_S)

    def all_at_once(
        self,
        asked: list[tuple[str, dict[str, Any], str]],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> list[Any]:
        """Post (owner, bid, key) each by a thread of its own; all but the first go together."""
        clients = [self.client(owner) for owner, _, _ in asked]
        waiting = single_bids._TOGETHER._waiting

        def post(number: int) -> Any:
            try:
                with connection.cursor() as cursor:  # a busy machine takes long to gather them
                    cursor.execute("SET lock_timeout = %s", [f"{WAIT_S * 1000:.0f}"])
                return clients[number].post(self.door, asked[number][1], key=asked[number][2])
            finally:
                connection.close()

        with ThreadPoolExecutor(len(asked)) as pool:
            with self.locked(GATE_LOCK_CLASS, self.day.auction.gate_number):
                answers = [pool.submit(post, 0)]
                self._until(lambda: single_bids._TOGETHER._is_led)
                for number in range(1, len(asked)):
                    answers.append(pool.submit(post, number))
                    self._until(lambda number=number: len(waiting) == number)  # type: ignore[misc]
                meanwhile()
            return [answer.result(WAIT_S) for answer in answers]

    @staticmethod
    def _until(is_so: Callable[[], bool]) -> None:
        ends_s = time.monotonic() + WAIT_S
        while not is_so():
            assert time.monotonic() < ends_s
            time.sleep(0.002)


@pytest.fixture
def hall(day: cast.MarketDay, as_member: AsMember) -> _Hall:
    return _Hall(day, as_member)


def _goes() -> list[int]:
    """Return how many bids each transaction brought, in their order."""
    numbers = AuditEntry.objects.filter(action="market.bid.submitted").values_list(
        "txid", flat=True
    )
    return [count for _, count in sorted(Counter(numbers).items())]


def test_many_at_once_are_stored_once_each_with_receipts_of_their_own(hall: _Hall) -> None:
    owners = [INZAI, SHIROI] * 6
    answers = hall.all_at_once(
        [(owner, _bid(owner, f"b-{n}", str(10 + n)), f"k-{n}") for n, owner in enumerate(owners)]
    )
    assert [answer.status_code for answer in answers] == [201] * 12
    assert _goes() == [1, 11]
    (key,) = receipt_keys()
    for number, answer in enumerate(answers):
        body = answer.json()
        bid = Bid.objects.select_related("organisation", "basket").get(id=body["bid_id"])
        assert (bid.client_bid_id, bid.organisation.code) == (f"b-{number}", owners[number])
        assert body["signed"]["organisation"] == owners[number]
        assert receipt_verify(bytes(key.public_key), body["signed"])
        assert body["signed"]["bids"][0]["leaf"] == bid.leaf_sha256 == body["leaf_sha256"]
        assert (str(bid.basket_id), bid.leaf_index) == (body["basket"], 0)
        entry = AuditEntry.objects.get(detail__basket=body["basket"])
        assert entry.organisation_id == bid.organisation_id
        # who submitted it, not whose thread wrote it
        owner = hall.client(owners[number]).person
        assert (entry.actor, entry.user_id) == (f"user:{owner.pk}", owner.pk)
    assert SealedBasket.objects.count() == Bid.objects.count() == 12
    # a retry of each gets its first answer, and stores nothing
    again = [
        hall.client(owner).post(hall.door, _bid(owner, f"b-{n}", str(10 + n)), key=f"k-{n}")
        for n, owner in enumerate(owners)
    ]
    assert [one.content for one in again] == [one.content for one in answers]
    assert {one["Idempotency-Replayed"] for one in again} == {"true"}
    assert Bid.objects.count() == 12


def test_a_refusal_among_them_is_that_of_one_and_harms_no_neighbour(hall: _Hall) -> None:
    client = hall.client(INZAI)
    assert client.post(hall.door, _bid(INZAI, "old"), key="old").status_code == 201
    assert client.post(hall.door, _bid(INZAI, "same"), key="same").status_code == 201
    answers = hall.all_at_once(
        [
            (SHIROI, _bid(SHIROI, "first"), "k-first"),
            (INZAI, _bid(INZAI, "good"), "k-good"),
            (INZAI, _bid(INZAI, "old"), "old"),  # the same again
            (INZAI, _bid(INZAI, "old", "13"), "old"),  # the key named another request
            (INZAI, _bid(INZAI, "twin"), "twin"),
            (INZAI, _bid(INZAI, "twin"), "twin"),  # its twin is at work
            (INZAI, _bid(INZAI, "named", "11"), "k-1"),
            (INZAI, _bid(INZAI, "named", "12"), "k-2"),  # the same bid under another key
            (INZAI, _bid(INZAI, "old", "14"), "k-3"),  # replaces
            (INZAI, _bid(INZAI, "same"), "k-4"),  # says the same
            (SHIROI, _bid(SHIROI, "other"), "k-good"),  # another's key is another key
        ]
    )
    assert [answer.status_code for answer in answers] == [
        201, 201, 201, 422, 201, 409, 201, 201, 201, 200, 201,
    ]  # fmt: skip
    assert answers[2]["Idempotency-Replayed"] == "true"
    assert [answers[i].json()["code"] for i in (3, 5)] == ["key-reused", "key-in-flight"]
    assert sorted(answers[i].json()["version"] for i in (6, 7)) == [1, 2]
    assert (answers[8].json()["version"], answers[9].json()["is_new"]) == (2, False)
    kept = Bid.objects.filter(state=BidState.SUBMITTED)
    assert sorted(kept.values_list("client_bid_id", "version")) == [
        ("first", 1), ("good", 1), ("named", 2), ("old", 2), ("other", 1), ("same", 1),
        ("twin", 1),
    ]  # fmt: skip
    assert Bid.objects.filter(state=BidState.SUPERSEDED).count() == 2
    # old, same, first; then five together (a repetition writes no entry); the twin of a name alone
    assert _goes() == [1, 1, 1, 5, 1]
    # eleven asked: a replay, a key reused and a twin at work keep none; two were there before
    assert IdempotentAnswer.objects.count() == 11 - 3 + 2


def test_a_bid_that_may_not_be_sold_is_refused_alone(hall: _Hall) -> None:
    answers = hall.all_at_once([(INZAI, _bid(INZAI, "a"), "k-1"), (INZAI, _bid(INZAI, "b"), "k-2")])
    assert [answer.status_code for answer in answers] == [201, 201]
    client = hall.client(INZAI)
    stranger = client.post(hall.door, _bid(SHIROI, "not-mine"))
    assert (stranger.status_code, stranger.json()["field"]) == (404, "resource")
    too_much = _bid(INZAI, "big")
    too_much["curves"][0]["steps"][0]["quantity_kw"] = "99999999"
    refused = client.post(hall.door, too_much)
    assert (refused.status_code, refused.json()["field"]) == (400, "quantity_kw")
    nowhere = client.post("/api/v1/auctions/NO-SUCH/bids", _bid(INZAI, "c"))
    assert (nowhere.status_code, nowhere.json()["field"]) == (404, "auction")
    assert Bid.objects.count() == 2


def test_what_the_gate_shuts_out_is_refused_whole(hall: _Hall) -> None:
    auction = hall.day.auction
    answers = hall.all_at_once(
        [(INZAI, _bid(INZAI, f"late-{n}"), f"k-{n}") for n in range(5)],
        meanwhile=lambda: cast.market_time(auction.gate_closure_at),
    )
    assert [answer.status_code for answer in answers] == [409] * 5
    assert {answer.json()["code"] for answer in answers} == {"gate-closed"}
    # refusals are not kept: nothing of them is anywhere
    assert Bid.objects.count() == IdempotentAnswer.objects.count() == 0
    with transaction.atomic():
        assert gate_shut(auction.id) is not None


def test_a_bid_whose_bidder_is_at_work_elsewhere_waits_and_the_others_do_not(
    hall: _Hall,
) -> None:
    inzai = hall.day.places.people.inzai_dc
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashtext(%s)", [str(inzai.id)])
        number = cursor.fetchone()[0]
    client = hall.client(SHIROI)

    def post() -> Any:
        try:
            return mine.post(hall.door, _bid(INZAI, "waits"))
        finally:
            connection.close()

    mine = hall.client(INZAI)
    with ThreadPoolExecutor(1) as pool:
        with hall.locked(BIDDER_LOCK_CLASS, number):
            waiting = pool.submit(post)
            assert client.post(hall.door, _bid(SHIROI, "goes")).status_code == 201
            assert not waiting.done()
            assert list(Bid.objects.values_list("client_bid_id", flat=True)) == ["goes"]
        assert waiting.result(WAIT_S).status_code == 201


def test_blocks_and_baskets_of_the_same_bidder_come_between(hall: _Hall) -> None:
    inzai = hall.day.places.people.inzai_dc
    bids_submit(
        auction_id=hall.day.auction.id,
        organisation=inzai,
        bids=[_bid(INZAI, f"many-{n}") for n in range(3)],
    )
    block = {
        "client_bid_id": "block",
        "resource": f"{INZAI}-1-load",
        "form": "BLOCK",
        "mechanism": "DEFERRAL",
        "direction": "UP",
        "first_t": 34,
        "quantity_kw": ["100", "100"],
        "ask_jpy_per_kwh": "10",
        "acceptance_min_ratio": "1",
    }
    client = hall.client(INZAI)
    assert client.post(hall.door, block).status_code == 201
    # a block is replaced by another form: its links are looked at, alone
    answer = client.post(hall.door, _bid(INZAI, "block"))
    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    assert client.post(hall.door, _bid(INZAI, "many-1", "9")).json()["version"] == 2


def test_a_go_that_fails_is_done_one_by_one(hall: _Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = single_bids.singles_submit

    def fails(**more: Any) -> Any:
        if len(more["singles"]) > 1:
            raise IntegrityError("one of them")
        return whole(**more)

    monkeypatch.setattr(single_bids, "singles_submit", fails)
    answers = hall.all_at_once([(INZAI, _bid(INZAI, f"b-{n}"), f"k-{n}") for n in range(4)])
    assert [answer.status_code for answer in answers] == [201] * 4
    assert _goes() == [1, 1, 1, 1]


def test_where_the_database_goes_away_all_are_told_and_nothing_is_half_stored(
    hall: _Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = single_bids.keep

    def gone(answers: Any) -> None:
        whole(answers)
        if len(answers) > 1:
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(single_bids, "keep", gone)
    answers = hall.all_at_once([(INZAI, _bid(INZAI, f"b-{n}"), f"k-{n}") for n in range(4)])
    assert [answer.status_code for answer in answers] == [201, 503, 503, 503]
    assert list(Bid.objects.values_list("client_bid_id", flat=True)) == ["b-0"]
    assert IdempotentAnswer.objects.count() == SealedBasket.objects.count() == 1
