"""What the tests for gaming stand on: loads, calls, awards, flows and plans of a span of days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection

from aggregator.core.baselines import Day, is_holiday, value_kwh
from aggregator.core.gaming import Told
from aggregator.dispatch.models import AvailabilityNotice
from aggregator.metering import selectors
from aggregator.metering.calendar import day_start, days_of, holidays_between
from aggregator.metering.models import Baseline, DeclaredSchedule, Meter
from market.clearing.findings import PivotalFinding
from market.clearing.models import RunState
from market.registry.models import Resource

# Days like those of the span are looked for so far before it.
BACK_DAYS = 60


@dataclass(frozen=True, kw_only=True)
class AwardedInterval:
    """What one published award orders or reserves of a resource in a half hour."""

    award_id: UUID
    auction_id: UUID
    direction: str
    leg: str
    day: date
    t: int
    start_at: datetime
    quantity_kw: Decimal


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts of one resource over [from_on, to_on) and the days before."""

    resource: Resource
    meter_id: int | None
    from_on: date
    to_on: date
    load_kwh: Mapping[date, Day]
    called_on: frozenset[date]
    holidays: frozenset[date]
    awards: Sequence[AwardedInterval]
    baselines: Mapping[date, Baseline]

    @property
    def event_days(self) -> list[date]:
        """Days of the span on which something was ordered."""
        return sorted({award.day for award in self.awards})

    def event_of(self, day: date) -> list[int]:
        """Half hours of a day for which something was ordered."""
        return sorted({award.t for award in self.awards if award.day == day})

    def like(self, day: date) -> list[date]:
        """Free days of the same type as a day, from the look-back to the end of the span."""
        days = [
            self.from_on - timedelta(days=n)
            for n in range(-((self.to_on - self.from_on).days - 1), BACK_DAYS + 1)
        ]
        kind = is_holiday(day, self.holidays)
        return sorted(
            d
            for d in days
            if d not in self.called_on and d != day and is_holiday(d, self.holidays) == kind
        )

    def energy_kwh(self, day: date, slots: Sequence[int]) -> Decimal | None:
        """Energy over half hours of a day; None if one of them is not metered."""
        values = [value_kwh(self.load_kwh, day, slot) for slot in slots]
        usable = [value for value in values if value is not None]
        return sum(usable, Decimal(0)) if len(usable) == len(values) else None

    def usual_kwh(self, day: date, t: int) -> Decimal | None:
        """Mean of a half hour over the latest ten free days of the type before a day."""
        earlier = [d for d in self.like(day) if d < day][-10:]
        values = [value_kwh(self.load_kwh, d, t) for d in earlier]
        usable = [value for value in values if value is not None]
        return sum(usable, Decimal(0)) / len(usable) if usable else None


def facts_of(
    *, resources: Sequence[Resource], from_on: date, to_on: date, as_of: datetime
) -> list[Facts]:
    """Gather the facts of resources, each kind in one query."""
    ids = [resource.pk for resource in resources]
    first_on = from_on - timedelta(days=BACK_DAYS + 1)
    meter_of = dict(Meter.objects.filter(resource_id__in=ids).values_list("resource_id", "id"))
    loads = days_of(
        selectors.readings_latest(
            meter_ids=meter_of.values(),
            start_at=day_start(first_on),
            end_at=day_start(to_on),
            as_of=as_of,
        )
    )
    called = selectors.called_days(
        resource_ids=ids, before_on=to_on, lookback_days=(to_on - first_on).days, as_of=as_of
    )
    awards = _awards(ids, from_on, to_on)
    baselines: dict[UUID, dict[date, Baseline]] = defaultdict(dict)
    for row in Baseline.objects.filter(
        resource_id__in=ids, delivery_on__gte=from_on, delivery_on__lt=to_on
    ).order_by("revision"):
        baselines[row.resource_id][row.delivery_on] = row
    free = frozenset(holidays_between(first_on, to_on))
    return [
        Facts(
            resource=resource,
            meter_id=meter_of.get(resource.pk),
            from_on=from_on,
            to_on=to_on,
            load_kwh=loads.get(meter_of.get(resource.pk, 0), {}),
            called_on=frozenset(called.get(resource.pk, ())),
            holidays=free,
            awards=awards.get(resource.pk, ()),
            baselines=baselines.get(resource.pk, {}),
        )
        for resource in resources
    ]


