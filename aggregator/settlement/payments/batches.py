"""Build a batch for the bank, and release it once, by two people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from accounts.approvals.kinds import PAYMENT_RELEASE
from accounts.approvals.models import Approval
from accounts.approvals.services import approval_drop, approval_request, approval_use
from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused, ensure
from accounts.parties.models import Organisation
from accounts.parties.selectors import aggregator
from accounts.parties.sight import Sight
from aggregator.core.business_days import business_day_checked
from aggregator.core.pain001 import pain001
from aggregator.core.zengin import Heading, LineEnd, Payment, zengin_files
from aggregator.metering.limits import bulk_limits_set
from aggregator.settlement.payments.bank_accounts import bank_account_of
from aggregator.settlement.payments.dues import PartyDue, dues_open
from aggregator.settlement.payments_models import (
    BatchState,
    PaymentBatch,
    PaymentFile,
    PaymentFormat,
    PaymentPart,
    PaymentRow,
)

JST = ZoneInfo("Asia/Tokyo")
PAY_DAYS_MAX = 60  # files name a day without its year
_S = BatchState


class NothingDue(Refused):
    """Nobody is owed anything that is not held or on its way."""


class BatchStale(Conflict):
    """What is owed, or where to, is not what the batch was made for."""


class FileWithheld(Conflict):
    """The file may not leave the house: not yet, or not in this form."""


class BatchDecided(Conflict):
    """The batch was released or rejected before."""


@transaction.atomic
def payment_batch_create(
    *,
    pay_on: date,
    maker: str,
    organisations: Sequence[Organisation] | None = None,
    line_end: LineEnd = LineEnd.CRLF,
) -> tuple[PaymentBatch, Approval]:
    """Write the files that pay what is due, and ask a second person to approve their release.

    Parameters
    ----------
    pay_on
        A bank business day, today or later, at most :data:`PAY_DAYS_MAX` days ahead.
    maker
        Who makes it, as audit entries name them; somebody else approves.
    organisations
        Whom to pay; None for everybody who is owed.

    Raises
    ------
    NoBusinessDay, CalendarUnknown
        If banks are closed that day, or it is past the last known holidays.
    NothingDue
        If there is nothing to pay.
    BankAccountMissing, ZenginRefused
        If one account is missing or fails its checks: then there is no batch at all.
    """
    bulk_limits_set()
    business_day_checked(pay_on, field="pay_on")
    now = market_now()
    today = now.astimezone(JST).date()
    if pay_on < today:
        raise Refused(field="pay_on", value=pay_on, rule="today or later")
    if pay_on > today + timedelta(days=PAY_DAYS_MAX):
        raise Refused(field="pay_on", value=pay_on, rule=f"at most {PAY_DAYS_MAX} days ahead")
    with connection.cursor() as cursor:
        # two batches made at once must see one another's rows
        cursor.execute("LOCK TABLE settlement_paymentbatch IN SHARE ROW EXCLUSIVE MODE")
    parties = [due for due in dues_open(organisations=organisations) if due.open_jpy > 0]
    if not parties:
        raise NothingDue(field="payments", value=0, rule="somebody is owed something")
    payer = bank_account_of(aggregator())
    payees = [bank_account_of(party.organisation) for party in parties]
    heading = Heading(payer=payer.details, payer_code=payer.payer_code, pay_on=pay_on)
    payments = [
        Payment(payee=payee.details, amount_jpy=party.open_jpy, reference=n)
        for n, (party, payee) in enumerate(zip(parties, payees, strict=True), start=1)
    ]
    batch = PaymentBatch(
        payer=payer,
        pay_on=pay_on,
        rows_count=len(payments),
        total_jpy=sum(payment.amount_jpy for payment in payments),
        created_by=maker,
        created_at=now,
    )
    files = [
        *((PaymentFormat.ZENGIN, content)
          for content in zengin_files(heading, payments, line_end=line_end)),
        (PaymentFormat.PAIN001,
         pain001(heading, payments, message_id=message_id(batch), created_at=now)),
    ]  # fmt: skip
    batch.files_sha256 = _digest([content for _, content in files])
    batch.save(force_insert=True)
    _files_keep(batch, files)
    _rows_keep(batch, parties, payees)
    approval = approval_request(
        kind=PAYMENT_RELEASE,
        organisation=aggregator(),
        subject=batch,
        content=release_content(batch),
        maker=maker,
        detail={
            "pay_on": pay_on.isoformat(),
            "rows": batch.rows_count,
            "total_jpy": batch.total_jpy,
            "files_sha256": batch.files_sha256,
        },
    )
    _told("created", batch)
    return batch, approval


@transaction.atomic
def payment_batch_release(*, batch_id: UUID, file_format: str, actor: str) -> PaymentBatch:
    """Release a batch that a second person has approved: from now on its files may be sent.

    What is owed is looked at once more: a dispute opened since, a new account or another bank
    account makes the batch stale.

    Parameters
    ----------
    file_format
        The one of :class:`PaymentFormat` that goes to the bank; the other never leaves the house.

    Raises
    ------
    NotFound
        If there is none.
    BatchDecided
        If it was released or rejected before.
    BatchStale
        If it pays something else than what is due now.
    ApprovalMissing, ContentChanged
        Without approval of exactly these files.
    """
    bulk_limits_set()
    if file_format not in PaymentFormat.values:
        rule = f"one of {', '.join(PaymentFormat.values)}"
        raise Refused(field="format", value=file_format, rule=rule)
    batch = _locked(batch_id)
    if batch.state != _S.DRAFT:
        raise BatchDecided(field="batch", value=batch.state, rule="neither released nor rejected")
    business_day_checked(batch.pay_on, field="pay_on")
    if batch.pay_on < market_now().astimezone(JST).date():
        raise BatchStale(field="pay_on", value=batch.pay_on, rule="today or later")
    _refuse_stale(batch)
    found = _digest([bytes(row.content) for row in _in_turn(batch.files.all())])
    if found != batch.files_sha256:
        raise BatchStale(field="files", value=found, rule=f"{batch.files_sha256} as made")
    approval = approval_use(kind=PAYMENT_RELEASE, subject=batch, content=release_content(batch))
    batch.state = _S.RELEASED
    batch.released_by = actor
    batch.released_at = market_now()
    batch.file_format = file_format
    batch.approval = approval
    batch.save(update_fields=["state", "released_by", "released_at", "file_format", "approval"])
    _told("released", batch, format=file_format)
    return batch


@transaction.atomic
def payment_file_hand_out(
    *, batch_id: UUID, file_format: str, position: int, by: Sight
) -> PaymentFile:
    """Give out one file of a released batch, for the bank; who took it is written down.

    Raises
    ------
    NotFound
        If there is no such batch or file.
    NotPermitted
        If the caller does not release payments.
    FileWithheld
        Before two people released it, or in the form that was not chosen then.
    """
    if not by.may_everywhere("payment.release"):
        raise NotPermitted(field="batch", value=str(batch_id), rule="those who release payments")
    batch = _locked(batch_id)
    if batch.state in (_S.DRAFT, _S.REJECTED):
        raise FileWithheld(field="batch", value=batch.state, rule="released by two people")
    if file_format != batch.file_format:
        raise FileWithheld(
            field="format", value=file_format, rule=f"{batch.file_format}, as it was released"
        )
    found = batch.files.filter(format=file_format, position=position).first()
    if found is None:
        raise NotFound(field="file", value=position, rule="a file of the batch")
    ensure(
        hashlib.sha256(bytes(found.content)).hexdigest() == found.sha256,
        "a file for the bank is not what was approved",
    )
    entry_append(
        action="settlement.payment_file.handed_out",
        subject=batch,
        organisation_id=aggregator().id,
        detail={"format": found.format, "position": found.position, "sha256": found.sha256},
    )
    return found


@transaction.atomic
def payment_batch_reject(*, batch_id: UUID, reason: str) -> PaymentBatch:
    """Drop a batch that was not released; what it would have paid is due again."""
    batch = _locked(batch_id)
    if batch.state != _S.DRAFT:
        raise BatchDecided(field="batch", value=batch.state, rule="neither released nor rejected")
    batch.state = _S.REJECTED
    batch.save(update_fields=["state"])
    approval_drop(kind=PAYMENT_RELEASE, subject=batch, reason=reason)
    _told("rejected", batch, reason=reason)
    return batch


def release_content(batch: PaymentBatch) -> dict[str, Any]:
    """Return exactly what a second person approves."""
    return {
        "batch": str(batch.id),
        "pay_on": batch.pay_on.isoformat(),
        "rows": batch.rows_count,
        "total_jpy": batch.total_jpy,
        "files_sha256": batch.files_sha256,
    }


def message_id(batch: PaymentBatch) -> str:
    """Return the name of a batch's ISO 20022 message: the first bits of its id."""
    return f"WB{batch.id.hex[:22]}"


