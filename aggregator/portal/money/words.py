"""Words of money pages: names of items, and states as shape, colour and word."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from accounts.core.money_words import MONEY_WORDS
from aggregator.portal import words


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A state as it is drawn: a symbol of the sprite, a tone and a word."""

    glyph: str
    tone: str
    word: str


def item_word(code: str) -> str:
    """Name an item of money in the page's language."""
    found = MONEY_WORDS.get(code)
    if found is None:
        return code
    return found.en if words.is_english() else found.ja


def kind_word(kind: str) -> str:
    """Name a kind of document."""
    return {
        "STATEMENT": gettext("支払通知書（仕入明細書）"),
        "INVOICE": gettext("請求書（適格請求書）"),
        "ACCOUNT": gettext("精算書"),
    }.get(kind, kind)


def reason_word(code: str) -> str:
    """Name a reason of a dispute."""
    return dict(reasons()).get(code, code)


def reasons() -> list[tuple[str, str]]:
    """Return the reasons of disputes with their words."""
    return [
        ("READING", gettext("計量値")),
        ("BASELINE", gettext("ベースライン")),
        ("DELIVERY", gettext("供出量")),
        ("PRICE", gettext("単価")),
        ("RULE", gettext("規則の適用")),
        ("FORCE_MAJEURE", gettext("不可抗力")),
        ("OTHER", gettext("その他")),
    ]


def document_mark(row: Any) -> Mark:
    """Draw the state of a document."""
    if getattr(row, "corrected_by", None) is not None:
        return Mark(glyph="ring", tone="", word=gettext("訂正済"))
    if row.kind != "STATEMENT":
        return Mark(glyph="dot", tone="", word=gettext("発行済"))
    return {
        "ISSUED": Mark(glyph="half", tone="high", word=gettext("確認待ち")),
        "CONFIRMED": Mark(glyph="check", tone="ok", word=gettext("確認済")),
        "OBJECTED": Mark(glyph="alarm", tone="high", word=gettext("異議あり")),
    }[row.state]


def dispute_mark(state: str) -> Mark:
    """Draw the state of a dispute."""
    return {
        "OPEN": Mark(glyph="half", tone="high", word=gettext("申立済")),
        "UNDER_REVIEW": Mark(glyph="half", tone="acc", word=gettext("審査中")),
        "ACCEPTED": Mark(glyph="check", tone="ok", word=gettext("認容")),
        "REJECTED": Mark(glyph="ring", tone="", word=gettext("棄却")),
        "WITHDRAWN": Mark(glyph="ring", tone="", word=gettext("取下げ")),
    }[state]


def entry_word(kind: str) -> str:
    """Say what happened in a dispute."""
    return {
        "OPENED": gettext("申立て"),
        "COMMENTED": gettext("意見"),
        "EVIDENCE_ADDED": gettext("証拠の提出"),
        "REVIEW_STARTED": gettext("審査の開始"),
        "ACCEPTED": gettext("認容の決定"),
        "REJECTED": gettext("棄却の決定"),
        "WITHDRAWN": gettext("取下げ"),
    }.get(kind, kind)


def batch_mark(state: str) -> Mark:
    """Draw the state of a batch."""
    return {
        "DRAFT": Mark(glyph="half", tone="high", word=gettext("承認待ち・未送付")),
        "RELEASED": Mark(glyph="dot", tone="acc", word=gettext("送付済・結果待ち")),
        "ACKNOWLEDGED": Mark(glyph="dot", tone="acc", word=gettext("一部結果あり")),
        "PARTLY_FAILED": Mark(glyph="alarm", tone="crit", word=gettext("一部不能")),
        "SETTLED": Mark(glyph="check", tone="ok", word=gettext("完了")),
        "REJECTED": Mark(glyph="ring", tone="", word=gettext("取止め")),
    }[state]


def payment_mark(state: str) -> Mark:
    """Draw what became of a transfer."""
    return {
        "PENDING": Mark(glyph="half", tone="acc", word=gettext("結果待ち")),
        "PAID": Mark(glyph="check", tone="ok", word=gettext("振込済")),
        "FAILED": Mark(glyph="alarm", tone="crit", word=gettext("不能")),
        "RETURNED": Mark(glyph="alarm", tone="crit", word=gettext("組戻し")),
    }[state]


def account_mark(state: str) -> Mark:
    """Draw the state of a bank account."""
    return {
        "PROPOSED": Mark(glyph="half", tone="high", word=gettext("承認待ち")),
        "ACTIVE": Mark(glyph="check", tone="ok", word=gettext("有効")),
        "RETIRED": Mark(glyph="ring", tone="", word=gettext("廃止")),
    }[state]


def job_mark(state: str) -> Mark:
    """Draw the state of a job."""
    return {
        "READY": Mark(glyph="ring", tone="", word=gettext("予定")),
        "RUNNING": Mark(glyph="half", tone="acc", word=gettext("実行中")),
        "DONE": Mark(glyph="check", tone="ok", word=gettext("完了")),
        "QUARANTINED": Mark(glyph="alarm", tone="crit", word=gettext("失敗")),
    }[state]


def deposit_word(kind: str) -> str:
    """Name a kind of deposit."""
    return dict(deposits()).get(kind, kind)


def deposits() -> list[tuple[str, str]]:
    """Return kinds of deposits with their words."""
    return [
        ("1", gettext("普通")),
        ("2", gettext("当座")),
        ("4", gettext("貯蓄")),
        ("9", gettext("その他の預金")),
    ]


def form_word(file_format: str) -> str:
    """Name a form of payment files."""
    return {
        "ZENGIN": gettext("全銀協 総合振込（固定長）"),
        "PAIN001": gettext("ISO 20022 pain.001（XML）"),
    }.get(file_format, file_format)


def exact_yen(value: Decimal | None) -> str:
    """Write an exact amount: with its decimals where it has any."""
    if value is None:
        return words.UNKNOWN
    plain = Decimal(value)
    places = 0 if plain == plain.to_integral_value() else 6
    text = words.number(plain, places)
    return text.rstrip("0") if places else text


def exact_number(value: Decimal | None) -> str:
    """Write a quantity or price with the decimals it has."""
    return exact_yen(value)
