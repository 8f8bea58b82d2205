"""Import official files: whole, once, and without losing what was known before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models, transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from aggregator.forecasting import revisions
from aggregator.forecasting.formats.area import FIELDS, parse_area
from aggregator.forecasting.formats.jepx import parse_spot
from aggregator.forecasting.models import AreaSupplyDemand, SpotPrice
from market.core.timegrid import INTERVAL
from market.registry.models import Area


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    read_count
        Values (area × half hour) in the file.
    added_count
        Of these, new or revised against what was known at ``available_at``.
    areas
        Codes of the areas in the file.
    start_at, end_at
        The half-open interval the file covers.
    """

    read_count: int
    added_count: int
    areas: tuple[str, ...]
    start_at: datetime
    end_at: datetime


def spot_prices_import(
    *, content: bytes, source: str, available_at: datetime | None = None
) -> Imported:
    """Store the day-ahead prices of a JEPX file.

    Parameters
    ----------
    content, source
        Bytes and name of the file; see :mod:`aggregator.forecasting.formats.jepx`.
    available_at
        Since when the file was known; market time now when omitted.

    Raises
    ------
    InvalidFile
        The file breaks its format; nothing was stored.
    NotFound
        One of its areas is not registered.
    RevisionConflict
        The same `available_at` already holds another price.
    """
    rows = parse_spot(content, source)  # seconds of work, before any transaction is open
    return _store(
        SpotPrice,
        ("price_jpy_per_kwh",),
        [(row.area, row.start_at, row.price_jpy_per_kwh) for row in rows],
        source=source,
        available_at=available_at,
    )


def area_supply_demand_import(
    *,
    content: bytes,
    source: str,
    area_code: str | None = None,
    available_at: datetime | None = None,
) -> Imported:
    """Store a TSO's half-hourly area supply and demand.

    Parameters
    ----------
    content, source, area_code
        See :func:`aggregator.forecasting.formats.area.parse_area`.
    available_at
        Since when the file was known; market time now when omitted.

    Raises
    ------
    InvalidFile, NotFound, RevisionConflict
        As for :func:`spot_prices_import`.
    """
    rows = parse_area(content, source, area_code)
    return _store(
        AreaSupplyDemand,
        FIELDS,
        [(row.area, row.start_at, *(row.values_kw[field] for field in FIELDS)) for row in rows],
        source=source,
        available_at=available_at,
    )


@transaction.atomic
def _store(
    model: type[models.Model],
    fields: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
    *,
    source: str,
    available_at: datetime | None,
) -> Imported:
    """Keep the rows that differ from what was known at `available_at`, and say so in the audit."""
    known_from = market_now() if available_at is None else available_at
    if known_from.tzinfo is None:
        raise Refused(field="available_at", value=known_from, rule="a moment with a zone")
    areas = tuple(sorted({row[0] for row in rows}))
    registered = set(Area.objects.filter(code__in=areas).values_list("code", flat=True))
    for code in areas:
        if code not in registered:
            raise NotFound(field=f"{source} area", value=code, rule="a registered area")
    starts = [row[1] for row in rows]
    imported = Imported(
        read_count=len(rows),
        added_count=revisions.store(model, fields, rows, available_at=known_from),
        areas=areas,
        start_at=min(starts),
        end_at=max(starts) + INTERVAL,
    )
    entry_append(
        action=f"aggregator.{model.__name__.lower()}.imported",
        subject=source,
        detail={
            "read_count": imported.read_count,
            "added_count": imported.added_count,
            "areas": list(areas),
            "available_at": known_from.isoformat(),
        },
    )
    return imported
