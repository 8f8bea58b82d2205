"""Bulk transfer files: every byte against the layout, refusals, sums on the way back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from aggregator.core import zengin
from aggregator.core.zengin import (
    BankDetails,
    FileUnreadable,
    Heading,
    LineEnd,
    Payment,
    ZenginRefused,
    kana_converted,
    masked,
    zengin_files,
    zengin_read,
)

PAYER = BankDetails(
    bank_code="0005",
    bank_name="ﾐﾂﾋﾞｼUFJ",
    branch_code="001",
    branch_name="ﾎﾝﾃﾝ",
    kind="2",
    number="0012345",
    holder="ｶ)ﾜﾂﾄﾋﾞﾂﾄ",
)
PAYEE = BankDetails(
    bank_code="0134",
    bank_name="ﾁﾊﾞ",
    branch_code="015",
    branch_name="ｲﾝｻﾞｲ",
    kind="1",
    number="7654321",
    holder="ｶ)ｲﾝｻﾞｲDC",
)
HEADING = Heading(payer=PAYER, payer_code="1234567890", pay_on=date(2026, 12, 30))
PAYMENTS = (
    Payment(payee=PAYEE, amount_jpy=1_018_710, reference=1),
    Payment(payee=replace(PAYEE, kind="4", holder="ﾕ)ｼﾛｲ"), amount_jpy=15, reference=2),
)

# written out by hand from the layout of 総合振込, field by field
VECTOR = (
    "1" "21" "0" "1234567890" "ｶ)ﾜﾂﾄﾋﾞﾂﾄ" + " " * 31 + "1230" "0005" "ﾐﾂﾋﾞｼUFJ" + " " * 7
    + "001" "ﾎﾝﾃﾝ" + " " * 11 + "2" "0012345" + " " * 17,
    "2" "0134" "ﾁﾊﾞ" + " " * 12 + "015" "ｲﾝｻﾞｲ" + " " * 10 + "0000" "1" "7654321"
    "ｶ)ｲﾝｻﾞｲDC" + " " * 21 + "0001018710" "0" "0000000001" "0000000000" "7" " " + " " * 7,
    "2" "0134" "ﾁﾊﾞ" + " " * 12 + "015" "ｲﾝｻﾞｲ" + " " * 10 + "0000" "4" "7654321"
    "ﾕ)ｼﾛｲ" + " " * 25 + "0000000015" "0" "0000000002" "0000000000" "7" " " + " " * 7,
    "8" "000002" "000001018725" + " " * 101,
    "9" + " " * 119,
)  # fmt: skip


def test_a_file_is_the_layout_to_the_byte() -> None:
    records = [text.encode("cp932") for text in VECTOR]
    assert [len(record) for record in records] == [120] * 5
    assert zengin_files(HEADING, PAYMENTS, line_end=LineEnd.NONE) == [b"".join(records)]
    crlf = b"".join(record + b"\r\n" for record in records)
    assert zengin_files(HEADING, PAYMENTS) == [crlf]
    assert len(crlf) == 5 * 122


@pytest.mark.parametrize("line_end", list(LineEnd))
def test_a_file_read_back_says_what_was_written(line_end: LineEnd) -> None:
    (content,) = zengin_files(HEADING, PAYMENTS, line_end=line_end)
    parsed = zengin_read(content)
    assert (parsed.payer, parsed.payer_code, parsed.month_day) == (PAYER, "1234567890", "1230")
    assert parsed.payments == PAYMENTS


def test_the_day_has_no_year_so_the_turn_of_the_year_is_just_another_month_and_day() -> None:
    (content,) = zengin_files(replace(HEADING, pay_on=date(2027, 1, 4)), PAYMENTS)
    assert content[54:58] == b"0104"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("holder", "ｶ)ﾃﾞｰﾀ"),  # the long vowel mark of kana, not a hyphen
        ("holder", "ｼｮｯﾌﾟ"),  # small kana
        ("holder", "abc"),
        ("holder", "A,B"),
        ("holder", "株式会社"),
        ("holder", "ｦ"),
        ("holder", ""),
        ("holder", "   "),
        ("holder", "ｱ" * 31),
        ("bank_name", "A.B"),
        ("bank_name", "ｱ" * 16),
        ("branch_name", "(ｱ)"),
        ("bank_code", "134"),
        ("bank_code", "0000"),
        ("branch_code", "１５０"),
        ("number", "12345678"),
        ("number", "0000000"),
        ("kind", "3"),
    ],
)
def test_what_a_record_cannot_say_is_refused_and_never_cut(field: str, value: str) -> None:
    wrong = replace(PAYEE, **{field: value})
    with pytest.raises(ZenginRefused) as refused:
        zengin_files(HEADING, [*PAYMENTS, Payment(payee=wrong, amount_jpy=1)])
    assert refused.value.field.startswith("payments[2].payee.")
    assert "12345678" not in str(refused.value)


def test_thirty_bytes_fit_with_each_voicing_mark_a_byte_of_its_own() -> None:
    fits = replace(PAYEE, holder="ｶﾞ" * 15)
    assert len(zengin_files(HEADING, [Payment(payee=fits, amount_jpy=1)])) == 1
    with pytest.raises(ZenginRefused):
        zengin_files(HEADING, [Payment(payee=replace(PAYEE, holder="ｶﾞ" * 15 + "ｱ"), amount_jpy=1)])


@pytest.mark.parametrize("amount", [0, -1, True, 1.5])
def test_an_amount_that_is_none_is_refused(amount: int) -> None:
    with pytest.raises(ZenginRefused, match="amount_jpy"):
        zengin_files(HEADING, [Payment(payee=PAYEE, amount_jpy=amount)])


def test_edi_stands_where_the_codes_stood_and_the_mark_says_so() -> None:
    (content,) = zengin_files(HEADING, [Payment(payee=PAYEE, amount_jpy=1, edi="A2026-000001/ｦ")])
    record = content[122:242]
    assert record[91:111].decode("cp932") == "A2026-000001/ｦ".ljust(20)
    assert record[112:113] == b"Y"
    with pytest.raises(ZenginRefused, match="edi"):
        zengin_files(HEADING, [Payment(payee=PAYEE, amount_jpy=1, edi="A,B")])


def test_eleven_digits_become_two_records_of_one_payee() -> None:
    # 10,000,000,005 = 9,999,999,999 + 6
    (content,) = zengin_files(HEADING, [Payment(payee=PAYEE, amount_jpy=10**10 + 5, reference=9)])
    parsed = zengin_read(content)
    assert [(p.amount_jpy, p.reference) for p in parsed.payments] == [(9_999_999_999, 9), (6, 9)]


def test_more_records_than_a_file_may_have_become_more_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zengin, "RECORDS_MAX", 2)
    files = zengin_files(HEADING, [Payment(payee=PAYEE, amount_jpy=n) for n in (1, 2, 3)])
    assert [[p.amount_jpy for p in zengin_read(f).payments] for f in files] == [[1, 2], [3]]


def test_a_total_of_thirteen_digits_becomes_two_files() -> None:
    # 101 records of 9,999,999,999 are 1,009,999,999,899 yen; twelve digits hold 100 of them
    files = zengin_files(HEADING, [Payment(payee=PAYEE, amount_jpy=9_999_999_999)] * 101)
    assert [len(zengin_read(content).payments) for content in files] == [100, 1]


@pytest.mark.parametrize(
    ("offset", "digits", "field"),
    [(1, b"000003", "trailer.count"), (7, b"000001018726", "trailer.total_jpy")],
)
def test_a_trailer_that_is_not_the_sum_is_refused(offset: int, digits: bytes, field: str) -> None:
    (content,) = zengin_files(HEADING, PAYMENTS)
    at = 3 * 122 + offset
    with pytest.raises(FileUnreadable) as refused:
        zengin_read(content[:at] + digits + content[at + len(digits) :])
    assert refused.value.field == field


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"1",
        b"x" * 120,
        VECTOR[0].encode("cp932"),
        "".join(VECTOR[:3]).encode("cp932"),
        "".join(VECTOR[1:]).encode("cp932"),
        "".join(VECTOR).encode("cp932")[:-1],
        "".join(VECTOR).encode("utf-8"),
    ],
)
def test_half_a_file_and_what_is_none_are_refused(broken: bytes) -> None:
    with pytest.raises(FileUnreadable):
        zengin_read(broken)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("カ）ワットビット", "ｶ)ﾜﾂﾄﾋﾞﾂﾄ"),
        ("ｼｮｯﾌﾟ", "ｼﾖﾂﾌﾟ"),
        ("データセンター", "ﾃﾞ-ﾀｾﾝﾀ-"),
        ("いんざい　ｄｃ", "ｲﾝｻﾞｲ DC"),
        ("ｳﾞｪｰﾙ", "ｳﾞｴ-ﾙ"),
        ("印西", "印西"),  # nobody knows how it is read: left, and refused by the checks
    ],
)
def test_names_are_written_as_banks_write_them(name: str, written: str) -> None:
    assert kana_converted(name) == written


def test_nothing_that_is_printed_of_an_account_tells_its_number() -> None:
    assert masked("7654321") == "****321"
    assert masked("12") == "*2"
    for shown in (repr(PAYEE), str(PAYEE), repr(PAYMENTS), f"{HEADING}"):
        assert "7654321" not in shown
        assert "0012345" not in shown
