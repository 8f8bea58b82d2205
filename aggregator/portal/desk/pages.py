"""The control room, and its live link."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import render
from django.utils.translation import get_language, gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.parties.models import User
from accounts.parties.sight import Sight, sight_of
from aggregator.portal.desk import live, selectors
from aggregator.portal.desk.room import View
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame, market_time, sight_in


def view_in(sight: Sight) -> View:
    """Return which room the visitor is shown; who sees only their own instructions has none.

    Raises
    ------
    Http404
        For everybody who is not of the market's desk or an auditor.
    """
    if not sight.may_everywhere(selectors.SEE):
        raise Http404(gettext("このページは見つかりません。"))
    return View(language=get_language() or "ja", may_act=sight.may_everywhere(selectors.ACT))


@person_required(selectors.SEE)
@require_safe
def room(request: HttpRequest) -> HttpResponse:
    """Answer whether anything is abnormal, on one screen."""
    sight = sight_in(request)
    view = view_in(sight)
    clock = market_time()
    panels = live.WATCH.shown_now(view, sight, clock)
    context = {
        **frame(request, page="desk_room", now=clock),
        "panels": {name: panel.html for name, panel in panels.items()},
        "state_id": live.state_id(panels),
        "may_act": view.may_act,
    }
    return render(request, "portal/desk/room.html", context)


@person_required(selectors.SEE)
@require_safe
def room_state(request: HttpRequest) -> HttpResponse:
    """Return what changed since `have`: for who has no live link."""
    sight = sight_in(request)
    view = view_in(sight)
    clock = market_time()
    panels = live.WATCH.shown_now(view, sight, clock)
    known = live.known_of(request.GET.get("have", ""))
    return JsonResponse(
        {
            "id": live.state_id(panels),
            "panels": {
                name: panel.html
                for name, panel in panels.items()
                if known.get(name) != panel.digest
            },
            "clock": {"market_ms": clock.epoch_ms, "speed": clock.speed_ratio},
        }
    )


def _admitted(request: HttpRequest) -> tuple[View, Sight, int]:
    user = request.user
    if not isinstance(user, User):
        raise Http404(gettext("このページは見つかりません。"))
    sight = sight_of(user)
    return view_in(sight), sight, user.pk


def _still(session_key: str | None, user_id: int) -> bool:
    """Whether the visitor is still signed in and still sees the room, asked while a stream runs."""
    from django.contrib.sessions.backends.db import SessionStore

    try:
        user = User.objects.filter(id=user_id, is_active=True).first()
        return (
            user is not None
            and session_key is not None
            and SessionStore(session_key).exists(session_key)
            and sight_of(user).may_everywhere(selectors.SEE)
        )
    finally:
        connections.close_all()


def _answer(body: object) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(body, content_type="text/event-stream")  # type: ignore[arg-type]
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"
    return answer


@never_cache
@require_safe
def room_events(request: HttpRequest) -> HttpResponseBase:
    """Open the room's one stream; it says only what the visitor has not seen yet.

    Under the asynchronous server no thread waits for it; a threaded one lends it one.
    """
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    view, sight, user_id = _admitted(request)
    known = live.known_of(request.headers.get("Last-Event-ID") or request.GET.get("have", ""))
    session_key = request.session.session_key
    if isinstance(request, ASGIRequest):
        still = sync_to_async(_still)

        async def body() -> object:
            # the thread that let the visitor in keeps no connection for the stream's life
            await sync_to_async(connections.close_all)()
            async for text in live.stream_async(
                view, sight, known, lambda: still(session_key, user_id)
            ):
                yield text

        return _answer(body())
    return _answer(live.stream(view, sight, known, lambda: _still(session_key, user_id)))
