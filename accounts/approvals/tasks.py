"""Celery's door to approvals."""

from accounts.approvals import services
from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task


@job_task(services.EXPIRE_KIND)
def approval_expire(claim: Claim) -> None:
    """Let a request lapse that waited too long."""
    services.approval_expire(claim=claim)
