"""No body is longer than any door takes, whatever its sender says of it.

Django reads a whole body into a file before the first view or middleware sees the request. So the
length is looked at here, outside Django: by the header before a byte is read, and byte by byte
where there is no header.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Django names its scope a dict, and others any mapping
Application = Callable[[Any, Any, Any], Awaitable[None]]

# 5 MB of rows or of a file, and what a form adds to it
BODY_BYTES_MAX: Final = 5 * 1024 * 1024 + 200_000
LENGTH_DIGITS_MAX: Final = 12


class BodyLimit:
    """ASGI application that refuses long bodies and hands the others on."""

    def __init__(self, application: Application, *, bytes_max: int = BODY_BYTES_MAX) -> None:
        self._application, self._bytes_max = application, bytes_max

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 413 before or while a long body is read."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and (len(length) > LENGTH_DIGITS_MAX or int(length) > self._bytes_max):
            await self._refuse(scope, send)
            return
        read_bytes, is_answered = 0, False

        async def counted() -> Message:
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            return {"type": "http.disconnect"} if read_bytes > self._bytes_max else message

        async def watched(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self._application(scope, counted, watched)
        if read_bytes > self._bytes_max and not is_answered:
            await self._refuse(scope, send)

    async def _refuse(self, scope: Message, send: Send) -> None:
        instance = f"urn:uuid:{uuid.uuid4()}"
        logger.info("problem 413 too-large %s %s", instance, scope["method"])
        body = json.dumps(
            {
                "type": "/problems/too-large",
                "code": "too-large",
                "status": 413,
                "title": "The body is too large.",
                "title_ja": "本文が大きすぎます。",
                "detail": f"at most {self._bytes_max} bytes",
                "detail_ja": f"本文は {self._bytes_max} バイトまでです",
                "instance": instance,
            },
            ensure_ascii=False,
        ).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
