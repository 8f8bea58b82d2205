"""Words of documents in both languages, and how figures are written in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

JA: Final = "ja"

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "ja": {
        "title_STATEMENT": "支払通知書（仕入明細書）",
        "title_INVOICE": "請求書（適格請求書）",
        "title_INVOICE_plain": "請求書",
        "title_ACCOUNT": "精算書",
        "title_corrected": "【訂正】",
        "total_STATEMENT": "お支払金額（税込）",
        "total_INVOICE": "ご請求金額（税込）",
        "total_ACCOUNT": "差引お支払金額",
        "total_ACCOUNT_owed": "差引ご請求金額",
        "to": "御中",
        "number": "文書番号",
        "issued_on": "発行日",
        "period": "取引年月日",
        "registration": "登録番号",
        "unregistered": "なし",
        "supplier": "仕入先（課税資産の譲渡等を行った事業者）",
        "supplier_house": "発行者",
        "issuer": "発行者",
        "recipient": "宛先",
        "item": "項目",
        "quantity": "数量",
        "unit": "単位",
        "rate": "税率",
        "amount": "金額（税抜・円）",
        "amount_jpy": "金額（円）",
        "net": "対象額（税抜・円）",
        "tax": "消費税額（円）",
        "gross": "合計（円）",
        "outside": "不課税",
        "deduction": "（控除）",
        "total": "合計",
        "nothing": "この期間の取引はありません。",
        "changes": "訂正前との差異",
        "before": "訂正前（円）",
        "after": "訂正後（円）",
        "delta": "差異（円）",
        "tax_of_rate": "消費税額",
        "days": "日別内訳（税抜、端数処理前）",
        "on": "受渡日",
        "exact": "金額（円）",
        "carried": "前頁より繰越",
        "carry": "次頁へ繰越",
        "documents": "文書",
        "document_number": "番号",
        "row_STATEMENT": "支払通知書（お支払）",
        "row_INVOICE": "請求書（ご請求）",
        "note_corrects": "本書は {issued_on} 発行の {number}（合計 {total} 円）を訂正し、"
        "これに代わるものです。合計の差異は {delta} 円です。",
        "note_objection": "本書の記載に誤りがあるときは {until} までにお申し出ください。"
        "同日までにお申し出がないときは、確認があったものとします。",
        "note_deduction": "仕入先は適格請求書発行事業者ではありません。"
        "経過措置により仕入税額とみなされる割合は {ratio} です（未検証）。",
        "note_unregistered_house": "発行者に登録番号がないため、本書は適格請求書ではありません。",
        "note_tax": "消費税額は税率ごとの対象額の合計に対して一度だけ端数処理をしています。",
        "note_rounding": "金額は項目ごとに期間の合計を一度だけ円単位に端数処理をしています。",
        "note_pays": "上記の差引金額を、登録された口座へお振り込みします。",
        "note_owed": "上記の差引金額を、期日までにお振り込みください。",
        "note_even": "お支払もご請求もありません。",
        "page": "頁",
    },
    "en": {
        "title_STATEMENT": "Payment statement",
        "title_INVOICE": "Qualified invoice",
        "title_INVOICE_plain": "Invoice",
        "title_ACCOUNT": "Statement of account",
        "title_corrected": "Corrected: ",
        "total_STATEMENT": "Payable to you, with tax",
        "total_INVOICE": "Payable by you, with tax",
        "total_ACCOUNT": "Net, payable to you",
        "total_ACCOUNT_owed": "Net, payable by you",
        "to": "",
        "number": "Number",
        "issued_on": "Issued",
        "period": "Supplied",
        "registration": "Registration no.",
        "unregistered": "none",
        "supplier": "Supplier",
        "supplier_house": "Issuer",
        "issuer": "Issuer",
        "recipient": "To",
        "item": "Item",
        "quantity": "Quantity",
        "unit": "Unit",
        "rate": "Tax rate",
        "amount": "Amount before tax (JPY)",
        "amount_jpy": "Amount (JPY)",
        "net": "Net (JPY)",
        "tax": "Consumption tax (JPY)",
        "gross": "Total (JPY)",
        "outside": "out of scope",
        "deduction": " (deduction)",
        "total": "Total",
        "nothing": "There was nothing in this period.",
        "changes": "Differences from the corrected document",
        "before": "Before (JPY)",
        "after": "After (JPY)",
        "delta": "Difference (JPY)",
        "tax_of_rate": "Consumption tax",
        "days": "By day, before tax and before rounding",
        "on": "Delivery day",
        "exact": "Amount (JPY)",
        "carried": "Brought forward",
        "carry": "Carried forward",
        "documents": "Document",
        "document_number": "Number",
        "row_STATEMENT": "Payment statement (to you)",
        "row_INVOICE": "Invoice (by you)",
        "note_corrects": "This document corrects and replaces {number} of {issued_on} "
        "(total {total} JPY). The total differs by {delta} JPY.",
        "note_objection": "Please object by {until} if anything here is wrong. Without an "
        "objection by then the statement counts as confirmed.",
        "note_deduction": "The supplier is not registered for qualified invoices. Share of the tax "
        "deductible under the transitional measure: {ratio} (unverified).",
        "note_unregistered_house": "The issuer is not registered; this is no qualified invoice.",
        "note_tax": "Consumption tax is rounded once per rate, on the total of that rate.",
        "note_rounding": "Amounts are rounded to whole yen once per item, on the period's total.",
        "note_pays": "We will transfer the net amount to your registered bank account.",
        "note_owed": "Please transfer the net amount by the due date.",
        "note_even": "Nothing is payable by either side.",
        "page": "Page",
    },
}


def yen(amount_jpy: int, language: str) -> str:
    """Write whole yen with thousands; what is less than nothing with △ or a minus sign."""
    sign = "" if amount_jpy >= 0 else "△" if language == JA else "-"
    return f"{sign}{abs(amount_jpy):,}"


def decimal(text: str | None, language: str, *, places: int = 0) -> str:
    """Write a decimal of a document with thousands: every digit kept, at least `places`."""
    if text is None:
        return ""
    value = Decimal(text)
    sign = "" if value >= 0 else "△" if language == JA else "-"
    return f"{sign}{abs(value):,.{max(places, places_of(text))}f}"


def places_of(text: str) -> int:
    """Return how many places a decimal of a document has."""
    return len(text.partition(".")[2])


def ratio(text: str | None, language: str) -> str:
    """Write a tax rate as per cent; None: outside the tax."""
    if text is None:
        return WORDS[language]["outside"]
    return f"{(Decimal(text) * 100).normalize():f}%"


def day(text: str, language: str) -> str:
    """Write a date as it is read aloud."""
    on = date.fromisoformat(text)
    return f"{on.year}年{on.month}月{on.day}日" if language == JA else on.isoformat()


def title(content: Mapping[str, Any], language: str) -> str:
    """Return a document's title."""
    words = WORDS[language]
    key = f"title_{content['kind']}"
    if content["kind"] == "INVOICE" and not content["issuer"]["registration_number"]:
        key += "_plain"
    return (words["title_corrected"] if content["corrects"] else "") + words[key]


