"""From causes to messages: what happened is read off the audit chain, and told to subscribers.

Every cause writes its audit entry in its own transaction, in whatever layer it happens; the sealer
gives the committed entries a dense order. So a cursor over that order turns each cause into its
messages exactly once, in the transaction that moves the cursor, and no part of the market has to
know that somebody listens.

A message says that something happened and where it can be read. What may be read there, the
doors decide: no price, no quantity and nobody else's row leaves in a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.expressions import RawSQL

from accounts.audit.models import AuditCheckpoint, AuditEntry, AuditLink
from accounts.jobs.models import Job
from accounts.ledger.selectors import transfers_of
from accounts.parties.models import Organisation
from aggregator.outbox.models import (
    OutboxMessage,
    Topic,
    WebhookCursor,
    WebhookSubscription,
)
from aggregator.outbox.services import DELIVER_KIND
from market.clearing.models import Award, ClearingRun
from market.registry.models import Prequalification
from market.trading.models import Auction, Need

DOORS: Final = "/api/v1"
BATCH_COUNT: Final = 100_000  # links passed in one call; few of them are causes


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to tell.

    Parameters
    ----------
    of
        What makes it unlike any other, so that its messages always get the same ids.
    cause
        As audit entries name rows.
    links
        Name to path of a door.
    more
        Codes of what it is about.
    to
        Organisations it concerns; None if it is public.
    """

    topic: str
    of: str
    cause: str
    at: datetime
    links: Mapping[str, str]
    more: Mapping[str, Any] = field(default_factory=dict)
    to: frozenset[UUID] | None = None


@transaction.atomic
def causes_tell() -> int:
    """Turn the next causes into messages; returns how many messages.

    Another worker at it is let through: the one row of the cursor is locked without waiting.
    """
    WebhookCursor.objects.get_or_create(id=1)
    cursor = WebhookCursor.objects.select_for_update(skip_locked=True).filter(id=1).first()
    if cursor is None:
        return 0
    link, checkpoint = _ends(cursor)
    if (link, checkpoint) == (cursor.link_number, cursor.checkpoint_number):
        return 0
    listening = list(
        WebhookSubscription.objects.filter(
            is_active=True, removed_at=None, confirmed_at__isnull=False
        )
    )
    messages: list[OutboxMessage] = []
    if listening:
        wanted = {topic for row in listening for topic in row.topics}
        notices = [
            *_of_entries(cursor.link_number, link, wanted),
            *_of_checkpoints(cursor.checkpoint_number, checkpoint, wanted),
        ]
        messages = [_message(notice, row) for notice in notices for row in _who(notice, listening)]
    if messages:
        OutboxMessage.objects.bulk_create(messages, ignore_conflicts=True, batch_size=1_000)
        _deliver_later(messages)
    WebhookCursor.objects.filter(id=1).update(link_number=link, checkpoint_number=checkpoint)
    return len(messages)


def _ends(cursor: WebhookCursor) -> tuple[int, int]:
    """Return how far this call goes: not all at once after a long silence."""
    last_link = AuditLink.objects.aggregate(last=Max("number"))["last"] or 0
    last_checkpoint = AuditCheckpoint.objects.aggregate(last=Max("number"))["last"] or 0
    return (
        max(cursor.link_number, min(last_link, cursor.link_number + BATCH_COUNT)),
        max(cursor.checkpoint_number, min(last_checkpoint, cursor.checkpoint_number + BATCH_COUNT)),
    )


def _who(notice: Notice, listening: Iterable[WebhookSubscription]) -> Iterator[WebhookSubscription]:
    for row in listening:
        concerned = notice.to is None or row.organisation_id in notice.to
        if notice.topic in row.topics and concerned:
            yield row


def _message(notice: Notice, row: WebhookSubscription) -> OutboxMessage:
    message_id = uuid5(row.id, f"{notice.topic} {notice.of}")
    body = {
        "id": str(message_id),
        "topic": notice.topic,
        "at": notice.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "links": dict(notice.links),
        **notice.more,
    }
    return OutboxMessage(
        id=message_id,
        destination=row.url,
        body=json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
        cause=notice.cause,
        subscription=row,
        topic=notice.topic,
    )


def _deliver_later(messages: Iterable[OutboxMessage]) -> None:
    now = RawSQL("market_now()", ())
    Job.objects.bulk_create(
        [Job(kind=DELIVER_KIND, key=str(message.id), due_at=now) for message in messages],
        ignore_conflicts=True,
        batch_size=1_000,
    )


def _of_checkpoints(after: int, upto: int, wanted: set[str]) -> Iterator[Notice]:
    if Topic.AUDIT_CHECKPOINT not in wanted:
        return
    rows = AuditCheckpoint.objects.filter(number__gt=after, number__lte=upto).order_by("number")
    for row in rows:
        yield Notice(
            topic=Topic.AUDIT_CHECKPOINT,
            of=str(row.number),
            cause=f"audit.auditcheckpoint:{row.number}",
            at=row.sealed_at,
            links={"checkpoint": f"{DOORS}/audit/checkpoints/{row.number}"},
            # whole, so that every subscriber holds a copy the market cannot take back
            more={"checkpoint": row.as_checkpoint().as_json()},
        )


