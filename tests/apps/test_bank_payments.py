"""From accounts to the bank and back: holds, two people, results, returns, money coming in."""

from __future__ import annotations

import hashlib
import logging
import threading
from datetime import date

import pytest
from django.core import serializers
from django.db import DatabaseError, connection, connections, transaction

from accounts.approvals.models import Approval
from accounts.approvals.services import ApprovalMissing, approval_approve, content_digest
from accounts.audit.models import AuditEntry
from accounts.core.errors import Conflict, NotPermitted, Refused
from accounts.ledger.models import Transfer
from accounts.ledger.selectors import trial_balance_at
from accounts.parties.models import Organisation
from aggregator.core.business_days import NoBusinessDay
from aggregator.core.pain001 import pain001_read
from aggregator.core.zengin import BankDetails, ZenginRefused, zengin_read
from aggregator.settlement.disputes import dispute_open, dispute_withdraw
from aggregator.settlement.models import (
    BankAccount,
    Document,
    PaymentBatch,
    PaymentFile,
    SettlementLine,
    SettlementRun,
)
from aggregator.settlement.payments.bank_accounts import (
    BankAccountMissing,
    bank_account_activate,
    bank_account_propose,
    bank_account_retire,
)
from aggregator.settlement.payments.batches import (
    BatchDecided,
    BatchStale,
    NothingDue,
    payment_batch_create,
    payment_batch_reject,
    payment_batch_release,
)
from aggregator.settlement.payments.dues import dues_open, receivables_open
from aggregator.settlement.payments.dues import held_jpy as _disputed_jpy
from aggregator.settlement.payments.results import (
    incoming_payment_record,
    payment_result_import,
)
from tests.apps.paying import PAY_ON, Clerks, held_jpy, result_csv, row_of

DAY = PAY_ON
pytestmark = pytest.mark.django_db


@pytest.fixture
def clerks(db: None) -> Clerks:
    return Clerks()


def test_a_batch_pays_the_net_of_every_account_above_zero(clerks: Clerks) -> None:
    batch, _ = clerks.made()
    # Shiroi: 1,039,500 − 20,790 (tests/apps/test_documents_issue.py)
    assert row_of(batch, "shiroi-dc").amount_jpy == 1_018_710
    (zengin,) = batch.files.filter(format="ZENGIN")
    parsed = zengin_read(bytes(zengin.content))
    assert parsed.month_day == "1130"
    assert {p.reference: p.amount_jpy for p in parsed.payments} == {
        row.reference: row.amount_jpy for row in batch.rows.all()
    }
    message = pain001_read(bytes(batch.files.get(format="PAIN001").content))
    assert {ref: amount for ref, _, amount in message.payments} == {
        row.reference: row.amount_jpy for row in batch.rows.all()
    }
    assert zengin.sha256 == hashlib.sha256(bytes(zengin.content)).hexdigest()


def test_who_owes_is_in_no_file_but_listed(clerks: Clerks) -> None:
    batch, _ = clerks.made()
    owing = {party.organisation.code: party.open_jpy for party in receivables_open()}
    assert owing["grid-t"] == clerks.account("grid-t").total_jpy < 0
    assert not batch.rows.filter(organisation__code__in=owing).exists()


def test_nobody_releases_alone_nor_twice(clerks: Clerks) -> None:
    batch, approval = clerks.made()
    with pytest.raises(ApprovalMissing):
        payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor)
    with pytest.raises(NotPermitted):
        approval_approve(
            approval_id=approval.id, by=clerks.maker, content_sha256=approval.content_sha256
        )
    clerks.approve(approval)
    released = payment_batch_release(
        batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor
    )
    assert (released.state, released.released_by) == ("RELEASED", clerks.maker.actor)
    with pytest.raises(BatchDecided):
        payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor)
    with pytest.raises(BatchDecided):
        payment_batch_reject(batch_id=batch.id, reason="zu spät")


def test_what_is_on_its_way_is_not_paid_again(clerks: Clerks) -> None:
    batch, _ = clerks.made()
    with pytest.raises(NothingDue):
        clerks.made()
    payment_batch_reject(batch_id=batch.id, reason="wrong day")
    again, _ = clerks.made()
    assert again.total_jpy == batch.total_jpy


def _dispute(clerks: Clerks, item: str) -> tuple[object, SettlementLine]:
    shiroi = Organisation.objects.get(code="shiroi-dc")
    line = (
        SettlementLine.objects.filter(payee__organisation=shiroi, item=item).order_by("id").first()
    )
    assert line is not None
    dispute = dispute_open(
        organisation=shiroi,
        line_ids=[line.pk],
        reason_code="READING",
        reason="計量値",
        actor=clerks.maker.actor,
    )
    return dispute, line


