"""The money of a month, from confirmed readings to corrected documents, as anyone can run it.

The command is the whole month's; two days of auctions are enough for every step to be taken.
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from aggregator.core.zengin import zengin_read
from tests.commands import manage

INSTANCE = "flowmonth"
TIMEOUT_S = 280

_manage = partial(manage, instance=INSTANCE, timeout_s=TIMEOUT_S)


@pytest.fixture(scope="module")
def month() -> dict[str, Any]:
    """Return the month's facts: the last line that the command prints."""
    done = _manage("demo", "--month", "--days", "2", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def test_the_books_are_even_and_a_program_that_is_not_ours_agrees(month: dict[str, Any]) -> None:
    assert (month["trial_balance_jpy"], month["clearing_house_jpy"]) == (0, 0)
    assert month["hledger_ok"] is (True if shutil.which("hledger") else None)


def test_an_objection_and_corrected_readings_each_made_a_correction(month: dict[str, Any]) -> None:
    assert (month["disputes"], month["corrections"]) == (1, 2)
    assert month["corrected_documents"] > 0


def test_what_the_account_says_is_what_the_bank_is_told(month: dict[str, Any]) -> None:
    first = {
        row["organisation"]: row["total_jpy"]
        for row in month["documents"]
        if row["kind"] == "ACCOUNT" and row["revision"] == 1 and row["total_jpy"] > 0
    }
    sent = zengin_read(Path(month["payment_file"]).read_bytes())
    told = {payment.payee.holder.lower(): payment.amount_jpy for payment in sent.payments}
    assert told == first
    assert sum(first.values()) == month["payments"][0]["total_jpy"]


def test_every_document_is_there_in_every_form(month: dict[str, Any]) -> None:
    directory = Path(month["documents_directory"])
    statement = next(
        row
        for row in month["documents"]
        if row["kind"] == "STATEMENT" and row["organisation"] == "shiroi"
    )
    stem = f"{statement['number']}-shiroi"
    total = f"{statement['total_jpy']:,}"
    text = "".join(page.extract_text() for page in PdfReader(directory / f"{stem}-ja.pdf").pages)
    assert total in text
    sheet = load_workbook(directory / f"{stem}-en.xlsx").worksheets[0]
    numbers = {cell.value for line in sheet.iter_rows() for cell in line}
    assert statement["total_jpy"] in numbers
    csv = (directory / f"{stem}-ja.csv").read_text(encoding="utf-8-sig")
    assert str(statement["total_jpy"]) in csv
    assert len(list(directory.iterdir())) == 6 * len(month["documents"])  # 3 forms, 2 languages


def test_the_month_computes_again_to_the_same_yen_from_raw_readings(month: dict[str, Any]) -> None:
    done = _manage("month", month["period"][:7])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "identical  to what was posted"


def test_documents_ledger_and_files_agree(month: dict[str, Any]) -> None:
    assert month["statements"] > 0
    done = _manage("reconcile")
    assert done.returncode == 0, done.stdout + done.stderr
