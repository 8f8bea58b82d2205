"""What a conditional connection may draw for a while: said, said otherwise, lifted.

A limit is typed first and shown with what it changes second; the service judges both times.
Nothing of the first time is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.core.errors import NotFound, NotPermitted, Refused
from accounts.fields import KW_MAX
from aggregator.core.envelopes import Span
from aggregator.dispatch.connections import (
    OPEN,
    REASON_LENGTH_MAX,
    connection_limit,
    spans_said,
)
from aggregator.dispatch.models import FlexibleConnection
from aggregator.portal import words
from aggregator.portal.answering import UNPROCESSABLE, Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import DayField, KomaField, NumberField, PortalForm, TextField
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.selectors import HALF_HOURS
from aggregator.portal.tso.connections import (
    PAGE,
    SpanShown,
    connection_in,
    end_word,
    spans_shown,
)
from market.core.timegrid import INTERVAL

COUNT: Final = "count"
EDIT: Final = "edit"


class LimitForm(PortalForm):
    """From when to when how much may be drawn, and why."""

    places = ((r"starts_at", "koma_first"), (r"ends_at", "koma_end"))
    day = DayField(label=gettext_lazy("開始日"))
    koma_first = KomaField(label=gettext_lazy("開始"))
    day_end = DayField(label=gettext_lazy("終了日"))
    koma_end = KomaField(label=gettext_lazy("終了"), is_end=True)
    limit_kw = NumberField(
        label=gettext_lazy("受電上限"), unit="kW", digits=1, low=0, high=KW_MAX, is_trimmed=True
    )
    reason = TextField(
        label=gettext_lazy("理由（拠点の記録に残ります）"), required=False,
        max_length=REASON_LENGTH_MAX,
    )  # fmt: skip

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The time that was typed."""
        clean = self.cleaned_data
        return (
            _moment(clean["day"]) + clean["koma_first"] * INTERVAL,
            _moment(clean["day_end"]) + clean["koma_end"] * INTERVAL,
        )


def _moment(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=words.JST)


def _asked_moment(request: HttpRequest, name: str) -> datetime | None:
    try:
        found = datetime.strptime(request.GET.get(name, ""), "%Y%m%dT%H%M%z")
        return found.astimezone(words.JST)
    except (ValueError, OverflowError):
        return None


def _proposed(request: HttpRequest, row: FlexibleConnection, now: datetime) -> dict[str, Any]:
    """Propose the half hour that runs and the next three at the firm part, or what was asked."""
    starts_at = _asked_moment(request, "from") or now.astimezone(words.JST)
    midnight = starts_at.replace(hour=0, minute=0, second=0, microsecond=0)
    t = (starts_at - midnight) // INTERVAL
    ends_at = _asked_moment(request, "to")
    if ends_at is None or ends_at <= starts_at:
        ends_at = midnight + (t + 4) * INTERVAL
    last = ends_at - timedelta(microseconds=1)
    last_midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
    is_lift = request.GET.get("lift") == "1"
    return {
        "day": midnight.date(),
        "koma_first": t,
        "day_end": last_midnight.date(),
        "koma_end": min((last - last_midnight) // INTERVAL + 1, HALF_HOURS),
        "limit_kw": row.firm_kw + row.flexible_kw if is_lift else row.firm_kw,
    }


@person_required(OPEN)
@require_http_methods(["GET", "HEAD", "POST"])
def connection_limit_new(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """Say what a connection may draw for a while; lifting a limit says that it may draw all."""
    row = connection_in(request, connection_id)
    sight = sight_in(request)
    clock = market_time()
    back = reverse("portal:tso_connection", args=[row.id])
    made: list[LimitForm] = []

    def form(fields: QueryDict | None, _files: Any) -> LimitForm:
        made.append(LimitForm(fields, initial=_proposed(request, row, clock.now)))
        return made[-1]

    def say(typed: LimitForm) -> None:
        starts_at, ends_at = typed.span
        connection_limit(
            connection_id=row.id,
            starts_at=starts_at,
            ends_at=ends_at,
            limit_kw=typed.cleaned_data["limit_kw"],
            reason=typed.cleaned_data["reason"],
            by=sight,
        )

    def work(_clean: dict[str, Any]) -> Done:
        say(made[-1])
        return Done(url=back, said=gettext("受電上限を公表しました。"))

    page = FormPage(
        form=form,
        work=work,
        template="portal/tso/connection_limit.html",
        context=lambda _form: {
            **frame(request, page=PAGE, now=clock),
            "row": row,
            "whole_kw": row.firm_kw + row.flexible_kw,
            "back_url": back,
        },
    )
    if request.method != "POST" or not {COUNT, EDIT} & set(request.POST):
        return page.answer(request)
    typed = form(request.POST, None)
    if EDIT in request.POST:
        return page.show(request, typed)
    if not typed.is_valid():
        return page.show(request, typed, status=UNPROCESSABLE)
    try:
        before, after = _tried(row, lambda: say(typed), clock.now)
    except (NotFound, NotPermitted) as refused:
        raise Http404(gettext("見つかりません。")) from refused
    except Refused as refused:
        typed.refuse(refused)
        return page.show(request, typed, status=UNPROCESSABLE)
    return page.show(request, typed, rows=_limit_facts(typed, before), after=after)


def _tried(
    row: FlexibleConnection, say: Callable[[], None], now: datetime
) -> tuple[tuple[Span, ...], list[SpanShown]]:
    """Return what holds before and after a limit that is said and taken back.

    Raises
    ------
    Refused
        What the service says against it.
    """
    before = spans_said([row], from_at=now)[row.id]
    with transaction.atomic():
        say()
        after = spans_said([row], from_at=now)[row.id]
        transaction.set_rollback(True)
    return before, spans_shown(row, after, may_change=False)


def _limit_facts(typed: LimitForm, before: Sequence[Span]) -> list[dict[str, str]]:
    starts_at, ends_at = typed.span
    kws = [
        span.limit_kw
        for span in before
        if span.starts_at < ends_at and (span.ends_at is None or span.ends_at > starts_at)
    ]
    low, high = min(kws), max(kws)
    was = f"{words.number(low)} kW" if low == high else (
        f"{words.number(low)}–{words.number(high)} kW"
    )  # fmt: skip
    now = f"{words.number(typed.cleaned_data['limit_kw'])} kW"
    times = f"{words.jst_day(starts_at)}–{end_word(starts_at, ends_at)}"
    return [
        {"label": gettext("時間帯"), "value": times},
        {"label": gettext("受電上限"), "before": "" if was == now else was, "value": now},
        {
            "label": gettext("理由"),
            "value": typed.cleaned_data["reason"] or words.UNKNOWN,
        },
    ]
