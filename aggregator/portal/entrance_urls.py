"""Paths of sign-in and of one's own account, under the names django-allauth asks for.

Of its pages only these exist: there is no sign-up, no social sign-in, no e-mail page. Its views
are imported when they are first asked for: WebAuthn alone would slow every command's start.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, re_path

from aggregator.portal import entering, entrance, invitations


def _late(module: str, name: str) -> Callable[..., HttpResponseBase]:
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        found: Callable[..., HttpResponseBase] = getattr(import_module(module), name)
        return found(request, *args, **kwargs)

    return view


def _person(name: str) -> Callable[..., HttpResponseBase]:
    return _late("allauth.account.views", name)


def _factor(kind: str, name: str, view: str, tail: str) -> URLPattern:
    return path(
        f"account/factors/{tail}", _late(f"allauth.mfa.{kind}.views", view), name=f"mfa_{name}"
    )


urlpatterns = [
    path("login/", entrance.Login.as_view(), name="account_login"),
    path("logout/", entrance.Logout.as_view(), name="account_logout"),
    path("account/state/", entering.session_state, name="session_state"),
    path("account/signed-in/", entering.signed_in, name="signed_in"),
    path("account/", entrance.account, name="account_overview"),
    path("invitations/<str:link>/", invitations.invitation, name="account_invitation"),
    path("account/inactive/", _person("account_inactive"), name="account_inactive"),
    path("account/sessions/end/", entrance.sessions_sign_out, name="account_sessions_end"),
    path(
        "account/sessions/<int:session_id>/end/",
        entrance.session_sign_out,
        name="account_session_end",
    ),
    path("account/again/", _person("reauthenticate"), name="account_reauthenticate"),
    path("account/password/", _person("password_change"), name="account_change_password"),
    path("account/password/set/", _person("password_set"), name="account_set_password"),
    path("account/password/reset/", _person("password_reset"), name="account_reset_password"),
    path(
        "account/password/reset/sent/",
        _person("password_reset_done"),
        name="account_reset_password_done",
    ),
    re_path(
        r"^account/password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-0-9A-Za-z]+)/$",
        _person("password_reset_from_key"),
        name="account_reset_password_from_key",
    ),
    path(
        "account/password/reset/done/",
        _person("password_reset_from_key_done"),
        name="account_reset_password_from_key_done",
    ),
    _factor("base", "index", "index", ""),
    _factor("base", "authenticate", "authenticate", "authenticate/"),
    _factor("base", "reauthenticate", "reauthenticate", "reauthenticate/"),
    path(
        "account/factors/app/activate/",
        _late("aggregator.portal.factors", "activate_totp"),
        name="mfa_activate_totp",
    ),
    _factor("totp", "deactivate_totp", "deactivate_totp", "app/deactivate/"),
    _factor("webauthn", "list_webauthn", "list_webauthn", "key/"),
    _factor("webauthn", "add_webauthn", "add_webauthn", "key/add/"),
    _factor("webauthn", "reauthenticate_webauthn", "reauthenticate_webauthn", "key/again/"),
    _factor("webauthn", "remove_webauthn", "remove_webauthn", "key/<int:pk>/remove/"),
    _factor("webauthn", "edit_webauthn", "edit_webauthn", "key/<int:pk>/edit/"),
    _factor("webauthn", "login_webauthn", "login_webauthn", "key/login/"),
    _factor("recovery_codes", "view_recovery_codes", "view_recovery_codes", "codes/"),
    _factor("recovery_codes", "generate_recovery_codes", "generate_recovery_codes", "codes/new/"),
    _factor("recovery_codes", "download_recovery_codes", "download_recovery_codes", "codes/file/"),
]
