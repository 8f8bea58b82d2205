"""Clients that others wrote, each in an environment of its own, against the real server.

Their environments are made from hashed locks. Where a package cannot be had the test says which;
openadr3-client needs Python 3.12 or newer: any on this machine will do, and without one the run
says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aggregator.ops.embedded import ROOT
from tests import cast
from tests.dispatching import BASE
from tests.faults.market import wait_for
from tests.listening import Listener, listening
from tests.protocols.openadr import BASE_3_0, SITE_SCOPES, Machine, business

pytestmark = pytest.mark.django_db(transaction=True)
HERE = Path(__file__).parent / "clients"
RUN_S = 60
MAKE_S = 300
NOT_MADE = 3  # what environment.py ends with where a package cannot be had
PYTHONS = ((3, 12), (3, 13), (3, 14))  # that openadr3-client is made for
TOLD_COUNT = 4


class Receiver(Listener):
    """Echoes the challenge and keeps what it is told."""

    told: ClassVar[list[tuple[str | None, str, str, Any]]] = []

    def got(self) -> None:
        self.answer(200, self.path.rpartition("echo=")[2].encode())

    def posted(self, body: bytes) -> None:
        said = json.loads(body)
        shown = said["object"]
        self.told.append(
            (
                self.headers["Authorization"],
                said["operation"],
                shown["eventName"],
                shown["targets"],
            )
        )
        self.answer(204)


def _pythons() -> Iterator[str]:
    """Give interpreters by their names on the path, and where pyenv and uv put theirs."""
    yield sys.executable
    names = [f"python{major}.{minor}" for major, minor in PYTHONS]
    yield from filter(None, map(shutil.which, names))
    home = Path.home()
    kept = (
        (os.environ.get("PYENV_ROOT"), "versions"),
        (home / ".pyenv", "versions"),
        (os.environ.get("UV_PYTHON_INSTALL_DIR"), "."),
        (home / ".local" / "share" / "uv" / "python", "."),
    )
    for root, below in kept:
        for name in names if root else ():
            yield from map(str, sorted(Path(root, below).glob(f"*/bin/{name}")))


def _newer_python() -> str | None:
    """Return an interpreter that runs, and is of a version that openadr3-client is made for."""
    program = "import sys, venv; print(*sys.version_info[:2], sep='.')"
    wanted = [f"{major}.{minor}" for major, minor in PYTHONS]
    for python in _pythons():
        # a shim of pyenv stands on the path also where its version is not chosen
        said = subprocess.run([python, "-c", program], capture_output=True, check=False)
        if said.returncode == 0 and said.stdout.decode().strip() in wanted:
            return python
    return None


def _credentials(machine: Machine) -> dict[str, str]:
    return {
        "client_id": machine.client.client_id,
        "client_secret": machine.client.secret,  # type: ignore[attr-defined]
    }


def _served(stack: Any) -> int:
    """Start the server and wait until it has answered once: clients wait five seconds at most."""
    port: int = stack.start_api(processes_count=1)
    stack.wait_ready()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{BASE}/auth/server", timeout=RUN_S):
        return port


def _run(name: str, config: dict[str, Any], *, python: str = sys.executable) -> dict[str, Any]:
    """Run a script of a client in its environment, of this Python or another: what it found."""
    home = ROOT / ".wattbit" / "peers" / f"openadr-{name}"
    made = subprocess.run(
        [python, HERE / "environment.py", ROOT, home, HERE / f"{name}.lock"],
        check=False,
        capture_output=True,
        text=True,
        timeout=MAKE_S,
    )
    if made.returncode == NOT_MADE:
        pytest.skip(f"the client of {name}.lock cannot be had here: {made.stderr}"[:300])
    assert made.returncode == 0, made.stderr[-3000:]
    done = subprocess.run(
        [made.stdout.strip(), "-P", HERE / f"run_{name}.py"],
        input=json.dumps(config),
        check=False,
        capture_output=True,
        text=True,
        timeout=RUN_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_python_oa3_client_enrols_polls_and_reports(celery_worker_processes: Any) -> None:
    stack = celery_worker_processes.stack
    people = cast.people()
    site, operator = Machine(people.inzai_dc), business(people.grid_t)
    port = _served(stack)
    found = _run(
        "oa3",
        {
            "url": f"http://127.0.0.1:{port}/openadr3/3.1.0",
            "site": _credentials(site),
            "business": _credentials(operator),
        },
    )
    assert found == {
        "vens": 1,
        "program": True,
        "events": ["by-oa3"],
        "notifiers": {"WEBHOOK": True},
        "mqtt": False,
        "report": "REPORT",
        "reports": 1,
        "deleted": "by-oa3",
    }


def test_clients_of_3_0_read_and_report(celery_worker_processes: Any) -> None:
    stack = celery_worker_processes.stack
    people = cast.people()
    site, operator = Machine(people.inzai_dc, base=BASE_3_0), business(people.grid_t)
    operator.made(
        "vens",
        {
            "objectType": "BL_VEN_REQUEST",
            "venName": "v",
            "clientID": site.client.client_id,
            "targets": ["feeder-7"],
        },
    )
    program = operator.program("for 3.0")
    period = {"start": "2026-11-25T08:00:00Z", "duration": "PT1H"}
    common: dict[str, Any] = {
        "intervalPeriod": period,
        "intervals": [{"id": 0, "payloads": [{"type": "PRICE", "values": [1.5]}]}],
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE", "units": "KWH"}
        ],
        "reportDescriptors": [{"payloadType": "USAGE", "targets": ["feeder-7"]}],
    }
    operator.event(program, eventName="aimed", targets=["feeder-7"], **common)
    operator.event(program, eventName="public", **common)
    operator.event(program, eventName="hidden", targets=["feeder-8"], **common)
    port = _served(stack)
    config = {
        "url": f"http://127.0.0.1:{port}{BASE_3_0}",
        "site": _credentials(site),
        "program": program["id"],
    }
    assert _run("ud", config) == {
        "programs": ["for 3.0"],
        "events": ["aimed", "public"],
        "of_program": 2,
        "program": "for 3.0",
    }
    assert _run("toadr3", config) == {
        "programs": ["for 3.0"],
        "events": ["aimed", "public"],
        "aimed": ["aimed"],
        "report": "toadr3",
        "reports": 1,
    }


def test_openadr3_client_writes_polls_reports_and_is_told(
    celery_worker_processes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTBOX_CALLS_THIS_MACHINE", "true")
    python = _newer_python()
    if python is None:
        pytest.skip("openadr3-client 2.4.2 needs Python 3.12 to 3.14, which is not here")
    people = cast.people()
    site, operator = Machine(people.inzai_dc), business(people.grid_t)
    Receiver.told.clear()
    with listening(Receiver) as address:
        celery_worker_processes.start(concurrency=2, beat=True)
        port = _served(celery_worker_processes.stack)
        url = f"http://127.0.0.1:{port}{BASE}"
        found = _run(
            "openadr3-client",
            {
                "url": url,
                "site": _credentials(site),
                "business": _credentials(operator),
                "scopes": list(SITE_SCOPES),
                "callback": f"{address}/told",
            },
            python=python,
        )
        wait_for("all is told", lambda: len(Receiver.told) >= TOLD_COUNT)
    assert found == {
        "token_url": f"{url}/auth/token",
        "granted": ["feeder-7"],
        "own": ["own"],
        "resources": ["load"],
        "token_shown": None,
        "subscriptions": ["renamed"],
        "programs": ["by-openadr3-client"],
        "events": ["again", "public"],
        "aimed": [["again", ["feeder-7"], ["feeder-7"]]],
        "value": 12.5,
        "duration_s": 3600.0,
        "reported": [1.5],
        "refused": [True, True, True],
        "deleted": ["site", "again", "load", "own"],
    }
    assert Receiver.told == [
        ("Bearer s3cret", "POST", "aimed", ["feeder-7"]),
        ("Bearer s3cret", "POST", "public", None),
        ("Bearer s3cret", "PUT", "again", ["feeder-7"]),
        ("Bearer s3cret", "DELETE", "again", ["feeder-7"]),
    ]


def test_a_newer_python_is_found_where_it_is_commonly_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    places = [
        tmp_path / "PATH" / "python3.14",
        tmp_path / "PYENV_ROOT" / "versions" / "3.13.0" / "bin" / "python3.13",
        tmp_path / ".pyenv" / "versions" / "3.12.1" / "bin" / "python3.12",
        tmp_path / "UV_PYTHON_INSTALL_DIR" / "cpython-3.12.4-linux" / "bin" / "python3.12",
        tmp_path / ".local" / "share" / "uv" / "python" / "cpython-3.13" / "bin" / "python3.13",
    ]
    for place in places:
        place.parent.mkdir(parents=True)
        # one of another version, one that is a shim of nothing, and those that will do
        place.write_text(f"#!/bin/sh\necho {place.name.removeprefix('python')}\n")
        place.chmod(0o755)
    assert set(_pythons()) - {sys.executable} == {str(place) for place in places}
    for place in places:
        place.write_text("#!/bin/sh\nexit 127\n")
    if sys.version_info[:2] not in PYTHONS:
        assert _newer_python() is None
