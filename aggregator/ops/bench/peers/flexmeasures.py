"""FlexMeasures' comparable call: five values of one sensor posted with a token.

It runs as its authors' guide says, two processes under gunicorn, on our PostgreSQL and a Valkey of
its own, without its rate limit. Where its environment cannot be made it is named as absent.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg

from aggregator.ops import bootstrap, databases
from aggregator.ops.bench.open_loop import Shot, fired
from aggregator.ops.binaries import valkey_program
from aggregator.ops.embedded import ROOT
from aggregator.ops.errors import ServersFailed
from aggregator.ops.stack import Stack

HERE: Final = Path(__file__).parent
HOME: Final = ROOT / ".wattbit" / "peers" / "flexmeasures"
DATABASE: Final = "wattbit_peer_flexmeasures"
REQUEST_COUNT: Final = 60
CONNECTION_COUNT: Final = 4
WARM_COUNT: Final = 8
READY_WAIT_S: Final = 180.0
AT_ONCE_PER_S: Final = 1e6
START: Final = datetime(2026, 8, 5, tzinfo=ZoneInfo("Asia/Tokyo"))


def run(stack: Stack) -> dict[str, Any]:
    """Return how many posts a second it answers, or why it is absent."""
    try:
        python = bootstrap.lock_environment(root=ROOT, home=HOME, lock=HERE / "flexmeasures.lock")
    except bootstrap.EnvironmentNotMade as failure:
        return {"flexmeasures_absent": str(failure).splitlines()[0]}
    redis_port, web_port = _free_port(), _free_port()
    environment = _environment(stack, redis_port)
    access = stack.home / "flexmeasures.json"
    children = [
        stack.spawn("peer-valkey", [str(valkey_program()), "--port", str(redis_port), "--save", ""])
    ]
    try:
        _set_up(python, access, environment, stack)
        argv = [
            str(python.with_name("gunicorn")),
            "--workers",
            "2",
            "--bind",
            f"127.0.0.1:{web_port}",
        ]
        children.append(
            stack.spawn("peer-flexmeasures", [*argv, "flexmeasures.app:create()"], environment)
        )
        _wait_ready(web_port)
        return _measured(web_port, json.loads(access.read_text()))
    finally:
        access.unlink(missing_ok=True)
        for child in reversed(children):
            stack.stop_child(child)


def _set_up(python: Path, access: Path, environment: Mapping[str, str], stack: Stack) -> None:
    """Make its tables, a user and a sensor; what it needs to be posted to comes in `access`."""
    done = subprocess.run(
        # without this directory in front of its path, where a module has its package's name
        [python, "-P", HERE / "run_flexmeasures.py", access],
        env={**os.environ, **environment},
        cwd=stack.home,
        check=False,
        capture_output=True,
        text=True,
        timeout=READY_WAIT_S,
    )
    if done.returncode != 0:
        raise ServersFailed(f"FlexMeasures was not set up:\n{done.stderr[-3000:]}")


def _environment(stack: Stack, redis_port: int) -> Mapping[str, str]:
    url = stack.addresses.database_url
    with psycopg.connect(databases.url_of(url, "postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
    own = databases.url_of(url, DATABASE)
    return {
        "SQLALCHEMY_DATABASE_URI": own.replace("postgresql://", "postgresql+psycopg2://"),
        "SECRET_KEY": secrets.token_urlsafe(),
        "SECURITY_PASSWORD_SALT": secrets.token_urlsafe(),
        "SECURITY_TOTP_SECRETS": json.dumps({"1": secrets.token_urlsafe()}),
        "FLEXMEASURES_ENV": "development",
        "FLEXMEASURES_PROFILE_REQUESTS": "False",
        "FLEXMEASURES_REDIS_URL": "127.0.0.1",
        "FLEXMEASURES_REDIS_PORT": str(redis_port),
        "RATELIMIT_ENABLED": "False",
        "LOGGING_LEVEL": "ERROR",
    }


def _wait_ready(port: int) -> None:
    last_s = time.monotonic() + READY_WAIT_S
    while True:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_WAIT_S)
        try:
            line.request("GET", "/api/v3_0/health/ready")
            if line.getresponse().status < http.client.INTERNAL_SERVER_ERROR:
                return
        except OSError:
            if time.monotonic() > last_s:
                raise
        finally:
            line.close()
        time.sleep(0.5)


def _measured(port: int, access: Mapping[str, str]) -> dict[str, Any]:
    address = ("127.0.0.1", port)

    def round_of(first: int, count: int) -> tuple[list[Shot], float]:
        requests = [_request(access, first + number) for number in range(count)]
        began_s = time.perf_counter()
        shots = fired(
            address, requests, rate_per_s=AT_ONCE_PER_S, connection_count=CONNECTION_COUNT
        )
        return shots, time.perf_counter() - began_s

    round_of(0, WARM_COUNT)
    found, lasted_s = round_of(WARM_COUNT, REQUEST_COUNT)
    done = [shot for shot in found if shot.status == http.client.OK]
    return {
        "flexmeasures_per_s": round(len(done) / lasted_s, 1),
        "flexmeasures_refused": len(found) - len(done),
    }


def _request(access: Mapping[str, str], number: int) -> bytes:
    start = START + number * timedelta(hours=2, minutes=30)
    body = json.dumps(
        {
            "values": [1.0, 2.0, 3.0, 4.0, 5.0],
            "start": start.isoformat(),
            "duration": "PT2H30M",
            "unit": "kW",
        }
    ).encode()
    head = (
        f"POST {access['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: {access['authorization']}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
