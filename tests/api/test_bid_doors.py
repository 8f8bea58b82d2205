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


# session, person and roles 3; savepoint of the test 2; key 2; the bid itself the rest
STATEMENTS_OF_ONE_BID = 14


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


def _submitted(day: cast.MarketDay, owner: DoorClient, **changes: Any) -> dict[str, Any]:
    answer = owner.post(_door(day), _changed(**changes))
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def test_a_retry_under_another_key_stores_nothing_and_says_so(
    day: cast.MarketDay, owner: DoorClient
) -> None:
    first = _submitted(day, owner)
    again = owner.post(_door(day), STEPS)
    assert (again.status_code, again.json()["is_new"], again.json()["signed"]) == (200, False, None)
    assert again.json()["bid_id"] == first["bid_id"]
    assert Bid.objects.count() == 1


def test_many_bids_are_stored_all_or_none_and_every_wrong_row_is_told(
    day: cast.MarketDay, owner: DoorClient
) -> None:
    bad = [
        _changed(client_bid_id="a"),
        _changed(client_bid_id="b", form="STEP"),
        _changed(client_bid_id="c", resource="nowhere"),
    ]
    answer = owner.post(_door(day), {"bids": bad})
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (
        400,
        "rows-refused",
        "bids[1].form",
    )
    assert [(row["code"], row["field"]) for row in body["errors"]] == [
        ("invalid-bid", "bids[1].form"),
        ("not-found", "bids[2].resource"),
    ]
    assert not Bid.objects.exists()
    good = [_changed(client_bid_id=name) for name in "abc"]
    answer = owner.post(_door(day), {"bids": good})
    assert answer.status_code == 201
    body = answer.json()
    assert [row["client_bid_id"] for row in body["receipts"]] == ["a", "b", "c"]
    assert body["signed"]["leaf_count"] == 3
    assert Bid.objects.count() == 3


def test_what_is_wrong_with_a_single_bid_is_named_from_the_bid_on(
    day: cast.MarketDay, owner: DoorClient
) -> None:
    bid = _changed()
    bid["curves"][0]["steps"][1]["ask_jpy_per_kwh"] = "NaN"
    answer = owner.post(_door(day), bid)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "invalid-bid")
    assert body["field"] == "curves[0].steps[1].ask_jpy_per_kwh"
    for wrong in (7, [], [STEPS], {"bids": STEPS}, {"bids": []}, {"bids": [], "x": 1}):
        answer = owner.post(_door(day), wrong)
        assert answer.status_code == 400, wrong
    assert not Bid.objects.exists()


