"""The life of a settlement in any order: nothing is lost, posted twice or touched once posted."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.ledger.models import Transfer
from accounts.ledger.selectors import trial_balance_at
from accounts.parties.models import OrganisationKind
from aggregator.core.causes import (
    Compensation,
    StandInPosition,
    compensation_lines,
    stand_in_jpy_per_kwh,
    stand_in_lines,
)
from aggregator.core.delivery import Direction
from aggregator.core.settlement import (
    AwardPosition,
    Line,
    award_lines,
    credit_lines,
    need_lines,
    share_lines,
)
from aggregator.core.terms import rules_from_mapping
from aggregator.metering.models import DeliveryVerification, StandInDelivery
from aggregator.metering.selectors import deliveries_effective, stand_ins_effective
from aggregator.settlement import closes
from aggregator.settlement.adjustments import LineDelta, adjustment_run
from aggregator.settlement.agreed import terms_kept
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.closes import period_close, period_of_auction_ensure
from aggregator.settlement.differences import closes_differing
from aggregator.settlement.disputes import (
    dispute_decide,
    dispute_open,
    dispute_review_start,
    dispute_withdraw,
)
from aggregator.settlement.models import (
    Dispute,
    LineAdjustment,
    NegawattContract,
    SettlementLine,
    SettlementRun,
)
from aggregator.settlement.parties import MarketParties
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.results import PublishedResult, result_of
from aggregator.settlement.runs import settlement_run_execute
from aggregator.settlement.totals import totals_from_lines
from market.clearing.models import AwardInterval
from market.registry.models import RevenueSplit, Site
from tests import cast, settled_day
from tests.apps.test_settlement_corrections import verified
from tests.delivery_days import _stand_in

SLOTS = [("inzai-defer", 36), ("inzai-defer", 35), ("shiroi-cap", 36), ("inzai-battery-down", 21)]
LOST = ("shiroi-cap", 35)
# What the market pays at the stand-in's place in the lost half hour, and what it asks.
PLACE_PRICE, ASK = Decimal(60), Decimal(50)
missing_kwh = st.decimals(min_value=0, max_value=2_500, places=3)
Key = tuple[str, str, str | None, str | None, int | None]


class Life(RuleBasedStateMachine):
    """Verify, settle, agree, read again, dispute, decide, close and close again, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.patch = pytest.MonkeyPatch()
        # what was verified is what the rules below say
        self.patch.setattr(closes, "auctions_verify", lambda _: None)
        self.day = settled_day.published(settled_day.settled_places())
        self.stand_in = _stand_in(self.day)
        self.retailer = cast.organisation(
            "retail-a", OrganisationKind.RETAILER, "小売A", "Retail A"
        )
        Site.objects.update(retailer=self.retailer)
        self._contract(Decimal("7.10"), date(2026, 4, 1))
        self.last: DeliveryVerification | None = None
        self.posted: dict[Any, Any] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)
        self.patch.undo()

    def _contract(self, price: Decimal, valid_from_on: date) -> None:
        NegawattContract.objects.create(
            retailer=self.retailer,
            method="UNIT_PRICE",
            price_jpy_per_kwh=price,
            valid_from_on=valid_from_on,
            noted_at=self.day.auction.delivery_start,
        )

    @rule(slot=st.sampled_from(SLOTS), kwh=missing_kwh, is_excused=st.booleans())
    def verify(self, slot: tuple[str, int], kwh: Decimal, is_excused: bool) -> None:  # noqa: FBT001
        excused = [slot] if is_excused else []
        self.last = verified(self.day, {slot: kwh}, corrects=self.last, excused=excused)

    @rule(lost=st.decimals(min_value=0, max_value=3_000, places=3), kwh=missing_kwh)
    def stand_in_for(self, lost: Decimal, kwh: Decimal) -> None:
        delivered = min(kwh, Decimal(1_500))
        self.last = verified(self.day, {LOST: lost}, corrects=self.last)
        StandInDelivery.objects.create(
            verification=self.last,
            instruction=self.stand_in,
            award=self.stand_in.award,
            t=LOST[1],
            start_at=settled_day.half_hour(self.day, LOST[1]),
            ordered_kwh=1_500,
            delivered_kwh=delivered,
            shortfall_kwh=1_500 - delivered,
            over_kwh=0,
            covered_kwh=delivered,
        )

    @rule(price=st.decimals(min_value=0, max_value=30, places=2), ends=st.booleans())
    def agree(self, price: Decimal, ends: bool) -> None:  # noqa: FBT001 - drawn
        """Note a contract dated back to before the day, and end a share of it before it."""
        self._contract(price, date(2026, 5, 1))
        if ends:
            RevenueSplit.objects.update(valid_to_on=date(2026, 5, 1))

    @precondition(lambda self: self.last is not None)
    @rule()
    def settle(self) -> None:
        before = runs_in_force(auction=self.day.auction)
        run = settlement_run_execute(auction_id=self.day.auction.id)
        after = runs_in_force(auction=self.day.auction)
        assert after[: len(before)] == before
        assert after[-1] == run
        assert settlement_run_execute(auction_id=self.day.auction.id) == run

    @precondition(lambda self: self.last is not None)
    @rule()
    def close(self) -> None:
        period = period_of_auction_ensure(auction=self.day.auction)
        period_close(period_id=period.pk)
        count = Transfer.objects.count()
        period_close(period_id=period.pk)
        assert Transfer.objects.count() == count, "posting twice posted something"

    @precondition(lambda self: runs_in_force(auction=self.day.auction))
    @rule(n=st.integers(0, 99))
    def dispute(self, n: int) -> None:
        runs = runs_in_force(auction=self.day.auction)
        held = Dispute.objects.filter(is_held=True).values("disputed_lines__line_id")
        lines = (
            SettlementLine.objects.filter(
                run__in=runs, item__in=["SHORTFALL_REFUND", "SELLER_ENERGY", "PLATFORM_FEE"]
            )
            .exclude(id__in=held)
            .select_related("payer__organisation", "payee__organisation")
            .order_by("id")
        )
        line = lines[n % lines.count()]
        sides = (line.payer.organisation, line.payee.organisation)
        party = next(side for side in sides if side.kind != "AGGREGATOR")
        dispute_open(
            organisation=party, line_ids=[line.pk], reason_code="OTHER", reason="x", actor="user:1"
        )

    @precondition(lambda _: Dispute.objects.filter(state="OPEN").exists())
    @rule(ending=st.sampled_from(["ACCEPTED", "ACCEPTED", "REJECTED", "WITHDRAWN"]))
    def end(self, ending: str) -> None:
        dispute = Dispute.objects.filter(state="OPEN").order_by("id")[0]
        desk = self.day.places.people.platform
        if ending == "WITHDRAWN":
            dispute_withdraw(
                dispute_id=dispute.id, organisation=dispute.organisation, text="", actor="user:1"
            )
            return
        dispute_review_start(dispute_id=dispute.id, organisation=desk, actor="user:2")
        dispute_decide(
            dispute_id=dispute.id, organisation=desk, outcome=ending, text="x", actor="user:2"
        )

    @precondition(lambda _: Dispute.objects.filter(state="ACCEPTED", is_held=True).exists())
    @rule(amount=st.decimals(min_value=-1_000, max_value=500_000, places=2))
    def correct(self, amount: Decimal) -> None:
        dispute = Dispute.objects.filter(state="ACCEPTED", is_held=True).order_by("id").first()
        assert dispute is not None
        line_id = dispute.disputed_lines.get().line_id
        (run,) = adjustment_run(
            dispute_id=dispute.id,
            deltas=[LineDelta(line_id=line_id, amount_exact_jpy=amount)],
            actor="user:2",
        )
        dispute.refresh_from_db()
        assert (dispute.is_held, dispute.corrected_by) == (False, run)

    @invariant()
    def lines_sum_to_zero_and_the_house_keeps_nothing(self) -> None:
        runs = runs_in_force(auction=self.day.auction)
        totals = totals_from_lines(run_ids=[run.pk for run in runs])
        assert sum(row.total_exact_jpy for row in totals) == 0
        house = closes.house_of_market()
        kept = [row.total_exact_jpy for row in totals if row.account == house.clearing]
        assert sum(kept) == 0

    @invariant()
    def a_chain_owes_what_the_core_says_of_the_effective_facts(self) -> None:
        runs = runs_in_force(auction=self.day.auction)
        if not runs:
            return
        # what a dispute decided is owed as decided, with all that follows from it
        decided = {
            str(award_id)
            for award_id in LineAdjustment.objects.filter(run__in=runs).values_list(
                "line__award_id", flat=True
            )
        }
        owed = _nets(_stored(runs), decided)
        assert owed == _nets(_pure(self.day, runs[-1]), decided)

    @invariant()
    def the_books_balance_and_nothing_posted_is_touched(self) -> None:
        trial = trial_balance_at()
        assert (trial.difference_jpy, trial.clearing_jpy) == (0, 0)
        stored = {row["id"]: row for row in Transfer.objects.values()}
        assert {key: stored[key] for key in self.posted} == self.posted
        self.posted = stored

    @invariant()
    def each_item_is_posted_once_and_is_what_its_lines_come_to(self) -> None:
        assert list(closes_differing()) == []

    @invariant()
    def the_newest_run_replays(self) -> None:
        runs = runs_in_force(auction=self.day.auction)
        if runs:
            assert settlement_replay(run_id=runs[-1].pk).is_identical


