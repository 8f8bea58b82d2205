"""Documents at the doors: one's own, searched, downloaded, confirmed and objected to."""

from __future__ import annotations

import io

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from aggregator.settlement.documents.issuing import documents_issue
from aggregator.settlement.models import Document, SettlementLine, SettlementPeriod
from aggregator.settlement.payments.batches import payment_batch_release
from tests.api.conftest import AsMember
from tests.api.settling import closed_day
from tests.apps.paying import Clerks

pytestmark = pytest.mark.django_db
PATH = "/api/v1/documents"


@pytest.fixture(autouse=True)
def issued(db: None) -> None:
    closed_day()
    Organisation.objects.filter(code="wattbit").update(registration_number="T7000012050002")
    Organisation.objects.filter(code="shiroi-dc").update(name="=1+1 白井データセンター")
    documents_issue(period_id=SettlementPeriod.objects.get().pk)


def _one(code: str, kind: str) -> Document:
    return Document.objects.get(organisation__code=code, kind=kind)


def test_documents_are_found_by_partner_date_and_amount_together(as_member: AsMember) -> None:
    desk = as_member(Role.SETTLEMENT, "wattbit")
    row = _one("shiroi-dc", "STATEMENT")
    on = row.issued_on.isoformat()
    found = desk.get(
        PATH,
        {
            "organisation": "shiroi-dc",
            "issued_from": on,
            "issued_to": on,
            "total_from_jpy": "1000000",
            "total_to_jpy": "1039500",
            "kind": "STATEMENT",
            "latest": "true",
        },
    ).json()["items"]
    assert [(item["number"], item["total_jpy"]) for item in found] == [(row.number, 1_039_500)]
    # grid-t owes: an amount below zero is looked for like any other
    owing = desk.get(PATH, {"total_to_jpy": "-1", "kind": "ACCOUNT"}).json()["items"]
    assert "grid-t" in {item["organisation"] for item in owing}
    for name, value in (
        ("total_from_jpy", "1.5"),
        ("issued_from", "yesterday"),
        ("kind", "LETTER"),
        ("partner", "x"),
    ):
        assert desk.get(PATH, {name: value}).json()["field"] == name


def test_a_party_sees_its_own_and_what_is_anothers_looks_absent(as_member: AsMember) -> None:
    client = as_member(Role.OPERATOR_VIEWER, "shiroi-dc")
    codes = {item["organisation"] for item in client.get(PATH).json()["items"]}
    assert codes == {"shiroi-dc"}
    other = _one("inzai-dc", "STATEMENT")
    for path in (f"{PATH}/{other.id}", f"{PATH}/{other.id}/pdf"):
        assert client.get(path).status_code == 404


def test_the_pdf_says_what_the_law_asks_for(as_member: AsMember) -> None:
    client = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    row = _one("shiroi-dc", "INVOICE")
    answer = client.get(f"{PATH}/{row.id}/pdf")
    assert answer["Content-Type"] == "application/pdf"
    assert f"{row.number}-ja.pdf" in answer["Content-Disposition"]
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    # issuer's number, date, description, total and tax per rate, recipient
    for said in ("T7000012050002", "2026年11月25日", "市場利用手数料", "18,900", "1,890", "20,790",
                 "10%", "白井データセンター", row.number):  # fmt: skip
        assert said in text, said
    english = client.get(f"{PATH}/{row.id}/pdf", {"language": "en"})
    text = PdfReader(io.BytesIO(english.content)).pages[0].extract_text()
    assert "Qualified invoice" in text
    assert client.get(f"{PATH}/{row.id}/pdf", {"language": "fr"}).json()["field"] == "language"
    assert client.get(f"{PATH}/{row.id}/doc").json()["field"] == "file_format"


def test_no_name_runs_as_a_formula_in_csv_or_workbook(as_member: AsMember) -> None:
    client = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    row = _one("shiroi-dc", "STATEMENT")
    book = load_workbook(io.BytesIO(client.get(f"{PATH}/{row.id}/xlsx").content))
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
    assert "=1+1 白井データセンター" in [cell.value for cell in cells]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert 1_039_500 in [cell.value for cell in cells]
    text = client.get(f"{PATH}/{row.id}/csv").content.decode("utf-8-sig")
    assert not [line for line in text.splitlines() if line.startswith(("=", "+", "-", "@"))]
    assert "SUM,お支払金額（税込）,,,,,1039500,94500" in text


def test_a_trader_confirms_and_a_viewer_does_not(as_member: AsMember) -> None:
    row = _one("shiroi-dc", "STATEMENT")
    viewer = as_member(Role.OPERATOR_VIEWER, "shiroi-dc")
    assert viewer.post(f"{PATH}/{row.id}/confirm", {}).status_code == 403
    trader = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    body = trader.post(f"{PATH}/{row.id}/confirm", {}).json()
    assert (body["state"], body["confirmation_method"]) == ("CONFIRMED", "CLICK")
    assert body["content"]["lines"][0]["amount_jpy"] == 945_000


def test_an_objection_names_lines_and_opens_a_dispute(as_member: AsMember) -> None:
    row = _one("shiroi-dc", "STATEMENT")
    line = SettlementLine.objects.filter(
        payee__organisation__code="shiroi-dc", item="SELLER_ENERGY"
    ).first()
    assert line is not None
    trader = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    path = f"{PATH}/{row.id}/objection"
    asked = {"lines": [line.pk], "reason_code": "READING", "reason": "計量値"}
    assert trader.post(path, {**asked, "lines": ["x"]}).json()["field"] == "lines[0]"
    answer = trader.post(path, asked)
    assert answer.status_code == 201
    assert answer.json()["state"] == "OBJECTED"
    assert trader.get(f"/api/v1/disputes/{answer.json()['dispute']}").json()["is_held"]
    assert trader.post(path, asked).status_code == 409


def test_an_account_tells_its_payments_once_they_are_released(as_member: AsMember) -> None:
    clerks = Clerks.paying()
    batch, approval = clerks.made()
    trader = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    path = f"{PATH}/{_one('shiroi-dc', 'ACCOUNT').id}"
    assert trader.get(path).json()["payments"] == []
    clerks.approve(approval)
    payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor=clerks.maker.actor)
    (paid,) = trader.get(path).json()["payments"]
    assert paid == {
        "pay_on": "2026-11-30",
        "state": "PENDING",
        "net_jpy": 1_018_710,
        "held_jpy": 0,
        "moved_jpy": 0,
        "amount_jpy": 1_018_710,
        "bank_account": "0134-015 ****222",
        "reason": "",
    }
