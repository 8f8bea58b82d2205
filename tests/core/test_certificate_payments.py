"""The check of payments: make-whole, asks that are paid, the fee, and rents by owner."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from market.core.certificate import verify_document
from market.core.snapshot import snapshot_bytes, snapshot_from_json, snapshot_sha256
from tests.books import RULES, Result, balance_need, book, steps

Json = dict[str, Any]
Cleared = tuple[Json, Json, str]


def _made_whole() -> Json:
    """Return a block that is taken though the price, set by steps that divide, is below its ask."""
    return book(
        elements=[],
        bids=[
            {
                "id": "whole",
                "form": "BLOCK",
                "resource": "b",
                "direction": "UP",
                "first_t": 0,
                "quantity_kw": [80.0],
                "ask_jpy_per_kwh": 30.0,
            },
            steps("supply", "b", "UP", (50, 20)),
        ],
        balance_needs=[balance_need(100, cap=100)],
        rules=RULES | {"fee_jpy_per_kwh": 1.0},
    )


def _as_bid() -> Json:
    document = _made_whole()
    return document | {"rules": document["rules"] | {"payment": "pay_as_bid"}}


def _congested() -> Json:
    """Return more load behind a line than it may carry, so that its headroom earns a rent."""
    return book(
        elements=[{"id": "line", "branch": "line", "rating_kw": 300.0, "base_flow_kw": 100.0}],
        bids=[steps("far", "b", "UP", (500, 10)), steps("near", "a", "UP", (500, 15))],
        place_needs=[{"id": "load", "place": "A", "need_kw": 400.0, "cap_jpy_per_kwh": 50.0}],
    )


DOCUMENTS: dict[str, Callable[[], Json]] = {
    "whole": _made_whole,
    "as bid": _as_bid,
    "congested": _congested,
}


@pytest.fixture(scope="module")
def cleared() -> dict[str, Cleared]:
    found = {}
    for name, document in DOCUMENTS.items():
        snapshot = snapshot_from_json(document())
        result = Result(document()).json
        found[name] = json.loads(snapshot_bytes(snapshot)), result, snapshot_sha256(snapshot)
    return found


def test_a_block_is_made_whole_by_what_its_ask_is_above_the_price(
    cleared: dict[str, Cleared],
) -> None:
    (item,) = cleared["whole"][1]["payments"]["make_whole"]
    assert item["amount_jpy"] == 400.0  # 80 kW for half an hour at 30 less 20
    # Where asks are paid, it is part of the ask.
    assert cleared["as bid"][1]["payments"]["make_whole"] == []


def _bump_item(result: Json, kind: str, name: str, amount_jpy: float) -> None:
    result["payments"][kind][0][name] += amount_jpy


TOUCHES: dict[str, tuple[str, Callable[[Json], Any], str]] = {
    "make-whole": (
        "whole",
        lambda r: r["payments"]["make_whole"][0].update({"amount_jpy": 500.0}),
        "published: made whole by what integers leave short [JPY]",
    ),
    "make-whole left out": (
        "whole",
        lambda r: r["payments"]["make_whole"].clear(),
        "published: nobody is paid below ask [JPY]",
    ),
    "a seller paid more": (
        "whole",
        lambda r: _bump_item(r, "sellers", "paid_jpy", 1.0),
        "published: sellers as listed [JPY]",
    ),
    "a seller left out": (
        "whole",
        lambda r: r["payments"]["sellers"].pop(),
        "published: sellers as listed [JPY]",
    ),
    "a seller under another rule": (
        "whole",
        lambda r: r["payments"]["sellers"][0].update({"rule": "pay_as_bid"}),
        "published: sellers as listed [JPY]",
    ),
    "a seller raised at nobody's cost": (
        "whole",
        lambda r: (
            _bump_item(r, "sellers", "posted_jpy", 1.0),
            _bump_item(r, "sellers", "paid_jpy", 1.0),
        ),
        "published: payments add up [JPY]",
    ),
    "a buyer who pays less": (
        "whole",
        lambda r: _bump_item(r, "buyers", "paid_jpy", -1.0),
        "published: buyers as listed [JPY]",
    ),
    "a buyer without a fee": (
        "whole",
        lambda r: (
            _bump_item(r, "buyers", "fee_jpy", -50.0),
            _bump_item(r, "buyers", "paid_jpy", -50.0),
        ),
        "published: buyers as listed [JPY]",
    ),
    "a higher fee": (
        "whole",
        lambda r: r["payments"].update({"fee_jpy": 60.0}),
        "published: buyers as listed [JPY]",
    ),
    "a need that bears more than its surplus": (
        "whole",
        lambda r: (
            _bump_item(r, "buyers", "make_whole_jpy", 1e6),
            r["payments"]["make_whole"][0]["needs"][0].update({"jpy": 1e6}),
        ),
        "published: make-whole within what needs and rents can bear [JPY]",
    ),
    "a rent to another owner": (
        "congested",
        lambda r: r["payments"]["rents"][0].update({"jpy": 0.0, "settled_jpy": 0.0}),
        "published: rents by owner [JPY]",
    ),
    "a rent kept back": (
        "congested",
        lambda r: r["payments"]["rents"][0].update({"settled_jpy": 0.0}),
        "published: rents by owner [JPY]",
    ),
    "less than the ask where asks are paid": (
        "as bid",
        lambda r: _bump_item(r, "sellers", "paid_jpy", -1.0),
        "published: sellers as listed [JPY]",
    ),
    "make-whole that no one bears": (
        "whole",
        lambda r: r["payments"]["make_whole"][0]["needs"].clear(),
        "published: make-whole borne in full [JPY]",
    ),
}


@pytest.mark.parametrize("name", TOUCHES)
def test_a_touched_payment_fails_the_check_that_guards_it(
    cleared: dict[str, Cleared], name: str
) -> None:
    which, touch, guard = TOUCHES[name]
    snapshot, result, digest = cleared[which]
    touched = copy.deepcopy(result)
    touch(touched)
    assert touched != result
    certificate = verify_document(snapshot, touched, digest)
    assert guard in {check.name for check in certificate.checks if not check.is_passed}
