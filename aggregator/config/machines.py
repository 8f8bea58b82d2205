"""Requests of machines go past the middleware that is for people.

Sessions, messages, cross-site tokens, log-in locks and content policies of pages cost a bid more
than reading it, and mean nothing to a bearer token. Who sends a cookie besides is answered in the
usual way. What is left stands in ``settings.MACHINE_MIDDLEWARE``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.utils.module_loading import import_string

DOORS: Final = ("/api/", "/openadr3/")
BEARER: Final = "bearer "

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class MachineHandler(WSGIHandler):
    """Django's handler with a chain of its own; its middleware has no hooks besides the call."""

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's
        """Build the chain from the inside."""
        del is_async
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler: Any = convert_exception_to_response(
            self._get_response  # type: ignore[attr-defined]  # left out of the stubs
        )
        for name in reversed(settings.MACHINE_MIDDLEWARE):
            handler = convert_exception_to_response(import_string(name)(handler))
        self._middleware_chain = handler


class PeopleAndMachines:
    """A WSGI application that tells bearers of tokens from everybody else.

    Parameters
    ----------
    people, machines
        The applications that answer them.
    """

    def __init__(self, people: Application, machines: Application) -> None:
        self._people = people
        self._machines = machines

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Pass on."""
        is_machine = (
            environ.get("PATH_INFO", "").startswith(DOORS)
            and environ.get("HTTP_AUTHORIZATION", "").lower().startswith(BEARER)
            and "HTTP_COOKIE" not in environ
        )
        return (self._machines if is_machine else self._people)(environ, start_response)
