"""A form is done once: second clicks, the back button and repeated requests find its result.

Each form that is shown carries a signed token with the person it was made for. The first sending
does the work and writes down where it led; all others lead there again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.core import signing
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpRequest, QueryDict

from accounts.fields.keys import uuid7
from aggregator.portal.models import FormSent

FIELD: Final = "form_token"
SALT: Final = "aggregator.portal.form"
SWEPT_ROWS_MAX: Final = 10_000
KEPT_H: Final = 48
# not part of what a form says
_ASIDE: Final = frozenset({FIELD, "csrfmiddlewaretoken"})
_SQL: Final = """
INSERT INTO portal_formsent (token, user_id, path, fields_sha256, location, said, sent_at)
VALUES (%s, %s, %s, %s, '', '', market_now()) ON CONFLICT (token) DO NOTHING RETURNING token
"""


@dataclass(frozen=True, kw_only=True)
class Token:
    """The name of one showing of a form, and for whom it was made."""

    id: UUID
    user_id: int


def token_made(user_id: int) -> str:
    """Return a new token for a form about to be shown."""
    return signing.dumps([str(uuid7()), user_id], salt=SALT, compress=False)


def token_read(text: str) -> Token | None:
    """Return the token of a sent form; None if we never made it."""
    try:
        name, user_id = signing.loads(text, salt=SALT)
        return Token(id=UUID(name), user_id=int(user_id))
    except (signing.BadSignature, ValueError, TypeError):
        return None


def digest_of(fields: QueryDict, files: Any = None) -> bytes:
    """Return what tells two sendings of one form apart: all fields, in order, and files."""
    said = [[name, values] for name, values in sorted(fields.lists()) if name not in _ASIDE]
    for name, sent in sorted(files.items() if files else ()):
        body = hashlib.sha256()
        for chunk in sent.chunks():
            body.update(chunk)
        sent.seek(0)
        said.append([name, [body.hexdigest()]])
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).digest()


def sending_begin(request: HttpRequest, token: Token) -> FormSent | None:
    """Write down that a form is being done; call it first in the transaction of the work.

    Returns
    -------
    FormSent or None
        None if this sending is the first; else what the first one led to. A twin at work is
        waited for.
    """
    user: Any = request.user
    path = request.path[: FormSent._meta.get_field("path").max_length]  # noqa: SLF001 - Django's way
    values = [token.id, user.pk, path, digest_of(request.POST, request.FILES)]
    with connection.cursor() as cursor:
        cursor.execute(_SQL, values)
        if cursor.fetchone() is not None:
            return None
    return FormSent.objects.filter(token=token.id, user=user).get()


def sending_end(token: Token, *, location: str, said: str) -> None:
    """Write down where the work led; in its transaction."""
    FormSent.objects.filter(token=token.id).update(location=location, said=said[:300])


def is_same(before: FormSent, request: HttpRequest) -> bool:
    """Whether a form says what it said when it was sent first."""
    return bytes(before.fields_sha256) == digest_of(request.POST, request.FILES)


def sent_sweep(*, older_than_h: int = KEPT_H, rows_max: int = SWEPT_ROWS_MAX) -> int:
    """Forget forms nobody will send again, by the database's clock; return how many."""
    old = FormSent.objects.filter(created_at__lt=Now() - timedelta(hours=older_than_h))
    batch = list(old.order_by("created_at").values_list("token", flat=True)[:rows_max])
    removed, _ = FormSent.objects.filter(token__in=batch).delete()
    return removed
