"""A published day, metered, verified, settled, closed, traced: the numbers of settled_day."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.clock.selectors import market_now
from accounts.core.errors import BrokenInvariant, ClaimLost, NotFound, Refused
from accounts.jobs.models import Job, JobState
from accounts.jobs.services import Claim, job_claim, job_create
from accounts.ledger.models import Transfer
from accounts.ledger.selectors import trial_balance_at
from accounts.ledger.statements import statement_of
from accounts.parties.models import Organisation
from aggregator.core.settlement import Item
from aggregator.metering.models import DeliveryVerification, Stage
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.metering.verifications import (
    delivery_verify,
    verification_execute,
)
from aggregator.settlement.close_requests import period_close_request
from aggregator.settlement.closes import (
    AuctionNotSettled,
    PeriodOverlaps,
    period_close,
    period_close_run,
    period_of_auction_ensure,
    period_open,
    run_execute,
)
from aggregator.settlement.models import SettlementItem, SettlementLine, SettlementRun
from aggregator.settlement.results import ResultUnreadable
from aggregator.settlement.runs import DeliveryNotVerified, settlement_run_execute
from aggregator.settlement.selectors import (
    items_of,
    lines_of,
    period_on,
    settlement_run_latest,
    trace_transfer,
)
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


def _settled(day: cast.MarketDay) -> SettlementRun:
    _verified(day)
    return settlement_run_execute(auction_id=day.auction.id)


def _closed(day: cast.MarketDay) -> Any:
    _settled(day)
    return period_close(period_id=period_of_auction_ensure(auction=day.auction).pk)


def _sums(run: SettlementRun) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in SettlementLine.objects.filter(run=run):
        sums[line.item] = sums.get(line.item, Decimal(0)) + line.amount_exact_jpy
    return sums


def _nets() -> dict[str, int]:
    nets: dict[str, int] = {}
    for balance in trial_balance_at().balances:
        name = Organisation.objects.get(id=balance.organisation_id).code
        key = name if balance.kind == "MEMBER" else balance.code
        nets[key] = nets.get(key, 0) + balance.balance_jpy
    return nets


# What each party holds after the close (settled_day's table):
# Inzai DC 1,350,000 + 2,025,000 - 90,000 - 150,000 - 41,250 = 3,093,750 before shares; receipts
# for delivered energy 1,350,000 + 1,875,000 = 3,225,000: fee 64,500, hall 483,750.
# Shiroi DC 945,000 - 18,900. Grid-T -4,230,000 + 191,250.
CLOSED = {
    "inzai-dc": 3_093_750 - 64_500 - 483_750,
    "inzai-hall": 483_750,
    "shiroi-dc": 945_000 - 18_900,
    "grid-t": -4_230_000 + 191_250,
    "fee": 64_500 + 18_900,
    "clearing": 0,
    "rounding": 0,
}


def test_the_rules_may_say_that_first_values_are_paid_on() -> None:
    rules = {**settled_day.SETTLEMENT, "pay_stage": "PRELIMINARY"}
    day = settled_day.published(settled_day.settled_places(rules))
    settled_day.metered(day, stage=Stage.PRELIMINARY)
    _closed(day)
    assert _nets() == CLOSED


def test_the_lines_are_those_of_the_table(day: cast.MarketDay, meters: dict[str, Any]) -> None:
    assert _sums(_settled(day)) == {
        Item.SELLER_ENERGY: Decimal(1_350_000 + 2_025_000 + 945_000 + 90_000),
        Item.SHORTFALL_REFUND: Decimal(150_000),
        Item.SHORTFALL_PENALTY: Decimal(41_250),
        Item.SHORTFALL_CREDIT: Decimal(191_250),
        Item.PLATFORM_FEE: Decimal(64_500 + 18_900),
        Item.REVENUE_SPLIT: Decimal(483_750),
        Item.NEED_CHARGE: Decimal(2_430_000 + 1_890_000 + 90_000),
    }


def test_credits_go_to_the_needs_by_price_component(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    run = _settled(day)
    lines = SettlementLine.objects.filter(run=run, item=Item.SHORTFALL_CREDIT)
    assert {line.need_id: line.amount_exact_jpy for line in lines} == {
        day.needs["local"].id: Decimal(153_000),
        day.needs["shortage"].id: Decimal(38_250),
    }


def test_a_repeated_run_writes_nothing(day: cast.MarketDay, meters: dict[str, Any]) -> None:
    run = _settled(day)
    count = SettlementLine.objects.count()
    assert settlement_run_execute(auction_id=day.auction.id).pk == run.pk
    assert SettlementLine.objects.count() == count


def test_money_that_does_not_tie_to_the_published_identity_stops_the_run() -> None:
    changes = {"money": {"residual_jpy": 7.0}}
    day = settled_day.published(settled_day.settled_places(), changes=changes)
    settled_day.metered(day)
    _verified(day)
    with pytest.raises(BrokenInvariant, match="money identity"), transaction.atomic():
        settlement_run_execute(auction_id=day.auction.id)
    assert not SettlementLine.objects.exists()


def test_rents_go_to_their_owners_and_the_residual_to_rounding() -> None:
    # Headroom 1,000 kW at 0.10 for half an hour: 50 yen; the published residual says -50.
    element = {
        "id": "tie-line",
        "headroom_up_kw": [1_000.0] * 48,
        "headroom_down_kw": [0.0] * 48,
        "rent_up_jpy_per_kwh": [0.1] + [0.0] * 47,
        "rent_down_jpy_per_kwh": [0.0] * 48,
        "call_rent_up_jpy_per_kwh": [0.0] * 48,
        "call_rent_down_jpy_per_kwh": [0.0] * 48,
        "flow_jpy_per_kwh": [0.0] * 48,
        "after_kw": [0.0] * 48,
    }
    area = {"id": "03", "price_jpy_per_kwh": [2.0] * 48, "deviation_kw": [10.0] + [0.0] * 47}
    # Excess of 5 kWh at 2: the imbalance account pays 10.
    changes = {"elements": [element], "areas": [area], "money": {"residual_jpy": -40.0}}
    day = settled_day.published(settled_day.settled_places(), changes=changes)
    settled_day.metered(day, scarce_kwh=Decimal(5_500))
    run = _settled(day)
    lines = SettlementLine.objects.filter(run=run).select_related("payer", "payee__organisation")
    rent = lines.get(item=Item.CONGESTION_RENT)
    assert (rent.payee.organisation.code, rent.amount_exact_jpy) == ("grid-t", Decimal(50))
    deviation = lines.get(item=Item.DEVIATION)
    assert (deviation.payer.code, deviation.amount_exact_jpy) == ("imbalance-03", Decimal(10))
    residual = lines.get(item=Item.RESIDUAL)
    assert (residual.payer.code, residual.amount_exact_jpy) == ("rounding", Decimal(40))


@pytest.mark.parametrize("changes", [{"schema": "other/1"}])
def test_a_result_of_another_layout_is_refused(changes: dict[str, Any]) -> None:
    day = settled_day.published(settled_day.settled_places(), changes=changes)
    settled_day.metered(day)
    _verified(day)
    with pytest.raises(ResultUnreadable, match="schema"):
        settlement_run_execute(auction_id=day.auction.id)


def test_an_unverified_auction_is_not_settled(day: cast.MarketDay) -> None:
    with pytest.raises(DeliveryNotVerified):
        settlement_run_execute(auction_id=day.auction.id)
    with pytest.raises(NotFound):
        settlement_run_execute(auction_id=day.places.people.platform.id)


def test_the_close_posts_whole_yen_and_empties_the_clearing_account(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    period = _closed(day)
    assert _nets() == CLOSED
    trial = trial_balance_at()
    assert (trial.difference_jpy, trial.clearing_jpy) == (0, 0)
    assert period.state == "CLOSED"
    assert period.label == "2026-11-25/2026-11-26"
    day.auction.refresh_from_db()
    assert day.auction.state == AuctionState.SETTLED
    assert statement_of(organisation=day.places.people.shiroi_dc).total_jpy == 926_100


def test_closing_again_posts_nothing(day: cast.MarketDay, meters: dict[str, Any]) -> None:
    period = _closed(day)
    before = list(Transfer.objects.order_by("id").values())
    for _ in range(20):
        period_close(period_id=period.pk)
    assert list(Transfer.objects.order_by("id").values()) == before
    assert SettlementItem.objects.values("close_number").distinct().count() == 1


def test_a_reading_corrected_after_the_close_posts_the_difference_only(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    period = _closed(day)
    before = {row["id"]: row for row in Transfer.objects.values()}
    corrected = ReadingRow(
        meters["inzai-load"].point_number, settled_day.half_hour(day, 36), Decimal(5_500), 0, 3
    )
    readings_ingest(rows=[corrected], source="correction")
    period_close(period_id=period.pk)
    after = {row["id"]: row for row in Transfer.objects.values()}
    assert {key: after[key] for key in before} == before
    new = [after[key] for key in after.keys() - before.keys()]
    # Refund, penalty and credit go back; fee and split rise by 2 % and 15 % of 150,000.
    assert {(row["code"], row["amount_jpy"]) for row in new} == {
        (Item.SHORTFALL_REFUND.value, 150_000),
        (Item.SHORTFALL_PENALTY.value, 41_250),
        (Item.SHORTFALL_CREDIT.value, 191_250),
        (Item.PLATFORM_FEE.value, 3_000),
        (Item.REVENUE_SPLIT.value, 22_500),
    }
    nets = _nets()
    assert nets["grid-t"] == -4_230_000
    assert nets["inzai-dc"] == 3_285_000 - 67_500 - 506_250
    assert trial_balance_at().difference_jpy == 0
    count = Transfer.objects.count()
    period_close(period_id=period.pk)
    assert Transfer.objects.count() == count


def test_a_period_with_an_auction_that_cannot_be_settled_stays_open(day: cast.MarketDay) -> None:
    settled_day.metered(day, stage=Stage.PRELIMINARY)
    period = period_of_auction_ensure(auction=day.auction)
    with pytest.raises(AuctionNotSettled, match="確定"), transaction.atomic():
        period_close(period_id=period.pk)
    assert not Transfer.objects.exists()
    period.refresh_from_db()
    assert period.state == "OPEN"


def test_a_close_that_must_wait_is_put_off_and_says_why(day: cast.MarketDay) -> None:
    settled_day.metered(day, stage=Stage.PRELIMINARY)
    period = period_of_auction_ensure(auction=day.auction)
    claim = _claim(Job.objects.get(kind="aggregator.settlement.period_close"))
    assert period_close_run(claim=claim) is None
    job = Job.objects.get(id=claim.job_id)
    assert job.state == JobState.READY
    assert job.due_at > market_now()
    assert period.state == "OPEN"


def test_an_auction_still_running_holds_its_period(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    cast.auction(day.places, code="ID-2026-11-25", state=AuctionState.CLEARING)
    period = period_of_auction_ensure(auction=day.auction)
    with pytest.raises(AuctionNotSettled, match="published or cancelled"), transaction.atomic():
        period_close(period_id=period.pk)


def test_a_cancelled_auction_does_not_hold_its_period(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    cast.auction(day.places, code="ID-2026-11-25", state=AuctionState.CANCELLED)
    _closed(day)
    assert _nets() == CLOSED


def test_a_month_is_one_period_that_closes_after_its_lag() -> None:
    rules = {**settled_day.SETTLEMENT, "period": "MONTH", "close_lag_h": 600}
    day = settled_day.published(settled_day.settled_places(rules))
    period = period_of_auction_ensure(auction=day.auction)
    assert period.label == "2026-11-01/2026-12-01"
    job = Job.objects.get(kind="aggregator.settlement.period_close")
    # 1 December 00:00 JST + 25 days.
    assert job.due_at == cast.datetime(2026, 12, 25, 15, tzinfo=cast.UTC)
    assert period_on(day.auction) == period


def test_a_delivery_date_belongs_to_one_period() -> None:
    first = period_open(start_on=cast.date(2026, 11, 1), end_on=cast.date(2026, 12, 1))
    same = period_open(start_on=cast.date(2026, 11, 1), end_on=cast.date(2026, 12, 1))
    assert same.pk == first.pk
    with pytest.raises(PeriodOverlaps):
        period_open(start_on=cast.date(2026, 11, 30), end_on=cast.date(2026, 12, 2))
    with pytest.raises(Refused, match="end_on"):
        period_open(start_on=cast.date(2026, 12, 2), end_on=cast.date(2026, 12, 2))
    with pytest.raises(NotFound), transaction.atomic():
        period_close(period_id=first.pk + 1)


def _claim(job: Job) -> Claim:
    Job.objects.filter(id=job.id).update(due_at=market_now())
    claim = job_claim(job_id=job.id)
    assert claim is not None
    return claim


def test_the_jobs_lead_from_the_readings_to_the_posted_period(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    # What the market puts on the list after publication: a key, and the auction as payload.
    verify = job_create(
        kind="aggregator.metering.delivery_verify",
        key=str(day.auction.id),
        payload={"auction": str(day.auction.id)},
    )
    delivery_verify(claim=_claim(verify))
    run_execute(claim=_claim(Job.objects.get(kind="aggregator.settlement.run_execute")))
    close = Job.objects.get(kind="aggregator.settlement.period_close")
    assert close.due_at == day.auction.delivery_start + timedelta(days=1, hours=2)
    period_close_run(claim=_claim(close))
    assert _nets() == CLOSED
    left = Job.objects.exclude(state=JobState.DONE).exclude(
        kind="aggregator.settlement.run_execute"
    )
    assert [job.kind for job in left] == ["aggregator.settlement.documents_issue"]


def test_a_worker_whose_lease_was_taken_over_posts_nothing(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    _settled(day)
    period_of_auction_ensure(auction=day.auction)
    claim = _claim(Job.objects.get(kind="aggregator.settlement.period_close"))
    Job.objects.filter(id=claim.job_id).update(token=claim.token + 1)
    with pytest.raises(ClaimLost), transaction.atomic():
        period_close_run(claim=claim)
    assert not Transfer.objects.exists()


def test_every_transfer_leads_back_to_its_cause(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    _closed(day)
    for transfer in Transfer.objects.all():
        steps = trace_transfer(transfer.id)
        nouns = [step.noun for step in steps]
        assert nouns[:3] == ["Transfer", "SettlementItem", "SettlementRun"]
        assert "Need" in nouns
        assert steps[0].detail["amount_jpy"] == transfer.amount_jpy


def test_the_trace_of_a_penalty_names_delivery_award_bid_and_needs(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    _closed(day)
    penalty = Transfer.objects.get(code=Item.SHORTFALL_PENALTY)
    steps = {step.noun: step for step in reversed(trace_transfer(str(penalty.id)))}
    assert steps["Delivery"].text == "コマ37 約定 4500.000 kWh 供出 3500.000 kWh 未達 1000.000 kWh"
    assert steps["Award"].id == str(day.awards["inzai-defer"].id)
    assert steps["Bid"].id == str(day.bids["inzai-defer"].id)
    # Of the two needs the local one weighs more and comes first.
    assert steps["Need"].id == str(day.needs["local"].id)
    with pytest.raises(NotFound):
        trace_transfer(str(day.auction.id))


def test_parties_see_the_lines_they_pay_or_are_paid(
    day: cast.MarketDay, meters: dict[str, Any]
) -> None:
    run = _settled(day)
    who = day.places.people
    every = lines_of(run=run, seen_by=who.platform).count()
    assert every == SettlementLine.objects.filter(run=run).count()
    assert lines_of(run=run, seen_by=who.stranger_org).count() == 0
    # Six half hours of energy and one fee.
    assert lines_of(run=run, seen_by=who.shiroi_dc).count() == 7
    assert settlement_run_latest(auction=day.auction) == run
    assert settlement_run_latest(auction=day.auction, kind="PROVISIONAL") is None


def test_items_tie_to_lines_and_to_transfers(day: cast.MarketDay, meters: dict[str, Any]) -> None:
    period = _closed(day)
    items = list(items_of(period=period))
    assert sum(item.amount_jpy for item in items) == 0
    assert sum((item.total_exact_jpy for item in items), Decimal(0)) == 0
    for item in items:
        if item.transfer is not None:
            assert item.transfer.amount_jpy == abs(item.amount_jpy - item.posted_before_jpy)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE settlement_settlementline SET amount_exact_jpy = 1",
        "DELETE FROM settlement_settlementline",
        "TRUNCATE settlement_settlementline CASCADE",
        "UPDATE settlement_settlementrun SET kind = 'PROVISIONAL'",
        "UPDATE settlement_settlementitem SET amount_jpy = 1",
        "UPDATE settlement_settlementperiod SET state = 'OPEN'",
        "UPDATE settlement_settlementperiod SET end_on = end_on + 1",
        "UPDATE metering_delivery SET delivered_kwh = 0, shortfall_kwh = ordered_kwh",
        "UPDATE metering_baseline SET is_locked = false",
    ],
)
def test_nothing_settled_can_be_changed_by_hand(
    day: cast.MarketDay, meters: dict[str, Any], statement: str
) -> None:
    _closed(day)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(DatabaseError, match=r"refused|cannot move"), transaction.atomic():
            cursor.execute(statement)


def test_the_request_of_a_close_is_one_job(day: cast.MarketDay) -> None:
    period = period_of_auction_ensure(auction=day.auction)
    assert period_close_request(period=period).key == f"{period.label}:0"
    assert Job.objects.filter(kind="aggregator.settlement.period_close").count() == 1
