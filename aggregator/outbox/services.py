"""Put messages in the outbox with their cause, and see them out: at least once.

Messages to subscriptions go one at a time to each, and not at all while its breaker is open, so
that a receiver that hangs holds up nobody but itself.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction

from accounts.audit.services import entry_append, subject_of
from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from accounts.jobs.failpoints import failpoint
from accounts.jobs.services import Claim, job_create, job_finish, job_postpone
from aggregator.outbox.client import (
    DeliveryFailed,
    DestinationRefused,
    Policy,
    destination_of,
    policy_now,
    post,
)
from aggregator.outbox.models import MessageState, OutboxMessage, WebhookSubscription
from aggregator.outbox.signing import headers_of, secret_open

DELIVER_KIND = "aggregator.outbox.message_deliver"
PAUSE_FIRST_S = 2
PAUSE_MAX_S = 3_600
ERROR_LENGTH_MAX = 200
SUCCESS = range(200, 300)
# A subscription that failed so often in a row is left alone for a while that doubles.
BREAKER_FAILURES_COUNT = 3
BREAKER_FIRST_S = 30
BREAKER_MAX_S = 3_600
BUSY_S = 15  # longer than any exchange: a worker that died mid-way holds the line so long
BUSY_AGAIN_S = 0.5


@transaction.atomic
def message_enqueue(
    *,
    destination: str,
    body: str,
    cause: models.Model | str,
    content_type: str = "application/json",
    policy: Policy | None = None,
) -> OutboxMessage:
    """Write a message in the transaction that causes it; a job will send it.

    Raises
    ------
    Refused
        If the destination may never be called.
    """
    try:
        destination_of(destination, policy=policy or policy_now())
    except DestinationRefused as error:
        raise Refused(field="destination", value=destination, rule=str(error)) from error
    message = OutboxMessage.objects.create(
        destination=destination, body=body, content_type=content_type, cause=subject_of(cause)
    )
    message_deliver_later(message)
    return message


def message_deliver_later(message: OutboxMessage) -> None:
    """Put the delivery of a stored message on the list, inside the caller's transaction."""
    job_create(kind=DELIVER_KIND, key=str(message.id))


def message_deliver(
    *,
    claim: Claim,
    policy: Policy | None = None,
    send: Callable[..., int] = post,
) -> str:
    """Send the message the claim is about once, and record what came of it.

    The exchange runs outside any transaction; its outcome is written in one that checks the
    claim. A worker that dies in between leaves the message waiting, and it goes out again
    under the same id.

    Returns
    -------
    str
        The message's state afterwards.
    """
    message = OutboxMessage.objects.select_related("subscription").get(
        id=UUID(claim.key.partition("/")[0])
    )
    if message.state != MessageState.WAITING:
        with transaction.atomic():
            job_finish(claim=claim)
        return message.state
    subscription = message.subscription
    if subscription is not None and not _turn_taken(claim, message, subscription):
        return OutboxMessage.objects.values_list("state", flat=True).get(id=message.id)
    outcome = _Outcome()
    try:
        outcome.status = send(
            subscription.url if subscription else message.destination,
            content=message.body.encode(),
            headers=_headers(message, subscription),
            policy=policy or policy_now(),
        )
    except DeliveryFailed as failure:
        outcome.error = str(failure)
    except DestinationRefused as refusal:
        outcome.error, outcome.is_final = str(refusal), True
    if outcome.status is not None and outcome.status not in SUCCESS:
        outcome.error = f"answered {outcome.status}"
    failpoint("outbox.sent")
    return _outcome_record(claim, message, outcome)


@dataclass
class _Outcome:
    status: int | None = None
    error: str = ""
    is_final: bool = False


def _headers(message: OutboxMessage, subscription: WebhookSubscription | None) -> dict[str, str]:
    headers = {"Content-Type": message.content_type, "User-Agent": "WattBit-Webhooks/1"}
    if subscription is None:
        return {**headers, "Message-Id": str(message.id)}
    now = _database_now()
    secrets = [secret_open(subscription.secret_sealed)]
    before, until = subscription.secret_before_sealed, subscription.secret_before_until
    if before is not None and until is not None and now < until:
        secrets.append(secret_open(before))
    signed = headers_of(
        message_id=str(message.id),
        timestamp_s=int(now.timestamp()),
        body=message.body.encode(),
        under=secrets,
    )
    return {**headers, **signed}


