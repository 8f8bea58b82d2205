"""Readings of short intervals, and the calls they are looked at for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from django.db import connection

from aggregator.core.baselines_sameday import FineValue
from aggregator.dispatch.models import InstructionInterval
from aggregator.metering.calendar import day_start
from aggregator.metering.models import Quality


def fine_values(
    *, meter_id: int, start_at: datetime, end_at: datetime, as_of: datetime
) -> list[FineValue]:
    """Return the prevailing short readings of a meter in [start_at, end_at), known at `as_of`.

    Of a span that was read by the minute and by five minutes, the minutes are taken: one and the
    same energy is not to count twice.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (interval_min, start_at)
                   interval_min, start_at, energy_kwh, quality, stage
            FROM metering_finereading
            WHERE start_at >= %s AND start_at < %s AND meter_id = %s AND available_at <= %s
            ORDER BY interval_min, start_at, stage DESC, revision DESC
            """,
            [start_at, end_at, meter_id, as_of],
        )
        rows = cursor.fetchall()
    finest_min = min((row[0] for row in rows), default=0)
    usable = {Quality.OK, Quality.ESTIMATED}
    return [
        FineValue(
            start_at=started_at,
            interval_min=interval_min,
            energy_kwh=energy_kwh if quality in usable else None,
            stage=stage,
        )
        for interval_min, started_at, energy_kwh, quality, stage in rows
        if interval_min == finest_min
    ]


def instructions_sent(
    *, resource_ids: Collection[UUID], delivery_on: date, as_of: datetime
) -> dict[UUID, dict[int, datetime]]:
    """Return when each half hour of a day was first called of each resource."""
    starts_at = day_start(delivery_on)
    rows = (
        InstructionInterval.objects.filter(
            instruction__resource_id__in=resource_ids,
            instruction__sent_at__lte=as_of,
            start_at__gte=starts_at,
            start_at__lt=day_start(delivery_on, days=1),
        )
        .order_by("instruction__sent_at")
        .values_list("instruction__resource_id", "t", "instruction__sent_at")
    )
    sent: dict[UUID, dict[int, datetime]] = {}
    for resource_id, t, sent_at in rows:
        if sent_at is not None:
            sent.setdefault(resource_id, {}).setdefault(t, sent_at)
    return sent
