"""Do documents, the ledger and payment files say the same? Every difference is told by name.

What is compared stands in different tables, written by different code at different times: posted
transfers, the content of issued documents, and the bytes of files for the bank, read back as a
bank would read them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Sum

from accounts.approvals.services import content_digest
from accounts.core.errors import Refused
from accounts.ledger.selectors import ledger_accounts_by_id, net_by_period, trial_balance_at
from aggregator.core.zengin import zengin_read
from aggregator.settlement.documents_models import Document, DocumentFile, Kind
from aggregator.settlement.models import SettlementItem, SettlementPeriod
from aggregator.settlement.parties import MEMBER_CODE
from aggregator.settlement.payments_models import (
    IncomingPayment,
    PaymentBatch,
    PaymentFile,
    PaymentFormat,
    PaymentRow,
    PaymentState,
)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two places that should say the same and do not.

    Attributes
    ----------
    subject
        What it is about: a period and party, a document, a batch.
    rule
        What should hold.
    first, second
        What either place says, as text.
    """

    subject: str
    rule: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.rule}: {self.first} ≠ {self.second}"


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """What was compared, and every difference."""

    documents_count: int
    files_count: int
    batches_count: int
    parties_count: int
    differences: tuple[Difference, ...]


@transaction.atomic
def reconcile() -> Reconciliation:
    """Compare the books of all closed periods, in one snapshot of the database."""
    if not connection.savepoint_ids:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    ledger = _ledger_of_members()
    return Reconciliation(
        documents_count=Document.objects.count(),
        files_count=DocumentFile.objects.count() + PaymentFile.objects.count(),
        batches_count=PaymentBatch.objects.count(),
        parties_count=len(ledger),
        differences=(
            *_book(),
            *_accounts(ledger),
            *_documents(),
            *_document_files(),
            *_batches(),
            *_balances(ledger),
        ),
    )


def _differ(subject: object, rule: str, first: object, second: object) -> Iterator[Difference]:
    if first != second:
        yield Difference(subject=str(subject), rule=rule, first=str(first), second=str(second))


def _book() -> Iterator[Difference]:
    trial = trial_balance_at()
    yield from _differ("ledger", "debits are credits [JPY]", trial.debit_jpy, trial.credit_jpy)
    yield from _differ("ledger", "the clearing account is empty [JPY]", trial.clearing_jpy, 0)


def _ledger_of_members() -> dict[UUID, dict[str, int]]:
    """Return organisation to period's label to what its member account was given [JPY]."""
    nets = net_by_period(kind="MEMBER")
    accounts = ledger_accounts_by_id(list(nets))
    return {
        accounts[account_id].organisation_id: by_period
        for account_id, by_period in nets.items()
        if accounts[account_id].code == MEMBER_CODE
    }


def _accounts(ledger: dict[UUID, dict[str, int]]) -> Iterator[Difference]:
    """Hold each party's latest account of a period against what the ledger was given for it."""
    told = {
        (row.organisation_id, row.period_id): row
        for row in Document.objects.filter(kind=Kind.ACCOUNT, corrected_by__isnull=True)
    }
    closed = SettlementPeriod.objects.filter(items__isnull=False).distinct()
    for period in closed.order_by("start_on"):
        if not any(period_id == period.pk for _, period_id in told):
            continue  # closed, and its documents are still to be issued
        holders = _holders(period)
        for organisation_id, code in sorted(holders.items(), key=lambda row: row[1]):
            document = told.get((organisation_id, period.pk))
            total = "no account" if document is None else document.total_jpy
            posted = ledger.get(organisation_id, {}).get(period.label, 0)
            subject = f"{period.label} {code}"
            yield from _differ(subject, "account is ledger [JPY]", total, posted)


def _holders(period: SettlementPeriod) -> dict[UUID, str]:
    """Return the organisations whose member accounts a period moved, with their codes."""
    rows = SettlementItem.objects.filter(period=period, account__code=MEMBER_CODE).exclude(
        account__organisation__kind="AGGREGATOR"
    )
    return dict(rows.values_list("account__organisation_id", "account__organisation__code"))


