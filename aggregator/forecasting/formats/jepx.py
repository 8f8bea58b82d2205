"""JEPX day-ahead results: ``spot_summary_YYYY.csv`` and the normalised yearly table.

The official file has 19 columns in CP932, one row per koma of a fiscal year. Copies are met in
UTF-8, cut by calendar year, with unpadded dates and blank rows at the end; in older years the
four block columns at the end are blank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aggregator.forecasting.formats import text
from aggregator.forecasting.formats.text import InvalidFile, Row

# Okinawa (10) is not traded.
AREA_OF_NAME = {
    "北海道": "01",
    "東北": "02",
    "東京": "03",
    "中部": "04",
    "北陸": "05",
    "関西": "06",
    "中国": "07",
    "四国": "08",
    "九州": "09",
}
ROMAN_NAMES = (
    "hokkaido",
    "tohoku",
    "tokyo",
    "chubu",
    "hokuriku",
    "kansai",
    "chugoku",
    "shikoku",
    "kyushu",
)
PRICE_MAX_JPY_PER_KWH = Decimal(9999)
KOMA_MAX = text.HALF_HOURS_PER_DAY

DATE_COLUMN, KOMA_COLUMN = "受渡日", "時刻コード"
REQUIRED_NUMBERS = (
    "売り入札量(kWh)",
    "買い入札量(kWh)",
    "約定総量(kWh)",
    "システムプライス(円/kWh)",
)
BLOCK_COLUMNS = (
    "売りブロック入札総量(kWh)",
    "売りブロック約定総量(kWh)",
    "買いブロック入札総量(kWh)",
    "買いブロック約定総量(kWh)",
)
PRICE_COLUMNS = {f"エリアプライス{name}(円/kWh)": area for name, area in AREA_OF_NAME.items()}
NORMALISED_COLUMNS = ("start_jst", "volume_kwh", "system", *ROMAN_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRow:
    """The price of one area in one half hour."""

    area: str
    start_at: datetime
    price_jpy_per_kwh: Decimal


def parse_spot(content: bytes, source: str) -> list[SpotRow]:
    """Read either form; the first header cell tells which.

    Parameters
    ----------
    content
        Bytes of the file, plain or gzip.
    source
        Its name, for refusals.

    Returns
    -------
    list of SpotRow
        Nine areas per half hour, whole JST days, in time order; prices [JPY/kWh].

    Raises
    ------
    InvalidFile
        On the first rule the file breaks.
    """
    rows = text.csv_rows(text.decoded(text.unzipped(content, source), source), source)
    if not rows:
        raise InvalidFile(source=source, line=0, column="", value="", rule="a header and rows")
    header = [text.column_name(cell) for cell in rows[0].cells]
    while header and not header[-1]:
        header.pop()
    if header and header[0] == NORMALISED_COLUMNS[0]:
        return _normalised(rows, header, source)
    return _official(rows, header, source)


def _official(rows: Sequence[Row], header: Sequence[str], source: str) -> list[SpotRow]:
    wanted = (DATE_COLUMN, KOMA_COLUMN, *REQUIRED_NUMBERS, *PRICE_COLUMNS)
    index = _columns(rows[0], header, (*wanted, *BLOCK_COLUMNS), source)
    labels, prices = [], []
    for row in rows[1:]:
        cells = text.cells_of(row, len(header), source)
        on = text.day(cells[index[DATE_COLUMN]], source=source, line=row.line, column=DATE_COLUMN)
        koma = _koma(cells[index[KOMA_COLUMN]], source, row.line)
        labels.append(text.SlotLabel(row.line, on, (koma - 1) * text.HALF_HOUR_MIN))
        for column in REQUIRED_NUMBERS:
            _positive(cells[index[column]], source, row.line, column)
        for column in BLOCK_COLUMNS:
            if cells[index[column]]:
                _positive(cells[index[column]], source, row.line, column)
        prices.append(
            {
                area: _price(cells[index[column]], source, row.line, column)
                for column, area in PRICE_COLUMNS.items()
            }
        )
    if labels and labels[0].minute:
        raise InvalidFile(
            source=source,
            line=labels[0].line,
            column=KOMA_COLUMN,
            value=labels[0].minute // text.HALF_HOUR_MIN + 1,
            rule="a day begins with koma 1",
        )
    return _rows(labels, prices, source, KOMA_COLUMN)


def _normalised(rows: Sequence[Row], header: Sequence[str], source: str) -> list[SpotRow]:
    index = _columns(rows[0], header, NORMALISED_COLUMNS, source)
    labels, prices = [], []
    for row in rows[1:]:
        cells = text.cells_of(row, len(header), source)
        labels.append(start_label(cells[index["start_jst"]], source, row.line))
        for column in ("volume_kwh", "system"):
            _positive(cells[index[column]], source, row.line, column)
        prices.append(
            {
                area: _price(cells[index[column]], source, row.line, column)
                for column, area in zip(ROMAN_NAMES, AREA_OF_NAME.values(), strict=True)
            }
        )
    return _rows(labels, prices, source, "start_jst")


def start_label(cell: str, source: str, line: int) -> text.SlotLabel:
    """Read ``2024-04-01 00:30:00``, the start of a half hour in JST."""
    on, _, clock = cell.partition(" ")
    return text.SlotLabel(
        line,
        text.day(on, source=source, line=line, column="start_jst"),
        text.minute_of_day(clock, source=source, line=line, column="start_jst"),
    )


def _rows(
    labels: Sequence[text.SlotLabel],
    prices: Sequence[Mapping[str, Decimal]],
    source: str,
    column: str,
) -> list[SpotRow]:
    starts = text.slot_starts(labels, source=source, column=column)
    return [
        SpotRow(area=area, start_at=start_at, price_jpy_per_kwh=price)
        for start_at, of_areas in zip(starts, prices, strict=True)
        for area, price in of_areas.items()
    ]


def _columns(row: Row, header: Sequence[str], wanted: Sequence[str], source: str) -> dict[str, int]:
    """Place each wanted column once; columns we do not know are allowed and not read."""
    for name in wanted:
        if header.count(name) != 1:
            raise InvalidFile(
                source=source,
                line=row.line,
                column=name,
                value=f"{header.count(name)} times",
                rule="this column stands in the header once (is it UTF-8 or CP932?)",
            )
    return {name: header.index(name) for name in wanted}


def _koma(cell: str, source: str, line: int) -> int:
    value = text.number(cell, source=source, line=line, column=KOMA_COLUMN)
    if value != value.to_integral_value() or not 1 <= value <= KOMA_MAX:
        raise InvalidFile(
            source=source, line=line, column=KOMA_COLUMN, value=cell, rule="a koma, 1 to 48"
        )
    return int(value)


def _positive(cell: str, source: str, line: int, column: str) -> Decimal:
    value = text.number(cell, source=source, line=line, column=column)
    if value < 0:
        raise InvalidFile(source=source, line=line, column=column, value=cell, rule="not negative")
    return value


def _price(cell: str, source: str, line: int, column: str) -> Decimal:
    value = _positive(cell, source, line, column)
    if value > PRICE_MAX_JPY_PER_KWH or value != round(value, 2):
        raise InvalidFile(
            source=source,
            line=line,
            column=column,
            value=cell,
            rule=f"0 to {PRICE_MAX_JPY_PER_KWH} JPY/kWh in hundredths",
        )
    return value
