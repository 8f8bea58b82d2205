"""Drills: test orders of resources that ask to be qualified, their scores and the evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from aggregator.core.trials import FLOOR_RATIO, PASS_RATIO
from aggregator.dispatch.models import Trial, TrialState
from aggregator.dispatch.trials import (
    CHANGE,
    TRIED_STATES,
    trial_cancel,
    trial_order,
    trials_seen,
)
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.desk import selectors
from aggregator.portal.desk.auctions import ReasonForm
from aggregator.portal.desk.drill_words import Interval, drill_reason, drill_state, intervals_of
from aggregator.portal.desk.pages import view_in
from aggregator.portal.entering import person_required
from aggregator.portal.forms import ChoiceField, DayField, KomaField, NumberField, PortalForm
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, day_of, listed
from aggregator.portal.selectors import HALF_HOURS
from market.core.timegrid import INTERVAL
from market.registry.models import Prequalification, PrequalificationState
from market.registry.selectors import prequalifications_seen
from market.trading.models import Direction

PAGE: Final = "desk_drills"
CANCELLABLE: Final = (TrialState.PLANNED, TrialState.SENT, TrialState.ACKNOWLEDGED)
TEXT_MAX: Final = 80
LENGTH_KOMA: Final = 2
HEADER = (
    "trial", "resource", "organisation", "area", "direction", "quantity_kw", "starts_at", "ends_at",
    "state", "score_ratio", "reason", "ordered_by", "ordered_at", "evidence_sha256",
)  # fmt: skip


@person_required(selectors.SEE)
@require_safe
def drill_list(request: HttpRequest) -> HttpResponse:
    """All drills, the latest start first."""
    sight = sight_in(request)
    view_in(sight)
    rows = listed(
        request,
        trials_seen(seen_by=sight).defer("evidence"),
        filters=(
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=[(state, drill_state(state).word) for state in TrialState.values],
            ),
            Filter(
                name="day",
                label=gettext("実施日"),
                apply=_on,
                kind="date",
            ),
        ),
        sorts={"starts": ("starts_at", "id"), "score": ("score_ratio", "id")},
        sort="-starts",
    )
    if rows.wants_csv:
        return rows.csv("drills.csv", HEADER, _cells)
    context = {
        **frame(request, page=PAGE),
        "listing": rows,
        "drills": [(row, drill_state(row.state)) for row in rows.shown],
        "may_order": sight.may_everywhere(CHANGE),
    }
    return render(request, "portal/desk/drills.html", context)


def _on(found: Any, value: str) -> Any:
    day = day_of(value)
    if day is None:
        return found.none()
    start = datetime(day.year, day.month, day.day, tzinfo=words.JST)
    return found.filter(starts_at__gte=start, starts_at__lt=start + timedelta(days=1))


def _cells(row: Trial) -> tuple[Any, ...]:
    return (
        row.id, row.resource.code, row.organisation.code, row.prequalification.area_id,
        row.direction, row.quantity_kw, row.starts_at, row.ends_at, row.state, row.score_ratio,
        row.reason, row.ordered_by, row.ordered_at, row.evidence_sha256,
    )  # fmt: skip


@person_required(CHANGE)
@require_safe
def drill_candidates(request: HttpRequest) -> HttpResponse:
    """Choose what is drilled: resources whose qualification may be tried, with their last score."""
    sight = sight_in(request)
    if not sight.may_everywhere(CHANGE):
        raise Http404(gettext("このページは見つかりません。"))
    last = Trial.objects.filter(prequalification=OuterRef("pk")).order_by("-starts_at", "-id")
    rows = listed(
        request,
        prequalifications_seen(seen_by=sight)
        .filter(state__in=TRIED_STATES)
        .select_related("product")
        .annotate(
            last_state=Subquery(last.values("state")[:1]),
            last_at=Subquery(last.values("starts_at")[:1]),
            last_ratio=Subquery(last.values("score_ratio")[:1]),
        ),
        filters=(
            Filter(
                name="text",
                label=gettext("拠点・リソース"),
                apply=lambda found, value: found.filter(
                    Q(resource__code__icontains=value[:TEXT_MAX])
                    | Q(resource__name__icontains=value[:TEXT_MAX])
                    | Q(resource__site__name__icontains=value[:TEXT_MAX])
                ),
            ),
            Filter(
                name="state",
                label=gettext("事前審査"),
                apply=lambda found, value: found.filter(state=value),
                choices=[(state, prequalification_word(state)) for state in TRIED_STATES],
            ),
        ),
        sorts={
            "resource": ("resource__code", "id"),
            "last": ("last_at", "resource__code", "id"),
        },
        sort="resource",
    )
    context = {
        **frame(request, page=PAGE),
        "listing": rows,
        "candidates": [
            (
                row,
                prequalification_word(row.state),
                drill_state(row.last_state) if row.last_state else None,
            )
            for row in rows.shown
        ],
    }
    return render(request, "portal/desk/drill_candidates.html", context)


def prequalification_word(state: str) -> str:
    """Say a state of a prequalification."""
    return {
        PrequalificationState.CHECKED: gettext("自動確認済"),
        PrequalificationState.TEMPORARY: gettext("仮認定"),
        PrequalificationState.QUALIFIED: gettext("認定"),
        PrequalificationState.SUSPENDED: gettext("停止"),
    }[PrequalificationState(state)]


class DrillForm(PortalForm):
    """Which way, how much and when."""

    places = ((r"starts_at", "koma_first"), (r"ends_at", "koma_end"))
    direction = ChoiceField(
        label=gettext_lazy("方向"),
        choices=[(Direction.UP, gettext_lazy("上げ")), (Direction.DOWN, gettext_lazy("下げ"))],
    )
    quantity_kw = NumberField(label=gettext_lazy("指令量"), unit="kW", digits=1, is_trimmed=True)
    day = DayField(label=gettext_lazy("実施日"))
    koma_first = KomaField(label=gettext_lazy("開始"))
    koma_end = KomaField(label=gettext_lazy("終了"), is_end=True)


def _proposed(row: Prequalification, now: datetime) -> dict[str, Any]:
    """Propose an hour as soon as the product's response time allows, of all that is asked for."""
    told_at = now + timedelta(seconds=row.product.response_s)
    start = selectors.day_start_of(told_at)
    day, t = selectors.half_hour_of(told_at)
    if start + t * INTERVAL < told_at:
        t += 1
    if t + LENGTH_KOMA > HALF_HOURS:
        day, t = day + timedelta(days=1), 0
    return {
        "direction": Direction.UP,
        "quantity_kw": row.quantity_kw,
        "day": day,
        "koma_first": t,
        "koma_end": t + LENGTH_KOMA,
    }


