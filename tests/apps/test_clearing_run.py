"""A clearing run: published whole, or failed by name; never half, never twice."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.audit.models import AuditEntry
from accounts.core.errors import ClaimLost
from accounts.jobs.models import Job, JobState
from accounts.jobs.services import Claim, job_claim
from market.clearing import services
from market.clearing.engine import SolverEngine
from market.clearing.models import (
    Award,
    AwardInterval,
    ClearingPrice,
    ClearingRun,
    ElementFlow,
    PriceKind,
    RunState,
    SnapshotRecord,
)
from market.core import errors
from market.trading.models import Auction, AuctionState
from tests.faults.market import CLEAR_KIND, closed_market

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def solver() -> Iterator[SolverEngine]:
    """Return one warm solver for the tests of this file."""
    with SolverEngine() as engine:
        yield engine


@pytest.fixture
def auction(monkeypatch: pytest.MonkeyPatch, solver: SolverEngine) -> Auction:
    """Return a closed auction with bids; its clearing is due."""
    monkeypatch.setattr(services, "engine", lambda: solver)
    return closed_market()


class Failing:
    """A solver process that fails the same way each time."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def clear_bytes(self, _snapshot: bytes, *, deadline_s: float) -> bytes:
        """Raise what it was made with."""
        assert deadline_s > 0
        raise self.failure


def _claim() -> Claim:
    claim = job_claim(job_id=Job.objects.get(kind=CLEAR_KIND).id)
    assert claim is not None
    return claim


def test_a_run_publishes_awards_prices_and_flows_and_lists_what_follows(auction: Auction) -> None:
    services.clearing_run_execute(claim=_claim())
    run = ClearingRun.objects.get()
    assert (run.state, Auction.objects.get().state) == (RunState.PUBLISHED, AuctionState.PUBLISHED)
    # 12 bids of 1,000 kW; the area lacks 21,000 kW, so each is taken whole at t = 34 … 39.
    assert Award.objects.count() == 12
    assert AwardInterval.objects.count() == 12 * 6
    assert set(AwardInterval.objects.values_list("quantity_kw", flat=True)) == {Decimal(1000)}
    # 3 needs, 1 area, 2 places, 48 half hours each; 3 elements
    counts = {kind: ClearingPrice.objects.filter(kind=kind).count() for kind in PriceKind.values}
    assert counts == {"NEED": 3 * 48, "AREA": 48, "PLACE": 2 * 48}
    assert ElementFlow.objects.count() == 3 * 48
    # Scarce: 12,000 of 21,000 kW are served, so the area's price is its cap.
    short = ClearingPrice.objects.get(need__code="tokyo-up", t=34)
    assert (short.served_kw, short.unserved_kw, short.price_jpy_per_kwh) == (12_000, 9_000, 60)
    kinds = set(Job.objects.values_list("kind", flat=True))
    assert {"aggregator.dispatch.instructions_plan", "aggregator.metering.delivery_verify"} <= kinds
    assert AuditEntry.objects.filter(action="market.result.published").count() == 1


def test_nobody_sells_below_the_ask(auction: Auction) -> None:
    services.clearing_run_execute(claim=_claim())
    for interval in AwardInterval.objects.select_related("award__bid__content"):
        (curve,) = interval.award.bid.content.content["curves"]
        assert interval.price_jpy_per_kwh >= Decimal(curve["steps"][0]["ask_jpy_per_kwh"])


def test_a_second_execution_changes_nothing(auction: Auction) -> None:
    services.clearing_run_execute(claim=_claim())
    before = ClearingRun.objects.get()
    with connection.cursor() as cursor:
        # As a restored backup would: the guard of states refuses it to everybody else.
        cursor.execute("SET LOCAL session_replication_role = replica")
        Job.objects.filter(kind=CLEAR_KIND).update(state=JobState.READY)
        cursor.execute("SET LOCAL session_replication_role = origin")
    services.clearing_run_execute(claim=_claim())
    after = ClearingRun.objects.get()
    assert (after.result_sha256, after.published_at) == (before.result_sha256, before.published_at)
    assert Job.objects.get(kind=CLEAR_KIND).state == JobState.DONE


