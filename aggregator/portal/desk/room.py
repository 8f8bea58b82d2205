"""The control room's panels: what each says, made of what the selectors read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.template.loader import render_to_string
from django.utils.translation import gettext

from accounts.parties.sight import Sight
from aggregator.control.models import Alarm, AlarmPriority, AlarmState
from aggregator.control.selectors import alarms_open
from aggregator.portal import facts, words
from aggregator.portal.charts import desk_country as country_chart
from aggregator.portal.charts.desk_timeline import Timeline, timeline
from aggregator.portal.desk import alarm_words, country, selectors
from aggregator.portal.desk.spans import gate_spans, loop_spans, order_spans, run_spans
from market.clearing.models import ClearingRun, RunState
from market.trading.models import Auction, AuctionState

ALARMS_MAX: Final = 3
INSTRUCTIONS_MAX: Final = 4
SECONDS_PER_HOUR: Final = 3600
PANELS: Final = ("status", "timeline", "country", "alarms", "instructions", "auction", "jobs")
# what is told first
URGENT_FIRST: Final = (
    "instructions", "alarms", "status", "auction", "jobs", "timeline", "country",
)  # fmt: skip
# which topics' marks a panel is made of
TOPICS: Final[Mapping[str, frozenset[str]]] = {
    "status": frozenset({"alarms", "instructions", "jobs", "auctions", "time"}),
    "timeline": frozenset({"instructions", "auctions", "time"}),
    "country": frozenset({"instructions", "auctions", "time"}),
    "alarms": frozenset({"alarms"}),
    "instructions": frozenset({"instructions", "time"}),
    "auction": frozenset({"auctions", "approvals", "time"}),  # bids come in without a mark
    "jobs": frozenset({"jobs", "time"}),
}


@dataclass(frozen=True, kw_only=True)
class View:
    """Which room: one for each language and for who may act or only look."""

    language: str
    may_act: bool


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel as it is sent, and what tells it from another state of itself."""

    name: str
    html: str

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of its content."""
        return hashlib.sha256(self.html.encode()).hexdigest()[:8]


@dataclass(kw_only=True)
class Shared:
    """What several panels say, read once for all of them."""

    now: datetime
    sight: Sight

    @cached_property
    def auctions(self) -> list[Auction]:
        """Auctions around the day."""
        return selectors.auctions_around(selectors.half_hour_of(self.now)[0])

    @cached_property
    def runs(self) -> dict[UUID, ClearingRun]:
        """The latest run of each of them."""
        return selectors.latest_runs(row.id for row in self.auctions if row.closed_at)

    @cached_property
    def instructions(self) -> selectors.InstructionsNow:
        """Open instructions."""
        return selectors.instructions_now(self.now, rows_max=INSTRUCTIONS_MAX)

    @cached_property
    def jobs(self) -> selectors.JobsNow:
        """The list of jobs."""
        return selectors.jobs_now(self.now)

    @cached_property
    def alarms(self) -> list[Alarm]:
        """Open alarms, those that wait for a person first."""
        return list(alarms_open(seen_by=self.sight)[:500])


def panels_each(
    names: Iterable[str], *, now: datetime, sight: Sight, may_act: bool
) -> Iterator[Panel]:
    """Render panels in the language that is active, one after the other."""
    shared = Shared(now=now, sight=sight)
    for name in names:
        context = {**READERS[name](shared), "may_act": may_act, "panel": name}
        yield Panel(name=name, html=render_to_string(f"portal/desk/room_{name}.html", context))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the status strip."""

    name: str
    figure: str
    note: str = ""
    tone: str = ""
    gate_ms: int | None = None
    url: str = ""