def _of_entries(after: int, upto: int, wanted: set[str]) -> Iterator[Notice]:
    entries = AuditEntry.objects.filter(link__number__gt=after, link__number__lte=upto)
    causes = Q(action__in=_READERS) | Q(action__startswith=_PREQUALIFICATION)
    for entry in entries.filter(causes).order_by("link__number"):
        for read in _READERS.get(entry.action, ()):
            yield from (notice for notice in read(entry) if notice.topic in wanted)
        if entry.action.startswith(_PREQUALIFICATION):
            yield from (n for n in _prequalification(entry) if n.topic in wanted)


def _notice(entry: AuditEntry, topic: str, links: Mapping[str, str], **of: Any) -> Notice:
    return Notice(
        topic=topic, of=str(entry.id), cause=entry.subject, at=entry.at, links=links, **of
    )


def _id_of(entry: AuditEntry) -> UUID:
    return UUID(entry.subject.rpartition(":")[2])


def _about_auction(topic: str) -> Callable[[AuditEntry], Iterator[Notice]]:
    def read(entry: AuditEntry) -> Iterator[Notice]:
        auction = Auction.objects.filter(id=_id_of(entry)).first()
        if auction is not None:
            links = {"auction": f"{DOORS}/auctions/{auction.code}"}
            yield _notice(entry, topic, links, more={"auction": auction.code})

    return read


def _need(entry: AuditEntry) -> Iterator[Notice]:
    need = Need.objects.select_related("auction").filter(id=_id_of(entry)).first()
    if need is not None:
        yield _notice(
            entry,
            Topic.NEED_PUBLISHED,
            {
                "need": f"{DOORS}/needs/{need.id}",
                "auction": f"{DOORS}/auctions/{need.auction.code}",
            },
            more={"auction": need.auction.code, "need": need.code, "revision": need.revision},
        )


def _result(entry: AuditEntry) -> Iterator[Notice]:
    run = ClearingRun.objects.select_related("auction").filter(id=_id_of(entry)).first()
    if run is None:
        return
    code = run.auction.code
    more = {"auction": code, "result_sha256": run.result_sha256}
    yield _notice(
        entry,
        Topic.RESULT_PUBLISHED,
        {"auction": f"{DOORS}/auctions/{code}", "prices": f"{DOORS}/auctions/{code}/prices"},
        more=more,
    )
    owners = frozenset(
        Award.objects.filter(run=run)
        .order_by()
        .values_list("organisation_id", flat=True)
        .distinct()
    )
    if owners:
        yield _notice(
            entry,
            Topic.AWARD_PUBLISHED,
            {"awards": f"{DOORS}/awards?auction={code}"},
            more={"auction": code},
            to=owners,
        )


def _instruction(entry: AuditEntry) -> Iterator[Notice]:
    if entry.organisation_id is not None:
        yield _notice(
            entry,
            Topic.INSTRUCTION_SENT,
            {"instruction": f"{DOORS}/instructions/{_id_of(entry)}"},
            to=frozenset({entry.organisation_id}),
        )


def _statement(entry: AuditEntry) -> Iterator[Notice]:
    """Tell each listening organisation whose account the closed period touches."""
    period = entry.detail.get("period", "")
    listening = Organisation.objects.filter(
        id__in=WebhookSubscription.objects.filter(
            topics__contains=[Topic.STATEMENT_ISSUED], removed_at=None
        ).values("organisation")
    )
    for row in listening:
        if transfers_of(seen_by=row).filter(period=period).exists():
            yield _notice(
                entry,
                Topic.STATEMENT_ISSUED,
                {"statements": f"{DOORS}/statements?organisation={row.code}"},
                more={"period": period, "close": entry.detail.get("close")},
                to=frozenset({row.id}),
            )


def _prequalification(entry: AuditEntry) -> Iterator[Notice]:
    """Tell both sides: who owns the resource, and the grid operator of its area."""
    row = (
        Prequalification.objects.select_related("resource__site", "area")
        .filter(id=_id_of(entry))
        .first()
    )
    if row is not None:
        yield _notice(
            entry,
            Topic.PREQUALIFICATION_CHANGED,
            {"prequalification": f"{DOORS}/prequalifications/{row.id}"},
            more={"state": entry.action.rpartition(".")[2]},
            to=frozenset({row.resource.site.organisation_id, row.area.tso_id}),
        )


_PREQUALIFICATION: Final = "market.prequalification."
_READERS: Final[Mapping[str, tuple[Callable[[AuditEntry], Iterator[Notice]], ...]]] = {
    "market.auction.opened": (_about_auction(Topic.AUCTION_OPENED),),
    "market.auction.closed": (_about_auction(Topic.AUCTION_CLOSED),),
    "market.auction.cancelled": (_about_auction(Topic.AUCTION_CANCELLED),),
    "market.need.published": (_need,),
    "market.result.published": (_result,),
    "aggregator.instruction.sent": (_instruction,),
    "settlement.period.closed": (_statement,),
}
