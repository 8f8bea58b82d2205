"""Every way a clearing can fail, provoked, and what is left of it to be published."""

from __future__ import annotations

import json
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from market.core import clearing, idle, solver
from market.core.errors import (
    ResultUnverified,
    SolverFailed,
    SolverInfeasible,
    SolverLimit,
    SolverNumerical,
    SolverUnbounded,
)
from market.core.model import Model
from market.core.results import clear_bytes
from market.core.rules import rules_from_json
from market.core.snapshot import snapshot_from_json
from tests.books import RULES, balance_need, book, steps, store
from tests.mixed_books import market

RULES_READ = rules_from_json(RULES)
SEEDS = range(6)


def small(**rules: Any) -> bytes:
    document = book(bids=[steps("one", "a", "UP", (300, 20))], balance_needs=[balance_need(200)])
    document["rules"] |= rules
    return json.dumps(document).encode()


def block(name: str, kw: float, ask: float) -> dict[str, Any]:
    return {
        "id": name,
        "form": "BLOCK",
        "resource": "b",
        "direction": "UP",
        "first_t": 0,
        "quantity_kw": [kw],
        "ask_jpy_per_kwh": ask,
    }


def knapsack(**rules: Any) -> bytes:
    """Return a need that whole blocks cover only almost: no relaxation says which of them."""
    kws = (310.0, 290.0, 270.0, 230.0, 190.0, 170.0, 130.0, 110.0)
    document = book(
        bids=[block(f"b{n}", kw, 10.0 + 0.1 * n) for n, kw in enumerate(kws)],
        balance_needs=[balance_need(1000.0)],
        elements=[],
    )
    document["resources"][1] |= {"limit_up_kw": 5000.0}
    document["rules"] |= rules
    return json.dumps(document).encode()


@pytest.mark.parametrize("seed", SEEDS)
def test_doing_nothing_passes_the_independent_check(seed: int) -> None:
    assert idle.idle_failures(snapshot_from_json(market(seed))) == ()


def test_a_store_that_does_nothing_loses_what_stands() -> None:
    # 50 kWh at 1 % an hour: after each half hour the energy is what it was times 0.99^0.5
    document = book(3, bids=[store("battery", "a", 2, start_kwh=50.0, standing_loss_ratio=0.01)])
    snapshot = snapshot_from_json(document)
    base = clearing.programme(snapshot)
    found = idle.idle_kw(base)[base.slices["STORAGE"]]
    assert found[-3:] == pytest.approx(50.0 * 0.99 ** np.array([0.5, 1.0, 1.5]))


def test_an_impossible_start_is_seen_by_the_check_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = snapshot_from_json(json.loads(small()))
    true_idle = idle.idle_kw
    monkeypatch.setattr(idle, "idle_kw", lambda base: true_idle(base) + 1.0)
    assert idle.idle_failures(snapshot)
    assert "a bug of the door" in idle.idle_verdict(snapshot)


def test_infeasible_is_proved_to_be_our_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Model):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            first = next(iter(self.parts.values()))
            self.problem = cp.Problem(
                self.problem.objective, [*self.problem.constraints, first >= 1e6]
            )

    monkeypatch.setattr(clearing, "Model", Broken)
    with pytest.raises(SolverInfeasible) as failure:
        clear_bytes(small())
    # the first says so, the second agrees, and neither is believed
    assert str(failure.value).count("infeasible") >= 2
    assert "doing nothing passes the independent check: a bug of the engine" in str(failure.value)


def test_unbounded_names_what_has_no_bound() -> None:
    x = cp.Variable(2, name="shed", bounds=[0.0, np.inf])
    y = cp.Variable(1, name="served", bounds=[0.0, 1.0])
    with pytest.raises(SolverUnbounded, match=r"without bounds: shed$"):
        solver.solve_linear(cp.Problem(cp.Minimize(-cp.sum(x) - y[0])), RULES_READ)


