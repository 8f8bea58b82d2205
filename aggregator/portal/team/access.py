"""Who administers what, on team pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext

from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.portal import words
from aggregator.portal.answering import FormPage
from aggregator.portal.frame import sight_in
from aggregator.portal.once import Token


def allowed(request: HttpRequest, action: str) -> Sight:
    """Return the sight of who may do `action` somewhere.

    Raises
    ------
    Http404
        For everybody else.
    """
    sight = sight_in(request)
    if not sight.may_somewhere(action):
        raise Http404(gettext("見つかりません。"))
    return sight


def organisations_for(sight: Sight, action: str) -> list[Organisation]:
    """Return the person's organisations for which they may do `action`."""
    ids = sight.organisations_for(action)
    return [row for row in sight.organisations if row.id in ids]


def choices_for(sight: Sight, action: str) -> list[tuple[str, str]]:
    """Return those organisations as choices."""
    return [(row.code, words.local_name(row)) for row in organisations_for(sight, action)]


class SecretPage(FormPage):
    """A form whose result is a secret: it is shown in the answer itself, this once.

    Sending the form again leads to where its result stands, without the secret.
    """

    def __init__(
        self, *, secret: Callable[[], str], shown: Callable[[], dict[str, Any]], **given: Any
    ) -> None:
        super().__init__(**given)
        self.secret, self.shown = secret, shown

    def _first(self, request: HttpRequest, form: Any, token: Token) -> HttpResponse:
        answer = super()._first(request, form, token)
        location = answer.headers.get("Location") or answer.headers.get("HX-Redirect", "")
        told = render(
            request,
            "portal/team/secret.html",
            {**self.shown(), "secret": self.secret(), "url": location},
        )
        told["Cache-Control"] = "no-store"
        return told
