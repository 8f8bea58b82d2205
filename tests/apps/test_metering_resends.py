"""What is sent again, corrected or measured at two lengths leaves one value, and the right one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregator.metering.fine import FineRow, fine_readings_ingest
from aggregator.metering.intake import batch_take
from aggregator.metering.models import IntervalReading, Meter, MeterRegister, Quality, Stage
from aggregator.metering.registers import RegisterRow, register_install, register_readings_ingest
from aggregator.metering.selectors import readings_latest
from aggregator.metering.services import ReadingRow, meter_register
from tests import cast

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 25, 3, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
POINT = "0310000000000000000101"
D = Decimal


@pytest.fixture
def meter() -> Meter:
    cast.market_time(NOON + timedelta(days=2))
    return meter_register(point_number=POINT, resource=cast.places().resources["inzai-load"])


def _minutes(kwh: str = "10", **rest: Any) -> list[FineRow]:
    return [FineRow(POINT, NOON + timedelta(minutes=n), 1, D(kwh), **rest) for n in range(30)]


def _fives(kwh: str, **rest: Any) -> list[FineRow]:
    return [FineRow(POINT, NOON + timedelta(minutes=5 * n), 5, D(kwh), **rest) for n in range(6)]


def _latest(meter: Meter) -> list[tuple[Decimal | None, int, int]]:
    rows = readings_latest(
        meter_ids=[meter.pk],
        start_at=NOON,
        end_at=NOON + 3 * HALF_HOUR,
        as_of=NOON + timedelta(days=9),
    )
    return [(row.energy_kwh, row.quality, row.stage) for row in rows]


def _register(meter: Meter, **changes: Any) -> MeterRegister:
    values: dict[str, Any] = {
        "meter": meter,
        "serial": "A-1",
        "digits": 6,
        "count_kwh": D(10),
        "installed_at": NOON - timedelta(days=100),
        **changes,
    }
    return register_install(**values)


def _shown(*counts: int, first: int = 0, **rest: Any) -> list[RegisterRow]:
    return [
        RegisterRow(POINT, NOON + (first + n) * HALF_HOUR, count, **rest)
        for n, count in enumerate(counts)
    ]


def test_a_half_hour_sent_with_its_minutes_again_changes_nothing(meter: Meter) -> None:
    # 301 kWh as a half hour, 30 · 10 as minutes: the minutes speak, the other is kept behind them
    batch = dict(enumerate([ReadingRow(POINT, NOON, D(301)), *_minutes()]))
    batch_take(rows=batch, source="gateway")
    assert _latest(meter) == [(D(300), Quality.OK, Stage.PRELIMINARY)]
    rows_count = IntervalReading.objects.count()
    for _ in range(2):
        found = batch_take(rows=batch, source="gateway").ingested
        assert (found.added, found.revised, found.unchanged) == (0, 0, 31)
    assert IntervalReading.objects.count() == rows_count
    assert _latest(meter) == [(D(300), Quality.OK, Stage.PRELIMINARY)]


def test_a_half_hour_that_comes_after_its_minutes_does_not_speak_for_them(meter: Meter) -> None:
    batch_take(rows=dict(enumerate(_minutes())), source="gateway")
    batch_take(rows={0: ReadingRow(POINT, NOON, D(301))}, source="operator")
    assert _latest(meter) == [(D(300), Quality.OK, Stage.PRELIMINARY)]
    # what was sent is kept all the same
    assert IntervalReading.objects.filter(energy_kwh=301).count() == 1
    # a value of a higher stage prevails over any minutes of a lower one
    final = ReadingRow(POINT, NOON, D(302), stage=int(Stage.FINAL))
    batch_take(rows={0: final}, source="operator")
    assert _latest(meter) == [(D(302), Quality.OK, Stage.FINAL)]


def test_a_five_minute_value_revised_does_not_speak_for_whole_minutes(meter: Meter) -> None:
    fine_readings_ingest(rows=[*_minutes(), *_fives("50")], source="gateway")
    fine_readings_ingest(rows=_fives("51")[:1], source="gateway")
    assert _latest(meter) == [(D(300), Quality.OK, Stage.PRELIMINARY)]
    fine_readings_ingest(rows=_minutes("11")[:1], source="gateway")
    assert _latest(meter) == [(D(301), Quality.OK, Stage.PRELIMINARY)]


def test_an_export_register_leaves_what_was_read_before_it_as_it_was(meter: Meter) -> None:
    _register(meter)
    register_readings_ingest(rows=_shown(100, 130, 160), source="read")
    _register(meter, serial="X-1", is_export=True, installed_at=NOON + 2 * HALF_HOUR)
    register_readings_ingest(rows=_shown(140, first=1), source="read")
    # 40 and 20 counts of 10 kWh instead of 30 and 30
    assert [row[0] for row in _latest(meter)] == [D(400), D(200)]
    register_readings_ingest(rows=_shown(190, first=3), source="read")
    # from its installation on what it counts must be known, too
    assert [row[0] for row in _latest(meter)] == [D(400), D(200)]
    register_readings_ingest(rows=_shown(0, 5, first=2, is_export=True), source="read")
    assert [row[0] for row in _latest(meter)] == [D(400), D(200), D(250)]


def test_a_corrected_register_withdraws_what_can_no_longer_be_told(meter: Meter) -> None:
    _register(meter)
    register_readings_ingest(rows=_shown(100, 130, 160), source="read")
    assert [row[0] for row in _latest(meter)] == [D(300), D(300)]
    # the register was set back at 12:30: what lies before it is not known any more
    register_readings_ingest(rows=_shown(130, first=1, is_reset=True), source="read")
    assert _latest(meter) == [
        (None, Quality.MISSING, Stage.PRELIMINARY),
        (D(300), Quality.OK, Stage.PRELIMINARY),
    ]
    again = register_readings_ingest(rows=_shown(130, first=1, is_reset=True), source="read")
    assert (again.added, again.half_hours.added) == (0, 0)
    # and once more told otherwise, it is known again
    register_readings_ingest(rows=_shown(140, first=1), source="read")
    assert [row[0] for row in _latest(meter)] == [D(400), D(200)]
