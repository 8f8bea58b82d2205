"""Needs as rows of a CSV file: one row per window of a step; rows of one need share its code.

Columns: ``code``; ``kind``, ``direction``, ``pricing``, ``congestion_point``, ``flow_sign``,
``area``, ``product`` in its first row; ``step`` (from 1; empty = 1), ``first_t``, ``last_t``
(included), ``quantity_kw`` and ``cap_jpy_per_kwh`` (of capacity ``cap_jpy_per_kw_30min``).
In half hours that no row of a step names, it asks for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from accounts.core.errors import Refused
from aggregator.api.v1.told import HALF_HOURS, ROWS_REFUSED
from aggregator.api.v1.uploads import Table, columns_expect, refusal_entry, refuse_rows

HEAD: Final = (
    "kind",
    "direction",
    "pricing",
    "congestion_point",
    "flow_sign",
    "area",
    "product",
)
CAPS: Final = ("cap_jpy_per_kwh", "cap_jpy_per_kw_30min")
NEEDED: Final = ("code", "kind", "direction", "first_t", "last_t", "quantity_kw")
COLUMNS: Final = tuple(dict.fromkeys((*NEEDED, *HEAD, "step", *CAPS)))
STEPS_MAX: Final = 20
_PLACE: Final = re.compile(r"needs\[(\d+)\]\.?(.*)")
_STEP: Final = re.compile(r"(?:steps\[(\d+)\]\.)?([a-z_0-9]+)(?:\[(\d+)\])?")
_INDEX: Final = re.compile(r"[0-9]{1,2}", re.ASCII)


@dataclass(kw_only=True)
class NeedSheet:
    """Needs read from a table, and the lines they stand in."""

    needs: list[dict[str, Any]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    lines: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def where(self, path: str) -> tuple[str, int | None]:
        """Return column and line of a path such as ``needs[1].steps[0].quantity_kw[36]``."""
        found = _PLACE.fullmatch(path)
        if found is None or int(found[1]) >= len(self.first):
            return path, None
        number = int(found[1])
        part = _STEP.fullmatch(found[2])
        if part is None:
            return found[2] or "code", self.first[number]
        at = (number, int(part[1] or 0), int(part[3] or -1))
        return part[2], self.lines.get(at, self.first[number])


def needs_of(table: Table) -> NeedSheet:
    """Read rows as needs in the layout of the JSON door.

    Raises
    ------
    Stopped
        If columns are missing or unknown, or windows are none.
    """
    columns_expect(table, needed=NEEDED, allowed=COLUMNS)
    sheet = NeedSheet()
    wrong = []
    for row, line in zip(table.rows, table.lines, strict=True):
        cells = {name: text for name, text in row.items() if text}
        code = cells.get("code", "")
        if not sheet.needs or sheet.needs[-1]["code"] != code:
            sheet.needs.append({"code": code, **_head(cells), "steps": []})
            sheet.first.append(line)
        try:
            _add(sheet, cells, line)
        except Refused as refused:
            wrong.append(refusal_entry(refused, code="refused", line=line))
    refuse_rows(wrong, code=ROWS_REFUSED)
    for need in sheet.needs:
        if len(need["steps"]) == 1:
            need.update(need.pop("steps")[0])
    return sheet


def _head(cells: Mapping[str, str]) -> dict[str, Any]:
    head: dict[str, Any] = {name: cells[name] for name in HEAD if name in cells}
    if head.get("flow_sign") in ("1", "+1", "-1"):
        head["flow_sign"] = int(head["flow_sign"])
    return head


def _add(sheet: NeedSheet, cells: Mapping[str, str], line: int) -> None:
    need = sheet.needs[-1]
    cap = CAPS[1] if need.get("kind") == "CAPACITY" else CAPS[0]
    step = _index(cells.get("step", "1"), "step", low=1, high=STEPS_MAX) - 1
    first_t = _index(cells.get("first_t"), "first_t", low=0, high=HALF_HOURS - 1)
    last_t = _index(cells.get("last_t"), "last_t", low=first_t, high=HALF_HOURS - 1)
    steps = need["steps"]
    if step > len(steps):
        raise Refused(
            field="step", value=step + 1, rule=f"at most {len(steps) + 1}: none is left out"
        )
    if step == len(steps):
        steps.append({"quantity_kw": ["0"] * HALF_HOURS, cap: ["0"] * HALF_HOURS})
    for other in CAPS:
        if other != cap and other in cells:
            raise Refused(field=other, value=cells[other], rule=f"{cap} for needs of this kind")
    for t in range(first_t, last_t + 1):
        at = (len(sheet.needs) - 1, step, t)
        if at in sheet.lines:
            raise Refused(field="first_t", value=t, rule="each half hour of a step once")
        sheet.lines[at] = line
        steps[step]["quantity_kw"][t] = cells.get("quantity_kw", "")
        steps[step][cap][t] = cells.get(cap, "")


def _index(text: str | None, column: str, *, low: int, high: int) -> int:
    if text is None or _INDEX.fullmatch(text) is None or not low <= int(text) <= high:
        raise Refused(field=column, value=text, rule=f"a whole number from {low} to {high}")
    return int(text)
