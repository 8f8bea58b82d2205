"""Connections with a firm and a flexible part: opened, limited and watched in real time.

A grid operator opens one for a site in its area and says, minute by minute if it must, what may be
drawn. The site reports that it is alive; when it does not for `failsafe_s`, the platform publishes
the firm part, as the site does by itself, and the desk hears of it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.core.numbers import decimal_of, zoned
from accounts.fields import KW_MAX
from accounts.fields.checking import text_checked
from accounts.jobs.services import Claim, job_create, job_finish, job_postpone
from accounts.parties.sight import Sight
from aggregator.core.envelopes import Limit, Span, limit_spans
from aggregator.dispatch.connection_models import HEARTBEAT_MAX_S, HEARTBEAT_MIN_S
from aggregator.dispatch.models import (
    ConnectionLimit,
    ConnectionOutage,
    ConnectionState,
    FlexibleConnection,
)
from aggregator.dispatch.moves import ALARM_KIND
from market.registry.models import Site

READ = "network.read"
OPEN = "network.publish"
OWN = "site.read"
WATCH_KIND = "aggregator.dispatch.connection_watch"
PUBLISH_KIND = "aggregator.protocols.openadr3.connection_publish"
FAILSAFE_MAX_S = 86_400
SPAN_MAX = timedelta(days=366)
AHEAD_MAX = timedelta(days=366)
REASON_LENGTH_MAX = 200
ZERO = Decimal(0)
_NOW = RawSQL("market_now()", ())
_S = ConnectionState


@transaction.atomic
def connection_open(
    *,
    site: Site,
    firm_kw: Decimal,
    flexible_kw: Decimal,
    heartbeat_s: int,
    failsafe_s: int,
    by: Sight,
) -> FlexibleConnection:
    """Open a conditional connection for a site of the caller's own area.

    Raises
    ------
    NotPermitted
        If the caller is not the grid operator of the site's area.
    Refused
        If a figure is out of bounds, both parts are above the contract, or a silent site would
        be given less than two heartbeats' time.
    Conflict
        If the site has one.
    """
    operator = site.area.tso
    if operator is None or operator.id not in by.organisations_for(OPEN):
        raise NotPermitted(field="site", value=site.code, rule="opened by its area's grid operator")
    for name, value in (("firm_kw", firm_kw), ("flexible_kw", flexible_kw)):
        decimal_of(value, field=name, low=ZERO, high=Decimal(KW_MAX), places=1)
    if firm_kw + flexible_kw > site.contract_kw:
        raise Refused(
            field="flexible_kw",
            value=flexible_kw,
            rule=f"both parts within the contract of {site.contract_kw:f} kW",
        )
    if not HEARTBEAT_MIN_S <= heartbeat_s <= HEARTBEAT_MAX_S:
        rule = f"seconds from {HEARTBEAT_MIN_S} to {HEARTBEAT_MAX_S}"
        raise Refused(field="heartbeat_s", value=heartbeat_s, rule=rule)
    if not 2 * heartbeat_s <= failsafe_s <= FAILSAFE_MAX_S:
        rule = f"at least two heartbeats, at most {FAILSAFE_MAX_S} seconds"
        raise Refused(field="failsafe_s", value=failsafe_s, rule=rule)
    # of two at once the second waits here, and then sees the first
    Site.objects.select_for_update(of=("self",)).get(id=site.id)
    if FlexibleConnection.objects.filter(site=site).exclude(state=_S.ENDED).exists():
        raise Conflict(field="site", value=site.code, rule="without a conditional connection")
    row = FlexibleConnection.objects.create(
        site=site,
        organisation=operator,
        firm_kw=firm_kw,
        flexible_kw=flexible_kw,
        heartbeat_s=heartbeat_s,
        failsafe_s=failsafe_s,
        created_at=market_now(),
    )
    _tell("opened", row, {"by": by.actor, "firm_kw": str(firm_kw), "flex_kw": str(flexible_kw)})
    _publish(row)
    return row


@transaction.atomic
def connection_limit(
    *,
    connection_id: UUID,
    starts_at: datetime,
    ends_at: datetime,
    limit_kw: Decimal,
    reason: str,
    by: Sight,
) -> ConnectionLimit:
    """Say what a connection may draw for a while; the latest word prevails.

    Raises
    ------
    NotFound
        If the caller has no such connection.
    Refused
        If the span is empty, over or too long, or the limit takes away the firm part.
    """
    row = _own(connection_id, by)
    zoned(starts_at, field="starts_at")
    zoned(ends_at, field="ends_at")
    now = market_now()
    if not starts_at < ends_at <= starts_at + SPAN_MAX:
        raise Refused(
            field="ends_at", value=ends_at.isoformat(), rule="after the start, within a year of it"
        )
    if ends_at <= now or starts_at > now + AHEAD_MAX:
        raise Refused(
            field="starts_at", value=starts_at.isoformat(), rule="not over, at most a year ahead"
        )
    whole = row.firm_kw + row.flexible_kw
    decimal_of(limit_kw, field="limit_kw", low=row.firm_kw, high=whole, places=1)
    if reason:
        reason = text_checked(reason, field="reason", length_max=REASON_LENGTH_MAX)
    last = ConnectionLimit.objects.filter(connection=row).order_by("-number").first()
    limit = ConnectionLimit.objects.create(
        connection=row,
        number=1 if last is None else last.number + 1,
        starts_at=starts_at,
        ends_at=ends_at,
        limit_kw=limit_kw,
        reason=reason,
        actor=by.actor,
        noted_at=now,
    )
    _tell(
        "limited",
        row,
        {
            "from": starts_at.isoformat(),
            "to": ends_at.isoformat(),
            "limit_kw": str(limit_kw),
            "by": by.actor,
        },
    )
    _publish(row)
    return limit


@transaction.atomic
def connection_end(*, connection_id: UUID, by: Sight) -> FlexibleConnection:
    """End a conditional connection; what its site may draw is its contract's again."""
    row = _own(connection_id, by)
    FlexibleConnection.objects.filter(id=row.id).update(state=_S.ENDED)
    ConnectionOutage.objects.filter(connection=row, restored_at__isnull=True).update(
        restored_at=market_now()
    )
    _tell("ended", row, {"by": by.actor})
    _publish(row)
    row.refresh_from_db()
    return row


