"""Golden messages: what we say and hear, byte for byte as it lies in `golden/`.

A change of a word in a message is a change of a file. `WATTBIT_GOLDEN=write pytest
tests/protocols/test_golden.py` writes them anew; what changed is then read in the diff.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregator.protocols.openadr3 import bodies, mapping, words
from aggregator.protocols.openadr3.wire import read_event, read_report
from aggregator.protocols.openadr3.wire_requests import read_event_request, report_checked
from aggregator.protocols.uftp import wire
from aggregator.protocols.uftp.messages import MESSAGES, NAME_OF
from tests.protocols.test_uftp_wire import GOLDEN as UFTP

FOLDER = Path(__file__).parent / "golden"
D = Decimal
START = datetime(2026, 11, 25, 8, tzinfo=UTC)  # 17:00 in Japan
HALF_HOUR = timedelta(minutes=30)
PROGRAM = "0193f000-0000-7000-8000-000000000001"
EVENT = "0193f000-0000-7000-8000-000000000002"
LOAD = "inzai-dc-1-load"
COMMON = {"event_id": EVENT, "client_name": "inzai-ven"}


def at(number: int) -> datetime:
    return START + number * HALF_HOUR


SAID: dict[str, Callable[[], dict[str, Any]]] = {
    # an award of 9,000 kW less, a half hour without, and its units
    "event-order-up": lambda: mapping.dispatch_event(
        program_id=PROGRAM,
        name="inzai-defer-1125",
        target=LOAD,
        direction="UP",
        ordered=[
            mapping.Ordered(
                start_at=at(0),
                quantity_kw=D("9000.0"),
                units=[("hall-a", D("5999.5")), ("hall-b", D("3000.5"))],
            ),
            mapping.Ordered(start_at=at(2), quantity_kw=D("4500.0")),
        ],
        respond_by_at=at(-2),
        version=1,
    ),
    "event-order-down": lambda: mapping.dispatch_event(
        program_id=PROGRAM,
        name="inzai-battery-down-1125",
        target="inzai-dc-1-battery",
        direction="DOWN",
        ordered=[mapping.Ordered(start_at=at(0), quantity_kw=D("5000.0"))],
        respond_by_at=at(-2),
        version=2,
    ),
    "event-envelope": lambda: bodies.limit_event(
        program_id=PROGRAM,
        name="envelope-inzai-1125",
        targets=[LOAD],
        spans=[(at(0), at(1), D(30_000)), (at(1), at(2), D("22500.5"))],
    ),
    "event-connection": lambda: bodies.limit_event(
        program_id=PROGRAM,
        name="connection-inzai",
        targets=[LOAD],
        spans=[(at(0), at(1), D(20_000)), (at(1), None, D(30_000))],
        failsafe=bodies.Failsafe(firm_kw=D(10_000), failsafe_s=90, heartbeat_s=30),
    ),
    "event-price": lambda: bodies.price_event(
        program_id=PROGRAM,
        name="price-inzai-1125",
        targets=[LOAD],
        prices=[(at(0), D("45.00")), (at(1), D("-3.25"))],
    ),
    "event-metering": lambda: mapping.metering_event(
        program_id=PROGRAM,
        name="metering-1125",
        starts_at=datetime(2026, 11, 24, 15, tzinfo=UTC),
        ends_at=datetime(2026, 11, 25, 15, tzinfo=UTC),
    ),
}
HEARD: dict[str, Callable[[], dict[str, Any]]] = {
    "report-ack": lambda: mapping.ack_report(**COMMON, resource_name=LOAD),
    "report-opt-out": lambda: mapping.opt_out_report(
        **COMMON, resource_name=LOAD, reason="ポンプ故障"
    ),
    "report-heartbeat": lambda: words.heartbeat_report(**COMMON, resource_name=LOAD),
    "report-available": lambda: words.words_report(
        **COMMON,
        name="forecast-2026-11-25",
        words={
            LOAD: [
                (
                    at(0),
                    {
                        "LOAD_SHED_DELTA_AVAILABLE": D("9000.0"),
                        "GENERATION_DELTA_AVAILABLE": D("-400.5"),
                        "USAGE_FORECAST": D("15000"),
                    },
                )
            ]
        },
    ),
    "report-delivered": lambda: words.words_report(
        **COMMON,
        name="delivered-2026-11-25-34-35",
        words={LOAD: [(at(0), {"DELTA_USAGE": D(-4_500)})]},
    ),
    "report-usage": lambda: mapping.usage_report(
        **COMMON,
        name="usage-2026-11-25-34-36",
        readings={
            LOAD: [
                mapping.Metered(at(0), D("10500.125")),
                mapping.Metered(at(1), D(10_500), "ESTIMATED"),
                mapping.Metered(at(2), D("875.5"), "OK", 5),
            ]
        },
    ),
}  # fmt: skip
# what is understood of each report: answers, alive, words, readings
UNDERSTOOD: dict[str, tuple[Any, Any, Any, Any]] = {
    "report-ack": ([(LOAD, True, "")], (), [], []),
    "report-opt-out": ([(LOAD, False, "ポンプ故障")], (), [], []),
    "report-heartbeat": ([], (LOAD,), [], []),
    # a word of what can be done counts by its size; a kWh of a half hour is 2 kW
    "report-available": (
        [], (),
        [("GENERATION_AVAILABLE", D("400.5")), ("SHED_AVAILABLE", D(9_000)),
         ("USAGE_FORECAST", D(30_000))],
        [],
    ),
    # less drawn is delivered
    "report-delivered": ([], (), [("DELIVERED", D(9_000))], []),
    "report-usage": (
        [], (), [],
        [(at(0), D("10500.125"), "OK", 30), (at(1), D(10_500), "ESTIMATED", 30),
         (at(2), D("875.5"), "OK", 5)],
    ),
}  # fmt: skip


def _as_sent(body: dict[str, Any]) -> bytes:
    return (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()


def _same(name: str, said: bytes) -> bytes:
    """Hold what is said against its file, or write it where that was asked for."""
    file = FOLDER / name
    if os.environ.get("WATTBIT_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(said)
    kept = file.read_bytes()
    assert said.decode() == kept.decode()
    return kept


@pytest.mark.parametrize("name", SAID)
def test_what_is_ordered_is_said_as_it_lies_here(name: str) -> None:
    body = json.loads(_same(f"openadr-{name}.json", _as_sent(SAID[name]())))
    # and reads, by the rules for what others send, as what it is
    assert read_event_request(body).targets == tuple(body.get("targets", ()))
    told = read_event({**body, "id": EVENT, "targets": body.get("targets") or []})
    assert len(told.intervals) == len(body["intervals"])


@pytest.mark.parametrize("name", HEARD)
def test_what_sites_say_is_written_as_it_lies_here_and_understood(name: str) -> None:
    body = json.loads(_same(f"openadr-{name}.json", _as_sent(HEARD[name]())))
    report_checked(body)
    report = read_report(body)
    answers = [(row.resource_name, row.accepted, row.reason) for row in mapping.answers_of(report)]
    found = [(row.kind, row.power_kw) for row in words.words_of(report)]
    readings = [
        (row.start_at, row.energy_kwh, row.quality, row.interval_min)
        for row in mapping.readings_of(report)
    ]
    assert (answers, words.heartbeats_of(report), sorted(found), readings) == UNDERSTOOD[name]


@pytest.mark.parametrize("message", [one for one, _ in UFTP], ids=lambda one: type(one).__name__)
def test_a_message_of_uftp_is_written_and_read_as_it_lies_here(message: Any) -> None:
    kept = _same(f"uftp-{NAME_OF[type(message)]}.xml", wire.message_render(message) + b"\n")
    assert wire.message_read(kept.strip()) == message


def test_every_golden_file_is_said_by_someone() -> None:
    said = {f"openadr-{name}.json" for name in (*SAID, *HEARD)}
    said |= {f"uftp-{name}.xml" for name in MESSAGES}
    assert {file.name for file in FOLDER.iterdir()} == said
