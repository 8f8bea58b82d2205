"""Pivotal suppliers: who is one, whose asks are lowered where, and that the audit agrees."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from market.core.audit import pivotal as audited
from market.core.ceilings import lowered_bid
from market.core.certificate import verify_document
from market.core.pivotal import pivotal_test
from market.core.snapshot import (
    books_of,
    snapshot_bytes,
    snapshot_from_json,
    snapshot_sha256,
)
from tests.books import (
    RULES,
    Result,
    balance_need,
    book,
    bus,
    local_need,
    place,
    resource,
    steps,
    store,
)

CAP = {"reference_cap_jpy_per_kwh": 20.0}


def owned(name: str, at: str, owner: str, *pairs: tuple[float, float], **parts: Any) -> Any:
    """Return a step bid of an owner, UP if nothing else is said."""
    return steps(name, at, parts.pop("direction", "UP"), *pairs, **parts) | {"owner": owner}


def findings(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return (need, owner, bids, half hours) of each finding; the audit finds the same."""
    snapshot = snapshot_from_json(document)
    found = pivotal_test(snapshot)
    again, entries = audited.tested(snapshot.document())
    assert list(found.findings) == entries
    books = books_of(dict(again))
    for form, table in found.snapshot.books.items():
        for name, values in vars(table).items():
            if isinstance(values, np.ndarray):
                assert np.array_equal(values, getattr(books[form], name)), (form, name)
    return [(entry["need"], entry["owner"], entry["bids"], entry["t"]) for entry in entries]


def test_an_owner_without_whom_the_need_can_not_be_met_is_pivotal() -> None:
    document = book(
        2,
        rules=RULES | CAP,
        bids=[
            owned("large", "a", "L", (100, 50), window=(0, 1)),
            owned("small", "a2", "S", (80, 60), window=(0, 1)),
            owned("elsewhere", "b", "E", (500, 40), window=(0, 1)),
        ],
        resources=[resource("a", "A"), resource("a2", "A"), resource("b", "B")],
        local_needs=[local_need([90, 150])],
    )
    # Only A relieves the line. 90 kW: without L 80 are left, without S 100. 150 kW need both.
    assert findings(document) == [
        ("local", "L", ["large"], [0, 1]),
        ("local", "S", ["small"], [1]),
    ]


def test_bids_of_one_owner_count_together_and_bids_without_owner_alone() -> None:
    def document(owner: str) -> dict[str, Any]:
        return book(
            rules=RULES | CAP,
            elements=[],
            bids=[
                owned("one", "a", owner, (60, 50)),
                owned("two", "b", owner, (60, 50)),
                owned("other", "b", "O", (60, 50)),
            ],
            balance_needs=[balance_need(100)],
        )

    # 180 kW for a need of 100: without the owner of two bids 60, without the other's 120.
    assert findings(document("J")) == [("balance-UP", "J", ["one", "two"], [0])]
    single = document("J")
    for bid in single["bids"]:
        del bid["owner"]
    assert findings(single) == []


def test_a_resource_offers_no_more_than_its_limit() -> None:
    document = book(
        rules=RULES | CAP,
        elements=[],
        resources=[resource("a", "A", 50.0), resource("b", "B")],
        bids=[owned("wide", "a", "W", (500, 50)), owned("other", "b", "O", (70, 10))],
        balance_needs=[balance_need(60)],
    )
    # 50 + 70 kW: without W 70 are left, without O only the 50 that a can do.
    assert findings(document) == [("balance-UP", "O", ["other"], [0])]


def test_an_owner_counts_only_with_what_others_could_not_sell_of_the_same_resource() -> None:
    document = book(
        rules=RULES | CAP,
        elements=[],
        resources=[resource("a", "A", 50.0), resource("b", "B")],
        bids=[
            owned("shared", "a", "W", (500, 50)),
            owned("rival", "a", "X", (500, 50)),
            owned("more", "b", "W", (5, 50)),
        ],
        balance_needs=[balance_need(53)],
    )
    # 50 + 5 kW. Without W the rival still sells all 50 of a; only the 5 are missing.
    assert findings(document) == [("balance-UP", "W", ["more", "shared"], [0])]


def test_losses_count_at_the_sending_end() -> None:
    def document(need_kw: float) -> dict[str, Any]:
        return book(
            rules=RULES | CAP,
            elements=[],
            places=[place("A", loss_ratio=0.2), place("B")],
            bids=[owned("lossy", "a", "L", (80, 50)), owned("other", "b", "O", (90, 10))],
            balance_needs=[balance_need(need_kw)],
        )

    # 80 kW received are 100 kW sent.
    assert [found[1] for found in findings(document(95.0))] == ["L"]
    assert [found[1] for found in findings(document(101.0))] == ["L", "O"]


