"""Bids through the gate's last instant from eight connections: the book is what was acked."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from accounts.clock.services import clock_set
from accounts.jobs.models import Job
from accounts.jobs.services import job_claim
from accounts.parties.models import Organisation
from market.trading import services
from market.trading.bids import bid_withdraw, bids_submit
from market.trading.gates import GateClosed
from market.trading.models import Auction, AuctionState, Bid, BidState
from market.trading.selectors import book_of
from tests.faults.market import market_with_bids, offers

pytestmark = pytest.mark.django_db(transaction=True)

CONNECTIONS_COUNT = 8
OPEN_S = 1.5  # of traffic before the gate
WITHDRAWN_EACH = 7


class Bidder(threading.Thread):
    """Submits one bid after another until the gate refuses, and keeps what was acknowledged."""

    def __init__(self, auction_id: UUID, organisation: Organisation, resource: str, n: int) -> None:
        super().__init__()
        self.auction_id = auction_id
        self.organisation = organisation
        self.resource = resource
        self.n = n
        self.acknowledged: set[UUID] = set()
        self.withdrawn: set[UUID] = set()
        self.refused_count = 0
        self.error: Exception | None = None

    def run(self) -> None:
        """Bid until refused three times; now and then withdraw what was just submitted."""
        try:
            number = 0
            while self.refused_count < 3:
                number += 1
                self._bid_once(number)
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.error = error
        finally:
            connection.close()

    def _bid_once(self, number: int) -> None:
        (bid,) = offers(f"race-{self.n}-{number}", self.resource)
        try:
            (receipt,) = bids_submit(
                auction_id=self.auction_id, organisation=self.organisation, bids=[bid]
            )
        except GateClosed:
            self.refused_count += 1
            return
        self.acknowledged.add(receipt.bid_id)
        if number % WITHDRAWN_EACH == 0:
            try:
                bid_withdraw(
                    auction_id=self.auction_id,
                    organisation=self.organisation,
                    client_bid_id=bid["client_bid_id"],
                )
            except GateClosed:
                return
            self.withdrawn.add(receipt.bid_id)


def _closer() -> Any:
    """Close the gate the moment it is due, as the worker's job does."""

    def close() -> None:
        try:
            job = Job.objects.get(kind="market.trading.gate_close")
            claim = None
            while claim is None:
                claim = job_claim(job_id=job.id)
            services.gate_close(claim=claim)
        finally:
            connection.close()

    return threading.Thread(target=close)


def test_every_acknowledged_bid_is_in_the_book_and_nothing_else() -> None:
    auction = market_with_bids()
    before = {bid.id for bid in book_of(auction)}
    clock_set(market_at=auction.gate_closure_at - timedelta(seconds=OPEN_S))
    parties = {org.code: org for org in Organisation.objects.all()}
    sides = (("inzai-dc", "inzai-dc-1-load"), ("shiroi-dc", "shiroi-dc-1-load"))
    bidders = [
        Bidder(auction.id, parties[sides[n % 2][0]], sides[n % 2][1], n)
        for n in range(CONNECTIONS_COUNT)
    ]
    closer = _closer()
    for thread in (*bidders, closer):
        thread.start()
    for thread in (*bidders, closer):
        thread.join(timeout=60)
    assert [bidder.error for bidder in bidders] == [None] * CONNECTIONS_COUNT

    acknowledged = set().union(*(bidder.acknowledged for bidder in bidders))
    withdrawn = set().union(*(bidder.withdrawn for bidder in bidders))
    assert len(acknowledged) > CONNECTIONS_COUNT
    closed = Auction.objects.get(id=auction.id)
    assert closed.state == AuctionState.CLOSED
    assert {bid.id for bid in book_of(closed)} == before | (acknowledged - withdrawn)
    assert not Bid.objects.filter(received_at__gte=closed.gate_closure_at).exists()
    assert (
        set(Bid.objects.filter(state=BidState.WITHDRAWN).values_list("id", flat=True)) == withdrawn
    )
    # Clearing is on the list exactly once.
    assert Job.objects.filter(kind="market.clearing.run_execute").count() == 1
