"""Celery's door to the outbox."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.outbox import services


@job_task(services.DELIVER_KIND)
def message_deliver(claim: Claim) -> None:
    """Send one message."""
    services.message_deliver(claim=claim)
