"""Statements: what a party gets, tied to the ledger line by line."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from accounts.core.csvtext import Cell, csv_bytes
from accounts.core.errors import ensure
from accounts.core.money_words import MONEY_WORDS
from accounts.ledger.selectors import balances_at, transfers_of
from accounts.parties.models import Organisation

JST = ZoneInfo("Asia/Tokyo")
HEADER = (
    "記帳日時",
    "精算期間",
    "項目",
    "コード",
    "受取（円）",
    "支払（円）",
    "差引（円）",
    "仕訳番号",
)
TOTAL = "合計"

# A code without a name is shown as it is.
CODE_NAMES = {code: word.ja for code, word in MONEY_WORDS.items()}


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """One posted transfer as its holder sees it; exactly one of the amounts is positive."""

    transfer_id: UUID
    posted_at: datetime
    period: str
    code: str
    received_jpy: int
    paid_jpy: int

    @property
    def name(self) -> str:
        """Return the item's Japanese name."""
        return CODE_NAMES.get(self.code, self.code)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What one organisation received and paid; totals are sums of the lines."""

    organisation: Organisation
    period: str | None
    lines: tuple[StatementLine, ...]

    @property
    def received_jpy(self) -> int:
        """Return the sum received."""
        return sum(line.received_jpy for line in self.lines)

    @property
    def paid_jpy(self) -> int:
        """Return the sum paid."""
        return sum(line.paid_jpy for line in self.lines)

    @property
    def total_jpy(self) -> int:
        """Return what the organisation is owed (negative: owes)."""
        return self.received_jpy - self.paid_jpy


def statement_of(*, organisation: Organisation, period: str | None = None) -> Statement:
    """Return an organisation's statement over all its accounts.

    Parameters
    ----------
    organisation
        Whose statement.
    period
        Label of a settlement period; None for everything ever posted, whose total is then
        checked against the balance of the organisation's accounts.

    Raises
    ------
    BrokenInvariant
        If the total of all lines is not the balance.
    """
    transfers = transfers_of(seen_by=organisation).filter(
        **({} if period is None else {"period": period})
    )
    lines: list[StatementLine] = []
    for transfer in transfers.order_by("posted_at", "code", "id"):
        received = transfer.credit.organisation_id == organisation.id
        paid = transfer.debit.organisation_id == organisation.id
        if received == paid:  # between two accounts of the same holder, or of others
            continue
        lines.append(
            StatementLine(
                transfer_id=transfer.id,
                posted_at=transfer.posted_at,
                period=transfer.period,
                code=transfer.code,
                received_jpy=transfer.amount_jpy if received else 0,
                paid_jpy=transfer.amount_jpy if paid else 0,
            )
        )
    statement = Statement(organisation=organisation, period=period, lines=tuple(lines))
    if period is None:
        held_jpy = sum(
            balance.balance_jpy
            for balance in balances_at()
            if balance.organisation_id == organisation.id
        )
        ensure(statement.total_jpy == held_jpy, "a statement does not tie to the ledger")
    return statement


def statement_csv(statement: Statement) -> bytes:
    """Write a statement as CSV: UTF-8 with BOM, CRLF, lines, then the total."""
    rows: list[tuple[Cell, ...]] = [
        (
            line.posted_at.astimezone(JST).strftime("%Y-%m-%d %H:%M:%S%z"),
            line.period,
            line.name,
            line.code,
            line.received_jpy,
            line.paid_jpy,
            line.received_jpy - line.paid_jpy,
            line.transfer_id,
        )
        for line in statement.lines
    ]
    rows.append(
        (
            TOTAL,
            statement.period or "",
            statement.organisation.name,
            "",
            statement.received_jpy,
            statement.paid_jpy,
            statement.total_jpy,
            "",
        )
    )
    return csv_bytes(rows, header=HEADER)
