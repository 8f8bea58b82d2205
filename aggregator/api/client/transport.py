"""Requests that are safe to repeat: tokens, keys, retries, problems, pages.

Every POST carries an ``Idempotency-Key``. Where no answer comes, or one that says *later*, it is
sent again under the same key, so that whatever happened on the way is done once.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

ATTEMPT_COUNT_MAX: Final = 5
PAUSE_FIRST_S: Final = 0.25
PAUSE_MAX_S: Final = 8.0
TOKEN_MARGIN_S: Final = 30.0
LATER: Final = frozenset({429, 502, 503, 504})
IN_FLIGHT: Final = "key-in-flight"
PAGE_SIZE: Final = 500

Query = Mapping[str, str | int | None]


class Problem(Exception):
    """A refusal, as the API words it (RFC 9457).

    Parameters
    ----------
    status
        Of HTTP.
    body
        The problem: ``code``, ``title``, ``detail``, ``field``, ``errors``, ``instance``.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = dict(body)
        self.code = str(body.get("code", ""))
        self.field = str(body.get("field", ""))
        super().__init__(f"{status} {self.code}: {body.get('detail', '')}")


class Unreachable(Exception):
    """No answer after all attempts; a POST may or may not have been done.

    Parameters
    ----------
    key
        Under which to try again later: what was done is then not done twice.
    """

    def __init__(self, detail: str, key: str | None) -> None:
        self.key = key
        super().__init__(f"{detail}; to try again, use key={key!r}" if key else detail)


@dataclass(frozen=True)
class Answer:
    """A body and what its headers say of it."""

    body: Any
    etag: str
    is_replayed: bool


@dataclass(kw_only=True)
class Transport:
    """One connection of one machine.

    Parameters
    ----------
    base_url
        Of the platform, without ``/api``.
    client_id, client_secret
        As given when the key was made; both empty to read public results only.
    timeout_s
        For one attempt.
    inner
        An httpx transport in place of the network, for tests.
    """

    base_url: str
    client_id: str = ""
    client_secret: str = ""
    timeout_s: float = 10.0
    inner: httpx.BaseTransport | None = None
    _token: str = field(default="", init=False, repr=False)
    _token_ends_s: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(
            base_url=self.base_url.rstrip("/"), timeout=self.timeout_s, transport=self.inner
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Answer:
        """Read one thing."""
        return self._send("GET", path, query=query)

    def pages(self, path: str, query: Query | None = None) -> Iterator[Any]:
        """Read a list to its end, page by page."""
        cursor: str | None = None
        while True:
            wanted = {**(query or {}), "limit": PAGE_SIZE, "cursor": cursor}
            body = self.get(path, wanted).body
            yield from body["items"]
            cursor = body["next"]
            if cursor is None:
                return

    def post(
        self, path: str, body: Any, *, key: str | None = None, query: Query | None = None
    ) -> Answer:
        """Do something once, however often it has to be sent.

        Parameters
        ----------
        key
            Your own name of this act; made up if absent.
        """
        return self._send("POST", path, json=body, key=key or str(uuid.uuid4()), query=query)

    def change(self, method: str, path: str, *, etag: str, body: Any = None) -> Answer:
        """Change what you have read, unless somebody changed it meanwhile."""
        return self._send(method, path, json=body, etag=etag)

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        key: str | None = None,
        etag: str = "",
        query: Query | None = None,
    ) -> Answer:
        headers = {"Idempotency-Key": key} if key else {}
        if etag:
            headers["If-Match"] = etag
        asked = {name: str(value) for name, value in (query or {}).items() if value is not None}
        pause_s, told = PAUSE_FIRST_S, ""
        for attempt in range(ATTEMPT_COUNT_MAX):
            if attempt:
                # Spread, so that clients cut off together do not come back together.
                time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
            try:
                response = self._http.request(
                    method,
                    f"/api/v1{path}",
                    json=json,
                    params=asked,
                    headers={**headers, **self._authorization()},
                )
            except httpx.TransportError as error:
                told = f"{type(error).__name__}: {error}"
                continue
            if response.status_code == httpx.codes.UNAUTHORIZED and self._token:
                self._token = ""  # ended early, as when a key was rotated
                told = "the token was refused"
                continue
            if response.is_success:
                return _answer(response)
            refused = _problem(response)
            if response.status_code not in LATER and refused.code != IN_FLIGHT:
                raise refused
            pause_s = max(pause_s, _wait_s(response))
            told = str(refused)
        raise Unreachable(f"{ATTEMPT_COUNT_MAX} attempts failed, the last: {told}", key)

    def _authorization(self) -> dict[str, str]:
        if not self.client_id:
            return {}
        if not self._token or time.monotonic() > self._token_ends_s:
            response = self._http.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(self.client_id, self.client_secret),
            )
            if not response.is_success:
                raise _problem(response)
            given = response.json()
            self._token = str(given["access_token"])
            self._token_ends_s = time.monotonic() + float(given["expires_in"]) - TOKEN_MARGIN_S
        return {"Authorization": f"Bearer {self._token}"}


def _answer(response: httpx.Response) -> Answer:
    is_json = "json" in response.headers.get("Content-Type", "")
    return Answer(
        body=response.json() if is_json and response.content else response.text,
        etag=response.headers.get("ETag", ""),
        is_replayed=response.headers.get("Idempotency-Replayed") == "true",
    )


def _problem(response: httpx.Response) -> Problem:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"code": "", "detail": response.text[:200]}
    return Problem(response.status_code, body)


def _wait_s(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), PAUSE_MAX_S) if text.isascii() and text.isdigit() else 0.0
