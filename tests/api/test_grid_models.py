"""Grid models: listed for all, uploaded by grid operators as JSON or MATPOWER, read and refused."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.registry.models import Bus, GridModel
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

MODELS = "/api/v1/grid-models"
NETWORK: dict[str, Any] = {
    "name": "ring",
    "convention": "reactance",
    "base_mva": "100",
    "source": "計画2027",
    "valid_from_on": "2027-04-01",
    "buses": [
        {"id": "a", "area": "03", "island": "50Hz", "slack_share_ratio": 1},
        {
            "id": "b",
            "area": "03",
            "island": "50Hz",
            "slack_share_ratio": "0",
            "name": "乙",
            "voltage_kv": "275",
            "longitude_deg": 140.5,
            "latitude_deg": "35.5",
        },
    ],
    "branches": [
        {"id": "a-b", "from": "a", "to": "b", "reactance_pu": "0.1", "rating_kw": 1_000_000}
    ],
    "links": [],
}
CASE = """function mpc = two
mpc.version = '2';
mpc.baseMVA = 100;
mpc.bus = [
\t1\t3\t0\t0\t0\t0\t3\t1\t0\t275\t1\t1.1\t0.9;
\t2\t1\t50\t10\t0\t0\t3\t1\t0\t275\t1\t1.1\t0.9;
];
mpc.gen = [
\t1\t0\t0\t99\t-99\t1\t100\t1\t200\t0;
];
mpc.branch = [
\t1\t2\t0.01\t0.1\t0\t250\t0\t0\t0\t0\t1\t-360\t360;
];
"""
Upload = Callable[..., Any]


@pytest.fixture
def places(db: None) -> cast.Places:
    """Return the triangle."""
    return cast.places()


@pytest.fixture
def planner(places: cast.Places, as_member: AsMember) -> DoorClient:
    """Return a planner of Grid-T."""
    return as_member(Role.GRID_PLANNER, "grid-t")


def _upload(client: DoorClient, text: str, query: str = "?name=two") -> Any:
    return client.post(f"{MODELS}{query}", text.encode(), content_type="text/x-matlab", format=None)


def test_everybody_sees_which_models_there_are(places: cast.Places, anonymous: DoorClient) -> None:
    model = places.grid_model
    body = anonymous.get(f"{MODELS}/{model.id}").json()
    assert body == {
        "id": str(model.id),
        "name": "triangle",
        "version": 1,
        "owner": None,
        "valid_from_on": None,
        "convention": "reactance",
        "base_mva": "100.000",
        "source": "",
        "sha256": "0" * 64,
        "bus_count": 0,
        "branch_count": 0,
        "link_count": 0,
        "created_at": body["created_at"],
    }
    assert anonymous.get(MODELS).json() == {"items": [body], "next": None}
    assert anonymous.get(MODELS, {"name": "other"}).json()["items"] == []


def test_what_is_in_a_model_is_for_who_is_signed_in(
    places: cast.Places, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    parts = f"{MODELS}/{places.grid_model.id}"
    assert anonymous.get(f"{parts}/buses").status_code == 401
    buses = as_stranger.get(f"{parts}/buses", {"limit": 2}).json()
    assert [row["code"] for row in buses["items"]] == ["inzai", "shiroi"]
    assert buses["items"][0] == {
        "code": "inzai",
        "name": "印西",
        "name_en": "Inzai",
        "area": "03",
        "island": "50Hz",
        "voltage_kv": "66.00",
        "slack_share_ratio": "0.000000",
        "longitude_deg": "140.14500",
        "latitude_deg": "35.83000",
    }
    rest = as_stranger.get(f"{parts}/buses", {"limit": 2, "cursor": buses["next"]}).json()
    assert [row["code"] for row in rest["items"]] == ["upstream"]
    branches = as_stranger.get(f"{parts}/branches").json()["items"]
    assert branches[0] == {
        "code": "inzai-line",
        "name": "印西線",
        "name_en": "Inzai line",
        "from_bus": "upstream",
        "to_bus": "inzai",
        "rating_kw": "180000.0",
        "kind": "LINE",
        "resistance_pu": "0.000000000",
        "reactance_pu": "0.010000000",
        "tap_ratio": "1.00000",
        "shift_deg": "0.0000",
        "flow_cost_jpy_per_kwh": "0.00",
    }
    assert as_stranger.get(f"{parts}/links").json() == {"items": [], "next": None}
    assert as_stranger.get(f"{parts}/buses", {"area": "04"}).json()["items"] == []


def test_a_planner_publishes_a_network_and_its_next_version(planner: DoorClient) -> None:
    made = planner.post(MODELS, NETWORK)
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["name"], body["version"], body["owner"]) == ("ring", 1, "grid-t")
    assert (body["valid_from_on"], body["source"]) == ("2027-04-01", "計画2027")
    assert (body["bus_count"], body["branch_count"], body["link_count"]) == (2, 1, 0)
    assert planner.post(MODELS, NETWORK).json() == body  # the same content is the same version
    again = planner.post(MODELS, {**NETWORK, "base_mva": 1000}).json()
    assert (again["version"], again["base_mva"]) == (2, "1000.000")
    listed = planner.get(MODELS, {"owner": "grid-t"}).json()["items"]
    assert [row["version"] for row in listed] == [1, 2]


@pytest.mark.parametrize(
    ("path", "value", "status", "field"),
    [
        (("branches", 0, "reactance_pu"), "0", 400, "branches[0].reactance_pu"),
        (("branches", 0, "reactance_pu"), "0.1.", 400, "branches[0].reactance_pu"),
        (("branches", 0, "rating_kw"), None, 400, "branches[0].rating_kw"),
        (("branches", 0, "to"), "z", 404, "branches[0].to"),
        (("branches", 0), 7, 400, "branches[0]"),
        (("buses", 1, "id"), "a", 400, "buses[1].id"),
        (("buses", 1, "area"), "99", 404, "buses[1].area"),
        (("buses", 1, "latitude_deg"), "91", 400, "buses[1].latitude_deg"),
        (("buses",), {}, 400, "buses"),
        (("base_mva",), "NaN", 400, "base_mva"),
        (("convention",), "magic", 400, "convention"),
        (("name",), "", 400, "name"),
        (("valid_from_on",), "soon", 400, "valid_from_on"),
        (("source",), "\u0085", 400, ""),
        (("colour",), 1, 400, "colour"),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_by_row_and_field(
    planner: DoorClient, path: tuple[Any, ...], value: Any, status: int, field: str
) -> None:
    network = deepcopy(NETWORK)
    spot: Any = network
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = value
    refused = planner.post(MODELS, network)
    assert refused.status_code == status, refused.json()
    assert refused.json().get("field", "") == field, refused.json()
    assert GridModel.objects.count() == 1


def test_a_matpower_case_is_read_and_never_run(planner: DoorClient) -> None:
    made = _upload(planner, CASE, "?name=two&convention=series&valid_from_on=2027-04-01")
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["name"], body["convention"], body["source"]) == ("two", "series", "MATPOWER two.m")
    assert (body["bus_count"], body["branch_count"]) == (2, 1)
    assert Bus.objects.get(grid_model=body["id"], code="1").area_id == "03"


@pytest.mark.parametrize(
    ("text", "query", "field"),
    [
        (CASE.replace("0.1\t0\t250", "x\t0\t250"), "?name=two", "two.m mpc.branch row 1 BR_X"),
        (CASE.replace("\t1\t2\t0.01", "\t1\t7\t0.01"), "?name=two", "two.m mpc.branch row 1 T_BUS"),
        (CASE.replace("'2'", "'1'"), "?name=two", "two.m mpc.version"),
        (CASE + "mpc.bus(:, 3) = 0;\n", "?name=two", "two.m line 14"),
        (CASE + "mpc.bus = [\n1 2 3;\n];\n", "?name=two", "two.m mpc.bus"),
        (CASE, "?name=a%2Fb&convention=magic", "convention"),
        (CASE, "", "name"),
        (CASE, "?name=two&x=1", "x"),
        ("\xff", "?name=two", "two.m"),
    ],
)
def test_a_case_that_cannot_be_used_is_refused_by_row_and_column(
    planner: DoorClient, text: str, query: str, field: str
) -> None:
    refused = _upload(planner, text, query)
    assert (refused.status_code, refused.json().get("field")) == (400, field), refused.json()
    assert GridModel.objects.count() == 1


def test_a_name_belongs_to_its_owner_and_a_network_to_an_area_of_the_owners(
    planner: DoorClient, as_member: AsMember
) -> None:
    assert planner.post(MODELS, NETWORK).status_code == 201
    other = cast.organisation("grid-w", OrganisationKind.TSO, "西", "West")
    west = as_member(Role.GRID_PLANNER, other)
    taken = west.post(MODELS, NETWORK)
    assert (taken.status_code, taken.json()["field"]) == (403, "name")
    foreign = west.post(MODELS, {**NETWORK, "name": "mine"})
    assert (foreign.status_code, foreign.json()["field"]) == (403, "buses")
    the_markets = planner.post(MODELS, {**NETWORK, "name": "triangle"})
    assert (the_markets.status_code, the_markets.json()["field"]) == (403, "name")


def test_only_planners_publish_networks(
    as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    cast.places()
    for client, status in (
        (as_member(Role.GRID_APPROVER, "grid-t"), 403),
        (as_member(Role.MARKET_DESK, "wattbit"), 403),
        (as_stranger, 403),
        (anonymous, 401),
    ):
        assert client.post(MODELS, NETWORK).status_code == status
        assert _upload(client, CASE).status_code == status
