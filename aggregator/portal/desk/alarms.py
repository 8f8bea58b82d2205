"""Alarms: the list with its history, and one alarm with the form to take note of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from aggregator.control.models import AlarmPriority, AlarmState
from aggregator.control.selectors import alarms_seen
from aggregator.control.services import alarm_acknowledge
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.desk import alarm_words, selectors
from aggregator.portal.desk.pages import view_in
from aggregator.portal.desk.room import alarm_seen
from aggregator.portal.entering import person_required
from aggregator.portal.forms import NumberField, PortalForm
from aggregator.portal.frame import frame, sight_in
from aggregator.portal.lists import Filter, listed

HEADER = (
    "raised_at", "priority", "kind", "subject", "text", "count", "state", "acknowledged_by",
    "acknowledged_at", "cleared_at",
)  # fmt: skip


class AcknowledgeForm(PortalForm):
    """Which version of the alarm the person has looked at."""

    version = NumberField(required=True)


def state_words() -> dict[str, str]:
    """Return the states in the page's language."""
    return {
        AlarmState.RAISED: gettext("未確認"),
        AlarmState.ACKNOWLEDGED: gettext("確認済"),
        AlarmState.CLEARED: gettext("解消"),
    }


@person_required(selectors.SEE)
@require_safe
def alarm_list(request: HttpRequest) -> HttpResponse:
    """All alarms, the latest first; open ones are a choice away."""
    sight = sight_in(request)
    view_in(sight)
    rows = listed(
        request,
        alarms_seen(seen_by=sight),
        filters=(
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=list(state_words().items()),
            ),
            Filter(
                name="priority",
                label=gettext("優先度"),
                apply=lambda found, value: found.filter(priority=int(value)),
                choices=[
                    (str(one), alarm_words.priority_words(one)[2]) for one in AlarmPriority.values
                ],
            ),
            Filter(
                name="kind",
                label=gettext("種類"),
                apply=lambda found, value: found.filter(kind=value),
                choices=[(kind, gettext(word)) for kind, word in alarm_words.KINDS.items()],
            ),
        ),
        sorts={"raised": ("raised_at", "id"), "priority": ("priority", "-raised_at", "id")},
        sort="-raised",
    )
    if rows.wants_csv:
        return rows.csv("alarms.csv", HEADER, _cells)
    subjects = alarm_words.subjects_of(rows.shown)
    context = {
        **frame(request, page="desk_alarms"),
        "listing": rows,
        "alarms": [alarm_seen(row, subjects) for row in rows.shown],
        "state_words": state_words(),
    }
    return render(request, "portal/desk/alarms.html", context)


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        row.raised_at, row.priority, row.kind, row.subject, row.text, row.count, row.state,
        row.acknowledged_by.username if row.acknowledged_by else "", row.acknowledged_at,
        row.cleared_at,
    )  # fmt: skip


@person_required(selectors.SEE)
@require_http_methods(["GET", "HEAD", "POST"])
def alarm_page(request: HttpRequest, alarm_id: UUID) -> HttpResponse:
    """One alarm; whoever is on the desk takes note of it here."""
    sight = sight_in(request)
    view = view_in(sight)
    row = alarms_seen(seen_by=sight).filter(id=alarm_id).first()
    if row is None:
        raise Http404(gettext("この警報は見つかりません。"))
    if request.method == "POST" and not view.may_act:
        raise Http404(gettext("この警報は見つかりません。"))

    def made(fields: QueryDict | None, _files: Any) -> PortalForm:
        return AcknowledgeForm(fields, initial={"version": row.version})

    def work(clean: dict[str, Any]) -> Done:
        done = alarm_acknowledge(alarm_id=alarm_id, by=sight, version=int(clean["version"]))
        name = alarm_words.kind_word(done.kind)
        return Done(
            url=reverse("portal:desk_room"), said=gettext("確認しました：%(name)s") % {"name": name}
        )

    def context(_form: PortalForm) -> dict[str, Any]:
        row.refresh_from_db()
        return {
            **frame(request, page="desk_alarms"),
            "seen": alarm_seen(row, alarm_words.subjects_of([row])),
            "state_word": state_words()[AlarmState(row.state)],
            "may_act": view.may_act and row.state == AlarmState.RAISED,
            "raised_at": words.jst_day(row.raised_at),
        }

    page = FormPage(form=made, work=work, template="portal/desk/alarm.html", context=context)
    return page.answer(request)
