"""Documents, ledger and payment files are held against each other; a changed yen is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from aggregator.settlement.models import Document, PaymentBatch
from aggregator.settlement.payments.results import payment_result_import
from aggregator.settlement.reconciling import reconcile
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
    assert _rules() == ["ZENGIN is what was made", "a bank can read it"]


def test_a_payment_that_was_never_posted_is_found(
    clerks: Clerks, tampered: Callable[..., None]
) -> None:
    _paid(clerks)
    tampered("ledger_transfer", "DELETE FROM ledger_transfer WHERE code = 'PAYMENT'")
    assert set(_rules()) == {"money through banks is results and receipts [JPY]"}
