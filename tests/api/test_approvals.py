"""Approvals through the doors: asked by one, decided by another, of the same house."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.approvals.models import Approval
from accounts.approvals.services import approval_request
from accounts.audit.acting import acting_as
from accounts.parties.roles import Role
from market.registry.models import Ruleset
from market.trading import proposals
from market.trading.models import Auction, Need
from market.trading.needs import NeedDetails, need_publish
from tests import cast, dispatching
from tests.api.conftest import AsMember, DoorClient

HERE = "/api/v1/approvals"
pytestmark = pytest.mark.django_db


@pytest.fixture
def proposal() -> Approval:
    """Return the request of Grid-T's planner for a need above the limit, before the gate."""
    Ruleset.objects.create(
        version="2026-09-01",
        valid_from_on=cast.date(2026, 9, 1),
        rules={**cast.RULES, proposals.LIMIT: 1_000},
    )
    where = cast.places()
    auction = cast.auction(where)
    cast.base_flows(where, auction)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    with acting_as(f"user:{where.people.planner.pk}"):
        need_publish(
            auction_id=auction.id,
            organisation=where.people.grid_t,
            details=NeedDetails(
                code="tokyo-up",
                kind="BALANCE",
                direction="UP",
                area_code="03",
                quantity_kw=["100"] * 48,
                cap_jpy_per_kwh=["50"] * 48,
            ),
        )
    return Approval.objects.get()


def test_a_request_is_shown_to_its_house_and_looks_absent_to_others(
    proposal: Approval, as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    approver = as_member(Role.GRID_APPROVER, "grid-t")
    shown = approver.get(f"{HERE}/{proposal.id}").json()
    # 48 half hours · 100 kW · 0.5 h · 50 JPY/kWh = 120,000 JPY
    assert shown == {
        "id": str(proposal.id),
        "kind": "need.publish",
        "organisation": "grid-t",
        "subject": proposal.subject,
        "content_sha256": proposal.content_sha256,
        "detail": {
            "auction": "DA-2026-11-25",
            "code": "tokyo-up",
            "revision": 1,
            "value_jpy": shown["detail"]["value_jpy"],
            "limit_jpy": "1000",
        },
        "reason": "",
        "state": "REQUESTED",
        "maker": proposal.maker,
        "checker": "",
        "decision_reason": "",
        "requested_at": shown["requested_at"],
        "expires_at": shown["expires_at"],
        "decided_at": None,
        "used_at": None,
    }
    assert float(shown["detail"]["value_jpy"]) == 120_000
    assert approver.get(HERE).json()["items"] == [shown]
    rival_operator = cast.organisation("grid-u", cast.OrganisationKind.TSO, "U", "U")
    for other in (
        as_stranger,
        as_member(Role.MARKET_DESK, "wattbit"),
        as_member(Role.GRID_APPROVER, rival_operator),
    ):
        assert other.get(HERE).json()["items"] == []
        seen = other.get(f"{HERE}/{proposal.id}")
        absent = other.get(f"{HERE}/00000000-0000-4000-8000-000000000000")
        assert (seen.status_code, absent.status_code) == (404, 404)
        answer = other.post(
            f"{HERE}/{proposal.id}/approve", {"content_sha256": proposal.content_sha256}
        )
        assert answer.status_code == 404
        assert other.post(f"{HERE}/{proposal.id}/reject", {"reason": "x"}).status_code == 404
    assert anonymous.get(HERE).status_code == 401


def test_approving_a_need_publishes_it(proposal: Approval, as_member: AsMember) -> None:
    approver = as_member(Role.GRID_APPROVER, "grid-t")
    answer = approver.post(
        f"{HERE}/{proposal.id}/approve",
        {"content_sha256": proposal.content_sha256, "reason": "as planned"},
    )
    assert answer.status_code == 200, answer.json()
    body = answer.json()
    assert (body["state"], body["checker"]) == ("USED", f"user:{approver.person.pk}")
    assert Need.objects.get().state == "PUBLISHED"
    again = approver.post(
        f"{HERE}/{proposal.id}/approve", {"content_sha256": proposal.content_sha256}
    )
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_the_maker_cannot_approve_even_in_both_roles(
    proposal: Approval, as_member: AsMember
) -> None:
    planner = cast.people().planner
    cast.member(planner.username, cast.people().grid_t, Role.GRID_APPROVER)
    client = DoorClient()
    client.force_login(planner)
    answer = client.post(
        f"{HERE}/{proposal.id}/approve", {"content_sha256": proposal.content_sha256}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "not-permitted")
    assert Need.objects.get().state == "PROPOSED"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"content_sha256": "0" * 64}, 409),
        ({"content_sha256": 1}, 400),
        ({"content_sha256": "0" * 64, "reason": "x" * 201}, 400),
        ({"content_sha256": "0" * 64, "checker": "user:1"}, 400),
    ],
)
def test_a_wrong_yes_changes_nothing(
    proposal: Approval, as_member: AsMember, body: dict[str, Any], status: int
) -> None:
    answer = as_member(Role.GRID_APPROVER, "grid-t").post(f"{HERE}/{proposal.id}/approve", body)
    assert answer.status_code == status
    assert Need.objects.get().state == "PROPOSED"
    proposal.refresh_from_db()
    assert proposal.state == "REQUESTED"