def _nets(lines: list[Line], decided: set[str]) -> dict[Key, Decimal]:
    """Sum lines by what they are for; a rounding of sums is no claim of anybody's."""
    nets: dict[Key, Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.award in decided or line.item in {"RESIDUAL", "ADJUSTMENT"}:
            continue
        for account, sign in ((line.payee, 1), (line.payer, -1)):
            # a day's shares are one sum however a chain came to it
            nets[line.item, account, line.award, line.need, line.t] += sign * line.amount_exact_jpy
    return {key: net for key, net in nets.items() if net}


def _stored(runs: list[SettlementRun]) -> list[Line]:
    return [
        Line(
            item=row.item,  # type: ignore[arg-type]
            payer=str(row.payer_id),
            payee=str(row.payee_id),
            t=row.t,
            amount_exact_jpy=row.amount_exact_jpy,
            award=None if row.award_id is None else str(row.award_id),
            need=None if row.need_id is None else str(row.need_id),
        )
        for row in SettlementLine.objects.filter(run__in=runs)
    ]


def _pure(day: cast.MarketDay, head: SettlementRun) -> list[Line]:
    """Settle the facts that count at the end of a chain by the pure functions alone."""
    assert day.run is not None
    result = result_of(day.run, MarketParties(day.run, kept=terms_kept(head)))
    terms: dict[str, Any] = {
        "rules": rules_from_mapping(day.auction.ruleset.rules["settlement"]),
        "house": result.parties.house,
    }
    stand_ins = {
        (row.award_id, row.t): row
        for row in stand_ins_effective(verification_id=head.verification_id)
    }
    lines: list[Line] = []
    positions: dict[UUID, list[AwardPosition]] = defaultdict(list)
    for row in deliveries_effective(verification_id=head.verification_id).select_related(
        "award__resource__site"
    ):
        stood = stand_ins.get((row.award_id, row.t)) if row.shortfall_kwh else None
        bought = result.credits(
            site=row.award.resource.site.code, area=row.award.resource.site.area_id,
            direction=row.award.direction, t=row.t,
        )  # fmt: skip
        paid_jpy = Decimal(0)
        if stood is not None and stood.delivered_kwh:
            stand_in = _stand_in_position(stood, result)
            lines += stand_in_lines(stand_in, **terms)
            paid_jpy = stand_in_jpy_per_kwh(stand_in, terms["rules"]) * stood.delivered_kwh
        position = AwardPosition(
            award=str(row.award_id),
            t=row.t,
            direction=Direction(row.award.direction),
            price_jpy_per_kwh=AwardInterval.objects.get(award=row.award, t=row.t).price_jpy_per_kwh,
            ordered_kwh=row.ordered_kwh,
            shortfall_kwh=row.shortfall_kwh,
            seller=result.parties.sellers[row.award_id],
            splits=result.parties.splits_of(row.award.resource.site_id),
            credits=bought,
            is_excused=row.is_excused,
            stand_in_jpy=paid_jpy,
        )
        positions[row.award_id].append(position)
        lines += [*award_lines(position, **terms), *credit_lines(position, **terms)]
    for award_id, of_award in positions.items():
        lines += share_lines(of_award, **terms)
        resource = next(a for a in day.awards.values() if a.id == award_id).resource_id
        owed = result.parties.terms.compensation_at(resource, 0)
        if owed is not None:
            retailer = Compensation(
                retailer=owed[0], price_jpy_per_kwh=dict.fromkeys(range(48), owed[1])
            )
            lines += compensation_lines(of_award, retailer, **terms)
    for need in result.needs():
        lines += need_lines(need, house=result.parties.house)
    return lines


def _stand_in_position(stood: StandInDelivery, result: PublishedResult) -> StandInPosition:
    resource = stood.instruction.resource
    return StandInPosition(
        award=str(stood.award_id),
        instruction=str(stood.instruction_id),
        t=stood.t,
        seller=result.parties.account_of(stood.instruction.organisation_id),
        delivered_kwh=stood.delivered_kwh,
        ask_jpy_per_kwh=ASK,
        market_jpy_per_kwh=PLACE_PRICE,
        splits=result.parties.splits_of(resource.site_id),
        compensation=result.parties.terms.compensation_at(resource.id, stood.t),
    )


@pytest.mark.django_db
def test_no_order_of_events_loses_a_yen() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=6,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
