"""Celery's door to metering."""

from celery import shared_task

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.dispatch.trials import SCORE_KIND
from aggregator.metering import gaming, trials, verifications
from aggregator.metering.partitions import partitions_ahead as make_partitions

# A month of a large market is read before anything is written.
REPORT_LEASE_S = 300


@job_task(verifications.JOB_KIND)
def delivery_verify(claim: Claim) -> None:
    """Verify the delivery of one auction; safe to deliver any number of times."""
    verifications.delivery_verify(claim=claim)


@job_task(gaming.JOB_KIND, lease_s=REPORT_LEASE_S)
def gaming_report(claim: Claim) -> None:
    """Look a span of days over for gaming; safe to deliver any number of times."""
    gaming.gaming_report_run(claim=claim)


@shared_task(name="aggregator.metering.gaming_month")
def gaming_month() -> None:
    """Put the month that is over on the list, once; every later ring finds it there."""
    gaming.gaming_month_request()


@shared_task(name="aggregator.metering.partitions_ahead")
def partitions_ahead() -> None:
    """Make the partitions of the months to come, so that no intake has to."""
    make_partitions()


@job_task(SCORE_KIND)
def trial_score(claim: Claim) -> None:
    """Score a test dispatch on what the meter showed."""
    trials.trial_score(claim=claim)
