"""Celery's door to the demo's own steps."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.ops.demo import steps


@job_task("aggregator.ops.demo_register")
def demo_register(claim: Claim) -> None:
    """Register the cast."""
    steps.register_step(claim=claim)


@job_task("aggregator.ops.demo_import")
def demo_import(claim: Claim) -> None:
    """Read real prices and area data."""
    steps.import_step(claim=claim)


@job_task("aggregator.ops.demo_history")
def demo_history(claim: Claim) -> None:
    """Seed the readings of earlier days."""
    steps.history_step(claim=claim)


@job_task("aggregator.ops.demo_publish")
def demo_publish(claim: Claim) -> None:
    """Publish flows, limits and needs."""
    steps.publish_step(claim=claim)


@job_task("aggregator.ops.demo_bid")
def demo_bid(claim: Claim) -> None:
    """Submit the operators' bids."""
    steps.bid_step(claim=claim)


@job_task("aggregator.ops.demo_final")
def demo_final(claim: Claim) -> None:
    """Confirm the day's values and ask for its settlement."""
    steps.final_step(claim=claim)
