"""A small market with bids in its book, ready to be closed and cleared by real workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from accounts.clock.services import clock_set
from accounts.jobs.models import Job
from accounts.jobs.services import job_create
from market.clearing.engine import SolverEngine
from market.clearing.models import Award, AwardInterval, ClearingRun, RunState
from market.trading.bids import bids_submit
from market.trading.models import Auction, AuctionState
from tests import cast

WAIT_S = 60.0
CLEAR_KIND = "market.clearing.run_execute"


def offers(prefix: str, resource: str, count: int = 1) -> list[dict[str, Any]]:
    """Return step bids of one megawatt each at rising asks."""
    return [
        {
            "client_bid_id": f"{prefix}-{n}",
            "resource": resource,
            "form": "STEPS",
            "mechanism": "DEFERRAL",
            "direction": "UP",
            "curves": [
                {
                    "first_t": 34,
                    "last_t": 39,
                    "steps": [{"quantity_kw": "1000", "ask_jpy_per_kwh": str(10 + n)}],
                }
            ],
        }
        for n in range(count)
    ]


def market_with_bids() -> Auction:
    """Make the triangle with needs and bids, an hour before the gate; gate jobs are listed."""
    where = cast.places()
    auction = cast.auction(where)
    cast.needs(where, auction)
    cast.base_flows(where, auction)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    for organisation, resource in (
        (where.people.inzai_dc, "inzai-dc-1-load"),
        (where.people.shiroi_dc, "shiroi-dc-1-load"),
    ):
        bids_submit(
            auction_id=auction.id,
            organisation=organisation,
            bids=offers(organisation.code, resource, 6),
        )
    job_create(
        kind="market.trading.gate_close", key=str(auction.id), due_at=auction.gate_closure_at
    )
    return auction


def closed_market() -> Auction:
    """Make a market whose gate has closed and whose clearing is due."""
    auction = market_with_bids()
    clock_set(market_at=auction.gate_closure_at)
    Auction.objects.filter(id=auction.id).update(
        state=AuctionState.CLOSED, closed_at=auction.gate_closure_at
    )
    for state in ("RUNNING", "DONE"):
        Job.objects.filter(kind="market.trading.gate_close").update(state=state)
    job_create(kind=CLEAR_KIND, key=str(auction.id), attempts_max=4)
    return auction


def wait_for(what: str, is_so: Callable[[], bool], *, seconds: float = WAIT_S) -> float:
    """Wait until `is_so`, and return the seconds it took; fail the test if it never is."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        time.sleep(0.05)
    return time.monotonic() - began


def is_published(auction: Auction) -> bool:
    """Whether the auction's result is out."""
    return Auction.objects.get(id=auction.id).state == AuctionState.PUBLISHED


def assert_published_once(auction: Auction) -> ClearingRun:
    """Check that there is one result, whole, and the one an undisturbed solver finds."""
    (run,) = ClearingRun.objects.filter(auction=auction)
    assert run.state == RunState.PUBLISHED
    assert run.snapshot is not None
    with SolverEngine() as engine:
        assert engine.clear_bytes(bytes(run.snapshot.content), deadline_s=60) == bytes(run.result)
    import json

    awards = [a for a in json.loads(bytes(run.result))["awards"] if any(a["quantity_kw"])]
    assert Award.objects.filter(auction=auction).count() == len(awards) > 0
    assert AwardInterval.objects.filter(award__auction=auction).count() == sum(
        1 for award in awards for quantity in award["quantity_kw"] if quantity
    )
    assert Job.objects.get(kind=CLEAR_KIND).state == "DONE"
    return run
