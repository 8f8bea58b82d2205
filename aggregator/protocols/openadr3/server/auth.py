"""/auth: where tokens come from."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_plus

from django.urls import reverse
from rest_framework import status
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.core.text import is_plain
from accounts.parties.keys import api_client_authenticate
from aggregator.protocols.openadr3.server.base import ObjectView
from aggregator.protocols.openadr3.tokens import scopes_allowed, token_issue

CREDENTIAL_LENGTH_MAX = 4_096
CLIENT_ID_LENGTH_MAX = 128


class AuthServerView(ObjectView):
    """Where tokens are given; open to all."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request) -> Response:
        """Return the address of the token endpoint."""
        return Response({"tokenURL": request.build_absolute_uri(reverse("openadr3:token"))})


class TokenView(ObjectView):
    """OAuth 2.0 client credentials, by form or by HTTP Basic (RFC 6749 §2.3.1, §4.4)."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (FormParser,)

    def post(self, request: Request) -> Response:
        """Give an hour's token."""
        form: Any = request.data
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
        return Response(
            {
                "access_token": token.text,
                "token_type": "Bearer",
                "expires_in": token.lifetime_s,
                "scope": " ".join(token.scopes),
            }
        )


def _refusal(error: str) -> Response:
    unknown = error == "invalid_client"
    code = status.HTTP_401_UNAUTHORIZED if unknown else status.HTTP_400_BAD_REQUEST
    response = Response({"error": error}, status=code)
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
