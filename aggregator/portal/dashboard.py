"""The admin's first page: what waits for staff, each figure leading to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from accounts.approvals.models import Approval
from accounts.jobs.models import Job
from aggregator.control.models import Alarm, AlarmPriority
from aggregator.dispatch.models import DispatchInstruction
from aggregator.outbox.models import OutboxMessage
from aggregator.portal import words
from aggregator.portal.desk.selectors import instructions_now, jobs_now
from aggregator.portal.frame import market_time
from aggregator.settlement.dispute_models import Dispute
from aggregator.settlement.models import SettlementPeriod
from market.clearing.models import ClearingRun
from market.trading.models import Auction

COUNT_MAX: Final = 10_000
BAD: Final = "text-red-700 dark:text-red-500"  # classes of the admin's own stylesheet


@dataclass(frozen=True, kw_only=True)
class Card:
    """A figure, and the list of the rows that it counts."""

    name: str
    figure: str
    note: str
    url: str
    is_bad: bool = False

    @property
    def tone_class(self) -> str:
        """How its figure is coloured."""
        return BAD if self.is_bad else ""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the cards whose rows the person may see."""
    made = [
        card
        for model, cards in _CARDS
        if admin.site.get_model_admin(model).has_view_permission(request)
        for card in cards()
    ]
    return {**context, "cards": made}


def _rows_of(model: type[Model], query: str = "") -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"  # noqa: SLF001 - Django's public name for it
    return f"{reverse(name)}{f'?{query}' if query else ''}"


def _figure(count: int) -> str:
    return f"{words.number(COUNT_MAX)}+" if count > COUNT_MAX else words.number(count)


def _auctions() -> Iterator[Card]:
    rows = Auction.objects.filter(state="OPEN").order_by("gate_closure_at")
    first = rows.first()
    yield Card(
        name="受付中のオークション",
        figure=_figure(rows.count()),
        note=f"次の締切 {words.jst_day(first.gate_closure_at)}" if first else "受付中はありません",
        url=_rows_of(Auction, "state__exact=OPEN"),
    )


def _runs() -> Iterator[Card]:
    run = ClearingRun.objects.select_related("auction").defer("result", "certificate").last()
    if run is not None:
        yield Card(
            name="最新の約定計算",
            figure=run.get_state_display(),
            note=run.auction.code,
            url=_rows_of(ClearingRun),
            is_bad=run.state == "FAILED",
        )


def _orders() -> Iterator[Card]:
    seen = instructions_now(market_time().now, rows_max=1)
    lost = seen.silent_count + seen.trouble_count
    yield Card(
        name="実施中の指令",
        figure=_figure(seen.active_count),
        note=f"{words.megawatt(seen.ordered_kw)} MW",
        url=_rows_of(DispatchInstruction, "state__exact=ACTIVE"),
    )
    yield Card(
        name="未応答・辞退",
        figure=_figure(lost),
        note=f"待ち {seen.silent_count}・辞退等 {seen.trouble_count}",
        url=_rows_of(DispatchInstruction, "state__exact=SENT"),
        is_bad=seen.trouble_count > 0,
    )


def _alarms() -> Iterator[Card]:
    rows = Alarm.objects.filter(state="RAISED").order_by()
    urgent = rows.filter(priority=AlarmPriority.URGENT)[:COUNT_MAX].count()
    yield Card(
        name="警報",
        figure=_figure(rows[: COUNT_MAX + 1].count()),
        note=f"至急 {urgent}",
        url=_rows_of(Alarm, "state__exact=RAISED"),
        is_bad=urgent > 0,
    )


def _jobs() -> Iterator[Card]:
    seen = jobs_now(market_time().now)
    yield Card(
        name="ジョブ",
        figure=_figure(seen.running_count),
        note=f"待ち {seen.due_count}・停止 {seen.dead_count}",
        url=_rows_of(Job, "state__exact=QUARANTINED") if seen.dead_count else _rows_of(Job),
        is_bad=seen.dead_count > 0,
    )


def _approvals() -> Iterator[Card]:
    rows = Approval.objects.filter(state="REQUESTED").order_by()
    yield Card(
        name="承認待ち",
        figure=_figure(rows[: COUNT_MAX + 1].count()),
        note="二人目の確認を待つもの",
        url=_rows_of(Approval, "state__exact=REQUESTED"),
    )


def _messages() -> Iterator[Card]:
    waiting = OutboxMessage.objects.filter(state="WAITING").order_by()[: COUNT_MAX + 1].count()
    dead = OutboxMessage.objects.filter(state="DEAD").order_by()[: COUNT_MAX + 1].count()
    yield Card(
        name="送信待ちの通知",
        figure=_figure(waiting),
        note=f"送信断念 {_figure(dead)}",
        url=_rows_of(OutboxMessage, "state__exact=WAITING"),
    )


def _disputes() -> Iterator[Card]:
    rows = Dispute.objects.filter(state__in=("OPEN", "UNDER_REVIEW")).order_by()
    yield Card(
        name="審査中の異議",
        figure=_figure(rows[: COUNT_MAX + 1].count()),
        note="申立済と審査中",
        url=_rows_of(Dispute),
    )


def _periods() -> Iterator[Card]:
    row = SettlementPeriod.objects.filter(items__isnull=False).order_by("-start_on").first()
    yield Card(
        name="最新の締め",
        figure=words.day_short(row.start_on) if row else words.UNKNOWN,
        note=row.label if row else "締めた期間はまだありません",
        url=_rows_of(SettlementPeriod),
    )


_CARDS: Final[tuple[tuple[type[Model], Callable[[], Iterator[Card]]], ...]] = (
    (Auction, _auctions),
    (ClearingRun, _runs),
    (DispatchInstruction, _orders),
    (Alarm, _alarms),
    (Job, _jobs),
    (Approval, _approvals),
    (Dispute, _disputes),
    (SettlementPeriod, _periods),
    (OutboxMessage, _messages),
)
