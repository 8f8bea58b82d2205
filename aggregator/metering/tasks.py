"""Celery's door to metering."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.metering import verifications


@job_task(verifications.JOB_KIND)
def delivery_verify(claim: Claim) -> None:
    """Verify the delivery of one auction; safe to deliver any number of times."""
    verifications.delivery_verify(claim=claim)
