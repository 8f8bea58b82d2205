"""What the bank did: results of a batch, money that came in, each posted once."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID, uuid5

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, Refused, ensure
from accounts.core.text import is_plain
from accounts.ledger.services import (
    TRANSFER_NAMESPACE,
    TransferDraft,
    ledger_account_open,
    transfer_correct,
    transfers_post,
)
from accounts.parties.selectors import aggregator
from aggregator.core.zengin import BankDetails, masked, zengin_read
from aggregator.metering.limits import bulk_limits_set
from aggregator.settlement.documents.parts import member_account_id
from aggregator.settlement.documents_models import Document, Kind
from aggregator.settlement.payments.dues import dues_open
from aggregator.settlement.payments_models import (
    PAYMENT_TRANSITIONS,
    REASON_LENGTH_MAX,
    BatchState,
    IncomingPayment,
    PaymentBatch,
    PaymentFormat,
    PaymentResult,
    PaymentRow,
    PaymentState,
)

HEADER = ("batch", "reference", "amount_jpy", "status", "reason")
RESULT_BYTES_MAX = 130_000_000  # a whole file of 999,999 records
PAID_CODE = "0"
DIGITS_MAX = 15
REFERENCE_LENGTH_MAX = 60
PAYMENT_CODE = "PAYMENT"
INCOMING_CODE = "RECEIPT"
CAUSE_KIND = "settlement.payment"
_P = PaymentState
_S = BatchState
TOLD = (_P.PAID.value, _P.FAILED.value, _P.RETURNED.value)


class ResultRefused(Refused):
    """A result that does not fit the batch; nothing of it was taken."""


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What a result says of one transfer."""

    reference: int
    amount_jpy: int
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A result taken in: the batch, and the transfers that were not paid, by payee."""

    batch: PaymentBatch
    unpaid: tuple[PaymentRow, ...]


@transaction.atomic
def payment_result_import(*, batch_id: UUID, content: bytes, actor: str) -> Imported:
    """Take in what the bank says became of a batch's transfers; all of it or nothing.

    Paid transfers are posted: the member's account is debited, the bank's credited. A transfer
    returned after it was paid is posted back. The same file again changes nothing.

    Parameters
    ----------
    content
        CSV (``batch,reference,amount_jpy,status,reason``; the batch's id in every row; PAID, FAILED
        or RETURNED), or a file of the fixed-length form with the bank's code in each record: 0 is
        paid, any other failed. Its payer and payees must be the batch's.

    Raises
    ------
    NotFound
        If there is no such batch.
    ResultRefused
        If the batch was not released, or a row is of another batch, unknown, twice there, to
        another account, of another amount, or says something else than an earlier result.
    FileUnreadable
        If the fixed-length file's trailer is not the sum of its records.
    """
    bulk_limits_set()
    batch = PaymentBatch.objects.select_for_update(of=("self",)).filter(id=batch_id).first()
    if batch is None:
        raise NotFound(field="batch", value=str(batch_id), rule="a batch of payments")
    if batch.state in (_S.DRAFT, _S.REJECTED):
        raise ResultRefused(field="batch", value=batch.state, rule="released")
    if not 0 < len(content) <= RESULT_BYTES_MAX:
        rule = f"1 to {RESULT_BYTES_MAX} bytes"
        raise ResultRefused(field="file", value=len(content), rule=rule)
    stored = batch.rows.select_related("organisation", "bank_account")
    rows = {row.reference: row for row in stored}
    sha256 = hashlib.sha256(content).hexdigest()
    if not batch.results.filter(sha256=sha256).exists():
        if PaymentResult.objects.filter(sha256=sha256).exists():
            # two batches of one day may name the same payees and sums
            raise ResultRefused(field="file", value=sha256, rule="not the result of another batch")
        results = _read(content, batch, rows)
        _check(results, rows)
        PaymentResult.objects.create(
            batch=batch, content=content, sha256=sha256, imported_by=actor, imported_at=market_now()
        )
        for result in results:
            _apply(rows[result.reference], result)
        _batch_move(batch, list(rows.values()))
        entry_append(
            action="settlement.payment_result.imported",
            subject=batch,
            organisation_id=aggregator().id,
            detail={"sha256": sha256, "rows": len(results), "state": batch.state},
        )
    unpaid = tuple(row for row in rows.values() if row.state in (_P.FAILED, _P.RETURNED))
    return Imported(batch=batch, unpaid=unpaid)


@transaction.atomic
def incoming_payment_record(
    *, document_id: UUID, amount_jpy: int, received_on: date, reference: str, actor: str
) -> IncomingPayment:
    """Post money that came in for an account that its party owes; a second call changes nothing.

    Parameters
    ----------
    document_id
        The latest account of the period it is for.
    reference
        The bank statement's own number of the movement; the same number is the same money.

    Raises
    ------
    NotFound
        If there is no such account.
    Refused
        If the party owes less than that for it, or the reference came with other content.
    """
    known = IncomingPayment.objects.filter(reference=reference).first()
    if known is not None:
        same = (known.document_id, known.amount_jpy, known.received_on)
        if same != (document_id, amount_jpy, received_on):
            raise Conflict(field="reference", value=reference, rule="recorded with other content")
        return known
    document = (
        Document.objects.select_for_update(of=("self",))
        .select_related("organisation")
        .filter(id=document_id, kind=Kind.ACCOUNT, corrected_by__isnull=True)
        .first()
    )
    if document is None:
        raise NotFound(field="document", value=str(document_id), rule="the latest account")
    if not reference.strip() or len(reference) > REFERENCE_LENGTH_MAX or not is_plain(reference):
        raise Refused(field="reference", value=reference, rule="a text of 1 to 60 characters")
    open_jpy = sum(
        due.open_jpy
        for party in dues_open(organisations=[document.organisation])
        for due in party.dues
        if due.document.pk == document.pk
    )
    amount: object = amount_jpy
    if type(amount) is not int or not 0 < amount_jpy <= -open_jpy:
        raise Refused(
            field="amount_jpy", value=amount_jpy, rule=f"1 to {max(-open_jpy, 0)}, as is owed"
        )
    row = IncomingPayment.objects.create(
        organisation=document.organisation,
        document=document,
        amount_jpy=amount_jpy,
        received_on=received_on,
        reference=reference,
        recorded_by=actor,
        recorded_at=market_now(),
    )
    _post(
        key=f"incoming:{row.id}",
        debit=bank_ledger_account_id(),
        credit=member_account_id(document.organisation),
        amount_jpy=amount_jpy,
        code=INCOMING_CODE,
        cause_id=str(row.id),
        detail={"document": document.number, "reference": reference},
    )
    entry_append(
        action="settlement.incoming_payment.recorded",
        subject=row,
        organisation_id=document.organisation_id,
        detail={"document": document.number, "amount_jpy": amount_jpy},
    )
    return row


def bank_ledger_account_id() -> int:
    """Return the account of the house's money at the bank, opened when first asked for."""
    account = ledger_account_open(organisation=aggregator(), code="bank", name="預金", kind="BANK")
    return int(account.id)


