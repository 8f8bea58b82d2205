"""What the bank says became of a batch: taken in once, whole, for the batch it is about."""

from __future__ import annotations

import pytest

from accounts.ledger.models import Transfer
from accounts.ledger.selectors import trial_balance_at
from aggregator.settlement.payments.dues import dues_open
from aggregator.settlement.payments.results import ResultRefused, payment_result_import
from tests.apps.paying import Clerks, held_jpy, marked, result_csv, row_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerks(db: None) -> Clerks:
    return Clerks()


def test_a_result_posts_what_was_paid_once_and_names_what_was_not(clerks: Clerks) -> None:
    batch = clerks.released()
    content = result_csv(batch, inzai_dc="FAILED")
    imported = payment_result_import(batch_id=batch.id, content=content, actor="user:1")
    assert imported.batch.state == "PARTLY_FAILED"
    assert [(r.organisation.code, r.reason) for r in imported.unpaid] == [("inzai-dc", "口座なし")]
    assert held_jpy("shiroi-dc") == 0
    assert held_jpy("inzai-dc") == clerks.account("inzai-dc").total_jpy
    count = Transfer.objects.count()
    payment_result_import(batch_id=batch.id, content=content, actor="user:1")
    assert Transfer.objects.count() == count
    paid = sum(row.amount_jpy for row in batch.rows.filter(state="PAID"))
    assert held_jpy("wattbit", "bank") == paid
    assert trial_balance_at().difference_jpy == 0
    # what failed is due again
    assert {p.organisation.code for p in dues_open() if p.open_jpy > 0} == {"inzai-dc"}


def test_results_in_two_parts_settle_the_batch(clerks: Clerks) -> None:
    batch = clerks.released()
    part = result_csv(batch, inzai_dc="-")
    assert (
        payment_result_import(batch_id=batch.id, content=part, actor="user:1").batch.state
        == "ACKNOWLEDGED"
    )
    rest = payment_result_import(batch_id=batch.id, content=result_csv(batch), actor="user:1")
    assert rest.batch.state == "SETTLED"
    assert rest.unpaid == ()


def test_a_returned_payment_is_posted_back_and_due_again(clerks: Clerks) -> None:
    batch = clerks.released()
    payment_result_import(batch_id=batch.id, content=result_csv(batch), actor="user:1")
    assert held_jpy("shiroi-dc") == 0
    later = payment_result_import(
        batch_id=batch.id, content=result_csv(batch, shiroi_dc="RETURNED"), actor="user:1"
    )
    assert later.batch.state == "PARTLY_FAILED"
    assert held_jpy("shiroi-dc") == 1_018_710
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
    good, bad = result_csv(batch).decode(), f"{batch.id},99,5,PAID,"
    with pytest.raises(ResultRefused):
        payment_result_import(
            batch_id=batch.id, content=f"{good}\r\n{bad}".encode(), actor="user:1"
        )
    assert Transfer.objects.count() == count
    assert set(batch.rows.values_list("state", flat=True)) == {"PENDING"}


def test_a_result_of_another_batch_is_refused(clerks: Clerks) -> None:
    first = clerks.released()
    others = result_csv(first).replace(str(first.id).encode(), b"0" * 36)
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
    content = marked(bytes(batch.files.get(format="ZENGIN").content), {})
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
    content = marked(sent, {row_of(batch, "inzai-dc").reference: b"8"})
    imported = payment_result_import(batch_id=batch.id, content=content, actor="user:1")
    assert [(r.organisation.code, r.reason) for r in imported.unpaid] == [("inzai-dc", "code 8")]


def test_a_batch_that_was_not_released_has_no_result(clerks: Clerks) -> None:
    batch, _ = clerks.made()
    with pytest.raises(ResultRefused, match="released"):
        payment_result_import(batch_id=batch.id, content=result_csv(batch), actor="user:1")


def test_one_file_is_no_result_of_two_batches(clerks: Clerks) -> None:
    first = clerks.released()
    answer = marked(
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
