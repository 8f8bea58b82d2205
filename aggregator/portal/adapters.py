"""What django-allauth asks of us: where to go, what to mail, how secrets rest."""

from __future__ import annotations

import base64
import logging
import re
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy

from accounts.parties.addresses import client_address
from accounts.parties.models import User
from accounts.parties.sight import sight_of

logger = logging.getLogger(__name__)
SALT = "aggregator.portal.second-factor"


class AccountAdapter(DefaultAccountAdapter):
    """Sign-in of people: by invitation only, and on to the second factor where one is due."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        **dict.fromkeys(
            ("username_password_mismatch", "email_password_mismatch", "invalid_login"),
            gettext_lazy(
                "利用者名またはパスワードが一致しません。大文字と小文字を確かめて、もう一度入力してください。"
            ),
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up; an administrator invites."""
        del request
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address as far as our own proxies vouch for it."""
        return client_address(request)

    def post_login(self, request: HttpRequest, user: Any, **more: Any) -> HttpResponse:
        """Lead who lacks a second factor to where one is set up."""
        response: HttpResponse = super().post_login(request, user, **more)
        if sight_of(user).lacks_second_factor:
            return HttpResponseRedirect(reverse("mfa_index"))
        return response

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send; a mail server that is down is our trouble, not the person's."""
        if not email:
            return
        try:
            super().send_mail(template_prefix, email, context)
        except OSError:  # smtplib's errors are OSErrors
            logger.exception("mail %s was not sent", template_prefix)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Secrets of second factors rest encrypted; a stolen dump of the database opens no door."""

    def encrypt(self, text: str) -> str:
        """Encrypt by a key derived from SECRET_KEY."""
        from cryptography.fernet import Fernet

        return Fernet(_keys()[0]).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt by SECRET_KEY or one of its predecessors."""
        from cryptography.fernet import Fernet, MultiFernet

        found = MultiFernet([Fernet(key) for key in _keys()]).decrypt(encrypted_text.encode())
        return found.decode()

    def build_totp_svg(self, url: str) -> str:
        """Draw the code for the page itself, in its colours: no XML head, no fixed size."""
        text: str = super().build_totp_svg(url)
        text = text[text.index("<svg") :]
        return re.sub(r' (?:width|height)="[^"]*"', "", text, count=2).replace(
            "<svg", '<svg class="qr" role="img"', 1
        )

    def get_totp_label(self, user: Any) -> str:
        """Name the person by what they sign in with."""
        return str(user.username) if isinstance(user, User) else super().get_totp_label(user)


def _keys() -> list[bytes]:
    return [
        base64.urlsafe_b64encode(
            salted_hmac(SALT, "fernet", secret=secret, algorithm="sha256").digest()
        )
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
