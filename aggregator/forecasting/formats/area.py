"""Area supply and demand of the grid operators (エリア需給実績), half-hourly means in MW.

Official files ``eria_jukyu_YYYYMM_NN.csv`` have a unit line, a header and 20 columns, or 22 where
the output control of thermal and biomass plant is printed too; brackets, dates and encodings vary
by operator. Every row must close::

    エリア需要 = 合計 = Σ generation + 揚水 + 蓄電池 + 連系線 + その他

without the output-control columns, up to the rounding of each column to whole megawatts. One
operator prints exports as positive; the rows then close with the sign of 連系線 turned, and
turned it is stored: positive is import, everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aggregator.forecasting.formats import text
from aggregator.forecasting.formats.jepx import AREA_OF_NAME, ROMAN_NAMES, start_label
from aggregator.forecasting.formats.text import InvalidFile, Row

KW_PER_MW = 1000
POWER_MAX_MW = Decimal(100_000)
# Sixteen columns rounded by half a megawatt each: real files differ by up to 3.
ROUNDING_MW = Decimal(4)
HEADER_SEARCH_ROWS = 10
DATE_COLUMN, TIME_COLUMN = "DATE", "TIME"

# Field of the model, official name after NFKC, name in the normalised table.
COLUMNS = (
    ("demand_kw", "エリア需要", "demand"),
    ("nuclear_kw", "原子力", "nuclear"),
    ("lng_kw", "火力(LNG)", "lng"),
    ("coal_kw", "火力(石炭)", "coal"),
    ("oil_kw", "火力(石油)", "oil"),
    ("thermal_other_kw", "火力(その他)", "thermal_other"),
    ("thermal_curtailed_kw", "火力出力制御量", "thermal_curtailed"),
    ("hydro_kw", "水力", "hydro"),
    ("geothermal_kw", "地熱", "geothermal"),
    ("biomass_kw", "バイオマス", "biomass"),
    ("biomass_curtailed_kw", "バイオマス出力制御量", "biomass_curtailed"),
    ("solar_kw", "太陽光発電実績", "solar"),
    ("solar_curtailed_kw", "太陽光出力制御量", "solar_curtailed"),
    ("wind_kw", "風力発電実績", "wind"),
    ("wind_curtailed_kw", "風力出力制御量", "wind_curtailed"),
    ("pumped_hydro_kw", "揚水", "pumped_hydro"),
    ("battery_kw", "蓄電池", "battery"),
    ("interconnector_kw", "連系線", "interconnector"),
    ("other_kw", "その他", "other"),
    ("total_kw", "合計", "total"),
)
FIELDS = tuple(field for field, _, _ in COLUMNS)
CURTAILED = frozenset(field for field in FIELDS if field.endswith("_curtailed_kw"))
SUPPLY = tuple(f for f in FIELDS if f not in CURTAILED and f not in {"demand_kw", "total_kw"})
# Not published by every operator: the column may be absent, or blank from top to bottom.
OPTIONAL = frozenset(
    {
        "nuclear_kw",
        "geothermal_kw",
        "battery_kw",
        "other_kw",
        "thermal_curtailed_kw",
        "biomass_curtailed_kw",
    }
)
NEVER_NEGATIVE = CURTAILED | {"demand_kw", "total_kw"}
ROMAN_AREAS = {
    **dict(zip(ROMAN_NAMES, AREA_OF_NAME.values(), strict=True)),
    "okinawa": "10",
}
AREA_CODES = frozenset(ROMAN_AREAS.values())
_FILE_NAME = re.compile(r"eria_jukyu_[0-9]{6}_(?P<area>[0-9]{2})\b", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRow:
    """One half hour of one area; `values_kw` by :data:`FIELDS`, None where not published."""

    area: str
    start_at: datetime
    values_kw: Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class _Parsed:
    """One row before its ordinal is known; MW as printed."""

    line: int
    label: text.SlotLabel
    values_mw: dict[str, Decimal | None]


def area_of_file_name(source: str) -> str | None:
    """Return the area code an official file name carries, if it does."""
    match = _FILE_NAME.search(source)
    return match["area"] if match else None


def parse_area(content: bytes, source: str, area: str | None = None) -> list[AreaRow]:
    """Read an official file of one area, or the normalised table of all of them.

    Parameters
    ----------
    content
        Bytes of the file, plain or gzip.
    source
        Its name, for refusals; an official name also tells the area.
    area
        Area code ``01`` to ``10`` of an official file whose name does not tell it.

    Returns
    -------
    list of AreaRow
        Whole JST days; powers [kW], interconnector positive for import.

    Raises
    ------
    InvalidFile
        On the first rule the file breaks.
    """
    rows = text.csv_rows(text.decoded(text.unzipped(content, source), source), source)
    if rows and rows[0].cells[:2] == ("start_jst", "area"):
        return _normalised(rows, source, area)
    area = area or area_of_file_name(source)
    if area not in AREA_CODES:
        raise InvalidFile(
            source=source,
            line=0,
            column="",
            value=area,
            rule="an area code 01 to 10, given or in a name like eria_jukyu_202601_03.csv",
        )
    return _official(rows, source, area)


def _official(rows: Sequence[Row], source: str, area: str) -> list[AreaRow]:
    start, header = _official_header(rows, source)
    names = {official: field for field, official, _ in COLUMNS}
    index = _columns(rows[start], header, names, source)
    parsed = []
    for row in rows[start + 1 :]:
        cells = text.cells_of(row, len(header), source)
        on = text.day(cells[0], source=source, line=row.line, column=DATE_COLUMN)
        minute = text.minute_of_day(cells[1], source=source, line=row.line, column=TIME_COLUMN)
        label = text.SlotLabel(row.line, on, minute)
        parsed.append(_Parsed(row.line, label, _values_mw(cells, index, source, row.line)))
    official = {field: name for name, field in names.items()}
    return _closed(parsed, area, source, TIME_COLUMN, official)


def _official_header(rows: Sequence[Row], source: str) -> tuple[int, list[str]]:
    for position, row in enumerate(rows[:HEADER_SEARCH_ROWS]):
        names = [text.column_name(cell) for cell in row.cells]
        if names[:2] == [DATE_COLUMN, TIME_COLUMN]:
            while names and not names[-1]:
                names.pop()
            return position, names
        if any("万kW" in name for name in names):
            raise InvalidFile(
                source=source,
                line=row.line,
                column="",
                value=row.cells[0],
                rule="the unit is MW; a file in 万kW is another format",
            )
    first = rows[0].cells[0] if rows else ""
    raise InvalidFile(
        source=source,
        line=1,
        column="",
        value=first,
        rule="a header DATE,TIME,エリア需要,… follows the unit line (is it UTF-8 or CP932?)",
    )


def _normalised(rows: Sequence[Row], source: str, area: str | None) -> list[AreaRow]:
    header = [text.column_name(cell) for cell in rows[0].cells]
    names = {roman: field for field, _, roman in COLUMNS}
    index = _columns(rows[0], header, names, source)
    of_area: dict[str, list[_Parsed]] = {}
    for row in rows[1:]:
        cells = text.cells_of(row, len(header), source)
        if cells[1] not in ROMAN_AREAS:
            raise InvalidFile(
                source=source,
                line=row.line,
                column="area",
                value=cells[1],
                rule="an area like tokyo",
            )
        if area is not None and ROMAN_AREAS[cells[1]] != area:
            continue
        label = start_label(cells[0], source, row.line)
        values_mw = _values_mw(cells, index, source, row.line)
        of_area.setdefault(ROMAN_AREAS[cells[1]], []).append(_Parsed(row.line, label, values_mw))
    roman = {field: name for name, field in names.items()}
    found = sorted(of_area) if area is None else [area]
    for code in found:
        if code not in of_area:
            raise InvalidFile(
                source=source, line=0, column="area", value=code, rule="an area of this file"
            )
    closed = (_closed(of_area[code], code, source, "start_jst", roman) for code in found)
    return [row for rows_of_area in closed for row in rows_of_area]


def _columns(
    row: Row, header: Sequence[str], names: Mapping[str, str], source: str
) -> dict[str, int]:
    """Map fields to columns by name; unknown or repeated names are refused.

    A name we do not know could be a supply that belongs into the sum.
    """
    index: dict[str, int] = {}
    for position, name in enumerate(header[2:], start=2):
        field = names.get(name)
        if field is None or field in index:
            raise InvalidFile(
                source=source,
                line=row.line,
                column=name,
                value=f"column {position + 1}",
                rule="a column of the area layout, once",
            )
        index[field] = position
    for name, field in names.items():
        if field not in index and field not in OPTIONAL:
            raise InvalidFile(
                source=source,
                line=row.line,
                column=name,
                value="absent",
                rule="this column stands in the header",
            )
    return index


def _values_mw(
    cells: Sequence[str], index: Mapping[str, int], source: str, line: int
) -> dict[str, Decimal | None]:
    values: dict[str, Decimal | None] = dict.fromkeys(FIELDS)
    for field, position in index.items():
        cell = cells[position]
        if not cell and field in OPTIONAL:
            continue
        value = text.number(cell, source=source, line=line, column=field)
        lowest = Decimal(0) if field in NEVER_NEGATIVE else -POWER_MAX_MW
        if not lowest <= value <= POWER_MAX_MW:
            raise InvalidFile(
                source=source,
                line=line,
                column=field,
                value=cell,
                rule=f"{lowest} to {POWER_MAX_MW} MW",
            )
        values[field] = value
    return values


def _closed(
    parsed: Sequence[_Parsed], area: str, source: str, column: str, names: Mapping[str, str]
) -> list[AreaRow]:
    """Check ordinals, blank columns and sums, then turn megawatts into kilowatts."""
    starts = text.slot_starts([row.label for row in parsed], source=source, column=column)
    for field in OPTIONAL:
        _all_or_none(parsed, field, names[field], source)
    sign = _interconnector_sign(parsed, source)
    rows = []
    for start_at, row in zip(starts, parsed, strict=True):
        values_kw = {f: None if v is None else v * KW_PER_MW for f, v in row.values_mw.items()}
        interconnector_kw = values_kw["interconnector_kw"]
        if interconnector_kw is not None and sign < 0:
            # Decimal keeps the sign of zero; a stored -0 would differ from 0 in a later file.
            values_kw["interconnector_kw"] = 0 - interconnector_kw
        rows.append(AreaRow(area=area, start_at=start_at, values_kw=values_kw))
    return rows


def _all_or_none(parsed: Iterable[_Parsed], field: str, name: str, source: str) -> None:
    blank = [row.line for row in parsed if row.values_mw[field] is None]
    filled = any(row.values_mw[field] is not None for row in parsed)
    if blank and filled:
        raise InvalidFile(
            source=source, line=blank[0], column=name, value="", rule="a value is missing"
        )


def _interconnector_sign(parsed: Sequence[_Parsed], source: str) -> int:
    """Return +1 where imports are printed positive, −1 where exports are.

    Raises
    ------
    InvalidFile
        Some row closes with neither sign, or rows of one file disagree.
    """
    broken: dict[int, tuple[int, _Parsed, Decimal]] = {}
    for sign in (1, -1):
        gaps = [(row, _gap_mw(row.values_mw, sign)) for row in parsed]
        bad = [(row, gap) for row, gap in gaps if gap > ROUNDING_MW]
        if not bad:
            return sign
        broken[sign] = (len(bad), *bad[0])
    count, row, gap = min(broken.values(), key=lambda found: found[0])
    raise InvalidFile(
        source=source,
        line=row.line,
        column="合計",
        value=f"{gap} MW apart, {count} rows",
        rule="demand = total = generation + pumping + battery + interconnector + other",
    )


def _gap_mw(values_mw: Mapping[str, Decimal | None], sign: int) -> Decimal:
    supply = sum((values_mw[field] or Decimal(0) for field in SUPPLY), Decimal(0))
    if sign < 0:
        supply -= 2 * (values_mw["interconnector_kw"] or Decimal(0))
    total = values_mw["total_kw"] or Decimal(0)
    demand = values_mw["demand_kw"] or Decimal(0)
    return max(abs(supply - total), abs(total - demand))
