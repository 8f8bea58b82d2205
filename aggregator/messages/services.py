"""Write down what protocols say and hear, and forget it when its time is over."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction

from accounts.audit.services import entry_append, subject_of
from accounts.core.errors import ensure
from accounts.fields.keys import uuid7
from aggregator.messages.models import (
    ID_LENGTH_MAX,
    KIND_LENGTH_MAX,
    OUTCOME_LENGTH_MAX,
    PEER_LENGTH_MAX,
    Direction,
    Encoding,
    Protocol,
    ProtocolMessage,
)

CONTENT_BYTES_MAX: Final = 8_000_000
SWEEP_ROWS_COUNT: Final = 20_000
INSERT: Final = """
INSERT INTO messagelog_protocolmessage (
    id, at, direction, protocol, message_id, peer, organisation_id, kind, conversation_id,
    content, encoding, content_sha256, subject, outcome)
VALUES {rows}
ON CONFLICT (message_id, protocol, direction, peer) DO NOTHING
"""
ROW: Final = "(%s, clock_timestamp()" + ", %s" * 12 + ")"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What became of a message that was to be written down.

    Parameters
    ----------
    message_id
        Of the row in the log, which may have been there.
    is_new
        Whether this call wrote it.
    is_same
        Whether what stands in the log are the very same bytes; a peer that uses an id twice for
        different words is told apart by it from one that merely repeats itself.
    """

    id: UUID
    is_new: bool
    is_same: bool


def message_record(
    *,
    direction: str,
    protocol: str,
    message_id: str,
    peer: str,
    content: str | bytes,
    subject: models.Model | str = "",
    organisation_id: UUID | None = None,
    kind: str = "",
    conversation_id: str = "",
    outcome: str = "",
) -> Recorded:
    """Write a message down, once by its id, in the transaction of what it causes.

    Parameters
    ----------
    direction, protocol
        Of :class:`~aggregator.messages.models.Direction` and ``Protocol``.
    message_id
        As its sender named it; unique for its protocol, direction and peer.
    peer
        Who sent it or shall receive it: a client's id, a domain, a host.
    content
        Every byte of it.
    subject
        What it made or tells of, if that is known by now; else :func:`message_link` later.
    outcome
        How it was answered, in a few words.
    """
    row = message_row(
        direction=direction,
        protocol=protocol,
        message_id=message_id,
        peer=peer,
        content=content,
        subject=subject,
        organisation_id=organisation_id,
        kind=kind,
        conversation_id=conversation_id,
        outcome=outcome,
    )
    with connection.cursor() as cursor:
        cursor.execute(*messages_insert([row]))
        if cursor.rowcount == 1:
            return Recorded(id=row[0], is_new=True, is_same=True)
    known = ProtocolMessage.objects.only("id", "content_sha256").get(
        protocol=protocol, direction=direction, peer=peer, message_id=message_id
    )
    return Recorded(id=known.id, is_new=False, is_same=known.content_sha256 == sha256_of(content))


def message_row(
    *,
    direction: str,
    protocol: str,
    message_id: str,
    peer: str,
    content: str | bytes,
    subject: models.Model | str = "",
    organisation_id: UUID | None = None,
    kind: str = "",
    conversation_id: str = "",
    outcome: str = "",
) -> list[Any]:
    """Return what is written of a message, to be sent with others by :func:`messages_insert`."""
    ensure(direction in Direction.values and protocol in Protocol.values, "a known protocol")
    ensure(0 < len(message_id) <= ID_LENGTH_MAX, "a message has an id")
    ensure(0 < len(peer) <= PEER_LENGTH_MAX, "a message has a peer")
    ensure(len(content) <= CONTENT_BYTES_MAX, "doors bound the length of messages")
    text, encoding = _as_text(content)
    return [
        uuid7(),
        direction,
        protocol,
        message_id,
        peer,
        organisation_id,
        kind[:KIND_LENGTH_MAX],
        conversation_id[:ID_LENGTH_MAX],
        text,
        encoding,
        sha256_of(content),
        subject_of(subject) if subject else "",
        outcome[:OUTCOME_LENGTH_MAX],
    ]


def messages_insert(rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """Return the statement that writes rows of :func:`message_row`, and its parameters."""
    statement = INSERT.format(rows=", ".join([ROW] * len(rows)))
    return statement, [value for row in rows for value in row]


def message_link(*, id: UUID, subject: models.Model | str, outcome: str = "") -> None:  # noqa: A002
    """Say what a message made, or how it was answered, once that is known."""
    changed = {"subject": subject_of(subject) if subject else ""}
    if outcome:
        changed["outcome"] = outcome[:OUTCOME_LENGTH_MAX]
    ProtocolMessage.objects.filter(id=id).update(**changed)


def message_bytes(message: ProtocolMessage) -> bytes:
    """Return the message as it went over the line."""
    if message.encoding == Encoding.BASE64:
        return base64.b64decode(message.content)
    return message.content.encode()


def sha256_of(content: str | bytes) -> str:
    """Return the digest by which a repetition is told from another message of the same id."""
    octets = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    return hashlib.sha256(octets).hexdigest()


def messages_sweep() -> int:
    """Forget messages older than ``settings.MESSAGES_KEPT``; returns how many this time.

    A bounded number per call, oldest first, so that no statement is long; what the messages made
    stays. The database refuses to remove younger ones than its own trigger allows.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM messagelog_protocolmessage WHERE id IN (
                SELECT id FROM messagelog_protocolmessage
                WHERE at < clock_timestamp() - make_interval(secs => %s)
                ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED)
            """,
            [settings.MESSAGES_KEPT.total_seconds(), SWEEP_ROWS_COUNT],
        )
        count = int(cursor.rowcount)
        if count:
            entry_append(
                action="aggregator.messages.swept",
                subject="messagelog.protocolmessage",
                detail={"count": count, "kept_days": settings.MESSAGES_KEPT.days},
            )
    return count


def _as_text(content: str | bytes) -> tuple[str, str]:
    """Return bytes as text if a column holds it so, else in base64."""
    octets = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    if b"\0" not in octets:
        try:
            return octets.decode(), Encoding.UTF8
        except UnicodeDecodeError:
            pass
    return base64.b64encode(octets).decode(), Encoding.BASE64


__all__ = [
    "Direction",
    "Protocol",
    "Recorded",
    "message_bytes",
    "message_link",
    "message_record",
    "message_row",
    "messages_insert",
    "messages_sweep",
    "sha256_of",
]
