"""The control room: who has it, what it costs, and how news of a commit reaches who looks."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from accounts.jobs.models import Job
from accounts.jobs.services import job_create
from accounts.parties.sight import sight_of
from aggregator.control.services import alarm_raise
from aggregator.dispatch.models import DispatchInstruction
from aggregator.dispatch.services import instruction_acknowledge
from aggregator.portal.charts.desk_country import ramp_class
from aggregator.portal.charts.desk_timeline import LEFT, WIDTH, Span, stretches, timeline
from aggregator.portal.desk import live
from aggregator.portal.desk.job_words import percent_of
from aggregator.portal.desk.room import PANELS, View
from aggregator.portal.desk.selectors import HalfHour
from aggregator.portal.desk.spans import loop_spans
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrix_desk import instruction_of

JAPANESE = re.compile(r"[぀-ヿ一-鿿、-〟（）]+")
QUERIES_MAX = 20
ROOM_QUERIES_MAX = 29  # nothing known yet
ROOM_AGAIN_MAX = 7


def body_of(day: cast.MarketDay, address: str, language: str = "ja") -> str:
    answer = client_of(day.places.people.desk, language).get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


@pytest.fixture
def busy(day: cast.MarketDay) -> cast.MarketDay:
    """Return a day with an order that waits for its site, an alarm about it, and a job at work."""
    row = instruction_of(day)
    alarm_raise(kind="instruction.silent", priority=3, subject=row, text="", key="a")
    job = job_create(kind="aggregator.settlement.run_execute", key="x")
    Job.objects.filter(id=job.id).update(state="RUNNING", token=1, step="lines 64 %")
    return day


def test_the_room_shows_orders_alarms_jobs_and_the_auction(busy: cast.MarketDay) -> None:
    text = body_of(busy, "/desk/")
    for panel in PANELS:
        assert f'data-panel="{panel}"' in text
    assert (
        "印西データセンター第1：指令の受領確認がまだありません" in re.sub(r"<[^>]+>", "", text)
        or "指令の受領確認がまだありません" in text
    )
    assert "受諾待ち" in text
    assert "64 %" in text
    assert "data-urgent-count" not in text


def test_no_page_of_the_desk_asks_the_database_often(busy: cast.MarketDay) -> None:
    row = DispatchInstruction.objects.get()
    pages = ("/desk/", "/desk/alarms/", "/desk/auctions/", f"/desk/auctions/{busy.auction.code}/",
             "/desk/instructions/", f"/desk/instructions/{row.id}/", "/desk/jobs/")  # fmt: skip
    client = client_of(busy.places.people.desk)
    counts = {}
    for page in pages:
        with CaptureQueriesContext(connection) as queries:
            client.get(page)
        counts[page] = len(queries)
    # seven panels on one page: what they share is read once
    room_count = counts.pop("/desk/")
    assert room_count <= ROOM_QUERIES_MAX, room_count
    assert {page: count for page, count in counts.items() if count > QUERIES_MAX} == {}


def test_a_room_that_was_just_shown_is_shown_again_unless_something_changed(
    busy: cast.MarketDay,
) -> None:
    client = client_of(busy.places.people.desk)
    client.get("/desk/")
    with CaptureQueriesContext(connection) as again:
        text = client.get("/desk/").content.decode()
    assert len(again) <= ROOM_AGAIN_MAX
    assert "受諾待ち" in text
    row = DispatchInstruction.objects.get()
    instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
    with CaptureQueriesContext(connection) as changed:
        text = client.get("/desk/").content.decode()
    assert "受諾待ち" not in text
    assert ROOM_AGAIN_MAX < len(changed) < len(again) + ROOM_QUERIES_MAX


@pytest.mark.parametrize("page", [
    "/desk/", "/desk/alarms/", "/desk/auctions/", "/desk/instructions/", "/desk/jobs/",
    "/desk/auctions/new/",
])  # fmt: skip
def test_the_desks_english_is_whole(busy: cast.MarketDay, page: str) -> None:
    text = re.sub(
        r"<button[^>]*lang=.*?</button>|<title>.*?</title>", "", body_of(busy, page, "en"),
        flags=re.DOTALL,
    )  # fmt: skip
    own = ("ワットビット", "前日")  # names that the cast gives in Japanese only
    found = {word for word in JAPANESE.findall(text) if word not in own}
    assert found == set()


def test_who_has_seen_everything_is_told_nothing_again(busy: cast.MarketDay) -> None:
    client = client_of(busy.places.people.desk)
    first = client.get("/desk/state.json").json()
    assert set(first["panels"]) == set(PANELS)
    again = client.get(f"/desk/state.json?have={first['id']}").json()
    assert again["panels"] == {}
    alarm_raise(kind="job.dead", priority=2, subject="jobs.job:1", text="x", key="b")
    news = client.get(f"/desk/state.json?have={first['id']}").json()
    assert set(news["panels"]) == {"status", "alarms"}
    # what is no name of a state is nothing
    assert set(client.get("/desk/state.json?have=zz").json()["panels"]) == set(PANELS)


def test_an_auditor_looks_on_without_buttons(busy: cast.MarketDay) -> None:
    auditor = cast.member("auditor", busy.places.people.platform, "auditor")
    text = client_of(auditor).get("/desk/").content.decode()
    # the list of keys names the button, and does not make one
    assert re.search(r"\sdata-acknowledge", text) is None
    assert client_of(auditor).get(f"/desk/auctions/{busy.auction.code}/cancel/").status_code == 404


@pytest.fixture
def ended() -> Iterator[None]:
    yield
    live.WATCH.end()


def listen(day: cast.MarketDay, known: dict[str, str]) -> Iterator[str]:
    desk = day.places.people.desk
    view = View(language="ja", may_act=True)
    return live.stream(view, sight_of(desk), known, lambda: True)


def until(told: Iterator[str], name: str, wait_s: float = 5.0) -> tuple[str, float]:
    """Return the first piece with an event of this name, and how long it took."""
    began = time.monotonic()
    for piece in told:
        if f"event: {name}\n" in piece:
            return piece, time.monotonic() - began
        assert time.monotonic() - began < wait_s, name
    raise AssertionError("the stream ended")


@pytest.mark.django_db(transaction=True)
def test_a_commit_reaches_who_listens_within_a_second(ended: None) -> None:
    day = cast.published_day()
    cast.market_time(day.auction.delivery_start - timedelta(hours=4))
    row = instruction_of(day)
    told = listen(day, {})
    until(told, "instructions")
    took = []
    for state in ("ACKNOWLEDGED", "ACTIVE", "FINISHED"):
        DispatchInstruction.objects.filter(id=row.id).update(state=state, token=F("token") + 1)
        piece, seconds = until(told, "instructions")
        took.append(seconds)
    assert "開いている指令はありません" in piece
    assert min(took) <= 1.0
    told.close()  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_who_comes_back_hears_only_what_is_new(ended: None) -> None:
    day = cast.published_day()
    cast.market_time(day.auction.delivery_start - timedelta(hours=4))
    first = listen(day, {})
    piece, _ = until(first, "country")
    name = re.findall(r"^id: (\w+)$", piece, flags=re.MULTILINE)[-1]
    first.close()  # type: ignore[attr-defined]
    alarm_raise(kind="job.dead", priority=1, subject="jobs.job:1", text="x", key="b")
    again = listen(day, live.known_of(name))
    heard: set[str] = set()
    for piece in again:
        heard |= set(re.findall(r"^event: (\w+)$", piece, flags=re.MULTILINE)) - {"clock"}
        if heard >= {"status", "alarms"}:
            break
    assert heard == {"status", "alarms"}
    again.close()  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_one_reader_serves_every_listener_and_ends_with_the_last(ended: None) -> None:
    day = cast.published_day()
    cast.market_time(day.auction.delivery_start - timedelta(hours=4))
    streams = [listen(day, {}) for _ in range(5)]
    for one in streams:
        until(one, "status")
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("room") == 1
    for one in streams:
        one.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 3
    while "room" in [thread.name for thread in threading.enumerate()]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stream_ends_when_its_visitor_may_no_longer_look(monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(live.WATCH, "join", lambda *_: None)
    view = View(language="ja", may_act=False)
    told = live.stream(view, None, {}, lambda: False)  # type: ignore[arg-type]
    assert list(told) == [live.HELLO]


def test_a_timeline_cuts_what_lies_beyond_its_day() -> None:
    drawn = timeline(
        [("a", "A"), ("b", "B")],
        [
            Span(row="a", start_h=-3, end_h=6, tone="x", text="early"),
            Span(row="b", start_h=25, end_h=26, tone="x"),
            Span(row="b", start_h=23.9, end_h=30, tone="x", text="too long for its box"),
        ],
        now_h=12, now_text="12:00",
    )  # fmt: skip
    quarter = (WIDTH - LEFT) / 4
    assert [(box.x, box.width, box.text) for box in drawn.boxes] == [
        (LEFT, quarter, "early"),
        # six minutes of 1,088 user units in a day: 4.5, without room for a word
        (1195.5, pytest.approx(4.5), ""),
    ]
    assert drawn.now_x == LEFT + 2 * quarter


def test_the_half_hour_loop_tells_what_sites_have_not_said() -> None:
    halves = [HalfHour() for _ in range(48)]
    for t, told in ((20, 2), (21, 1), (22, 0), (23, 0)):
        halves[t] = HalfHour(ordered_count=2, told_count=told)
    with translation.override("ja"):
        spans = loop_spans(halves, 22.5)
    # all said, one of two missing, under way, to come; nothing ordered: grey before, open after
    assert [(spans[t].tone, bool(spans[t].title)) for t in (0, 20, 21, 22, 23, 47)] == [
        ("b-done", False), ("b-done", True), ("b-again", True), ("b-open", True),
        ("b-next", True), ("b-next", False),
    ]  # fmt: skip
    assert "1/2" in spans[21].title


def test_stretches_carry_their_highest_value() -> None:
    assert stretches([0, 2, 3, 0, 1]) == [(1, 3, 3), (4, 5, 1)]


def test_loading_is_grey_until_it_matters() -> None:
    assert [ramp_class(ratio) for ratio in (None, 0.2, 0.79, 0.8, 0.999, 1.0, 1.1)] == [
        "t-none", "t0", "t2", "t3", "t4", "t5", "t6",
    ]  # fmt: skip


def test_how_far_a_job_is_stands_in_its_step() -> None:
    assert [percent_of(step) for step in ("lines 64 %", "3/20", "reading", "140 %", "1/0")] == [
        64, 15, None, 100, None,
    ]  # fmt: skip
