"""Test dispatches: ordered for a prequalification, sent like any order, answered by the site.

They are scored on what the meter showed (:mod:`aggregator.metering.trials`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.core.numbers import decimal_of, zoned
from accounts.fields import KW_MAX
from accounts.jobs.services import job_create
from accounts.parties.sight import Sight
from aggregator.dispatch.errors import InstructionClosed
from aggregator.dispatch.models import Trial, TrialState
from market.core.timegrid import INTERVAL
from market.registry.models import Prequalification, PrequalificationState
from market.trading.models import Direction

READ = "prequalification.read"
DECIDE = "prequalification.decide"
CHANGE = "instruction.change"
SEND_KIND = "aggregator.protocols.openadr3.trial_send"
SCORE_KIND = "aggregator.metering.trial_score"
TRIED_STATES = (
    PrequalificationState.CHECKED,
    PrequalificationState.TEMPORARY,
    PrequalificationState.QUALIFIED,
    PrequalificationState.SUSPENDED,
)
LENGTH_MAX = timedelta(hours=6)
AHEAD_MAX = timedelta(days=60)
# Readings come a little after the half hour they are of; after this long without, it failed.
READINGS_WAIT = timedelta(hours=6)
_NOW = RawSQL("market_now()", ())
_S = TrialState


@transaction.atomic
def trial_order(
    *,
    prequalification_id: UUID,
    direction: str,
    quantity_kw: Decimal,
    starts_at: datetime,
    ends_at: datetime,
    by: Sight,
) -> Trial:
    """Order a test of a resource that asks to be qualified: its area's grid operator, or the desk.

    The site learns of it only as long before the start as the product lets it: its response time.

    Raises
    ------
    NotFound
        If the caller sees no such prequalification.
    NotPermitted
        If the caller is neither the grid operator of its area nor the desk.
    Refused
        If the quantity, the times or the state of the prequalification do not fit.
    Conflict
        If another test of the resource overlaps.
    """
    row = (
        Prequalification.objects.select_for_update(of=("self",))
        .select_related("resource__site", "product", "area")
        .filter(id=prequalification_id)
        .first()
    )
    own = by.organisations_for(READ)
    if row is None or not (
        by.may_everywhere(CHANGE) or own & {row.organisation_id, row.area.tso_id}
    ):
        raise NotFound(
            field="prequalification", value=str(prequalification_id), rule="one you can see"
        )
    _permitted(row, by)
    if row.state not in TRIED_STATES:
        raise Refused(
            field="prequalification", value=row.state, rule=f"one of {', '.join(TRIED_STATES)}"
        )
    if direction not in Direction.values:
        raise Refused(field="direction", value=direction, rule="UP or DOWN")
    decimal_of(quantity_kw, field="quantity_kw", low=Decimal("0.1"), high=Decimal(KW_MAX), places=1)
    if quantity_kw > row.quantity_kw:
        raise Refused(
            field="quantity_kw", value=quantity_kw, rule=f"at most {row.quantity_kw:f} kW"
        )
    now = market_now()
    send_at = _times_checked(starts_at, ends_at, row.product.response_s, now)
    _overlap_check(row, starts_at, ends_at)
    trial = Trial.objects.create(
        prequalification=row,
        resource=row.resource,
        organisation_id=row.resource.site.organisation_id,
        direction=direction,
        quantity_kw=quantity_kw,
        response_s=row.product.response_s,
        send_at=send_at,
        starts_at=starts_at,
        ends_at=ends_at,
        ordered_by=by.actor,
        ordered_at=now,
    )
    job_create(kind=SEND_KIND, key=str(trial.id), due_at=send_at, attempts_max=20)
    job_create(kind=SCORE_KIND, key=str(trial.id), due_at=ends_at, attempts_max=20)
    _tell("ordered", trial, {"by": by.actor, "kw": str(quantity_kw)})
    return trial


def _permitted(row: Prequalification, by: Sight) -> None:
    """Refuse who is neither the desk nor the grid operator of the area."""
    if not by.may_everywhere(CHANGE) and row.area.tso_id not in by.organisations_for(DECIDE):
        raise NotPermitted(
            field="organisation", value=by.actor, rule="the area's grid operator, or the desk"
        )


def _overlap_check(row: Prequalification, starts_at: datetime, ends_at: datetime) -> None:
    overlapping = Trial.objects.filter(
        resource=row.resource,
        state__in=(_S.PLANNED, _S.SENT, _S.ACKNOWLEDGED),
        starts_at__lt=ends_at,
        ends_at__gt=starts_at,
    )
    if overlapping.exists():
        raise Conflict(field="starts_at", value=starts_at.isoformat(), rule="no other test then")


def _times_checked(
    starts_at: datetime, ends_at: datetime, response_s: int, now: datetime
) -> datetime:
    """Return when the order is told: the product's response time before the start."""
    for name, at in (("starts_at", starts_at), ("ends_at", ends_at)):
        zoned(at, field=name)
        if at.timestamp() % INTERVAL.total_seconds():
            raise Refused(field=name, value=at.isoformat(), rule="the start of a half hour")
    if not starts_at < ends_at <= starts_at + LENGTH_MAX:
        raise Refused(
            field="ends_at", value=ends_at.isoformat(), rule="after the start, within 6 hours of it"
        )
    send_at = starts_at - timedelta(seconds=response_s)
    if send_at < now or starts_at > now + AHEAD_MAX:
        rule = f"at least {response_s} s from now, at most 60 days"
        raise Refused(field="starts_at", value=starts_at.isoformat(), rule=rule)
    return send_at


