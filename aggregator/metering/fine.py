"""Take in readings of one and five minutes, and fold them into half hours as they come whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from aggregator.core.readings import FINE_MIN, HALF_HOUR, Fine, folded, half_hour_of
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import IntervalReading, Meter, Quality, Stage
from aggregator.metering.partitions import fine_partitions_ensure
from aggregator.metering.selectors import MeterKnown, meters_known
from aggregator.metering.services import (
    Ingested,
    ReadingRefused,
    ReadingRow,
    is_moment,
    is_point_number,
    is_source,
    reading_checked,
    readings_ingest,
)

FINE_SQL = (
    "COPY metering_finereading (meter_id, start_at, interval_min, energy_kwh, quality, revision,"
    " stage, available_at, source) FROM STDIN"
)
HALF_HOUR_MIN = 30
NULL = "\\N"
# Known value of an interval: stage, revision, quality, energy.
Known = tuple[int, int, int, Decimal | None]


class FineRow(NamedTuple):
    """One value of a short interval; as :class:`~aggregator.metering.services.ReadingRow`."""

    point_number: str
    start_at: datetime
    interval_min: int
    energy_kwh: Decimal | None
    quality: int = int(Quality.OK)
    stage: int = int(Stage.PRELIMINARY)
    available_at: datetime | None = None


class Line(NamedTuple):
    """A checked row, ordered as the table is appended to."""

    start_at: datetime
    meter_id: int
    interval_min: int
    stage: int
    energy_kwh: Decimal | None
    quality: int
    available_at: datetime
    point_number: str


@transaction.atomic
def fine_readings_ingest(*, rows: Sequence[FineRow], source: str) -> Ingested:
    """Take in short readings, all or nothing, and the half hours they complete.

    A row that is known changes nothing; a changed one is the next revision, of itself and of its
    half hour. A half hour is folded when every interval of one length is there: the sum, with
    the worst quality and the lowest stage.

    Parameters
    ----------
    rows
        Values of intervals that have ended, each meter, interval and start once per stage.
    source
        Where they come from, at most 40 characters.

    Returns
    -------
    Ingested
        Counts of short readings; the half hours made of them are told in the audit entry.

    Raises
    ------
    ReadingRefused
        With the row's number, field, value and rule; nothing is stored.
    """
    bulk_limits_set()
    if not is_source(source):
        raise ReadingRefused(field="source", value=source, rule="1 to 40 plain characters")
    if not rows:
        return Ingested(added=0, revised=0, unchanged=0)
    now = market_now()
    meters = meters_known(
        point_numbers={row.point_number for row in rows if is_point_number(row.point_number)}
    )
    lines = sorted(
        (fine_checked(n, row, meters.get(row.point_number), now) for n, row in enumerate(rows)),
        key=lambda line: line[:4],
    )
    for line, following in pairwise(lines):
        if line[:4] == following[:4]:
            raise ReadingRefused(
                field="rows",
                value=line.start_at.isoformat(),
                rule="each meter, interval and stage once in a batch",
            )
    fine_partitions_ensure(months={(line.start_at.year, line.start_at.month) for line in lines})
    with connection.cursor() as cursor:
        # Writers of the same meters take turns, so that revisions stay dense.
        cursor.execute(
            "SELECT id FROM metering_meter WHERE id = ANY(%s) ORDER BY id FOR UPDATE",
            [sorted({line.meter_id for line in lines})],
        )
    new, revised = _new_lines(lines)
    if not new:
        return Ingested(added=0, revised=0, unchanged=len(lines))
    _copied(new, source)
    halves = _fold([line for line, _ in new], source)
    entry_append(
        action="metering.readings.ingested",
        subject="metering.finereading",
        detail={
            "source": source,
            "rows": len(new),
            "revised": revised,
            "half_hours": halves.added,
            "from": lines[0].start_at.isoformat(),
            "to": (lines[-1].start_at + timedelta(minutes=lines[-1].interval_min)).isoformat(),
        },
    )
    return Ingested(added=len(new), revised=revised, unchanged=len(lines) - len(new))


def fine_checked(n: int, row: FineRow, known: MeterKnown | None, now: datetime) -> Line:
    """Check one row against every rule.

    Raises
    ------
    ReadingRefused
        With the row's number and the first rule it breaks.
    """
    if type(row.interval_min) is not int or row.interval_min not in FINE_MIN:
        raise ReadingRefused(
            field=f"rows[{n}].interval_min", value=row.interval_min, rule="1, 5 or 30 minutes"
        )
    interval = timedelta(minutes=row.interval_min)
    # The bound is one of power: a short interval holds as much less.
    scaled = known and (
        known[0],
        known[1] * row.interval_min / HALF_HOUR_MIN,
        known[2] * row.interval_min / HALF_HOUR_MIN,
    )
    bare = ReadingRow(
        row.point_number, row.start_at, row.energy_kwh, row.quality, row.stage, row.available_at
    )
    available_at = reading_checked(n, bare, scaled, now, interval=interval)
    return Line(
        start_at=row.start_at.astimezone(UTC),
        meter_id=known[0] if known else 0,
        interval_min=row.interval_min,
        stage=int(row.stage),
        energy_kwh=row.energy_kwh,
        quality=int(row.quality),
        available_at=available_at,
        point_number=row.point_number,
    )


def _new_lines(lines: Sequence[Line]) -> tuple[list[tuple[Line, int]], int]:
    """Leave out what is known, number the rest, and count the revisions."""
    stored = _stored(lines)
    new: list[tuple[Line, int]] = []
    revised = 0
    latest: dict[tuple[datetime, int, int], int] = {}
    for line in lines:
        key = (line.start_at, line.meter_id, line.interval_min)
        known = stored.get(key, [])
        same = max((entry for entry in known if entry[0] == line.stage), default=None)
        if same and (same[2], same[3]) == (line.quality, line.energy_kwh):
            continue
        revised += same is not None
        revision = latest.get(key, max((entry[1] for entry in known), default=0)) + 1
        latest[key] = revision
        new.append((line, revision))
    return new, revised


def _stored(lines: Sequence[Line]) -> dict[tuple[datetime, int, int], list[Known]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT start_at, meter_id, interval_min, stage, revision, quality, energy_kwh
            FROM metering_finereading
            WHERE start_at BETWEEN %s AND %s AND meter_id = ANY(%s)
            """,
            [
                lines[0].start_at,
                lines[-1].start_at,
                sorted({line.meter_id for line in lines}),
            ],
        )
        stored: dict[tuple[datetime, int, int], list[Known]] = {}
        for start_at, meter_id, interval_min, *known in cursor:
            stored.setdefault((start_at, meter_id, interval_min), []).append(
                (known[0], known[1], known[2], known[3])
            )
    return stored


