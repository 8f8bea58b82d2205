"""Auctions in which every kind of shared row has a price: for attacks on their results."""

from __future__ import annotations

from typing import Any

from tests.books import (
    RULES,
    balance_need,
    book,
    bus,
    local_need,
    path,
    place,
    resource,
    shift,
    steps,
    store,
)

Json = dict[str, Any]

FLOW = {"id": "line", "branch": "line", "rating_kw": 300.0, "base_flow_kw": 0.0}


def _block(name: str, kw: float, ask: float, **parts: Any) -> Json:
    return {
        "id": name,
        "form": "BLOCK",
        "resource": "b",
        "direction": "UP",
        "first_t": 0,
        "quantity_kw": [kw],
        "ask_jpy_per_kwh": ask,
    } | parts


def _held(name: str, at: str, kw: float, ask: float) -> Json:
    offer = {"first_t": 1, "last_t": 1, "quantity_kw": kw, "ask_jpy_per_kw": ask}
    return {
        "id": name,
        "form": "CAPACITY",
        "resource": at,
        "product": "up",
        "offers": [offer],
        "v1_jpy_per_kwh": 20.0,
        "v2_jpy_per_kwh": 10.0,
    }


def _computing() -> list[Json]:
    return [
        {
            "id": "hall",
            "form": "COMPUTE_OFFER",
            "resource": "hall",
            "hardware": "GPU",
            "capacity_kw": 50.0,
            "ask_jpy_per_kwh": 2.0,
            "pue_ratio": 1.5,
        },
        {
            "id": "work",
            "form": "COMPUTE_REQUEST",
            "place": "A",
            "first_t": 0,
            "last_t": 1,
            "quantity_kw": 70.0,
            "value_jpy_per_kwh": 300.0,
            "gb_per_kwh": 0.1,
        },
    ]


def rich_book() -> Json:
    """Return a book of two half hours in which every kind of shared row has a price.

    The pocket's connection may import 40 kW of the 100 it has scheduled, more than its bids can
    give back; a shift and a request would send more than the trunk's 20 GB; a store buys what the
    capacity sold from it needs.
    """
    return book(
        2,
        rules=RULES | {"envelope_price_jpy_per_kwh": 150.0, "fee_jpy_per_kwh": 0.1},
        products=[{"id": "up", "direction": "UP", "sustained_h": 0.5}],
        places=[place("A", 0.02), place("B"), place("C") | {"bus": "B"}],
        elements=[FLOW],
        resources=[
            resource("a", "A", 45.0),
            *(resource(name, "B", hardware=["GPU"]) for name in ("b", "backup", "hall")),
        ],
        paths=[path(price_jpy_per_gb=0.5), path(id="ab2", capacity_gb=30.0)],
        trunks=[{"id": "cable", "paths": ["ab", "ab2"], "capacity_gb": [20.0, 1e6]}],
        envelopes=[
            {
                "id": "gate",
                "place": "A",
                "kind": "ONLINE",
                "max_import_kw": 40.0,
                "scheduled_import_kw": [100.0, 60.0],
            },
            {
                "id": "wide",
                "place": "C",
                "kind": "FIXED",
                "max_import_kw": 2000.0,
                "scheduled_import_kw": 1000.0,
            },
        ],
        bids=[
            steps("supply", "b", "UP", (300, 10), (300, 25), window=(0, 1)),
            steps("pocket", "a", "UP", (40, 45), window=(0, 1)),
            _block("whole", 120.0, 12.0, resource="b"),
            shift(
                "move",
                1,
                gb_per_kwh=4.0,
                offers=[{"first_t": 0, "last_t": 1, "quantity_kw": 30.0, "ask_jpy_per_kwh": 5.0}],
            ),
            store("battery", "backup", 1),
            _held("spare", "backup", 80.0, 1.0),
            *_computing(),
        ],
        balance_needs=[
            {
                "id": "curve",
                "area": "03",
                "direction": "UP",
                "steps": [
                    {"need_kw": 110.0, "cap_jpy_per_kwh": 90.0},
                    {"need_kw": 400.0, "cap_jpy_per_kwh": 18.0},
                ],
            },
            balance_need([0.0, 20.0], cap=40.0, id="later"),
        ],
        place_needs=[{"id": "load", "place": "B", "need_kw": 60.0, "cap_jpy_per_kwh": 30.0}],
        capacity_needs=[
            {
                "id": "reserve",
                "area": "03",
                "product": "up",
                "need_kw": [0.0, 50.0],
                "cap_jpy_per_kwh": 15.0,
            }
        ],
    )


def carried_book() -> Json:
    """Return a load at A served over a line on which each kWh costs 2 JPY, up to its rating."""
    return book(
        elements=[FLOW | {"flow_cost_jpy_per_kwh": 2.0}],
        bids=[steps("far", "b", "UP", (500, 10)), steps("near", "a", "UP", (500, 15))],
        place_needs=[{"id": "load", "place": "A", "need_kw": 400.0, "cap_jpy_per_kwh": 50.0}],
    )


def relieved_book() -> Json:
    """Return a need for balance whose cure relieves the line by more than it is asked to.

    Of two blocks that exclude each other, both too dear, none is taken.
    """
    return book(
        bids=[
            steps("pocket", "a", "UP", (100, 10)),
            *(_block(name, 10.0, 500.0, exclusive_group="dear") for name in ("one", "two")),
        ],
        local_needs=[local_need(10)],
        balance_needs=[balance_need(100)],
    )


def traded_book() -> Json:
    """Return another island that is short of all but 10 kW over a link and 5 kW of shortage."""
    document = book(
        rules=RULES | {"deviation_limit_kw": 5.0},
        elements=[],
        bids=[steps("supply", "b", "UP", (500, 10))],
        balance_needs=[balance_need(30, cap=1000.0, id="far", area="05")],
    )
    network = document["network"]
    network["buses"].append(bus("D", area="05", island="60", slack=1.0))
    network["links"] = [{"id": "L", "from": "B", "to": "D", "limit_kw": 10.0}]
    return document


def called_book() -> Json:
    """Return capacity whose full call would take the line to its rating."""
    down = {"id": "up", "direction": "DOWN", "sustained_h": 0.5}
    return book(
        2,
        elements=[{"id": "line", "branch": "line", "rating_kw": 1000.0, "base_flow_kw": 970.0}],
        products=[down],
        bids=[_held("pocket", "a", 100.0, 1.0), _held("rest", "b", 100.0, 3.0)],
        capacity_needs=[
            {
                "id": "reserve",
                "area": "03",
                "product": "up",
                "need_kw": [0.0, 80.0],
                "cap_jpy_per_kwh": 10.0,
            }
        ],
    )
