"""Sign-ins and changes of factors and passwords, in the audit trail."""

from __future__ import annotations

from typing import Any, Final

from allauth.account import signals as account_signals
from allauth.mfa import signals as factor_signals
from axes.signals import user_locked_out
from django.db import transaction
from django.dispatch import Signal

from accounts.audit.services import entry_append
from accounts.parties.addresses import client_address

# what happened, by the signal that tells it
SIGNALS: Final[dict[str, Signal]] = {
    "signed_in": account_signals.user_logged_in,
    "signed_out": account_signals.user_logged_out,
    "password_changed": account_signals.password_changed,
    "password_set": account_signals.password_set,
    "password_reset": account_signals.password_reset,
    "factor_added": factor_signals.authenticator_added,
    "factor_removed": factor_signals.authenticator_removed,
    "factor_reset": factor_signals.authenticator_reset,
}


def connect() -> None:
    """Listen; called once when the portal is ready."""
    for what, signal in SIGNALS.items():
        signal.connect(_told(what), weak=False, dispatch_uid=f"portal.trail.{what}")
    user_locked_out.connect(_locked_out, dispatch_uid="portal.trail.locked_out")


def _told(what: str) -> Any:
    def told(*, user: Any = None, request: Any = None, **more: Any) -> None:
        if user is None or user.pk is None:
            return
        detail = {"address": client_address(request)} if request is not None else {}
        factor = more.get("authenticator")
        if factor is not None:
            detail["factor"] = str(factor.type)
        with transaction.atomic():
            entry_append(
                action=f"accounts.person.{what}", subject=user, user_id=user.pk, detail=detail
            )

    return told


def _locked_out(*, username: str | None = None, ip_address: str | None = None, **_: Any) -> None:
    """Tell of a lock; the name as it was typed may be nobody's, so it is no subject."""
    with transaction.atomic():
        entry_append(
            action="accounts.person.locked_out",
            subject="parties.user",
            detail={"name": str(username or "")[:150], "address": str(ip_address or "")},
        )
