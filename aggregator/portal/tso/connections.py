"""Conditional connections: listed, opened, watched, ended; see :mod:`.limits` for their limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.fields import KW_MAX
from aggregator.core.envelopes import Span
from aggregator.dispatch.connection_models import HEARTBEAT_MAX_S, HEARTBEAT_MIN_S
from aggregator.dispatch.connections import (
    FAILSAFE_MAX_S,
    OPEN,
    READ,
    connection_end,
    connection_open,
    connections_seen,
    spans_of,
    spans_said,
)
from aggregator.dispatch.models import ConnectionOutage, ConnectionState, FlexibleConnection
from aggregator.portal import words
from aggregator.portal.answering import Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import (
    NothingForm,
    NumberField,
    PortalForm,
)
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, listed
from aggregator.portal.money.selectors import people_named
from aggregator.portal.tso.limit_chart import LimitChart, limit_chart, ticks_of
from market.registry.models import Site

PAGE: Final = "tso_connections"
TEXT_MAX: Final = 80
SAID_MAX: Final = 50
OUTAGES_MAX: Final = 50
# one notice may be late by half its interval before a site is called silent
SILENT_HEARTBEATS: Final = 1.5
LEVELS_APART_RATIO: Final = Decimal("0.1")
ZERO: Final = Decimal(0)
HEADER = (
    "site", "name", "grid_operator", "firm_kw", "flexible_kw", "state", "heard_at", "heartbeat_s",
    "failsafe_s", "revision",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class State:
    """Whether a site is heard, as the page shows it."""

    word: str
    icon: str
    tone: str


def state_word(state: str) -> str:
    """Say a stored state."""
    return {
        ConnectionState.WAITING: gettext("未接続"),
        ConnectionState.LIVE: gettext("監視中"),
        ConnectionState.LOST: gettext("フェイルセーフ中"),
        ConnectionState.ENDED: gettext("終了済"),
    }[ConnectionState(state)]


def state_of(row: FlexibleConnection, now: datetime) -> State:
    """Say whether the site of a connection is heard at a moment."""
    if row.state == ConnectionState.LIVE and row.heard_at is not None:
        quiet = now - row.heard_at
        if quiet > SILENT_HEARTBEATS * timedelta(seconds=row.heartbeat_s):
            at = words.jst(row.heard_at, seconds=True)
            return State(word=gettext("%(at)s から無応答") % {"at": at}, icon="half", tone="high")
    icon, tone = {
        ConnectionState.WAITING: ("ring", ""),
        ConnectionState.LIVE: ("check", "ok"),
        ConnectionState.LOST: ("alarm", "crit"),
        ConnectionState.ENDED: ("dot", ""),
    }[ConnectionState(row.state)]
    return State(word=state_word(row.state), icon=icon, tone=tone)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A connection of the list, with what is published of it."""

    row: FlexibleConnection
    state: State
    now_kw: Decimal | None
    next: Span | None

    @property
    def is_less(self) -> bool:
        """Whether less than the whole connection may be drawn now."""
        return self.now_kw is not None and self.now_kw < self.row.firm_kw + self.row.flexible_kw


def _shown(row: FlexibleConnection, spans: Sequence[Span], now: datetime) -> Shown:
    state = state_of(row, now)
    if row.state == ConnectionState.ENDED:
        return Shown(row=row, state=state, now_kw=None, next=None)
    if row.state == ConnectionState.LOST:
        return Shown(row=row, state=state, now_kw=row.firm_kw, next=None)
    return Shown(
        row=row, state=state, now_kw=spans[0].limit_kw, next=spans[1] if len(spans) > 1 else None
    )


@person_required(READ)
@require_safe
def connection_list(request: HttpRequest) -> HttpResponse:
    """All connections, what each may draw now, and whether its site is heard."""
    sight = sight_in(request)
    clock = market_time()
    rows = listed(
        request,
        connections_seen(seen_by=sight),
        filters=(
            Filter(
                name="text",
                label=gettext("拠点"),
                apply=lambda found, value: found.filter(
                    Q(site__code__icontains=value[:TEXT_MAX])
                    | Q(site__name__icontains=value[:TEXT_MAX])
                ),
            ),
            Filter(
                name="state",
                label=gettext("状態"),
                apply=lambda found, value: found.filter(state=value),
                choices=[(state, state_word(state)) for state in ConnectionState.values],
            ),
        ),
        sorts={"site": ("site__code", "id"), "firm": ("firm_kw", "id")},
        sort="site",
    )
    if rows.wants_csv:
        return rows.csv("connections.csv", HEADER, _cells)
    said = spans_said(rows.shown, from_at=clock.now)
    context = {
        **frame(request, page=PAGE, now=clock),
        "listing": rows,
        "connections": [_shown(row, said[row.id], clock.now) for row in rows.shown],
        "may_open": sight.may_somewhere(OPEN),
    }
    return render(request, "portal/tso/connections.html", context)


