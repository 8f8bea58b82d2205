"""From accounts to the bank and back: holds, two people, results, returns, money coming in."""

from __future__ import annotations

import hashlib
import logging
import threading
from datetime import date, timedelta

import pytest
from django.core import serializers
from django.db import DatabaseError, connection, connections, transaction

from accounts.approvals.models import Approval
from accounts.approvals.services import ApprovalMissing, approval_approve, content_digest
from accounts.audit.models import AuditEntry
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.ledger.models import Transfer
from accounts.ledger.selectors import balances_at, trial_balance_at
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import sight_of
from aggregator.core.business_days import NoBusinessDay
from aggregator.core.pain001 import pain001_read
from aggregator.core.zengin import BankDetails, ZenginRefused, zengin_read
from aggregator.settlement.disputes import dispute_open, dispute_withdraw
from aggregator.settlement.models import (
    BankAccount,
    Document,
    PaymentBatch,
    PaymentFile,
    PaymentRow,
    SettlementLine,
    SettlementRun,
)
from aggregator.settlement.payments.bank_accounts import (
    BankAccountMissing,
    bank_account_activate,
    bank_account_approve,
    bank_account_decline,
    bank_account_number_show,
    bank_account_propose,
    bank_account_retire,
)
from aggregator.settlement.payments.batches import (
    BatchDecided,
    BatchStale,
    FileWithheld,
    NothingDue,
    payment_batch_create,
    payment_batch_reject,
    payment_batch_release,
    payment_file_hand_out,
)
from aggregator.settlement.payments.dues import dues_open, receivables_open
from aggregator.settlement.payments.dues import held_jpy as _disputed_jpy
from aggregator.settlement.payments.results import (
    ResultRefused,
    incoming_payment_record,
    payment_result_import,
)
from market.registry.models import Ruleset
from market.registry.selectors import ruleset_on
from tests import cast
from tests.apps.paying import PAY_ON, Clerks

DAY = PAY_ON
pytestmark = pytest.mark.django_db


@pytest.fixture
def clerks(db: None) -> Clerks:
    return Clerks()


def _held(code: str, account: str = "member") -> int:
    return next(
        (b.balance_jpy for b in balances_at()
         if b.organisation_code == code and b.code == account), 0,
    )  # fmt: skip


def _row(batch: PaymentBatch, code: str) -> PaymentRow:
    return batch.rows.get(organisation__code=code)


def _csv(batch: PaymentBatch, **status: str) -> bytes:
    """Write a result: every row PAID unless told otherwise by its code."""
    lines = ["batch,reference,amount_jpy,status,reason"]
    for row in batch.rows.order_by("reference"):
        said = status.get(row.organisation.code.replace("-", "_"), "PAID")
        if said != "-":
            reason = "" if said == "PAID" else "口座なし"
            lines.append(f"{batch.id},{row.reference},{row.amount_jpy},{said},{reason}")
    return "\r\n".join(lines).encode()


def test_a_batch_pays_the_net_of_every_account_above_zero(clerks: Clerks) -> None:
    batch, _ = clerks.made()
    # Shiroi: 1,039,500 − 20,790 (tests/apps/test_documents_issue.py)
    assert _row(batch, "shiroi-dc").amount_jpy == 1_018_710
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
    released = payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor)
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
    row = _row(batch, "shiroi-dc")
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
    payment_result_import(batch_id=batch.id, content=_csv(batch), actor="user:1")
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


def test_a_result_posts_what_was_paid_once_and_names_what_was_not(clerks: Clerks) -> None:
    batch = clerks.released()
    content = _csv(batch, inzai_dc="FAILED")
    imported = payment_result_import(batch_id=batch.id, content=content, actor="user:1")
    assert imported.batch.state == "PARTLY_FAILED"
    assert [(r.organisation.code, r.reason) for r in imported.unpaid] == [("inzai-dc", "口座なし")]
    assert _held("shiroi-dc") == 0
    assert _held("inzai-dc") == clerks.account("inzai-dc").total_jpy
    count = Transfer.objects.count()
    payment_result_import(batch_id=batch.id, content=content, actor="user:1")
    assert Transfer.objects.count() == count
    paid = sum(row.amount_jpy for row in batch.rows.filter(state="PAID"))
    assert _held("wattbit", "bank") == paid
    assert trial_balance_at().difference_jpy == 0
    # what failed is due again
    assert {p.organisation.code for p in dues_open() if p.open_jpy > 0} == {"inzai-dc"}


