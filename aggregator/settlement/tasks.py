"""Celery's door to settlement."""

from accounts.jobs.services import Claim
from accounts.jobs.tasks import job_task
from aggregator.settlement import close_requests, closes
from aggregator.settlement.documents import confirming, issuing

# A close verifies and settles every auction of a month before it posts.
CLOSE_LEASE_S = 300


@job_task(closes.RUN_JOB_KIND)
def run_execute(claim: Claim) -> None:
    """Settle one auction and see to it that its period closes; safe to deliver twice."""
    closes.run_execute(claim=claim)


@job_task(close_requests.JOB_KIND, lease_s=CLOSE_LEASE_S)
def period_close(claim: Claim) -> None:
    """Close one period; safe to deliver any number of times."""
    closes.period_close_run(claim=claim)


@job_task(issuing.ISSUE_KIND)
def documents_issue(claim: Claim) -> None:
    """Issue and print the documents of a period; what is issued and printed stays."""
    issuing.documents_issue_run(claim=claim)


@job_task(issuing.CONFIRM_KIND)
def document_confirm(claim: Claim) -> None:
    """Let a statement count as confirmed once its days of objection are over."""
    confirming.document_confirm_due(claim=claim)
