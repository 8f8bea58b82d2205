"""Register meters and rules, take in readings: validated whole, copied in, never changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from django.db import connection, transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import BrokenInvariant, Refused
from accounts.fields import KWH_MAX
from aggregator.metering.correction_requests import late_readings_request
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import Meter, Quality, Stage
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.selectors import MeterKnown, meters_known
from market.registry.models import Resource, Site

HALF_HOUR = timedelta(minutes=30)
HALF_HOUR_S = 1800
READING_AGE_MAX = timedelta(days=5 * 366)
SOURCE_LENGTH_MAX = 40
PLACES_KWH = 3
KWH_LOW, KWH_HIGH = Decimal(-KWH_MAX), Decimal(KWH_MAX)
ZERO = Decimal(0)
YEAR_FIRST, YEAR_LAST = 2000, 2100
POINT_NUMBER = re.compile(r"(0[1-9]|10)[0-9]{20}", re.ASCII)
ENERGY_RULE = f"a Decimal between -{KWH_MAX} and {KWH_MAX} kWh with at most 3 places"

# The common shape of a value in bounds: anything else, such as 1E+3 or NaN, is looked at closely.
PLAIN_KWH = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,3})?", re.ASCII)
NULL = "\\N"

# A line's key orders it by half hour, meter and stage, which is the append order of the table.
Line = tuple[int, str]
Source = str | Mapping[str, str]  # of all rows, or of those of each point number
STAGE_BITS = 2
PIECE_ROWS = 2_048  # checked while the database stores the piece before: both are busy
SLOT_SHIFT = 42
STAGE_MASK = (1 << STAGE_BITS) - 1
OK_QUALITY, LOWEST_STAGE, HIGHEST_STAGE = int(Quality.OK), int(Stage.PRELIMINARY), int(Stage.FINAL)

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
    quality: int = int(Quality.OK)
    stage: int = int(Stage.PRELIMINARY)
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
        If the number is malformed or taken, not exactly one of the two is given, or it has a
        meter already.
    """
    if (resource is None) == (site is None):
        raise Refused(field="resource", value=resource, rule="either a resource or a site")
    if not is_point_number(point_number):
        raise Refused(
            field="point_number", value=point_number, rule="22 digits beginning with an area 01-10"
        )
    if Meter.objects.filter(point_number=point_number).exists():
        raise Refused(field="point_number", value=point_number, rule="a number that is not taken")
    if Meter.objects.filter(**({"resource": resource} if resource else {"site": site})).exists():
        raise Refused(
            field="resource" if resource else "site",
            value=str(resource or site),
            rule="one meter each; this one has its own",
        )
    meter = Meter.objects.create(point_number=point_number, resource=resource, site=site)
    entry_append(action="metering.meter.registered", subject=meter, detail={"point": point_number})
    return meter


def plausible_rule(max_kwh: Decimal, *, name: str = "half hour") -> str:
    """Say in words what a half hour at a site can be at most."""
    return f"plausible for its site: at most {max_kwh.normalize():f} kWh in a {name}, in or out"


