"""Capacity: decided as by enumeration, within limits, refused where senseless, and audited."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import vstack

from market.core.certificate import verify_document
from market.core.errors import InvalidSnapshot
from market.core.programme import programme
from market.core.snapshot import snapshot_bytes, snapshot_from_json, snapshot_sha256
from tests.books import RULES, Result, balance_need, resource, steps, store
from tests.core.test_clearing_capacity import DOWN, POCKET, UP, capacity_book, capacity_need, held


def _by_enumeration_jpy(document: dict[str, Any]) -> float:
    """Return the best value over all ways to decide every exclusive pair, one LP each."""
    base = programme(snapshot_from_json(document))
    rows = [part for part in base.rows.values() if len(part.rhs)]
    equal = [part for part in rows if part.is_equal]
    most = [part for part in rows if not part.is_equal]
    best_jpy = -np.inf
    for sides in itertools.product((True, False), repeat=base.exclusive.count):
        upper_kw = base.upper_kw.copy()
        for pair, takes_first in enumerate(sides):
            idle = base.exclusive.second if takes_first else base.exclusive.first
            upper_kw[idle[[pair]].indices] = 0.0
        found = linprog(
            base.cost_jpy,
            A_ub=vstack([part.matrix for part in most]),
            b_ub=np.concatenate([part.rhs for part in most]),
            A_eq=vstack([part.matrix for part in equal]),
            b_eq=np.concatenate([part.rhs for part in equal]),
            bounds=np.stack([base.lower_kw, upper_kw], axis=1),
        )
        best_jpy = max(best_jpy, -found.fun)
    return best_jpy


@pytest.mark.parametrize("seed", range(6))
def test_either_energy_or_capacity_is_decided_as_by_enumeration(seed: int) -> None:
    dice = np.random.default_rng(seed)  # noqa: TID251 - seeded
    document = capacity_book(
        2,
        resources=[resource("a", "A", 90.0), resource("b", "B", 120.0), resource("c", "B", 60.0)],
        products=[UP | {"sustained_h": float(dice.choice([0.5, 1.0]))}, DOWN],
        bids=[
            store(
                "battery",
                "a",
                1,
                start_kwh=float(dice.uniform(20, 60)),
                charge_efficiency_ratio=0.9,
                wear_jpy_per_kwh=1.0,
            ),
            held("up-a", "a", (70, float(dice.uniform(0, 4))), window=(0, 1)),
            held("down-a", "a", (70, float(dice.uniform(0, 4))), window=(0, 1), product="down"),
            held("up-b", "b", (30, 1), (60, float(dice.uniform(1, 5))), window=(0, 1)),
            held("up-c", "c", (60, float(dice.uniform(0, 5))), window=(0, 1)),
            steps("b", "b", "UP", (50, float(dice.uniform(1, 9))), (60, 15), window=(0, 1)),
            steps("c", "c", "UP", (50, float(dice.uniform(1, 9))), window=(0, 1)),
            steps("soak", "c", "DOWN", (60, float(dice.uniform(-9, 0))), window=(0, 1)),
        ],
        balance_needs=[
            balance_need(dice.uniform(40, 160, 2).round(1).tolist(), cap=30),
            balance_need(dice.uniform(0, 60, 2).round(1).tolist(), "DOWN", cap=12),
        ],
        capacity_needs=[
            capacity_need(dice.uniform(40, 120, 2).round(1).tolist()),
            capacity_need(
                dice.uniform(0, 60, 2).round(1).tolist(), id="capacity-down", product="down"
            ),
        ],
    )
    result = Result(document)
    best_jpy = _by_enumeration_jpy(document)
    assert result.json["objective_jpy"] == pytest.approx(best_jpy, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_sold_beyond_what_a_resource_and_its_store_can_do(seed: int) -> None:
    dice = np.random.default_rng(seed)  # noqa: TID251 - seeded
    count = 4
    document = capacity_book(
        count,
        rules=RULES | {"kwh_xor_dkw": bool(seed % 2)},
        products=[UP | {"sustained_h": float(dice.choice([0.25, 0.5, 1.0, 2.0]))}, DOWN],
        resources=[resource("a", "A", 80.0), resource("b", "B", 200.0)],
        elements=POCKET,
        bids=[
            store(
                "battery",
                "a",
                count - 1,
                start_kwh=float(dice.uniform(10, 90)),
                reserve_kwh=10.0,
                charge_efficiency_ratio=0.9,
                discharge_efficiency_ratio=0.8,
                wear_jpy_per_kwh=1.0,
            ),
            *(
                held(
                    f"{product}{at}",
                    at,
                    (float(dice.uniform(10, 150)), float(dice.uniform(0, 8))),
                    window=(int(first), count - 1),
                    product=product,
                )
                for product in ("up", "down")
                for at, first in zip("ab", dice.integers(0, count, 2), strict=True)
            ),
            steps("supply", "b", "UP", (150, float(dice.uniform(5, 20))), window=(0, count - 1)),
            steps("soak", "b", "DOWN", (150, 0.0), window=(0, count - 1)),
        ],
        balance_needs=[
            balance_need(dice.uniform(0, 120, count).round(1).tolist(), cap=40),
            balance_need(dice.uniform(0, 60, count).round(1).tolist(), "DOWN", cap=20),
        ],
        capacity_needs=[
            capacity_need(dice.uniform(0, 150, count).round(1).tolist()),
            capacity_need(
                dice.uniform(0, 80, count).round(1).tolist(), id="capacity-down", product="down"
            ),
        ],
    )
    result = Result(document)  # raises if the certificate does not pass
    tick_kw = 0.1 + 1e-9
    for at, limit_kw in (("a", 80.0), ("b", 200.0)):
        for direction in ("UP", "DOWN"):
            sold_kw = np.zeros(count)
            for award in result.json["awards"]:
                if award["resource"] == at and award["direction"] == direction:
                    sold_kw += award["quantity_kw"]
            assert (sold_kw <= limit_kw + 4 * tick_kw).all()
    up_kw = np.array(result.award_kw("upa", "RESERVED"))
    energy_kwh = np.concatenate(
        [
            [document["bids"][0]["start_kwh"]],
            result.json["raw"]["bids"]["battery"]["x"]["energy"][:-1],
        ]
    )
    # at least half an hour's call, or the product's quarter, is in the store at its start
    called_kwh = min(0.5, document["products"][0]["sustained_h"]) * up_kw / 0.8
    assert (called_kwh <= energy_kwh - 10.0 + tick_kw).all()


@pytest.mark.parametrize(
    ("parts", "field", "rule"),
    [
        ({"product": "sideways"}, "product", "known product"),
        ({"v2_jpy_per_kwh": 20.1}, "v2_jpy_per_kwh", "must not exceed v1_jpy_per_kwh"),
        ({"v1_jpy_per_kwh": float("nan")}, "v1_jpy_per_kwh", "finite"),
        ({"resource": "c"}, "resource", "known resource"),
    ],
)
def test_a_capacity_bid_that_makes_no_sense_is_refused(
    parts: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(capacity_book(bids=[held("x", "a", (1, 1), **parts)]))
    assert refusal.value.field == f"bids[0].{field}"
    assert rule in refusal.value.rule


@pytest.mark.parametrize(
    ("offer", "field"),
    [
        ((-1.0, 1.0), "quantity_kw"),
        ((1.0, -0.1), "ask_jpy_per_kw"),
        ((float("inf"), 1.0), "quantity_kw"),
    ],
)
def test_an_offer_of_capacity_that_makes_no_sense_is_refused(
    offer: tuple[float, float], field: str
) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        snapshot_from_json(capacity_book(bids=[held("x", "a", offer)]))
    assert refusal.value.field == f"bids[0].offers[0].{field}"


def _failures(document: dict[str, Any], **changed: list[float]) -> str:
    """Clear, change what bids hold in the raw numbers, and return what the audit then says."""
    snapshot = snapshot_from_json(document)
    result = json.loads(Result(document).content)
    for bid, values in changed.items():
        result["raw"]["bids"].setdefault(bid, {}).setdefault("x", {})["reserved"] = values
    certificate = verify_document(
        json.loads(snapshot_bytes(snapshot)), result, snapshot_sha256(snapshot)
    )
    return "\n".join(certificate.failures)


def test_the_audit_sees_capacity_that_no_energy_backs() -> None:
    document = capacity_book(
        bids=[held("x", "a", (1000, 2)), store("battery", "a", 0, start_kwh=50.0)],
        capacity_needs=[capacity_need(1000)],
    )
    assert "deliver_energy_up" in _failures(document, x=[101.0])


def test_the_audit_sees_room_that_is_not_there() -> None:
    document = capacity_book(
        products=[DOWN],
        bids=[
            held("x", "a", (1000, 2), product="down"),
            store("battery", "a", 0, start_kwh=50.0),
        ],
        capacity_needs=[capacity_need(1000, product="down")],
    )
    assert "deliver_energy_down" in _failures(document, x=[101.0])


def test_the_audit_sees_a_call_that_overloads_a_line() -> None:
    document = capacity_book(
        elements=POCKET,
        products=[DOWN],
        bids=[held("x", "a", (100, 2), product="down")],
        capacity_needs=[capacity_need(100, product="down")],
    )
    assert "call of capacity" in _failures(document, x=[31.0])


def test_the_audit_sees_energy_and_capacity_of_one_resource() -> None:
    document = capacity_book(
        bids=[steps("energy", "a", "UP", (100, 10)), held("x", "a", (100, 1))],
        balance_needs=[balance_need(100)],
        capacity_needs=[capacity_need(100)],
    )
    assert "energy or capacity" in _failures(document, x=[1.0])
