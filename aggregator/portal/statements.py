"""Statements: what an organisation received and paid, period by period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.core.money_words import MONEY_WORDS
from accounts.ledger.statements import Statement, StatementLine, statement_csv, statement_of
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.portal.frame import frame, sight_in
from aggregator.settlement.documents_models import Document

CODE_NAMES_EN = {code: word.en for code, word in MONEY_WORDS.items()}


@dataclass(frozen=True, kw_only=True)
class PeriodPart:
    """The lines of one settlement period."""

    period: str
    lines: tuple[StatementLine, ...]
    documents: tuple[Document, ...] = ()

    @property
    def received_jpy(self) -> int:
        """Sum received."""
        return sum(line.received_jpy for line in self.lines)

    @property
    def paid_jpy(self) -> int:
        """Sum paid."""
        return sum(line.paid_jpy for line in self.lines)

    @property
    def total_jpy(self) -> int:
        """What is left (negative: owed)."""
        return self.received_jpy - self.paid_jpy

    @property
    def posted_at(self) -> datetime:
        """When the last line was posted."""
        return max(line.posted_at for line in self.lines)


def _organisations(sight: Sight) -> list[Organisation]:
    """Return organisations whose statements the person may read, their own first."""
    allowed = sight.organisations_for("statement.read")
    own = [row for row in sight.organisations if row.id in allowed]
    if not sight.may_everywhere("statement.read"):
        return own
    others = Organisation.objects.exclude(id__in=[row.id for row in own]).order_by("code")
    return [*own, *others]


def _chosen(organisations: list[Organisation], code: str | None) -> Organisation:
    """Return the one asked for; what may not be seen does not exist."""
    for row in organisations:
        if code in (None, row.code):
            return row
    raise Http404(gettext("この明細は見つかりません。"))


def _parts(statement: Statement) -> list[PeriodPart]:
    """Group lines by period, with the documents that stand for it now."""
    documents: dict[str, list[Document]] = {}
    rows = Document.objects.filter(organisation=statement.organisation, corrected_by__isnull=True)
    for row in rows.select_related("period").defer("content").order_by("kind"):
        documents.setdefault(row.period.label, []).append(row)
    periods: dict[str, list[StatementLine]] = {}
    for line in statement.lines:
        periods.setdefault(line.period, []).append(line)
    parts = [
        PeriodPart(period=key, lines=tuple(lines), documents=tuple(documents.get(key, ())))
        for key, lines in periods.items()
    ]
    return sorted(parts, key=lambda part: part.posted_at, reverse=True)


@login_required
@require_safe
def statement_list(request: HttpRequest) -> HttpResponse:
    """Show an organisation's statement by period."""
    organisations = _organisations(sight_in(request))
    context = frame(request, page="statements")
    if not organisations:
        return render(request, "portal/statements_none.html", context, status=403)
    organisation = _chosen(organisations, request.GET.get("organisation"))
    statement = statement_of(organisation=organisation)
    return render(
        request,
        "portal/statements.html",
        {
            **context,
            "organisations": organisations,
            "organisation": organisation,
            "statement": statement,
            "parts": _parts(statement),
            "names_en": CODE_NAMES_EN,
        },
    )


@login_required
@require_safe
def statement_file(request: HttpRequest, code: str) -> HttpResponse:
    """Give the statement as CSV; ``?period=`` limits it to one period."""
    organisation = _chosen(_organisations(sight_in(request)), code)
    period = request.GET.get("period")
    content = statement_csv(statement_of(organisation=organisation, period=period))
    answer = HttpResponse(content, content_type="text/csv; charset=utf-8")
    name = f"statement-{organisation.code}{f'-{period}' if _is_plain(period) else ''}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _is_plain(text: str | None) -> bool:
    """Whether a period may stand in a file name."""
    return bool(text) and all(c.isascii() and (c.isalnum() or c in "-_") for c in text or "")
