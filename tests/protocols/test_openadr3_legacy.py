"""OpenADR 3.0.1 over the same rows: each version reads what the other wrote."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.test import Client

from tests import cast
from tests.dispatching import BASE, VEN_SCOPES, event_of, instruction, is_problem, sent_day
from tests.protocols.openadr import BASE_3_0, Machine, business

pytestmark = pytest.mark.django_db
LOAD = "inzai-dc-1-load"
METADATA = ("id", "createdDateTime", "modificationDateTime", "objectType")


def _both(machine: Machine) -> Machine:
    """Return the same client at the other version's door."""
    other = Machine.__new__(Machine)
    other.__dict__ |= {**machine.__dict__, "base": BASE if machine.base == BASE_3_0 else BASE_3_0}
    return other


def _bare(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in METADATA}


def test_a_program_written_in_3_0_comes_back_as_sent_and_reads_as_3_1() -> None:
    old = business(cast.people().grid_t, base=BASE_3_0)
    body = {
        "programName": "p",
        "programLongName": "The program",
        "retailerName": "r",
        "country": "JP",
        "bindingEvents": True,
        "timeZoneOffset": "PT9H",
        "payloadDescriptors": [{"payloadType": "PRICE", "currency": "JPY"}],
        "targets": [{"type": "GROUP", "values": ["a", "b"]}, {"type": "AREA", "values": ["c"]}],
    }
    made = old.made("programs", body)
    assert _bare(made) == body
    assert old.get(f"programs/{made['id']}").json() == made
    new = _both(old).get(f"programs/{made['id']}").json()
    assert new["targets"] == ["a", "b", "c"]
    assert {item["type"]: item["values"] for item in new["attributes"]} == {
        "PROGRAM_LONG_NAME": ["The program"],
        "RETAILER_NAME": ["r"],
        "COUNTRY": ["JP"],
        "BINDING_EVENTS": [True],
        "TIME_ZONE_OFFSET": ["PT9H"],
    }
    assert new["payloadDescriptors"] == [
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE", "currency": "JPY"}
    ]


def test_a_program_written_in_3_1_reads_as_3_0() -> None:
    new = business(cast.people().grid_t)
    attributes = [
        {"type": "PROGRAM_TYPE", "values": ["PRICING"]},
        {"type": "LOCAL", "values": [False]},
    ]
    made = new.program("p", attributes=attributes, targets=["a"])
    old = _both(new).get(f"programs/{made['id']}").json()
    assert _bare(old) == {
        "programName": "p",
        "programType": "PRICING",
        "localPrice": False,
        "targets": [{"type": "GROUP", "values": ["a"]}],
    }
    # what 3.1 changes is no longer what 3.0 once sent
    through_old = _both(new).put(f"programs/{made['id']}", {"programName": "q", "country": "JP"})
    assert _bare(through_old.json()) == {"programName": "q", "country": "JP"}
    new.put(f"programs/{made['id']}", {"programName": "r"})
    assert _bare(_both(new).get(f"programs/{made['id']}").json()) == {
        "programName": "r",
        "targets": None,
    }


def test_targets_are_hidden_in_3_0_too() -> None:
    people = cast.people()
    new, site = business(people.grid_t), Machine(people.inzai_dc, base=BASE_3_0)
    new.made(
        "vens",
        {
            "objectType": "BL_VEN_REQUEST",
            "venName": "v",
            "clientID": site.client.client_id,
            "targets": ["a"],
        },
    )
    old = _both(new)
    event = old.made(
        "events",
        {
            "programID": new.program("p")["id"],
            "intervals": [],
            "targets": [{"type": "GROUP", "values": ["b", "a"]}, {"type": "X", "values": ["b"]}],
            "reportDescriptors": [
                {"payloadType": "USAGE", "targets": [{"type": "GROUP", "values": ["a", "b"]}]}
            ],
        },
    )
    shown = site.get(f"events/{event['id']}").json()
    assert shown["targets"] == [{"type": "GROUP", "values": ["a"]}]
    assert shown["reportDescriptors"][0]["targets"] == [{"type": "GROUP", "values": ["a"]}]
    query = {"targetType": "GROUP", "targetValues": "a"}
    assert [row["id"] for row in site.get("events", query).json()] == [event["id"]]
    assert site.get("events", {"targetType": "GROUP", "targetValues": "b"}).json() == []


