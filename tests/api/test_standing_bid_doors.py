"""Standing bids at their doors: given, paused, resumed, replaced and ended by their owners only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.parties.roles import Role
from market.trading.models import StandingBid, StandingRenewal
from tests import cast
from tests.api.conftest import AsMember, DoorClient
from tests.api.test_bid_doors import STEPS

DOOR = "/api/v1/standing-bids"
TEMPLATE: dict[str, Any] = {
    "code": "evenings",
    "bid": {name: value for name, value in STEPS.items() if name != "client_bid_id"},
    "valid_from_on": "2026-11-01",
    "weekdays": [0, 1, 2, 3, 4],
}


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


@pytest.fixture
def owner(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


def test_a_template_is_given_shown_and_ended(day: cast.MarketDay, owner: DoorClient) -> None:
    answer = owner.post(DOOR, TEMPLATE)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert {name: told[name] for name in ("code", "state", "weekdays", "valid_to_on")} == {
        "code": "evenings",
        "state": "ACTIVE",
        "weekdays": [0, 1, 2, 3, 4],
        "valid_to_on": None,
    }
    address = answer["Location"]
    assert owner.get(address).json() == told
    assert owner.get(DOOR).json() == {"items": [told], "next": None}
    assert owner.get(f"{address}/renewals").json() == {"items": [], "next": None}
    StandingRenewal.objects.create(
        standing_bid_id=told["id"], auction=day.auction, refusal="resource: a known resource"
    )
    assert owner.get(f"{address}/renewals").json()["items"] == [
        {"auction": day.auction.code, "bid": None, "refusal": "resource: a known resource"}
    ]
    again = owner.post(DOOR, TEMPLATE)
    assert (again.status_code, again.json()["field"]) == (409, "code")
    assert owner.delete(address).status_code == 428
    assert owner.delete(address, headers={"If-Match": '"1"'}).status_code == 412
    assert owner.delete(address, headers={"If-Match": answer["ETag"]}).status_code == 204
    assert owner.get(DOOR, {"state": "ACTIVE"}).json()["items"] == []
    assert owner.get(DOOR, {"state": "WITHDRAWN"}).json()["items"][0]["id"] == told["id"]
    assert owner.delete(address, headers={"If-Match": answer["ETag"]}).status_code == 404


def test_a_template_rests_goes_on_and_is_replaced(day: cast.MarketDay, owner: DoorClient) -> None:
    first = owner.post(DOOR, TEMPLATE)
    address = first["Location"]
    paused = owner.post(f"{address}/pause")
    assert (paused.status_code, paused.json()["state"]) == (200, "PAUSED")
    assert owner.post(f"{address}/pause").json()["state"] == "PAUSED"
    assert owner.post(f"{address}/resume").json()["state"] == "ACTIVE"
    change = {**TEMPLATE, "valid_to_on": "2026-12-01"}
    del change["code"]
    # who read it at rest has not seen it go on
    stale = owner.put(address, change, headers={"If-Match": paused["ETag"]})
    assert stale.status_code == 412
    answer = owner.put(address, change, headers={"If-Match": first["ETag"]})
    assert (answer.status_code, answer.json()["valid_to_on"]) == (200, "2026-12-01")
    assert [row.state for row in StandingBid.objects.order_by("created_at", "id")].count(
        "ACTIVE"
    ) == 1


def test_what_is_wrong_is_named_as_it_was_sent(day: cast.MarketDay, owner: DoorClient) -> None:
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"valid_from_on": "tomorrow"}, "valid_from_on"),
        ({"valid_to_on": "2026-10-01"}, "valid_to_on"),
        ({"weekdays": [7]}, "weekdays"),
        ({"weekdays": []}, "weekdays"),
        ({"bid": 7}, "bid"),
        ({"bid": {**TEMPLATE["bid"], "form": "X"}}, "bid.form"),
        ({"bid": {**TEMPLATE["bid"], "curves": []}}, "bid.curves"),
        ({"bid": {**TEMPLATE["bid"], "resource": "shiroi-dc-1-load"}}, "bid.resource"),
        ({"code": "x" * 21}, "code"),
        ({"colour": "red"}, "colour"),
    ]
    for change, field in wrongs:
        answer = owner.post(DOOR, {**TEMPLATE, **change})
        assert answer.status_code in (400, 404), change
        assert answer.json()["field"] == field
    assert not StandingBid.objects.exists()


def test_templates_are_their_owners(
    day: cast.MarketDay, owner: DoorClient, as_member: AsMember, anonymous: DoorClient
) -> None:
    first = owner.post(DOOR, TEMPLATE)
    address = first["Location"]
    match = {"If-Match": first["ETag"]}
    for role, at in (
        (Role.OPERATOR_TRADER, "shiroi-dc"),
        (Role.OPERATOR_TRADER, "stranger"),
        (Role.MARKET_DESK, "wattbit"),
        (Role.GRID_PLANNER, "grid-t"),
    ):
        client = as_member(role, at)
        assert client.get(address).status_code in (403, 404)
        assert client.get(f"{address}/renewals").status_code in (403, 404)
        assert client.delete(address, headers=match).status_code in (403, 404)
        assert client.post(f"{address}/pause").status_code in (403, 404)
        listed = client.get(DOOR)
        assert listed.status_code == 403 or listed.json()["items"] == []
    assert anonymous.get(address).status_code == 401
    viewer = as_member(Role.OPERATOR_VIEWER, "inzai-dc")
    assert viewer.get(address).status_code == 200
    assert viewer.delete(address, headers=match).status_code == 403
    assert viewer.post(DOOR, {**TEMPLATE, "code": "mine"}).status_code == 403
    assert StandingBid.objects.get().state == "ACTIVE"
