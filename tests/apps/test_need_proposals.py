"""Needs above the limit: nobody's business until a second person of the operator approves."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.approvals.kinds import NEED_PUBLISH
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.services import (
    ApprovalMissing,
    ContentChanged,
)
from accounts.audit.acting import acting_as
from accounts.audit.models import AuditEntry
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, NotPermitted
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of
from market.registry.models import Ruleset
from market.trading import proposals
from market.trading.gates import GateClosed
from market.trading.models import Need, NeedState
from market.trading.needs import NeedDetails, need_publish, need_withdraw
from market.trading.selectors import needs_of, needs_seen
from tests import cast


def person(username: str, at: Organisation, role: str) -> Sight:
    return sight_of(cast.member(username, at, role))


def claim_of(kind: str, key: str) -> Claim:
    claim = job_claim(job_id=Job.objects.get(kind=kind, key=key).id)
    assert claim is not None
    return claim


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
