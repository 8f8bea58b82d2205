"""What sites say they can do and did: noted, never changed, the latest word counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of
from accounts.fields import KW_MAX
from accounts.parties.sight import Sight
from aggregator.dispatch.models import SiteReport, SiteReportKind
from market.core.timegrid import INTERVAL
from market.registry.models import Resource
from market.trading.models import Direction

READ = "instruction.read"
AHEAD_MAX = timedelta(days=14)
# What a resource says it can shed counts for UP; nothing is said of DOWN.
SHED = (SiteReportKind.SHED_AVAILABLE, SiteReportKind.GENERATION_AVAILABLE)


@dataclass(frozen=True, kw_only=True)
class Word:
    """One half hour's value as a site gives it."""

    resource: Resource
    kind: str
    start_at: datetime
    power_kw: Decimal


@transaction.atomic
def site_report_note(*, words: Sequence[Word]) -> int:
    """Note what sites say, all or nothing; the same word again adds nothing.

    Returns
    -------
    int
        How many are new.

    Raises
    ------
    Refused
        If a half hour does not start on one, lies too far ahead, a power is out of bounds, or
        available power is below zero.
    """
    now = market_now()
    added = []
    resources = {word.resource.id for word in words}
    list(Resource.objects.select_for_update(of=("self",)).filter(id__in=resources).order_by("id"))
    latest = _latest(words)
    for word in words:
        if word.start_at.timestamp() % INTERVAL.total_seconds():
            raise Refused(field="start", value=word.start_at.isoformat(), rule="a half hour")
        if word.start_at > now + AHEAD_MAX:
            raise Refused(
                field="start", value=word.start_at.isoformat(), rule="at most 14 days ahead"
            )
        lowest = 0 if word.kind in SHED else -KW_MAX
        decimal_of(
            word.power_kw, field="power_kw", low=Decimal(lowest), high=Decimal(KW_MAX), places=1
        )
        at = (word.resource.id, word.kind, word.start_at)
        number, said = latest.get(at, (0, None))
        if said == word.power_kw:
            continue
        latest[at] = (number + 1, word.power_kw)
        added.append(
            SiteReport(
                resource=word.resource,
                organisation_id=word.resource.site.organisation_id,
                kind=word.kind,
                start_at=word.start_at,
                power_kw=word.power_kw,
                number=number + 1,
                noted_at=now,
            )
        )
    SiteReport.objects.bulk_create(added, batch_size=2_000)
    return len(added)


def _latest(
    words: Sequence[Word],
) -> dict[tuple[UUID, str, datetime], tuple[int, Decimal | None]]:
    rows = (
        SiteReport.objects.filter(
            resource_id__in={word.resource.id for word in words},
            start_at__in={word.start_at for word in words},
        )
        .order_by("resource_id", "kind", "start_at", "number")
        .values_list("resource_id", "kind", "start_at", "number", "power_kw")
    )
    return {(resource, kind, at): (number, kw) for resource, kind, at, number, kw in rows}


def site_reports_seen(*, seen_by: Sight) -> QuerySet[SiteReport]:
    """Words that a caller may see: the desk all, a site's operator its own."""
    rows = SiteReport.objects.select_related("resource__site", "organisation")
    if seen_by.may_everywhere(READ):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for(READ))


def shed_available_kw(
    *, resource_ids: Collection[UUID], direction: str, starts_at: datetime, ends_at: datetime
) -> dict[UUID, dict[int, Decimal]]:
    """Return what resources say they have available, by half hour of the day of `starts_at`.

    A half hour of which nothing was said is absent. Only less load and more generation are told.
    """
    if direction != Direction.UP or not resource_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT resource_id, t, sum(power_kw) FROM (
                SELECT DISTINCT ON (resource_id, kind, start_at) resource_id, kind, power_kw,
                       (extract(epoch FROM start_at + interval '9 hours')::bigint / 1800 %% 48)::int
                           AS t
                FROM dispatch_sitereport
                WHERE resource_id = ANY(%s) AND kind = ANY(%s)
                  AND start_at >= %s AND start_at < %s
                ORDER BY resource_id, kind, start_at, number DESC
            ) AS latest GROUP BY 1, 2
            """,
            [list(resource_ids), [str(kind) for kind in SHED], starts_at, ends_at],
        )
        found: dict[UUID, dict[int, Decimal]] = {}
        for resource_id, t, kw in cursor.fetchall():
            found.setdefault(resource_id, {})[t] = kw
        return found
