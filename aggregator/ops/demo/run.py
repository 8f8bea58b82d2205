"""Drive the demo day: start the processes, move the clock, wait for what the rows say.

The driver does nothing of the market itself. It sets market time, puts the participants'
steps on the list of jobs, rings the bell, and watches states in PostgreSQL; worker, beat,
web and agents are processes of their own.
"""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.utils import timezone

from accounts.clock.selectors import market_now
from accounts.clock.services import clock_advance, clock_set
from accounts.jobs.models import Job, JobState
from accounts.jobs.services import job_create
from accounts.jobs.tasks import jobs_ring
from accounts.parties.models import User
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.metering.models import IntervalReading
from aggregator.ops.demo import agents, cast
from aggregator.ops.demo.steps import auction_code, jst
from aggregator.ops.stack import Child, Stack
from aggregator.settlement.models import PeriodState, RunKind, SettlementPeriod, SettlementRun
from market.clearing.engine import SolverEngine
from market.clearing.models import ClearingRun
from market.clearing.selectors import run_published_of
from market.core.timegrid import INTERVALS_PER_DAY
from market.registry.models import Resource
from market.trading.models import Auction, AuctionState
from market.trading.services import auction_schedule

WAIT_S = 120.0
POLL_S = 0.05
RING_S = 0.25
HISTORY_FIRST, HISTORY_LAST = 2, 31
DAY_SPEED_RATIO = Decimal(43_200)  # a day in two seconds
NEXT_DAY_HOUR = 1  # when the day's first values are assessed
FINAL_DAYS = 20  # confirmed values come between the 20th and 25th of the next month
CLOSE_HOUR = 11
VISITORS_GATE = timedelta(minutes=30)


class DemoFailed(Exception):
    """The day did not come to its end; says which step and why."""


@dataclass(kw_only=True)
class Progress:
    """Steps with their seconds; `show` is called as each begins and ends."""

    show: Callable[[str, float | None], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        self.show(name, None)
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)
        self.show(name, self.seconds[name])


@dataclass(frozen=True, kw_only=True)
class Day:
    """Which day runs, and from which files."""

    delivery_on: date
    spot: tuple[Path, ...] = ()
    area: tuple[Path, ...] = ()

    @property
    def is_real(self) -> bool:
        """Whether the day is shaped from imported files."""
        return bool(self.area)

    @property
    def code(self) -> str:
        """Code of the day's auction."""
        return auction_code(self.delivery_on)


