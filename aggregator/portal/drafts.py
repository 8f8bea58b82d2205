"""Drafts: texts of forms that are typed, autosaved, sent and revised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, Refused
from accounts.parties.models import Organisation
from aggregator.portal.keeping import opened, sealed
from aggregator.portal.models import Draft

TEXT_FIELDS_MAX: Final = 400
TEXT_LENGTH_MAX: Final = 20_000
DRAFTS_MAX: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class DraftText:
    """What a draft says, as typed."""

    head: Mapping[str, Any]
    fields: Mapping[str, str]


def draft_find(*, organisation: Organisation, kind: str, subject: str, name: str) -> Draft | None:
    """Return a draft of an organisation, if there is one."""
    return (
        Draft.objects.filter(organisation=organisation, kind=kind, subject=subject, name=name)
        .select_related("author")
        .first()
    )


def draft_text(draft: Draft) -> DraftText:
    """Open a draft; one sealed under a key that is gone is empty."""
    found = opened(draft.sealed_text) or {"head": {}, "fields": {}}
    return DraftText(head=found["head"], fields=found["fields"])


@transaction.atomic
def draft_save(
    *,
    organisation: Organisation,
    author_id: int,
    kind: str,
    subject: str,
    name: str,
    text: DraftText,
    version: int | None,
    is_sent: bool = False,
) -> Draft:
    """Keep a text under the version that its author read; the same text again changes nothing.

    Parameters
    ----------
    version
        Of the draft the text was made from; None for a new one.

    Raises
    ------
    Conflict
        If somebody saved another version meanwhile; nothing is overwritten.
    Refused
        If the text is longer than a form can be, or there are too many drafts.
    """
    _refuse_long(text)
    row = (
        Draft.objects.select_for_update()
        .filter(organisation=organisation, kind=kind, subject=subject, name=name)
        .first()
    )
    content = {"head": dict(text.head), "fields": dict(text.fields)}
    if row is None:
        if Draft.objects.filter(organisation=organisation)[:DRAFTS_MAX].count() >= DRAFTS_MAX:
            raise Refused(field="name", value=name, rule=f"at most {DRAFTS_MAX} drafts")
        return Draft.objects.create(
            organisation=organisation,
            author_id=author_id,
            kind=kind,
            subject=subject,
            name=name,
            sealed_text=sealed(content),
            is_sent=is_sent,
            saved_at=market_now(),
        )
    if version != row.version:
        raise Conflict(field="version", value=version, rule="the version that was read")
    if draft_text(row) == DraftText(**content) and row.is_sent == is_sent:
        return row
    row.author_id = author_id
    row.version += 1
    row.is_sent = is_sent
    row.sealed_text = sealed(content)
    row.saved_at = market_now()
    row.save()
    return row


def draft_drop(*, organisation: Organisation, kind: str, subject: str, name: str) -> None:
    """Throw a draft away that was never sent."""
    Draft.objects.filter(
        organisation=organisation, kind=kind, subject=subject, name=name, is_sent=False
    ).delete()


def drafts_open(*, organisation_ids: Sequence[Any], kind: str, subject: str | None = None) -> Any:
    """Return drafts that were not sent yet, the latest first."""
    rows = Draft.objects.filter(organisation_id__in=organisation_ids, kind=kind, is_sent=False)
    if subject is not None:
        rows = rows.filter(subject=subject)
    return rows.select_related("author").order_by("-id")


def _refuse_long(text: DraftText) -> None:
    length = sum(len(name) + len(value) for name, value in text.fields.items())
    if len(text.fields) > TEXT_FIELDS_MAX or length > TEXT_LENGTH_MAX:
        raise Refused(
            field="text", value=length, rule=f"at most {TEXT_LENGTH_MAX} characters in a form"
        )
