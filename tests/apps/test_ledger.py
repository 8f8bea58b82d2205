"""The ledger on PostgreSQL: posting, correcting, balances, guards, statements."""

import threading
import uuid
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, connections, transaction

from accounts.clock.selectors import market_now
from accounts.core.csvtext import safe_cell
from accounts.core.errors import NotFound, Refused
from accounts.ledger.models import LedgerAccount, Transfer
from accounts.ledger.selectors import balances_at, transfers_of, trial_balance_at
from accounts.ledger.services import (
    TransferConflict,
    TransferDraft,
    TransferNotPending,
    ledger_account_open,
    transfer_correct,
    transfer_settle,
    transfers_post,
)
from accounts.ledger.statements import statement_csv, statement_of
from accounts.parties.models import Organisation, OrganisationKind

pytestmark = pytest.mark.django_db


def _organisation(code: str, kind: str = OrganisationKind.DC_OPERATOR) -> Organisation:
    return Organisation.objects.create(code=code, kind=kind, name=code, name_en=code)


def _account(organisation: Organisation, code: str = "member", kind: str = "MEMBER") -> int:
    return ledger_account_open(
        organisation=organisation, code=code, name="参加者勘定", kind=kind
    ).id


@pytest.fixture
def book() -> dict[str, int]:
    house = _organisation("wattbit", OrganisationKind.AGGREGATOR)
    return {
        "house": _account(house, "clearing", "CLEARING"),
        "inzai": _account(_organisation("inzai-dc")),
        "grid": _account(_organisation("grid-t", OrganisationKind.TSO)),
    }


def _draft(book: dict[str, int], key: str = "k", **changes: object) -> TransferDraft:
    values: dict[str, object] = {
        "key": key,
        "debit_id": book["house"],
        "credit_id": book["inzai"],
        "amount_jpy": 100,
        "code": "SELLER_ENERGY",
        "cause_kind": "test",
        "cause_id": "1",
        "period": "2026-11-25/2026-11-26",
    }
    return TransferDraft(**(values | changes))  # type: ignore[arg-type]


def test_the_trial_balance_is_zero_and_each_account_holds_its_sum(book: dict[str, int]) -> None:
    transfers_post(
        transfers=[
            _draft(book, "a", debit_id=book["grid"], credit_id=book["house"], amount_jpy=150),
            _draft(book, "b", amount_jpy=100),
        ]
    )
    trial = trial_balance_at()
    held = {balance.code + str(balance.account_id): balance for balance in trial.balances}
    assert trial.difference_jpy == 0
    assert (trial.debit_jpy, trial.credit_jpy, trial.clearing_jpy) == (250, 250, 50)
    assert held[f"member{book['inzai']}"].balance_jpy == 100
    assert held[f"member{book['grid']}"].balance_jpy == -150


def test_the_same_key_posts_once(book: dict[str, int]) -> None:
    assert len(transfers_post(transfers=[_draft(book)])) == 1
    assert transfers_post(transfers=[_draft(book)]) == []
    assert Transfer.objects.count() == 1


def test_the_same_key_with_other_content_is_refused_and_nothing_is_posted(
    book: dict[str, int],
) -> None:
    transfers_post(transfers=[_draft(book)])
    with pytest.raises(TransferConflict), transaction.atomic():
        transfers_post(transfers=[_draft(book, "new"), _draft(book, amount_jpy=101)])
    assert Transfer.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_jpy": 0},
        {"amount_jpy": -1},
        {"amount_jpy": True},
        {"amount_jpy": 1.5},
        {"amount_jpy": Decimal(5)},
        {"amount_jpy": 10**15 + 1},
        {"code": ""},
        {"cause_id": ""},
        {"state": "DONE"},
    ],
)
def test_what_is_no_transfer_is_refused(book: dict[str, int], changes: dict[str, object]) -> None:
    with pytest.raises(Refused, match="transfers"):
        transfers_post(transfers=[_draft(book, "good"), _draft(book, **changes)])
    assert not Transfer.objects.exists()


def test_two_sides_are_two_accounts_and_keys_come_once(book: dict[str, int]) -> None:
    with pytest.raises(Refused, match="another account"):
        transfers_post(transfers=[_draft(book, credit_id=book["house"])])
    with pytest.raises(Refused, match="each key once"):
        transfers_post(transfers=[_draft(book), _draft(book)])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_transfer SET amount_jpy = 1",
        "DELETE FROM ledger_transfer",
        "TRUNCATE ledger_transfer CASCADE",
        "DELETE FROM ledger_ledgeraccount",
        "UPDATE ledger_ledgeraccount SET kind = 'REVENUE'",
    ],
)
def test_nothing_posted_can_be_changed_by_hand(book: dict[str, int], statement: str) -> None:
    transfers_post(transfers=[_draft(book)])
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
            cursor.execute(statement)