@person_required(CHANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def drill_new(request: HttpRequest, prequalification_id: UUID) -> HttpResponse:
    """Order a drill of one resource; its site hears of it no earlier than of a real order."""
    sight = sight_in(request)
    rows = prequalifications_seen(seen_by=sight).select_related("product")
    row = rows.filter(id=prequalification_id).first()
    if row is None or not sight.may_everywhere(CHANGE):
        raise Http404(gettext("このページは見つかりません。"))
    found: Prequalification = row

    def work(clean: dict[str, Any]) -> Done:
        day = clean["day"]
        midnight = datetime(day.year, day.month, day.day, tzinfo=words.JST)
        made = trial_order(
            prequalification_id=found.id,
            direction=clean["direction"],
            quantity_kw=clean["quantity_kw"],
            starts_at=midnight + clean["koma_first"] * INTERVAL,
            ends_at=midnight + clean["koma_end"] * INTERVAL,
            by=sight,
        )
        return Done(
            url=reverse("portal:desk_drill", args=[made.id]), said=gettext("訓練を登録しました。")
        )

    now = market_time()
    return FormPage(
        form=lambda fields, _files: DrillForm(fields, initial=_proposed(found, now.now)),
        work=work,
        template="portal/desk/drill_new.html",
        context=lambda _form: {
            **frame(request, page=PAGE, now=now),
            "row": found,
            "word": prequalification_word(found.state) if found.state in TRIED_STATES else "",
            "response_min": words.number(Decimal(found.product.response_s) / 60),
            "bars": _bars(),
        },
    ).answer(request)


def _bars() -> dict[str, str]:
    return {"mean": words.percent(PASS_RATIO), "floor": words.percent(FLOOR_RATIO)}


def _drill(request: HttpRequest, trial_id: UUID) -> Trial:
    sight = sight_in(request)
    view_in(sight)
    row = trials_seen(seen_by=sight).filter(id=trial_id).first()
    if row is None:
        raise Http404(gettext("この訓練は見つかりません。"))
    return row


def _told(row: Trial) -> list[tuple[str, str]]:
    """Return what happened when."""
    steps: Sequence[tuple[datetime | None, str]] = (
        (row.ordered_at, gettext("登録：%(who)s") % {"who": row.ordered_by}),
        (row.sent_at, gettext("拠点に送信")),
        (row.acknowledged_at, gettext("拠点が受諾")),
        (row.scored_at, gettext("採点：%(word)s") % {"word": drill_state(row.state).word}),
    )
    return [(words.jst_day(at), what) for at, what in steps if at is not None]


@person_required(selectors.SEE)
@require_safe
def drill_page(request: HttpRequest, trial_id: UUID) -> HttpResponse:
    """One drill: what was asked, what came, and what it was scored on.

    With ``?format=json`` the evidence as the very bytes its digest binds.
    """
    row = _drill(request, trial_id)
    if request.GET.get("format") == "json" and row.evidence:
        written = json.dumps(
            row.evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        answer = HttpResponse(written.encode(), content_type="application/json")
        answer["Content-Disposition"] = f'attachment; filename="drill-{row.id}.json"'
        return answer
    intervals: list[Interval] = intervals_of(row)
    context = {
        **frame(request, page=PAGE),
        "row": row,
        "state": drill_state(row.state),
        "reason": drill_reason(row.reason),
        "told": _told(row),
        "intervals": intervals,
        "lowest": min((one.ratio for one in intervals if one.is_asked), default=None),
        "bars": _bars(),
        "may_cancel": row.state in CANCELLABLE and sight_in(request).may_everywhere(CHANGE),
    }
    return render(request, "portal/desk/drill.html", context)


@person_required(CHANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def drill_cancel(request: HttpRequest, trial_id: UUID) -> HttpResponse:
    """Call a drill off, with a reason."""
    sight = sight_in(request)
    row = _drill(request, trial_id)
    if not sight.may_everywhere(CHANGE):
        raise Http404(gettext("この訓練は見つかりません。"))
    back = reverse("portal:desk_drill", args=[row.id])

    def work(clean: dict[str, Any]) -> Done:
        trial_cancel(trial_id=row.id, reason=clean["reason"], by=sight)
        return Done(url=back, said=gettext("訓練を取り消しました。"))

    def context(_form: PortalForm) -> dict[str, Any]:
        span = f"{words.jst_day(row.starts_at)}–{words.jst_until(row.ends_at)}"
        return {
            **frame(request, page=PAGE),
            "rows": [
                {"label": gettext("拠点"), "value": words.local_name(row.resource.site)},
                {"label": gettext("リソース"), "value": words.local_name(row.resource)},
                {"label": gettext("時間帯"), "value": span},
                {"label": gettext("指令量"), "value": f"{words.number(row.quantity_kw)} kW"},
                {"label": gettext("状態"), "value": drill_state(row.state).word},
            ],
            "heading": gettext("訓練の取消"),
            "verb": gettext("訓練を取り消す"),
            "irreversible": gettext(
                "送信済みなら拠点にも取消を伝えます。採点はされません。元には戻せません。"
            ),
            "is_danger": True,
            "back_url": back,
        }

    return FormPage(
        form=lambda fields, _files: ReasonForm(fields),
        work=work,
        template="portal/desk/auction_ask.html",
        context=context,
    ).answer(request)