def _refuse_stale(batch: PaymentBatch) -> None:
    """Compare each part with what is due now, this batch left out of what was moved."""
    if bank_account_of(aggregator()).pk != batch.payer_id:
        raise BatchStale(field="payer", value=aggregator().code, rule="as the batch was made for")
    rows = list(batch.rows.select_related("organisation", "bank_account").prefetch_related("parts"))
    now = {
        (party.organisation.id, due.document.pk): due
        for party in dues_open(organisations=[row.organisation for row in rows], without=batch)
        for due in party.dues
    }
    for row in rows:
        if bank_account_of(row.organisation).pk != row.bank_account_id:
            raise BatchStale(
                field="bank_account", value=row.organisation.code, rule="as the batch was made for"
            )
        parts = {
            (row.organisation_id, part.document_id): part.amount_jpy for part in row.parts.all()
        }
        due = {key: found.open_jpy for key, found in now.items() if key[0] == row.organisation_id}
        if parts != due:
            raise BatchStale(
                field="payments", value=row.organisation.code, rule="what is due to it now"
            )


def _in_turn(files: Any) -> list[PaymentFile]:
    """Order files as they were hashed: fixed-length ones first."""
    return sorted(files, key=lambda row: (row.format != PaymentFormat.ZENGIN, row.position))


