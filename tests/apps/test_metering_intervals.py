"""Short intervals, registers and inspections on PostgreSQL."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from accounts.core.errors import Refused
from aggregator.core.readings import Limits
from aggregator.metering.calendar import day_start
from aggregator.metering.findings import reading_findings, readings_inspect
from aggregator.metering.fine import FineRow, fine_readings_ingest
from aggregator.metering.fine_selectors import fine_values
from aggregator.metering.models import (
    FineReading,
    IntervalReading,
    Meter,
    MeterRegister,
    Quality,
    ReadingFinding,
    RegisterReading,
    Stage,
)
from aggregator.metering.partitions import partitions_ahead
from aggregator.metering.registers import (
    RegisterRow,
    register_install,
    register_readings_ingest,
)
from aggregator.metering.services import (
    Ingested,
    ReadingRefused,
    ReadingRow,
    meter_register,
    readings_ingest,
)
from tests import cast

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 3, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
POINT, OTHER = "0310000000000000000101", "0310000000000000000102"


@pytest.fixture
def meter() -> Meter:
    cast.market_time(NOON + timedelta(days=2))
    return meter_register(point_number=POINT, resource=cast.places().resources["inzai-load"])


def _minutes(
    kwh: str | None = "10", *, count: int = 30, first: int = 0, **rest: Any
) -> list[FineRow]:
    return [
        FineRow(
            point_number=POINT,
            start_at=NOON + timedelta(minutes=first + n),
            interval_min=1,
            energy_kwh=None if kwh is None else Decimal(kwh),
            **rest,
        )
        for n in range(count)
    ]


def _halves() -> list[tuple[str | None, int, int, int]]:
    rows = IntervalReading.objects.order_by("start_at", "revision")
    return [
        (None if r.energy_kwh is None else str(r.energy_kwh), r.quality, r.stage, r.revision)
        for r in rows
    ]


def test_minutes_are_kept_and_folded_once_the_half_hour_is_whole(meter: Meter) -> None:
    rows = _minutes()
    assert fine_readings_ingest(rows=rows[:29], source="gateway").added == 29
    assert _halves() == []
    assert fine_readings_ingest(rows=rows[29:], source="gateway").added == 1
    # 30 · 10 kWh
    assert _halves() == [("300.000", Quality.OK, Stage.PRELIMINARY, 1)]
    assert FineReading.objects.count() == 30


def test_a_repeated_batch_changes_nothing_and_a_changed_minute_revises_both(meter: Meter) -> None:
    fine_readings_ingest(rows=_minutes(), source="gateway")
    again = fine_readings_ingest(rows=_minutes(), source="gateway")
    assert again == Ingested(added=0, revised=0, unchanged=30)
    changed = [_minutes("12")[3]]
    assert fine_readings_ingest(rows=changed, source="gateway").revised == 1
    assert [row[0] for row in _halves()] == ["300.000", "302.000"]
    (value,) = fine_values(
        meter_id=meter.pk,
        start_at=NOON + timedelta(minutes=3),
        end_at=NOON + timedelta(minutes=4),
        as_of=NOON + timedelta(days=2),
    )
    assert value.energy_kwh == Decimal(12)


def test_quality_is_the_worst_and_stage_the_lowest(meter: Meter) -> None:
    rows = [row._replace(stage=int(Stage.FINAL)) for row in _minutes()]
    rows[4] = rows[4]._replace(quality=int(Quality.ESTIMATED), stage=int(Stage.CONFIRMED))
    fine_readings_ingest(rows=rows, source="gateway")
    assert _halves() == [("300.000", Quality.ESTIMATED, Stage.CONFIRMED, 1)]


def test_a_missing_minute_makes_the_half_hour_missing(meter: Meter) -> None:
    rows = _minutes()
    rows[7] = rows[7]._replace(energy_kwh=None, quality=int(Quality.MISSING))
    fine_readings_ingest(rows=rows, source="gateway")
    assert _halves() == [(None, Quality.MISSING, Stage.PRELIMINARY, 1)]


def test_of_two_interval_lengths_the_finer_makes_the_half_hour(meter: Meter) -> None:
    fives = [FineRow(POINT, NOON + timedelta(minutes=5 * n), 5, Decimal(60)) for n in range(6)]
    fine_readings_ingest(rows=[*_minutes(), *fives], source="gateway")
    assert _halves() == [("300.000", Quality.OK, Stage.PRELIMINARY, 1)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"interval_min": 15}, "interval_min"),
        ({"interval_min": True}, "interval_min"),
        ({"point_number": OTHER}, "point_number"),
        ({"point_number": "1" * 22}, "point_number"),
        ({"start_at": NOON + timedelta(seconds=30)}, "start_at"),
        ({"start_at": NOON.replace(tzinfo=None)}, "start_at"),
        ({"start_at": NOON + timedelta(days=3)}, "start_at"),
        ({"interval_min": 5, "start_at": NOON + timedelta(minutes=1)}, "start_at"),
        ({"energy_kwh": Decimal("NaN")}, "energy_kwh"),
        ({"energy_kwh": Decimal(99_999)}, "energy_kwh"),
        ({"energy_kwh": None}, "energy_kwh"),
        ({"quality": 9}, "quality"),
        ({"stage": 0}, "stage"),
        ({"available_at": NOON}, "available_at"),
    ],
)
def test_a_wrong_minute_is_refused_and_nothing_kept(
    meter: Meter, changes: dict[str, Any], field: str
) -> None:
    rows = [*_minutes(count=2), _minutes(first=5, count=1)[0]._replace(**changes)]
    with pytest.raises(ReadingRefused) as refused:
        fine_readings_ingest(rows=rows, source="gateway")
    assert refused.value.field == f"rows[2].{field}"
    assert FineReading.objects.count() == 0


def test_a_minute_twice_in_a_batch_is_refused(meter: Meter) -> None:
    with pytest.raises(ReadingRefused, match="once in a batch"):
        fine_readings_ingest(rows=[*_minutes(), _minutes("11")[0]], source="gateway")
    assert FineReading.objects.count() == 0


def test_short_readings_are_never_changed(meter: Meter) -> None:
    fine_readings_ingest(rows=_minutes(count=1), source="gateway")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE metering_finereading SET energy_kwh = 1")


def test_partitions_are_made_ahead_once(meter: Meter) -> None:
    made = partitions_ahead()
    # November 2026 to February 2027 of both tables, as far as they were not there.
    assert "metering_finereading_2027_02" in made
    assert "metering_intervalreading_2027_02" in made
    assert partitions_ahead() == []


def _register(meter: Meter, **changes: Any) -> MeterRegister:
    values: dict[str, Any] = {
        "meter": meter,
        "serial": "A-1",
        "digits": 6,
        "count_kwh": Decimal("0.1"),
        "coefficient_ratio": Decimal(100),
        "installed_at": NOON - timedelta(days=100),
        **changes,
    }
    return register_install(**values)


def _shown(*counts: int, first: int = 0, **rest: Any) -> list[RegisterRow]:
    return [
        RegisterRow(POINT, NOON + (first + n) * HALF_HOUR, count, **rest)
        for n, count in enumerate(counts)
    ]


def test_a_register_makes_half_hours_as_its_readings_come(meter: Meter) -> None:
    _register(meter)
    # 10 kWh a count.
    first = register_readings_ingest(rows=_shown(100, 130), source="read")
    assert (first.added, first.half_hours.added) == (2, 1)
    later = register_readings_ingest(rows=_shown(170, first=2), source="read")
    assert later.half_hours.added == 1
    assert [row[0] for row in _halves()] == ["300.000", "400.000"]
    again = register_readings_ingest(rows=_shown(100, 130, 170), source="read")
    assert (again.added, again.unchanged) == (0, 3)


def test_a_corrected_count_revises_the_half_hours_on_either_side(meter: Meter) -> None:
    _register(meter)
    register_readings_ingest(rows=_shown(100, 130, 170), source="read")
    register_readings_ingest(rows=_shown(140, first=1), source="read")
    # 40 and 30 counts instead of 30 and 40.
    assert [row[0] for row in _halves()] == ["300.000", "400.000", "400.000", "300.000"]
    assert RegisterReading.objects.filter(revision=2).count() == 1


def test_a_rollover_counts_on_and_a_step_back_is_listed(meter: Meter) -> None:
    _register(meter)
    found = register_readings_ingest(rows=_shown(999_990, 20, 10, 15), source="read")
    # 30 counts over the turn; 20 → 10 would be 999,990 counts; then 5 counts.
    assert [row[0] for row in _halves()] == ["300.000", "50.000"]
    assert found.findings_count == 1
    (finding,) = ReadingFinding.objects.all()
    assert (finding.fault, finding.start_at) == ("RESET", NOON + HALF_HOUR)
    assert finding.evidence["count_before"] == 20


def test_an_exchanged_meter_shares_its_half_hour(meter: Meter) -> None:
    _register(meter)
    at = NOON + timedelta(minutes=10)
    _register(meter, serial="B-2", count_kwh=Decimal(1), coefficient_ratio=1, installed_at=at)
    rows = [
        RegisterRow(POINT, NOON, 100),
        RegisterRow(POINT, at, 105, serial="A-1"),
        RegisterRow(POINT, at, 0),
        RegisterRow(POINT, NOON + HALF_HOUR, 70),
    ]
    register_readings_ingest(rows=rows, source="exchange")
    # 5 counts of 10 kWh with the old, 70 of 1 kWh with the new.
    assert [row[0] for row in _halves()] == ["120.000"]


def test_import_and_export_are_netted_where_both_are_known(meter: Meter) -> None:
    _register(meter)
    _register(meter, serial="X-1", is_export=True)
    register_readings_ingest(rows=_shown(100, 130, 160), source="read")
    assert _halves() == []
    register_readings_ingest(rows=_shown(0, 10, is_export=True), source="read")
    # 300 in, 100 out; of the second half hour the export is not known.
    assert [row[0] for row in _halves()] == ["200.000"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"point_number": OTHER}, "point_number"),
        ({"point_number": None}, "point_number"),
        ({"serial": "Z"}, "point_number"),
        ({"is_export": True}, "point_number"),
        ({"read_at": NOON - timedelta(days=101)}, "point_number"),
        ({"shown_count": -1}, "shown_count"),
        ({"shown_count": 10**6}, "shown_count"),
        ({"shown_count": "1"}, "shown_count"),
        ({"read_at": NOON + timedelta(days=3)}, "read_at"),
        ({"read_at": NOON.replace(tzinfo=None)}, "read_at"),
        ({"read_at": NOON.replace(microsecond=1)}, "read_at"),
        ({"stage": 4}, "stage"),
        ({"is_reset": 1}, "is_reset"),
    ],
)
def test_a_wrong_register_reading_is_refused_and_nothing_kept(
    meter: Meter, changes: dict[str, Any], field: str
) -> None:
    _register(meter)
    rows = [*_shown(100, 130), _shown(170, first=2)[0]._replace(**changes)]
    with pytest.raises(ReadingRefused) as refused:
        register_readings_ingest(rows=rows, source="read")
    assert refused.value.field == f"rows[2].{field}"
    assert RegisterReading.objects.count() == 0


def test_a_register_that_counts_nothing_or_comes_before_another_is_refused(meter: Meter) -> None:
    _register(meter)
    for changes in (
        {"digits": 0},
        {"count_kwh": Decimal(0)},
        {"count_kwh": Decimal("NaN")},
        {"serial": ""},
        {"installed_at": NOON.replace(tzinfo=None)},
        {"installed_at": NOON - timedelta(days=100)},
    ):
        with pytest.raises(Refused):
            _register(meter, **changes)
    assert MeterRegister.objects.count() == 1


FROM_ON, TO_ON = cast.date(2026, 11, 25), cast.date(2026, 11, 26)


def _usual(t: int) -> Decimal:
    return Decimal(5_000 + 10 * t)


def _read(number: str, first: int, last: int, factor: str = "1") -> None:
    readings_ingest(
        rows=[
            ReadingRow(
                number,
                day_start(FROM_ON, days=n) + t * HALF_HOUR,
                # every day a little more than the one before
                (_usual(t) + n) * Decimal(factor),
                available_at=day_start(FROM_ON, days=n + 1),
            )
            for n in range(first, last)
            for t in range(48)
        ],
        source="history",
    )


def test_an_inspection_lists_what_is_wrong_once(meter: Meter) -> None:
    _read(POINT, -14, 0)
    _read(POINT, 0, 1, factor="2")
    found = readings_inspect(from_on=FROM_ON, to_on=TO_ON)
    assert [(row.fault, row.evidence["factor"]) for row in found] == [("UNIT", "2")]
    again = readings_inspect(from_on=FROM_ON, to_on=TO_ON)
    assert [row.pk for row in again] == [row.pk for row in found]
    assert reading_findings(from_on=FROM_ON, to_on=TO_ON).count() == 1


def test_gaps_negatives_bad_and_late_values_are_listed(meter: Meter) -> None:
    start = day_start(FROM_ON)
    rows = [ReadingRow(POINT, start + t * HALF_HOUR, Decimal(5_000)) for t in range(48)]
    rows[5] = rows[5]._replace(energy_kwh=None, quality=int(Quality.MISSING))
    rows[6] = rows[6]._replace(energy_kwh=Decimal(-1))
    rows[7] = rows[7]._replace(energy_kwh=Decimal(999_999), quality=int(Quality.BAD))
    cast.market_time(NOON + timedelta(days=4))
    readings_ingest(rows=rows, source="late")
    found = readings_inspect(from_on=FROM_ON, to_on=TO_ON, limits=Limits(late_days=2))
    told = {
        (row.fault, (row.start_at - start) // HALF_HOUR, (row.end_at - start) // HALF_HOUR)
        for row in found
    }
    # known at 12:00 on the 29th, more than two days after all of the 25th
    assert told == {
        ("GAP", 5, 6),
        ("GAP", 7, 8),
        ("NEGATIVE", 6, 7),
        ("ABSURD", 7, 8),
        ("LATE", 0, 48),
    }


def test_readings_of_another_meter_are_listed_for_both(meter: Meter) -> None:
    other = meter_register(
        point_number=OTHER, resource=cast.Resource.objects.get(code="shiroi-dc-1-load")
    )
    _read(POINT, 0, 1)
    _read(OTHER, 0, 1)
    found = readings_inspect(from_on=FROM_ON, to_on=TO_ON)
    assert {(row.fault, row.meter_id) for row in found} == {
        ("WRONG_METER", meter.pk),
        ("WRONG_METER", other.pk),
    }


def test_the_half_hour_and_its_minutes_may_not_differ_unseen(meter: Meter) -> None:
    fine_readings_ingest(rows=_minutes(), source="gateway")
    readings_ingest(
        rows=[ReadingRow(POINT, NOON, Decimal(301), 0, int(Stage.CONFIRMED))], source="operator"
    )
    found = readings_inspect(from_on=FROM_ON, to_on=TO_ON)
    (overlap,) = [row for row in found if row.fault == "OVERLAP"]
    assert overlap.evidence == {"30 min": "301.000", "1 min": "300.000"}


def test_days_to_come_are_not_inspected(meter: Meter) -> None:
    with pytest.raises(Refused, match="over"):
        readings_inspect(from_on=FROM_ON, to_on=cast.date(2026, 11, 29))
    with pytest.raises(Refused, match="1 to 62"):
        readings_inspect(from_on=TO_ON, to_on=TO_ON)


def test_the_command_prints_what_was_known_when(meter: Meter) -> None:
    known_at = NOON + HALF_HOUR
    for kwh, at in (("500", known_at), ("450", known_at + timedelta(hours=1))):
        row = ReadingRow(POINT, NOON, Decimal(kwh), available_at=at)
        readings_ingest(rows=[row], source="test")
    day = ["2026-11-25", "2026-11-26"]
    text = StringIO()
    hyphenated = "03-1000-0000-0000-0000-0101"
    call_command("readings", "known", *day, meter=hyphenated, as_of=known_at, stdout=text)
    assert text.getvalue().splitlines() == [
        "start_at,energy_kwh,quality,stage,revision",
        "2026-11-25T03:00:00+00:00,500.000,OK,PRELIMINARY,1",
    ]
    text = StringIO()
    call_command("readings", "inspect", *day, stdout=text)
    assert text.getvalue().splitlines()[-1] == "2 findings"
    with pytest.raises(CommandError, match="registered"):
        call_command("readings", "known", *day, meter=OTHER)
    with pytest.raises(CommandError, match="--meter"):
        call_command("readings", "known", *day)
