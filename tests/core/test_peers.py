"""The day on which the engine meets other tools: the same problem, the same answer."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from aggregator.ops.bench.peers import compare
from aggregator.ops.bench.peers.day import INTERVAL_H, Day, day, day_from_json, snapshot_of
from aggregator.ops.bench.peers.run_ours import answers_of
from tests.architecture.repository import ROOT

PEERS = Path(compare.__file__).parent


def small_grid() -> dict[str, list[list[float]]]:
    """Return 24 buses in a ring with chords, loads at most of them, six generators."""
    buses = [[n, 1, 90.0 * (n % 5), 0] for n in range(1, 25)]
    gens = [[n, 0, 0, 0, 0, 0, 0, 1, 1200.0, 0] for n in (1, 5, 9, 13, 17, 21)]
    ends = [(n, n % 24 + 1) for n in range(1, 25)] + [(n, n + 7) for n in range(1, 17, 3)]
    branches = [[i, j, 0.0, 0.05 + 0.01 * ((i * j) % 7)] for i, j in ends]
    return {"bus": buses, "gen": gens, "branch": branches}


def by_angles(one: Day) -> float:
    """Return the least cost of a day with bus angles as variables: another road altogether.

    Columns in blocks of T each: steps, charge, discharge, level, angle.
    """
    flows, balance, stored = _rows(one)
    rating = np.repeat(one.rating_mw, one.load_mw.shape[1])
    low, high, cost = _columns(one)
    first = np.zeros((len(one.store_bus), one.load_mw.shape[1]))
    first[:, 0] = one.store_mwh / 2
    found = scipy.optimize.linprog(
        cost,
        A_ub=sp.vstack([flows, -flows]),
        b_ub=np.concatenate([rating, rating]),
        A_eq=sp.vstack([balance, stored]),
        b_eq=np.concatenate([one.load_mw.ravel(), first.ravel()]),
        bounds=np.stack([low, high], axis=1),
    )
    assert found.status == 0, found.message
    return float(found.fun)


def _rows(one: Day) -> tuple[sp.sparray, sp.sparray, sp.sparray]:
    """Return flows on lines, balances of buses, and changes of stored energy."""
    buses, lines, stores = len(one.bus), len(one.rating_mw), len(one.store_bus)
    count, steps = one.load_mw.shape[1], one.cost_per_mwh.size
    eye, row = sp.eye_array(count), np.arange(lines)
    ends = sp.csr_array((np.ones(lines), (row, one.branch_from)), shape=(lines, buses))
    ends = ends - sp.csr_array((np.ones(lines), (row, one.branch_to)), shape=(lines, buses))
    flow = sp.diags_array(100.0 / one.reactance_pu) @ ends

    def at(where: np.ndarray) -> sp.csr_array:
        width = len(where)
        return sp.csr_array((np.ones(width), (where, np.arange(width))), shape=(buses, width))

    made, kept = at(np.repeat(one.generator_bus, one.cost_per_mwh.shape[1])), at(one.store_bus)
    parts = (made, -kept, kept, sp.csr_array((buses, stores)), -ends.T @ flow)
    own, eta = sp.eye_array(stores), one.efficiency_ratio
    stored = [
        sp.csr_array((stores * count, steps * count)),
        sp.kron(own, -INTERVAL_H * eta * eye),
        sp.kron(own, INTERVAL_H / eta * eye),
        sp.kron(own, eye - sp.eye_array(count, k=-1)),
        sp.csr_array((stores * count, buses * count)),
    ]
    before = sp.csr_array((lines, steps + 3 * stores))
    return (
        sp.kron(sp.hstack([before, flow]), eye),
        sp.hstack([sp.kron(part, eye) for part in parts]),
        sp.hstack(stored),
    )


def _columns(one: Day) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lower bounds, upper bounds and costs."""
    buses, stores, count = len(one.bus), len(one.store_bus), one.load_mw.shape[1]
    steps = one.cost_per_mwh.size
    lowest, angle = np.zeros((stores, count)), np.full((buses, count), np.inf)
    lowest[:, -1], angle[0] = one.store_mwh / 2, 0.0
    width_mw = np.repeat(one.step_mw, one.cost_per_mwh.shape[1])
    zero = np.zeros((steps + 2 * stores) * count)
    store_mw = np.tile(np.repeat(one.store_mw, count), 2)
    high = [np.repeat(width_mw, count), store_mw, np.repeat(one.store_mwh, count), angle.ravel()]
    cost = [
        np.repeat(one.cost_per_mwh.ravel(), count),
        np.zeros(stores * count),
        np.repeat(one.wear_per_mwh, count),
        np.zeros((stores + buses) * count),
    ]
    return (
        np.concatenate([zero, lowest.ravel(), -angle.ravel()]),
        np.concatenate(high),
        INTERVAL_H * np.concatenate(cost),
    )


def days() -> list[Day]:
    return [day(small_grid(), 3, revision=number) for number in range(2)]


def test_every_path_costs_what_bus_angles_say() -> None:
    ours = answers_of(days())
    expected = by_angles(days()[-1])
    for name, one in ours.items():
        assert one["cost"] == pytest.approx(expected, rel=1e-9), name
        # more than the rows of balance and stored energy: some line binds
        assert one["rows"] > 48 + 20 * 48


def test_a_day_survives_being_written() -> None:
    one = days()[1]
    again = day_from_json(json.loads(json.dumps(one.as_json())))
    assert snapshot_of(again) == snapshot_of(one)


def test_a_peer_that_can_not_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: Any) -> Path:
        raise compare.bootstrap.EnvironmentNotMade("no package index\nat all")

    monkeypatch.setattr(compare.bootstrap, "lock_environment", fails)
    found = compare.run()
    assert found["pypsa_absent"] == found["linopy_absent"] == "no package index"


@pytest.mark.parametrize("name", compare.PEERS)
def test_a_peer_that_is_installed_agrees(name: str, tmp_path: Path) -> None:
    python = ROOT / ".wattbit" / "peers" / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{name} is not installed (bench clearing --peers does): not compared")
    (tmp_path / "days.json").write_text(json.dumps([days()[1].as_json()]))
    script = PEERS / f"run_{name}.py"
    files = [tmp_path / "days.json", tmp_path / "answer.json"]
    subprocess.run(
        [str(python), str(script), *map(str, files)], check=True, capture_output=True, timeout=300
    )
    (theirs,) = json.loads(files[1].read_text())
    ours = answers_of(days())["cvxpy"]
    assert theirs["cost"] == pytest.approx(ours["cost"], rel=1e-9)
