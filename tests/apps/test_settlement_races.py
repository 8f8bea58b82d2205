"""Two connections at once: one batch of readings, one run, one close."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections

from accounts.ledger.models import Transfer
from accounts.ledger.selectors import trial_balance_at
from accounts.parties.models import Organisation
from aggregator.metering.models import DeliveryVerification, IntervalReading
from aggregator.metering.services import readings_ingest
from aggregator.metering.verifications import verification_execute
from aggregator.settlement import disputes
from aggregator.settlement.closes import period_close, period_of_auction_ensure
from aggregator.settlement.disputes import dispute_open
from aggregator.settlement.models import Dispute, PaymentBatch, SettlementItem, SettlementLine
from aggregator.settlement.payments import batches
from aggregator.settlement.payments.batches import BatchStale, payment_batch_release
from aggregator.settlement.runs import settlement_run_execute
from tests import cast, settled_day
from tests.apps.paying import Clerks

pytestmark = pytest.mark.django_db(transaction=True)


def _at_once(*works: Callable[[], object]) -> list[BaseException]:
    """Run works in threads that start together; return what they raised."""
    failures: list[BaseException] = []
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        try:
            gate.wait()
            work()
        except BaseException as error:  # noqa: BLE001 - the race's outcome is what is tested
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def _metered_day() -> tuple[cast.MarketDay, dict[str, Any]]:
    day = settled_day.published(settled_day.settled_places())
    return day, settled_day.metered(day)


def test_one_batch_from_two_connections_is_stored_once() -> None:
    day, meters = _metered_day()
    before = IntervalReading.objects.count()
    # A changed value for the whole day: exactly one further revision of each half hour.
    rows = settled_day.day_rows(day, meters, scarce_kwh=settled_day.SCARCE_KWH + 1)
    rows = [row._replace(energy_kwh=Decimal(1) + (row.energy_kwh or Decimal(0))) for row in rows]
    failures = _at_once(*[lambda: readings_ingest(rows=rows, source="race")] * 2)
    assert failures == []
    assert IntervalReading.objects.count() == before + len(rows)


def test_two_closes_of_one_period_post_once() -> None:
    day, _ = _metered_day()
    verification_execute(auction_id=day.auction.id, stage="FINAL")
    settlement_run_execute(auction_id=day.auction.id)
    period = period_of_auction_ensure(auction=day.auction)
    failures = _at_once(*[lambda: period_close(period_id=period.pk)] * 3)
    assert failures == []
    assert SettlementItem.objects.values("close_number").distinct().count() == 1
    trial = trial_balance_at()
    assert (trial.difference_jpy, trial.clearing_jpy) == (0, 0)
    assert Transfer.objects.count() == SettlementItem.objects.exclude(transfer=None).count()


def test_two_verifications_and_runs_leave_one_of_each() -> None:
    day, _ = _metered_day()
    # The loser of a race fails on the revision's key and is tried again by its job.
    _at_once(*[lambda: verification_execute(auction_id=day.auction.id, stage="FINAL")] * 2)
    assert DeliveryVerification.objects.count() == 1
    _at_once(*[lambda: settlement_run_execute(auction_id=day.auction.id)] * 2)
    run = settlement_run_execute(auction_id=day.auction.id)
    assert set(SettlementLine.objects.values_list("run_id", flat=True)) == {run.pk}


def _energy_line() -> SettlementLine:
    return SettlementLine.objects.filter(
        item="SELLER_ENERGY", payee__organisation__code="inzai-dc"
    ).order_by("id")[0]


def _disputed() -> Dispute:
    return dispute_open(
        organisation=Organisation.objects.get(code="inzai-dc"),
        line_ids=[_energy_line().pk],
        reason_code="OTHER",
        reason="x",
        actor="user:1",
    )


def _late(
    work: Callable[[], object], started: threading.Event
) -> tuple[threading.Thread, list[Any]]:
    """Run a work in a thread once another has started; its outcome or failure is in the list."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            assert started.wait(30)
            outcome.append(work())
        except Exception as error:  # noqa: BLE001 - the race's outcome is what is tested
            outcome.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_a_release_that_began_before_a_dispute_is_over_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clerks = Clerks()
    batch, approval = clerks.made()
    clerks.approve(approval)
    compared = threading.Event()
    thread, outcome = _late(_disputed, compared)
    real = batches._refuse_stale

    def slowly(batch: PaymentBatch) -> None:
        real(batch)
        compared.set()
        thread.join(1.5)
        # what is due was compared: the dispute waits until the release is written
        assert not outcome

    monkeypatch.setattr(batches, "_refuse_stale", slowly)
    released = payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor="user:9")
    thread.join()
    assert released.state == "RELEASED"
    assert isinstance(outcome[0], Dispute)


def test_a_release_during_the_opening_of_a_dispute_sees_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clerks = Clerks()
    batch, approval = clerks.made()
    clerks.approve(approval)
    opened = threading.Event()
    thread, outcome = _late(
        lambda: payment_batch_release(batch_id=batch.id, file_format="ZENGIN", actor="user:9"),
        opened,
    )
    real = disputes._told

    def slowly(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        opened.set()
        thread.join(1.5)
        assert not outcome

    monkeypatch.setattr(disputes, "_told", slowly)
    _disputed()
    thread.join()
    assert isinstance(outcome[0], BatchStale)
    assert PaymentBatch.objects.get().state == "DRAFT"
