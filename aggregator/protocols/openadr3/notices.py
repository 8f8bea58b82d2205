"""Tell subscribers what happened: messages in the outbox, in the transaction of their cause.

Whoever is told of an object sees it by the same rule as when it asks (:mod:`.selectors`): it is
told only of what it sees, and of its targets only its own. A subscriber from whose sight a change
takes an object is told that it is deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models.expressions import RawSQL

from accounts.fields.keys import uuid7
from accounts.parties.models import ApiClient
from aggregator.messages.services import Direction, Protocol, message_row, messages_insert
from aggregator.outbox.endpoints import Outgoing, messages_post
from aggregator.protocols.openadr3 import legacy
from aggregator.protocols.openadr3.models import Event, ObjectKind, Operation
from aggregator.protocols.openadr3.selectors import (
    BUSINESS_KINDS,
    TARGETED,
    Caller,
    Shown,
    events_void,
    grants_read,
    object_shown,
)
from aggregator.protocols.openadr3.wire_requests import VERBS

TOPIC: Final = "openadr3"
VOIDS_COUNT: Final = 100  # looked for every second
READ_SCOPES: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset({"read_all", "read_targets" if kind in TARGETED else "read_ven_objects"})
    for kind in ObjectKind.values
}


@dataclass(frozen=True, kw_only=True)
class _Listener:
    """A rule of a subscription, and the client behind it with what is granted to it."""

    rule_id: UUID
    endpoint_id: UUID
    url: str
    operations: frozenset[str]
    speaks_verbs: bool
    is_3_0: bool
    targets: frozenset[str]
    caller: Caller


@dataclass
class Told:
    """What was put in the outbox: keys of the jobs that will send it."""

    jobs: list[UUID] = field(default_factory=list)


@contextmanager
def telling(
    told: Told,
    kind: str,
    operation: str,
    object_id: UUID,
    *,
    client_id: UUID | None = None,
    program_id: UUID | None = None,
) -> Iterator[None]:
    """Write the messages about one change, which is made inside the block.

    Parameters
    ----------
    client_id
        Whose object it is, for kinds that are some client's own.
    program_id
        Of the program it belongs to, for rules that are about one.
    """
    listeners = _listeners(kind, client_id=client_id, program_id=program_id)
    before = {} if operation == Operation.CREATE else _seen(kind, object_id, listeners)
    yield
    if not listeners:
        return
    after = {} if operation == Operation.DELETE else _seen(kind, object_id, listeners)
    messages = []
    for listener in listeners:
        now, then = after.get(listener.rule_id), before.get(listener.rule_id)
        said, shown = (operation, now) if now is not None else (Operation.DELETE, then)
        if shown is not None and said in listener.operations:
            messages.append(_message(kind, said, shown, listener))
    told.jobs += _posted(kind, object_id, messages)


@transaction.atomic
def voids_tell() -> int:
    """Tell subscribers of events whose orders became void that they are deleted.

    An order becomes void where nobody knows of subscribers: so it is looked for here.

    Returns
    -------
    int
        How many events were told of.
    """
    void = events_void(count=VOIDS_COUNT)
    for event_id, program_id in void:
        listeners = _listeners(ObjectKind.EVENT, client_id=None, program_id=program_id)
        seen = _seen(ObjectKind.EVENT, event_id, listeners, with_void=True)
        messages = [
            _message(ObjectKind.EVENT, Operation.DELETE, seen[listener.rule_id], listener)
            for listener in listeners
            if listener.rule_id in seen and Operation.DELETE in listener.operations
        ]
        _posted(ObjectKind.EVENT, event_id, messages)
    if void:
        Event.objects.filter(id__in=[row[0] for row in void]).update(
            void_told_at=RawSQL("market_now()", ())
        )
    return len(void)


def _listeners(kind: str, *, client_id: UUID | None, program_id: UUID | None) -> list[_Listener]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.id, r.endpoint_id, e.url, r.operations_told, r.speaks_verbs,
                   s.body_3_0 IS NOT NULL, s.targets, c.id, c.client_id, c.scopes::text,
                   c.organisation_id, o.kind
            FROM openadr3_subscriptionrule r
            JOIN openadr3_subscription s ON s.id = r.subscription_id
            JOIN outbox_outboxendpoint e ON e.id = r.endpoint_id
            JOIN parties_apiclient c ON c.id = s.client_id
            JOIN parties_organisation o ON o.id = c.organisation_id
            WHERE r.objects_told @> ARRAY[%s]::varchar[] AND s.removed_at IS NULL
              AND e.is_active AND c.is_active
              AND (s.program_id IS NULL OR s.program_id = %s)
              AND (%s::uuid IS NULL OR c.id = %s OR o.kind = ANY(%s))
            ORDER BY r.id
            """,
            [kind, program_id, client_id, client_id, list(BUSINESS_KINDS)],
        )
        rows = cursor.fetchall()
    if not rows:
        return []
    grants = grants_read({row[7] for row in rows}) if kind in TARGETED else {}
    listeners = []
    for row in rows:
        scopes = frozenset(json.loads(row[9]))
        if scopes.isdisjoint(READ_SCOPES[kind]):
            continue
        client = ApiClient(
            id=row[7], client_id=row[8], organisation_id=row[10], scopes=sorted(scopes)
        )
        caller = Caller(client=client, scopes=scopes, kind=row[11], grants=grants.get(row[7], {}))
        listeners.append(
            _Listener(
                rule_id=row[0],
                endpoint_id=row[1],
                url=row[2],
                operations=frozenset(row[3]),
                speaks_verbs=row[4],
                is_3_0=row[5],
                targets=frozenset(row[6]),
                caller=caller,
            )
        )
    return listeners


