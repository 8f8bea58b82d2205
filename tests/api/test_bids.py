"""Bids at their doors: submitted, replaced, withdrawn; one's own, and sealed until the gate."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from accounts.parties.roles import Role
from market.trading.models import Bid, BidState
from tests import cast
from tests.api.conftest import AsMember, DoorClient

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
            "steps": [
                {"quantity_kw": "4000", "ask_jpy_per_kwh": "12.50"},
                {"quantity_kw": "2000.5", "ask_jpy_per_kwh": "28"},
            ],
        }
    ],
}


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    """Return an open auction on the triangle, an hour before its gate."""
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


@pytest.fixture
def owner(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


def _door(day: cast.MarketDay) -> str:
    return f"/api/v1/auctions/{day.auction.code}/bids"


def _changed(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(STEPS), **changes}


def test_a_bid_is_answered_with_its_signed_receipt(day: cast.MarketDay, owner: DoorClient) -> None:
    answer = owner.post(_door(day), STEPS)
    assert answer.status_code == 201, answer.content
    bid = Bid.objects.get()
    body = answer.json()
    signed = body.pop("signed")
    assert body == {
        "bid_id": str(bid.id),
        "client_bid_id": "evening",
        "version": 1,
        "received_at": "2026-11-24T04:00:00Z",
        "leaf_sha256": bid.leaf_sha256,
        "basket": str(bid.basket_id),
        "is_new": True,
    }
    assert signed["bids"] == [{"client_bid_id": "evening", "version": 1, "leaf": bid.leaf_sha256}]
    assert answer["Location"] == f"/api/v1/bids/{bid.id}"
    assert answer["ETag"] == '"1"'
