"""The same request twice has one effect and one answer.

The answer of a POST is stored under its ``Idempotency-Key`` in the transaction of its effects:
a crash before the commit leaves neither. It costs one statement before the work (look for an
answer, and try the key's lock without waiting) and one after it (store the answer).

=================================  ==============================================
what there is                      what the caller gets
=================================  ==============================================
nothing                            the work is done
an answer to the same request      that answer, with ``Idempotency-Replayed: true``
an answer to another request       422 ``key-reused``
the twin, still at work            409 ``key-in-flight``, at once
a refusal                          was not kept: the work is done
=================================  ==============================================
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.errors import ensure
from accounts.fields.copying import insert_of
from aggregator.api.models import STATUS_MAX, IdempotentAnswer
from aggregator.api.v1.problem import Stopped
from aggregator.api.v1.rendering import ExactJsonRenderer

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
KEPT_HEADERS: Final = ("ETag", "Location")
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
_TABLE: Final = "api_idempotentanswer"
# One message: the second statement sees what was committed before the first gave the lock.
_LOOK: Final = f"""
SELECT pg_try_advisory_xact_lock(number)
FROM unnest(%s::bigint[]) WITH ORDINALITY AS asked(number, n) ORDER BY n;
SELECT id, request_sha256, status, content_type, headers, body FROM {_TABLE} WHERE id = ANY(%s)
"""  # noqa: S608 - a constant
_COLUMNS: Final = (
    "id",
    "caller",
    "key",
    "request",
    "request_sha256",
    "status",
    "content_type",
    "headers",
    "body",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyed:
    """A request as its caller named it.

    Parameters
    ----------
    id, lock
        Halves of SHA-256 over caller and key: of the answer's row, and of its lock.
    digest
        Of the whole request.
    """

    id: UUID
    lock: int
    caller: str
    key: str
    request: str
    digest: bytes


class Printed(Response):
    """An answer whose body is written already."""

    def __init__(
        self,
        body: bytes,
        *,
        status: int,
        content_type: str,
        headers: Mapping[str, str],
        data: Any = None,
    ) -> None:
        super().__init__(data, status=status, headers=dict(headers), content_type=content_type)
        self._printed = body

    @property
    def rendered_content(self) -> bytes:  # type: ignore[override]
        """The body; it is not written a second time."""
        if self._printed:
            self["Content-Type"] = str(self.content_type)
        else:
            del self["Content-Type"]
        return self._printed


def key_of(request: Request) -> str:
    """Return the caller's name of this request.

    Raises
    ------
    Stopped
        ``key-required`` or ``malformed``.
    """
    key: str = request.headers.get(HEADER, "")
    if not key:
        raise Stopped(
            "key-required",
            "a POST needs an Idempotency-Key of its own",
            detail_ja="POST には固有の Idempotency-Key が必要です",
            field=HEADER,
        )
    if _KEY.fullmatch(key) is None:
        raise Stopped(
            "malformed",
            "an Idempotency-Key is 1 to 255 printable ASCII characters",
            detail_ja="Idempotency-Key は印字可能な ASCII 1〜255 文字です",
            field=HEADER,
        )
    return key


def keyed(request: Request, caller: str) -> Keyed:
    """Return what to know a request by; its body was read already.

    Parameters
    ----------
    caller
        Whose key it is, e.g. ``client:<id>``.

    Raises
    ------
    Stopped
        ``key-required`` or ``malformed``.
    """
    key = key_of(request)
    # keyed: from a bare hash of a sealed bid its price could be found by trying
    content = hmac.new(
        settings.SECRET_KEY.encode(),
        f"{request.method} {request.get_full_path()}\n{request.content_type}\n".encode(),
        "sha256",
    )
    content.update(request._request.body)  # noqa: SLF001 - DRF offers its own no second time
    number = hashlib.sha256(f"{caller}\n{key}".encode()).digest()
    return Keyed(
        id=UUID(bytes=number[:16]),
        lock=int.from_bytes(number[:8], signed=True),
        caller=caller,
        key=key,
        request=f"{request.method} {request.path}"[:300],
        digest=content.digest(),
    )


def answered(request: Request, caller: str, work: Callable[[], Any]) -> Any:
    """Do `work` in one transaction unless it was done before, and return its answer.

    Parameters
    ----------
    request
        Its body was read already.
    caller
        Whose key it is, e.g. ``client:<id>``.
    work
        Makes the answer; one of 400 and above undoes what was done, as an exception does.

    Raises
    ------
    Stopped
        ``key-required``, ``malformed``, ``key-reused`` or ``key-in-flight``.
    """
    asked = keyed(request, caller)
    with transaction.atomic():
        (before,) = befores([asked])
        if isinstance(before, Stopped):
            raise before
        if before is not None:
            return before
        answer = work()
        if answer.status_code > STATUS_MAX:
            transaction.set_rollback(True)
            return answer
        done = printed(answer)
        keep([(asked, done)])
    return done


def befores(asked: Sequence[Keyed]) -> list[Printed | Stopped | None]:
    """Look what each request was answered before; where nothing is, its key is ours till the end.

    Runs in the caller's transaction, READ COMMITTED.

    Returns
    -------
    list
        Of each its first answer, or why it has none, or None if it is to be worked on.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, [[one.lock for one in asked], [one.id for one in asked]])
        is_mine = [row[0] for row in cursor]
        cursor.nextset()
        rows = {row[0]: row[1:] for row in cursor}
    found: list[Printed | Stopped | None] = []
    taken: set[UUID] = set()
    for one, is_free in zip(asked, is_mine, strict=True):
        if one.id in rows:
            found.append(_again(one, *rows[one.id]))
        elif not is_free or one.id in taken:  # whoever has a lock is given it a second time
            found.append(_in_flight())
        else:
            taken.add(one.id)
            found.append(None)
    return found


