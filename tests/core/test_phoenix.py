"""The Phoenix field event: what its cluster delivered against its own load before the event.

Half hours are counted from 16:15 on, when the event began; the baseline is the mean of the hour
before 16:00, when nothing had been called yet (直前計測 of 60 minutes).
"""

import csv
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aggregator.core.baselines_sameday import FineValue, JustBefore, baseline_just_before
from aggregator.core.delivery import Delivered, Direction, Ordered, deliver
from tests.shared_files import shared_path

D = Decimal
PHOENIX = ZoneInfo("America/Phoenix")
NAME = "emerald_phoenix_demo/SRP_total_power.csv"
FIRST_T = 32
HALF_HOURS = 6
MINUTES = 30


def _minutes(path: Path) -> dict[datetime, Decimal]:
    """Read a file of the mean power of each minute [W] as energy [kWh], by local time."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            datetime.fromisoformat(row["timestamp"]).astimezone(PHOENIX): (
                D(row["total"]) / 60_000
            ).quantize(D("0.001"))
            for row in csv.DictReader(file)
        }


def _delivered(path: Path, *, asked_kw: Decimal) -> tuple[Decimal, list[Delivered]]:
    """Return the baseline's kW and what each half hour delivered on an order of `asked_kw`."""
    minutes = _minutes(path)
    day = min(minutes).replace(hour=0, minute=0)
    fine = [
        FineValue(start_at=at, interval_min=1, energy_kwh=kwh)
        for at, kwh in sorted(minutes.items())
    ]
    slots = range(FIRST_T, FIRST_T + HALF_HOURS)
    baseline = baseline_just_before(
        fine,
        event=slots,
        instructed_at=dict.fromkeys(slots, day + timedelta(hours=16)),
        rules=JustBefore(minutes=60),
    )
    rows = []
    for n, t in enumerate(slots):
        start_at = day + timedelta(hours=16, minutes=15 + MINUTES * n)
        metered_kwh = sum((minutes[start_at + timedelta(minutes=k)] for k in range(MINUTES)), D(0))
        rows += deliver(
            [Ordered(award="srp", direction=Direction.UP, ordered_kwh=asked_kw / 2)],
            baseline_kwh=baseline.baseline_kwh[t],
            metered_kwh=metered_kwh,
        )
    return baseline.baseline_kwh[FIRST_T] * 2, rows


def test_the_srp_event_delivered_what_its_paper_says() -> None:
    path = shared_path(NAME)
    if path is None:
        pytest.skip(f"{NAME} is not here; the same reading is tested on a generated file")
    # 25 % of 93.1 kW was asked: 23.3 kW
    baseline_kw, rows = _delivered(path, asked_kw=D("23.3"))
    assert baseline_kw == pytest.approx(D("93.10"), abs=D("0.01"))
    in_all = sum((row.delivered_kwh + row.over_kwh for row in rows), D(0))
    # (93.10 − 64.26) kW · 3 h = 86.5
    assert in_all == pytest.approx(D("86.54"), abs=D("0.05"))
    # every half hour gave what was asked, 6 · 11.65, and more
    assert [row.shortfall_kwh for row in rows] == [0] * HALF_HOURS
    assert sum(row.delivered_kwh for row in rows) == D("69.900")
    mean_kw = baseline_kw - in_all / 3
    assert mean_kw == pytest.approx(D("64.26"), abs=D("0.02"))


def test_a_file_of_the_same_layout_is_read_alike(tmp_path: Path) -> None:
    # 90 kW before 16:00, 75 kW until 16:15 as it ramps down, then 60 kW: 30 kW · 3 h = 90 kWh
    start = datetime(2025, 5, 4, 14, 40, tzinfo=PHOENIX)
    lines = ["timestamp,total"]
    for minute in range(400):
        at = start + timedelta(minutes=minute)
        ramp, event, end = (at.replace(hour=h, minute=m) for h, m in ((16, 0), (16, 15), (19, 15)))
        watts = 90_000 if at < ramp or at >= end else 75_000 if at < event else 60_000
        lines.append(f"{at.isoformat(sep=' ')},{watts}.0")
    path = tmp_path / "SRP_total_power.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    baseline_kw, rows = _delivered(path, asked_kw=D(40))
    assert baseline_kw == D(90)
    # 40 kW asked, 30 given: 15 of 20 kWh in every half hour
    assert [(row.delivered_kwh, row.shortfall_kwh) for row in rows] == [(D(15), D(5))] * 6
    assert sum((row.delivered_kwh + row.over_kwh for row in rows), D(0)) == D(90)
