"""Statements, invoices and accounts of a party's period: which lines, which tax, which total.

A document is a mapping of plain values, complete in itself: every file of it, in either language,
is made from it alone. It is what is stored, hashed and kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any, Final

from accounts.core.errors import Refused, ensure
from accounts.core.money import EXACT_CONTEXT, Rounding, round_jpy, sum_exact_jpy
from accounts.core.tax import TaxableLine, TaxTotal, invoice_tax, rate_on
from aggregator.core.taxing import DocumentRules, Side, treatment_of

SCHEMA: Final = "wattbit/document/1"
FISCAL_YEAR_STARTS_MONTH: Final = 4


class DocumentKind(StrEnum):
    """Two documents of tax law, and the account that nets them."""

    STATEMENT = "STATEMENT"
    INVOICE = "INVOICE"
    ACCOUNT = "ACCOUNT"


NUMBER_LETTERS: Final = {
    DocumentKind.STATEMENT: "S",
    DocumentKind.INVOICE: "N",
    DocumentKind.ACCOUNT: "A",
}


class PartsUnposted(Refused):
    """What was settled is not, or no longer, what the ledger was given."""


@dataclass(frozen=True, kw_only=True)
class Party:
    """Who a document is from, or for."""

    code: str
    name: str
    name_en: str
    registration_number: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a party received, or paid, for one item and delivery date [JPY, before tax].

    `quantity` is in the unit of the item's row in the tax table, where that has one.
    """

    item: str
    is_received: bool
    supply_on: date
    amount_exact_jpy: Decimal
    quantity: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Whole yen of one item, way and tax rate; positive."""

    item: str
    is_received: bool
    rate_ratio: Decimal | None
    supply_on: date
    amount_exact_jpy: Decimal
    amount_jpy: int
    quantity: Decimal | None

    @property
    def side(self) -> Side:
        """Return the document it stands on."""
        row = treatment_of(self.item)
        return row.received_on if self.is_received else row.paid_on

    @property
    def sign(self) -> int:
        """Return +1 where it adds to its document, −1 where it is a deduction."""
        return 1 if self.is_received == (self.side == Side.STATEMENT) else -1


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands around the lines of a document."""

    kind: DocumentKind
    number: str
    revision: int
    issued_on: date
    start_on: date
    end_on: date
    issuer: Party
    recipient: Party
    corrects: Mapping[str, Any] | None = None


def fiscal_year_of(day: date) -> int:
    """Return the Japanese fiscal year of a date: April to March."""
    return day.year if day.month >= FISCAL_YEAR_STARTS_MONTH else day.year - 1


def document_number(kind: DocumentKind, fiscal_year: int, sequence: int) -> str:
    """Return ``S2026-000001``: kind, fiscal year of issue, place in that year's series."""
    return f"{NUMBER_LETTERS[kind]}{fiscal_year}-{sequence:06d}"


def cells_of(
    parts: Sequence[Part], posted_jpy: Mapping[str, int], rules: DocumentRules
) -> tuple[Cell, ...]:
    """Turn exact parts into whole yen that add up to what was posted.

    An item was rounded once, as a whole. Where it has several cells (received and paid, or two
    tax rates) each is cut to whole yen and the largest takes what is then missing, so that
    received less paid is the posted amount to the yen.

    Parameters
    ----------
    parts
        Exact positive amounts, any order.
    posted_jpy
        Per item what the ledger holds [JPY], received positive.

    Returns
    -------
    tuple of Cell
        Items in the order of `posted_jpy`, received first, without cells of nothing.

    Raises
    ------
    PartsUnposted
        If an item's parts are a yen or more away from what was posted: settled anew, not closed.
    ItemUnclassified, TaxRateUnknown
        If the tables do not say how an item is taxed.
    """
    grouped: dict[tuple[str, bool, Decimal | None], list[Part]] = defaultdict(list)
    for part in parts:
        is_taxable = treatment_of(part.item).is_taxable
        rate = rate_on(rules.tax_rates, part.supply_on) if is_taxable else None
        grouped[part.item, part.is_received, rate].append(part)
    unposted = sorted({item for item, _, _ in grouped} - set(posted_jpy))
    if unposted:
        raise PartsUnposted(field="item", value=unposted[0], rule="posted by a close")
    cells: list[Cell] = []
    for item, amount_jpy in posted_jpy.items():
        keys = sorted(
            (key for key in grouped if key[0] == item),
            key=lambda key: (not key[1], Decimal(-1) if key[2] is None else key[2]),
        )
        cells += _rounded([_cell(key, grouped[key]) for key in keys], item, amount_jpy)
    return tuple(cell for cell in cells if cell.amount_jpy)