def test_a_disputed_line_is_held_whole_with_its_tax_and_paid_when_the_dispute_ends(
    clerks: Clerks,
) -> None:
    dispute, line = _dispute(clerks, "SELLER_ENERGY")
    batch, _ = clerks.made()
    # 135,000 for a half hour at 45, and 10 % tax on it: 148,500 stay
    assert line.amount_exact_jpy == 135_000
    row = row_of(batch, "shiroi-dc")
    assert row.amount_jpy == 1_018_710 - 148_500
    assert row.parts.get().held_jpy == 148_500
    dispute_withdraw(
        dispute_id=dispute.id,  # type: ignore[attr-defined]
        organisation=Organisation.objects.get(code="shiroi-dc"),
        text="",
        actor=clerks.maker.actor,
    )
    open_now = {party.organisation.code: party.open_jpy for party in dues_open()}
    assert open_now["shiroi-dc"] == 148_500


def _corrected(line: SettlementLine, amount_jpy: int) -> None:
    """Take back a line's amount by a correction for a cause of its own."""
    head = line.run
    run = SettlementRun.objects.create(
        auction=head.auction, verification=head.verification, kind="CORRECTION",
        revision=head.revision + 1, input_sha256="0" * 64, ruleset_version=head.ruleset_version,
        executed_at=head.executed_at, corrects=head, cause_kind="READING", cause_id="1",
    )  # fmt: skip
    SettlementLine.objects.create(
        run=run, item=line.item, payer=line.payee, payee=line.payer, award_id=line.award_id,
        need_id=line.need_id, element=line.element, t=line.t, start_at=line.start_at,
        quantity_kwh=line.quantity_kwh, price_jpy_per_kwh=line.price_jpy_per_kwh,
        amount_exact_jpy=amount_jpy,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("taken_jpy", "held_jpy"),
    [(35_000, 110_000), (135_000, 0), (140_000, 0)],  # (135,000 − 35,000) · 1.1; none; turned
)
def test_what_a_correction_took_back_of_a_disputed_line_is_not_held_again(
    clerks: Clerks, taken_jpy: int, held_jpy: int
) -> None:
    _, line = _dispute(clerks, "SELLER_ENERGY")
    _corrected(line, taken_jpy)
    account = clerks.account("shiroi-dc")
    assert _disputed_jpy([account]).get((account.organisation_id, account.period_id), 0) == held_jpy


def test_a_dispute_asks_nothing_back_that_was_paid_before_it(clerks: Clerks) -> None:
    batch = clerks.released()
    payment_result_import(batch_id=batch.id, content=result_csv(batch), actor="user:1")
    _dispute(clerks, "SELLER_ENERGY")
    # 1,018,710 − 1,018,710 are left: of nothing, nothing is held
    assert "shiroi-dc" not in {party.organisation.code for party in dues_open()}


def test_a_buyer_that_disputes_charges_is_paid_nothing_before_the_decision(clerks: Clerks) -> None:
    account = clerks.account("grid-t")
    line = SettlementLine.objects.filter(payer__organisation=account.organisation).latest(
        "amount_exact_jpy"
    )
    given = {"document_id": account.pk, "received_on": DAY, "actor": "user:1"}
    left = 1_000  # less than the line with its tax
    incoming_payment_record(amount_jpy=-account.total_jpy - left, reference="B-1", **given)
    dispute_open(
        organisation=account.organisation,
        line_ids=[line.pk],
        reason_code="READING",
        reason="計量値",
        actor=clerks.maker.actor,
    )
    assert line.amount_exact_jpy > left
    # held −1,000, all that has not moved: nothing is asked for, nothing paid back
    assert "grid-t" not in {party.organisation.code for party in dues_open()}


def test_a_dispute_after_the_batch_was_made_stops_its_release(clerks: Clerks) -> None:
    batch, approval = clerks.made()
    clerks.approve(approval)
    _dispute(clerks, "SELLER_ENERGY")
    with pytest.raises(BatchStale, match="shiroi-dc"):
        payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor)
    assert PaymentBatch.objects.get().state == "DRAFT"


def test_another_bank_account_since_stops_the_release(clerks: Clerks) -> None:
    batch, approval = clerks.made()
    clerks.approve(approval)
    clerks.open(Organisation.objects.get(code="shiroi-dc"), number="3333444")
    with pytest.raises(BatchStale, match="bank_account"):
        payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor)


def test_another_account_of_the_payer_since_stops_the_release(clerks: Clerks) -> None:
    batch, approval = clerks.made()
    clerks.approve(approval)
    clerks.open(clerks.house, number="0099999")
    with pytest.raises(BatchStale, match="payer"):
        payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor)
    assert PaymentBatch.objects.get().state == "DRAFT"


