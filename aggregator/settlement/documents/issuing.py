"""Issue a period's documents: numbered, hashed, with their tax posted, in one transaction each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from accounts.approvals.services import content_digest
from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_create, job_finish, job_kept, job_step
from accounts.ledger.services import TransferDraft, ledger_account_open, transfers_post
from accounts.parties.models import Organisation
from accounts.parties.selectors import aggregator
from aggregator.core.documents import (
    Cell,
    DocumentKind,
    Frame,
    PartsUnposted,
    Party,
    account_document,
    cells_of,
    corrected,
    document_number,
    fiscal_year_of,
    is_same,
    tax_document,
)
from aggregator.core.taxing import DocumentRules, Side
from aggregator.settlement.close_requests import run_newest
from aggregator.settlement.documents.parts import (
    PartySums,
    close_latest,
    document_rules_of,
    parties_of,
)
from aggregator.settlement.documents.printing import files_print
from aggregator.settlement.documents_models import (
    Document,
    DocumentSeries,
    FileFormat,
    Kind,
    Language,
)
from aggregator.settlement.models import ITEM_NAMES, PeriodState, SettlementPeriod

ISSUE_KIND = "aggregator.settlement.documents_issue"
CONFIRM_KIND = "aggregator.settlement.document_confirm"
CAUSE_KIND = "settlement.document"
TAX_CODE = "CONSUMPTION_TAX"
JST = ZoneInfo("Asia/Tokyo")
NAMES = {item.value: name for item, name in ITEM_NAMES.items()}
FORMATS_PRINTED = (FileFormat.PDF,)


class PeriodNotClosed(Refused):
    """Documents are issued from closed periods alone."""


@dataclass(frozen=True, kw_only=True)
class _Issue:
    """What the documents of one issue have in common."""

    period: SettlementPeriod
    close_number: int
    rules: DocumentRules
    issuer: Party
    issued_at: datetime


def documents_issue_request(*, period: SettlementPeriod, run_id: int | None = None) -> Job:
    """Create the job that issues and prints what a period's latest close makes due.

    Parameters
    ----------
    run_id
        The newest run that was closed; the newest there is if omitted.
    """
    newest = run_newest(period) if run_id is None else run_id
    return job_create(
        kind=ISSUE_KIND,
        key=f"{period.label}:{newest}:{close_latest(period)}",
        payload={"period": period.pk, "languages": [Language.JA]},
    )


def documents_issue_run(*, claim: Claim) -> None:
    """Issue and print what a job names; its step tells how far it is."""
    with job_kept(claim=claim):
        issued = documents_issue(
            period_id=int(claim.payload["period"]),
            progress=lambda done, count: job_step(claim=claim, step=f"issued {done}/{count}"),
        )
        files_print(
            documents=issued,
            languages=list(claim.payload.get("languages", [Language.JA])),
            formats=FORMATS_PRINTED,
            progress=lambda done, count: job_step(claim=claim, step=f"printed {done}/{count}"),
        )
    with transaction.atomic():
        job_finish(claim=claim)


def documents_issue(
    *,
    period_id: int,
    organisation_id: UUID | None = None,
    progress: Any = None,
) -> list[Document]:
    """Issue the documents of a closed period that are not issued yet, or say something else now.

    Each party's documents, their numbers and the transfers of their tax come in one transaction.
    What was issued and still holds is left alone, so that a second call changes nothing.

    Parameters
    ----------
    organisation_id
        Whose; None for every party's.
    progress
        Called with the number of parties done and their count.

    Returns
    -------
    list of Document
        The latest of each party and kind, newly issued or not, by party.

    Raises
    ------
    NotFound
        If there is no such period.
    PeriodNotClosed
        If it is open.
    PartsUnposted
        If its auctions were settled anew since its latest close, or it is closed meanwhile.
    """
    period = SettlementPeriod.objects.filter(id=period_id).first()
    if period is None:
        raise NotFound(field="period", value=period_id, rule="a settlement period")
    if period.state != PeriodState.CLOSED:
        raise PeriodNotClosed(field="period", value=period.label, rule="is closed")
    close_number, parties = parties_of(period)
    if organisation_id is not None:
        parties = [row for row in parties if row.organisation.id == organisation_id]
    issue = _Issue(
        period=period,
        close_number=close_number,
        rules=document_rules_of(period),
        issuer=_party(aggregator()),
        issued_at=market_now(),
    )
    latest: list[Document] = []
    for done, sums in enumerate(parties, start=1):
        latest += _issue_one(issue, sums)
        if progress is not None:
            progress(done, len(parties))
    return latest


@transaction.atomic
def _issue_one(issue: _Issue, sums: PartySums) -> list[Document]:
    """Issue one party's statement, invoice and account as far as they are due."""
    # two issues of one period wait for one another here
    SettlementPeriod.objects.select_for_update().get(id=issue.period.pk)
    if close_latest(issue.period) != issue.close_number:
        raise PartsUnposted(
            field="period", value=issue.period.label, rule="not closed again in the meantime"
        )
    earlier = _latest(issue.period, sums.organisation)
    cells = cells_of(sums.parts, sums.posted_jpy, issue.rules)
    found: list[Document] = []
    for kind in (DocumentKind.STATEMENT, DocumentKind.INVOICE):
        before = earlier.get(kind)
        own = [cell for cell in cells if cell.side == Side(kind)]
        if own or before is not None:
            found.append(_tax_document(issue, sums, cells, kind, before))
    before = earlier.get(DocumentKind.ACCOUNT)
    if found or before is not None:  # of nothing but zeros there is nothing to net
        frame = _frame(issue, sums.organisation, DocumentKind.ACCOUNT)
        account = account_document(frame, [row.content for row in found])
        found.append(_kept_or_new(issue, sums, account, before))
    return found


