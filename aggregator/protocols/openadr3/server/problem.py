"""Every refusal as a problem body of the standard, with a number that is in the log."""

import logging
import uuid
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.core.errors import NotFound, NotPermitted, Refused
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
    406: "Not Acceptable",
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
    (NotPermitted, 403),
    (Refused, 400),
    (Http404, 404),
    (PermissionDenied, 403),
    (OperationalError, 503),
)


def problem(code: int, detail: str, *, kind: str = "about:blank") -> Response:
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
    return Response(body, status=code, content_type=CONTENT_TYPE)


def problem_of(error: Exception, _context: dict[str, Any]) -> Response:
    """Turn what a view raised into a problem; nothing of an unknown error is shown."""
    set_rollback()
    if isinstance(error, exceptions.APIException):
        response = problem(error.status_code, str(error.detail))
        if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
            response["WWW-Authenticate"] = 'Bearer realm="openadr3"'
        return response
    for kind, code in CODES:
        if isinstance(error, kind):
            return _known(error, code)
    logger.error("unexpected error", exc_info=error)
    return problem(status.HTTP_500_INTERNAL_SERVER_ERROR, "an error of ours; it is in our log")


def _known(error: Exception, code: int) -> Response:
    if isinstance(error, Refused):
        return problem(code, str(error), kind=f"/problems/{error.code}")
    if isinstance(error, OperationalError):
        response = problem(code, "the database does not answer; try again")
        response["Retry-After"] = "1"
        return response
    return problem(code, str(error) or TITLES[code])
