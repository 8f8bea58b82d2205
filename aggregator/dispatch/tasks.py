"""Celery's door to dispatch."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.dispatch import confirming, connections, replacements, seeking, services


@job_task(services.PLAN_KIND)
def instructions_plan(claim: Claim) -> None:
    """Plan one instruction per award of a published auction."""
    services.instructions_plan(claim=claim)


@job_task(services.EXPIRE_KIND)
def instructions_expire(claim: Claim) -> None:
    """Give up on sites that did not answer in time."""
    services.instructions_expire(claim=claim)


@job_task(services.CLOCK_KIND)
def instructions_clock(claim: Claim) -> None:
    """Start and finish instructions by the market clock."""
    services.instructions_clock(claim=claim)


@job_task(services.REPLACE_KIND)
def instruction_replace(claim: Claim) -> None:
    """Find who stands in for a site that does not act."""
    replacements.instruction_replace(claim=claim)


@job_task(seeking.REPEAT_KIND)
def replacement_repeat(claim: Claim) -> None:
    """Look once more for who stands in."""
    seeking.replacement_repeat(claim=claim)


@job_task(services.RELEASE_KIND)
def awards_release(claim: Claim) -> None:
    """Release awards that nobody ordered in time."""
    confirming.awards_release(claim=claim)


@job_task(connections.WATCH_KIND)
def connection_watch(claim: Claim) -> None:
    """Notice that a site of a conditional connection is not heard any more."""
    connections.connection_watch(claim=claim)
