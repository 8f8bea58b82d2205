"""The control room's live link: one reader for each process, as many listeners as there are.

A thread reads the marks of all topics four times a second while anybody listens, and reads again
and renders only panels whose marks changed, once for each kind of view; what only time changes,
every five seconds. So the database's work does not grow with the number of desks, and no row
changes faster than four times a second. The page itself is made of the same panels: asking for it
reads the marks, and renders what they say has changed since anybody was shown it. What a
listener has seen is named by the id of its last event, the digests of its panels: whoever comes
back, to whichever process, is sent what is different and nothing else. See docs/adr/.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import DatabaseError, connections
from django.utils import translation

from accounts.parties.sight import Sight
from aggregator.portal.desk import selectors
from aggregator.portal.desk.room import PANELS, TOPICS, URGENT_FIRST, Panel, View, panels_each
from aggregator.portal.frame import MarketTime, market_time

logger = logging.getLogger(__name__)

TICK_S: Final = 0.25
PAUSE_MIN_S: Final = 0.05
TIME_EVERY_S: Final = 5.0
HEARTBEAT_S: Final = 10.0
RETRY_MS: Final = 2_000
DIGEST_LENGTH: Final = 8
Shown = Mapping[str, Panel]


@dataclass(kw_only=True, eq=False)
class Listener:
    """One open stream."""

    view: View
    wake: Callable[[], object]
    is_over: bool = False


@dataclass(frozen=True, kw_only=True)
class Made:
    """A panel, the marks it was made at, and when [s, monotonic]."""

    panel: Panel
    marks: tuple[str, ...]
    at_s: float

    def is_due(self, marks: tuple[str, ...], now_s: float) -> bool:
        """Whether something changed since, or time alone may have."""
        is_old = now_s - self.at_s >= TIME_EVERY_S and "time" in TOPICS[self.panel.name]
        return is_old or self.marks != marks


@dataclass(kw_only=True)
class Watch:
    """Reads what the room shows while somebody looks at it."""

    sight: Sight | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listeners: set[Listener] = field(default_factory=set)
    _made: dict[View, dict[str, Made]] = field(default_factory=dict)
    _turns: dict[View, threading.Lock] = field(default_factory=dict)
    _clock: MarketTime | None = None
    _thread: threading.Thread | None = None

    def join(self, listener: Listener, sight: Sight) -> None:
        """Add a listener; the first one starts the reader."""
        with self._lock:
            # every viewer of the room sees all of it: the reader borrows one of their sights
            self.sight = sight
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="room", daemon=True)
                self._thread.start()

    def leave(self, listener: Listener) -> None:
        """Take a listener away; without any the reader ends."""
        with self._lock:
            self._listeners.discard(listener)

    def end(self) -> None:
        """Send all listeners home and wait for the reader: what a process does before it ends."""
        with self._lock:
            listeners, thread = list(self._listeners), self._thread
            self._listeners.clear()
        for listener in listeners:
            listener.is_over = True
            listener.wake()
        if thread is not None:
            thread.join(timeout=5.0)

    def shown(self, view: View) -> Shown:
        """Return the panels of a view as they were read last; none before the first reading."""
        with self._lock:
            return {name: made.panel for name, made in self._made.get(view, {}).items()}

    def shown_now(self, view: View, sight: Sight, clock: MarketTime) -> Shown:
        """Return the panels of a view as they are now: what has changed is read again."""
        self._renew(view, sight, clock, vars(selectors.marks_read(clock.now)))
        return self.shown(view)

    def forget(self) -> None:
        """Show nothing of before to whoever comes next."""
        with self._lock:
            self._made.clear()

    @property
    def clock(self) -> MarketTime | None:
        """Market time as it was read last."""
        return self._clock

    def _views(self) -> set[View]:
        with self._lock:
            if not self._listeners:
                self._thread = None
                return set()
            return {listener.view for listener in self._listeners}

    def _read(self) -> None:
        while views := self._views():
            began = time.monotonic()
            try:
                self._turn(views)
            except DatabaseError:
                logger.exception("the room was not read")
                connections.close_all()
            time.sleep(max(PAUSE_MIN_S, TICK_S - (time.monotonic() - began)))
        connections.close_all()

    def _turn(self, views: set[View]) -> None:
        clock = market_time()
        self._clock = clock
        marks = vars(selectors.marks_read(clock.now))
        if self.sight is not None:
            for view in views:
                self._renew(view, self.sight, clock, marks)
        self._wake()

    def _renew(self, view: View, sight: Sight, clock: MarketTime, marks: Mapping[str, str]) -> None:
        """Render the panels of a view that are due; who asks meanwhile waits for them."""
        stamps = {
            name: tuple(marks[topic] for topic in sorted(TOPICS[name] & marks.keys()))
            for name in PANELS
        }
        with self._lock:
            turn = self._turns.setdefault(view, threading.Lock())
        with turn, translation.override(view.language):
            now_s, made = time.monotonic(), self._made.get(view, {})
            due = [
                name
                for name in URGENT_FIRST
                if name not in made or made[name].is_due(stamps[name], now_s)
            ]
            # each is told as soon as it is made: an order does not wait for the map
            for panel in panels_each(due, now=clock.now, sight=sight, may_act=view.may_act):
                one = Made(panel=panel, marks=stamps[panel.name], at_s=now_s)
                with self._lock:
                    self._made[view] = {**self._made.get(view, {}), panel.name: one}
                self._wake()

    def _wake(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.wake()


WATCH: Final = Watch()


def state_id(panels: Shown) -> str:
    """Name what somebody has seen: eight digits for each panel, in order."""
    none = "0" * DIGEST_LENGTH
    return "".join(panels[name].digest if name in panels else none for name in PANELS)


def known_of(text: str) -> dict[str, str]:
    """Read the name of what somebody has seen; anything else is nothing."""
    if len(text) != DIGEST_LENGTH * len(PANELS):
        return {}
    return {
        name: text[i * DIGEST_LENGTH : (i + 1) * DIGEST_LENGTH] for i, name in enumerate(PANELS)
    }


def event(name: str, lines: str, event_id: str = "") -> str:
    """Write one event; the text may have several lines."""
    body = "".join(f"data: {line}\n" for line in lines.splitlines() or [""])
    return f"event: {name}\n{f'id: {event_id}' + chr(10) if event_id else ''}{body}\n"


def clock_text(clock: MarketTime) -> str:
    """Return market time as the browser's clock takes it."""
    return json.dumps({"market_ms": clock.epoch_ms, "speed": clock.speed_ratio})


