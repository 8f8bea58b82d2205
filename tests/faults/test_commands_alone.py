"""A command that reads or writes rows finds a database: none made yet, and one in use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.ops.embedded import Servers
from aggregator.ops.stack import Stack
from tests.architecture.repository import ROOT
from tests.homes import templates_share

INSTANCE = f"alone{os.getpid()}"
CASE = """function mpc = two
mpc.version = '2';
mpc.baseMVA = 100;
mpc.bus = [
  1 3 0 0 0 0 3 1 0 275 1 1.1 0.9;
  2 1 100 0 0 0 3 1 0 275 1 1.1 0.9;
];
mpc.gen = [1 50 0 100 -100 1 100 1 200 0];
mpc.branch = [1 2 0.01 0.1 0 100 100 100 0 0 1 -360 360];
mpc.gencost = [2 0 0 2 10 0];
"""


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    templates_share(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBIT_HOME", str(home))
        patch.setenv("WATTBIT_INSTANCE", INSTANCE)
        for name in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
            patch.delenv(name, raising=False)
        yield
        Servers(instance=INSTANCE).stop()


def _manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_refusal_is_one_line_where_nothing_was_ever_started() -> None:
    done = _manage("replay", "DA-2026-08-05")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "CommandError: run: 'DA-2026-08-05' — the id of a published run, or its auction's code"
    ]
    assert not Servers(instance=INSTANCE).status().postgres


def test_a_command_looks_into_an_instance_that_another_stack_holds(tmp_path: Path) -> None:
    case = tmp_path / "two.m"
    case.write_text(CASE, encoding="utf-8")
    with Stack(instance=INSTANCE) as stack:
        stack.start_servers()
        stack.migrate()
        done = _manage("import_grid", str(case), "--area", "03")
        still_there = Servers(instance=INSTANCE).status().postgres
    # a market without areas: the file is refused by name, the servers go on
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: ")
    assert "'03'" in done.stderr
    assert still_there
