"""A trader's home: how long until the gate, what must be done, what was sold, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_safe

from accounts.core.csvtext import Cell
from accounts.parties.sight import Sight
from aggregator.portal import words
from aggregator.portal.dc import looks, selectors
from aggregator.portal.dc.day_price import day_price
from aggregator.portal.dc.desk import KIND
from aggregator.portal.dc.looks import ResourceSums
from aggregator.portal.dc.pictures import chart_answer
from aggregator.portal.dc.tentative import Waiting, waiting_from
from aggregator.portal.drafts import drafts_open
from aggregator.portal.entering import person_required
from aggregator.portal.facts import mechanism_word
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import csv_answer
from aggregator.portal.tokens import Palette
from market.trading.models import Auction

READ: Final = "bid.read"
HALF_HOURS: Final = 48
MERIT: Final = ("RENEWABLE", "BATTERY", "SPATIAL", "DEFERRAL", "POWER_CAP", "STOP")
SITES_MAX: Final = 6
TODO_SHOWN: Final = 6


@dataclass(frozen=True, kw_only=True)
class Todo:
    """One thing to do; priority 1 must be done now."""

    priority: int
    title: str
    text: str
    url: str
    verb: str


@dataclass(frozen=True, kw_only=True)
class StageShown:
    """One moment in an auction's life."""

    name: str
    at: datetime
    is_past: bool
    is_now: bool