@dataclass(kw_only=True)
class Talk:
    """What one listener was told."""

    view: View
    known: dict[str, str]
    told_at: float = field(default_factory=time.monotonic)
    clock_at: float = 0.0

    def news(self) -> str:
        """Return the events that are due: changed panels, market time, or a heartbeat."""
        out = []
        shown = WATCH.shown(self.view)
        for name, panel in shown.items():
            if self.known.get(name) != panel.digest:
                self.known[name] = panel.digest
                out.append(event(name, panel.html, self._id()))
        now = time.monotonic()
        if WATCH.clock is not None and now - self.clock_at >= TIME_EVERY_S:
            self.clock_at = now
            out.append(event("clock", clock_text(WATCH.clock)))
        if out:
            self.told_at = now
        elif now - self.told_at >= HEARTBEAT_S:
            self.told_at = now
            out.append(": still here\n\n")
        return "".join(out)

    def _id(self) -> str:
        none = "0" * DIGEST_LENGTH
        return "".join(self.known.get(name, none) for name in PANELS)


HELLO: Final = f"retry: {RETRY_MS}\n\n"


def stream(view: View, sight: Sight, known: dict[str, str], still: Any) -> Iterator[str]:
    """Tell a listener of a threaded server; it ends when `still` says no or it is gone."""
    bell = threading.Event()
    listener = Listener(view=view, wake=bell.set)
    talk = Talk(view=view, known=known)
    WATCH.join(listener, sight)
    asked_at = time.monotonic()
    try:
        yield HELLO
        while True:
            bell.wait(1.0)
            bell.clear()
            if listener.is_over:
                return
            if time.monotonic() - asked_at >= HEARTBEAT_S:
                asked_at = time.monotonic()
                if not still():
                    return
            text = talk.news()
            if text:
                yield text
    finally:
        WATCH.leave(listener)


async def stream_async(
    view: View, sight: Sight, known: dict[str, str], still: Any
) -> AsyncIterator[str]:
    """Tell a listener of an asynchronous server: no thread waits for it."""
    loop = asyncio.get_running_loop()
    bell = asyncio.Event()
    listener = Listener(view=view, wake=lambda: loop.call_soon_threadsafe(bell.set))
    talk = Talk(view=view, known=known)
    WATCH.join(listener, sight)
    asked_at = time.monotonic()
    try:
        yield HELLO
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), 1.0)
            bell.clear()
            if listener.is_over:
                return
            if time.monotonic() - asked_at >= HEARTBEAT_S:
                asked_at = time.monotonic()
                if not await still():
                    return
            text = talk.news()
            if text:
                yield text
    finally:
        WATCH.leave(listener)
