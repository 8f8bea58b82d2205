"""Capacity: what it costs, what must back it, where it could be called, and what it excludes."""

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
from tests.books import RULES, Result, balance_need, book, place, resource, steps, store

UP = {"id": "up", "direction": "UP", "sustained_h": 0.5}
DOWN = {"id": "down", "direction": "DOWN", "sustained_h": 0.5}


def held(
    name: str, at: str, *offers: tuple[float, float], window: tuple[int, int] = (0, 0), **parts: Any
) -> dict[str, Any]:
    """Return a capacity bid of (kW, JPY per kW and 30 min) offers over one window."""
    return {
        "id": name,
        "form": "CAPACITY",
        "resource": at,
        "product": "up",
        "offers": [
            {
                "first_t": window[0],
                "last_t": window[1],
                "quantity_kw": quantity_kw,
                "ask_jpy_per_kw": ask,
            }
            for quantity_kw, ask in offers
        ],
        "v1_jpy_per_kwh": 20.0,
        "v2_jpy_per_kwh": 10.0,
    } | parts


def capacity_need(need_kw: Any, cap: Any = 10.0, **parts: Any) -> dict[str, Any]:
    """Return a need of area 03 for product up."""
    return {
        "id": "capacity",
        "area": "03",
        "product": "up",
        "need_kw": need_kw,
        "cap_jpy_per_kwh": cap,
    } | parts


def capacity_book(interval_count: int = 1, **parts: Any) -> dict[str, Any]:
    """Return a book without monitored elements in which product up is traded."""
    return book(interval_count, **({"elements": [], "products": [UP]} | parts))


def price(result: Result) -> list[float]:
    """Return what the capacity need pays per kW and 30 min."""
    return list(result.get("needs", "capacity")["price_jpy_per_kw"])


def test_the_marginal_ask_sets_the_price_of_capacity() -> None:
    result = Result(
        capacity_book(
            bids=[held("x", "a", (100, 2)), held("y", "b", (100, 3))],
            capacity_needs=[capacity_need(150)],
        )
    )
    assert result.award_kw("x", "RESERVED") == [100.0]
    assert result.award_kw("y", "RESERVED") == [50.0]
    assert price(result) == [3.0]
    award = result.award("x", "RESERVED")
    assert (award["product"], award["direction"]) == ("up", "UP")
    assert award["price_jpy_per_kw"] == [3.0]
    assert award["cost_jpy"] == 200.0
    # 100 × (10 − 2) + 50 × (10 − 3)
    assert result.json["objective_jpy"] == pytest.approx(1150, abs=1e-6)
    # 150 kW × 3 JPY per kW and 30 min
    assert result.money["buyers_jpy"] == 450.0
    assert result.money["sellers_jpy"] == 450.0


def test_capacity_moves_no_energy() -> None:
    result = Result(
        capacity_book(bids=[held("x", "a", (100, 2))], capacity_needs=[capacity_need(100)])
    )
    assert result.price("areas", "03") == [0.0]
    assert result.get("areas", "03")["deviation_kw"] == [0.0]


def test_an_interval_of_an_hour_holds_capacity_for_two_half_hours() -> None:
    result = Result(
        capacity_book(
            interval_h=1.0, bids=[held("x", "a", (100, 2))], capacity_needs=[capacity_need(50)]
        )
    )
    assert price(result) == [2.0]
    assert result.award("x", "RESERVED")["cost_jpy"] == 200.0  # 50 kW × 2 JPY × 2
    assert result.money["buyers_jpy"] == 200.0
    # 50 × (10 − 2) × 2
    assert result.json["objective_jpy"] == pytest.approx(800, abs=1e-6)


def test_losses_count_once_towards_the_sending_end() -> None:
    result = Result(
        capacity_book(
            places=[place("A", loss_ratio=0.2), place("B")],
            bids=[held("x", "a", (1000, 2))],
            capacity_needs=[capacity_need(100)],
        )
    )
    # 80 kW received are 80 ÷ 0.8 = 100 kW sent; 2 JPY asked per kW received are 1.6 per kW sent.
    assert result.award_kw("x", "RESERVED") == [80.0]
    assert price(result) == [1.6]
    assert result.award("x", "RESERVED")["price_jpy_per_kw"] == [2.0]
    assert result.money["buyers_jpy"] == result.money["sellers_jpy"] == 160.0


