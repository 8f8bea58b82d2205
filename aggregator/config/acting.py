"""Names the person behind each request of portal and admin, for the audit trail."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from accounts.audit.acting import acting_as


class ActingMiddleware:
    """Stands after the authentication; the doors of the API name machines themselves.

    Who it is is asked only when something is written, so that pages read no session for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the actor named."""

        def actor() -> str:
            user = getattr(request, "user", None)
            return f"user:{user.pk}" if user is not None and user.is_authenticated else "nobody"

        with acting_as(actor):
            return self._get_response(request)
