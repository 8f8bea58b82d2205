"""A held-back result is published in time, repeated with a reason, or published by fallback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.audit.models import AuditEntry
from accounts.clock.services import clock_set
from accounts.core.errors import Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim, job_create
from market.clearing import services
from market.clearing.engine import SolverEngine
from market.clearing.models import Award, ClearingRun, RunState
from market.clearing.selectors import run_published_of
from market.core.errors import SolverLimit
from market.registry.models import Ruleset
from market.trading.models import Auction, AuctionState, Bid
from tests import cast
from tests.faults.market import CLEAR_KIND, closed_market

pytestmark = pytest.mark.django_db

HOLD_MIN = 30


@pytest.fixture(scope="module")
def solver() -> Iterator[SolverEngine]:
    """Return one warm solver for the tests of this file."""
    with SolverEngine() as engine:
        yield engine


@pytest.fixture
def auction(monkeypatch: pytest.MonkeyPatch, solver: SolverEngine) -> Auction:
    """Return a closed auction whose rules hold results back for half an hour."""
    monkeypatch.setattr(services, "engine", lambda: solver)
    rules = {**cast.RULES, "publication": {**cast.RULES["publication"], "hold_min": HOLD_MIN}}
    Ruleset.objects.create(version="2026-09-01", valid_from_on=date(2026, 9, 1), rules=rules)
    return closed_market()


class Limited:
    """A solver that runs into its work limit."""

    def clear_bytes(self, _snapshot: bytes, *, deadline_s: float) -> bytes:
        """Fail as it does."""
        raise SolverLimit(f"by test, within {deadline_s} s")


def _claim(kind: str, **where: Any) -> Claim:
    claim = job_claim(job_id=Job.objects.get(kind=kind, **where).id)
    assert claim is not None
    return claim


def _hold(auction: Auction) -> ClearingRun:
    services.clearing_run_execute(claim=_claim(CLEAR_KIND))
    run = ClearingRun.objects.get()
    assert (run.state, Auction.objects.get().state) == (RunState.VERIFIED, AuctionState.CLEARING)
    assert not Award.objects.exists()
    return run


def _repeat(auction: Auction, **changes: Any) -> Claim:
    services.clearing_run_repeat(**{"auction_id": auction.id, "reason": "設備の故障", **changes})
    return _claim(CLEAR_KIND, key=f"{auction.id}/2")


def test_a_verified_result_waits_for_its_time(auction: Auction) -> None:
    run = _hold(auction)
    job = Job.objects.get(kind="market.clearing.run_publish")
    assert job.due_at == auction.gate_closure_at + timedelta(minutes=HOLD_MIN)
    assert job_claim(job_id=job.id) is None  # not due yet
    clock_set(market_at=job.due_at)
    claim = _claim("market.clearing.run_publish")
    assert services.clearing_run_publish(claim=claim)
    run.refresh_from_db()
    assert run.state == RunState.PUBLISHED
    assert run.published_at is not None
    assert run.published_at >= job.due_at
    assert Auction.objects.get().state == AuctionState.PUBLISHED
    assert Award.objects.count() == 12
    assert Job.objects.filter(kind="aggregator.dispatch.instructions_plan").exists()


def test_a_repeat_leaves_out_what_the_desk_names_and_is_what_is_published(
    auction: Auction,
) -> None:
    first = _hold(auction)
    broken = Bid.objects.get(client_bid_id="inzai-dc-0")
    services.clearing_run_execute(claim=_repeat(auction, without=[broken.id]))
    second = ClearingRun.objects.get(number=2)
    assert (second.state, second.reason, second.bids_left_out) == (
        RunState.VERIFIED,
        "設備の故障",
        [broken.id],
    )
    clock_set(market_at=auction.gate_closure_at + timedelta(minutes=HOLD_MIN))
    # the first run's turn comes too, and nothing happens
    assert not services.clearing_run_publish(
        claim=_claim("market.clearing.run_publish", key=str(first.id))
    )
    assert services.clearing_run_publish(
        claim=_claim("market.clearing.run_publish", key=str(second.id))
    )
    assert run_published_of(auction) == second
    # 12 bids of 1,000 kW were taken whole; one is left out
    assert Award.objects.count() == 11
    assert not Award.objects.filter(bid=broken).exists()
    assert AuditEntry.objects.filter(action="market.clearing.repeated").count() == 1


def test_a_repeat_that_fails_lets_the_result_before_be_published_by_fallback(
    auction: Auction, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _hold(auction)
    claim = _repeat(auction)
    monkeypatch.setattr(services, "engine", Limited)
    services.clearing_run_execute(claim=claim)
    after = Auction.objects.get()
    assert after.state == AuctionState.PUBLISHED_BY_FALLBACK
    assert after.state_reason == "SolverLimit: by test, within 60.0 s"
    assert run_published_of(after) == first
    assert ClearingRun.objects.get(number=2).error_code == "SolverLimit"
    assert Award.objects.filter(run=first).count() == 12
    assert Job.objects.filter(kind="aggregator.dispatch.instructions_plan").exists()


def test_the_deadline_publishes_what_is_verified(auction: Auction) -> None:
    first = _hold(auction)
    _repeat(auction)  # and its worker never comes back
    job_create(kind="market.clearing.deadline", key=str(auction.id))
    services.clearing_deadline(claim=_claim("market.clearing.deadline"))
    assert Auction.objects.get().state == AuctionState.PUBLISHED_BY_FALLBACK
    assert run_published_of(auction) == first


def test_a_result_is_not_published_while_its_repeat_is_on_the_list(auction: Auction) -> None:
    first = _hold(auction)
    _repeat(auction)
    clock_set(market_at=auction.gate_closure_at + timedelta(minutes=HOLD_MIN))
    claim = _claim("market.clearing.run_publish", key=str(first.id))
    assert not services.clearing_run_publish(claim=claim)
    assert Auction.objects.get().state == AuctionState.CLEARING


@pytest.mark.parametrize(
    ("field", "changes"),
    [("reason", {"reason": "  "}), ("without", {"without": [uuid4()]})],
)
def test_a_repeat_without_reason_or_of_unknown_bids_is_refused(
    auction: Auction, field: str, changes: dict[str, Any]
) -> None:
    _hold(auction)
    with pytest.raises(Refused) as refused:
        _repeat(auction, **changes)
    assert refused.value.field == field
    assert Job.objects.filter(kind=CLEAR_KIND).count() == 1


def test_nothing_is_repeated_before_a_result_or_twice_at_once(auction: Auction) -> None:
    with pytest.raises(Refused):
        _repeat(auction)
    _hold(auction)
    _repeat(auction)
    with pytest.raises(Refused):
        _repeat(auction)
