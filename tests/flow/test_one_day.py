"""One market day, from the registry to the yen, as anyone can run it.

The command starts PostgreSQL, Valkey, a web server, a worker, beat and the sites' agents,
moves market time through a day, and prints what happened. What is asserted here is the story.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.commands import manage

INSTANCE = "flow"
TIMEOUT_S = 300

_manage = partial(manage, instance=INSTANCE, timeout_s=TIMEOUT_S)


@pytest.fixture(scope="module")
def day() -> dict[str, Any]:
    """Return the day's facts: the last line that the command prints."""
    done = _manage("demo", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def test_every_step_of_the_day_was_taken(day: dict[str, Any]) -> None:
    assert list(day["steps"]) != []
    assert set(day["steps"]) == {
        "start",
        "register",
        "publish",
        "bid",
        "clear",
        "dispatch",
        "meter",
        "settle",
        "replay",
    }
    assert day["state"] == "SETTLED"


def test_local_congestion_and_area_balance_were_cleared_together(day: dict[str, Any]) -> None:
    kinds = {need["code"].split("-")[0]: need for need in day["needs"]}
    assert set(kinds) == {"local", "balance"}
    assert day["unserved_kwh"] == 0
    assert kinds["local"]["revision"] == 2  # the grid operator revised it before the gate


def test_the_overloaded_line_is_within_its_rating_and_no_other_was_harmed(
    day: dict[str, Any],
) -> None:
    pocket = max(day["loading_ratio"], key=lambda line: line["before_ratio"])
    assert pocket["before_ratio"] > 1
    assert pocket["after_ratio"] <= 1
    assert all(line["after_ratio"] <= 1 for line in day["loading_ratio"])


def test_every_form_of_bid_and_kind_of_need_took_part(day: dict[str, Any]) -> None:
    assert set(day["legs"]) == {
        "BLOCK", "CHARGE", "COMPUTE", "CURTAILED", "DEFERRED", "DISCHARGE", "PORTFOLIO",
        "REBOUND", "RELEASED", "RESERVED", "SHIFT_IN", "SHIFT_OUT", "STEPS",
    }  # fmt: skip
    (capacity,) = day["capacity"]
    assert capacity["served_kw_30min"] > 0
    assert capacity["price_max_jpy_per_kw_30min"] > 0
    # 2,000 kW over 12 half hours, all of it placed
    assert day["computing"] == {"used_kwh": 12_000.0, "placements_count": 12}


def test_the_book_held_the_latest_versions_only(day: dict[str, Any]) -> None:
    assert (day["bids"]["SUPERSEDED"], day["bids"]["WITHDRAWN"]) == (1, 1)


def test_sites_answered_one_declined_and_one_fell_short(day: dict[str, Any]) -> None:
    assert set(day["instructions"]) <= {"FINISHED", "OPTED_OUT", "REPLACED"}
    assert day["instructions"]["FINISHED"] > 0
    assert sum(day["instructions"].get(state, 0) for state in ("OPTED_OUT", "REPLACED")) >= 1
    short = {row["resource"]: row for row in day["shortfalls"]}["makinohara-dc-load"]
    assert short["shortfall_kwh"] > 0
    assert short["refund_and_penalty_jpy"] > 0


def test_the_books_balance_and_the_result_is_proved_and_replays(day: dict[str, Any]) -> None:
    assert day["trial_balance_jpy"] == 0
    assert day["clearing_house_jpy"] == 0
    assert sum(row["total_jpy"] for row in day["statements"]) == 0
    assert day["certificate_passed"] is True
    assert day["replay_identical"] is True


def test_a_yen_is_walked_back_to_the_need_that_caused_it(day: dict[str, Any]) -> None:
    traced = _manage("trace", day["example_transfer"])
    assert traced.returncode == 0, traced.stderr
    for noun in ("Transfer", "SettlementLine", "Delivery", "Award", "Bid", "Need"):
        assert any(line.startswith(f"{noun} ") for line in traced.stdout.splitlines()), noun


def test_the_statement_file_ends_with_the_statements_total(day: dict[str, Any]) -> None:
    row = next(row for row in day["statements"] if row["code"] == "inzai")
    last = Path(row["csv"]).read_text(encoding="utf-8-sig").splitlines()[-1]
    assert last.split(",")[:1] + last.split(",")[4:7] == [
        "合計",
        str(row["received_jpy"]),
        str(row["paid_jpy"]),
        str(row["total_jpy"]),
    ]


def test_nothing_is_left_running(day: dict[str, Any]) -> None:
    assert day["total_s"] > 0
    status = _manage("servers", "status", "--instance", INSTANCE)
    assert status.stdout.splitlines()[:2] == ["PostgreSQL is stopped", "Valkey is stopped"]
