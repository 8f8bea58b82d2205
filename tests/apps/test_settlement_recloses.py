"""A correction of a closed period asks for its own close, and is posted by it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounts.jobs.models import Job
from accounts.jobs.services import job_claim
from accounts.ledger.models import Transfer
from aggregator.metering.models import DeliveryVerification
from aggregator.settlement import closes
from aggregator.settlement.adjustments import LineDelta, adjustment_run
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.close_requests import JOB_KIND
from aggregator.settlement.closes import period_close_run, period_of_auction_ensure
from aggregator.settlement.models import SettlementPeriod, SettlementRun
from aggregator.settlement.runs import settlement_run_execute
from tests import cast, settled_day
from tests.apps.test_settlement_corrections import (
    SHORT,
    _accepted,
    _line_of,
    _owed,
    _posted,
    verified,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@pytest.fixture
def first(day: cast.MarketDay) -> DeliveryVerification:
    return verified(day, SHORT)


@pytest.fixture
def settled(day: cast.MarketDay, first: DeliveryVerification) -> SettlementRun:
    return settlement_run_execute(auction_id=day.auction.id)


@pytest.fixture
def closed(
    day: cast.MarketDay, settled: SettlementRun, monkeypatch: pytest.MonkeyPatch
) -> SettlementPeriod:
    monkeypatch.setattr(closes, "auctions_verify", lambda _: None)
    period = period_of_auction_ensure(auction=day.auction)
    return closes.period_close(period_id=period.pk)


def _close_of(run: SettlementRun, period: SettlementPeriod) -> int:
    """Carry out the close that a correction asked for; returns how many transfers it posted."""
    before = Transfer.objects.count()
    job = Job.objects.get(kind=JOB_KIND, key=f"{period.label}:{run.pk}")
    claim = job_claim(job_id=job.id)
    assert claim is not None
    period_close_run(claim=claim)
    return Transfer.objects.count() - before


def test_a_correction_of_a_closed_period_has_itself_posted(
    day: cast.MarketDay, first: DeliveryVerification, closed: SettlementPeriod
) -> None:
    verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=first)
    run = settlement_run_execute(auction_id=day.auction.id)
    # fee and split of two parties each, credit, penalty, refund
    assert _close_of(run, closed) == 7
    owed = _owed(runs_in_force(auction=day.auction))
    posted = {key: amount for key, amount in _posted(closed).items() if amount}
    assert posted == {key: owed[key] for key in posted}


def test_a_decided_dispute_of_a_closed_period_has_itself_posted(
    day: cast.MarketDay, closed: SettlementPeriod
) -> None:
    dispute = _accepted(day, "SHORTFALL_REFUND")
    delta = LineDelta(line_id=_line_of(dispute), quantity_kwh=Decimal(500))
    (run,) = adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    # fee and split of two parties each, credit, refund
    assert _close_of(run, closed) == 6


def test_a_correction_before_the_close_waits_for_it(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    period = period_of_auction_ensure(auction=day.auction)
    verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=first)
    settlement_run_execute(auction_id=day.auction.id)
    assert [job.key for job in Job.objects.filter(kind=JOB_KIND)] == [
        f"{period.label}:{settled.pk}"
    ]


def test_a_close_that_posts_nothing_does_not_stand_in_for_the_next(
    day: cast.MarketDay, first: DeliveryVerification, closed: SettlementPeriod
) -> None:
    second = verified(day, {("inzai-defer", 36): Decimal(1_000)}, corrects=first)
    assert _close_of(settlement_run_execute(auction_id=day.auction.id), closed) == 0
    verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=second)
    assert _close_of(settlement_run_execute(auction_id=day.auction.id), closed) == 7
