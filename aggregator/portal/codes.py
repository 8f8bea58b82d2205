"""Codes of the second factor: each valid once, and few guesses, both kept in PostgreSQL."""

from __future__ import annotations

import time
from typing import Any, Final

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt
from django.db import transaction
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy

FAILURES_MAX: Final = 5
FAILURES_KEPT_S: Final = 15 * 60
CODE_LENGTH_MAX: Final = 32


class _OnceOnly:
    """Read a code under the lock of the person's factors."""

    user: Any
    fields: dict[str, Any]
    cleaned_data: dict[str, Any]
    authenticator: Authenticator

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = gettext_lazy("確認コード")
        self.fields["code"].max_length = CODE_LENGTH_MAX
        self.fields["code"].widget.attrs.update(
            {"class": "in", "autocomplete": "one-time-code", "maxlength": CODE_LENGTH_MAX}
        )
        self.fields["code"].widget.attrs.pop("placeholder", None)

    def clean_code(self) -> str:
        """Accept an unused code; after five wrong ones in a quarter of an hour accept none."""
        code = "".join(str(self.cleaned_data["code"]).split())
        with transaction.atomic():
            factors = list(
                Authenticator.objects.select_for_update()
                .filter(user_id=self.user.pk)
                .exclude(type=Authenticator.Type.WEBAUTHN)
                .order_by("-type")  # the app's code before the codes on paper
            )
            is_locked = any(_failures(factor) >= FAILURES_MAX for factor in factors)
            found = None if is_locked else next((f for f in factors if _takes(f, code)), None)
            for factor in factors:
                _count(factor, found=found is not None, locked=is_locked)
        if is_locked:
            raise get_account_adapter().validation_error("too_many_login_attempts")
        if found is None:
            if factors:
                self._emit_authentication_failed(factors[0])  # type: ignore[attr-defined]
            raise get_adapter().validation_error("incorrect_code")
        found.user = self.user
        self.authenticator = found
        return code


class CodeForm(_OnceOnly, AuthenticateForm):
    """At sign-in."""


class ReauthenticationCodeForm(_OnceOnly, ReauthenticateForm):
    """Before something that asks again."""


def setup_code_spend(*, user_id: int, code: str) -> None:
    """Note that the code by which an app was set up is used: it does not sign in as well."""
    rows = Authenticator.objects.select_for_update()
    factor = rows.filter(user_id=user_id, type=Authenticator.Type.TOTP).first()
    if factor is not None and _takes(factor, "".join(code.split())):
        factor.save(update_fields=["data"])


def _takes(factor: Authenticator, code: str) -> bool:
    if factor.type == Authenticator.Type.RECOVERY_CODES:
        wrapped = factor.wrap()
        taken = bool(wrapped.validate_code(code))
        factor.data = wrapped.instance.data
        return taken
    secret = decrypt(factor.data["secret"])
    last = factor.data.get("last_counter", -1)
    for counter in yield_hotp_counters_from_time():
        expected = format_hotp_value(hotp_value(secret, counter))
        if constant_time_compare(code, expected) and counter > last:
            factor.data["last_counter"] = counter
            return True
    return False


def _failures(factor: Authenticator) -> int:
    since = time.time() - FAILURES_KEPT_S
    return sum(at > since for at in factor.data.get("failed_at", ()))


def _count(factor: Authenticator, *, found: bool, locked: bool) -> None:
    if locked:
        return
    kept = () if found else (*factor.data.get("failed_at", ()), time.time())
    factor.data["failed_at"] = list(kept)[-FAILURES_MAX:]
    factor.save(update_fields=["data"])
