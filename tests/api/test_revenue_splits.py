"""Shares of receipts: exact, whole, agreed by all, never two on one day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.registry.models import RevenueAgreement, RevenueSplit, Site
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

SPLITS = "/api/v1/revenue-splits"


@pytest.fixture
def landlord(as_member: AsMember) -> DoorClient:
    """Return who acts for the owner of Inzai's hall."""
    cast.places()
    hall = cast.organisation("hall", OrganisationKind.FACILITY_OWNER, "ホール", "Hall")
    Site.objects.filter(code="inzai-dc-1").update(facility_owner=hall)
    return as_member(Role.OPERATOR_TRADER, hall)


@pytest.fixture
def tenant(landlord: DoorClient, as_member: AsMember) -> DoorClient:
    """Return a trader of the operator of Inzai."""
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


def _given(**changes: Any) -> dict[str, Any]:
    return {
        "site": "inzai-dc-1",
        "shares": _shares(hall="0.2", **{"inzai-dc": "0.8"}),
        "valid_from_on": "2026-12-01",
        **changes,
    }


def _shares(**ratios: Any) -> list[dict[str, Any]]:
    return [{"organisation": code, "share_ratio": ratio} for code, ratio in ratios.items()]


def _agreed(proposer: DoorClient, other: DoorClient, **changes: Any) -> dict[str, Any]:
    made = proposer.post(SPLITS, _given(**changes))
    assert made.status_code == 201, made.content
    done = other.post(
        f"{SPLITS}/{made.json()['id']}/agree", headers={"If-Match": made.headers["ETag"]}
    )
    assert (done.status_code, done.json()["state"]) == (200, "AGREED"), done.content
    body: dict[str, Any] = done.json()
    return body


def _in_force() -> list[tuple[str, Decimal, str, str | None]]:
    return [
        (
            row.organisation.code,
            row.share_ratio,
            row.valid_from_on.isoformat(),
            None if row.valid_to_on is None else row.valid_to_on.isoformat(),
        )
        for row in RevenueSplit.objects.order_by("valid_from_on", "organisation__code")
    ]


