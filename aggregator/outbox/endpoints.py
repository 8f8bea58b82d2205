"""Messages to addresses that peers of a protocol named: in order, one at a time to each.

Each message is a row and a job, written with their cause. Whoever runs the job of one takes the
turn of its endpoint and sends what waits for it, the oldest first, until nothing is due; the other
jobs then find their messages sent. An endpoint that hangs or fails holds up nobody but itself: it
is left alone after three failures in a row, for a while that doubles, and stands marked as broken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.jobs.failpoints import failpoint
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_finish, job_postpone, job_renew
from aggregator.outbox import client
from aggregator.outbox.client import Answer, DeliveryFailed, DestinationRefused
from aggregator.outbox.models import MessageState, OutboxEndpoint, OutboxMessage
from aggregator.outbox.signing import secret_open, secret_seal

DRAIN_KIND: Final = "aggregator.outbox.endpoint_drain"
SUCCESS: Final = range(200, 300)
LEASE_S: Final = 30
BUSY_S: Final = 15  # longer than any exchange: a worker that died holds the turn so long
BUSY_AGAIN_S: Final = 1.0
PAUSE_FIRST_S: Final = 2
PAUSE_MAX_S: Final = 3_600
BREAKER_FAILURES_COUNT: Final = 3
BREAKER_FIRST_S: Final = 30
BREAKER_MAX_S: Final = 3_600
IN_ONE_TURN_COUNT: Final = 100
ERROR_LENGTH_MAX: Final = 200
AGENT: Final = "WattBit-Webhooks/1"


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message to be put in the outbox."""

    id: UUID
    endpoint_id: UUID
    url: str
    body: str
    topic: str
    cause: str
    content_type: str = "application/json"


def endpoint_register(
    *, url: str, bearer: str | None = None, organisation_id: UUID | None = None
) -> OutboxEndpoint:
    """Keep an address, and sealed the token it wants in ``Authorization``."""
    return OutboxEndpoint.objects.create(
        url=url,
        bearer_sealed=None if bearer is None else secret_seal(bearer),
        organisation_id=organisation_id,
    )


def messages_post(messages: Sequence[Outgoing]) -> list[UUID]:
    """Write messages and the jobs that send them, in the transaction that causes them.

    Returns
    -------
    list of UUID
        The jobs, for whoever wants to ring them once the transaction is committed.
    """
    if not messages:
        return []
    OutboxMessage.objects.bulk_create(
        [
            OutboxMessage(
                id=message.id,
                destination=message.url,
                content_type=message.content_type,
                body=message.body,
                cause=message.cause,
                topic=message.topic,
                endpoint_id=message.endpoint_id,
            )
            for message in messages
        ],
        batch_size=1_000,
    )
    now = RawSQL("market_now()", ())
    jobs = Job.objects.bulk_create(
        [
            Job(kind=DRAIN_KIND, key=f"{message.endpoint_id}/{message.id}", due_at=now)
            for message in messages
        ],
        batch_size=1_000,
    )
    return [job.id for job in jobs]


def endpoint_drain(
    *, claim: Claim, send: Callable[..., Answer] = client.exchange, may_wait: bool = False
) -> bool:
    """Send what waits for the endpoint of the claim's message.

    Parameters
    ----------
    may_wait
        Whether to return False, with the claim still held, while another worker has the turn.

    Returns
    -------
    bool
        Whether the claim is settled.
    """
    endpoint_id, message_id = map(UUID, claim.key.split("/"))
    if not _is_waiting(message_id):
        with transaction.atomic():
            job_finish(claim=claim)
        return True
    turn = _turn_taken(endpoint_id)
    if turn is None:
        if may_wait:
            return False
        _put_off(claim, endpoint_id, message_id)
        return True
    try:
        for _ in range(IN_ONE_TURN_COUNT):
            message = _next(endpoint_id)
            if message is None or not _sent(endpoint_id, turn, message, send):
                break
            job_renew(claim=claim, lease_s=LEASE_S)
    finally:
        OutboxEndpoint.objects.filter(id=endpoint_id).update(busy_until=None)
    if _is_waiting(message_id):
        _put_off(claim, endpoint_id, message_id)
    else:
        with transaction.atomic():
            job_finish(claim=claim)
    return True


@dataclass(frozen=True, kw_only=True)
class _Turn:
    url: str
    bearer: str | None


