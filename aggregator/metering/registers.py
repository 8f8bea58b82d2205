"""Cumulative registers: install and exchange them, take in what they show, make half hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Refused
from accounts.core.numbers import decimal_of, name_of, zoned
from aggregator.core.readings import HALF_HOUR, Fault, Suspicion, half_hour_of
from aggregator.core.registers import Dial, Piece, Shown, half_hours_of, pieces_of
from aggregator.metering.findings import findings_store
from aggregator.metering.limits import bulk_limits_set
from aggregator.metering.models import (
    Meter,
    MeterRegister,
    Quality,
    RegisterReading,
    Stage,
)
from aggregator.metering.selectors import meters_known
from aggregator.metering.services import (
    READING_AGE_MAX,
    Ingested,
    ReadingRefused,
    ReadingRow,
    is_point_number,
    is_source,
    readings_ingest,
)

HALF_HOUR_H = Decimal("0.5")
COEFFICIENT_MAX = Decimal(1_000_000)
SERIAL_LENGTH_MAX = 40


class RegisterRow(NamedTuple):
    """What a register showed: its meter's number, when, how much, and whether it was set back.

    Without a serial number it is the register in use at that moment. The last reading of one
    that is exchanged at that moment names its serial number.
    """

    point_number: str
    read_at: datetime
    shown_count: int
    is_reset: bool = False
    stage: int = int(Stage.PRELIMINARY)
    is_export: bool = False
    serial: str | None = None


class Span(NamedTuple):
    """Time whose readings say what changed, and the most the place can draw."""

    first_at: datetime
    last_at: datetime
    power_max_kw: Decimal


class Half(NamedTuple):
    """A half hour as the registers of a meter tell it."""

    energy_kwh: Decimal | None
    quality: Quality
    stage: int


@dataclass(frozen=True, kw_only=True)
class RegistersRead:
    """What became of a batch of register readings."""

    added: int
    unchanged: int
    half_hours: Ingested
    findings_count: int


@transaction.atomic
def register_install(
    *,
    meter: Meter,
    serial: str,
    digits: int,
    count_kwh: Decimal,
    coefficient_ratio: Decimal = Decimal(1),
    is_export: bool = False,
    installed_at: datetime,
) -> MeterRegister:
    """Note a register of a meter, or the one it was exchanged for from a moment on.

    Raises
    ------
    Refused
        If a value is out of bounds, or the meter has a register installed then or later.
    """
    name_of(serial, field="serial", length_max=SERIAL_LENGTH_MAX)
    zoned(installed_at, field="installed_at")
    for field, value, places in (
        ("count_kwh", count_kwh, 6),
        ("coefficient_ratio", coefficient_ratio, 3),
    ):
        decimal_of(value, field=field, low=Decimal(0), high=COEFFICIENT_MAX, places=places)
    # refuses what counts nothing
    Dial(
        digits=digits,
        count_kwh=count_kwh,
        coefficient_ratio=coefficient_ratio,
        power_max_kw=Decimal(1),
    )
    Meter.objects.select_for_update().get(pk=meter.pk)
    later = MeterRegister.objects.filter(
        meter=meter, is_export=is_export, installed_at__gte=installed_at
    )
    if later.exists():
        raise Refused(
            field="installed_at",
            value=installed_at.isoformat(),
            rule="after the registers the meter has",
        )
    register = MeterRegister.objects.create(
        meter=meter,
        serial=serial,
        digits=digits,
        count_kwh=count_kwh,
        coefficient_ratio=coefficient_ratio,
        is_export=is_export,
        installed_at=installed_at,
    )
    entry_append(
        action="metering.register.installed",
        subject=register,
        detail={"meter": meter.point_number, "serial": serial},
    )
    return register


@transaction.atomic
def register_readings_ingest(*, rows: Sequence[RegisterRow], source: str) -> RegistersRead:
    """Take in what registers showed, all or nothing, and the half hours that follow from it.

    The energy of a half hour is the difference of what was shown at its ends, or the sum over
    readings within it; where a meter was exchanged inside it, both registers' together. Rollover,
    resets, steps too large and gaps are found and listed (:mod:`aggregator.core.registers`).

    Parameters
    ----------
    rows
        In any order, each register and moment once.
    source
        Where they come from.

    Raises
    ------
    ReadingRefused
        Naming the row, on an unknown meter or one without a register then, a time to come, off
        the whole second or over five years back, or a count that does not fit the register.
    """
    bulk_limits_set()
    if not is_source(source):
        raise ReadingRefused(field="source", value=source, rule="1 to 40 plain characters")
    now = market_now()
    meters = {
        meter.point_number: meter
        for meter in Meter.objects.select_for_update()
        .filter(
            point_number__in={row.point_number for row in rows if is_point_number(row.point_number)}
        )
        .order_by("id")
    }
    registers: dict[tuple[int, bool], list[MeterRegister]] = {}
    for register in MeterRegister.objects.filter(meter__in=meters.values()).order_by(
        "installed_at"
    ):
        registers.setdefault((register.meter_id, register.is_export), []).append(register)
    shown = []
    for n, row in enumerate(rows):
        _checked(n, row, now)
        of_meter = registers.get((_meter_id(meters, row.point_number), row.is_export), ())
        shown.append((_register_of(n, row, of_meter), row))
    spans = _spans(list(meters.values()), shown)
    before = {meter.pk: _halves(meter, span)[0] for meter, span in spans}
    added = _kept(shown, source, now)
    if not added:
        nothing = Ingested(added=0, revised=0, unchanged=0)
        return RegistersRead(added=0, unchanged=len(rows), half_hours=nothing, findings_count=0)
    taken, findings_count = _made(spans, before, source, now)
    entry_append(
        action="metering.registers.read",
        subject="metering.registerreading",
        detail={
            "source": source,
            "rows": added,
            "half_hours": taken.added,
            "findings": findings_count,
        },
    )
    return RegistersRead(
        added=added,
        unchanged=len(rows) - added,
        half_hours=taken,
        findings_count=findings_count,
    )


def _meter_id(meters: Mapping[str, Meter], number: object) -> int:
    meter = meters.get(number) if isinstance(number, str) else None
    return 0 if meter is None else meter.pk


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None


def _checked(n: int, row: RegisterRow, now: datetime) -> None:
    """Refuse what no register shows.

    Raises
    ------
    ReadingRefused
        With the row's number, the field, its value and the rule.
    """
    for field, value, holds, rule in (
        ("shown_count", row.shown_count, _is_count(row.shown_count), "a whole number, 0 or more"),
        ("stage", row.stage, row.stage in Stage.values, "a known stage"),
        ("read_at", row.read_at, _is_moment(row.read_at), "a date-time with its UTC offset"),
        ("is_reset", row.is_reset, _is_flag(row.is_reset), "true or false"),
        ("is_export", row.is_export, _is_flag(row.is_export), "true or false"),
    ):
        if not holds:
            raise ReadingRefused(field=f"rows[{n}].{field}", value=value, rule=rule)
    if row.read_at.microsecond or not now - READING_AGE_MAX <= row.read_at <= now:
        raise ReadingRefused(
            field=f"rows[{n}].read_at",
            value=row.read_at.isoformat(),
            rule="a whole second that has come, at most five years ago",
        )


def _register_of(n: int, row: RegisterRow, registers: Sequence[MeterRegister]) -> MeterRegister:
    """Return the register a row is of: the one named, or the one in use."""
    in_use = None
    for register in registers:
        is_there = register.installed_at <= row.read_at
        if is_there and row.serial in (None, register.serial):
            in_use = register
    if in_use is None:
        raise ReadingRefused(
            field=f"rows[{n}].point_number",
            value=row.point_number,
            rule="a registered meter with a register then",
        )
    if row.shown_count >= 10**in_use.digits:
        raise ReadingRefused(
            field=f"rows[{n}].shown_count",
            value=row.shown_count,
            rule=f"at most {in_use.digits} digits",
        )
    return in_use


def _kept(shown: Sequence[tuple[MeterRegister, RegisterRow]], source: str, now: datetime) -> int:
    """Store what says something new; returns how many rows did."""
    known: dict[tuple[int, datetime], RegisterReading] = {}
    for stored in RegisterReading.objects.filter(
        register__in={register.pk for register, _ in shown},
        read_at__in={row.read_at for _, row in shown},
    ).order_by("revision"):
        known[stored.register_id, stored.read_at] = stored
    new: dict[tuple[int, datetime], RegisterReading] = {}
    for n, (register, row) in enumerate(shown):
        key = (register.pk, row.read_at)
        if key in new:
            raise ReadingRefused(
                field=f"rows[{n}].read_at",
                value=row.read_at.isoformat(),
                rule="each register and moment once in a batch",
            )
        before = known.get(key)
        if before and (before.count, before.is_reset, before.stage) == (
            row.shown_count,
            row.is_reset,
            row.stage,
        ):
            continue
        new[key] = RegisterReading(
            register=register,
            read_at=row.read_at,
            count=row.shown_count,
            is_reset=row.is_reset,
            revision=1 if before is None else before.revision + 1,
            stage=row.stage,
            available_at=now,
            source=source,
        )
    RegisterReading.objects.bulk_create(new.values())
    return len(new)


def _spans(
    meters: Sequence[Meter], shown: Sequence[tuple[MeterRegister, RegisterRow]]
) -> list[tuple[Meter, Span]]:
    """Return of each meter the time whose half hours the rows touch, and what it can carry."""
    max_kwh = meters_known(point_numbers=[meter.point_number for meter in meters])
    spans = []
    for meter in meters:
        moments = [row.read_at for register, row in shown if register.meter_id == meter.pk]
        first_at, last_at = _reach(meter, min(moments), max(moments))
        power_max_kw = max_kwh[meter.point_number][2] / HALF_HOUR_H
        spans.append((meter, Span(first_at, last_at, power_max_kw)))
    return spans


def _made(
    spans: Sequence[tuple[Meter, Span]],
    before: Mapping[int, Mapping[datetime, Half]],
    source: str,
    now: datetime,
) -> tuple[Ingested, int]:
    """Make the half hours of some spans, take them in, and keep what looks wrong.

    One that could be told before and no longer can is withdrawn: it is missing from now on.
    """
    rows: list[ReadingRow] = []
    findings_count = 0
    for meter, span in spans:
        halves, suspicions = _halves(meter, span)
        withdrawn = {
            start_at: Half(None, Quality.MISSING, half.stage)
            for start_at, half in before[meter.pk].items()
            if start_at not in halves
        }
        rows += [
            ReadingRow(
                meter.point_number, start_at, half.energy_kwh, int(half.quality), int(half.stage)
            )
            for start_at, half in sorted({**halves, **withdrawn}.items())
        ]
        findings_count += len(findings_store(meter_id=meter.pk, suspicions=suspicions, as_of=now))
    return readings_ingest(rows=rows, source=source), findings_count


def _reach(meter: Meter, first_at: datetime, last_at: datetime) -> tuple[datetime, datetime]:
    """Return the span whose readings say what changed: to the next reading on either side."""
    of_meter = RegisterReading.objects.filter(register__meter=meter)
    before = of_meter.filter(read_at__lt=half_hour_of(first_at)).order_by("-read_at").first()
    after = of_meter.filter(read_at__gt=last_at + HALF_HOUR).order_by("read_at").first()
    return (
        before.read_at if before else first_at,
        after.read_at if after else last_at + HALF_HOUR,
    )


def _halves(meter: Meter, span: Span) -> tuple[dict[datetime, Half], list[Suspicion]]:
    """Return the half hours of a span out of all registers of a meter, export as negative."""
    readings: dict[int, dict[datetime, RegisterReading]] = {}
    for row in RegisterReading.objects.filter(
        register__meter=meter, read_at__gte=span.first_at, read_at__lte=span.last_at
    ).order_by("stage", "revision"):
        readings.setdefault(row.register_id, {})[row.read_at] = row
    found: list[Suspicion] = []
    by_way: dict[bool, list[Piece]] = {}
    installed: dict[bool, datetime] = {}
    stage_of: dict[datetime, int] = {}
    absurd: set[datetime] = set()
    for register in meter.registers.order_by("installed_at"):
        rows = readings.get(register.pk, {})
        dial = Dial(
            digits=register.digits,
            count_kwh=register.count_kwh,
            coefficient_ratio=register.coefficient_ratio,
            is_export=register.is_export,
            power_max_kw=span.power_max_kw,
        )
        installed.setdefault(register.is_export, register.installed_at)
        pieces, suspicions = pieces_of(
            [
                Shown(read_at=row.read_at, count=row.count, is_reset=row.is_reset)
                for row in rows.values()
            ],
            dial,
        )
        by_way.setdefault(register.is_export, []).extend(pieces)
        found += suspicions
        absurd |= {half_hour_of(s.start_at) for s in suspicions if s.fault == Fault.ABSURD}
        for piece in pieces:
            start_at = half_hour_of(piece.start_at)
            stage = min(rows[piece.start_at].stage, rows[piece.end_at].stage)
            stage_of[start_at] = min(stage, stage_of.get(start_at, stage))
    by_half: dict[bool, dict[datetime, Decimal]] = {}
    for way, pieces in by_way.items():
        by_half[way], suspicions = half_hours_of(pieces)
        found += suspicions
    made = {}
    for start_at in {at for halves in by_half.values() for at in halves}:
        # A place that counts both ways is known only where both are, from the first register on.
        ways = [way for way, at in installed.items() if at < start_at + HALF_HOUR]
        if all(start_at in by_half[way] for way in ways):
            made[start_at] = Half(
                sum((by_half[way][start_at] for way in ways), Decimal(0)),
                Quality.BAD if start_at in absurd else Quality.OK,
                stage_of[start_at],
            )
    return made, found
