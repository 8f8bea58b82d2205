"""Schedules that resources declare: 48 values a day, locked at the gate (基準値計画, 発電計画)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Min
from django.db.models.functions import Least

from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from accounts.core.numbers import decimals_of
from aggregator.core.baselines import INTERVAL_COUNT
from aggregator.metering.calendar import day_start
from aggregator.metering.models import DeclaredSchedule
from aggregator.metering.selectors import energy_max_kwh_of
from aggregator.metering.services import KWH_HIGH, KWH_LOW, PLACES_KWH, plausible_rule
from market.registry.models import Resource
from market.trading.models import Auction, AuctionState

YEAR_FIRST, YEAR_LAST = 2000, 2100


def gate_of(delivery_on: date) -> datetime:
    """Return when plans of a day are locked: the gate of its first auction, else its beginning."""
    closes_at = (
        Auction.objects.filter(delivery_on=delivery_on)
        .exclude(state=AuctionState.CANCELLED)
        .aggregate(first=Min(Least("gate_closure_at", "closed_at")))["first"]
    )
    begins_at = day_start(delivery_on)
    return min(begins_at, closes_at) if closes_at else begins_at


def schedules_on(*, resource_ids: Collection[UUID], delivery_on: date) -> dict[UUID, list[Decimal]]:
    """Return the plans of a day by resource, as far as they were filed before the gate."""
    schedules = DeclaredSchedule.objects.filter(
        resource_id__in=resource_ids,
        delivery_on=delivery_on,
        available_at__lt=gate_of(delivery_on),
    )
    return {schedule.resource_id: list(schedule.schedule_kwh) for schedule in schedules}


@transaction.atomic
def schedule_declare(
    *, resource: Resource, delivery_on: date, schedule_kwh: Sequence[object]
) -> DeclaredSchedule:
    """File a resource's plan for a day, once, before the gate of the day's first auction.

    A day without an auction has its gate when it begins. What is filed is never changed: a
    baseline stands on it.

    Raises
    ------
    Refused
        If it is not 48 finite values that the site can carry, the day is none of this century,
        its gate has closed, or another plan is filed already.
    """
    if type(delivery_on) is not date or not YEAR_FIRST <= delivery_on.year <= YEAR_LAST:
        raise Refused(
            field="delivery_on", value=delivery_on, rule=f"a day from {YEAR_FIRST} to {YEAR_LAST}"
        )
    values = decimals_of(
        schedule_kwh,
        field="schedule_kwh",
        count=INTERVAL_COUNT,
        low=KWH_LOW,
        high=KWH_HIGH,
        places=PLACES_KWH,
    )
    max_kwh = energy_max_kwh_of(resource)
    for t, value in enumerate(values):
        if abs(value) > max_kwh:
            raise Refused(field=f"schedule_kwh[{t}]", value=value, rule=plausible_rule(max_kwh))
    now = market_now()
    locks_at = gate_of(delivery_on)
    if now >= locks_at:
        raise Refused(
            field="delivery_on",
            value=delivery_on,
            rule=f"a day whose gate has not closed; it did at {locks_at.isoformat()}",
        )
    schedule, created = DeclaredSchedule.objects.get_or_create(
        resource=resource,
        delivery_on=delivery_on,
        defaults={"schedule_kwh": values, "available_at": now},
    )
    if not created and list(schedule.schedule_kwh) != values:
        raise Refused(field="schedule_kwh", value=values[0], rule="one plan a day, filed once")
    return schedule
