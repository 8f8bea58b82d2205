"""Long bodies are refused outside Django, which would read them to the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from aggregator.api.v1 import reading
from aggregator.config.bodies import BODY_BYTES_MAX, BodyLimit


class Reader:
    """An application that reads the whole body, as Django does, and then answers 200."""

    def __init__(self) -> None:
        self.read: list[int] = []

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.read.append(len(message["body"]))
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _sent(pieces: list[int], *headers: tuple[bytes, bytes]) -> tuple[Reader, list[Any], int]:
    """Send a body in pieces; return the reader, what was answered, and pieces not asked for."""
    waiting = [
        {"type": "http.request", "body": b"x" * size, "more_body": i < len(pieces) - 1}
        for i, size in enumerate(pieces)
    ]
    answered: list[Any] = []
    reader = Reader()

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "headers": list(headers)}
    asyncio.run(BodyLimit(reader, bytes_max=1_000)(scope, receive, send))
    return reader, answered, len(waiting)


@pytest.mark.parametrize("length", [b"1001", b"9" * 5_000])
def test_a_long_body_is_refused_by_its_length_before_a_byte_is_read(length: bytes) -> None:
    reader, answered, left = _sent([600, 600], (b"content-length", length))
    assert (reader.read, left) == ([], 2)
    assert answered[0]["status"] == 413
    assert json.loads(answered[1]["body"])["code"] == "too-large"


def test_a_long_body_without_a_length_is_refused_while_it_is_read() -> None:
    reader, answered, left = _sent([600, 600, 600])
    assert (reader.read, left) == ([600], 1)
    assert [message.get("status") for message in answered] == [413, None]


def test_a_body_of_the_full_length_is_handed_on() -> None:
    reader, answered, _ = _sent([600, 400], (b"content-length", b"1000"))
    assert reader.read == [600, 400]
    assert answered[0]["status"] == 200


def test_the_limit_leaves_room_for_what_the_doors_take() -> None:
    assert reading.BODY_BYTES_MAX < BODY_BYTES_MAX < 6_000_000
