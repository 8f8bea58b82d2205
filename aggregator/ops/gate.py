"""``manage.py test``: every check of the repository, the cheapest first.

Each step runs in a process of its own, so that none can spoil the next; all of them run even
after one failed, so that one run shows everything. The last line counts tests and steps.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

from aggregator.ops import databases
from aggregator.ops.embedded import ROOT, Servers
from aggregator.ops.errors import ServersFailed
from aggregator.ops.system_tools import tools_missing

PACKAGES = ("accounts", "market", "aggregator")
LAYERS = (
    "core",
    "properties",
    "apps",
    "api",
    "protocols",
    "portal",
    "flow",
    "faults",
    "architecture",
)
PYTEST_NOTHING_COLLECTED = 5
HANGS_AFTER_S = 300
"""A test of the gate that takes longer is ended and told with its stack, so that no run hangs."""
TEST_SETTINGS = "aggregator.config.settings.test"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One check: a name, and the command that makes it."""

    name: str
    argv: tuple[str, ...]


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def static_steps() -> list[Step]:
    """Return the checks that run no code of ours, the cheapest first."""
    return [
        Step(name="lint", argv=(_tool("ruff"), "check", "--quiet", ".")),
        Step(name="format", argv=(_tool("ruff"), "format", "--check", "--quiet", ".")),
        Step(name="imports", argv=(_tool("lint-imports"), "--no-cache")),
        Step(name="types", argv=(sys.executable, "-m", "mypy", "manage.py", *PACKAGES)),
    ]


def main(arguments: Sequence[str]) -> int:
    """Run the gate and return its exit code: 0 only if nothing failed and something ran."""
    options, pytest_arguments = _parse(arguments)
    if options.list:
        for step in static_steps():
            _say(f"{step.name:13} {' '.join(step.argv[1:])}")
        for layer in LAYERS:
            _say(f"{layer:13} pytest tests/{layer}")
        return 0
    began = time.monotonic()
    counts: Counter[str] = Counter()
    whole = not options.only and not pytest_arguments
    leave = _servers_start(options.only)
    try:
        if whole:
            counts += _static()
            for tool in tools_missing(install=True):
                _say(f"note: {tool.program} is not installed: {tool.loss}")
        counts += _tests(options.only, pytest_arguments, whole=whole)
    finally:
        leave()
    _say(f"in {time.monotonic() - began:.0f} s; static checks count as one each")
    _say(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="manage.py test",
        description="All checks, the cheapest first. Further arguments go to pytest.",
    )
    parser.add_argument("--only", choices=LAYERS, action="append", default=[], help="one layer")
    parser.add_argument("--list", action="store_true", help="show the steps and stop")
    return parser.parse_known_args(list(arguments))


def _static() -> Counter[str]:
    """Run the static checks; beside them, which use one core, the tests' database is migrated."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        made = beside.submit(_template_ensure)
        counts = Counter(_run(step) for step in static_steps())
        made.result()
    return counts


def _template_ensure() -> None:
    """Make the database that each pytest process copies; the first of them would wait for it."""
    if os.environ.get("DATABASE_URL"):
        return
    with contextlib.suppress(ServersFailed, psycopg.Error):  # who copies it says what is wrong
        databases.template_ensure(Servers(instance="test").addresses.database_url)


def _run(step: Step) -> str:
    began = time.monotonic()
    done = subprocess.run(
        step.argv,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": TEST_SETTINGS, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    verdict = "passed" if done.returncode == 0 else "failed"
    _say(f"{step.name:13} {verdict} ({time.monotonic() - began:.1f} s)")
    if verdict == "failed":
        _say((done.stdout + done.stderr).strip())
    return verdict


def _tests(layers: list[str], arguments: list[str], *, whole: bool) -> Counter[str]:
    """Run pytest on the servers of the instance ``test``, which are up."""
    targets = [f"tests/{layer}" for layer in layers if (ROOT / "tests" / layer).is_dir()]
    if layers and not targets:
        _say(f"no tests in {', '.join(layers)} yet")
        return Counter(failed=1)
    # one external Redis cannot be shared: a worker of one process would take the other's rings
    may_share = (os.cpu_count() or 1) > 1 and not os.environ.get("REDIS_URL")
    # files in the order of tests/conftest.py, the longest first, not by how many tests they have
    spread = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    parallel = spread if whole and may_share else []
    argv = [sys.executable, "-m", "pytest", *parallel, *targets, *arguments]
    if whole:
        argv += ["-o", f"faulthandler_timeout={HANGS_AFTER_S}"]
        argv += ["-o", "faulthandler_exit_on_timeout=true"]
        argv += ["--max-worker-restart=1"] if parallel else []
    with tempfile.TemporaryDirectory() as directory:
        counts = Path(directory) / "counts.json"
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": TEST_SETTINGS,
            "WATTBIT_TEST_COUNTS": str(counts),
        }
        code = subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode
        found = Counter(json.loads(counts.read_text())) if counts.exists() else Counter()
    if code not in (0, PYTEST_NOTHING_COLLECTED) and not found["failed"]:
        _say(f"pytest ended with code {code}")
        found["failed"] += 1
    return found


def _servers_start(layers: list[str]) -> Callable[[], None]:
    """Start the servers once for all pytest processes; pure layers need none."""
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        return _nothing
    if layers and set(layers) <= {"core", "properties"}:
        return _nothing
    servers = Servers(instance="test", durable=False)
    try:
        servers.start()
    except ServersFailed as failure:
        _say(str(failure))
        return _nothing
    return servers.leave


def _nothing() -> None:
    """Stop nothing: nothing was started."""


def _say(message: str) -> None:
    sys.stdout.write(message + "\n")
    sys.stdout.flush()
