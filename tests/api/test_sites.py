"""Sites: who sees which fields, what may change under which version, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.audit.models import AuditEntry
from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.registry import site_services
from market.registry.changes import row_taken
from market.registry.models import Site
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

SITES = "/api/v1/sites"
INZAI = f"{SITES}/inzai-dc-1"
GRID: dict[str, Any] = {
    "code": "inzai-dc-1",
    "name": "印西データセンター第1",
    "name_en": "Inzai DC 1",
    "organisation": "inzai-dc",
    "area": "03",
    "bus_code": "inzai",
    "point_number": "03" + f"{1:020d}",
    "contract_kw": "60000.0",
    "loss_ratio": "0.0000",
    "scale_class": None,
    "longitude_deg": "140.14000",
    "latitude_deg": "35.80000",
    "retired_at": None,
    "version": 1,
}
TRADE: dict[str, Any] = {"facility_owner": "inzai-dc", "retailer": None, "labels": ["country:JP"]}
NEW: dict[str, Any] = {
    "code": "inzai-dc-2",
    "name": "印西第2",
    "name_en": "Inzai 2",
    "bus_code": "inzai",
    "area": "03",
    "point_number": "03" + "9" * 20,
    "contract_kw": "1000",
    "loss_ratio": 0.05,
    "longitude_deg": "140.1",
    "latitude_deg": "35.8",
}


@pytest.fixture
def places(db: None) -> cast.Places:
    """Return the triangle with its sites."""
    return cast.places()


@pytest.fixture
def owner(places: cast.Places, as_member: AsMember) -> DoorClient:
    """Return a trader of the operator of Inzai."""
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


def test_the_operator_sees_all_and_its_grid_operator_what_concerns_the_grid(
    owner: DoorClient, as_member: AsMember
) -> None:
    assert owner.get(INZAI).json() == GRID | TRADE
    assert as_member(Role.OPERATOR_VIEWER, "inzai-dc").get(INZAI).json() == GRID | TRADE
    for role in (Role.MARKET_DESK, Role.SETTLEMENT, Role.AUDITOR):
        assert as_member(role, "wattbit").get(INZAI).json() == GRID | TRADE
    for role in (Role.GRID_PLANNER, Role.GRID_APPROVER):
        assert as_member(role, "grid-t").get(INZAI).json() == GRID


def test_who_owns_the_building_sees_the_site_without_its_trade(
    places: cast.Places, as_member: AsMember
) -> None:
    hall = cast.organisation("hall", OrganisationKind.FACILITY_OWNER, "ホール", "Hall")
    Site.objects.filter(code="shiroi-dc-1").update(facility_owner=hall)
    landlord = as_member(Role.OPERATOR_TRADER, hall)
    assert [row["code"] for row in landlord.get(SITES).json()["items"]] == ["shiroi-dc-1"]
    assert "labels" not in landlord.get(f"{SITES}/shiroi-dc-1").json()
    assert landlord.get(INZAI).status_code == 404


def test_rivals_strangers_and_other_grid_operators_find_nothing(
    places: cast.Places, as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    other = cast.organisation("grid-w", OrganisationKind.TSO, "西", "West")
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    for client in (rival, as_stranger, as_member(Role.GRID_PLANNER, other)):
        seen = client.get(INZAI)
        none = client.get(f"{SITES}/nowhere")
        assert seen.status_code == none.status_code == 404
        same = ("type", "code", "status", "title", "title_ja", "detail")
        assert [seen.json()[key] for key in same] == [none.json()[key] for key in same]
        assert "inzai-dc-1" not in client.get(SITES).content.decode()
    assert anonymous.get(INZAI).status_code == anonymous.get(SITES).status_code == 401
    assert as_member(Role.ADMINISTRATOR, "inzai-dc").get(SITES).status_code == 403


def test_a_list_is_in_order_of_code_page_by_page_and_narrowed(as_member: AsMember) -> None:
    cast.places()
    desk = as_member(Role.MARKET_DESK, "wattbit")
    first = desk.get(SITES, {"limit": 1}).json()
    assert [row["code"] for row in first["items"]] == ["inzai-dc-1"]
    second = desk.get(SITES, {"limit": 1, "cursor": first["next"]}).json()
    assert [row["code"] for row in second["items"]] == ["shiroi-dc-1"]
    assert second["next"] is None
    for query, codes in (
        ({"organisation": "shiroi-dc"}, ["shiroi-dc-1"]),
        ({"area": "04"}, []),
        ({"is_retired": "false"}, ["inzai-dc-1", "shiroi-dc-1"]),
        ({"is_retired": "true"}, []),
    ):
        assert [row["code"] for row in desk.get(SITES, query).json()["items"]] == codes
    refused = desk.get(SITES, {"areas": "03"})
    assert (refused.status_code, refused.json()["field"]) == (400, "areas")


def test_a_site_is_registered_with_exact_numbers(owner: DoorClient) -> None:
    made = owner.post(SITES, NEW)
    assert made.status_code == 201, made.content
    assert made.headers["ETag"] == '"1"'
    body = made.json()
    assert (body["contract_kw"], body["loss_ratio"]) == ("1000.0", "0.0500")
    assert (body["organisation"], body["facility_owner"]) == ("inzai-dc", "inzai-dc")
    assert owner.get(f"{SITES}/inzai-dc-2").json() == body
    assert AuditEntry.objects.get(action="market.site.registered").detail == {"code": "inzai-dc-2"}


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"point_number": "03123"}, 400, "point_number"),
        ({"point_number": "11" + "0" * 20}, 400, "point_number"),
        ({"point_number": "０３" + "0" * 20}, 400, "point_number"),
        ({"point_number": "03" + f"{1:020d}"}, 400, "point_number"),
        ({"contract_kw": "1_000"}, 400, "contract_kw"),
        ({"contract_kw": True}, 400, "contract_kw"),
        ({"contract_kw": "NaN"}, 400, "contract_kw"),
        ({"contract_kw": "-1"}, 400, "contract_kw"),
        ({"contract_kw": "100000001"}, 400, "contract_kw"),
        ({"loss_ratio": "0.6"}, 400, "loss_ratio"),
        ({"bus_code": "nowhere"}, 404, "bus_code"),
        ({"area": "99"}, 404, "area"),
        ({"facility_owner": "nobody"}, 404, "facility_owner"),
        ({"retailer": "grid-t"}, 400, "retailer"),
        ({"code": "shiroi-dc-1"}, 400, "code"),
        ({"labels": ["a", "a"]}, 400, "labels"),
        ({"version": 7}, 400, "version"),
        ({"organisation": "shiroi-dc"}, 403, "organisation"),
        ({"organisation": 7}, 400, "organisation"),
    ],
)
def test_a_wrong_site_is_refused_by_field_and_nothing_is_stored(
    owner: DoorClient, change: dict[str, Any], status: int, field: str
) -> None:
    refused = owner.post(SITES, {**NEW, **change})
    assert (refused.status_code, refused.json()["field"]) == (status, field), refused.json()
    assert Site.objects.count() == 2


def test_a_change_needs_the_version_that_was_read(owner: DoorClient) -> None:
    without = owner.patch(INZAI, {"name": "新名"})
    assert (without.status_code, without.json()["code"]) == (428, "version-required")
    done = owner.patch(INZAI, {"name": "新名", "contract_kw": 61_000}, headers={"If-Match": '"1"'})
    assert (done.status_code, done.headers["ETag"]) == (200, '"2"')
    assert done.json() == GRID | TRADE | {"name": "新名", "contract_kw": "61000.0", "version": 2}
    late = owner.patch(INZAI, {"name": "遅い"}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "version-changed")
    assert Site.objects.get(code="inzai-dc-1").name == "新名"
    entry = AuditEntry.objects.get(action="market.site.changed")
    assert entry.detail == {"fields": ["contract_kw", "name"], "version": 2}


def test_who_is_slower_between_reading_and_locking_is_told_412_as_well(
    owner: DoorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(row: Site, *, version: int) -> Site:
        Site.objects.filter(id=row.id).update(name="先の名")
        return row_taken(row, version=version)

    monkeypatch.setattr(site_services, "row_taken", overtaken)
    late = owner.patch(INZAI, {"name": "遅い"}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "version-changed")


def test_a_replacement_names_all_and_what_is_left_out_is_none(owner: DoorClient) -> None:
    whole = {
        name: GRID[name]
        for name in ("name", "name_en", "bus_code", "contract_kw", "longitude_deg", "latitude_deg")
    }
    some = owner.put(INZAI, {"name": "x"}, headers={"If-Match": '"1"'})
    assert (some.status_code, some.json()["field"]) == (400, "name_en")
    done = owner.put(INZAI, whole, headers={"If-Match": '"1"'})
    assert (done.status_code, done.json()["labels"]) == (200, [])


@pytest.mark.parametrize("name", ["code", "point_number", "facility_owner", "loss_ratio", "area"])
def test_what_a_site_was_registered_as_stays(owner: DoorClient, name: str) -> None:
    refused = owner.patch(INZAI, {name: "x"}, headers={"If-Match": '"1"'})
    assert (refused.status_code, refused.json()["field"]) == (400, name)


def test_only_its_operators_traders_change_a_site(
    places: cast.Places, as_member: AsMember, as_stranger: DoorClient
) -> None:
    change, version = {"name": "x"}, {"If-Match": '"1"'}
    for role, at, status in (
        (Role.OPERATOR_VIEWER, "inzai-dc", 403),
        (Role.GRID_PLANNER, "grid-t", 403),
        (Role.MARKET_DESK, "wattbit", 403),
        (Role.OPERATOR_TRADER, "shiroi-dc", 404),
    ):
        client = as_member(role, at)
        assert client.patch(INZAI, change, headers=version).status_code == status
        assert client.post(f"{INZAI}/retire", headers=version).status_code == status
    assert as_stranger.patch(INZAI, change, headers=version).status_code == 404
    assert Site.objects.get(code="inzai-dc-1").version == 1


def test_a_site_is_retired_after_its_resources_and_never_deleted(owner: DoorClient) -> None:
    too_early = owner.post(f"{INZAI}/retire", headers={"If-Match": '"1"'})
    assert (too_early.status_code, too_early.json()["field"]) == (409, "resources")
    for code in ("inzai-dc-1-load", "inzai-dc-1-battery"):
        gone = owner.post(f"/api/v1/resources/{code}/retire", headers={"If-Match": '"1"'})
        assert gone.status_code == 200, gone.content
    done = owner.post(f"{INZAI}/retire", headers={"If-Match": '"1"'})
    assert done.status_code == 200
    assert done.json()["retired_at"].endswith("Z")
    assert owner.delete(INZAI, headers={"If-Match": '"2"'}).status_code == 405
    again = owner.patch(INZAI, {"name": "x"}, headers={"If-Match": '"2"'})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    refused = owner.post(
        "/api/v1/resources",
        {
            "site": "inzai-dc-1",
            "code": "late",
            "name": "x",
            "name_en": "x",
            "kind": "DC_LOAD",
            "limit_up_kw": 1,
            "limit_down_kw": 1,
        },
    )
    assert (refused.status_code, refused.json()["field"]) == (400, "site")


def test_the_admins_edits_raise_the_version_too(places: cast.Places) -> None:
    Site.objects.filter(code="inzai-dc-1").update(name="書換")
    assert Site.objects.get(code="inzai-dc-1").version == 2
