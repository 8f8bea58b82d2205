"""Taking a result back: two people of the desk, with a reason, before delivery begins."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.approvals.kinds import RESULT_CANCEL
from accounts.approvals.models import Approval
from accounts.approvals.services import (
    ContentChanged,
)
from accounts.audit.models import AuditEntry
from accounts.clock.selectors import market_now
from accounts.core.errors import NotPermitted, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of
from aggregator.dispatch import cancelling
from aggregator.dispatch.models import DispatchInstruction
from aggregator.dispatch.services import PLAN_KIND, instructions_plan
from market.clearing.models import Award
from market.trading.models import Auction, AuctionState
from tests import cast, dispatching


def person(username: str, at: Organisation, role: str) -> Sight:
    return sight_of(cast.member(username, at, role))


def claim_of(kind: str, key: str) -> Claim:
    claim = job_claim(job_id=Job.objects.get(kind=kind, key=key).id)
    assert claim is not None
    return claim


class Market:
    """A published day with planned instructions, and two people at the desk."""

    def __init__(self) -> None:
        self.day = dispatching.planned_day()
        self.desk_1 = sight_of(self.day.places.people.desk)
        self.desk_2 = person("desk-2", self.day.places.people.platform, Role.MARKET_DESK)

    @property
    def auction(self) -> Auction:
        return Auction.objects.get(id=self.day.auction.id)

    def ask(self, reason: str = "the network model was wrong") -> Approval:
        return cancelling.result_cancel_request(
            auction_id=self.auction.id, reason=reason, by=self.desk_1
        )

    def approve(self, row: Approval, *, by: Sight | None = None) -> Auction:
        return cancelling.result_cancel_approve(
            approval_id=row.id, by=by or self.desk_2, content_sha256=row.content_sha256
        )


@pytest.fixture
def market(db: None) -> Market:
    return Market()


def test_two_people_cancel_a_result_and_its_instructions(market: Market) -> None:
    row = market.ask()
    assert (row.kind, row.detail["awards"]) == (RESULT_CANCEL, 4)
    assert market.auction.state == AuctionState.PUBLISHED  # asking changes nothing
    assert market.approve(row).state == AuctionState.CANCELLED
    assert market.auction.state_reason == "the network model was wrong"
    states = DispatchInstruction.objects.values_list("state", "reason")
    assert set(states) == {("CANCELLED", "the network model was wrong")}
    assert Award.objects.count() == 4  # they are void, not erased
    entry = AuditEntry.objects.get(action="market.auction.cancelled")
    assert entry.detail["approval"] == str(row.id)
    assert entry.detail["instructions_count"] == 4


def test_a_cancelled_result_is_not_dispatched_later(market: Market) -> None:
    market.approve(market.ask())
    Job.objects.create(
        kind=PLAN_KIND,
        key="again",
        payload={"auction": str(market.auction.id)},
        due_at=market_now(),
    )
    assert instructions_plan(claim=claim_of(PLAN_KIND, "again")) == 0


def test_one_person_cannot(market: Market) -> None:
    row = market.ask()
    with pytest.raises(NotPermitted):
        market.approve(row, by=market.desk_1)
    with pytest.raises(NotPermitted):
        cancelling.result_cancel_request(
            auction_id=market.auction.id, reason="x", by=sight_of(cast.people().owner)
        )
    assert market.auction.state == AuctionState.PUBLISHED


def test_a_reason_is_owed(market: Market) -> None:
    for reason in ("", "  ", "x" * 201):
        with pytest.raises(Refused, match="reason"):
            market.ask(reason)


def test_once_delivery_has_begun_the_result_stands(market: Market) -> None:
    row = market.ask()
    cast.market_time(market.auction.delivery_start)
    with pytest.raises(cancelling.ResultStands, match="delivery begins"):
        market.approve(row)
    with pytest.raises(IntegrityError, match="its result stands"), transaction.atomic():
        Auction.objects.filter(id=market.auction.id).update(state=AuctionState.CANCELLED)
    assert market.auction.state == AuctionState.PUBLISHED


def test_before_the_gate_there_is_no_result_to_cancel(db: Any) -> None:
    day = cast.open_day()
    cast.market_time(day.auction.opens_at)
    with pytest.raises(cancelling.ResultStands):
        cancelling.result_cancel_request(
            auction_id=day.auction.id, reason="x", by=sight_of(day.places.people.desk)
        )


def test_a_closed_auction_is_cancelled_by_two_people(db: Any) -> None:
    day = cast.open_day()
    cast.market_time(day.auction.gate_closure_at)
    Auction.objects.filter(id=day.auction.id).update(state=AuctionState.CLOSED)
    people = day.places.people
    row = cancelling.result_cancel_request(
        auction_id=day.auction.id, reason="no forecast came", by=sight_of(people.desk)
    )
    # what is asked for is the result as it stood: meanwhile one was published
    cast.run(day.auction)
    with pytest.raises(ContentChanged):
        cancelling.result_cancel_approve(
            approval_id=row.id,
            by=person("desk-2", people.platform, Role.MARKET_DESK),
            content_sha256=row.content_sha256,
        )
