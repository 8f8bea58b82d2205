"""Drive the demo month: an auction a day, then the close and everything that follows it.

What people look at afterwards is the back half: thirty days of readings, one monthly close,
documents, a payment file, an objection, a correction. The driver moves the clock and waits; all
else is done by the processes of the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

from accounts.clock.services import clock_advance
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.ops.demo.month_steps import days_of
from aggregator.ops.demo.run import DemoFailed, DemoRun
from aggregator.ops.demo.steps import auction_code, jst
from aggregator.settlement.models import PeriodState, SettlementPeriod
from market.trading.models import Auction, AuctionState

CLOSE_DAY: Final = 20
ENDED: Final = (AuctionState.PUBLISHED, AuctionState.CANCELLED)
WAITING: Final = (InstructionState.PLANNED, InstructionState.SENT)


class MonthRun(DemoRun):
    """One run of the demo month; the day of :class:`DemoRun` is the first of the month."""

    worker_processes = 2

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
        }

    def _register(self) -> None:
        self._job("month_register")
        self._job("history", first=3, last=31, is_varied=True)

    def _days(self) -> None:
        days = days_of(self.day.delivery_on)
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
        self._wait(
            "the month is closed",
            lambda: SettlementPeriod.objects.filter(state=PeriodState.CLOSED).exists(),
        )

    def _auction_on(self, on: date) -> Auction:
        return Auction.objects.get(code=auction_code(on))
