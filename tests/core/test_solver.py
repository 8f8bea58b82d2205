"""How solving can fail, each with its name, and what happens then."""

from __future__ import annotations

import json

import cvxpy as cp
import numpy as np
import pytest

from market.core import faces, results, solver
from market.core.certificate import Certificate, Check
from market.core.clearing import clear
from market.core.errors import (
    InvalidSnapshot,
    ResultUnverified,
    SolverFailed,
    SolverInfeasible,
    SolverLimit,
    SolverNumerical,
    SolverUnbounded,
)
from market.core.results import clear_bytes
from market.core.rules import rules_from_json
from market.core.snapshot import snapshot_from_json
from tests.books import RULES, balance_need, book, steps, store

RULES_READ = rules_from_json(RULES)


def test_an_optimum_is_its_own_bound() -> None:
    x = cp.Variable(2, bounds=[0.0, 1.0])
    outcome = solver.solve_linear(cp.Problem(cp.Minimize(-cp.sum(x))), RULES_READ)
    assert (outcome.objective, outcome.bound) == (-2.0, -2.0)


def test_a_problem_without_a_solution_says_so() -> None:
    x = cp.Variable(1)
    with pytest.raises(SolverInfeasible):
        solver.solve_linear(cp.Problem(cp.Minimize(x[0]), [x >= 1, x <= 0]), RULES_READ)


def test_a_problem_without_a_limit_says_so() -> None:
    x = cp.Variable(1)
    with pytest.raises(SolverUnbounded):
        solver.solve_linear(cp.Problem(cp.Minimize(x[0])), RULES_READ)


def _market_split(retailers: int, markets: int) -> tuple[cp.Variable, cp.Expression]:
    """Return who serves whom, and what halving all markets at once misses by."""
    share = np.array(
        [[(7919 * (k + 3) * (m + 2) ** 3) % 97 for k in range(retailers)] for m in range(markets)]
    )
    x = cp.Variable(retailers, boolean=True)
    return x, share @ x - share.sum(axis=1) // 2


def test_beyond_the_node_limit_the_best_found_comes_with_its_bound() -> None:
    # Relaxations say nothing about halving four markets among thirty retailers: bound 0.
    x, missed = _market_split(30, 4)
    outcome = solver.solve_linear(
        cp.Problem(cp.Minimize(cp.sum(cp.abs(missed)))), rules_from_json(RULES | {"node_limit": 1})
    )
    assert outcome.is_limited
    assert outcome.bound == 0.0 < outcome.objective
    assert outcome.objective == pytest.approx(float(np.abs(missed.value).sum()), abs=1e-6)
    assert set(np.round(x.value, 6)) == {0.0, 1.0}


def test_beyond_the_node_limit_with_nothing_found_there_is_no_outcome() -> None:
    # One split exists, the one planted: every third retailer. No relaxation points at it.
    retailer, market = np.arange(40), np.arange(8)[:, None]
    share = np.floor(1e5 * np.abs(np.sin(12.9 * retailer + 78.2 * market))) % 997
    x = cp.Variable(40, boolean=True)
    planted = (retailer % 3 == 0).astype(float)
    with pytest.raises(SolverLimit):
        solver.solve_linear(
            cp.Problem(cp.Minimize(cp.sum(x)), [share @ x == share @ planted]),
            rules_from_json(RULES | {"node_limit": 1}),
        )


def test_a_solver_that_gives_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(*_: object, **__: object) -> None:
        raise cp.SolverError("lost its footing")

    monkeypatch.setattr(cp.Problem, "solve", gives_up)
    with pytest.raises(SolverNumerical, match="footing"):
        clear(snapshot_from_json(book(bids=[steps("one", "a", "UP", (1, 1))])))


def test_an_inaccurate_answer_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cp.Problem, "solve", lambda *_, **__: None)
    monkeypatch.setattr(cp.Problem, "status", cp.OPTIMAL_INACCURATE)
    with pytest.raises(SolverNumerical, match="inaccurate"):
        clear(snapshot_from_json(book(bids=[steps("one", "a", "UP", (1, 1))])))


def test_a_work_limit_is_a_count_and_ends_the_same_way_each_time() -> None:
    document = book(
        6,
        bids=[
            steps("supply", "b", "UP", (100, 10), window=(0, 5)),
            store("battery", "a", 5, start_kwh=50.0, end_min_kwh=50.0),
        ],
        balance_needs=[balance_need([50, 150, 20, 180, 10, 170])],
        elements=[],
    )
    document["rules"]["iteration_limit"] = 1
    for _ in range(2):
        with pytest.raises(SolverLimit):
            clear(snapshot_from_json(document))


def test_without_the_second_solve_any_optimum_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(_: object) -> None:
        raise SolverFailed

    monkeypatch.setattr(faces, "solve_quadratic", gives_up)
    document = book(
        bids=[steps("large", "a", "UP", (300, 10)), steps("small", "b", "UP", (100, 10))],
        balance_needs=[balance_need(200)],
        elements=[],
    )
    result = json.loads(clear_bytes(json.dumps(document).encode()))
    assert result["certificate"]["passed"]
    assert sum(award["quantity_kw"][0] for award in result["awards"]) == 200.0


def test_a_result_that_fails_its_check_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Certificate((Check("money", 2.0, 1.0),))
    monkeypatch.setattr(results, "verify_document", lambda *_: failing)
    with pytest.raises(ResultUnverified, match=r"money is 2\.0, at most 1\.0"):
        clear_bytes(json.dumps(book()).encode())


def test_a_snapshot_that_is_none_is_refused_before_any_solver() -> None:
    with pytest.raises(InvalidSnapshot):
        clear_bytes(b"{}")
