"""What callers see of payments: those who keep the house's books see all, nobody else anything."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet, Sum

from accounts.parties.sight import Sight
from aggregator.settlement.payments_models import (
    BankAccount,
    PaymentBatch,
    PaymentFile,
    PaymentFormat,
    PaymentRow,
    PaymentState,
)
from aggregator.settlement.seen import READ_LEDGER

RELEASE = "payment.release"
CONTENT_TYPES = {PaymentFormat.ZENGIN: "text/plain", PaymentFormat.PAIN001: "application/xml"}


def batches_seen(*, seen_by: Sight) -> QuerySet[PaymentBatch]:
    """Batches for those who read the house's books, with what became of their transfers."""
    unpaid = Q(rows__state__in=[PaymentState.FAILED, PaymentState.RETURNED])
    rows = PaymentBatch.objects.select_related("payer").annotate(
        paid_count=Count("rows", filter=Q(rows__state=PaymentState.PAID)),
        unpaid_count=Count("rows", filter=unpaid),
        paid_jpy=Sum("rows__amount_jpy", filter=Q(rows__state=PaymentState.PAID), default=0),
    )
    return rows if seen_by.may_everywhere(READ_LEDGER) else rows.none()


def batch_rows(batch: PaymentBatch) -> QuerySet[PaymentRow]:
    """Transfers of a batch with their payees and accounts, in their order."""
    return batch.rows.select_related("organisation", "bank_account").order_by("reference")


def bank_accounts_seen(*, seen_by: Sight) -> QuerySet[BankAccount]:
    """Bank accounts for those who read the house's books; numbers are shown masked."""
    rows = BankAccount.objects.select_related("organisation")
    return rows if seen_by.may_everywhere(READ_LEDGER) else rows.none()


def file_name(file: PaymentFile) -> str:
    """Return the name under which a file for the bank is saved: day, batch, number."""
    ending = "txt" if file.format == PaymentFormat.ZENGIN else "xml"
    batch = file.batch
    return f"{batch.pay_on:%Y%m%d}-{str(batch.id)[-12:]}-{file.position}.{ending}"
