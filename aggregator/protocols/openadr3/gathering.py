"""Reports of readings that come at once are written together: one transaction for many.

A meter's report alone costs two dozen statements and a commit; thirty of them together cost hardly
more. Only what cannot disturb others goes this way: half-hour readings on an event of the platform,
that nobody subscribes to. Answers to orders and whatever is refused take the ordinary way, each by
itself, and so does every report of a go that fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from accounts.audit.acting import acting_as
from accounts.clock.recent import Recent
from accounts.core.errors import Refused
from accounts.core.together import LeaderLost, Together
from accounts.fields.keys import uuid7
from aggregator.messages.services import Direction, Protocol, message_row, messages_insert
from aggregator.metering.models import Quality
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.protocols.openadr3 import wire
from aggregator.protocols.openadr3.intake import HALF_HOUR_MIN, said_in, source_of
from aggregator.protocols.openadr3.models import ObjectKind, Operation
from aggregator.protocols.openadr3.selectors import Caller, object_is_seen
from aggregator.protocols.openadr3.writing import Sent

AT_ONCE_MAX: Final = 32
CREATED: Final = "201"


@dataclass(frozen=True, kw_only=True)
class _Sight:
    """An event and who asks for it, with what is granted to it."""

    event_id: UUID
    caller: Caller
    key: tuple[UUID, UUID, frozenset[tuple[UUID | None, frozenset[str]]]]

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Sight) and other.key == self.key


@dataclass(frozen=True, kw_only=True)
class _Reported:
    """A report that is ready to be written, with its readings."""

    id: UUID
    caller: Caller
    event_id: UUID
    client_name: str
    sent: Sent
    raw: bytes
    version: str
    rows: tuple[ReadingRow, ...]


def report_gathered(
    *, caller: Caller, request: wire.ReportRequest, sent: Sent, raw: bytes, version: str
) -> str | None:
    """Write a report together with those that come at the same time.

    Returns
    -------
    str or None
        The report as it is shown; None if it has to take the ordinary way.
    """
    item = _ready(caller, request, sent, raw, version)
    if item is None:
        return None
    try:
        return _together.of(item)
    except (Refused, wire.Malformed, DatabaseError, LeaderLost):
        # whose fault it was is found out one by one
        return None


def _ready(
    caller: Caller, request: wire.ReportRequest, sent: Sent, raw: bytes, version: str
) -> _Reported | None:
    if caller.is_business or sent.body_3_0 is not None:
        return None
    try:
        event_id = UUID(request.event_id)
        said = said_in(request)
    except (ValueError, wire.Malformed):
        return None
    if said.answers or said.words or said.alive or not said.readings:
        return None
    if any(reading.interval_min != HALF_HOUR_MIN for reading in said.readings):
        return None
    names = {part.name for part in request.resources}
    points = _points.of((caller.client.id, name) for name in names)
    if len(points) < len(names) or not _seen(caller, event_id):
        return None
    rows = []
    for reading in said.readings:
        quality = Quality[reading.quality]
        rows.append(
            ReadingRow(
                point_number=points[caller.client.id, reading.resource_name],
                start_at=reading.start_at,
                energy_kwh=None if quality == Quality.MISSING else reading.energy_kwh,
                quality=int(quality),
            )
        )
    return _Reported(
        id=uuid7(),
        caller=caller,
        event_id=event_id,
        client_name=request.client_name,
        sent=sent,
        raw=raw,
        version=version,
        rows=tuple(rows),
    )


def _seen(caller: Caller, event_id: UUID) -> bool:
    key = (event_id, caller.client.id, frozenset(caller.grants.items()))
    sight = _Sight(event_id=event_id, caller=caller, key=key)
    return _house_events.of([sight]).get(sight, False)


def _written(items: Sequence[_Reported]) -> list[str | None]:
    """Write all, or raise and leave nothing; those that somebody must be told of are left aside."""
    senders = {item.caller.client.id for item in items}
    # one of the threads works for all: the trail must not say that its client did it
    actor = f"client:{senders.pop()}" if len(senders) == 1 else "system:openadr3.reports"
    with acting_as(actor), transaction.atomic():
        shown = _stored(items)
        if not shown:
            transaction.set_rollback(True)  # the log has nothing of what was not stored
            return [None] * len(items)
        source = {row[0]: source_of(item.caller.client) for item in items for row in item.rows}
        readings_ingest(rows=[row for item in items for row in item.rows], source=source)
    return [shown[item.id] for item in items]


def _stored(items: Sequence[_Reported]) -> dict[UUID, str]:
    """Store reports and their messages, unless somebody subscribes to reports at all.

    Returns
    -------
    dict
        Each as it is shown to whoever sent it (:func:`.selectors.rows_shown`); empty if none was
        stored.
    """
    logged, words = messages_insert([_message(item) for item in items])
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH logged AS ({logged})
            INSERT INTO openadr3_report AS o (id, event_id, client_id, client_name, body)
            SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::varchar[], %s::jsonb[])
            WHERE NOT EXISTS (
                SELECT FROM openadr3_subscriptionrule r
                JOIN openadr3_subscription s ON s.id = r.subscription_id
                WHERE s.removed_at IS NULL AND r.objects_told @> ARRAY[%s]::varchar[]
                  AND r.operations_told @> ARRAY[%s]::varchar[])
            RETURNING o.id, (o.body || jsonb_build_object(
                'id', o.id, 'createdDateTime', openadr3_date_time(o.created_at),
                'modificationDateTime', openadr3_date_time(o.modified_at),
                'objectType', 'REPORT', 'eventID', o.event_id, 'clientID',
                (SELECT c.client_id FROM parties_apiclient c WHERE c.id = o.client_id),
                'targets', NULL))::text
            """,  # noqa: S608 - pieces that stand here and in the log of messages
            [
                *words,
                [item.id for item in items],
                [item.event_id for item in items],
                [item.caller.client.id for item in items],
                [item.client_name for item in items],
                [json.dumps(item.sent.body) for item in items],
                ObjectKind.REPORT,
                Operation.CREATE,
            ],
        )
        return dict(cursor.fetchall())