def _own(connection_id: UUID, by: Sight) -> FlexibleConnection:
    row = (
        FlexibleConnection.objects.select_for_update(of=("self",))
        .select_related("site", "organisation")
        .filter(id=connection_id, organisation_id__in=by.organisations_for(OPEN))
        .exclude(state=_S.ENDED)
        .first()
    )
    if row is None:
        raise NotFound(
            field="connection", value=str(connection_id), rule="a conditional connection of yours"
        )
    return row


@transaction.atomic
def heartbeat_note(*, connection_id: UUID) -> FlexibleConnection:
    """Note that the site of a connection is alive; one that was lost is back."""
    row = FlexibleConnection.objects.select_for_update(of=("self",)).get(id=connection_id)
    if row.state == _S.ENDED:
        return row
    before = row.state
    FlexibleConnection.objects.filter(id=row.id).update(state=_S.LIVE, heard_at=_NOW)
    row.refresh_from_db()
    if before == _S.LIVE:
        return row
    if before == _S.LOST:
        ConnectionOutage.objects.filter(connection=row, restored_at__isnull=True).update(
            restored_at=row.heard_at
        )
        _publish(row)
    job_create(
        kind=WATCH_KIND,
        key=f"{row.id}:{row.revision}",
        payload={"connection": str(row.id)},
        due_at=_late_at(row),
        attempts_max=20,
    )
    _tell("heard", row, {"from": before})
    return row


@transaction.atomic
def connection_watch(*, claim: Claim) -> bool:
    """Take a site that was not heard for lost; returns whether it is.

    The job sleeps until the next moment at which it could be late, and ends when it is.
    """
    row = (
        FlexibleConnection.objects.select_for_update(of=("self",))
        .select_related("site")
        .get(id=UUID(claim.payload["connection"]))
    )
    late_at = _late_at(row)
    if row.state != _S.LIVE or late_at is None:
        job_finish(claim=claim)
        return False
    now = market_now()
    if now <= late_at:
        job_postpone(claim=claim, due_at=late_at + timedelta(milliseconds=1))
        return False
    FlexibleConnection.objects.filter(id=row.id, state=_S.LIVE).update(state=_S.LOST)
    ConnectionOutage.objects.create(connection=row, heard_at=row.heard_at or now, lost_at=now)
    _tell("lost", row, {"heard_at": row.heard_at and row.heard_at.isoformat()})
    job_create(
        kind=ALARM_KIND,
        key=f"connection.lost:{row.id}:{row.revision}",
        payload={
            "kind": "connection.lost",
            "priority": 1,
            "subject": f"dispatch.flexibleconnection:{row.id}",
            "text": f"{row.site.code}: no heartbeat for {row.failsafe_s} s;"
            f" the limit is {row.firm_kw:f} kW",
            "key": f"connection.lost:{row.id}",
        },
    )
    _publish(row)
    job_finish(claim=claim)
    return True


def _late_at(row: FlexibleConnection) -> datetime | None:
    return row.heard_at and row.heard_at + timedelta(seconds=row.failsafe_s)


def _publish(row: FlexibleConnection) -> None:
    FlexibleConnection.objects.filter(id=row.id).update(revision=F("revision") + 1)
    row.refresh_from_db(fields=["revision", "state"])
    job_create(
        kind=PUBLISH_KIND,
        key=f"{row.id}:{row.revision}",
        payload={"connection": str(row.id)},
        attempts_max=20,
    )


def _tell(what: str, row: FlexibleConnection, detail: dict[str, Any]) -> None:
    entry_append(
        action=f"aggregator.connection.{what}",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"site": row.site.code, **detail},
    )


def spans_of(row: FlexibleConnection, *, from_at: datetime) -> tuple[Span, ...]:
    """Return what a connection may draw from a moment on, as the platform publishes it."""
    if row.state == _S.LOST:
        return (Span(starts_at=from_at, ends_at=None, limit_kw=row.firm_kw),)
    return spans_said([row], from_at=from_at)[row.id]


def spans_said(
    rows: Collection[FlexibleConnection], *, from_at: datetime
) -> dict[UUID, tuple[Span, ...]]:
    """Return by connection what its grid operator says for a moment on, were its site heard."""
    said: dict[UUID, list[Limit]] = {row.id: [] for row in rows}
    limits = ConnectionLimit.objects.filter(connection__in=said, ends_at__gt=from_at)
    for each in limits.order_by("number"):
        said[each.connection_id].append(
            Limit(starts_at=each.starts_at, ends_at=each.ends_at, limit_kw=each.limit_kw)
        )
    return {
        row.id: limit_spans(
            said[row.id], firm_kw=row.firm_kw, flexible_kw=row.flexible_kw, from_at=from_at
        )
        for row in rows
    }


def connections_seen(*, seen_by: Sight) -> QuerySet[FlexibleConnection]:
    """Return what a caller may see: the desk all, a grid operator and a site's own theirs."""
    rows = FlexibleConnection.objects.select_related("site", "organisation")
    if seen_by.may_everywhere(READ):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for(READ)) | rows.filter(
        site__organisation_id__in=seen_by.organisations_for(OWN)
    )
