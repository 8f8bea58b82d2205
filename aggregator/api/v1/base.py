"""What all doors of the API share: who may knock, how bodies are read, how answers look."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar, Final

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.audit.acting import acting_as
from accounts.core.text import RULE, address_is_plain
from accounts.parties.addresses import client_address
from accounts.parties.sight import Sight
from aggregator.api.v1 import limits, uploads
from aggregator.api.v1.access import PUBLIC, Access, MayKnock
from aggregator.api.v1.auth import MachineAuthentication, PersonAuthentication, sight_in
from aggregator.api.v1.idempotency import answered
from aggregator.api.v1.problem import Stopped, problem_log, problem_of
from aggregator.api.v1.reading import StrictJsonParser
from aggregator.api.v1.rendering import ExactJsonRenderer

READING: Final = ("GET", "HEAD", "OPTIONS")
REFUSALS: Final = 400  # this status and those above tell of a refusal


class Door(APIView):
    """Base of all views of the API.

    A door names for each of its methods who may use it (:mod:`aggregator.api.v1.access`). What
    it reads comes from selectors with ``seen_by=self.sight``; what it changes, services change.
    A change runs in one transaction, which a refusal undoes; a POST is also remembered under its
    key (:mod:`aggregator.api.v1.idempotency`).
    """

    access: ClassVar[Access] = {}
    needs_key: ClassVar[bool] = True  # whether a POST is remembered under its Idempotency-Key
    rate: ClassVar[str] = ""  # kind of limit; "" for `read` or `write` by method
    takes_gzip: ClassVar[bool] = False  # whether a body may be compressed
    authentication_classes = (MachineAuthentication, PersonAuthentication)
    permission_classes = (MayKnock,)
    parser_classes: tuple[Any, ...] = (StrictJsonParser,)
    renderer_classes: tuple[Any, ...] = (ExactJsonRenderer,)

    @property
    def sight(self) -> Sight:
        """What the caller may see and do."""
        return sight_in(self.request)

    @property
    def allowed_methods(self) -> list[str]:
        """Methods the door has, for ``Allow`` and the OpenAPI document."""
        return sorted(self.access)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer one request: room, body, caller, rate, then the work itself."""
        self.args, self.kwargs = args, kwargs
        asked = self.initialize_request(request, *args, **kwargs)
        self.request = asked
        self.headers = self.default_response_headers
        with ExitStack() as held:
            try:
                held.enter_context(limits.ADMISSION.place())
                held.enter_context(translation.override("en"))  # the catalogue knows the rest
                if request.method not in READING:
                    uploads.body_read(request, takes_gzip=self.takes_gzip)
                self.initial(asked, *args, **kwargs)
                held.enter_context(acting_as(self.sight.actor))
                whose = self.sight.organisation
                limits.BUCKETS.spend(self._caller(), self._rate())
                held.enter_context(limits.ADMISSION.lane(str(whose.id) if whose else PUBLIC))
                response = self._work(asked)
            except Exception as error:  # noqa: BLE001 - every failure becomes a problem body
                response = self.handle_exception(error)
        self.response = self.finalize_response(asked, response, *args, **kwargs)
        return self.response

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Name the methods of this door."""
        del request, args, kwargs
        return Response(status=204)

    def get_exception_handler(self) -> Callable[..., Response]:
        """Answer refusals with problem bodies."""
        return problem_of

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse an address that cannot be; else as usual: who calls, and may they."""
        if not address_is_plain(request.path_info, request.query_params.lists()):
            raise Stopped("malformed", f"an address must be {RULE}")
        super().initial(request, *args, **kwargs)

    def finalize_response(
        self, request: HttpRequest, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Keep answers out of shared caches unless a door says otherwise; log refusals."""
        final: Any = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        final.setdefault("Cache-Control", "no-store")
        if isinstance(final, Response) and final.status_code >= REFUSALS:
            problem_log(
                final,
                method=str(request.method),
                path=request.path,
                caller=self._known_caller(),
            )
        return final

    def _work(self, request: Request) -> Any:
        """Run the method of the door that was asked for."""
        method = str(request.method)
        handler = getattr(self, method.lower(), self.http_method_not_allowed)

        def work() -> Any:
            return handler(request, *self.args, **self.kwargs)

        if method in READING or (method == "POST" and not self.needs_key):
            return work()
        request.data  # noqa: B018 - a body that cannot be read needs no transaction
        if method == "POST":
            answer = self.keyed_work(request)
            return answered(request, self.sight.actor, work) if answer is None else answer
        with transaction.atomic():
            changed: HttpResponse = work()
            if changed.status_code >= REFUSALS:
                transaction.set_rollback(True)
            return changed

    def keyed_work(self, _request: Request) -> Any:
        """Answer a POST in another way than in a transaction of its own; None to answer it so."""
        return None

    def _known_caller(self) -> str:
        """Name the caller as far as they are known: a refusal may come before that."""
        sight = vars(self.request).get("_auth")
        return sight.actor if isinstance(sight, Sight) else "nobody"

    def _caller(self) -> str:
        """Name whose tokens are spent: a known caller, or an address."""
        sight = self.sight
        return sight.actor if sight.is_known else client_address(self.request)

    def _rate(self) -> str:
        if self.rate:
            return self.rate
        return "read" if self.request.method in READING else "write"


class Nowhere(Door):
    """Any address that is no door: refused as a door refuses."""

    access: ClassVar[Access] = {"GET": PUBLIC}
    schema = None

    def get(self, _request: Request, **_kwargs: Any) -> Response:
        """Say that there is nothing."""
        raise Stopped("not-found", "there is no such door", detail_ja="そのような窓口はありません")
