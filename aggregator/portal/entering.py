"""Pages for people who are signed in, and what becomes of their text when they no longer are."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    QueryDict,
)
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from aggregator.portal.frame import frame, sight_in
from aggregator.portal.keeping import opened, sealed
from aggregator.portal.once import FIELD, token_read

View = Callable[..., HttpResponseBase]
KEPT: Final = "portal_kept_text"
KEPT_LENGTH_MAX: Final = 200_000
FORMS_KEPT: Final = 5  # of one browser, the latest


def person_required(action: str | None = None) -> Callable[[View], View]:
    """Let only those in who are signed in and, somewhere, may do `action`.

    Who is not signed in is led to the sign-in and back; a form's text is kept meanwhile. A
    request of a script gets 401, upon which the page opens the sign-in over itself. Who may not
    do `action` for any organisation gets 404, like for what does not exist.
    """

    def wrapped(view: View) -> View:
        @wraps(view)
        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _sign_in_first(request)
            if action is not None and not sight_in(request).may_somewhere(action):
                raise Http404(gettext("このページは見つかりません。"))
            return view(request, *args, **kwargs)

        return never_cache(inner)

    return wrapped


def _sign_in_first(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(gettext("サインインの有効期限が切れました。"), status=401)
    if request.method == "POST":
        text_keep(request)
    return redirect(f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")


def text_keep(request: HttpRequest) -> bool:
    """Keep the text of a form until its author is back; whether it was kept.

    Forms of several tabs are kept beside each other.

    Only of forms we made for somebody: others are nobody's text. Passwords and files are not.
    """
    token = token_read(request.POST.get(FIELD, ""))
    if token is None:
        return False
    fields = [
        [name, value]
        for name, values in request.POST.lists()
        for value in values
        if name not in {FIELD, "csrfmiddlewaretoken"} and "password" not in name
    ]
    box = base64.b64encode(sealed({"user": token.user_id, "fields": fields})).decode()
    if len(box) > KEPT_LENGTH_MAX:
        return False
    kept = dict(request.session.get(KEPT) or {})
    kept.pop(request.path, None)
    kept[request.path] = box
    request.session[KEPT] = dict(list(kept.items())[-FORMS_KEPT:])
    return True


def text_kept(request: HttpRequest) -> QueryDict | None:
    """Return, once, the text kept for this page and this person."""
    kept = dict(request.session.get(KEPT) or {})
    box = kept.pop(request.path, None)
    if box is None:
        return None
    request.session[KEPT] = kept
    found = opened(base64.b64decode(box))
    if found is None or found["user"] != request.user.pk:
        return None
    fields = QueryDict(mutable=True)
    for name, value in found["fields"]:
        fields.appendlist(name, value)
    return fields


@never_cache
@require_safe
def session_state(request: HttpRequest) -> JsonResponse:
    """Tell a page's script who is signed in, and the token its forms need now."""
    user: Any = request.user
    return JsonResponse({"user": user.pk, "name": str(user), "csrf": get_token(request)})


@never_cache
@require_safe
def signed_in(request: HttpRequest) -> HttpResponse:
    """Tell the person that the other window goes on; its script is told as well."""
    return render(request, "portal/signed_in.html", frame(request, page="login"))
