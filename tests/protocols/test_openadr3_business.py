"""Business logic: what it writes, whose it is, who sees it, and what goes when it is removed."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from aggregator.messages.models import ProtocolMessage
from aggregator.messages.services import message_bytes
from aggregator.protocols.openadr3.models import Event, Program, Report, VenResource
from tests import cast
from tests.dispatching import event_of, freeze, is_problem, jst, sent_day
from tests.protocols.openadr import Machine, business

pytestmark = pytest.mark.django_db
LOAD = "inzai-dc-1-load"


def _tso() -> Any:
    return cast.people().grid_t


def test_a_program_is_kept_as_sent_and_stamped() -> None:
    freeze(jst(9))
    tso = business(_tso())
    body = {
        "programName": "Kanto",
        "id": "mine",
        "objectType": "EVENT",
        "createdDateTime": "x",
        "attributes": [{"type": "COUNTRY", "values": ["JP", 0.1, 10**20, {"x": 1, "y": -0.5}]}],
        "payloadDescriptors": None,
        "programDescriptions": [{"URL": "https://example.org"}],
        "targets": None,
        "x-unknown": {"deep": [None, 1e-7]},
    }
    made = tso.made("programs", body)
    assert made == {
        **body,
        "id": made["id"],
        "objectType": "PROGRAM",
        "createdDateTime": "2026-11-25T00:00:00Z",
        "modificationDateTime": "2026-11-25T00:00:00Z",
    }
    assert tso.get(f"programs/{made['id']}").json() == made
    assert tso.get("programs").json() == [made]
    freeze(jst(10))
    changed = tso.put(f"programs/{made['id']}", {"programName": "Kanto 2"}).json()
    assert changed == {
        "programName": "Kanto 2",
        "targets": None,
        "id": made["id"],
        "objectType": "PROGRAM",
        "createdDateTime": "2026-11-25T00:00:00Z",
        "modificationDateTime": "2026-11-25T01:00:00Z",
    }
    assert tso.delete(f"programs/{made['id']}").json() == changed
    is_problem(tso.get(f"programs/{made['id']}"), 404)
    is_problem(tso.delete(f"programs/{made['id']}"), 404)


def test_sentinels_of_time_and_unknown_words_come_back_as_they_were() -> None:
    tso = business(_tso())
    period = {"start": "0001-01-01T00:00:00Z", "duration": "P9999Y", "randomizeStart": "PT0S"}
    event = {
        "eventName": None,
        "duration": "P9999Y",
        "priority": 0,
        "intervalPeriod": period,
        "intervals": [{"id": -5, "payloads": [{"type": "PRIVATE", "values": [0.1, True, "x"]}]}],
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRIVATE", "units": None}
        ],
    }
    made = tso.event(tso.program("p"), **event)
    assert {name: made[name] for name in event} == event
    assert tso.get("events", {"active": "true"}).json() == [made]


@pytest.mark.parametrize(
    ("intervals", "period", "duration", "count"),
    [
        # at 12:00; an hour from 10:00 is over, three are not
        ([], {"start": "2026-11-25T01:00:00Z", "duration": "PT1H"}, None, 0),
        ([], {"start": "2026-11-25T01:00:00Z", "duration": "PT3H"}, None, 1),
        ([], {"start": "2026-11-25T01:00:00Z", "duration": "PT3H"}, "PT1H", 0),
        ([], {"start": "2026-11-25T01:00:00Z"}, None, 1),
        ([{}, {}], {"start": "2026-11-25T01:00:00Z", "duration": "PT1H"}, None, 0),
        ([{}, {}, {}], {"start": "2026-11-25T01:00:00Z", "duration": "PT1H"}, None, 1),
        ([{"start": "2026-11-25T02:59:59Z", "duration": "PT1S"}], None, None, 0),
        ([{"start": "2026-11-25T02:59:59Z", "duration": "PT0S"}], None, None, 1),
        ([{}], {"start": "2026-11-20T02:00:00Z", "duration": "P1W"}, None, 1),
        ([{}], {"start": "2026-11-17T02:00:00Z", "duration": "P1W"}, None, 0),
        (None, None, None, 1),
    ],
)
def test_events_that_are_over_are_not_active(
    intervals: Any, period: Any, duration: Any, count: int
) -> None:
    freeze(jst(12))
    tso = business(_tso())
    rows = [
        {"id": n, "payloads": [], **({"intervalPeriod": own} if own else {})}
        for n, own in enumerate(intervals or [])
    ]
    tso.event(tso.program("p"), intervals=rows, intervalPeriod=period, duration=duration)
    assert len(tso.get("events").json()) == 1
    assert len(tso.get("events", {"active": "true"}).json()) == count
    assert len(tso.get("events", {"active": "false"}).json()) == 1


def test_business_logic_sees_its_own_organisations_objects_only() -> None:
    sent_day()
    people = cast.people()
    tso, second, desk = business(_tso()), business(_tso()), business(people.platform)
    program = tso.program("of the grid operator")
    event = tso.event(program)
    assert [row["id"] for row in second.get("programs").json()] == [program["id"]]
    assert [row["id"] for row in second.get("events").json()] == [event["id"]]
    assert second.put(f"programs/{program['id']}", {"programName": "x"}).status_code == 200
    names = {row["programName"] for row in desk.get("programs").json()}
    assert names >= {"wattbit-dispatch", "wattbit-metering"}
    assert "of the grid operator" not in names
    for path in (f"programs/{program['id']}", f"events/{event['id']}"):
        is_problem(desk.get(path), 404)
        is_problem(desk.delete(path), 404)
    is_problem(desk.put(f"programs/{program['id']}", {"programName": "x"}), 404)
    is_problem(desk.post("events", {"programID": program["id"]}), 404)


def test_nobody_changes_the_platforms_own_events() -> None:
    day = sent_day()
    desk, tso = business(cast.people().platform), business(_tso())
    event = event_of(day, "inzai-defer")
    path = f"events/{event.id}"
    body = {"programID": str(event.program_id)}
    is_problem(desk.put(path, body), 403)
    is_problem(desk.delete(path), 403)
    is_problem(desk.post("events", body), 403)
    is_problem(desk.delete(f"programs/{event.program_id}"), 403)
    is_problem(desk.put(f"programs/{event.program_id}", {"programName": "x"}), 403)
    for refused in (tso.get(path), tso.put(path, body), tso.delete(path)):
        is_problem(refused, 404)
    is_problem(tso.post("events", body), 404)
    event.refresh_from_db()
    assert event.removed_at is None


def test_each_side_writes_what_is_its_own() -> None:
    people = cast.people()
    tso, site = business(_tso()), Machine(people.inzai_dc)
    program = tso.program("p")
    for answer in (
        site.post("programs", {"programName": "x"}),
        site.post("events", {"programID": program["id"]}),
        site.put(f"programs/{program['id']}", {"programName": "x"}),
        site.delete(f"programs/{program['id']}"),
        tso.post("reports", {"eventID": "x", "clientName": "c", "resources": []}),
    ):
        is_problem(answer, 403)
    # nor does a scope that was given to the wrong side help
    pretender = Machine(people.inzai_dc, scopes=("write_programs", "write_events", "read_all"))
    is_problem(pretender.post("programs", {"programName": "x"}), 403)
    reporter = Machine(_tso(), scopes=("read_all", "write_reports"))
    is_problem(reporter.post("reports", {"eventID": "x", "clientName": "c", "resources": []}), 403)
    wrong = {"objectType": "VEN_VEN_REQUEST", "venName": "x"}
    is_problem(tso.post("vens", wrong), 400)
    assert Program.objects.count() == 1


def test_targets_that_business_logic_grants_count_for_its_own_programs_alone() -> None:
    day = sent_day()
    people = cast.people()
    tso, site, rival = business(_tso()), Machine(people.stranger_org), Machine(people.shiroi_dc)
    ven = tso.made(
        "vens",
        {
            "objectType": "BL_VEN_REQUEST",
            "venName": "of the operator",
            "clientID": site.client.client_id,
            # among them the name by which the platform orders from another's resource
            "targets": ["feeder-7", LOAD],
        },
    )
    assert (ven["clientID"], ven["targets"]) == (site.client.client_id, ["feeder-7", LOAD])
    program = tso.program("p")
    event = tso.event(program, targets=["feeder-7", "feeder-8"])
    other = tso.event(program, targets=["feeder-8"])
    shown = site.get(f"events/{event['id']}").json()
    assert shown["targets"] == ["feeder-7"]
    seen = {row["id"] for row in site.get("events").json()}
    assert event["id"] in seen
    assert {other["id"], str(event_of(day, "inzai-defer").id)}.isdisjoint(seen)
    is_problem(site.get(f"events/{event_of(day, 'inzai-defer').id}"), 404)
    is_problem(rival.get(f"events/{event['id']}"), 404)
    assert site.get("events", {"targets": "feeder-8"}).json() == []
    # the site sees the ven, and cannot grant itself more
    assert site.get(f"vens/{ven['id']}").json() == ven
    request = {"objectType": "VEN_VEN_REQUEST", "venName": "mine", "targets": ["feeder-8"]}
    assert site.put(f"vens/{ven['id']}", request).json()["targets"] == ["feeder-7", LOAD]
    is_problem(rival.get(f"vens/{ven['id']}"), 404)
    tso.delete(f"vens/{ven['id']}")
    is_problem(site.get(f"events/{event['id']}"), 404)


def test_a_grant_does_not_move_with_a_resource_to_a_ven_of_another_organisation() -> None:
    people = cast.people()
    tso, desk, site = business(_tso()), business(people.platform), Machine(people.inzai_dc)
    client = site.client.client_id
    granting, second = (
        tso.made("vens", {"objectType": "BL_VEN_REQUEST", "venName": name, "clientID": client})
        for name in ("granting", "second")
    )
    own = site.made("vens", {"objectType": "VEN_VEN_REQUEST", "venName": "own"})
    resource = tso.made(
        "resources",
        {
            "objectType": "BL_RESOURCE_REQUEST",
            "resourceName": "r",
            "venID": granting["id"],
            "clientID": client,
            "targets": ["shiroi-dc-1-load"],
        },
    )
    events = {
        side: machine.event(machine.program(side), targets=["shiroi-dc-1-load"])
        for side, machine in (("tso", tso), ("desk", desk))
    }

    def moved(ven: dict[str, Any]) -> tuple[list[str], list[str]]:
        request = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "r", "venID": ven["id"]}
        said = site.put(f"resources/{resource['id']}", request)
        assert said.status_code == 200
        seen = [row["id"] for row in site.get("events").json()]
        return said.json()["targets"], [side for side, row in events.items() if row["id"] in seen]

    # between vens of whoever granted it the grant stays; to the platform's, or back, it does not
    assert moved(second) == (["shiroi-dc-1-load"], ["tso"])
    assert moved(own) == ([], [])
    assert moved(second) == ([], [])


def test_a_ven_handed_to_another_organisation_takes_no_sight_of_its_orders_along() -> None:
    day = sent_day()
    people = cast.people()
    desk, site, rival = (
        business(people.platform),
        Machine(people.inzai_dc).enrol(LOAD),
        Machine(people.shiroi_dc),
    )
    path = f"events/{event_of(day, 'inzai-defer').id}"
    assert site.get(path).status_code == 200
    body = {"objectType": "BL_VEN_REQUEST", "venName": "v", "clientID": rival.client.client_id}
    assert desk.put(f"vens/{site.ven_id}", body).status_code == 200
    (resource,) = rival.get("resources").json()
    assert (resource["resourceName"], resource["targets"]) == (LOAD, [])
    is_problem(rival.get(path), 404)
    assert VenResource.objects.get().resource is None


def test_an_event_without_targets_is_for_those_its_program_is_for() -> None:
    people = cast.people()
    tso, site, rival = business(_tso()), Machine(people.inzai_dc), Machine(people.shiroi_dc)
    tso.made(
        "vens",
        {
            "objectType": "BL_VEN_REQUEST",
            "venName": "v",
            "clientID": site.client.client_id,
            "targets": ["group"],
        },
    )
    closed = tso.event(tso.program("closed", targets=["group"]))
    public = tso.event(tso.program("public"))
    assert [row["id"] for row in site.get("events").json()] == [closed["id"], public["id"]]
    assert [row["id"] for row in rival.get("events").json()] == [public["id"]]
    assert [row["programName"] for row in rival.get("programs").json()] == ["public"]


def test_others_targets_are_hidden_in_what_is_asked_to_be_reported_too() -> None:
    tso, site = business(_tso()), Machine(cast.people().inzai_dc)
    tso.made(
        "vens",
        {
            "objectType": "BL_VEN_REQUEST",
            "venName": "v",
            "clientID": site.client.client_id,
            "targets": ["a"],
        },
    )
    descriptors = [{"payloadType": "USAGE", "targets": ["a", "b"]}, {"payloadType": "DEMAND"}]
    event = tso.event(tso.program("p"), targets=["a"], reportDescriptors=descriptors)
    assert event["reportDescriptors"] == descriptors
    shown = site.get("events").json()[0]["reportDescriptors"]
    assert shown == [{"payloadType": "USAGE", "targets": ["a"]}, {"payloadType": "DEMAND"}]


def test_removing_a_program_takes_its_events_out_of_sight_and_frees_its_name() -> None:
    people = cast.people()
    tso, site = business(_tso()), Machine(people.inzai_dc)
    program = tso.program("p")
    event = tso.event(program)
    report = site.made("reports", {"eventID": event["id"], "clientName": "c", "resources": []})
    assert tso.get("reports").json() == [report]
    assert tso.delete(f"programs/{program['id']}").status_code == 200
    for path in (f"events/{event['id']}", f"reports/{report['id']}"):
        is_problem(site.get(path), 404)
        is_problem(tso.get(path), 404)
    assert tso.get("events").json() == site.get("reports").json() == []
    # the rows stay: a site may have acted on them
    assert (Event.objects.count(), Report.objects.count()) == (1, 1)
    assert tso.program("p")["id"] != program["id"]


@pytest.mark.django_db(transaction=True)
def test_of_programs_of_one_name_made_at_once_one_is_made() -> None:
    machines = [business(_tso()) for _ in range(4)]
    found: list[int] = []

    def make(machine: Machine) -> None:
        try:
            found.append(machine.post("programs", {"programName": "one"}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=make, args=(machine,)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [201, 409, 409, 409]
    assert Program.objects.filter(name="one").count() == 1


def test_a_poll_that_finds_nothing_new_is_answered_in_a_word() -> None:
    tso, site = business(_tso()), Machine(cast.people().inzai_dc)
    program = tso.program("p")
    first = site.get("events")
    assert site.get("events", **{"If-None-Match": first["ETag"]}).status_code == 304
    tso.event(program)
    second = site.get("events", **{"If-None-Match": f'"x", W/{first["ETag"]}'})
    assert (second.status_code, len(second.json())) == (200, 1)
    assert second["ETag"] != first["ETag"]


def test_every_written_message_is_in_the_log_once_as_it_came() -> None:
    tso = business(_tso())
    raw = b'{ "programName" : "p", "x": 1.10, "x2": "\xe5\x8d\xb0\xe8\xa5\xbf" }'
    made = tso.made("programs", raw)
    row = ProtocolMessage.objects.get(message_id=made["id"])
    assert message_bytes(row) == raw
    assert (row.peer, row.subject) == (tso.client.client_id, f"openadr3.program:{made['id']}")
    assert (row.direction, row.kind, row.outcome) == ("IN", "POST PROGRAM 3.1.0", "201")
    refused = is_problem(tso.post("programs", raw), 409)
    row = ProtocolMessage.objects.get(message_id=refused["instance"])
    assert message_bytes(row) == raw
    assert row.outcome.startswith("409 programName: 'p'")
    is_problem(tso.post("programs", b'{"programName": 7}'), 400)
    assert ProtocolMessage.objects.count() == 3
    # reading leaves nothing
    tso.get("programs")
    assert ProtocolMessage.objects.count() == 3


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("programs", {}, "programName"),
    ("programs", {"programName": None}, "programName"),
    ("programs", {"programName": "p", "targets": "x"}, "targets"),
    ("programs", {"programName": "p", "targets": [7]}, "targets[0]"),
    ("programs", {"programName": "p", "intervalPeriod": {"start": "x"}}, "intervalPeriod.start"),
    ("programs", {"programName": "p", "payloadDescriptors": [{}]}, "payloadDescriptors[0]"),
    ("events", {}, "programID"),
    ("events", {"programID": "PROGRAM", "priority": -1}, "priority"),
    ("events", {"programID": "PROGRAM", "priority": True}, "priority"),
    ("events", {"programID": "PROGRAM", "duration": "1h"}, "duration"),
    ("events", {"programID": "PROGRAM", "eventName": 7}, "eventName"),
    ("events", {"programID": "PROGRAM", "intervals": [{"payloads": []}]}, "intervals[0].id"),
    ("events", {"programID": "PROGRAM", "intervals": [{"id": 0}]}, "intervals[0].payloads"),
    ("events", {"programID": "PROGRAM", "reportDescriptors": [{}]}, "reportDescriptors[0]"),
    ("events", {"programID": "no such"}, "programID"),
    ("vens", {"objectType": "BL_VEN_REQUEST", "venName": "v"}, "clientID"),
    ("vens", {"objectType": "BL_VEN_REQUEST", "venName": "v", "clientID": "?"}, "clientID"),
    ("subscriptions", {"clientName": "c"}, "objectOperations"),
    ("subscriptions", {"clientName": "c", "objectOperations": [{}]}, "objectOperations[0]"),
]


@pytest.mark.parametrize(("path", "body", "field"), BAD)
def test_what_is_missing_or_wrong_is_refused_by_name(
    path: str, body: dict[str, Any], field: str
) -> None:
    tso = business(_tso())
    program = tso.program("there")
    if body.get("programID") == "PROGRAM":
        body = {**body, "programID": program["id"]}
    assert field in is_problem(tso.post(path, body), 400)["detail"]
    assert (Program.objects.count(), Event.objects.count()) == (1, 0)
