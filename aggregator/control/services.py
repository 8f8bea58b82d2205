"""Raise, acknowledge and clear alarms.

Whoever notices something calls :func:`alarm_raise` in its own transaction; what lies below this
app in the layers puts a job of the kind :data:`ASK_KIND` on the list instead.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from accounts.audit.services import entry_append, subject_of
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, ensure
from accounts.fields.keys import uuid7
from accounts.jobs.services import Claim, job_finish
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight
from aggregator.control.models import Alarm, AlarmPriority, AlarmState
from aggregator.control.selectors import ACT, alarms_seen

ASK_KIND: Final = "aggregator.control.alarm_ask"
TEXT_LENGTH_MAX: Final = 300
_UPSERT: Final = """
    INSERT INTO control_alarm
        (id, kind, key, priority, subject, text, state, count, version, raised_at, repeated_at)
    VALUES (%s, %s, %s, %s, %s, %s, 'RAISED', 1, 1, market_now(), market_now())
    ON CONFLICT (key) WHERE state IN ('RAISED', 'ACKNOWLEDGED') DO UPDATE SET
        count = control_alarm.count + 1,
        version = control_alarm.version + 1,
        repeated_at = market_now(),
        text = EXCLUDED.text,
        priority = LEAST(control_alarm.priority, EXCLUDED.priority),
        state = CASE WHEN EXCLUDED.priority < control_alarm.priority THEN 'RAISED'
                     ELSE control_alarm.state END,
        acknowledged_by_id = CASE WHEN EXCLUDED.priority < control_alarm.priority THEN NULL
                                  ELSE control_alarm.acknowledged_by_id END,
        acknowledged_at = CASE WHEN EXCLUDED.priority < control_alarm.priority THEN NULL
                               ELSE control_alarm.acknowledged_at END
    RETURNING id, count
"""


@transaction.atomic
def alarm_raise(*, kind: str, priority: int, subject: Any, text: str, key: str) -> Alarm:
    """Raise an alarm; while one of the same key is open, count it there.

    A repetition leaves an acknowledgement as it is, unless it is more urgent than what was
    acknowledged: then a person has to look again.

    Parameters
    ----------
    kind
        What happened, as ``instruction.unreached``; the pages have the words for it.
    priority
        1 (act within minutes) to 4 (nothing to do).
    subject
        A row, or its label and id; what a person opens.
    text
        What the kind does not say; at most 300 characters are kept.
    key
        What makes two of them the same alarm.
    """
    ensure(priority in AlarmPriority.values, f"alarm priority {priority!r}")
    with connection.cursor() as cursor:
        values: list[Any] = [
            uuid7(),
            kind,
            key,
            priority,
            subject_of(subject),
            text[:TEXT_LENGTH_MAX],
        ]
        cursor.execute(_UPSERT, values)
        alarm_id, count = cursor.fetchone()
    alarm = Alarm.objects.get(id=alarm_id)
    if count == 1:
        _tell("raised", alarm, {"kind": kind, "priority": priority, "text": alarm.text})
    return alarm


@transaction.atomic
def alarm_asked(*, claim: Claim) -> Alarm:
    """Raise what an app below asked for by a job."""
    said = claim.payload
    alarm = alarm_raise(
        kind=said["kind"],
        priority=int(said["priority"]),
        subject=said["subject"],
        text=said["text"],
        key=said["key"],
    )
    job_finish(claim=claim)
    return alarm


@transaction.atomic
def alarm_acknowledge(*, alarm_id: UUID, by: Sight, version: int | None = None) -> Alarm:
    """Take note of an alarm by name; it stays until its cause is gone.

    Parameters
    ----------
    version
        Of what the person has looked at; None: whatever it is now.

    Raises
    ------
    NotFound, NotPermitted
        If the caller cannot see it, is a machine, or is not of the market desk.
    Conflict
        If somebody else was first, its cause is gone, or it changed meanwhile.
    """
    row = alarms_seen(seen_by=by).select_for_update(of=("self",)).filter(id=alarm_id).first()
    if row is None:
        raise NotFound(field="alarm", value=str(alarm_id), rule="an alarm you can see")
    if by.user_id is None or aggregator().id not in by.organisations_for(ACT):
        raise NotPermitted(field="alarm", value=by.actor, rule="a person of the market desk")
    if row.state == AlarmState.ACKNOWLEDGED and row.acknowledged_by_id == by.user_id:
        return row
    if row.state != AlarmState.RAISED:
        raise Conflict(field="alarm", value=row.state, rule="not acknowledged or cleared yet")
    if version is not None and version != row.version:
        raise Conflict(field="version", value=version, rule="this alarm as it is now")
    row.state = AlarmState.ACKNOWLEDGED
    row.acknowledged_by_id = by.user_id
    row.acknowledged_at = market_now()
    row.version += 1
    row.save(update_fields=["state", "acknowledged_by", "acknowledged_at", "version"])
    _tell("acknowledged", row, {"kind": row.kind, "count": row.count})
    return row


@transaction.atomic
def alarm_clear(*, key: str) -> bool:
    """End an alarm because its cause is gone; whether there was one."""
    row = (
        Alarm.objects.select_for_update(of=("self",))
        .filter(key=key)
        .exclude(state=AlarmState.CLEARED)
        .first()
    )
    if row is None:
        return False
    row.state = AlarmState.CLEARED
    row.cleared_at = market_now()
    row.version += 1
    row.save(update_fields=["state", "cleared_at", "version"])
    _tell("cleared", row, {"kind": row.kind, "count": row.count})
    return True


def _tell(what: str, row: Alarm, detail: dict[str, Any]) -> None:
    entry_append(
        action=f"aggregator.alarm.{what}",
        subject=row,
        organisation_id=None,
        detail={**detail, "key": row.key, "subject": row.subject},
    )
