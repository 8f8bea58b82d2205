"""What all doors of the API share: who may knock, how bodies are read, how answers look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework import renderers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.core.text import RULE, address_is_plain
from accounts.parties.sight import Sight
from aggregator.api.v1.access import Access, MayKnock
from aggregator.api.v1.auth import MachineAuthentication, PersonAuthentication, sight_in
from aggregator.api.v1.problem import Stopped, problem_of
from aggregator.api.v1.reading import StrictJsonParser


class Door(APIView):
    """Base of all views of the API.

    A door names for each of its methods who may use it (:mod:`aggregator.api.v1.access`). What
    it reads comes from selectors with ``seen_by=self.sight``; what it changes, services change.
    """

    access: ClassVar[Access] = {}
    needs_key: ClassVar[bool] = True  # whether a POST is remembered under its Idempotency-Key
    authentication_classes = (MachineAuthentication, PersonAuthentication)
    permission_classes = (MayKnock,)
    parser_classes: tuple[Any, ...] = (StrictJsonParser,)
    renderer_classes: tuple[Any, ...] = (renderers.JSONRenderer,)

    @property
    def sight(self) -> Sight:
        """What the caller may see and do."""
        return sight_in(self.request)

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
        """Keep answers out of shared caches, unless a door says otherwise."""
        final = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]
        final.setdefault("Cache-Control", "no-store")
        return final