def _awards(
    resource_ids: Sequence[UUID], from_on: date, to_on: date
) -> dict[UUID, list[AwardedInterval]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.resource_id, a.id, a.auction_id, a.direction, a.leg, u.delivery_on, i.t,
                   i.start_at, i.quantity_kw
            FROM trading_auction u
            JOIN clearing_award a ON a.auction_id = u.id
            JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
            JOIN clearing_awardinterval i ON i.award_id = a.id
            WHERE a.resource_id = ANY(%s) AND u.delivery_on >= %s AND u.delivery_on < %s
              AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
              AND i.quantity_kw > 0
            ORDER BY u.delivery_on, i.t, a.id
            """,
            [list(resource_ids), from_on, to_on],
        )
        found: dict[UUID, list[AwardedInterval]] = defaultdict(list)
        for row in cursor:
            found[row[0]].append(
                AwardedInterval(
                    award_id=row[1],
                    auction_id=row[2],
                    direction=row[3],
                    leg=row[4],
                    day=row[5],
                    t=row[6],
                    start_at=row[7],
                    quantity_kw=row[8],
                )
            )
        return found


def delivered_of(award_ids: Sequence[UUID]) -> dict[tuple[UUID, int], Decimal]:
    """Return what counts as delivered by award and half hour, after every correction."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (award_id, t) award_id, t, delivered_kwh
            FROM metering_delivery WHERE award_id = ANY(%s)
            ORDER BY award_id, t, verification_id DESC
            """,
            [list(award_ids)],
        )
        return {(award_id, t): kwh for award_id, t, kwh in cursor}


def flows_relieved(auction_ids: Sequence[UUID]) -> dict[UUID, dict[tuple[str, int], int]]:
    """Return the direction (1 or -1) of elements the market relieved, by auction and half hour."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.auction_id, p.code, f.t, sign(f.before_kw)::int
            FROM clearing_elementflow f
            JOIN clearing_clearingrun c ON c.id = f.run_id AND c.state = 'PUBLISHED'
            JOIN registry_congestionpoint p ON p.id = f.congestion_point_id
            WHERE c.auction_id = ANY(%s) AND abs(f.before_kw) > abs(f.after_kw)
            """,
            [list(auction_ids)],
        )
        found: dict[UUID, dict[tuple[str, int], int]] = defaultdict(dict)
        for auction_id, element, t, direction in cursor:
            found[auction_id][element, t] = direction
        return found


def stops_of(facts: Facts) -> list[tuple[datetime, datetime, datetime]]:
    """Return the stops a site gave notice of: from, to, and when it did."""
    return list(
        AvailabilityNotice.objects.filter(
            resource=facts.resource,
            is_available=False,
            starts_at__lt=day_start(facts.to_on),
            ends_at__gt=day_start(facts.from_on),
        )
        .order_by("number")
        .values_list("starts_at", "ends_at", "noted_at")
    )


def plans_of(facts: Facts) -> dict[date, list[Decimal]]:
    """Return the schedules a resource declared for days of the span."""
    rows = DeclaredSchedule.objects.filter(
        resource=facts.resource,
        delivery_on__gte=facts.from_on,
        delivery_on__lt=facts.to_on,
    )
    return {row.delivery_on: list(row.schedule_kwh) for row in rows}


def is_pivotal(facts: Facts, day: date) -> bool:
    """Whether a need of a day could not have been met without the seller."""
    return PivotalFinding.objects.filter(
        organisation_id=facts.resource.site.organisation_id,
        run__state=RunState.PUBLISHED,
        run__auction__delivery_on=day,
    ).exists()


def told_of(facts: Facts, as_of: datetime) -> list[Told]:
    """Return when the ordered half hours' values came, and how often one of a stage changed."""
    starts = sorted({award.start_at for award in facts.awards})
    if not starts or facts.meter_id is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT start_at, min(available_at), sum(values_count - 1)::int
            FROM (
                SELECT start_at, stage, min(available_at) AS available_at,
                       count(*) AS values_count
                FROM metering_intervalreading
                WHERE meter_id = %s AND start_at = ANY(%s) AND available_at <= %s
                GROUP BY start_at, stage
            ) AS by_stage GROUP BY start_at
            """,
            [facts.meter_id, starts, as_of],
        )
        known = {start_at: (first_at, changes) for start_at, first_at, changes in cursor}
    return [
        Told(
            start_at=start_at,
            first_at=known.get(start_at, (None, 0))[0],
            changes_count=known.get(start_at, (None, 0))[1],
        )
        for start_at in starts
    ]


def days_between(from_on: date, to_on: date) -> list[date]:
    """Return the days of a half-open span."""
    return [from_on + timedelta(days=n) for n in range((to_on - from_on).days)]