def test_one_missing_bank_account_stops_the_whole_file(clerks: Clerks) -> None:
    shiroi = BankAccount.objects.get(organisation__code="shiroi-dc")
    bank_account_retire(bank_account_id=shiroi.id)
    with pytest.raises(BankAccountMissing, match="shiroi-dc"):
        clerks.made()
    assert not PaymentBatch.objects.exists()
    assert not PaymentFile.objects.exists()


def test_an_account_that_fails_its_checks_stops_the_file_before_anything(clerks: Clerks) -> None:
    shiroi = BankAccount.objects.get(organisation__code="shiroi-dc")
    bank_account_retire(bank_account_id=shiroi.id)
    # as an older release may have stored it
    BankAccount.objects.create(
        organisation=shiroi.organisation, bank_code="0134", bank_name="ﾁﾊﾞ", branch_code="015",
        branch_name="ｲﾝｻﾞｲ", kind="1", number="1111222", holder="ｼｮｯﾌﾟ", state="ACTIVE",
        proposed_by="system", proposed_at=shiroi.proposed_at, activated_at=shiroi.activated_at,
    )  # fmt: skip
    with pytest.raises(ZenginRefused, match="shiroi-dc"):
        clerks.made()
    assert not PaymentBatch.objects.exists()


@pytest.mark.parametrize("day", [date(2026, 11, 29), date(2026, 12, 31)])
def test_no_transfer_on_a_day_when_banks_are_closed(clerks: Clerks, day: date) -> None:
    with pytest.raises(NoBusinessDay):
        payment_batch_create(pay_on=day, maker=clerks.maker.actor)
    with pytest.raises(Refused, match="today or later"):
        payment_batch_create(pay_on=date(2026, 11, 20), maker=clerks.maker.actor)


def test_a_day_is_at_most_sixty_days_ahead_because_files_name_no_year(clerks: Clerks) -> None:
    # made on 26 November: 4 days are left of it, 31 of December, 25 of January
    with pytest.raises(Refused, match="at most 60 days ahead"):
        payment_batch_create(pay_on=date(2027, 1, 26), maker=clerks.maker.actor)
    with pytest.raises(Refused, match="at most 60 days ahead"):
        payment_batch_create(pay_on=date(2027, 11, 30), maker=clerks.maker.actor)
    batch, _ = payment_batch_create(pay_on=date(2027, 1, 25), maker=clerks.maker.actor)
    assert batch.pay_on == date(2027, 1, 25)


def test_money_that_comes_in_is_posted_once_and_never_more_than_is_owed(clerks: Clerks) -> None:
    account = clerks.account("grid-t")
    owed = -account.total_jpy
    given = {"document_id": account.pk, "received_on": DAY, "actor": "user:1"}
    with pytest.raises(Refused, match="amount_jpy"):
        incoming_payment_record(amount_jpy=owed + 1, reference="B-0", **given)
    incoming_payment_record(amount_jpy=owed - 1_000, reference="B-1", **given)
    incoming_payment_record(amount_jpy=owed - 1_000, reference="B-1", **given)
    with pytest.raises(Conflict):
        incoming_payment_record(amount_jpy=1, reference="B-1", **given)
    assert held_jpy("grid-t") == -1_000
    incoming_payment_record(amount_jpy=1_000, reference="B-2", **given)
    assert held_jpy("grid-t") == 0
    assert "grid-t" not in {party.organisation.code for party in receivables_open()}
    assert held_jpy("wattbit", "bank") == -owed
    assert trial_balance_at().difference_jpy == 0


