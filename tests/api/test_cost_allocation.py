"""Who bore what for which congestion, by the door: a party its own part, the market all."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.parties.roles import Role
from tests.api.conftest import AsMember
from tests.api.settling import closed_day

pytestmark = pytest.mark.django_db

PATH = "/api/v1/cost-allocation/2026-11-25"


def test_a_party_sees_what_it_bore_and_the_market_sees_all(as_member: AsMember) -> None:
    closed_day()
    planner = as_member(Role.GRID_PLANNER, "grid-t")
    body = planner.get(PATH).json()
    assert body["period"] == "2026-11-25"
    assert {row["organisation"] for row in body["items"]} == {"grid-t"}
    line = [row for row in body["items"] if row["place"] == "inzai-line"]
    # 2,430,000 for the line, less 4 / 5 of what the shortfall gave back
    assert [(row["item"], row["paid_exact_jpy"], row["received_exact_jpy"]) for row in line] == [
        ("NEED_CHARGE", "2430000.000000", "0"),
        ("SHORTFALL_CREDIT", "0", "153000.000000"),
    ]
    every = as_member(Role.SETTLEMENT, "wattbit").get(PATH).json()["items"]
    assert [row for row in every if row["organisation"] == "grid-t"] == body["items"]
    net = sum(Decimal(row["received_exact_jpy"]) - Decimal(row["paid_exact_jpy"]) for row in every)
    assert net == 0


def test_the_file_has_a_line_for_each_row(as_member: AsMember) -> None:
    closed_day()
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    rows = rival.get(PATH).json()["items"]
    answer = rival.get(f"{PATH}/csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "cost-allocation-2026-11-25.csv" in answer["Content-Disposition"]
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert len(lines) == 1 + len(rows)
    assert all("shiroi-dc" in line for line in lines[1:])


def test_a_period_in_which_one_has_no_part_is_not_there(as_member: AsMember) -> None:
    stranger = as_member(Role.OPERATOR_TRADER, "stranger")
    assert stranger.get(PATH).status_code == 404
    closed_day()
    answer = stranger.get(PATH)
    assert (answer.status_code, answer.json()["field"]) == (404, "period")
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    assert owner.get("/api/v1/cost-allocation/2026-11-26").status_code == 404
    assert owner.get(PATH, {"x": "1"}).status_code == 400
