"""Register meters and rules, take in readings: validated whole, copied in, never changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Refused, ensure
from accounts.core.numbers import decimals_of
from accounts.fields import KWH_MAX
from aggregator.core.baselines import INTERVAL_COUNT
from aggregator.metering.models import DeclaredSchedule, Meter, Quality, Stage
from market.registry.models import Resource, Site

HALF_HOUR = timedelta(minutes=30)
HALF_HOUR_S = 1800
READING_AGE_MAX = timedelta(days=5 * 366)
SOURCE_LENGTH_MAX = 40
PLACES_KWH = 3
KWH_LOW, KWH_HIGH = Decimal(-KWH_MAX), Decimal(KWH_MAX)
ENERGY_RULE = f"a Decimal between -{KWH_MAX} and {KWH_MAX} kWh with at most 3 places"

# One lock for making partitions; two ingests of a new month would otherwise collide.
PARTITION_LOCK = 7_301_001

COPY_SQL = (
    "COPY metering_intervalreading (meter_id, start_at, energy_kwh, quality, revision, stage,"
    " available_at, source) FROM STDIN"
)


class ReadingRefused(Refused):
    """A row of a batch breaks a rule; the whole batch was refused, nothing stored."""


class ReadingRow(NamedTuple):
    """One value as it arrives.

    `energy_kwh` is positive for flow to the customer and None exactly when the quality is
    MISSING; `available_at` None means now.
    """

    point_number: str
    start_at: datetime
    energy_kwh: Decimal | None
    quality: int = Quality.OK
    stage: int = Stage.PRELIMINARY
    available_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """What became of a batch: rows added, of them revisions of earlier ones, rows known."""

    added: int
    revised: int
    unchanged: int


@transaction.atomic
def meter_register(
    *, point_number: str, resource: Resource | None = None, site: Site | None = None
) -> Meter:
    """Add the meter of one resource, or the grid meter of one site.

    Raises
    ------
    Refused
        If the number is malformed or taken, or not exactly one of the two is given.
    """
    if (resource is None) == (site is None):
        raise Refused(field="resource", value=resource, rule="either a resource or a site")
    area = point_number[:2]
    if not (
        len(point_number) == 22  # noqa: PLR2004 - the number has 22 digits by definition
        and point_number.isascii()
        and point_number.isdigit()
        and "01" <= area <= "10"
    ):
        raise Refused(
            field="point_number", value=point_number, rule="22 digits beginning with an area 01-10"
        )
    if Meter.objects.filter(point_number=point_number).exists():
        raise Refused(field="point_number", value=point_number, rule="a number that is not taken")
    meter = Meter.objects.create(point_number=point_number, resource=resource, site=site)
    entry_append(action="metering.meter.registered", subject=meter, detail={"point": point_number})
    return meter


@transaction.atomic
def schedule_declare(
    *, resource: Resource, delivery_on: date, schedule_kwh: Sequence[object]
) -> DeclaredSchedule:
    """File a resource's plan for a day, once, before the day begins.

    Raises
    ------
    Refused
        If it is not 48 finite values in bounds, the day has begun, or a plan is filed already.
    """
    values = decimals_of(
        schedule_kwh,
        field="schedule_kwh",
        count=INTERVAL_COUNT,
        low=KWH_LOW,
        high=KWH_HIGH,
        places=PLACES_KWH,
    )
    now = market_now()
    # JST is nine hours ahead of UTC: the day begins at 15:00 UTC of the day before.
    begins_at = datetime(
        delivery_on.year, delivery_on.month, delivery_on.day, tzinfo=UTC
    ) - timedelta(hours=9)
    if now >= begins_at:
        raise Refused(field="delivery_on", value=delivery_on, rule="a day that has not begun")
    schedule, created = DeclaredSchedule.objects.get_or_create(
        resource=resource,
        delivery_on=delivery_on,
        defaults={"schedule_kwh": values, "available_at": now},
    )
    if not created and list(schedule.schedule_kwh) != values:
        raise Refused(field="schedule_kwh", value=values[0], rule="one plan a day, filed once")
    return schedule


def reading_partitions_ensure(*, months: Iterable[tuple[int, int]]) -> list[str]:
    """Make the partitions of the given (year, month) pairs in UTC; returns the new ones.

    Raises
    ------
    Refused
        If a month is not a month.
    """
    wanted: dict[str, tuple[date, date]] = {}
    for year, month in months:
        if not (1 <= month <= 12 and 1 <= year <= 9998):  # noqa: PLR2004 - the calendar
            raise Refused(field="months", value=(year, month), rule="a year and a month")
        first_on = date(year, month, 1)
        next_on = date(year + month // 12, month % 12 + 1, 1)
        wanted[f"metering_intervalreading_{year:04d}_{month:02d}"] = (first_on, next_on)
    with connection.cursor() as cursor:
        missing = [name for name in sorted(wanted) if not _relation_exists(cursor, name)]
        if not missing:
            return []
        ensure(connection.in_atomic_block, "partitions are made inside a transaction")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITION_LOCK])
        made = [name for name in missing if not _relation_exists(cursor, name)]
        for name in made:
            first_on, next_on = wanted[name]
            # Names and dates are of our own making; DDL takes no parameters.
            cursor.execute(
                f"CREATE TABLE {name} PARTITION OF metering_intervalreading"
                f" FOR VALUES FROM ('{first_on} 00:00+00') TO ('{next_on} 00:00+00')"
            )
    return made


def _relation_exists(cursor: Any, name: str) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    return bool(cursor.fetchone()[0])


@transaction.atomic
def readings_ingest(*, rows: Sequence[ReadingRow], source: str) -> Ingested:
    """Take in a batch of readings, all or nothing.

    A row equal to what is stored for its meter, half hour and stage changes nothing, so a
    batch may be sent any number of times; a changed one is stored as the next revision. The
    order in which stages arrive does not matter: readers take the highest stage, and of it
    the latest revision.

    Parameters
    ----------
    rows
        Values of half hours that have ended, each meter and half hour once per stage.
    source
        Where they come from, at most 40 characters.

    Returns
    -------
    Ingested
        Counts of rows added, of them revisions, and rows known before.

    Raises
    ------
    ReadingRefused
        With the row's number, field, value and rule, on an unknown meter, a time without zone
        or off the half-hour grid, a half hour that has not ended or lies over five years back,
        energy that is not a finite Decimal in bounds, an unknown quality or stage, or a
        duplicate within the batch.
    """
    if not source or len(source) > SOURCE_LENGTH_MAX or any(c in source for c in "\t\n\r\\"):
        raise ReadingRefused(field="source", value=source, rule="1 to 40 plain characters")
    if not rows:
        return Ingested(added=0, revised=0, unchanged=0)
    now = market_now()
    lines = _validated(rows, now)
    first_at, last_at = _span(lines)
    reading_partitions_ensure(months=_months(lines))
    stored = _stored(lines, first_at, last_at)
    copied, revised = _copy_text(lines, stored, source)
    if copied:
        with (
            connection.wrap_database_errors,
            connection.cursor() as cursor,
            cursor.copy(COPY_SQL) as copy,
        ):
            copy.write("".join(copied).encode())
        entry_append(
            action="metering.readings.ingested",
            subject="metering.intervalreading",
            detail={
                "source": source,
                "rows": len(copied),
                "revised": revised,
                "from": first_at.isoformat(),
                "to": (last_at + HALF_HOUR).isoformat(),
            },
        )
    return Ingested(added=len(copied), revised=revised, unchanged=len(lines) - len(copied))


class _Line(NamedTuple):
    """A validated row: half hours since 1970 and meter first, so that sorting is append order."""

    slot: int
    meter_id: int
    stage: int
    energy: str
    quality: int
    available: str


def _validated(rows: Sequence[ReadingRow], now: datetime) -> list[_Line]:
    """Check every row in plain Python and return them in append order.

    This loop runs once per reading of the whole market, so the common case is a handful of
    cheap tests; what fails one is told apart by :func:`_refuse`.
    """
    meters = dict(
        Meter.objects.filter(point_number__in={row[0] for row in rows}).values_list(
            "point_number", "id"
        )
    )
    now_s = int(now.timestamp())
    earliest_s = int((now - READING_AGE_MAX).timestamp())
    now_text = now.isoformat()
    seen: set[tuple[int, int, int]] = set()
    lines: list[_Line] = []
    for n, (point_number, start_at, energy_kwh, quality, stage, available_at) in enumerate(rows):
        meter_id = meters.get(point_number)
        if (
            meter_id is None
            or type(start_at) is not datetime
            or start_at.tzinfo is None
            or quality not in _QUALITIES
            or stage not in _STAGES
        ):
            raise _refuse(n, rows[n], meter_id)
        start_s, rest_us = int(start_at.timestamp()), start_at.microsecond
        if (
            rest_us
            or start_s % HALF_HOUR_S
            or start_s + HALF_HOUR_S > now_s
            or start_s < earliest_s
        ):
            raise _refuse(n, rows[n], meter_id)
        energy = _energy_text(energy_kwh, quality)
        if energy is None:
            raise _refuse(n, rows[n], meter_id)
        available = now_text
        if available_at is not None:
            available = _available_text(n, available_at, start_s, now)
        slot = start_s // HALF_HOUR_S
        seen.add((slot, meter_id, stage))
        lines.append(_Line(slot, meter_id, stage, energy, quality, available))
        if len(seen) != len(lines):
            raise ReadingRefused(
                field=f"rows[{n}].start_at",
                value=start_at.isoformat(),
                rule="each meter, half hour and stage once in a batch",
            )
    lines.sort()
    return lines


_QUALITIES = frozenset(int(quality) for quality in Quality)
_STAGES = frozenset(int(stage) for stage in Stage)


def _energy_text(energy_kwh: object, quality: int) -> str | None:
    """Return the value as COPY text, or None if it breaks the rule."""
    if energy_kwh is None:
        return "\\N" if quality == Quality.MISSING else None
    if type(energy_kwh) is not Decimal or quality == Quality.MISSING:
        return None
    text = str(energy_kwh)
    point = text.find(".")
    # NaN, infinities and exponents are the only texts with letters.
    if not text[-1].isdigit() or "E" in text or (point >= 0 and len(text) - point > PLACES_KWH + 1):
        return None
    return text if KWH_LOW <= energy_kwh <= KWH_HIGH else None


def _available_text(n: int, available_at: object, start_s: int, now: datetime) -> str:
    if type(available_at) is not datetime or available_at.tzinfo is None:
        raise ReadingRefused(
            field=f"rows[{n}].available_at", value=available_at, rule="a date-time with its offset"
        )
    if not start_s + HALF_HOUR_S <= available_at.timestamp() or available_at > now:
        raise ReadingRefused(
            field=f"rows[{n}].available_at",
            value=available_at.isoformat(),
            rule="after the half hour's end and not in the future",
        )
    return available_at.isoformat()


def _refuse(n: int, row: ReadingRow, meter_id: int | None) -> ReadingRefused:
    """Say which rule the row breaks."""
    point_number, start_at, energy_kwh, quality, stage, _ = row
    aware = isinstance(start_at, datetime) and start_at.utcoffset() is not None
    tests: list[tuple[bool, str, object, str]] = [
        (meter_id is None, "point_number", point_number, "a registered meter"),
        (not aware, "start_at", start_at, "a date-time with its UTC offset"),
        (quality not in _QUALITIES, "quality", quality, "a known quality"),
        (stage not in _STAGES, "stage", stage, "a known stage"),
        (
            aware and (start_at.microsecond != 0 or int(start_at.timestamp()) % HALF_HOUR_S != 0),
            "start_at",
            start_at,
            "the start of a half hour",
        ),
        (
            quality in _QUALITIES and _energy_text(energy_kwh, quality) is None,
            "energy_kwh",
            energy_kwh,
            "nothing, because it is MISSING" if quality == Quality.MISSING else ENERGY_RULE,
        ),
    ]
    for broken, field, value, rule in tests:
        if broken:
            return ReadingRefused(field=f"rows[{n}].{field}", value=value, rule=rule)
    return ReadingRefused(
        field=f"rows[{n}].start_at",
        value=start_at.isoformat(),
        rule="a half hour that has ended, at most five years ago",
    )


def _span(lines: Sequence[_Line]) -> tuple[datetime, datetime]:
    return _at(lines[0].slot), _at(lines[-1].slot)


def _at(slot: int) -> datetime:
    return datetime.fromtimestamp(slot * HALF_HOUR_S, tz=UTC)


def _months(lines: Sequence[_Line]) -> set[tuple[int, int]]:
    slots = {line.slot // INTERVAL_COUNT for line in lines}
    days = (_at(slot * INTERVAL_COUNT) for slot in slots)
    return {(day.year, day.month) for day in days}


def _stored(
    lines: Sequence[_Line], first_at: datetime, last_at: datetime
) -> dict[tuple[int, int], list[tuple[int, int, int, str]]]:
    """Fetch what is stored for the batch's meters and span: (stage, revision, quality, text)."""
    meter_ids = sorted({line.meter_id for line in lines})
    with connection.cursor() as cursor:
        # Writers of the same meters take turns, so that revisions stay dense.
        cursor.execute(
            "SELECT id FROM metering_meter WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [meter_ids]
        )
        cursor.execute(
            """
            SELECT extract(epoch FROM start_at)::bigint / 1800, meter_id,
                   stage, revision, quality, COALESCE(energy_kwh::text, '\\N')
            FROM metering_intervalreading
            WHERE start_at BETWEEN %s AND %s AND meter_id = ANY(%s)
            """,
            [first_at, last_at, meter_ids],
        )
        stored: dict[tuple[int, int], list[tuple[int, int, int, str]]] = {}
        for slot, meter_id, *rest in cursor:
            stored.setdefault((slot, meter_id), []).append(tuple(rest))
    return stored


