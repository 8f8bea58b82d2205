"""Celery's door to UFTP."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.protocols.uftp import offering, services, telling


@job_task(services.DECIDE_KIND)
def message_decide(claim: Claim) -> None:
    """Decide a message that came in, and others that wait."""
    services.message_decide(claim=claim)
    services.messages_decide()


@job_task(services.REPEAT_KIND)
def repetition_answer(claim: Claim) -> None:
    """Answer a message that came before."""
    services.repetition_answer(claim=claim)


@job_task(offering.OFFERS_KIND)
def offers_make(claim: Claim) -> None:
    """Offer what an auction found."""
    offering.offers_make(claim=claim)


@job_task(offering.EXPIRE_KIND)
def offers_expire(claim: Claim) -> None:
    """End offers whose time is over."""
    offering.offers_expire(claim=claim)


@job_task(offering.REVOKE_KIND)
def offers_revoke(claim: Claim) -> None:
    """Take back the offers of a cancelled auction."""
    offering.offers_revoke(claim=claim)


@job_task(telling.PROGNOSIS_KIND)
def prognosis_send(claim: Claim) -> None:
    """Tell a day's plans."""
    telling.prognosis_send(claim=claim)


@job_task(telling.METERING_KIND)
def metering_send(claim: Claim) -> None:
    """Tell a day's metering."""
    telling.metering_send(claim=claim)