def keep(answers: Sequence[tuple[Keyed, Printed]]) -> None:
    """Store first answers in the transaction of what they tell of."""
    statement, values = insert_of(
        IdempotentAnswer,
        _COLUMNS,
        [
            (
                asked.id,
                asked.caller,
                asked.key,
                asked.request,
                asked.digest,
                answer.status_code,
                answer.content_type,
                json.dumps({one: answer[one] for one in KEPT_HEADERS if one in answer}),
                answer.rendered_content,
            )
            for asked, answer in answers
        ],
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _again(
    asked: Keyed, content: bytes, number: int, content_type: str, headers: Any, body: bytes
) -> Printed | Stopped:
    """Return the first answer, if it was one to the same request."""
    if bytes(content) != asked.digest:
        return Stopped(
            "key-reused",
            "this key named another request; use a new one",
            detail_ja="このキーは別の要求に使われています。新しいキーを使ってください",
            field=HEADER,
        )
    kept = json.loads(headers) if isinstance(headers, str) else headers
    return Printed(
        bytes(body),
        status=number,
        content_type=content_type,
        headers={**kept, REPLAYED: "true"},
    )


def printed(answer: Any) -> Printed:
    """Write the body now, so that what is stored is what is sent."""
    headers = dict(answer.items())
    headers.pop("Content-Type", None)
    if not isinstance(answer, Response):
        ensure(isinstance(answer, HttpResponse), "a keyed answer is no stream")
        return Printed(
            answer.content,
            status=answer.status_code,
            content_type=answer.get("Content-Type", ""),
            headers=headers,
        )
    empty = answer.data is None or answer.status_code == status.HTTP_204_NO_CONTENT
    return Printed(
        b"" if empty else ExactJsonRenderer().render(answer.data),
        status=answer.status_code,
        content_type=answer.content_type or "application/json",
        headers=headers,
        data=answer.data,
    )


def _in_flight() -> Stopped:
    return Stopped(
        "key-in-flight",
        "the first request with this key is not answered yet; ask again",
        detail_ja="同じキーの最初の要求にまだ応答していません。後でもう一度送ってください",
        field=HEADER,
        retry_after_s=1,
    )