def test_an_iteration_limit_leaves_nothing_to_publish() -> None:
    document = book(
        4,
        bids=[
            steps("supply", "b", "UP", (100, 10), window=(0, 3)),
            store("battery", "a", 3, start_kwh=50.0, end_min_kwh=50.0),
        ],
        balance_needs=[balance_need([50, 150, 20, 180])],
        elements=[],
    )
    document["rules"]["iteration_limit"] = 1
    said = set()
    for _ in range(2):
        with pytest.raises(SolverLimit) as failure:
            clear_bytes(json.dumps(document).encode())
        said.add(str(failure.value))
    assert len(said) == 1  # a count, not a clock


def test_a_node_limit_with_too_large_a_gap_leaves_nothing_to_publish() -> None:
    with pytest.raises(SolverLimit):
        clear_bytes(knapsack(node_limit=1))


def test_a_node_limit_within_the_rules_gap_is_published() -> None:
    exact = json.loads(clear_bytes(knapsack()))
    for node_limit in (2, 4, 8, 16, 32):
        limited = knapsack(node_limit=node_limit, gap_max_ratio=1.0)
        try:
            result = json.loads(clear_bytes(limited))
        except SolverLimit:
            continue
        assert result["certificate"]["passed"]
        assert (
            result["objective_jpy"] <= exact["objective_jpy"] + 1e-6 <= result["bound_jpy"] + 2e-6
        )
        assert clear_bytes(limited) == clear_bytes(limited)
        return
    pytest.fail("no limit was enough to find a first decision")


def _lost_on(monkeypatch: pytest.MonkeyPatch, *roads: str) -> list[str]:
    """Make the solver lose its footing on these roads; return the roads it takes."""
    taken: list[str] = []
    true_solve = solver.solve_on

    def solve(problem: cp.Problem, road: solver.Road) -> None:
        taken.append(road.name)
        if road.name in roads:
            raise SolverNumerical(f"{road.name}: lost its footing")
        true_solve(problem, road)

    monkeypatch.setattr(solver, "solve_on", solve)
    return taken


def test_numerical_trouble_is_taken_to_the_second_solver_and_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = json.loads(clear_bytes(small()))
    taken = _lost_on(monkeypatch, "simplex")
    found = json.loads(clear_bytes(small()))
    assert taken[:2] == ["simplex", "interior point"]
    assert found["certificate"]["passed"]
    assert found["awards"] == expected["awards"]
    assert found["needs"] == expected["needs"]


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_the_second_solver_clears_every_form(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    content = json.dumps(market(seed)).encode()
    expected = json.loads(clear_bytes(content))
    _lost_on(monkeypatch, "simplex")
    found = json.loads(clear_bytes(content))
    assert found["objective_jpy"] == pytest.approx(expected["objective_jpy"], rel=1e-9)


def test_trouble_with_both_solvers_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    _lost_on(monkeypatch, "simplex", "interior point")
    with pytest.raises(SolverNumerical, match="simplex: lost its footing; then interior point"):
        clear_bytes(small())


def test_solvers_that_contradict_each_other_are_numerical_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def contradict(_: cp.Problem, road: solver.Road) -> None:
        raise (SolverInfeasible if road.name == "simplex" else SolverUnbounded)(road.name)

    monkeypatch.setattr(solver, "solve_on", contradict)
    with pytest.raises(SolverNumerical, match="simplex; then interior point"):
        clear_bytes(small())


def test_a_wrong_verdict_of_infeasibility_is_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    true_solve = solver.solve_on

    def solve(problem: cp.Problem, road: solver.Road) -> None:
        if road.name == "simplex":
            raise SolverInfeasible("wrongly")
        true_solve(problem, road)

    monkeypatch.setattr(solver, "solve_on", solve)
    assert json.loads(clear_bytes(small()))["certificate"]["passed"]


def test_an_answer_that_is_no_optimum_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    true_values = Model.x_mw

    def lazier(model: Model) -> Any:
        return 0.9 * true_values(model)

    monkeypatch.setattr(Model, "x_mw", lazier)
    with pytest.raises((ResultUnverified, SolverFailed)):
        clear_bytes(small())
