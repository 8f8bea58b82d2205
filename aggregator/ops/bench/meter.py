"""Readings through our door against COPY of the same rows, ready as text.

Both commit; both fill a table partitioned by month with the same key, checks and sequence. Ours
also validates every value in Python, looks for what is stored already, and writes the audit
entry.
"""

from __future__ import annotations

import statistics
import time
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from accounts.clock.selectors import market_now
from aggregator.metering.models import Meter
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.services import COPY_SQL, Ingested, ReadingRow, readings_ingest
from aggregator.ops.bench import summary
from aggregator.ops.bench.scratch import (
    copy_in,
    cpu_s,
    emptied_alternately,
    scratch_schema,
    table_copy,
)
from market.registry.models import Resource, ResourceKind, Site

ROUNDS_COUNT = 5
SCHEMA = "bench_meter"
OURS, RAW = "metering_intervalreading", "raw_intervalreading"
TABLES = ("registry_site", "registry_resource", "metering_meter", OURS, "audit_auditentry")
SLOTS_COUNT = 1_000
HALF_HOUR = timedelta(minutes=30)


def run(*, size: int = 200_000) -> dict[str, Any]:
    """Measure `size` readings, a thousand half hours of each meter; medians of five rounds."""
    meters_count = max(1, size // SLOTS_COUNT)
    spent_s: list[float] = []
    with scratch_schema(SCHEMA, TABLES):
        first_at = _month_start()
        numbers = _meters(meters_count)
        rows = _rows(list(numbers), first_at)
        _partitions(first_at)
        ready = _ready(rows, numbers, market_now())
        raw_sql = COPY_SQL.replace(OURS, RAW)

        def ours() -> None:
            began_s = cpu_s()
            _expect(readings_ingest(rows=rows, source="bench"), added=len(rows))
            spent_s.append(cpu_s() - began_s)

        ours_s, floor_s = emptied_alternately(
            ROUNDS_COUNT, (OURS, ours), (RAW, lambda: copy_in(raw_sql, ready))
        )
        readings_ingest(rows=rows[: SLOTS_COUNT * 10], source="bench")
        repeat_s = _repeat_s(rows[: SLOTS_COUNT * 10])
    found = summary(ours_s, floor_s)
    return {
        "size": len(rows),
        "meters": meters_count,
        **found,
        "rows_per_s": round(len(rows) / found["ours_s"]),
        "floor_rows_per_s": round(len(rows) / found["floor_s"]),
        "client_cpu_s": round(statistics.median(spent_s[1:]), 3),
        "repeat_of_10000_s": repeat_s,
    }


def _expect(found: Ingested, *, added: int) -> None:
    if found != Ingested(added=added, revised=0, unchanged=0):
        raise RuntimeError(f"expected {added} new rows, found {found}")


def _month_start() -> datetime:
    """Return the first day of the latest month that is over, in UTC."""
    now = market_now().astimezone(UTC)
    this_month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (this_month - timedelta(days=1)).replace(day=1)


def _meters(count: int) -> dict[str, int]:
    """Make a site with metered resources, of nobody: the copied tables have no foreign keys."""
    site = Site.objects.create(
        organisation_id=uuid.uuid4(),
        facility_owner_id=uuid.uuid4(),
        code="bench",
        area_id="03",
        point_number="03" + "9" * 20,
        contract_kw=2_000,
        loss_ratio=0,
        longitude_deg=140,
        latitude_deg=36,
    )
    resources = Resource.objects.bulk_create(
        Resource(
            site=site,
            code=f"bench-{n}",
            kind=ResourceKind.DC_LOAD,
            limit_up_kw=1_000,
            limit_down_kw=200,
        )
        for n in range(count)
    )
    meters = Meter.objects.bulk_create(
        Meter(point_number=f"03{n:020d}", resource=resource) for n, resource in enumerate(resources)
    )
    return {meter.point_number: meter.pk for meter in meters}


def _rows(numbers: list[str], first_at: datetime) -> list[ReadingRow]:
    """Make rows as a decoder hands them over: every value an object of its own."""
    return [
        ReadingRow(number, first_at + n * HALF_HOUR, Decimal(f"{500 + (m * 7 + n) % 250}.125"))
        for m, number in enumerate(numbers)
        for n in range(SLOTS_COUNT)
    ]


def _partitions(first_at: datetime) -> None:
    with transaction.atomic():
        reading_partitions_ensure(months=[(first_at.year, first_at.month)])
    table_copy(f"{SCHEMA}.{RAW}", OURS)
    next_month = (first_at + timedelta(days=31)).replace(day=1)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {RAW}_month PARTITION OF {RAW}"
            f" FOR VALUES FROM ('{first_at.isoformat()}') TO ('{next_month.isoformat()}')"
        )


def _ready(rows: list[ReadingRow], numbers: dict[str, int], now: datetime) -> bytes:
    """Write the same rows as COPY text in append order, before any clock runs."""
    lines = sorted((row.start_at, numbers[row.point_number], row.energy_kwh) for row in rows)
    return "".join(
        f"{meter_id}\t{start_at.isoformat()}\t{energy_kwh}\t0\t1\t1\t{now.isoformat()}\tbench\n"
        for start_at, meter_id, energy_kwh in lines
    ).encode()


def _repeat_s(rows: list[ReadingRow]) -> float:
    """Time a batch that says nothing new."""
    began = time.perf_counter()
    found = readings_ingest(rows=rows, source="bench")
    if found.unchanged != len(rows):
        raise RuntimeError(f"a repeated batch changed something: {found}")
    return round(time.perf_counter() - began, 3)