def _copied(new: Sequence[tuple[Line, int]], source: str) -> None:
    text = "".join(
        f"{line.meter_id}\t{line.start_at.isoformat()}\t{line.interval_min}"
        f"\t{NULL if line.energy_kwh is None else line.energy_kwh}\t{line.quality}\t{revision}"
        f"\t{line.stage}\t{line.available_at.isoformat()}\t{source}\n"
        for line, revision in new
    )
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(FINE_SQL) as copy,
    ):
        copy.write(text.encode())


def _fold(lines: Sequence[Line], source: str) -> Ingested:
    """Make the half hours that the new rows complete or change, and take them in."""
    number_of = {line.meter_id: line.point_number for line in lines}
    rows = _halves_of({(line.meter_id, half_hour_of(line.start_at)) for line in lines}, number_of)
    return readings_ingest(rows=list(rows.values()), source=source)


def halves_ingest(rows: Sequence[ReadingRow], source: str) -> Ingested:
    """Take in half hours as they come, without letting them speak for their own short readings.

    Where the short readings of a half hour are whole at the same stage, they make its value; one
    that was told for the half hour itself is kept once, behind theirs.
    """
    if not rows:
        return Ingested(added=0, revised=0, unchanged=0)
    now = market_now()
    numbers = {row.point_number for row in rows if is_point_number(row.point_number)}
    number_of = dict(
        Meter.objects.filter(point_number__in=numbers, pk__in=_with_minutes(numbers, rows))
        .values_list("id", "point_number")
    )  # fmt: skip
    id_of = {number: meter_id for meter_id, number in number_of.items()}
    made = _halves_of(
        {
            (id_of[row.point_number], row.start_at)
            for row in rows
            if row.point_number in id_of and is_moment(row.start_at) and row.start_at <= now
        },
        number_of,
    )
    told = _told({id_of[number] for number, _, _ in made}, [at for _, at, _ in made])
    new, spoken_for = [], {}
    for row in rows:
        key = (row.point_number, row.start_at, row.stage)
        if key in made:
            value = (id_of[row.point_number], *key[1:], row.quality, row.energy_kwh)
            if value in told:
                continue
            spoken_for[key] = made[key]
        new.append(row)
    taken = readings_ingest(rows=new, source=source)
    readings_ingest(rows=list(spoken_for.values()), source=source)
    return Ingested(
        added=taken.added,
        revised=taken.revised,
        unchanged=taken.unchanged + len(rows) - len(new),
    )


