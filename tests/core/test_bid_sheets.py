"""Bids as rows: five forms read and written by one layout, and nothing of a row is lost."""

from __future__ import annotations

from typing import Any

import pytest

from market.trading.bid_sheets import COLUMNS, rows_written, sheet_read

HEAD = {"mechanism": "DEFERRAL", "resource": "load"}
BLOCK = {
    "client_bid_id": "b", "form": "BLOCK", **HEAD, "direction": "UP", "first_t": 34,
    "quantity_kw": ["1000", "1000", "500.5"], "ask_jpy_per_kwh": "-4.5",
    "acceptance_min_ratio": "0.5", "start_cost_jpy": "1000", "run_min_count": 2,
    "exclusive_group": "g", "parent": "-a",
}  # fmt: skip
DEFERRAL = {
    "client_bid_id": "d", "form": "DEFERRAL", **HEAD, "workload_class": "BATCH", "first_t": 30,
    "last_t": 33, "arriving_kw": ["10", "10", "20", "20"], "slack_count": 3,
    "service_limit_kw": ["40", "40", "40", "50"], "rebound_limit_kw": "30",
    "extra_work_ratio": "0.02", "ask_jpy_per_kwh": "28",
}  # fmt: skip
STEPS = {
    "client_bid_id": "s", "form": "STEPS", **HEAD, "direction": "DOWN",
    "curves": [
        {"first_t": 0, "last_t": 1, "steps": [
            {"quantity_kw": "10", "ask_jpy_per_kwh": "5"},
            {"quantity_kw": "20", "ask_jpy_per_kwh": "-4"}]},
        {"first_t": 4, "last_t": 5, "steps": [{"quantity_kw": "7", "ask_jpy_per_kwh": "9.25"}]},
    ],
}  # fmt: skip
STORAGE = {
    "client_bid_id": "t", "form": "STORAGE", "mechanism": "BATTERY", "resource": "cell",
    "first_t": 0, "last_t": 47, "charge_limit_kw": "8000", "discharge_limit_kw": "8000",
    "energy_limit_kwh": "32000", "reserve_kwh": "2000", "start_kwh": "16000",
    "end_min_kwh": "2000", "charge_efficiency_ratio": "0.95", "discharge_efficiency_ratio": "0.95",
    "standing_loss_ratio": "0.0001", "wear_jpy_per_kwh": "3", "cycles_max": "1.5",
}  # fmt: skip
SHIFT = {
    "client_bid_id": "m", "form": "SHIFT", "mechanism": "SPATIAL", "resource": "load",
    "destinations": [
        {"resource": "there-1", "path": "p-1", "ratio": "1.1"},
        {"resource": "there-2", "path": "p-2", "ratio": "1"},
    ],
    "offers": [{"first_t": 34, "last_t": 39, "quantity_kw": "1000", "ask_jpy_per_kwh": "5"}],
    "change_cost_jpy_per_kw": "2", "gb_per_kw": "0.5", "gb_per_kwh": "0.1",
    "labels_required": ["country:JP", "iso"], "hardware": "h100", "latency_max_ms": "12.5",
}  # fmt: skip


def _read(rows: list[list[Any]]) -> Any:
    texts = [
        {name: "" if cell is None else str(cell) for name, cell in zip(COLUMNS, row, strict=True)}
        for row in rows
    ]
    return sheet_read((row, line) for line, row in enumerate(texts, 2))


@pytest.mark.parametrize(
    "bid", [BLOCK, DEFERRAL, STEPS, STORAGE, SHIFT], ids=lambda bid: bid["form"]
)
def test_a_bid_of_each_form_is_read_as_it_was_written(bid: dict[str, Any]) -> None:
    sheet = _read(rows_written([bid]))
    assert sheet.wrong == []
    assert sheet.bids == [bid]


def test_half_hours_that_are_alike_share_a_row_and_refusals_find_theirs() -> None:
    rows = rows_written([BLOCK, DEFERRAL])
    at = [COLUMNS.index(name) for name in ("client_bid_id", "first_t", "last_t")]
    assert [[row[i] for i in at] for row in rows] == [
        ["b", 34, 35], ["b", 36, 36], ["d", 30, 31], ["d", 32, 32], ["d", 33, 33],
    ]  # fmt: skip
    sheet = _read(rows)
    assert sheet.where("bids[0].quantity_kw[2]") == ("quantity_kw", 3)
    assert sheet.where("bids[0].start_cost_jpy") == ("start_cost_jpy", 2)
    assert sheet.where("bids[1].service_limit_kw[3]") == ("service_limit_kw", 6)
    assert sheet.where("bids[1].last_t") == ("last_t", 6)


def _wrong(bid: dict[str, Any], row: int, **cells: Any) -> list[tuple[int, str, str]]:
    rows = rows_written([bid])
    for name, cell in cells.items():
        rows[row][COLUMNS.index(name)] = cell
    return [(line, refused.field, refused.rule) for line, refused in _read(rows).wrong]


def test_a_gap_an_overlap_and_a_missing_end_are_refused_at_their_row() -> None:
    rule = "the half hour after the row before"
    assert _wrong(BLOCK, 1, first_t=37, last_t=37) == [(3, "first_t", rule)]
    assert _wrong(BLOCK, 1, first_t=35) == [(3, "first_t", rule)]
    assert _wrong(BLOCK, 1, last_t=None) == [(3, "last_t", "required")]
    assert [row[:2] for row in _wrong(BLOCK, 0, first_t="xx")] == [(2, "first_t")]


def test_a_cell_that_would_be_lost_is_refused() -> None:
    assert _wrong(STEPS, 0, slack_count=3) == [(2, "slack_count", "empty in a bid of this form")]
    rule = "as in the first row of the bid, or empty"
    assert _wrong(STEPS, 1, direction="UP") == [(3, "direction", rule)]
    assert _wrong(STEPS, 1, direction="DOWN") == []
    assert _wrong(BLOCK, 1, start_cost_jpy=1) == [(3, "start_cost_jpy", rule)]
