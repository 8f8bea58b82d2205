"""What a close settles: every published auction, whether it awarded anything or not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounts.jobs.models import Job
from accounts.jobs.services import job_claim, job_create
from accounts.ledger.models import Transfer
from aggregator.metering.models import DeliveryVerification, Stage
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import JOB_KIND, delivery_verify, verification_execute
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.closes import period_close, period_of_auction_ensure, run_execute
from aggregator.settlement.models import SettlementLine, SettlementPeriod
from aggregator.settlement.recomputing import period_recompute
from market.clearing.models import Award
from tests import cast, settled_day

pytestmark = pytest.mark.django_db


def _nothing_awarded(document: dict[str, Any]) -> None:
    """Take no offer: the first need is served 400 kWh at 50 by a deviation of area 03."""
    for n, need in enumerate(document["needs"]):
        need["served_kw"] = [800.0 if (n, t) == (0, 36) else 0.0 for t in range(48)]
        need["price_jpy_per_kwh"] = [50.0 if (n, t) == (0, 36) else 0.0 for t in range(48)]
    document["awards"] = []
    area = document["areas"][0]
    area["price_jpy_per_kwh"] = [50.0 if t == 36 else 0.0 for t in range(48)]
    area["deviation_kw"] = [-800.0 if t == 36 else 0.0 for t in range(48)]


def _unawarded() -> cast.MarketDay:
    return settled_day.published(
        settled_day.settled_places(), edit=_nothing_awarded, is_awarded=False
    )


def test_an_auction_that_awarded_nothing_still_owes_what_was_published() -> None:
    day = _unawarded()
    assert not Award.objects.exists()
    period = period_of_auction_ensure(auction=day.auction)
    period_close(period_id=period.pk)
    # 800 kW for half an hour are 400 kWh, at 50: 20,000 from the need to the imbalance account
    found = set(Transfer.objects.values_list("code", "amount_jpy"))
    assert found == {("NEED_CHARGE", 20_000), ("DEVIATION", 20_000)}
    day.auction.refresh_from_db()
    assert day.auction.state == "SETTLED"
    period_close(period_id=period.pk)
    assert DeliveryVerification.objects.count() == 1
    assert Transfer.objects.count() == 2
    assert period_recompute(period=period).differences == ()


def test_the_look_at_an_auction_that_awarded_nothing_has_it_settled_and_its_period_opened() -> None:
    day = _unawarded()
    payload = {"auction": str(day.auction.id), "stage": "FINAL"}
    claim = job_claim(job_id=job_create(kind=JOB_KIND, key="x", payload=payload).id)
    assert claim is not None
    delivery_verify(claim=claim)
    job = Job.objects.get(kind="aggregator.settlement.run_execute")
    claim = job_claim(job_id=job.id)
    assert claim is not None
    run = run_execute(claim=claim)
    assert (run.kind, run.lines.count()) == ("FINAL", 2)
    assert SettlementPeriod.objects.count() == 1


def _reading(day: cast.MarketDay, number: str, t: int, stage: Stage) -> None:
    row = ReadingRow(number, settled_day.half_hour(day, t), Decimal(7_000), 0, int(stage))
    readings_ingest(rows=[row], source="late")


def test_a_preliminary_value_after_the_close_waits_for_the_final_one_and_blocks_nothing() -> None:
    day = settled_day.published(settled_day.settled_places())
    meters = settled_day.metered(day, without=("shiroi-load", 36))
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    period = period_of_auction_ensure(auction=day.auction)
    period_close(period_id=period.pk)
    count = Transfer.objects.count()
    _reading(day, meters["shiroi-load"].point_number, 36, Stage.PRELIMINARY)
    # another meter's final value is not kept waiting for it: 500 kWh less were missing
    row = ReadingRow(
        meters["inzai-load"].point_number, settled_day.half_hour(day, 36), Decimal(6_000), 0, 3
    )
    readings_ingest(rows=[row], source="late")
    period_close(period_id=period.pk)
    chain = runs_in_force(auction=day.auction)
    assert [run.kind for run in chain] == ["FINAL", "CORRECTION"]
    refunds = SettlementLine.objects.filter(run=chain[1], item="SHORTFALL_REFUND")
    assert [row.amount_exact_jpy for row in refunds] == [Decimal(75_000)]
    assert Transfer.objects.count() > count
    _reading(day, meters["shiroi-load"].point_number, 36, Stage.FINAL)
    period_close(period_id=period.pk)
    chain = runs_in_force(auction=day.auction)
    assert [run.kind for run in chain] == ["FINAL", "CORRECTION", "CORRECTION"]
    # Shiroi's 3,000 kWh at 90 were there after all
    refunds = SettlementLine.objects.filter(run=chain[2], item="SHORTFALL_REFUND")
    assert [row.amount_exact_jpy for row in refunds] == [Decimal(270_000)]
    assert period_recompute(period=period).differences == ()
