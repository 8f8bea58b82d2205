"""Celery's door to the control room."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.control import services


@job_task(services.ASK_KIND)
def alarm_ask(claim: Claim) -> None:
    """Raise an alarm that an app below asked for."""
    services.alarm_asked(claim=claim)
