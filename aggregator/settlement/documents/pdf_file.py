"""A document as PDF, typeset by typst in this process with a font of our own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import typst

from accounts.core.errors import BrokenInvariant, ensure
from aggregator.settlement.documents import words

TEMPLATE: Final = Path(__file__).with_name("document.typ")
FONT_PACKAGE: Final = "matplotlib_fontja"
FONT_FAMILY: Final = "IPAexGothic"
DAYS_PER_PAGE_COUNT: Final = 46


def document_pdf(content: Mapping[str, Any], language: str) -> bytes:
    """Typeset a document.

    Parameters
    ----------
    content
        A stored document (:mod:`aggregator.core.documents`).
    language
        ``ja`` or ``en``.

    Returns
    -------
    bytes
        A PDF dated at the day of issue; the same content gives the same bytes.
    """
    issued_on = datetime.fromisoformat(content["issued_on"]).replace(tzinfo=UTC)
    printed = _compiler().compile(
        format="pdf",
        sys_inputs={"document": json.dumps(shown(content, language), ensure_ascii=False)},
        timestamp=issued_on,
    )
    return _single(printed)


def _single(printed: bytes | list[bytes] | None) -> bytes:
    if not isinstance(printed, bytes):
        raise BrokenInvariant("the typesetter gave no single file")
    return printed


@cache
def _compiler() -> typst.Compiler:
    return typst.Compiler(
        TEMPLATE, root=TEMPLATE.parent, font_paths=[font_folder()], ignore_system_fonts=True
    )


def font_folder() -> Path:
    """Return where the Japanese font lies; its package is found, not imported."""
    spec = find_spec(FONT_PACKAGE)
    places = None if spec is None else spec.submodule_search_locations
    ensure(bool(places), f"the package {FONT_PACKAGE} is not installed")
    return Path(next(iter(places or []))) / "fonts"


def shown(content: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Turn a document into the texts that its pages show; the template only places them."""
    labels = words.WORDS[language]
    last_on, start_on = content["last_on"], content["start_on"]
    period = words.day(start_on, language)
    if last_on != start_on:
        period += (" ～ " if language == words.JA else " – ") + words.day(last_on, language)
    supplier = None
    if content["kind"] == "STATEMENT":
        supplier = _party(content["recipient"], language)
    return {
        "language": language,
        "font": FONT_FAMILY,
        "words": labels,
        "kind": content["kind"],
        "title": words.title(content, language),
        "number": content["number"],
        "issued_on": words.day(content["issued_on"], language),
        "period": period,
        "issuer": _party(content["issuer"], language),
        "recipient": _party(content["recipient"], language),
        "supplier": supplier,
        "correction": words.correction(content, language),
        "total_label": words.total_label(content, language),
        "total": _with_unit(words.total_shown(content), language),
        "lines": _lines(content, language),
        "totals": _totals(content, language),
        "changes": [
            [words.change_name(row, language)]
            + [words.yen(row[name], language) for name in ("before_jpy", "after_jpy", "delta_jpy")]
            for row in content["changes"]
        ],
        "notes": words.notes(content, language),
        "day_pages": day_pages(content["days"], language),
    }


def _party(party: Mapping[str, Any], language: str) -> dict[str, str]:
    number = party["registration_number"] or words.WORDS[language]["unregistered"]
    return {"name": words.party_name(party, language), "registration": number}


def _with_unit(amount_jpy: int, language: str) -> str:
    figure = words.yen(amount_jpy, language)
    return f"¥{figure}" if language == words.JA else f"JPY {figure}"


def _lines(content: Mapping[str, Any], language: str) -> list[list[str]]:
    if content["kind"] == "ACCOUNT":
        labels = words.WORDS[language]
        return [
            [labels[f"row_{row['item']}"], row["number"], words.yen(row["amount_jpy"], language)]
            for row in content["lines"]
        ]
    return [
        [
            words.item_name(row, language),
            words.decimal(row["quantity"], language),
            row["unit"] if row["quantity"] is not None else "",
            words.ratio(row["rate"], language),
            words.yen(row["amount_jpy"], language),
        ]
        for row in content["lines"]
    ]


def _totals(content: Mapping[str, Any], language: str) -> list[list[str]]:
    if content["kind"] == "ACCOUNT":
        return []
    rows = [
        [words.ratio(row["rate"], language), row["net_jpy"], row["tax_jpy"]]
        for row in content["totals"]
    ]
    total_jpy, tax_jpy = content["total_jpy"], content["tax_jpy"]
    rows.append([words.WORDS[language]["total"], total_jpy - tax_jpy, tax_jpy])
    return [
        [name] + [words.yen(amount, language) for amount in (net_jpy, tax_jpy, net_jpy + tax_jpy)]
        for name, net_jpy, tax_jpy in rows
    ]


def day_pages(days: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, Any]]:
    """Cut the days into pages that carry their sum over to the next.

    Returns
    -------
    list of dict
        `rows` of texts, `carried` (empty on the first page) and `sum` up to the end of the page.
    """
    pages: list[dict[str, Any]] = []
    reached = Decimal(0)
    # points stand below one another in a column
    places = max((words.places_of(row["amount_exact_jpy"]) for row in days), default=0)
    for first in range(0, len(days), DAYS_PER_PAGE_COUNT):
        rows = days[first : first + DAYS_PER_PAGE_COUNT]
        carried = words.decimal(f"{reached:f}", language, places=places) if pages else ""
        reached += sum((Decimal(row["amount_exact_jpy"]) for row in rows), Decimal(0))
        pages.append(
            {
                "carried": carried,
                "rows": [
                    [
                        row["on"] if n == 0 or rows[n - 1]["on"] != row["on"] else "",
                        words.item_name(row, language),
                        words.decimal(row["quantity"], language),
                        row["unit"] if row["quantity"] is not None else "",
                        words.decimal(row["amount_exact_jpy"], language, places=places),
                    ]
                    for n, row in enumerate(rows)
                ],
                "sum": words.decimal(f"{reached:f}", language, places=places),
                "is_last": first + DAYS_PER_PAGE_COUNT >= len(days),
            }
        )
    return pages