def _status(shared: Shared) -> dict[str, Any]:
    instructions, jobs = shared.instructions, shared.jobs
    return {
        "cells": [
            _auction_cell(selectors.auction_now(shared.auctions, shared.now)),
            Cell(
                name=gettext("実施中の指令"),
                figure=str(instructions.active_count),
                note=gettext("件・%(mw)s MW") % {"mw": words.megawatt(instructions.ordered_kw)},
            ),
            _answer_cell(instructions),
            _silent_cell(instructions),
            _run_cell(shared),
            _alarm_cell(shared.alarms),
            Cell(
                name=gettext("ジョブ"),
                figure=str(jobs.running_count),
                note=gettext("実行中・待ち %(n)s") % {"n": words.number(jobs.due_count)}
                + (gettext("・停止 %(n)s") % {"n": jobs.dead_count} if jobs.dead_count else ""),
                tone="high" if jobs.dead_count else "",
            ),
        ]
    }


def _auction_cell(auction: Auction | None) -> Cell:
    name = gettext("オークション")
    if auction is None:
        return Cell(name=name, figure=words.UNKNOWN, note=gettext("予定はありません"))
    state = facts.state_of(auction)
    day = f"{auction.delivery_on.month}/{auction.delivery_on.day}"
    if auction.state == AuctionState.OPEN:
        gate_ms = int(auction.gate_closure_at.timestamp() * 1000)
        note = gettext("受渡 %(day)s・締切") % {"day": day}
        return Cell(name=name, figure=gettext("受付中"), note=note, gate_ms=gate_ms)
    if auction.state == AuctionState.SCHEDULED:
        at = words.jst_day(auction.opens_at)
        note = gettext("受渡 %(day)s・募集 %(at)s") % {"day": day, "at": at}
        return Cell(name=name, figure=state.word, note=note)
    tone = "crit" if auction.state == AuctionState.CANCELLED else ""
    note = gettext("受渡 %(day)s") % {"day": day}
    return Cell(name=name, figure=state.word, note=note, tone=tone)


def _answer_cell(seen: selectors.InstructionsNow) -> Cell:
    name = gettext("応動（拠点の報告）")
    if not seen.said_of_kw:
        note = gettext("報告待ち") if seen.active_count else gettext("指令なし")
        return Cell(name=name, figure=words.UNKNOWN, note=note)
    ratio = seen.said_kw / seen.said_of_kw
    note = gettext("%%・%(mw)s MW") % {"mw": words.megawatt(seen.said_kw)}
    tone = "high" if ratio < alarm_words.TOLERANCE_RATIO else ""
    return Cell(name=name, figure=words.percent(ratio), note=note, tone=tone)


def _silent_cell(seen: selectors.InstructionsNow) -> Cell:
    count = seen.silent_count + seen.trouble_count
    note = gettext("待ち %(silent)d・辞退等 %(lost)d") % {
        "silent": seen.silent_count,
        "lost": seen.trouble_count,
    }
    tone = "crit" if seen.trouble_count else ""
    return Cell(name=gettext("未応答"), figure=str(count), note=note, tone=tone)


def _run_cell(shared: Shared) -> Cell:
    name = gettext("直近の約定計算")
    cleared = [row for row in shared.auctions if row.closed_at is not None]
    if not cleared:
        return Cell(name=name, figure=words.UNKNOWN, note=gettext("まだありません"))
    last = max(cleared, key=lambda row: row.closed_at or row.gate_closure_at)
    run = shared.runs.get(last.id)
    if run is None:
        return Cell(name=name, figure=gettext("待機"), note=last.code)
    word, tone = {
        RunState.READY: (gettext("待機"), ""),
        RunState.RUNNING: (gettext("計算中"), ""),
        RunState.VERIFIED: (gettext("検証済・公表待ち"), ""),
        RunState.PUBLISHED: (gettext("公表済"), ""),
        RunState.FAILED: (gettext("失敗"), "crit"),
    }[RunState(run.state)]
    note = last.code if run.number == 1 else f"{last.code} #{run.number}"
    return Cell(name=name, figure=word, note=note, tone=tone)


def _alarm_cell(alarms: Sequence[Alarm]) -> Cell:
    rows = [row.priority for row in alarms if row.state == AlarmState.RAISED]
    urgent = rows.count(AlarmPriority.URGENT)
    note = gettext("件・至急 %(n)d") % {"n": urgent}
    return Cell(
        name=gettext("警報"), figure=str(len(rows)), note=note, tone="crit" if urgent else ""
    )