def test_a_stepped_demand_takes_less_capacity_when_it_is_dear() -> None:
    need = {
        "id": "capacity",
        "area": "03",
        "product": "up",
        "steps": [
            {"need_kw": 50.0, "cap_jpy_per_kwh": 10.0},
            {"need_kw": 50.0, "cap_jpy_per_kwh": 2.5},
        ],
    }
    result = Result(capacity_book(bids=[held("x", "a", (30, 1), (100, 3))], capacity_needs=[need]))
    # 3 JPY is above the second step's 2.5.
    assert result.award_kw("x", "RESERVED") == [50.0]
    assert price(result) == [3.0]


def test_stored_energy_backs_a_full_call_for_as_long_as_it_must_last() -> None:
    result = Result(
        capacity_book(
            6,
            products=[UP | {"sustained_h": 2.0}],
            bids=[
                held("x", "a", (1000, 2), window=(0, 3)),
                store("battery", "a", 5, start_kwh=100.0, discharge_efficiency_ratio=0.8),
            ],
            capacity_needs=[capacity_need(1000)],
        )
    )
    # 100 kWh × 0.8 ÷ 2 h = 40 kW over the four half hours that may be called in a row
    assert result.award_kw("x", "RESERVED") == [40.0, 40.0, 40.0, 40.0, 0.0, 0.0]
    assert result.award_kw("battery", "DISCHARGE") == [0.0] * 6


def test_a_product_of_minutes_needs_energy_for_minutes() -> None:
    result = Result(
        capacity_book(
            products=[UP | {"sustained_h": 0.25}],
            bids=[held("x", "a", (1000, 2)), store("battery", "a", 0, start_kwh=100.0)],
            capacity_needs=[capacity_need(1000)],
        )
    )
    # 100 kWh ÷ 0.25 h
    assert result.award_kw("x", "RESERVED") == [400.0]


def test_the_reserve_and_what_leaks_away_back_nothing() -> None:
    result = Result(
        capacity_book(
            2,
            products=[UP | {"sustained_h": 1.0}],
            bids=[
                held("x", "a", (1000, 2), window=(1, 1)),
                store("ups", "a", 1, start_kwh=100.0, reserve_kwh=19.0, standing_loss_ratio=0.19),
            ],
            capacity_needs=[capacity_need(1000)],
        )
    )
    # 19 % an hour leave √0.81 = 0.9 per half hour. A call in the second half hour, thought to last
    # from the start of the first on: (100 − 19) × 0.81 = 65.61 kWh ÷ 0.5 h = 131.22 kW; from its
    # own start on: (90 − 19) × 0.9 = 63.9 kWh ÷ 0.5 h = 127.8 kW, which is less.
    assert result.award_kw("x", "RESERVED") == [0.0, 127.8]


def test_room_backs_capacity_called_down() -> None:
    result = Result(
        capacity_book(
            products=[DOWN],
            bids=[
                held("x", "a", (1000, 2), product="down"),
                store("battery", "a", 0, start_kwh=40.0, charge_efficiency_ratio=0.75),
            ],
            capacity_needs=[capacity_need(1000, product="down")],
        )
    )
    # (100 − 40) kWh ÷ 0.75 ÷ 0.5 h
    assert result.award_kw("x", "RESERVED") == [160.0]
    assert result.award("x", "RESERVED")["direction"] == "DOWN"


def test_a_store_that_is_not_on_offer_backs_nothing() -> None:
    result = Result(
        capacity_book(
            4,
            bids=[
                held("x", "a", (1000, 2), window=(0, 3)),
                store("battery", "a", 2, first_t=1, start_kwh=100.0),
            ],
            capacity_needs=[capacity_need(10)],
        )
    )
    assert result.award_kw("x", "RESERVED") == [0.0, 10.0, 10.0, 0.0]


