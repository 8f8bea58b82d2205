"""Sign in and out, in the portal's own frame; one's own sessions and factors."""

from __future__ import annotations

import contextlib
from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.views import LoginView, LogoutView
from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.core.errors import NotFound
from accounts.parties.roles import Role
from accounts.parties.sessions import session_end, sessions_end, sessions_seen
from accounts.parties.sight import Sight
from aggregator.portal import words
from aggregator.portal.devices import device_name
from aggregator.portal.frame import frame, sight_in

NAME_LENGTH_MAX = 254
PASSWORD_LENGTH_MAX = 4_096
LOCKED_STATUS = 429
# names of pages that packages make and our frame stands around
OURS_AROUND = ("account_", "mfa_")


class LoginForm(AllauthLoginForm):
    """Name or address and password, with our labels."""

    fields: dict[str, forms.Field]
    cleaned_data: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["login"]
        self.fields = {
            "username": forms.CharField(
                label=gettext_lazy("利用者名またはメールアドレス"),
                max_length=NAME_LENGTH_MAX,
                widget=forms.TextInput(
                    attrs={"class": "in", "autocomplete": "username", "autofocus": True}
                ),
            ),
            "password": forms.CharField(
                label=gettext_lazy("パスワード"),
                max_length=PASSWORD_LENGTH_MAX,
                strip=False,
                widget=forms.PasswordInput(
                    attrs={"class": "in", "autocomplete": "current-password"}
                ),
            ),
        }

    def clean(self) -> Any:
        """Hand what was typed over under the name it is expected by."""
        self.cleaned_data["login"] = self.cleaned_data.get("username", "").strip()
        return super().clean()


class Login(LoginView):
    """The door for people."""

    template_name = "portal/login.html"
    form_class = LoginForm

    def get_form_class(self) -> type[LoginForm]:
        """Return our form."""
        return LoginForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the frame and where to go afterwards."""
        found: dict[str, Any] = super().get_context_data(**kwargs)
        return {
            **found,
            **frame(self.request, page="login"),
            "next": self.get_next_url() or "",
        }


class Logout(LogoutView):
    """Leave; by POST only, so that no link or image can sign anyone out."""

    http_method_names = ("post", "options")


def around(request: HttpRequest) -> dict[str, Any]:
    """Return the portal's frame for pages of packages; nothing for all others."""
    match = request.resolver_match
    if match is None or match.namespace or not str(match.url_name).startswith(OURS_AROUND):
        return {}
    return frame(request, page="account")


def admin_door(request: HttpRequest) -> HttpResponse:
    """Lead to the one sign-in there is: the admin has none of its own."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request)


def redirect_to_login(request: HttpRequest) -> HttpResponse:
    """Return the way to the sign-in and back."""
    from django.contrib.auth.views import redirect_to_login as lead

    return lead(request.GET.get("next") or "/admin/")


def locked_out(
    request: HttpRequest, _response: HttpResponse | None = None, *_args: Any, **_more: Any
) -> HttpResponse:
    """Tell who guessed too often how long to wait, whether or not the name exists."""
    response = render(
        request,
        "portal/locked.html",
        frame(request, page="login"),
        status=LOCKED_STATUS,
    )
    response["Retry-After"] = "900"
    return response


@never_cache
@login_required
@require_http_methods(["GET", "HEAD"])
def account(request: HttpRequest) -> HttpResponse:
    """Show the person their roles, factors and sessions."""
    sight = sight_in(request)
    key = request.session.session_key
    sessions = [
        {
            "id": row.pk,
            "device": device_name(row.user_agent),
            "address": row.ip,
            "since": row.created_at,
            "seen": row.last_seen_at,
            "is_current": row.session_key == key,
        }
        for row in sessions_seen(seen_by=sight).order_by("-last_seen_at", "-pk")
    ]
    return render(
        request,
        "portal/account.html",
        {**frame(request, page="account"), "sessions": sessions, "places": _places(sight)},
    )


def _places(sight: Sight) -> list[dict[str, str]]:
    return [
        {
            "name": words.local_name(row),
            "roles": gettext("、").join(
                gettext(str(Role(role).label))
                for at, role in sorted(sight.roles, key=str)
                if at == row.id
            ),
        }
        for row in sight.organisations
    ]


@login_required
@require_POST
def session_sign_out(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of the person's sessions."""
    user: Any = request.user
    with contextlib.suppress(NotFound):  # it has ended already: that is what was asked for
        session_end(user=user, session_id=session_id)
    return redirect("account_overview")


@login_required
@require_POST
def sessions_sign_out(request: HttpRequest) -> HttpResponse:
    """End all of the person's sessions but this one."""
    user: Any = request.user
    sessions_end(user=user, but=request.session.session_key)
    return redirect("account_overview")
