"""Celery's door to the outbox."""

from celery import shared_task

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task, jobs_ring
from aggregator.outbox import fanout, services, subscriptions

LEASE_S = 30  # an exchange may take seven seconds; nobody should send the same meanwhile


@job_task(services.DELIVER_KIND, lease_s=LEASE_S)
def message_deliver(claim: Claim) -> None:
    """Send one message."""
    services.message_deliver(claim=claim)


@job_task(subscriptions.CHALLENGE_KIND, lease_s=LEASE_S)
def subscription_challenge(claim: Claim) -> None:
    """Ask an address to show that it listens."""
    subscriptions.subscription_challenge(claim=claim)


@shared_task(name="aggregator.outbox.causes_tell", ignore_result=True, expires=10)
def causes_tell() -> None:
    """Turn what happened into messages to those who subscribed."""
    if fanout.causes_tell():
        jobs_ring()
