"""Documents, ledger and payment files are held against each other; a changed yen is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from aggregator.metering.models import Meter
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import verification_execute
from aggregator.settlement.closes import period_close
from aggregator.settlement.models import Document, PaymentBatch
from aggregator.settlement.payments.results import payment_result_import
from aggregator.settlement.reconciling import reconcile
from aggregator.settlement.runs import settlement_run_execute
from market.trading.models import Auction
from tests.apps.paying import Clerks

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerks(db: None) -> Clerks:
    return Clerks()


@pytest.fixture
def tampered() -> Callable[..., None]:
    """Change rows by SQL as somebody with the database's own rights can, past the triggers."""

    def change(table: str, statement: str, *values: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(statement, values)
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    return change


def _rules() -> list[str]:
    return [difference.rule for difference in reconcile().differences]


def _paid(clerks: Clerks) -> PaymentBatch:
    batch = clerks.released()
    lines = ["batch,reference,amount_jpy,status,reason"]
    lines += [f"{batch.id},{row.reference},{row.amount_jpy},PAID," for row in batch.rows.all()]
    payment_result_import(batch_id=batch.id, content="\r\n".join(lines).encode(), actor="user:2")
    return batch


def test_a_paid_period_says_the_same_everywhere(clerks: Clerks) -> None:
    _paid(clerks)
    found = reconcile()
    assert found.differences == ()
    assert (found.documents_count, found.batches_count) == (Document.objects.count(), 1)


def test_a_transfer_that_no_document_tells_of_is_found(
    clerks: Clerks, tampered: Callable[..., None]
) -> None:
    clerks.made()
    tampered(
        "ledger_transfer",
        "UPDATE ledger_transfer SET amount_jpy = amount_jpy + 1 WHERE id = ("
        "SELECT id FROM ledger_transfer WHERE code = 'SELLER_ENERGY' ORDER BY id LIMIT 1)",
    )
    assert "account is ledger [JPY]" in _rules()


def test_a_changed_document_is_found(clerks: Clerks, tampered: Callable[..., None]) -> None:
    clerks.made()
    tampered(
        "settlement_document",
        "UPDATE settlement_document SET content = jsonb_set(content, '{total_jpy}', '1') "
        "WHERE kind = 'STATEMENT'",
    )
    assert {"content is what was issued", "total [JPY]"} <= set(_rules())


def test_a_changed_payment_file_is_found(clerks: Clerks, tampered: Callable[..., None]) -> None:
    batch, _ = clerks.made()
    content = bytes(batch.files.get(format="ZENGIN").content)
    row = batch.rows.order_by("reference").first()
    assert row is not None
    other = content.replace(f"{row.amount_jpy:010d}".encode(), b"0000000001", 1)
    tampered(
        "settlement_paymentfile",
        "UPDATE settlement_paymentfile SET content = %s WHERE format = 'ZENGIN'",
        other,
    )
    # its digest, and the trailer that is no longer the sum of its records
    assert _rules() == ["ZENGIN is what was made", "a bank can read ZENGIN"]


def test_a_changed_message_is_found_though_the_fixed_length_file_is_whole(
    clerks: Clerks, tampered: Callable[..., None]
) -> None:
    batch, _ = clerks.made()
    content = bytes(batch.files.get(format="PAIN001").content)
    rows = list(batch.rows.order_by("reference"))
    first, second = (f">{row.amount_jpy}<".encode() for row in rows[:2])
    # two amounts change places: counts and sums of the message hold as before
    other = content.replace(first, b"@", 1).replace(second, first, 1).replace(b"@", second, 1)
    tampered(
        "settlement_paymentfile",
        "UPDATE settlement_paymentfile SET content = %s, sha256 = %s WHERE format = 'PAIN001'",
        other,
        hashlib.sha256(other).hexdigest(),
    )
    assert _rules() == ["PAIN001 is transfer [JPY]"] * 2


def test_a_changed_line_is_found(clerks: Clerks, tampered: Callable[..., None]) -> None:
    tampered(
        "settlement_settlementline",
        "UPDATE settlement_settlementline SET amount_exact_jpy = amount_exact_jpy + 1 "
        "WHERE id = (SELECT min(id) FROM settlement_settlementline WHERE item = 'PLATFORM_FEE')",
    )
    # of payer and payee, each against its run's total and its item
    assert _rules() == ["total is lines [JPY]"] * 2 + ["item is lines, rounded [JPY]"] * 2


def test_a_changed_item_is_found(clerks: Clerks, tampered: Callable[..., None]) -> None:
    tampered(
        "settlement_settlementitem",
        "UPDATE settlement_settlementitem SET amount_jpy = amount_jpy + 1 "
        "WHERE id = (SELECT min(id) FROM settlement_settlementitem WHERE item = 'PLATFORM_FEE')",
    )
    assert {"item is lines, rounded [JPY]", "item is transfers [JPY]"} <= set(_rules())


def test_a_correction_still_to_be_posted_is_no_difference(clerks: Clerks) -> None:
    auction = Auction.objects.get()
    meter = Meter.objects.get(resource__code="inzai-dc-1-load")
    row = ReadingRow(
        meter.point_number, auction.delivery_start + timedelta(hours=18), Decimal(5_500), 0, 3
    )
    readings_ingest(rows=[row], source="late")
    verification_execute(auction_id=auction.id, stage="FINAL")
    run = settlement_run_execute(auction_id=auction.id)
    assert (run.kind, run.lines.exists()) == ("CORRECTION", True)
    assert reconcile().differences == ()
    period_close(period_id=clerks.period.pk)
    assert "item is lines, rounded [JPY]" not in _rules()


def test_a_payment_that_was_never_posted_is_found(
    clerks: Clerks, tampered: Callable[..., None]
) -> None:
    _paid(clerks)
    tampered("ledger_transfer", "DELETE FROM ledger_transfer WHERE code = 'PAYMENT'")
    assert set(_rules()) == {"money through banks is results and receipts [JPY]"}
