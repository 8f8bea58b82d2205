"""Resources: what their grid operator sees of them, how they change, that they only retire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounts.parties.roles import Role
from market.registry.models import Resource, StorageUnit, WorkloadClass
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

RESOURCES = "/api/v1/resources"
BATTERY = f"{RESOURCES}/inzai-dc-1-battery"
LOAD = f"{RESOURCES}/inzai-dc-1-load"
STORE: dict[str, Any] = {
    "energy_kwh": "32000.0",
    "reserve_kwh": "2000.0",
    "charge_kw": "8000.0",
    "discharge_kw": "8000.0",
    "charge_efficiency_ratio": "0.9500",
    "discharge_efficiency_ratio": "0.9500",
    "standing_loss_ratio": "0.000000",
}
NEW: dict[str, Any] = {
    "site": "inzai-dc-1",
    "code": "inzai-ups",
    "name": "無停電電源",
    "name_en": "UPS",
    "kind": "UPS",
    "limit_up_kw": "500",
    "limit_down_kw": 500,
    "response_s": 1,
    "storage": {
        "energy_kwh": "250",
        "reserve_kwh": "100",
        "charge_kw": "500",
        "discharge_kw": "500",
        "charge_efficiency_ratio": 0.96,
        "discharge_efficiency_ratio": "0.96",
    },
}
NEW_LOAD: dict[str, Any] = {
    **{name: value for name, value in NEW.items() if name != "storage"},
    "kind": "DC_LOAD",
    "hardware": ["GPU"],
    "workload_classes": [
        {
            "kind": "BATCH",
            "pool": "GPU",
            "power_kw": "400",
            "slack_h": "8",
            "value_jpy_per_kwh": "200",
        }
    ],
}


@pytest.fixture
def places(db: None) -> cast.Places:
    """Return the triangle with its sites."""
    return cast.places()


@pytest.fixture
def owner(places: cast.Places, as_member: AsMember) -> DoorClient:
    """Return a trader of the operator of Inzai."""
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


def test_the_grid_operator_sees_what_a_resource_can_do_but_not_what_it_computes(
    owner: DoorClient, as_member: AsMember
) -> None:
    grid = {
        "code": "inzai-dc-1-battery",
        "name": "印西データセンター第1 蓄電池",
        "name_en": "Inzai DC 1 battery",
        "site": "inzai-dc-1",
        "kind": "BATTERY",
        "limit_up_kw": "8000.0",
        "limit_down_kw": "8000.0",
        "is_behind_meter": True,
        "response_s": None,
        "storage": STORE,
        "retired_at": None,
        "version": 1,
    }
    trade = {"hardware": [], "workload_classes": []}
    assert as_member(Role.GRID_PLANNER, "grid-t").get(BATTERY).json() == grid
    assert owner.get(BATTERY).json() == grid | trade
    assert as_member(Role.MARKET_DESK, "wattbit").get(BATTERY).json() == grid | trade


def test_rivals_and_strangers_find_no_resource(
    places: cast.Places, as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    for client in (rival, as_stranger):
        for path in (BATTERY, f"{BATTERY}/workload-classes"):
            assert client.get(path).status_code == 404
        answer = client.patch(BATTERY, {"name": "x"}, headers={"If-Match": '"1"'})
        assert answer.status_code == 404
        assert client.post(RESOURCES, NEW).status_code == 404
        assert client.post(f"{BATTERY}/retire", headers={"If-Match": '"1"'}).status_code == 404
    listed = rival.get(RESOURCES).json()["items"]
    assert [row["code"] for row in listed] == ["shiroi-dc-1-load"]
    assert as_stranger.get(RESOURCES).json() == {"items": [], "next": None}
    assert anonymous.get(BATTERY).status_code == 401
    assert as_member(Role.GRID_PLANNER, "grid-t").post(RESOURCES, NEW).status_code == 403


def test_a_store_and_a_load_are_registered(owner: DoorClient) -> None:
    made = owner.post(RESOURCES, NEW)
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["limit_down_kw"], body["response_s"]) == ("500.0", 1)
    assert (body["storage"]["reserve_kwh"], body["storage"]["charge_efficiency_ratio"]) == (
        "100.0",
        "0.9600",
    )
    load = owner.post(RESOURCES, {**NEW_LOAD, "code": "inzai-hall"}).json()
    assert load["workload_classes"] == [
        {
            "resource": "inzai-hall",
            "kind": "BATCH",
            "pool": "GPU",
            "power_kw": "400.0",
            "slack_h": "8.0",
            "latency_max_ms": None,
            "labels_required": [],
            "value_jpy_per_kwh": "200.00",
            "version": 1,
        }
    ]


@pytest.mark.parametrize(
    ("base", "change", "field"),
    [
        (NEW, {"storage": None}, "storage"),
        (NEW, {"storage": {**NEW["storage"], "reserve_kwh": "251"}}, "storage.reserve_kwh"),
        (NEW, {"storage": {**NEW["storage"], "energy_kwh": "1e3"}}, "storage.energy_kwh"),
        (NEW, {"storage": {**NEW["storage"], "volts": 1}}, "storage.volts"),
        (NEW, {"storage": [1]}, "storage"),
        (NEW, {"kind": "FLYWHEEL"}, "kind"),
        (NEW, {"limit_up_kw": "１２"}, "limit_up_kw"),
        (NEW, {"limit_up_kw": "-1"}, "limit_up_kw"),
        (NEW, {"response_s": "5"}, "response_s"),
        (NEW, {"response_s": 86_401}, "response_s"),
        (NEW, {"is_behind_meter": "yes"}, "is_behind_meter"),
        (NEW, {"code": "shiroi-dc-1-load"}, "code"),
        (NEW_LOAD, {"storage": NEW["storage"]}, "storage"),
        (NEW_LOAD, {"workload_classes": {}}, "workload_classes"),
        (NEW_LOAD, {"workload_classes": [7]}, "workload_classes[0]"),
        (
            NEW_LOAD,
            {"workload_classes": [{**NEW_LOAD["workload_classes"][0], "slack_h": "9000"}]},
            "workload_classes[0].slack_h",
        ),
    ],
)
def test_a_wrong_resource_is_refused_by_field_and_nothing_is_stored(
    owner: DoorClient, base: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    refused = owner.post(RESOURCES, {**base, **change})
    assert (refused.status_code, refused.json()["field"]) == (400, field), refused.json()
    assert (Resource.objects.count(), WorkloadClass.objects.count()) == (3, 0)


def test_a_store_changes_as_a_whole_and_under_its_resources_version(owner: DoorClient) -> None:
    new_store = {
        name: STORE[name]
        for name in (
            "charge_kw",
            "discharge_kw",
            "charge_efficiency_ratio",
            "discharge_efficiency_ratio",
        )
    } | {"energy_kwh": "30000", "reserve_kwh": "3000"}
    done = owner.patch(
        BATTERY, {"storage": new_store, "response_s": 5}, headers={"If-Match": '"1"'}
    )
    assert (done.status_code, done.headers["ETag"]) == (200, '"2"'), done.content
    assert StorageUnit.objects.get().energy_kwh == Decimal(30_000)
    late = owner.patch(BATTERY, {"storage": new_store}, headers={"If-Match": '"1"'})
    assert late.status_code == 412
    alone = owner.patch(BATTERY, {"storage": new_store}, headers={"If-Match": '"2"'})
    assert alone.headers["ETag"] == '"3"'
    wrong = owner.patch(
        BATTERY,
        {"limit_up_kw": 1, "storage": {**new_store, "reserve_kwh": "30001"}},
        headers={"If-Match": '"3"'},
    )
    assert (wrong.status_code, wrong.json()["field"]) == (400, "storage.reserve_kwh")
    assert Resource.objects.get(code="inzai-dc-1-battery").limit_up_kw == Decimal(8_000)
    load = owner.patch(LOAD, {"storage": new_store}, headers={"If-Match": '"1"'})
    assert (load.status_code, load.json()["field"]) == (400, "storage")


def test_kind_and_site_stay_and_a_replacement_names_the_rest(owner: DoorClient) -> None:
    for name in ("kind", "site", "code"):
        refused = owner.patch(LOAD, {name: "x"}, headers={"If-Match": '"1"'})
        assert (refused.status_code, refused.json()["field"]) == (400, name)
    whole = {"name": "x", "name_en": "x", "limit_up_kw": "1", "limit_down_kw": "2"}
    done = owner.put(LOAD, whole, headers={"If-Match": '"1"'}).json()
    assert (done["limit_up_kw"], done["hardware"], done["version"]) == ("1.0", [], 2)


def test_a_retired_resource_is_listed_apart_and_changes_no_more(owner: DoorClient) -> None:
    assert owner.post(f"{LOAD}/retire").status_code == 428
    done = owner.post(f"{LOAD}/retire", headers={"If-Match": '"1"'})
    assert (done.status_code, done.json()["version"]) == (200, 2)
    for flag, codes in (("true", ["inzai-dc-1-load"]), ("false", ["inzai-dc-1-battery"])):
        listed = owner.get(RESOURCES, {"is_retired": flag}).json()["items"]
        assert [row["code"] for row in listed] == codes
    assert owner.patch(LOAD, {"name": "x"}, headers={"If-Match": '"2"'}).status_code == 409
    assert owner.post(f"{LOAD}/retire", headers={"If-Match": '"2"'}).status_code == 409
    for query, status in (({"kind": "BOILER"}, 400), ({"kind": "PV"}, 200), ({"site": "x"}, 200)):
        assert owner.get(RESOURCES, query).status_code == status