@dataclass(frozen=True, kw_only=True)
class AlarmSeen:
    """An alarm in words."""

    row: Alarm
    glyph: str
    tone: str
    word: str
    title: str
    note: str
    at: str
    url: str


def alarm_seen(row: Alarm, subjects: Mapping[str, Any]) -> AlarmSeen:
    """Say an alarm in the page's language."""
    glyph, tone, word = alarm_words.priority_words(row.priority)
    said = alarm_words.said(row, subjects.get(row.subject))
    return AlarmSeen(
        row=row,
        glyph=glyph,
        tone=tone,
        word=word,
        title=said.title,
        note=said.note,
        at=words.jst(row.raised_at, seconds=True),
        url=said.url,
    )


def _alarms(shared: Shared) -> dict[str, Any]:
    rows = shared.alarms
    subjects = alarm_words.subjects_of(rows[:ALARMS_MAX])
    counted = []
    for priority in AlarmPriority.values:
        count = sum(row.priority == priority for row in rows)
        if count:
            glyph, tone, word = alarm_words.priority_words(priority)
            counted.append({"glyph": glyph, "tone": tone, "word": word, "count": count})
    return {
        "alarms": [alarm_seen(row, subjects) for row in rows[:ALARMS_MAX]],
        "counted": counted,
        "more_count": max(0, len(rows) - ALARMS_MAX),
    }


def _instructions(shared: Shared) -> dict[str, Any]:
    seen = shared.instructions
    return {
        "seen": seen,
        "more_count": max(0, seen.open_count + seen.trouble_count - len(seen.rows)),
        "tolerance_percent": words.percent(alarm_words.TOLERANCE_RATIO),
    }


def _auction(shared: Shared) -> dict[str, Any]:
    auction = selectors.auction_now(shared.auctions, shared.now)
    if auction is None:
        return {"seen": None}
    run = shared.runs.get(auction.id)
    seen = selectors.auction_seen(auction, seen_by=shared.sight, run=run)
    return {"seen": seen, "state": facts.state_of(auction)}


def _jobs(shared: Shared) -> dict[str, Any]:
    from aggregator.portal.desk.job_words import job_seen

    seen = shared.jobs
    return {"seen": seen, "jobs": [job_seen(row) for row in seen.rows]}


def _timeline(shared: Shared) -> dict[str, Any]:
    now = shared.now
    day, _ = selectors.half_hour_of(now)
    spans = gate_spans(shared.auctions, now)
    spans += run_spans(shared.auctions, shared.runs, now)
    halves = selectors.half_hours_of(day)
    spans += loop_spans(halves, (now - selectors.day_start_of(now)).total_seconds() / 1_800)
    spans += order_spans({way: [one.kw[way] for one in halves] for way in ("UP", "DOWN")})
    start = selectors.day_start_of(now)
    drawn: Timeline = timeline(
        [
            ("ahead", gettext("前日")),
            ("intraday", gettext("当日")),
            ("runs", gettext("約定計算")),
            ("loop", gettext("30分ループ")),
            ("UP", gettext("上げ指令")),
            ("DOWN", gettext("下げ指令")),
        ],
        spans,
        now_h=(now - start).total_seconds() / SECONDS_PER_HOUR,
        now_text=words.jst(now),
    )
    return {"drawn": drawn, "day": day, "spans": [span for span in spans if span.title]}


def _country(shared: Shared) -> dict[str, Any]:
    now = shared.now
    seen = country.country_now(now, shared.auctions)
    _, t = selectors.half_hour_of(now)
    boxes = _area_boxes(seen)
    ties = [
        country_chart.TieLine(
            x1=boxes[tie.start].x + country_chart.BOX_WIDTH / 2,
            y1=boxes[tie.start].y + country_chart.BOX_HEIGHT / 2,
            x2=boxes[tie.end].x + country_chart.BOX_WIDTH / 2,
            y2=boxes[tie.end].y + country_chart.BOX_HEIGHT / 2,
            tone=country_chart.ramp_class(tie.ratio),
            width=country_chart.tie_width(tie.ratio),
            told=f"{words.percent(tie.ratio)}%"
            if tie.ratio is not None and tie.ratio >= country_chart.TOLD_RATIO
            else "",
            title=f"{tie.name} {words.percent(tie.ratio)} %",
        )
        for tie in seen.ties
    ]
    return {
        "seen": seen,
        "koma": words.koma_full(t),
        "boxes": list(boxes.values()),
        "ties": ties,
        "map": _map(seen),
        "over": [line for line in seen.lines if line.ratio >= country_chart.FULL_RATIO][::-1],
    }