def test_sent_files_and_results_cannot_be_changed(clerks: Clerks) -> None:
    batch = clerks.released()
    payment_result_import(batch_id=batch.id, content=result_csv(batch), actor="user:1")
    for statement in (
        "UPDATE settlement_paymentfile SET content = ''",
        "UPDATE settlement_paymentbatch SET total_jpy = 1",
        "UPDATE settlement_paymentbatch SET state = 'DRAFT'",
        "UPDATE settlement_paymentrow SET amount_jpy = 1",
        "UPDATE settlement_paymentrow SET state = 'PENDING'",
        "UPDATE settlement_bankaccount SET number = '0000001'",
        "DELETE FROM settlement_paymentresult",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE settlement_paymentbatch SET released_by = 'user:9'",
        "UPDATE settlement_paymentbatch SET released_at = released_at + interval '1 day'",
        "UPDATE settlement_paymentbatch SET approval_id = NULL",
        "UPDATE settlement_paymentrow SET reason = 'x'",
        "UPDATE settlement_paymentrow SET result_at = NULL",
        "UPDATE settlement_bankaccount SET activated_at = activated_at + interval '1 day'",
        "UPDATE settlement_document SET confirmed_by = 'user:9' WHERE state = 'CONFIRMED'",
        "UPDATE settlement_document SET confirmed_at = now() WHERE state = 'CONFIRMED'",
        "UPDATE settlement_document SET confirmation_method = 'CLICK' WHERE state = 'CONFIRMED'",
    ],
)
def test_who_did_what_when_is_written_with_its_state_and_never_after(
    clerks: Clerks, statement: str
) -> None:
    batch = clerks.released()
    payment_result_import(batch_id=batch.id, content=result_csv(batch), actor="user:1")
    row = Document.objects.get(organisation__code="shiroi-dc", kind="STATEMENT")
    Document.objects.filter(pk=row.pk).update(
        state="CONFIRMED", confirmation_method="NO_OBJECTION", confirmed_at=row.issued_at
    )
    with (
        pytest.raises(DatabaseError, match="changes with the state alone"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_a_bank_account_takes_two_people_and_a_change_is_a_new_row(clerks: Clerks) -> None:
    shiroi = Organisation.objects.get(code="shiroi-dc")
    details = BankDetails(
        bank_code="0134", bank_name="ﾁﾊﾞ", branch_code="015", branch_name="ｲﾝｻﾞｲ", kind="1",
        number="3333444", holder="ｶ)ｼﾛｲ",
    )  # fmt: skip
    row, approval = bank_account_propose(
        organisation=shiroi, details=details, maker=clerks.maker.actor
    )
    with pytest.raises(Conflict):
        bank_account_propose(organisation=shiroi, details=details, maker=clerks.maker.actor)
    with pytest.raises(ApprovalMissing):
        bank_account_activate(bank_account_id=row.id)
    clerks.approve(approval)
    bank_account_activate(bank_account_id=row.id)
    states = BankAccount.objects.filter(organisation=shiroi).values_list("number", "state")
    assert set(states) == {("1111222", "RETIRED"), ("3333444", "ACTIVE")}
    with pytest.raises(Refused, match="payer_code"):
        bank_account_propose(
            organisation=shiroi, details=details, maker=clerks.maker.actor, payer_code="1"
        )


def test_account_numbers_are_in_no_log_audit_entry_approval_or_text(
    caplog: pytest.LogCaptureFixture, db: None
) -> None:
    with caplog.at_level(logging.DEBUG):
        clerks = Clerks()
        batch = clerks.released()
        payment_result_import(batch_id=batch.id, content=result_csv(batch), actor="user:1")
    logged = [r.getMessage() for r in caplog.records if not r.name.startswith("django.db")]
    written = [
        *logged,
        *(str(entry.detail) for entry in AuditEntry.objects.all()),
        *(str(row.detail) for row in Approval.objects.all()),
        *(str(row) for row in BankAccount.objects.all()),
        *(repr(row.details) for row in BankAccount.objects.all()),
        serializers.serialize("json", Transfer.objects.all()),
    ]
    for number in ("0012345", "7654321", "1111222"):
        assert not [text for text in written if number in text]
    assert str(BankAccount.objects.get(number="1111222")) == "0134-015 ****222"


def test_the_digest_of_an_approved_account_tells_nothing_of_its_number(clerks: Clerks) -> None:
    row = BankAccount.objects.get(organisation__code="shiroi-dc")
    approval = Approval.objects.get(subject=f"settlement.bankaccount:{row.id}")
    # what stands beside the digest, and the number that somebody guesses
    guessed = {
        "organisation": str(row.organisation_id),
        "payer_code": "",
        "bank_code": "0134",
        "bank_name": "ﾁﾊﾞ",
        "branch_code": "015",
        "branch_name": "ｲﾝｻﾞｲ",
        "kind": "1",
        "number": "1111222",
        "holder": row.holder,
    }
    assert approval.content_sha256 != content_digest(guessed)


@pytest.mark.django_db(transaction=True)
def test_two_releases_at_once_release_once() -> None:
    clerks = Clerks()
    batch, approval = clerks.made()
    clerks.approve(approval)
    gate = threading.Barrier(2)
    outcomes: list[str] = []

    def release(file_format: str) -> None:
        try:
            gate.wait()
            payment_batch_release(
                batch_id=batch.id, file_format=file_format, actor=clerks.maker.actor
            )
            outcomes.append("released")
        except Refused as refused:
            outcomes.append(type(refused).__name__)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=release, args=[form]) for form in ("ZENGIN", "PAIN001")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["BatchDecided", "released"]
    assert AuditEntry.objects.filter(action="settlement.payment_batch.released").count() == 1
