"""One solver kept over many runs finds what a cold one finds."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from market.core.clearing import clear
from market.core.errors import SolverNumerical
from market.core.pricing import prices
from market.core.rerun import Rerun
from market.core.snapshot import snapshot_from_json
from tests.books import balance_need, book, branch, bus, local_need, place, resource, steps, store

COUNT = 6


def ring(demand_kw: float = 600.0, ask: float = 10.0, rating_kw: float = 300.0) -> dict[str, Any]:
    """Return three buses in a ring, cheap at A, dear at B, a store at C and a tight line."""
    return book(
        COUNT,
        network={
            "convention": "reactance",
            "base_mva": 100.0,
            "buses": [bus("A"), bus("B"), bus("C", slack=1.0)],
            "branches": [branch("ab", "A", "B"), branch("bc", "B", "C"), branch("ac", "A", "C")],
        },
        elements=[
            {"id": name, "branch": name, "rating_kw": rating_kw, "base_flow_kw": 0.0}
            for name in ("ab", "bc", "ac")
        ],
        places=[place("A"), place("B"), place("C")],
        resources=[resource("a", "A"), resource("b", "B"), resource("c", "C")],
        bids=[
            steps("cheap", "a", "UP", (1000, ask), window=(0, COUNT - 1)),
            steps("dear", "b", "UP", (1000, 30), window=(0, COUNT - 1)),
            store("battery", "c", COUNT - 1),
        ],
        place_needs=[
            {
                "id": "load",
                "place": "C",
                "need_kw": [demand_kw * ratio for ratio in (0.6, 0.8, 1.0, 1.2, 1.0, 0.7)],
                "cap_jpy_per_kwh": 200.0,
            }
        ],
    )


def _same(kept: Rerun, document: dict[str, Any]) -> None:
    snapshot = snapshot_from_json(document)
    warm, cold = kept.clear(snapshot), clear(snapshot)
    assert warm.objective_jpy == pytest.approx(cold.objective_jpy, rel=1e-9, abs=1e-6)
    assert warm.programme.snapshot is snapshot


def test_new_numbers_lead_to_the_cold_optimum() -> None:
    kept = Rerun()
    for demand_kw, ask in ((600, 10), (650, 12), (300, 40), (900, 5), (600, 10)):
        _same(kept, ring(demand_kw, ask))


def test_prices_are_those_of_the_lines() -> None:
    # as in the flow of a triangle: a MW from A loads A-C with 2/3, one from B with 1/3
    document = ring()
    document["bids"] = document["bids"][:2]
    snapshot, kept = snapshot_from_json(document), Rerun()
    for _ in range(2):
        found = prices(kept.clear(snapshot)).place_jpy_per_kwh
        # 480 kW at t = 1: 420 from A and 60 from B fill A-C; 10 at A, 30 at B, 50 at C
        assert found[:, 1] == pytest.approx([10.0, 30.0, 50.0])


def test_rows_found_before_are_kept_and_new_ones_added() -> None:
    kept = Rerun()
    free = kept.clear(snapshot_from_json(ring(200.0)))
    tight = kept.clear(snapshot_from_json(ring(700.0)))
    again = kept.clear(snapshot_from_json(ring(200.0)))

    def rows(found: Any) -> int:
        return len(found.programme.rows["headroom_up"].rhs)

    assert rows(free) < rows(tight) == rows(again)


def test_another_grid_starts_anew() -> None:
    kept = Rerun()
    _same(kept, ring())
    other = copy.deepcopy(ring())
    other["network"]["branches"][0]["reactance_pu"] = 0.3
    _same(kept, other)
    more = copy.deepcopy(ring())
    more["bids"].append(steps("third", "c", "UP", (50, 20), window=(0, COUNT - 1)))
    _same(kept, more)
    _same(kept, book(bids=[steps("one", "a", "UP", (300, 20))], local_needs=[local_need(200)]))
    _same(kept, book(bids=[steps("one", "a", "UP", (300, 20))], balance_needs=[balance_need(50)]))


def test_other_ratings_are_new_numbers() -> None:
    kept = Rerun()
    for rating_kw in (300.0, 250.0, 1000.0, 100.0):
        _same(kept, ring(rating_kw=rating_kw))


def test_a_failed_run_is_forgotten() -> None:
    kept = Rerun()
    limited = ring()
    limited["rules"]["iteration_limit"] = 1
    with pytest.raises(SolverNumerical):
        kept.clear(snapshot_from_json(limited))
    _same(kept, ring())


def test_another_efficiency_changes_the_rows_themselves() -> None:
    kept = Rerun()
    for ratio in (0.95, 0.7, 0.5):
        document = ring()
        document["bids"][2]["discharge_efficiency_ratio"] = ratio
        _same(kept, document)


def test_the_answer_is_an_optimum_row_by_row_whenever_rows_were_found() -> None:
    # more and more half hours are tight, the later ones first: rows come in another order, and
    # each has a price of its own
    kept = Rerun()
    for demand_kw in (300.0, 420.0, 500.0, 640.0, 560.0):
        document = ring(demand_kw)
        document["bids"] = document["bids"][:2]
        (whole,) = document["bids"][1]["curves"]
        document["bids"][1]["curves"] = [
            {
                "first_t": t,
                "last_t": t,
                "steps": [{**whole["steps"][0], "ask_jpy_per_kwh": 30.0 + 5.0 * t}],
            }
            for t in range(COUNT)
        ]
        _is_optimum(kept.clear(snapshot_from_json(document)))


def _is_optimum(found: Any) -> None:
    current = found.programme
    reduced = current.cost_jpy - sum(
        rows.matrix.T @ found.dual_jpy_per_kw[name] for name, rows in current.rows.items()
    )
    assert np.abs((found.x_kw - current.lower_kw)[reduced > 1e-6]).max(initial=0.0) < 1e-6
    assert np.abs((current.upper_kw - found.x_kw)[reduced < -1e-6]).max(initial=0.0) < 1e-6
    for name, rows in current.rows.items():
        left = rows.rhs - rows.matrix @ found.x_kw
        dual = found.dual_jpy_per_kw[name]
        if rows.is_equal:
            assert np.abs(left).max(initial=0.0) < 1e-6
        else:
            assert left.min(initial=0.0) > -1e-6
            assert np.abs(left * dual).max(initial=0.0) < 1e-4
            assert dual.max(initial=0.0) < 1e-9