def _read(content: bytes, batch: PaymentBatch, rows: dict[int, PaymentRow]) -> list[RowResult]:
    if content.startswith(b"121"):
        if batch.file_format != PaymentFormat.ZENGIN:
            rule = "a batch that was sent in the fixed-length form"
            raise ResultRefused(field="file", value=batch.file_format, rule=rule)
        return _zengin_results(content, batch, rows)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp932", "replace")
    lines = list(csv.reader(io.StringIO(text, newline="")))
    if not lines or tuple(lines[0]) != HEADER:
        raise ResultRefused(
            field="header", value=lines[:1], rule=f"a header line {','.join(HEADER)}"
        )
    return [_row(cells, n, batch) for n, cells in enumerate(lines[1:], start=2)]


def _row(cells: Sequence[str], line: int, batch: PaymentBatch) -> RowResult:
    field = f"line {line}"
    if len(cells) != len(HEADER):
        raise ResultRefused(field=field, value=len(cells), rule=f"{len(HEADER)} cells")
    of_batch, reference, amount, status, reason = (cell.strip() for cell in cells)
    if of_batch.lower() != str(batch.id):
        raise ResultRefused(field=f"{field}: batch", value=of_batch, rule="the id of this batch")
    for name, text in (("reference", reference), ("amount_jpy", amount)):
        if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
            raise ResultRefused(field=f"{field}: {name}", value=text, rule="a whole number")
    if status not in TOLD:
        raise ResultRefused(
            field=f"{field}: status", value=status, rule=f"one of {', '.join(TOLD)}"
        )
    if len(reason) > REASON_LENGTH_MAX or not is_plain(reason):
        rule = f"a text of at most {REASON_LENGTH_MAX} characters"
        raise ResultRefused(field=f"{field}: reason", value=reason, rule=rule)
    return RowResult(reference=int(reference), amount_jpy=int(amount), status=status, reason=reason)