def test_a_store_buys_at_a_loss_what_its_capacity_needs() -> None:
    result = Result(
        capacity_book(
            2,
            bids=[
                held("x", "a", (1000, 1), window=(1, 1)),
                store("battery", "a", 1),
                steps("supply", "b", "UP", (1000, 8)),
            ],
            capacity_needs=[capacity_need([0, 60])],
        )
    )
    # 60 kW for half an hour are 30 kWh, bought for 8 JPY: 240 JPY; the capacity is worth 540.
    assert result.award_kw("battery", "CHARGE") == [60.0, 0.0]
    assert result.award_kw("x", "RESERVED") == [0.0, 60.0]
    assert result.json["objective_jpy"] == pytest.approx(300, abs=1e-6)
    # Asking 1 and holding 0.5 kWh of 8 JPY per kW: 5 JPY.
    assert price(result) == [0.0, 5.0]
    assert result.price("areas", "03")[0] == 8.0
    # The store pays 240, the capacity of the same resource earns 300: 60 of it are its ask.
    assert result.money["sellers_jpy"] == 300.0


POCKET = [{"id": "line", "branch": "line", "rating_kw": 1000.0, "base_flow_kw": 970.0}]


def test_a_full_call_keeps_lines_within_their_headroom() -> None:
    result = Result(
        capacity_book(
            elements=POCKET,
            products=[DOWN],
            bids=[
                held("pocket", "a", (100, 1), product="down"),
                held("rest", "b", (100, 3), product="down"),
            ],
            capacity_needs=[capacity_need(80, product="down")],
        )
    )
    # More load in the pocket loads the line to it: 1000 − 970 = 30 kW of room.
    assert result.award_kw("pocket", "RESERVED") == [30.0]
    assert result.award_kw("rest", "RESERVED") == [50.0]
    assert price(result) == [3.0]
    # The last kW of room is worth 3 − 1 JPY per 30 min, 4 JPY per kWh called; the line's owner
    # gets it, the pocket is left with its ask.
    assert result.award("pocket", "RESERVED")["price_jpy_per_kw"] == [1.0]
    assert result.award("rest", "RESERVED")["price_jpy_per_kw"] == [3.0]
    line = result.get("elements", "line")
    assert line["call_rent_up_jpy_per_kwh"] == [4.0]
    assert line["rent_jpy"] == 60.0  # 30 kW × 0.5 h × 4
    # 80 × 3 = 30 × 1 + 50 × 3 + 60
    assert result.money["buyers_jpy"] == 240.0
    assert result.money["sellers_jpy"] == 180.0
    assert result.money["congestion_rent_jpy"] == 60.0


def test_the_names_of_lines_are_free() -> None:
    result = Result(  # raises if the audit can not read what it checks
        capacity_book(
            elements=[POCKET[0] | {"id": "03|UP|line|1"}],
            products=[DOWN],
            bids=[held("pocket", "a", (100, 1), product="down")],
            capacity_needs=[capacity_need(80, product="down")],
        )
    )
    # 30 kW of room; the need takes no more than that, so each kW of it is worth 10 − 1 = 9 JPY.
    assert result.get("elements", "03|UP|line|1")["call_rent_up_jpy_per_kwh"] == [18.0]


def test_energy_and_a_call_share_the_headroom() -> None:
    result = Result(
        capacity_book(
            elements=POCKET,
            products=[DOWN],
            resources=[resource("a", "A"), resource("a2", "A"), resource("b", "B")],
            bids=[
                held("pocket", "a", (100, 1), product="down"),
                steps("soak", "a2", "DOWN", (20, -5)),
            ],
            balance_needs=[balance_need(100, "DOWN", cap=50)],
            capacity_needs=[capacity_need(80, product="down")],
        )
    )
    # 30 kW of room: 20 kW for all the energy on offer, worth 50 + 5 JPY/kWh, 10 kW for a call.
    assert result.award_kw("soak") == [20.0]
    assert result.award_kw("pocket", "RESERVED") == [10.0]
    # At the margin a kW of room is worth 10 − 1 = 9 JPY per 30 min, 18 JPY/kWh, to both.
    assert result.get("places", "A")["price_jpy_per_kwh"] == [-32.0]  # −50 + 18
    assert result.get("elements", "line")["rent_jpy"] == 270.0  # 30 × 0.5 × 18


def _either(*, is_exclusive: bool, cap: float) -> Result:
    return Result(
        capacity_book(
            rules=RULES | {"kwh_xor_dkw": is_exclusive},
            resources=[resource("a", "A", 100.0), resource("b", "B")],
            bids=[
                steps("energy", "a", "UP", (100, 10)),
                held("capacity", "a", (100, 1)),
                steps("other", "b", "UP", (1000, 30)),
            ],
            balance_needs=[balance_need(200)],
            capacity_needs=[capacity_need(60, cap=cap)],
        )
    )