def _area_boxes(seen: country.Country) -> dict[str, country_chart.AreaBox]:
    boxes = {}
    for spare, row in enumerate(seen.areas):
        x, y = country_chart.box_at(row.area.code, spare)
        marks = [
            (tone, f"{glyph}{count}")
            for tone, glyph, count in (
                ("crit", "◆", row.trouble), ("up", "▲", row.active_up),
                ("down", "▼", row.active_down),
            )
            if count
        ]  # fmt: skip
        net = "" if row.net_kw is None else words.megawatt(row.net_kw)
        boxes[row.area.code] = country_chart.AreaBox(
            x=x - country_chart.BOX_WIDTH / 2,
            y=y - country_chart.BOX_HEIGHT / 2,
            name=words.local_name(row.area),
            price=words.number(row.price_jpy_per_kwh, 2),
            net=f"+{net}" if row.net_kw and row.net_kw > 0 else net,
            tone="bad" if row.trouble else country_chart.ramp_class(row.worst_ratio),
            marks=marks,
            title=row.worst_name,
        )
    return boxes


def _map(seen: country.Country) -> dict[str, Any] | None:
    points = [(place.longitude_deg, place.latitude_deg) for place in seen.places]
    for line in seen.lines:
        points += [line.ends[:2], line.ends[2:]]
    fitted = country_chart.projection(points)
    if fitted is None:
        return None
    lines = []
    for line in seen.lines:
        (x1, y1), (x2, y2) = fitted.at(*line.ends[:2]), fitted.at(*line.ends[2:])
        lines.append(
            {
                "d": f"M{x1} {y1}L{x2} {y2}",
                "tone": country_chart.ramp_class(line.ratio if seen.has_result else None),
                "title": f"{line.name} {words.percent(line.ratio)} %",
            }
        )
    return {"lines": lines, **_sites(seen.places, fitted)}


def _sites(
    places: Sequence[country.Place], fitted: country_chart.Projection
) -> dict[str, Sequence[Any]]:
    """Return sites to be drawn and named one by one, and the others as one path a state.

    Of many sites the names would only hide each other: trouble is named, as far as there is room.
    """
    by_worth = sorted(places, key=lambda place: (SITE_STATES.index(place.state), place.name))
    many = len(places) > SITES_NAMED_MAX
    alone = [p for p in by_worth if not many or p.state == "TROUBLE"][:SITES_NAMED_MAX]
    shapes: dict[str, dict[str, None]] = {}
    for place in by_worth if many else ():
        at = fitted.at(place.longitude_deg, place.latitude_deg)
        shapes.setdefault(place.state, {})[country_chart.site_path(place.state, *at)] = None
    named = []
    for place in reversed(alone):
        x, y = fitted.at(place.longitude_deg, place.latitude_deg)
        named.append(
            {
                # as text: numbers would be written for people, digit group by digit group
                "x": str(x),
                "y": str(y),
                "d": country_chart.site_path(place.state, x, y),
                "state": place.state or "idle",
                "name": place.name,
            }
        )
    marks = [(state or "idle", "".join(found)) for state, found in reversed(shapes.items())]
    return {"sites": named, "marks": marks}


# worst first; of more sites than that on the map only trouble is named
SITE_STATES: Final = ("TROUBLE", "DOWN", "UP", "")
SITES_NAMED_MAX: Final = 60

Reader = Callable[[Shared], dict[str, Any]]
READERS: Final[Mapping[str, Reader]] = {
    "status": _status,
    "timeline": _timeline,
    "country": _country,
    "alarms": _alarms,
    "instructions": _instructions,
    "auction": _auction,
    "jobs": _jobs,
}
