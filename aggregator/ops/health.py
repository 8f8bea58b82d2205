"""Two answers for whoever watches the process: alive, and able to work."""

from __future__ import annotations

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin


class HealthMiddleware(MiddlewareMixin):
    """Answer ``/healthz`` and ``/readyz`` before host names, TLS and sessions are looked at."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Return the answer to a probe, or None for every other request."""
        answers = {"/healthz": healthz, "/readyz": readyz}
        answer = answers.get(request.path_info)
        if answer is None or request.method not in ("GET", "HEAD"):
            return None
        response = answer()
        response["Cache-Control"] = "no-store"
        return response


def healthz() -> HttpResponse:
    """Alive: touches nothing, so that a hung database does not get the process killed."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz() -> HttpResponse:
    """Ready: the database answers. Redis is not asked: without it only rings are late."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return JsonResponse({"database": False}, status=503)
    return JsonResponse({"database": True})