def total_label(content: Mapping[str, Any], language: str) -> str:
    """Return what a document's total is called; a net that is owed has another name."""
    is_owed = content["kind"] == "ACCOUNT" and content["total_jpy"] < 0
    return WORDS[language][f"total_{content['kind']}" + ("_owed" if is_owed else "")]


def total_shown(content: Mapping[str, Any]) -> int:
    """Return the total as its label says it: a net that is owed is shown positive."""
    total_jpy = int(content["total_jpy"])
    return abs(total_jpy) if content["kind"] == "ACCOUNT" else total_jpy


def item_name(row: Mapping[str, Any], language: str) -> str:
    """Return the name of a line; a deduction says so."""
    name = str(row["name"] if language == JA else row["name_en"])
    return name + (WORDS[language]["deduction"] if row.get("is_deduction") else "")


def change_name(row: Mapping[str, Any], language: str) -> str:
    """Return what a difference is about: an item, a document, or the tax of a rate."""
    words = WORDS[language]
    if row["item"] == "TAX":
        return f"{words['tax_of_rate']} {ratio(row['rate'], language)}"
    if row["item"] in ("STATEMENT", "INVOICE"):
        return words[f"row_{row['item']}"]
    return f"{item_name(row, language)} {ratio(row['rate'], language)}"


def notes(content: Mapping[str, Any], language: str) -> list[str]:
    """Return the sentences below the tables."""
    words = WORDS[language]
    found = []
    if content["objection_until"]:
        found.append(
            words["note_objection"].format(until=day(content["objection_until"], language))
        )
    if content["deduction_ratio"] is not None:
        share = ratio(content["deduction_ratio"], language)
        found.append(words["note_deduction"].format(ratio=share))
    if content["kind"] == "INVOICE" and not content["issuer"]["registration_number"]:
        found.append(words["note_unregistered_house"])
    if content["kind"] == "ACCOUNT":
        total_jpy = content["total_jpy"]
        found.append(
            words["note_pays" if total_jpy > 0 else "note_owed" if total_jpy else "note_even"]
        )
    else:
        found += [words["note_tax"], words["note_rounding"]]
    return found


def correction(content: Mapping[str, Any], language: str) -> str:
    """Return the sentence that names the document this one replaces; empty if it is the first."""
    before = content["corrects"]
    if not before:
        return ""
    return WORDS[language]["note_corrects"].format(
        number=before["number"],
        issued_on=day(before["issued_on"], language),
        total=yen(before["total_jpy"], language),
        delta=yen(before["delta_jpy"], language),
    )


def party_name(party: Mapping[str, Any], language: str) -> str:
    """Return a party's name in a language."""
    return str(party["name"] if language == JA else party["name_en"])
