"""The turnstile before the machines' doors: when the house is full, say so at once.

Refusing costs a tenth of a millisecond here, before Django reads the request, and several inside:
under three times the load we can carry, the difference is what is left for the work itself. The
doors count again (:mod:`aggregator.api.v1.limits`), with a lane for each organisation; this one
asks only whether there is room at all.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from aggregator.api.v1.problem import CONTENT_TYPE, TITLES

GUARDED: Final = ("/api/", "/openadr3/")
CODE: Final = "unavailable"
RETRY_AFTER_S: Final = 1
PATIENCE_S: Final = 0.05
"""How long a request may wait for a place: refusals come within a quarter of a second."""
DRAINED_BYTES_MAX: Final = 65_536
"""A short body is read, so that the connection can be used again; a longer one ends it."""

logger = logging.getLogger(__name__)
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Turnstile:
    """A WSGI application that lets so many requests into another one at a time.

    Parameters
    ----------
    inner
        The application behind it.
    places
        Requests of this process in work at once.
    benches
        Requests that may wait for a place, each for at most `patience_s`: bids come in bursts.
    """

    def __init__(
        self, inner: Application, *, places: int, benches: int = 0, patience_s: float = PATIENCE_S
    ) -> None:
        self._inner = inner
        self._free = threading.Semaphore(places)
        self._benches = threading.Semaphore(benches)
        self._patience_s = patience_s

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Pass on, or refuse with 503 and the time after which to come back."""
        if not environ.get("PATH_INFO", "").startswith(GUARDED):
            return self._inner(environ, start_response)
        if not (self._free.acquire(blocking=False) or self._waited()):
            return _refused(environ, start_response)
        try:
            return self._inner(environ, start_response)
        finally:
            self._free.release()

    def _waited(self) -> bool:
        """Wait for a place, if there is a bench to wait on; tell whether one came free."""
        if not self._benches.acquire(blocking=False):
            return False
        try:
            return self._free.acquire(timeout=self._patience_s)
        finally:
            self._benches.release()


def _refused(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, japanese, english = TITLES[CODE]
    instance = f"urn:uuid:{uuid.uuid4()}"
    body = json.dumps(
        {
            "type": f"/problems/{CODE}",
            "code": CODE,
            "status": status,
            "title": english,
            "title_ja": japanese,
            "detail": "too much is being worked on; nothing of this request was done",
            "detail_ja": "処理中の要求が多すぎます。この要求は処理していません",
            "instance": instance,
        },
        ensure_ascii=False,
    ).encode()
    logger.info("problem %s %s %s at the turnstile", status, CODE, instance)
    headers = [
        ("Content-Type", CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(RETRY_AFTER_S)),
        ("Cache-Control", "no-store"),
    ]
    length = environ.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) <= DRAINED_BYTES_MAX:
        environ["wsgi.input"].read(int(length))
    else:
        headers.append(("Connection", "close"))
    start_response(f"{status} Service Unavailable", headers)
    return [body]
