"""Create, claim and finish jobs. The row decides; a message only rings."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.core.errors import ClaimLost
from accounts.jobs.models import Job, JobState

logger = logging.getLogger(__name__)

PAUSE_FIRST_S = 1
PAUSE_MAX_S = 300


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to work on one job until the lease runs out."""

    job_id: UUID
    token: int
    kind: str
    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    is_last_attempt: bool = False


def lease_default_s() -> float:
    """How long a silent worker keeps its claim (setting ``JOB_LEASE_S``)."""
    return float(getattr(settings, "JOB_LEASE_S", 15))


def job_create(
    *,
    kind: str,
    key: str,
    payload: Mapping[str, Any] | None = None,
    due_at: datetime | None = None,
    attempts_max: int = 5,
) -> Job:
    """Write the job into the causing transaction; the same kind and key is the same job."""
    job, _ = Job.objects.get_or_create(
        kind=kind,
        key=key,
        defaults={
            "payload": dict(payload or {}),
            "due_at": due_at or RawSQL("market_now()", ()),
            "attempts_max": attempts_max,
        },
    )
    return job


def jobs_create(*, kind: str, jobs: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Write jobs of one kind, due at once, each as :func:`job_create` does: (key, payload)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT market_now()")
        (now,) = cursor.fetchone()
    Job.objects.bulk_create(
        [Job(kind=kind, key=key, payload=dict(payload), due_at=now) for key, payload in jobs],
        ignore_conflicts=True,
    )


def job_claim(*, job_id: UUID, lease_s: float | None = None) -> Claim | None:
    """Take a due job by compare-and-set; None if it is not due, done, or another's.

    A job whose lease ran out is taken over with a higher token, so that its former
    worker, should it wake, can publish nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE jobs_job SET
                state = 'RUNNING', token = token + 1, attempts_count = attempts_count + 1,
                lease_until = clock_timestamp() + make_interval(secs => %s),
                started_at = clock_timestamp(), step = ''
            WHERE id = %s
              AND due_at <= market_now()
              AND (not_before IS NULL OR not_before <= clock_timestamp())
              AND (state = 'READY' OR (state = 'RUNNING' AND lease_until < clock_timestamp()))
              AND attempts_count < attempts_max
            RETURNING token, kind, key, payload::text, attempts_count >= attempts_max
            """,
            [lease_default_s() if lease_s is None else lease_s, job_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    token, kind, key, payload, is_last_attempt = row
    return Claim(
        job_id=job_id,
        token=token,
        kind=kind,
        key=key,
        payload=json.loads(payload),
        is_last_attempt=is_last_attempt,
    )


def job_claim_next(*, kind: str, lease_s: float | None = None) -> Claim | None:
    """Take the next due job of a kind, for a worker that is at this kind already; None if none."""
    ids = (
        Job.objects.filter(kind=kind, state=JobState.READY, not_before=None)
        .filter(due_at__lte=RawSQL("market_now()", ()))
        .order_by("due_at", "created_at", "id")
        .values_list("id", flat=True)[:8]
    )
    for job_id in ids:
        claim = job_claim(job_id=job_id, lease_s=lease_s)
        if claim is not None:
            return claim
    return None


def job_renew(*, claim: Claim, lease_s: float | None = None) -> None:
    """Extend the lease of a long job; raises ClaimLost if another worker took over."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE jobs_job
            SET lease_until = clock_timestamp() + make_interval(secs => %s)
            WHERE id = %s AND token = %s AND state = 'RUNNING'
            """,
            [lease_default_s() if lease_s is None else lease_s, claim.job_id, claim.token],
        )
        _require_one(cursor.rowcount, claim)


def job_step(*, claim: Claim, step: str) -> None:
    """Say where a long job is, for the people who watch it."""
    Job.objects.filter(id=claim.job_id, token=claim.token).update(step=step[:80])


@contextmanager
def job_kept(*, claim: Claim) -> Iterator[None]:
    """Keep the lease alive while long work goes on outside any transaction.

    The lease stays short, so that a dead worker is replaced within seconds; a thread
    with a connection of its own renews it. A worker that is stopped stops renewing.
    """
    done = threading.Event()
    pause_s = lease_default_s() / 3

    def renew() -> None:
        try:
            while not done.wait(pause_s):
                job_renew(claim=claim)
        except ClaimLost:
            logger.warning("%s %s: lease lost", claim.kind, claim.key)
        except DatabaseError:
            logger.exception("%s %s: lease not renewed", claim.kind, claim.key)
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name=f"lease-{claim.job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def job_finish(*, claim: Claim) -> None:
    """Mark done inside the publishing transaction, or raise so that nothing is published."""
    if not connection.in_atomic_block:
        raise RuntimeError("finish a job in the transaction that publishes its outcome")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE jobs_job
            SET state = 'DONE', finished_at = clock_timestamp(), lease_until = NULL, error = ''
            WHERE id = %s AND token = %s AND state = 'RUNNING'
            """,
            [claim.job_id, claim.token],
        )
        _require_one(cursor.rowcount, claim)


def job_postpone(*, claim: Claim, due_at: datetime) -> None:
    """Give a claimed job back, to be due again later; not counted as a failure."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE jobs_job
            SET state = 'READY', due_at = %s, lease_until = NULL,
                attempts_count = GREATEST(attempts_count - 1, 0)
            WHERE id = %s AND token = %s AND state = 'RUNNING'
            """,
            [due_at, claim.job_id, claim.token],
        )
        _require_one(cursor.rowcount, claim)


@transaction.atomic
def job_fail(*, claim: Claim, error: str) -> bool:
    """Record a failure: tried again after a growing pause, or quarantined for a person.

    Returns
    -------
    bool
        True if the job is now quarantined.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE jobs_job SET
                state = CASE WHEN attempts_count >= attempts_max
                             THEN 'QUARANTINED' ELSE 'READY' END,
                lease_until = NULL, error = %s,
                not_before = clock_timestamp() + make_interval(
                    secs => LEAST(%s * power(2, attempts_count - 1), %s))
            WHERE id = %s AND token = %s AND state = 'RUNNING'
            RETURNING state
            """,
            [error[:4000], PAUSE_FIRST_S, PAUSE_MAX_S, claim.job_id, claim.token],
        )
        row = cursor.fetchone()
    quarantined = row is not None and row[0] == JobState.QUARANTINED
    if quarantined:
        entry_append(
            action="accounts.job.quarantined",
            subject=f"jobs.job:{claim.job_id}",
            detail={"kind": claim.kind, "key": claim.key, "error": error[:400]},
        )
    return quarantined


def _require_one(rowcount: int, claim: Claim) -> None:
    if rowcount != 1:
        raise ClaimLost(f"{claim.kind} {claim.key}: token {claim.token} is no longer current")


@transaction.atomic
def jobs_quarantine_exhausted() -> int:
    """Set aside jobs whose workers died as often as allowed; returns how many.

    A job that kills its worker never reaches :func:`job_fail`; without this it would
    hold its key for ever in RUNNING.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE jobs_job SET state = 'QUARANTINED', lease_until = NULL,
                   error = 'every worker that took it died or ran out of its lease'
            WHERE state = 'RUNNING' AND lease_until < clock_timestamp()
              AND attempts_count >= attempts_max
            RETURNING id, kind, key
            """
        )
        rows = cursor.fetchall()
    for job_id, kind, key in rows:
        entry_append(
            action="accounts.job.quarantined",
            subject=f"jobs.job:{job_id}",
            detail={"kind": kind, "key": key, "error": "workers died"},
        )
    return len(rows)
