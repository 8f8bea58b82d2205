"""Turn the rows of a network into the registry's, refusing what the engine could not clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models

from accounts.core.errors import NotFound, Refused
from accounts.fields.checking import row_fields_checked
from market.core.errors import InvalidSnapshot
from market.core.network import network_check
from market.core.reading import Reader
from market.core.snapshot import network_from_json
from market.registry.models import Area, Branch, BranchKind, Bus, ControllableLink, GridModel

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class NetworkRows:
    """A network as the registry will store it, rounded to its columns; not yet saved."""

    buses: list[Bus]
    branches: list[Branch]
    links: list[ControllableLink]


def network_rows(
    grid_model: GridModel, *, buses: Sequence[Row], branches: Sequence[Row], links: Sequence[Row]
) -> NetworkRows:
    """Return the rows of a network that the engine can read and solve.

    Parameters
    ----------
    grid_model
        The model they will belong to, with checked columns of its own.
    buses, branches, links
        As :func:`market.registry.services.grid_model_create` takes them.

    Raises
    ------
    Refused
        Naming the path below the network, e.g. ``branches[3].tap_ratio``.
    """
    bus_rows = _buses(grid_model, buses)
    bus_of = {bus.code: bus for bus in bus_rows}
    rows = NetworkRows(
        buses=bus_rows,
        branches=_branches(grid_model, branches, bus_of),
        links=_links(grid_model, links, bus_of),
    )
    if not rows.buses:
        raise Refused(field="buses", value=[], rule="at least one bus")
    # Judged is what will be stored: rounding to a column may make a reactance zero.
    try:
        network_check(network_from_json(_document(grid_model, rows), interval_count=1))
    except InvalidSnapshot as refusal:
        raise Refused(
            field=refusal.field.removeprefix("network."), value=refusal.value, rule=refusal.rule
        ) from refusal
    return rows


def exact_number(reader: Reader, *, places: int) -> Decimal:
    """Return a finite number rounded to a column's decimal places; Decimals stay exact."""
    if isinstance(reader.value, Decimal):
        if not reader.value.is_finite():
            reader.refuse("must be a finite number")
        Reader(float(reader.value), reader.path, reader.error).number()
        return round(reader.value, places)
    reader.number()
    return round(Decimal(str(reader.value)), places)


def _entries(
    rows: Sequence[Row], name: str, required: Sequence[str]
) -> list[tuple[Reader, dict[str, Reader]]]:
    """Read rows that must have some entries and may have others, each id once."""
    found = []
    ids: set[str] = set()
    for item in Reader(rows, name, Refused).items():
        if not isinstance(item.value, Mapping):
            item.refuse("must be an object")
        item.entries()  # names are texts
        entry = item.fields(required=required, optional=[*item.value])
        if entry["id"].text() in ids:
            entry["id"].refuse("must be an id used once")
        ids.add(entry["id"].value)
        found.append((item, entry))
    return found


def _decimal(entry: Mapping[str, Reader], name: str, places: int, default: int = 0) -> Decimal:
    return exact_number(entry[name], places=places) if name in entry else Decimal(default)


def _text(entry: Mapping[str, Reader], name: str) -> Any:
    return entry[name].value if name in entry else ""


def _degrees(entry: Mapping[str, Reader], name: str) -> Decimal | None:
    if name not in entry or entry[name].value is None:
        return None
    return exact_number(entry[name], places=5)


def _end(entry: Mapping[str, Reader], name: str, bus_of: Mapping[str, Bus]) -> Bus:
    code = entry[name].text()
    if code not in bus_of:
        raise NotFound(field=entry[name].path, value=code, rule="a bus of this model")
    return bus_of[code]


def _buses(grid_model: GridModel, buses: Sequence[Row]) -> list[Bus]:
    areas = {area.code: area for area in Area.objects.all()}
    rows = []
    for item, entry in _entries(buses, "buses", ("id", "area", "island", "slack_share_ratio")):
        area = entry["area"].text()
        if area not in areas:
            raise NotFound(field=entry["area"].path, value=area, rule="a known area code")
        row = Bus(
            grid_model=grid_model,
            code=entry["id"].text(),
            name=_text(entry, "name"),
            name_en=_text(entry, "name_en"),
            area=areas[area],
            island=entry["island"].text(),
            voltage_kv=_decimal(entry, "voltage_kv", 2),
            slack_share_ratio=_decimal(entry, "slack_share_ratio", 6),
            longitude_deg=_degrees(entry, "longitude_deg"),
            latitude_deg=_degrees(entry, "latitude_deg"),
        )
        rows.append(row_fields_checked(row, label=item.path))
    return rows


def _branches(
    grid_model: GridModel, branches: Sequence[Row], bus_of: Mapping[str, Bus]
) -> list[Branch]:
    rows = []
    required = ("id", "from", "to", "reactance_pu", "rating_kw")
    for item, entry in _entries(branches, "branches", required):
        row = Branch(
            grid_model=grid_model,
            code=entry["id"].text(),
            name=_text(entry, "name"),
            name_en=_text(entry, "name_en"),
            kind=_text(entry, "kind") if "kind" in entry else BranchKind.LINE,
            from_bus=_end(entry, "from", bus_of),
            to_bus=_end(entry, "to", bus_of),
            resistance_pu=_decimal(entry, "resistance_pu", 9),
            reactance_pu=_decimal(entry, "reactance_pu", 9),
            tap_ratio=_decimal(entry, "tap_ratio", 5, 1),
            shift_deg=_decimal(entry, "shift_deg", 4),
            rating_kw=_decimal(entry, "rating_kw", 1),
            flow_cost_jpy_per_kwh=_decimal(entry, "flow_cost_jpy_per_kwh", 2),
        )
        rows.append(row_fields_checked(row, label=item.path))
    return rows


def _links(
    grid_model: GridModel, links: Sequence[Row], bus_of: Mapping[str, Bus]
) -> list[ControllableLink]:
    rows = []
    for item, entry in _entries(links, "links", ("id", "from", "to", "rating_kw")):
        row = ControllableLink(
            grid_model=grid_model,
            code=entry["id"].text(),
            name=_text(entry, "name"),
            name_en=_text(entry, "name_en"),
            from_bus=_end(entry, "from", bus_of),
            to_bus=_end(entry, "to", bus_of),
            rating_kw=_decimal(entry, "rating_kw", 1),
        )
        rows.append(row_fields_checked(row, label=item.path))
    return rows


def _ends(row: Branch | ControllableLink) -> dict[str, str]:
    return {"id": row.code, "from": row.from_bus.code, "to": row.to_bus.code}


def _floats(row: models.Model, *names: str) -> dict[str, float]:
    return {name: float(getattr(row, name)) for name in names}


def _document(grid_model: GridModel, rows: NetworkRows) -> dict[str, Any]:
    """Write the rows in the layout of the snapshot's ``network``, in the order given."""
    columns = ("resistance_pu", "reactance_pu", "tap_ratio", "shift_deg", "rating_kw")
    return {
        "convention": str(grid_model.convention),
        "base_mva": float(grid_model.base_mva),
        "buses": [
            {"id": bus.code, "area": bus.area_id, "island": bus.island}
            | _floats(bus, "slack_share_ratio")
            for bus in rows.buses
        ],
        "branches": [_ends(branch) | _floats(branch, *columns) for branch in rows.branches],
        "links": [_ends(link) | {"limit_kw": float(link.rating_kw)} for link in rows.links],
    }
