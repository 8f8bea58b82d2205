"""A full house refuses at once, and only what stands before it."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterable
from typing import Any

import pytest

from aggregator.config.turnstile import Turnstile

Answer = tuple[str, dict[str, str], bytes]


def _asked(application: Any, path: str = "/api/v1/bids", length: str = "2") -> Answer:
    told: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        told.update(status=status, headers=dict(headers))

    environ = {"PATH_INFO": path, "CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"{}rest")}
    body = b"".join(application(environ, start_response))
    return told["status"], told["headers"], body


class _Slow:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.is_in, self.may_go = threading.Event(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/api/"):
            self.is_in.set()
            assert self.may_go.wait(10)
        start_response("200 OK", [])
        return [b"done"]


def test_a_full_house_says_so_at_once_and_when_to_come_back() -> None:
    slow = _Slow()
    application = Turnstile(slow, places=1)
    inside: list[Answer] = []
    guest = threading.Thread(target=lambda: inside.append(_asked(application)))
    guest.start()
    assert slow.is_in.wait(10)
    status, headers, body = _asked(application)
    assert status == "503 Service Unavailable"
    assert headers["Retry-After"] == "1"
    assert headers["Content-Type"] == "application/problem+json"
    assert "Connection" not in headers
    assert json.loads(body)["code"] == "unavailable"
    # A long body is not read: its connection ends.
    assert _asked(application, length="65537")[1]["Connection"] == "close"
    # Other doors do not wait for the API.
    assert _asked(application, path="/healthz")[0] == "200 OK"
    slow.may_go.set()
    guest.join(10)
    assert inside[0][0] == "200 OK"
    assert _asked(application)[0] == "200 OK"


def test_a_burst_waits_a_moment_for_a_place_and_no_longer() -> None:
    slow = _Slow()
    application = Turnstile(slow, places=1, benches=1, patience_s=0.05)
    inside: list[Answer] = []
    guests = [threading.Thread(target=lambda: inside.append(_asked(application)))]
    guests[0].start()
    assert slow.is_in.wait(10)
    # nobody leaves in time: the wait on the bench ends as a refusal
    assert _asked(application)[0] == "503 Service Unavailable"
    patient = Turnstile(slow, places=1, benches=1, patience_s=10)
    guests.append(threading.Thread(target=lambda: inside.append(_asked(patient))))
    slow.is_in.clear()
    guests[1].start()
    assert slow.is_in.wait(10)
    guests.append(threading.Thread(target=lambda: inside.append(_asked(patient))))
    guests[2].start()
    slow.may_go.set()
    for guest in guests:
        guest.join(10)
    assert [answer[0] for answer in inside] == ["200 OK"] * 3


def test_a_failure_inside_frees_its_place() -> None:
    def failing(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        raise OSError("inside")

    application = Turnstile(failing, places=1)
    for _ in range(2):
        with pytest.raises(OSError, match="inside"):
            _asked(application)
