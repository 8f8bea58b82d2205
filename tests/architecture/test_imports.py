"""The import contracts of pyproject.toml hold, and each one bites."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.architecture.repository import ROOT

CONTRACTS = {
    "flow",
    "aggregator",
    "market",
    "accounts",
    "pure-core",
    "headless",
    "solver-seam",
    "anatomy",
    "celery-rim",
    "protocols-apart",
    "ledger-door",
}


def test_every_import_contract_is_kept() -> None:
    program = str(Path(sys.executable).with_name("lint-imports"))
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_no_contract_was_dropped() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    present = {contract["id"] for contract in project["tool"]["importlinter"]["contracts"]}
    assert present >= CONTRACTS