def test_after_the_gate_nothing_enters(day: cast.MarketDay, owner: DoorClient) -> None:
    bid = _submitted(day, owner)
    cast.market_time(day.auction.gate_closure_at)
    late = owner.post(_door(day), _changed(client_bid_id="late"))
    assert (late.status_code, late.json()["code"]) == (409, "gate-closed")
    address = f"/api/v1/bids/{bid['bid_id']}"
    for answer in (
        owner.delete(address, headers={"If-Match": '"1"'}),
        owner.put(address, _changed(mechanism="POWER_CAP"), headers={"If-Match": '"1"'}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "gate-closed")
    assert Bid.objects.get().state == BidState.SUBMITTED


def test_a_bid_is_replaced_only_by_who_read_the_current_version(
    day: cast.MarketDay, owner: DoorClient
) -> None:
    first = _submitted(day, owner)
    address = f"/api/v1/bids/{first['bid_id']}"
    assert owner.get(address)["ETag"] == '"1"'
    curve = deepcopy(STEPS["curves"])
    curve[0]["steps"][0]["ask_jpy_per_kwh"] = "11"
    change = _changed(curves=curve)
    assert owner.put(address, change).status_code == 428
    assert owner.put(address, change, headers={"If-Match": '"2"'}).status_code == 412
    answer = owner.put(address, change, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["version"], answer["ETag"]) == (200, 2, '"2"')
    # who read version 1 lost
    answer = owner.put(address, STEPS, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "version-changed")
    renamed = owner.put(address, _changed(client_bid_id="other"), headers={"If-Match": '"2"'})
    assert renamed.json()["field"] == "client_bid_id"
    assert [bid.state for bid in Bid.objects.order_by("version")] == ["SUPERSEDED", "SUBMITTED"]


def test_a_withdrawn_bid_is_not_brought_back_by_who_has_not_seen_it_go(
    day: cast.MarketDay, owner: DoorClient
) -> None:
    address = f"/api/v1/bids/{_submitted(day, owner)['bid_id']}"
    assert owner.delete(address).status_code == 428
    assert owner.delete(address, headers={"If-Match": '"1"'}).status_code == 204
    assert owner.delete(address, headers={"If-Match": '"1"'}).status_code == 404
    assert owner.put(address, STEPS, headers={"If-Match": '"1"'}).status_code == 412
    assert owner.get(address)["ETag"] == '"1-withdrawn"'
    answer = owner.put(address, STEPS, headers={"If-Match": '"1-withdrawn"'})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert Bid.objects.get().state == BidState.WITHDRAWN


def test_bids_are_their_owners_to_the_last_address(
    day: cast.MarketDay, owner: DoorClient, as_member: AsMember, anonymous: DoorClient
) -> None:
    bid = _submitted(day, owner)
    address = f"/api/v1/bids/{bid['bid_id']}"
    nothing = "/api/v1/bids/00000000-0000-4000-8000-000000000000"
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    desk = as_member(Role.MARKET_DESK, "wattbit")
    auditor = as_member(Role.AUDITOR, "wattbit")
    for suffix in ("", "/receipt", "/inclusion", "/copy"):
        seen, absent = rival.get(address + suffix), rival.get(nothing + suffix)
        assert seen.status_code == absent.status_code == 404
        told = [
            {**answer.json(), "instance": "", "detail": "", "detail_ja": ""}
            for answer in (seen, absent)
        ]
        assert told[0] == told[1]
        assert desk.get(address + suffix).status_code in (403, 404)
        assert auditor.get(address + suffix).status_code in (403, 404)
        assert anonymous.get(address + suffix).status_code == 401
    match = {"If-Match": '"1"'}
    assert rival.delete(address, headers=match).status_code == 404
    assert rival.put(address, STEPS, headers=match).status_code == 404
    assert rival.get("/api/v1/bids").json() == {"items": [], "next": None}
    assert anonymous.get("/api/v1/bids").status_code == 401
    viewer = as_member(Role.OPERATOR_VIEWER, "inzai-dc")
    assert [item["id"] for item in viewer.get("/api/v1/bids").json()["items"]] == [bid["bid_id"]]
    assert viewer.post(_door(day), STEPS).status_code == 403
    assert viewer.delete(address, headers=match).status_code == 403
    planner = as_member(Role.GRID_PLANNER, "grid-t")
    assert planner.get("/api/v1/bids").json() == {"items": [], "next": None}
    assert planner.get(address).status_code == 404
    # another's resource is as unknown as none
    answers = [
        rival.post(_door(day), _changed(resource=name)).json()
        for name in ("inzai-dc-1-load", "nowhere")
    ]
    assert [(a["code"], a["field"]) for a in answers] == [("not-found", "resource")] * 2


def test_lists_are_filtered_and_read_page_by_page(day: cast.MarketDay, owner: DoorClient) -> None:
    names = [f"bid-{i}" for i in range(5)]
    owner.post(_door(day), {"bids": [_changed(client_bid_id=name) for name in names]})
    gone = Bid.objects.get(client_bid_id="bid-3")
    owner.delete(f"/api/v1/bids/{gone.id}", headers={"If-Match": '"1"'})

    def listed(**query: str) -> list[str]:
        found, cursor = [], {}
        while True:
            body = owner.get("/api/v1/bids", {**query, **cursor, "limit": "2"}).json()
            found += [item["client_bid_id"] for item in body["items"]]
            if body["next"] is None:
                return sorted(found)
            cursor = {"cursor": body["next"]}

    assert listed() == names
    assert listed(auction=day.auction.code) == names
    assert listed(resource="inzai-dc-1-load", form="STEPS") == names
    assert listed(resource="inzai-dc-1-battery") == listed(resource="nowhere") == []
    assert listed(state="WITHDRAWN") == ["bid-3"]
    assert listed(client_bid_id="bid-2") == ["bid-2"]
    for wrong in ({"state": "GONE"}, {"form": "X"}, {"colour": "red"}, {"cursor": "x"}):
        answer = owner.get("/api/v1/bids", wrong)
        assert (answer.status_code, answer.json()["field"]) == (400, next(iter(wrong)))
    assert owner.get("/api/v1/bids", {"auction": "none"}).status_code == 404


def test_a_single_bid_costs_a_known_number_of_statements(
    day: cast.MarketDay, owner: DoorClient, django_assert_num_queries: Any
) -> None:
    _submitted(day, owner, client_bid_id="warm")
    with django_assert_num_queries(STATEMENTS_OF_ONE_BID):
        _submitted(day, owner)
    # the rows of many go by COPY
    with django_assert_num_queries(STATEMENTS_OF_ONE_BID + 1):
        owner.post(_door(day), {"bids": [_changed(client_bid_id=str(i)) for i in range(50)]})