def test_energy_forgone_shows_in_the_price_of_capacity() -> None:
    result = _either(is_exclusive=False, cap=20.0)
    assert result.award_kw("capacity", "RESERVED") == [60.0]
    assert result.award_kw("energy") == [40.0]
    # 1 JPY asked + half an hour at 30 − 10 JPY/kWh forgone
    assert price(result) == [11.0]


def test_capacity_below_the_energy_forgone_is_not_sold() -> None:
    result = _either(is_exclusive=False, cap=10.5)
    assert result.award_kw("capacity", "RESERVED") == [0.0]
    assert result.award_kw("energy") == [100.0]


def test_a_resource_sells_energy_or_capacity_where_the_rules_say_so() -> None:
    result = _either(is_exclusive=True, cap=20.0)
    # Both: 60 × (20 − 1) + 40 × ½ (30 − 10). Energy alone saves 100 × ½ × 20 = 1000; capacity
    # alone brings 60 × 19 = 1140.
    assert result.award_kw("capacity", "RESERVED") == [60.0]
    assert result.award_kw("energy") == [0.0]
    # ½ × 200 × (100 − 30) + 1140
    assert result.json["objective_jpy"] == pytest.approx(8140, abs=1e-6)
    assert result.json["gap_ratio"] == 0.0
    # With capacity at 16 JPY it would be 60 × 15 = 900 against 1000.
    other = _either(is_exclusive=True, cap=16.0)
    assert other.award_kw("capacity", "RESERVED") == [0.0]
    assert other.award_kw("energy") == [100.0]
    assert other.json["objective_jpy"] == pytest.approx(8000, abs=1e-6)


def test_the_rule_holds_half_hour_by_half_hour_and_for_both_directions() -> None:
    result = Result(
        capacity_book(
            2,
            bids=[
                steps("soak", "a", "DOWN", (100, 0), window=(0, 1)),
                held("x", "a", (100, 1), window=(0, 1)),
            ],
            balance_needs=[balance_need([100, 0], "DOWN", cap=50)],
            capacity_needs=[capacity_need(100)],
        )
    )
    # 0.5 × 100 × 50 = 2500 JPY against 100 × 9 in the first half hour, nothing in the second
    assert result.award_kw("soak") == [100.0, 0.0]
    assert result.award_kw("x", "RESERVED") == [0.0, 100.0]


def test_one_battery_chooses_between_selling_its_energy_and_holding_it() -> None:
    def cleared(cap: float) -> Result:
        return Result(
            capacity_book(
                2,
                bids=[
                    store("battery", "a", 1, start_kwh=50.0),
                    held("x", "a", (100, 1), window=(0, 0)),
                ],
                balance_needs=[balance_need([0, 1000], cap=[0, 30])],
                capacity_needs=[capacity_need([1000, 0], cap=cap)],
            )
        )

    # What is held in the first half hour may be called, but is expected to be there in the second:
    # 50 kWh back 100 kW and are sold for 30 JPY all the same.
    result = cleared(10.0)
    assert result.award_kw("x", "RESERVED") == [100.0, 0.0]
    assert result.award_kw("battery", "DISCHARGE") == [0.0, 100.0]


def test_energy_sold_before_is_no_longer_there_to_be_held() -> None:
    result = Result(
        capacity_book(
            2,
            bids=[
                store("battery", "a", 1, start_kwh=50.0),
                held("x", "a", (100, 1), window=(1, 1)),
                steps("other", "b", "UP", (1000, 14)),
            ],
            balance_needs=[balance_need([1000, 0])],
            capacity_needs=[capacity_need([0, 80])],
        )
    )
    # A kW held needs half a kWh, which would save 7 JPY in the first half hour: 1 + 7 JPY are below
    # 10. The 20 kW that are not held are 10 kWh, sold as 20 kW.
    assert result.award_kw("x", "RESERVED") == [0.0, 80.0]
    assert result.award_kw("battery", "DISCHARGE") == [20.0, 0.0]
    assert price(result) == [0.0, 8.0]


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
