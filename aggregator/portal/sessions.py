"""When a session was last seen and from where; and the admin's second lock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from accounts.parties.addresses import client_address
from accounts.parties.sight import has_second_factor

SEEN_EVERY_S: Final = 60
ADMIN: Final = "/admin/"


class SessionMiddleware:
    """Notes once a minute where a signed-in person is; shows staff without a factor the way."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer; a request without a session costs nothing."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            refused = self._seen(request)
            if refused is not None:
                return refused
        return self._get_response(request)

    def _seen(self, request: HttpRequest) -> HttpResponseBase | None:
        user: Any = request.user
        if not user.is_authenticated:
            return None
        from allauth.usersessions.models import UserSession

        UserSession.objects.filter(
            session_key=request.session.session_key,
            last_seen_at__lt=Now() - timedelta(seconds=SEEN_EVERY_S),
        ).update(last_seen_at=Now(), ip=client_address(request))
        if (
            request.path_info.startswith(ADMIN)
            and settings.SECOND_FACTOR_ROLES
            and not has_second_factor(user)
        ):
            return redirect("mfa_index")
        return None
