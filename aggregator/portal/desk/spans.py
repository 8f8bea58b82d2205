"""What lies in the rows of the day's timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext

from aggregator.portal import facts, words
from aggregator.portal.charts.desk_timeline import Span, stretches
from aggregator.portal.desk import selectors
from market.clearing.models import ClearingRun, RunState
from market.trading.models import Auction, AuctionState

SECONDS_PER_HOUR = 3600


def _hours(moment: datetime, now: datetime) -> float:
    return (moment - selectors.day_start_of(now)).total_seconds() / SECONDS_PER_HOUR


def gate_spans(auctions: Sequence[Auction], now: datetime) -> list[Span]:
    """Return when bids are taken: auctions for later days above those of the day itself."""
    found = []
    for row in auctions:
        opened_on = row.gate_closure_at.astimezone(words.JST).date()
        where = "ahead" if row.delivery_on > opened_on else "intraday"
        tone = {
            AuctionState.OPEN: "b-open",
            AuctionState.SCHEDULED: "b-next",
            AuctionState.CANCELLED: "b-bad",
        }.get(AuctionState(row.state), "b-done")
        state = facts.state_of(row).word
        day = f"{row.delivery_on.month}/{row.delivery_on.day}"
        found.append(
            Span(
                row=where,
                start_h=_hours(row.opens_at, now),
                end_h=_hours(row.shut_at, now),
                tone=tone,
                text=f"{day} {state}",
                title=gettext("%(code)s：募集 %(opens)s、締切 %(gate)s、%(state)s")
                % {
                    "code": row.code,
                    "opens": words.jst_day(row.opens_at),
                    "gate": words.jst_day(row.shut_at),
                    "state": state,
                },
            )
        )
    return found


def run_spans(
    auctions: Sequence[Auction], runs: Mapping[UUID, ClearingRun], now: datetime
) -> list[Span]:
    """Return when results were calculated."""
    closed = [row for row in auctions if row.closed_at is not None]
    found = []
    for row in closed:
        run = runs.get(row.id)
        if run is None or row.closed_at is None:
            continue
        is_bad = run.state == RunState.FAILED
        end = run.published_at or now
        begin_h = _hours(row.closed_at, now)
        word = (
            gettext("失敗") if is_bad else gettext("公表") if run.published_at else gettext("計算")
        )
        found.append(
            Span(
                row="runs",
                start_h=begin_h,
                end_h=max(_hours(end, now), begin_h + 0.12),
                tone="b-bad" if is_bad else "b-again" if run.number > 1 else "b-done",
                text=f"{row.delivery_on.month}/{row.delivery_on.day} {word}",
                title=gettext("%(code)s：約定計算 %(n)d回目、%(word)s")
                % {"code": row.code, "n": run.number, "word": word},
            )
        )
    return found


def order_spans(ordered_kw: Mapping[str, Sequence[float]]) -> list[Span]:
    """Return when sites are ordered to act, by direction."""
    found = []
    for direction, tone, word in (
        ("UP", "b-up", gettext("上げ")),
        ("DOWN", "b-down", gettext("下げ")),
    ):
        for first, end, top_kw in stretches(ordered_kw[direction]):
            mw = words.megawatt(top_kw)
            found.append(
                Span(
                    row=direction,
                    start_h=first / 2,
                    end_h=end / 2,
                    tone=tone,
                    text=f"{word} {mw} MW",
                    title=gettext("%(word)s指令 %(start)s–%(end)s、最大 %(mw)s MW")
                    % {
                        "word": word,
                        "start": words.clock(first),
                        "end": words.clock(end),
                        "mw": mw,
                    },
                )
            )
    return found


def loop_spans(halves: Sequence[selectors.HalfHour], now_t: float) -> list[Span]:
    """Return the half-hour loop: ordered, acted, and told by the sites once it is over.

    Parameters
    ----------
    now_t
        Half hours since midnight.
    """
    found = []
    for t, one in enumerate(halves):
        is_over, is_now = t + 1 <= now_t, t <= now_t < t + 1
        missing = one.ordered_count - one.told_count
        tone = "b-open" if is_now else "b-next"
        word = gettext("実施中") if is_now else gettext("予定")
        if is_over:
            tone = "b-again" if missing else "b-done"
            word = gettext("報告 %(told)d/%(all)d 件") % {
                "told": one.told_count,
                "all": one.ordered_count,
            }
        title = ""
        if one.ordered_count:
            title = gettext("%(koma)s：指令 %(n)d 件、%(word)s") % {
                "koma": words.koma_full(t),
                "n": one.ordered_count,
                "word": word,
            }
        found.append(
            Span(row="loop", start_h=t / 2 + 0.04, end_h=(t + 1) / 2 - 0.04, tone=tone, title=title)
        )
    return found
