"""The book as a plain-text journal that hledger reads and checks.

A debit is a positive amount, a credit a negative one, as hledger writes them. Accounts and the
commodity are declared, and the journal ends with what every account must hold, so that
``hledger check --strict`` proves that the text says what our own trial balance says.

References
----------
.. [1] hledger, Journal format: directives, postings, balance assertions.
"""

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from accounts.clock.selectors import market_now
from accounts.fields.snapshots import snapshot
from accounts.ledger.models import LedgerAccountKind, Transfer, TransferState
from accounts.ledger.selectors import Balance, balances_at

JST = ZoneInfo("Asia/Tokyo")
CHUNK_ROWS = 5_000
ROOTS = {
    LedgerAccountKind.MEMBER: ("liabilities:members", "L"),
    LedgerAccountKind.CLEARING: ("liabilities:clearing", "L"),
    LedgerAccountKind.IMBALANCE: ("liabilities:imbalance", "L"),
    LedgerAccountKind.TAX: ("liabilities:tax", "L"),
    LedgerAccountKind.REVENUE: ("revenues", "R"),
    LedgerAccountKind.ROUNDING: ("revenues:rounding", "R"),
    LedgerAccountKind.BANK: ("assets:bank", "C"),
}
"""Where each kind of account stands in the journal, and hledger's letter for its type."""


def account_name(balance: Balance) -> str:
    """Return an account's name in the journal; codes are slugs and need no quoting."""
    root, _ = ROOTS[LedgerAccountKind(balance.kind)]
    return f"{root}:{balance.organisation_code}:{balance.code}"


def journal_lines(moment: datetime | None = None) -> Iterator[str]:
    """Write everything posted up to `moment` (None: now) as lines of a journal.

    Rows are streamed, all of one snapshot of the database; a transaction of the caller's keeps
    the isolation it has. Pending and voided transfers move nothing and are left out.

    Parameters
    ----------
    moment
        Market time, inclusive.

    Yields
    ------
    str
        One line at a time, without its end.
    """
    with snapshot():
        yield from _lines(moment or market_now())


def _lines(at: datetime) -> Iterator[str]:
    balances = balances_at(at)
    names = {balance.account_id: account_name(balance) for balance in balances}
    yield f"; WattBit ledger: transfers posted up to {at.astimezone(JST).isoformat()}"
    yield "commodity JPY 1000."
    yield ""
    for balance in balances:
        _, letter = ROOTS[LedgerAccountKind(balance.kind)]
        yield f"account {names[balance.account_id]}  ; type: {letter}"
    yield ""
    rows = Transfer.objects.filter(state=TransferState.POSTED, posted_at__lte=at)
    last_on: date | None = None
    for row in rows.order_by("posted_at", "id").iterator(chunk_size=CHUNK_ROWS):
        last_on = row.posted_at.astimezone(JST).date()
        yield from _transaction(row, last_on, names)
    if last_on is not None:
        yield f"{last_on.isoformat()} * balances"
        for balance in balances:
            held_jpy = balance.debit_jpy - balance.credit_jpy
            yield f"    {names[balance.account_id]}    JPY 0 = JPY {held_jpy}"


def _transaction(row: Transfer, on: date, names: dict[int, str]) -> Iterator[str]:
    tags = f"transfer: {row.id}, period: {row.period or '-'}, cause: {row.cause_kind}"
    yield f"{on.isoformat()} * {_words(row.code)}  ; {_words(tags)}"
    yield f"    {names[row.debit_id]}    JPY {row.amount_jpy}"
    yield f"    {names[row.credit_id]}    JPY -{row.amount_jpy}"
    yield ""


def _words(text: str) -> str:
    """Hold a text on one line; a semicolon of its own would begin a comment."""
    return " ".join(text.replace(";", " ").split())