@pytest.mark.parametrize(
    "name",
    ["SolverInfeasible", "SolverUnbounded", "SolverLimit", "SolverNumerical", "ResultUnverified"],
)
def test_a_solver_that_fails_leaves_a_named_state(
    auction: Auction, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    failing = Failing(getattr(errors, name)("by test"))
    monkeypatch.setattr(services, "engine", lambda: failing)
    services.clearing_run_execute(claim=_claim())
    run, after = ClearingRun.objects.get(), Auction.objects.get()
    assert (run.state, run.error_code) == (RunState.FAILED, name)
    assert (after.state, after.state_reason) == (AuctionState.CANCELLED, f"{name}: by test")
    assert Job.objects.get(kind=CLEAR_KIND).state == JobState.DONE
    assert not Award.objects.exists()


@pytest.mark.parametrize("name", ["SolverDeadline", "SolverDied"])
def test_a_machine_that_fails_is_tried_again_and_in_the_end_named(
    auction: Auction, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    failure = getattr(errors, name)
    monkeypatch.setattr(services, "engine", lambda: Failing(failure("by test")))
    with pytest.raises(failure):
        services.clearing_run_execute(claim=_claim())
    assert Auction.objects.get().state == AuctionState.CLEARING
    Job.objects.filter(kind=CLEAR_KIND).update(state=JobState.READY, attempts_count=3)
    services.clearing_run_execute(claim=_claim())  # the fourth of four
    assert Auction.objects.get().state == AuctionState.CANCELLED
    assert ClearingRun.objects.get().error_code == name


def test_a_result_that_does_not_verify_is_never_published(
    auction: Auction, monkeypatch: pytest.MonkeyPatch, solver: SolverEngine
) -> None:
    class Tampering:
        """Raises one published price by a yen."""

        def clear_bytes(self, snapshot: bytes, *, deadline_s: float) -> bytes:
            result = solver.clear_bytes(snapshot, deadline_s=deadline_s)
            return result.replace(b'"price_jpy_per_kwh":[', b'"price_jpy_per_kwh":[1', 1)

    monkeypatch.setattr(services, "engine", Tampering)
    services.clearing_run_execute(claim=_claim())
    assert ClearingRun.objects.get().error_code == "ResultUnverified"
    assert Auction.objects.get().state == AuctionState.CANCELLED
    assert not ClearingPrice.objects.exists()


def test_a_lost_claim_publishes_nothing(
    auction: Auction, monkeypatch: pytest.MonkeyPatch, solver: SolverEngine
) -> None:
    claim = _claim()

    class Slow:
        """Loses the claim while it computes."""

        def clear_bytes(self, snapshot: bytes, *, deadline_s: float) -> bytes:
            result = solver.clear_bytes(snapshot, deadline_s=deadline_s)
            ClearingRun.objects.update(token=claim.token + 1)
            return result

    monkeypatch.setattr(services, "engine", Slow)
    with pytest.raises(ClaimLost), transaction.atomic():
        services.clearing_run_execute(claim=claim)
    assert not Award.objects.exists()
    assert Auction.objects.get().state != AuctionState.PUBLISHED


def test_an_auction_without_a_result_ends_at_its_deadline(auction: Auction) -> None:
    from accounts.jobs.services import job_create

    job_create(kind="market.clearing.deadline", key=str(auction.id))
    claim = job_claim(job_id=Job.objects.get(kind="market.clearing.deadline").id)
    assert claim is not None
    services.clearing_deadline(claim=claim)
    after = Auction.objects.get()
    assert after.state == AuctionState.CANCELLED
    assert after.state_reason == "ResultMissing: no result by the deadline"


def test_what_is_published_cannot_be_changed(auction: Auction) -> None:
    services.clearing_run_execute(claim=_claim())
    changes: list[Any] = [
        lambda: AwardInterval.objects.update(quantity_kw=1),
        lambda: Award.objects.all()._raw_delete("default"),
        lambda: ClearingPrice.objects.update(price_jpy_per_kwh=1),
        lambda: SnapshotRecord.objects.update(sha256="0"),
        lambda: ClearingRun.objects.update(result_sha256="0"),
    ]
    for change in changes:
        with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
            change()
