"""Talk to an OpenADR 3.1 server as a site: token, objects, retries, the market's time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urljoin

import httpx

from aggregator.protocols.openadr3.wire import PAGE_MAX, Malformed, read_date_time

logger = logging.getLogger(__name__)

PAUSE_FIRST_S: Final = 0.1
PAUSE_MAX_S: Final = 5.0
TRIES_MAX: Final = 60
UNAUTHORIZED: Final = 401
CONFLICT: Final = 409
TOO_MANY: Final = 429
SERVER_ERRORS: Final = range(500, 600)
SUCCESS: Final = range(200, 300)
_SCHEME: Final = re.compile(r"https?://")


class Rejected(Exception):
    """The server understood, and said no: sending the same again would not help."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(f"{status}: {detail}")


class Unreachable(Exception):
    """The server gave no usable answer however often it was asked."""


class Vtn:
    """One client's connection to one server.

    Parameters
    ----------
    http
        A client of httpx; its ``base_url`` is the server's, with a slash at the end.
    client_id, client_secret
        As given out by the platform.

    Attributes
    ----------
    market_at
        The market's time as of the latest answer; None before the first.
    """

    def __init__(self, http: httpx.AsyncClient, *, client_id: str, client_secret: str) -> None:
        self.market_at: datetime | None = None
        self._http = http
        self._client_id = client_id
        self._client_secret = client_secret
        self._token = ""

    async def all(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return every object of a list, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            params = {**query, "skip": str(len(found)), "limit": str(PAGE_MAX)}
            rows = await self._ask("GET", path, params=params)
            found += rows
            if len(rows) < PAGE_MAX:
                return found

    async def make(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object and return it as the server stored it."""
        made: dict[str, Any] = await self._ask("POST", path, body=body)
        return made

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Ask until there is an answer that means something, with growing pauses."""
        pause_s = PAUSE_FIRST_S
        renewed = False
        for _ in range(TRIES_MAX):
            try:
                if not self._token:
                    await self._token_fetch()
                headers = {"Authorization": f"Bearer {self._token}"}
                answer = await self._http.request(
                    method, path, params=params, json=body, headers=headers
                )
            except httpx.TransportError as error:
                logger.info("%s %s: %s; again in %.1f s", method, path, error, pause_s)
            else:
                self._time_note(answer)
                if answer.status_code in SUCCESS:
                    return answer.json()
                if answer.status_code == UNAUTHORIZED and not renewed:
                    self._token, renewed = "", True
                    continue
                if answer.status_code not in SERVER_ERRORS and answer.status_code != TOO_MANY:
                    raise Rejected(answer.status_code, _detail(answer))
                logger.info("%s %s: %s; again", method, path, answer.status_code)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)
        raise Unreachable(f"{method} {path}: no usable answer after {TRIES_MAX} tries")

    async def _token_fetch(self) -> None:
        server = await self._http.get("auth/server")
        if server.status_code in SERVER_ERRORS:
            raise httpx.ReadError(f"auth/server: {server.status_code}")
        if server.status_code not in SUCCESS:
            raise Rejected(server.status_code, _detail(server))
        address = str(server.json()["tokenURL"])
        if not _SCHEME.match(address):
            address = urljoin(str(self._http.base_url), address)
        answer = await self._http.post(
            address,
            data={
                "grant_type": "client_credentials",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
            },
        )
        if answer.status_code in SERVER_ERRORS or answer.status_code == TOO_MANY:
            raise httpx.ReadError(f"auth/token: {answer.status_code}")
        if answer.status_code not in SUCCESS:
            raise Rejected(answer.status_code, _detail(answer))
        self._token = answer.json()["access_token"]

    def _time_note(self, answer: httpx.Response) -> None:
        text = answer.headers.get("Market-Time")
        if text:
            try:
                self.market_at = read_date_time(text, "Market-Time")
            except Malformed:
                logger.warning("Market-Time %r cannot be read", text)


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:200]
    return str(body.get("detail") or body.get("error") or body) if isinstance(body, dict) else ""