def _turn_taken(endpoint_id: UUID) -> _Turn | None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_outboxendpoint
            SET busy_until = clock_timestamp() + make_interval(secs => %s)
            WHERE id = %s AND is_active
              AND (paused_until IS NULL OR paused_until <= clock_timestamp())
              AND (busy_until IS NULL OR busy_until <= clock_timestamp())
            RETURNING url, bearer_sealed
            """,
            [BUSY_S, endpoint_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return _Turn(url=row[0], bearer=None if row[1] is None else secret_open(row[1]))


def _is_waiting(message_id: UUID) -> bool:
    return OutboxMessage.objects.filter(id=message_id, state=MessageState.WAITING).exists()


def _next(endpoint_id: UUID) -> OutboxMessage | None:
    return (
        OutboxMessage.objects.filter(
            endpoint_id=endpoint_id,
            state=MessageState.WAITING,
            next_attempt_at__lte=RawSQL("clock_timestamp()", ()),
        )
        .order_by("created_at", "id")
        .first()
    )


def _sent(
    endpoint_id: UUID, turn: _Turn, message: OutboxMessage, send: Callable[..., Answer]
) -> bool:
    """Send one message, outside any transaction, and record what came of it."""
    headers = {
        "Content-Type": message.content_type,
        "User-Agent": AGENT,
        "Message-Id": str(message.id),
    }
    if turn.bearer is not None:
        headers["Authorization"] = f"Bearer {turn.bearer}"
    status: int | None = None
    error, is_final = "", False
    try:
        answer = send(
            turn.url, content=message.body.encode(), headers=headers, policy=client.policy_now()
        )
    except DeliveryFailed as failure:
        error = str(failure)
    except DestinationRefused as refusal:
        error, is_final = str(refusal), True
    else:
        status = answer.status
        error = "" if status in SUCCESS else f"answered {status}"
    failpoint("outbox.sent")
    _recorded(endpoint_id, message, status, error, is_final=is_final)
    return not error


@transaction.atomic
def _recorded(
    endpoint_id: UUID, message: OutboxMessage, status: int | None, error: str, *, is_final: bool
) -> None:
    pause_s = min(PAUSE_FIRST_S * 2**message.attempts_count, PAUSE_MAX_S) * (
        0.75 + 0.5 * _share(message)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_outboxmessage SET
                state = CASE WHEN %(error)s = '' THEN 'DELIVERED'
                    WHEN %(is_final)s OR clock_timestamp() + make_interval(secs => %(pause)s)
                        > retry_until THEN 'DEAD' ELSE 'WAITING' END,
                attempts_count = attempts_count + 1, status = %(status)s, error = %(error)s,
                next_attempt_at = clock_timestamp() + make_interval(secs => %(pause)s),
                delivered_at = CASE WHEN %(error)s = '' THEN clock_timestamp() END
            WHERE id = %(id)s AND state = 'WAITING' RETURNING state
            """,
            {
                "error": error[:ERROR_LENGTH_MAX],
                "is_final": is_final,
                "pause": pause_s,
                "status": status,
                "id": message.id,
            },
        )
        row = cursor.fetchone()
        cursor.execute(
            """
            UPDATE outbox_outboxendpoint SET
                failures_count = CASE WHEN %(ok)s THEN 0 ELSE failures_count + 1 END,
                busy_until = clock_timestamp() + make_interval(secs => %(busy)s),
                broken_at = CASE WHEN %(ok)s THEN NULL
                    WHEN failures_count + 1 >= %(often)s
                    THEN COALESCE(broken_at, clock_timestamp()) ELSE broken_at END,
                paused_until = CASE WHEN %(ok)s THEN NULL
                    WHEN failures_count + 1 >= %(often)s THEN clock_timestamp() + make_interval(
                        secs => LEAST(%(first)s * power(
                            2, LEAST(failures_count + 1 - %(often)s, 20)), %(most)s)) END
            WHERE id = %(id)s
            """,
            {
                "ok": not error,
                "busy": BUSY_S,
                "often": BREAKER_FAILURES_COUNT,
                "first": BREAKER_FIRST_S,
                "most": BREAKER_MAX_S,
                "id": endpoint_id,
            },
        )
    if row is not None and row[0] == MessageState.DEAD:
        _given_up(message, error)


def _given_up(message: OutboxMessage, error: str) -> None:
    entry_append(
        action="aggregator.message.given_up",
        subject=message,
        organisation_id=message.endpoint.organisation_id if message.endpoint else None,
        detail={
            "attempts_count": message.attempts_count + 1,
            "error": error[:ERROR_LENGTH_MAX],
        },
    )


@transaction.atomic
def _put_off(claim: Claim, endpoint_id: UUID, message_id: UUID) -> None:
    """Let the job sleep until its message may go; give up what nobody wants or waits for."""
    endpoint = OutboxEndpoint.objects.get(id=endpoint_id)
    message = OutboxMessage.objects.select_related("endpoint").get(id=message_id)
    now = _database_now()
    paused_until = endpoint.paused_until or now
    if message.state == MessageState.WAITING and (
        not endpoint.is_active or paused_until >= message.retry_until
    ):
        error = (
            "the receiver has not come back" if endpoint.is_active else "nobody subscribes there"
        )
        OutboxMessage.objects.filter(id=message_id).update(state=MessageState.DEAD, error=error)
        _given_up(message, error)
        job_finish(claim=claim)
        return
    until = max(message.next_attempt_at, paused_until)
    wait_s = max((until - now).total_seconds(), 0.0)
    if paused_until > now:
        # those that waited out the pause do not all come at once
        wait_s += BREAKER_FIRST_S * _share(message) / 10
    # due times of jobs are market time, which equals real time wherever messages leave
    job_postpone(claim=claim, due_at=market_now() + timedelta(seconds=wait_s or BUSY_AGAIN_S))


def _share(message: OutboxMessage) -> float:
    """Return a number from 0 to 1 by which an attempt is spread: the same whenever replayed."""
    text = f"{message.id}:{message.attempts_count}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4]) / 2**32


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: Any = cursor.fetchone()[0]
    return found  # type: ignore[no-any-return]
