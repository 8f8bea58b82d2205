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
    """Return the least cost of a day with bus angles as variables: another road altogether."""
    buses, lines = len(one.bus), len(one.rating_mw)
    count, steps = one.load_mw.shape[1], one.cost_per_mwh.shape[1]
    gens, stores = len(one.generator_bus), len(one.store_bus)
    eye, row = sp.eye_array(count), np.arange(lines)
    ends = sp.csr_array((np.ones(lines), (row, one.branch_from)), shape=(lines, buses))
    ends = ends - sp.csr_array((np.ones(lines), (row, one.branch_to)), shape=(lines, buses))
    flow = sp.diags_array(100.0 / one.reactance_pu) @ ends

    def at(where: np.ndarray, width: int) -> sp.csr_array:
        return sp.csr_array((np.ones(width), (where, np.arange(width))), shape=(buses, width))

    made = at(np.repeat(one.generator_bus, steps), gens * steps)
    kept = at(one.store_bus, stores)
    level = sp.eye_array(count) - sp.eye_array(count, k=-1)
    half, eta = one.store_mwh / 2, one.efficiency_ratio
    # columns in blocks of T each: steps, charge, discharge, level, angle
    balance = sp.hstack(
        [
            sp.kron(part, eye)
            for part in (made, -kept, kept, sp.csr_array((buses, stores)), -ends.T @ flow)
        ]
    )
    own, none = sp.eye_array(stores), sp.csr_array((stores, gens * steps))
    stored = sp.hstack(
        [
            sp.kron(none, eye),
            sp.kron(own, -INTERVAL_H * eta * eye),
            sp.kron(own, INTERVAL_H / eta * eye),
            sp.kron(own, level),
            sp.csr_array((stores * count, buses * count)),
        ]
    )
    first = np.zeros((stores, count))
    first[:, 0] = half
    before = sp.csr_array((lines, gens * steps + 3 * stores))
    flows = sp.kron(sp.hstack([before, flow]), eye)
    rating = np.repeat(one.rating_mw, count)
    cost = INTERVAL_H * np.concatenate(
        [
            np.repeat(one.cost_per_mwh.ravel(), count),
            np.zeros(stores * count),
            np.repeat(one.wear_per_mwh, count),
            np.zeros((stores + buses) * count),
        ]
    )
    lowest = np.zeros((stores, count))
    lowest[:, -1] = half
    angle_low = np.full((buses, count), -np.inf)
    angle_low[0] = 0.0
    low = np.concatenate(
        [np.zeros((gens * steps + 2 * stores) * count), lowest.ravel(), angle_low.ravel()]
    )
    high = np.concatenate(
        [
            np.repeat(np.repeat(one.step_mw, steps), count),
            np.tile(np.repeat(one.store_mw, count), 2),
            np.repeat(one.store_mwh, count),
            -angle_low.ravel(),
        ]
    )
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