def _cells(row: FlexibleConnection) -> tuple[Any, ...]:
    return (
        row.site.code, row.site.name, row.organisation.code, row.firm_kw, row.flexible_kw,
        row.state, row.heard_at, row.heartbeat_s, row.failsafe_s, row.revision,
    )  # fmt: skip


def _sites(request: HttpRequest) -> Any:
    """Return the sites for which the visitor may open a connection."""
    taken = FlexibleConnection.objects.exclude(state=ConnectionState.ENDED).values("site_id")
    own = sight_in(request).organisations_for(OPEN)
    return Site.objects.filter(area__tso_id__in=own, retired_at__isnull=True).exclude(id__in=taken)


@person_required(OPEN)
@require_safe
def connection_sites(request: HttpRequest) -> HttpResponse:
    """Choose the site: all in one's own area that have no conditional connection."""
    rows = listed(
        request,
        _sites(request).select_related("organisation", "area"),
        filters=(
            Filter(
                name="text",
                label=gettext("拠点"),
                apply=lambda found, value: found.filter(
                    Q(code__icontains=value[:TEXT_MAX]) | Q(name__icontains=value[:TEXT_MAX])
                ),
            ),
        ),
        sorts={"site": ("code", "id"), "contract": ("contract_kw", "code", "id")},
        sort="site",
    )
    context = {**frame(request, page=PAGE), "listing": rows, "sites": rows.shown}
    return render(request, "portal/tso/connection_sites.html", context)


class OpenForm(PortalForm):
    """How much is firm, how much may be taken back, and how often the site is heard."""

    firm_kw = NumberField(
        label=gettext_lazy("常時利用分"), unit="kW", digits=1, low=0, high=KW_MAX, is_trimmed=True,
        help_text=gettext_lazy("いつでも受電できる量です。途絶したときはここまで下がります。"),
    )  # fmt: skip
    flexible_kw = NumberField(
        label=gettext_lazy("条件付き分"), unit="kW", digits=1, low=0, high=KW_MAX, is_trimmed=True,
        help_text=gettext_lazy("系統が混むときに減らせる量です。"),
    )  # fmt: skip
    heartbeat_s = NumberField(
        label=gettext_lazy("生存通知の間隔"), unit=gettext_lazy("秒"),
        low=HEARTBEAT_MIN_S, high=HEARTBEAT_MAX_S,
    )  # fmt: skip
    failsafe_s = NumberField(
        label=gettext_lazy("途絶とみなすまで"), unit=gettext_lazy("秒"), low=2 * HEARTBEAT_MIN_S,
        high=FAILSAFE_MAX_S, help_text=gettext_lazy("間隔の2倍以上にします。"),
    )  # fmt: skip


@person_required(OPEN)
@require_http_methods(["GET", "HEAD", "POST"])
def connection_new(request: HttpRequest, site_id: UUID) -> HttpResponse:
    """Open a conditional connection for a site of one's own area."""
    sight = sight_in(request)
    own = sight.organisations_for(OPEN)
    site = Site.objects.select_related("area", "area__tso", "organisation").filter(
        id=site_id, area__tso_id__in=own
    ).first()  # fmt: skip
    if site is None:
        raise Http404(gettext("この拠点は見つかりません。"))
    found: Site = site

    def work(clean: dict[str, Any]) -> Done:
        made = connection_open(
            site=found,
            firm_kw=clean["firm_kw"],
            flexible_kw=clean["flexible_kw"],
            heartbeat_s=int(clean["heartbeat_s"]),
            failsafe_s=int(clean["failsafe_s"]),
            by=sight,
        )
        return Done(
            url=reverse("portal:tso_connection", args=[made.id]),
            said=gettext("条件付き接続を登録しました。"),
        )

    return FormPage(
        form=lambda fields, _files: OpenForm(
            fields, initial={"heartbeat_s": Decimal(60), "failsafe_s": Decimal(180)}
        ),
        work=work,
        template="portal/tso/connection_new.html",
        context=lambda _form: {**frame(request, page=PAGE), "site": found},
    ).answer(request)


def _connection(request: HttpRequest, connection_id: UUID) -> FlexibleConnection:
    row = connections_seen(seen_by=sight_in(request)).filter(id=connection_id).first()
    if row is None:
        raise Http404(gettext("この接続は見つかりません。"))
    return row


def connection_in(request: HttpRequest, connection_id: UUID) -> FlexibleConnection:
    """Return a connection the visitor may limit and end."""
    row = _connection(request, connection_id)
    if row.state == ConnectionState.ENDED or not sight_in(request).may(OPEN, row.organisation_id):
        raise Http404(gettext("この接続は見つかりません。"))
    return row


@dataclass(frozen=True, kw_only=True)
class SpanShown:
    """A coming span, in words, and the addresses that say otherwise for it."""

    span: Span
    times: str
    replace_url: str = ""
    lift_url: str = ""