def _copy_text(
    lines: Sequence[_Line],
    stored: dict[tuple[int, int], list[tuple[int, int, int, str]]],
    source: str,
) -> tuple[list[str], int]:
    """Write the lines that say something new as COPY text; also count the revisions."""
    starts = {line.slot: _at(line.slot).isoformat() for line in lines}
    copied: list[str] = []
    revised = 0
    last_key, revision = (0, 0), 0
    for slot, meter_id, stage, energy, quality, available in lines:
        known = stored.get((slot, meter_id)) if stored else None
        if known:
            same_stage = [entry for entry in known if entry[0] == stage]
            latest = max(same_stage, key=lambda entry: entry[1]) if same_stage else None
            if latest and latest[2] == quality and _same(latest[3], energy):
                continue
            revised += latest is not None
        # Two stages of one half hour may come in one batch: revisions go on counting.
        if (slot, meter_id) != last_key:
            last_key = (slot, meter_id)
            revision = max((entry[1] for entry in known), default=0) if known else 0
        revision += 1
        copied.append(
            f"{meter_id}\t{starts[slot]}\t{energy}\t{quality}\t{revision}\t{stage}"
            f"\t{available}\t{source}\n"
        )
    return copied, revised


def _same(one: str, other: str) -> bool:
    if "\\N" in {one, other}:
        return one == other
    return Decimal(one) == Decimal(other)
