"""What stands on a document: gross cells, tax per rate, differences, days carried over."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pypdf import PdfReader

from accounts.core.errors import Refused
from accounts.core.registration import RegistrationInvalid, check_digit, registration_checked
from aggregator.core.documents import (
    Cell,
    DocumentKind,
    Frame,
    Part,
    PartsUnposted,
    Party,
    account_document,
    cells_of,
    corrected,
    document_number,
    fiscal_year_of,
    is_same,
    tax_document,
)
from aggregator.core.settlement import Item
from aggregator.core.taxing import (
    TREATMENTS,
    DocumentRules,
    ItemUnclassified,
    Side,
    TaxRulesInvalid,
    document_rules_from_mapping,
    treatment_of,
)
from aggregator.settlement.documents.csv_file import document_csv
from aggregator.settlement.documents.pdf_file import DAYS_PER_PAGE_COUNT, day_pages, document_pdf
from aggregator.settlement.documents.words import WORDS, yen

START, END = date(2026, 11, 1), date(2026, 12, 1)
RULES = DocumentRules()
HOUSE = Party(code="wattbit", name="市場", name_en="Market", registration_number="T7000012050002")
MEMBER = Party(code="dc", name="印西DC", name_en="Inzai DC", registration_number="")
NAMES = {"SELLER_ENERGY": "電力量料金", "PLATFORM_FEE": "市場利用手数料"}


def part(item: str, amount: str, *, received: bool = True, **other: Any) -> Part:
    return Part(
        **{
            "item": item,
            "is_received": received,
            "supply_on": START,
            "amount_exact_jpy": Decimal(amount),
            **other,
        }
    )


def frame(kind: DocumentKind, **other: Any) -> Frame:
    return Frame(
        **{
            "kind": kind,
            "number": "S2026-000001",
            "revision": 1,
            "issued_on": date(2026, 12, 25),
            "start_on": START,
            "end_on": END,
            "issuer": HOUSE,
            "recipient": MEMBER,
            **other,
        }
    )


def amounts(cells: tuple[Cell, ...]) -> list[tuple[str, bool, int]]:
    return [(cell.item, cell.is_received, cell.amount_jpy) for cell in cells]


def statement(*parts: Part, posted: dict[str, int], **other: Any) -> dict[str, Any]:
    cells = cells_of(parts, posted, RULES)
    return tax_document(frame(DocumentKind.STATEMENT, **other), cells, parts, RULES, names=NAMES)


def test_every_item_of_settlement_has_its_place_and_tax() -> None:
    assert {item.value for item in Item} <= set(TREATMENTS)
    assert all(row.name_en for row in TREATMENTS.values())
    with pytest.raises(ItemUnclassified):
        treatment_of("TIP")


@pytest.mark.parametrize(
    ("received", "paid", "posted", "cells"),
    [
        # 100.6 − 40.3 = 60.3, posted 60: the smaller is cut, the larger takes what is missing
        ("100.6", "40.3", 60, [("SELLER_ENERGY", True, 100), ("SELLER_ENERGY", False, 40)]),
        # 5.0 − 0.5 = 4.5, posted 4: 0 of the smaller leaves 4
        ("5.0", "0.5", 4, [("SELLER_ENERGY", True, 4)]),
        # 40.3 − 100.6 = −60.3, posted −60
        ("40.3", "100.6", -60, [("SELLER_ENERGY", True, 40), ("SELLER_ENERGY", False, 100)]),
        ("0.9", "0.5", 0, []),
    ],
)
def test_received_less_paid_is_what_was_posted(
    received: str, paid: str, posted: int, cells: list[tuple[str, bool, int]]
) -> None:
    parts = [part("SELLER_ENERGY", received), part("SELLER_ENERGY", paid, received=False)]
    assert amounts(cells_of(parts, {"SELLER_ENERGY": posted}, RULES)) == cells


def test_parts_that_are_not_what_was_posted_stop_the_document() -> None:
    for posted in ({"SELLER_ENERGY": 62}, {"SELLER_ENERGY": 0}, {}, {"PLATFORM_FEE": 60}):
        with pytest.raises(PartsUnposted):
            cells_of([part("SELLER_ENERGY", "60.3")], posted, RULES)


def test_the_days_of_an_old_rate_stand_on_a_line_of_their_own() -> None:
    old, new = date(2019, 9, 30), date(2019, 10, 1)
    parts = [
        part("SELLER_ENERGY", "1000", supply_on=old),
        part("SELLER_ENERGY", "2000", supply_on=new),
    ]
    document = statement(*parts, posted={"SELLER_ENERGY": 3_000}, start_on=old)
    # 2,000 · 10 % = 200 and 1,000 · 8 % = 80
    assert document["totals"] == [
        {"rate": "0.1", "net_jpy": 2_000, "tax_jpy": 200},
        {"rate": "0.08", "net_jpy": 1_000, "tax_jpy": 80},
    ]
    assert document["total_jpy"] == 3_280


def test_tax_is_rounded_once_on_the_total_of_a_rate() -> None:
    parts = [part("SELLER_ENERGY", "333.3"), part("CAPACITY", "333.3"), part("COMPUTE", "333.4")]
    posted = {"SELLER_ENERGY": 333, "CAPACITY": 333, "COMPUTE": 333}
    # 999 · 10 % = 99.9, down to 99; line by line it would be 33 + 33 + 33
    assert statement(*parts, posted=posted)["tax_jpy"] == 99


def test_a_refund_is_a_deduction_on_the_seller_s_own_statement() -> None:
    parts = [
        part("SELLER_ENERGY", "1000", quantity=Decimal(40)),
        part("SHORTFALL_REFUND", "150", received=False, quantity=Decimal("6.5")),
        part("SHORTFALL_PENALTY", "75", received=False),
    ]
    posted = {"SELLER_ENERGY": 1_000, "SHORTFALL_REFUND": -150, "SHORTFALL_PENALTY": -75}
    document = statement(*parts, posted=posted)
    assert [(row["item"], row["amount_jpy"], row["quantity"]) for row in document["lines"]] == [
        ("SELLER_ENERGY", 1_000, "40"),
        ("SHORTFALL_REFUND", -150, "6.5"),
    ]
    assert document["tax_jpy"] == 85
    cells = cells_of(parts, posted, RULES)
    invoice = tax_document(frame(DocumentKind.INVOICE), cells, parts, RULES, names=NAMES)
    assert invoice["totals"] == [{"rate": None, "net_jpy": 75, "tax_jpy": 0}]
    account = account_document(frame(DocumentKind.ACCOUNT), [document, invoice])
    # items −150 − 75 + 1,000 = 775, and tax 85
    assert account["total_jpy"] == 775 + 85


def test_a_correction_names_what_it_corrects_and_every_difference() -> None:
    before = statement(part("SELLER_ENERGY", "1000"), posted={"SELLER_ENERGY": 1_000})
    after = corrected(
        statement(
            part("SELLER_ENERGY", "900"), part("CAPACITY", "50"),
            posted={"SELLER_ENERGY": 900, "CAPACITY": 50},
        ),
        before,
    )  # fmt: skip
    assert after["corrects"] == {
        "number": "S2026-000001",
        "issued_on": "2026-12-25",
        "total_jpy": 1_100,
        "delta_jpy": 1_045 - 1_100,
    }
    assert [(row["item"], row["delta_jpy"]) for row in after["changes"]] == [
        ("SELLER_ENERGY", -100),
        ("CAPACITY", 50),
        ("TAX", -5),
    ]
    assert is_same(before, {**before, "number": "S2026-000002"})
    assert not is_same(after, before)


def test_days_stand_on_pages_that_carry_their_sum_over() -> None:
    days = [
        part("SELLER_ENERGY", "10.25", supply_on=START + timedelta(days=n % 30))
        for n in range(2 * DAYS_PER_PAGE_COUNT + 1)
    ]
    count = len(days)
    document = statement(*days, posted={"SELLER_ENERGY": int(Decimal("10.25") * count)})
    pages = day_pages(document["days"], "ja")
    # 46 · 10.25 = 471.5; 92 · 10.25 = 943; 93 · 10.25 = 953.25
    assert [page["carried"] for page in pages] == ["", "471.50", "943.00"]
    assert [page["sum"] for page in pages] == ["471.50", "943.00", "953.25"]
    reader = PdfReader(io.BytesIO(document_pdf(document, "ja")))
    assert len(reader.pages) == 4
    texts = [page.extract_text() for page in reader.pages]
    assert "頁 4 / 4" in texts[3]
    assert "次頁へ繰越" in texts[1]
    assert "前頁より繰越" in texts[2]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_month_of_nothing_and_a_net_that_is_owed_are_printed(language: str) -> None:
    nothing = statement(posted={})
    text = PdfReader(io.BytesIO(document_pdf(nothing, language))).pages[0].extract_text()
    assert WORDS[language]["nothing"] in text
    parts = [part("PLATFORM_FEE", "100", received=False)]
    cells = cells_of(parts, {"PLATFORM_FEE": -100}, RULES)
    invoice = tax_document(frame(DocumentKind.INVOICE), cells, parts, RULES, names=NAMES)
    account = account_document(frame(DocumentKind.ACCOUNT), [invoice])
    assert account["total_jpy"] == -110
    text = PdfReader(io.BytesIO(document_pdf(account, language))).pages[0].extract_text()
    assert WORDS[language]["total_ACCOUNT_owed"] in text
    assert WORDS[language]["note_owed"] in text
    assert yen(-110, language) == ("△110" if language == "ja" else "-110")


def test_a_name_that_looks_like_markup_is_text_and_a_long_one_is_printed_whole() -> None:
    name = "#panic() $x$ *太字* \\ " + "株式会社データセンター運営共同事業体" * 5
    document = statement(
        part("SELLER_ENERGY", "1"),
        posted={"SELLER_ENERGY": 1},
        recipient=Party(code="x", name=name, name_en=name, registration_number=""),
    )
    text = PdfReader(io.BytesIO(document_pdf(document, "ja"))).pages[0].extract_text()
    joined = text.replace("\n", "").replace(" ", "")
    assert name.replace(" ", "") in joined


def test_the_words_of_both_languages_are_the_same_set() -> None:
    assert set(WORDS["ja"]) == set(WORDS["en"])
    assert document_csv(statement(posted={}), "en").startswith("\ufeffRow,Content".encode())


def test_numbers_count_in_japanese_fiscal_years() -> None:
    assert fiscal_year_of(date(2027, 3, 31)) == 2026
    assert fiscal_year_of(date(2027, 4, 1)) == 2027
    assert document_number(DocumentKind.INVOICE, 2026, 7) == "N2026-000007"


def test_an_unregistered_supplier_s_deduction_is_of_the_delivery_date() -> None:
    given = [(RULES.deduction_on(date(2026, 9, 30)), "0.8"), (RULES.deduction_on(START), "0.7")]
    for found, wanted in given:
        assert found == Decimal(wanted)
    assert RULES.deduction_on(date(2031, 10, 1)) == 0
    registered = Party(code="x", name="x", name_en="x", registration_number="T7000012050002")
    document = statement(posted={}, recipient=registered)
    assert document["deduction_ratio"] is None


def test_rules_come_from_a_ruleset_and_a_strange_one_is_refused() -> None:
    rules = document_rules_from_mapping(
        {
            "tax_rates": [{"start_on": "2026-01-01", "rate_ratio": "0.12"}],
            "tax_rounding": "HALF_UP",
            "deductions": [{"start_on": "2026-01-01", "ratio": "0.5"}],
            "objection_days": 7,
        }
    )
    assert rules.tax_rates[0].rate_ratio == Decimal("0.12")
    assert rules.objection_days == 7
    for wrong in (
        {"objection_days": 0},
        {"objection_days": True},
        {"tax_rounding": "SIDEWAYS"},
        {"tax_rates": []},
        {"tax_rates": [{"start_on": "2026-01-01", "rate_ratio": 0.1}]},
        {"tax_rates": [{"start_on": "x", "rate_ratio": "0.1"}]},
        {"deductions": [{"start_on": "2026-01-01", "ratio": "2"}]},
        {"colour": "red"},
    ):
        with pytest.raises(Refused):
            document_rules_from_mapping(wrong)
    assert issubclass(TaxRulesInvalid, Refused)
    assert Side.STATEMENT.value == "STATEMENT"


def test_the_check_digit_of_the_tax_agency_is_seven() -> None:
    # digits from the right 2 0 0 0 5 0 2 1 0 0 0 0 with weights 1 2 1 2 …:
    # 2 + 5 + 2 + 2·1 = 11, 11 mod 9 = 2, 9 − 2 = 7
    assert check_digit("000012050002") == 7
    assert registration_checked("T7000012050002") == "T7000012050002"
    for wrong in (
        "T6000012050002",
        "7000012050002",
        "T700001205000",
        "T0000012050002",
        "t7000012050002",
    ):
        with pytest.raises(RegistrationInvalid):
            registration_checked(wrong)