def test_results_in_two_parts_settle_the_batch(clerks: Clerks) -> None:
    batch = clerks.released()
    part = _csv(batch, inzai_dc="-")
    assert (
        payment_result_import(batch_id=batch.id, content=part, actor="user:1").batch.state
        == "ACKNOWLEDGED"
    )
    rest = payment_result_import(batch_id=batch.id, content=_csv(batch), actor="user:1")
    assert rest.batch.state == "SETTLED"
    assert rest.unpaid == ()


def test_a_returned_payment_is_posted_back_and_due_again(clerks: Clerks) -> None:
    batch = clerks.released()
    payment_result_import(batch_id=batch.id, content=_csv(batch), actor="user:1")
    assert _held("shiroi-dc") == 0
    later = payment_result_import(
        batch_id=batch.id, content=_csv(batch, shiroi_dc="RETURNED"), actor="user:1"
    )
    assert later.batch.state == "PARTLY_FAILED"
    assert _held("shiroi-dc") == 1_018_710
    assert {p.organisation.code for p in dues_open() if p.open_jpy > 0} == {"shiroi-dc"}
    assert Transfer.objects.filter(corrects__isnull=False).count() == 1


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("99,1,PAID,", "reference 99"),
        ("1,1,PAID,", "reference 1"),
        ("1,x,PAID,", "line 2: amount_jpy"),
        ("1,1,DONE,", "line 2: status"),
        ("1,1", "line 2"),
    ],
)
def test_a_result_that_does_not_fit_is_refused_whole(clerks: Clerks, line: str, field: str) -> None:
    batch = clerks.released()
    count = Transfer.objects.count()
    content = f"batch,reference,amount_jpy,status,reason\n{batch.id},{line}\n".encode()
    with pytest.raises(ResultRefused) as refused:
        payment_result_import(batch_id=batch.id, content=content, actor="user:1")
    assert refused.value.field == field
    good, bad = _csv(batch).decode(), f"{batch.id},99,5,PAID,"
    with pytest.raises(ResultRefused):
        payment_result_import(
            batch_id=batch.id, content=f"{good}\r\n{bad}".encode(), actor="user:1"
        )
    assert Transfer.objects.count() == count
    assert set(batch.rows.values_list("state", flat=True)) == {"PENDING"}


def _marked(sent: bytes, codes: dict[int, bytes]) -> bytes:
    """Write the bank's codes into a file that was sent: 0 unless told otherwise by reference."""
    records = [sent[at : at + 122] for at in range(0, len(sent), 122)]
    return b"".join(
        record if record[:1] != b"2" else
        record[:113] + codes.get(int(record[91:101]), b"0") + record[114:]
        for record in records
    )  # fmt: skip


def test_a_result_of_another_batch_is_refused(clerks: Clerks) -> None:
    first = clerks.released()
    others = _csv(first).replace(str(first.id).encode(), b"0" * 36)
    with pytest.raises(ResultRefused) as refused:
        payment_result_import(batch_id=first.id, content=others, actor="user:1")
    assert refused.value.field == "line 2: batch"
    assert set(first.rows.values_list("state", flat=True)) == {"PENDING"}


@pytest.mark.parametrize(
    ("told", "other", "field"),
    [
        (b"1111222", b"1111223", "payee"),
        ("ｶ)SHIROI-DC".encode("cp932"), "ｶ)SHIROI-DX".encode("cp932"), "payee"),
        (b"0012345", b"0012346", "header.payer"),
        (b"1234567890", b"1234567891", "header.payer"),
    ],
)
def test_a_fixed_length_result_to_or_from_another_account_is_refused(
    clerks: Clerks, told: bytes, other: bytes, field: str
) -> None:
    batch = clerks.released()
    content = _marked(bytes(batch.files.get(format="ZENGIN").content), {})
    assert told in content
    with pytest.raises(ResultRefused) as refused:
        payment_result_import(
            batch_id=batch.id, content=content.replace(told, other, 1), actor="user:1"
        )
    assert refused.value.field.endswith(field)
    assert other.decode("cp932") not in str(refused.value)
    assert set(batch.rows.values_list("state", flat=True)) == {"PENDING"}


