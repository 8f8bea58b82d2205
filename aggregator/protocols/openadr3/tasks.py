"""Celery's door to OpenADR."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.dispatch.services import REMIND_KIND, SEND_KIND
from aggregator.protocols.openadr3 import services


@job_task(SEND_KIND)
def instructions_send(claim: Claim) -> None:
    """Send due instructions as events."""
    services.instructions_send(claim=claim)


@job_task(REMIND_KIND)
def instruction_remind(claim: Claim) -> None:
    """Remind a site that has not answered."""
    services.instruction_remind(claim=claim)
