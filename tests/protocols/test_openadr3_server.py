"""The OpenADR 3.1 server: each door by owner, rival and stranger, and what it refuses."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import signing
from django.test import Client

from accounts.parties.models import ApiClient
from aggregator.dispatch.models import InstructionState
from aggregator.dispatch.services import instruction_cancel
from aggregator.metering.models import IntervalReading
from aggregator.protocols.openadr3 import tokens
from aggregator.protocols.openadr3.models import Event, Program, Report, VenResource
from aggregator.protocols.openadr3.models import Ven as VenRow
from tests import cast, dispatching
from tests.dispatching import BASE, Ven, freeze, instruction, jst, meters, sent_day

pytestmark = pytest.mark.django_db
S = InstructionState
LOAD, BATTERY = "inzai-dc-1-load", "inzai-dc-1-battery"


def _event_of(day: cast.MarketDay, name: str) -> Event:
    return Event.objects.get(instruction=instruction(day, name))


def _ack(event: Event, *, name: str = LOAD) -> dict[str, Any]:
    payloads = [{"type": "ACK", "values": [True]}]
    return {
        "eventID": str(event.id),
        "clientName": "v",
        "resources": [{"resourceName": name, "intervals": [{"id": 0, "payloads": payloads}]}],
    }


def _usage(event: Event, *values: Any, name: str = LOAD, start: str = "") -> dict[str, Any]:
    return {
        "eventID": str(event.id),
        "clientName": "v",
        "resources": [
            {
                "resourceName": name,
                "intervalPeriod": {
                    "start": start or "2026-11-24T15:00:00Z",
                    "duration": "PT30M",
                },
                "intervals": [
                    {"id": i, "payloads": [{"type": "USAGE", "values": [value]}]}
                    for i, value in enumerate(values)
                ],
            }
        ],
    }


def _is_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert body["status"] == status
    assert body.keys() == {"type", "title", "status", "detail", "instance"}
    return body


def _token(client: ApiClient, **form: str) -> Any:
    content = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.secret,  # type: ignore[attr-defined]
        **form,
    }
    return Client().post(
        f"{BASE}/auth/token", urlencode(content), content_type="application/x-www-form-urlencoded"
    )


def test_the_server_says_where_tokens_are_given() -> None:
    answer = Client().get(f"{BASE}/auth/server")
    assert answer.json() == {"tokenURL": f"http://testserver{BASE}/auth/token"}


def test_a_token_by_form_carries_all_scopes_of_the_client_for_an_hour() -> None:
    client = dispatching.api_client(cast.people().inzai_dc)
    answer = _token(client)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert body["scope"].split() == sorted(dispatching.VEN_SCOPES)
    seen = Client().get(
        f"{BASE}/programs", headers={"Authorization": f"Bearer {body['access_token']}"}
    )
    assert seen.status_code == 200


def test_a_token_by_http_basic_carries_the_scopes_asked() -> None:
    client = dispatching.api_client(cast.people().inzai_dc)
    pair = f"{client.client_id}:{client.secret}"  # type: ignore[attr-defined]
    answer = Client().post(
        f"{BASE}/auth/token",
        "grant_type=client_credentials&scope=read_targets",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
    )
    assert answer.json()["scope"] == "read_targets"


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"client_id": ""}, 400, "invalid_request"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": "x" * 5000}, 401, "invalid_client"),
        ({"client_secret": "\0"}, 400, "invalid_request"),
        ({"scope": "write_events"}, 400, "invalid_scope"),
        ({"scope": "read_targets everything"}, 400, "invalid_scope"),
    ],
)
def test_a_token_is_refused_by_the_standards_name(
    form: dict[str, str], status: int, error: str
) -> None:
    answer = _token(dispatching.api_client(cast.people().inzai_dc), **form)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_an_inactive_client_gets_no_token_and_its_old_one_is_worth_nothing() -> None:
    ven = Ven(cast.people().inzai_dc)
    assert ven.get("programs").status_code == 200
    ApiClient.objects.filter(id=ven.client.id).update(is_active=False)
    _is_problem(ven.get("programs"), 401)
    assert _token(ven.client).json() == {"error": "invalid_client"}


def test_missing_forged_and_expired_tokens_are_401(monkeypatch: pytest.MonkeyPatch) -> None:
    ven = Ven(cast.people().inzai_dc)
    good = ven.headers["Authorization"]
    foreign = signing.dumps({"c": str(ven.client.id), "s": ["read_targets"]}, salt="another")
    for header in ("", "Bearer", "Bearer x", good[:-1] + "_", f"Bearer {foreign}", "Basic eDp5"):
        ven.headers["Authorization"] = header
        answer = ven.get("events")
        _is_problem(answer, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")
    monkeypatch.setattr(tokens, "LIFETIME_S", -1)
    ven.headers["Authorization"] = good
    _is_problem(ven.get("events"), 401)


def test_a_missing_scope_is_403_and_changes_nothing() -> None:
    reader = Ven(cast.people().inzai_dc, scopes=("read_targets",))
    assert reader.get("events").status_code == 200
    for path in ("vens", "resources", "reports"):
        _is_problem(reader.get(path), 403)
        _is_problem(reader.post(path, {}), 403)
    assert not VenRow.objects.exists()


def test_a_scope_taken_from_the_client_is_gone_from_its_token() -> None:
    ven = Ven(cast.people().inzai_dc)
    ApiClient.objects.filter(id=ven.client.id).update(scopes=["read_ven_objects"])
    _is_problem(ven.get("events"), 403)


def test_each_site_sees_its_own_events_and_the_one_for_all() -> None:
    sent_day()
    people = cast.people()
    inzai = Ven(people.inzai_dc).enrol(LOAD, BATTERY)
    shiroi = Ven(people.shiroi_dc).enrol("shiroi-dc-1-load")
    stranger = Ven(people.stranger_org).enrol("some-load")
    names = {
        ven.name: sorted(event["eventName"] for event in ven.get("events").json())
        for ven in (inzai, shiroi, stranger)
    }
    assert names == {
        inzai.name: [
            f"{BATTERY}-20261125T0100Z-v1",
            f"{BATTERY}-20261125T0800Z-v1",
            f"{LOAD}-20261125T0800Z-v1",
            "metering-2026-11-25",
        ],
        shiroi.name: ["metering-2026-11-25", "shiroi-dc-1-load-20261125T0800Z-v1"],
        stranger.name: ["metering-2026-11-25"],
    }


def test_naming_a_rivals_resource_grants_nothing() -> None:
    day = sent_day()
    thief = Ven(cast.people().shiroi_dc).enrol(LOAD)
    row = VenResource.objects.get(ven_id=thief.ven_id)
    assert (row.resource, row.targets) == (None, [])
    assert len(thief.get("events").json()) == 1
    event = _event_of(day, "inzai-defer")
    _is_problem(thief.get(f"events/{event.id}"), 404)
    assert thief.get("events", {"targets": LOAD}).json() == []
    _is_problem(thief.post("reports", _ack(event)), 404)
    assert instruction(day, "inzai-defer").state == S.SENT


def test_a_hidden_object_and_none_at_all_are_told_in_the_same_words() -> None:
    day = sent_day()
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD)
    rival = Ven(cast.people().shiroi_dc).enrol()
    event = _event_of(day, "inzai-defer")
    inzai.post("reports", _ack(event))
    report = Report.objects.get()
    resource = VenResource.objects.get()
    hidden = [
        f"events/{event.id}",
        f"vens/{inzai.ven_id}",
        f"resources/{resource.id}",
        f"reports/{report.id}",
    ]
    for path in hidden:
        assert inzai.get(path).status_code == 200
        noun = path.split("/")[0]
        words = _is_problem(rival.get(path), 404)["detail"].split("—")[1]
        for unknown in ("00000000-0000-0000-0000-000000000000", "no-uuid"):
            body = _is_problem(rival.get(f"{noun}/{unknown}"), 404)
            assert body["detail"].split("—")[1] == words
    for noun in ("vens", "resources", "reports"):
        ids = {row["id"] for row in rival.get(noun).json()}
        assert ids <= {rival.ven_id}


def test_only_granted_targets_are_shown() -> None:
    day = sent_day()
    event = _event_of(day, "inzai-defer")
    Event.objects.filter(id=event.id).update(targets=[LOAD, "shiroi-dc-1-load"])
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD)
    assert inzai.get(f"events/{event.id}").json()["targets"] == [LOAD]
    # nor can a hidden one be found out by asking for it
    assert inzai.get("events", {"targets": "shiroi-dc-1-load"}).json() == []
    assert len(inzai.get("events", {"targets": [LOAD, "shiroi-dc-1-load"]}).json()) == 1


def test_the_aggregators_own_client_sees_all_and_a_sites_read_all_does_not() -> None:
    sent_day()
    people = cast.people()
    Ven(people.inzai_dc).enrol(LOAD)
    desk = Ven(people.platform, scopes=("read_all",))
    assert len(desk.get("events").json()) == 5
    assert len(desk.get("vens").json()) == 1
    pretender = Ven(people.stranger_org, scopes=("read_all",))
    assert len(pretender.get("events").json()) == 1
    assert pretender.get("vens").json() == []


def test_an_event_that_is_void_is_gone() -> None:
    day = sent_day()
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD, BATTERY)
    event = _event_of(day, "inzai-defer")
    instruction_cancel(instruction_id=event.instruction_id, reason="the line is out of service")
    assert len(inzai.get("events").json()) == 3
    _is_problem(inzai.get(f"events/{event.id}"), 404)
    _is_problem(inzai.post("reports", _ack(event)), 404)


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    people = cast.people()
    inzai = Ven(people.inzai_dc).enrol(*(f"unit-{i:03d}" for i in range(53)))
    assert len(inzai.get("resources").json()) == 50
    seen: list[str] = []
    while True:
        rows = inzai.get("resources", {"skip": len(seen), "limit": 20}).json()
        seen += [row["resourceName"] for row in rows]
        if len(rows) < 20:
            break
    assert seen == [f"unit-{i:03d}" for i in range(53)]
    assert inzai.get("resources", {"resourceName": "unit-007"}).json()[0]["id"]
    assert inzai.get("resources", {"venID": "nobody"}).json() == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "51"},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"skip": "-1"},
        {"skip": "9" * 30},
        {"active": "maybe"},
        {"programID": "a b"},
        {"targets": ""},
        {"targets": "x" * 129},
    ],
)
def test_a_wrong_query_is_refused(query: dict[str, str]) -> None:
    _is_problem(Ven(cast.people().inzai_dc).get("events", query), 400)


def test_lists_narrow_by_program_target_and_time() -> None:
    day = sent_day()
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD, BATTERY)
    dispatch = Program.objects.get(name="wattbit-dispatch")
    assert len(inzai.get("events", {"programID": str(dispatch.id)}).json()) == 3
    assert len(inzai.get("events", {"targets": [LOAD, "x"]}).json()) == 1
    # at 14:00 the battery's midday is over
    assert len(inzai.get("events", {"active": "true"}).json()) == 3
    assert len(inzai.get("events", {"dateStart": "unknown is ignored"}).json()) == 4
    report = inzai.post("reports", _ack(_event_of(day, "inzai-defer"))).json()
    assert inzai.get("reports", {"programID": str(dispatch.id)}).json() == [report]
    assert inzai.get("reports", {"clientName": "other"}).json() == []


def test_every_answer_says_the_markets_time() -> None:
    freeze(jst(12.5))
    ven = Ven(cast.people().inzai_dc)
    for answer in (ven.get("events"), ven.get("nowhere"), Client().get(f"{BASE}/auth/server")):
        assert answer["Market-Time"] == "2026-11-25T03:30:00Z"


def test_unknown_paths_and_methods_answer_with_problems() -> None:
    ven = Ven(cast.people().inzai_dc)
    _is_problem(ven.get("notifiers/mqtt/topics/programs"), 404)
    _is_problem(ven.post("programs", {}), 403)
    _is_problem(ven.http.delete(f"{BASE}/events", headers=ven.headers), 403)


def test_an_enrolled_ven_is_stamped_and_its_own_metadata_ignored() -> None:
    freeze(jst(9))
    ven = Ven(cast.people().inzai_dc)
    answer = ven.post(
        "vens",
        {
            "objectType": "VEN_VEN_REQUEST",
            "venName": "inzai",
            "id": "mine",
            "clientID": "other",
            "createdDateTime": "x",
            "targets": ["shiroi-dc-1-load"],
            "attributes": [{"type": "LOCATION", "values": [{"x": 140.1, "y": 35.8}]}],
            "x-unknown": 0.1,
        },
    )
    assert answer.status_code == 201
    body = answer.json()
    assert body == {
        "objectType": "VEN",
        "venName": "inzai",
        "id": body["id"],
        "clientID": ven.client.client_id,
        "createdDateTime": "2026-11-25T00:00:00Z",
        "modificationDateTime": "2026-11-25T00:00:00Z",
        "targets": [],
        "attributes": [{"type": "LOCATION", "values": [{"x": 140.1, "y": 35.8}]}],
        "x-unknown": 0.1,
    }
    assert ven.get(f"vens/{body['id']}").json() == body
    assert ven.get("vens", {"venName": "inzai"}).json() == [body]


def test_names_are_unique_whoever_asks() -> None:
    people = cast.people()
    first, second = Ven(people.inzai_dc), Ven(people.shiroi_dc)
    request = {"objectType": "VEN_VEN_REQUEST", "venName": "the-name"}
    assert first.post("vens", request).status_code == 201
    body = _is_problem(second.post("vens", request), 409)
    assert body["type"] == "/problems/name-taken"
    first.enrol("unit")
    again = {
        "objectType": "VEN_RESOURCE_REQUEST",
        "resourceName": "unit",
        "venID": first.ven_id,
    }
    _is_problem(first.post("resources", again), 409)
    _is_problem(second.post("resources", again), 404)  # another's ven
    assert VenResource.objects.count() == 1


def test_a_site_may_not_write_as_business_logic() -> None:
    ven = Ven(cast.people().inzai_dc).enrol()
    wish = {
        "objectType": "BL_VEN_REQUEST",
        "venName": "x",
        "clientID": "x",
        "targets": [LOAD],
    }
    _is_problem(ven.post("vens", wish), 403)
    wish = {
        "objectType": "BL_RESOURCE_REQUEST",
        "resourceName": "x",
        "venID": ven.ven_id,
        "clientID": "x",
        "targets": [LOAD],
    }
    _is_problem(ven.post("resources", wish), 403)
    assert not VenResource.objects.exists()


def test_an_ack_report_acknowledges_and_is_stored_as_sent() -> None:
    day = sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    body = _ack(_event_of(day, "inzai-defer")) | {"x-note": [0.1, None], "id": "mine"}
    answer = ven.post("reports", body)
    assert answer.status_code == 201
    assert instruction(day, "inzai-defer").state == S.ACKNOWLEDGED
    stored = Report.objects.get()
    assert stored.body == body
    shown = answer.json()
    assert (shown["objectType"], shown["clientID"]) == ("REPORT", ven.client.client_id)
    assert (shown["id"], shown["x-note"]) == (str(stored.id), [0.1, None])


def test_an_opt_out_report_declines_with_its_reason() -> None:
    day = sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    body = _ack(_event_of(day, "inzai-defer"))
    body["resources"][0]["intervals"][0]["payloads"] = [
        {"type": "OPERATING_STATE", "values": ["RUNNING_OPTED_OUT"]},
        {"type": "OPT_OUT_REASON", "values": ["ポンプ故障"]},
    ]
    assert ven.post("reports", body).status_code == 201
    row = instruction(day, "inzai-defer")
    assert (row.state, row.reason) == (S.OPTED_OUT, "ポンプ故障")


def test_a_late_answer_is_a_conflict_and_leaves_no_report() -> None:
    day = sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    freeze(jst(16.5))
    body = _is_problem(ven.post("reports", _ack(_event_of(day, "inzai-defer"))), 409)
    assert body["type"] == "/problems/instruction-closed"
    assert not Report.objects.exists()


def test_the_answer_to_an_order_must_come_from_the_resource_that_was_asked() -> None:
    day = sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD, BATTERY)
    _is_problem(ven.post("reports", _ack(_event_of(day, "inzai-defer"), name=BATTERY)), 400)
    metering = Event.objects.get(key="metering-2026-11-25")
    _is_problem(ven.post("reports", _ack(metering)), 400)
    assert instruction(day, "inzai-defer").state == S.SENT
    assert not Report.objects.exists()


def test_usage_reports_become_readings_with_their_quality() -> None:
    day = sent_day()
    meters(day)
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    metering = Event.objects.get(key="metering-2026-11-25")
    body = _usage(metering, 5000.125, -3)
    body["resources"][0]["intervals"][1]["payloads"].append(
        {"type": "DATA_QUALITY", "values": ["ESTIMATED"]}
    )
    assert ven.post("reports", body).status_code == 201
    rows = IntervalReading.objects.order_by("start_at")
    read = [(str(row.energy_kwh), row.get_quality_display(), row.source) for row in rows]
    assert read == [
        ("5000.125", "正常", f"openadr3:{ven.client.client_id}"),
        ("-3.000", "推定", f"openadr3:{ven.client.client_id}"),
    ]
    # a report that is sent again changes nothing
    assert ven.post("reports", body).status_code == 201
    assert IntervalReading.objects.count() == 2


def test_a_missing_value_is_stored_as_missing() -> None:
    day = sent_day()
    meters(day)
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    body = _usage(Event.objects.get(key="metering-2026-11-25"), 0)
    body["resources"][0]["intervals"][0]["payloads"].append(
        {"type": "DATA_QUALITY", "values": ["MISSING"]}
    )
    assert ven.post("reports", body).status_code == 201
    assert IntervalReading.objects.get().energy_kwh is None


@pytest.mark.parametrize(
    "change",
    [
        {"start": "2026-11-25T14:30:00Z"},  # has not ended
        {"start": "2026-11-24T15:10:00Z"},  # off the grid
        {"name": "shiroi-dc-1-load"},  # a rival's
        {"name": "nobody"},
    ],
)
def test_readings_that_cannot_be_are_refused_whole(change: dict[str, str]) -> None:
    day = sent_day()
    meters(day)
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    metering = Event.objects.get(key="metering-2026-11-25")
    _is_problem(ven.post("reports", _usage(metering, 1, **change)), 400)
    assert not Report.objects.exists()
    assert not IntervalReading.objects.exists()


@pytest.mark.parametrize("value", [1e12, 0.0001, 10**31])
def test_energy_out_of_bounds_is_refused_whole(value: float) -> None:
    day = sent_day()
    meters(day)
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    metering = Event.objects.get(key="metering-2026-11-25")
    _is_problem(ven.post("reports", _usage(metering, 1, value)), 400)
    assert not Report.objects.exists()
    assert not IntervalReading.objects.exists()


def test_a_stranger_cannot_report_for_anothers_meter() -> None:
    day = sent_day()
    meters(day)
    stranger = Ven(cast.people().stranger_org).enrol(LOAD)
    _is_problem(
        stranger.post("reports", _usage(Event.objects.get(key="metering-2026-11-25"), 1)), 400
    )
    assert not IntervalReading.objects.exists()


BAD_BODIES: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b"{}",
    b"\xff",
    b'{"venName": NaN}',
    b'{"venName": 1e400}',
    b'{"objectType":"VEN_VEN_REQUEST","objectType":"VEN_VEN_REQUEST","venName":"x"}',
    b'{"objectType":"VEN_VEN_REQUEST"}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":null}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":7}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":""}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":"' + b"x" * 129 + b'"}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":"\\u0000"}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":"\\udfff"}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":"x","attributes":{}}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":"x","attributes":[{"type":"A"}]}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":"x","deep":' + b"[" * 30 + b"]" * 30 + b"}",
    b'{"objectType":"ven","venName":"x"}',
    b'{"venName":"x"}',
    b'{"objectType":"VEN_VEN_REQUEST","venName":"x"}' + b" " * 1_000_001,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
@pytest.mark.parametrize("path", ["vens", "resources", "reports"])
def test_a_body_that_is_not_what_it_should_be_is_400_and_nothing_is_stored(
    path: str, body: bytes
) -> None:
    ven = Ven(cast.people().inzai_dc)
    _is_problem(ven.post(path, body), 400)
    assert not VenRow.objects.exists()
    assert not VenResource.objects.exists()
    assert not Report.objects.exists()


def test_a_body_that_is_not_json_by_its_own_word_is_415() -> None:
    ven = Ven(cast.people().inzai_dc)
    answer = ven.http.post(f"{BASE}/vens", {"venName": "x"}, headers=ven.headers)
    _is_problem(answer, 415)


def test_an_error_of_ours_shows_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from aggregator.protocols.openadr3 import selectors

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(selectors, "events_visible", broken)
    body = _is_problem(Ven(cast.people().inzai_dc).get("events"), 500)
    assert "secret" not in json.dumps(body)


def test_an_event_is_published_once_per_instruction() -> None:
    from aggregator.protocols.openadr3.services import event_publish, program_ensure

    day = sent_day()
    row = instruction(day, "inzai-defer")
    program = program_ensure(name="wattbit-dispatch")
    again = event_publish(instruction=row, program=program)
    assert again == _event_of(day, "inzai-defer")
    assert again.body["intervalPeriod"] == {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"}
    assert [i["payloads"][0]["values"] for i in again.body["intervals"]] == [[-9000]] * 6
    assert again.ends_at - again.starts_at == timedelta(hours=3)
