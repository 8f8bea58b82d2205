"""Golden messages: instructions as events, reports as answers and readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aggregator.protocols.openadr3 import mapping, wire

START = datetime(2026, 11, 25, 8, tzinfo=UTC)  # 17:00 in Japan
HALF = timedelta(minutes=30)


def _report(payloads: list[dict[str, Any]], **period: Any) -> wire.ReportRequest:
    return wire.read_report(
        {
            "eventID": "e1",
            "clientName": "inzai-ven",
            "resources": [
                {
                    "resourceName": "inzai-load",
                    "intervals": [{"id": 0, "payloads": payloads, **period}],
                }
            ],
        }
    )


def test_less_load_is_a_negative_setpoint_and_a_gap_is_said_as_zero() -> None:
    event = mapping.dispatch_event(
        program_id="p1",
        name="inzai-load-20261125T0800Z-v1",
        target="inzai-load",
        direction="UP",
        ordered=[
            mapping.Ordered(start_at=START, quantity_kw=Decimal("9000.0")),
            mapping.Ordered(start_at=START + 2 * HALF, quantity_kw=Decimal("1234.5")),
        ],
    )
    assert event == {
        "programID": "p1",
        "eventName": "inzai-load-20261125T0800Z-v1",
        "priority": 0,
        "targets": ["inzai-load"],
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": "DISPATCH_SETPOINT_RELATIVE",
                "units": "KW",
            }
        ],
        "reportDescriptors": [{"payloadType": "ACK"}, {"payloadType": "OPERATING_STATE"}],
        "intervalPeriod": {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"},
        "intervals": [
            {"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-9000]}]},
            {"id": 1, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [0]}]},
            {"id": 2, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-1234.5]}]},
        ],
    }


def test_more_load_is_a_positive_setpoint() -> None:
    event = mapping.dispatch_event(
        program_id="p1",
        name="n",
        target="t",
        direction="DOWN",
        ordered=[mapping.Ordered(start_at=START, quantity_kw=Decimal("5000.0"))],
    )
    assert event["intervals"][0]["payloads"][0]["values"] == [5000]


def test_a_client_reads_from_the_event_what_was_ordered() -> None:
    body = mapping.dispatch_event(
        program_id="p1",
        name="n",
        target="inzai-load",
        direction="UP",
        ordered=[
            mapping.Ordered(start_at=START + k * HALF, quantity_kw=Decimal(100 + k))
            for k in range(3)
        ],
    )
    event = wire.read_event({**body, "id": "e1"})
    read = [(i.period.start, i.payloads[0].values[0]) for i in event.intervals]
    assert read == [(START, -100), (START + HALF, -101), (START + 2 * HALF, -102)]
    assert event.payload_units == {"DISPATCH_SETPOINT_RELATIVE": "KW"}


def test_the_metering_event_asks_for_direct_readings_of_the_day() -> None:
    event = mapping.metering_event(
        program_id="p2",
        name="metering-2026-11-25",
        starts_at=START - timedelta(hours=17),
        ends_at=START + timedelta(hours=7),
    )
    assert event == {
        "programID": "p2",
        "eventName": "metering-2026-11-25",
        "reportDescriptors": [
            {
                "payloadType": "USAGE",
                "readingType": "DIRECT_READ",
                "units": "KWH",
                "reportIntervals": "OPEN_INTERVALS",
            }
        ],
        "intervalPeriod": {"start": "2026-11-24T15:00:00Z", "duration": "P1D"},
        "intervals": [],
    }


def test_an_ack_accepts() -> None:
    report = _report([{"type": "ACK", "values": [True]}])
    assert mapping.answers_of(report) == (
        mapping.Answer(resource_name="inzai-load", accepted=True),
    )


@pytest.mark.parametrize("state", ["RUNNING_OPTED_OUT", "IDLE_OPTED_OUT"])
def test_an_opted_out_state_declines_with_its_reason(state: str) -> None:
    report = _report(
        [
            {"type": "OPERATING_STATE", "values": [state]},
            {"type": "OPT_OUT_REASON", "values": ["ポンプ故障"]},
        ]
    )
    assert mapping.answers_of(report) == (
        mapping.Answer(resource_name="inzai-load", accepted=False, reason="ポンプ故障"),
    )


def test_other_operating_states_and_unknown_payloads_are_no_answer() -> None:
    report = _report(
        [
            {"type": "OPERATING_STATE", "values": ["RUNNING_CURTAILED"]},
            {"type": "X_MOOD", "values": ["sunny", {"x": 1, "y": 2.5}]},
        ]
    )
    assert mapping.answers_of(report) == ()
    assert mapping.readings_of(report) == ()


@pytest.mark.parametrize("values", [[False], [1], ["true"], [], [True, True]])
def test_an_ack_that_is_not_true_is_refused(values: list[Any]) -> None:
    with pytest.raises(wire.Malformed, match=r"payloads\[0\]\.values"):
        mapping.answers_of(_report([{"type": "ACK", "values": values}]))


def test_accepting_and_declining_at_once_is_refused() -> None:
    both = [
        {"type": "ACK", "values": [True]},
        {"type": "OPERATING_STATE", "values": ["IDLE_OPTED_OUT"]},
    ]
    with pytest.raises(wire.Malformed):
        mapping.answers_of(_report(both))


def test_usage_of_half_hours_becomes_readings_exactly_as_shown() -> None:
    body = {
        "eventID": "e1",
        "clientName": "v",
        "resources": [
            {
                "resourceName": "inzai-load",
                "intervalPeriod": {"start": "2026-11-25T17:00:00+09:00", "duration": "PT30M"},
                "intervals": [
                    {"id": 0, "payloads": [{"type": "USAGE", "values": [4500.1]}]},
                    {
                        "id": 1,
                        "payloads": [
                            {"type": "USAGE", "values": [-12]},
                            {"type": "DATA_QUALITY", "values": ["ESTIMATED"]},
                        ],
                    },
                ],
            }
        ],
    }
    assert mapping.readings_of(wire.read_report(body)) == (
        mapping.Reading(
            resource_name="inzai-load", start_at=START, energy_kwh=Decimal("4500.1"), quality="OK"
        ),
        mapping.Reading(
            resource_name="inzai-load",
            start_at=START + HALF,
            energy_kwh=Decimal(-12),
            quality="ESTIMATED",
        ),
    )


@pytest.mark.parametrize(
    ("payloads", "period"),
    [
        ([{"type": "USAGE", "values": [1]}], {}),
        ([{"type": "USAGE", "values": [1]}], {"start": "2026-11-25T08:00:00Z"}),
        (
            [{"type": "USAGE", "values": [1]}],
            {"start": "2026-11-25T08:00:00Z", "duration": "PT15M"},
        ),
        (
            [{"type": "USAGE", "values": ["1"]}],
            {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"},
        ),
        (
            [{"type": "USAGE", "values": [True]}],
            {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"},
        ),
        (
            [{"type": "USAGE", "values": [1, 2]}],
            {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"},
        ),
        (
            [{"type": "USAGE", "values": [1]}, {"type": "USAGE", "values": [2]}],
            {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"},
        ),
        (
            [{"type": "USAGE", "values": [1]}, {"type": "DATA_QUALITY", "values": ["FINE"]}],
            {"start": "2026-11-25T08:00:00Z", "duration": "PT30M"},
        ),
    ],
)
def test_a_reading_that_is_not_one_number_for_one_half_hour_is_refused(
    payloads: list[dict[str, Any]], period: dict[str, str]
) -> None:
    report = _report(payloads, **({"intervalPeriod": period} if period else {}))
    with pytest.raises(wire.Malformed):
        mapping.readings_of(report)


def test_what_a_client_writes_the_server_reads() -> None:
    ack = mapping.ack_report(event_id="e1", client_name="v", resource_name="r")
    assert mapping.answers_of(wire.read_report(ack))[0].accepted
    no = mapping.opt_out_report(event_id="e1", client_name="v", resource_name="r", reason="why")
    answer = mapping.answers_of(wire.read_report(no))[0]
    assert (answer.accepted, answer.reason) == (False, "why")
    usage = mapping.usage_report(
        event_id="e1",
        client_name="v",
        name="n",
        readings={"r": [(START, Decimal("1.5")), (START + HALF, Decimal("-0.125"))]},
    )
    read = [(r.start_at, r.energy_kwh) for r in mapping.readings_of(wire.read_report(usage))]
    assert read == [(START, Decimal("1.5")), (START + HALF, Decimal("-0.125"))]
