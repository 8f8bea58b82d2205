"""The page behind the link of an invitation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.core.errors import Refused
from accounts.parties.invitations import (
    PASSWORD_LENGTH_MAX,
    LinkInvalid,
    invitation_accept,
    invitation_accept_as_new,
    invitation_of_link,
)
from accounts.parties.models import Invitation, User
from aggregator.portal import words
from aggregator.portal.frame import frame

GONE_STATUS = 410


class NewPersonForm(forms.ModelForm):  # type: ignore[type-arg]
    """A name to sign in by, a name to be called by, a password twice."""

    password = forms.CharField(
        label=gettext_lazy("パスワード"),
        strip=False,
        max_length=PASSWORD_LENGTH_MAX,
        help_text=gettext_lazy("12文字以上。ほかで使っていないもの。"),
        widget=forms.PasswordInput(attrs={"class": "in", "autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=gettext_lazy("パスワード（確認）"),
        strip=False,
        max_length=PASSWORD_LENGTH_MAX,
        widget=forms.PasswordInput(attrs={"class": "in", "autocomplete": "new-password"}),
    )

    class Meta:
        model = User
        fields = ("username", "display_name")
        labels = {
            "username": gettext_lazy("利用者名"),
            "display_name": gettext_lazy("表示名"),
        }
        help_texts = {"username": gettext_lazy("半角の英数字と @ . + - _。後から変えられません。")}
        widgets = {
            "username": forms.TextInput(attrs={"class": "in", "autocomplete": "username"}),
            "display_name": forms.TextInput(attrs={"class": "in", "autocomplete": "name"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["display_name"].required = True

    def clean_username(self) -> str:
        """Refuse a name that differs from another only in case."""
        username = str(self.cleaned_data["username"])
        if User.objects.filter(username__iexact=username).exists():
            raise ValidationError(gettext("この利用者名は使われています。"))
        return username

    def clean(self) -> dict[str, Any]:
        """Compare the passwords and weigh them."""
        found = super().clean() or {}
        password = found.get("password")
        if password is not None:
            if password != found.get("again"):
                self.add_error("again", gettext("パスワードが一致しません。"))
            try:
                validate_password(password, self.instance)
            except ValidationError as error:
                self.add_error("password", error)
        return found


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, link: str) -> HttpResponse:
    """Show what one is invited to, and take the answer."""
    try:
        row = invitation_of_link(link)
    except LinkInvalid:
        return _page(request, "portal/invitation_gone.html", {}, status=GONE_STATUS)
    if request.user.is_authenticated:
        return _as_known(request, row, link)
    if User.objects.filter(email__iexact=row.email).exists():
        return _page(request, "portal/invitation.html", {"row": row, "must_sign_in": True})
    return _as_new(request, row, link)


def _as_known(request: HttpRequest, row: Invitation, link: str) -> HttpResponse:
    user: Any = request.user
    refusal = ""
    if request.method == "POST":
        try:
            invitation_accept(link=link, user=user)
        except LinkInvalid:
            return _page(request, "portal/invitation_gone.html", {}, status=GONE_STATUS)
        except Refused:
            refusal = gettext("この招待は、サインイン中の利用者では受けられません。")
        else:
            messages.success(request, gettext("招待を受け付けました。"))
            return redirect("account_overview")
    return _page(request, "portal/invitation.html", {"row": row, "refusal": refusal})


def _as_new(request: HttpRequest, row: Invitation, link: str) -> HttpResponse:
    form = NewPersonForm(request.POST or None, instance=User(email=row.email))
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            invitation_accept_as_new(
                link=link,
                username=given["username"],
                display_name=given["display_name"],
                password=given["password"],
            )
        except LinkInvalid:
            return _page(request, "portal/invitation_gone.html", {}, status=GONE_STATUS)
        except Refused as refused:
            form.add_error(None, words.rule(refused))
        else:
            messages.success(request, gettext("登録しました。サインインしてください。"))
            return redirect("account_login")
    return _page(request, "portal/invitation.html", {"row": row, "form": form})


def _page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    row: Invitation | None = context.get("row")
    if row is not None:
        context["place"] = words.local_name(row.organisation)
        context["role"] = gettext(str(row.get_role_display()))
    response = render(request, template, {**frame(request, page="login"), **context}, status=status)
    # the address is a key: it must not travel on
    response["Referrer-Policy"] = "no-referrer"
    return response
