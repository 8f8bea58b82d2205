"""The OpenADR 3.1 server: reports that move instructions and readings, and bodies it refuses."""

from __future__ import annotations

import pytest

from aggregator.dispatch.models import InstructionState
from aggregator.metering.models import IntervalReading
from aggregator.protocols.openadr3.models import Event, Report, VenResource
from aggregator.protocols.openadr3.models import Ven as VenRow
from tests import cast
from tests.dispatching import (
    Ven,
    ack_report,
    event_of,
    freeze,
    instruction,
    is_problem,
    jst,
    meters,
    sent_day,
    usage_report,
)
from tests.protocols.openadr import business

pytestmark = pytest.mark.django_db
S = InstructionState
LOAD, BATTERY = "inzai-dc-1-load", "inzai-dc-1-battery"


def test_an_ack_report_acknowledges_and_is_stored_as_sent() -> None:
    day = sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    body = ack_report(event_of(day, "inzai-defer")) | {"x-note": [0.1, None], "id": "mine"}
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
    body = ack_report(event_of(day, "inzai-defer"))
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
    body = is_problem(ven.post("reports", ack_report(event_of(day, "inzai-defer"))), 409)
    assert body["type"] == "/problems/instruction-closed"
    assert not Report.objects.exists()


def test_the_answer_to_an_order_must_come_from_the_resource_that_was_asked() -> None:
    day = sent_day()
    ven = Ven(cast.people().inzai_dc).enrol(LOAD, BATTERY)
    is_problem(ven.post("reports", ack_report(event_of(day, "inzai-defer"), name=BATTERY)), 400)
    metering = Event.objects.get(key="metering-2026-11-25")
    is_problem(ven.post("reports", ack_report(metering)), 400)
    assert instruction(day, "inzai-defer").state == S.SENT
    assert not Report.objects.exists()


def test_usage_reports_become_readings_with_their_quality() -> None:
    day = sent_day()
    meters(day)
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    metering = Event.objects.get(key="metering-2026-11-25")
    body = usage_report(metering, 5000.125, -3)
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
    body = usage_report(Event.objects.get(key="metering-2026-11-25"), 0)
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
    is_problem(ven.post("reports", usage_report(metering, 1, **change)), 400)
    assert not Report.objects.exists()
    assert not IntervalReading.objects.exists()


@pytest.mark.parametrize("value", [1e12, 0.0001, 10**31])
def test_energy_out_of_bounds_is_refused_whole(value: float) -> None:
    day = sent_day()
    meters(day)
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    metering = Event.objects.get(key="metering-2026-11-25")
    is_problem(ven.post("reports", usage_report(metering, 1, value)), 400)
    assert not Report.objects.exists()
    assert not IntervalReading.objects.exists()


@pytest.mark.parametrize("value", [1e308, -1e308, 10**15, 10**31])
@pytest.mark.parametrize(
    "kind",
    ["USAGE", "DEMAND", "DELTA_USAGE", "USAGE_FORECAST", "LOAD_SHED_DELTA_AVAILABLE"],
)
def test_a_number_that_nothing_could_be_is_refused_by_name(kind: str, value: float) -> None:
    day = sent_day()
    meters(day)
    ven = Ven(cast.people().inzai_dc).enrol(LOAD)
    body = usage_report(Event.objects.get(key="metering-2026-11-25"), value)
    body["resources"][0]["intervals"][0]["payloads"][0]["type"] = kind
    told = is_problem(ven.post("reports", body), 400)
    assert "less than 1,000,000,000,000,000" in told["detail"]
    assert not Report.objects.exists()


def test_a_ven_that_is_handed_over_takes_no_meter_along() -> None:
    day = sent_day()
    meters(day)
    people = cast.people()
    tso, site, rival = business(people.grid_t), Ven(people.inzai_dc), Ven(people.shiroi_dc)
    request = {"objectType": "BL_VEN_REQUEST", "venName": "v", "clientID": site.client.client_id}
    ven = tso.made("vens", request)
    tso.made(
        "resources",
        {
            "objectType": "BL_RESOURCE_REQUEST",
            "resourceName": LOAD,
            "venID": ven["id"],
            "clientID": site.client.client_id,
        },
    )
    assert VenResource.objects.get().resource == day.places.resources["inzai-load"]
    request["clientID"] = rival.client.client_id
    assert tso.put(f"vens/{ven['id']}", request).status_code == 200
    metering = Event.objects.get(key="metering-2026-11-25")
    # read together with others, and one by one
    for kind in ("USAGE", "DELTA_USAGE"):
        body = usage_report(metering, 1)
        body["resources"][0]["intervals"][0]["payloads"][0]["type"] = kind
        is_problem(rival.post("reports", body), 400)
    assert not IntervalReading.objects.exists()
    assert not Report.objects.exists()


def test_a_stranger_cannot_report_for_anothers_meter() -> None:
    day = sent_day()
    meters(day)
    stranger = Ven(cast.people().stranger_org).enrol(LOAD)
    is_problem(
        stranger.post("reports", usage_report(Event.objects.get(key="metering-2026-11-25"), 1)), 400
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
    is_problem(ven.post(path, body), 400)
    assert not VenRow.objects.exists()
    assert not VenResource.objects.exists()
    assert not Report.objects.exists()
