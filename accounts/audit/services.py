"""Append to the audit trail."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, models

from accounts.audit.acting import actor_now

# Every change passes here: as text, this costs a quarter of what the ORM takes to write it.
APPEND = """
INSERT INTO audit_auditentry (at, action, subject, detail, organisation_id, user_id, actor)
VALUES {rows}
"""
ROW = "(market_now(), %s, %s, %s::jsonb, %s, %s, %s)"


def subject_of(subject: models.Model | str) -> str:
    """Name a row the way audit entries do: ``trading.bid:<id>``."""
    if isinstance(subject, str):
        return subject
    return f"{subject._meta.label_lower}:{subject.pk}"  # noqa: SLF001 - Django's documented way


def entry_append(
    *,
    action: str,
    subject: models.Model | str,
    detail: Mapping[str, Any] | None = None,
    organisation_id: UUID | None = None,
    user_id: int | None = None,
) -> None:
    """Record one action inside the caller's transaction, stamped by the market clock.

    Who acts is what :mod:`accounts.audit.acting` says, or the person given.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("an audit entry belongs to the transaction it tells of")
    entry = entry_row(
        action=action,
        subject=subject,
        detail=detail,
        organisation_id=organisation_id,
        actor=actor_now() if user_id is None else f"user:{user_id}",
    )
    with connection.cursor() as cursor:
        cursor.execute(*entries_insert([entry]))


def entries_insert(rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """Return the statement that appends rows of :func:`entry_row`, and its parameters."""
    statement = APPEND.format(rows=", ".join([ROW] * len(rows)))
    return statement, [value for row in rows for value in row]


def entry_row(
    *,
    action: str,
    subject: models.Model | str,
    detail: Mapping[str, Any] | None = None,
    organisation_id: UUID | None = None,
    actor: str,
) -> list[Any]:
    """Return what an entry says, to be sent with others in the transaction it tells of.

    `actor` is as of :func:`accounts.audit.acting.actor_now`.
    """
    kind, _, number = actor.partition(":")
    return [
        action,
        subject_of(subject),
        json.dumps(dict(detail or {})),
        organisation_id,
        int(number) if kind == "user" else None,
        actor,
    ]
