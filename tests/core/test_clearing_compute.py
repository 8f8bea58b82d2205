"""Computing: who may be placed where, what a row says, and the two-site table with its money."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from market.core.audit.block import Market
from market.core.audit.forms import FORMS
from market.core.compute_publication import placed_on_ticks
from market.core.errors import InvalidSnapshot
from market.core.offers import compute
from market.core.offers.terms import Numbers, Terms
from market.core.reading import Reader
from tests.books import RULES, Result, bus, path, place, resource, steps

COUNT = 3
RESOURCES: dict[str, dict[str, Any]] = {
    "here": {"place": "A", "labels": ["country:JP"], "hardware": ["GPU"]},
    "there": {"place": "B", "labels": ["country:JP", "private"], "hardware": ["CPU", "GPU"]},
    "away": {"place": "C", "labels": [], "hardware": ["GPU"]},
}
PATHS: dict[str, dict[str, Any]] = {
    "ab": {"from_place": "A", "to_place": "B", "latency_ms": 5.0, "price_jpy_per_gb": 1.0},
    "ab2": {"from_place": "A", "to_place": "B", "latency_ms": 9.0, "price_jpy_per_gb": 0.5},
    "ba": {"from_place": "B", "to_place": "A", "latency_ms": 5.0, "price_jpy_per_gb": 1.0},
}


def _terms(offers: list[dict[str, Any]] | None = None) -> Terms:
    return Terms(
        interval_count=COUNT,
        interval_h=0.5,
        resources=RESOURCES,
        paths=PATHS,
        places={name: {"id": name} for name in "ABC"},
        compute_offers={offer["id"]: offer for offer in offers or []},
    )


def _offer(name: str, resource: str, **parts: Any) -> dict[str, Any]:
    return {
        "id": name,
        "form": "COMPUTE_OFFER",
        "resource": resource,
        "hardware": "GPU",
        "capacity_kw": 100.0,
        "ask_jpy_per_kwh": 2.0,
        "pue_ratio": 1.5,
    } | parts


def _request(name: str = "r", place: str = "A", **parts: Any) -> dict[str, Any]:
    return {
        "id": name,
        "form": "COMPUTE_REQUEST",
        "place": place,
        "first_t": 0,
        "last_t": 0,
        "quantity_kw": 10.0,
        "value_jpy_per_kwh": 300.0,
    } | parts


OFFERS = [_offer("oa", "here"), _offer("ob", "there"), _offer("oc", "away")]


def _requests(*bids: dict[str, Any], offers: list[dict[str, Any]] | None = None) -> Any:
    """Return the table of requests; offers are read first, in order of id."""
    found = [compute.parse_offer(_reader(offer), _terms()) for offer in offers or OFFERS]
    terms = _terms(found)
    numbers = Numbers(
        terms=terms,
        resources={name: number for number, name in enumerate(RESOURCES)},
        paths={name: number for number, name in enumerate(PATHS)},
        places={"A": 0, "B": 1, "C": 2},
        products={},
    )
    read = [compute.parse_request(_reader(bid), terms) for bid in bids]
    return compute.request_table(read, numbers), compute.offer_table(found, numbers)


def _reader(bid: dict[str, Any]) -> Reader:
    return Reader(bid, "bids[0]", InvalidSnapshot)


def _links(**parts: Any) -> list[tuple[int, int]]:
    """Return (offer, path) of every column a request from A would have; −1 is its own place."""
    requests, _ = _requests(_request(**parts))
    return list(zip(requests.link_offer.tolist(), requests.link_path.tolist(), strict=True))


def test_a_request_runs_at_its_place_and_wherever_a_path_leads() -> None:
    # A has an offer of its own; to B lead two paths, to C none.
    assert _links() == [(0, -1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("parts", "links"),
    [
        ({"labels_required": ["private"]}, [(1, 0), (1, 1)]),
        ({"labels_required": ["country:JP", "private"]}, [(1, 0), (1, 1)]),
        ({"labels_required": ["country:FR"]}, []),
        ({"hardware": "CPU"}, []),
        ({"hardware": "GPU"}, [(0, -1), (1, 0), (1, 1)]),
        ({"latency_max_ms": 5.0}, [(0, -1), (1, 0)]),
        ({"latency_max_ms": 4.9}, [(0, -1)]),
        ({"place": "B"}, [(0, 2), (1, -1)]),
        ({"place": "C"}, [(2, -1)]),
    ],
)
def test_a_forbidden_placement_has_no_column(
    parts: dict[str, Any], links: list[tuple[int, int]]
) -> None:
    requests, _ = _requests(_request(**parts))
    assert _links(**parts) == links
    columns = compute.request_columns(requests, interval_h=0.5, interval_count=COUNT)
    assert columns.count == len(links)
    assert len(columns.own["asked"].rhs) == (1 if links else 0)


def test_a_request_uses_what_it_says_of_offers_paths_and_its_quantity() -> None:
    requests, _ = _requests(
        _request(first_t=1, last_t=2, quantity_kw=[0.0, 10.0, 20.0], gb_per_kwh=4.0)
    )
    columns = compute.request_columns(requests, interval_h=0.5, interval_count=COUNT)
    # Placements oa at home, ob by ab, ob by ab2, each in half hours 1 and 2.
    assert columns.upper_kw.tolist() == [10.0, 20.0] * 3
    assert columns.cost_jpy.tolist() == [-150.0] * 6  # 0.5 h × 300
    assert columns.compute_kw.row.tolist() == [1, 2, 4, 5, 4, 5]
    assert columns.compute_kw.amount.tolist() == [1.0] * 6
    # The placement at home carries nothing: paths ab and ab2 are rows 0 … 2 and 3 … 5.
    assert columns.traffic_gb.row.tolist() == [1, 2, 4, 5]
    assert columns.traffic_gb.column.tolist() == [2, 3, 4, 5]
    assert columns.traffic_gb.amount.tolist() == [2.0] * 4  # 0.5 h × 4 GB/kWh
    asked = columns.own["asked"]
    assert asked.rhs.tolist() == [10.0, 20.0]
    assert asked.bid.tolist() == [0, 0]
    assert (asked.matrix @ np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])).tolist() == [21.0, 42.0]


def test_an_offer_draws_its_power_and_provides_what_it_runs() -> None:
    _, offers = _requests(_request())
    columns = compute.offer_columns(offers, interval_h=0.5)
    assert columns.upper_kw.tolist() == [100.0] * 9
    assert columns.cost_jpy.tolist() == [1.0] * 9  # 0.5 h × 2
    assert columns.compute_kw.row.tolist() == list(range(9))
    assert columns.compute_kw.amount.tolist() == [-1.0] * 9
    (leg,) = columns.legs
    assert (leg.name, leg.direction, leg.is_energy) == ("COMPUTE", "DOWN", True)
    assert leg.kw_per_unit.tolist() == [1.5] * 9
    assert leg.resource.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert leg.t.tolist() == [0, 1, 2] * 3


def test_a_single_quantity_stands_for_the_window() -> None:
    found = compute.parse_request(_reader(_request(first_t=1, last_t=1)), _terms())
    assert found["quantity_kw"] == [0.0, 10.0, 0.0]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"place": "Z"}, "place"),
        ({"quantity_kw": [10.0, 1.0, 0.0]}, "quantity_kw[1]"),
        ({"quantity_kw": [10.0, 0.0]}, "quantity_kw"),
        ({"quantity_kw": float("nan")}, "quantity_kw"),
        ({"quantity_kw": -1.0}, "quantity_kw"),
        ({"value_jpy_per_kwh": -1.0}, "value_jpy_per_kwh"),
        ({"value_jpy_per_kwh": float("inf")}, "value_jpy_per_kwh"),
        ({"last_t": 3}, "last_t"),
        ({"labels_required": ["a", "a"]}, "labels_required"),
        ({"latency_max_ms": -1.0}, "latency_max_ms"),
        ({"gb_per_kwh": -1.0}, "gb_per_kwh"),
        ({"resource": "here"}, "resource"),
    ],
)
def test_a_request_that_cannot_be_is_refused(parts: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        compute.parse_request(_reader(_request(**parts)), _terms())
    assert refusal.value.field == f"bids[0].{field}"


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"resource": "none"}, "resource"),
        ({"hardware": "CPU"}, "hardware"),
        ({"pue_ratio": 0.99}, "pue_ratio"),
        ({"pue_ratio": float("nan")}, "pue_ratio"),
        ({"capacity_kw": -1.0}, "capacity_kw"),
        ({"capacity_kw": [1.0]}, "capacity_kw"),
        ({"ask_jpy_per_kwh": float("inf")}, "ask_jpy_per_kwh"),
    ],
)
def test_an_offer_that_cannot_be_is_refused(parts: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        compute.parse_offer(_reader(_offer("o", "here") | parts), _terms())
    assert refusal.value.field == f"bids[0].{field}"


def _seeded(seed: int) -> dict[str, Any]:
    """Return the snapshot of a random compute market of three places."""
    dice = np.random.default_rng(seed)  # noqa: TID251 - seeded
    labels = ["country:JP", "private"]

    def some(names: list[str]) -> list[str]:
        return [name for name in names if dice.random() < 0.6]

    resources = [
        {
            "id": f"site-{n}",
            "place": "ABC"[n % 3],
            "labels": some(labels),
            "hardware": ["CPU", "GPU"],
        }
        for n in range(5)
    ]
    paths = [
        {"id": f"p{n}", "from_place": start, "to_place": end, "latency_ms": float(dice.integers(9))}
        for n, (start, end) in enumerate(["AB", "BA", "AB", "CA", "BC", "AA"])
    ]
    offers = [
        {
            "id": f"o{n}",
            "form": "COMPUTE_OFFER",
            "resource": f"site-{n}",
            "hardware": "CPU" if dice.random() < 0.3 else "GPU",
            "capacity_kw": [float(kw) for kw in dice.integers(0, 9, COUNT)],
            "ask_jpy_per_kwh": float(dice.integers(-2, 5)),
            "pue_ratio": 1.0 + float(dice.random()),
        }
        for n in range(5)
    ]
    requests = []
    for n in range(6):
        first_t = int(dice.integers(COUNT))
        last_t = int(dice.integers(first_t, COUNT))
        asked_kw = float(dice.integers(1, 9))
        request = _request(
            f"r{n}",
            "ABC"[int(dice.integers(3))],
            first_t=first_t,
            last_t=last_t,
            quantity_kw=[asked_kw if first_t <= t <= last_t else 0.0 for t in range(COUNT)],
            labels_required=some(labels)[:1],
            gb_per_kwh=float(dice.integers(3)),
        )
        requests.append(request | ({"hardware": "GPU"} if n % 2 else {"latency_max_ms": 5.0}))
    return {
        "interval_h": 0.5,
        "interval_count": COUNT,
        "places": [{"id": name, "loss_ratio": 0.0} for name in "ABC"],
        "resources": resources,
        "paths": paths,
        "bids": [*offers, *requests],
    }


def _model_of(snapshot: dict[str, Any]) -> dict[str, set[tuple[Any, ...]]]:
    """Return what the model's columns say, entry by entry, by bid id."""
    by_id = {kind: {item["id"]: item for item in snapshot[kind]} for kind in ("resources", "paths")}
    bids = snapshot["bids"]
    terms = Terms(
        interval_count=COUNT,
        interval_h=0.5,
        resources=by_id["resources"],
        paths=by_id["paths"],
        places={item["id"]: item for item in snapshot["places"]},
        compute_offers={bid["id"]: bid for bid in bids if bid["form"] == "COMPUTE_OFFER"},
    )
    numbers = Numbers(
        terms=terms,
        resources={name: number for number, name in enumerate(terms.resources)},
        paths={name: number for number, name in enumerate(terms.paths)},
        places={name: number for number, name in enumerate(terms.places)},
        products={},
    )
    requests = compute.request_columns(
        compute.request_table(bids, numbers), interval_h=0.5, interval_count=COUNT
    )
    offers = compute.offer_columns(compute.offer_table(bids, numbers), interval_h=0.5)
    found: dict[str, set[tuple[Any, ...]]] = {
        name: set() for name in ("bounds", "gb", "kw", "rows")
    }
    for part in (requests, offers):
        start = np.searchsorted(part.bid, np.arange(len(part.ids)))
        name = [part.ids[bid] for bid in part.bid]
        column = np.arange(part.count) - start[part.bid]
        found["bounds"] |= set(
            zip(name, column.tolist(), part.upper_kw.tolist(), part.cost_jpy.tolist(), strict=True)
        )
        for kind, use, where in (
            ("gb", part.traffic_gb, list(terms.paths)),
            ("kw", part.compute_kw, list(terms.compute_offers)),
        ):
            found[kind] |= {
                (name[c], int(column[c]), where[row // COUNT], int(row % COUNT), float(amount))
                for row, c, amount in zip(use.row, use.column, use.amount, strict=True)
            }
    asked = requests.own["asked"]
    row_start = np.searchsorted(asked.bid, np.arange(len(requests.ids)))
    entries = asked.matrix.tocoo()
    start = np.searchsorted(requests.bid, np.arange(len(requests.ids)))
    for row, c in zip(entries.row, entries.col, strict=True):
        bid = asked.bid[row]
        found["rows"].add(
            (
                requests.ids[bid],
                int(row - row_start[bid]),
                int(c - start[bid]),
                float(asked.rhs[row]),
            )
        )
    return found


def _audit_of(snapshot: dict[str, Any]) -> dict[str, set[tuple[Any, ...]]]:
    """Return the same, as the audit reads it."""
    market = Market(snapshot)
    found: dict[str, set[tuple[Any, ...]]] = {
        name: set() for name in ("bounds", "gb", "kw", "rows")
    }
    for bid in snapshot["bids"]:
        block = FORMS[bid["form"]](bid, market)
        ((_, family),) = block.families.items()
        for column, bounds in enumerate(zip(family.upper, family.cost_jpy, strict=True)):
            found["bounds"].add((bid["id"], column, *map(float, bounds)))
        for kind, uses in (("gb", block.traffic), ("kw", block.compute)):
            for use in uses:
                found[kind] |= {
                    (bid["id"], int(column), use.where, int(t), float(use.amount))
                    for column, t in zip(use.column, use.t, strict=True)
                    if use.amount
                }
        for rows in block.rows.values():
            (term,) = rows.terms
            found["rows"] |= {
                (bid["id"], int(row), int(column), float(rows.rhs[row]))
                for row, column in zip(term.row, term.column, strict=True)
            }
    return found


@pytest.mark.parametrize("seed", range(10))
def test_the_audit_reads_the_same_columns_as_the_model(seed: int) -> None:
    snapshot = _seeded(seed)
    model = _model_of(snapshot)
    assert model["kw"]
    assert model == _audit_of(snapshot)


def _three_sites(**trunk: Any) -> dict[str, Any]:
    """Return a request at A that two machines far away can serve, over the leaves of one trunk."""
    places = ["A", "B", "C"]
    return {
        "schema": "wattbit-snapshot/2",
        "auction": "trunk",
        "interval_h": 0.5,
        "interval_count": 1,
        "rules": RULES,
        "network": {
            "convention": "reactance",
            "base_mva": 100.0,
            "buses": [bus(name, area=name, island=name, slack=1.0) for name in places],
        },
        "places": [place(name) for name in places],
        "resources": [resource(f"site-{name}", name, hardware=["GPU"]) for name in places[1:]]
        + [resource(f"plant-{name}", name) for name in places[1:]],
        "paths": [path(id=f"a{name}", to_place=name, price_jpy_per_gb=1.0) for name in places[1:]],
        "trunks": [{"id": "trunk", "paths": ["aB", "aC"], "owner": "fibre"} | trunk],
        "bids": [
            steps("power-B", "plant-B", "UP", (1000, 10)),
            steps("power-C", "plant-C", "UP", (1000, 12)),
            _offer("gpu-B", "site-B", capacity_kw=40.0, ask_jpy_per_kwh=0.0, pue_ratio=1.0),
            _offer("gpu-C", "site-C", capacity_kw=40.0, ask_jpy_per_kwh=0.0, pue_ratio=1.0),
            _request(quantity_kw=100.0, value_jpy_per_kwh=50.0, gb_per_kwh=1.0),
        ],
    }


def test_a_trunk_bounds_the_sum_of_its_leaves_and_earns_the_rent() -> None:
    result = Result(_three_sites(capacity_gb=30.0))
    # 30 GB in half an hour carry 60 kW: all 40 of B, where power is cheaper, and 20 of C.
    assert result.get("compute", "gpu-B")["used_kw"] == [40.0]
    assert result.get("compute", "gpu-C")["used_kw"] == [20.0]
    request = result.get("requests", "r")
    assert request["placed"] == [
        {"offer": "gpu-B", "path": "aB", "kw": [40.0]},
        {"offer": "gpu-C", "path": "aC", "kw": [20.0]},
    ]
    # 40 kW stay without: the price is the value, 50. C costs 12 and the path 1: 37 for the trunk.
    assert request["price_jpy_per_kwh"] == [50.0]
    assert result.get("trunks", "trunk")["rent_jpy_per_gb"] == [37.0]
    # At B the same trunk leaves 50 − 1 − 37 = 12 of which power takes 10: 2 for the machine.
    assert result.get("compute", "gpu-B")["price_jpy_per_kwh"] == [12.0]
    assert result.get("compute", "gpu-B")["rent_jpy_per_kwh"] == [2.0]
    assert result.get("compute", "gpu-C")["price_jpy_per_kwh"] == [12.0]
    # 0.5 h × 60 kW × 50 = 1500 = B 0.5 × 40 × 12 + C 0.5 × 20 × 12 + 30 GB × (1 + 37).
    assert request["paid_jpy"] == 1500.0
    assert result.get("compute", "gpu-B")["receipt_jpy"] == 240.0
    assert result.get("compute", "gpu-C")["receipt_jpy"] == 120.0
    assert request["path_jpy"] == 1140.0
    assert result.money["residual_jpy"] == 0.0


def test_a_trunk_with_room_has_no_rent() -> None:
    result = Result(_three_sites(capacity_gb=41.0))
    # 40 GB carry the 80 kW that both machines have: now they are what is scarce, at 50 − 1 = 49.
    assert result.get("trunks", "trunk")["rent_jpy_per_gb"] == [0.0]
    assert result.get("compute", "gpu-B")["rent_jpy_per_kwh"] == [39.0]
    assert result.get("compute", "gpu-C")["rent_jpy_per_kwh"] == [37.0]


@pytest.mark.parametrize("seed", range(20))
def test_rounding_keeps_totals_and_never_exceeds_a_machine(seed: int) -> None:
    dice = np.random.default_rng(seed)  # noqa: TID251 - seeded
    bids = [_request(f"r{n}", "A", last_t=2, quantity_kw=0.0 if n == 4 else 5.0) for n in range(5)]
    requests, offers = _requests(*bids)
    # Per link a third of a request at most, so that all asks hold; machines hold what they run.
    raw_kw = dice.random((len(requests.link_request), COUNT)) * 5.0 / 3.0
    raw_kw[requests.link_request == 4] = 0.0
    run_kw = np.zeros(offers.capacity_kw.shape)
    np.add.at(run_kw, requests.link_offer, raw_kw)
    offers = replace(offers, capacity_kw=np.ceil(run_kw * 10) / 10)
    placed_kw = placed_on_ticks(raw_kw, requests, offers, 0.1)
    assert np.allclose(placed_kw, np.round(placed_kw, 1), atol=1e-9)
    assert np.max(np.abs(placed_kw - raw_kw)) <= 0.1
    served_kw, exact_kw = np.zeros((5, COUNT)), np.zeros((5, COUNT))
    np.add.at(served_kw, requests.link_request, placed_kw)
    np.add.at(exact_kw, requests.link_request, raw_kw)
    assert np.max(np.abs(served_kw - exact_kw)) < 0.1
    assert np.max(served_kw - requests.quantity_kw) <= 1e-9
    used_kw = np.zeros(run_kw.shape)
    np.add.at(used_kw, requests.link_offer, placed_kw)
    assert np.max(used_kw - offers.capacity_kw) <= 1e-9


def test_rounding_sends_a_spare_tick_where_there_is_room() -> None:
    requests, offers = _requests(
        _request("r1", latency_max_ms=5.0), _request("r2", latency_max_ms=5.0)
    )
    # Machine oa is full at 8.0: of the two ticks left over, one must go to ob.
    offers = replace(offers, capacity_kw=np.where(offers.capacity_kw > 0, [[8.0], [99], [99]], 0))
    placed = np.zeros((4, COUNT))
    placed[:, 0] = [5.7143, 4.2857, 2.2857, 1.7143]
    found = placed_on_ticks(placed, requests, offers, 0.1)[:, 0]
    assert found[0] + found[2] == pytest.approx(8.0)
    assert found[0] + found[1] == pytest.approx(10.0)
    assert found[2] + found[3] == pytest.approx(4.0)
