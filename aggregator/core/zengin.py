"""Bulk transfers in the fixed-length form of the Japanese Bankers Association (総合振込).

Records of 120 single bytes: a header, one record per transfer, a trailer with count and sum, an
end. Texts are half-width, of few characters, and a name that does not fit is refused, never cut.

References
----------
全国銀行協会「総合振込」レコード・フォーマット（種別コード 21）.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from accounts.core.errors import Refused

RECORD_BYTES: Final = 120
RECORDS_MAX: Final = 999_999
AMOUNT_MAX_JPY: Final = 10**10 - 1
FILE_MAX_JPY: Final = 10**12 - 1
CODING: Final = "cp932"  # half-width kana of JIS X 0201 are one byte each in it
SERVICE: Final = "21"
KINDS_PAYER: Final = ("1", "2", "9")
KINDS_PAYEE: Final = ("1", "2", "4", "9")
BANK_NAME_MAX: Final = 15
PARTY_NAME_MAX: Final = 30
PAYER_NAME_MAX: Final = 40
EDI_MAX: Final = 20
SHOWN_DIGITS: Final = 3

_KANA: Final = "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝﾞﾟ"
_COMMON: Final = f"0-9A-Z {_KANA}"
BANK_CHARACTERS: Final = re.compile(f"[{_COMMON}-]*")
PARTY_CHARACTERS: Final = re.compile(rf"[{_COMMON}().-]*")
EDI_CHARACTERS: Final = re.compile(rf"[{_COMMON}ｦ\\｢｣()./-]*")
_SMALL: Final = str.maketrans("ｧｨｩｪｫｬｭｮｯ", "ｱｲｳｴｵﾔﾕﾖﾂ")
_WIDE_DASHES: Final = str.maketrans(dict.fromkeys("ー‐‑‒–—―−－ｰ", "-"))


class ZenginRefused(Refused):
    """Something that no record can say: refused before any file is made."""


class FileUnreadable(Refused):
    """A file that is none of this form, or whose trailer is not the sum of its records."""


class LineEnd(StrEnum):
    """What stands between records; banks differ."""

    NONE = ""
    CRLF = "\r\n"
    CR = "\r"


@dataclass(frozen=True, kw_only=True)
class BankDetails:
    """A bank account as records name it.

    Attributes
    ----------
    bank_code, branch_code
        Four and three digits.
    bank_name, branch_name
        Half-width kana, at most 15 bytes.
    kind
        1 ordinary, 2 current, 4 savings, 9 other.
    number
        Seven digits.
    holder
        Half-width, at most 30 bytes (of a payer 40).
    """

    bank_code: str
    bank_name: str
    branch_code: str
    branch_name: str
    kind: str
    number: str
    holder: str

    def __repr__(self) -> str:
        """Show the account without its number: reprs end in logs."""
        return f"BankDetails({self.bank_code}-{self.branch_code} {masked(self.number)})"


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Who pays, when: the header."""

    payer: BankDetails
    payer_code: str
    pay_on: date