def _seen(
    kind: str, object_id: UUID, listeners: Iterable[_Listener], *, with_void: bool = False
) -> dict[UUID, Shown]:
    """Return the object as each rule's client is shown it now; asked once per distinct sight."""
    found: dict[UUID, Shown] = {}
    by_sight: dict[Any, Shown | None] = {}
    for listener in listeners:
        sight = _sight(kind, listener.caller)
        if sight not in by_sight:
            by_sight[sight] = object_shown(kind, listener.caller, object_id, with_void=with_void)
        shown = by_sight[sight]
        if shown is None:
            continue
        if (
            listener.targets
            and kind in TARGETED
            and listener.targets.isdisjoint(shown.targets or ())
        ):
            continue
        found[listener.rule_id] = shown
    return found


def _sight(kind: str, caller: Caller) -> tuple[Any, ...]:
    if caller.is_business:
        return ("business", caller.owner_id, caller.client.organisation_id)
    if kind not in TARGETED:
        return ("own", caller.client.id)
    return ("site", frozenset(caller.grants.items()))


def _message(
    kind: str, operation: str, shown: Shown, listener: _Listener
) -> tuple[Outgoing, Caller]:
    word = VERBS[operation] if listener.speaks_verbs else operation
    told = json.loads(shown.text)
    if listener.is_3_0:
        told = legacy.answer(kind, told, shown)
    body = {
        "objectType": kind,
        "operation": word,
        "object": told,
        "targets": told.get("targets"),
    }
    message = Outgoing(
        id=uuid7(),
        endpoint_id=listener.endpoint_id,
        url=listener.url,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        topic=TOPIC,
        cause=f"openadr3.{kind.lower()}:{shown.id}",
    )
    return message, listener.caller


def _posted(kind: str, object_id: UUID, messages: Sequence[tuple[Outgoing, Caller]]) -> list[UUID]:
    """Put messages in the outbox and in the log."""
    if not messages:
        return []
    rows = [
        message_row(
            direction=Direction.OUT,
            protocol=Protocol.OPENADR3,
            message_id=str(message.id),
            peer=caller.client.client_id,
            content=message.body,
            subject=f"openadr3.{kind.lower()}:{object_id}",
            organisation_id=caller.client.organisation_id,
            kind=f"notification {kind}",
        )
        for message, caller in messages
    ]
    with connection.cursor() as cursor:
        cursor.execute(*messages_insert(rows))
    return messages_post([message for message, _ in messages])
