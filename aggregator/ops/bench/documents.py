"""A month's statements as PDF: from stored content to stored, hashed files, on every core.

Each statement has a month of days, two items a day, and figures of its own, three pages in all.
``limit_ratio`` is the time taken over the 60 seconds that 1,000 of them may take on two cores.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from accounts.approvals.services import content_digest
from accounts.parties.models import Organisation, OrganisationKind
from aggregator.core.documents import (
    DocumentKind,
    Frame,
    Part,
    Party,
    cells_of,
    document_number,
    tax_document,
)
from aggregator.core.taxing import DocumentRules
from aggregator.ops.demo import cast
from aggregator.settlement.documents.printing import files_print
from aggregator.settlement.models import Document, DocumentFile, SettlementPeriod

START_ON = date(2026, 11, 1)
END_ON = date(2026, 12, 1)
ISSUED_ON = date(2026, 12, 25)
LIMIT_S = 60
LIMIT_COUNT = 1_000
BAR_WIDTH = 40
BATCH_COUNT = 50
NAMES = {"SELLER_ENERGY": "電力量料金", "CAPACITY": "調整力（ΔkW）料金"}
HOUSE = Party(
    code="house",
    name="アグリゲーター株式会社",
    name_en="Aggregator Inc.",
    registration_number=cast.registration_number_of("wattbit"),
)


def run(*, size: int = LIMIT_COUNT) -> dict[str, Any]:
    """Print `size` statements and store them."""
    documents = _documents(size)
    before_s = _presses_cpu_s()
    began_s = time.perf_counter()
    made = files_print(documents=documents, progress=_bar)
    took_s = time.perf_counter() - began_s
    sys.stderr.write("\n")
    stored = DocumentFile.objects.aggregate(bytes=Sum("size_bytes"))["bytes"]
    return {
        "size": made,
        "cores": len(os.sched_getaffinity(0)),
        "ours_s": round(took_s, 2),
        "limit_ratio": round(took_s / LIMIT_S * LIMIT_COUNT / made, 3),
        "ms_each": round(1_000 * took_s / made, 1),
        "presses_cpu_s": round(_presses_cpu_s() - before_s, 2),
        "mib": round(stored / 2**20, 1),
    }


def _presses_cpu_s() -> float:
    """Return the processor time of child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _bar(done: int, count: int) -> None:
    filled = BAR_WIDTH * done // count
    sys.stderr.write(f"\r[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{count}")
    sys.stderr.flush()


def _documents(count: int) -> list[Document]:
    """Store `count` parties with a statement each."""
    organisations = Organisation.objects.bulk_create(
        Organisation(
            code=f"party-{n:05d}",
            kind=OrganisationKind.DC_OPERATOR,
            name=f"データセンター{n}号株式会社",
            name_en=f"Data Centre {n} Inc.",
        )
        for n in range(1, count + 1)
    )
    period = SettlementPeriod.objects.create(start_on=START_ON, end_on=END_ON)
    return Document.objects.bulk_create(
        [_document(organisation, period, n) for n, organisation in enumerate(organisations, 1)],
        batch_size=BATCH_COUNT,
    )


def _document(organisation: Organisation, period: SettlementPeriod, n: int) -> Document:
    content = _content(organisation, n)
    return Document(
        kind=content["kind"],
        organisation=organisation,
        period=period,
        revision=1,
        fiscal_year=2026,
        sequence=n,
        number=content["number"],
        close_number=1,
        issued_at=datetime(2026, 12, 25, tzinfo=UTC),
        issued_on=ISSUED_ON,
        tax_jpy=content["tax_jpy"],
        total_jpy=content["total_jpy"],
        content=content,
        content_sha256=content_digest(content),
    )


def _content(organisation: Organisation, n: int) -> dict[str, Any]:
    days = (END_ON - START_ON).days
    parts = [
        Part(
            item=item,
            is_received=True,
            supply_on=START_ON + timedelta(days=day),
            amount_exact_jpy=Decimal(1_000_003 * n + 7_919 * day + len(item)) / 64,
            quantity=Decimal(1_009 * n + 13 * day) / 8 if item == "SELLER_ENERGY" else None,
        )
        for day in range(days)
        for item in NAMES
    ]
    posted = {
        item: int(sum(part.amount_exact_jpy for part in parts if part.item == item))
        for item in NAMES
    }
    rules = DocumentRules()
    frame = Frame(
        kind=DocumentKind.STATEMENT,
        number=document_number(DocumentKind.STATEMENT, 2026, n),
        revision=1,
        issued_on=ISSUED_ON,
        start_on=START_ON,
        end_on=END_ON,
        issuer=HOUSE,
        recipient=Party(
            code=organisation.code,
            name=organisation.name,
            name_en=organisation.name_en,
            registration_number="",
        ),
    )
    return tax_document(frame, cells_of(parts, posted, rules), parts, rules, names=NAMES)
