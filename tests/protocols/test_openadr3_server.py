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

from accounts.parties.keys import api_client_previous_revoke, api_client_rotate
from accounts.parties.models import ApiClient
from aggregator.dispatch.models import InstructionState
from aggregator.dispatch.services import instruction_cancel
from aggregator.protocols.openadr3 import tokens
from aggregator.protocols.openadr3.models import Event, Program, Report, VenResource
from aggregator.protocols.openadr3.models import Ven as VenRow
from tests import cast, dispatching
from tests.dispatching import (
    BASE,
    Ven,
    ack_report,
    event_of,
    freeze,
    instruction,
    is_problem,
    jst,
    sent_day,
)

pytestmark = pytest.mark.django_db
S = InstructionState
LOAD, BATTERY = "inzai-dc-1-load", "inzai-dc-1-battery"


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
    is_problem(ven.get("programs"), 401)
    assert _token(ven.client).json() == {"error": "invalid_client"}


def test_a_token_ends_with_its_secret() -> None:
    ven = Ven(cast.people().inzai_dc)
    api_client_rotate(client_id=ven.client.id, grace_s=600)
    assert ven.get("programs").status_code == 200
    answer = _token(ven.client)  # the old secret, for as long as its grace lasts
    assert 590 <= answer.json()["expires_in"] <= 600
    api_client_previous_revoke(client_id=ven.client.id)
    is_problem(ven.get("programs"), 401)
    ven.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    is_problem(ven.get("programs"), 401)
    assert _token(ven.client).json() == {"error": "invalid_client"}


def test_missing_forged_and_expired_tokens_are_401(monkeypatch: pytest.MonkeyPatch) -> None:
    ven = Ven(cast.people().inzai_dc)
    good = ven.headers["Authorization"]
    foreign = signing.dumps({"c": str(ven.client.id), "s": ["read_targets"]}, salt="another")
    for header in ("", "Bearer", "Bearer x", good[:-1] + "_", f"Bearer {foreign}", "Basic eDp5"):
        ven.headers["Authorization"] = header
        answer = ven.get("events")
        is_problem(answer, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")
    monkeypatch.setattr(tokens, "LIFETIME_S", -1)
    ven.headers["Authorization"] = good
    is_problem(ven.get("events"), 401)


def test_a_missing_scope_is_403_and_changes_nothing() -> None:
    reader = Ven(cast.people().inzai_dc, scopes=("read_targets",))
    assert reader.get("events").status_code == 200
    for path in ("vens", "resources", "reports"):
        is_problem(reader.get(path), 403)
        is_problem(reader.post(path, {}), 403)
    assert not VenRow.objects.exists()


def test_a_scope_taken_from_the_client_is_gone_from_its_token() -> None:
    ven = Ven(cast.people().inzai_dc)
    ApiClient.objects.filter(id=ven.client.id).update(scopes=["read_ven_objects"])
    is_problem(ven.get("events"), 403)


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
            "price-inzai-dc-1-2026-11-25",
        ],
        shiroi.name: [
            "metering-2026-11-25",
            "price-shiroi-dc-1-2026-11-25",
            "shiroi-dc-1-load-20261125T0800Z-v1",
        ],
        stranger.name: ["metering-2026-11-25"],
    }


def test_naming_a_rivals_resource_grants_nothing() -> None:
    day = sent_day()
    thief = Ven(cast.people().shiroi_dc).enrol(LOAD)
    row = VenResource.objects.get(ven_id=thief.ven_id)
    assert (row.resource, row.targets) == (None, [])
    assert len(thief.get("events").json()) == 1
    event = event_of(day, "inzai-defer")
    is_problem(thief.get(f"events/{event.id}"), 404)
    assert thief.get("events", {"targets": LOAD}).json() == []
    is_problem(thief.post("reports", ack_report(event)), 404)
    assert instruction(day, "inzai-defer").state == S.SENT


