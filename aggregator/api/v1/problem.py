"""Every refusal as a problem body (RFC 9457), in two languages, with a number that is in the log.

``code`` is stable and machine-readable; ``field`` is the path of what is wrong; ``title`` is one
text per code, in Japanese and English; ``instance`` is in our log beside the cause.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.core.wording import rule_ja
from market.trading.key_file import BookKeyMissing

logger = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"

# code: (status, Japanese, English)
TITLES: Final[Mapping[str, tuple[int, str, str]]] = {
    "malformed": (400, "要求を読み取れません。", "The request cannot be read."),
    "key-required": (400, "Idempotency-Key が必要です。", "An Idempotency-Key is required."),
    "not-authenticated": (401, "認証が必要です。", "Sign in or send a token."),
    "not-permitted": (403, "この操作の権限がありません。", "Your role does not allow this."),
    "not-found": (404, "見つかりません。", "There is no such thing that you can see."),
    "method-not-allowed": (405, "この方法では使えません。", "Not with this method."),
    "not-acceptable": (406, "この形式では返せません。", "Not in that format."),
    "conflict": (409, "他の変更と競合しました。", "Somebody else was first."),
    "dispute-closed": (409, "異議の状態では行えません。", "The dispute's state does not allow it."),
    "gate-closed": (409, "締切後です。", "The gate is closed."),
    "instruction-closed": (
        409,
        "指令の状態では行えません。",
        "The instruction's state does not allow it.",
    ),
    "key-in-flight": (
        409,
        "同じ Idempotency-Key の要求を処理中です。",
        "A request with this Idempotency-Key is being answered.",
    ),
    "version-changed": (412, "読んだ後に変更されています。", "It changed since you read it."),
    "too-large": (413, "本文が大きすぎます。", "The body is too large."),
    "unsupported-media-type": (415, "この形式は受け付けません。", "Not in that format."),
    "key-reused": (
        422,
        "Idempotency-Key が別の内容で使われました。",
        "This Idempotency-Key was used with other content.",
    ),
    "version-required": (428, "If-Match が必要です。", "If-Match is required."),
    "too-many-requests": (429, "要求が多すぎます。", "Too many requests."),
    "our-error": (500, "内部エラーです。記録しました。", "An error of ours; it is in our log."),
    "unavailable": (503, "一時的に利用できません。", "Not available for the moment."),
}
REFUSED: Final = (400, "受け付けられない値があります。", "A value breaks a rule.")

_STATUS_CODES: Final = {
    400: "malformed",
    401: "not-authenticated",
    403: "not-permitted",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
}


class Stopped(Exception):
    """A refusal of the doors themselves, by a code of :data:`TITLES`.

    Parameters
    ----------
    code, detail, field, detail_ja
        As in :func:`problem`.
    retry_after_s
        When to ask again; 0 if that would not help.
    errors
        One entry per row that is refused, each with ``code``, ``field`` and ``detail``.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str = "",
        detail_ja: str = "",
        retry_after_s: int = 0,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.code, self.detail, self.field = code, detail, field
        self.detail_ja, self.retry_after_s, self.errors = detail_ja, retry_after_s, errors
        super().__init__(detail)


def problem(
    code: str,
    detail: str,
    *,
    field: str = "",
    detail_ja: str = "",
    more: Mapping[str, Any] | None = None,
) -> Response:
    """Return a problem body.

    Parameters
    ----------
    code
        A key of :data:`TITLES`, or the code of a refusal.
    detail
        What happened, for this request.
    field
        Path of what is wrong: ``bids[3].curves[0].steps[1].ask_jpy_per_kwh``.
    detail_ja
        The same in Japanese; looked up in the catalogue of rules unless given.
    more
        Further members, such as the ``errors`` of single rows.
    """
    number, japanese, english = TITLES.get(code, REFUSED)
    instance = f"urn:uuid:{uuid.uuid4()}"
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "code": code,
        "status": number,
        "title": english,
        "title_ja": japanese,
        "detail": detail,
        "instance": instance,
    }
    if told := detail_ja or rule_ja(detail):
        body["detail_ja"] = told
    if field:
        body["field"] = field
    return Response({**body, **(more or {})}, status=number, content_type=CONTENT_TYPE)


def problem_of(error: Exception, _context: Mapping[str, Any]) -> Response:
    """Turn what a view raised into a problem; nothing of an unknown error is shown."""
    set_rollback()
    if isinstance(error, Stopped):
        response = problem(
            error.code,
            error.detail,
            field=error.field,
            detail_ja=error.detail_ja,
            more={"errors": list(error.errors)} if error.errors else None,
        )
        if error.retry_after_s:
            response["Retry-After"] = str(error.retry_after_s)
        return response
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, Refused):
        return problem(code_of(error), str(error), field=error.field, detail_ja=refusal_ja(error))
    if isinstance(error, Http404 | PermissionDenied):
        return problem("not-found" if isinstance(error, Http404) else "not-permitted", str(error))
    if isinstance(error, OperationalError | InterfaceError | BookKeyMissing):
        is_sealing = isinstance(error, BookKeyMissing)
        what = "no worker has said yet what to seal to" if is_sealing else "the database is away"
        response = problem("unavailable", f"{what}; try again")
        response["Retry-After"] = "1"
        return response
    response = problem("our-error", "an error of ours; it is in our log")
    logger.error("unexpected error %s", response.data["instance"], exc_info=error)
    return response


def problem_log(response: Response, *, method: str, path: str, caller: str) -> None:
    """Write the line by which a caller's reference is found.

    It holds neither the detail nor the query: both may quote a bid, which nobody who reads logs
    may know before the gate.
    """
    body = response.data
    if isinstance(body, Mapping) and "instance" in body:
        field = quote(str(body.get("field", "")), safe="[].")
        logger.info(
            "problem %s %s %s %s %s %s %s",
            body["status"], body["code"], body["instance"], method, quote(path), caller, field,
        )  # fmt: skip


def refusal_ja(error: Refused) -> str:
    """Return what a refusal says in Japanese; an empty text if its rule is in no catalogue."""
    told = rule_ja(error.rule)
    return f"{error.field}: {error.shown} — {told}" if told else ""


def code_of(error: Refused) -> str:
    """Return the code of a refusal: its own where it has a status, else that of its kind."""
    if error.code in TITLES:
        return error.code
    for kind, code in (
        (NotFound, "not-found"),
        (NotPermitted, "not-permitted"),
        (Conflict, "conflict"),
    ):
        if isinstance(error, kind):
            return code
    return error.code


def _of_framework(error: exceptions.APIException) -> Response:
    code = _STATUS_CODES.get(error.status_code, "malformed")
    detail = str(error.detail)
    # the framework's own words quote the request; its kind says enough
    response = problem(code, detail, detail_ja=rule_ja(detail) or TITLES[code][1])
    if error.status_code == status.HTTP_401_UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="wattbit"'
    wait_s = getattr(error, "wait", None)
    if wait_s is not None:
        response["Retry-After"] = str(max(1, round(wait_s)))
    return response
