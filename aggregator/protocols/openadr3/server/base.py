"""What all doors of the server share: who calls, what they may, how answers look.

Plain views: sites poll hundreds of times a second, and a framework between them and the one
statement that answers would cost more than the statement.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views import View

from accounts.audit.acting import acting_as
from accounts.clock.selectors import market_now
from accounts.core import onejson
from accounts.core.text import RULE as PLAIN_RULE
from accounts.core.text import address_is_plain
from aggregator.protocols.openadr3 import legacy, wire
from aggregator.protocols.openadr3.selectors import Caller
from aggregator.protocols.openadr3.server.problem import Denied, problem_of
from aggregator.protocols.openadr3.tokens import caller_of

MARKET_TIME_HEADER: Final = "Market-Time"
JSON: Final = "application/json"
NEW: Final = "3.1.0"
METHODS: Final = ("get", "post", "put", "delete")


class Door(View):
    """Base of all doors.

    Every answer carries the header ``Market-Time``. The market's clock is the database's,
    which the demo lets run faster than the wall clock: a client must know what time it is in
    the market to act and to meter in step with it, and cannot learn it anywhere else. In
    production the header simply shows how far the client's own clock is off.
    """

    # set where a door is mounted
    version = NEW
    scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    is_open: ClassVar[bool] = False

    http_method_names = (*METHODS, "head")

    @classmethod
    def as_view(cls, **given: Any) -> Any:
        """Return the view; tokens, not cookies, say who calls, so nothing can be forged."""
        view = super().as_view(**given)
        view.csrf_exempt = True  # type: ignore[attr-defined]
        return view

    @property
    def is_legacy(self) -> bool:
        """Whether this door speaks 3.0.1."""
        return self.version == legacy.VERSION

    def dispatch(self, request: HttpRequest, *_args: Any, **named: str) -> HttpResponseBase:
        """Answer, or refuse with a problem; stamp the market's time either way."""
        self.caller: Caller | None = None
        self.raw = b""
        try:
            answer = self._answered(request, named)
        except Exception as error:  # noqa: BLE001 - every failure has its problem body
            answer = problem_of(error)
            self.refused(request, answer, error)
        answer[MARKET_TIME_HEADER] = wire.print_date_time(self._market_at())
        if not answer.has_header("Cache-Control"):
            answer["Cache-Control"] = "no-store"
        return answer

    def _answered(self, request: HttpRequest, named: Mapping[str, str]) -> HttpResponse:
        if not address_is_plain(request.path_info, request.GET.lists()):
            raise wire.Malformed("address", PLAIN_RULE)
        method = "get" if request.method == "HEAD" else str(request.method).lower()
        chosen = getattr(self, method, None) if method in METHODS else None
        if not self.is_open:
            self.caller = self._caller(request)
        if chosen is None:
            raise Denied(405, f"{request.method} is not for {request.path_info}", self._allowed())
        if self.caller is None:
            return chosen(request, **named)  # type: ignore[no-any-return]
        self._permitted(method.upper())
        with acting_as(f"client:{self.caller.client.id}"):
            return chosen(request, **named)  # type: ignore[no-any-return]

    def _market_at(self) -> datetime:
        """Return the market's time as it was read with the caller, or now."""
        return market_now() if self.caller is None else self.caller.market_at or market_now()

    def _caller(self, request: HttpRequest) -> Caller:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise Denied(401, "a bearer token is required")
        caller = caller_of(text.strip())
        if caller is None:
            raise Denied(401, "the token is not valid, or no longer")
        return caller

    def _permitted(self, method: str) -> None:
        """Tell a missing token (401) from a missing scope (403)."""
        wanted = self.scopes.get(method, ())
        if self.who.scopes.isdisjoint(wanted):
            raise Denied(403, f"needs the scope {' or '.join(wanted)}")

    def _allowed(self) -> tuple[str, ...]:
        return tuple(method.upper() for method in METHODS if hasattr(self, method))

    @property
    def who(self) -> Caller:
        """Who calls."""
        if self.caller is None:
            raise Denied(401, "a bearer token is required")
        return self.caller

    def refused(self, request: HttpRequest, answer: HttpResponse, error: Exception) -> None:
        """Do what else a refusal asks for."""

    def sent_json(self, request: HttpRequest) -> Any:
        """Return the body; at most one byte more than is allowed is read, so no flood is kept."""
        kind = (request.content_type or "").lower()
        if not kind and not request.META.get("CONTENT_LENGTH"):
            raise wire.Malformed("body", "required")
        if kind != JSON:
            raise Denied(415, f"send {JSON}, not {kind or 'nothing'}")
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > wire.BODY_BYTES_MAX:
            raise wire.Malformed("body", f"at most {wire.BODY_BYTES_MAX} bytes")
        self.raw = request.read(wire.BODY_BYTES_MAX + 1)
        try:
            return onejson.read_json(self.raw, bytes_max=wire.BODY_BYTES_MAX, fraction=wire.finite)
        except onejson.JsonFault as fault:
            raise wire.Malformed(fault.field or "body", fault.rule) from fault


