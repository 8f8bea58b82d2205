"""Monitored elements: public, watched and revised by the grid operators at their ends."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.registry.models import Area, Branch, Bus, CongestionPoint, GridModel
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

ELEMENTS = "/api/v1/elements"


@pytest.fixture
def places(db: None) -> cast.Places:
    """Return the triangle, without its watched lines."""
    where = cast.places()
    CongestionPoint.objects.exclude(code="inzai-line").delete()
    return where


def _given(where: cast.Places, **changes: Any) -> dict[str, Any]:
    return {
        "grid_model": str(where.grid_model.id),
        "branch": "tie-line",
        "code": "tie",
        "name": "連絡線",
        "name_en": "Tie",
        "rating_kw": "55000",
        **changes,
    }


def test_everybody_sees_what_is_watched(places: cast.Places, anonymous: DoorClient) -> None:
    point = places.points["inzai-line"]
    written = {
        "id": str(point.id),
        "grid_model": str(places.grid_model.id),
        "branch": "inzai-line",
        "code": "inzai-line",
        "name": "印西線",
        "name_en": "Inzai line",
        "owner": "grid-t",
        "co_owner": None,
        "rating_kw": "180000.0",
        "version": 1,
    }
    assert anonymous.get(ELEMENTS).json() == {"items": [written], "next": None}
    assert anonymous.get(f"{ELEMENTS}/{point.id}").json() == written
    model = str(places.grid_model.id)
    assert len(anonymous.get(ELEMENTS, {"grid_model": model}).json()["items"]) == 1
    assert anonymous.get(ELEMENTS, {"owner": "grid-w"}).json()["items"] == []
    assert anonymous.get(ELEMENTS, {"grid_model": "x"}).json()["field"] == "grid_model"
    assert anonymous.get(f"{ELEMENTS}/{places.grid_model.id}").status_code == 404


def test_a_tie_is_owned_by_the_grid_operators_of_both_ends(
    places: cast.Places, as_member: AsMember
) -> None:
    other = cast.organisation("grid-w", OrganisationKind.TSO, "西", "West")
    chubu = Area.objects.create(code="04", name="中部", name_en="Chubu", frequency_hz=60, tso=other)
    west = GridModel.objects.create(
        name="west", version=1, convention="reactance", base_mva=100, sha256="1" * 64
    )
    ends = [
        Bus.objects.create(grid_model=west, code=code, area=area, island="1", voltage_kv=500)
        for code, area in (("here", places.area), ("there", chubu))
    ]
    Branch.objects.create(
        grid_model=west,
        code="line",
        from_bus=ends[0],
        to_bus=ends[1],
        reactance_pu=1,
        rating_kw=1,
    )
    planner = as_member(Role.GRID_PLANNER, "grid-w")
    made = planner.post(ELEMENTS, _given(places, grid_model=str(west.id), branch="line"))
    assert made.status_code == 201, made.content
    assert (made.json()["owner"], made.json()["co_owner"]) == ("grid-w", "grid-t")
    refused = planner.post(ELEMENTS, _given(places))  # a line inside another's area
    assert (refused.status_code, refused.json()["field"]) == (403, "branch")


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"branch": "nowhere"}, 404, "branch"),
        ({"rating_kw": "-1"}, 400, "rating_kw"),
        ({"rating_kw": "NaN"}, 400, "rating_kw"),
        ({"code": "inzai-line"}, 400, "code"),
        ({"name": ""}, 400, "name"),
        ({"owner": "grid-t"}, 400, "owner"),
    ],
)
def test_a_wrong_element_is_refused_by_field(
    places: cast.Places, as_member: AsMember, change: dict[str, Any], status: int, field: str
) -> None:
    planner = as_member(Role.GRID_PLANNER, "grid-t")
    refused = planner.post(ELEMENTS, _given(places, **change))
    assert (refused.status_code, refused.json()["field"]) == (status, field), refused.json()
    assert CongestionPoint.objects.count() == 1


def test_a_revision_needs_the_version_and_the_owner(
    places: cast.Places, as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    path = f"{ELEMENTS}/{places.points['inzai-line'].id}"
    change: dict[str, Any] = {"rating_kw": "150000"}
    planner = as_member(Role.GRID_PLANNER, "grid-t")
    assert planner.patch(path, change).status_code == 428
    done = planner.patch(path, change, headers={"If-Match": '"1"'})
    assert (done.json()["rating_kw"], done.headers["ETag"]) == ("150000.0", '"2"')
    assert planner.patch(path, change, headers={"If-Match": '"1"'}).status_code == 412
    code = planner.patch(path, {"code": "x"}, headers={"If-Match": '"2"'})
    assert (code.status_code, code.json()["field"]) == (400, "code")
    other = cast.organisation("grid-w", OrganisationKind.TSO, "西", "West")
    for client, status in (
        (as_member(Role.GRID_PLANNER, other), 404),
        (as_member(Role.GRID_APPROVER, "grid-t"), 403),
        (as_member(Role.OPERATOR_TRADER, "inzai-dc"), 403),
        (as_stranger, 403),
        (anonymous, 401),
    ):
        assert client.patch(path, change, headers={"If-Match": '"2"'}).status_code == status
