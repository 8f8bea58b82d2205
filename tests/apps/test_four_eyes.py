"""Two people: the maker never decides, nor a machine, nor about anything but what was asked."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.approvals import services
from accounts.approvals.kinds import NEED_PUBLISH, PAYMENT_RELEASE, RESULT_CANCEL
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.selectors import approvals_seen
from accounts.approvals.services import (
    ApprovalMissing,
    ContentChanged,
    approval_approve,
    approval_reject,
    approval_request,
    approval_use,
)
from accounts.audit.acting import acting_as
from accounts.audit.models import AuditEntry
from accounts.clock.selectors import market_now
from accounts.clock.services import clock_set
from accounts.core.errors import Conflict, NotFound, NotPermitted, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim
from accounts.parties.models import ApiClient, Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of, sight_of_client
from aggregator.dispatch import cancelling
from aggregator.dispatch.models import DispatchInstruction
from aggregator.dispatch.services import PLAN_KIND, instructions_plan
from market.clearing.models import Award
from market.registry.models import Ruleset
from market.trading import proposals
from market.trading.gates import GateClosed
from market.trading.models import Auction, AuctionState, Need, NeedState
from market.trading.needs import NeedDetails, need_publish, need_withdraw
from market.trading.selectors import needs_of, needs_seen
from tests import cast, dispatching

FILE = b"0100 PAYMENT FILE 1\n"


def person(username: str, at: Organisation, role: str) -> Sight:
    return sight_of(cast.member(username, at, role))


def claim_of(kind: str, key: str) -> Claim:
    claim = job_claim(job_id=Job.objects.get(kind=kind, key=key).id)
    assert claim is not None
    return claim


class Desk:
    """Two clerks of settlement, and the request of the first."""

    def __init__(self) -> None:
        people = cast.people()
        self.organisation = people.platform
        self.maker = person("clerk-1", self.organisation, Role.SETTLEMENT)
        self.checker = person("clerk-2", self.organisation, Role.SETTLEMENT)

    def ask(self, *, subject: str = "payments.file:1", content: bytes = FILE) -> Approval:
        return approval_request(
            kind=PAYMENT_RELEASE,
            organisation=self.organisation,
            subject=subject,
            content=content,
            maker=self.maker.actor,
            detail={"total_jpy": 120_000},
        )

    def approve(self, row: Approval, *, by: Sight | None = None, sha256: str = "") -> Approval:
        return approval_approve(
            approval_id=row.id,
            by=by or self.checker,
            content_sha256=sha256 or row.content_sha256,
        )


@pytest.fixture
def desk(db: None) -> Desk:
    cast.market_time(cast.day_start(cast.DAY))
    return Desk()


def test_what_a_second_person_approved_is_done_once(desk: Desk) -> None:
    row = desk.approve(desk.ask())
    assert (row.state, row.checker, row.maker) == (
        ApprovalState.APPROVED,
        desk.checker.actor,
        desk.maker.actor,
    )
    used = approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)
    assert (used.id, used.state) == (row.id, ApprovalState.USED)
    with pytest.raises(ApprovalMissing):
        approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)
    entries = AuditEntry.objects.filter(subject=f"approvals.approval:{row.id}").order_by("id")
    assert list(entries.values_list("action", flat=True)) == [
        "accounts.approval.requested",
        "accounts.approval.approved",
        "accounts.approval.used",
    ]


def test_nothing_is_done_unasked_or_undecided_or_on_anothers_approval(desk: Desk) -> None:
    use = {"kind": PAYMENT_RELEASE, "subject": "payments.file:1", "content": FILE}
    with pytest.raises(ApprovalMissing):
        approval_use(**use)  # type: ignore[arg-type]
    desk.ask()
    with pytest.raises(ApprovalMissing):
        approval_use(**use)  # type: ignore[arg-type]
    desk.approve(desk.ask(subject="payments.file:2"))
    with pytest.raises(ApprovalMissing):
        approval_use(**use)  # type: ignore[arg-type]


def test_the_maker_does_not_decide(desk: Desk) -> None:
    row = desk.ask()
    with pytest.raises(NotPermitted, match="somebody else"):
        desk.approve(row, by=desk.maker)
    with pytest.raises(NotPermitted, match="somebody else"):
        approval_reject(approval_id=row.id, by=desk.maker, reason="changed my mind")


def test_a_machine_may_ask_but_not_decide(desk: Desk) -> None:
    client = ApiClient.objects.create(
        organisation=desk.organisation, client_id="robot", role=Role.SETTLEMENT
    )
    robot = sight_of_client(client)
    with pytest.raises(NotPermitted, match="only people"):
        desk.approve(desk.ask(), by=robot)
    asked = approval_request(
        kind=PAYMENT_RELEASE,
        organisation=desk.organisation,
        subject="payments.file:2",
        content=FILE,
        maker=robot.actor,
    )
    assert desk.approve(asked).maker == f"client:{client.id}"


def test_others_do_not_see_it_and_who_may_only_look_does_not_decide(desk: Desk) -> None:
    people = cast.people()
    row = desk.ask()
    auditor = person("auditor", desk.organisation, Role.AUDITOR)
    assert list(approvals_seen(seen_by=auditor)) == [row]
    with pytest.raises(NotPermitted, match="may payment"):
        desk.approve(row, by=auditor)
    for stranger in (
        sight_of(people.owner),
        sight_of(people.planner),
        person("other-clerk", people.grid_t, Role.SETTLEMENT),
        person("market", desk.organisation, Role.MARKET_DESK),
    ):
        assert list(approvals_seen(seen_by=stranger)) == []
        with pytest.raises(NotFound):
            desk.approve(row, by=stranger)


def test_nobody_approves_what_they_have_not_seen(desk: Desk) -> None:
    row = desk.ask()
    with pytest.raises(ContentChanged):
        desk.approve(row, sha256="0" * 64)


def test_what_was_changed_afterwards_is_refused(desk: Desk) -> None:
    desk.approve(desk.ask())
    changed = FILE.replace(b"1\n", b"2\n")
    with pytest.raises(ContentChanged):
        approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=changed)
    approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)


def test_a_refusal_is_final_and_says_why(desk: Desk) -> None:
    row = desk.ask()
    with pytest.raises(Refused, match="reason"):
        approval_reject(approval_id=row.id, by=desk.checker, reason=" ")
    approval_reject(approval_id=row.id, by=desk.checker, reason="wrong account")
    row.refresh_from_db()
    assert (row.state, row.decision_reason) == (ApprovalState.REJECTED, "wrong account")
    with pytest.raises(ApprovalMissing):
        desk.approve(row)
    assert desk.ask().state == ApprovalState.REQUESTED  # asking again is a new request


def test_of_two_requests_about_the_same_one_is_open(desk: Desk) -> None:
    desk.ask()
    with pytest.raises(Conflict):
        desk.ask()


def test_a_request_lapses_also_where_no_job_ran(desk: Desk) -> None:
    row = desk.ask()
    clock_set(market_at=row.expires_at, speed_ratio=Decimal(0))
    with pytest.raises(ApprovalMissing, match="in time"):
        desk.approve(row)
    assert desk.ask().id != row.id  # the old one made room
    row.refresh_from_db()
    assert row.state == ApprovalState.EXPIRED


def test_an_approval_lapses_too(desk: Desk) -> None:
    row = desk.approve(desk.ask())
    clock_set(market_at=row.expires_at, speed_ratio=Decimal(0))
    with pytest.raises(ApprovalMissing):
        approval_use(kind=PAYMENT_RELEASE, subject="payments.file:1", content=FILE)
    services.approval_expire(claim=claim_of(services.EXPIRE_KIND, str(row.id)))
    row.refresh_from_db()
    assert row.state == ApprovalState.EXPIRED


def test_the_same_content_has_the_same_digest() -> None:
    a = {"b": Decimal("1.50"), "a": [1, "字"]}
    assert services.content_digest(a) == services.content_digest({"a": [1, "字"], "b": "1.50"})
    # printf '{"a":[1,"字"],"b":"1.50"}' | sha256sum
    import hashlib

    assert (
        services.content_digest(a)
        == hashlib.sha256('{"a":[1,"字"],"b":"1.50"}'.encode()).hexdigest()
    )


@pytest.mark.parametrize(
    "change",
    [
        "state = 'APPROVED', checker = maker, decided_at = now()",  # the maker decides
        "state = 'APPROVED', checker = 'client:1', decided_at = now()",  # a machine decides
        "state = 'APPROVED'",  # nobody decides
        "state = 'USED', checker = 'user:1', decided_at = now(), used_at = now()",  # no approval
        "content_sha256 = repeat('0', 64)",
        "maker = 'user:1'",
        "expires_at = expires_at + interval '1 day'",
    ],
)
def test_the_database_refuses_it_by_itself(desk: Desk, change: str) -> None:
    row = desk.ask()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE approvals_approval SET {change} WHERE id = %s", [row.id])  # noqa: S608


@pytest.mark.parametrize(
    "change", ["checker = 'user:99999'", "state = 'REQUESTED'", "decision_reason = 'other'"]
)
def test_a_decision_is_never_changed(desk: Desk, change: str) -> None:
    row = desk.approve(desk.ask())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE approvals_approval SET {change} WHERE id = %s", [row.id])  # noqa: S608


def test_no_approval_is_born_decided_or_dies(desk: Desk) -> None:
    row = desk.approve(desk.ask())
    with pytest.raises(IntegrityError, match="begins as REQUESTED"), transaction.atomic():
        Approval.objects.create(
            kind=row.kind,
            organisation=row.organisation,
            subject="payments.file:9",
            content_sha256="0" * 64,
            maker="user:1",
            checker="user:2",
            state=ApprovalState.APPROVED,
            requested_at=row.requested_at,
            expires_at=row.expires_at,
            decided_at=row.requested_at,
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(id=row.id).delete()


# needs above the limit


LIMIT_JPY = 6_000_000


class Grid:
    """An open auction under rules with a limit, a planner and an approver of Grid-T."""

    def __init__(self) -> None:
        Ruleset.objects.create(
            version="2026-09-01",
            valid_from_on=cast.date(2026, 9, 1),
            rules={**cast.RULES, proposals.LIMIT: LIMIT_JPY},
        )
        where = cast.places()
        self.auction = cast.auction(where)
        cast.base_flows(where, self.auction)
        self.grid_t = where.people.grid_t
        self.planner = sight_of(where.people.planner)
        self.approver = person("approver", self.grid_t, Role.GRID_APPROVER)
        cast.market_time(self.auction.gate_closure_at - timedelta(hours=1))

    def publish(self, cap: float, *, code: str = "tokyo-up") -> Need:
        with acting_as(self.planner.actor):
            return need_publish(
                auction_id=self.auction.id,
                organisation=self.grid_t,
                details=NeedDetails(
                    code=code,
                    kind="BALANCE",
                    direction="UP",
                    area_code="03",
                    quantity_kw=[*["0"] * 34, *["20000"] * 6, *["0"] * 8],
                    cap_jpy_per_kwh=[str(cap)] * 48,
                ),
            )

    def approve(self, row: Approval, *, by: Sight | None = None) -> Need:
        return proposals.need_approve(
            approval_id=row.id, by=by or self.approver, content_sha256=row.content_sha256
        )


@pytest.fixture
def grid(db: None) -> Grid:
    return Grid()


def approval() -> Approval:
    return Approval.objects.latest("requested_at")


def test_a_need_up_to_the_limit_is_published_at_once(grid: Grid) -> None:
    # 6 half hours · 20,000 kW · 0.5 h = 60,000 kWh; at 100 JPY/kWh just 6,000,000
    assert grid.publish(100).state == NeedState.PUBLISHED
    assert not Approval.objects.exists()


def test_a_need_above_the_limit_is_nobodys_business_until_approved(grid: Grid) -> None:
    need = grid.publish(100.01)
    assert need.state == NeedState.PROPOSED
    assert list(needs_of(grid.auction)) == []
    people = cast.people()
    assert list(needs_seen(seen_by=sight_of(people.owner))) == []
    assert list(needs_seen(seen_by=grid.planner)) == [need]
    row = approval()
    assert (row.kind, row.maker, row.organisation_id) == (
        NEED_PUBLISH,
        grid.planner.actor,
        grid.grid_t.id,
    )
    assert Decimal(row.detail["value_jpy"]) == Decimal(6000600)  # 60,000 kWh · 100.01
    assert row.expires_at == grid.auction.gate_closure_at
    approved = grid.approve(row)
    assert (approved.id, approved.state) == (need.id, NeedState.PUBLISHED)
    assert list(needs_of(grid.auction)) == [approved]
    row.refresh_from_db()
    assert row.state == ApprovalState.USED
    assert AuditEntry.objects.filter(action="market.need.published").count() == 1


def test_the_planner_and_another_operators_approver_cannot_approve(grid: Grid) -> None:
    grid.publish(200)
    row = approval()
    with pytest.raises(NotPermitted):
        grid.approve(row, by=grid.planner)
    other = cast.organisation("grid-s", cast.OrganisationKind.TSO, "グリッドS", "Grid-S")
    with pytest.raises(NotFound):
        grid.approve(row, by=person("other-approver", other, Role.GRID_APPROVER))
    # a person in both roles is still one person
    both = cast.people().planner
    cast.member(both.username, grid.grid_t, Role.GRID_APPROVER)
    with pytest.raises(NotPermitted, match="somebody else"):
        grid.approve(row, by=sight_of(both))


def test_the_revision_in_force_stays_until_the_next_is_approved(grid: Grid) -> None:
    first = grid.publish(50)
    second = grid.publish(200)
    assert list(needs_of(grid.auction)) == [first]
    grid.approve(approval())
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (NeedState.SUPERSEDED, NeedState.PUBLISHED)
    assert (second.supersedes_id, second.revision) == (first.id, 2)
    assert list(needs_of(grid.auction)) == [second]


def test_a_later_revision_replaces_a_proposal(grid: Grid) -> None:
    proposed = grid.publish(200)
    row = approval()
    again = grid.publish(300)
    for one in (proposed, row, again):
        one.refresh_from_db()
    assert (proposed.state, again.state) == (NeedState.REFUSED, NeedState.PROPOSED)
    assert row.state == ApprovalState.EXPIRED
    with pytest.raises(ApprovalMissing):
        grid.approve(row)
    published = grid.publish(10)
    again.refresh_from_db()
    assert (again.state, published.state) == (NeedState.REFUSED, NeedState.PUBLISHED)


def test_a_refused_proposal_leaves_no_trace_in_public(grid: Grid) -> None:
    need = grid.publish(200)
    proposals.need_reject(approval_id=approval().id, by=grid.approver, reason="too dear")
    need.refresh_from_db()
    assert need.state == NeedState.REFUSED
    assert list(needs_seen(seen_by=sight_of(cast.people().owner))) == []


def test_a_proposal_can_be_taken_back(grid: Grid) -> None:
    need = grid.publish(200)
    need_withdraw(auction_id=grid.auction.id, organisation=grid.grid_t, code="tokyo-up")
    need.refresh_from_db()
    assert (need.state, approval().state) == (NeedState.REFUSED, ApprovalState.EXPIRED)


def test_after_the_gate_a_proposal_is_too_late(grid: Grid) -> None:
    need = grid.publish(200)
    row = approval()
    cast.market_time(grid.auction.gate_closure_at)
    with pytest.raises(GateClosed):
        grid.approve(row)
    proposals.proposal_lapse(claim=claim_of(proposals.LAPSE_KIND, str(need.id)))
    need.refresh_from_db()
    row.refresh_from_db()
    assert (need.state, row.state) == (NeedState.REFUSED, ApprovalState.EXPIRED)


def test_a_proposal_cannot_be_changed_before_it_is_approved(grid: Grid) -> None:
    need = grid.publish(200)
    row = approval()
    with pytest.raises(IntegrityError), transaction.atomic():
        Need.objects.filter(id=need.id).update(cap_jpy_per_kwh=["1"] * 48)
    with transaction.atomic(), connection.cursor() as cursor:  # as who owns the server can
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE trading_need SET cap_jpy_per_kwh[35] = 9999 WHERE id = %s", [need.id]
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    with pytest.raises(ContentChanged):
        grid.approve(row)


def test_what_is_published_cannot_be_turned_back_or_re_dated(grid: Grid) -> None:
    need = grid.publish(10)
    for change in ({"state": "PROPOSED"}, {"available_at": market_now() - timedelta(hours=1)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Need.objects.filter(id=need.id).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        Need.objects.filter(id=need.id).delete()


def test_value_counts_every_step_and_capacity_by_the_half_hour() -> None:
    ones, twos = [Decimal(1)] * 48, [Decimal(2)] * 48
    # energy: 48 · (1·2 + 2·1) · 0.5 = 96; capacity: 48 · 1 · 2 = 96
    assert proposals.value_jpy([(ones, twos, "LOCAL"), (twos, ones, "LOCAL")]) == 96
    assert proposals.value_jpy([(ones, twos, "CAPACITY")]) == 96
    assert not proposals.takes_two_people({}, Decimal(10) ** 12)
    assert proposals.takes_two_people({proposals.LIMIT: 0}, Decimal("0.01"))


# cancelling a result


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
