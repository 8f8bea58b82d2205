"""Celery's door to clearing. Decisions live in services; here only delivery."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from market.clearing import services


@job_task("market.clearing.run_execute")
def run_execute(claim: Claim) -> None:
    """Clear the auction the claim is about."""
    services.clearing_run_execute(claim=claim)


@job_task("market.clearing.run_publish")
def run_publish(claim: Claim) -> None:
    """Publish a result that was held back."""
    services.clearing_run_publish(claim=claim)


@job_task("market.clearing.deadline")
def deadline(claim: Claim) -> None:
    """End an auction that has no result in time."""
    services.clearing_deadline(claim=claim)
