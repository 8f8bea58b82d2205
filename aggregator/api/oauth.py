"""``/oauth/token``: an hour's bearer token for a machine's key (RFC 6749 §4.4), and nothing else.

django-oauth-toolkit does the protocol; here is what is ours: whose secret it is, that two secrets
are valid while a rotation lasts, and that no token outlives the secret it was given for.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Any, Final
from urllib.parse import unquote_plus

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views.mixins import OAuthLibMixin
from oauthlib.common import Request as OauthRequest
from oauthlib.oauth2.rfc6749.errors import InvalidClientError

from accounts.parties.keys import api_client_authenticate, api_client_hold

TOKEN_BYTES_COUNT: Final = 32
BODY_BYTES_MAX: Final = 8 * 1024
CREDENTIAL_LENGTH_MAX: Final = 4_096
FORM: Final = "application/x-www-form-urlencoded"
CHALLENGE: Final = 'Basic realm="wattbit", charset="UTF-8"'


def token_text(_request: OauthRequest, **_more: Any) -> str:
    """Return a token nobody guesses: 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES_COUNT)


class MachineValidator(OAuth2Validator):
    """What the protocol asks of us about one request for a token."""

    @sensitive_variables()
    def authenticate_client(self, request: OauthRequest, *_args: Any, **_more: Any) -> bool:
        """Whether the key is one of a client that is switched on."""
        credentials = _credentials(request)
        if credentials is None:
            return False
        request.client = api_client_authenticate(client_id=credentials[0], secret=credentials[1])
        return request.client is not None

    def save_bearer_token(
        self, token: dict[str, Any], request: OauthRequest, *args: Any, **more: Any
    ) -> None:
        """Keep the token's checksum; end it with the secret it is given for."""
        client = request.client
        if client.admitted_until is not None:
            left_s = int((client.admitted_until - client.read_at).total_seconds())
            token["expires_in"] = max(1, min(token["expires_in"], left_s))
        with transaction.atomic():
            if not api_client_hold(client):
                raise InvalidClientError(request=request)
            super().save_bearer_token(token, request, *args, **more)


@method_decorator([csrf_exempt, sensitive_post_parameters("client_secret")], name="dispatch")
class TokenView(OAuthLibMixin, View):
    """Take a key by form or by HTTP Basic; give a token."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer as RFC 6749 §5 says."""
        if request.content_type != FORM:
            return _refusal("invalid_request", f"send {FORM}")
        if len(request.body) > BODY_BYTES_MAX:
            return _refusal("invalid_request", f"at most {BODY_BYTES_MAX} bytes")
        if any(len(values) > 1 for _, values in request.POST.lists()):
            return _refusal("invalid_request", "each parameter once")
        with translation.override("en"):
            _, headers, body, status = self.create_token_response(request)
        response = HttpResponse(body, status=status, content_type="application/json")
        for name, value in headers.items():
            response[name] = value
        response["Cache-Control"] = "no-store"
        if status == InvalidClientError.status_code:
            response["WWW-Authenticate"] = CHALLENGE
        return response


def _credentials(request: OauthRequest) -> tuple[str, str] | None:
    """Return id and secret, form-decoded as RFC 6749 §2.3.1 asks; one way of sending, not both."""
    kind, _, text = str(request.headers.get("Authorization", "")).partition(" ")
    form = (request.client_id or "", request.client_secret or "")
    if not kind:
        found = form
    elif kind.lower() != "basic" or any(form):
        return None
    else:
        try:
            decoded = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        client_id, _, secret = decoded.partition(":")
        found = unquote_plus(client_id), unquote_plus(secret)
    if not all(found) or max(map(len, found)) > CREDENTIAL_LENGTH_MAX:
        return None
    return found


def _refusal(error: str, description: str) -> HttpResponse:
    body = {"error": error, "error_description": description}
    return JsonResponse(body, status=400, headers={"Cache-Control": "no-store"})


app_name = "oauth"
urlpatterns: list[URLPattern] = [path("token", TokenView.as_view(), name="token")]
