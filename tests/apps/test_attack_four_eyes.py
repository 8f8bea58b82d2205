"""One person who tries to be two: by a machine of their own, or by cutting a need into slices."""

from __future__ import annotations

import pytest

from accounts.approvals.kinds import NEED_PUBLISH
from accounts.approvals.models import Approval, ApprovalState
from accounts.approvals.services import approval_approve, approval_request
from accounts.audit.acting import acting_as
from accounts.core.errors import NotPermitted
from accounts.parties.keys import api_client_create, api_client_rotate
from accounts.parties.models import ApiClient, Organisation, User
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of, sight_of_client
from market.trading.models import Need, NeedState
from market.trading.needs import NeedDetails, need_publish
from market.trading.proposals import need_approve, published_alone_jpy
from tests import cast
from tests.apps.test_need_proposals import Grid

pytestmark = pytest.mark.django_db


class GridOperator:
    """A person who keeps keys and approves, another who approves, and a machine that plans."""

    def __init__(self) -> None:
        cast.market_time(cast.day_start(cast.DAY))
        self.organisation: Organisation = cast.people().grid_t
        self.sly = self._person("sly", Role.GRID_APPROVER)
        cast.member("sly", self.organisation, Role.ADMINISTRATOR)
        self.other = self._person("other", Role.GRID_APPROVER)

    def _person(self, name: str, role: str) -> User:
        return cast.member(name, self.organisation, role)

    def machine(self, name: str, *, made_by: User | None) -> ApiClient:
        actor = sight_of(made_by).actor if made_by else "system"
        with acting_as(actor):
            client, _ = api_client_create(
                organisation=self.organisation, client_id=name, role=Role.GRID_PLANNER
            )
        return client

    def asked_by(self, client: ApiClient) -> Approval:
        return approval_request(
            kind=NEED_PUBLISH,
            organisation=self.organisation,
            subject="trading.need:1",
            content=b"900 MW",
            maker=sight_of_client(client).actor,
        )


def approve(row: Approval, by: Sight) -> Approval:
    return approval_approve(approval_id=row.id, by=by, content_sha256=row.content_sha256)


def test_who_made_a_machine_does_not_approve_what_it_asks() -> None:
    at = GridOperator()
    row = at.asked_by(at.machine("planner-1", made_by=at.sly))
    with pytest.raises(NotPermitted, match="somebody else than who asked"):
        approve(row, sight_of(at.sly))
    assert approve(row, sight_of(at.other)).state == ApprovalState.APPROVED


def test_who_rotated_its_secret_does_not_either() -> None:
    at = GridOperator()
    client = at.machine("planner-2", made_by=None)
    with acting_as(sight_of(at.sly).actor):
        api_client_rotate(client_id=client.id)
    row = at.asked_by(client)
    with pytest.raises(NotPermitted, match="somebody else than who asked"):
        approve(row, sight_of(at.sly))


def test_a_machine_that_somebody_else_made_is_somebody_else() -> None:
    at = GridOperator()
    row = at.asked_by(at.machine("planner-3", made_by=at.other))
    assert approve(row, sight_of(at.sly)).state == ApprovalState.APPROVED


@pytest.fixture
def grid() -> Grid:
    return Grid()


def test_slices_of_a_large_need_are_a_large_need(grid: Grid) -> None:
    # one: 6 half hours of 20,000 kW at 50 JPY/kWh = 20,000 * 50 * 0.5 * 6 = 3,000,000 JPY
    states = [grid.publish(50, code=f"slice-{n}").state for n in range(3)]
    assert states == [NeedState.PUBLISHED, NeedState.PUBLISHED, NeedState.PROPOSED]
    # a revision takes the place of its own need: 3,000,000 + 2,400,000
    assert grid.publish(40, code="slice-1").state == NeedState.PUBLISHED
    # 3,000,000 + 3,060,000
    assert grid.publish(51, code="slice-1").state == NeedState.PROPOSED
    assert Need.objects.get(code="slice-1", state=NeedState.PUBLISHED).revision == 2


def test_what_was_approved_no_longer_counts_and_others_needs_never_did(grid: Grid) -> None:
    large = grid.publish(110)  # 6,600,000
    assert large.state == NeedState.PROPOSED
    row = Approval.objects.get(kind=NEED_PUBLISH)
    need_approve(approval_id=row.id, by=grid.approver, content_sha256=row.content_sha256)
    assert grid.publish(100, code="small").state == NeedState.PUBLISHED  # 6,000,000 alone
    assert published_alone_jpy(grid.auction, grid.grid_t, but="") == 6_000_000
    assert published_alone_jpy(grid.auction, grid.grid_t, but="small") == 0
    other = cast.people().inzai_dc
    assert published_alone_jpy(grid.auction, other, but="") == 0


def test_steps_and_capacity_count_as_they_are_worth(grid: Grid) -> None:
    caps = [["30"] * 48, ["10"] * 48]
    steps = [{"quantity_kw": ["1000", *["0"] * 47], "cap_jpy_per_kwh": cap} for cap in caps]
    details = NeedDetails(code="curve", kind="BALANCE", direction="UP", area_code="03", steps=steps)
    need_publish(auction_id=grid.auction.id, organisation=grid.grid_t, details=details)
    # 1000 * 30 * 0.5 + 1000 * 10 * 0.5
    assert published_alone_jpy(grid.auction, grid.grid_t, but="") == 20_000