def test_a_hidden_object_and_none_at_all_are_told_in_the_same_words() -> None:
    day = sent_day()
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD)
    rival = Ven(cast.people().shiroi_dc).enrol()
    event = event_of(day, "inzai-defer")
    inzai.post("reports", ack_report(event))
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
        words = is_problem(rival.get(path), 404)["detail"].split("—")[1]
        for unknown in ("00000000-0000-0000-0000-000000000000", "no-uuid"):
            body = is_problem(rival.get(f"{noun}/{unknown}"), 404)
            assert body["detail"].split("—")[1] == words
    for noun in ("vens", "resources", "reports"):
        ids = {row["id"] for row in rival.get(noun).json()}
        assert ids <= {rival.ven_id}


def test_only_granted_targets_are_shown() -> None:
    day = sent_day()
    event = event_of(day, "inzai-defer")
    Event.objects.filter(id=event.id).update(targets=[LOAD, "shiroi-dc-1-load"])
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD)
    assert inzai.get(f"events/{event.id}").json()["targets"] == [LOAD]
    # nor can a hidden one be found out by asking for it
    assert inzai.get("events", {"targets": "shiroi-dc-1-load"}).json() == []
    assert len(inzai.get("events", {"targets": [LOAD, "shiroi-dc-1-load"]}).json()) == 2


def test_the_aggregators_own_client_sees_all_and_a_sites_read_all_does_not() -> None:
    sent_day()
    people = cast.people()
    Ven(people.inzai_dc).enrol(LOAD)
    desk = Ven(people.platform, scopes=("read_all",))
    assert len(desk.get("events").json()) == 7
    assert len(desk.get("vens").json()) == 1
    pretender = Ven(people.stranger_org, scopes=("read_all",))
    assert len(pretender.get("events").json()) == 1
    assert pretender.get("vens").json() == []


def test_an_event_that_is_void_is_gone() -> None:
    day = sent_day()
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD, BATTERY)
    event = event_of(day, "inzai-defer")
    instruction_cancel(instruction_id=event.instruction_id, reason="the line is out of service")
    assert len(inzai.get("events").json()) == 4
    is_problem(inzai.get(f"events/{event.id}"), 404)
    is_problem(inzai.post("reports", ack_report(event)), 404)


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
    is_problem(Ven(cast.people().inzai_dc).get("events", query), 400)


def test_lists_narrow_by_program_target_and_time() -> None:
    day = sent_day()
    inzai = Ven(cast.people().inzai_dc).enrol(LOAD, BATTERY)
    dispatch = Program.objects.get(name="wattbit-dispatch")
    assert len(inzai.get("events", {"programID": str(dispatch.id)}).json()) == 3
    assert len(inzai.get("events", {"targets": [LOAD, "x"]}).json()) == 2
    # at 14:00 the battery's midday is over
    assert len(inzai.get("events", {"active": "true"}).json()) == 4
    assert len(inzai.get("events", {"dateStart": "unknown is ignored"}).json()) == 5
    report = inzai.post("reports", ack_report(event_of(day, "inzai-defer"))).json()
    assert inzai.get("reports", {"programID": str(dispatch.id)}).json() == [report]
    assert inzai.get("reports", {"clientName": "other"}).json() == []


def test_every_answer_says_the_markets_time() -> None:
    freeze(jst(12.5))
    ven = Ven(cast.people().inzai_dc)
    for answer in (ven.get("events"), ven.get("nowhere"), Client().get(f"{BASE}/auth/server")):
        assert answer["Market-Time"] == "2026-11-25T03:30:00Z"


