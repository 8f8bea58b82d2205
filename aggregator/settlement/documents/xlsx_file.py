"""A document as a workbook: the document on one sheet, its days on another."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import xlsxwriter

from aggregator.settlement.documents import words

WIDTHS = (34, 20, 8, 10, 20, 16)
YEN_FORMAT = "#,##0;[Red]-#,##0"
EXACT_FORMAT = "#,##0.######;[Red]-#,##0.######"


def document_xlsx(content: Mapping[str, Any], language: str) -> bytes:
    """Write a document as XLSX.

    Texts are written as texts, whatever they begin with, so that none runs as a formula. The
    workbook's own date is the day of issue: the same content is the same bytes.
    """
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties(
            {
                "title": f"{words.title(content, language)} {content['number']}",
                "author": words.party_name(content["issuer"], language),
                "created": datetime.fromisoformat(content["issued_on"]),
            }
        )
        _Sheets(book, content, language).write()
    return out.getvalue()


class _Sheets:
    """The two sheets of a workbook, written from the top down."""

    def __init__(self, book: Any, content: Mapping[str, Any], language: str) -> None:
        self._book, self._content, self._language = book, content, language
        self._words = words.WORDS[language]
        font = {"font_name": "Yu Gothic", "font_size": 10}
        self._plain = book.add_format(font)
        self._wide = book.add_format({**font, "text_wrap": True, "valign": "top"})
        self._title = book.add_format({**font, "font_size": 16})
        self._head = book.add_format({**font, "bold": True, "bottom": 1, "bg_color": "#EEF2F3"})
        self._yen = book.add_format({**font, "num_format": YEN_FORMAT})
        self._exact = book.add_format({**font, "num_format": EXACT_FORMAT})
        self._sum = book.add_format({**font, "bold": True, "num_format": YEN_FORMAT, "top": 1})
        self._y = 0

    def write(self) -> None:
        """Write both; without days there is one."""
        self._sheet = self._book.add_worksheet(self._content["number"])
        self._sheet.set_paper(9)
        self._sheet.fit_to_pages(1, 0)
        for x, width in enumerate(WIDTHS):
            self._sheet.set_column(x, x, width)
        self._heads()
        if self._content["kind"] == "ACCOUNT":
            self._account()
        else:
            self._lines()
            self._totals()
        self._changes()
        self._notes()
        if self._content["days"]:
            self._days()

    def _row(self, *cells: Any, style: Any = None) -> None:
        for x, cell in enumerate(cells):
            if cell is None:
                continue
            if isinstance(cell, str):
                self._sheet.write_string(self._y, x, cell, style or self._plain)
            else:
                number = self._exact if isinstance(cell, Decimal) else self._yen
                self._sheet.write_number(self._y, x, cell, style or number)
        self._y += 1

    def _heads(self) -> None:
        content, language, labels = self._content, self._language, self._words
        self._row(words.title(content, language), style=self._title)
        self._y += 1
        period = f"{words.day(content['start_on'], language)} – "
        self._row(labels["number"], content["number"])
        self._row(labels["issued_on"], words.day(content["issued_on"], language))
        self._row(labels["period"], period + words.day(content["last_on"], language))
        for role in ("recipient", "issuer"):
            party = content[role]
            self._row(labels[role], words.party_name(party, language))
            number = party["registration_number"] or labels["unregistered"]
            self._row(labels["registration"], number)
        if content["corrects"]:
            self._row(words.correction(content, language))
        self._y += 1
        self._row(words.total_label(content, language), words.total_shown(content), style=self._sum)
        self._y += 1

    def _lines(self) -> None:
        labels, language = self._words, self._language
        heads = ("item", "quantity", "unit", "rate", "amount")
        self._row(*[labels[name] for name in heads], style=self._head)
        for row in self._content["lines"]:
            has_quantity = row["quantity"] is not None
            self._row(
                words.item_name(row, language),
                Decimal(row["quantity"]) if has_quantity else None,
                row["unit"] if has_quantity else None,
                words.ratio(row["rate"], language),
                row["amount_jpy"],
            )
        if not self._content["lines"]:
            self._row(labels["nothing"])
        self._y += 1

    def _totals(self) -> None:
        labels = self._words
        self._row(labels["rate"], labels["net"], None, None, labels["tax"], labels["gross"],
                  style=self._head)  # fmt: skip
        for row in self._content["totals"]:
            name = words.ratio(row["rate"], self._language)
            gross = row["net_jpy"] + row["tax_jpy"]
            self._row(name, row["net_jpy"], None, None, row["tax_jpy"], gross)
        total, tax = self._content["total_jpy"], self._content["tax_jpy"]
        self._row(labels["total"], total - tax, None, None, tax, total, style=self._sum)
        self._y += 1

    def _account(self) -> None:
        labels = self._words
        self._row(labels["documents"], labels["document_number"], None, None,
                  labels["amount_jpy"], style=self._head)  # fmt: skip
        for row in self._content["lines"]:
            name = labels[f"row_{row['item']}"]
            self._row(name, row["number"], None, None, row["amount_jpy"])
        total_jpy = self._content["total_jpy"]
        self._row(labels["total"], None, None, None, total_jpy, style=self._sum)
        self._y += 1

    def _changes(self) -> None:
        labels = self._words
        if not self._content["changes"]:
            return
        heads = (labels["changes"], labels["before"], None, None, labels["after"], labels["delta"])
        self._row(*heads, style=self._head)
        for row in self._content["changes"]:
            name = words.change_name(row, self._language)
            self._row(name, row["before_jpy"], None, None, row["after_jpy"], row["delta_jpy"])
        self._y += 1

    def _notes(self) -> None:
        for note in words.notes(self._content, self._language):
            self._sheet.merge_range(self._y, 0, self._y, len(WIDTHS) - 1, "", self._wide)
            self._sheet.write_string(self._y, 0, note, self._wide)
            self._sheet.set_row(self._y, 30)
            self._y += 1

    def _days(self) -> None:
        labels, language = self._words, self._language
        self._sheet = self._book.add_worksheet(labels["on"])
        self._y = 0
        for x, width in enumerate((14, 34, 18, 8, 22)):
            self._sheet.set_column(x, x, width)
        self._sheet.freeze_panes(1, 0)
        heads = ("on", "item", "quantity", "unit", "exact")
        self._row(*[labels[name] for name in heads], style=self._head)
        for row in self._content["days"]:
            has_quantity = row["quantity"] is not None
            self._row(
                row["on"],
                words.item_name(row, language),
                Decimal(row["quantity"]) if has_quantity else None,
                row["unit"] if has_quantity else None,
                Decimal(row["amount_exact_jpy"]),
            )
