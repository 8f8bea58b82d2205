"""Bids as rows of a table, for people and programs alike: read into bids, and bids written out.

Rows that follow one another with the same ``client_bid_id`` are one bid. What the bid says once
stands in its first row; below it these cells are empty or repeat it.

======================= ==========================================================================
columns                 of
======================= ==========================================================================
``client_bid_id``       every row
``form``, ``mechanism``, ``resource``, ``workload_class``, ``direction``  the bid
``first_t``, ``last_t`` the stretch of half hours of a row, 0 to 47; of STORAGE its window
``quantity_kw``         STEPS: a step of the curve over the stretch; SHIFT: an offer; BLOCK: the
                        profile over the stretch, which follows that of the row before
``ask_jpy_per_kwh``     STEPS, SHIFT: of the row; BLOCK, DEFERRAL: of the bid
``charge_limit_kw`` … ``cycles_max``  STORAGE: as in the JSON form
``destination``, ``path``, ``ratio``  SHIFT: a destination; may share a row with an offer
``change_cost_jpy_per_kw`` … ``latency_max_ms``  SHIFT: the bid; labels are separated by ``;``
``arriving_kw``, ``service_limit_kw``  DEFERRAL: over the stretch, which follows the row before
``slack_count`` … ``extra_work_ratio``  DEFERRAL: the bid
``acceptance_min_ratio`` … ``parent``  BLOCK: the bid
======================= ==========================================================================

An empty cell says nothing. A cell that its form does not read is refused rather than lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from accounts.core.csvtext import Cell, cell_read
from accounts.core.errors import Refused
from market.trading.content_reading import window
from market.trading.contents import InvalidBid

NEEDED: Final = ("client_bid_id", "form", "mechanism", "resource")
HEAD: Final = (*NEEDED[1:], "workload_class", "direction")
STRETCH: Final = ("first_t", "last_t")
STEP: Final = (*STRETCH, "quantity_kw", "ask_jpy_per_kwh")
STORE: Final = (
    *STRETCH, "charge_limit_kw", "discharge_limit_kw", "energy_limit_kwh", "reserve_kwh",
    "start_kwh", "end_min_kwh", "charge_efficiency_ratio", "discharge_efficiency_ratio",
    "standing_loss_ratio", "wear_jpy_per_kwh", "cycles_max",
)  # fmt: skip
SHIFT: Final = (
    "change_cost_jpy_per_kw", "gb_per_kw", "gb_per_kwh", "labels_required", "hardware",
    "latency_max_ms",
)  # fmt: skip
DESTINATION: Final = {"destination": "resource", "path": "path", "ratio": "ratio"}
DEFERRAL: Final = ("slack_count", "rebound_limit_kw", "extra_work_ratio", "ask_jpy_per_kwh")
WAITING: Final = ("arriving_kw", "service_limit_kw")
BLOCK: Final = (
    "ask_jpy_per_kwh", "acceptance_min_ratio", "start_cost_jpy", "run_min_count",
    "exclusive_group", "parent",
)  # fmt: skip
COLUMNS: Final = tuple(
    dict.fromkeys(
        (*NEEDED, *HEAD, *STEP, *STORE, *DESTINATION, *SHIFT, *WAITING, *DEFERRAL, *BLOCK)
    )
)
# What each form reads of a bid's first row, and of every row.
ONCE: Final[Mapping[str, tuple[str, ...]]] = {
    "STEPS": (), "STORAGE": STORE, "SHIFT": SHIFT, "BLOCK": BLOCK, "DEFERRAL": DEFERRAL,
}  # fmt: skip
EACH: Final[Mapping[str, tuple[str, ...]]] = {
    "STEPS": STEP,
    "STORAGE": (),
    "SHIFT": (*STEP, *DESTINATION),
    "BLOCK": (*STRETCH, "quantity_kw"),
    "DEFERRAL": (*STRETCH, *WAITING),
}
FORMS: Final = tuple(ONCE)
COUNTS: Final = frozenset({*STRETCH, "slack_count", "run_min_count"})
TEXTS: Final = frozenset(
    {*NEEDED, *HEAD, "destination", "path", "labels_required", "hardware", "exclusive_group",
     "parent"}
)  # fmt: skip
LISTS: Final = {"curves": "quantity_kw", "offers": "quantity_kw", "destinations": "destination"}
RULE_EMPTY: Final = "empty in a bid of this form"
RULE_AS_FIRST: Final = "as in the first row of the bid, or empty"
RULE_NEXT: Final = "the half hour after the row before"
_PLACE: Final = re.compile(r"bids\[(\d+)\]\.?(.*)")
_NUMBERED: Final = re.compile(r"\[\d+\]$")
_COUNT_LENGTH_MAX: Final = 3


@dataclass(kw_only=True)
class Sheet:
    """Bids read from a table, what no bid can be made of, and where each part stands."""

    bids: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[tuple[int, Refused]] = field(default_factory=list)
    lines: list[dict[str, int]] = field(default_factory=list)

    def where(self, path: str) -> tuple[str, int | None]:
        """Return column and line of a path such as ``bids[2].curves[0].steps[1].quantity_kw``."""
        found = _PLACE.fullmatch(path)
        if found is None or int(found[1]) >= len(self.lines):
            return path, None
        known, rest = self.lines[int(found[1])], found[2]
        column = _NUMBERED.sub("", rest.rpartition(".")[2]) or "client_bid_id"
        column = LISTS.get(column, column)
        if rest.startswith("destinations") and column == "resource":
            column = "destination"
        parts = rest
        while parts and parts not in known:
            parts = parts.rpartition(".")[0]
        return column, known[parts]


def sheet_read(rows: Iterable[tuple[Mapping[str, str], int]]) -> Sheet:
    """Read rows, each with its line, as bids in the layout of their JSON form.

    What a bid says is the services' to judge; here only what rows cannot mean is refused.
    """
    sheet = Sheet()
    for row, line in rows:
        cells = {name: cell_read(text) for name, text in row.items() if text}
        if not cells:
            continue
        name = cells.pop("client_bid_id", "")
        if not sheet.bids or sheet.bids[-1]["client_bid_id"] != name:
            _begin(sheet, cells, name, line)
        _add(sheet, cells, line)
    for bid, lines in zip(sheet.bids, sheet.lines, strict=True):
        _sort_destinations(bid, lines)
    return sheet


def _begin(sheet: Sheet, cells: Mapping[str, str], name: str, line: int) -> None:
    form = cells.get("form", "")
    bid: dict[str, Any] = {"client_bid_id": name}
    bid |= {column: cells[column] for column in HEAD if column in cells}
    bid |= {
        column: _value(column, cells[column]) for column in ONCE.get(form, ()) if column in cells
    }
    if "labels_required" in bid:
        bid["labels_required"] = [part.strip() for part in cells["labels_required"].split(";")]
    if form not in FORMS:
        rule = f"in CSV one of {', '.join(FORMS)}"
        sheet.wrong.append((line, InvalidBid(field="form", value=form, rule=rule)))
    elif form == "STEPS":
        bid["curves"] = []
    elif form == "SHIFT":
        bid |= {"destinations": [], "offers": []}
    elif form == "BLOCK":
        bid["quantity_kw"] = []
    elif form == "DEFERRAL":
        bid |= {column: [] for column in WAITING}
    sheet.bids.append(bid)
    sheet.lines.append({"": line})


def _add(sheet: Sheet, cells: Mapping[str, str], line: int) -> None:
    bid, lines = sheet.bids[-1], sheet.lines[-1]
    form = bid.get("form", "")
    if form not in FORMS:
        return
    try:
        _refuse_lost(bid, cells)
        row = {name: _value(name, cells[name]) for name in EACH[form] if name in cells}
        if form == "STEPS":
            _add_step(bid, lines, row, line)
        elif form == "SHIFT":
            _add_movement(bid, lines, row, line)
        elif form != "STORAGE":
            _add_stretch(bid, lines, row, line)
    except Refused as refused:
        sheet.wrong.append((line, refused))


def _refuse_lost(bid: Mapping[str, Any], cells: Mapping[str, str]) -> None:
    form = bid["form"]
    for name, text in cells.items():
        if name in EACH[form]:
            continue
        if name not in HEAD and name not in ONCE[form]:
            raise InvalidBid(field=name, value=text, rule=RULE_EMPTY)
        said = bid.get(name)
        said = ";".join(said) if isinstance(said, list) else said
        told = ";".join(part.strip() for part in text.split(";"))
        if said is None or str(said) not in (text, told):
            raise InvalidBid(field=name, value=text, rule=RULE_AS_FIRST)


def _add_step(bid: dict[str, Any], lines: dict[str, int], step: dict[str, Any], line: int) -> None:
    stretch: dict[str, Any] = {name: step.pop(name) for name in STRETCH if name in step}
    curves: list[dict[str, Any]] = bid["curves"]
    if not curves or {name: curves[-1].get(name) for name in stretch} != stretch:
        lines[f"curves[{len(curves)}]"] = line
        curves.append({**stretch, "steps": []})
    steps = curves[-1]["steps"]
    lines[f"curves[{len(curves) - 1}].steps[{len(steps)}]"] = line
    steps.append(step)


def _add_movement(
    bid: dict[str, Any], lines: dict[str, int], row: dict[str, Any], line: int
) -> None:
    there = {name: row.pop(column) for column, name in DESTINATION.items() if column in row}
    if row:
        lines[f"offers[{len(bid['offers'])}]"] = line
        bid["offers"].append(row)
    if there:
        lines[f"destinations[{len(bid['destinations'])}]"] = line
        bid["destinations"].append(there)


def _add_stretch(
    bid: dict[str, Any], lines: dict[str, int], row: Mapping[str, Any], line: int
) -> None:
    """Lengthen the profiles of a block or of deferred work by a row's stretch."""
    for name in EACH[bid["form"]]:
        if name not in row:
            raise InvalidBid(field=name, value=None, rule="required")
    try:
        first_t, last_t = window(row, "row")
    except Refused as refused:
        place = refused.field.removeprefix("row.")
        raise InvalidBid(field=place, value=refused.value, rule=refused.rule) from refused
    profiles = [name for name in EACH[bid["form"]] if name not in STRETCH]
    length = len(bid[profiles[0]])
    begun_t = bid.setdefault("first_t", first_t)
    if first_t != begun_t + length:
        raise InvalidBid(field="first_t", value=first_t, rule=RULE_NEXT)
    for name in profiles:
        bid[name] += [row[name]] * (last_t - first_t + 1)
        lines |= {f"{name}[{i}]": line for i in range(length, len(bid[name]))}
    if bid["form"] == "DEFERRAL":
        bid["last_t"] = last_t
        lines["last_t"] = line


