"""Requests sent on a timetable, whether answers keep up or not.

A closed loop waits for answers and so hides how long they queue. Here every request has a moment
at which it is due, and its latency is counted from that moment. A request that no connection is
free to carry waits here; the wait counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

HEAD_END: Final = b"\r\n\r\n"
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
NO_ANSWER: Final = 0


@dataclass(frozen=True)
class Shot:
    """One request and what came of it.

    Parameters
    ----------
    number
        Which request it was.
    status
        Of the answer; 0 if the connection ended without one.
    latency_s
        From the moment it was due to the end of the answer.
    body
        Of the answer.
    """

    number: int
    status: int
    latency_s: float
    body: bytes


def request_bytes(
    path: str, body: bytes, *, token: str, key: str, host: str = "127.0.0.1"
) -> bytes:
    """Return a POST as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def fired(
    address: tuple[str, int],
    requests: Sequence[bytes],
    *,
    rate_per_s: float,
    connection_count: int = 64,
    patience_s: float = 30.0,
) -> list[Shot]:
    """Send `requests` evenly at a rate and return what came of each, in their order.

    Parameters
    ----------
    address
        Host and port.
    rate_per_s
        Requests due per second.
    connection_count
        Connections kept open, each carrying one request at a time.
    patience_s
        How long after the last one is due answers are waited for.
    """
    return asyncio.run(_fired(address, requests, rate_per_s, connection_count, patience_s))


async def _fired(
    address: tuple[str, int],
    requests: Sequence[bytes],
    rate_per_s: float,
    connection_count: int,
    patience_s: float,
) -> list[Shot]:
    shots: list[Shot] = []
    began_s = time.perf_counter() + 0.05
    last_s = began_s + len(requests) / rate_per_s + patience_s
    numbers = iter(range(len(requests)))

    async def carry() -> None:
        line = _Line(address)
        for number in numbers:
            due_s = began_s + number / rate_per_s
            now_s = time.perf_counter()
            if due_s > now_s:
                await asyncio.sleep(due_s - now_s)
            status, body = await line.exchange(requests[number], last_s)
            shots.append(Shot(number, status, time.perf_counter() - due_s, body))
        await line.close()

    await asyncio.gather(*(carry() for _ in range(connection_count)))
    return sorted(shots, key=lambda shot: shot.number)


def exchanged(
    address: tuple[str, int],
    requests: Sequence[bytes],
    *,
    connection_count: int,
    patience_s: float = 120.0,
) -> list[Shot]:
    """Send `requests` one after the other on each of some connections: a closed loop.

    For clients that wait for an answer before they ask again; latency is from the sending of each.
    """
    return asyncio.run(_exchanged(address, requests, connection_count, patience_s))


async def _exchanged(
    address: tuple[str, int], requests: Sequence[bytes], connection_count: int, patience_s: float
) -> list[Shot]:
    shots: list[Shot] = []
    last_s = time.perf_counter() + patience_s
    numbers = iter(range(len(requests)))

    async def carry() -> None:
        line = _Line(address)
        for number in numbers:
            began_s = time.perf_counter()
            status, body = await line.exchange(requests[number], last_s)
            shots.append(Shot(number, status, time.perf_counter() - began_s, body))
        await line.close()

    await asyncio.gather(*(carry() for _ in range(connection_count)))
    return sorted(shots, key=lambda shot: shot.number)


class _Line:
    """One connection, made again when the other side ends it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def exchange(self, request: bytes, last_s: float) -> tuple[int, bytes]:
        """Send one request; a connection found ended before any answer is made once more."""
        for is_fresh in (False, True):
            try:
                if self._writer is None or is_fresh:
                    await self.close()
                    self._reader, self._writer = await asyncio.open_connection(
                        *self._address, limit=ANSWER_BYTES_MAX
                    )
                self._writer.write(request)
                wait_s = max(0.1, last_s - time.perf_counter())
                return await asyncio.wait_for(self._answer(), wait_s)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                await self.close()
        return NO_ANSWER, b""

    async def _answer(self) -> tuple[int, bytes]:
        reader = self._reader
        if reader is None:
            raise OSError("not connected")
        head = (await reader.readuntil(HEAD_END)).lower()
        status = int(head[9:12])
        body = b""
        length = _header(head, b"content-length:")
        if length is not None:
            body = await reader.readexactly(int(length))
        elif b"transfer-encoding: chunked" in head:
            body = await _chunked(reader)
        if b"connection: close" in head:
            await self.close()
        return status, body

    async def close(self) -> None:
        """End the connection."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int(await reader.readline(), 16)
        body += await reader.readexactly(size)
        await reader.readline()
        if size == 0:
            return body


def _header(head: bytes, name: bytes) -> bytes | None:
    start = head.find(b"\n" + name)
    if start < 0:
        return None
    start += len(name) + 1
    return head[start : head.index(b"\r", start)].strip()


def percentile_ms(shots: Sequence[Shot], ratio: float) -> float:
    """Return the latency that a share `ratio` of shots does not exceed, in milliseconds."""
    if not shots:
        return 0.0
    ordered = sorted(shot.latency_s for shot in shots)
    place = min(len(ordered) - 1, int(ratio * len(ordered)))
    return round(1e3 * ordered[place], 1)


def json_of(shot: Shot) -> Mapping[str, Any]:
    """Return the body of an answer as an object."""
    found = json.loads(shot.body)
    return found if isinstance(found, dict) else {}
