"""Verifying a day's delivery: baselines by kind, revisions, stages; the numbers of settled_day."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.selectors import market_now
from accounts.clock.services import clock_set
from accounts.core.errors import NotFound
from accounts.jobs.models import Job, JobState
from accounts.jobs.services import Claim, job_claim
from aggregator.metering.models import Baseline, Delivery, DeliveryVerification, Stage
from aggregator.metering.selectors import deliveries_of
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import (
    NothingPublished,
    ReadingsNotFinal,
    delivery_verification_request,
    delivery_verify,
    verification_execute,
)
from aggregator.settlement.runs import DeliveryNotVerified, settlement_run_execute
from market.trading.models import AuctionState
from tests import cast, settled_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@pytest.fixture
def meters(day: cast.MarketDay) -> dict[str, Any]:
    return settled_day.metered(day)


def _verified(day: cast.MarketDay, stage: str = "FINAL") -> DeliveryVerification:
    return verification_execute(auction_id=day.auction.id, stage=stage)


def _claim(job: Job) -> Claim:
    Job.objects.filter(id=job.id).update(due_at=market_now())
    claim = job_claim(job_id=job.id)
    assert claim is not None
    return claim


def test_delivery_is_baseline_minus_meter(day: cast.MarketDay, meters: dict[str, Any]) -> None:
    verification = _verified(day)
    rows = Delivery.objects.filter(verification=verification)
    short = rows.get(shortfall_kwh__gt=0)
    assert (short.award_id, short.t) == (day.awards["inzai-defer"].id, cast.SCARCE)
    assert (short.baseline_kwh, short.metered_kwh) == (Decimal(10_000), Decimal(6_500))
    assert (short.ordered_kwh, short.delivered_kwh) == (Decimal(4_500), Decimal(3_500))
    assert rows.count() == 4 * 6
    assert (short.reading_revision, short.reading_stage) == (1, Stage.FINAL)


def test_each_resource_has_the_baseline_of_its_kind(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    _verified(day)
    methods = {row.resource.code: row for row in Baseline.objects.select_related("resource")}
    load, battery = methods["inzai-dc-1-load"], methods["inzai-dc-1-battery"]
    assert (load.method, battery.method) == ("HIGH_4_OF_5", "METER_ONLY")
    assert load.is_locked
    assert set(load.baseline_kwh or []) == {Decimal(10_000)}
    assert set(battery.baseline_kwh or []) == {Decimal(0)}
    # Wednesday 25: Tue 24, Fri 20, Thu 19, Wed 18 (Monday 23 is a holiday; Tue 17 is dropped).
    assert [d.day for d in load.days_used] == [24, 20, 19, 18]


def test_a_repeated_verification_writes_nothing(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    first = _verified(day)
    assert _verified(day).pk == first.pk
    assert Baseline.objects.count() == 3
    assert Job.objects.filter(kind="aggregator.settlement.run_execute").count() == 1


def test_a_later_reading_makes_the_next_revision_on_the_locked_baseline(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    first = _verified(day)
    revised = [
        ReadingRow(meters["inzai-load"].point_number, settled_day.half_hour(day, t), value, 0, 3)
        for t, value in ((36, Decimal(5_500)), (25, Decimal(59_999)))
    ]
    readings_ingest(rows=revised, source="correction")
    second = _verified(day)
    assert second.revision == first.revision + 1
    # The window value of t = 25 rose too, but the baseline is locked.
    of_load = Delivery.objects.filter(verification=second, award=day.awards["inzai-defer"])
    assert set(of_load.values_list("baseline_kwh", flat=True)) == {Decimal(10_000)}
    assert not Delivery.objects.filter(verification=second, shortfall_kwh__gt=0).exists()
    assert Baseline.objects.count() == 3


def test_what_is_not_final_is_not_paid_on(day: cast.MarketDay) -> None:
    settled_day.metered(day, stage=Stage.PRELIMINARY)
    with pytest.raises(ReadingsNotFinal, match="確定"):
        _verified(day)
    assert _verified(day, "PRELIMINARY").stage == "PRELIMINARY"
    assert settlement_run_execute(auction_id=day.auction.id).kind == "PROVISIONAL"
    with pytest.raises(DeliveryNotVerified, match="final"):
        settlement_run_execute(auction_id=day.auction.id, kind="FINAL")


def test_a_half_hour_nobody_metered_counts_as_not_delivered(day: cast.MarketDay) -> None:
    clock_set(market_at=day.auction.delivery_start + settled_day.AFTER)
    verification = _verified(day)
    rows = Delivery.objects.filter(verification=verification)
    assert {row.delivered_kwh for row in rows} == {Decimal(0)}
    reasons = {row.resource.code: row.reason for row in Baseline.objects.all()}
    assert "at least 4 valid days" in reasons["inzai-dc-1-load"]


def test_sellers_see_their_own_deliveries_only(day: cast.MarketDay, meters: dict[str, Any]) -> None:
    _verified(day)
    who = day.places.people
    counts = {
        org.code: deliveries_of(auction_id=day.auction.id, seen_by=org).count()
        for org in (who.platform, who.inzai_dc, who.shiroi_dc, who.grid_t, who.stranger_org)
    }
    assert counts == {"wattbit": 24, "inzai-dc": 18, "shiroi-dc": 6, "grid-t": 0, "stranger": 0}


def test_an_auction_without_awards_has_nothing_to_verify(day: cast.MarketDay) -> None:
    other = cast.auction(
        day.places, delivery_on=cast.date(2026, 11, 26), state=AuctionState.PUBLISHED
    )
    with pytest.raises(NothingPublished):
        verification_execute(auction_id=other.id, stage="FINAL")
    with pytest.raises(NotFound):
        verification_execute(auction_id=day.places.people.platform.id, stage="FINAL")
    clock_set(market_at=other.delivery_start + timedelta(days=2))
    claim = _claim(delivery_verification_request(auction=other, stage="PRELIMINARY"))
    assert delivery_verify(claim=claim) is None
    assert Job.objects.get(id=claim.job_id).state == JobState.DONE
