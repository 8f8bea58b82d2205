"""Needs at their doors: operators publish, revise and withdraw; everybody reads what is public."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.trading.models import Need, NeedState
from market.trading.needs import NeedDetails, need_publish
from tests import cast
from tests.api.conftest import AsMember, DoorClient


def _need(code: str = "shortage", **changes: Any) -> dict[str, Any]:
    return {
        "code": code,
        "kind": "BALANCE",
        "direction": "UP",
        "area": "03",
        "quantity_kw": ["1000"] * 48,
        "cap_jpy_per_kwh": ["60.00"] * 48,
        **changes,
    }


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    where = cast.places()
    auction = cast.auction(where)
    cast.base_flows(where, auction)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


@pytest.fixture
def planner(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.GRID_PLANNER, "grid-t")


def _door(day: cast.MarketDay) -> str:
    return f"/api/v1/auctions/{day.auction.code}/needs"


def test_a_published_need_is_public(
    day: cast.MarketDay, planner: DoorClient, anonymous: DoorClient
) -> None:
    answer = planner.post(_door(day), _need())
    assert answer.status_code == 201, answer.content
    (told,) = answer.json()["needs"]
    assert {name: told[name] for name in ("code", "area", "revision", "state", "auction")} == {
        "code": "shortage",
        "area": "03",
        "revision": 1,
        "state": "PUBLISHED",
        "auction": day.auction.code,
    }
    assert told["steps"] == [{"quantity_kw": ["1000.0"] * 48, "cap_jpy_per_kwh": ["60.00"] * 48}]
    assert anonymous.get(f"/api/v1/needs/{told['id']}").json() == told
    listed = anonymous.get("/api/v1/needs", {"auction": day.auction.code, "area": "03"}).json()
    assert listed == {"items": [told], "next": None}
    assert anonymous.get("/api/v1/needs", {"kind": "LOCAL"}).json()["items"] == []
    assert anonymous.post(_door(day), _need("other")).status_code == 401


def test_a_demand_curve_a_posted_price_and_relief_of_a_line(
    day: cast.MarketDay, planner: DoorClient
) -> None:
    steps = [
        {"quantity_kw": ["500"] * 48, "cap_jpy_per_kwh": ["90"] * 48},
        {"quantity_kw": ["700"] * 48, "cap_jpy_per_kwh": ["40"] * 48},
    ]
    curve = {"code": "curve", "kind": "BALANCE", "direction": "UP", "area": "03", "steps": steps}
    local = {
        **_need("line", kind="LOCAL", congestion_point="inzai-line", flow_sign=1),
        "pricing": "POSTED",
    }
    del local["area"]
    answer = planner.post(_door(day), {"needs": [curve, local]})
    assert answer.status_code == 201, answer.content
    first, second = answer.json()["needs"]
    assert first["quantity_kw"] == ["1200.0"] * 48
    assert [step["cap_jpy_per_kwh"][0] for step in first["steps"]] == ["90.00", "40.00"]
    assert (second["congestion_point"], second["flow_sign"], second["pricing"]) == (
        "inzai-line",
        1,
        "POSTED",
    )


def test_needs_are_published_all_or_none_and_every_wrong_one_is_told(
    day: cast.MarketDay, planner: DoorClient
) -> None:
    planner.post(_door(day), _need("known"))
    rows = [
        _need("fine"),
        _need("known"),
        _need("far", area="09"),
        _need("rising", quantity_kw=["1"] * 47),
        _need("odd", colour="red"),
        7,
    ]
    answer = planner.post(_door(day), {"needs": rows})
    assert answer.status_code == 400
    assert [(row["code"], row["field"]) for row in answer.json()["errors"]] == [
        ("conflict", "needs[1].code"),
        ("not-found", "needs[2].area"),
        ("refused", "needs[3].quantity_kw"),
        ("invalid-need", "needs[4].colour"),
        ("invalid-need", "needs[5]"),
    ]
    assert Need.objects.count() == 1
    single = planner.post(_door(day), _need("far", area="09"))
    assert single.json()["field"] == "area"


def test_a_need_is_revised_and_withdrawn_by_who_read_it(
    day: cast.MarketDay, planner: DoorClient
) -> None:
    first = planner.post(_door(day), _need()).json()["needs"][0]
    address = f"/api/v1/needs/{first['id']}"
    change = _need(quantity_kw=["2000"] * 48)
    assert planner.put(address, change).status_code == 428
    answer = planner.put(address, change, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer["ETag"], answer.json()["revision"]) == (200, '"2"', 2)
    assert planner.put(address, change, headers={"If-Match": '"1"'}).status_code == 412
    renamed = planner.put(address, _need("other"), headers={"If-Match": '"2"'})
    assert (renamed.status_code, renamed.json()["field"]) == (400, "code")
    assert planner.delete(address, headers={"If-Match": '"1"'}).status_code == 412
    assert planner.delete(address, headers={"If-Match": '"2"'}).status_code == 204
    assert planner.delete(address, headers={"If-Match": '"2"'}).status_code == 404
    assert [need.state for need in Need.objects.order_by("revision")] == [
        "SUPERSEDED",
        "WITHDRAWN",
    ]


def test_after_the_gate_needs_stand(day: cast.MarketDay, planner: DoorClient) -> None:
    first = planner.post(_door(day), _need()).json()["needs"][0]
    cast.market_time(day.auction.gate_closure_at)
    address = f"/api/v1/needs/{first['id']}"
    for answer in (
        planner.post(_door(day), _need("late")),
        planner.put(address, _need(), headers={"If-Match": '"1"'}),
        planner.delete(address, headers={"If-Match": '"1"'}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "gate-closed")
    assert Need.objects.get().state == NeedState.PUBLISHED


def test_needs_are_their_operators(
    day: cast.MarketDay, planner: DoorClient, as_member: AsMember
) -> None:
    first = planner.post(_door(day), _need()).json()["needs"][0]
    cast.organisation("grid-u", OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
    other = as_member(Role.GRID_PLANNER, "grid-u")
    address = f"/api/v1/needs/{first['id']}"
    match = {"If-Match": '"1"'}
    assert other.put(address, _need(), headers=match).status_code == 403
    assert other.delete(address, headers=match).status_code == 403
    foreign = other.post(_door(day), _need("mine"))
    assert (foreign.status_code, foreign.json()["field"]) == (400, "area")
    for role, at in ((Role.OPERATOR_TRADER, "inzai-dc"), (Role.MARKET_DESK, "wattbit")):
        assert as_member(role, at).post(_door(day), _need()).status_code == 403
    approver = as_member(Role.GRID_APPROVER, "grid-t")
    assert approver.delete(address, headers=match).status_code == 403


def test_what_waits_for_approval_is_seen_by_its_operator_only(
    day: cast.MarketDay, planner: DoorClient, as_member: AsMember, anonymous: DoorClient
) -> None:
    need = planner.post(_door(day), _need()).json()["needs"][0]
    address = f"/api/v1/needs/{need['id']}"
    proposal = Need.objects.get()
    proposal.pk, proposal._state.adding = None, True
    proposal.code, proposal.state = "proposal", NeedState.PROPOSED
    proposal.save()
    hidden = f"/api/v1/needs/{proposal.id}"
    assert planner.get(hidden).json()["state"] == "PROPOSED"
    assert as_member(Role.GRID_APPROVER, "grid-t").get(hidden).status_code == 200
    rival = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    for client in (rival, anonymous):
        assert client.get(hidden).status_code == 404
        assert [item["id"] for item in client.get("/api/v1/needs").json()["items"]] == [need["id"]]
        assert client.get("/api/v1/needs", {"state": "PROPOSED"}).json()["items"] == []
        assert client.get(address).status_code == 200


def test_csv_gives_windows_and_errors_name_line_and_column(
    day: cast.MarketDay, planner: DoorClient
) -> None:
    head = "code,kind,direction,area,step,first_t,last_t,quantity_kw,cap_jpy_per_kwh\r\n"
    good = head + (
        "evening,BALANCE,UP,03,1,34,39,1000,60\r\n"
        "evening,,,,2,34,35,500,40\r\n"
        "noon,BALANCE,DOWN,03,,20,25,300.5,12\r\n"
    )
    answer = planner.post(_door(day), good.encode("cp932"), content_type="text/csv")
    assert answer.status_code == 201, answer.content
    evening, noon = answer.json()["needs"]
    assert evening["quantity_kw"][33:37] == ["0.0", "1500.0", "1500.0", "1000.0"]
    assert [step["cap_jpy_per_kwh"][35] for step in evening["steps"]] == ["60.00", "40.00"]
    assert (noon["direction"], noon["quantity_kw"][20]) == ("DOWN", "300.5")
    bad = head + (
        "a,BALANCE,UP,03,1,34,39,1000,60\r\n"
        "a,BALANCE,UP,03,1,40,41,-5,60\r\n"
        "b,BALANCE,UP,03,1,0,47,10,1e9\r\n"
    )
    answer = planner.post(_door(day), bad.encode(), content_type="text/csv")
    assert [(row["line"], row["field"]) for row in answer.json()["errors"]] == [
        (3, "quantity_kw"),
        (4, "cap_jpy_per_kwh"),
    ]
    wrong = head + "a,BALANCE,UP,03,1,40,30,1,1\r\na,BALANCE,UP,03,5,0,1,1,1\r\n"
    answer = planner.post(_door(day), wrong.encode(), content_type="text/csv")
    assert [(row["line"], row["field"]) for row in answer.json()["errors"]] == [
        (2, "last_t"),
        (3, "step"),
    ]
    assert Need.objects.count() == 2


def test_operators_publish_what_the_grid_allows(
    day: cast.MarketDay, planner: DoorClient, as_member: AsMember, anonymous: DoorClient
) -> None:
    base = f"/api/v1/auctions/{day.auction.code}"
    flows = {"base_flows": {"inzai-line": ["-150000.5"] * 48}}
    assert planner.post(f"{base}/base-flows", flows).status_code == 201
    item = planner.get(f"{base}/base-flows").json()["items"][0]
    assert (item["element"], item["revision"], item["base_flow_kw"][0]) == (
        "inzai-line",
        2,
        "-150000.5",
    )
    unknown = planner.post(f"{base}/base-flows", {"base_flows": {"no": [0] * 48}})
    assert unknown.status_code == 404
    envelope = {
        "site": "inzai-dc-1",
        "kind": "ONLINE",
        "scheduled_import_kw": ["40000"] * 48,
        "max_import_kw": ["50000"] * 48,
    }
    assert planner.post(f"{base}/envelopes", envelope).status_code == 201
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    assert [row["site"] for row in owner.get(f"{base}/envelopes").json()["items"]] == ["inzai-dc-1"]
    assert rival.get(f"{base}/envelopes").json()["items"] == []
    assert rival.get(f"{base}/base-flows").status_code == 403
    limit = {"from_area": "03", "to_area": "03", "limit_kw": ["1"] * 48}
    answer = planner.post(f"{base}/transfer-limits", limit)
    assert (answer.status_code, answer.json()["field"]) == (400, "to_area")
    assert anonymous.get(f"{base}/transfer-limits").json() == {"items": [], "next": None}
    for door in ("base-flows", "envelopes", "transfer-limits"):
        assert owner.post(f"{base}/{door}", {}).status_code == 403
        assert anonymous.post(f"{base}/{door}", {}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_twins_of_a_need_become_revisions_in_order() -> None:
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    start = Barrier(4)

    def publish(number: int) -> int:
        try:
            start.wait(timeout=10)
            details = NeedDetails(
                code="twin",
                kind="BALANCE",
                direction="UP",
                area_code="03",
                quantity_kw=[number + 1] * 48,
                cap_jpy_per_kwh=[10] * 48,
            )
            need = need_publish(
                auction_id=auction.id, organisation=where.people.grid_t, details=details
            )
            return int(need.revision)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(publish, range(4))) == [1, 2, 3, 4]
    assert Need.objects.filter(state=NeedState.PUBLISHED).count() == 1
