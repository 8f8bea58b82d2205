"""The life of a settlement in any order: nothing is lost, posted twice or touched once posted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

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
from aggregator.metering.models import DeliveryVerification
from aggregator.settlement import closes
from aggregator.settlement.adjustments import LineDelta, adjustment_run
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.closes import period_close, period_of_auction_ensure
from aggregator.settlement.disputes import (
    dispute_decide,
    dispute_open,
    dispute_review_start,
    dispute_withdraw,
)
from aggregator.settlement.models import Dispute, SettlementLine
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.runs import settlement_run_execute
from aggregator.settlement.totals import totals_of
from tests import settled_day
from tests.apps.test_settlement_corrections import verified

SLOTS = [("inzai-defer", 36), ("inzai-defer", 35), ("shiroi-cap", 36), ("inzai-battery-down", 21)]
missing_kwh = st.decimals(min_value=0, max_value=2_500, places=3)


class Life(RuleBasedStateMachine):
    """Verify, settle, read again, dispute, decide, close and close again, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.patch = pytest.MonkeyPatch()
        # what was verified is what the rules below say
        self.patch.setattr(closes, "verification_execute", lambda **_: None)
        self.day = settled_day.published(settled_day.settled_places())
        self.last: DeliveryVerification | None = None
        self.posted: dict[Any, Any] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)
        self.patch.undo()

    @rule(slot=st.sampled_from(SLOTS), kwh=missing_kwh)
    def verify(self, slot: tuple[str, int], kwh: Decimal) -> None:
        self.last = verified(self.day, {slot: kwh}, corrects=self.last)

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
    @rule(n=st.integers(0, 99), ending=st.sampled_from(["ACCEPTED", "REJECTED", "WITHDRAWN"]))
    def dispute(self, n: int, ending: str) -> None:
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
        desk = self.day.places.people.platform
        dispute = dispute_open(
            organisation=party, line_ids=[line.pk], reason_code="OTHER", reason="x", actor="user:1"
        )
        if ending == "WITHDRAWN":
            dispute_withdraw(dispute_id=dispute.id, organisation=party, text="", actor="user:1")
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
        totals = totals_of(run_ids=[run.pk for run in runs])
        assert sum(row.total_exact_jpy for row in totals) == 0
        house = closes.house_of_market()
        kept = [row.total_exact_jpy for row in totals if row.account == house.clearing]
        assert sum(kept) == 0

    @invariant()
    def the_books_balance_and_nothing_posted_is_touched(self) -> None:
        trial = trial_balance_at()
        assert (trial.difference_jpy, trial.clearing_jpy) == (0, 0)
        stored = {row["id"]: row for row in Transfer.objects.values()}
        assert {key: stored[key] for key in self.posted} == self.posted
        self.posted = stored

    @invariant()
    def the_newest_run_replays(self) -> None:
        runs = runs_in_force(auction=self.day.auction)
        if runs:
            assert settlement_replay(run_id=runs[-1].pk).is_identical


@pytest.mark.django_db
def test_no_order_of_events_loses_a_yen() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=5,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
