"""Read alarms: the market desk and the auditor see them, nobody else."""

from __future__ import annotations

from django.db.models import QuerySet

from accounts.parties.sight import Sight
from aggregator.control.models import OPEN_STATES, Alarm

READ = "instruction.read"
ACT = "auction.run"


def alarms_seen(*, seen_by: Sight) -> QuerySet[Alarm]:
    """Alarms the caller may see: who sees everybody's instructions sees all, others none."""
    rows = Alarm.objects.select_related("acknowledged_by")
    return rows if seen_by.may_everywhere(READ) else rows.none()


def alarms_open(*, seen_by: Sight) -> QuerySet[Alarm]:
    """Alarms whose cause is not gone: who waits for a person first, then by priority and age."""
    rows = alarms_seen(seen_by=seen_by).filter(state__in=OPEN_STATES)
    return rows.order_by("-state", "priority", "raised_at", "id")
