"""The list of jobs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from accounts.jobs.models import Job, JobState
from aggregator.portal.desk import selectors
from aggregator.portal.desk.job_words import KINDS, job_name, job_seen
from aggregator.portal.desk.pages import view_in
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import Filter, listed

HEADER = (
    "kind", "key", "state", "due_at", "attempts", "attempts_max", "step", "started_at",
    "finished_at", "error",
)  # fmt: skip


@person_required(selectors.SEE)
@require_safe
def job_list(request: HttpRequest) -> HttpResponse:
    """List what runs, what waits and what was given up."""
    view_in(sight_in(request))
    rows = listed(
        request,
        Job.objects.all(),
        filters=(
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=[
                    (JobState.READY, gettext("待機")),
                    (JobState.RUNNING, gettext("実行中")),
                    (JobState.QUARANTINED, gettext("停止")),
                    (JobState.DONE, gettext("完了")),
                ],
            ),
            Filter(
                name="kind",
                label=gettext("種類"),
                apply=lambda found, value: found.filter(kind=value),
                choices=[(kind, job_name(kind)) for kind in KINDS],
            ),
        ),
        sorts={"due": ("due_at", "id"), "state": ("state", "due_at", "id")},
        sort="-due",
    )
    if rows.wants_csv:
        return rows.csv(
            "jobs.csv",
            HEADER,
            lambda row: (
                row.kind, row.key, row.state, row.due_at, row.attempts_count, row.attempts_max,
                row.step, row.started_at, row.finished_at, row.error,
            ),
        )  # fmt: skip
    context = {
        **frame(request, page="desk_jobs"),
        "listing": rows,
        "jobs": [job_seen(row) for row in rows.shown],
    }
    return render(request, "portal/desk/jobs.html", context)
