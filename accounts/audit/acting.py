"""Who acts: set once at each door, read where an audit entry is written.

The doors of people and machines and the wrapper of jobs name the actor around the whole request
or job, so that no service has to pass it on. A context variable follows threads and coroutines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

SYSTEM: Final = "system"  # commands and whatever else acts without being named
LENGTH_MAX: Final = 120
_acting: ContextVar[str | Callable[[], str]] = ContextVar("acting", default=SYSTEM)


def actor_now() -> str:
    """Return who acts: ``user:7``, ``client:<uuid>``, ``system:<task>``, or ``system``."""
    found = _acting.get()
    return ((found() if callable(found) else found) or SYSTEM)[:LENGTH_MAX]


@contextmanager
def acting_as(actor: str | Callable[[], str]) -> Iterator[None]:
    """Name who acts until the block ends; a callable is asked only when somebody wants to know."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def act_as(actor: str) -> None:
    """Name who acts for the rest of the enclosing :func:`acting_as`, once it is known."""
    _acting.set(actor)