def _digest(contents: Sequence[bytes]) -> str:
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _files_keep(batch: PaymentBatch, files: Sequence[tuple[str, bytes]]) -> None:
    counts: dict[str, int] = {}
    for file_format, content in files:
        counts[file_format] = counts.get(file_format, 0) + 1
        PaymentFile.objects.create(
            batch=batch,
            format=file_format,
            position=counts[file_format],
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
        )


def _rows_keep(batch: PaymentBatch, parties: Sequence[PartyDue], payees: Sequence[Any]) -> None:
    for n, (party, payee) in enumerate(zip(parties, payees, strict=True), start=1):
        row = PaymentRow.objects.create(
            batch=batch,
            reference=n,
            organisation=party.organisation,
            bank_account=payee,
            amount_jpy=party.open_jpy,
        )
        PaymentPart.objects.bulk_create(
            PaymentPart(
                row=row,
                document=due.document,
                net_jpy=due.net_jpy,
                held_jpy=due.held_jpy,
                moved_jpy=due.moved_jpy,
                amount_jpy=due.open_jpy,
            )
            for due in party.dues
        )


def _locked(batch_id: UUID) -> PaymentBatch:
    row = PaymentBatch.objects.select_for_update(of=("self",)).filter(id=batch_id).first()
    if row is None:
        raise NotFound(field="batch", value=str(batch_id), rule="a batch of payments")
    return row


def _told(what: str, batch: PaymentBatch, **detail: Any) -> None:
    entry_append(
        action=f"settlement.payment_batch.{what}",
        subject=batch,
        organisation_id=aggregator().id,
        detail={**release_content(batch), **detail},
    )