@transaction.atomic
def trial_cancel(*, trial_id: UUID, reason: str, by: Sight) -> Trial:
    """Call a test off, for who may order one; a site that was told of it is told of that too."""
    if not reason.strip():
        raise Refused(field="reason", value=reason, rule="cancelling needs a reason")
    row = trials_seen(seen_by=by).filter(id=trial_id).first()
    if row is None:
        raise NotFound(field="trial", value=str(trial_id), rule="a test you can see")
    _permitted(row.prequalification, by)
    before = (_S.PLANNED, _S.SENT, _S.ACKNOWLEDGED)
    if not trial_move(row.id, before=before, after=_S.CANCELLED, reason=reason):
        raise InstructionClosed(field="trial", value=row.state, rule="not over yet")
    row.refresh_from_db()
    if row.sent_at is not None:
        job_create(
            kind=SEND_KIND, key=f"{row.id}:off", payload={"off": str(row.id)}, attempts_max=20
        )
    return row


def trial_answer(*, trial_id: UUID, accepted: bool, reason: str) -> Trial:
    """Take a site's answer to a test; it counts until the start.

    Raises
    ------
    InstructionClosed
        If the test has started, or is no longer waiting for an answer.
    """
    row = Trial.objects.get(id=trial_id)
    if accepted:
        moved = trial_move(
            row.id,
            before=(_S.SENT,),
            after=_S.ACKNOWLEDGED,
            which=Q(starts_at__gte=_NOW),
            acknowledged_at=_NOW,
        )
        is_so = row.state == _S.ACKNOWLEDGED
    else:
        moved = trial_move(
            row.id,
            before=(_S.SENT, _S.ACKNOWLEDGED),
            after=_S.FAILED,
            which=Q(starts_at__gte=_NOW),
            reason=reason or "declined by the site",
        )
        is_so = row.state == _S.FAILED
    row.refresh_from_db()
    if not moved and not is_so:
        raise InstructionClosed(
            field="trial", value=row.state, rule="answered before its start, once sent"
        )
    return row


def trial_send(trial_id: UUID) -> Trial | None:
    """Mark a test SENT inside the transaction that makes its event; None if it is not to go out."""
    trial_move(
        trial_id,
        before=(_S.PLANNED,),
        after=_S.CANCELLED,
        which=Q(starts_at__lte=_NOW),
        reason="its start passed before it could be sent",
    )
    if not trial_move(trial_id, before=(_S.PLANNED,), after=_S.SENT, sent_at=_NOW):
        return None
    return Trial.objects.select_related("resource").get(id=trial_id)


def trial_called_off(trial_id: UUID) -> Trial | None:
    """Return a test that was told and then called off, while that still matters to its site."""
    rows = Trial.objects.select_related("resource").filter(ends_at__gt=_NOW)
    return rows.filter(id=trial_id, state=_S.CANCELLED, sent_at__isnull=False).first()


def trial_move(
    trial_id: UUID,
    *,
    before: tuple[str, ...],
    after: str,
    which: Q | None = None,
    **columns: object,
) -> bool:
    """Move a test by compare-and-set, audited; returns whether it moved."""
    row = (
        Trial.objects.select_for_update(of=("self",))
        .filter(which or Q(), id=trial_id, state__in=before)
        .first()
    )
    if row is None:
        return False
    Trial.objects.filter(id=row.id).update(state=after, **columns)
    _tell(after.lower(), row, {"from": row.state, "reason": str(columns.get("reason", ""))})
    return True


def _tell(what: str, row: Trial, detail: dict[str, str]) -> None:
    entry_append(
        action=f"aggregator.trial.{what}",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"prequalification": str(row.prequalification_id), **detail},
    )


def trials_seen(*, seen_by: Sight) -> QuerySet[Trial]:
    """Return the tests a caller may see: market and auditors all, grid operator its area's.

    A site sees those it was told of.
    """
    rows = Trial.objects.select_related("resource__site", "organisation", "prequalification__area")
    if seen_by.may_everywhere(READ):
        return rows
    own = seen_by.organisations_for(READ)
    told = Q(organisation_id__in=own) & ~Q(state=_S.PLANNED)
    return rows.filter(told | Q(prequalification__area__tso_id__in=own))
