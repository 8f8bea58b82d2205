"""Documents of the cast's settled day: what stands where, tax, numbers, corrections."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.approvals.services import content_digest
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import job_claim
from accounts.ledger.models import Transfer
from accounts.ledger.selectors import period_totals, trial_balance_at
from accounts.ledger.services import ledger_account_open
from accounts.parties.models import Organisation
from aggregator.settlement.disputes import dispute_open, dispute_withdraw
from aggregator.settlement.documents import issuing, printing
from aggregator.settlement.documents.confirming import (
    DocumentDecided,
    ObjectionLate,
    document_confirm,
    document_confirm_due,
    document_object,
)
from aggregator.settlement.documents.issuing import (
    PeriodNotClosed,
    documents_issue,
    documents_issue_request,
    documents_issue_run,
)
from aggregator.settlement.documents.printing import document_file
from aggregator.settlement.models import (
    Document,
    DocumentFile,
    DocumentSeries,
    SettlementItem,
    SettlementLine,
    SettlementPeriod,
)
from tests import cast
from tests.api.settling import closed_day, run_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def period() -> SettlementPeriod:
    closed_day()
    Organisation.objects.filter(code="wattbit").update(registration_number="T7000012050002")
    return SettlementPeriod.objects.get()


def _of(code: str, kind: str) -> Document:
    return Document.objects.get(organisation__code=code, kind=kind, corrected_by__isnull=True)


def _lines(document: Document) -> list[tuple[str, int]]:
    return [(row["item"], row["amount_jpy"]) for row in document.content["lines"]]


def test_each_party_gets_what_it_sold_what_it_bought_and_the_net(period: SettlementPeriod) -> None:
    documents_issue(period_id=period.pk)
    # Shiroi sold 945,000 and owes the fee of 2 %: 18,900 (tests/settled_day.py)
    statement, invoice = _of("shiroi-dc", "STATEMENT"), _of("shiroi-dc", "INVOICE")
    assert _lines(statement) == [("SELLER_ENERGY", 945_000)]
    assert (statement.tax_jpy, statement.total_jpy) == (94_500, 1_039_500)
    assert _lines(invoice) == [("PLATFORM_FEE", 18_900)]
    assert (invoice.tax_jpy, invoice.total_jpy) == (1_890, 20_790)
    assert _of("shiroi-dc", "ACCOUNT").total_jpy == 1_039_500 - 20_790
    assert statement.content["lines"][0]["quantity"] == "18000"  # 6 half hours of 3,000 kWh


def test_what_was_sold_and_bought_under_one_item_stands_on_both_documents(
    period: SettlementPeriod,
) -> None:
    documents_issue(period_id=period.pk)
    # Inzai sold 3,375,000 and bought 90,000 at midday; of its sale 150,000 are given back, and
    # the penalty of 41,250 is outside the tax
    statement, invoice = _of("inzai-dc", "STATEMENT"), _of("inzai-dc", "INVOICE")
    lines = dict(_lines(statement))
    assert lines["SELLER_ENERGY"] == 3_375_000
    assert lines["SHORTFALL_REFUND"] == -150_000
    bought = dict(_lines(invoice))
    assert bought["SELLER_ENERGY"] == 90_000
    assert bought["SHORTFALL_PENALTY"] == 41_250
    untaxed = [row for row in invoice.content["totals"] if row["rate"] is None]
    assert untaxed == [{"rate": None, "net_jpy": 41_250, "tax_jpy": 0}]


def test_after_issue_what_a_member_is_owed_is_its_account_to_the_yen(
    period: SettlementPeriod,
) -> None:
    documents_issue(period_id=period.pk)
    accounts = Document.objects.filter(kind="ACCOUNT")
    assert accounts.count() >= 4
    for row in accounts:
        totals = period_totals(organisation_id=row.organisation_id, periods=[period.label])
        assert totals[period.label].total_jpy == row.total_jpy, row.organisation.code
    assert trial_balance_at().difference_jpy == 0


def test_a_second_issue_changes_nothing(period: SettlementPeriod) -> None:
    first = documents_issue(period_id=period.pk)
    count = Transfer.objects.count()
    again = documents_issue(period_id=period.pk)
    assert [row.pk for row in again] == [row.pk for row in first]
    assert Transfer.objects.count() == count


def test_numbers_have_no_gap_even_where_an_issue_fails(
    period: SettlementPeriod, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the tax is not posted")

    with monkeypatch.context() as patched:
        patched.setattr(issuing, "transfers_post", fail)
        with pytest.raises(RuntimeError):
            documents_issue(period_id=period.pk)
    documents_issue(period_id=period.pk)
    for series in DocumentSeries.objects.all():
        numbers = list(
            Document.objects.filter(kind=series.kind)
            .order_by("sequence")
            .values_list("sequence", flat=True)
        )
        assert numbers == list(range(1, series.last_sequence + 1))
    assert _of("inzai-dc", "ACCOUNT").number.startswith("A2026-00000")


def test_a_party_of_which_nothing_but_zero_yen_is_to_be_said_takes_no_number(
    period: SettlementPeriod,
) -> None:
    stranger = Organisation.objects.get(code="stranger")
    account = ledger_account_open(
        organisation=stranger, code="member", name="参加者勘定", kind="MEMBER"
    )
    SettlementItem.objects.create(
        period=period, close_number=1, account_id=account.id, item="PLATFORM_FEE",
        total_exact_jpy=Decimal("-0.4"), amount_jpy=0, posted_before_jpy=0,
    )  # fmt: skip
    documents_issue(period_id=period.pk)
    assert not Document.objects.filter(organisation=stranger).exists()
    series = DocumentSeries.objects.get(kind="ACCOUNT")
    assert series.last_sequence == Document.objects.filter(kind="ACCOUNT").count()


def test_an_issued_document_cannot_be_changed_or_deleted_not_even_in_sql(
    period: SettlementPeriod,
) -> None:
    (document, *_) = documents_issue(period_id=period.pk)
    stored = Document.objects.get(pk=document.pk)
    assert stored.content_sha256 == content_digest(stored.content)
    document_file(document=stored, language="ja", file_format="csv")
    for statement in (
        "UPDATE settlement_document SET total_jpy = 1",
        "UPDATE settlement_document SET content = '{}'",
        "DELETE FROM settlement_document",
        "TRUNCATE settlement_document CASCADE",
        "UPDATE settlement_documentfile SET content = ''",
        "UPDATE settlement_documentseries SET last_sequence = last_sequence + 2",
    ):
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_an_open_period_has_no_documents(db: None) -> None:
    run_day()
    period = SettlementPeriod.objects.create(start_on=cast.DAY, end_on=cast.DAY + timedelta(days=1))
    with pytest.raises(PeriodNotClosed):
        documents_issue(period_id=period.pk)
    with pytest.raises(NotFound):
        documents_issue(period_id=0)


def test_a_file_is_made_once_and_is_the_same_bytes_for_ever(period: SettlementPeriod) -> None:
    (document, *_) = documents_issue(period_id=period.pk)
    for file_format, start in (("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf")):
        for language in ("ja", "en"):
            made = document_file(document=document, language=language, file_format=file_format)
            content = bytes(made.content)
            assert content.startswith(start)
            assert made.sha256 == hashlib.sha256(content).hexdigest()
            again = printing.document_printed(
                Document.objects.get(pk=document.pk).content, language, file_format
            )
            assert again == content
            kept = document_file(document=document, language=language, file_format=file_format)
            assert kept.pk == made.pk


def test_the_job_issues_and_prints_and_tells_how_far_it_is(
    period: SettlementPeriod, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(issuing, "job_step", lambda *, step, **_: steps.append(step))
    job = documents_issue_request(period=period)
    assert documents_issue_request(period=period).pk == job.pk
    claim = job_claim(job_id=job.id)
    assert claim is not None
    documents_issue_run(claim=claim)
    count = Document.objects.count()
    assert DocumentFile.objects.filter(format="pdf", language="ja").count() == count
    parties = Document.objects.filter(kind="ACCOUNT").count()
    assert steps[0] == f"issued 1/{parties}"
    assert steps[-1] == f"printed {count}/{count}"
    assert Job.objects.get(pk=job.pk).state == "DONE"


def test_a_statement_is_confirmed_by_its_supplier_alone(period: SettlementPeriod) -> None:
    documents_issue(period_id=period.pk)
    row = _of("shiroi-dc", "STATEMENT")
    inzai = Organisation.objects.get(code="inzai-dc")
    with pytest.raises(NotFound):
        document_confirm(document_id=row.pk, organisation=inzai, actor="user:1")
    with pytest.raises(Refused, match="confirmation"):
        document_confirm(
            document_id=_of("shiroi-dc", "INVOICE").pk,
            organisation=row.organisation,
            actor="user:1",
        )
    done = document_confirm(document_id=row.pk, organisation=row.organisation, actor="user:1")
    assert (done.state, done.confirmation_method, done.confirmed_by) == (
        "CONFIRMED",
        "CLICK",
        "user:1",
    )


def test_silence_confirms_after_the_last_day_and_not_before(period: SettlementPeriod) -> None:
    documents_issue(period_id=period.pk)
    row = _of("shiroi-dc", "STATEMENT")
    # issued on 26 November JST, fourteen days: until the end of 10 December
    assert row.content["objection_until"] == (row.issued_on + timedelta(days=14)).isoformat()
    job = Job.objects.get(kind=issuing.CONFIRM_KIND, key=str(row.pk))
    assert job.due_at == row.objection_due_at
    assert job_claim(job_id=job.id) is None
    assert row.objection_due_at is not None
    cast.market_time(row.objection_due_at)
    claim = job_claim(job_id=job.id)
    assert claim is not None
    document_confirm_due(claim=claim)
    row.refresh_from_db()
    assert (row.state, row.confirmation_method) == ("CONFIRMED", "NO_OBJECTION")


def test_an_objection_opens_a_dispute_and_stops_silence(period: SettlementPeriod) -> None:
    documents_issue(period_id=period.pk)
    row = _of("inzai-dc", "STATEMENT")
    line = SettlementLine.objects.filter(
        payer__organisation__code="inzai-dc", item="SHORTFALL_REFUND"
    ).first()
    assert line is not None
    asked = {
        "document_id": row.pk,
        "organisation": row.organisation,
        "reason_code": "READING",
        "reason": "計量値の欠測",
        "actor": "user:1",
    }
    with pytest.raises(Refused, match="lines"):
        document_object(line_ids=[10**9], **asked)
    row, dispute = document_object(line_ids=[line.pk], **asked)
    assert (row.state, row.dispute_id, dispute.is_held) == ("OBJECTED", dispute.pk, True)
    with pytest.raises(DocumentDecided):
        document_object(line_ids=[line.pk], **asked)
    with pytest.raises(DocumentDecided):
        document_confirm(document_id=row.pk, organisation=row.organisation, actor="user:1")
    assert row.objection_due_at is not None
    cast.market_time(row.objection_due_at)
    claim = job_claim(job_id=Job.objects.get(key=str(row.pk)).id)
    assert claim is not None
    document_confirm_due(claim=claim)
    row.refresh_from_db()
    assert row.state == "OBJECTED"


def test_silence_confirms_nothing_while_the_party_disputes_lines(period: SettlementPeriod) -> None:
    documents_issue(period_id=period.pk)
    row = _of("shiroi-dc", "STATEMENT")
    line = SettlementLine.objects.filter(payee__organisation=row.organisation).earliest("id")
    dispute = dispute_open(
        organisation=row.organisation, line_ids=[line.pk], reason_code="READING",
        reason="計量値", actor="user:1",
    )  # fmt: skip
    assert row.objection_due_at is not None
    job = Job.objects.get(kind=issuing.CONFIRM_KIND, key=str(row.pk))
    cast.market_time(row.objection_due_at)
    claim = job_claim(job_id=job.id)
    assert claim is not None
    document_confirm_due(claim=claim)
    row.refresh_from_db()
    job.refresh_from_db()
    assert (row.state, job.state) == ("ISSUED", "READY")
    dispute_withdraw(dispute_id=dispute.id, organisation=row.organisation, text="", actor="user:1")
    cast.market_time(job.due_at)
    claim = job_claim(job_id=job.id)
    assert claim is not None
    document_confirm_due(claim=claim)
    row.refresh_from_db()
    assert (row.state, row.confirmation_method) == ("CONFIRMED", "NO_OBJECTION")


def test_an_objection_after_the_last_day_is_late(period: SettlementPeriod) -> None:
    documents_issue(period_id=period.pk)
    row = _of("shiroi-dc", "STATEMENT")
    assert row.objection_due_at is not None
    cast.market_time(row.objection_due_at)
    with pytest.raises(ObjectionLate):
        document_object(
            document_id=row.pk,
            organisation=row.organisation,
            line_ids=[1],
            reason_code="READING",
            reason="遅い",
            actor="user:1",
        )
    assert market_now() == row.objection_due_at


def test_a_registration_number_given_later_makes_a_corrected_document(
    period: SettlementPeriod,
) -> None:
    documents_issue(period_id=period.pk)
    before = _of("shiroi-dc", "STATEMENT")
    assert Decimal(before.content["deduction_ratio"]) == Decimal("0.7")  # from October 2026
    transfers = Transfer.objects.count()
    Organisation.objects.filter(code="shiroi-dc").update(registration_number="T9234567890123")
    documents_issue(period_id=period.pk)
    after = _of("shiroi-dc", "STATEMENT")
    assert (after.revision, after.corrects_id) == (2, before.pk)
    assert after.content["corrects"]["number"] == before.number
    assert after.content["deduction_ratio"] is None
    assert after.content["changes"] == []
    assert Transfer.objects.count() == transfers  # the same tax is posted once
    with pytest.raises(DocumentDecided, match=after.number):
        document_confirm(document_id=before.pk, organisation=before.organisation, actor="user:1")