def _message(item: _Reported) -> list[object]:
    return message_row(
        direction=Direction.IN,
        protocol=Protocol.OPENADR3,
        message_id=str(item.id),
        peer=item.caller.client.client_id,
        content=item.raw,
        subject=f"openadr3.report:{item.id}",
        organisation_id=item.caller.client.organisation_id,
        kind=f"POST {ObjectKind.REPORT} {item.version}",
        outcome=CREATED,
    )


def _points_read(keys: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
    """Return the metering point behind each name that a client gave to a resource of its own."""
    wanted = set(keys)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT v.client_id, r.name, m.point_number
            FROM openadr3_venresource r
            JOIN openadr3_ven v ON v.id = r.ven_id
            JOIN metering_meter m ON m.resource_id = r.resource_id
            JOIN registry_resource u ON u.id = r.resource_id
            JOIN registry_site s ON s.id = u.site_id
            JOIN parties_apiclient c
                ON c.id = v.client_id AND c.organisation_id = s.organisation_id
            WHERE v.client_id = ANY(%s) AND r.name = ANY(%s)
              AND r.removed_at IS NULL AND v.removed_at IS NULL
            """,
            [[client for client, _ in wanted], [name for _, name in wanted]],
        )
        rows = cursor.fetchall()
    return {(client, name): point for client, name, point in rows if (client, name) in wanted}


def _house_events_read(sights: Iterable[_Sight]) -> dict[_Sight, bool]:
    """Say which events are the platform's own and seen by who asks."""
    wanted = list(sights)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM openadr3_event WHERE id = ANY(%s) AND key IS NOT NULL",
            [[sight.event_id for sight in wanted]],
        )
        own = {row[0] for row in cursor.fetchall()}
    return {
        sight: True
        for sight in wanted
        if sight.event_id in own and object_is_seen(ObjectKind.EVENT, sight.caller, sight.event_id)
    }


# Registered facts may be a second old (0026): whose meter a name is, and that an event is there.
_points: Recent[tuple[UUID, str], str] = Recent(_points_read)
_house_events: Recent[_Sight, bool] = Recent(_house_events_read)
_together: Together[_Reported, str | None] = Together(_written, count_max=AT_ONCE_MAX)
