"""A site's word on whether its resources can act: noted, never changed, the latest prevails."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from accounts.core.numbers import zoned
from accounts.fields.checking import text_checked
from aggregator.dispatch.models import AvailabilityNotice
from market.registry.models import Resource

REASON_LENGTH_MAX = 200
SPAN_MAX = timedelta(days=366)
AHEAD_MAX = timedelta(days=2 * 366)


@transaction.atomic
def availability_note(
    *, resource: Resource, starts_at: datetime, ends_at: datetime, is_available: bool, reason: str
) -> AvailabilityNotice:
    """Note that a resource can act in [starts_at, ends_at), or that it cannot.

    Raises
    ------
    Refused
        If the span is empty, longer than a year, over already or too far ahead, or the word
        that it cannot act gives no reason.
    """
    zoned(starts_at, field="starts_at")
    zoned(ends_at, field="ends_at")
    now = market_now()
    if not starts_at < ends_at <= starts_at + SPAN_MAX:
        raise Refused(
            field="ends_at", value=ends_at.isoformat(), rule="after the start, within a year of it"
        )
    if not now < ends_at or starts_at > now + AHEAD_MAX:
        raise Refused(
            field="starts_at", value=starts_at.isoformat(), rule="not over, at most two years ahead"
        )
    if reason or not is_available:
        reason = text_checked(reason, field="reason", length_max=REASON_LENGTH_MAX)
    # Notices of a resource are numbered one after another, so that the last word is known.
    Resource.objects.select_for_update(of=("self",)).get(id=resource.id)
    latest = AvailabilityNotice.objects.filter(resource=resource).order_by("-number").first()
    notice = AvailabilityNotice.objects.create(
        number=1 if latest is None else latest.number + 1,
        resource=resource,
        organisation_id=resource.site.organisation_id,
        starts_at=starts_at,
        ends_at=ends_at,
        is_available=is_available,
        reason=reason,
        noted_at=now,
    )
    entry_append(
        action="aggregator.availability.noted",
        subject=notice,
        organisation_id=notice.organisation_id,
        detail=_told(notice, resource),
    )
    return notice


def _told(notice: AvailabilityNotice, resource: Resource) -> dict[str, Any]:
    return {
        "resource": resource.code,
        "from": notice.starts_at.isoformat(),
        "to": notice.ends_at.isoformat(),
        "is_available": notice.is_available,
    }


def unavailable_within(
    *, resource_ids: Collection[UUID], starts_at: datetime, ends_at: datetime
) -> set[UUID]:
    """Return the resources that cannot act at some moment of [starts_at, ends_at).

    At each moment the latest notice that covers it counts; without one a resource can act. It
    is enough to look where notices begin, because what prevails changes only at their edges.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH near AS (
                SELECT resource_id, number, starts_at, ends_at, is_available
                FROM dispatch_availabilitynotice
                WHERE resource_id = ANY(%(resources)s)
                  AND starts_at < %(ends_at)s AND ends_at > %(starts_at)s
            ), edges AS (
                SELECT resource_id, greatest(starts_at, %(starts_at)s) AS at FROM near
                UNION
                SELECT resource_id, ends_at FROM near WHERE ends_at < %(ends_at)s
            )
            SELECT DISTINCT e.resource_id FROM edges e
            CROSS JOIN LATERAL (
                SELECT n.is_available FROM near n
                WHERE n.resource_id = e.resource_id AND n.starts_at <= e.at AND n.ends_at > e.at
                ORDER BY n.number DESC LIMIT 1
            ) AS said
            WHERE NOT said.is_available
            """,
            {"resources": list(resource_ids), "starts_at": starts_at, "ends_at": ends_at},
        )
        return {row[0] for row in cursor.fetchall()}
