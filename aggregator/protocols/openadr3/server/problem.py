"""Every refusal as a problem body of the standard, with a number that is in the log."""

import json
import logging
import uuid
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError

from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.core.together import LeaderLost
from aggregator.dispatch.errors import InstructionClosed
from aggregator.protocols.openadr3.errors import NameTaken
from aggregator.protocols.openadr3.wire import Malformed

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
CODES: tuple[tuple[type[Exception], int], ...] = (
    (Malformed, 400),
    (NotFound, 404),
    (NameTaken, 409),
    (InstructionClosed, 409),
    (Conflict, 409),
    (NotPermitted, 403),
    (Refused, 400),
    (Http404, 404),
    (PermissionDenied, 403),
    (RequestDataTooBig, 413),
    (SuspiciousOperation, 400),
    (UnreadablePostError, 400),
    (OperationalError, 503),
    (LeaderLost, 503),
)


class Denied(Exception):
    """The door itself says no.

    Parameters
    ----------
    status
        Of the answer.
    rule
        What it would take.
    methods
        Those the path has, of a method that it has not.
    """

    def __init__(self, status: int, rule: str, methods: Sequence[str] = ()) -> None:
        self.status = status
        self.methods = methods
        super().__init__(rule)


def problem(code: int, detail: str, *, kind: str = "about:blank") -> HttpResponse:
    """Return a problem body."""
    instance = f"urn:uuid:{uuid.uuid4()}"
    body = {
        "type": kind,
        "title": TITLES.get(code, "Error"),
        "status": code,
        "detail": detail,
        "instance": instance,
    }
    logger.info("problem %s %s: %s", code, instance, detail)
    answer = HttpResponse(
        json.dumps(body, ensure_ascii=False).encode(errors="replace"),
        status=code,
        content_type=CONTENT_TYPE,
    )
    answer.problem_instance = instance  # type: ignore[attr-defined]
    answer.problem_detail = detail  # type: ignore[attr-defined]
    return answer


def problem_of(error: Exception) -> HttpResponse:
    """Turn what a door raised into a problem; nothing of an unknown error is shown."""
    if isinstance(error, Denied):
        answer = problem(error.status, str(error))
        if error.status == 401:  # noqa: PLR2004 - HTTP's number
            answer["WWW-Authenticate"] = 'Bearer realm="openadr3"'
        if error.methods:
            answer["Allow"] = ", ".join(error.methods)
        return answer
    for kind, code in CODES:
        if isinstance(error, kind):
            return _known(error, code)
    logger.error("unexpected error", exc_info=error)
    return problem(500, "an error of ours; it is in our log")


def _known(error: Exception, code: int) -> HttpResponse:
    if isinstance(error, Refused):
        return problem(code, str(error), kind=f"/problems/{error.code}")
    if isinstance(error, OperationalError | LeaderLost):
        answer = problem(code, "the database does not answer; try again")
        answer["Retry-After"] = "1"
        return answer
    return problem(code, str(error) or TITLES[code])