def test_shares_are_in_force_once_both_sides_agreed(
    landlord: DoorClient, tenant: DoorClient
) -> None:
    made = landlord.post(SPLITS, _given())
    body = made.json()
    assert (made.status_code, body["state"], made.headers["ETag"]) == (201, "PROPOSED", '"2"')
    assert [
        (share["organisation"], share["share_ratio"], share["agreed_at"] is not None)
        for share in body["shares"]
    ] == [("hall", "0.20000", True), ("inzai-dc", "0.80000", False)]
    assert _in_force() == []
    agree = f"{SPLITS}/{body['id']}/agree"
    assert tenant.post(agree).status_code == 428
    own = landlord.post(agree, headers={"If-Match": '"2"'})
    assert (own.status_code, own.json()["code"]) == (409, "conflict")
    done = tenant.post(agree, headers={"If-Match": '"2"'})
    assert (done.json()["state"], done.json()["version"]) == ("AGREED", 3)
    assert _in_force() == [("hall", Decimal("0.20000"), "2026-12-01", None)]
    assert tenant.post(agree, headers={"If-Match": '"3"'}).status_code == 409
    assert tenant.post(agree, headers={"If-Match": '"2"'}).status_code == 412


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"shares": _shares(hall="0.2", **{"inzai-dc": "0.79999"})}, 400, "shares-not-whole", ""),
        ({"shares": _shares(hall="0.2", **{"inzai-dc": "0.80001"})}, 400, "shares-not-whole", ""),
        ({"shares": _shares(hall="0.2")}, 400, "refused", ""),
        ({"shares": _shares(**{"inzai-dc": "1"})}, 400, "refused", ""),
        ({"shares": []}, 400, "refused", ""),
        (
            {"shares": _shares(hall="0.333333", **{"inzai-dc": "0.666667"})},
            400,
            "refused",
            "[0].share_ratio",
        ),
        (
            {"shares": _shares(hall="-0.2", **{"inzai-dc": "1.2"})},
            400,
            "refused",
            "[0].share_ratio",
        ),
        ({"shares": _shares(hall=None, **{"inzai-dc": "1"})}, 400, "refused", "[0].share_ratio"),
        (
            {"shares": _shares(hall="0", **{"inzai-dc": "1", "nobody": "0"})},
            404,
            "not-found",
            "[2].organisation",
        ),
        (
            {"shares": [*_shares(hall="0.1"), *_shares(hall="0.9")]},
            400,
            "refused",
            "[1].organisation",
        ),
        ({"shares": ["hall"]}, 400, "refused", "[0]"),
    ],
)
def test_shares_that_are_not_whole_are_refused(
    landlord: DoorClient, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    refused = landlord.post(SPLITS, _given(**change))
    said = refused.json()
    assert (refused.status_code, said["code"], said["field"]) == (status, code, f"shares{field}")
    assert not RevenueAgreement.objects.exists()


def test_a_later_agreement_ends_the_one_before_and_none_overlaps(
    landlord: DoorClient, tenant: DoorClient
) -> None:
    _agreed(landlord, tenant)
    later = _shares(hall="0.25", **{"inzai-dc": "0.75"})
    _agreed(tenant, landlord, shares=later, valid_from_on="2027-04-01", valid_to_on="2028-04-01")
    assert _in_force() == [
        ("hall", Decimal("0.20000"), "2026-12-01", "2027-04-01"),
        ("hall", Decimal("0.25000"), "2027-04-01", "2028-04-01"),
    ]
    for from_on, to_on in (
        ("2026-12-02", None),
        ("2027-06-01", "2027-07-01"),
        ("2026-01-01", "2026-12-02"),
        ("2028-03-31", None),
    ):
        refused = tenant.post(SPLITS, _given(valid_from_on=from_on, valid_to_on=to_on))
        assert (refused.status_code, refused.json()["code"]) == (400, "agreement-overlaps")
    _agreed(tenant, landlord, valid_from_on="2028-04-01")


def test_who_had_a_share_agrees_to_having_none(
    landlord: DoorClient, tenant: DoorClient, as_member: AsMember
) -> None:
    three = _shares(hall="0.2", **{"inzai-dc": "0.7", "shiroi-dc": "0.1"})
    made = landlord.post(SPLITS, _given(shares=three)).json()
    third = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    one = tenant.post(f"{SPLITS}/{made['id']}/agree", headers={"If-Match": '"2"'})
    assert one.json()["state"] == "PROPOSED"
    two = third.post(f"{SPLITS}/{made['id']}/agree", headers={"If-Match": one.headers["ETag"]})
    assert two.json()["state"] == "AGREED"
    silent = landlord.post(SPLITS, _given(valid_from_on="2027-01-01"))
    assert (silent.status_code, silent.json()["code"]) == (400, "agreement-overlaps")
    assert "shiroi-dc named, with 0" in silent.json()["detail"]
    none = _shares(hall="0.2", **{"inzai-dc": "0.8", "shiroi-dc": "0"})
    assert landlord.post(SPLITS, _given(shares=none, valid_from_on="2027-01-01")).status_code == 201


def test_two_proposals_for_the_same_days_cannot_both_come_into_force(
    landlord: DoorClient, tenant: DoorClient
) -> None:
    first, second = (landlord.post(SPLITS, _given()).json() for _ in range(2))
    version = {"If-Match": '"2"'}
    assert tenant.post(f"{SPLITS}/{first['id']}/agree", headers=version).status_code == 200
    late = tenant.post(f"{SPLITS}/{second['id']}/agree", headers=version)
    assert (late.status_code, late.json()["code"]) == (400, "agreement-overlaps")
    assert RevenueAgreement.objects.get(id=second["id"]).state == "PROPOSED"
    assert RevenueSplit.objects.count() == 1


def test_a_proposal_is_withdrawn_by_its_side_and_rejected_by_the_other(
    landlord: DoorClient, tenant: DoorClient
) -> None:
    for client, state in ((landlord, "WITHDRAWN"), (tenant, "REJECTED")):
        path = f"{SPLITS}/{landlord.post(SPLITS, _given()).json()['id']}"
        version = {"If-Match": '"2"'}
        assert client.post(f"{path}/reject", headers=version).json()["field"] == "reason"
        done = client.post(f"{path}/reject", {"reason": "高すぎます"}, headers=version)
        assert (done.json()["state"], done.json()["state_reason"]) == (state, "高すぎます")
        assert tenant.post(f"{path}/agree", headers={"If-Match": '"3"'}).status_code == 409
    assert _in_force() == []


def test_only_parties_and_the_desk_see_an_agreement(
    landlord: DoorClient, tenant: DoorClient, as_member: AsMember, as_stranger: DoorClient
) -> None:
    made = landlord.post(SPLITS, _given()).json()
    path = f"{SPLITS}/{made['id']}"
    settlement = as_member(Role.SETTLEMENT, "wattbit")
    for client in (landlord, tenant, settlement):
        assert client.get(path).json() == made
        assert client.get(SPLITS, {"state": "PROPOSED"}).json()["items"] == [made]
    assert tenant.get(SPLITS, {"state": "AGREED"}).json()["items"] == []
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    version = {"If-Match": '"2"'}
    for client in (rival, as_stranger, as_member(Role.GRID_PLANNER, "grid-t")):
        assert client.get(path).status_code == 404
        assert client.get(SPLITS).json()["items"] == []
    for client in (rival, as_stranger):
        assert client.post(f"{path}/agree", headers=version).status_code == 404
        assert client.post(f"{path}/reject", {"reason": "x"}, headers=version).status_code == 404
        assert client.post(SPLITS, _given()).status_code == 404
    assert settlement.post(f"{path}/agree", headers=version).status_code == 403


def test_the_database_keeps_what_was_agreed(landlord: DoorClient, tenant: DoorClient) -> None:
    _agreed(landlord, tenant)
    for change in ({"state": "WITHDRAWN"}, {"valid_from_on": "2026-12-02"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            RevenueAgreement.objects.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        RevenueSplit.objects.update(share_ratio=Decimal("0.5"))
