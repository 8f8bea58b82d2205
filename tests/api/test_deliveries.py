"""Deliveries and baselines at the doors: sellers their own, grid operators what served them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.parties.roles import Role
from tests import cast
from tests.api.conftest import AsMember, DoorClient
from tests.api.settling import verified_day

pytestmark = pytest.mark.django_db
PATH = "/api/v1/deliveries"
AUCTION = "DA-2026-11-25"


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    return verified_day()


def listed(client: DoorClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(PATH, {"auction": AUCTION, "limit": 500, **query})
    assert answer.status_code == 200, answer.json()
    return answer.json()["items"]


def other_grid(as_member: AsMember) -> DoorClient:
    other = cast.organisation("grid-u", cast.OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
    return as_member(Role.GRID_PLANNER, other)


def test_each_caller_sees_the_deliveries_that_concern_it(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    # six half hours each of two offers up and one down at Inzai, of one at Shiroi
    counts = {
        "inzai-dc": len(listed(as_member(Role.OPERATOR_TRADER, "inzai-dc"))),
        "viewer": len(listed(as_member(Role.OPERATOR_VIEWER, "inzai-dc"))),
        "shiroi-dc": len(listed(as_member(Role.OPERATOR_TRADER, "shiroi-dc"))),
        "grid-t": len(listed(as_member(Role.GRID_PLANNER, "grid-t"))),
        "desk": len(listed(as_member(Role.MARKET_DESK, "wattbit"))),
        "settlement": len(listed(as_member(Role.SETTLEMENT, "wattbit"))),
        "stranger": len(listed(as_member(Role.OPERATOR_TRADER, "stranger"))),
        "grid-u": len(listed(other_grid(as_member))),
    }
    assert counts == {
        "inzai-dc": 18, "viewer": 18, "shiroi-dc": 6, "grid-t": 24, "desk": 24, "settlement": 24,
        "stranger": 0, "grid-u": 0,
    }  # fmt: skip
    assert as_member(Role.ADMINISTRATOR, "inzai-dc").get(PATH).status_code == 403
    assert DoorClient().get(PATH).status_code == 401


def test_the_seller_sees_all_of_a_half_hour_that_fell_short(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    award = day.awards["inzai-defer"]
    answer = owner.get(PATH, {"auction": AUCTION, "award": str(award.id)}).json()
    told = answer["verification"]
    # the day was metered three hours after its end, at 03:00 in Japan
    assert told.pop("as_of").startswith("2026-11-25T18:0")
    assert told == {"revision": 1, "stage": "FINAL", "ruleset": "2026-09-01"}
    # delivered is 10,000 of usual load less 6,500 metered; 4,500 were ordered
    (scarce,) = [row for row in answer["items"] if row["t"] == cast.SCARCE]
    assert scarce == {
        "site": "inzai-dc-1",
        "direction": "UP",
        "t": 36,
        "start_at": "2026-11-25T09:00:00Z",
        "ordered_kwh": "4500.000",
        "metered_kwh": "6500.000",
        "delivered_kwh": "3500.000",
        "shortfall_kwh": "1000.000",
        "over_kwh": "0.000",
        "cause": "",
        "is_excused": False,
        "reading_stage": "FINAL",
        "reading_revision": 1,
        "award": str(award.id),
        "organisation": "inzai-dc",
        "resource": "inzai-dc-1-load",
        "baseline_kwh": "10000.000",
    }


def test_the_grid_operator_sees_site_and_quantities_only(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    grid = as_member(Role.GRID_PLANNER, "grid-t")
    rows = listed(grid)
    hidden = {"award", "organisation", "resource", "baseline_kwh"}
    assert all(not hidden & row.keys() for row in rows)
    assert {row["site"] for row in rows} == {"inzai-dc-1", "shiroi-dc-1"}
    short = [row["shortfall_kwh"] for row in rows if row["shortfall_kwh"] != "0.000"]
    assert short == ["1000.000"]
    # nor can it ask by what it is not told
    assert listed(grid, award=str(day.awards["inzai-defer"].id)) == []


def test_another_ones_award_finds_nothing(day: cast.MarketDay, as_member: AsMember) -> None:
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    assert listed(rival, award=str(day.awards["inzai-defer"].id)) == []
    assert {row["organisation"] for row in listed(rival)} == {"shiroi-dc"}


def test_wrong_filters_are_named_and_before_a_look_there_is_nothing(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    for query, field in (
        ({}, "auction"),
        ({"auction": "a b"}, "auction"),
        ({"auction": AUCTION, "stage": "FINE"}, "stage"),
        ({"auction": AUCTION, "award": "7"}, "award"),
        ({"auction": AUCTION, "t": "3"}, "t"),
    ):
        answer = owner.get(PATH, query)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    none = {"verification": None, "items": [], "next": None}
    assert owner.get(PATH, {"auction": "DA-2026-11-26"}).json() == none
    assert owner.get(PATH, {"auction": AUCTION, "stage": "PRELIMINARY"}).json() == none


def test_lists_page_and_cost_the_same_for_many_rows(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    first = owner.get(PATH, {"auction": AUCTION, "limit": 10}).json()
    second = owner.get(PATH, {"auction": AUCTION, "limit": 10, "cursor": first["next"]}).json()
    found = [(row["award"], row["t"]) for row in first["items"] + second["items"]]
    assert len(set(found)) == len(found) == 18
    assert found == sorted(found)

    def asked(path: str, **query: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(path, query).status_code == 200
        return len(queries)

    assert asked(PATH, auction=AUCTION, limit=1) == asked(PATH, auction=AUCTION, limit=18) <= 10
    on = {"delivery_on": "2026-11-25"}
    assert asked("/api/v1/baselines", **on, limit=1) == asked("/api/v1/baselines", **on) <= 6


def test_baselines_are_shown_to_their_owner_and_the_market(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    path, on = "/api/v1/baselines", {"delivery_on": "2026-11-25"}
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    rows = {row["resource"]: row for row in owner.get(path, on).json()["items"]}
    assert rows.keys() == {"inzai-dc-1-load", "inzai-dc-1-battery"}
    load = rows["inzai-dc-1-load"]
    assert (load["method"], load["revision"], load["is_locked"]) == ("HIGH_4_OF_5", 1, True)
    assert load["baseline_kwh"] == ["10000.000"] * 48
    assert load["adjustment_kwh"] == "0.000"
    assert len(load["days_used"]) == 4
    assert (load["auction"], load["verification_revision"]) == (AUCTION, 1)
    assert rows["inzai-dc-1-battery"]["method"] == "METER_ONLY"
    counts = [
        len(as_member(role, at).get(path, on).json()["items"])
        for role, at in (
            (Role.OPERATOR_TRADER, "shiroi-dc"),
            (Role.MARKET_DESK, "wattbit"),
            (Role.GRID_PLANNER, "grid-t"),
            (Role.OPERATOR_TRADER, "stranger"),
        )
    ]
    assert counts == [1, 3, 0, 0]
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    assert rival.get(path, {"resource": "inzai-dc-1-load"}).json()["items"] == []
    assert len(owner.get(path, {"resource": "inzai-dc-1-load"}).json()["items"]) == 1
    for query, field in (({}, "delivery_on"), ({"delivery_on": "2026-11-31"}, "delivery_on")):
        answer = owner.get(path, query)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
