"""Celery's door to the outbox."""

import time

from celery import shared_task

from accounts.jobs.services import Claim, job_claim_next
from accounts.jobs.tasks import job_task, jobs_ring
from aggregator.outbox import endpoints, fanout, services, subscriptions

TURN_TRIES = 10
TURN_PAUSE_S = 0.03
IN_ONE_GO_COUNT = 200
LEASE_S = 30  # an exchange may take seven seconds; nobody should send the same meanwhile


@job_task(services.DELIVER_KIND, lease_s=LEASE_S)
def message_deliver(claim: Claim) -> None:
    """Send one message."""
    services.message_deliver(claim=claim)


@job_task(subscriptions.CHALLENGE_KIND, lease_s=LEASE_S)
def subscription_challenge(claim: Claim) -> None:
    """Ask an address to show that it listens."""
    subscriptions.subscription_challenge(claim=claim)


@job_task(endpoints.DRAIN_KIND, lease_s=endpoints.LEASE_S)
def endpoint_drain(claim: Claim) -> None:
    """Send what waits for an endpoint; wait a moment for a turn, which another may just end."""
    _drained(claim)
    # a burst is a job for each message: going on with them here saves ringing for each
    for _ in range(IN_ONE_GO_COUNT):
        following = job_claim_next(kind=endpoints.DRAIN_KIND, lease_s=endpoints.LEASE_S)
        if following is None:
            return
        _drained(following)


def _drained(claim: Claim) -> None:
    for _ in range(TURN_TRIES):
        if endpoints.endpoint_drain(claim=claim, may_wait=True):
            return
        time.sleep(TURN_PAUSE_S)
    endpoints.endpoint_drain(claim=claim)


@shared_task(name="aggregator.outbox.causes_tell", ignore_result=True, expires=10)
def causes_tell() -> None:
    """Turn what happened into messages to those who subscribed."""
    if fanout.causes_tell():
        jobs_ring()
