"""Classes of work: their operator's alone, added and replaced, never deleted."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.parties.roles import Role
from market.registry.models import WorkloadClass
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

CLASSES = "/api/v1/resources/inzai-dc-1-load/workload-classes"
ONE = f"{CLASSES}/BATCH/GPU"
CHANGED: dict[str, Any] = {"power_kw": "400", "slack_h": 8, "value_jpy_per_kwh": "200"}
GIVEN: dict[str, Any] = {**CHANGED, "kind": "BATCH", "pool": "GPU", "labels_required": ["a"]}
WRITTEN: dict[str, Any] = {
    "resource": "inzai-dc-1-load",
    "kind": "BATCH",
    "pool": "GPU",
    "power_kw": "400.0",
    "slack_h": "8.0",
    "latency_max_ms": None,
    "labels_required": ["a"],
    "value_jpy_per_kwh": "200.00",
    "version": 1,
}


@pytest.fixture
def owner(as_member: AsMember) -> DoorClient:
    """Return a trader of the operator of Inzai."""
    cast.places()
    return as_member(Role.OPERATOR_TRADER, "inzai-dc")


def test_a_class_is_added_shown_and_replaced_under_its_version(owner: DoorClient) -> None:
    made = owner.post(CLASSES, GIVEN)
    assert (made.status_code, made.json()) == (201, WRITTEN)
    assert owner.get(CLASSES).json() == {"items": [WRITTEN], "next": None}
    assert owner.get(ONE).json() == WRITTEN
    assert owner.put(ONE, CHANGED).status_code == 428
    done = owner.put(ONE, {**CHANGED, "power_kw": 0}, headers={"If-Match": '"1"'})
    assert done.json() == WRITTEN | {"power_kw": "0.0", "labels_required": [], "version": 2}
    assert owner.put(ONE, CHANGED, headers={"If-Match": '"1"'}).status_code == 412
    assert owner.delete(ONE).status_code == 405


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "NAP"}, "kind"),
        ({"power_kw": "1e3"}, "power_kw"),
        ({"power_kw": None}, "power_kw"),
        ({"slack_h": "8761"}, "slack_h"),
        ({"value_jpy_per_kwh": "-1"}, "value_jpy_per_kwh"),
        ({"labels_required": "a"}, "labels_required"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_class_is_refused_by_field(
    owner: DoorClient, change: dict[str, Any], field: str
) -> None:
    refused = owner.post(CLASSES, {**GIVEN, **change})
    assert (refused.status_code, refused.json()["field"]) == (400, field), refused.json()
    assert not WorkloadClass.objects.exists()


def test_a_class_stands_once_at_a_resource(owner: DoorClient) -> None:
    assert owner.post(CLASSES, GIVEN).status_code == 201
    assert owner.post(CLASSES, GIVEN).json()["field"] == "pool"


def test_what_is_computed_is_nobody_elses_business(
    owner: DoorClient, as_member: AsMember, as_stranger: DoorClient
) -> None:
    owner.post(CLASSES, GIVEN)
    planner = as_member(Role.GRID_PLANNER, "grid-t")
    assert planner.get(CLASSES).json() == {"items": [], "next": None}
    assert planner.get(ONE).status_code == 404
    assert planner.put(ONE, CHANGED, headers={"If-Match": '"1"'}).status_code == 403
    for client in (as_stranger, as_member(Role.OPERATOR_TRADER, "shiroi-dc")):
        assert client.get(CLASSES).status_code == client.get(ONE).status_code == 404
        assert client.put(ONE, CHANGED, headers={"If-Match": '"1"'}).status_code == 404
        assert client.post(CLASSES, GIVEN).status_code == 404
    assert as_member(Role.AUDITOR, "wattbit").get(ONE).json() == WRITTEN
