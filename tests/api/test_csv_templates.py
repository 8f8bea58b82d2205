"""Templates of uploads: their columns are those that are read, and filled in they are taken."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from accounts.parties.roles import Role
from aggregator.metering.services import meter_register
from tests import cast
from tests.api.conftest import AsMember, DoorClient

POINT = f"03{101:020d}"
ROWS: dict[str, dict[str, str]] = {
    "bids": {
        "client_bid_id": "a", "form": "STEPS", "mechanism": "DEFERRAL",
        "resource": "inzai-dc-1-load", "direction": "UP", "first_t": "34", "last_t": "39",
        "quantity_kw": "4000", "ask_jpy_per_kwh": "12.50",
    },
    "needs": {
        "code": "tokyo-up", "kind": "BALANCE", "direction": "UP", "area": "03", "first_t": "0",
        "last_t": "47", "quantity_kw": "1000", "cap_jpy_per_kwh": "30",
    },
    "readings": {
        "point_number": POINT, "start_at": "2026-11-24T00:00:00+09:00", "energy_kwh": "1.5",
    },
}  # fmt: skip
DOORS = {
    "bids": ("/api/v1/auctions/DA-2026-11-25/bids", Role.OPERATOR_TRADER, "inzai-dc"),
    "needs": ("/api/v1/auctions/DA-2026-11-25/needs", Role.GRID_PLANNER, "grid-t"),
    "readings": ("/api/v1/readings", Role.OPERATOR_TRADER, "inzai-dc"),
}


@pytest.mark.parametrize("rows", list(ROWS))
def test_a_template_that_is_filled_in_is_taken(
    rows: str, anonymous: DoorClient, as_member: AsMember
) -> None:
    places = cast.places()
    auction = cast.auction(places)
    cast.base_flows(places, auction)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    meter_register(point_number=POINT, resource=places.resources["inzai-load"])
    got = anonymous.get(f"/api/v1/csv-templates/{rows}")
    assert (got.status_code, got["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert got["Content-Disposition"] == f'attachment; filename="{rows}.csv"'
    (columns,) = csv.reader(io.StringIO(got.content.decode("utf-8-sig")))
    assert set(ROWS[rows]) <= set(columns)
    table = io.StringIO()
    writer = csv.DictWriter(table, columns)
    writer.writeheader()
    writer.writerow(ROWS[rows])
    path, role, organisation = DOORS[rows]
    answer: Any = as_member(role, organisation).generic(
        "POST",
        path,
        table.getvalue().encode(),
        content_type="text/csv",
        headers={"Idempotency-Key": "one"},
    )
    assert answer.status_code == 201, answer.content


def test_there_is_no_template_of_anything_else(anonymous: DoorClient) -> None:
    answer = anonymous.get("/api/v1/csv-templates/sites")
    assert (answer.status_code, answer.json()["field"]) == (404, "rows")
    assert anonymous.get("/api/v1/csv-templates/bids", {"x": "1"}).status_code == 400
