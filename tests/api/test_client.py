"""The client of operators' own systems, at the real doors: safe to repeat, and not believing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from accounts.parties.keys import api_client_create
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from aggregator.api.client import Problem, Unreachable, WattBit
from aggregator.api.client import transport as transport_of_client
from aggregator.api.client.proofs import Broken, inclusion_check, receipt_check
from aggregator.api.client.rows import Need
from market.trading.merkle import leaf_hash, path_of, root_of
from market.trading.models import Bid
from tests import cast

STEPS: dict[str, Any] = {
    "client_bid_id": "evening",
    "resource": "inzai-dc-1-load",
    "form": "STEPS",
    "mechanism": "DEFERRAL",
    "direction": "UP",
    "curves": [
        {
            "first_t": 34,
            "last_t": 39,
            "steps": [{"quantity_kw": "4000", "ask_jpy_per_kwh": "12.50"}],
        }
    ],
}


class Faulty(httpx.BaseTransport):
    """The way to the doors, which loses what it is told to lose.

    `faults` holds, for each POST of bids to come: ``"busy"`` (503 without asking), ``"lost"`` (the
    doors answer, and the answer is lost) or nothing.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.keys: list[str] = []
        self._doors = httpx.WSGITransport(get_wsgi_application())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        is_bid = request.method == "POST" and request.url.path.endswith("/bids")
        fault = self.faults.pop(0) if is_bid and self.faults else ""
        if is_bid:
            self.keys.append(request.headers["Idempotency-Key"])
        if fault == "busy":
            return httpx.Response(503, headers={"Retry-After": "0"}, json={"code": "unavailable"})
        answer = self._doors.handle_request(request)
        if fault == "lost":
            answer.read()
            raise httpx.ReadError("the line broke", request=request)
        return answer


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    """Return an open auction on the triangle, an hour before its gate."""
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    monkeypatch.setattr(transport_of_client.time, "sleep", lambda _: None)
    # The test's one connection outlives a request, as with Django's own test client.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield Faulty()
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def market(day: cast.MarketDay, way: Faulty) -> Iterator[WattBit]:
    client, secret = api_client_create(
        organisation=Organisation.objects.get(code="inzai-dc"),
        client_id="inzai-bidder",
        role=Role.OPERATOR_TRADER,
    )
    with WattBit(
        "http://testserver", client_id=client.client_id, client_secret=secret, inner=way
    ) as found:
        yield found


def test_bids_go_in_with_a_receipt_that_was_checked(day: cast.MarketDay, market: WattBit) -> None:
    done = market.bids_submit(day.auction.code, [STEPS])
    assert [receipt.client_bid_id for receipt in done.receipts] == ["evening"]
    assert done.signed is not None
    (seen,) = market.bids(auction=day.auction.code)
    assert (seen.id, seen.version, seen.state) == (done.receipts[0].bid_id, 1, "SUBMITTED")
    assert seen.resource == "inzai-dc-1-load"
    market.bid_withdraw(seen.id)
    assert [bid.state for bid in market.bids()] == ["WITHDRAWN"]
    (auction,) = market.auctions(state="OPEN")
    assert auction.gate_closure_at == day.auction.gate_closure_at


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_key(
    day: cast.MarketDay, market: WattBit, way: Faulty
) -> None:
    way.faults = ["busy", "lost", ""]
    done = market.bids_submit(day.auction.code, [STEPS], key="evening-1")
    assert way.keys == ["evening-1"] * 3
    # stored by the second attempt; the third got the answer that was lost
    assert Bid.objects.get().id == done.receipts[0].bid_id
    assert done.receipts[0].is_new


def test_when_nothing_helps_the_key_is_told(
    day: cast.MarketDay, market: WattBit, way: Faulty
) -> None:
    way.faults = ["busy"] * 5
    with pytest.raises(Unreachable, match="to try again, use key='k'") as stopped:
        market.bids_submit(day.auction.code, [STEPS], key="k")
    assert stopped.value.key == "k"
    assert not Bid.objects.exists()


def test_a_refusal_is_raised_at_once_with_its_code_and_field(
    day: cast.MarketDay, market: WattBit, way: Faulty
) -> None:
    with pytest.raises(Problem) as refused:
        market.bids_submit(day.auction.code, [STEPS | {"mechanism": "MAGIC"}])
    assert refused.value.status == 400
    assert "mechanism" in str(refused.value.body)
    assert len(way.keys) == 1


def test_a_token_that_ended_early_is_asked_for_anew(day: cast.MarketDay, market: WattBit) -> None:
    market._line._token, market._line._token_ends_s = "not-a-token", float("inf")
    assert list(market.bids()) == []


def test_a_receipt_that_was_changed_is_not_believed(day: cast.MarketDay, market: WattBit) -> None:
    signed = market.bids_submit(day.auction.code, [STEPS]).signed
    assert signed is not None
    market.receipt_check(signed)
    for changed in (
        signed | {"received_at": "2026-11-24T03:59:59Z"},
        signed | {"merkle_root": "00" * 32},
        signed | {"signature": "AAAA"},
        signed | {"key": "0" * 16},
    ):
        with pytest.raises(Broken):
            market.receipt_check(changed)
    with pytest.raises(Broken, match="another key"):
        receipt_check(signed, bytes(32))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_every_place_in_a_book_is_proved_and_no_other(count: int) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(count)]
    root = root_of(leaves).hex()
    for index, leaf in enumerate(leaves):
        proof = {
            "leaf": leaf.hex(),
            "index": index,
            "leaf_count": count,
            "path": [beside.hex() for beside in path_of(leaves, index)],
            "merkle_root": root,
        }
        inclusion_check(proof, leaf=leaf.hex(), root=root)
        for wrong in (
            {"path": [*proof["path"], "00" * 32]},
            {"path": proof["path"][:-1]} if count > 1 else {"index": 1},
            {"leaf": "00" * 32},
            {"index": count},
        ):
            with pytest.raises(Broken):
                inclusion_check(proof | wrong, leaf=leaf.hex(), root=root)


def test_numbers_are_exact_and_what_is_unknown_is_kept() -> None:
    body = {
        "id": "6f1f0b0e-8f2c-4d27-9d0a-3a1f3b6b7c11",
        "auction": "DA",
        "code": "n",
        "kind": "LOCAL",
        "direction": "UP",
        "revision": 1,
        "state": "PUBLISHED",
        "quantity_kw": ["0.1", "0.2"],
        "novel": 7,
    }
    need = Need.read(body)
    assert sum(need.quantity_kw) == Decimal("0.3")
    assert need.more == {"novel": 7}
