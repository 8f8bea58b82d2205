"""Subscriptions to webhooks: registered by their owners, confirmed by their addresses."""

import json
import secrets
from collections.abc import Callable, Collection
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.core.errors import Conflict, NotFound, Refused, ensure
from accounts.jobs.services import Claim, job_create, job_finish
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.outbox import client
from aggregator.outbox.client import Answer, DeliveryFailed, DestinationRefused
from aggregator.outbox.models import MessageState, OutboxMessage, Topic, WebhookSubscription
from aggregator.outbox.selectors import subscriptions_seen
from aggregator.outbox.services import DELIVER_KIND, message_deliver_later
from aggregator.outbox.signing import headers_of, secret_make, secret_open, secret_seal

CHALLENGE_KIND = "aggregator.outbox.subscription_challenge"
CHALLENGE_BYTES_COUNT = 24
SUBSCRIPTIONS_MAX = 20  # of one organisation
OLD_SECRET_FOR = timedelta(hours=24)
SUCCESS = range(200, 300)
_CLOCK = RawSQL("clock_timestamp()", ())


class ChallengeFailed(Exception):
    """The address did not echo the challenge this time."""


@transaction.atomic
def subscription_create(
    *, organisation: Organisation, url: str, topics: Collection[str]
) -> tuple[WebhookSubscription, str]:
    """Register an address; it is told nothing before it has echoed a challenge.

    Returns
    -------
    tuple
        The subscription, and its secret, which is shown this once.

    Raises
    ------
    Refused
        If the address may not be called, a topic is unknown, or there are too many.
    """
    _url_checked(url)
    chosen = _topics_checked(topics)
    # one at a time per organisation, so that the limit holds
    Organisation.objects.select_for_update(no_key=True).get(id=organisation.id)
    mine = WebhookSubscription.objects.filter(organisation=organisation, removed_at=None)
    if mine.count() >= SUBSCRIPTIONS_MAX:
        raise Conflict(
            field="organisation",
            value=organisation.code,
            rule=f"at most {SUBSCRIPTIONS_MAX} subscriptions",
        )
    secret = secret_make()
    row = WebhookSubscription.objects.create(
        organisation=organisation, url=url, topics=chosen, secret_sealed=secret_seal(secret)
    )
    _challenge_later(row)
    _tell("created", row)
    return row, secret


@transaction.atomic
def subscription_change(
    *,
    subscription_id: UUID,
    by: Sight,
    url: str | None = None,
    topics: Collection[str] | None = None,
    is_active: bool | None = None,
) -> WebhookSubscription:
    """Change an own subscription; another address must echo a challenge again."""
    row = _own_locked(subscription_id, by)
    if url is not None and url != row.url:
        _url_checked(url)
        row.url, row.confirmed_at = url, None
    if topics is not None:
        row.topics = _topics_checked(topics)
    if is_active is not None:
        row.is_active = is_active
    row.version += 1
    row.failures_count, row.paused_until = 0, None
    row.save()
    if row.confirmed_at is None:
        _challenge_later(row)
    _tell("changed", row)
    return row


@transaction.atomic
def subscription_rotate(*, subscription_id: UUID, by: Sight) -> tuple[WebhookSubscription, str]:
    """Give an own subscription a new secret; for a day messages are signed by the old one too."""
    row = _own_locked(subscription_id, by)
    secret = secret_make()
    WebhookSubscription.objects.filter(id=row.id).update(
        secret_before_sealed=row.secret_sealed,
        secret_before_until=_CLOCK + OLD_SECRET_FOR,
        secret_sealed=secret_seal(secret),
        rotated_at=_CLOCK,
        version=row.version + 1,
    )
    row.refresh_from_db()
    _tell("rotated", row)
    return row, secret


@transaction.atomic
def subscription_remove(*, subscription_id: UUID, by: Sight) -> None:
    """End an own subscription; what waits for it is not sent any more."""
    row = _own_locked(subscription_id, by)
    WebhookSubscription.objects.filter(id=row.id).update(
        removed_at=_CLOCK, is_active=False, version=row.version + 1
    )
    _tell("removed", row)


@transaction.atomic
def subscription_confirm_again(*, subscription_id: UUID, by: Sight) -> WebhookSubscription:
    """Challenge the address of an own subscription once more."""
    row = _own_locked(subscription_id, by)
    if row.confirmed_at is not None:
        raise Conflict(field="subscription", value=str(row.id), rule="not confirmed yet")
    WebhookSubscription.objects.filter(id=row.id).update(version=row.version + 1)
    row.refresh_from_db()
    _challenge_later(row)
    return row


@transaction.atomic
def subscription_ping(*, subscription_id: UUID, by: Sight) -> OutboxMessage:
    """Send a test message to an own subscription.

    Raises
    ------
    Conflict
        If it is not confirmed or not active: nothing is sent then.
    """
    row = _own_locked(subscription_id, by)
    if not row.is_active or row.confirmed_at is None:
        raise Conflict(
            field="subscription", value=str(row.id), rule="confirmed by its address, and active"
        )
    message = OutboxMessage(
        destination=row.url, subscription=row, topic="ping", cause=f"webhook:{row.id}"
    )
    message.body = json.dumps(
        {"id": str(message.id), "topic": "ping", "links": {"webhook": f"/api/v1/webhooks/{row.id}"}}
    )
    message.save(force_insert=True)
    message_deliver_later(message)
    return message


