"""Who lets money out of the house: one form of file, two people, and what they may look at."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.approvals.models import Approval
from accounts.audit.models import AuditEntry
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import sight_of
from aggregator.core.zengin import BankDetails
from aggregator.settlement.disputes import dispute_open
from aggregator.settlement.models import BankAccount, SettlementLine
from aggregator.settlement.payments.bank_accounts import (
    bank_account_approve,
    bank_account_decline,
    bank_account_number_show,
    bank_account_propose,
)
from aggregator.settlement.payments.batches import (
    FileWithheld,
    payment_batch_release,
    payment_file_hand_out,
)
from aggregator.settlement.payments.dues import held_jpy
from aggregator.settlement.payments.results import ResultRefused, payment_result_import
from market.registry.models import Ruleset
from market.registry.selectors import ruleset_on
from tests import cast
from tests.apps.paying import Clerks, marked

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerks(db: None) -> Clerks:
    return Clerks()


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
    answer = marked(bytes(batch.files.get(format="ZENGIN").content), {})
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


def test_what_is_held_is_taxed_by_the_rules_its_documents_were_taxed_by(clerks: Clerks) -> None:
    shiroi = Organisation.objects.get(code="shiroi-dc")
    line = SettlementLine.objects.filter(
        payee__organisation=shiroi, item="SELLER_ENERGY", amount_exact_jpy=135_000
    ).latest("id")
    dispute_open(
        organisation=shiroi, line_ids=[line.pk], reason_code="READING", reason="計量値",
        actor=clerks.maker.actor,
    )  # fmt: skip
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
    held = held_jpy([account])
    assert held[account.organisation_id, period.pk] == 162_000
