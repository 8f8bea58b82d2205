"""The demo ends in one line: options that cannot be, a database that dies, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from aggregator.ops.embedded import Servers
from tests.architecture.repository import ROOT
from tests.homes import templates_share

KEYS = ("secret_key", "receipt_key", "audit_signing_key")
INSTANCE = f"ends{os.getpid()}"
START_WAIT_S = 120
END_WAIT_S = 60


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("home")
    templates_share(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBIT_HOME", str(directory))
        patch.setenv("WATTBIT_INSTANCE", INSTANCE)
        for name in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
            patch.delenv(name, raising=False)
        yield directory
        Servers(instance=INSTANCE).stop()


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "99999999"),
        ("--port", "-5"),
        ("--port", "65536"),
        ("--date", "0001-01-01"),
        ("--date", "9999-12-31"),
        ("--date", "1900-01-01"),
        ("--date", "2024-03-31"),
        ("--date", "2100-01-01"),
        ("--date", "2024-13-01"),
        ("--date", "2024-08-02", "--spot", "nowhere.csv", "--area", "nowhere.csv"),
        ("--date", "2024-08-02", "--spot", "README.md", "--area", "docs"),
        ("--date", "2024-08-02", "--spot", "README.md"),
        ("--spot", "README.md", "--area", "README.md"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_starts(
    home: Path, options: tuple[str, ...]
) -> None:
    with pytest.raises(CommandError, match=r"\A--[^\n]+\Z"):
        call_command("demo", *options)
    _nothing_was_started(home)


def test_a_refused_option_is_one_line_and_exit_code_1(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--port", "99999999"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("CommandError: --port: 99999999")
    _nothing_was_started(home)


def _nothing_was_started(home: Path) -> None:
    # the settings' own key is all there is: no log, no cluster
    assert {path.name for path in home.rglob("*")} <= {INSTANCE, "templates", *KEYS}
    assert not Servers(instance=INSTANCE).status().postgres


def _interruptible() -> None:
    """Hear Ctrl-C also where the gate itself runs in the background and is deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Demo:
    """A demo at work, in a process group of its own as a terminal gives it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_interruptible,  # noqa: PLW1509 - one thread here
        )
        self.said: list[str] = []

    def wait_for(self, step: str) -> None:
        """Read the progress until a step is done."""
        deadline = time.monotonic() + START_WAIT_S
        assert self.process.stderr is not None
        while not any(f" {step} " in line for line in self.said):
            assert time.monotonic() < deadline, self.said
            line = self.process.stderr.readline()
            assert line, self.said
            self.said.append(line)

    def ended(self) -> tuple[int, list[str]]:
        """Return its exit code and what it said after its progress."""
        _, errors = self.process.communicate(timeout=END_WAIT_S)
        lines = [line for line in errors.splitlines() if "/9 " not in line]
        return self.process.returncode, lines


def _left_running() -> list[str]:
    """Find processes that the instance started: their environment or arguments name it."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        if directory.name == str(os.getpid()):
            continue
        try:
            words = (directory / "environ").read_bytes() + (directory / "cmdline").read_bytes()
            is_dead = (directory / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            continue
        if INSTANCE.encode() in words and not is_dead:
            found.append((directory / "cmdline").read_text().replace("\0", " "))
    return found


def _nothing_is_left() -> None:
    deadline = time.monotonic() + 10
    while (left := _left_running()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


@pytest.mark.parametrize("step", ["start", "clear"])
def test_a_database_that_dies_is_named_in_one_line(step: str) -> None:
    demo = Demo()
    demo.wait_for(step)
    Servers(instance=INSTANCE).kill_postgres()
    code, lines = demo.ended()
    assert code == 1, lines
    (line,) = lines
    assert line.startswith("CommandError: PostgreSQL went away: ")
    assert f"Logs are in {Path(os.environ['WATTBIT_HOME'])}" in line
    _nothing_is_left()


@pytest.mark.parametrize("step", ["start", "clear"])
def test_ctrl_c_ends_everything_in_one_line(step: str) -> None:
    demo = Demo()
    demo.wait_for(step)
    # a terminal's Ctrl-C reaches the whole foreground group
    os.killpg(demo.process.pid, signal.SIGINT)
    code, lines = demo.ended()
    assert code == 128 + signal.SIGINT, lines
    (line,) = lines
    assert line.startswith("CommandError: interrupted; what it had started is stopped. Logs are in")
    _nothing_is_left()
