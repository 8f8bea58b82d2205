"""One way to answer a page with a form: show, read, let the service judge, lead on.

============================================  ======================================================
what came                                     answer
============================================  ======================================================
GET                                           the form; with the text kept over a sign-in, if any
POST, fields that cannot be read              422, the form with errors at their fields
POST, refused by the service                  422; 409 if the row or the gate was faster
POST, the row changed meanwhile               409, both values side by side, a choice per field
POST, done                                    303 to the result, with a toast
the same form again                           303 to the same result: "already received at …"
the same token, other content                 409, the text kept, under a new token
============================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib import messages
from django.db import OperationalError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext
from psycopg.errors import LockNotAvailable

from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from aggregator.portal import once, words
from aggregator.portal.entering import text_kept
from aggregator.portal.forms import PortalForm
from aggregator.portal.models import FormSent
from market.trading.gates import GateClosed

UNPROCESSABLE: Final = 422
CONFLICT: Final = 409
SEE_OTHER: Final = 303
TOAST: Final = "toast"
UNDO: Final = "undo:"
MERGE: Final = "merge"

FormMaker = Callable[[QueryDict | None, Any], PortalForm]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a form led to.

    Parameters
    ----------
    url
        Where the result stands.
    said
        One sentence for the toast.
    undo_url
        Address whose POST takes it back, if it can be.
    """

    url: str
    said: str = ""
    undo_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field of which two people, or two tabs, have different values."""

    name: str
    label: str
    mine: str
    theirs: str


class Changed(Exception):
    """The row is not the version that the form was filled from.

    Parameters
    ----------
    rows
        Fields that differ.
    version
        The version there is now; the form goes on from it.
    who
        Who saved it and when, as a sentence.
    """

    def __init__(self, *, rows: Sequence[Difference], version: object, who: str) -> None:
        super().__init__(who)
        self.rows, self.version, self.who = tuple(rows), str(version), who


@dataclass(kw_only=True)
class FormPage:
    """A page with one form.

    Parameters
    ----------
    form
        Makes the form of what was sent, or an empty one of (None, None).
    work
        Does what the form asks, by the service that judges; gets the form's clean fields.
    template, context
        The page; `context` is asked for when it is shown.
    """

    form: FormMaker
    work: Callable[[dict[str, Any]], Done]
    template: str
    context: Callable[[PortalForm], Mapping[str, Any]]
    status: int = field(default=200, init=False)

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer a request for this page, as the module's table says."""
        if request.method != "POST":
            kept = text_kept(request)
            return self.show(request, self.form(kept, None), is_kept=kept is not None)
        if MERGE in request.POST:
            return self.show(request, self.form(merged(request.POST), None), is_merged=True)
        return self._sent(request)

    def show(
        self, request: HttpRequest, form: PortalForm, *, status: int = 200, **more: Any
    ) -> HttpResponse:
        """Show the page, under a new token."""
        user: Any = request.user
        context = {
            **self.context(form),
            "form": form,
            "form_token": once.token_made(user.pk),
            **more,
        }
        return render(request, self.template, context, status=status)

    def _sent(self, request: HttpRequest) -> HttpResponse:
        user: Any = request.user
        token = once.token_read(request.POST.get(once.FIELD, ""))
        form = self.form(request.POST, request.FILES)
        if token is None or token.user_id != user.pk:
            text = gettext(
                "この画面は別の人が開いたものです。内容を確かめて、もう一度送ってください。"
            )
            return self.show(request, form, status=CONFLICT, notice=text)
        try:
            with transaction.atomic():
                before = once.sending_begin(request, token)
                if before is None:
                    return self._first(request, form, token)
        except _Stays as stays:
            return self.show(request, form, status=stays.status, **stays.more)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            text = gettext("同じ内容を処理しています。数秒待って、結果を確かめてください。")
            return self.show(request, form, status=CONFLICT, notice=text)
        return self._again(request, form, before)

    def _first(self, request: HttpRequest, form: PortalForm, token: once.Token) -> HttpResponse:
        if not form.is_valid():
            raise _Stays(UNPROCESSABLE)
        try:
            with transaction.atomic():
                done = self.work(form.cleaned_data)
        except (NotFound, NotPermitted) as refused:
            if refused.field not in form.fields:
                raise Http404(gettext("見つかりません。")) from refused
            form.refuse(refused)
            raise _Stays(UNPROCESSABLE) from refused
        except Changed as changed:
            raise _Stays(CONFLICT, changed=changed) from changed
        except Refused as refused:
            form.refuse(refused)
            late = isinstance(refused, GateClosed)
            status = CONFLICT if late or isinstance(refused, Conflict) else UNPROCESSABLE
            raise _Stays(status, late=refused if late else None) from refused
        once.sending_end(token, location=done.url, said=done.said)
        return led_on(request, done)

    def _again(self, request: HttpRequest, form: PortalForm, before: FormSent) -> HttpResponse:
        at = words.jst(before.sent_at, seconds=True)
        if not once.is_same(before, request):
            text = gettext(
                "この画面は %(at)s に送信済みです。その後の変更は送られていません。"
                "変更も送るときは、内容を確かめてもう一度送ってください。"
            ) % {"at": at}
            return self.show(request, form, status=CONFLICT, notice=text, sent_url=before.location)
        said = gettext("%(at)s に受け付け済みです。%(said)s") % {"at": at, "said": before.said}
        return led_on(request, Done(url=before.location, said=said))


class _Stays(Exception):
    """The form is shown again; nothing of its work is kept."""

    def __init__(self, status: int, **more: Any) -> None:
        super().__init__(status)
        self.status, self.more = status, more


def led_on(request: HttpRequest, done: Done) -> HttpResponse:
    """Lead to a result, by the browser or by its script, and say there what was done."""
    if done.said:
        tags = f"{TOAST} {UNDO}{done.undo_url}" if done.undo_url else TOAST
        messages.success(request, done.said, extra_tags=tags)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": done.url})
    answer = HttpResponseRedirect(done.url)
    answer.status_code = SEE_OTHER
    return answer


def merged(sent: QueryDict) -> QueryDict:
    """Return a form's fields after the choice between two versions: theirs unless said."""
    fields = sent.copy()
    for name in [name for name in sent if name.startswith("theirs-")]:
        plain = name.removeprefix("theirs-")
        if sent.get(f"pick-{plain}", "theirs") == "theirs":
            fields.setlist(plain, sent.getlist(name))
        del fields[name]
        fields.pop(f"pick-{plain}", None)
    fields["version"] = sent.get("version_now", sent.get("version", ""))
    fields.pop(MERGE, None)
    return fields
