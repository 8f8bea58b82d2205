"""What comes after a final run is written as differences: late readings and decided disputes."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from accounts.core.errors import BrokenInvariant, NotFound, Refused
from accounts.ledger.models import Transfer
from accounts.ledger.selectors import trial_balance_at
from aggregator.core.settlement import Item
from aggregator.metering.models import Delivery, DeliveryVerification
from aggregator.settlement import closes
from aggregator.settlement.adjustments import DisputeNotAccepted, LineDelta, adjustment_run
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.closes import (
    _posted,
    period_of_auction_ensure,
)
from aggregator.settlement.disputes import dispute_decide, dispute_open, dispute_review_start
from aggregator.settlement.models import (
    Dispute,
    SettlementLine,
    SettlementRun,
)
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.runs import (
    DeliveryNotVerified,
    correction_run,
    inputs_of,
    lines_write,
    settlement_run_execute,
)
from aggregator.settlement.selectors import settlement_run_latest, trace_transfer
from aggregator.settlement.totals import totals_of
from tests import cast, settled_day

pytestmark = pytest.mark.django_db

SHORT = {("inzai-defer", 36): Decimal(1_000)}


def verified(
    day: cast.MarketDay,
    short: dict[tuple[str, int], Decimal],
    *,
    corrects: DeliveryVerification | None = None,
    excused: Iterable[tuple[str, int]] = (),
) -> DeliveryVerification:
    """Store a verification: whole with what is `short`, or a correction of just those rows."""
    verification = DeliveryVerification.objects.create(
        auction=day.auction,
        revision=1 if corrects is None else corrects.revision + 1,
        stage="FINAL",
        as_of=day.auction.delivery_start,
        ruleset=day.auction.ruleset,
        input_sha256=str(0 if corrects is None else corrects.revision),
        corrects=corrects,
        cause_kind="" if corrects is None else "READING",
        cause_id="" if corrects is None else "late",
    )
    for name, award in day.awards.items():
        for interval in award.intervals.order_by("t"):
            key = (name, interval.t)
            if corrects is not None and key not in short:
                continue
            ordered_kwh = interval.quantity_kw / 2
            missing_kwh = short.get(key, Decimal(0))
            Delivery.objects.create(
                verification=verification,
                award=award,
                t=interval.t,
                start_at=interval.start_at,
                ordered_kwh=ordered_kwh,
                delivered_kwh=ordered_kwh - missing_kwh,
                shortfall_kwh=missing_kwh,
                over_kwh=0,
                is_excused=key in set(excused),
            )
    return verification


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@pytest.fixture
def first(day: cast.MarketDay) -> DeliveryVerification:
    return verified(day, SHORT)


@pytest.fixture
def settled(day: cast.MarketDay, first: DeliveryVerification) -> SettlementRun:
    return settlement_run_execute(auction_id=day.auction.id)


def _table(run: SettlementRun) -> set[tuple[str, str, str, int | None, Decimal]]:
    rows = SettlementLine.objects.filter(run=run).select_related("payer", "payee")

    def name(account: Any) -> str:
        return str(account.organisation.code if account.kind == "MEMBER" else account.code)

    return {
        (row.item, name(row.payer), name(row.payee), row.t, row.amount_exact_jpy) for row in rows
    }


def _owed(runs: Iterable[SettlementRun]) -> dict[tuple[str, str], Decimal]:
    totals = totals_of(run_ids=[run.pk for run in runs])
    return {(row.account, row.item): row.total_exact_jpy for row in totals if row.total_exact_jpy}


def test_a_late_reading_is_written_as_differences_alone(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    # All 4,500 kWh came after all: refund 1,000 x 150, penalty 550 x 0.5 x 150 and their credit
    # (120 : 30) go back; fee 2 % and the hall's 15 % of 150,000 more.
    late = verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=first)
    run = settlement_run_execute(auction_id=day.auction.id)
    assert (run.kind, run.corrects, run.cause_kind, run.cause_id) == (
        "CORRECTION", settled, "READING", "late",
    )  # fmt: skip
    assert run.verification == late
    assert _table(run) == {
        ("SHORTFALL_REFUND", "clearing", "inzai-dc", 36, Decimal(150_000)),
        ("SHORTFALL_PENALTY", "clearing", "inzai-dc", 36, Decimal(41_250)),
        ("SHORTFALL_CREDIT", "grid-t", "clearing", 36, Decimal(153_000)),
        ("SHORTFALL_CREDIT", "grid-t", "clearing", 36, Decimal(38_250)),
        ("PLATFORM_FEE", "inzai-dc", "fee", None, Decimal(3_000)),
        ("REVENUE_SPLIT", "inzai-dc", "inzai-hall", None, Decimal(22_500)),
    }
    assert settlement_run_latest(auction=day.auction) == run
    assert runs_in_force(auction=day.auction) == [settled, run]


def test_a_chain_owes_what_one_run_on_the_last_values_would(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    changes: list[dict[tuple[str, int], Decimal]] = [
        {("inzai-defer", 36): Decimal("333.333"), ("shiroi-cap", 35): Decimal("17.017")},
        {("inzai-battery-down", 20): Decimal(700), ("shiroi-cap", 35): Decimal(900)},
        {("inzai-defer", 36): Decimal(4_500), ("inzai-battery-up", 36): Decimal("0.001")},
    ]
    last = first
    held = dict(SHORT)
    for change in changes:
        last = verified(day, change, corrects=last)
        held |= change
        settlement_run_execute(auction_id=day.auction.id)
    chain = runs_in_force(auction=day.auction)
    assert [run.kind for run in chain] == ["FINAL", "CORRECTION", "CORRECTION", "CORRECTION"]
    with transaction.atomic():
        fresh_day = day.auction
        whole = SettlementRun.objects.create(
            auction=fresh_day,
            verification=last,
            kind="FINAL",
            revision=99,
            input_sha256="",
            ruleset_version="x",
            executed_at=fresh_day.delivery_start,
        )
        lines_write(run=whole, inputs=inputs_of(fresh_day.id, "FINAL", verification=last))
        assert _owed(chain) == _owed([whole])
        transaction.set_rollback(True)


def test_several_verifications_are_corrected_in_one_run(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    second = verified(day, {("shiroi-cap", 35): Decimal(900)}, corrects=first)
    third = verified(day, {("shiroi-cap", 35): Decimal(0)}, corrects=second)
    run = correction_run(verification=third)
    # What was missing in between came back before anybody settled it: nothing is owed for it.
    assert not run.lines.exists()
    assert correction_run(verification=second) == run
    assert correction_run(verification=first) == run


def test_the_same_readings_write_nothing_again(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=first)
    run = settlement_run_execute(auction_id=day.auction.id)
    count = SettlementLine.objects.count()
    assert settlement_run_execute(auction_id=day.auction.id) == run
    assert SettlementLine.objects.count() == count


def test_nothing_is_corrected_before_it_is_settled_or_outside_its_chain(
    day: cast.MarketDay, first: DeliveryVerification
) -> None:
    with pytest.raises(DeliveryNotVerified), transaction.atomic():
        correction_run(verification=first)
    settlement_run_execute(auction_id=day.auction.id)
    stray = DeliveryVerification.objects.create(
        auction=day.auction,
        revision=9,
        stage="FINAL",
        as_of=day.auction.delivery_start,
        ruleset=day.auction.ruleset,
        input_sha256="",
    )
    with pytest.raises(BrokenInvariant, match="outside the chain"), transaction.atomic():
        correction_run(verification=stray)


def test_a_correction_of_what_was_never_settled_is_our_bug(
    day: cast.MarketDay, settled: SettlementRun, first: DeliveryVerification
) -> None:
    late = verified(day, {}, corrects=first)
    award = day.awards["inzai-defer"]
    Delivery.objects.create(
        verification=late,
        award=award,
        t=5,
        start_at=settled_day.half_hour(day, 5),
        ordered_kwh=1,
        delivered_kwh=1,
        shortfall_kwh=0,
        over_kwh=0,
    )
    with pytest.raises(BrokenInvariant, match="never settled"), transaction.atomic():
        correction_run(verification=late)


def test_an_excuse_takes_the_penalty_away_and_leaves_the_refund(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    verified(day, SHORT, corrects=first, excused=SHORT)
    run = settlement_run_execute(auction_id=day.auction.id)
    # 41,250 of penalty go back, out of the credits at 4 : 1
    assert _table(run) == {
        ("SHORTFALL_PENALTY", "clearing", "inzai-dc", 36, Decimal(41_250)),
        ("SHORTFALL_CREDIT", "grid-t", "clearing", 36, Decimal(33_000)),
        ("SHORTFALL_CREDIT", "grid-t", "clearing", 36, Decimal(8_250)),
    }


def test_no_run_is_corrected_twice_and_none_without_a_cause(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    fields: dict[str, Any] = {
        "auction": day.auction,
        "verification": first,
        "kind": "CORRECTION",
        "input_sha256": "",
        "ruleset_version": "x",
        "executed_at": day.auction.delivery_start,
        "corrects": settled,
    }
    with pytest.raises(DatabaseError, match="settlementrun_cause"), transaction.atomic():
        SettlementRun.objects.create(revision=1, **fields)
    SettlementRun.objects.create(revision=1, cause_kind="RULE", cause_id="x", **fields)
    with pytest.raises(DatabaseError, match="corrects_id"), transaction.atomic():
        SettlementRun.objects.create(revision=2, cause_kind="RULE", cause_id="x", **fields)


def _accepted(day: cast.MarketDay, item: str, at: str = "inzai_dc", t: int | None = 36) -> Dispute:
    party = getattr(day.places.people, at)
    line = SettlementLine.objects.filter(item=item, t=t).order_by("id").first()
    assert line is not None
    dispute = dispute_open(
        organisation=party, line_ids=[line.pk], reason_code="DELIVERY", reason="x", actor="user:1"
    )
    desk = day.places.people.platform
    dispute_review_start(dispute_id=dispute.id, organisation=desk, actor="user:2")
    return dispute_decide(
        dispute_id=dispute.id, organisation=desk, outcome="ACCEPTED", text="so", actor="user:2"
    )


def _line_of(dispute: Dispute) -> int:
    return dispute.disputed_lines.get().line_id


def test_a_decided_dispute_corrects_its_line_and_all_that_follows(
    day: cast.MarketDay, settled: SettlementRun
) -> None:
    dispute = _accepted(day, "SHORTFALL_REFUND")
    # 500 kWh were missing, not 1,000: 75,000 go back, at 4 : 1 from the needs that had them;
    # 2 % and 15 % of them to fee and hall.
    (run,) = adjustment_run(
        dispute_id=dispute.id,
        deltas=[LineDelta(line_id=_line_of(dispute), quantity_kwh=Decimal(500))],
        actor="user:2",
    )
    assert (run.cause_kind, run.cause_id) == ("DISPUTE", str(dispute.id))
    assert _table(run) == {
        ("SHORTFALL_REFUND", "clearing", "inzai-dc", 36, Decimal(75_000)),
        ("SHORTFALL_CREDIT", "grid-t", "clearing", 36, Decimal(60_000)),
        ("SHORTFALL_CREDIT", "grid-t", "clearing", 36, Decimal(15_000)),
        ("PLATFORM_FEE", "inzai-dc", "fee", 36, Decimal(1_500)),
        ("REVENUE_SPLIT", "inzai-dc", "inzai-hall", 36, Decimal(11_250)),
    }
    dispute.refresh_from_db()
    assert (dispute.is_held, dispute.corrected_by) == (False, run)
    with pytest.raises(DisputeNotAccepted):
        adjustment_run(
            dispute_id=dispute.id,
            deltas=[LineDelta(line_id=_line_of(dispute), quantity_kwh=Decimal(1))],
            actor="user:2",
        )


def test_what_a_buyer_is_given_back_is_borne_by_the_aggregator(
    day: cast.MarketDay, settled: SettlementRun
) -> None:
    dispute = _accepted(day, "NEED_CHARGE", at="grid_t", t=34)
    line = SettlementLine.objects.get(pk=_line_of(dispute))
    (run,) = adjustment_run(
        dispute_id=dispute.id,
        deltas=[LineDelta(line_id=line.pk, amount_exact_jpy=line.amount_exact_jpy - 100)],
        actor="user:2",
    )
    assert _table(run) == {
        ("NEED_CHARGE", "clearing", "grid-t", 34, Decimal(100)),
        ("ADJUSTMENT", "fee", "clearing", 34, Decimal(100)),
    }


def test_what_a_dispute_decided_stays_whatever_is_read_later(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    dispute = _accepted(day, "SHORTFALL_REFUND")
    delta = LineDelta(line_id=_line_of(dispute), quantity_kwh=Decimal(500))
    adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    change = {("inzai-defer", 36): Decimal(0), ("shiroi-cap", 35): Decimal(300)}
    verified(day, change, corrects=first)
    run = settlement_run_execute(auction_id=day.auction.id)
    # Shiroi alone: 300 kWh at 45 are within 10 % of 3,000, so they are refunded without penalty.
    assert {row[:3] for row in _table(run)} == {
        ("SHORTFALL_REFUND", "shiroi-dc", "clearing"),
        ("SHORTFALL_CREDIT", "clearing", "grid-t"),
        ("PLATFORM_FEE", "fee", "shiroi-dc"),
    }
    assert settlement_replay(run_id=run.pk).is_identical


def test_only_accepted_disputes_are_carried_out_and_only_for_their_lines(
    day: cast.MarketDay, settled: SettlementRun
) -> None:
    dispute = _accepted(day, "SHORTFALL_REFUND")
    line_id = _line_of(dispute)
    stranger = SettlementLine.objects.exclude(pk=line_id).first()
    assert stranger is not None
    bad: list[tuple[list[LineDelta], str]] = [
        ([], "one or more lines"),
        ([LineDelta(line_id=stranger.pk, amount_exact_jpy=Decimal(1))], "a line of the dispute"),
        ([LineDelta(line_id=line_id)], "amount, quantity or price"),
        ([LineDelta(line_id=line_id, quantity_kwh=Decimal("NaN"))], "finite"),
        ([LineDelta(line_id=line_id, quantity_kwh=Decimal(-1))], "between 0"),
        ([LineDelta(line_id=line_id, amount_exact_jpy=Decimal("0.0000001"))], "decimal places"),
        (
            [LineDelta(line_id=line_id, quantity_kwh=Decimal(1), amount_exact_jpy=Decimal(1))],
            "the amount, or",
        ),
    ]
    for deltas, said in bad:
        with (
            pytest.raises(Refused, match=said),
            transaction.atomic(),
        ):
            adjustment_run(dispute_id=dispute.id, deltas=deltas, actor="user:2")
    with pytest.raises(NotFound):
        adjustment_run(dispute_id=day.auction.id, deltas=[], actor="user:2")
    assert not SettlementRun.objects.filter(kind="CORRECTION").exists()


def test_every_run_of_a_chain_replays_to_the_last_digit(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    late = verified(day, {("shiroi-cap", 35): Decimal("900.007")}, corrects=first)
    correction_run(verification=late)
    dispute = _accepted(day, "SHORTFALL_REFUND")
    delta = LineDelta(line_id=_line_of(dispute), price_jpy_per_kwh=Decimal("149.99"))
    adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    verified(day, {("shiroi-cap", 36): Decimal("1.001")}, corrects=late)
    settlement_run_execute(auction_id=day.auction.id)
    count = (SettlementRun.objects.count(), SettlementLine.objects.count())
    replays = [settlement_replay(run_id=run.pk) for run in runs_in_force(auction=day.auction)]
    assert [replay.is_identical for replay in replays] == [True] * 4
    assert all(replay.lines for replay in replays)
    assert (SettlementRun.objects.count(), SettlementLine.objects.count()) == count


def test_a_close_after_corrections_posts_the_difference_and_its_transfers_lead_back(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    period = period_of_auction_ensure(auction=day.auction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closes, "auctions_verify", lambda _: None)
        closes.period_close(period_id=period.pk)
        before = set(Transfer.objects.values_list("id", flat=True))
        verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=first)
        closes.period_close(period_id=period.pk)
        new = Transfer.objects.exclude(id__in=before)
        # grid-t's two credits of 153,000 and 38,250 are one item
        assert sorted(new.values_list("code", "amount_jpy")) == [
            (Item.PLATFORM_FEE.value, 3_000),
            (Item.PLATFORM_FEE.value, 3_000),
            (Item.REVENUE_SPLIT.value, 22_500),
            (Item.REVENUE_SPLIT.value, 22_500),
            (Item.SHORTFALL_CREDIT.value, 191_250),
            (Item.SHORTFALL_PENALTY.value, 41_250),
            (Item.SHORTFALL_REFUND.value, 150_000),
        ]
        for transfer in new:
            nouns = [step.noun for step in trace_transfer(transfer.id)]
            assert "SettlementRun" in nouns
        count = Transfer.objects.count()
        closes.period_close(period_id=period.pk)
        assert Transfer.objects.count() == count
    assert (trial_balance_at().difference_jpy, trial_balance_at().clearing_jpy) == (0, 0)
    assert sum(_posted(period).values()) == 0


def test_a_dispute_decided_after_a_late_reading_corrects_what_that_left(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    dispute = _accepted(day, "SHORTFALL_REFUND")
    verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=first)
    settlement_run_execute(auction_id=day.auction.id)
    delta = LineDelta(line_id=_line_of(dispute), amount_exact_jpy=Decimal(0))
    (run,) = adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    # The 150,000 are back already: nothing is left to be given back.
    assert not run.lines.exists()
    assert settlement_replay(run_id=run.pk).is_identical


def test_a_second_dispute_of_a_line_starts_from_what_the_first_decided(
    day: cast.MarketDay, settled: SettlementRun
) -> None:
    runs = []
    for decided_kwh in (500, 800):
        dispute = _accepted(day, "SHORTFALL_REFUND")
        delta = LineDelta(line_id=_line_of(dispute), quantity_kwh=Decimal(decided_kwh))
        runs += adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    # From 500 x 150 = 75,000 to 800 x 150 = 120,000, at 4 : 1; 2 % and 15 % of 45,000 less.
    assert _table(runs[1]) == {
        ("SHORTFALL_REFUND", "inzai-dc", "clearing", 36, Decimal(45_000)),
        ("SHORTFALL_CREDIT", "clearing", "grid-t", 36, Decimal(36_000)),
        ("SHORTFALL_CREDIT", "clearing", "grid-t", 36, Decimal(9_000)),
        ("PLATFORM_FEE", "fee", "inzai-dc", 36, Decimal(900)),
        ("REVENUE_SPLIT", "inzai-hall", "inzai-dc", 36, Decimal(6_750)),
    }
    assert all(settlement_replay(run_id=run.pk).is_identical for run in runs)


def test_a_line_and_its_own_correction_are_not_decided_at_once(
    day: cast.MarketDay, first: DeliveryVerification, settled: SettlementRun
) -> None:
    verified(day, {("inzai-defer", 36): Decimal(400)}, corrects=first)
    settlement_run_execute(auction_id=day.auction.id)
    lines = SettlementLine.objects.filter(item="SHORTFALL_REFUND", t=36).order_by("id")
    ids = list(lines.values_list("id", flat=True))
    assert len(ids) == 2
    dispute = dispute_open(
        organisation=day.places.people.inzai_dc, line_ids=ids, reason_code="DELIVERY",
        reason="x", actor="user:1",
    )  # fmt: skip
    desk = day.places.people.platform
    dispute_review_start(dispute_id=dispute.id, organisation=desk, actor="user:2")
    dispute_decide(
        dispute_id=dispute.id, organisation=desk, outcome="ACCEPTED", text="so", actor="user:2"
    )
    deltas = [LineDelta(line_id=line_id, amount_exact_jpy=Decimal(0)) for line_id in ids]
    with pytest.raises(Refused, match="one line of an item"), transaction.atomic():
        adjustment_run(dispute_id=dispute.id, deltas=deltas, actor="user:2")