def _cell(key: tuple[str, bool, Decimal | None], parts: Sequence[Part]) -> Cell:
    item, is_received, rate_ratio = key
    quantities = [part.quantity for part in parts if part.quantity is not None]
    return Cell(
        item=item,
        is_received=is_received,
        rate_ratio=rate_ratio,
        supply_on=min(part.supply_on for part in parts),
        amount_exact_jpy=sum_exact_jpy([part.amount_exact_jpy for part in parts]),
        amount_jpy=0,
        quantity=sum_exact_jpy(quantities) if quantities and treatment_of(item).unit else None,
    )


def _rounded(cells: Sequence[Cell], item: str, amount_jpy: int) -> list[Cell]:
    """Give an item's cells whole yen; see :func:`cells_of`."""
    signs = [1 if cell.is_received else -1 for cell in cells]
    exact_jpy = sum_exact_jpy(
        [sign * cell.amount_exact_jpy for sign, cell in zip(signs, cells, strict=True)]
    )
    if abs(exact_jpy - amount_jpy) >= 1:
        raise PartsUnposted(
            field=item, value=str(exact_jpy), rule=f"{amount_jpy} were posted; close first"
        )
    if not cells:
        return []
    wholes = [round_jpy(cell.amount_exact_jpy, Rounding.DOWN) for cell in cells]
    largest = max(range(len(cells)), key=lambda n: (cells[n].amount_exact_jpy, -n))
    others = sum(
        sign * whole
        for n, (sign, whole) in enumerate(zip(signs, wholes, strict=True))
        if n != largest
    )
    wholes[largest] = signs[largest] * (amount_jpy - others)
    ensure(wholes[largest] >= 0, "rounding turned the largest amount of an item round")
    return [
        Cell(**{**_fields(cell), "amount_jpy": whole})
        for cell, whole in zip(cells, wholes, strict=True)
    ]


def _fields(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in Cell.__dataclass_fields__}


def tax_of(cells: Sequence[Cell], rules: DocumentRules) -> tuple[TaxTotal, ...]:
    """Total the cells of one document per rate; tax once per rate."""
    return invoice_tax(
        [
            TaxableLine(
                supply_on=cell.supply_on,
                amount_exact_jpy=Decimal(cell.sign * cell.amount_jpy),
                is_taxable=cell.rate_ratio is not None,
            )
            for cell in cells
        ],
        rules.tax_rates,
        method=rules.tax_rounding,
    )


def tax_document(
    frame: Frame,
    cells: Sequence[Cell],
    parts: Sequence[Part],
    rules: DocumentRules,
    *,
    names: Mapping[str, str],
) -> dict[str, Any]:
    """Lay out a statement or an invoice.

    Parameters
    ----------
    frame
        Its kind says which of the cells stand on it.
    cells, parts
        Of the party's period, both sides.
    names
        Japanese name per item.

    Returns
    -------
    dict
        Of texts, integers, lists and None alone: `lines` in whole yen, `totals` per rate,
        `days` in exact yen, `total_jpy` with tax.
    """
    side = Side(frame.kind)
    own = [cell for cell in cells if cell.side == side]
    totals = tax_of(own, rules)
    document = _framed(frame)
    document["lines"] = [_line(cell, names) for cell in own]
    document["totals"] = [
        {"rate": _text(row.rate_ratio), "net_jpy": row.net_jpy, "tax_jpy": row.tax_jpy}
        for row in totals
    ]
    document["days"] = _days(side, {(c.item, c.is_received) for c in own}, parts, names)
    document["tax_jpy"] = sum(row.tax_jpy for row in totals)
    document["total_jpy"] = sum(row.net_jpy + row.tax_jpy for row in totals)
    document["deduction_ratio"] = None
    document["objection_until"] = None
    if side == Side.STATEMENT:
        until = frame.issued_on + timedelta(days=rules.objection_days)
        document["objection_until"] = until.isoformat()
        if not frame.recipient.registration_number:
            last_on = frame.end_on - timedelta(days=1)
            document["deduction_ratio"] = _text(rules.deduction_on(last_on))
    return document


