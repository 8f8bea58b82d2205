"""Clients that others wrote, each in an environment of its own, against the real server.

Their environments are made from hashed locks. Where a package cannot be had the test says which;
openadr3-client needs Python 3.12 or newer, and the run says so where there is none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from aggregator.ops import bootstrap
from aggregator.ops.embedded import ROOT
from tests import cast
from tests.dispatching import BASE
from tests.protocols.openadr import BASE_3_0, Machine, business

pytestmark = pytest.mark.django_db(transaction=True)
HERE = Path(__file__).parent / "clients"
RUN_S = 60


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


def _run(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Run a script with what the client gets, and return what it found."""
    try:
        python = bootstrap.lock_environment(
            root=ROOT, home=ROOT / ".wattbit" / "peers" / f"openadr-{name}",
            lock=HERE / f"{name}.lock",
        )  # fmt: skip
    except bootstrap.EnvironmentNotMade as failure:
        pytest.skip(f"the client of {name}.lock cannot be had here: {failure}"[:200])
    done = subprocess.run(
        [python, "-P", HERE / f"run_{name}.py"],
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


def test_openadr3_client_needs_a_newer_python_than_is_here() -> None:
    newer = [name for name in ("python3.12", "python3.13", "python3.14") if shutil.which(name)]
    if not newer:
        pytest.skip("openadr3-client 2.4.2 needs Python 3.12 or newer, which is not here")
    pytest.skip(f"openadr3-client 2.4.2 is not locked for {newer[0]}: run it by hand")
