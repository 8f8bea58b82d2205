"""Money pages on the cast's settled day: what parties and the house see, in few queries."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.approvals.models import Approval
from accounts.parties.models import ApiClient, Organisation, User
from accounts.parties.roles import Role
from aggregator.settlement.models import BankAccount, Document, PaymentBatch, SettlementLine
from tests import cast
from tests.apps.paying import Clerks, result_csv
from tests.portal.conftest import client_of

pytestmark = pytest.mark.django_db
QUERIES_MAX = 20
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龥]")


@pytest.fixture
def clerks(db: None) -> Clerks:
    return Clerks()


def person(code: str, role: str) -> User:
    return cast.member(f"{role}-{code}", Organisation.objects.get(code=code), role)


def addresses(clerks: Clerks) -> dict[str, list[str]]:
    """Return addresses by who looks at them: a trader of Shiroi, a clerk."""
    line = SettlementLine.objects.filter(
        payee__organisation__code="shiroi-dc", item="SELLER_ENERGY"
    ).earliest("id")
    day = clerks.period.start_on.isoformat()
    batch = clerks.released()
    statement = Document.objects.get(organisation__code="shiroi-dc", kind="STATEMENT")
    bank = f"/money/banks/{batch.payer_id}/"
    return {
        "party": [
            "/money/statements/",
            f"/money/statements/shiroi-dc/{day}/",
            f"/money/statements/shiroi-dc/{day}/lines/?item=SELLER_ENERGY",
            f"/money/lines/{line.pk}/",
            f"/money/disputes/new/?line={line.pk}",
            "/money/disputes/",
            "/money/documents/?total_from=1,030,000",
            f"/money/documents/{statement.id}/confirm/",
            "/team/notices/",
            "/team/preferences/",
            "/team/webhooks/",
        ],
        "clerk": [
            "/money/statements/?organisation=inzai-dc",
            "/money/closes/",
            "/money/closes/reconcile/",
            "/money/payments/",
            f"/money/payments/{batch.id}/",
            "/money/banks/",
            "/money/banks/new/",
            bank,
            "/money/documents/?organisation=shiroi-dc",
            "/team/notices/",
        ],
    }


@pytest.mark.parametrize("language", ["ja", "en"])
def test_every_money_page_is_shown_in_few_queries_and_one_language(
    clerks: Clerks, language: str
) -> None:
    Organisation.objects.filter(code="shiroi-dc").update(name_en="Shiroi DC")
    people = {
        "party": person("shiroi-dc", Role.OPERATOR_TRADER),
        "clerk": User.objects.get(pk=clerks.checker.user_id),
    }
    for who, found in addresses(clerks).items():
        client = client_of(people[who], language)
        for address in found:
            with CaptureQueriesContext(connection) as queries:
                answer = client.get(address)
            assert answer.status_code == 200, address
            if "reconcile" not in address:
                asked = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
                assert len(asked) <= QUERIES_MAX, (address, [sql[:90] for sql in asked])
            if language == "en":
                left = _left(answer.content.decode().partition("<main")[2])
                assert not left, (address, left)


def _left(body: str) -> list[str]:
    """Return Japanese texts left on an English page, but for names of the cast and its bank."""
    text = re.sub(
        r"<script.*?</script>|<[^>]+lang=\"ja\"[^>]*>.*?</[a-z]+>", "", body, flags=re.DOTALL
    )
    text = re.sub(r"<select[^>]*name=\"language\".*?</select>", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", "\n", text)
    own = ("ﾁﾊﾞ", "利用者", "日本語", "白井", "印西", "前日 2026")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if JAPANESE.search(line) and not any(o in line for o in own)]


def test_acts_of_the_admin_lead_to_the_pages_that_ask_two_people(clerks: Clerks) -> None:
    batch, _ = clerks.made()
    clerk = User.objects.get(pk=clerks.checker.user_id)
    auditor = person("wattbit", Role.AUDITOR)
    User.objects.filter(pk__in=[clerk.pk, auditor.pk]).update(is_staff=True)
    base = "/admin/settlement/paymentbatch"
    asked = {
        f"{base}/propose/": "/money/payments/new/",
        f"{base}/{batch.id}/release/": f"/money/payments/{batch.id}/",
        f"{base}/{batch.id}/result/": f"/money/payments/{batch.id}/result/",
    }
    for address, to in asked.items():
        answer = client_of(User.objects.get(pk=clerk.pk)).get(address)
        assert (answer.status_code, answer.headers.get("Location")) == (302, to)
        assert client_of(User.objects.get(pk=auditor.pk)).get(address).status_code == 403


def test_two_clerks_pay_by_their_pages_and_a_second_click_does_nothing_twice(
    clerks: Clerks,
) -> None:
    maker = client_of(User.objects.get(pk=clerks.maker.user_id))
    checker = client_of(User.objects.get(pk=clerks.checker.user_id))
    sent = {"pay_on": "2026-11-30", "form_token": _token(maker, "/money/payments/new/")}
    made = maker.post("/money/payments/new/", sent)
    assert made.status_code == 303
    here = made.headers["Location"]
    assert maker.post("/money/payments/new/", sent).headers["Location"] == here
    batch = PaymentBatch.objects.get()
    assert "approve" not in _acts(maker, here)  # who made it is not offered its approval
    assert _acts(checker, here) == {"approve", "reject"}
    assert _post(maker, here, "approve", content_sha256="0" * 64).status_code == 404
    approval = Approval.objects.get(subject=f"settlement.paymentbatch:{batch.id}")
    done = _post(checker, here, "approve", content_sha256=approval.content_sha256)
    assert done.status_code == 303
    file = f"{here}files/ZENGIN/1/"
    assert maker.get(file).status_code == 404
    assert _post(maker, here, "release", format="ZENGIN").status_code == 303
    assert maker.get(file).content == bytes(batch.files.get(format="ZENGIN").content)
    assert maker.get(f"{here}files/PAIN001/1/").status_code == 404
    wrong = SimpleUploadedFile("result.csv", result_csv(batch) + b"\r\nx,99,5,PAID,")
    refused = _post(maker, here, "result", result=wrong)
    assert refused.status_code == 422
    assert set(batch.rows.values_list("state", flat=True)) == {"PENDING"}
    right = SimpleUploadedFile("result.csv", result_csv(batch))
    assert _post(maker, here, "result", result=right).status_code == 303
    batch.refresh_from_db()
    assert batch.state == "SETTLED"


def test_who_approves_an_account_sees_its_digits_once_and_the_list_never(clerks: Clerks) -> None:
    maker = client_of(User.objects.get(pk=clerks.maker.user_id))
    checker = client_of(User.objects.get(pk=clerks.checker.user_id))
    account = {
        "organisation": "shiroi-dc", "bank_code": "0134", "bank_name": "チバ", "branch_code": "015",
        "branch_name": "インザイ", "kind": "1", "number": "333344", "holder": "カ）シロイ",
    }  # fmt: skip
    token = _token(maker, "/money/banks/new/")
    short = maker.post("/money/banks/new/", {**account, "form_token": token})
    assert short.status_code == 422
    assert "333344" in short.content.decode()  # what was typed stays
    account["number"] = "3333444"
    made = maker.post("/money/banks/new/", {**account, "form_token": token})
    here = made.headers["Location"]
    for client in (maker, checker):
        for address in (here, "/money/banks/"):
            assert "3333444" not in client.get(address).content.decode()
    assert maker.post(f"{here}number/").status_code == 404
    assert "3333444" in checker.post(f"{here}number/").content.decode()
    approval = Approval.objects.get(kind="bank_account.change", state="REQUESTED")
    done = _post(checker, here, "approve", content_sha256=approval.content_sha256)
    assert done.status_code == 303
    assert BankAccount.objects.get(number="3333444").state == "ACTIVE"


def test_a_key_is_shown_once_and_the_form_sent_again_makes_no_second(clerks: Clerks) -> None:
    admin = client_of(person("shiroi-dc", Role.ADMINISTRATOR))
    token = _token(admin, "/team/keys/new/")
    given = {
        "organisation": "shiroi-dc", "client_id": "shiroi-ems", "name": "EMS",
        "role": "operator_trader", "form_token": token,
    }  # fmt: skip
    shown = admin.post("/team/keys/new/", given)
    assert shown.status_code == 200
    assert "no-store" in shown["Cache-Control"].split(", ")
    secret = re.search(r"data-secret[^>]*>([^<]+)<", shown.content.decode())
    assert secret is not None
    again = admin.post("/team/keys/new/", given)
    assert (again.status_code, again.headers["Location"]) == (303, "/team/keys/")
    assert ApiClient.objects.filter(client_id="shiroi-ems").count() == 1
    assert secret[1] not in admin.get("/team/keys/").content.decode()
    client = ApiClient.objects.get(client_id="shiroi-ems")
    off = f"/team/keys/{client.id}/off/"
    assert admin.post(off, {"form_token": _token(admin, off)}).status_code == 303
    client.refresh_from_db()
    assert not client.is_active


def _token(client: Client, address: str) -> str:
    """Return the token of a form as its page shows it."""
    found = re.search(r'name="form_token" value="([^"]+)"', client.get(address).content.decode())
    assert found is not None, address
    return found[1]


def _acts(client: Client, address: str) -> set[str]:
    """Return the acts that a batch's page offers."""
    body = client.get(address).content.decode()
    return set(re.findall(rf'action="{re.escape(address)}(\w+)/"', body))


def _post(client: Client, address: str, act: str, **fields: Any) -> Any:
    return client.post(f"{address}{act}/", {**fields, "form_token": _token(client, address)})
