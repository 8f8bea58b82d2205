"""Consents: given by who owns the building, seen by both sides, ended and never edited."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.registry.agreement_services import consent_grant
from market.registry.models import Consent, Site
from market.registry.selectors import resources_sellable_by
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

CONSENTS = "/api/v1/consents"
GIVEN: dict[str, Any] = {"site": "inzai-dc-1", "valid_from_on": "2026-12-01"}


@pytest.fixture
def places(db: None) -> cast.Places:
    """Return the triangle; Inzai's hall is another's. It is 2026-11-24 09:00 JST."""
    where = cast.places()
    hall = cast.organisation("hall", OrganisationKind.FACILITY_OWNER, "ホール", "Hall")
    Site.objects.filter(code="inzai-dc-1").update(facility_owner=hall)
    cast.market_time(datetime(2026, 11, 24, 0, tzinfo=UTC))
    return where


@pytest.fixture
def landlord(places: cast.Places, as_member: AsMember) -> DoorClient:
    """Return who acts for the owner of Inzai's hall."""
    return as_member(Role.OPERATOR_TRADER, "hall")


def _sellable(places: cast.Places, on: date) -> int:
    return resources_sellable_by(places.people.inzai_dc, on=on).count()


def test_a_consent_lets_the_tenant_sell_until_it_is_withdrawn(
    places: cast.Places, landlord: DoorClient
) -> None:
    assert _sellable(places, date(2026, 12, 1)) == 0
    made = landlord.post(CONSENTS, GIVEN)
    assert made.status_code == 201, made.content
    body = made.json()
    assert body == {
        "id": body["id"],
        "site": "inzai-dc-1",
        "granted_by": "hall",
        "granted_to": "inzai-dc",
        "valid_from_on": "2026-12-01",
        "valid_to_on": None,
        "version": 1,
    }
    assert (_sellable(places, date(2026, 11, 30)), _sellable(places, date(2026, 12, 1))) == (0, 2)
    end = f"{CONSENTS}/{body['id']}/withdraw"
    assert landlord.post(end, {"valid_to_on": "2026-12-10"}).status_code == 428
    done = landlord.post(end, {"valid_to_on": "2026-12-10"}, headers={"If-Match": '"1"'})
    assert done.json() == body | {"valid_to_on": "2026-12-10", "version": 2}
    assert (_sellable(places, date(2026, 12, 9)), _sellable(places, date(2026, 12, 10))) == (2, 0)
    again = landlord.post(end, {"valid_to_on": "2026-12-11"}, headers={"If-Match": '"2"'})
    assert (again.status_code, again.json()["field"]) == (400, "valid_to_on")
    past = landlord.post(end, {"valid_to_on": "2026-11-23"}, headers={"If-Match": '"2"'})
    assert past.json()["field"] == "valid_to_on"
    sooner = landlord.post(end, headers={"If-Match": '"2"'})
    # today is before it begins: it never holds
    assert sooner.json()["valid_to_on"] == "2026-12-01"
    assert _sellable(places, date(2026, 12, 1)) == 0
    # so its days are free again
    assert landlord.post(CONSENTS, GIVEN).status_code == 201


def test_only_the_owner_of_the_building_consents(places: cast.Places, as_member: AsMember) -> None:
    tenant = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    refused = tenant.post(CONSENTS, {**GIVEN, "granted_to": "inzai-dc"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not-permitted")
    assert refused.json()["field"] == "granted_by"
    with pytest.raises(Exception, match="the owner of the site's facility"):
        consent_grant(
            site=places.sites["inzai"],
            granted_by=places.people.grid_t,
            granted_to=places.people.inzai_dc,
            valid_from_on=date(2026, 12, 1),
        )
    for role, at, status in (
        (Role.OPERATOR_VIEWER, "hall", 403),
        (Role.GRID_PLANNER, "grid-t", 403),
        (Role.MARKET_DESK, "wattbit", 403),
        (Role.OPERATOR_TRADER, "shiroi-dc", 404),
        (Role.OPERATOR_TRADER, "stranger", 404),
    ):
        assert as_member(role, at).post(CONSENTS, GIVEN).status_code == status
    assert not Consent.objects.exists()


def test_a_new_owner_of_the_building_is_not_bound_by_the_old_ones_consent(
    places: cast.Places, landlord: DoorClient
) -> None:
    landlord.post(CONSENTS, GIVEN)
    Site.objects.filter(code="inzai-dc-1").update(facility_owner=places.people.shiroi_dc)
    assert _sellable(places, date(2026, 12, 1)) == 0


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"valid_from_on": "2026/12/01"}, 400, "valid_from_on"),
        ({"valid_from_on": "2026-02-30"}, 400, "valid_from_on"),
        ({"valid_from_on": "2026-12-01T00:00:00Z"}, 400, "valid_from_on"),
        ({"valid_to_on": "2026-12-01"}, 400, "valid_to_on"),
        ({"granted_to": "nobody"}, 404, "granted_to"),
        ({"granted_to": "hall"}, 400, "granted_to"),
        ({"granted_to": None, "x": 1}, 400, "x"),
    ],
)
def test_a_wrong_consent_is_refused_by_field(
    landlord: DoorClient, change: dict[str, Any], status: int, field: str
) -> None:
    refused = landlord.post(CONSENTS, {**GIVEN, **change})
    assert (refused.status_code, refused.json()["field"]) == (status, field), refused.json()
    assert not Consent.objects.exists()


def test_two_consents_never_hold_on_the_same_day(landlord: DoorClient) -> None:
    until = {**GIVEN, "valid_to_on": "2027-01-01"}
    assert landlord.post(CONSENTS, until).status_code == 201
    for from_on, to_on, status in (
        ("2026-12-31", None, 400),
        ("2026-11-01", "2026-12-02", 400),
        ("2026-11-01", "2026-12-01", 201),
        ("2027-01-01", None, 201),
    ):
        given = {**GIVEN, "valid_from_on": from_on, "valid_to_on": to_on}
        assert landlord.post(CONSENTS, given).status_code == status, (from_on, to_on)


def test_both_sides_see_a_consent_and_nobody_else_does(
    landlord: DoorClient, as_member: AsMember, as_stranger: DoorClient
) -> None:
    made = landlord.post(CONSENTS, GIVEN).json()
    path = f"{CONSENTS}/{made['id']}"
    tenant = as_member(Role.OPERATOR_VIEWER, "inzai-dc")
    desk = as_member(Role.MARKET_DESK, "wattbit")
    for client in (landlord, tenant, desk):
        assert client.get(path).json() == made
        assert client.get(CONSENTS, {"site": "inzai-dc-1"}).json()["items"] == [made]
    assert landlord.get(CONSENTS, {"site": "shiroi-dc-1"}).json()["items"] == []
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    for client in (rival, as_stranger, as_member(Role.GRID_PLANNER, "grid-t")):
        assert client.get(path).status_code == 404
        assert client.get(CONSENTS).json()["items"] == []
    tenant_trader = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    for client in (tenant_trader, rival, as_stranger):
        end = client.post(f"{path}/withdraw", headers={"If-Match": '"1"'})
        assert end.status_code == 404
