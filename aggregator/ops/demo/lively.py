"""After the demo's day: market days that go on by themselves while people look around.

The served market is never still: a delivery day runs at ten times real time with its orders
answered by the simulated sites, and the auction of the day after takes bids until the evening. One
overload of it has no need yet, so that a planner finds something to do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from django.utils import timezone

from accounts.clock.selectors import market_now
from accounts.clock.services import clock_advance
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.ops.demo.inputs import profiles_kw
from aggregator.ops.demo.run import DemoRun
from aggregator.ops.demo.steps import auction_code, inputs_on, jst
from market.trading.models import Auction, AuctionState, Need, NeedKind, NeedState
from market.trading.needs import need_withdraw
from market.trading.services import auction_schedule

SPEED_RATIO: Final = Decimal(10)
BEGINS_AT: Final = (15, 40)  # orders of the evening peak are about to begin
NEXT_BEGINS_AT: Final = (9, 0)
BIDS_AT: Final = (20, 0)
GATE_AT: Final = (20, 30)
ENDS_AT: Final = (22, 30)
OPEN_FOR: Final = timedelta(minutes=5)
KEYS: Final = "agents.json"
OVER = (AuctionState.PUBLISHED, AuctionState.PUBLISHED_BY_FALLBACK, AuctionState.CANCELLED)
WAITING = (InstructionState.PLANNED, InstructionState.SENT)


class Lively:
    """Days after the demo's, one after the other.

    Parameters
    ----------
    run
        The demo day that came to its end, with its processes still running.
    say
        Told, in a sentence, what begins.
    """

    def __init__(self, run: DemoRun, *, say: Callable[[str], None]) -> None:
        self._run = run
        self._say = say
        self._has_bid = False
        self.delivery_on = timezone.localdate(market_now()) + timedelta(days=1)

    def begin(self) -> Auction:
        """Clear a day, move to its evening and open the next; returns the auction open then.

        Raises
        ------
        DemoFailed
            If a step did not come to its end.
        """
        now = market_now()
        first = self._announce(self.delivery_on, gate_at=now + OPEN_FOR)
        self._publish(self.delivery_on)
        self._job("bid", self.delivery_on)
        clock_advance(market_at=first.gate_closure_at)
        self._published(self.delivery_on)
        self._day_begin(BEGINS_AT)
        return self._next_open()

    def turn(self) -> None:
        """Do what is due: offers before the gate, and the next day after its result.

        Raises
        ------
        DemoFailed
            If a step did not come to its end.
        """
        self._run.sites_tidy()
        now, coming = market_now(), self.delivery_on + timedelta(days=1)
        if not self._has_bid and now >= jst(self.delivery_on, *BIDS_AT):
            self._has_bid = True
            if Auction.objects.filter(
                code=auction_code(coming), state=AuctionState.OPEN, gate_closure_at__gt=now
            ).exists():
                self._job("bid", coming)
        auction = Auction.objects.filter(code=auction_code(coming)).first()
        if auction is None or auction.state not in OVER or now < jst(self.delivery_on, *ENDS_AT):
            return
        self.delivery_on = coming
        self._day_begin(NEXT_BEGINS_AT)
        self._next_open()

    def _announce(self, on: date, *, gate_at: datetime) -> Auction:
        return auction_schedule(
            code=auction_code(on),
            name=f"前日オークション {on.isoformat()}",
            delivery_on=on,
            opens_at=market_now(),
            gate_closure_at=gate_at,
            grid_model=Auction.objects.latest("delivery_on", "code").grid_model,
        )

    def _publish(self, on: date) -> None:
        code = auction_code(on)
        self._run.wait(
            f"{code} opens",
            lambda: Auction.objects.get(code=code).state == AuctionState.OPEN,
        )
        for step in ("plans", "publish"):
            self._job(step, on)

    def _next_open(self) -> Auction:
        """Open the auction of the day after; what one overload takes is left to a planner."""
        on = self.delivery_on + timedelta(days=1)
        made = self._announce(on, gate_at=jst(self.delivery_on, *GATE_AT))
        self._publish(on)
        local = Need.objects.filter(auction=made, kind=NeedKind.LOCAL, state=NeedState.PUBLISHED)
        for need in local.select_related("organisation").order_by("code")[:1]:
            need_withdraw(auction_id=made.id, organisation=need.organisation, code=need.code)
        self._has_bid = False
        gate = f"{timezone.localtime(made.gate_closure_at):%Y-%m-%d %H:%M}"
        self._say(f"Auction {made.code} takes bids until {gate} JST on the market's clock")
        return made

    def _published(self, on: date) -> None:
        code = auction_code(on)
        self._run.wait(f"{code} is published", lambda: Auction.objects.get(code=code).state in OVER)

    def _day_begin(self, at: tuple[int, int]) -> None:
        """Let the sites answer, then move to the day and let its time pass."""
        self._sites_start()
        rows = DispatchInstruction.objects.filter(
            award__auction__code=auction_code(self.delivery_on)
        )
        self._run.wait(
            "every site answers",
            lambda: rows.exists() and not rows.filter(state__in=WAITING).exists(),
        )
        moment = jst(self.delivery_on, *at)
        clock_advance(market_at=moment, speed_ratio=SPEED_RATIO)
        self._say(f"Delivery day {self.delivery_on}: {SPEED_RATIO} market seconds a second")

    def _sites_start(self) -> None:
        """Start the sites again with the keys they have, for another day."""
        self._run.sites_start(sites_config(self._run.stack.home / KEYS, self.delivery_on))

    def _job(self, step: str, on: date) -> None:
        self._run.step_do(step, key=f"{step}:{on}", delivery_on=on.isoformat(), is_varied=True)


def sites_config(before: Path, on: date) -> Path:
    """Write the sites' configuration for another day beside the first one, as private."""
    config: dict[str, Any] = json.loads(before.read_text(encoding="utf-8"))
    profiles = profiles_kw(inputs_on(on, is_real=False, is_varied=True))
    config["delivery_on"] = on.isoformat()
    for ven in config["vens"]:
        for resource in ven["resources"]:
            if resource["name"] in profiles:
                resource["profile_kw"] = [
                    round(float(value), 1) for value in profiles[resource["name"]]
                ]
    path = before.with_name("agents-lively.json")
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(config, file, ensure_ascii=False)
    return path
