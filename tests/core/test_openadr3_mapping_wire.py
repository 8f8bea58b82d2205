"""The wire: JSON that reads one way only, and the types of the standard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.core import onejson
from aggregator.protocols.openadr3 import wire, wire_requests


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b'{"a":1,"a":2}', "each key once"),
        (b'{"a":{"b":1,"b":1}}', "each key once"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1e999}', "finite"),
        (b'{"a":' + b"9" * 5000 + b"}", "32 characters"),
        (b'{"a":0.' + b"1" * 40 + b"}", "32 characters"),
        (b"[" * 21 + b"]" * 21, "levels"),
        (b"[" * 50_000, "levels"),
        (b'{"a":"\\u0000"}', "control characters"),
        (b'{"a":"\\ud800"}', "surrogates"),
        (b'{"\\u0000":1}', "control characters"),
        (b"\xff\xfe{}", "UTF-8"),
        ('{"a":"日本"}'.encode("cp932"), "UTF-8"),
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"{}{}", "JSON"),
        (b'{"a":1_000}', "JSON"),
        ('{"a":１２}'.encode(), "JSON"),
        (b" " * 1_000_001, "bytes"),
        (b"[" + b"0," * 100_001 + b"0]", "values"),
    ],
)
def test_json_that_could_be_read_in_two_ways_is_refused(body: bytes, rule: str) -> None:
    with pytest.raises(onejson.JsonFault, match=rule):
        onejson.read_json(body, bytes_max=wire.BODY_BYTES_MAX, fraction=wire.finite)


def test_brackets_in_text_are_no_levels() -> None:
    body = b'{"a":"' + b"[" * 100 + b'\\"{"}'
    assert onejson.read_json(body, bytes_max=1_000) == {"a": "[" * 100 + '"{'}


def test_ordinary_json_is_read_as_it_stands() -> None:
    body = '{"a":[0.1,-3,true,null,"日本"]}'.encode()
    assert onejson.read_json(body, bytes_max=1_000, fraction=wire.finite) == {
        "a": [0.1, -3, True, None, "日本"]
    }


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("PT30M", timedelta(minutes=30)),
        ("PT0S", timedelta()),
        ("P1D", timedelta(days=1)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
    ],
)
def test_durations_read_and_print_back(text: str, duration: timedelta) -> None:
    assert wire.read_duration(text, "d") == duration
    assert wire.print_duration(duration) == text


@pytest.mark.parametrize("text", ["P1M", "P9999Y", "PT", "P", "-PT1M", "PT1.5H", "P99999D", 30])
def test_durations_without_a_fixed_length_are_refused(text: Any) -> None:
    with pytest.raises(wire.Malformed):
        wire.read_duration(text, "d")


def test_instants_are_read_in_any_zone_and_printed_in_utc() -> None:
    moment = wire.read_date_time("2026-11-25T17:00:00+09:00", "start")
    assert moment == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert wire.print_date_time(moment) == "2026-11-25T08:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T17:00:00",
        "2026-11-25",
        "2026-13-25T17:00:00Z",
        "2026-11-25T24:00:01Z",
        "2026-11-25 17:00:00Z",
        "0001-01-01T00:00:00+14:59",
        "２０２６-11-25T17:00:00Z",
        1_764_000_000,
        None,
    ],
)
def test_an_instant_without_zone_or_that_does_not_exist_is_refused(text: Any) -> None:
    with pytest.raises(wire.Malformed):
        wire.read_date_time(text, "start")


def test_intervals_without_a_period_follow_each_other() -> None:
    whole = wire.Period(start=datetime(2026, 11, 25, tzinfo=UTC), duration=timedelta(hours=1))
    own = {"start": "2026-11-25T10:00:00Z"}
    items = [
        {"id": 0, "payloads": []},
        {"id": 1, "payloads": []},
        {"id": 2, "payloads": [], "intervalPeriod": own},
        {"id": 3, "payloads": []},
    ]
    hours = [
        interval.period.start and interval.period.start.hour
        for interval in wire.read_intervals(items, whole, "intervals")
    ]
    assert hours == [0, 1, 10, 11]


def test_explicit_nulls_are_absent_and_unknown_properties_ignored() -> None:
    ven = wire_requests.read_ven(
        {
            "objectType": "VEN_VEN_REQUEST",
            "venName": "v",
            "attributes": None,
            "targets": None,
            "id": 7,
            "x": [],
        }
    )
    assert ven == wire_requests.VenRequest(object_type="VEN_VEN_REQUEST", name="v")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({}, "resources"),
        ({"resources": [], "clientName": "v"}, "eventID"),
        ({"resources": [], "eventID": "a b", "clientName": "v"}, "eventID"),
        ({"resources": [], "eventID": "e"}, "clientName"),
        ({"resources": [], "eventID": "e", "clientName": ""}, "clientName"),
        ({"resources": [], "eventID": "e", "clientName": "v" * 129}, "clientName"),
        ({"resources": {}, "eventID": "e", "clientName": "v"}, "resources"),
        ({"resources": [{}], "eventID": "e", "clientName": "v"}, "resources[0].resourceName"),
        (
            {"resources": [{"resourceName": "r"}], "eventID": "e", "clientName": "v"},
            "resources[0].intervals",
        ),
        (
            {
                "resources": [{"resourceName": "r", "intervals": [{"id": True, "payloads": []}]}],
                "eventID": "e",
                "clientName": "v",
            },
            "resources[0].intervals[0].id",
        ),
        (
            {
                "resources": [
                    {
                        "resourceName": "r",
                        "intervals": [{"id": 0, "payloads": [{"type": "X", "values": [None]}]}],
                    }
                ],
                "eventID": "e",
                "clientName": "v",
            },
            "resources[0].intervals[0].payloads[0].values[0]",
        ),
    ],
)
def test_a_wrong_report_is_refused_by_the_name_of_the_property(body: Any, field: str) -> None:
    with pytest.raises(wire.Malformed) as refusal:
        wire.read_report(body)
    assert refusal.value.field == field


@pytest.mark.parametrize("text", ["0", "51", "-1", "1.0", "１", "", "999999999999999999999"])
def test_a_page_size_that_is_no_number_from_1_to_50_is_refused(text: str) -> None:
    with pytest.raises(wire.Malformed):
        wire.read_count(text, "limit", low=1, high=wire.PAGE_MAX)
