"""Sign in and out, in the portal's own frame."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.utils.translation import gettext_lazy

from aggregator.portal.frame import frame


class LoginForm(AuthenticationForm):
    """Name and password, with our labels and a refusal that says what to do."""

    error_messages = {
        "invalid_login": gettext_lazy(
            "利用者名またはパスワードが一致しません。大文字と小文字を確かめて、もう一度入力してください。"
        ),
        "inactive": gettext_lazy("この利用者は停止されています。組織の管理者に連絡してください。"),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, text in (
            ("username", gettext_lazy("利用者名")),
            ("password", gettext_lazy("パスワード")),
        ):
            field: forms.Field = self.fields[name]
            field.label = text
            field.widget.attrs.update({"class": "in"})


class Login(LoginView):
    """The door for people."""

    template_name = "portal/login.html"
    form_class = LoginForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the frame."""
        return {**super().get_context_data(**kwargs), **frame(self.request, page="login")}


class Logout(LogoutView):
    """Leave; by POST only, so that no link or image can sign anyone out."""

    http_method_names = ("post", "options")