def readings_ingest(*, rows: Sequence[ReadingRow], source: str | Mapping[str, str]) -> Ingested:
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
        energy that is not a finite Decimal in bounds or, unless marked BAD, more than the
        meter's site can carry (:func:`~aggregator.metering.selectors.meters_known`), an
        unknown quality or stage, or a duplicate within the batch.
    """
    for name in sorted(set(source.values())) if isinstance(source, Mapping) else [source]:
        if not is_source(name):
            raise ReadingRefused(field="source", value=name, rule="1 to 40 plain characters")
    if not rows:
        return Ingested(added=0, revised=0, unchanged=0)
    now = market_now()
    ordered = _ordered(rows, now)
    if ordered is None:
        _checked(rows, source, now)
        raise BrokenInvariant("rows whose times have no order break no rule")
    try:
        with transaction.atomic():
            bulk_limits_set()
            return _taken_in(ordered, source, now)
    except ReadingRefused:
        # Told is the first wrong row of the batch, not the first by time.
        _checked(rows, source, now)
        raise


def _checked(rows: Sequence[ReadingRow], source: str | Mapping[str, str], now: datetime) -> None:
    """Check every row in the order of the batch, and raise for the first that breaks a rule."""
    meters = meters_known(point_numbers={row[0] for row in rows if is_point_number(row[0])})
    for n, row in enumerate(rows):
        reading_line(n, row, meters.get(row[0]), str(source), now)


def _ordered(rows: Sequence[ReadingRow], now: datetime) -> Sequence[ReadingRow] | None:
    """Return the rows by time; None if their times can't be compared or lie out of bounds."""
    try:
        ordered = sorted(rows, key=itemgetter(1))
    except TypeError:
        return None
    first_at, last_at = ordered[0][1], ordered[-1][1]
    if not (is_moment(first_at) and is_moment(last_at)):
        return None
    in_bounds = now - READING_AGE_MAX <= first_at and last_at <= now - HALF_HOUR
    return ordered if in_bounds else None


def _taken_in(ordered: Sequence[ReadingRow], source: Source, now: datetime) -> Ingested:
    """Check and write what says something new, piece by piece.

    While one piece is checked here, the database stores the one before it.
    """
    # No other text may reach the database: it would answer with an error of its own.
    meters = meters_known(
        point_numbers=[number for number in {row[0] for row in ordered} if is_point_number(number)]
    )
    first_at, last_at = ordered[0][1].astimezone(UTC), ordered[-1][1].astimezone(UTC)
    ends, months = _pieces(ordered)
    reading_partitions_ensure(months=months)
    stored = _stored(sorted(known[0] for known in meters.values()), first_at, last_at)
    added = revised = 0
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(COPY_SQL) as copy,
    ):
        for first, end in pairwise((0, *ends)):
            lines = _validated(ordered[first:end], meters, source, now)
            copied = [text for _, text in lines]
            if stored or _has_stages(lines):
                copied, again = _revisions(lines, stored)
                revised += again
            if copied:
                copy.write("".join(copied).encode())
                added += len(copied)
    if added:
        entry_append(
            action="metering.readings.ingested",
            subject="metering.intervalreading",
            detail={
                "source": sorted(set(source.values())) if isinstance(source, Mapping) else source,
                "rows": added,
                "revised": revised,
                "from": first_at.isoformat(),
                "to": (last_at + HALF_HOUR).isoformat(),
            },
        )
        late_readings_request(starts_at=first_at, ends_at=last_at + HALF_HOUR, now=market_now())
    return Ingested(added=added, revised=revised, unchanged=len(ordered) - added)


def _pieces(ordered: Sequence[ReadingRow]) -> tuple[list[int], set[tuple[int, int]]]:
    """Return where pieces end, each with all rows of its half hours, and the months touched."""
    ends: list[int] = []
    months: set[tuple[int, int]] = set()
    before: datetime | None = None
    for n, row in enumerate(ordered):
        start_at = row[1]
        if start_at == before:
            continue
        before = start_at
        in_utc = start_at.astimezone(UTC)
        months.add((in_utc.year, in_utc.month))
        if n - (ends[-1] if ends else 0) >= PIECE_ROWS:
            ends.append(n)
    return [*ends, len(ordered)], months


def _validated(
    rows: Sequence[ReadingRow], meters: Mapping[str, MeterKnown], source: Source, now: datetime
) -> list[Line]:
    """Check every row in plain Python; return COPY text in append order."""
    lines: list[Line] = []
    if isinstance(source, Mapping):
        for name in sorted(set(source.values())):
            _lines_add(lines, [r for r in rows if source[r[0]] == name], meters, name, now)
    else:
        _lines_add(lines, rows, meters, source, now)
    lines.sort()
    for (key, _), (following, _) in pairwise(lines):
        if key == following:
            raise ReadingRefused(
                field="rows",
                value=_at(key >> SLOT_SHIFT).isoformat(),
                rule="each meter, half hour and stage once in a batch",
            )
    return lines


