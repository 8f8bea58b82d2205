"""Failures, told apart by who must act: the caller (Refused) or us (BrokenInvariant)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

SHOWN_LENGTH_MAX = 80


class Refused(Exception):
    """Input that breaks a rule; nothing of it was stored.

    Parameters
    ----------
    field
        Path of the offending field, e.g. ``curves[0].steps[1].ask_jpy_per_kwh``.
    value
        What was found there; shown shortened.
    rule
        The rule it breaks, as a sentence a trader understands.
    """

    def __init__(self, *, field: str, value: object, rule: str) -> None:
        self.field = field
        self.value = value
        self.rule = rule
        shown = _shown(value)
        if len(shown) > SHOWN_LENGTH_MAX:
            shown = shown[: SHOWN_LENGTH_MAX - 1] + "…"
        self.shown = shown
        super().__init__(f"{field}: {shown} — {rule}")

    @property
    def code(self) -> str:
        """Stable, machine-readable name: ``GateClosed`` becomes ``gate-closed``."""
        name = type(self).__name__
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


def _shown(value: object) -> str:
    """Write a value as who sent it would, not as Python does; texts stand in quotes."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):  # moments are dates, too
        return value.isoformat()
    return repr(value)


class NotFound(Refused):
    """A reference to something that does not exist or may not be seen."""


class NotPermitted(Refused):
    """Something the caller's roles do not allow."""


class Conflict(Refused):
    """Somebody else was first: the row is no longer what the caller took it for."""


class ClaimLost(Exception):
    """A worker's lease ran out and another took over; its result must not be published."""


class BrokenInvariant(Exception):
    """A promise of our own code does not hold: stop rather than continue wrongly."""


def ensure(condition: bool, message: str) -> None:  # noqa: FBT001 - reads like assert
    """Raise :class:`BrokenInvariant` unless `condition`; unlike ``assert`` it survives ``-O``."""
    if not condition:
        raise BrokenInvariant(message)