def test_lines_bring_what_others_can_send() -> None:
    def document(limit_kw: float, owner: str) -> dict[str, Any]:
        return book(
            rules=RULES | CAP,
            elements=[],
            network={
                "convention": "reactance",
                "base_mva": 100.0,
                "buses": [
                    bus("A", area="03", island="50", slack=1.0),
                    bus("B", area="05", island="60", slack=1.0),
                ],
                "links": [{"id": "dc", "from": "A", "to": "B", "limit_kw": limit_kw}],
            },
            bids=[owned("here", "a", "H", (50, 50)), owned("there", "b", owner, (500, 50))],
            balance_needs=[balance_need(60)],
        )

    # 50 kW here; 30 or 100 kW over the link from there.
    assert findings(document(30.0, "T")) == [
        ("balance-UP", "H", ["here"], [0]),
    ]
    assert findings(document(100.0, "T")) == []
    # Its owner's own power over the link does not help against it.
    assert findings(document(100.0, "H")) == [("balance-UP", "H", ["here"], [0])]


def test_needs_for_the_same_thing_are_asked_together_but_a_posted_price_is_not_tested() -> None:
    document = book(
        rules=RULES | CAP,
        bids=[owned("one", "a", "O", (100, 50)), owned("two", "a", "T", (100, 50))],
        local_needs=[
            local_need(60, id="auctioned"),
            local_need(60, id="posted", pricing="posted"),
        ],
    )
    # 60 alone could be met by either, 120 by neither.
    assert findings(document) == [
        ("auctioned", "O", ["one"], [0]),
        ("auctioned", "T", ["two"], [0]),
    ]
    document["local_needs"] = document["local_needs"][1:]
    assert findings(document) == []


def test_a_pivotal_owner_of_capacity_is_found_by_product_and_area() -> None:
    def bid(name: str, at: str, kw: float) -> dict[str, Any]:
        offer = {"first_t": 0, "last_t": 0, "quantity_kw": kw, "ask_jpy_per_kw": 15.0}
        return {
            "id": name,
            "form": "CAPACITY",
            "resource": at,
            "product": "up",
            "offers": [offer],
            "v1_jpy_per_kwh": 0.0,
            "v2_jpy_per_kwh": 0.0,
        }

    document = book(
        rules=RULES | CAP,
        elements=[],
        products=[{"id": "up", "direction": "UP", "sustained_h": 0.5}],
        bids=[bid("large", "a", 100), bid("small", "b", 50), steps("energy", "a", "UP", (500, 1))],
        capacity_needs=[
            {"id": "dkw", "area": "03", "product": "up", "need_kw": 80.0, "cap_jpy_per_kwh": 30.0}
        ],
    )
    # Energy does not count: without large 50 kW are left for 80.
    assert findings(document) == [("dkw", "", ["large"], [0])]
    result = Result(document)
    # A kW called in full for 30 minutes is half a kWh: at most 20 × ½ = 10 JPY.
    assert result.award("large", "RESERVED")["cost_jpy"] == 800.0
    assert result.get("needs", "dkw")["price_jpy_per_kw"] == [10.0]
    assert result.json["pivotal"] == [
        {"kind": "CAPACITY", "need": "dkw", "owner": "", "bids": ["large"], "t": [0]}
    ]


def test_a_pivotal_ask_is_cleared_at_the_reference_cap_and_no_other() -> None:
    document = book(
        2,
        rules=RULES | CAP,
        elements=[],
        bids=[
            owned("large", "a", "L", (100, 50), window=(0, 1)),
            owned("small", "b", "S", (80, 60), window=(0, 1)),
        ],
        balance_needs=[balance_need([90, 60])],
    )
    result = Result(document)
    # First half hour: without L only 80 of 90 kW. It clears at 20 JPY; S is not pivotal and asks
    # 60, more than is needed. Second half hour: either could do it, L's 50 JPY stand.
    assert result.json["pivotal"] == [
        {"kind": "BALANCE", "need": "balance-UP", "owner": "L", "bids": ["large"], "t": [0]}
    ]
    assert result.award_kw("large") == [90.0, 60.0]
    assert result.price("areas", "03") == [20.0, 50.0]
    # ½ × (90 × 20 + 60 × 50)
    assert result.award("large")["cost_jpy"] == 2400.0


def test_without_a_reference_cap_nothing_is_tested() -> None:
    document = book(
        elements=[], bids=[owned("only", "a", "O", (100, 50))], balance_needs=[balance_need(100)]
    )
    result = Result(document)
    assert result.json["pivotal"] == []
    assert result.price("areas", "03") == [50.0]


def test_the_audit_refuses_a_result_that_hides_who_was_pivotal() -> None:
    document = book(
        rules=RULES | CAP,
        elements=[],
        bids=[owned("only", "a", "O", (100, 50))],
        balance_needs=[balance_need(100)],
    )
    snapshot = snapshot_from_json(document)
    result = json.loads(Result(document).content)
    result["pivotal"] = []
    certificate = verify_document(
        json.loads(snapshot_bytes(snapshot)), result, snapshot_sha256(snapshot)
    )
    assert [check.name for check in certificate.checks if not check.is_passed] == ["pivotal owners"]


