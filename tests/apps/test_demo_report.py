"""What the demo prints at its end, from rows that are known."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.metering.models import Stage
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import verification_execute
from aggregator.ops.demo.report import _shortfall_lines, _shortfalls
from aggregator.settlement.runs import settlement_run_execute
from tests import cast, settled_day

pytestmark = pytest.mark.django_db


def test_charging_and_discharging_are_not_added_into_one_shortfall() -> None:
    day = settled_day.published(settled_day.settled_places())
    meters = settled_day.metered(day)
    idle = [
        ReadingRow(
            point_number=meters["inzai-battery"].point_number,
            start_at=settled_day.half_hour(day, t),
            energy_kwh=Decimal(0),
            stage=Stage.FINAL,
        )
        for t in range(cast.HALF_HOURS)
    ]
    readings_ingest(rows=idle, source="correction")
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    settlement_run_execute(auction_id=day.auction.id, kind="FINAL")
    found = {(row["resource"], row["direction"]): row for row in _shortfalls(day.auction)}
    # Six half hours each of 3,000 and 2,500 kWh; the load fell 1,000 short once.
    assert {key: (row["shortfall_kwh"], row["ordered_kwh"]) for key, row in found.items()} == {
        ("inzai-dc-1-battery", "UP"): (18_000, 18_000),
        ("inzai-dc-1-battery", "DOWN"): (15_000, 15_000),
        ("inzai-dc-1-load", "UP"): (1_000, 4_500),
    }
    lines = list(_shortfall_lines(list(found.values())))
    assert any("inzai-dc-1-battery DOWN: 15,000 of 15,000 kWh" in line for line in lines)
