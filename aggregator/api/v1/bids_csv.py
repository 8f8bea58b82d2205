"""Bids as rows of a CSV file: one row per step, store or offer; rows of one bid share its id.

======================= ==========================================================================
column                  of
======================= ==========================================================================
``client_bid_id``       every row; rows that follow one another with the same id are one bid
``form``, ``mechanism``, ``resource``, ``workload_class``, ``direction``  the bid: in its first row
``first_t``, ``last_t`` the window of a step or offer, or of the store
``quantity_kw``, ``ask_jpy_per_kwh``  STEPS: a step of the curve over the window; SHIFT: an offer
``charge_limit_kw`` … ``cycles_max``  STORAGE: as in the JSON form
``destination``, ``path``, ``ratio``  SHIFT: a destination; may share a row with an offer
``change_cost_jpy_per_kw`` … ``latency_max_ms``  SHIFT: the bid; labels are separated by ``;``
======================= ==========================================================================

An empty cell says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from accounts.core.errors import Refused
from aggregator.api.v1.told import ROWS_REFUSED
from aggregator.api.v1.uploads import Table, columns_expect, refusal_entry, refuse_rows

NEEDED: Final = ("client_bid_id", "form", "mechanism", "resource")
STEP: Final = ("first_t", "last_t", "quantity_kw", "ask_jpy_per_kwh")
STORE: Final = (
    "first_t",
    "last_t",
    "charge_limit_kw",
    "discharge_limit_kw",
    "energy_limit_kwh",
    "reserve_kwh",
    "start_kwh",
    "end_min_kwh",
    "charge_efficiency_ratio",
    "discharge_efficiency_ratio",
    "standing_loss_ratio",
    "wear_jpy_per_kwh",
    "cycles_max",
)
SHIFT: Final = (
    "change_cost_jpy_per_kw",
    "gb_per_kw",
    "gb_per_kwh",
    "labels_required",
    "hardware",
    "latency_max_ms",
)
DESTINATION: Final = {"destination": "resource", "path": "path", "ratio": "ratio"}
COLUMNS: Final = tuple(
    dict.fromkeys((*NEEDED, "workload_class", "direction", *STEP, *STORE, *DESTINATION, *SHIFT))
)
FORMS: Final = ("STEPS", "STORAGE", "SHIFT")
_PLACE: Final = re.compile(r"bids\[(\d+)\]\.?(.*)")
_INDEX_LENGTH_MAX: Final = 3


@dataclass(kw_only=True)
class Sheet:
    """Bids read from a table, and where each of their parts stands in it."""

    bids: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, int]] = field(default_factory=list)

    def where(self, path: str) -> tuple[str, int | None]:
        """Return column and line of a path such as ``bids[2].curves[0].steps[1].quantity_kw``."""
        found = _PLACE.fullmatch(path)
        if found is None or int(found[1]) >= len(self.lines):
            return path, None
        known, rest = self.lines[int(found[1])], found[2]
        column = rest.rpartition(".")[2] or "client_bid_id"
        if rest.startswith("destinations") and column == "resource":
            column = "destination"
        parts = rest
        while parts and parts not in known:
            parts = parts.rpartition(".")[0]
        return column, known[parts]


def sheet_of(table: Table) -> Sheet:
    """Read rows as bids in the layout of the JSON door; what they say is not checked here.

    Raises
    ------
    Stopped
        If columns are missing or unknown, or a form has no rows in CSV.
    """
    columns_expect(table, needed=NEEDED, allowed=COLUMNS)
    sheet = Sheet()
    for row, line in zip(table.rows, table.lines, strict=True):
        cells = {name: text for name, text in row.items() if text}
        name = cells.get("client_bid_id", "")
        if not sheet.bids or sheet.bids[-1]["client_bid_id"] != name:
            _begin(sheet, cells, name, line)
        _add(sheet.bids[-1], sheet.lines[-1], cells, line)
    refuse_rows(sheet.wrong, code=ROWS_REFUSED)
    for bid, lines in zip(sheet.bids, sheet.lines, strict=True):
        _sort_destinations(bid, lines)
    return sheet


def _begin(sheet: Sheet, cells: Mapping[str, str], name: str, line: int) -> None:
    bid: dict[str, Any] = {"client_bid_id": name}
    for column in ("form", "mechanism", "resource", "workload_class", "direction"):
        if column in cells:
            bid[column] = cells[column]
    form = cells.get("form")
    if form not in FORMS:
        refused = Refused(field="form", value=form, rule=f"in CSV one of {', '.join(FORMS)}")
        sheet.wrong.append(refusal_entry(refused, code="invalid-bid", line=line))
    if form == "STEPS":
        bid["curves"] = []
    if form == "SHIFT":
        bid |= {"destinations": [], "offers": []}
        bid |= {column: cells[column] for column in SHIFT if column in cells}
        if "labels_required" in cells:
            bid["labels_required"] = [part.strip() for part in cells["labels_required"].split(";")]
    sheet.bids.append(bid)
    sheet.lines.append({"": line})


def _add(bid: dict[str, Any], lines: dict[str, int], cells: Mapping[str, str], line: int) -> None:
    form = bid.get("form")
    if form not in FORMS:
        return
    if form == "STORAGE":
        bid |= {column: _cell(column, cells[column]) for column in STORE if column in cells}
        return
    offer = {column: _cell(column, cells[column]) for column in STEP if column in cells}
    if form == "STEPS":
        _add_step(bid, lines, offer, line)
        return
    if offer:
        lines[f"offers[{len(bid['offers'])}]"] = line
        bid["offers"].append(offer)
    there = {name: cells[column] for column, name in DESTINATION.items() if column in cells}
    if there:
        lines[f"destinations[{len(bid['destinations'])}]"] = line
        bid["destinations"].append(there)


def _add_step(bid: dict[str, Any], lines: dict[str, int], step: dict[str, Any], line: int) -> None:
    window: dict[str, Any] = {
        name: step.pop(name) for name in ("first_t", "last_t") if name in step
    }
    curves: list[dict[str, Any]] = bid["curves"]
    if not curves or {name: curves[-1].get(name) for name in window} != window:
        lines[f"curves[{len(curves)}]"] = line
        curve: dict[str, Any] = {**window, "steps": []}
        curves.append(curve)
    steps = curves[-1]["steps"]
    lines[f"curves[{len(curves) - 1}].steps[{len(steps)}]"] = line
    steps.append(step)


def _cell(column: str, text: str) -> Any:
    """Half hours are whole numbers; all else stays text, which the services read exactly."""
    if column in ("first_t", "last_t"):
        is_index = text.isascii() and text.isdigit() and len(text) <= _INDEX_LENGTH_MAX
        return int(text) if is_index else text
    return text


def _sort_destinations(bid: dict[str, Any], lines: dict[str, int]) -> None:
    """Put destinations in the order of the canonical form, in which refusals count them."""
    rows = bid.get("destinations")
    if not rows:
        return
    order = sorted(range(len(rows)), key=lambda i: str(rows[i].get("resource", "")))
    at = [lines[f"destinations[{i}]"] for i in order]
    bid["destinations"] = [rows[i] for i in order]
    lines |= {f"destinations[{j}]": line for j, line in enumerate(at)}
