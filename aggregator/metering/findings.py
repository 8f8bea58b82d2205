"""Look readings over for what is wrong in them, and keep what is found as rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import QuerySet

from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from aggregator.core.baselines import is_holiday
from aggregator.core.readings import (
    HALF_HOUR,
    Fault,
    Fine,
    Limits,
    Suspicion,
    compared,
    folded,
    gaps,
    negatives,
    overlaps,
    repeated,
    swapped,
)
from aggregator.metering import selectors
from aggregator.metering.calendar import day_start, days_of, holidays_between, japanese_day
from aggregator.metering.models import Meter, Quality, ReadingFinding
from market.registry.models import ResourceKind

HISTORY_DAYS = 28
SPAN_MAX_DAYS = 62
INTERVAL_COUNT = 48
# What only takes from the grid; anything else may feed it.
CONSUMING = (ResourceKind.DC_LOAD,)

Days = Mapping[date, Sequence[Decimal | None]]


def readings_inspect(
    *,
    from_on: date,
    to_on: date,
    as_of: datetime | None = None,
    meter_ids: Sequence[int] | None = None,
    limits: Limits | None = None,
) -> list[ReadingFinding]:
    """Look over the readings of the days [from_on, to_on), and store what looks wrong.

    Gaps, half hours told twice by different intervals, days that repeat another day, values of
    another meter, wrong units and signs against the days before, loads that feed the grid,
    values marked as bad and values that came late. The same readings give the same findings.

    Parameters
    ----------
    from_on, to_on
        Days in Japan.
    as_of
        Readings that became available later do not exist; now if left out.
    meter_ids
        Only these; all meters if left out. Swapped meters are found among those looked at.

    Returns
    -------
    list of ReadingFinding
        What was found, known findings included.

    Raises
    ------
    Refused
        If the span is empty, over two months or not over.
    """
    now = market_now()
    if not timedelta() < to_on - from_on <= timedelta(days=SPAN_MAX_DAYS):
        raise Refused(field="to_on", value=to_on, rule=f"1 to {SPAN_MAX_DAYS} days")
    if japanese_day(now) < to_on:
        raise Refused(field="to_on", value=to_on, rule="days that are over")
    known_as_of = as_of or now
    meters = Meter.objects.select_related("resource").order_by("id")
    if meter_ids is not None:
        meters = meters.filter(id__in=meter_ids)
    limits = limits or Limits()
    history_on = from_on - timedelta(days=HISTORY_DAYS)
    rows = selectors.readings_latest(
        meter_ids=[meter.pk for meter in meters],
        start_at=day_start(history_on),
        end_at=day_start(to_on),
        as_of=known_as_of,
    )
    by_day = days_of(rows)
    bad: dict[int, list[selectors.LatestReading]] = {}
    for row in rows:
        if row.quality == Quality.BAD and row.day >= from_on:
            bad.setdefault(row.meter_id, []).append(row)
    found: dict[int, list[Suspicion]] = {}
    for meter in meters:
        found[meter.pk] = [
            *_alone(meter, by_day.get(meter.pk, {}), (from_on, to_on), limits),
            *_absurd(bad.get(meter.pk, ())),
            *_late(meter.pk, (from_on, to_on), known_as_of, limits),
            *_told_twice(meter.pk, by_day.get(meter.pk, {}), (from_on, to_on), known_as_of),
        ]
    for meter_id, suspicion in _swapped(list(meters), by_day, (from_on, to_on)):
        found[meter_id].append(suspicion)
    with transaction.atomic():
        return [
            finding
            for meter_id, suspicions in found.items()
            for finding in findings_store(
                meter_id=meter_id, suspicions=suspicions, as_of=known_as_of
            )
        ]


def findings_store(
    *, meter_id: int, suspicions: Sequence[Suspicion], as_of: datetime
) -> list[ReadingFinding]:
    """Keep what looks wrong with a meter; what is known already is not kept again."""
    found = []
    for suspicion in suspicions:
        content = json.dumps(dict(suspicion.evidence), sort_keys=True)
        finding, _ = ReadingFinding.objects.get_or_create(
            meter_id=meter_id,
            fault=str(suspicion.fault),
            start_at=suspicion.start_at,
            end_at=suspicion.end_at,
            evidence_sha256=hashlib.sha256(content.encode()).hexdigest(),
            defaults={"evidence": dict(suspicion.evidence), "as_of": as_of},
        )
        found.append(finding)
    return found


def reading_findings(*, from_on: date, to_on: date) -> QuerySet[ReadingFinding]:
    """Return findings that touch the days [from_on, to_on), by meter and time."""
    return (
        ReadingFinding.objects.filter(start_at__lt=day_start(to_on), end_at__gt=day_start(from_on))
        .select_related("meter__resource", "meter__site")
        .order_by("meter__point_number", "start_at", "fault", "id")
    )


def _alone(meter: Meter, days: Days, span: tuple[date, date], limits: Limits) -> list[Suspicion]:
    """Find what a meter's own readings tell."""
    from_on, to_on = span
    series = {
        day_start(day) + t * HALF_HOUR: kwh
        for day, values in days.items()
        if day >= from_on
        for t, kwh in enumerate(values)
    }
    found = gaps(series, start_at=day_start(from_on), end_at=day_start(to_on))
    if meter.resource is not None and meter.resource.kind in CONSUMING:
        found += negatives(series)
    free = holidays_between(from_on - timedelta(days=HISTORY_DAYS), to_on)
    for n in range((to_on - from_on).days):
        day = from_on + timedelta(days=n)
        if day not in days:
            continue
        like = {
            d: values
            for d, values in days.items()
            if d < day and is_holiday(d, free) == is_holiday(day, free)
        }
        found += compared(days[day], like, start_at=day_start(day), limits=limits)
    starts = {day: day_start(day) for day in days}
    return found + [s for s in repeated(days, starts_at=starts) if s.start_at >= day_start(from_on)]


