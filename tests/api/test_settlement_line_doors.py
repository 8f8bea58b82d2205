"""Settlement lines and charges at the doors: one's own side, exact, with where it comes from."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.parties.roles import Role
from aggregator.core.settlement import Item
from aggregator.settlement.models import SettlementLine
from tests import cast
from tests.api.conftest import AsMember, DoorClient
from tests.api.settling import closed_day, run_day

PATH = "/api/v1/settlement-lines"
AUCTION = "DA-2026-11-25"
pytestmark = pytest.mark.django_db


def listed(client: DoorClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(PATH, {"auction": AUCTION, "limit": 500, **query})
    assert answer.status_code == 200, answer.json()
    return answer.json()["items"]


def other_grid(as_member: AsMember) -> DoorClient:
    other = cast.organisation("grid-u", cast.OrganisationKind.TSO, "グリッドU送配電", "Grid-U")
    return as_member(Role.GRID_PLANNER, other)


def test_parties_see_their_own_side_and_settlement_both(as_member: AsMember) -> None:
    day, run = run_day()
    rival = listed(as_member(Role.OPERATOR_TRADER, "shiroi-dc"))
    # six half hours of energy and one fee
    assert len(rival) == 7
    assert {(row["item"], row["side"]) for row in rival} == {
        ("SELLER_ENERGY", "RECEIVES"),
        ("PLATFORM_FEE", "PAYS"),
    }
    assert all("payer" not in row and "payee" not in row for row in rival)
    fee = next(row for row in rival if row["item"] == "PLATFORM_FEE")
    # 2 % of 945,000
    assert fee == {
        "id": fee["id"],
        "auction": AUCTION,
        "item": "PLATFORM_FEE",
        "ruleset": "2026-09-01",
        "side": "PAYS",
        "amount_exact_jpy": "18900.000000",
        "award": str(day.awards["shiroi-cap"].id),
        "need": None,
        "element": None,
        "t": None,
        "start_at": None,
        "quantity_kwh": "18000.000000",
        "price_jpy_per_kwh": None,
        "quantity_gb": None,
        "price_jpy_per_gb": None,
        "is_held": False,
    }
    every = SettlementLine.objects.filter(run=run).count()
    for role in (Role.SETTLEMENT, Role.AUDITOR):
        rows = listed(as_member(role, "wattbit"))
        assert len(rows) == every
        assert all({"payer", "payee"} <= row.keys() and "side" not in row for row in rows)
    for client in (as_member(Role.OPERATOR_TRADER, "stranger"), other_grid(as_member)):
        assert listed(client) == []
    for client in (as_member(Role.MARKET_DESK, "wattbit"), as_member("administrator", "inzai-dc")):
        assert client.get(PATH, {"auction": AUCTION}).status_code == 403
    assert DoorClient().get(PATH).status_code == 401


def test_what_a_party_sees_sums_to_what_it_settles(as_member: AsMember) -> None:
    run_day()
    rows = listed(as_member(Role.OPERATOR_TRADER, "inzai-dc"))
    net_jpy = sum(
        Decimal(row["amount_exact_jpy"]) * (1 if row["side"] == "RECEIVES" else -1) for row in rows
    )
    # 1,350,000 + 2,025,000 - 90,000 - 150,000 - 41,250, less 2 % and 15 % of 3,225,000
    assert net_jpy == 3_093_750 - 64_500 - 483_750


def test_a_buyer_is_not_told_whose_award_let_it_down(as_member: AsMember) -> None:
    day, _ = run_day()
    award = str(day.awards["inzai-defer"].id)
    grid = as_member(Role.GRID_PLANNER, "grid-t")
    credited = listed(grid, item=Item.SHORTFALL_CREDIT.value)
    assert {Decimal(row["amount_exact_jpy"]) for row in credited} == {
        Decimal(153_000),
        Decimal(38_250),
    }
    assert {row["award"] for row in listed(grid)} == {None}
    assert {row["need"] for row in credited} == {
        str(day.needs[name].id) for name in ("local", "shortage")
    }
    assert listed(grid, award=award) == []
    assert len(listed(as_member(Role.OPERATOR_TRADER, "inzai-dc"), award=award)) == 10
    assert listed(as_member(Role.OPERATOR_TRADER, "shiroi-dc"), award=award) == []


def test_the_page_names_its_settlement_and_there_is_none_before_one(as_member: AsMember) -> None:
    run_day()
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    run = owner.get(PATH, {"auction": AUCTION}).json()["run"]
    assert run.pop("executed_at").startswith("2026-11-25T18:0")
    assert run == {
        "auction": AUCTION,
        "kind": "FINAL",
        "revision": 1,
        "ruleset": "2026-09-01",
        "verification_revision": 1,
        "cause": None,
    }
    none = {"run": None, "items": [], "next": None}
    assert owner.get(PATH, {"auction": AUCTION, "kind": "PROVISIONAL"}).json() == none
    for query, field in (
        ({}, "auction"),
        ({"auction": AUCTION, "kind": "final"}, "kind"),
        ({"auction": AUCTION, "item": "GIFT"}, "item"),
        ({"auction": AUCTION, "award": "x"}, "award"),
        ({"auction": AUCTION, "payer": "x"}, "payer"),
    ):
        answer = owner.get(PATH, query)
        assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_pages_and_queries(as_member: AsMember) -> None:
    run_day()
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    ids, cursor = [], None
    while True:
        query = {"auction": AUCTION, "limit": 7, **({"cursor": cursor} if cursor else {})}
        body = owner.get(PATH, query).json()
        ids += [row["id"] for row in body["items"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert ids == [row["id"] for row in listed(owner)]
    assert ids == sorted(set(ids))

    def asked(path: str, **query: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert owner.get(path, query).status_code == 200
        return len(queries)

    assert asked(PATH, auction=AUCTION, limit=1) == asked(PATH, auction=AUCTION, limit=20) <= 11


def test_charges_are_shown_to_who_is_charged_and_to_the_market(as_member: AsMember) -> None:
    closed_day()
    path = "/api/v1/charges"
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc").get(path).json()["items"]
    assert [(row["item"], row["amount_jpy"]) for row in rival] == [
        ("PLATFORM_FEE", -18_900),
        ("SELLER_ENERGY", 945_000),
    ]
    assert rival[0] | {"id": 0, "transfer": ""} == {
        "id": 0,
        "period": "2026-11-25",
        "close_number": 1,
        "organisation": "shiroi-dc",
        "account": "member",
        "item": "PLATFORM_FEE",
        "total_exact_jpy": "-18900.000000",
        "amount_jpy": -18_900,
        "posted_before_jpy": 0,
        "transfer": "",
    }
    everything = as_member(Role.SETTLEMENT, "wattbit").get(path, {"limit": 500}).json()["items"]
    assert {row["organisation"] for row in everything} >= {"inzai-dc", "shiroi-dc", "grid-t"}
    stranger = as_member(Role.OPERATOR_TRADER, "stranger")
    assert stranger.get(path).json()["items"] == []
    assert stranger.get(path, {"period": "2026-11-26"}).json()["items"] == []
    assert stranger.get(path, {"period": "x"}).json()["field"] == "period"
