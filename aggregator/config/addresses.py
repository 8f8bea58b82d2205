"""One gate for every address: what no page reads never reaches a view or the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase

from accounts.core.text import RULE, address_is_plain, is_plain

# These doors refuse with bodies of their own, by the same rule.
OWN_ANSWERS = ("/openadr3/", "/api/")


class PlainAddressMiddleware:
    """Refuse addresses with control characters or lone surrogates, whatever they name.

    PostgreSQL holds no NUL and no lone surrogate: a filter by one would end as an error of ours
    instead of the caller's. Cookies may hide such characters behind octal escapes: such a
    cookie is passed over.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass over unreadable cookies, before the session looks for its own."""
        for name in [name for name, value in request.COOKIES.items() if not is_plain(value)]:
            del request.COOKIES[name]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Any, _arguments: Any, _named: dict[str, Any]
    ) -> None:
        """Refuse inside all other middleware, so that the answer has its usual headers.

        Raises
        ------
        BadRequest
            If path or query cannot be.
        """
        if request.path_info.startswith(OWN_ANSWERS):
            return
        if not address_is_plain(request.path_info, request.GET.lists()):
            raise BadRequest(RULE)