@transaction.atomic
def message_resend(*, subscription_id: UUID, message_id: UUID, by: Sight) -> OutboxMessage:
    """Send a message that was given up again, under the same id, for another day.

    Raises
    ------
    NotFound
        If the caller has no such message.
    Conflict
        If it was not given up.
    """
    row = _own_locked(subscription_id, by)
    message = (
        OutboxMessage.objects.select_for_update(of=("self",))
        .filter(id=message_id, subscription=row)
        .first()
    )
    if message is None:
        raise NotFound(field="message", value=str(message_id), rule="a message to you")
    changed = OutboxMessage.objects.filter(id=message.id, state=MessageState.DEAD).update(
        state=MessageState.WAITING,
        next_attempt_at=_CLOCK,
        retry_until=_CLOCK + timedelta(hours=24),
    )
    if not changed:
        raise Conflict(field="message", value=message.state, rule="given up before (DEAD)")
    message.refresh_from_db()
    # the job of the first life is done; a number makes another one of it
    job_create(kind=DELIVER_KIND, key=f"{message.id}/{message.attempts_count}")
    entry_append(
        action="aggregator.message.resent",
        subject=message,
        organisation_id=row.organisation_id,
        detail={"attempts_count": message.attempts_count},
    )
    return message


def subscription_challenge(*, claim: Claim, send: Callable[..., Answer] = client.exchange) -> bool:
    """Ask the address to echo a random word, signed; confirmed if it does.

    Whoever registers an address shows so that it is theirs to receive at. The answer is compared
    and forgotten. Raises ChallengeFailed while tries are left.
    """
    row = WebhookSubscription.objects.get(id=UUID(claim.key.partition("/")[0]))
    is_wanted = row.removed_at is None and row.confirmed_at is None
    if not is_wanted or claim.payload.get("version") != row.version:
        with transaction.atomic():
            job_finish(claim=claim)
        return row.confirmed_at is not None
    error = _challenged(row, send)
    if error and not claim.is_last_attempt:
        raise ChallengeFailed(error)
    with transaction.atomic():
        confirmed = not error and bool(
            WebhookSubscription.objects.filter(id=row.id, version=row.version).update(
                confirmed_at=_CLOCK
            )
        )
        _tell(
            "confirmed" if confirmed else "unconfirmed", row, **({"error": error} if error else {})
        )
        job_finish(claim=claim)
    return confirmed


def _challenged(row: WebhookSubscription, send: Callable[..., Answer]) -> str:
    """Return what went wrong, or nothing; never what the address answered."""
    word = secrets.token_urlsafe(CHALLENGE_BYTES_COUNT)
    body = json.dumps({"topic": "challenge", "challenge": word}).encode()
    headers = headers_of(
        message_id=word, timestamp_s=_now_s(), body=body, under=[secret_open(row.secret_sealed)]
    )
    try:
        answer = send(
            row.url,
            content=body,
            headers={"Content-Type": "application/json", **headers},
            policy=client.policy_now(),
        )
    except (DeliveryFailed, DestinationRefused) as failure:
        return str(failure)
    if answer.status not in SUCCESS:
        return f"answered {answer.status}"
    return "" if _echoes(answer.body, word) else "did not echo the challenge"


def _echoes(body: bytes, word: str) -> bool:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("challenge") == word


def _now_s() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint")
        return int(cursor.fetchone()[0])


def _own_locked(subscription_id: UUID, by: Sight) -> WebhookSubscription:
    row = (
        subscriptions_seen(seen_by=by)
        .select_for_update(of=("self",))
        .filter(id=subscription_id)
        .first()
    )
    if row is None:
        raise NotFound(
            field="subscription", value=str(subscription_id), rule="a subscription of yours"
        )
    return row


def _url_checked(url: str) -> None:
    try:
        client.destination_of(url, policy=client.policy_now())
    except DestinationRefused as error:
        raise Refused(field="url", value=url, rule=str(error)) from error


def _topics_checked(topics: Collection[str]) -> list[str]:
    ensure(not isinstance(topics, str), "topics are a list")
    for topic in topics:
        if topic not in Topic.values:
            raise Refused(field="topics", value=topic, rule=f"one of {', '.join(Topic.values)}")
    if not topics or len(set(topics)) != len(topics):
        raise Refused(field="topics", value=list(topics), rule="one or more, each once")
    return sorted(topics)


def _challenge_later(row: WebhookSubscription) -> None:
    job_create(
        kind=CHALLENGE_KIND,
        key=f"{row.id}/{row.version}",
        payload={"version": row.version},
        attempts_max=6,
    )


def _tell(what: str, row: WebhookSubscription, **detail: str) -> None:
    """Leave an entry; of the address its host alone, for the rest is often a key."""
    entry_append(
        action=f"aggregator.webhook.{what}",
        subject=row,
        organisation_id=row.organisation_id,
        detail={"host": urlsplit(row.url).netloc, "topics": list(row.topics), **detail},
    )
