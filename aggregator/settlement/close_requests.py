"""Ask that a period be closed: when it is opened, and whenever a closed one is corrected."""

from datetime import datetime

from accounts.jobs.models import Job
from accounts.jobs.services import job_create
from aggregator.settlement.models import (
    PeriodState,
    RunKind,
    SettlementPeriod,
    SettlementRun,
)

JOB_KIND = "aggregator.settlement.period_close"


def period_close_request(
    *,
    period: SettlementPeriod,
    run: SettlementRun | None = None,
    due_at: datetime | None = None,
) -> Job:
    """Create the job that closes a period, or posts what changed since it was closed.

    Each correction has a job of its own: neither a close that had nothing to post nor that of
    a later correction, which may have been committed before, stands in for it.

    Parameters
    ----------
    run
        The correction to post; the newest run of the period if omitted.
    """
    return job_create(
        kind=JOB_KIND,
        key=f"{period.label}:{run_newest(period) if run is None else run.pk}",
        payload={"period": period.id},
        due_at=due_at,
    )


def correction_close_request(*, run: SettlementRun) -> Job | None:
    """Have a correction posted if its auction's period is closed; an open one posts it anyway.

    Call it in the transaction that writes the correction, with the auction's final run locked:
    a close that goes on at the same time has then either counted the correction or committed.
    """
    delivery_on = run.auction.delivery_on
    period = SettlementPeriod.objects.filter(
        start_on__lte=delivery_on, end_on__gt=delivery_on, state=PeriodState.CLOSED
    ).first()
    return None if period is None else period_close_request(period=period, run=run)


def run_newest(period: SettlementPeriod) -> int:
    """Return the id of the newest run that settles the period finally; 0 if there is none."""
    newest = (
        SettlementRun.objects.filter(
            auction__delivery_on__gte=period.start_on,
            auction__delivery_on__lt=period.end_on,
            kind__in=[RunKind.FINAL, RunKind.CORRECTION],
        )
        .order_by("-id")
        .values_list("id", flat=True)
        .first()
    )
    return newest or 0