def _documents() -> Iterator[Difference]:
    """Hold each document's content against its digest and, of accounts, against its parts."""
    totals: dict[tuple[Any, ...], int] = defaultdict(int)
    accounts: dict[tuple[Any, ...], Document] = {}
    for row in Document.objects.order_by("issued_at", "id").iterator(chunk_size=500):
        digest = content_digest(row.content)
        yield from _differ(row, "content is what was issued", digest, row.content_sha256)
        yield from _differ(row, "total [JPY]", row.content["total_jpy"], row.total_jpy)
        key = (row.organisation_id, row.period_id)
        if row.kind == Kind.ACCOUNT:
            accounts[key] = row  # a later one corrects the earlier
    latest = Document.objects.filter(corrected_by__isnull=True).exclude(kind=Kind.ACCOUNT)
    for row in latest:
        sign = 1 if row.kind == Kind.STATEMENT else -1
        totals[row.organisation_id, row.period_id] += sign * row.total_jpy
    for key, account in accounts.items():
        rule = "account is statement less invoice [JPY]"
        yield from _differ(account, rule, account.total_jpy, totals[key])


def _document_files() -> Iterator[Difference]:
    for row in DocumentFile.objects.select_related("document").iterator(chunk_size=100):
        digest = hashlib.sha256(bytes(row.content)).hexdigest()
        subject = f"{row.document} {row.language} {row.format}"
        yield from _differ(subject, "file is what was made", digest, row.sha256)


def _batches() -> Iterator[Difference]:
    """Read each file as a bank would, and hold it against rows, and rows against their parts."""
    for batch in PaymentBatch.objects.prefetch_related("files", "rows__parts"):
        rows = {row.reference: row for row in batch.rows.all()}
        total_jpy = sum(row.amount_jpy for row in rows.values())
        yield from _differ(batch, "batch is its rows [JPY]", batch.total_jpy, total_jpy)
        yield from _differ(batch, "batch is its rows [count]", batch.rows_count, len(rows))
        for row in rows.values():
            parts_jpy = sum(part.amount_jpy for part in row.parts.all())
            yield from _differ(row, "transfer is its parts [JPY]", row.amount_jpy, parts_jpy)
        yield from _files(batch, rows)


def _files(batch: PaymentBatch, rows: dict[int, PaymentRow]) -> Iterator[Difference]:
    sent: dict[int, int] = defaultdict(int)
    for file in batch.files.all():
        content = bytes(file.content)
        digest = hashlib.sha256(content).hexdigest()
        yield from _differ(batch, f"{file.format} is what was made", digest, file.sha256)
        if file.format != PaymentFormat.ZENGIN:
            continue
        try:
            for payment in zengin_read(content).payments:
                sent[payment.reference] += payment.amount_jpy
        except Refused as refused:
            yield Difference(
                subject=str(batch), rule="a bank can read it", first=str(refused), second="a file"
            )
            return
    for reference in sorted(rows.keys() | sent.keys()):
        row = rows.get(reference)
        subject = f"{batch} no. {reference}"
        amount_jpy = 0 if row is None else row.amount_jpy
        yield from _differ(subject, "file is transfer [JPY]", sent.get(reference, 0), amount_jpy)


def _balances(ledger: dict[UUID, dict[str, int]]) -> Iterator[Difference]:
    """Hold what the ledger moved through banks against rows that were paid and money that came."""
    paid = _sums(PaymentRow.objects.filter(state=PaymentState.PAID))
    came = _sums(IncomingPayment.objects.all())
    for organisation_id in sorted(ledger.keys() | paid.keys() | came.keys()):
        moved_jpy = ledger.get(organisation_id, {}).get("", 0)
        told_jpy = came.get(organisation_id, 0) - paid.get(organisation_id, 0)
        rule = "money through banks is results and receipts [JPY]"
        yield from _differ(organisation_id, rule, moved_jpy, told_jpy)


def _sums(rows: Any) -> dict[UUID, int]:
    summed = rows.order_by().values("organisation_id").annotate(sum_jpy=Sum("amount_jpy"))
    return {row["organisation_id"]: int(row["sum_jpy"]) for row in summed}
