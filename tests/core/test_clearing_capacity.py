"""Capacity: what it costs, what must back it, where it could be called, and what it excludes."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_the_rule_holds_for_a_block_that_may_be_taken_in_part() -> None:
    block = {
        "id": "energy",
        "form": "BLOCK",
        "resource": "a",
        "direction": "UP",
        "first_t": 0,
        "quantity_kw": [100.0],
        "ask_jpy_per_kwh": 10.0,
        "acceptance_min_ratio": 0.1,
    }
    book = capacity_book(
        rules=RULES | {"kwh_xor_dkw": True},
        resources=[resource("a", "A", 100.0), resource("b", "B")],
        bids=[block, held("capacity", "a", (100, 1)), steps("other", "b", "UP", (1000, 30))],
        balance_needs=[balance_need(200)],
        capacity_needs=[capacity_need(60, cap=20.0)],
    )
    # The block alone saves 100 × ½ × (30 − 10) = 1000; capacity alone brings 60 × 19 = 1140.
    result = Result(book)
    assert result.award_kw("capacity", "RESERVED") == [60.0]
    assert result.award_kw("energy", "BLOCK") == [0.0]


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
