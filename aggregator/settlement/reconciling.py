"""Do lines, the ledger, documents and payment files say the same? Differences are told by name.

What is compared stands in different tables, written by different code at different times:
settlement lines, items of a close, posted transfers, the content of issued documents, and the
bytes of files for the bank in every form, read back as a bank would read them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Sum

from accounts.approvals.services import content_digest
from accounts.core.errors import Refused
from accounts.fields.snapshots import snapshot
from accounts.ledger.selectors import ledger_accounts_by_id, net_by_period, trial_balance_at
from aggregator.core.pain001 import pain001_read
from aggregator.core.zengin import zengin_read
from aggregator.metering.limits import bulk_limits_set
from aggregator.settlement.differences import Difference, closes_differing, differ
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
class Reconciliation:
    """What was compared, and every difference."""

    documents_count: int
    files_count: int
    batches_count: int
    parties_count: int
    differences: tuple[Difference, ...]


def reconcile() -> Reconciliation:
    """Compare the books of all closed periods, in one snapshot of the database."""
    with snapshot():
        bulk_limits_set()
        return _reconciled()


def _reconciled() -> Reconciliation:
    ledger = _ledger_of_members()
    return Reconciliation(
        documents_count=Document.objects.count(),
        files_count=DocumentFile.objects.count() + PaymentFile.objects.count(),
        batches_count=PaymentBatch.objects.count(),
        parties_count=len(ledger),
        differences=(
            *_book(),
            *closes_differing(),
            *_accounts(ledger),
            *_documents(),
            *_document_files(),
            *_batches(),
            *_balances(ledger),
        ),
    )


def _book() -> Iterator[Difference]:
    trial = trial_balance_at()
    yield from differ("ledger", "debits are credits [JPY]", trial.debit_jpy, trial.credit_jpy)
    yield from differ("ledger", "the clearing account is empty [JPY]", trial.clearing_jpy, 0)


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
            yield from differ(subject, "account is ledger [JPY]", total, posted)


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
        yield from differ(row, "content is what was issued", digest, row.content_sha256)
        yield from differ(row, "total [JPY]", row.content["total_jpy"], row.total_jpy)
        key = (row.organisation_id, row.period_id)
        if row.kind == Kind.ACCOUNT:
            accounts[key] = row  # a later one corrects the earlier
    latest = Document.objects.filter(corrected_by__isnull=True).exclude(kind=Kind.ACCOUNT)
    for row in latest:
        sign = 1 if row.kind == Kind.STATEMENT else -1
        totals[row.organisation_id, row.period_id] += sign * row.total_jpy
    for key, account in accounts.items():
        rule = "account is statement less invoice [JPY]"
        yield from differ(account, rule, account.total_jpy, totals[key])


def _document_files() -> Iterator[Difference]:
    for row in DocumentFile.objects.select_related("document").iterator(chunk_size=100):
        digest = hashlib.sha256(bytes(row.content)).hexdigest()
        subject = f"{row.document} {row.language} {row.format}"
        yield from differ(subject, "file is what was made", digest, row.sha256)


def _batches() -> Iterator[Difference]:
    """Read each file as a bank would, and hold it against rows, and rows against their parts."""
    for batch in PaymentBatch.objects.prefetch_related("files", "rows__parts"):
        rows = {row.reference: row for row in batch.rows.all()}
        total_jpy = sum(row.amount_jpy for row in rows.values())
        yield from differ(batch, "batch is its rows [JPY]", batch.total_jpy, total_jpy)
        yield from differ(batch, "batch is its rows [count]", batch.rows_count, len(rows))
        for row in rows.values():
            parts_jpy = sum(part.amount_jpy for part in row.parts.all())
            yield from differ(row, "transfer is its parts [JPY]", row.amount_jpy, parts_jpy)
        yield from _files(batch, rows)


def _files(batch: PaymentBatch, rows: dict[int, PaymentRow]) -> Iterator[Difference]:
    """Hold each form of a batch's files against its transfers: all forms say the same."""
    sent: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    unreadable: set[str] = set()
    for file in batch.files.all():
        content = bytes(file.content)
        digest = hashlib.sha256(content).hexdigest()
        yield from differ(batch, f"{file.format} is what was made", digest, file.sha256)
        try:
            for reference, amount_jpy in _payments(file.format, content):
                sent[file.format][reference] += amount_jpy
        except Refused as refused:
            unreadable.add(file.format)
            yield Difference(
                subject=str(batch),
                rule=f"a bank can read {file.format}",
                first=str(refused),
                second="a file",
            )
    for form in PaymentFormat.values:
        if form in unreadable:
            continue
        for reference in sorted(rows.keys() | sent[form].keys()):
            row = rows.get(reference)
            subject = f"{batch} no. {reference}"
            amount_jpy = 0 if row is None else row.amount_jpy
            found_jpy = sent[form].get(reference, 0)
            yield from differ(subject, f"{form} is transfer [JPY]", found_jpy, amount_jpy)


def _payments(form: str, content: bytes) -> list[tuple[int, int]]:
    """Return reference and amount of each transfer in a file."""
    if form == PaymentFormat.ZENGIN:
        return [(row.reference, row.amount_jpy) for row in zengin_read(content).payments]
    return [(reference, jpy) for reference, _, jpy in pain001_read(content).payments]


def _balances(ledger: dict[UUID, dict[str, int]]) -> Iterator[Difference]:
    """Hold what the ledger moved through banks against rows that were paid and money that came."""
    paid = _sums(PaymentRow.objects.filter(state=PaymentState.PAID))
    came = _sums(IncomingPayment.objects.all())
    for organisation_id in sorted(ledger.keys() | paid.keys() | came.keys()):
        moved_jpy = ledger.get(organisation_id, {}).get("", 0)
        told_jpy = came.get(organisation_id, 0) - paid.get(organisation_id, 0)
        rule = "money through banks is results and receipts [JPY]"
        yield from differ(organisation_id, rule, moved_jpy, told_jpy)


def _sums(rows: Any) -> dict[UUID, int]:
    summed = rows.order_by().values("organisation_id").annotate(sum_jpy=Sum("amount_jpy"))
    return {row["organisation_id"]: int(row["sum_jpy"]) for row in summed}