CURVES = [
    {
        "first_t": 0,
        "last_t": 3,
        "steps": [
            {"quantity_kw": 1.0, "ask_jpy_per_kwh": 10.0},
            {"quantity_kw": 1.0, "ask_jpy_per_kwh": 30.0},
        ],
    }
]
CAPPED = [
    {"quantity_kw": 1.0, "ask_jpy_per_kwh": 10.0},
    {"quantity_kw": 1.0, "ask_jpy_per_kwh": 20.0},
]


@pytest.mark.parametrize(
    ("bid", "lower"),
    [
        (
            {"form": "STEPS", "curves": CURVES},
            {
                "curves": [
                    CURVES[0] | {"last_t": 0},
                    {"first_t": 1, "last_t": 2, "steps": CAPPED},
                    CURVES[0] | {"first_t": 3},
                ]
            },
        ),
        (
            {
                "form": "SHIFT",
                "offers": [
                    {"first_t": 0, "last_t": 1, "quantity_kw": 1.0, "ask_jpy_per_kwh": 25.0}
                ],
            },
            {
                "offers": [
                    {"first_t": 0, "last_t": 0, "quantity_kw": 1.0, "ask_jpy_per_kwh": 25.0},
                    {"first_t": 1, "last_t": 1, "quantity_kw": 1.0, "ask_jpy_per_kwh": 20.0},
                ]
            },
        ),
        (
            {
                "form": "CAPACITY",
                "offers": [{"first_t": 1, "last_t": 2, "quantity_kw": 1.0, "ask_jpy_per_kw": 12.0}],
            },
            {"offers": [{"first_t": 1, "last_t": 2, "quantity_kw": 1.0, "ask_jpy_per_kw": 10.0}]},
        ),
        ({"form": "STORAGE", "wear_jpy_per_kwh": 21.0}, {"wear_jpy_per_kwh": 20.0}),
        ({"form": "STORAGE", "wear_jpy_per_kwh": 3.0}, {"wear_jpy_per_kwh": 3.0}),
        ({"form": "DEFERRAL", "ask_jpy_per_kwh": 21.0}, {"ask_jpy_per_kwh": 20.0}),
        # A kWh of IT draws 1.5 kWh: 20 × 1.5.
        (
            {"form": "COMPUTE_OFFER", "ask_jpy_per_kwh": 40.0, "pue_ratio": 1.5},
            {"ask_jpy_per_kwh": 30.0},
        ),
        # The ask stays; the start may cost (20 − 12) JPY/kWh × ½ h × 30 kW.
        (
            {
                "form": "BLOCK",
                "ask_jpy_per_kwh": 12.0,
                "start_cost_jpy": 500.0,
                "quantity_kw": [10.0, 20.0],
            },
            {"ask_jpy_per_kwh": 12.0, "start_cost_jpy": 120.0},
        ),
        # Releasing pays 5 less than nothing, so curtailing keeps at least those 5.
        (
            {"form": "RENEWABLE", "curtail_jpy_per_kwh": 90.0, "release_jpy_per_kwh": -5.0},
            {"curtail_jpy_per_kwh": 20.0, "release_jpy_per_kwh": -5.0},
        ),
        (
            {"form": "RENEWABLE", "curtail_jpy_per_kwh": 90.0, "release_jpy_per_kwh": -50.0},
            {"curtail_jpy_per_kwh": 50.0, "release_jpy_per_kwh": -50.0},
        ),
    ],
)
def test_a_ceiling_lowers_asks_and_nothing_else(bid: dict[str, Any], lower: dict[str, Any]) -> None:
    assert lowered_bid(bid, {1, 2}, 20.0, 0.5) == bid | lower
    assert audited.lowered(bid, {1, 2}, 20.0, 0.5) == bid | lower


def test_a_store_that_is_needed_is_paid_its_wear_up_to_the_cap() -> None:
    document = book(
        rules=RULES | CAP,
        elements=[],
        bids=[store("battery", "a", 0, start_kwh=50.0, wear_jpy_per_kwh=35.0) | {"owner": "B"}],
        balance_needs=[balance_need(100)],
    )
    result = Result(document)
    assert result.json["pivotal"][0]["owner"] == "B"
    assert result.price("areas", "03")[0] >= 20.0
    assert result.award("battery", "DISCHARGE")["cost_jpy"] == 1000.0  # 100 kW × ½ h × 20


def test_the_order_of_bids_changes_no_finding() -> None:
    document = book(
        rules=RULES | CAP,
        bids=[
            owned(name, "a", owner, (100, 50))
            for name, owner in (("n1", "Z"), ("n2", "A"), ("n3", ""), ("n4", "M"))
            if owner
        ],
        local_needs=[local_need(250)],
    )
    first = findings(document)
    document["bids"] = document["bids"][::-1]
    assert findings(document) == first
    assert [found[1] for found in first] == ["A", "M", "Z"]
