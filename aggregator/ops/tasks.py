"""Celery's door to the demo's own steps."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.ops.demo import month_money, month_steps, steps

SEEDING_LEASE_S = 300.0
"""Seeding is one transaction of seconds, and of many seconds on a machine that does more."""


@job_task("aggregator.ops.demo_register", lease_s=SEEDING_LEASE_S)
def demo_register(claim: Claim) -> None:
    """Register the cast."""
    steps.register_step(claim=claim)


@job_task("aggregator.ops.demo_import")
def demo_import(claim: Claim) -> None:
    """Read real prices and area data."""
    steps.import_step(claim=claim)


@job_task("aggregator.ops.demo_history", lease_s=SEEDING_LEASE_S)
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


@job_task("aggregator.ops.demo_final", lease_s=SEEDING_LEASE_S)
def demo_final(claim: Claim) -> None:
    """Confirm the day's values and ask for its settlement."""
    steps.final_step(claim=claim)


@job_task("aggregator.ops.demo_month_register", lease_s=SEEDING_LEASE_S)
def demo_month_register(claim: Claim) -> None:
    """Register the cast and announce a month of auctions."""
    month_steps.month_register_step(claim=claim)


@job_task("aggregator.ops.demo_plans")
def demo_plans(claim: Claim) -> None:
    """File the generation plans of a day."""
    month_steps.plans_step(claim=claim)


@job_task("aggregator.ops.demo_answer")
def demo_answer(claim: Claim) -> None:
    """Answer what was sent."""
    month_steps.answer_step(claim=claim)


@job_task("aggregator.ops.demo_metered", lease_s=SEEDING_LEASE_S)
def demo_metered(claim: Claim) -> None:
    """Read every meter for a day."""
    month_steps.metered_step(claim=claim)


@job_task("aggregator.ops.demo_month_final", lease_s=SEEDING_LEASE_S)
def demo_month_final(claim: Claim) -> None:
    """Confirm the month's values."""
    month_steps.month_final_step(claim=claim)


@job_task("aggregator.ops.demo_banks", lease_s=SEEDING_LEASE_S)
def demo_banks(claim: Claim) -> None:
    """Propose and approve bank accounts."""
    month_money.banks_step(claim=claim)


@job_task("aggregator.ops.demo_pay", lease_s=SEEDING_LEASE_S)
def demo_pay(claim: Claim) -> None:
    """Pay what is due."""
    month_money.pay_step(claim=claim)


@job_task("aggregator.ops.demo_dispute", lease_s=SEEDING_LEASE_S)
def demo_dispute(claim: Claim) -> None:
    """Object, and be agreed with."""
    month_money.dispute_step(claim=claim)


@job_task("aggregator.ops.demo_recount", lease_s=SEEDING_LEASE_S)
def demo_recount(claim: Claim) -> None:
    """Correct a meter's confirmed values."""
    month_money.recount_step(claim=claim)
