"""A correction and a replay know the agreements as the day was settled by them, not today's."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from accounts.parties.models import OrganisationKind
from aggregator.metering.models import Delivery, DeliveryVerification, StandInDelivery
from aggregator.settlement.adjustments import LineDelta, adjustment_run
from aggregator.settlement.agreed import terms_kept
from aggregator.settlement.models import NegawattContract, RunTerms, SettlementLine, SettlementRun
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.runs import settlement_run_execute
from market.registry.models import RevenueSplit, Site
from tests import cast, settled_day
from tests.apps.test_settlement_corrections import _accepted, _line_of, verified
from tests.apps.test_settlement_stand_ins import (
    LOST,
    T,
    _assessed,
    _reserved,
    _stood_in,
)
from tests.delivery_days import _stand_in

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@pytest.fixture
def retailer(day: cast.MarketDay) -> Any:
    made = cast.organisation("retail-a", OrganisationKind.RETAILER, "小売A", "Retail A")
    Site.objects.update(retailer=made)
    return made


def _contract(retailer: Any, price: str, valid_from_on: date = date(2026, 4, 1)) -> None:
    NegawattContract.objects.create(
        retailer=retailer,
        method="UNIT_PRICE",
        price_jpy_per_kwh=D(price),
        valid_from_on=valid_from_on,
        noted_at=cast.datetime(2026, 4, 1, tzinfo=cast.UTC),
    )


def _sums(run: SettlementRun, item: str) -> set[tuple[str, str, Decimal]]:
    rows = SettlementLine.objects.filter(run=run, item=item).select_related(
        "payer__organisation", "payee__organisation"
    )
    return {
        (row.payer.organisation.code, row.payee.organisation.code, row.amount_exact_jpy)
        for row in rows
    }


def test_what_is_agreed_after_a_day_was_settled_moves_no_correction_of_it(
    day: cast.MarketDay, retailer: Any
) -> None:
    _contract(retailer, "7.10")
    first = verified(day, {("inzai-defer", 36): D(1_000)})
    whole = settlement_run_execute(auction_id=day.auction.id)
    # a dearer contract, and an end of the share, both dated back to before the day
    _contract(retailer, "9.99", date(2026, 5, 1))
    RevenueSplit.objects.update(valid_to_on=date(2026, 5, 1))
    verified(day, {("inzai-defer", 36): D(0)}, corrects=first)
    run = settlement_run_execute(auction_id=day.auction.id)
    # 1,000 kWh at 7.10; 15 % of 150,000
    assert _sums(run, "NEGAWATT_COMPENSATION") == {
        ("wattbit", "retail-a", D(7_100)), ("inzai-dc", "wattbit", D(7_100)),
    }  # fmt: skip
    assert _sums(run, "REVENUE_SPLIT") == {("inzai-dc", "inzai-hall", D(22_500))}
    for settled in (whole, run):
        replay = settlement_replay(run_id=settled.pk)
        assert replay.is_identical
        assert replay.lines


def test_a_decided_dispute_is_shared_as_the_day_was(day: cast.MarketDay) -> None:
    verified(day, {("inzai-defer", 36): D(1_000)})
    settlement_run_execute(auction_id=day.auction.id)
    RevenueSplit.objects.update(valid_to_on=date(2026, 5, 1))
    dispute = _accepted(day, "SHORTFALL_REFUND")
    delta = LineDelta(line_id=_line_of(dispute), quantity_kwh=D(500))
    (run,) = adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    # 15 % of 75,000
    assert _sums(run, "REVENUE_SPLIT") == {("inzai-dc", "inzai-hall", D(11_250))}
    assert settlement_replay(run_id=run.pk).is_identical


def test_a_call_is_taken_to_the_sending_end_by_the_losses_the_day_was_settled_by(
    day: cast.MarketDay,
) -> None:
    award = _reserved(day)
    loss = award.resource.site.loss_ratio
    first = verified(day, {})
    _assessed(first, award, 0)
    settlement_run_execute(auction_id=day.auction.id)
    Site.objects.update(loss_ratio=D("0.2"))
    late = verified(day, {}, corrects=first)
    _assessed(late, award, 0, instructed_kwh=D(100), responded_kwh=D(97), is_responsive=True)
    run = settlement_run_execute(auction_id=day.auction.id)
    sent = {row.quantity_kwh for row in run.lines.filter(item="ACTIVATION_UP")}
    assert sent == {(D(97) / (1 - loss)).quantize(D("0.000001"))}
    assert settlement_replay(run_id=run.pk).is_identical


def test_what_a_run_was_told_is_kept_whole_and_never_changed(
    day: cast.MarketDay, retailer: Any
) -> None:
    _contract(retailer, "7.10")
    verified(day, {})
    run = settlement_run_execute(auction_id=day.auction.id)
    terms = terms_kept(run)
    assert terms is not None
    unit = day.places.resources["inzai-load"].id
    account, price = terms.compensation_at(unit, 0) or ("", D(0))
    assert (SettlementLine.objects.filter(payee_id=int(account)).exists(), price) == (
        True,
        D("7.10"),
    )
    assert [share.weight for share in terms.splits[day.places.sites["inzai"].id]] == [D("0.15000")]
    with pytest.raises(DatabaseError, match="append"), transaction.atomic():
        RunTerms.objects.update(content={})


def test_new_terms_make_another_provisional_run_and_leave_a_final_one(
    day: cast.MarketDay,
) -> None:
    first = verified(day, {})
    final = settlement_run_execute(auction_id=day.auction.id)
    early = DeliveryVerification.objects.create(
        auction=day.auction, revision=2, stage="PRELIMINARY", as_of=first.as_of,
        ruleset=day.auction.ruleset, input_sha256="early",
    )  # fmt: skip
    rows = list(Delivery.objects.filter(verification=first))
    for row in rows:
        row.pk, row.verification = None, early
    Delivery.objects.bulk_create(rows)
    first_run, again = (
        settlement_run_execute(auction_id=early.auction_id, kind="PROVISIONAL") for _ in range(2)
    )
    assert again == first_run
    RevenueSplit.objects.update(valid_to_on=date(2026, 5, 1))
    assert settlement_run_execute(auction_id=day.auction.id, kind="PROVISIONAL") != first_run
    assert settlement_run_execute(auction_id=day.auction.id, kind="FINAL") == final


def test_a_stand_in_s_receipt_in_dispute_is_shared_at_its_own_site(day: cast.MarketDay) -> None:
    stand_in = _stand_in(day)
    owner = cast.organisation("cap-owner", OrganisationKind.FACILITY_OWNER, "白井", "Shiroi Hall")
    RevenueSplit.objects.create(
        site=day.awards["shiroi-cap"].resource.site,
        organisation=owner,
        share_ratio=D("0.25"),
        valid_from_on=date(2026, 4, 1),
    )
    first = verified(day, LOST)
    _stood_in(first, stand_in, 1_500)
    settlement_run_execute(auction_id=day.auction.id)
    dispute = _accepted(day, "REPLACEMENT", t=T)
    delta = LineDelta(line_id=_line_of(dispute), amount_exact_jpy=D(72_000))
    (run,) = adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    # 90,000 were paid; of the 18,000 that go back 15 % are those of Inzai's hall, where they came
    assert _sums(run, "REVENUE_SPLIT") == {("inzai-hall", "inzai-dc", D(2_700))}


def test_the_retailer_of_a_stand_in_is_owed_and_read_anew_with_it(
    day: cast.MarketDay, retailer: Any
) -> None:
    stand_in = _stand_in(day)
    assert stand_in.resource.kind == "DC_LOAD"
    _contract(retailer, "7.10")
    first = verified(day, LOST)
    _stood_in(first, stand_in, 1_500)
    whole = settlement_run_execute(auction_id=day.auction.id)
    owed = SettlementLine.objects.filter(
        run=whole, item="NEGAWATT_COMPENSATION", element=str(stand_in.id)
    )
    # 1,500 kWh at 7.10, borne by who stood in
    assert {row.amount_exact_jpy for row in owed} == {D(10_650)}
    assert {row.payer.organisation.code for row in owed} == {"wattbit", "inzai-dc"}
    late = verified(day, {}, corrects=first)
    _stood_in(late, stand_in, 1_000)
    assert StandInDelivery.objects.count() == 2
    run = settlement_run_execute(auction_id=day.auction.id)
    assert _sums(run, "NEGAWATT_COMPENSATION") == {
        ("retail-a", "wattbit", D(3_550)), ("wattbit", "inzai-dc", D(3_550)),
    }  # fmt: skip
    assert settlement_replay(run_id=run.pk).is_identical