@person_required(READ)
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the day at one look."""
    sight = sight_in(request)
    now = market_time()
    today = selectors.jst_day(now.now)
    opened = selectors.auctions_open()
    auction = opened[0] if opened else None
    coming = selectors.auction_coming() if auction is None else None
    drafts = list(_drafts(sight, opened))
    submitted = selectors.bid_count(sight, auction) if auction else 0
    published = selectors.days_published(sight)
    waiting = waiting_from(sight, published, today)
    todos = todos_of(sight, now.now, drafts, auction, submitted=submitted, waiting=waiting)
    shown_on = selectors.position_day(published, today)
    up, down, price = selectors.position_on(sight, shown_on)
    verified = looks.verified_latest(published) if sight.may_somewhere("delivery.read") else None
    by_resource = (
        looks.sums_by_resource(looks.deliveries_own(sight, verified[1])) if verified else []
    )
    return render(
        request,
        "portal/dc/home.html",
        {
            **frame(request, page="dc_home", now=now),
            "auction": auction,
            "coming": coming,
            "gate_ms": int(auction.gate_closure_at.timestamp() * 1000) if auction else None,
            "stages": stages_of(auction, now.now) if auction else [],
            "submitted": submitted,
            "drafts": drafts,
            "todos": todos[:TODO_SHOWN],
            "urgent": sum(todo.priority == 1 for todo in todos),
            "sentence": sentence_of(len(drafts), up if shown_on == today else {}),
            "shown_on": shown_on,
            "is_today": shown_on == today,
            "position": _position(up, down, price),
            "mechanisms": [(name, mechanism_word(name)) for name in MERIT if name in up],
            "position_rows": _position_rows(up, down, price),
            "has_position": bool(up) or any(down),
            "last": _last(verified, by_resource),
            "last_resource": by_resource[0] if by_resource else None,
            "prices": day_price(sight, published, today),
            "today": today,
            "waiting": waiting,
            "money": selectors.month_money(sight, now.now)
            if sight.may_somewhere("statement.read")
            else None,
            "sites": selectors.sites_of(sight)[:SITES_MAX],
            "writes": sight.may_somewhere("bid.submit"),
        },
    )


def _drafts(sight: Sight, opened: list[Auction]) -> Any:
    own = [row.id for row in selectors.operators_of(sight, "bid.submit")]
    codes = [row.code for row in opened]
    return drafts_open(organisation_ids=own, kind=KIND).filter(subject__in=codes)[:50]


def sentence_of(draft_count: int, up: dict[str, list[Decimal]]) -> str:
    """Say in one sentence what the day asks."""
    if draft_count:
        text = ngettext(
            "次の締切までに下書き%(n)d件の確認が必要です。",
            "次の締切までに下書き%(n)d件の確認が必要です。",
            draft_count,
        )
        return text % {"n": draft_count}
    if up:
        return gettext("本日の約定を履行します。")
    return gettext("本日の約定はありません。")


def todos_of(
    sight: Sight,
    now: datetime,
    drafts: list[Any],
    auction: Auction | None,
    *,
    submitted: int,
    waiting: Sequence[Waiting] = (),
) -> list[Todo]:
    """Return what waits for the person, the most urgent first."""
    found = []
    if sight.may_somewhere("instruction.answer"):
        for row in selectors.instructions_waiting(sight).order_by("respond_by_at", "id")[:20]:
            left = max(timedelta(0), row.respond_by_at - now)
            found.append(
                Todo(
                    priority=1,
                    title=gettext("指令の受領を確認"),
                    text=gettext("%(site)s・%(start)sから・応答期限 %(until)s・あと%(left)d分")
                    % {
                        "site": words.local_name(row.resource.site),
                        "start": words.jst(row.starts_at),
                        "until": words.jst(row.respond_by_at),
                        "left": int(left.total_seconds() // 60),
                    },
                    url=reverse("portal:dc_instruction", args=[row.id]),
                    verb=gettext("確認する"),
                )
            )
    if drafts:
        first = drafts[0]
        many = ngettext(
            "下書きの入札が%(n)d件あります", "下書きの入札が%(n)d件あります", len(drafts)
        )
        one = reverse("portal:dc_bid_edit", args=[first.subject, first.name])
        found.append(
            Todo(
                priority=2,
                title=many % {"n": len(drafts)},
                text=gettext("%(name)s。未提出のまま締め切られます。")
                % {"name": gettext("、").join(draft.name for draft in drafts[:2])},
                url=one if len(drafts) == 1 else reverse("portal:dc_bids"),
                verb=gettext("開く"),
            )
        )
    if auction is not None and not drafts and not submitted:
        found.append(
            Todo(
                priority=4,
                title=gettext("次のオークションに入札していません"),
                text=words.auction_name(auction),
                url=f"{reverse('portal:dc_bids')}?{urlencode({'auction': auction.code})}",
                verb=gettext("入札する"),
            )
        )
    return found + [_waiting_todo(one) for one in waiting]


def _waiting_todo(one: Waiting) -> Todo:
    """Tell of awards that are not final yet; nothing is to be done but to keep the kW free."""
    many = ngettext(
        "仮約定が%(n)d件、注文を待っています", "仮約定が%(n)d件、注文を待っています", one.bid_count
    )
    url = reverse("portal:dc_awards")
    return Todo(
        priority=4,
        title=many % {"n": one.bid_count},
        text=gettext("%(day)s・%(kwh)s kWh・注文の期限 %(at)s。注文されるまで指令は出ません。")
        % {
            "day": words.day_short(one.auction.delivery_on),
            "kwh": words.number(one.energy_kwh),
            "at": words.jst_day(one.until_at),
        },
        url=f"{url}?{urlencode({'auction': one.auction.code})}",
        verb=gettext("見る"),
    )


def stages_of(auction: Auction, now: datetime) -> list[StageShown]:
    """Return the moments of an auction that has not been cleared yet."""
    stages = [
        (gettext("募集開始"), auction.opens_at),
        (gettext("入札受付中"), auction.opens_at),
        (gettext("締切"), auction.gate_closure_at),
        (gettext("受渡し"), auction.delivery_start),
    ]
    found = []
    for i, (name, at) in enumerate(stages):
        is_now = i == 1 and auction.opens_at <= now < auction.gate_closure_at
        found.append(StageShown(name=name, at=at, is_past=at <= now and not is_now, is_now=is_now))
    return found


def _position(
    up: dict[str, list[Decimal]], down: list[Decimal], price: list[Decimal | None]
) -> dict[str, Any]:
    sums = [sum((part[t] for part in up.values()), Decimal(0)) for t in range(HALF_HOURS)]
    peak = max(sums)
    known = [value for value in price if value is not None]
    return {
        "peak_kw": peak,
        "peak_t": sums.index(peak) if peak else None,
        "up_kwh": sum(sums, Decimal(0)) / 2,
        "down_kwh": sum(down, Decimal(0)) / 2,
        "price_max": max(known) if known else None,
    }


def _position_rows(
    up: dict[str, list[Decimal]], down: list[Decimal], price: list[Decimal | None]
) -> list[dict[str, Any]]:
    return [
        {
            "t": t,
            "up_kw": sum((part[t] for part in up.values()), Decimal(0)),
            "down_kw": down[t],
            "price": price[t],
        }
        for t in range(HALF_HOURS)
        if down[t] or any(part[t] for part in up.values())
    ]


def _last(verified: Any, by_resource: Sequence[ResourceSums]) -> dict[str, Any] | None:
    if verified is None:
        return None
    auction, verification = verified
    ordered = sum((row.ordered_kwh for row in by_resource), Decimal(0))
    delivered = sum((row.delivered_kwh for row in by_resource), Decimal(0))
    return {
        "auction": auction,
        "stage": verification.stage,
        "ratio": delivered / ordered if ordered else None,
        "ordered": ordered,
        "delivered": delivered,
        "missing": sum((row.missing_kwh for row in by_resource), Decimal(0)),
    }


@person_required(READ)
@require_safe
def position_chart(request: HttpRequest) -> HttpResponse:
    """Draw what was awarded for today."""
    now, sight = market_time().now, sight_in(request)
    today = selectors.jst_day(now)
    shown_on = selectors.position_day(selectors.days_published(sight), today)
    up, down, _ = selectors.position_on(sight, shown_on)
    local = now.astimezone(words.JST)

    def build(palette: Palette) -> Any:
        from aggregator.portal.charts.dc import PositionChart, position_figure

        chart = PositionChart(
            parts=[
                (name, mechanism_word(name), [float(kw) for kw in up[name]])
                for name in (*MERIT, "COMPUTE")
                if name in up
            ],
            down_kw=[float(kw) for kw in down],
            now_t=(local.hour * 60 + local.minute) / 30 if shown_on == today else None,
            words={
                "now": gettext("現在 %(at)s") % {"at": words.jst(now)},
                "down": gettext("下げ"),
            },
        )
        return position_figure(chart, palette)

    return chart_answer(request, build)


@person_required(READ)
@require_safe
def position_csv(request: HttpRequest) -> HttpResponse:
    """Give the day's position as CSV."""
    sight = sight_in(request)
    published = selectors.days_published(sight)
    today = selectors.position_day(published, selectors.jst_day(market_time().now))
    up, down, price = selectors.position_on(sight, today)
    rows: list[list[Cell]] = [
        [today, row["t"] + 1, row["up_kw"], row["down_kw"], row["price"]]
        for row in _position_rows(up, down, price)
    ]
    header = ("delivery_on", "koma", "up_kw", "down_kw", "price_jpy_per_kwh")
    return csv_answer(f"position-{today.isoformat()}.csv", header, rows)
