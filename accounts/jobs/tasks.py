"""Celery's door to jobs: ring what is due, run what is rung."""

from collections.abc import Callable
from uuid import UUID

from celery import Task, current_app, shared_task
from celery.utils.log import get_task_logger

from accounts.audit.acting import acting_as
from accounts.core.errors import ClaimLost
from accounts.jobs import selectors, services
from accounts.jobs.services import Claim

logger = get_task_logger(__name__)

RING_EXPIRES_S = 30  # an old ring is worth nothing: the sweep rings again every second
# After each job only a few are rung: with hundreds due, ringing all after each is a storm of rings.
RUNG_AFTER_COUNT = 8


def jobs_ring(*, count_max: int = 200) -> int:
    """Send one message per due job; a message lost or doubled changes nothing."""
    due = selectors.jobs_due(count_max=count_max)
    for job_id, kind in due:
        current_app.send_task(kind, args=[str(job_id)], expires=RING_EXPIRES_S)
    return len(due)


def job_task(
    kind: str, *, lease_s: float | None = None
) -> Callable[[Callable[[Claim], None]], Task]:
    """Turn a function of a claim into the Celery task named `kind`.

    The row in PostgreSQL decides: of any number of deliveries one claims the job, the
    others return. A failure is written on the row, which becomes due again by itself;
    Celery retries nothing. What the job created is rung at once, only to be faster.
    """

    def decorate(work: Callable[[Claim], None]) -> Task:
        @shared_task(name=kind, acks_late=True, ignore_result=True)
        def run(job_id: str) -> None:
            claim = services.job_claim(job_id=UUID(job_id), lease_s=lease_s)
            if claim is None:
                return
            try:
                with acting_as(f"system:{kind}"):
                    work(claim)
            except ClaimLost:
                logger.warning("%s %s: taken over by another worker", kind, claim.key)
            except Exception as error:
                logger.exception("%s %s failed", kind, claim.key)
                services.job_fail(claim=claim, error=f"{type(error).__name__}: {error}")
            else:
                jobs_ring(count_max=RUNG_AFTER_COUNT)

        return run

    return decorate


@shared_task(name="accounts.jobs.sweep", ignore_result=True, expires=10)
def sweep() -> None:
    """Ring every due job: the heartbeat that makes lost messages harmless."""
    services.jobs_quarantine_exhausted()
    jobs_ring()