def _lines_add(
    lines: list[Line],
    rows: Sequence[ReadingRow],
    meters: Mapping[str, MeterKnown],
    source: str,
    now: datetime,
) -> None:
    """Add lines of one source.

    This loop runs once per reading of the whole market. The common case is a few cheap tests
    and one line of text; what they don't recognise is looked at again by :func:`reading_line`,
    which knows every rule.
    """
    halves: dict[datetime, tuple[int, str]] = {}
    tail = f"\t{now.isoformat()}\t{source}\n"
    add = lines.append
    is_plain = PLAIN_KWH.fullmatch
    for n, row in enumerate(rows):
        point_number, start_at, energy_kwh, quality, stage, available_at = row
        half = halves.get(start_at) if type(start_at) is datetime else None
        known = meters.get(point_number)
        if (
            half is not None
            and known is not None
            and type(energy_kwh) is Decimal
            and is_plain(text := str(energy_kwh))
            and known[1] <= energy_kwh <= known[2]
            and available_at is None
            and type(quality) is type(stage) is int
            and quality == OK_QUALITY
            and LOWEST_STAGE <= stage <= HIGHEST_STAGE
        ):
            slot, start = half
            meter_id = known[0]
            add(
                (
                    slot << SLOT_SHIFT | meter_id << STAGE_BITS | stage,
                    f"{meter_id}\t{start}\t{text}\t0\t1\t{stage}{tail}",
                )
            )
        else:
            add(reading_line(n, row, known, source, now))
            halves[start_at] = (int(start_at.timestamp()) // HALF_HOUR_S, start_at.isoformat())


def reading_line(
    n: int, row: ReadingRow, known: MeterKnown | None, source: str, now: datetime
) -> Line:
    """Check one row against every rule, one by one; return its line of COPY text.

    Raises
    ------
    ReadingRefused
        With the row's number and the first rule it breaks.
    """
    available_at = reading_checked(n, row, known, now)
    meter_id = known[0] if known else 0
    half_hour = int(row.start_at.timestamp()) // HALF_HOUR_S
    key = half_hour << SLOT_SHIFT | meter_id << STAGE_BITS | int(row.stage)
    return key, (
        f"{meter_id}\t{row.start_at.isoformat()}\t{_energy_text(row.energy_kwh) or NULL}"
        f"\t{int(row.quality)}\t1\t{int(row.stage)}\t{available_at.isoformat()}\t{source}\n"
    )


def reading_checked(
    n: int,
    row: ReadingRow,
    known: MeterKnown | None,
    now: datetime,
    *,
    interval: timedelta = HALF_HOUR,
) -> datetime:
    """Check one row of intervals so long, and return when it became available.

    Raises
    ------
    ReadingRefused
        With the row's number and the first rule it breaks.
    """
    point_number, start_at, energy_kwh, quality, stage, available_at = row

    def require(holds: bool, field: str, value: object, rule: str) -> None:  # noqa: FBT001
        if not holds:
            raise ReadingRefused(field=f"rows[{n}].{field}", value=value, rule=rule)

    name = "half hour" if interval == HALF_HOUR else f"span of {interval.seconds // 60} min"
    require(known is not None, "point_number", point_number, "a registered meter")
    max_kwh = known[2] if known else ZERO
    require(is_moment(start_at), "start_at", start_at, "a date-time with its UTC offset")
    require(_is_member(quality, Quality), "quality", quality, "a known quality")
    require(_is_member(stage, Stage), "stage", stage, "a known stage")
    require(
        start_at.microsecond == 0 and int(start_at.timestamp()) % interval.seconds == 0,
        "start_at",
        start_at,
        f"the start of a {name}",
    )
    require(
        # not start_at + interval: the last half hour of the year 9999 has no end
        now - READING_AGE_MAX <= start_at <= now - interval,
        "start_at",
        start_at.isoformat(),
        f"a {name} that has ended, at most five years ago",
    )
    missing = quality == Quality.MISSING
    require(
        (energy_kwh is None) if missing else _energy_text(energy_kwh) is not None,
        "energy_kwh",
        energy_kwh,
        "nothing, because it is MISSING" if missing else ENERGY_RULE,
    )
    require(
        energy_kwh is None or quality == Quality.BAD or abs(energy_kwh) <= max_kwh,
        "energy_kwh",
        energy_kwh,
        plausible_rule(max_kwh, name=name),
    )
    if available_at is None:
        available_at = now
    require(
        is_moment(available_at), "available_at", available_at, "a date-time with its UTC offset"
    )
    require(
        start_at + interval <= available_at <= now,
        "available_at",
        available_at.isoformat(),
        f"after the {name}'s end and not in the future",
    )
    return available_at


def is_point_number(value: object) -> bool:
    """Whether a value is the digits of a 供給地点特定番号, as they are stored."""
    return isinstance(value, str) and POINT_NUMBER.fullmatch(value) is not None


def is_source(value: object) -> bool:
    """Whether COPY text can carry the value, and a reader can read it."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= SOURCE_LENGTH_MAX
        and value.isprintable()
        and "\\" not in value
    )


def is_moment(value: object) -> bool:
    """Whether a value is a date-time with its offset."""
    return type(value) is datetime and value.utcoffset() is not None


def _is_member(value: object, choices: type[Quality] | type[Stage]) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in choices.values


def _energy_text(energy_kwh: object) -> str | None:
    """Return the value as COPY text, or None if it breaks the rule."""
    if type(energy_kwh) is not Decimal:
        return None
    text = str(energy_kwh)
    if PLAIN_KWH.fullmatch(text):
        return text
    # The bounds themselves have one digit more.
    return text if text in {str(KWH_LOW), str(KWH_HIGH)} else None


def _at(slot: int) -> datetime:
    return datetime.fromtimestamp(slot * HALF_HOUR_S, tz=UTC)


def _has_stages(lines: Sequence[Line]) -> bool:
    """Whether a half hour of a meter comes with more than one stage."""
    return any(
        key >> STAGE_BITS == following >> STAGE_BITS for (key, _), (following, _) in pairwise(lines)
    )


def _stored(
    meter_ids: list[int], first_at: datetime, last_at: datetime
) -> dict[int, list[tuple[int, int, int, str]]]:
    """Fetch what is stored for the batch's meters and span: (stage, revision, quality, text)."""
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
        stored: dict[int, list[tuple[int, int, int, str]]] = {}
        for slot, meter_id, *rest in cursor:
            half = slot << SLOT_SHIFT - STAGE_BITS | meter_id
            stored.setdefault(half, []).append(tuple(rest))
    return stored


def _revisions(
    lines: Sequence[Line], stored: dict[int, list[tuple[int, int, int, str]]]
) -> tuple[list[str], int]:
    """Leave out what is stored already and number the rest; also count the revisions."""
    copied: list[str] = []
    revised = 0
    last_half, revision = 0, 0
    for key, text in lines:
        half, stage = key >> STAGE_BITS, key & STAGE_MASK
        meter, start, energy, quality, _, *rest = text.split("\t")
        known = stored.get(half, [])
        latest = max((entry for entry in known if entry[0] == stage), default=None)
        if latest and latest[2] == int(quality) and _same(latest[3], energy):
            continue
        revised += latest is not None
        # Two stages of one half hour may come in one batch: revisions go on counting.
        if half != last_half:
            last_half = half
            revision = max((entry[1] for entry in known), default=0)
        revision += 1
        copied.append("\t".join((meter, start, energy, quality, str(revision), *rest)))
    return copied, revised


def _same(one: str, other: str) -> bool:
    if NULL in {one, other}:
        return one == other
    return Decimal(one) == Decimal(other)
