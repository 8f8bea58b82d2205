"""Closes: how far periods are, their documents' progress, and whether all books say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.jobs.models import Job, JobState
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame
from aggregator.portal.lists import listed
from aggregator.portal.money.payments import keeper
from aggregator.settlement.close_requests import JOB_KIND as CLOSE_KIND
from aggregator.settlement.documents.issuing import ISSUE_KIND
from aggregator.settlement.models import SettlementPeriod
from aggregator.settlement.reconciling import reconcile

PAGE: Final = "money_closes"
DIFFERENCES_SHOWN: Final = 100
_STEP: Final = re.compile(r"(issued|printed) (\d+)/(\d+)")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the documents of a period are."""

    job: Job

    @property
    def phase(self) -> str:
        """``issued`` or ``printed``; empty before the first step."""
        found = _STEP.fullmatch(self.job.step)
        return found[1] if found else ""

    @property
    def percent(self) -> int | None:
        """Share done; None where nothing was told."""
        if self.job.state == JobState.DONE:
            return 100
        found = _STEP.fullmatch(self.job.step)
        return int(found[2]) * 100 // max(int(found[3]), 1) if found else None

    @property
    def step(self) -> str:
        """How many of how many."""
        found = _STEP.fullmatch(self.job.step)
        return f"{found[2]} / {found[3]}" if found else ""

    @property
    def is_running(self) -> bool:
        """Whether it may still move."""
        return self.job.state in (JobState.READY, JobState.RUNNING)


@person_required()
@require_safe
def close_list(request: HttpRequest) -> HttpResponse:
    """Show periods, their closes, and how far their documents are."""
    keeper(request)
    rows = SettlementPeriod.objects.annotate(
        closes_count=Max("items__close_number"),
        documents_count=Count("documents", distinct=True),
        asked_count=Count(
            "documents",
            filter=Q(
                documents__kind="STATEMENT",
                documents__state="ISSUED",
                documents__corrected_by__isnull=True,
            ),
            distinct=True,
        ),
        objected_count=Count("documents", filter=Q(documents__state="OBJECTED"), distinct=True),
    )
    listing = listed(request, rows, sorts={"period": ("start_on", "id")}, sort="-period")
    context: dict[str, Any] = {"listing": listing, "rows": _with_progress(listing.shown)}
    context["is_moving"] = any(row[1] and row[1].is_running for row in context["rows"])
    template = "portal/money/closes.html"
    if request.headers.get("HX-Request") == "true":
        template = "portal/money/closes_table.html"
    return render(request, template, {**frame(request, page=PAGE), **context})


def _with_progress(
    periods: list[SettlementPeriod],
) -> list[tuple[SettlementPeriod, Progress | None, Job | None]]:
    """Join periods with the latest job of their documents and of their close."""
    labels = [period.label for period in periods]
    asked = Q(pk__in=[])
    for label in labels:
        asked |= Q(key__startswith=f"{label}:")
    latest: dict[tuple[str, str], Job] = {}
    jobs = Job.objects.filter(asked, kind__in=[ISSUE_KIND, CLOSE_KIND])
    for job in jobs.order_by("created_at", "id"):
        latest[job.kind, job.key.partition(":")[0]] = job
    issues = {key: Progress(job=job) for (kind, key), job in latest.items() if kind == ISSUE_KIND}
    return [(row, issues.get(row.label), latest.get((CLOSE_KIND, row.label))) for row in periods]


@person_required()
@require_safe
def reconciliation(request: HttpRequest) -> HttpResponse:
    """Hold documents, ledger and payment files against one another, now."""
    keeper(request)
    found = reconcile()
    return render(
        request,
        "portal/money/reconcile.html",
        {
            **frame(request, page=PAGE),
            "found": found,
            "differences": found.differences[:DIFFERENCES_SHOWN],
        },
    )
