"""A document as CSV: one table, what the row is in its first column."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from accounts.core.csvtext import Cell, csv_bytes
from aggregator.settlement.documents import words

COLUMNS = ("kind", "name", "date", "quantity", "unit", "rate", "amount", "tax")
HEADERS = {
    "ja": ("区分", "内容", "日付", "数量", "単位", "税率", "金額（円）", "消費税額（円）"),
    "en": ("Row", "Content", "Date", "Quantity", "Unit", "Tax rate", "Amount (JPY)", "Tax (JPY)"),
}


def document_csv(content: Mapping[str, Any], language: str) -> bytes:
    """Write a document as CSV: UTF-8 with BOM, CRLF, no cell that runs as a formula.

    Rows are ``DOCUMENT`` (number, dates, parties), ``LINE``, ``TOTAL`` (per tax rate), ``SUM``,
    ``CHANGE`` (of a corrected document) and ``DAY``.
    """
    rows = [*_heads(content, language), *_lines(content, language), *_rest(content, language)]
    return csv_bytes(rows, header=HEADERS[language])


def _heads(content: Mapping[str, Any], language: str) -> list[tuple[Cell, ...]]:
    labels = words.WORDS[language]
    heads = [
        (words.title(content, language), content["issued_on"]),
        (f"{labels['number']} {content['number']}", content["issued_on"]),
        (f"{labels['period']} {content['start_on']} – {content['last_on']}", content["start_on"]),
    ]
    for role in ("issuer", "recipient"):
        party = content[role]
        number = party["registration_number"] or labels["unregistered"]
        heads.append((f"{labels[role]} {words.party_name(party, language)} {number}", ""))
    if content["corrects"]:
        heads.append((words.correction(content, language), content["corrects"]["issued_on"]))
    return [("DOCUMENT", text, on, None, "", "", None, None) for text, on in heads]


def _lines(content: Mapping[str, Any], language: str) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for row in content["lines"]:
        if content["kind"] == "ACCOUNT":
            name = f"{words.WORDS[language]['row_' + row['item']]} {row['number']}"
            rows.append(("LINE", name, "", None, "", "", row["amount_jpy"], row["tax_jpy"]))
            continue
        name = words.item_name(row, language)
        quantity = None if row["quantity"] is None else Decimal(row["quantity"])
        unit = row["unit"] if quantity is not None else ""
        rate = words.ratio(row["rate"], language)
        rows.append(("LINE", name, "", quantity, unit, rate, row["amount_jpy"], None))
    return rows


def _rest(content: Mapping[str, Any], language: str) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = [
        ("TOTAL", words.ratio(row["rate"], language), "", None, "",
         words.ratio(row["rate"], language), row["net_jpy"], row["tax_jpy"])
        for row in content["totals"]
    ]  # fmt: skip
    label = words.total_label(content, language)
    rows.append(("SUM", label, "", None, "", "", content["total_jpy"], content["tax_jpy"]))
    rows += [
        ("CHANGE", words.change_name(row, language), "", None, "", "", row["delta_jpy"], None)
        for row in content["changes"]
    ]
    rows += [
        ("DAY", words.item_name(row, language), row["on"],
         None if row["quantity"] is None else Decimal(row["quantity"]),
         row["unit"] if row["quantity"] is not None else "", "",
         Decimal(row["amount_exact_jpy"]), None)
        for row in content["days"]
    ]  # fmt: skip
    return rows
