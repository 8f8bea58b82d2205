"""Who knocks: a machine by its bearer token, or a person by the session of the portal."""

from __future__ import annotations

from typing import Any

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.core.text import is_plain
from accounts.parties.selectors import client_of_token
from accounts.parties.sight import NOBODY, Sight, sight_of, sight_of_client

TOKEN_LENGTH_MAX = 255


class MachineAuthentication(authentication.BaseAuthentication):
    """OAuth 2.0 bearer token of a client (RFC 6750), given by ``/oauth/token``."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the client and its sight; None without a token; refuse a wrong one."""
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        client = _client_of(text.strip())
        if client is None:
            raise exceptions.AuthenticationFailed("the token is not valid, or no longer")
        return client, sight_of_client(client)

    def authenticate_header(self, _request: Request) -> str:
        """Make a missing token 401 rather than 403."""
        return 'Bearer realm="wattbit"'


class PersonAuthentication(authentication.SessionAuthentication):
    """The session of somebody signed in at the portal; changes need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the person and what they may see."""
        found = super().authenticate(request)
        return None if found is None else (found[0], sight_of(found[0]))


def sight_in(request: Request) -> Sight:
    """Return what the caller may see and do."""
    return request.auth if isinstance(request.auth, Sight) else NOBODY


def _client_of(text: str) -> Any:
    if not text or len(text) > TOKEN_LENGTH_MAX or not is_plain(text):
        return None
    return client_of_token(text)