def _tax_document(
    issue: _Issue,
    sums: PartySums,
    cells: Sequence[Cell],
    kind: DocumentKind,
    before: Document | None,
) -> Document:
    frame = _frame(issue, sums.organisation, kind)
    content = tax_document(frame, cells, sums.parts, issue.rules, names=NAMES)
    row = _kept_or_new(issue, sums, content, before)
    if before is None or row.pk != before.pk:
        _tax_post(issue, sums, row, 0 if before is None else before.tax_jpy)
    return row


def _kept_or_new(
    issue: _Issue, sums: PartySums, content: dict[str, Any], before: Document | None
) -> Document:
    """Return the document before if it says the same, else a new one."""
    if before is not None:
        if is_same(content, before.content):
            return before
        content = corrected(content, before.content)
    kind = Kind(content["kind"])
    issued_on = issue.issued_at.astimezone(JST).date()
    fiscal_year = fiscal_year_of(issued_on)
    sequence = _next_sequence(kind, fiscal_year)
    content["number"] = document_number(DocumentKind(kind), fiscal_year, sequence)
    content["revision"] = 1 if before is None else before.revision + 1
    row = Document.objects.create(
        kind=kind,
        organisation=sums.organisation,
        period=issue.period,
        revision=content["revision"],
        fiscal_year=fiscal_year,
        sequence=sequence,
        number=content["number"],
        corrects=before,
        close_number=issue.close_number,
        issued_at=issue.issued_at,
        issued_on=issued_on,
        tax_jpy=content["tax_jpy"],
        total_jpy=content["total_jpy"],
        content=content,
        content_sha256=content_digest(content),
        objection_due_at=_due_at(issue, kind),
    )
    if row.objection_due_at is not None:
        job_create(kind=CONFIRM_KIND, key=str(row.id), due_at=row.objection_due_at)
    entry_append(
        action="settlement.document.issued" if before is None else "settlement.document.corrected",
        subject=row,
        organisation_id=sums.organisation.id,
        detail={
            "number": row.number,
            "sha256": row.content_sha256,
            "total_jpy": row.total_jpy,
            "corrects": None if before is None else before.number,
        },
    )
    return row


def _due_at(issue: _Issue, kind: Kind) -> datetime | None:
    """Return when a statement counts as confirmed: the end of the last day of objection."""
    if kind != Kind.STATEMENT:
        return None
    issued_on = issue.issued_at.astimezone(JST).date()
    day_after = issued_on + timedelta(days=issue.rules.objection_days + 1)
    return datetime.combine(day_after, time.min, JST)


def _next_sequence(kind: Kind, fiscal_year: int) -> int:
    """Take the next number of a series; a transaction that fails gives it back."""
    DocumentSeries.objects.get_or_create(kind=kind, fiscal_year=fiscal_year)
    series = DocumentSeries.objects.select_for_update().get(kind=kind, fiscal_year=fiscal_year)
    series.last_sequence += 1
    series.save(update_fields=["last_sequence"])
    return series.last_sequence


def _tax_post(issue: _Issue, sums: PartySums, row: Document, before_jpy: int) -> None:
    """Post what a document's tax differs from that of the one it corrects."""
    delta_jpy = row.tax_jpy - before_jpy
    if delta_jpy == 0:
        return
    is_input = row.kind == Kind.STATEMENT
    tax = ledger_account_open(
        organisation=aggregator(),
        code="tax-input" if is_input else "tax-output",
        name="仮払消費税" if is_input else "仮受消費税",
        kind="TAX",
    )
    # the member is credited with tax on what it sold, debited with tax on what it bought
    sides = (int(tax.id), sums.account_id)
    debit, credit = sides if is_input == (delta_jpy > 0) else sides[::-1]
    transfers_post(
        transfers=[
            TransferDraft(
                key=f"document:{row.id}:tax",
                debit_id=debit,
                credit_id=credit,
                amount_jpy=abs(delta_jpy),
                code=TAX_CODE,
                period=issue.period.label,
                cause_kind=CAUSE_KIND,
                cause_id=row.number,
                detail={"kind": row.kind, "revision": row.revision},
            )
        ]
    )


def _frame(issue: _Issue, organisation: Organisation, kind: DocumentKind) -> Frame:
    return Frame(
        kind=kind,
        number="",
        revision=1,
        issued_on=issue.issued_at.astimezone(JST).date(),
        start_on=issue.period.start_on,
        end_on=issue.period.end_on,
        issuer=issue.issuer,
        recipient=_party(organisation),
    )


def _party(organisation: Organisation) -> Party:
    return Party(
        code=organisation.code,
        name=organisation.name,
        name_en=organisation.name_en,
        registration_number=organisation.registration_number,
    )


def _latest(period: SettlementPeriod, organisation: Organisation) -> Mapping[str, Document]:
    rows = Document.objects.filter(
        period=period, organisation=organisation, corrected_by__isnull=True
    )
    return {DocumentKind(row.kind): row for row in rows}
