"""Tables that leave: opened by a spreadsheet, no cell runs, and numbers are numbers."""

from __future__ import annotations

import ast
import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.csvtext import FORMULA_STARTS, cell_read, csv_bytes, csv_text, safe_cell
from tests.architecture.repository import ROOT, python_files

EVIL = [
    '=HYPERLINK("http://x","y")', "+1+1", "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1",
    "\n=1", "＝1+1", "＋1", "－1", "＠SUM(1)", " =1", "\u3000＝1", "  \t=1",
]  # fmt: skip


def _back(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", EVIL)
def test_text_that_would_run_is_marked_as_text_and_comes_back(text: str) -> None:
    header, (code, amount) = _back(csv_bytes([(text, -5)], header=("code", "amount_jpy")))
    assert header == ["code", "amount_jpy"]
    assert code == f"'{text}"
    assert cell_read(code) == text
    assert amount == "-5"


@pytest.mark.parametrize("text", ["", "印西DC", "a=b", "3-1", "x@y", "'quoted'", "'", "O'Hare"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text
    assert cell_read(text) == text


def test_numbers_dates_and_nothing_stay_what_they_are() -> None:
    row = (
        -1,
        Decimal("-12.50"),
        -0.5,
        date(2026, 11, 25),
        datetime(2026, 11, 25, tzinfo=UTC),
        None,
    )
    assert _back(csv_bytes([row], header="abcdef"))[1] == [
        "-1",
        "-12.50",
        "-0.5",
        "2026-11-25",
        "2026-11-25 00:00:00+00:00",
        "",
    ]


@given(st.text(alphabet="=+-@＝＋－＠'\" \t\r\n\u3000,a1", max_size=8))
def test_every_text_is_harmless_and_comes_back(text: str) -> None:
    # a column after it, for a line of one empty cell is written as nothing
    (cell, after) = _back(csv_text([(text, 1)], header=("a", "b")).encode())[1]
    assert not cell.lstrip(" \u3000").startswith(FORMULA_STARTS)
    assert after == "1"
    assert cell == safe_cell(text)


def test_no_other_module_writes_csv() -> None:
    writers = {
        str(path)
        for path in python_files(with_tests=False)
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("writer", "DictWriter")
        and getattr(node.value, "id", "") == "csv"
    }
    assert writers == {"accounts/core/csvtext.py"}
