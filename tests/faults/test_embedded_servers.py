"""The embedded servers and the supervisor: twice, after kill -9, with nothing left over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from aggregator.ops import databases
from aggregator.ops.embedded import ROOT, Servers
from aggregator.ops.errors import ChildFailed, ServersFailed
from aggregator.ops.stack import Stack

INSTANCE = f"trial{os.getpid()}"


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    monkeypatch.setenv("WATTBIT_HOME", str(tmp_path))
    servers = Servers(instance=INSTANCE, durable=True)
    yield servers
    servers.stop()
    shutil.rmtree(servers._short, ignore_errors=True)


def _eventually(is_so: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def _url(servers: Servers) -> str:
    return databases.url_of(servers.addresses.database_url, "postgres")


def _write(servers: Servers, number: int) -> None:
    with psycopg.connect(_url(servers)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])


def _kept(servers: Servers) -> list[int]:
    with psycopg.connect(_url(servers)) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM kept ORDER BY 1")]


def test_starting_twice_uses_what_runs(trial: Servers) -> None:
    trial.start()
    _write(trial, 1)
    other = Servers(instance=INSTANCE)
    other.start()
    assert _kept(other) == [1]
    other.leave()
    # the first user is still there, so the second one's leaving stopped nothing
    assert _kept(trial) == [1]
    trial.leave()
    assert (trial.status().postgres, trial.status().valkey) == (False, False)


def test_committed_rows_survive_kill_9_of_the_postmaster(trial: Servers) -> None:
    trial.start()
    _write(trial, 7)
    with psycopg.connect(_url(trial)) as open_one:
        open_one.execute("INSERT INTO kept VALUES (8)")
        trial.kill_postgres()
        assert _eventually(lambda: not trial.status().postgres)
        open_one.close()
    # the pid file of the dead server still lies there
    assert (trial.data / "postmaster.pid").exists()
    trial.start()
    assert _kept(trial) == [7]


def test_servers_left_by_a_killed_process_stop_with_the_next_user(trial: Servers) -> None:
    code = (
        "import time; from aggregator.ops.embedded import Servers\n"
        f"s = Servers(instance={INSTANCE!r}); s.start(); print('up', flush=True); time.sleep(60)"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", code],
        env=databases.child_environment({}),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    with user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"up\n"
        user.kill()
    assert trial.status().postgres
    trial.start()
    trial.leave()
    assert not trial.status().postgres
    assert not trial.status().valkey


def test_servers_asked_to_stay_stay_until_stopped(trial: Servers) -> None:
    trial.start()
    trial.keep()
    trial.leave()
    assert trial.status().postgres
    trial.stop()
    assert not trial.status().postgres


def test_a_directory_laid_out_by_someone_else_is_refused(trial: Servers, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    trial._short.symlink_to(elsewhere)
    try:
        with pytest.raises(ServersFailed, match="not a private directory"):
            trial.start()
    finally:
        trial._short.unlink()


def test_a_directory_others_may_write_is_refused(trial: Servers) -> None:
    trial._short.mkdir()
    trial._short.chmod(0o777)
    with pytest.raises(ServersFailed, match="not a private directory"):
        trial.start()
    trial._short.chmod(0o700)


def test_a_killed_supervisor_leaves_nothing_behind(trial: Servers, tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from aggregator.ops.stack import Stack\n"
        f"with Stack(instance={INSTANCE!r}) as stack:\n"
        "    stack.start_servers()\n"
        "    sleep = [sys.executable, '-c', 'import time; time.sleep(99)']\n"
        "    child = stack.spawn('sleeper', sleep)\n"
        "    print(child.process.pid, flush=True)\n"
        "    time.sleep(99)\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code],
        env=databases.child_environment({"DATABASE_URL": "", "REDIS_URL": ""}),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    with supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert trial.status().postgres
        supervisor.kill()
    assert _eventually(lambda: not _runs(pid))
    assert _eventually(lambda: not trial.status().postgres)
    assert not trial.status().valkey


def _runs(pid: int) -> bool:
    """Tell whether a process lives; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_that_dies_is_reported_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTBIT_HOME", str(tmp_path))
    with Stack(instance=INSTANCE) as stack:
        child = stack.spawn("talker", [sys.executable, "-c", "raise SystemExit('no grid')"])
        child.process.wait()
        with pytest.raises(ChildFailed, match=r"(?s)talker ended with code 1.*no grid"):
            stack.check()


def test_a_child_that_ignores_term_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTBIT_HOME", str(tmp_path))
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(99)"
    )
    with Stack(instance=INSTANCE) as stack:
        child = stack.spawn("deaf", [sys.executable, "-c", deaf])
        assert _eventually(lambda: "deaf" in child.tail)
        stack.stop_child(child, wait_s=0.2)
    assert child.process.returncode == -signal.SIGKILL


def test_a_taken_port_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setenv("WATTBIT_HOME", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with Stack(instance=INSTANCE) as stack, pytest.raises(ChildFailed, match=str(port)):
            stack.start_web(port)


def test_two_stacks_of_one_instance_do_not_share_a_market(
    trial: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.ops.stack.OTHER_WAIT_S", 0.0)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    with Stack(instance=INSTANCE) as stack:
        stack.start_servers()
        with Stack(instance=INSTANCE) as other, pytest.raises(ChildFailed, match="another WattBit"):
            other.start_servers()
        assert trial.status().postgres
    with Stack(instance=INSTANCE) as stack:
        stack.start_servers()
    assert not trial.status().postgres
