"""What the demo month shows at its end: books, documents and files, read back from rows."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from django.db.models import Count

from accounts.ledger.journal import journal_lines
from accounts.ledger.selectors import trial_balance_at
from aggregator.metering.models import IntervalReading
from aggregator.ops.whole_files import write_whole
from aggregator.settlement.documents.printing import document_file
from aggregator.settlement.documents_models import Document, FileFormat, Kind, Language
from aggregator.settlement.models import (
    Dispute,
    RunKind,
    SettlementLine,
    SettlementPeriod,
    SettlementRun,
)
from aggregator.settlement.payments_models import PaymentBatch, PaymentFile, PaymentFormat
from market.trading.models import Auction, AuctionState

Facts = dict[str, Any]
HLEDGER_S: Final = 120


def month_facts(directory: Path) -> Facts:
    """Collect what the month came to; documents, payment files and journal go to `directory`."""
    documents = directory / "documents"
    shutil.rmtree(documents, ignore_errors=True)
    documents.mkdir(parents=True)
    period = SettlementPeriod.objects.get()
    trial = trial_balance_at()
    journal = directory / "ledger.journal"
    write_whole(journal, "".join(f"{line}\n" for line in journal_lines()).encode())
    payment_files = _payment_files(directory)
    return {
        "period": period.label,
        "auctions": dict(
            Auction.objects.order_by("state").values_list("state").annotate(Count("id"))
        ),
        "readings": IntervalReading.objects.count(),
        "lines": SettlementLine.objects.count(),
        "trial_balance_jpy": trial.difference_jpy,
        "clearing_house_jpy": trial.clearing_jpy,
        "hledger_ok": hledger_finds_it_sound(journal),
        "journal": str(journal),
        "statements": Document.objects.filter(kind=Kind.STATEMENT).count(),
        "documents": _documents(documents),
        "documents_directory": str(documents),
        "payment_file": payment_files[0] if payment_files else None,
        "payment_files": payment_files,
        "payments": _payments(),
        "corrections": SettlementRun.objects.filter(kind=RunKind.CORRECTION).count(),
        "corrected_documents": Document.objects.filter(corrects__isnull=False).count(),
        "disputes": Dispute.objects.count(),
        "settled": Auction.objects.filter(state=AuctionState.SETTLED).count(),
    }


def hledger_finds_it_sound(journal: Path) -> bool | None:
    """Return whether ``hledger check --strict`` passes; None where it is not installed."""
    program = shutil.which("hledger")
    if program is None:
        return None
    done = subprocess.run(
        [program, "-f", str(journal), "check", "--strict"],
        capture_output=True,
        timeout=HLEDGER_S,
        check=False,
        env={"LC_ALL": "C.UTF-8"},
    )
    return done.returncode == 0


def _documents(directory: Path) -> list[Facts]:
    """Write every document in every format, Japanese and English."""
    rows = []
    for row in Document.objects.select_related("organisation").order_by("issued_at", "number"):
        for language in Language.values:
            for file_format in FileFormat.values:
                kept = document_file(document=row, language=language, file_format=file_format)
                path = directory / f"{row.number}-{row.organisation.code}-{language}.{file_format}"
                path.write_bytes(bytes(kept.content))
        rows.append(
            {
                "number": row.number,
                "kind": row.kind,
                "organisation": row.organisation.code,
                "revision": row.revision,
                "tax_jpy": row.tax_jpy,
                "total_jpy": row.total_jpy,
                "state": row.state,
            }
        )
    return rows


def _payment_files(directory: Path) -> list[str]:
    paths = []
    files = PaymentFile.objects.select_related("batch").order_by("batch__created_at", "id")
    for number, file in enumerate(files, start=1):
        ending = "txt" if file.format == PaymentFormat.ZENGIN else "xml"
        path = directory / f"payment-{number}-{file.format.lower()}.{ending}"
        path.write_bytes(bytes(file.content))
        paths.append(str(path))
    return paths


def _payments() -> list[Facts]:
    return [
        {"pay_on": batch.pay_on.isoformat(), "rows": batch.rows_count,
         "total_jpy": batch.total_jpy, "state": batch.state}
        for batch in PaymentBatch.objects.order_by("created_at")
    ]  # fmt: skip


def month_lines_of(facts: Facts, seconds: Mapping[str, float]) -> Iterator[str]:
    """Print the facts for people."""
    auctions = ", ".join(f"{count} {state}" for state, count in facts["auctions"].items())
    yield ""
    yield f"{facts['period']} · auctions {auctions}"
    yield f"Readings       {facts['readings']:,}; settlement lines {facts['lines']:,}"
    yield ""
    yield f"{'Account (精算書)':<22}{'revision':>9}{'tax JPY':>14}{'total JPY':>16}"
    for row in facts["documents"]:
        if row["kind"] == Kind.ACCOUNT:
            yield (
                f"{row['number']} {row['organisation']:<13}{row['revision']:>6}"
                f"{row['tax_jpy']:>14,}{row['total_jpy']:>16,}"
            )
    yield ""
    for row in facts["payments"]:
        yield (
            f"Paid           {row['total_jpy']:,} JPY in {row['rows']} transfers on "
            f"{row['pay_on']} · {row['state']}"
        )
    yield (
        f"Corrections    {facts['corrections']}, of {facts['disputes']} dispute and corrected "
        f"readings; {facts['corrected_documents']} documents corrected"
    )
    sound = {True: "sound", False: "NOT SOUND", None: "hledger is not installed"}
    yield (
        f"Trial balance  {facts['trial_balance_jpy']} JPY; clearing account "
        f"{facts['clearing_house_jpy']} JPY; hledger check: {sound[facts['hledger_ok']]}"
    )
    yield f"Documents      {facts['documents_directory']} ({len(facts['documents'])}, ja and en)"
    yield f"Payment file   {facts['payment_file']}"
    timed = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    yield f"Seconds        {timed}"