def test_a_fixed_length_result_is_read_by_its_code(clerks: Clerks) -> None:
    batch = clerks.released()
    sent = bytes(batch.files.get(format="ZENGIN").content)
    with pytest.raises(ResultRefused, match="code"):
        payment_result_import(batch_id=batch.id, content=sent, actor="user:1")
    content = _marked(sent, {_row(batch, "inzai-dc").reference: b"8"})
    imported = payment_result_import(batch_id=batch.id, content=content, actor="user:1")
    assert [(r.organisation.code, r.reason) for r in imported.unpaid] == [("inzai-dc", "code 8")]


def test_a_batch_that_was_not_released_has_no_result(clerks: Clerks) -> None:
    batch, _ = clerks.made()
    with pytest.raises(ResultRefused, match="released"):
        payment_result_import(batch_id=batch.id, content=_csv(batch), actor="user:1")


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
    assert _held("grid-t") == -1_000
    incoming_payment_record(amount_jpy=1_000, reference="B-2", **given)
    assert _held("grid-t") == 0
    assert "grid-t" not in {party.organisation.code for party in receivables_open()}
    assert _held("wattbit", "bank") == -owed
    assert trial_balance_at().difference_jpy == 0


def test_sent_files_and_results_cannot_be_changed(clerks: Clerks) -> None:
    batch = clerks.released()
    payment_result_import(batch_id=batch.id, content=_csv(batch), actor="user:1")
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
    payment_result_import(batch_id=batch.id, content=_csv(batch), actor="user:1")
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
        payment_result_import(batch_id=batch.id, content=_csv(batch), actor="user:1")
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


def test_one_form_leaves_the_house_and_only_once_two_people_said_so(clerks: Clerks) -> None:
    batch, approval = clerks.made()
    taken = {"batch_id": batch.id, "position": 1, "by": clerks.checker}
    with pytest.raises(FileWithheld, match="released by two people"):
        payment_file_hand_out(file_format="ZENGIN", **taken)
    clerks.approve(approval)
    with pytest.raises(Refused, match="ZENGIN, PAIN001"):
        payment_batch_release(batch_id=batch.id, file_format="", actor=clerks.maker.actor)
    payment_batch_release(batch_id=batch.id, file_format="PAIN001", actor=clerks.maker.actor)
    batch.refresh_from_db()
    assert batch.file_format == "PAIN001"
    with pytest.raises(FileWithheld, match="PAIN001, as it was released"):
        payment_file_hand_out(file_format="ZENGIN", **taken)
    sent = payment_file_hand_out(file_format="PAIN001", **taken)
    assert bytes(sent.content).startswith(b"<?xml")
    told = AuditEntry.objects.get(action="settlement.payment_file.handed_out")
    assert told.detail == {"format": "PAIN001", "position": 1, "sha256": sent.sha256}
    with pytest.raises(NotFound):
        payment_file_hand_out(
            batch_id=batch.id, file_format="PAIN001", position=2, by=clerks.checker
        )
    # the bank was given no fixed-length file: no result comes in that form
    answer = _marked(bytes(batch.files.get(format="ZENGIN").content), {})
    with pytest.raises(ResultRefused, match="fixed-length form"):
        payment_result_import(batch_id=batch.id, content=answer, actor="user:1")


def test_files_for_the_bank_are_given_to_those_who_release_payments_alone(clerks: Clerks) -> None:
    batch = clerks.released()
    for code, role in (("shiroi-dc", Role.OPERATOR_TRADER), ("wattbit", Role.AUDITOR)):
        by = sight_of(cast.member(f"x-{role}", Organisation.objects.get(code=code), role))
        with pytest.raises(NotPermitted):
            payment_file_hand_out(batch_id=batch.id, file_format="ZENGIN", position=1, by=by)


