"""Drive the demo month: an auction a day, then the close and everything that follows it.

What people look at afterwards is the back half: thirty days of readings, one monthly close,
documents, a payment file, an objection, a correction. The driver moves the clock and waits; all
else is done by the processes of the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from accounts.clock.selectors import market_now
from accounts.clock.services import clock_advance
from accounts.jobs.models import Job, JobState
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.ops.demo.month_steps import days_of
from aggregator.ops.demo.run import DemoFailed, DemoRun
from aggregator.ops.demo.steps import auction_code, jst
from aggregator.settlement.close_requests import JOB_KIND as CLOSE_KIND
from aggregator.settlement.documents.issuing import ISSUE_KIND
from aggregator.settlement.models import CorrectionCause, RunKind, SettlementRun
from aggregator.settlement.reconciling import reconcile
from market.trading.models import Auction, AuctionState

CLOSE_DAY: Final = 20
ENDED: Final = (AuctionState.PUBLISHED, AuctionState.CANCELLED)
WAITING: Final = (InstructionState.PLANNED, InstructionState.SENT)


class MonthRun(DemoRun):
    """One run of the demo month; the day of :class:`DemoRun` is the first of the month."""

    worker_processes = 2

    def __init__(self, *, days_count: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._days_run = days_of(self.day.delivery_on)[:days_count]

    @property
    def begins_at(self) -> datetime:
        """Return when the market clock starts."""
        return jst(self.day.delivery_on - timedelta(days=2), 8)

    def steps(self) -> dict[str, Callable[[], None]]:
        """Return what is done, in order."""
        return {
            "start": self._start,
            "register": self._register,
            "days": self._days,
            "close": self._close,
            "pay": self._pay,
            "dispute": self._dispute,
            "correct": self._correct,
            "check": self._check_books,
        }

    def _register(self) -> None:
        self._job("month_register", days_count=len(self._days_run))
        self._job("history", first=3, last=31, is_varied=True)

    def _days(self) -> None:
        days = self._days_run
        self._offers(days[0])
        for on in days:
            self._auction_day(on, then=on + timedelta(days=1) if on != days[-1] else None)
        self._metered(days[-1])

    def _history_end(self) -> None:
        """Read the two days before the month, which were not over when it was announced."""
        clock_advance(market_at=jst(self.day.delivery_on, 0, 30))
        self._job("history", key="history-end", first=1, last=2, is_varied=True)

    def _auction_day(self, on: date, *, then: date | None) -> None:
        """Close the day's gate, and while it clears take the offers for the next."""
        clock_advance(market_at=jst(on - timedelta(days=1), 10))
        if then is not None:
            self._offers(then)
        self._wait(f"{on} is published", lambda: self._auction_on(on).state in ENDED)
        auction = self._auction_on(on)
        if auction.state == AuctionState.CANCELLED:
            raise DemoFailed(f"auction {auction.code} was cancelled: {auction.state_reason}")
        self._answered(auction)
        if on > self.day.delivery_on:
            self._metered(on - timedelta(days=1))
        else:
            self._history_end()

    def _offers(self, on: date) -> None:
        """Let grid operators publish and sites bid for a day, whose auction is open by now."""
        clock_advance(market_at=jst(on - timedelta(days=2), 9))
        self._wait(f"{on} opens", lambda: self._auction_on(on).state == AuctionState.OPEN)
        for step in ("plans", "publish", "bid"):
            self._day_job(step, on)

    def _answered(self, auction: Auction) -> None:
        """Let the sites answer until nothing waits: a replacement is sent after an opt-out."""
        instructions = DispatchInstruction.objects.filter(award__auction=auction)
        self._wait(f"orders of {auction.code}", instructions.exists)
        attempt = 0
        while instructions.filter(state__in=WAITING).exists():
            attempt += 1
            waiting = instructions.filter(state=InstructionState.SENT)
            self._wait(f"orders of {auction.code} are sent", waiting.exists)
            self._day_job("answer", auction.delivery_on, key=f"answer:{auction.code}:{attempt}")

    def _metered(self, on: date) -> None:
        clock_advance(market_at=jst(on + timedelta(days=1), 0, 30))
        self._day_job("metered", on)

    def _day_job(self, step: str, on: date, *, key: str | None = None) -> None:
        self._job(step, key=key or f"{step}:{on}", delivery_on=on.isoformat(), is_varied=True)

    def _close(self) -> None:
        end_on = days_of(self.day.delivery_on)[-1] + timedelta(days=1)
        close_at = jst(end_on.replace(day=CLOSE_DAY), 9)
        clock_advance(market_at=close_at)
        self._job("month_final")
        clock_advance(market_at=close_at + timedelta(hours=2))
        issued = Job.objects.filter(kind=ISSUE_KIND, key__endswith=":1", state=JobState.DONE)
        self._wait("documents of close 1", issued.exists)

    def _wait_for_correction(self, cause: CorrectionCause) -> None:
        """Wait until a correction is written and posted and everybody's documents are out."""
        runs = SettlementRun.objects.filter(kind=RunKind.CORRECTION, cause_kind=cause)

        def is_posted() -> bool:
            run = runs.order_by("id").last()
            closes = Job.objects.filter(kind=CLOSE_KIND, state=JobState.DONE)
            if run is None or not closes.filter(key__endswith=f":{run.pk}").exists():
                return False
            issues = Job.objects.filter(kind=ISSUE_KIND)
            return not issues.exclude(state=JobState.DONE).exists()

        self._wait(f"documents of the correction by {cause.label}", is_posted)

    def _pay(self) -> None:
        self._job("banks")
        self._job("pay", key="pay:1")

    def _dispute(self) -> None:
        self._job("dispute", days_count=len(self._days_run))
        self._wait_for_correction(CorrectionCause.DISPUTE)

    def _correct(self) -> None:
        self._job("recount", days_count=len(self._days_run))
        # readings that come late are looked at together at the end of their hour
        clock_advance(market_at=market_now() + timedelta(hours=1))
        self._wait_for_correction(CorrectionCause.READING)
        self._job("pay", key="pay:2")

    def _check_books(self) -> None:
        found = reconcile()
        if found.differences:
            raise DemoFailed(f"the books do not agree: {found.differences[0]}")

    def _auction_on(self, on: date) -> Auction:
        return Auction.objects.get(code=auction_code(on))
