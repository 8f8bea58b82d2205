"""Put messages in the outbox with their cause, and see them out: at least once."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import connection, models, transaction

from accounts.audit.services import entry_append, subject_of
from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from accounts.jobs.services import Claim, job_create, job_finish, job_postpone
from aggregator.outbox.client import (
    STRICT,
    DeliveryFailed,
    DestinationRefused,
    Policy,
    destination_of,
    post,
)
from aggregator.outbox.models import MessageState, OutboxMessage

DELIVER_KIND = "aggregator.outbox.message_deliver"
ATTEMPTS_MAX = 20
PAUSE_FIRST_S = 2
PAUSE_MAX_S = 3_600
ERROR_LENGTH_MAX = 200
SUCCESS = range(200, 300)


@transaction.atomic
def message_enqueue(
    *,
    destination: str,
    body: str,
    cause: models.Model | str,
    content_type: str = "application/json",
    policy: Policy = STRICT,
) -> OutboxMessage:
    """Write a message in the transaction that causes it; a job will send it.

    Raises
    ------
    Refused
        If the destination may never be called.
    """
    try:
        destination_of(destination, policy=policy)
    except DestinationRefused as error:
        raise Refused(field="destination", value=destination, rule=str(error)) from error
    message = OutboxMessage.objects.create(
        destination=destination, body=body, content_type=content_type, cause=subject_of(cause)
    )
    job_create(kind=DELIVER_KIND, key=str(message.id), attempts_max=ATTEMPTS_MAX)
    return message


def message_deliver(
    *,
    claim: Claim,
    policy: Policy = STRICT,
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
    message = OutboxMessage.objects.get(id=UUID(claim.key))
    if message.state != MessageState.WAITING:
        with transaction.atomic():
            job_finish(claim=claim)
        return message.state
    status: int | None = None
    final = False
    error = ""
    try:
        status = send(
            message.destination,
            content=message.body.encode(),
            headers={"Content-Type": message.content_type, "Message-Id": str(message.id)},
            policy=policy,
        )
    except DeliveryFailed as failure:
        error = str(failure)
    except DestinationRefused as refusal:
        error, final = str(refusal), True
    if status is not None and status not in SUCCESS:
        error = f"answered {status}"
    return _outcome_record(claim, message, status=status, error=error, final=final)


@transaction.atomic
def _outcome_record(
    claim: Claim, message: OutboxMessage, *, status: int | None, error: str, final: bool
) -> str:
    attempts_count = message.attempts_count + 1
    state = MessageState.DELIVERED
    if error:
        given_up = final or attempts_count >= ATTEMPTS_MAX
        state = MessageState.DEAD if given_up else MessageState.WAITING
    pause_s = min(PAUSE_FIRST_S * 2 ** (attempts_count - 1), PAUSE_MAX_S)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE outbox_outboxmessage SET
                state = %s, attempts_count = %s, status = %s, error = %s,
                next_attempt_at = clock_timestamp() + make_interval(secs => %s),
                delivered_at = CASE WHEN %s THEN clock_timestamp() END
            WHERE id = %s AND state = 'WAITING'
            """,
            [
                state,
                attempts_count,
                status,
                error[:ERROR_LENGTH_MAX],
                pause_s,
                state == MessageState.DELIVERED,
                message.id,
            ],
        )
    if state == MessageState.DEAD:
        entry_append(
            action="aggregator.message.given_up",
            subject=message,
            detail={"attempts_count": attempts_count, "error": error[:ERROR_LENGTH_MAX]},
        )
    if state == MessageState.WAITING:
        # due times of jobs are market time, which equals real time wherever messages leave
        job_postpone(claim=claim, due_at=market_now() + timedelta(seconds=pause_s))
    else:
        job_finish(claim=claim)
    return state