def spans_shown(
    row: FlexibleConnection, spans: Sequence[Span], *, may_change: bool
) -> list[SpanShown]:
    """Return spans in words; those that are limited lead to what says otherwise for them."""
    whole = row.firm_kw + row.flexible_kw
    found = []
    for span in spans:
        replace = lift = ""
        if may_change and span.ends_at is not None and span.limit_kw < whole:
            address = reverse("portal:tso_connection_limit", args=[row.id])
            asked = QueryDict(mutable=True)
            asked["from"] = span.starts_at.astimezone(UTC).strftime("%Y%m%dT%H%MZ")
            asked["to"] = span.ends_at.astimezone(UTC).strftime("%Y%m%dT%H%MZ")
            replace = f"{address}?{asked.urlencode()}"
            lift = f"{address}?{asked.urlencode()}&lift=1"
        found.append(
            SpanShown(span=span, times=_times(span), replace_url=replace, lift_url=lift)
        )  # fmt: skip
    return found


def _times(span: Span) -> str:
    start = words.jst_day(span.starts_at)
    if span.ends_at is None:
        return gettext("%(at)s から") % {"at": start}
    return f"{start}–{end_word(span.starts_at, span.ends_at)}"


def end_word(starts_at: datetime, ends_at: datetime) -> str:
    """Say an end: its hour alone if it ends on the day it began, midnight being 24:00."""
    first = starts_at.astimezone(words.JST).date()
    last = (ends_at - timedelta(microseconds=1)).astimezone(words.JST).date()
    return words.jst_until(ends_at) if first == last else words.jst_day(ends_at)


def _drawn(row: FlexibleConnection, spans: Sequence[Span], now: datetime) -> LimitChart:
    whole = row.firm_kw + row.flexible_kw
    local = now.astimezone(words.JST)
    # a level too near the one above would be written over it
    levels = [(whole, words.number(whole))]
    for kw in (row.firm_kw, ZERO):
        if levels[-1][0] - kw > whole * LEVELS_APART_RATIO:
            levels.append((kw, words.number(kw)))
    return limit_chart(
        spans,
        from_at=now,
        levels_kw=levels,
        top_kw=whole,
        tick_words=[
            (at, words.jst_day(at) if at.hour == 0 else words.jst(at)) for at in ticks_of(local)
        ],
    )


@person_required(READ)
@require_safe
def connection_page(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """One connection: what it may draw now and next, what was said by whom, when it was silent."""
    row = _connection(request, connection_id)
    clock = market_time()
    spans = spans_said([row], from_at=clock.now)[row.id]
    is_ended = row.state == ConnectionState.ENDED
    may_change = not is_ended and sight_in(request).may(OPEN, row.organisation_id)
    is_lost = row.state == ConnectionState.LOST
    published = spans_of(row, from_at=clock.now) if is_lost else spans
    said = list(row.limits.order_by("-number")[:SAID_MAX])
    outages = list(ConnectionOutage.objects.filter(connection=row).order_by("-id")[:OUTAGES_MAX])
    context = {
        **frame(request, page=PAGE, now=clock),
        "row": row,
        "shown": _shown(row, spans, clock.now),
        "whole_kw": row.firm_kw + row.flexible_kw,
        "drawn": None if is_ended else _drawn(row, published, clock.now),
        "spans": [] if is_ended else spans_shown(row, spans, may_change=may_change),
        "is_lost": is_lost,
        "said": [
            (each, f"{words.jst_day(each.starts_at)}–{end_word(each.starts_at, each.ends_at)}")
            for each in said
        ],
        "names": people_named({each.actor for each in said}),
        "outages": [(each, _minutes(each, clock.now)) for each in outages],
        "may_change": may_change,
    }
    return render(request, "portal/tso/connection.html", context)


def _minutes(outage: ConnectionOutage, now: datetime) -> str:
    """Say how long a site was not heard."""
    lasted = (outage.restored_at or now) - outage.heard_at
    return words.number(Decimal(int(lasted.total_seconds())) / 60, 1)


@person_required(OPEN)
@require_http_methods(["GET", "HEAD", "POST"])
def connection_close(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """End a conditional connection."""
    row = connection_in(request, connection_id)
    sight = sight_in(request)
    back = reverse("portal:tso_connection", args=[row.id])

    def work(_clean: dict[str, Any]) -> Done:
        connection_end(connection_id=row.id, by=sight)
        return Done(url=back, said=gettext("条件付き接続を終了しました。"))

    def context(_form: PortalForm) -> dict[str, Any]:
        return {
            **frame(request, page=PAGE),
            "row": row,
            "heading": gettext("条件付き接続の終了"),
            "verb": gettext("終了する"),
            "rows": [
                {"label": gettext("拠点"), "value": words.local_name(row.site)},
                {"label": gettext("常時利用分"), "value": f"{words.number(row.firm_kw)} kW"},
                {"label": gettext("条件付き分"), "value": f"{words.number(row.flexible_kw)} kW"},
            ],
            "irreversible": gettext(
                "拠点は契約電力まで受電できるようになり、上限も生存通知の監視もなくなります。"
                "元には戻せません。"
            ),
            "back_url": back,
        }

    return FormPage(
        form=lambda fields, _files: NothingForm(fields),
        work=work,
        template="portal/tso/connection_close.html",
        context=context,
    ).answer(request)
