"""Whatever can be written as a bulk transfer is read back the same, in records of 120 bytes."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.zengin import (
    AMOUNT_MAX_JPY,
    BankDetails,
    Heading,
    LineEnd,
    Payment,
    ZenginRefused,
    kana_converted,
    zengin_files,
    zengin_read,
)

KANA = "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝﾞﾟ"
ALNUM = "ABCXYZ019"


def _text(extra: str, length_max: int) -> st.SearchStrategy[str]:
    return st.text(KANA + ALNUM + " " + extra, min_size=1, max_size=length_max).filter(
        lambda text: bool(text.strip()) and text == text.rstrip()
    )


def _digits(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=length, max_size=length).filter(
        lambda text: int(text) > 0
    )


def _details(holder_max: int, kinds: str) -> st.SearchStrategy[BankDetails]:
    return st.builds(
        BankDetails,
        bank_code=_digits(4),
        bank_name=_text("-", 15),
        branch_code=_digits(3),
        branch_name=_text("-", 15),
        kind=st.sampled_from(kinds),
        number=_digits(7),
        holder=_text("().-", holder_max),
    )


PAYMENTS = st.lists(
    st.builds(
        Payment,
        payee=_details(30, "1249"),
        amount_jpy=st.integers(1, AMOUNT_MAX_JPY),
        reference=st.integers(0, 10**10 - 1),
    ),
    min_size=1,
    max_size=5,
)


@given(
    payer=_details(40, "129"),
    code=_digits(10),
    pay_on=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    payments=PAYMENTS,
    line_end=st.sampled_from(list(LineEnd)),
)
def test_what_is_written_is_read_back(
    payer: BankDetails, code: str, pay_on: date, payments: list[Payment], line_end: LineEnd
) -> None:
    heading = Heading(payer=payer, payer_code=code, pay_on=pay_on)
    (content,) = zengin_files(heading, payments, line_end=line_end)
    assert len(content) == (len(payments) + 3) * (120 + len(line_end.value))
    parsed = zengin_read(content)
    assert list(parsed.payments) == payments
    assert parsed.payer == payer
    assert parsed.payer_code == code.lstrip("0")
    assert parsed.month_day == f"{pay_on:%m%d}"


@given(st.text(max_size=40))
def test_any_name_is_converted_and_then_fits_or_is_refused(name: str) -> None:
    converted = kana_converted(name)
    assert kana_converted(converted) == converted
    details = BankDetails(
        bank_code="0001", bank_name="A", branch_code="001", branch_name="A", kind="1",
        number="0000001", holder=converted,
    )  # fmt: skip
    heading = Heading(
        payer=BankDetails(
            bank_code="0001", bank_name="A", branch_code="001", branch_name="A", kind="1",
            number="0000001", holder="A",
        ),
        payer_code="1",
        pay_on=date(2026, 12, 30),
    )  # fmt: skip
    try:
        (content,) = zengin_files(heading, [Payment(payee=details, amount_jpy=1)])
    except ZenginRefused:
        return
    assert zengin_read(content).payments[0].payee.holder == converted.rstrip()