def _absurd(rows: Sequence[selectors.LatestReading]) -> list[Suspicion]:
    return [
        Suspicion(
            fault=Fault.ABSURD,
            start_at=row.start_at,
            end_at=row.start_at + HALF_HOUR,
            evidence={"energy_kwh": str(row.energy_kwh), "quality": "BAD"},
        )
        for row in rows
    ]


def _late(
    meter_id: int, span: tuple[date, date], as_of: datetime, limits: Limits
) -> list[Suspicion]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT start_at, min(available_at) FROM metering_intervalreading
            WHERE meter_id = %s AND start_at >= %s AND start_at < %s AND available_at <= %s
            GROUP BY start_at
            HAVING min(available_at) > start_at + %s * interval '1 day' + interval '30 minutes'
            ORDER BY start_at
            """,
            [
                meter_id,
                day_start(span[0]),
                day_start(span[1]),
                as_of,
                limits.late_days,
            ],
        )
        rows = cursor.fetchall()
    runs: list[tuple[datetime, datetime, datetime]] = []
    for start_at, first_at in rows:
        if runs and runs[-1][1] == start_at:
            runs[-1] = (runs[-1][0], start_at + HALF_HOUR, max(runs[-1][2], first_at))
        else:
            runs.append((start_at, start_at + HALF_HOUR, first_at))
    return [
        Suspicion(
            fault=Fault.LATE,
            start_at=start_at,
            end_at=end_at,
            evidence={"last_first_known_at": first_at.isoformat()},
        )
        for start_at, end_at, first_at in runs
    ]


def _told_twice(
    meter_id: int, days: Days, span: tuple[date, date], as_of: datetime
) -> list[Suspicion]:
    """Compare what intervals of different length tell of the same half hours."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (interval_min, start_at)
                   interval_min, start_at, energy_kwh, quality, stage, available_at
            FROM metering_finereading
            WHERE meter_id = %s AND start_at >= %s AND start_at < %s AND available_at <= %s
            ORDER BY interval_min, start_at, stage DESC, revision DESC
            """,
            [meter_id, day_start(span[0]), day_start(span[1]), as_of],
        )
        fine: dict[int, list[Fine]] = {}
        for interval_min, start_at, energy_kwh, quality, stage, available_at in cursor:
            fine.setdefault(interval_min, []).append(
                Fine(
                    start_at=start_at,
                    interval_min=interval_min,
                    energy_kwh=energy_kwh,
                    quality=quality,
                    stage=stage,
                    available_at=available_at,
                )
            )
    if not fine:
        return []
    readings = {
        day_start(day) + t * HALF_HOUR: kwh
        for day, values in days.items()
        if span[0] <= day < span[1]
        for t, kwh in enumerate(values)
    }
    halves = {
        interval_min: {half.start_at: half.energy_kwh for half in folded(values)}
        for interval_min, values in fine.items()
    }
    return overlaps(halves, readings)


def _swapped(
    meters: Sequence[Meter], by_day: Mapping[int, Days], span: tuple[date, date]
) -> list[tuple[int, Suspicion]]:
    id_of = {meter.point_number: meter.pk for meter in meters}
    found = []
    for n in range((span[1] - span[0]).days):
        day = span[0] + timedelta(days=n)
        values = {
            meter.point_number: by_day[meter.pk][day]
            for meter in meters
            if day in by_day.get(meter.pk, {})
        }
        found += [
            (id_of[number], suspicion)
            for number, suspicion in swapped(values, start_at=day_start(day))
        ]
    return found