def account_document(frame: Frame, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Lay out the account that nets a party's statement and invoice to one transfer.

    Parameters
    ----------
    documents
        The period's statement and invoice, as far as there are any.

    Returns
    -------
    dict
        `total_jpy` is owed to the party; negative: it owes.
    """
    document = _framed(frame)
    document["lines"] = [
        {
            "item": row["kind"],
            "number": row["number"],
            "amount_jpy": row["total_jpy"] if row["kind"] == Side.STATEMENT else -row["total_jpy"],
            "net_jpy": row["total_jpy"] - row["tax_jpy"],
            "tax_jpy": row["tax_jpy"],
        }
        for row in documents
    ]
    document["totals"] = []
    document["days"] = []
    document["tax_jpy"] = 0
    document["total_jpy"] = sum(row["amount_jpy"] for row in document["lines"])
    document["deduction_ratio"] = None
    document["objection_until"] = None
    return document


def is_same(document: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Whether a document would say of the money exactly what an earlier one said."""
    kept = ("lines", "totals", "total_jpy", "days")
    # a name that changed later is no reason to correct; a registration number is
    return all(_plain(document[name]) == _plain(earlier[name]) for name in kept) and all(
        document[role]["registration_number"] == earlier[role]["registration_number"]
        for role in ("issuer", "recipient")
    )


def _plain(value: Any) -> Any:
    """Drop what changes with the number alone."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: entry for key, entry in value.items() if key != "number"}
    return value


def corrected(document: dict[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Add what a corrected document changes: per line and rate, before, after, difference."""
    changes: list[dict[str, Any]] = []
    for name, amount in (("lines", "amount_jpy"), ("totals", "tax_jpy")):
        before = {_line_key(row): row for row in earlier[name]}
        after = {_line_key(row): row for row in document[name]}
        for key in [*after, *(key for key in before if key not in after)]:
            row = after.get(key) or before[key]
            was_jpy = before[key][amount] if key in before else 0
            is_jpy = after[key][amount] if key in after else 0
            if was_jpy != is_jpy:
                changes.append(
                    {
                        "item": row.get("item", "TAX"),
                        "name": row.get("name", ""),
                        "name_en": row.get("name_en", ""),
                        "rate": row.get("rate"),
                        "before_jpy": was_jpy,
                        "after_jpy": is_jpy,
                        "delta_jpy": is_jpy - was_jpy,
                    }
                )
    return {
        **document,
        "corrects": {
            "number": earlier["number"],
            "issued_on": earlier["issued_on"],
            "total_jpy": earlier["total_jpy"],
            "delta_jpy": document["total_jpy"] - earlier["total_jpy"],
        },
        "changes": changes,
    }


def _line_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row.get("item"), row.get("rate"), row.get("is_deduction"))


def _framed(frame: Frame) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kind": frame.kind.value,
        "number": frame.number,
        "revision": frame.revision,
        "issued_on": frame.issued_on.isoformat(),
        "start_on": frame.start_on.isoformat(),
        "last_on": (frame.end_on - timedelta(days=1)).isoformat(),
        "issuer": asdict(frame.issuer),
        "recipient": asdict(frame.recipient),
        "corrects": None,
        "changes": [],
    }


def _line(cell: Cell, names: Mapping[str, str]) -> dict[str, Any]:
    row = treatment_of(cell.item)
    return {
        "item": cell.item,
        "name": names.get(cell.item, cell.item),
        "name_en": row.name_en,
        "is_deduction": cell.sign < 0,
        "quantity": _text(cell.quantity),
        "unit": row.unit,
        "rate": _text(cell.rate_ratio),
        "amount_jpy": cell.sign * cell.amount_jpy,
    }


def _days(
    side: Side,
    shown: set[tuple[str, bool]],
    parts: Sequence[Part],
    names: Mapping[str, str],
) -> list[dict[str, Any]]:
    rows = []
    for part in sorted(parts, key=lambda p: (p.supply_on, p.item, not p.is_received)):
        if (part.item, part.is_received) not in shown or not part.amount_exact_jpy:
            continue
        row = treatment_of(part.item)
        sign = 1 if part.is_received == (side == Side.STATEMENT) else -1
        rows.append(
            {
                "on": part.supply_on.isoformat(),
                "item": part.item,
                "name": names.get(part.item, part.item),
                "name_en": row.name_en,
                "quantity": _text(part.quantity) if row.unit else None,
                "unit": row.unit,
                "amount_exact_jpy": _text(sign * part.amount_exact_jpy),
            }
        )
    return rows


def _text(value: Decimal | None) -> str | None:
    """Write a decimal without an exponent and without zeros that say nothing."""
    if value is None:
        return None
    with localcontext(EXACT_CONTEXT):
        text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
