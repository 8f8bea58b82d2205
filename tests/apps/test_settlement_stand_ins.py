"""A stand-in that is read anew changes what it is paid and what the buyers are credited."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction

from accounts.core.errors import BrokenInvariant
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.models import DeliveryVerification, StandInDelivery
from aggregator.settlement import staging
from aggregator.settlement.models import SettlementLine, SettlementRun
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.runs import settlement_run_execute
from tests import cast, settled_day
from tests.apps.test_settlement_corrections import _owed, verified
from tests.delivery_days import _stand_in

pytestmark = pytest.mark.django_db

T = 35
LOST = {("shiroi-cap", T): Decimal(3_000)}


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@pytest.fixture
def stand_in(day: cast.MarketDay) -> DispatchInstruction:
    return _stand_in(day)


def _stood_in(
    verification: DeliveryVerification, instruction: DispatchInstruction, kwh: int
) -> None:
    StandInDelivery.objects.create(
        verification=verification,
        instruction=instruction,
        award=instruction.award,
        t=T,
        start_at=instruction.starts_at,
        ordered_kwh=1_500,
        delivered_kwh=kwh,
        shortfall_kwh=1_500 - kwh,
        over_kwh=0,
        covered_kwh=kwh,
    )


def _settled_then_read_anew(
    day: cast.MarketDay, stand_in: DispatchInstruction
) -> DeliveryVerification:
    first = verified(day, LOST)
    _stood_in(first, stand_in, 1_500)
    settlement_run_execute(auction_id=day.auction.id)
    late = verified(day, {}, corrects=first)
    _stood_in(late, stand_in, 1_000)
    return late


def _sum(run: SettlementRun, item: str) -> Decimal:
    rows = SettlementLine.objects.filter(run=run, item=item)
    return sum((row.amount_exact_jpy for row in rows), Decimal(0))


def test_what_a_stand_in_no_longer_costs_is_credited_to_the_buyers(
    day: cast.MarketDay, stand_in: DispatchInstruction
) -> None:
    _settled_then_read_anew(day, stand_in)
    run = settlement_run_execute(auction_id=day.auction.id)
    # 500 kWh less, at the market's 60 (its ask was 50): 30,000 from the stand-in to the buyers.
    assert run.kind == "CORRECTION"
    assert _sum(run, "REPLACEMENT") == 30_000
    assert _sum(run, "SHORTFALL_CREDIT") == 30_000
    assert not run.lines.filter(item="RESIDUAL").exists()
    assert settlement_replay(run_id=run.pk).is_identical
    assert run.corrects is not None
    assert ("rounding", "RESIDUAL") not in _owed([run.corrects, run])


def test_a_stand_in_whose_cost_reaches_nobody_stops_the_correction(
    day: cast.MarketDay, stand_in: DispatchInstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    _settled_then_read_anew(day, stand_in)
    monkeypatch.setattr(staging, "_stand_in_changes_stage", lambda _: 0)
    with (
        pytest.raises(BrokenInvariant, match=r"30000\.0+ yen of a shortfall to nobody"),
        transaction.atomic(),
    ):
        settlement_run_execute(auction_id=day.auction.id)
