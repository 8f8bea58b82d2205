"""Auctions at their doors: public to look at, the desk's to announce and to clear again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from accounts.core.errors import Conflict
from accounts.parties.roles import Role
from market.clearing.models import RunState
from market.trading.models import Auction, AuctionState
from market.trading.services import auction_schedule
from tests import cast
from tests.api.conftest import AsMember, DoorClient

ANNOUNCED: dict[str, Any] = {
    "code": "DA-2026-11-26",
    "name": "前日 2026-11-26",
    "delivery_on": "2026-11-26",
    "opens_at": "2026-11-25T00:00:00Z",
    "gate_closure_at": "2026-11-25T14:00:00+09:00",
    "grid_model": {"name": "triangle", "version": 1},
}


def test_anybody_may_look_and_nobody_counts_bids_before_the_gate(anonymous: DoorClient) -> None:
    day = cast.open_day()
    listed = anonymous.get("/api/v1/auctions", {"state": "OPEN"}).json()
    assert listed["next"] is None
    (item,) = listed["items"]
    assert item == {
        "code": "DA-2026-11-25",
        "name": "前日 2026-11-25",
        "delivery_on": "2026-11-25",
        "delivery_start": "2026-11-24T15:00:00Z",
        "opens_at": "2026-11-24T02:30:00Z",
        "gate_closure_at": "2026-11-24T05:00:00Z",
        "closed_at": None,
        "state": "OPEN",
        "state_reason": "",
        "ruleset": "2026-09-01",
        "grid_model": {"name": "triangle", "version": 1},
    }
    one = anonymous.get(f"/api/v1/auctions/{day.auction.code}").json()
    assert (one["book"], one["rules"]) == (None, cast.RULES)
    assert anonymous.get("/api/v1/auctions", {"delivery_on": "2026-11-26"}).json()["items"] == []
    for wrong in ({"state": "X"}, {"delivery_on": "25.11.2026"}, {"code": "x"}):
        answer = anonymous.get("/api/v1/auctions", wrong)
        assert (answer.status_code, answer.json()["field"]) == (400, next(iter(wrong)))
    assert anonymous.get("/api/v1/auctions/none").status_code == 404


def test_after_the_gate_the_book_is_counted_by_form(anonymous: DoorClient) -> None:
    day = cast.published_day()
    one = anonymous.get(f"/api/v1/auctions/{day.auction.code}").json()
    assert one["book"] == [{"form": "STEPS", "bids": 4}]


def test_the_desk_announces_and_nobody_else(as_member: AsMember, anonymous: DoorClient) -> None:
    cast.places()
    desk = as_member(Role.MARKET_DESK, "wattbit")
    answer = desk.post("/api/v1/auctions", ANNOUNCED)
    assert (answer.status_code, answer["Location"]) == (201, "/api/v1/auctions/DA-2026-11-26")
    assert answer.json()["gate_closure_at"] == "2026-11-25T05:00:00Z"
    assert Auction.objects.get().state == AuctionState.SCHEDULED
    again = desk.post("/api/v1/auctions", ANNOUNCED)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    wrongs = {
        "opens_at": "2026-11-25T00:00:00",
        "delivery_on": "2026-11-26T00:00:00Z",
        "gate_closure_at": "2026-11-24T00:00:00Z",
        "code": "no spaces",
        "name": "",
        "grid_model": {"name": "none", "version": 1},
    }
    for name, value in wrongs.items():
        body = {**ANNOUNCED, "code": "other", name: value}
        answer = desk.post("/api/v1/auctions", body)
        assert answer.status_code in (400, 404), name
        assert answer.json()["field"].split(".")[0] == name
    assert Auction.objects.count() == 1
    trader = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    assert trader.post("/api/v1/auctions", ANNOUNCED).status_code == 403
    assert anonymous.post("/api/v1/auctions", ANNOUNCED).status_code == 401


def test_a_held_result_is_cleared_again_for_a_reason(as_member: AsMember) -> None:
    where = cast.places()
    auction = cast.auction(where, state=AuctionState.CLEARING)
    bids = cast.bids(where, auction)
    cast.run(auction, state=RunState.VERIFIED)
    desk = as_member(Role.MARKET_DESK, "wattbit")
    address = f"/api/v1/auctions/{auction.code}/runs"
    for body in (
        {"reason": " "},
        {"reason": "x", "without": ["x"]},
        {"reason": "x", "without": ["00000000-0000-4000-8000-000000000000"]},
        {},
    ):
        assert desk.post(address, body).status_code == 400
    body = {"reason": "plant broken", "without": [str(bids["inzai-defer"].id)]}
    assert desk.post(address, body).status_code == 202
    twice = desk.post(address, body)
    assert (twice.status_code, twice.json()["field"]) == (400, "auction")
    (run,) = desk.get(address).json()["items"]
    assert (run["number"], run["state"]) == (1, "VERIFIED")
    trader = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    assert trader.post(address, body).status_code == trader.get(address).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_of_two_auctions_with_one_code_at_once_one_is_told_of_the_other() -> None:
    where = cast.places()
    start = Barrier(2)

    def schedule(_: int) -> str:
        try:
            start.wait(timeout=10)
            auction_schedule(
                code="twin",
                name="twin",
                delivery_on=date(2026, 11, 26),
                opens_at=cast.day_start(date(2026, 11, 25)),
                gate_closure_at=cast.day_start(date(2026, 11, 25)) + timedelta(hours=14),
                grid_model=where.grid_model,
            )
        except Conflict as refused:
            return refused.field
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(schedule, range(2))) == ["code", "done"]
