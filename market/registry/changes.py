"""Change rows that have versions: nobody overwrites what they have not read."""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

from django.db import models

from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict
from market.core.timegrid import JST

Versioned = TypeVar("Versioned", bound=models.Model)


class VersionChanged(Conflict):
    """The row was changed since the caller read it."""


def row_taken(row: Versioned, *, version: int) -> Versioned:
    """Return the row as it is now, locked until the transaction ends.

    Parameters
    ----------
    version
        The version the caller read.

    Raises
    ------
    VersionChanged
        If it is not that any more.
    """
    model: Any = type(row)
    fresh: Versioned = model.objects.select_for_update().get(pk=row.pk)
    found = fresh.version  # type: ignore[attr-defined]
    if found != version:
        raise VersionChanged(field="version", value=version, rule=f"the current one, {found}")
    return fresh


def row_saved(row: Versioned, *names: str) -> Versioned:
    """Write the named columns; a trigger raises the version, which is read back."""
    row.save(update_fields=names)
    row.refresh_from_db(fields=["version"])
    return row


def market_today() -> date:
    """Return the JST date in the market."""
    return market_now().astimezone(JST).date()
