"""The demo day up to the closed gate, step by step in this process: a book to measure on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from accounts.clock.services import clock_set
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim, job_create
from aggregator.ops.demo import steps
from market.clearing.book import snapshot_of_book
from market.trading import services
from market.trading.models import Auction
from market.trading.opening import book_open

DELIVERY_ON = date(2026, 8, 5)


def opened_auction() -> Auction:
    """Register the demo's cast and open its auction."""
    eve = DELIVERY_ON - timedelta(days=1)
    clock_set(market_at=steps.jst(eve, 8))
    _step("register", steps.register_step)
    clock_set(market_at=steps.jst(eve, 9))
    _claimed("market.trading.auction_open", services.auction_open)
    return Auction.objects.select_related("ruleset", "grid_model").get()


def closed_book() -> bytes:
    """Return the canonical snapshot of the demo day's book."""
    auction = opened_auction()
    _step("publish", steps.publish_step)
    _step("bid", steps.bid_step)
    clock_set(market_at=auction.gate_closure_at)
    _claimed("market.trading.gate_close", services.gate_close)
    book_open(auction_id=auction.id)
    return snapshot_of_book(auction)


def _step(name: str, body: Callable[..., Any]) -> None:
    facts = {"delivery_on": DELIVERY_ON.isoformat(), "is_real": False}
    kind = f"aggregator.ops.demo_{name}"
    job_create(kind=kind, key=name, payload=facts)
    _claimed(kind, body)


def _claimed(kind: str, body: Callable[..., Any]) -> None:
    claim: Claim | None = job_claim(job_id=Job.objects.get(kind=kind).id)
    if claim is None:
        raise RuntimeError(f"{kind} is not due")
    body(claim=claim)