@dataclass(frozen=True, kw_only=True)
class Payment:
    """One transfer; `reference` (顧客コード1) is how it is told apart when it comes back.

    `result` is what a bank wrote into the first byte of the record's reserve: empty in files that
    we send. Where banks put it differs; see docs/algorithms/payment-files.md.
    """

    payee: BankDetails
    amount_jpy: int
    reference: int = 0
    edi: str = ""
    result: str = ""


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A file read back; `month_day` because a header has no year."""

    payer: BankDetails
    payer_code: str
    month_day: str
    payments: tuple[Payment, ...]


def masked(number: str) -> str:
    """Return an account number with its last three digits only."""
    shown = min(SHOWN_DIGITS, len(number) // 2)
    return "*" * (len(number) - shown) + number[len(number) - shown :]


def kana_converted(text: str) -> str:
    """Return a name in the half-width characters of bank files, as far as rules make it.

    Katakana, hiragana, letters and digits of any width become half-width capitals; small kana
    become large ones and long vowel marks a hyphen, as banks write names of holders. What has no
    half-width form (kanji, commas) is left and refused by the checks.
    """
    wide = unicodedata.normalize("NFKC", text)
    wide = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in wide)
    narrow = "".join(_NARROW.get(c, c) for c in wide.translate(_WIDE_DASHES))
    return narrow.upper().translate(_SMALL).strip()


def _narrow_table() -> dict[str, str]:
    table: dict[str, str] = {"　": " ", "（": "(", "）": ")", "．": ".", "「": "｢", "」": "｣"}
    small = "ｧｨｩｪｫｬｭｮｯ"
    for narrow in [*_KANA.rstrip("ﾞﾟ"), *small, "ｦ"]:
        for mark in ("", "ﾞ", "ﾟ"):
            wide = unicodedata.normalize("NFKC", narrow + mark)
            if len(wide) == 1:
                table[wide] = narrow + mark
    return table


_NARROW: Final = _narrow_table()


def account_checked(
    account: BankDetails, *, is_payer: bool = False, field: str = "account"
) -> BankDetails:
    """Return an account that a record can name.

    Raises
    ------
    ZenginRefused
        Naming the first field that breaks a rule; numbers are shown masked.
    """
    kinds = KINDS_PAYER if is_payer else KINDS_PAYEE
    for name, value, digits in (
        ("bank_code", account.bank_code, 4),
        ("branch_code", account.branch_code, 3),
        ("number", account.number, 7),
    ):
        if not (value.isascii() and value.isdigit() and len(value) == digits):
            shown = masked(value) if name == "number" else value
            raise ZenginRefused(field=f"{field}.{name}", value=shown, rule=f"{digits} digits")
    if account.bank_code == "0000":
        raise ZenginRefused(field=f"{field}.bank_code", value="0000", rule="not all zeros")
    if account.number == "0000000":
        raise ZenginRefused(field=f"{field}.number", value="0…", rule="not all zeros")
    if account.kind not in kinds:
        rule = f"one of {', '.join(kinds)}"
        raise ZenginRefused(field=f"{field}.kind", value=account.kind, rule=rule)
    holder_max = PAYER_NAME_MAX if is_payer else PARTY_NAME_MAX
    text_checked(account.bank_name, BANK_CHARACTERS, BANK_NAME_MAX, f"{field}.bank_name")
    text_checked(account.branch_name, BANK_CHARACTERS, BANK_NAME_MAX, f"{field}.branch_name")
    text_checked(account.holder, PARTY_CHARACTERS, holder_max, f"{field}.holder")
    return account


def text_checked(
    text: str, allowed: re.Pattern[str], length_max: int, field: str, *, may_be_empty: bool = False
) -> str:
    """Return a half-width text that fits its field.

    Raises
    ------
    ZenginRefused
        On a character that the field may not have (ｰ, small kana, lower case, a comma), an empty
        or a too long text: nothing is cut.
    """
    for character in text:
        if allowed.fullmatch(character) is None:
            raise ZenginRefused(
                field=field, value=character, rule="half-width capitals, digits, large kana, signs"
            )
    if len(text.encode(CODING)) > length_max or (not text.strip() and not may_be_empty):
        raise ZenginRefused(field=field, value=text, rule=f"1 to {length_max} half-width bytes")
    return text


def zengin_files(
    heading: Heading,
    payments: Sequence[Payment],
    *,
    line_end: LineEnd = LineEnd.CRLF,
    is_telegraphic: bool = True,
) -> list[bytes]:
    """Write transfers as files, as many as their limits need.

    Parameters
    ----------
    heading
        Payer and day; the caller has checked that it is a business day.
    payments
        In their order; an amount of more than ten digits is several records of one payee.
    line_end
        As the bank takes it.
    is_telegraphic
        振込指定区分 7 (テレ); else 8.

    Returns
    -------
    list of bytes
        At least one; each complete with header, trailer and end.

    Raises
    ------
    ZenginRefused
        If anything at all cannot be written; then there is no file.
    """
    account_checked(heading.payer, is_payer=True, field="payer")
    if not (heading.payer_code.isascii() and heading.payer_code.isdigit()):
        raise ZenginRefused(field="payer_code", value=heading.payer_code, rule="1 to 10 digits")
    if not payments:
        raise ZenginRefused(field="payments", value=0, rule="at least one")
    header = _header(heading)
    files: list[bytes] = []
    records: list[bytes] = []
    total_jpy = 0
    for amount_jpy, record in _records(payments, is_telegraphic=is_telegraphic):
        if len(records) == RECORDS_MAX or total_jpy + amount_jpy > FILE_MAX_JPY:
            files.append(_file(header, records, total_jpy, line_end))
            records, total_jpy = [], 0
        records.append(record)
        total_jpy += amount_jpy
    files.append(_file(header, records, total_jpy, line_end))
    return files


def _records(payments: Sequence[Payment], *, is_telegraphic: bool) -> list[tuple[int, bytes]]:
    found = []
    for n, payment in enumerate(payments):
        field = f"payments[{n}]"
        account_checked(payment.payee, field=f"{field}.payee")
        text_checked(payment.edi, EDI_CHARACTERS, EDI_MAX, f"{field}.edi", may_be_empty=True)
        amount: object = payment.amount_jpy
        if isinstance(amount, bool) or not isinstance(amount, int) or amount <= 0:
            raise ZenginRefused(
                field=f"{field}.amount_jpy", value=amount, rule="whole yen, 1 or more"
            )
        if not 0 <= payment.reference < 10**10:
            raise ZenginRefused(
                field=f"{field}.reference", value=payment.reference, rule="at most 10 digits"
            )
        left_jpy = amount
        while left_jpy:
            part_jpy = min(left_jpy, AMOUNT_MAX_JPY)
            left_jpy -= part_jpy
            found.append((part_jpy, _data(payment, part_jpy, is_telegraphic=is_telegraphic)))
    return found


def _n(text: str | int, length: int) -> str:
    digits = str(text)
    if len(digits) > length:
        raise ZenginRefused(field="record", value=digits, rule=f"{length} digits")
    return digits.rjust(length, "0")


def _c(text: str, length: int) -> str:
    if len(text.encode(CODING)) > length:
        raise ZenginRefused(field="record", value=text, rule=f"{length} bytes, never cut")
    return text.ljust(length)


def _record(*parts: str) -> bytes:
    record = "".join(parts).encode(CODING)
    if len(record) != RECORD_BYTES:
        raise ZenginRefused(field="record", value=len(record), rule=f"{RECORD_BYTES} bytes")
    return record


def _header(heading: Heading) -> bytes:
    payer = heading.payer
    return _record(
        "1", SERVICE, "0", _n(heading.payer_code, 10), _c(payer.holder, 40),
        f"{heading.pay_on:%m%d}", payer.bank_code, _c(payer.bank_name, 15), payer.branch_code,
        _c(payer.branch_name, 15), payer.kind, payer.number, _c("", 17),
    )  # fmt: skip


def _data(payment: Payment, amount_jpy: int, *, is_telegraphic: bool) -> bytes:
    payee = payment.payee
    if payment.edi:
        codes, mark = _c(payment.edi, EDI_MAX), "Y"
    else:
        codes, mark = _n(payment.reference, 10) + _n(0, 10), " "
    return _record(
        "2", payee.bank_code, _c(payee.bank_name, 15), payee.branch_code,
        _c(payee.branch_name, 15), "0000", payee.kind, payee.number, _c(payee.holder, 30),
        _n(amount_jpy, 10), "0", codes, "7" if is_telegraphic else "8", mark, _c("", 7),
    )  # fmt: skip


def _file(header: bytes, records: Sequence[bytes], total_jpy: int, line_end: LineEnd) -> bytes:
    trailer = _record("8", _n(len(records), 6), _n(total_jpy, 12), _c("", 101))
    end = _record("9", _c("", 119))
    mark = line_end.value.encode("ascii")
    return b"".join(record + mark for record in (header, *records, trailer, end))


def zengin_read(content: bytes) -> Parsed:
    """Read a file back, whatever its line ends, and check every sum.

    Raises
    ------
    FileUnreadable
        Naming the record (1-based) or the trailer's field that is wrong.
    """
    records = _split(content)
    kinds = "".join(record[:1].decode("ascii", "replace") for record in records)
    if re.fullmatch(r"12*89", kinds) is None:
        raise FileUnreadable(field="records", value=kinds[:20], rule="header, data, trailer, end")
    texts = [_text(record, n) for n, record in enumerate(records, start=1)]
    head, *data, trailer, _end = texts
    if head[1:3] != SERVICE:
        raise FileUnreadable(field="records[1]", value=head[1:3], rule=f"service {SERVICE}")
    payments = tuple(_payment(text, n) for n, text in enumerate(data, start=2))
    count, total_jpy = _int(trailer, 1, 6, "trailer"), _int(trailer, 7, 12, "trailer")
    if count != len(payments):
        raise FileUnreadable(field="trailer.count", value=count, rule=f"{len(payments)} records")
    sum_jpy = sum(payment.amount_jpy for payment in payments)
    if total_jpy != sum_jpy:
        raise FileUnreadable(field="trailer.total_jpy", value=total_jpy, rule=f"sum {sum_jpy}")
    return Parsed(
        payer=BankDetails(
            bank_code=head[58:62],
            bank_name=head[62:77].rstrip(),
            branch_code=head[77:80],
            branch_name=head[80:95].rstrip(),
            kind=head[95],
            number=head[96:103],
            holder=head[14:54].rstrip(),
        ),
        payer_code=head[4:14].lstrip("0") or "0",
        month_day=head[54:58],
        payments=payments,
    )


def _split(content: bytes) -> list[bytes]:
    """Cut a file into records: of 120 bytes, each followed by nothing, CRLF, CR or LF."""
    records: list[bytes] = []
    at = 0
    while at < len(content):
        record = content[at : at + RECORD_BYTES]
        if len(record) != RECORD_BYTES or b"\r" in record or b"\n" in record:
            rule = f"{RECORD_BYTES} bytes"
            raise FileUnreadable(field=f"records[{len(records) + 1}]", value=len(record), rule=rule)
        records.append(record)
        at += RECORD_BYTES
        while content[at : at + 1] in (b"\r", b"\n"):
            at += 1
        if content[at:] == b"\x1a":  # what some programs end text files with
            break
    return records


def _text(record: bytes, number: int) -> str:
    try:
        text = record.decode(CODING)
    except UnicodeDecodeError:
        text = ""
    if len(text) != RECORD_BYTES:
        raise FileUnreadable(field=f"records[{number}]", value="", rule="half-width bytes alone")
    return text


def _int(text: str, offset: int, length: int, field: str) -> int:
    digits = text[offset : offset + length]
    if not (digits.isascii() and digits.isdigit()):
        raise FileUnreadable(field=field, value=digits, rule=f"{length} digits")
    return int(digits)


def _payment(text: str, number: int) -> Payment:
    field = f"records[{number}]"
    has_edi = text[112] == "Y"
    return Payment(
        payee=BankDetails(
            bank_code=text[1:5],
            bank_name=text[5:20].rstrip(),
            branch_code=text[20:23],
            branch_name=text[23:38].rstrip(),
            kind=text[42],
            number=text[43:50],
            holder=text[50:80].rstrip(),
        ),
        amount_jpy=_int(text, 80, 10, field),
        reference=0 if has_edi else _int(text, 91, 10, field),
        edi=text[91:111].rstrip() if has_edi else "",
        result=text[113].strip(),
    )


def account_of(row: Mapping[str, str]) -> BankDetails:
    """Make an account of named texts, names converted to bank characters."""
    return BankDetails(
        bank_code=row["bank_code"],
        bank_name=kana_converted(row["bank_name"]),
        branch_code=row["branch_code"],
        branch_name=kana_converted(row["branch_name"]),
        kind=row["kind"],
        number=row["number"],
        holder=kana_converted(row["holder"]),
    )
