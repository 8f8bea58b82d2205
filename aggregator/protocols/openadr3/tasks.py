"""Celery's door to OpenADR."""

from celery import shared_task

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task, jobs_ring
from aggregator.dispatch import connections, trials
from aggregator.dispatch.services import REMIND_KIND, SEND_KIND
from aggregator.protocols.openadr3 import notices, publishing, services


@job_task(SEND_KIND)
def instructions_send(claim: Claim) -> None:
    """Send due instructions as events."""
    services.instructions_send(claim=claim)


@job_task(REMIND_KIND)
def instruction_remind(claim: Claim) -> None:
    """Remind a site that has not answered."""
    services.instruction_remind(claim=claim)


@job_task(connections.PUBLISH_KIND)
def connection_publish(claim: Claim) -> None:
    """Tell a site what its conditional connection may draw."""
    publishing.connection_publish(claim=claim)


@job_task(trials.SEND_KIND)
def trial_send(claim: Claim) -> None:
    """Send a test dispatch."""
    publishing.trial_publish(claim=claim)


@shared_task(name="aggregator.protocols.openadr3.voids_tell", ignore_result=True, expires=10)
def voids_tell() -> None:
    """Tell subscribers of orders that became void."""
    if notices.voids_tell():
        jobs_ring()