def _zengin_results(
    content: bytes, batch: PaymentBatch, rows: dict[int, PaymentRow]
) -> list[RowResult]:
    """Read a fixed-length result; records of one transfer share its reference and its fate."""
    parsed = zengin_read(content)
    expected = f"{batch.pay_on:%m%d}"
    if parsed.month_day != expected:
        raise ResultRefused(field="header.month_day", value=parsed.month_day, rule=expected)
    payer_code = batch.payer.payer_code.lstrip("0") or "0"
    if _named(parsed.payer) != _named(batch.payer.details) or parsed.payer_code != payer_code:
        raise ResultRefused(
            field="header.payer",
            value=masked(parsed.payer.number),
            rule="the account that this batch is paid from",
        )
    amounts: dict[int, int] = defaultdict(int)
    codes: dict[int, set[str]] = defaultdict(set)
    for payment in parsed.payments:
        row = rows.get(payment.reference)
        if row is not None and _named(payment.payee) != _named(row.bank_account.details):
            raise ResultRefused(
                field=f"reference {payment.reference}: payee",
                value=masked(payment.payee.number),
                rule="the account that this transfer was sent to",
            )
        if not payment.result:
            raise ResultRefused(
                field=f"reference {payment.reference}", value="", rule="a code of the bank"
            )
        amounts[payment.reference] += payment.amount_jpy
        codes[payment.reference].add(payment.result)
    mixed = [reference for reference, found in codes.items() if len(found) > 1]
    if mixed:
        raise ResultRefused(
            field=f"reference {mixed[0]}", value=sorted(codes[mixed[0]]), rule="one code"
        )
    return [
        RowResult(
            reference=reference,
            amount_jpy=amounts[reference],
            status=_P.PAID if found == {PAID_CODE} else _P.FAILED,
            reason="" if found == {PAID_CODE} else f"code {min(found)}",
        )
        for reference, found in codes.items()
    ]


def _named(account: BankDetails) -> tuple[str, ...]:
    """Return what says whose an account is: banks rewrite names of banks and branches."""
    return (
        account.bank_code,
        account.branch_code,
        account.kind,
        account.number,
        account.holder.rstrip(),
    )


def _check(results: Sequence[RowResult], rows: dict[int, PaymentRow]) -> None:
    seen: set[int] = set()
    for result in results:
        field = f"reference {result.reference}"
        row = rows.get(result.reference)
        if row is None:
            raise ResultRefused(field=field, value=result.reference, rule="a row of the batch")
        if result.reference in seen:
            raise ResultRefused(field=field, value=result.reference, rule="once")
        seen.add(result.reference)
        if result.amount_jpy != row.amount_jpy:
            raise ResultRefused(field=field, value=result.amount_jpy, rule=f"{row.amount_jpy} yen")
        if result.status != row.state and result.status not in PAYMENT_TRANSITIONS[row.state]:
            raise ResultRefused(field=field, value=result.status, rule=f"it is {row.state}")
    if not results:
        raise ResultRefused(field="rows", value=0, rule="at least one")


def _apply(row: PaymentRow, result: RowResult) -> None:
    """Move one transfer and its money; what is so already is left alone."""
    if row.state == result.status:
        return
    key = f"payment:{row.pk}"
    if result.status == _P.PAID:
        _post(
            key=key,
            debit=member_account_id(row.organisation),
            credit=bank_ledger_account_id(),
            amount_jpy=row.amount_jpy,
            code=PAYMENT_CODE,
            cause_id=str(row.pk),
            detail={"batch": str(row.batch_id), "reference": row.reference},
        )
    elif result.status == _P.RETURNED:
        transfer_correct(
            transfer_id=uuid5(TRANSFER_NAMESPACE, key),
            reason=result.reason or "returned by the bank",
        )
    row.state, row.reason, row.result_at = result.status, result.reason, market_now()
    row.save(update_fields=["state", "reason", "result_at"])


def _post(
    *,
    key: str,
    debit: int,
    credit: int,
    amount_jpy: int,
    code: str,
    cause_id: str,
    detail: dict[str, object],
) -> None:
    posted = transfers_post(
        transfers=[
            TransferDraft(
                key=key,
                debit_id=debit,
                credit_id=credit,
                amount_jpy=amount_jpy,
                code=code,
                cause_kind=CAUSE_KIND,
                cause_id=cause_id,
                detail=detail,
            )
        ]
    )
    ensure(len(posted) == 1, f"{key} was posted before")


def _batch_move(batch: PaymentBatch, rows: Sequence[PaymentRow]) -> None:
    """Bring the batch to what its rows say."""
    states = {row.state for row in rows}
    state = _S.SETTLED
    if _P.PENDING in states:
        state = _S.ACKNOWLEDGED
    elif states & {_P.FAILED, _P.RETURNED}:
        state = _S.PARTLY_FAILED
    if state != batch.state:
        batch.state = state
        batch.save(update_fields=["state"])