def test_the_form_that_was_sent_cannot_be_told_otherwise_later(clerks: Clerks) -> None:
    clerks.released()
    with (
        pytest.raises(DatabaseError, match="changes with the state alone"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE settlement_paymentbatch SET file_format = 'PAIN001'")


def _proposed(clerks: Clerks, number: str) -> tuple[BankAccount, Approval]:
    details = BankDetails(
        bank_code="0134", bank_name="ﾁﾊﾞ", branch_code="015", branch_name="ｲﾝｻﾞｲ", kind="1",
        number=number, holder="ｶ)ｼﾛｲ",
    )  # fmt: skip
    shiroi = Organisation.objects.get(code="shiroi-dc")
    return bank_account_propose(organisation=shiroi, details=details, maker=clerks.maker.actor)


def test_who_approves_an_account_is_shown_its_whole_number_and_nobody_else(
    clerks: Clerks, caplog: pytest.LogCaptureFixture
) -> None:
    row, approval = _proposed(clerks, "3333444")
    auditor = sight_of(cast.member("auditor-1", clerks.house, Role.AUDITOR))
    for by in (clerks.maker, auditor):
        with pytest.raises(NotPermitted):
            bank_account_number_show(bank_account_id=row.id, by=by)
    assert not AuditEntry.objects.filter(action__endswith="number_shown").exists()
    with caplog.at_level(logging.DEBUG):
        shown = bank_account_number_show(bank_account_id=row.id, by=clerks.checker)
    assert shown.number == "3333444"
    told = AuditEntry.objects.get(action="settlement.bank_account.number_shown")
    assert told.actor == clerks.checker.actor
    assert told.detail["approval"] == str(approval.id)
    assert "3333444" not in f"{told.detail} {approval.detail} {caplog.text}"
    active = bank_account_approve(
        approval_id=approval.id, by=clerks.checker, content_sha256=approval.content_sha256
    )
    assert (active.pk, active.state) == (row.pk, "ACTIVE")
    with pytest.raises(Conflict, match="waits for an approval"):
        bank_account_number_show(bank_account_id=row.id, by=clerks.checker)


def test_a_declined_account_is_dropped_and_the_one_before_stays(clerks: Clerks) -> None:
    row, approval = _proposed(clerks, "3333444")
    bank_account_decline(approval_id=approval.id, by=clerks.checker, reason="番号が届出と違います")
    states = dict(
        BankAccount.objects.filter(organisation=row.organisation).values_list("number", "state")
    )
    assert states == {"1111222": "ACTIVE", "3333444": "RETIRED"}
    _proposed(clerks, "3333445")


def test_one_file_is_no_result_of_two_batches(clerks: Clerks) -> None:
    first = clerks.released()
    answer = _marked(
        bytes(first.files.get(format="ZENGIN").content),
        {row.reference: b"8" for row in first.rows.all()},
    )
    payment_result_import(batch_id=first.id, content=answer, actor="user:1")
    # all failed, so all is due again: the same payees, sums, references and day
    second = clerks.released()
    assert bytes(second.files.get(format="ZENGIN").content) == bytes(
        first.files.get(format="ZENGIN").content
    )
    with pytest.raises(ResultRefused, match="another batch"):
        payment_result_import(batch_id=second.id, content=answer, actor="user:1")
    assert set(second.rows.values_list("state", flat=True)) == {"PENDING"}


def test_what_is_held_is_taxed_by_the_rules_its_documents_were_taxed_by(clerks: Clerks) -> None:
    _dispute(clerks, "SELLER_ENERGY")
    account = clerks.account("shiroi-dc")
    period = account.period
    earlier = ruleset_on(period.start_on)
    # the rules change within the period: documents follow those of its last day
    period.end_on += timedelta(days=1)
    rates = [{"start_on": "2020-01-01", "end_on": None, "rate_ratio": "0.2"}]
    Ruleset.objects.create(
        version="later",
        valid_from_on=period.end_on - timedelta(days=1),
        rules={**earlier.rules, "documents": {"tax_rates": rates}},
    )
    # 135,000 and 20 %
    held = _disputed_jpy([account])
    assert held[account.organisation_id, period.pk] == 162_000