class MissingView(Door):
    """Any path the server does not have."""

    is_open = True

    def _answered(self, request: HttpRequest, named: Mapping[str, str]) -> HttpResponse:
        """Answer 404 to every method, before any is looked for."""
        del named
        if not address_is_plain(request.path_info, request.GET.lists()):
            raise wire.Malformed("address", PLAIN_RULE)
        raise Denied(404, f"no such path: {request.path_info}")


def json_answer(text: str, *, status: int = 200) -> HttpResponse:
    """Return JSON that is ready to be sent."""
    return HttpResponse(text.encode(), status=status, content_type=JSON)


def tagged(request: HttpRequest, text: str) -> HttpResponse:
    """Return JSON with a tag; nothing but the tag, if the client has these very words."""
    body = text.encode()
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    known = request.headers.get("If-None-Match", "")
    if known and tag in (word.strip().removeprefix("W/") for word in known.split(",")):
        answer = HttpResponse(status=304)
    else:
        answer = HttpResponse(body, content_type=JSON)
    answer["ETag"] = tag
    answer["Cache-Control"] = "private, no-cache"
    return answer


def as_list(texts: Iterable[str]) -> str:
    """Join objects that are JSON already."""
    return f"[{','.join(texts)}]"


def page_of(request: HttpRequest) -> tuple[int, int]:
    """Return how many to skip and how many to show at most, which is 50."""
    limit_text, skip_text = request.GET.get("limit"), request.GET.get("skip")
    limit, skip = wire.PAGE_MAX, 0
    if limit_text is not None:
        limit = wire.read_count(limit_text, "limit", low=1, high=wire.PAGE_MAX)
    if skip_text is not None:
        skip = wire.read_count(skip_text, "skip", low=0, high=wire.SKIP_MAX)
    return skip, limit


def asked_name(request: HttpRequest, name: str) -> str | None:
    """Return a name to filter by."""
    text = request.GET.get(name)
    return None if text is None else wire.a_name(text, name)


def asked_id(request: HttpRequest, name: str) -> UUID | None:
    """Return an id to filter by; one that cannot exist matches nothing."""
    text = request.GET.get(name)
    if text is None:
        return None
    wire.an_object_id(text, name)
    return id_of(text) or UUID(int=0)


def id_of(text: str) -> UUID | None:
    """Return an object's id; None for one that we never give."""
    try:
        return UUID(text)
    except ValueError:
        return None


def asked_targets(request: HttpRequest, *, is_legacy: bool) -> list[str]:
    """Return the targets a list is narrowed to; 3.0.1 names their type, which says nothing here."""
    name = "targetValues" if is_legacy else "targets"
    return [wire.a_name(target, name) for target in request.GET.getlist(name)]


def dumped(value: Any) -> str:
    """Write JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
