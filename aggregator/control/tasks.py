"""Celery's door to the control room."""

from celery import shared_task

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.control import services, watching


@job_task(services.ASK_KIND)
def alarm_ask(claim: Claim) -> None:
    """Raise an alarm that an app below asked for."""
    services.alarm_asked(claim=claim)


@shared_task(name="aggregator.control.alarms_watch", ignore_result=True, expires=10)
def alarms_watch() -> None:
    """Look for what nobody tells of, and clear what is over."""
    watching.alarms_watch()