class DemoRun:
    """One run of the demo day on a started stack."""

    # one: the steps follow each other, and each further process warms a solver too
    worker_processes = 1

    def __init__(self, *, stack: Stack, day: Day, progress: Progress, port: int = 0) -> None:
        self.stack = stack
        self.day = day
        self.progress = progress
        self.port = port
        self.engine = SolverEngine()
        self.replay_is_identical = False
        self.agents: Child | None = None

    def run(self) -> None:
        """Run the day from registration to the closed period.

        Raises
        ------
        DemoFailed
            Naming the step that did not come to its end.
        """
        try:
            for name, body in self.steps().items():
                with self.progress.step(name):
                    body()
        finally:
            self.engine.close()

    def steps(self) -> dict[str, Callable[[], None]]:
        """Return what is done, in order."""
        return {
            "start": self._start,
            "register": self._register,
            "publish": self._publish,
            "bid": self._bid,
            "clear": self._clear,
            "dispatch": self._dispatch,
            "meter": self._meter,
            "settle": self._settle,
            "replay": self._replay,
        }

    def password_set(self) -> str:
        """Give every demo login one new random password, and return it to be printed."""
        password = secrets.token_urlsafe(9)
        someone = User(username="demo")
        someone.set_password(password)
        names = [username for _, username, _, _ in cast.MEMBERS]
        User.objects.filter(username__in=names).update(password=someone.password)
        return password

    def auction_next(self) -> Auction:
        """Announce an auction for whoever looks around; it opens now and takes bids for a while."""
        now = market_now()
        delivery_on = timezone.localdate(now) + timedelta(days=2)
        return auction_schedule(
            code=auction_code(delivery_on),
            name=f"前日オークション {delivery_on.isoformat()}",
            delivery_on=delivery_on,
            opens_at=now,
            gate_closure_at=now + VISITORS_GATE,
            grid_model=self._auction().grid_model,
        )

    def _start(self) -> None:
        self.stack.start_servers()
        self.stack.migrate(fresh=True)
        self.stack.start_worker(concurrency=self.worker_processes, wait=False)
        self.stack.start_beat(wait=False)
        self.port = self.stack.start_web(self.port, wait=False)
        clock_set(market_at=self.begins_at)
        self.stack.wait_ready()

    @property
    def begins_at(self) -> datetime:
        """Return when the market clock starts."""
        return jst(self._day_before, 8)

    @property
    def _day_before(self) -> date:
        return self.day.delivery_on - timedelta(days=1)

    def _register(self) -> None:
        self._job("register")
        if self.day.is_real:
            self._job(
                "import",
                spot=[str(path.resolve()) for path in self.day.spot],
                area=[str(path.resolve()) for path in self.day.area],
            )
        self._job("history", first=HISTORY_FIRST, last=HISTORY_LAST, plans=True)

    def _publish(self) -> None:
        clock_set(market_at=jst(self._day_before, 9))
        self._wait("the auction opens", lambda: self._auction().state == AuctionState.OPEN)
        self._job("publish")

    def _bid(self) -> None:
        clock_set(market_at=jst(self._day_before, 9, 30))
        self._job("bid")
        self._agents_start()

    def _clear(self) -> None:
        clock_set(market_at=self._auction().gate_closure_at)
        ended = (AuctionState.PUBLISHED, AuctionState.CANCELLED)
        self._wait("the result is published", lambda: self._auction().state in ended)
        auction = self._auction()
        if auction.state == AuctionState.CANCELLED:
            raise DemoFailed(f"auction {auction.code} was cancelled: {auction.state_reason}")
        # The replay at the end wants a solver of its own; let it warm up meanwhile.
        threading.Thread(target=self._engine_warm, daemon=True).start()

    def _engine_warm(self) -> None:
        """Start the solver deaf to Ctrl-C, which a terminal sends to it too: we end it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self.engine.warm()

    def _agents_start(self) -> None:
        config = agents.config_write(
            base_url=f"http://127.0.0.1:{self.port}/openadr3/3.1.0/",
            delivery_on=self.day.delivery_on,
            is_real=self.day.is_real,
            directory=self.stack.home,
        )
        self.agents = self.stack.spawn("agents", agents.argv(config))

    def _dispatch(self) -> None:
        waiting = (InstructionState.PLANNED, InstructionState.SENT)

        def all_answered() -> bool:
            states = list(
                DispatchInstruction.objects.filter(award__auction__code=self.day.code).values_list(
                    "state", flat=True
                )
            )
            return bool(states) and not any(state in waiting for state in states)

        self._wait("every site answers", all_answered)

    def _meter(self) -> None:
        clock_set(market_at=jst(self.day.delivery_on, 0))
        # What the sites metered the day before, now that it is over.
        self._job("history", key="history-last", first=1, last=1)
        clock_set(market_at=jst(self.day.delivery_on, 0, 30), speed_ratio=DAY_SPEED_RATIO)
        end_at = jst(self.day.delivery_on + timedelta(days=1), 0)
        self._wait("the delivery day passes", lambda: market_now() >= end_at)
        clock_advance(market_at=jst(self.day.delivery_on + timedelta(days=1), 0, 30))
        expected_count = Resource.objects.count() * INTERVALS_PER_DAY
        self._wait("every half hour is metered", lambda: self._readings_count() >= expected_count)
        clock_advance(market_at=jst(self.day.delivery_on + timedelta(days=1), NEXT_DAY_HOUR))

    def _readings_count(self) -> int:
        start_at = self._auction().delivery_start
        return IntervalReading.objects.filter(
            start_at__gte=start_at, start_at__lt=start_at + timedelta(days=1), revision=1
        ).count()

    def _settle(self) -> None:
        self._wait("a provisional settlement", lambda: self._is_settled(RunKind.PROVISIONAL))
        clock_advance(market_at=jst(self.day.delivery_on + timedelta(days=FINAL_DAYS), 9))
        self._job("final")
        self._wait("the final settlement", lambda: self._is_settled(RunKind.FINAL))
        clock_advance(market_at=jst(self.day.delivery_on + timedelta(days=FINAL_DAYS), CLOSE_HOUR))
        self._wait(
            "the period is closed",
            lambda: SettlementPeriod.objects.filter(state=PeriodState.CLOSED).exists(),
        )

    def _is_settled(self, kind: str) -> bool:
        return SettlementRun.objects.filter(auction__code=self.day.code, kind=kind).exists()

    def _replay(self) -> None:
        run = run_published_of(self._auction())
        self.replay_is_identical = run is not None and run_replays(run, self.engine)
        if not self.replay_is_identical:
            raise DemoFailed("the stored snapshot does not replay to the published bytes")

    def _auction(self) -> Auction:
        return Auction.objects.get(code=self.day.code)

    def step_do(self, step: str, *, key: str, **payload: Any) -> None:
        """Have a participants' step done, for whoever goes on after the day."""
        self._job(step, key=key, **payload)

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait until the rows say so; raises DemoFailed after two minutes in vain."""
        self._wait(what, is_so)

    def sites_start(self, config: Path) -> None:
        """Start the simulated sites, instead of those that run."""
        if self.agents is not None:
            self.stack.stop_child(self.agents)
        self.agents = self.stack.spawn("agents", agents.argv(config))

    def sites_tidy(self) -> None:
        """Take note of sites that have reported all they had to, and ended."""
        if self.agents is not None and self.agents.process.poll() == 0:
            self.stack.stop_child(self.agents)
            self.agents = None

    def _job(self, step: str, *, key: str | None = None, **payload: Any) -> None:
        """Put a participants' step on the list, ring, and wait until it is done."""
        job = self._job_begin(step, key=key, **payload)
        self._wait(f"step {step}", lambda: _is_done(Job.objects.get(id=job.id)))

    def _job_begin(self, step: str, *, key: str | None = None, **payload: Any) -> Job:
        """Put a participants' step on the list."""
        kind = f"aggregator.ops.demo_{step}"
        facts = {"delivery_on": self.day.delivery_on.isoformat(), "is_real": self.day.is_real}
        return job_create(kind=kind, key=key or step, payload={**facts, **payload}, attempts_max=1)

    def _wait(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        ring_at = 0.0
        while not is_so():
            if time.monotonic() >= ring_at:
                jobs_ring()
                ring_at = time.monotonic() + RING_S
                self._check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {WAIT_S:.0f} s in vain until {what}")
            time.sleep(POLL_S)

    def _check(self) -> None:
        """Raise if a process died or a job was given up; agents may end when they are done."""
        self.sites_tidy()
        self.stack.check()
        _refuse_quarantined()


def _is_done(job: Job) -> bool:
    return job.state == JobState.DONE


def _refuse_quarantined() -> None:
    job = Job.objects.filter(state=JobState.QUARANTINED).first()
    if job is not None:
        raise DemoFailed(f"{job.kind} {job.key} was given up: {job.error}")


def run_replays(run: ClearingRun, engine: SolverEngine) -> bool:
    """Whether the run's stored snapshot clears to the stored bytes, in `engine`'s process."""
    if run.snapshot is None or run.result is None:
        return False
    again = engine.clear_bytes(bytes(run.snapshot.content), deadline_s=WAIT_S)
    return again == bytes(run.result)
