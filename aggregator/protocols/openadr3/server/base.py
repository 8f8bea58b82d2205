"""What all views of the server share: who calls, what they may, how answers look."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, ClassVar, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import translation
from rest_framework import authentication, exceptions, parsers, renderers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.audit.acting import act_as
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound
from accounts.core.text import RULE as PLAIN_RULE
from accounts.core.text import address_is_plain
from aggregator.protocols.openadr3 import wire
from aggregator.protocols.openadr3.selectors import Caller
from aggregator.protocols.openadr3.server.problem import problem_of
from aggregator.protocols.openadr3.tokens import caller_of

MARKET_TIME_HEADER = "Market-Time"
_Row = TypeVar("_Row", bound=Model)


class BearerAuthentication(authentication.BaseAuthentication):
    """The token that /auth/token gave."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the caller, None without a token; refuse a wrong one."""
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        caller = caller_of(text.strip())
        if caller is None:
            raise exceptions.AuthenticationFailed("the token is not valid, or no longer")
        return caller, text

    def authenticate_header(self, _request: Request) -> str:
        """Make a missing token 401 rather than 403."""
        return 'Bearer realm="openadr3"'


class HasScope(BasePermission):
    """The token carries one of the scopes the view asks for this method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell a missing token (401) from a missing scope (403)."""
        caller = caller_from(request)
        wanted = view.scopes.get("GET" if request.method == "HEAD" else request.method, ())
        if caller.scopes.isdisjoint(wanted):
            rule = f"needs the scope {' or '.join(wanted)}" if wanted else "not for clients"
            raise exceptions.PermissionDenied(rule)
        return True


class StrictJsonParser(parsers.BaseParser):
    """JSON that cannot be read in two ways; see :func:`wire.read_json`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        _media_type: str | None = None,
        _context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read at most one byte more than is allowed, so that a flood is not kept."""
        return wire.read_json(stream.read(wire.BODY_BYTES_MAX + 1))


class ObjectView(APIView):
    """Base of all views.

    Every answer carries the header ``Market-Time``. The market's clock is the database's,
    which the demo lets run faster than the wall clock: a client must know what time it is in
    the market to act and to meter in step with it, and cannot learn it anywhere else. In
    production the header simply shows how far the client's own clock is off.
    """

    authentication_classes: Sequence[type[authentication.BaseAuthentication]] = (
        BearerAuthentication,
    )
    permission_classes: tuple[Any, ...] = (HasScope,)
    parser_classes: tuple[Any, ...] = (StrictJsonParser,)
    renderer_classes = (renderers.JSONRenderer,)
    scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def get_exception_handler(self) -> Callable[..., Response]:
        """Answer refusals with problem bodies."""
        return problem_of

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Speak the protocol's language, whatever the site's."""
        with translation.override("en"):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse an address that cannot be; else as usual: who calls, and may they."""
        refuse_unreadable(request)
        super().initial(request, *args, **kwargs)
        caller: Any = request.user
        if isinstance(caller, Caller):
            act_as(f"client:{caller.client.id}")

    def finalize_response(
        self, request: HttpRequest, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Stamp the market's time."""
        final = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        final[MARKET_TIME_HEADER] = wire.print_date_time(market_now())
        final["Cache-Control"] = "no-store"
        return final


class MissingView(ObjectView):
    """Any path the server does not have."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *_args: Any, **_kwargs: Any) -> None:
        """Answer 404 to every method, before any is looked for."""
        refuse_unreadable(request)
        raise exceptions.NotFound(f"no such path: {request.path}")


def refuse_unreadable(request: Request) -> None:
    """Raise :class:`wire.Malformed` on an address with control characters."""
    if not address_is_plain(request.path_info, request.query_params.lists()):
        raise wire.Malformed("address", PLAIN_RULE)


def caller_from(request: Request) -> Caller:
    """Return who calls; permissions have seen to it that somebody does."""
    caller: Any = request.user
    if not isinstance(caller, Caller):
        raise exceptions.NotAuthenticated("a bearer token is required")
    return caller


def page(request: Request, found: QuerySet[_Row]) -> list[_Row]:
    """Return the page that `skip` and `limit` ask for, at most 50 objects."""
    limit_text = request.query_params.get("limit")
    skip_text = request.query_params.get("skip")
    limit = wire.PAGE_MAX
    if limit_text is not None:
        limit = wire.read_count(limit_text, "limit", low=1, high=wire.PAGE_MAX)
    skip = 0
    if skip_text is not None:
        skip = wire.read_count(skip_text, "skip", low=0, high=wire.SKIP_MAX)
    return list(found[skip : skip + limit])


def the(found: QuerySet[_Row], object_id: str) -> _Row:
    """Return the object of that id among those the caller sees.

    Raises
    ------
    NotFound
        If there is none, or it is hidden: the two are not told apart.
    """
    try:
        known = UUID(object_id)
    except ValueError:
        known = None
    row = found.filter(pk=known).first() if known else None
    if row is None:
        raise NotFound(field="id", value=object_id, rule="an object you can see")
    return row


def asked_targets(request: Request) -> list[str]:
    """Return the targets a list is narrowed to."""
    targets: Iterable[str] = request.query_params.getlist("targets")
    return [wire.a_name(target, "targets") for target in targets]


def asked_id(request: Request, name: str) -> UUID | None:
    """Return an id to filter by; one that cannot exist matches nothing."""
    text = request.query_params.get(name)
    if text is None:
        return None
    wire.an_object_id(text, name)
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