def test_after_the_gate_the_answer_is_gate_closed(proposal: Approval, as_member: AsMember) -> None:
    approver = as_member(Role.GRID_APPROVER, "grid-t")
    cast.market_time(Auction.objects.get().gate_closure_at)
    answer = approver.post(
        f"{HERE}/{proposal.id}/approve", {"content_sha256": proposal.content_sha256}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "gate-closed")
    assert Need.objects.get().state == "PROPOSED"


def test_a_refused_need_is_gone(proposal: Approval, as_member: AsMember) -> None:
    approver = as_member(Role.GRID_APPROVER, "grid-t")
    assert approver.post(f"{HERE}/{proposal.id}/reject", {}).status_code == 400
    answer = approver.post(f"{HERE}/{proposal.id}/reject", {"reason": "too dear"})
    assert (answer.status_code, answer.json()["state"]) == (200, "REJECTED")
    assert Need.objects.get().state == "REFUSED"


def test_two_people_at_the_desk_cancel_a_result(as_member: AsMember) -> None:
    day = dispatching.planned_day()
    first = as_member(Role.MARKET_DESK, "wattbit")
    asked = first.post(
        HERE, {"kind": "result.cancel", "auction": day.auction.code, "reason": "wrong model"}
    )
    assert asked.status_code == 201, asked.json()
    body = asked.json()
    assert (body["detail"]["awards"], body["state"]) == (4, "REQUESTED")
    here = f"{HERE}/{body['id']}/approve"
    yes = {"content_sha256": body["content_sha256"]}
    assert first.post(here, yes).status_code == 403
    second = DoorClient()
    second.force_login(cast.member("second", cast.people().platform, Role.MARKET_DESK))
    answer = second.post(here, yes)
    assert (answer.status_code, answer.json()["state"]) == (200, "USED")
    assert Auction.objects.get().state == "CANCELLED"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "payment.release", "auction": "x", "reason": "y"}, "kind"),
        ({"kind": "result.cancel", "auction": "DA-2026-11-25", "reason": ""}, "reason"),
        ({"kind": "result.cancel", "auction": "DA-2026-11-25"}, "reason"),
    ],
)
def test_a_wrong_request_is_refused_by_field(
    as_member: AsMember, body: dict[str, Any], field: str
) -> None:
    dispatching.planned_day()
    answer = as_member(Role.MARKET_DESK, "wattbit").post(HERE, body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not Approval.objects.exists()


def test_only_the_desk_asks_for_a_cancellation(as_member: AsMember) -> None:
    day = dispatching.planned_day()
    body = {"kind": "result.cancel", "auction": day.auction.code, "reason": "x"}
    for role, at in (
        (Role.OPERATOR_TRADER, "inzai-dc"),
        (Role.GRID_APPROVER, "grid-t"),
        (Role.AUDITOR, "wattbit"),
        (Role.MARKET_DESK, "inzai-dc"),  # the role in another house means nothing here
    ):
        assert as_member(role, at).post(HERE, body).status_code == 403
    absent = as_member(Role.MARKET_DESK, "wattbit").post(HERE, {**body, "auction": "no-such"})
    assert absent.status_code == 404


def test_filters_narrow_and_the_auditor_sees_all(as_member: AsMember) -> None:
    people = cast.people()
    cast.market_time(cast.day_start(cast.DAY))
    for n in range(3):
        approval_request(
            kind="payment.release",
            organisation=people.platform,
            subject=f"payments.file:{n}",
            content=b"x",
            maker="user:999999",
        )
    auditor = as_member(Role.AUDITOR, "wattbit")
    assert len(auditor.get(HERE).json()["items"]) == 3
    page = auditor.get(HERE, {"limit": 2, "state": "REQUESTED", "kind": "payment.release"}).json()
    assert len(page["items"]) == 2
    rest = auditor.get(HERE, {"limit": 2, "cursor": page["next"]}).json()
    assert [item["subject"] for item in page["items"] + rest["items"]].count("payments.file:0") == 1
    assert len(page["items"] + rest["items"]) == 3
    assert auditor.get(HERE, {"state": "USED"}).json()["items"] == []
    assert auditor.get(HERE, {"state": "?"}).status_code == 400
