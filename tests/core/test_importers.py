"""Readers of official files: generated files in the official layouts, and real ones if there."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.forecasting.formats import area as area_format
from aggregator.forecasting.formats import jepx
from aggregator.forecasting.formats.area import AreaRow, parse_area
from aggregator.forecasting.formats.jepx import parse_spot
from aggregator.forecasting.formats.text import InvalidFile
from tests.shared_files import shared_path

AREAS = ("北海道", "東北", "東京", "中部", "北陸", "関西", "中国", "四国", "九州")
SPOT_HEADER = (
    "受渡日,時刻コード,売り入札量(kWh),買い入札量(kWh),約定総量(kWh),システムプライス(円/kWh),"
    + ",".join(f"エリアプライス{name}(円/kWh)" for name in AREAS)
    + ",売りブロック入札総量(kWh),売りブロック約定総量(kWh)"
    ",買いブロック入札総量(kWh),買いブロック約定総量(kWh)"
)
AREA_HEADER = (
    "DATE,TIME,エリア需要,原子力,火力(LNG),火力(石炭),火力(石油),火力(その他),水力,地熱,"
    "バイオマス,太陽光発電実績,太陽光出力制御量,風力発電実績,風力出力制御量,揚水,蓄電池,"
    "連系線,その他,合計"
)
UNIT_LINE = "単位[MW平均],,,供給力" + "," * 16
FIRST_START = datetime(2024, 3, 31, 15, tzinfo=UTC)  # 1 April 2024, 0:00 JST


def spot_lines(day_count: int = 1, *, blocks: str = "1,2,3,4", padded: bool = True) -> list[str]:
    """Rows whose Hokkaido price is 10 + koma / 100 and rises by 0.01 per area."""
    lines = [SPOT_HEADER]
    for n in range(day_count):
        on = date(2024, 4, 1) + timedelta(days=n)
        label = f"{on:%Y/%m/%d}" if padded else f"{on.year}/{on.month}/{on.day}"
        for koma in range(1, 49):
            prices = ",".join(f"{10 + koma / 100 + k / 100:.2f}" for k in range(9))
            lines.append(f"{label},{koma},19499550,13094050,10474250,8.57,{prices},{blocks}")
    return lines


def area_lines(
    *,
    day_count: int = 1,
    label_end: bool = False,
    quoted: bool = False,
    export_positive: bool = False,
    wide: bool = False,
) -> list[str]:
    """Rows that close: 1000 = 100 nuclear + 200 LNG + … with 50 MW of import."""
    header, unit = AREA_HEADER, UNIT_LINE
    if wide:
        header = header.replace("火力(その他),", "火力(その他),火力出力制御量,")
        header = header.replace("バイオマス,", "バイオマス,バイオマス出力制御量,")
        header = header.replace("(", "（").replace(")", "）")
        unit += ",,"
    lines = [unit, header]
    for n in range(day_count):
        on = date(2024, 4, 1) + timedelta(days=n)
        for t in range(48):
            minute = 30 * (t + 1 if label_end else t)
            label = f"{on:%Y%m%d}" if quoted else f"{on.year}/{on.month}/{on.day}"
            if quoted:
                label = f'"{label}"'
            thermal, biomass = ("60,7", "40,8") if wide else ("60", "40")
            tie = -50 if export_positive else 50
            # 100 + 200 + 150 + 20 + 60 + 90 + 0 + 40 + 300 + 10 − 30 + 5 + 50 + 5 = 1000
            lines.append(
                f"{label},{minute // 60}:{minute % 60:02d},1000,100,200,150,20,{thermal},90,0,"
                f"{biomass},300,25,10,3,-30,5,{tie},5,1000"
            )
    return lines


def joined(lines: Sequence[str], encoding: str = "cp932", end: str = "\r\n") -> bytes:
    return (end.join(lines) + end).encode(encoding)


def changed(lines: list[str], line: int, old: str, new: str) -> list[str]:
    """Change one place; `line` counts from 1 as the refusals do."""
    assert old in lines[line - 1]
    return [*lines[: line - 1], lines[line - 1].replace(old, new, 1), *lines[line:]]


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_spot_summary_is_read_in_either_encoding(encoding: str, end: str) -> None:
    rows = parse_spot(joined(spot_lines(2), encoding, end), "spot_summary_2024.csv")
    assert len(rows) == 2 * 48 * 9
    assert (rows[0].area, rows[0].start_at) == ("01", FIRST_START)
    assert rows[0].price_jpy_per_kwh == Decimal("10.01")
    # Kyushu is the ninth area: 10 + 48 / 100 + 8 / 100 in koma 48.
    assert (rows[431].area, rows[431].price_jpy_per_kwh) == ("09", Decimal("10.56"))
    assert rows[431].start_at == FIRST_START + timedelta(hours=23, minutes=30)


def test_copies_with_unpadded_dates_blank_blocks_and_blank_rows_at_the_end_are_read() -> None:
    lines = [*spot_lines(blocks=",,,", padded=False), "," * 18, "", "," * 18]
    assert len(parse_spot(joined(lines, "utf-8"), "calendar cut")) == 48 * 9


def test_a_spot_file_without_a_final_line_end_is_read() -> None:
    content = joined(spot_lines()).removesuffix(b"\r\n")
    assert len(parse_spot(content, "x.csv")) == 48 * 9


SPOT_BREAKS: dict[str, tuple[Callable[[list[str]], list[str]], int, str]] = {
    "missing koma": (lambda s: [*s[:10], *s[11:]], 11, "missing"),
    "repeated koma": (lambda s: [*s[:11], s[10], *s[11:]], 12, "repeated"),
    "missing last koma": (lambda s: s[:-1], 48, "48 half hours"),
    "missing first koma": (lambda s: [s[0], *s[2:]], 2, "koma 1"),
    "swapped komas": (lambda s: [*s[:5], s[6], s[5], *s[7:]], 6, "missing"),
    "cut line": (lambda s: [*s[:-1], s[-1][:60]], 49, "cut line"),
    "blank row between": (lambda s: [*s[:9], "," * 18, *s[9:]], 10, "blank row"),
    "koma 49": (lambda s: changed(s, 49, "/01,48,", "/01,49,"), 49, "1 to 48"),
    "koma 0": (lambda s: changed(s, 2, "/01,1,", "/01,0,"), 2, "1 to 48"),
    "NaN": (lambda s: changed(s, 5, "10.04", "NaN"), 5, "ASCII digits"),
    "infinity": (lambda s: changed(s, 5, "10.04", "inf"), 5, "ASCII digits"),
    "underscore": (lambda s: changed(s, 5, "10474250", "1_000"), 5, "ASCII digits"),
    "full-width digits": (lambda s: changed(s, 5, "10.04", "１０.04"), 5, "ASCII digits"),
    "exponent": (lambda s: changed(s, 5, "10.04", "1e1"), 5, "ASCII digits"),
    "thousands": (lambda s: changed(s, 5, "10474250", '"10,474,250"'), 5, "ASCII digits"),
    "endless digits": (lambda s: changed(s, 5, "10474250", "9" * 5000), 5, "ASCII digits"),
    "negative price": (lambda s: changed(s, 5, "10.04", "-10.04"), 5, "not negative"),
    "absurd price": (lambda s: changed(s, 5, "10.04", "99999"), 5, "9999"),
    "price off tick": (lambda s: changed(s, 5, "10.04", "10.041"), 5, "hundredths"),
    "no price": (lambda s: changed(s, 5, "10.04", ""), 5, "missing"),
    "30 February": (lambda s: changed(s, 5, "2024/04/01", "2024/02/30"), 5, "a date"),
    "year 20240": (lambda s: changed(s, 5, "2024/04/01", "20240/4/1"), 5, "a date"),
    "day skipped": (lambda s: [x.replace("/04/02", "/04/03") for x in s], 50, "missing"),
    "column gone": (lambda s: [x.replace("東北", "東北北") for x in s], 1, "once"),
    "open quote": (lambda s: changed(s, 5, "10.04", '"10.04'), 97, "quote"),
    "too long": (lambda s: changed(s, 5, "10.04", "10.04,7"), 5, "19 cells"),
    "only a header": (lambda s: s[:1], 0, "at least one day"),
    "control character": (lambda s: changed(s, 5, "10.04", "10\x00.04"), 5, "control"),
}


@pytest.mark.parametrize("name", SPOT_BREAKS)
def test_a_broken_spot_file_is_refused_with_line_and_rule(name: str) -> None:
    breaks, line, rule = SPOT_BREAKS[name]
    one_day = {"missing last koma", "cut line"}
    lines = spot_lines(1 if name in one_day else 2)
    with pytest.raises(InvalidFile, match=rule) as refused:
        parse_spot(joined(breaks(lines)), "spot.csv")
    assert refused.value.source == "spot.csv"
    assert refused.value.line == line
    assert refused.value.field.startswith("spot.csv")


@pytest.mark.parametrize("encoding", ["utf-16", "euc-jp"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(InvalidFile):
        parse_spot(joined(spot_lines(), encoding), "spot.csv")


@pytest.mark.parametrize("content", [b"", b"  \r\n", b"\xff\xfe\xfd\x81", b"\x1f\x8b\x08broken"])
def test_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidFile):
        parse_spot(content, "spot.csv")


def test_a_cut_archive_is_refused() -> None:
    whole = gzip.compress(joined(spot_lines()))
    assert len(parse_spot(whole, "spot.csv.gz")) == 48 * 9
    with pytest.raises(InvalidFile, match="gzip"):
        parse_spot(whole[: len(whole) // 2], "spot.csv.gz")


@given(st.integers(min_value=0, max_value=len(joined(spot_lines(), "utf-8")) - 40))
def test_a_spot_file_cut_anywhere_before_its_last_cells_is_refused(length: int) -> None:
    # The last four cells are block volumes, which are not stored and may be blank.
    with pytest.raises(InvalidFile):
        parse_spot(joined(spot_lines(), "utf-8")[:length], "spot.csv")


def test_an_area_file_is_read_into_kilowatts() -> None:
    rows = parse_area(joined(area_lines(day_count=2)), "eria_jukyu_202404_03.csv")
    assert len(rows) == 96
    assert {row.area for row in rows} == {"03"}
    assert rows[0].start_at == FIRST_START
    assert rows[95].start_at == FIRST_START + timedelta(hours=47, minutes=30)
    values = rows[0].values_kw
    assert values["demand_kw"] == Decimal(1_000_000)
    assert values["pumped_hydro_kw"] == Decimal(-30_000)
    assert values["interconnector_kw"] == Decimal(50_000)
    assert values["solar_curtailed_kw"] == Decimal(25_000)
    assert values["thermal_curtailed_kw"] is None


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig"])
def test_22_columns_with_full_width_brackets_are_read(encoding: str) -> None:
    rows = parse_area(joined(area_lines(wide=True), encoding), "x.csv", "01")
    assert rows[0].values_kw["thermal_curtailed_kw"] == Decimal(7_000)
    assert rows[0].values_kw["biomass_curtailed_kw"] == Decimal(8_000)


def test_quoted_compact_dates_are_read() -> None:
    rows = parse_area(joined(area_lines(quoted=True)), "x.csv", "02")
    assert rows[47].start_at == FIRST_START + timedelta(hours=23, minutes=30)


def end_labelled(last: str) -> list[str]:
    """Make a day whose slots are named by their end; `last` is how the last one is printed."""
    lines = area_lines(label_end=True)
    return changed(lines, len(lines), "2024/4/1,24:00", last)


@pytest.mark.parametrize("last", ["2024/4/1,24:00", "2024/4/1,0:00", "2024/4/2,0:00"])
def test_slots_named_by_their_end_are_the_same_komas(last: str) -> None:
    by_end = parse_area(joined(end_labelled(last)), "x.csv", "09")
    by_start = parse_area(joined(area_lines()), "x.csv", "09")
    assert [row.start_at for row in by_end] == [row.start_at for row in by_start]


def test_an_operator_that_prints_exports_positive_is_turned() -> None:
    rows = parse_area(joined(area_lines(export_positive=True)), "x.csv", "09")
    # 1000 = 950 + 50 only if the printed −50 is an import of 50.
    assert {row.values_kw["interconnector_kw"] for row in rows} == {Decimal(50_000)}


def test_a_column_that_is_blank_from_top_to_bottom_is_not_published() -> None:
    lines = [x.replace(",90,0,40,", ",90,,40,") for x in area_lines()]
    rows = parse_area(joined(lines), "x.csv", "08")
    assert rows[0].values_kw["geothermal_kw"] is None


AREA_BREAKS: dict[str, tuple[Callable[[list[str]], list[str]], int, str]] = {
    "missing koma": (lambda s: [*s[:9], *s[10:]], 10, "missing"),
    "repeated koma": (lambda s: [*s[:10], s[9], *s[10:]], 11, "repeated"),
    "cut day": (lambda s: s[:-1], 97, "48 half hours"),
    "late start": (lambda s: [*s[:2], *s[4:]], 3, "first half hour"),
    "sum": (lambda s: changed(s, 7, ",300,", ",200,"), 7, "demand = total"),
    "demand": (lambda s: changed(s, 7, ":00,1000,", ":00,1010,"), 7, "demand = total"),
    "cut number": (lambda s: [*s[:-1], s[-1][:-1]], 98, "demand = total"),
    "cut line": (lambda s: [*s[:-1], s[-1][:40]], 98, "cut line"),
    "blank among filled": (lambda s: changed(s, 7, ",90,0,", ",90,,"), 7, "missing"),
    "blank demand": (lambda s: changed(s, 7, ":00,1000,", ":00,,"), 7, "missing"),
    "NaN": (lambda s: changed(s, 7, ",300,", ",NaN,"), 7, "ASCII digits"),
    "underscore": (lambda s: changed(s, 7, ",1000,", ",1_000,"), 7, "ASCII digits"),
    "full-width": (lambda s: changed(s, 7, ",300,", ",３００,"), 7, "ASCII digits"),
    "endless": (lambda s: changed(s, 7, ",300,", f",{'9' * 4301},"), 7, "ASCII digits"),
    "negative curtailment": (lambda s: changed(s, 7, ",25,", ",-25,"), 7, "0 to"),
    "quarter hour": (lambda s: changed(s, 7, "2:00", "2:15"), 7, "half hour"),
    "25:00": (lambda s: changed(s, 7, "2:00", "25:00"), 7, "half hour"),
    "unknown column": (lambda s: [x.replace("原子力", "核融合") for x in s], 2, "area layout"),
    "column twice": (lambda s: [x.replace("水力", "原子力") for x in s], 2, "once"),
    "column gone": (
        lambda s: [s[0], s[1].replace(",水力", ""), *(x.replace(",90,0", ",90") for x in s[2:])],
        2,
        "stands in the header",
    ),
    "other unit": (lambda s: [s[0].replace("MW平均", "万kW"), *s[1:]], 1, "万kW"),
    "no header": (lambda s: s[2:], 1, "header"),
}


@pytest.mark.parametrize("name", AREA_BREAKS)
def test_a_broken_area_file_is_refused_with_line_and_rule(name: str) -> None:
    breaks, line, rule = AREA_BREAKS[name]
    with pytest.raises(InvalidFile, match=rule) as refused:
        parse_area(joined(breaks(area_lines(day_count=2))), "eria_jukyu_202404_03.csv")
    assert refused.value.line == line


@pytest.mark.parametrize(("name", "area"), [("x.csv", None), ("x.csv", "11"), ("x.csv", "3")])
def test_an_area_file_needs_its_area(name: str, area: str | None) -> None:
    with pytest.raises(InvalidFile, match="area code"):
        parse_area(joined(area_lines()), name, area)


@given(st.integers(min_value=0, max_value=len(joined(area_lines())) - 4))
def test_an_area_file_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(InvalidFile):
        parse_area(joined(area_lines())[:length], "x.csv", "03")


def test_the_normalised_table_is_read_for_one_area_or_all() -> None:
    header = "start_jst,area," + ",".join(
        roman for _, _, roman in area_format.COLUMNS if not roman.startswith(("thermal_c", "bio"))
    )
    header = header.replace("geothermal,", "geothermal,biomass,")
    lines = [header]
    for name, tie in (("tokyo", 50), ("kyushu", -50)):
        for t in range(48):
            clock = f"{t // 2:02d}:{30 * (t % 2):02d}:00"
            lines.append(
                f"2024-04-01 {clock},{name},1000,100,200,150,20,60,90,0,40,300,25,10,3,-30,5,"
                f"{tie},5,1000"
            )
    content = gzip.compress(joined(lines, "utf-8"))
    rows = parse_area(content, "fy2024.csv.gz")
    assert [row.area for row in rows[::48]] == ["03", "09"]
    assert {row.values_kw["interconnector_kw"] for row in rows} == {Decimal(50_000)}
    only = parse_area(content, "fy2024.csv.gz", "09")
    assert [row.area for row in only] == ["09"] * 48
    with pytest.raises(InvalidFile, match="area of this file"):
        parse_area(content, "fy2024.csv.gz", "05")


def test_the_real_spot_year_is_read() -> None:
    path = shared_path("jepx_spot_30min_2024.csv.gz")
    if path is None:
        pytest.skip("real files are not beside this checkout")
    rows = parse_spot(path.read_bytes(), path.name)
    assert len(rows) == 366 * 48 * 9  # 2024 is a leap year
    assert rows[0].start_at == datetime(2023, 12, 31, 15, tzinfo=UTC)
    assert {row.area for row in rows} == set(jepx.AREA_OF_NAME.values())
    # First line of the file: Hokkaido 15.64 JPY/kWh at midnight.
    assert rows[0].price_jpy_per_kwh == Decimal("15.64")


@pytest.mark.parametrize("area", ["03", "08", "09", "10"])
def test_the_real_area_year_closes_half_hour_by_half_hour(area: str) -> None:
    path = shared_path("jp_area_supply_demand_30min_fy2024.csv.gz")
    if path is None:
        pytest.skip("real files are not beside this checkout")
    rows = parse_area(path.read_bytes(), path.name, area)
    assert len(rows) == 365 * 48
    assert rows[0].start_at == FIRST_START
    assert max(_gap_kw(row) for row in rows) <= 4_000  # rounding of whole megawatts
    if area == "09":
        # Kyushu prints exports as positive; at noon of 2 August 2024 it exported 1,668 MW.
        noon = datetime(2024, 8, 2, 3, tzinfo=UTC)
        (row,) = [row for row in rows if row.start_at == noon]
        assert row.values_kw["interconnector_kw"] == Decimal(-1_668_000)


def _gap_kw(row: AreaRow) -> Decimal:
    outside = {"demand_kw", "total_kw", *area_format.CURTAILED}
    supply = sum(kw for f, kw in row.values_kw.items() if kw is not None and f not in outside)
    return abs(supply - (row.values_kw["demand_kw"] or Decimal(0)))
