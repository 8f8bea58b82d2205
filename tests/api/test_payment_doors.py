"""Payments at the doors: made by one, approved by another, released once in one form."""

from __future__ import annotations

import io
import zipfile

import pytest

from accounts.approvals.models import Approval
from accounts.audit.models import AuditEntry
from accounts.parties.models import User
from accounts.parties.roles import Role
from aggregator.settlement.models import BankAccount, PaymentBatch, SettlementPeriod
from tests.api.conftest import AsMember, DoorClient
from tests.apps.paying import Clerks, result_csv

pytestmark = pytest.mark.django_db
PATH = "/api/v1/payment-batches"
BANKS = "/api/v1/bank-accounts"
ACCOUNT = {
    "organisation": "shiroi-dc", "bank_code": "0134", "bank_name": "チバ", "branch_code": "015",
    "branch_name": "インザイ", "kind": "1", "number": "3333444", "holder": "カ）シロイ",
}  # fmt: skip


@pytest.fixture
def clerks(db: None) -> Clerks:
    return Clerks()


def _client(clerks: Clerks, which: str) -> DoorClient:
    """Sign in as one of the two clerks."""
    client = DoorClient()
    client.force_login(User.objects.get(pk=getattr(clerks, which).user_id))
    return client


def test_a_batch_goes_from_two_people_to_the_bank_and_back(clerks: Clerks) -> None:
    maker, checker = _client(clerks, "maker"), _client(clerks, "checker")
    made = maker.post(PATH, {"pay_on": "2026-11-30"})
    assert made.status_code == 201
    body = made.json()
    assert (body["state"], body["file_format"]) == ("DRAFT", None)
    assert sum(row["amount_jpy"] for row in body["rows"]) == body["total_jpy"]
    assert all("****" in row["bank_account"] for row in body["rows"])
    one = f"{PATH}/{body['id']}"
    assert maker.post(f"{one}/release", {"format": "ZENGIN"}).json()["code"] == "conflict"
    assert maker.get(f"{one}/files/ZENGIN/1").json()["code"] == "conflict"
    approval = Approval.objects.get(id=body["approval"])
    say = {"content_sha256": approval.content_sha256}
    assert maker.post(f"/api/v1/approvals/{approval.id}/approve", say).status_code == 403
    assert checker.post(f"/api/v1/approvals/{approval.id}/approve", say).status_code == 200
    released = checker.post(f"{one}/release", {"format": "ZENGIN"}).json()
    assert (released["state"], released["file_format"]) == ("RELEASED", "ZENGIN")
    again = maker.post(f"{one}/release", {"format": "PAIN001"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert maker.get(f"{one}/files/PAIN001/1").json()["code"] == "conflict"
    sent = maker.get(f"{one}/files/ZENGIN/1")
    batch = PaymentBatch.objects.get()
    assert sent.content == bytes(batch.files.get(format="ZENGIN").content)
    assert AuditEntry.objects.filter(action="settlement.payment_file.handed_out").count() == 1
    told = maker.post(f"{one}/results", result_csv(batch), content_type="application/octet-stream")
    assert (told.status_code, told.json()["state"]) == (200, "SETTLED")
    assert told.json()["paid_jpy"] == batch.total_jpy
    twice = maker.post(f"{one}/results", result_csv(batch), content_type="application/octet-stream")
    assert twice.json()["state"] == "SETTLED"
    assert [row["id"] for row in maker.get(PATH, {"state": "SETTLED"}).json()["items"]] == [
        body["id"]
    ]


def test_a_result_with_a_foreign_row_is_refused_and_nothing_of_it_kept(clerks: Clerks) -> None:
    maker = _client(clerks, "maker")
    batch = clerks.released()
    content = result_csv(batch) + f"\r\n{batch.id},99,5,PAID,".encode()
    answer = maker.post(
        f"{PATH}/{batch.id}/results", content, content_type="application/octet-stream"
    )
    assert (answer.status_code, answer.json()["field"]) == (400, "reference 99")
    empty = maker.post(f"{PATH}/{batch.id}/results", {})
    assert empty.status_code == 415
    assert maker.get(f"{PATH}/{batch.id}").json()["paid_count"] == 0


def test_payees_are_named_by_code_each_once(clerks: Clerks) -> None:
    maker = _client(clerks, "maker")
    only = maker.post(PATH, {"pay_on": "2026-11-30", "organisations": ["shiroi-dc"]}).json()
    assert [row["organisation"] for row in only["rows"]] == ["shiroi-dc"]
    for codes in (["nobody"], ["inzai-dc", "inzai-dc"]):
        body = maker.post(PATH, {"pay_on": "2026-11-30", "organisations": codes}).json()
        assert body["field"] == f"organisations[{len(codes) - 1}]"
    dropped = maker.post(f"{PATH}/{only['id']}/reject", {"reason": "日付の誤り"}).json()
    assert dropped["state"] == "REJECTED"


def test_the_auditor_reads_batches_and_moves_none(clerks: Clerks, as_member: AsMember) -> None:
    batch = clerks.released()
    auditor = as_member(Role.AUDITOR, "wattbit")
    assert auditor.get(f"{PATH}/{batch.id}").status_code == 200
    assert auditor.get(f"{PATH}/{batch.id}/files/ZENGIN/1").status_code == 403
    assert auditor.get(BANKS).status_code == 200
    assert as_member(Role.OPERATOR_TRADER, "shiroi-dc").get(f"{PATH}/{batch.id}").status_code == 403


def test_a_proposed_account_is_compared_and_approved_by_another(clerks: Clerks) -> None:
    maker, checker = _client(clerks, "maker"), _client(clerks, "checker")
    made = maker.post(BANKS, ACCOUNT)
    assert made.status_code == 201
    body = made.json()
    assert body["number"].endswith("444")
    assert "3333444" not in made.content.decode()
    number = f"{BANKS}/{body['id']}/number"
    assert maker.get(number).status_code == 403
    shown = checker.get(number)
    assert shown.json()["number"] == "3333444"
    assert shown["Cache-Control"] == "no-store"
    approval = Approval.objects.get(id=body["approval"])
    say = {"content_sha256": approval.content_sha256}
    assert checker.post(f"/api/v1/approvals/{approval.id}/approve", say).status_code == 200
    states = dict(
        BankAccount.objects.filter(organisation__code="shiroi-dc").values_list("number", "state")
    )
    assert states == {"1111222": "RETIRED", "3333444": "ACTIVE"}
    assert "3333444" not in checker.get(BANKS).content.decode()
    assert checker.get(number).json()["code"] == "conflict"
    listed = checker.get(BANKS, {"organisation": "shiroi-dc", "state": "ACTIVE"}).json()["items"]
    assert [row["id"] for row in listed] == [body["id"]]


def test_all_documents_of_a_period_come_in_one_archive_with_an_index(
    clerks: Clerks, as_member: AsMember
) -> None:
    client = as_member(Role.OPERATOR_VIEWER, "shiroi-dc")
    period = SettlementPeriod.objects.get()
    asked = {"period": period.start_on.isoformat(), "language": "en"}
    answer = client.get("/api/v1/documents/zip", asked)
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        index = archive.read("index.csv").decode("utf-8-sig").splitlines()
    # statement, invoice and account, each in three forms, and the index
    assert len(names) == 10
    assert all("-en." in name for name in names[:-1])
    assert len(index) == 10
    assert all(",shiroi-dc," in line for line in index[1:])
    assert ",1039500," in "".join(index)
    assert client.get("/api/v1/documents/zip", asked).content == answer.content
    asked["file_format"] = "csv"
    with zipfile.ZipFile(io.BytesIO(client.get("/api/v1/documents/zip", asked).content)) as few:
        assert len(few.namelist()) == 4
    nothing = client.get("/api/v1/documents/zip", {"period": "2020-01-01"})
    assert nothing.status_code == 404
