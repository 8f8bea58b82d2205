"""Sessions of people: where they are signed in, and how they end."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound
from accounts.parties.models import User
from accounts.parties.sight import Sight


def sessions_seen(*, seen_by: Sight) -> QuerySet[UserSession]:
    """Return the caller's own sessions that still exist, nobody else's ever."""
    rows: QuerySet[UserSession] = UserSession.objects.filter(
        user_id=seen_by.user_id, session_key__in=Session.objects.values("session_key")
    )
    return rows if seen_by.user_id is not None else rows.none()


@transaction.atomic
def session_end(*, user: User, session_id: int) -> None:
    """Sign one session of the person out, on whatever device it is.

    Raises
    ------
    NotFound
        If the person has no such session.
    """
    row = UserSession.objects.filter(user_id=user.pk, pk=session_id).first()
    if row is None:
        raise NotFound(field="session", value=session_id, rule="one of your sessions")
    _end(row)
    entry_append(action="accounts.session.ended", subject=user, user_id=user.pk)


@transaction.atomic
def sessions_end(*, user: User, but: str | None = None) -> int:
    """Sign all sessions of the person out, except the one with the key `but`; return how many."""
    rows = list(UserSession.objects.filter(user_id=user.pk).exclude(session_key=but or ""))
    for row in rows:
        _end(row)
    if rows:
        entry_append(
            action="accounts.session.others_ended",
            subject=user,
            user_id=user.pk,
            detail={"count": len(rows)},
        )
    return len(rows)


def _end(row: Any) -> None:
    import_module(settings.SESSION_ENGINE).SessionStore().delete(row.session_key)
    row.delete()
