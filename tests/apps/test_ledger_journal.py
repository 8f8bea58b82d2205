"""The ledger's journal: its text, and what hledger makes of it."""

import shutil
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from accounts.clock.selectors import market_now
from accounts.ledger.journal import journal_lines
from accounts.ledger.services import (
    TransferDraft,
    ledger_account_open,
    transfers_post,
)
from accounts.parties.models import Organisation, OrganisationKind

pytestmark = pytest.mark.django_db
HLEDGER = shutil.which("hledger")


@pytest.fixture
def accounts() -> dict[str, int]:
    house = Organisation.objects.create(
        code="wattbit", kind=OrganisationKind.AGGREGATOR, name="ハウス", name_en="House"
    )
    inzai = Organisation.objects.create(
        code="inzai-dc", kind=OrganisationKind.DC_OPERATOR, name="印西", name_en="Inzai"
    )
    kinds = {"clearing": "CLEARING", "fee": "REVENUE", "bank": "BANK", "tax-output": "TAX"}
    rows = {
        code: ledger_account_open(organisation=house, code=code, name=code, kind=kind).id
        for code, kind in kinds.items()
    }
    rows["member"] = ledger_account_open(
        organisation=inzai, code="member", name="参加者勘定", kind="MEMBER"
    ).id
    return rows


def _posted(accounts: dict[str, int], rows: Sequence[tuple[str, str, int]], **columns: str) -> None:
    transfers_post(
        transfers=[
            TransferDraft(
                key=f"journal:{n}:{columns}",
                debit_id=accounts[debit],
                credit_id=accounts[credit],
                amount_jpy=amount_jpy,
                code="SELLER_ENERGY",
                cause_kind="test",
                cause_id=str(n),
                period="2026-08-01/2026-09-01",
                **columns,
            )
            for n, (debit, credit, amount_jpy) in enumerate(rows)
        ]
    )


def test_a_transfer_is_a_debit_and_a_credit(accounts: dict[str, int]) -> None:
    _posted(accounts, [("clearing", "member", 1_200)])
    lines = list(journal_lines())
    n = next(i for i, line in enumerate(lines) if "SELLER_ENERGY" in line)
    assert lines[n + 1 : n + 3] == [
        "    liabilities:clearing:wattbit:clearing    JPY 1200",
        "    liabilities:members:inzai-dc:member    JPY -1200",
    ]


def test_it_ends_with_what_every_account_holds(accounts: dict[str, int]) -> None:
    _posted(accounts, [("clearing", "member", 1_200), ("member", "fee", 200)])
    lines = list(journal_lines())
    held = {
        line.split()[0]: int(line.split()[-1]) for line in lines if line.startswith("    ")
        and "=" in line
    }  # fmt: skip
    assert held == {
        "liabilities:clearing:wattbit:clearing": 1_200,
        "liabilities:members:inzai-dc:member": -1_000,
        "revenues:wattbit:fee": -200,
        "assets:bank:wattbit:bank": 0,
        "liabilities:tax:wattbit:tax-output": 0,
    }


def test_what_is_pending_or_void_moves_nothing(accounts: dict[str, int]) -> None:
    _posted(accounts, [("clearing", "member", 77)], state="PENDING")
    assert not [line for line in journal_lines() if "77" in line.split()]


def test_what_came_later_is_not_in_it(accounts: dict[str, int]) -> None:
    _posted(accounts, [("clearing", "member", 1_200)])
    before = market_now() - timedelta(days=1)
    assert not [line for line in journal_lines(before) if "JPY 1200" in line]


@pytest.mark.skipif(HLEDGER is None, reason="hledger is not installed")
def test_hledger_finds_nothing_wrong(accounts: dict[str, int], tmp_path: Path) -> None:
    _posted(accounts, [("clearing", "member", 1_200), ("member", "fee", 200), ("bank", "fee", 5)])
    assert _check(tmp_path, list(journal_lines())).returncode == 0


@pytest.mark.skipif(HLEDGER is None, reason="hledger is not installed")
def test_hledger_finds_a_changed_yen(accounts: dict[str, int], tmp_path: Path) -> None:
    _posted(accounts, [("clearing", "member", 1_200)])
    lines = [
        line.replace("JPY 1200", "JPY 1201").replace("JPY -1200", "JPY -1201")
        if "=" not in line
        else line
        for line in journal_lines()
    ]
    done = _check(tmp_path, lines)
    assert done.returncode != 0
    assert "balance assertion" in done.stderr


def _check(directory: Path, lines: list[str]) -> subprocess.CompletedProcess[str]:
    path = directory / "book.journal"
    path.write_text("\n".join(lines) + "\n")
    return subprocess.run(
        [str(HLEDGER), "-f", str(path), "check", "--strict"],
        capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
