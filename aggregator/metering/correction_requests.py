"""Ask that what was verified on final readings be corrected, one job for each auction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import connection

from accounts.jobs.services import job_create
from aggregator.metering.calendar import japanese_day
from aggregator.metering.models import (
    CorrectionCause,
    DeliveryVerification,
    VerificationStage,
)

JOB_KIND = "aggregator.metering.delivery_verify"


def correction_request(
    *, auction_id: UUID, cause_kind: str, cause_id: str, due_at: datetime | None = None
) -> None:
    """Create the job that corrects one auction's verification; once for each cause."""
    kind = CorrectionCause(cause_kind)
    job_create(
        kind=JOB_KIND,
        key=f"{auction_id}:{kind}:{cause_id}",
        payload={"auction": str(auction_id), "cause_kind": str(kind), "cause_id": cause_id},
        due_at=due_at,
    )


def corrections_request(*, days: Collection[date], cause_kind: str, cause_id: str) -> int:
    """Have every auction of some delivery days corrected that was verified as final.

    Returns
    -------
    int
        How many there are. What turns out to change nothing writes nothing.
    """
    auctions = (
        DeliveryVerification.objects.filter(
            stage=VerificationStage.FINAL, corrects__isnull=True, auction__delivery_on__in=days
        )
        .order_by("auction_id")
        .values_list("auction_id", flat=True)
        .distinct()
    )
    for auction_id in auctions:
        correction_request(auction_id=auction_id, cause_kind=cause_kind, cause_id=cause_id)
    return len(auctions)


def late_readings_request(*, starts_at: datetime, ends_at: datetime, now: datetime) -> int:
    """Have what was verified as final looked at again, because readings of it came later.

    What comes within an hour is looked at together, when the hour is over.

    Returns
    -------
    int
        How many auctions there are; none as long as nothing of those days was final.
    """
    days = days_touched(starts_at=starts_at, ends_at=ends_at)
    hour = now.replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        # asked with every batch of readings, also of a single site, and nearly always in vain
        cursor.execute(
            """
            SELECT v.auction_id FROM metering_deliveryverification v
            JOIN trading_auction a ON a.id = v.auction_id
            WHERE v.stage = %s AND v.corrects_id IS NULL AND a.delivery_on BETWEEN %s AND %s
            ORDER BY v.auction_id
            """,
            [VerificationStage.FINAL, days[0], days[-1]],
        )
        auctions = [row[0] for row in cursor.fetchall()]
    for auction_id in auctions:
        correction_request(
            auction_id=auction_id,
            cause_kind=CorrectionCause.READING,
            cause_id=f"{hour:%Y-%m-%dT%H}",
            due_at=hour + timedelta(hours=1),
        )
    return len(auctions)


def days_touched(*, starts_at: datetime, ends_at: datetime) -> list[date]:
    """Return the delivery days that [starts_at, ends_at) touches."""
    first, last = japanese_day(starts_at), japanese_day(ends_at - timedelta(microseconds=1))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
