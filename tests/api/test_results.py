"""What a result says, and to whom: prices to all, awards to owners, sums to grid operators."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.parties.roles import Role
from market.clearing.models import BidOutcome, ComputePlacement, ComputeUse, RentKind, RentShare
from market.trading.models import Auction
from tests import cast
from tests.api.conftest import AsMember, DoorClient

PUBLIC = (
    "prices",
    "prices/csv",
    "flows",
    "flows/csv",
    "rents",
    "volumes",
    "certificate",
    "compute",
)


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    """Return a published day with reasons, a rent and a price of computing."""
    made = cast.published_day()
    assert made.run is not None
    cast.market_time(made.auction.delivery_start - timedelta(hours=4))
    for name, bid in made.bids.items():
        BidOutcome.objects.create(
            run=made.run, bid=bid, outcome="ACCEPTED", explanation={"bid": str(bid.id), "n": name}
        )
    RentShare.objects.create(
        run=made.run,
        kind=RentKind.ELEMENT,
        code="inzai-line",
        organisation=made.places.people.grid_t,
        amount_jpy=Decimal("1234.50"),
    )
    RentShare.objects.create(
        run=made.run, kind=RentKind.ELEMENT, code="inzai-line", amount_jpy=Decimal("0.50")
    )
    ComputeUse.objects.bulk_create(
        ComputeUse(
            run=made.run,
            bid=made.bids["shiroi-cap"],
            t=t,
            start_at=made.auction.delivery_start + timedelta(minutes=30 * t),
            used_kw=100,
            price_jpy_per_kwh=Decimal("31.25"),
        )
        for t in range(48)
    )
    return made


def _of(day: cast.MarketDay, name: str) -> str:
    return f"/api/v1/auctions/{day.auction.code}/{name}"


def _strip(answer: Any) -> dict[str, Any]:
    return {**answer.json(), "instance": ""}


def test_prices_are_public_and_kept_by_any_cache(
    day: cast.MarketDay, anonymous: DoorClient
) -> None:
    answer = anonymous.get(_of(day, "prices"))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["auction"], body["run"]) == (day.auction.code, str(day.run.id))
    needs = {row["code"]: row for row in body["needs"]}
    local = needs["inzai-line-up"]
    # 14,000 kW were needed at t = 36 and 2,000 of them stayed unserved, at the cap of 180
    assert (local["price_jpy_per_kwh"][36], local["unserved_kw"][36], local["served_kw"][36]) == (
        "180.00",
        "2000.0",
        "12000.0",
    )
    (area,) = body["areas"]
    assert (area["area"], area["price_jpy_per_kwh"][33:35]) == ("03", ["10.00", "30.00"])
    # 30 + 2/3 · 45 = 60 at Inzai, 30 + 1/3 · 45 = 45 at Shiroi
    places = {row["bus"]: row["price_jpy_per_kwh"][34] for row in body["places"]}
    assert places == {"inzai": "60.00", "shiroi": "45.00"}
    assert "immutable" in answer["Cache-Control"]
    assert "public" in answer["Cache-Control"]
    again = anonymous.get(_of(day, "prices"), headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_flows_rents_volumes_and_computing_are_public(
    day: cast.MarketDay, anonymous: DoorClient
) -> None:
    elements = anonymous.get(_of(day, "flows")).json()["elements"]
    line = next(row for row in elements if row["element"] == "inzai-line")
    assert (line["before_kw"][36], line["after_kw"][36]) == ("194000.0", "182000.0")
    # two owners' shares of one line are one rent
    assert anonymous.get(_of(day, "rents")).json()["rents"] == [
        {"kind": "ELEMENT", "code": "inzai-line", "amount_jpy": "1235.00"}
    ]
    volumes = anonymous.get(_of(day, "volumes")).json()["volumes"]
    assert [(row["direction"], row["mechanism"], row["quantity_kw"][35]) for row in volumes] == [
        ("DOWN", "BATTERY", "0"),
        ("UP", "BATTERY", "6000.0"),
        ("UP", "DEFERRAL", "9000.0"),
        ("UP", "POWER_CAP", "6000.0"),
    ]
    computing = anonymous.get(_of(day, "compute")).json()
    assert [(row["bus"], row["price_jpy_per_kwh"][0]) for row in computing["prices"]] == [
        ("shiroi", "31.25")
    ]
    assert (computing["rents"], computing["label_costs"]) == ([], [])


def test_tables_leave_as_csv(day: cast.MarketDay, anonymous: DoorClient) -> None:
    answer = anonymous.get(_of(day, "prices/csv"))
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0] == (
        "kind,code,t,price_jpy_per_kwh,price_jpy_per_kw_30min,served_kw,unserved_kw"
    )
    assert "NEED,inzai-line-up,36,180.00,,12000.0,2000.0" in lines
    # 3 needs, 1 area, 2 places of 48 half hours
    assert len(lines) == 1 + 6 * 48
    flows = anonymous.get(_of(day, "flows/csv")).content.decode("utf-8-sig").splitlines()
    assert "inzai-line,36,194000.0,182000.0" in flows


def test_nobodys_name_bid_or_ask_is_in_what_is_public(
    day: cast.MarketDay, anonymous: DoorClient
) -> None:
    secrets = [
        *(str(bid.id) for bid in day.bids.values()),
        *(bid.client_bid_id for bid in day.bids.values()),
        *(str(award.id) for award in day.awards.values()),
        "inzai-dc",
        "shiroi-dc",
    ]
    for name in PUBLIC:
        text = anonymous.get(_of(day, name)).content.decode()
        assert not [secret for secret in secrets if secret in text], name


def test_before_publication_there_is_nothing(anonymous: DoorClient, as_member: AsMember) -> None:
    day = cast.open_day()
    for name in (*PUBLIC, "book-root"):
        answer = anonymous.get(_of(day, name))
        assert answer.status_code == 404, name
        assert answer["Cache-Control"] == "no-store"
    auditor = as_member(Role.AUDITOR, "wattbit")
    for name in ("result", "snapshot"):
        assert auditor.get(_of(day, name)).status_code == 404


def test_whole_documents_are_for_desk_settlement_and_auditors(
    day: cast.MarketDay, as_member: AsMember, anonymous: DoorClient
) -> None:
    for role in (Role.MARKET_DESK, Role.SETTLEMENT, Role.AUDITOR):
        client = as_member(role, "wattbit")
        answer = client.get(_of(day, "result"))
        digest = hashlib.sha256(answer.content).hexdigest()
        assert digest == day.run.result_sha256
        assert (answer["ETag"], answer.content) == (f'"{digest}"', day.run.result)
        assert answer["Cache-Control"].startswith("private")
        snapshot = client.get(_of(day, "snapshot"))
        assert hashlib.sha256(snapshot.content).hexdigest() == day.run.snapshot.sha256
        same = client.get(_of(day, "snapshot"), headers={"If-None-Match": snapshot["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
    for role, at in ((Role.OPERATOR_TRADER, "inzai-dc"), (Role.GRID_PLANNER, "grid-t")):
        client = as_member(role, at)
        assert client.get(_of(day, "result")).status_code == 403
        assert client.get(_of(day, "snapshot")).status_code == 403
    assert anonymous.get(_of(day, "result")).status_code == 401
    public = anonymous.get(_of(day, "certificate")).json()
    assert public["snapshot_sha256"] == day.run.snapshot.sha256
    assert public["certificate"] == {"passed": True, "checks": []}


def test_awards_are_their_owners_with_every_half_hour(
    day: cast.MarketDay, as_member: AsMember, anonymous: DoorClient
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    items = owner.get("/api/v1/awards", {"auction": day.auction.code}).json()["items"]
    assert sorted(item["client_bid_id"] for item in items) == [
        "inzai-battery-down-1125",
        "inzai-battery-up-1125",
        "inzai-defer-1125",
    ]
    (defer,) = owner.get("/api/v1/awards", {"resource": "inzai-dc-1-load"}).json()["items"]
    assert defer["intervals"][0] == {
        "t": 34,
        "start_at": "2026-11-25T08:00:00Z",
        "quantity_kw": "9000.0",
        "price_jpy_per_kwh": "60.00",
    }
    address = f"/api/v1/awards/{defer['id']}"
    assert owner.get(address).json() == defer
    assert owner.get("/api/v1/awards", {"direction": "DOWN"}).json()["items"][0]["leg"] == "STEPS"
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    nothing = "/api/v1/awards/00000000-0000-4000-8000-000000000000"
    assert rival.get(address).status_code == rival.get(nothing).status_code == 404
    mine = rival.get("/api/v1/awards").json()["items"]
    assert [item["organisation"] for item in mine] == ["shiroi-dc"]
    stranger = as_member(Role.OPERATOR_TRADER, "stranger")
    assert stranger.get("/api/v1/awards").json()["items"] == []
    desk = as_member(Role.MARKET_DESK, "wattbit")
    assert len(desk.get("/api/v1/awards").json()["items"]) == 4
    assert as_member(Role.GRID_PLANNER, "grid-t").get("/api/v1/awards").status_code == 403
    assert anonymous.get("/api/v1/awards").status_code == 401


def test_an_operator_sees_what_serves_its_needs_by_site_and_no_price(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    planner = as_member(Role.GRID_PLANNER, "grid-t")
    answer = planner.get(_of(day, "relief"))
    items = {(row["site"], row["direction"]): row for row in answer.json()["items"]}
    # in the evening both sites relieve the line; at midday the area is in surplus
    assert items["inzai-dc-1", "UP"]["quantity_kw"][34:36] == ["15000.0", "15000.0"]
    assert items["shiroi-dc-1", "UP"]["quantity_kw"][34] == "6000.0"
    assert items["inzai-dc-1", "DOWN"]["quantity_kw"][20] == "5000.0"
    assert items["inzai-dc-1", "UP"]["quantity_kw"][0] == "0"
    assert set(answer.json()["items"][0]) == {
        "site",
        "area",
        "direction",
        "product",
        "quantity_kw",
    }
    cast.organisation("grid-u", "TSO", "グリッドU送配電", "Grid-U")
    assert as_member(Role.GRID_PLANNER, "grid-u").get(_of(day, "relief")).json()["items"] == []
    assert as_member(Role.OPERATOR_TRADER, "inzai-dc").get(_of(day, "relief")).status_code == 403


def test_reasons_are_told_to_the_owner_and_to_who_may_read_the_book(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    items = owner.get(_of(day, "explanations")).json()["items"]
    assert {item["client_bid_id"] for item in items} == {
        "inzai-battery-down-1125",
        "inzai-battery-up-1125",
        "inzai-defer-1125",
    }
    bid = day.bids["inzai-defer"]
    whole = owner.get(f"/api/v1/bids/{bid.id}").json()
    assert whole["result"]["explanation"] == {"bid": str(bid.id), "n": "inzai-defer"}
    assert whole["content"]["direction"] == "UP"
    assert [len(award["intervals"]) for award in whole["awards"]] == [6]
    assert owner.get(_of(day, "explanations"), {"outcome": "REJECTED"}).json()["items"] == []
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    assert len(rival.get(_of(day, "explanations")).json()["items"]) == 1
    assert rival.get(f"/api/v1/bids/{bid.id}").status_code == 404
    planner = as_member(Role.GRID_PLANNER, "grid-t")
    assert planner.get(_of(day, "explanations")).json()["items"] == []
    auditor = as_member(Role.AUDITOR, "wattbit")
    assert len(auditor.get(_of(day, "explanations")).json()["items"]) == 4
    assert auditor.get(f"/api/v1/bids/{bid.id}").json()["content"]["direction"] == "UP"
    assert len(auditor.get("/api/v1/bids", {"auction": day.auction.code}).json()["items"]) == 4
    assert auditor.get("/api/v1/bids").json()["items"] == []
    # of an auction without a result nothing but counts
    Auction.objects.filter(id=day.auction.id).update(state="SETTLED")
    early = cast.auction(day.places, delivery_on=cast.DAY + timedelta(days=1))
    sealed = cast.bids(day.places, early)["inzai-defer"]
    assert auditor.get(f"/api/v1/bids/{sealed.id}").status_code == 404
    assert auditor.get("/api/v1/bids", {"auction": early.code}).json()["items"] == []


def test_where_computing_runs_is_told_to_both_sides(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    ComputePlacement.objects.create(
        run=day.run,
        bid=day.bids["inzai-defer"],
        offer=day.bids["shiroi-cap"],
        t=3,
        start_at=day.auction.delivery_start,
        quantity_kw=50,
    )
    for code in ("inzai-dc", "shiroi-dc"):
        (row,) = as_member(Role.OPERATOR_TRADER, code).get(_of(day, "placements")).json()["items"]
        assert (row["t"], row["quantity_kw"], row["site"]) == (3, "50.0", "shiroi-dc-1")
    stranger = as_member(Role.OPERATOR_TRADER, "stranger")
    assert stranger.get(_of(day, "placements")).json()["items"] == []
    for door in ("requests", "offers"):
        listed = as_member(Role.OPERATOR_TRADER, "inzai-dc").get(f"/api/v1/compute/{door}")
        assert listed.json() == {"items": [], "next": None}


def test_keys_are_public_and_an_owners_key_is_its_own(
    as_member: AsMember, anonymous: DoorClient
) -> None:
    keys = anonymous.get("/api/v1/keys").json()
    assert set(keys) == {"receipt_keys", "book_keys"}
    administrator = as_member(Role.ADMINISTRATOR, "inzai-dc")
    good = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    for wrong in ("", "x", "AAAA", 7, "A" * 200):
        answer = administrator.post("/api/v1/owner-key", {"public_key": wrong})
        assert (answer.status_code, answer.json()["field"]) == (400, "public_key")
    answer = administrator.post("/api/v1/owner-key", {"public_key": good})
    assert (answer.status_code, answer.json()["public_key"]) == (201, good)
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    assert owner.get("/api/v1/owner-key").json()["public_key"] == good
    assert owner.post("/api/v1/owner-key", {"public_key": good}).status_code == 403
    assert as_member(Role.OPERATOR_TRADER, "shiroi-dc").get("/api/v1/owner-key").status_code == 404
    assert anonymous.get("/api/v1/owner-key").status_code == 401