@transaction.atomic
def _turn_taken(claim: Claim, message: OutboxMessage, row: WebhookSubscription) -> bool:
    """Take the subscription's one line, or put the message off until it may be free."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_webhooksubscription
            SET busy_until = clock_timestamp() + make_interval(secs => %s)
            WHERE id = %s AND is_active AND removed_at IS NULL AND confirmed_at IS NOT NULL
              AND (paused_until IS NULL OR paused_until <= clock_timestamp())
              AND (busy_until IS NULL OR busy_until <= clock_timestamp())
            """,
            [BUSY_S, row.id],
        )
        if cursor.rowcount == 1:
            return True
    row.refresh_from_db()
    if row.removed_at is not None or not row.is_active or row.confirmed_at is None:
        _message_move(message, MessageState.DEAD, error="the subscription is not active", tried=0)
        job_finish(claim=claim)
        return False
    now = _database_now()
    if row.paused_until is not None and row.paused_until > now:
        if row.paused_until >= message.retry_until:
            _message_move(
                message, MessageState.DEAD, error="the receiver has not come back", tried=0
            )
            job_finish(claim=claim)
            return False
        # those that waited out the pause do not all come at once
        wait_s = (row.paused_until - now).total_seconds() + BREAKER_FIRST_S * _share(message)
    else:
        wait_s = BUSY_AGAIN_S * (1 + _share(message))
    job_postpone(claim=claim, due_at=market_now() + timedelta(seconds=wait_s))
    return False


@transaction.atomic
def _outcome_record(claim: Claim, message: OutboxMessage, outcome: _Outcome) -> str:
    pause_s = min(PAUSE_FIRST_S * 2**message.attempts_count, PAUSE_MAX_S) * (
        0.75 + 0.5 * _share(message)
    )
    state = MessageState.DELIVERED
    if outcome.error:
        is_late = _database_now() + timedelta(seconds=pause_s) > message.retry_until
        state = MessageState.DEAD if outcome.is_final or is_late else MessageState.WAITING
    if message.subscription_id is not None:
        _breaker_record(message.subscription_id, failed=bool(outcome.error))
    _message_move(message, state, error=outcome.error, status=outcome.status, pause_s=pause_s)
    if state == MessageState.WAITING:
        # due times of jobs are market time, which equals real time wherever messages leave
        job_postpone(claim=claim, due_at=market_now() + timedelta(seconds=pause_s))
    else:
        job_finish(claim=claim)
    return state


def _breaker_record(subscription_id: UUID, *, failed: bool) -> None:
    with connection.cursor() as cursor:
        if not failed:
            cursor.execute(
                """
                UPDATE outbox_webhooksubscription
                SET failures_count = 0, paused_until = NULL, busy_until = NULL WHERE id = %s
                """,
                [subscription_id],
            )
            return
        cursor.execute(
            """
            UPDATE outbox_webhooksubscription SET
                failures_count = failures_count + 1, busy_until = NULL,
                paused_until = CASE WHEN failures_count + 1 >= %(often)s THEN
                    clock_timestamp() + make_interval(secs => LEAST(
                        %(first)s * power(2, LEAST(failures_count + 1 - %(often)s, 20)), %(most)s))
                    END
            WHERE id = %(id)s
            """,
            {
                "often": BREAKER_FAILURES_COUNT,
                "first": BREAKER_FIRST_S,
                "most": BREAKER_MAX_S,
                "id": subscription_id,
            },
        )


def _message_move(
    message: OutboxMessage,
    state: str,
    *,
    error: str,
    status: int | None = None,
    pause_s: float = 0,
    tried: int = 1,
) -> None:
    changed: dict[str, Any] = {"error": error[:ERROR_LENGTH_MAX]}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_outboxmessage SET
                state = %s, attempts_count = attempts_count + %s, status = %s, error = %s,
                next_attempt_at = clock_timestamp() + make_interval(secs => %s),
                delivered_at = CASE WHEN %s THEN clock_timestamp() END
            WHERE id = %s AND state = 'WAITING'
            """,
            [
                state,
                tried,
                status,
                changed["error"],
                pause_s,
                state == MessageState.DELIVERED,
                message.id,
            ],
        )
    if state == MessageState.DEAD:
        subscription = message.subscription
        entry_append(
            action="aggregator.message.given_up",
            subject=message,
            organisation_id=subscription.organisation_id if subscription else None,
            detail={"attempts_count": message.attempts_count + tried, **changed},
        )


def _share(message: OutboxMessage) -> float:
    """Return a number from 0 to 1 by which this attempt is spread: the same whenever replayed."""
    text = f"{message.id}:{message.attempts_count}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4]) / 2**32


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