@pytest.mark.parametrize("amount", ["0", "-5", "1000000000000001"])
def test_the_database_refuses_an_amount_out_of_bounds(book: dict[str, int], amount: str) -> None:
    with (
        pytest.raises(IntegrityError, match="transfer_amount_jpy"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO ledger_transfer (id, debit_id, credit_id, amount_jpy, state, code, period,"
            " posted_at, cause_kind, cause_id, detail)"
            " VALUES (%s, %s, %s, %s, 'POSTED', 'x', '', now(), 'x', 'x', '{}')",
            [uuid.uuid4(), book["house"], book["inzai"], amount],
        )


def test_a_correction_is_the_transfer_the_other_way_round_and_happens_once(
    book: dict[str, int],
) -> None:
    (transfer,) = transfers_post(transfers=[_draft(book)])
    correction = transfer_correct(transfer_id=transfer.id, reason="posted to the wrong party")
    assert (correction.debit_id, correction.credit_id) == (book["inzai"], book["house"])
    assert correction.corrects_id == transfer.id
    assert transfer_correct(transfer_id=transfer.id, reason="again").id == correction.id
    assert {b.balance_jpy for b in balances_at()} == {0}


def test_a_correction_needs_a_posted_transfer_and_a_reason(book: dict[str, int]) -> None:
    (transfer,) = transfers_post(transfers=[_draft(book)])
    with pytest.raises(NotFound):
        transfer_correct(transfer_id=uuid.uuid4(), reason="x")
    with pytest.raises(Refused, match="reason"):
        transfer_correct(transfer_id=transfer.id, reason="  ")
    correction = transfer_correct(transfer_id=transfer.id, reason="x")
    with pytest.raises(Refused, match="no correction"):
        transfer_correct(transfer_id=correction.id, reason="x")


def test_a_pending_transfer_moves_nothing_until_it_is_posted(book: dict[str, int]) -> None:
    (pending,) = transfers_post(transfers=[_draft(book, state="PENDING")])
    assert {b.balance_jpy for b in balances_at()} == {0}
    transfer_settle(transfer_id=pending.id, state="POSTED")
    transfer_settle(transfer_id=pending.id, state="POSTED")
    assert trial_balance_at().debit_jpy == 100
    with pytest.raises(TransferNotPending, match="POSTED already"):
        transfer_settle(transfer_id=pending.id, state="VOIDED")


def test_a_voided_transfer_never_moves_anything(book: dict[str, int]) -> None:
    (pending,) = transfers_post(transfers=[_draft(book, state="PENDING")])
    transfer_settle(transfer_id=pending.id, state="VOIDED")
    assert trial_balance_at().debit_jpy == 0
    with pytest.raises(TransferNotPending):
        transfer_settle(transfer_id=uuid.uuid4(), state="POSTED")
    with pytest.raises(Refused, match="POSTED or VOIDED"):
        transfer_settle(transfer_id=pending.id, state="PENDING")


def test_balances_are_those_of_the_moment(book: dict[str, int]) -> None:
    before = market_now()
    transfers_post(transfers=[_draft(book)])
    assert trial_balance_at(before).debit_jpy == 0
    assert trial_balance_at(market_now()).debit_jpy == 100


def test_an_organisation_sees_its_own_money_only(book: dict[str, int]) -> None:
    transfers_post(
        transfers=[
            _draft(book, "a"),
            _draft(book, "b", debit_id=book["grid"], credit_id=book["house"]),
        ]
    )
    inzai = Organisation.objects.get(code="inzai-dc")
    house = Organisation.objects.get(code="wattbit")
    assert {b.organisation_id for b in balances_at(seen_by=inzai)} == {inzai.id}
    assert transfers_of(seen_by=inzai).count() == 1
    assert transfers_of(seen_by=house).count() == 2


def test_an_account_is_opened_once_and_keeps_its_kind(book: dict[str, int]) -> None:
    inzai = Organisation.objects.get(code="inzai-dc")
    assert _account(inzai) == book["inzai"]
    with pytest.raises(Refused, match="is of kind MEMBER"):
        _account(inzai, kind="REVENUE")
    with pytest.raises(Refused, match="one of"):
        _account(inzai, kind="WALLET")
    assert LedgerAccount.objects.filter(organisation=inzai).count() == 1


def test_a_statement_ties_to_the_ledger_and_survives_a_spreadsheet(book: dict[str, int]) -> None:
    transfers_post(
        transfers=[
            _draft(book, "a", amount_jpy=1_000),
            _draft(
                book,
                "b",
                debit_id=book["inzai"],
                credit_id=book["house"],
                amount_jpy=250,
                code="=HYPERLINK()",
            ),
        ]
    )
    inzai = Organisation.objects.get(code="inzai-dc")
    statement = statement_of(organisation=inzai)
    assert (statement.received_jpy, statement.paid_jpy, statement.total_jpy) == (1_000, 250, 750)
    content = statement_csv(statement)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = content.decode("utf-8-sig").split("\r\n")
    assert rows[0] == "記帳日時,精算期間,項目,コード,受取（円）,支払（円）,差引（円）,仕訳番号"
    assert any(",電力量料金,SELLER_ENERGY,1000,0,1000," in row for row in rows)
    assert any("'=HYPERLINK()" in row for row in rows)
    assert rows[-2] == "合計,,inzai-dc,,1000,250,750,"
    assert rows[-1] == ""


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_begins_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


def test_a_statement_of_one_period_holds_its_lines_only(book: dict[str, int]) -> None:
    transfers_post(transfers=[_draft(book, "a"), _draft(book, "b", period="other", amount_jpy=7)])
    inzai = Organisation.objects.get(code="inzai-dc")
    assert statement_of(organisation=inzai, period="other").total_jpy == 7


def _race(work: Callable[[], None]) -> list[Exception]:
    failures: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the race's outcome is what is tested
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.django_db(transaction=True)
def test_two_connections_posting_the_same_transfers_post_them_once(book: dict[str, int]) -> None:
    drafts = [_draft(book, f"key {n}", amount_jpy=n + 1) for n in range(50)]
    assert _race(lambda: transfers_post(transfers=drafts) and None) == []
    assert Transfer.objects.count() == 50
    assert trial_balance_at().difference_jpy == 0