def test_unknown_paths_and_methods_answer_with_problems() -> None:
    ven = Ven(cast.people().inzai_dc)
    is_problem(ven.get("notifiers/mqtt/topics/programs"), 404)
    is_problem(ven.post("programs", {}), 403)
    answer = ven.http.delete(f"{BASE}/events", headers=ven.headers)
    is_problem(answer, 405)
    assert answer["Allow"] == "GET, POST"


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
    body = is_problem(second.post("vens", request), 409)
    assert body["type"] == "/problems/name-taken"
    first.enrol("unit")
    again = {
        "objectType": "VEN_RESOURCE_REQUEST",
        "resourceName": "unit",
        "venID": first.ven_id,
    }
    is_problem(first.post("resources", again), 409)
    is_problem(second.post("resources", again), 404)  # another's ven
    assert VenResource.objects.count() == 1


def test_a_site_may_not_write_as_business_logic() -> None:
    ven = Ven(cast.people().inzai_dc).enrol()
    wish = {
        "objectType": "BL_VEN_REQUEST",
        "venName": "x",
        "clientID": "x",
        "targets": [LOAD],
    }
    is_problem(ven.post("vens", wish), 403)
    wish = {
        "objectType": "BL_RESOURCE_REQUEST",
        "resourceName": "x",
        "venID": ven.ven_id,
        "clientID": "x",
        "targets": [LOAD],
    }
    is_problem(ven.post("resources", wish), 403)
    assert not VenResource.objects.exists()


def test_a_body_that_is_not_json_by_its_own_word_is_415() -> None:
    ven = Ven(cast.people().inzai_dc)
    answer = ven.http.post(f"{BASE}/vens", {"venName": "x"}, headers=ven.headers)
    is_problem(answer, 415)


def test_an_error_of_ours_shows_nothing_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from aggregator.protocols.openadr3 import selectors

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(selectors, "rows_shown", broken)
    body = is_problem(Ven(cast.people().inzai_dc).get("events"), 500)
    assert "secret" not in json.dumps(body)


def test_an_event_is_published_once_per_instruction() -> None:
    from aggregator.protocols.openadr3.services import event_publish, program_ensure

    day = sent_day()
    row = instruction(day, "inzai-defer")
    program = program_ensure(name="wattbit-dispatch")
    again = event_publish(instruction=row, program=program)
    assert again == event_of(day, "inzai-defer")
    assert again.body["intervalPeriod"] == {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"}
    assert [i["payloads"][0]["values"] for i in again.body["intervals"]] == [[-9000]] * 6
    assert again.ends_at - again.starts_at == timedelta(hours=3)


@pytest.mark.parametrize("text", ["%00", "%0A", "a%1Bb", "%C2%85"])
def test_control_characters_in_an_address_are_refused_with_a_problem(text: str) -> None:
    sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    for query in (
        "reports?clientName=",
        "reports?eventID=",
        "reports?programID=",
        "vens?venName=",
        "resources?resourceName=",
        "resources?venID=",
        "events?targets=",
        "events?active=",
        "programs?targets=",
        "programs?limit=",
        "programs?anything=",
        "programs?",
        "missing?x=",
    ):
        is_problem(ven.get(query + text), 400)
    for path in ("programs", "events", "vens", "resources", "reports", "nothing"):
        is_problem(ven.get(f"{path}/{text}"), 400)


def test_a_name_with_a_control_character_is_refused() -> None:
    ven = Ven(cast.people().inzai_dc)
    body = {"objectType": "VEN_VEN_REQUEST", "venName": "a\nb"}
    assert "control characters" in is_problem(ven.post("vens", body), 400)["detail"]
    assert not VenRow.objects.exists()


@pytest.mark.parametrize(
    "form",
    [
        "client_id=%5Cud800&client_secret=x",
        "client_id=x&client_secret=%5Cud800",
        "client_id=a%0Ab&client_secret=x",
    ],
)
def test_credentials_that_no_database_holds_are_refused_by_name(form: str) -> None:
    # the sender may name an encoding that yields lone surrogates
    answer = Client().post(
        f"{BASE}/auth/token",
        f"grant_type=client_credentials&{form}",
        content_type="application/x-www-form-urlencoded; charset=unicode_escape",
    )
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
