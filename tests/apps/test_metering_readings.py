"""Readings on PostgreSQL: taken whole, refused whole, revised, read as of a moment."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.clock.services import clock_set
from accounts.core.errors import Refused
from aggregator.metering.models import IntervalReading, Meter, Quality, Stage
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.readings_csv import FileRefused, readings_ingest_csv
from aggregator.metering.schedules import schedule_declare
from aggregator.metering.selectors import readings_latest
from aggregator.metering.services import (
    Ingested,
    ReadingRefused,
    ReadingRow,
    meter_register,
    readings_ingest,
)
from market.registry.models import StorageUnit
from tests import cast

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 3, tzinfo=UTC)  # 12:00 JST
HALF_HOUR = timedelta(minutes=30)
POINT = "0300000000000000000101"


@pytest.fixture
def meter() -> Meter:
    clock_set(market_at=NOON + timedelta(days=2))
    resource = cast.places().resources["inzai-load"]
    return meter_register(point_number=POINT, resource=resource)


def _row(n: int = 0, kwh: str | None = "500.125", **changes: Any) -> ReadingRow:
    row = ReadingRow(
        point_number=POINT,
        start_at=NOON + n * HALF_HOUR,
        energy_kwh=None if kwh is None else Decimal(kwh),
    )
    return row._replace(**changes)


def _latest(meter: Meter, as_of: datetime | None = None) -> list[tuple[int, str, int]]:
    rows = readings_latest(
        meter_ids=[meter.id],
        start_at=NOON - timedelta(days=1),
        end_at=NOON + timedelta(days=1),
        as_of=as_of or NOON + timedelta(days=9),
    )
    return [(row.t, str(row.energy_kwh), row.revision) for row in rows]


def test_a_batch_is_stored_by_half_hour_of_the_japanese_day(meter: Meter) -> None:
    assert readings_ingest(rows=[_row(0), _row(1, "400")], source="test") == Ingested(
        added=2, revised=0, unchanged=0
    )
    # 12:00 JST is t = 24.
    assert _latest(meter) == [(24, "500.125", 1), (25, "400.000", 1)]


def test_a_repeated_batch_changes_nothing(meter: Meter) -> None:
    rows = [_row(0), _row(1, "400"), _row(2), _row(3), _row(4)]
    readings_ingest(rows=rows, source="test")
    assert readings_ingest(rows=rows, source="other") == Ingested(added=0, revised=0, unchanged=5)
    # Written with another number of zeros it is the same value.
    again = readings_ingest(rows=[_row(1, "400.0")], source="test")
    assert again.unchanged == 1


def test_a_changed_value_is_the_next_revision(meter: Meter) -> None:
    readings_ingest(rows=[_row(0)], source="test")
    assert readings_ingest(rows=[_row(0, "499")], source="test").revised == 1
    readings_ingest(rows=[_row(0)], source="test")
    assert _latest(meter) == [(24, "500.125", 3)]
    assert IntervalReading.objects.filter(meter=meter).count() == 3


def test_final_values_prevail_in_whatever_order_stages_arrive(meter: Meter) -> None:
    readings_ingest(rows=[_row(0, "480", stage=Stage.FINAL)], source="test")
    readings_ingest(rows=[_row(0, "500", stage=Stage.PRELIMINARY)], source="test")
    readings_ingest(rows=[_row(0, "490", stage=Stage.CONFIRMED)], source="test")
    assert [kwh for _, kwh, _ in _latest(meter)] == ["480.000"]


def test_what_was_not_yet_known_is_not_seen(meter: Meter) -> None:
    known_at = NOON + HALF_HOUR
    readings_ingest(rows=[_row(0, "500", available_at=known_at)], source="test")
    later = known_at + timedelta(hours=1)
    readings_ingest(rows=[_row(0, "450", available_at=later)], source="test")
    assert _latest(meter, as_of=known_at - timedelta(seconds=1)) == []
    assert _latest(meter, as_of=known_at) == [(24, "500.000", 1)]
    assert _latest(meter, as_of=later) == [(24, "450.000", 2)]


def test_a_missing_value_has_no_energy_and_is_not_usable(meter: Meter) -> None:
    readings_ingest(rows=[_row(0, None, quality=Quality.MISSING)], source="test")
    (reading,) = readings_latest(
        meter_ids=[meter.id], start_at=NOON, end_at=NOON + HALF_HOUR, as_of=NOON + HALF_HOUR * 200
    )
    assert reading.usable_kwh is None


def test_two_stages_of_a_half_hour_may_come_in_one_batch(meter: Meter) -> None:
    rows = [_row(0, "480", stage=Stage.FINAL), _row(0, "500")]
    assert readings_ingest(rows=rows, source="test").added == 2
    assert _latest(meter)[0][1] == "480.000"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"point_number": "0399999999999999999999"}, "point_number"),
        ({"start_at": datetime(2026, 11, 25, 3)}, "start_at"),  # noqa: DTZ001 - what is refused
        ({"start_at": "2026-11-25T03:00:00Z"}, "start_at"),
        ({"start_at": NOON + timedelta(minutes=1)}, "start_at"),
        ({"start_at": NOON + timedelta(microseconds=1)}, "start_at"),
        ({"start_at": NOON + timedelta(days=2)}, "start_at"),
        ({"start_at": NOON - timedelta(days=5 * 366)}, "start_at"),
        ({"start_at": datetime.fromisoformat("9999-12-31T23:30:00-14:00")}, "start_at"),
        ({"start_at": datetime.fromisoformat("0001-01-01T00:00:00+14:00")}, "start_at"),
        ({"point_number": "\0"}, "point_number"),
        ({"point_number": "\ud800"}, "point_number"),
        ({"point_number": None}, "point_number"),
        ({"energy_kwh": Decimal("NaN")}, "energy_kwh"),
        ({"energy_kwh": Decimal("-Infinity")}, "energy_kwh"),
        ({"energy_kwh": Decimal("1e9") + 1}, "energy_kwh"),
        ({"energy_kwh": Decimal("1E+3")}, "energy_kwh"),
        ({"energy_kwh": Decimal("0.0001")}, "energy_kwh"),
        ({"energy_kwh": 1.5}, "energy_kwh"),
        ({"energy_kwh": True}, "energy_kwh"),
        ({"energy_kwh": None}, "energy_kwh"),
        ({"quality": Quality.MISSING}, "energy_kwh"),
        ({"quality": 9}, "quality"),
        ({"quality": True}, "quality"),
        ({"stage": "FINAL"}, "stage"),
        ({"stage": 0}, "stage"),
        ({"available_at": datetime(2026, 11, 25, 9)}, "available_at"),  # noqa: DTZ001
        ({"available_at": NOON}, "available_at"),
        ({"available_at": NOON + timedelta(days=30)}, "available_at"),
    ],
)
def test_one_bad_row_refuses_the_batch(
    meter: Meter, changes: dict[str, object], field: str
) -> None:
    rows = [_row(1), _row(0)._replace(**changes)]
    with pytest.raises(ReadingRefused) as refusal:
        readings_ingest(rows=rows, source="test")
    assert refusal.value.field == f"rows[1].{field}"
    assert refusal.value.rule
    assert not IntervalReading.objects.exists()


def test_a_half_hour_twice_in_a_batch_is_refused(meter: Meter) -> None:
    with pytest.raises(ReadingRefused, match="once in a batch"):
        readings_ingest(rows=[_row(0), _row(0, "1")], source="test")


@pytest.mark.parametrize(
    "source", ["", "x" * 41, "a\tb", "a\\Nb", "a\nb", "a\0b", "a\ud800b", "\x1b[2J", None]
)
def test_a_source_that_would_break_the_copy_is_refused(meter: Meter, source: str) -> None:
    with pytest.raises(ReadingRefused, match="source"):
        readings_ingest(rows=[_row(0)], source=source)


def test_nothing_in_nothing_out(meter: Meter) -> None:
    assert readings_ingest(rows=[], source="test") == Ingested(added=0, revised=0, unchanged=0)


def test_a_month_that_nobody_prepared_is_refused_by_the_database(meter: Meter) -> None:
    with (
        pytest.raises(IntegrityError, match="no partition"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO metering_intervalreading (meter_id, start_at, energy_kwh, quality,"
            " revision, stage, available_at, source)"
            " VALUES (%s, '1999-01-01 00:00+00', 1, 0, 1, 1, '1999-02-01 00:00+00', 'x')",
            [meter.id],
        )


def test_partitions_are_made_once_a_month() -> None:
    # December 2031 is a month that no other test needs.
    assert reading_partitions_ensure(months=[(2031, 12)]) == ["metering_intervalreading_2031_12"]
    assert reading_partitions_ensure(months=[(2031, 12)]) == []
    with pytest.raises(Refused, match="months"):
        reading_partitions_ensure(months=[(2031, 13)])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE metering_intervalreading SET energy_kwh = 0",
        "DELETE FROM metering_intervalreading",
        "DELETE FROM metering_meter",
    ],
)
def test_readings_and_meters_stay(meter: Meter, statement: str) -> None:
    readings_ingest(rows=[_row(0)], source="test")
    with (
        pytest.raises(DatabaseError, match="refused"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_the_database_refuses_what_no_service_would_write(meter: Meter) -> None:
    readings_ingest(rows=[_row(0)], source="test")
    for energy, quality in (("NaN", 0), (None, 0), ("1", 2), ("1", 7)):
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "INSERT INTO metering_intervalreading (meter_id, start_at, energy_kwh, quality,"
                " revision, stage, available_at, source)"
                " VALUES (%s, %s, %s::numeric, %s, 5, 1, %s, 'x')",
                [meter.id, NOON, energy, quality, NOON + HALF_HOUR],
            )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_the_order_of_batches_of_different_stages_changes_no_result(
    meter: Meter, data: st.DataObject
) -> None:
    with transaction.atomic():
        batches = [
            [_row(n, f"{100 * stage + n}", stage=stage) for n in range(3)] for stage in Stage
        ]
        for batch in data.draw(st.permutations(batches)):
            readings_ingest(rows=batch, source="test")
        assert [kwh for _, kwh, _ in _latest(meter)] == ["300.000", "301.000", "302.000"]
        transaction.set_rollback(True)


def _csv(*lines: str, count: int | None = None, end: str = "\n") -> bytes:
    header = "point_number,start_at,energy_kwh,quality,stage"
    last = f"END,{len(lines) if count is None else count}"
    return (end.join([header, *lines, last]) + end).encode()


GOOD_LINE = f"{POINT},2026-11-25T12:00:00+09:00,500.125,OK,FINAL"


def test_a_file_is_taken_in_with_or_without_a_byte_order_mark(meter: Meter) -> None:
    assert readings_ingest_csv(content=_csv(GOOD_LINE), source="file").ingested.added == 1
    marked = b"\xef\xbb\xbf" + _csv(GOOD_LINE, end="\r\n")
    assert readings_ingest_csv(content=marked, source="file").ingested.unchanged == 1
    gap = f"{POINT},2026-11-25T12:30:00+09:00,,MISSING,FINAL"
    assert readings_ingest_csv(content=_csv(gap), source="file").ingested.added == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        _csv(GOOD_LINE)[:-8],
        _csv(GOOD_LINE, count=2),
        _csv(GOOD_LINE).replace(b"END,1\n", b""),
        _csv(GOOD_LINE).replace(b"+09:00", b""),
        _csv(GOOD_LINE).replace(b"2026-11-25T12:00:00+09:00", b"2026-11-25"),
        _csv(GOOD_LINE).replace(b"2026-11-25T12:00:00+09:00", b"9999-12-31T23:30:00-14:00"),
        _csv(GOOD_LINE).replace(b"500.125", b"60000.001"),
        _csv(GOOD_LINE).replace(b"500.125", b"NaN"),
        _csv(GOOD_LINE).replace(b"500.125", b"1e1000000"),
        _csv(GOOD_LINE).replace(b"500.125", b"1_000"),
        _csv(GOOD_LINE).replace(b"500.125", "５００".encode()),
        _csv(GOOD_LINE).replace(b"OK", b"GOOD"),
        _csv(GOOD_LINE).replace(b"FINAL", b"LATER"),
        _csv(GOOD_LINE + ",extra"),
        _csv('"' + GOOD_LINE),
        "point_number,start_at,energy_kwh,quality,stage\nあ".encode("cp932"),
        _csv(GOOD_LINE).decode().encode("utf-16"),
        _csv(GOOD_LINE).replace(b"OK", b"O\0K"),
    ],
)
def test_a_file_with_one_fault_is_refused_whole(meter: Meter, content: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        readings_ingest_csv(content=content, source="file")
    assert refusal.value.field
    assert not IntervalReading.objects.exists()


def test_a_file_in_shift_jis_with_hyphens_and_minutes_is_taken_in(meter: Meter) -> None:
    header = "point_number,start_at,energy_kwh,quality,stage,interval_min"
    hyphenated = "03-0000-0000-0000-0000-0101"
    lines = [f"{hyphenated},2026-11-25T12:{5 * n:02d}:00+09:00,10,OK,FINAL,5" for n in range(6)]
    lines.append(f"{POINT},2026-11-25T12:30:00+09:00,70.5,OK,FINAL,30")
    content = "\r\n".join([header, *lines, "END,7", ""]).encode("cp932")
    taken = readings_ingest_csv(content=content, source="file")
    assert (taken.ingested.added, taken.warnings) == (7, ())
    # 6 · 10 kWh are the first half hour.
    assert _latest(meter) == [(24, "60.000", 1), (25, "70.500", 1)]


def test_a_shift_jis_file_tells_its_wrong_lines_in_japanese_or_not(meter: Meter) -> None:
    wrong = GOOD_LINE.replace("OK", "正常")
    content = _csv(GOOD_LINE, wrong).decode().encode("cp932")
    with pytest.raises(FileRefused, match="正常") as refused:
        readings_ingest_csv(content=content, source="file")
    assert [fault.line for fault in refused.value.faults] == [3]


def test_every_wrong_line_is_told_and_nothing_kept(meter: Meter) -> None:
    lines = [
        GOOD_LINE,
        GOOD_LINE.replace(POINT, "0399999999999999999999").replace("12:00", "12:30"),
        GOOD_LINE.replace("12:00", "13:00").replace("500.125", "-60000.001"),
        GOOD_LINE.replace("2026-11-25T12:00", "2026-11-27T13:00"),
        GOOD_LINE,
        GOOD_LINE.replace("OK", "GOOD"),
        GOOD_LINE.replace(POINT, POINT[:-1]),
        GOOD_LINE + ",extra",
    ]
    with pytest.raises(FileRefused) as refused:
        readings_ingest_csv(content=_csv(*lines), source="file")
    told = [(fault.line, fault.refused.field) for fault in refused.value.faults]
    assert told == [
        (3, "point_number"),  # another's meter
        (4, "energy_kwh"),  # more than the site can feed in
        (5, "start_at"),  # to come
        (6, "start_at"),  # line 2 again
        (7, "quality"),
        (8, "point_number"),
        (9, "columns"),
    ]
    assert not IntervalReading.objects.exists()


def test_of_a_file_with_wrong_lines_the_good_ones_are_kept_if_asked(meter: Meter) -> None:
    wrong = GOOD_LINE.replace("12:00", "12:30").replace("500.125", "NaN")
    taken = readings_ingest_csv(content=_csv(GOOD_LINE, wrong), source="file", is_partial=True)
    assert taken.ingested.added == 1
    assert [(fault.line, fault.refused.field) for fault in taken.faults] == [(3, "energy_kwh")]
    assert len(_latest(meter)) == 1


@pytest.mark.parametrize(("lost", "kept"), [(5, 2), (7, 2), (8, 1), (20, 1)])
def test_half_a_file_is_refused_and_its_whole_lines_kept_only_if_asked(
    meter: Meter, lost: int, kept: int
) -> None:
    # The trailer is cut, or gone, or the last line too: FINAL to FINA, and half of it.
    content = _csv(GOOD_LINE, GOOD_LINE.replace("12:00", "12:30"))[:-lost]
    with pytest.raises(FileRefused):
        readings_ingest_csv(content=content, source="file")
    assert not IntervalReading.objects.exists()
    taken = readings_ingest_csv(content=content, source="file", is_partial=True)
    assert taken.ingested.added == kept
    assert taken.faults[-1].refused.field == "trailer"


def test_an_odd_third_digit_is_a_warning(meter: Meter) -> None:
    resource = cast.Resource.objects.get(code="shiroi-dc-1-load")
    odd = "0350000000000000000001"
    meter_register(point_number=odd, resource=resource)
    taken = readings_ingest_csv(content=_csv(GOOD_LINE.replace(POINT, odd)), source="file")
    assert taken.ingested.added == 1
    assert "third digit is 5" in taken.warnings[0]


# The site: a contract of 60,000 kW, a load that moves 12,000 kW, a battery of 8,000 kW.
# 0.5 h × 1.5 × 80,000 kW = 60,000 kWh.
MOST_KWH = "60000"


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_half_hour_is_at_most_what_the_site_can_carry(meter: Meter, sign: str) -> None:
    rows = [_row(0), _row(1, f"{sign}{MOST_KWH}.000")]
    assert readings_ingest(rows=rows, source="test").added == 2
    for n in (2, 0):  # as the first value of its half hour, and among known ones
        beyond = [_row(0), _row(1), _row(n, f"{sign}{MOST_KWH}.001", stage=Stage.FINAL)]
        with pytest.raises(ReadingRefused, match="at most 60000 kWh") as refusal:
            readings_ingest(rows=beyond, source="test")
        assert refusal.value.field == "rows[2].energy_kwh"
    assert len(_latest(meter)) == 2


def test_a_battery_a_grid_meter_and_a_store_of_more_power_share_the_sites_bound(
    meter: Meter,
) -> None:
    assert meter.resource is not None
    site = meter.resource.site
    battery = site.resources.get(code="inzai-dc-1-battery")
    numbers = ("03" + "2" * 20, "03" + "3" * 20)
    meter_register(point_number=numbers[0], resource=battery)
    meter_register(point_number=numbers[1], site=site)
    beyond = Decimal(f"-{MOST_KWH}") - 1
    for number in numbers:
        with pytest.raises(ReadingRefused, match="plausible"):
            readings_ingest(rows=[_row(0, str(beyond), point_number=number)], source="test")
    # Charging at 10,000 kW, more than the 8,000 kW it bids: 0.75 h × 82,000 kW = 61,500 kWh.
    StorageUnit.objects.filter(resource=battery).update(charge_kw=10_000)
    rows = [_row(0, str(beyond), point_number=number) for number in numbers]
    assert readings_ingest(rows=rows, source="test").added == 2


def test_a_value_marked_bad_may_be_what_no_site_can_carry(meter: Meter) -> None:
    readings_ingest(rows=[_row(0, "1000000", quality=Quality.BAD)], source="test")
    (reading,) = readings_latest(
        meter_ids=[meter.id], start_at=NOON, end_at=NOON + HALF_HOUR, as_of=NOON + HALF_HOUR * 200
    )
    assert reading.usable_kwh is None


@pytest.mark.parametrize(
    "number",
    [
        None,
        3,
        "0\0" * 11,
        "\ud800" * 22,
        "",
        "0" * 22,
        "11" + "0" * 20,
        "03" + "0" * 19,
        "03" + "０" * 20,
    ],
)
def test_a_point_number_has_22_digits_and_an_area(meter: Meter, number: str) -> None:
    with pytest.raises(Refused, match="point_number"):
        meter_register(point_number=number, resource=cast.Resource.objects.last())


def test_a_meter_belongs_to_one_resource_or_one_site(meter: Meter) -> None:
    assert meter.resource is not None
    with pytest.raises(Refused, match="either"):
        meter_register(point_number="03" + "1" * 20, resource=None)
    with pytest.raises(Refused, match="not taken"):
        meter_register(point_number=POINT, site=meter.resource.site)
    grid = meter_register(point_number="03" + "1" * 20, site=meter.resource.site)
    assert grid.site == meter.resource.site
    with pytest.raises(Refused, match="has its own"):
        meter_register(point_number="03" + "4" * 20, resource=meter.resource)
    with pytest.raises(Refused, match="has its own"):
        meter_register(point_number="03" + "4" * 20, site=grid.site)


def test_a_plan_is_filed_once_and_before_its_day(meter: Meter) -> None:
    resource = cast.Resource.objects.get(code="inzai-dc-1-load")
    tomorrow = cast.date(2026, 11, 28)
    schedule_declare(resource=resource, delivery_on=tomorrow, schedule_kwh=[1] * 48)
    schedule_declare(resource=resource, delivery_on=tomorrow, schedule_kwh=[1] * 48)
    with pytest.raises(Refused, match="filed once"):
        schedule_declare(resource=resource, delivery_on=tomorrow, schedule_kwh=[2] * 48)
    with pytest.raises(Refused, match="gate has not closed"):
        schedule_declare(resource=resource, delivery_on=cast.DAY, schedule_kwh=[1] * 48)
    with pytest.raises(Refused, match="48"):
        schedule_declare(resource=resource, delivery_on=tomorrow, schedule_kwh=[1] * 47)
    with pytest.raises(Refused, match="schedule_kwh"):
        schedule_declare(
            resource=resource, delivery_on=tomorrow, schedule_kwh=[Decimal("NaN")] * 48
        )


@pytest.mark.parametrize("on", [cast.date.min, cast.date.max, cast.date(2101, 1, 1), NOON, None])
def test_a_plan_is_for_a_day_of_this_century(meter: Meter, on: Any) -> None:
    with pytest.raises(Refused, match="a day from 2000 to 2100"):
        schedule_declare(resource=meter.resource, delivery_on=on, schedule_kwh=[1] * 48)


def test_a_plan_is_at_most_what_the_site_can_carry(meter: Meter) -> None:
    tomorrow = cast.date(2026, 11, 28)
    plan = [Decimal(MOST_KWH)] * 47 + [Decimal(f"-{MOST_KWH}.001")]
    with pytest.raises(Refused, match="at most 60000 kWh") as refusal:
        schedule_declare(resource=meter.resource, delivery_on=tomorrow, schedule_kwh=plan)
    assert refusal.value.field == "schedule_kwh[47]"
    plan[47] = -Decimal(MOST_KWH)
    assert schedule_declare(resource=meter.resource, delivery_on=tomorrow, schedule_kwh=plan)
