"""Create, claim and finish jobs. The row decides; a message only rings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.core.errors import ClaimLost
from accounts.jobs.models import Job, JobState

LEASE_S = 60
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


def job_claim(*, job_id: UUID, lease_s: float = LEASE_S) -> Claim | None:
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
            RETURNING token, kind, key, payload::text
            """,
            [lease_s, job_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return Claim(job_id=job_id, token=row[0], kind=row[1], key=row[2], payload=json.loads(row[3]))


def job_renew(*, claim: Claim, lease_s: float = LEASE_S, step: str = "") -> None:
    """Extend the lease of a long job and say where it is; raises ClaimLost if taken over."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE jobs_job
            SET lease_until = clock_timestamp() + make_interval(secs => %s), step = %s
            WHERE id = %s AND token = %s AND state = 'RUNNING'
            """,
            [lease_s, step[:80], claim.job_id, claim.token],
        )
        _require_one(cursor.rowcount, claim)


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