def test_resources_lie_under_their_vens_and_dispatch_works_through_3_0() -> None:
    day = sent_day()
    site = Machine(cast.people().inzai_dc, base=BASE_3_0)
    ven = site.made("vens", {"venName": "v"})
    assert (ven["objectType"], ven["resources"]) == ("VEN", [])
    resource = site.made(f"vens/{ven['id']}/resources", {"resourceName": LOAD})
    path = f"vens/{ven['id']}/resources/{resource['id']}"
    assert site.get(path).json() == resource
    assert resource["venID"] == ven["id"]
    assert site.get(f"vens/{ven['id']}").json()["resources"] == [resource]
    rival = Machine(cast.people().shiroi_dc, base=BASE_3_0)
    is_problem(rival.get(f"vens/{ven['id']}/resources"), 404)
    is_problem(rival.get(path), 404)
    is_problem(site.get("resources"), 404)
    is_problem(site.get("notifiers"), 404)
    event = event_of(day, "inzai-defer")
    told = site.get(f"events/{event.id}").json()
    assert told["targets"] == [{"type": "GROUP", "values": [LOAD]}]
    answer = {
        "programID": told["programID"],
        "eventID": told["id"],
        "clientName": "v",
        "resources": [
            {
                "resourceName": LOAD,
                "intervals": [{"id": 0, "payloads": [{"type": "ACK", "values": [True]}]}],
            }
        ],
    }
    report = site.made("reports", answer)
    assert _bare(report) == answer
    assert instruction(day, "inzai-defer").state == "ACKNOWLEDGED"
    assert _both(site).get("reports").json()[0]["clientID"] == site.client.client_id
    assert site.delete(path).json() == resource


def test_a_ven_of_3_0_comes_with_its_resources_or_not_at_all() -> None:
    sent_day()
    site = Machine(cast.people().inzai_dc, base=BASE_3_0)
    inside = [
        {"resourceName": LOAD, "attributes": [{"type": "SITE", "values": ["inzai"]}]},
        {"resourceName": "chillers", "venID": "is-not-known-yet"},
    ]
    ven = site.made("vens", {"venName": "v", "resources": inside})
    first, second = ven["resources"]
    assert (first["resourceName"], first["venID"]) == (LOAD, ven["id"])
    assert first["attributes"] == [{"type": "SITE", "values": ["inzai"]}]
    assert (second["resourceName"], second["venID"]) == ("chillers", ven["id"])
    # each is an object of its own, and the code of its own unit grants its orders
    path = f"vens/{ven['id']}/resources"
    assert [row["id"] for row in site.get(path).json()] == [first["id"], second["id"]]
    named = {
        tuple(row["targets"][0]["values"]) for row in site.get("events").json() if row["targets"]
    }
    assert named == {(LOAD,)}
    for wrong, field, status in (
        ([{"resourceName": "a"}, {"resourceName": "a"}], "resourceName", 409),
        ([{"resourceName": "a"}, {}], "resources[1].resourceName", 400),
        (["a"], "resources[0]", 400),
        ("a", "resources", 400),
    ):
        answer = site.post("vens", {"venName": "w", "resources": wrong})
        assert field in is_problem(answer, status)["detail"]
    assert [row["venName"] for row in site.get("vens").json()] == ["v"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("programs", {}, "programName"),
        ("programs", {"programName": "p", "targets": ["a"]}, "targets[0]"),
        ("programs", {"programName": "p", "targets": [{"type": "x", "values": [7]}]}, "targets"),
        ("events", {"programID": "x"}, "intervals"),
        ("subscriptions", {"clientName": "c", "objectOperations": []}, "programID"),
    ],
)
def test_what_3_0_requires_is_required(path: str, body: dict[str, Any], field: str) -> None:
    old = business(cast.people().grid_t, base=BASE_3_0)
    assert field in is_problem(old.post(path, body), 400)["detail"]


def test_a_sites_word_for_reading_in_3_0_is_read_all_and_worth_no_more() -> None:
    sent_day()
    site = Machine(cast.people().inzai_dc, base=BASE_3_0)
    pair = f"{site.client.client_id}:{site.client.secret}"
    answer = Client().post(
        f"{BASE_3_0}/auth/token",
        "grant_type=client_credentials&scope=read_all+write_vens",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
    )
    assert answer.json()["scope"] == "read_all write_vens"
    site.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    events = site.get("events").json()
    assert {tuple(row["targets"] or ()) for row in events} == {()}
    assert site.get("vens").json() == []
    is_problem(site.post("reports", {}), 403)
    # who may not read in 3.1 may not in 3.0
    writer = Machine(cast.people().inzai_dc, scopes=VEN_SCOPES[2:])
    refused = Client().post(
        f"{BASE_3_0}/auth/token",
        f"grant_type=client_credentials&scope=read_all&client_id={writer.client.client_id}"
        f"&client_secret={writer.client.secret}",
        content_type="application/x-www-form-urlencoded",
    )
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_scope"})