def _with_minutes(numbers: Collection[str], rows: Sequence[ReadingRow]) -> list[int]:
    """Return the meters of which there are short readings in the span of some half hours."""
    moments = [row.start_at for row in rows if is_moment(row.start_at)]
    if not moments:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT m.id FROM metering_meter m WHERE m.point_number = ANY(%s) AND EXISTS (
                SELECT 1 FROM metering_finereading f
                WHERE f.start_at BETWEEN %s AND %s AND f.meter_id = m.id)
            """,
            [list(numbers), min(moments), max(moments)],
        )
        return [row[0] for row in cursor]


def _told(meter_ids: Collection[int], starts: Sequence[datetime]) -> set[tuple[object, ...]]:
    """Return every value that was ever stored for some half hours."""
    if not starts:
        return set()
    rows = IntervalReading.objects.filter(
        meter_id__in=meter_ids, start_at__gte=min(starts), start_at__lte=max(starts)
    )
    return set(rows.values_list("meter_id", "start_at", "stage", "quality", "energy_kwh"))


def _halves_of(
    halves: set[tuple[int, datetime]], number_of: Mapping[int, str]
) -> dict[tuple[str, datetime, int], ReadingRow]:
    """Make half hours of meters out of their short readings, where those are whole."""
    if not halves:
        return {}
    prevailing = _prevailing({(*half, minutes) for half in halves for minutes in FINE_MIN})
    rows: dict[tuple[str, datetime, int], ReadingRow] = {}
    # the finest interval speaks for a half hour that is whole in both
    for (meter_id, _), values in sorted(prevailing.items(), key=lambda item: -item[0][1]):
        for half in folded(values):
            row = ReadingRow(
                number_of[meter_id],
                half.start_at,
                half.energy_kwh,
                half.quality,
                half.stage,
                half.available_at,
            )
            rows[row.point_number, row.start_at, row.stage] = row
    return rows


def _prevailing(touched: set[tuple[int, datetime, int]]) -> dict[tuple[int, int], list[Fine]]:
    """Return the prevailing values of the touched half hours by meter and interval."""
    starts = [half for _, half, _ in touched]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (meter_id, interval_min, start_at)
                   meter_id, interval_min, start_at, energy_kwh, quality, stage, available_at
            FROM metering_finereading
            WHERE start_at >= %s AND start_at < %s AND meter_id = ANY(%s)
            ORDER BY meter_id, interval_min, start_at, stage DESC, revision DESC
            """,
            [
                min(starts),
                max(starts) + HALF_HOUR,
                sorted({meter_id for meter_id, _, _ in touched}),
            ],
        )
        found: dict[tuple[int, int], list[Fine]] = {}
        for meter_id, interval_min, start_at, energy_kwh, quality, stage, available_at in cursor:
            if (meter_id, half_hour_of(start_at), interval_min) in touched:
                found.setdefault((meter_id, interval_min), []).append(
                    Fine(
                        start_at=start_at,
                        interval_min=interval_min,
                        energy_kwh=energy_kwh,
                        quality=quality,
                        stage=stage,
                        available_at=available_at,
                    )
                )
    return found