def _value(column: str, text: str) -> Any:
    """Half hours and counts are whole numbers; all else stays text, which services read exactly."""
    if column in COUNTS:
        is_count = text.isascii() and text.isdigit() and len(text) <= _COUNT_LENGTH_MAX
        return int(text) if is_count else text
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


def rows_written(bids: Iterable[Mapping[str, Any]]) -> list[list[Cell]]:
    """Write bids as rows under :data:`COLUMNS`; reading them again gives the same bids.

    Parameters
    ----------
    bids
        Head and content of each in one mapping, as services read them, of a form in :data:`FORMS`.
    """
    return [
        [_cell(name, row.get(name)) for name in COLUMNS] for bid in bids for row in _rows_of(bid)
    ]


def _rows_of(bid: Mapping[str, Any]) -> list[dict[str, Any]]:
    form = bid["form"]
    first = {name: bid.get(name) for name in (*HEAD, *ONCE[form])}
    rows = _parts_of(bid)
    for part in rows:
        part["client_bid_id"] = bid["client_bid_id"]
    rows[0] = {**first, **rows[0]}
    return rows


def _parts_of(bid: Mapping[str, Any]) -> list[dict[str, Any]]:
    form = bid["form"]
    if form == "STEPS":
        return [
            {**{name: curve[name] for name in STRETCH}, **step}
            for curve in bid["curves"]
            for step in curve["steps"]
        ]
    if form == "SHIFT":
        offers, there = bid["offers"], bid["destinations"]
        rows: list[dict[str, Any]] = [{} for _ in range(max(len(offers), len(there)))]
        for row, offer in zip(rows, offers, strict=False):
            row |= {name: offer[name] for name in STEP}
        for row, one in zip(rows, there, strict=False):
            row |= {column: one[name] for column, name in DESTINATION.items()}
        return rows
    if form == "STORAGE":
        return [{}]
    return _stretches(bid, [name for name in EACH[form] if name not in STRETCH])


def _stretches(bid: Mapping[str, Any], profiles: Sequence[str]) -> list[dict[str, Any]]:
    """Write half hours that are alike as one row."""
    found, t = [], bid["first_t"]
    for values, alike in groupby(zip(*(bid[name] for name in profiles), strict=True)):
        count = len(list(alike))
        found.append(
            {"first_t": t, "last_t": t + count - 1, **dict(zip(profiles, values, strict=True))}
        )
        t += count
    return found


def _cell(column: str, value: Any) -> Cell:
    if value is None or value == "":
        return None
    if column == "labels_required":
        return ";".join(value)
    if column in TEXTS:
        return str(value)
    return value if column in COUNTS else Decimal(str(value))
