"""Statements show a party its own money, whole and tied to the ledger."""

from __future__ import annotations

import csv
import io

import pytest

from accounts.ledger.services import TransferDraft, ledger_account_open, transfers_post
from tests import cast
from tests.portal.conftest import client_of

PERIOD = "2026-11-25/2026-11-26"


@pytest.fixture
def paid(day: cast.MarketDay) -> cast.MarketDay:
    """Grid-T pays 1,000 yen; Inzai gets 900 of it and pays a fee of 40."""
    people = day.places.people
    accounts = {
        row.code: ledger_account_open(
            organisation=row, code="member", name="参加者勘定", kind="MEMBER"
        ).id
        for row in (people.grid_t, people.inzai_dc, people.platform)
    }
    moves = (
        ("NEED_CHARGE", "grid-t", "wattbit", 1_000),
        ("SELLER_ENERGY", "wattbit", "inzai-dc", 900),
        ("PLATFORM_FEE", "inzai-dc", "wattbit", 40),
    )
    transfers_post(
        transfers=[
            TransferDraft(
                key=f"test:{code}",
                debit_id=accounts[debit],
                credit_id=accounts[credit],
                amount_jpy=amount_jpy,
                code=code,
                cause_kind="test",
                cause_id=code,
                period=PERIOD,
            )
            for code, debit, credit, amount_jpy in moves
        ]
    )
    return day


def test_a_seller_sees_what_it_received_and_paid(paid: cast.MarketDay) -> None:
    body = client_of(paid.places.people.owner).get("/statements/").content.decode()
    assert "電力量料金" in body
    assert "市場利用手数料" in body
    assert "調整力利用料" not in body
    assert ">860<" in body  # 900 - 40
    assert PERIOD in body


def test_the_file_is_the_page(paid: cast.MarketDay) -> None:
    client = client_of(paid.places.people.owner)
    answer = client.get("/statements/inzai-dc.csv", {"period": PERIOD})
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row[3:7] for row in rows[1:3]] == [
        ["PLATFORM_FEE", "0", "40", "-40"],
        ["SELLER_ENERGY", "900", "0", "900"],
    ]
    assert rows[-1][4:7] == ["900", "40", "860"]


def test_another_period_is_empty(paid: cast.MarketDay) -> None:
    answer = client_of(paid.places.people.owner).get("/statements/inzai-dc.csv?period=2020")
    assert len(answer.content.decode("utf-8-sig").splitlines()) == 2


def test_a_period_cannot_write_into_the_header(paid: cast.MarketDay) -> None:
    answer = client_of(paid.places.people.owner).get(
        "/statements/inzai-dc.csv", {"period": 'x"; a=b'}
    )
    assert answer.headers["Content-Disposition"] == 'attachment; filename="statement-inzai-dc.csv"'
    broken = client_of(paid.places.people.owner).get(
        "/statements/inzai-dc.csv", {"period": "x\r\nSet-Cookie: a=b"}
    )
    assert broken.status_code == 400
    assert not broken.cookies


def test_the_rival_sees_none_of_it(paid: cast.MarketDay) -> None:
    body = client_of(paid.places.people.rival).get("/statements/").content.decode()
    assert "明細はまだありません" in body
    assert "900" not in body


def test_english_names_of_the_lines(paid: cast.MarketDay) -> None:
    body = client_of(paid.places.people.owner, "en").get("/statements/").content.decode()
    assert "Platform fee" in body
    assert "手数料" not in body


def test_settlement_sees_every_statement_and_chooses(paid: cast.MarketDay) -> None:
    people = paid.places.people
    clerk = cast.member("clerk", people.platform, "settlement")
    client = client_of(clerk)
    assert "印西データセンター" in client.get("/statements/").content.decode()
    body = client.get("/statements/?organisation=grid-t").content.decode()
    assert "調整力利用料" in body
    assert "1,000" in body
