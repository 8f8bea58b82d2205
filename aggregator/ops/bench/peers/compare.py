"""The engine beside PyPSA and linopy: one day on the 118-bus grid, from data frames to prices.

All solve a forecast and then its revisions, each tool in a process of its own with one thread; the
last run counts. :mod:`aggregator.ops.bench.peers.run_ours` says what the engine keeps between runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from aggregator.ops import bootstrap
from aggregator.ops.bench.peers.day import day
from aggregator.ops.embedded import ROOT
from market.core.offers.terms import FloatArray

HERE: Final = Path(__file__).parent
PEERS: Final = ("pypsa", "linopy")
SEED: Final = 1
AGREEMENT_RATIO: Final = 1e-9
RUN_COUNT: Final = 3
RUN_MAX_S: Final = 900
ONE_THREAD: Final = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


def run() -> dict[str, Any]:
    """Return times, ratios and agreement; peers that cannot be installed are named as absent."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        pythons = {name: _python(name, found) for name in PEERS}
        if pythons["linopy"] is None:
            return found | {"absent": "linopy's environment, which brings the grid"}
        _script([pythons["linopy"], HERE / "read_grid.py"], work / "grid.json")
        grid = json.loads((work / "grid.json").read_text())
        days = [day(grid, SEED, revision=number) for number in range(RUN_COUNT)]
        (work / "days.json").write_text(json.dumps([one.as_json() for one in days]))
        module = ["-m", "aggregator.ops.bench.peers.run_ours"]
        _script([sys.executable, *module], work / "days.json", work / "ours.json")
        ours = json.loads((work / "ours.json").read_text())
        for name, python in pythons.items():
            if python is not None:
                out = work / f"{name}.json"
                _script([python, HERE / f"run_{name}.py"], work / "days.json", out)
                found |= _compared(name, json.loads(out.read_text())[-1], ours)
    for name, one in ours.items():
        found[f"{name}_cpu_s"] = round(one["cpu_s"], 4)
    return found | {"cost": ours["cached"]["cost"], "rows": ours["cached"]["rows"]}


def _python(name: str, found: dict[str, Any]) -> Path | None:
    home = ROOT / ".wattbit" / "peers" / name
    try:
        return bootstrap.lock_environment(root=ROOT, home=home, lock=HERE / f"{name}.lock")
    except bootstrap.EnvironmentNotMade as failure:
        found[f"{name}_absent"] = str(failure).splitlines()[0]
        return None


def _script(command: Sequence[object], *files: Path) -> None:
    subprocess.run(
        [str(part) for part in (*command, *files)],
        check=True,
        capture_output=True,
        timeout=RUN_MAX_S,
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
    )


def _compared(name: str, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    price: FloatArray = np.array(theirs["price"])
    cost = float(theirs["cost"])
    worst = max(abs(one["cost"] - cost) / abs(cost) for one in ours.values())
    return {
        f"{name}_cpu_s": round(theirs["cpu_s"], 3),
        f"{name}_wall_s": round(theirs["wall_s"], 2),
        f"ratio_to_{name}": round(ours["cached"]["cpu_s"] / theirs["cpu_s"], 4),
        f"cold_ratio_to_{name}": round(ours["cold"]["cpu_s"] / theirs["cpu_s"], 4),
        f"{name}_agrees": bool(worst <= AGREEMENT_RATIO),
        f"{name}_cost_difference_ratio": worst,
        f"{name}_price_difference": float(np.abs(price - ours["cached"]["price"]).max()),
    }
