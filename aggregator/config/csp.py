"""The content policy of every answer: strict, but looser under /admin/ and /api/v1/docs."""

from __future__ import annotations

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

ADMIN_PREFIX = "/admin/"
DOCS_PREFIX = "/api/v1/docs"

# unfold's pages carry inline scripts and styles, and its Alpine evaluates expressions; these
# pages are for staff of the platform only
ADMIN_RELAXED = {
    "script-src": ["'self'", "'unsafe-inline'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
}

# Swagger UI and ReDoc write their styles at run time, hold icons as data and search in a worker;
# their scripts come from our own files only
DOCS_RELAXED = {
    "style-src": ["'self'", "'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'", "data:"],
    "worker-src": ["'self'", "blob:"],
}


class ContentPolicyMiddleware(CSPMiddleware):
    """django-csp's middleware with two exceptions: the admin and the pages of the API."""

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,  # noqa: FBT001, FBT002 - the signature is django-csp's
    ) -> PolicyParts:
        """Return the policy of one answer."""
        parts: PolicyParts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith(ADMIN_PREFIX):
            parts.replace = {**ADMIN_RELAXED, **(parts.replace or {})}
        elif request.path_info in (DOCS_PREFIX, f"{DOCS_PREFIX}/redoc"):
            parts.replace = {**DOCS_RELAXED, **(parts.replace or {})}
        return parts
