"""An auction closed before its announced gate: two people, one gate, nothing after it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.approvals.models import Approval
from accounts.audit.models import AuditEntry
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim, job_create
from accounts.parties.roles import Role
from market.trading.models import Auction, AuctionState, BidContent, BookOpening, BookRoot
from market.trading.opening import book_open, book_root_publish
from market.trading.services import gate_close
from tests import cast
from tests.api.conftest import AsMember, DoorClient
from tests.api.test_bid_doors import STEPS

WHY = "the forecast was withdrawn"
AFTER_THE_GATE = {"book_root", "run_execute", "deadline"}


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    """Return an open auction an hour before its gate, with the job that would close it."""
    where = cast.places()
    auction = cast.auction(where)
    job_create(
        kind="market.trading.gate_close", key=str(auction.id), due_at=auction.gate_closure_at
    )
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


@pytest.fixture
def maker(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.MARKET_DESK, "wattbit")


@pytest.fixture
def checker(day: cast.MarketDay) -> DoorClient:
    client = DoorClient()
    client.force_login(cast.member("second", cast.people().platform, Role.MARKET_DESK))
    return client


@pytest.fixture
def owner(day: cast.MarketDay, as_member: AsMember) -> DoorClient:
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


def _door(day: cast.MarketDay, name: str = "close-early") -> str:
    return f"/api/v1/auctions/{day.auction.code}/{name}"


def _asked(day: cast.MarketDay, maker: DoorClient) -> dict[str, Any]:
    answer = maker.post(_door(day), {"reason": WHY})
    assert answer.status_code == 201, answer.content
    assert answer["Location"] == f"/api/v1/approvals/{answer.json()['id']}"
    return dict(answer.json())


def _yes(client: DoorClient, body: dict[str, Any]) -> Any:
    given = {"content_sha256": body["content_sha256"]}
    return client.post(f"/api/v1/approvals/{body['id']}/approve", given)


def _auction() -> Auction:
    return Auction.objects.get()


def _claim(kind: str) -> Claim:
    claim = job_claim(job_id=Job.objects.get(kind=kind).id)
    assert claim is not None
    return claim


def test_two_people_close_it_and_what_follows_a_gate_follows(
    day: cast.MarketDay, maker: DoorClient, checker: DoorClient, owner: DoorClient
) -> None:
    assert owner.post(_door(day, "bids"), STEPS).status_code == 201
    body = _asked(day, maker)
    assert (body["kind"], body["organisation"], body["state"]) == (
        "auction.close_early",
        "wattbit",
        "REQUESTED",
    )
    assert body["detail"] == {
        "auction": "DA-2026-11-25",
        "gate_closure_at": "2026-11-24T05:00:00+00:00",
    }
    assert _auction().state == AuctionState.OPEN  # asking changes nothing
    assert _yes(checker, body).json()["state"] == "USED"
    told = owner.get(f"/api/v1/auctions/{day.auction.code}").json()
    assert (told["state"], told["gate_closure_at"], told["closed_at"]) == (
        "CLOSED",
        "2026-11-24T05:00:00Z",
        "2026-11-24T04:00:00Z",
    )
    assert told["book"] == [{"form": "STEPS", "bids": 1}]
    made = Job.objects.filter(key=str(day.auction.id)).exclude(kind__endswith="gate_close")
    assert {job.kind.rpartition(".")[2] for job in made} == AFTER_THE_GATE
    minutes = cast.RULES["publication"]["deadline_min"]
    deadline = made.get(kind="market.clearing.deadline")
    assert deadline.due_at == _auction().closed_at + timedelta(minutes=minutes)  # type: ignore[operator]
    entry = AuditEntry.objects.get(action="market.auction.closed")
    assert entry.detail == {
        "closed_at": "2026-11-24T04:00:00+00:00",
        "gate_closure_at": "2026-11-24T05:00:00+00:00",
        "approval": body["id"],
        "reason": WHY,
    }


def test_nothing_comes_in_after_it_and_the_book_opens_with_all_that_came_before(
    day: cast.MarketDay, maker: DoorClient, checker: DoorClient, owner: DoorClient
) -> None:
    first = owner.post(_door(day, "bids"), STEPS).json()
    assert _yes(checker, _asked(day, maker)).status_code == 200
    bid, version = f"/api/v1/bids/{first['bid_id']}", {"If-Match": '"1"'}
    for late in (
        owner.post(_door(day, "bids"), {**STEPS, "client_bid_id": "late"}),
        owner.put(bid, {**STEPS, "mechanism": "STOP"}, headers=version),
        owner.delete(bid, headers=version),
    ):
        assert (late.status_code, late.json()["code"]) == (409, "gate-closed"), late.content
    book_root_publish(claim=_claim("market.trading.book_root"))
    assert BookRoot.objects.get().merkle_root == first["leaf_sha256"]  # a tree of one
    opening = book_open(auction_id=day.auction.id)
    assert opening is not None
    assert (opening.opened_count, opening.quarantined_count) == (1, 0)
    inclusion = owner.get(f"/api/v1/bids/{first['bid_id']}/inclusion").json()
    assert inclusion["leaf"] == inclusion["merkle_root"] == first["leaf_sha256"]


def test_the_announced_gate_finds_nothing_to_do(
    day: cast.MarketDay, maker: DoorClient, checker: DoorClient
) -> None:
    assert _yes(checker, _asked(day, maker)).status_code == 200
    before = Job.objects.count()
    cast.market_time(day.auction.gate_closure_at)
    gate_close(claim=_claim("market.trading.gate_close"))
    assert Job.objects.get(kind="market.trading.gate_close").state == "DONE"
    assert Job.objects.count() == before
    assert _auction().closed_at == day.auction.gate_closure_at - timedelta(hours=1)
    assert AuditEntry.objects.filter(action="market.auction.closed").count() == 1


def test_one_person_cannot_nor_anybody_else(
    day: cast.MarketDay, maker: DoorClient, as_member: AsMember, anonymous: DoorClient
) -> None:
    for role, at in (
        (Role.OPERATOR_TRADER, "inzai-dc"),
        (Role.OPERATOR_TRADER, "stranger"),
        (Role.GRID_APPROVER, "grid-t"),
        (Role.SETTLEMENT, "wattbit"),
        (Role.MARKET_DESK, "inzai-dc"),  # the role in another house means nothing here
    ):
        assert as_member(role, at).post(_door(day), {"reason": WHY}).status_code == 403
    assert anonymous.post(_door(day), {"reason": WHY}).status_code == 401
    assert not Approval.objects.exists()
    body = _asked(day, maker)
    twice = maker.post(_door(day), {"reason": "again"})
    assert (twice.status_code, twice.json()["code"]) == (409, "conflict")
    assert _yes(maker, body).status_code == 403
    for role, at, status in (
        (Role.OPERATOR_TRADER, "inzai-dc", 404),
        (Role.OPERATOR_TRADER, "stranger", 404),
        (Role.GRID_APPROVER, "grid-t", 404),
        (Role.AUDITOR, "wattbit", 403),
    ):
        assert _yes(as_member(role, at), body).status_code == status
    assert _auction().state == AuctionState.OPEN


def test_without_a_reason_or_of_an_auction_that_is_not_open_it_is_refused(
    day: cast.MarketDay, maker: DoorClient
) -> None:
    for given in ({}, {"reason": " "}, {"reason": "x" * 201}, {"reason": 1}):
        answer = maker.post(_door(day), given)
        assert (answer.status_code, answer.json()["field"]) == (400, "reason")
    assert maker.post("/api/v1/auctions/none/close-early", {"reason": WHY}).status_code == 404
    for state in (AuctionState.SCHEDULED, AuctionState.PUBLISHED, AuctionState.CANCELLED):
        other = cast.auction(day.places, state=state, code=f"other-{state}")
        answer = maker.post(f"/api/v1/auctions/{other.code}/close-early", {"reason": WHY})
        assert (answer.status_code, answer.json()["code"]) == (409, "gate-closed")


def test_a_yes_after_the_gate_or_a_no_closes_nothing(
    day: cast.MarketDay, maker: DoorClient, checker: DoorClient
) -> None:
    body = _asked(day, maker)
    no = checker.post(f"/api/v1/approvals/{body['id']}/reject", {"reason": "why?"})
    assert no.json()["state"] == "REJECTED"
    assert _auction().state == AuctionState.OPEN
    body = _asked(day, maker)
    cast.market_time(day.auction.gate_closure_at)
    late = _yes(checker, body)
    assert (late.status_code, late.json()["code"]) == (409, "gate-closed")
    assert (_auction().state, _auction().closed_at) == (AuctionState.OPEN, None)


def test_the_database_closes_none_early_without_two_people(day: cast.MarketDay) -> None:
    row = Auction.objects.filter(id=day.auction.id)
    for change in (
        {"state": AuctionState.CLOSED},
        {"closed_at": day.auction.opens_at},
        {"state": AuctionState.CLOSED, "closed_at": day.auction.opens_at},
    ):
        with pytest.raises(IntegrityError, match="before its gate"), transaction.atomic():
            row.update(**change)
    assert not BidContent.objects.exists()
    assert not BookOpening.objects.exists()
