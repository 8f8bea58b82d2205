"""Read balances; what an account holds is always the sum of its posted transfers."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from accounts.ledger.models import LedgerAccount, LedgerAccountKind, Transfer, TransferState
from accounts.parties.models import Organisation, OrganisationKind


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Sums of one account; a positive balance is owed to its holder."""

    account_id: int
    organisation_id: UUID
    organisation_code: str
    organisation_name: str
    code: str
    name: str
    kind: str
    debit_jpy: int
    credit_jpy: int

    @property
    def balance_jpy(self) -> int:
        """Return credits less debits."""
        return self.credit_jpy - self.debit_jpy


@dataclass(frozen=True, kw_only=True)
class TrialBalance:
    """Every account's sums at a moment; a difference other than zero is a broken book."""

    balances: tuple[Balance, ...]

    @property
    def debit_jpy(self) -> int:
        """Return the sum of debits."""
        return sum(balance.debit_jpy for balance in self.balances)

    @property
    def credit_jpy(self) -> int:
        """Return the sum of credits."""
        return sum(balance.credit_jpy for balance in self.balances)

    @property
    def difference_jpy(self) -> int:
        """Return debits less credits: 0 unless the book is broken."""
        return self.debit_jpy - self.credit_jpy

    @property
    def clearing_jpy(self) -> int:
        """Return what the clearing accounts hold: 0 after every close."""
        return sum(b.balance_jpy for b in self.balances if b.kind == LedgerAccountKind.CLEARING)


def balances_at(
    moment: datetime | None = None, *, seen_by: Organisation | None = None
) -> list[Balance]:
    """Return every account's sums of what was posted up to `moment` (None: up to now).

    `seen_by` limits the accounts to the organisation's own, unless it is the aggregator.
    """
    own = None
    if seen_by is not None and seen_by.kind != OrganisationKind.AGGREGATOR:
        own = seen_by.id
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH posted AS (
                SELECT debit_id, credit_id, amount_jpy FROM ledger_transfer
                WHERE state = 'POSTED' AND (%(at)s::timestamptz IS NULL OR posted_at <= %(at)s)
            ), moved AS (
                SELECT debit_id AS account_id, amount_jpy AS debit_jpy, 0 AS credit_jpy FROM posted
                UNION ALL
                SELECT credit_id, 0, amount_jpy FROM posted
            )
            SELECT a.id, o.id, o.code, o.name, a.code, a.name, a.kind,
                   COALESCE(sum(m.debit_jpy), 0)::bigint, COALESCE(sum(m.credit_jpy), 0)::bigint
            FROM ledger_ledgeraccount a
            JOIN parties_organisation o ON o.id = a.organisation_id
            LEFT JOIN moved m ON m.account_id = a.id
            WHERE %(own)s::uuid IS NULL OR o.id = %(own)s
            GROUP BY a.id, o.id
            ORDER BY o.code, a.code
            """,
            {"at": moment, "own": own},
        )
        rows = cursor.fetchall()
    return [
        Balance(
            account_id=row[0],
            organisation_id=row[1],
            organisation_code=row[2],
            organisation_name=row[3],
            code=row[4],
            name=row[5],
            kind=row[6],
            debit_jpy=row[7],
            credit_jpy=row[8],
        )
        for row in rows
    ]


def trial_balance_at(moment: datetime | None = None) -> TrialBalance:
    """Return the trial balance (試算表) of what was posted up to `moment`."""
    return TrialBalance(balances=tuple(balances_at(moment)))


def ledger_accounts_by_id(account_ids: list[int]) -> dict[int, LedgerAccount]:
    """Return accounts with their organisations."""
    accounts = LedgerAccount.objects.filter(id__in=account_ids).select_related("organisation")
    return {account.id: account for account in accounts}


def transfers_of(*, seen_by: Organisation) -> QuerySet[Transfer]:
    """Return posted transfers an organisation may see: its own, or all for the aggregator."""
    transfers = Transfer.objects.filter(state=TransferState.POSTED).select_related(
        "debit__organisation", "credit__organisation"
    )
    if seen_by.kind == OrganisationKind.AGGREGATOR:
        return transfers
    # by the accounts themselves: each side has an index of its own
    account_ids = ledger_account_ids_of(organisation_ids=[seen_by.id])
    return transfers.filter(Q(debit_id__in=account_ids) | Q(credit_id__in=account_ids))


def ledger_account_ids_of(*, organisation_ids: Collection[UUID]) -> list[int]:
    """Return the ids of the accounts of some organisations."""
    accounts = LedgerAccount.objects.filter(organisation_id__in=organisation_ids)
    return list(accounts.order_by("id").values_list("id", flat=True))


@dataclass(frozen=True, kw_only=True)
class PeriodTotal:
    """What an organisation received and paid under one period's label."""

    received_jpy: int = 0
    paid_jpy: int = 0

    @property
    def total_jpy(self) -> int:
        """Return what it is owed (negative: owes)."""
        return self.received_jpy - self.paid_jpy


