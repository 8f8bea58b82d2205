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
from tests import cast

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
