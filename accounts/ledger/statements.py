"""Statements: what a party gets, tied to the ledger line by line."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from accounts.core.csvtext import Cell, csv_bytes
from accounts.core.errors import ensure
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

# One name per code that settlement posts; a code without a name is shown as it is.
CODE_NAMES = {
    "NEED_CHARGE": "調整力利用料",
    "SELLER_ENERGY": "電力量料金",
    "SHORTFALL_REFUND": "未達返還",
    "SHORTFALL_PENALTY": "未達ペナルティ",
    "SHORTFALL_CREDIT": "未達分の返金",
    "CONGESTION_RENT": "混雑収入",
    "LINK_RENT": "連系収入",
    "PATH_FEE": "光パス利用料",
    "PLATFORM_FEE": "市場利用手数料",
    "REVENUE_SPLIT": "収益分配",
    "DEVIATION": "インバランス",
    "CAPACITY_CHARGE": "調整力（ΔkW）利用料",
    "CAPACITY": "調整力（ΔkW）料金",
    "COMPUTE_CHARGE": "計算利用料",
    "COMPUTE": "計算提供料",
    "ENVELOPE": "受電枠料金",
    "ENVELOPE_PENALTY": "受電枠超過金",
    "TRUNK_RENT": "光幹線収入",
    "PAYMENT_RULE": "支払規則による調整",
    "MARKET_FEE": "市場手数料（買い手）",
    "ACTIVATION_UP": "上げ調整電力量料金（V1）",
    "ACTIVATION_DOWN": "下げ調整電力量料金（V2）",
    "CAPACITY_PENALTY_I": "アセスメントIペナルティ",
    "CAPACITY_PENALTY_II": "アセスメントIIペナルティ",
    "CAPACITY_CREDIT": "調整力不適合の返金",
    "EXCHANGE_FEE": "取引所手数料",
    "NEGAWATT_COMPENSATION": "ネガワット調整金",
    "IMBALANCE_CAUSED": "未達によるインバランス負担",
    "REPLACEMENT": "差替電力量料金",
    "ADJUSTMENT": "異議訂正の負担",
    "RESIDUAL": "公表値の端数",
    "ROUNDING": "円未満の端数",
    "CONSUMPTION_TAX": "消費税",
    "PAYMENT": "お支払",
    "RECEIPT": "ご入金",
}


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