def period_totals(*, organisation_id: UUID, periods: Collection[str]) -> dict[str, PeriodTotal]:
    """Sum an organisation's posted transfers of some periods, by the period's label.

    Transfers between two accounts of its own are none of its business with others.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH moved AS (
                SELECT period, 0 AS received_jpy, amount_jpy AS paid_jpy FROM ledger_transfer
                WHERE period = ANY(%(periods)s) AND state = 'POSTED'
                  AND debit_id = ANY(%(own)s) AND NOT credit_id = ANY(%(own)s)
                UNION ALL
                SELECT period, amount_jpy, 0 FROM ledger_transfer
                WHERE period = ANY(%(periods)s) AND state = 'POSTED'
                  AND credit_id = ANY(%(own)s) AND NOT debit_id = ANY(%(own)s)
            )
            SELECT period, sum(received_jpy)::bigint, sum(paid_jpy)::bigint
            FROM moved GROUP BY period
            """,
            {
                "own": ledger_account_ids_of(organisation_ids=[organisation_id]),
                "periods": list(periods),
            },
        )
        return {
            period: PeriodTotal(received_jpy=received, paid_jpy=paid)
            for period, received, paid in cursor.fetchall()
        }


def transfer_by_id(transfer_id: UUID) -> Transfer | None:
    """Return one transfer with its accounts, or None."""
    return (
        Transfer.objects.filter(id=transfer_id)
        .select_related("debit__organisation", "credit__organisation")
        .first()
    )


def net_by_period(*, kind: str) -> dict[int, dict[str, int]]:
    """Sum what was posted to accounts of a kind, credits less debits, by the period's label.

    Returns
    -------
    dict
        Account to label to yen; money that belongs to no period stands under "".
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH moved AS (
                SELECT credit_id AS account_id, period, amount_jpy FROM ledger_transfer
                WHERE state = 'POSTED'
                UNION ALL
                SELECT debit_id, period, -amount_jpy FROM ledger_transfer WHERE state = 'POSTED'
            )
            SELECT account_id, period, sum(amount_jpy)::bigint
            FROM moved JOIN ledger_ledgeraccount a ON a.id = account_id
            WHERE a.kind = %s GROUP BY account_id, period ORDER BY account_id, period
            """,
            [kind],
        )
        found: dict[int, dict[str, int]] = {}
        for account_id, period, net_jpy in cursor:
            found.setdefault(account_id, {})[period] = net_jpy
    return found


def net_by_code(*, period: str, cause_kind: str) -> dict[tuple[int, str], int]:
    """Sum what causes of a kind posted for a period, credits less debits, by account and code."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH moved AS (
                SELECT credit_id AS account_id, code, amount_jpy FROM ledger_transfer
                WHERE state = 'POSTED' AND period = %(period)s AND cause_kind = %(cause)s
                UNION ALL
                SELECT debit_id, code, -amount_jpy FROM ledger_transfer
                WHERE state = 'POSTED' AND period = %(period)s AND cause_kind = %(cause)s
            )
            SELECT account_id, code, sum(amount_jpy)::bigint FROM moved
            GROUP BY account_id, code ORDER BY account_id, code
            """,
            {"period": period, "cause": cause_kind},
        )
        return {(account_id, code): net_jpy for account_id, code, net_jpy in cursor}
