"""/auth: where tokens come from."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from accounts.core.text import is_plain
from accounts.parties.keys import api_client_authenticate
from aggregator.protocols.openadr3.server.base import Door, dumped, json_answer
from aggregator.protocols.openadr3.server.problem import Denied
from aggregator.protocols.openadr3.tokens import scopes_allowed, token_issue

CREDENTIAL_LENGTH_MAX = 4_096
CLIENT_ID_LENGTH_MAX = 128
FORM = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 20_000


class AuthServerView(Door):
    """Where tokens are given; open to all."""

    is_open = True

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the address of the token endpoint."""
        return json_answer(
            dumped({"tokenURL": request.build_absolute_uri(reverse("openadr3:token"))})
        )


class TokenView(Door):
    """OAuth 2.0 client credentials, by form or by HTTP Basic (RFC 6749 §2.3.1, §4.4)."""

    is_open = True

    def post(self, request: HttpRequest) -> HttpResponse:
        """Give an hour's token."""
        form = _form(request)
        if form.get("grant_type") != "client_credentials":
            missing = not form.get("grant_type")
            return _refusal("invalid_request" if missing else "unsupported_grant_type")
        basic = _basic(request.headers.get("Authorization", ""))
        client_id = basic[0] if basic else form.get("client_id", "")
        secret = basic[1] if basic else form.get("client_secret", "")
        scope = form.get("scope", "")
        if not client_id or not secret or not is_plain(client_id + secret):
            return _refusal("invalid_request")
        if len(client_id) > CLIENT_ID_LENGTH_MAX or len(secret) > CREDENTIAL_LENGTH_MAX:
            return _refusal("invalid_client")
        client = api_client_authenticate(client_id=client_id, secret=secret)
        if client is None:
            return _refusal("invalid_client")
        asked = frozenset(scope.split())
        if not scopes_allowed(client=client, asked=asked):
            return _refusal("invalid_scope")
        token = token_issue(client=client, asked=asked)
        return json_answer(
            dumped(
                {
                    "access_token": token.text,
                    "token_type": "Bearer",
                    "expires_in": token.lifetime_s,
                    "scope": " ".join(token.scopes),
                }
            )
        )


def _form(request: HttpRequest) -> Mapping[str, Any]:
    """Return the fields of a form, in the encoding its sender names if Python knows it."""
    if (request.content_type or "").lower() != FORM:
        raise Denied(415, f"send {FORM}")
    octets = request.read(FORM_BYTES_MAX + 1)
    if len(octets) > FORM_BYTES_MAX:
        raise Denied(413, f"at most {FORM_BYTES_MAX} bytes")
    named = (request.content_params or {}).get("charset", "utf-8")
    try:
        return QueryDict(octets, encoding=named)
    except (LookupError, ValueError) as error:
        raise Denied(400, "a form in UTF-8") from error


def _refusal(error: str) -> HttpResponse:
    unknown = error == "invalid_client"
    response = json_answer(dumped({"error": error}), status=401 if unknown else 400)
    if unknown:
        response["WWW-Authenticate"] = 'Basic realm="openadr3"'
    return response


def _basic(header: str) -> tuple[str, str] | None:
    """Return id and secret of an HTTP Basic header, form-decoded as RFC 6749 asks."""
    kind, _, text = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, found, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return (unquote_plus(client_id), unquote_plus(secret)) if found else ("", "")
