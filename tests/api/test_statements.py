"""Statements and the trial balance at the doors: one's own, tied to the ledger."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.parties.roles import Role
from tests import cast
from tests.api.conftest import AsMember, DoorClient
from tests.api.settling import closed_day

pytestmark = pytest.mark.django_db
PATH = "/api/v1/statements"
ONE = f"{PATH}/shiroi-dc/2026-11-25"


@pytest.fixture(autouse=True)
def day(db: None) -> cast.MarketDay:
    return closed_day()


def test_a_party_lists_its_statements(as_member: AsMember) -> None:
    rows = as_member(Role.OPERATOR_VIEWER, "shiroi-dc").get(PATH).json()["items"]
    assert len(rows) == 1
    assert rows[0].pop("closed_at").startswith("2026-11-25T18:0")
    assert rows == [
        {
            "organisation": "shiroi-dc",
            "period": "2026-11-25",
            "period_end": "2026-11-26",
            "state": "CLOSED",
            "received_jpy": 945_000,
            "paid_jpy": 18_900,
            "total_jpy": 926_100,
        }
    ]
    assert as_member(Role.OPERATOR_TRADER, "stranger").get(PATH).json()["items"] == []


def test_settlement_reads_anybodys_and_a_party_only_its_own(as_member: AsMember) -> None:
    for role in (Role.SETTLEMENT, Role.AUDITOR):
        client = as_member(role, "wattbit")
        rows = client.get(PATH, {"organisation": "inzai-dc"}).json()["items"]
        # settled_day: 3,093,750 less 2 % and 15 % of 3,225,000
        assert [row["total_jpy"] for row in rows] == [3_093_750 - 64_500 - 483_750]
        assert client.get(ONE).status_code == 200
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    for code in ("shiroi-dc", "nowhere"):
        for path in (f"{PATH}?organisation={code}", f"{PATH}/{code}/2026-11-25"):
            answer = owner.get(path)
            assert answer.status_code == 404
            assert answer.json()["detail"] == f"organisation: '{code}' — one that you can see"
        assert owner.get(f"{PATH}/{code}/2026-11-25/csv").status_code == 404
    assert as_member(Role.MARKET_DESK, "wattbit").get(PATH).status_code == 403
    assert DoorClient().get(PATH).status_code == 401


def test_who_reads_for_several_names_one(as_member: AsMember) -> None:
    client = as_member(Role.OPERATOR_VIEWER, "shiroi-dc")
    cast.member(client.person.username, cast.people().inzai_dc, Role.OPERATOR_VIEWER)
    assert client.get(PATH).json()["field"] == "organisation"
    for code in ("shiroi-dc", "inzai-dc"):
        rows = client.get(PATH, {"organisation": code}).json()["items"]
        assert [row["organisation"] for row in rows] == [code]


def test_a_statement_is_the_sum_of_its_lines(as_member: AsMember) -> None:
    body = as_member(Role.OPERATOR_TRADER, "shiroi-dc").get(ONE).json()
    lines = [(row["item"], row["received_jpy"], row["paid_jpy"]) for row in body["lines"]]
    assert lines == [("PLATFORM_FEE", 0, 18_900), ("SELLER_ENERGY", 945_000, 0)]
    assert body["lines"][1]["item_ja"] == "電力量料金"
    assert body["total_jpy"] == 945_000 - 18_900


@pytest.mark.parametrize(
    "path", [f"{PATH}/shiroi-dc/2026-11-26", f"{PATH}/shiroi-dc/2026-13-45", f"{PATH}/shiroi-dc"]
)
def test_what_was_not_settled_has_no_statement(path: str, as_member: AsMember) -> None:
    assert as_member(Role.OPERATOR_TRADER, "shiroi-dc").get(path).status_code == 404


@pytest.mark.parametrize("accept", ["*/*", "text/csv", "application/json"])
def test_the_file_is_an_attachment_that_ties_to_the_statement(
    accept: str, as_member: AsMember
) -> None:
    client = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    answer = client.get(f"{ONE}/csv", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith(
        'attachment; filename="statement-shiroi-dc-2026-11-25.csv"'
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row[4:7] for row in rows[1:]] == [
        ["0", "18900", "-18900"],
        ["945000", "0", "945000"],
        ["945000", "18900", "926100"],
    ]
    refused = client.get(f"{PATH}/inzai-dc/2026-11-25/csv", headers={"Accept": accept})
    assert refused.status_code == 404
    assert refused["Content-Type"] == "application/problem+json"


def test_the_trial_balance_is_for_settlement_and_auditors_of_the_market(
    as_member: AsMember,
) -> None:
    path = "/api/v1/trial-balance"
    for role in (Role.SETTLEMENT, Role.AUDITOR):
        body = as_member(role, "wattbit").get(path).json()
        assert (body["difference_jpy"], body["clearing_jpy"]) == (0, 0)
        assert body["debit_jpy"] == body["credit_jpy"] > 0
        held = {
            (row["organisation"], row["account"]): row["balance_jpy"] for row in body["balances"]
        }
        assert held["shiroi-dc", "member"] == 926_100
        assert sum(held.values()) == 0
    before = as_member(Role.AUDITOR, "wattbit").get(path, {"at": "2026-11-01T00:00:00Z"}).json()
    assert {row["balance_jpy"] for row in before["balances"]} == {0}
    wrong = as_member(Role.AUDITOR, "wattbit").get(path, {"at": "2026-11-01"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "at")
    for role, at in (
        ("auditor", "inzai-dc"),
        ("market_desk", "wattbit"),
        ("operator_trader", "inzai-dc"),
    ):
        assert as_member(role, at).get(path).status_code == 403


def test_a_list_of_statements_costs_the_same_for_many_periods(as_member: AsMember) -> None:
    client = as_member(Role.OPERATOR_TRADER, "shiroi-dc")

    def asked(**query: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(PATH, query).status_code == 200
        return len(queries)

    asked()
    assert asked(limit=1) == asked(limit=50) <= 9
