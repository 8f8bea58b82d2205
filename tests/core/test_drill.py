"""An area evacuated: what is gone, what is taken elsewhere, what it costs."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from django.core.management import call_command

from market.core.drill import consequences, without_area
from market.core.errors import InvalidSnapshot
from market.core.parsing import document_from_json
from market.core.results import clear_bytes
from tests.books import balance_need, book, branch, bus, path, place, resource, steps
from tests.mixed_books import market


def two_areas() -> dict[str, Any]:
    """Return A in area 03 and B in area 02, a machine and a generator in each, work asked at A."""
    document = book(
        network={
            "convention": "reactance",
            "base_mva": 100.0,
            "buses": [bus("A"), bus("B", area="02", slack=1.0)],
            "branches": [branch("line", "B", "A")],
            "links": [],
        },
        elements=[],
        places=[place("A"), place("B")],
        resources=[
            resource("ga", "A"),
            resource("gb", "B"),
            resource("ma", "A", hardware=["gpu"]),
            resource("mb", "B", hardware=["gpu"]),
        ],
        paths=[path(capacity_gb=100.0, price_jpy_per_gb=0.0)],
        transfers=[{"id": "tie", "from_area": "02", "to_area": "03", "limit_kw": 500.0}],
        bids=[
            steps("here", "ga", "UP", (300, 10)),
            steps("there", "gb", "UP", (400, 12)),
            offer("oa", "ma", 50.0),
            offer("ob", "mb", 30.0, ask=3.0),
            {
                "id": "work",
                "form": "COMPUTE_REQUEST",
                "place": "A",
                "first_t": 0,
                "last_t": 0,
                "quantity_kw": 40.0,
                "value_jpy_per_kwh": 100.0,
            },
        ],
        balance_needs=[balance_need(100.0)],
    )
    document["rules"]["payment"] = "pay_as_clear"
    return document


def offer(name: str, machine: str, capacity_kw: float, ask: float = 2.0) -> dict[str, Any]:
    return {
        "id": name,
        "form": "COMPUTE_OFFER",
        "resource": machine,
        "hardware": "gpu",
        "capacity_kw": capacity_kw,
        "ask_jpy_per_kwh": ask,
        "pue_ratio": 1.0,
    }


def _results(document: dict[str, Any], area: str) -> tuple[dict[str, Any], ...]:
    whole = document_from_json(document)
    drilled = without_area(whole, area)
    before, after = (json.loads(clear_bytes(json.dumps(one).encode())) for one in (whole, drilled))
    return whole, before, after


def test_work_moves_and_needs_are_left() -> None:
    # before: 140 kW at A (100 wanted, 40 of machines) at 10, work at A for 2: per half hour
    #   100·100 + 40·100 − 140·10 − 40·2 = 12,520, half of it 6,260
    # after: the need of area 03 unserved; 30 of 40 kW of work at B, powered at 12:
    #   30·(100 − 12 − 3) / 2 = 1,275
    whole, before, after = _results(two_areas(), "03")
    assert before["objective_jpy"] == pytest.approx(6260.0)
    assert after["objective_jpy"] == pytest.approx(1275.0)
    found = consequences(whole, "03", before, after)
    assert found["value_lost_jpy"] == pytest.approx(4985.0)
    # gone: 140 kW of UP and 40 kW of machines at A; more: 30 kW of each at B
    assert found["gone_kwh"] == pytest.approx(90.0)
    assert found["replaced_kwh"] == pytest.approx(30.0)
    assert found["needs"] == [
        {"kind": "BALANCE", "id": "balance-UP", "before_kwh": 50.0, "after_kwh": 0.0}
    ]
    assert found["requests"] == [
        {"id": "work", "before_kwh": 20.0, "after_kwh": 15.0, "placed_kwh": {"ob": 15.0}}
    ]


def test_losing_another_area_leaves_this_one_as_it_was() -> None:
    whole, before, after = _results(two_areas(), "02")
    found = consequences(whole, "02", before, after)
    assert found["value_lost_jpy"] == pytest.approx(0.0, abs=1e-6)
    assert found["needs"] == found["requests"] == []


def test_links_transfers_and_paths_into_the_area_carry_nothing() -> None:
    whole = document_from_json(market(1))
    drilled = without_area(whole, "02")
    by_id = {entry["id"]: entry for entry in drilled["network"]["links"]}
    assert not any(by_id["hvdc"]["limit_kw"])
    assert not any(drilled["transfers"][0]["limit_kw"])
    capacity = {entry["id"]: entry["capacity_gb"] for entry in drilled["paths"]}
    assert not any(capacity["ac"])
    assert all(capacity["ab"])


def test_nothing_of_the_area_can_do_anything() -> None:
    whole = document_from_json(market(1))
    drilled = without_area(whole, "03")
    limits = {
        item["id"]: any(item["limit_up_kw"] + item["limit_down_kw"])
        for item in drilled["resources"]
    }
    # A and B are in 03, C in 02, D in 01
    assert limits == {"a": False, "b": False, "c": True, "d": True}


def test_the_input_is_left_as_it_is() -> None:
    whole = document_from_json(market(2))
    kept = copy.deepcopy(whole)
    without_area(whole, "03")
    assert whole == kept


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("area", ["01", "02", "03"])
def test_every_form_allows_the_drill(seed: int, area: str) -> None:
    drilled = without_area(document_from_json(market(seed)), area)
    assert document_from_json(drilled) == drilled


def test_an_area_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidSnapshot, match="must be one of 02, 03"):
        without_area(document_from_json(two_areas()), "99")


def test_the_command_writes_the_drilled_pair(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "snapshot.json", tmp_path / "drill.json"
    source.write_text(json.dumps(two_areas()))
    call_command("clear", str(source), "--without-area", "03", "--out", str(out))
    printed = capsys.readouterr().out
    assert "without area 03: 4,985.00 JPY of value lost" in printed
    assert "ob 15.0" in printed
    call_command("verify", str(out))
    snapshot = json.loads((tmp_path / "drill.snapshot.json").read_bytes())
    limits = {item["id"]: item["limit_up_kw"] for item in snapshot["resources"]}
    assert limits == {"ga": [0.0], "gb": [1000.0], "ma": [0.0], "mb": [1000.0]}
