"""Between the market's nouns and OpenADR's objects: pure functions, both ways.

Sign
----
``DISPATCH_SETPOINT_RELATIVE`` is a change of *consumption*, so an instruction UP (less load,
more supply) is a negative number of KW and DOWN a positive one. The schema of the payload in
the enumerations gives no negative numbers, which leaves no way to ask for less; like the
servers in the field we send them. ``USAGE`` is energy to the customer in KWH, negative where a
site feeds in, as our readings are.

An instruction's event carries one interval per half hour from start to end, also where
nothing is ordered: a 0 says "back to your schedule", a gap would say nothing.

Answers
-------
OpenADR 3 has no object for accepting or declining. A report on the event does it:

- payload ``ACK`` (private) with ``[true]`` accepts;
- payload ``OPERATING_STATE`` with ``RUNNING_OPTED_OUT`` or ``IDLE_OPTED_OUT`` declines; a
  payload ``OPT_OUT_REASON`` (private) beside it may say why;
- payload ``USAGE`` on an interval of half an hour is a meter reading, and ``DATA_QUALITY``
  beside it its quality; ``DEMAND`` is the same as mean power. Parts of a half hour are metered too;
- ``LOAD_SHED_DELTA_AVAILABLE``, ``GENERATION_DELTA_AVAILABLE``, ``USAGE_FORECAST`` and
  ``DELTA_USAGE`` say what a site can do, will use and did;
- payload ``HEARTBEAT`` (private) says that the site of a conditional connection is alive.

Payloads of other types are kept in the stored report and mean nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from aggregator.protocols.openadr3.wire import (
    Interval,
    Malformed,
    ReportRequest,
    ReportResource,
    print_date_time,
    print_duration,
)

HALF_HOUR: Final = timedelta(minutes=30)
DISPATCH_PROGRAM: Final = "wattbit-dispatch"
METERING_PROGRAM: Final = "wattbit-metering"
ENVELOPE_PROGRAM: Final = "wattbit-envelopes"
PRICE_PROGRAM: Final = "wattbit-prices"
SETPOINT: Final = "DISPATCH_SETPOINT_RELATIVE"
# Private: one unit behind the resource and its part of the setpoint, as [unit, KW].
UNIT_SETPOINT: Final = "UNIT_SETPOINT_RELATIVE"
# Private properties of an event; a client that does not know them ignores them.
RESPOND_BY: Final = "respondBy"
ORDER_VERSION: Final = "orderVersion"
ACK: Final = "ACK"
OPERATING_STATE: Final = "OPERATING_STATE"
OPTED_OUT_STATES: Final = ("RUNNING_OPTED_OUT", "IDLE_OPTED_OUT")
OPT_OUT_REASON: Final = "OPT_OUT_REASON"
USAGE: Final = "USAGE"
DEMAND: Final = "DEMAND"
METERED_MINUTES: Final = (1, 5, 30)
USAGE_FORECAST: Final = "USAGE_FORECAST"
DELTA_USAGE: Final = "DELTA_USAGE"
# What a report says of a half hour -> how it is noted.
WORDS: Final = {
    "LOAD_SHED_DELTA_AVAILABLE": "SHED_AVAILABLE",
    "GENERATION_DELTA_AVAILABLE": "GENERATION_AVAILABLE",
    USAGE_FORECAST: "USAGE_FORECAST",
    DELTA_USAGE: "DELIVERED",
}
IMPORT_LIMIT: Final = "IMPORT_CAPACITY_LIMIT"
PRICE: Final = "PRICE"
# Private: a site of a conditional connection is alive; and what it falls to when it hears nothing.
HEARTBEAT: Final = "HEARTBEAT"
FAILSAFE: Final = "failSafe"
ENDLESS: Final = "P9999Y"
DATA_QUALITY: Final = "DATA_QUALITY"
QUALITIES: Final = ("OK", "MISSING", "ESTIMATED", "BAD")
REASON_LENGTH_MAX: Final = 120
KW_SIGN: Final = {"UP": -1, "DOWN": 1}
ENERGY_TICK_KWH: Final = Decimal("0.001")
NUMBER_END: Final = 10**15  # no number of kW or kWh; with many more places none can be rounded
POWER_TICK_KW: Final = Decimal("0.1")
HALF_HOUR_H: Final = Decimal("0.5")


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """One half hour of an instruction."""

    start_at: datetime
    quantity_kw: Decimal
    units: Sequence[tuple[str, Decimal]] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a report says to an instruction: accepted, or declined with a reason."""

    resource_name: str
    accepted: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A metered half hour; energy flows to the customer if positive."""

    resource_name: str
    start_at: datetime
    energy_kwh: Decimal
    quality: str
    interval_min: int = 30


def program_body(name: str) -> dict[str, Any]:
    """Return the program of that name: what its events and reports carry."""
    body: dict[str, Any] = {
        "programName": name,
        "attributes": [
            {"type": "BINDING_EVENTS", "values": [name in (DISPATCH_PROGRAM, ENVELOPE_PROGRAM)]}
        ],
    }
    if name == DISPATCH_PROGRAM:
        # The metering program has none: a client in the field cannot read the descriptor of a
        # report here, and the event's report descriptors say the same.
        body["payloadDescriptors"] = [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": SETPOINT, "units": "KW"},
        ]
    return body


def dispatch_event(
    *,
    program_id: str,
    name: str,
    target: str,
    direction: str,
    ordered: Sequence[Ordered],
    respond_by_at: datetime | None = None,
    version: int | None = None,
) -> dict[str, Any]:
    """Return the body of an instruction's event.

    Parameters
    ----------
    name
        Name of the event; stable for the instruction.
    target
        The target granted to the resource that shall act.
    direction
        ``UP`` or ``DOWN``.
    ordered
        Half hours of the instruction, earliest first, at least one.
    respond_by_at, version
        By when an answer is expected, and to which version; told as private attributes.
    """
    by_start = {half.start_at: half for half in ordered}
    start_at, last_at = min(by_start), max(by_start)
    intervals: list[dict[str, Any]] = []
    moment = start_at
    while moment <= last_at:
        half = by_start.get(moment) or Ordered(start_at=moment, quantity_kw=Decimal(0))
        sign = KW_SIGN[direction]
        payloads = [{"type": SETPOINT, "values": [number_of(sign * half.quantity_kw)]}]
        payloads += [
            {"type": UNIT_SETPOINT, "values": [unit, number_of(sign * kw)]}
            for unit, kw in half.units
        ]
        intervals.append({"id": len(intervals), "payloads": payloads})
        moment += HALF_HOUR
    body = {
        "programID": program_id,
        "eventName": name,
        "priority": 0,
        "targets": [target],
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": SETPOINT, "units": "KW"},
        ],
        "reportDescriptors": [{"payloadType": ACK}, {"payloadType": OPERATING_STATE}],
        "intervalPeriod": {
            "start": print_date_time(start_at),
            "duration": print_duration(HALF_HOUR),
        },
        "intervals": intervals,
    }
    if respond_by_at is not None:
        body[RESPOND_BY] = print_date_time(respond_by_at)
    if version is not None:
        body[ORDER_VERSION] = version
    return body


def metering_event(
    *, program_id: str, name: str, starts_at: datetime, ends_at: datetime
) -> dict[str, Any]:
    """Return the event that asks every site for its half-hour readings of a day."""
    return {
        "programID": program_id,
        "eventName": name,
        "reportDescriptors": [
            {
                "payloadType": USAGE,
                "readingType": "DIRECT_READ",
                "units": "KWH",
                "reportIntervals": "OPEN_INTERVALS",
            },
        ],
        "intervalPeriod": {
            "start": print_date_time(starts_at),
            "duration": print_duration(ends_at - starts_at),
        },
        "intervals": [],
    }


def number_of(value: Decimal) -> int | float:
    """Return the JSON number of a power to the nearest 0.1 kW; never ``-0.0``."""
    whole = value == value.to_integral_value()
    return int(value) if whole else float(value)


def answers_of(report: ReportRequest) -> tuple[Answer, ...]:
    """Return what a report answers, one per resource that answers at all.

    Raises
    ------
    Malformed
        If a resource accepts and declines at once, or accepts with anything but true.
    """
    found = []
    for i, resource in enumerate(report.resources):
        answer = _answer(resource, f"resources[{i}]")
        if answer is not None:
            found.append(answer)
    return tuple(found)


def _answer(resource: ReportResource, field: str) -> Answer | None:
    accepted = declined = False
    reason = ""
    for at, payload in payloads_in(resource, field):
        if payload.type == ACK:
            if payload.values != (True,) or payload.values[0] is not True:
                raise Malformed(f"{at}.values", "[true]; to decline, report the operating state")
            accepted = True
        elif payload.type == OPERATING_STATE:
            declined = declined or any(value in OPTED_OUT_STATES for value in payload.values)
        elif payload.type == OPT_OUT_REASON:
            reason = " ".join(str(value) for value in payload.values)[:REASON_LENGTH_MAX]
    if accepted and declined:
        raise Malformed(field, "either accepted or declined")
    if not accepted and not declined:
        return None
    return Answer(resource_name=resource.name, accepted=accepted, reason=reason)


def payloads_in(resource: ReportResource, field: str) -> Iterable[tuple[str, Any]]:
    """Yield every payload of a resource's part of a report, with the name of its place."""
    for i, interval in enumerate(resource.intervals):
        for j, payload in enumerate(interval.payloads):
            yield f"{field}.intervals[{i}].payloads[{j}]", payload


def readings_of(report: ReportRequest) -> tuple[Reading, ...]:
    """Return the meter readings of a report.

    Raises
    ------
    Malformed
        If a reading is not one number for one half hour, or its quality is unknown.
    """
    found = []
    for i, resource in enumerate(report.resources):
        for j, interval in enumerate(resource.intervals):
            reading = _reading(resource.name, interval, f"resources[{i}].intervals[{j}]")
            if reading is not None:
                found.append(reading)
    return tuple(found)


def _reading(name: str, interval: Interval, field: str) -> Reading | None:
    payloads: dict[str, tuple[Any, ...]] = {}
    for payload in interval.payloads:
        if payload.type in (USAGE, DEMAND, DATA_QUALITY):
            if payload.type in payloads or len(payload.values) != 1:
                raise Malformed(f"{field}.payloads", f"one {payload.type} of one value")
            payloads[payload.type] = payload.values
    if DEMAND in payloads:
        # the mean power of the interval is its energy by its length
        if USAGE in payloads:
            raise Malformed(f"{field}.payloads", "either USAGE or DEMAND")
        _, minutes = _span(interval, field)
        kw = number_in(payloads[DEMAND][0], f"{field}.payloads", "DEMAND as a number of KW")
        payloads[USAGE] = ((kw * minutes / 60).quantize(ENERGY_TICK_KWH),)
    if USAGE not in payloads:
        return None
    start_at, minutes = _span(interval, field)
    usage = number_in(payloads[USAGE][0], f"{field}.payloads", "USAGE as a number of KWH")
    (quality,) = payloads.get(DATA_QUALITY, ("OK",))
    if quality not in QUALITIES:
        raise Malformed(f"{field}.payloads", f"DATA_QUALITY as one of {', '.join(QUALITIES)}")
    return Reading(
        resource_name=name,
        start_at=start_at,
        energy_kwh=usage,
        quality=quality,
        interval_min=minutes,
    )


def _span(interval: Interval, field: str) -> tuple[datetime, int]:
    """Return start and minutes of an interval that is metered: half an hour, or a part of one."""
    period = interval.period
    minutes = 0 if period.duration is None else period.duration / timedelta(minutes=1)
    if period.start is None or minutes not in METERED_MINUTES:
        raise Malformed(f"{field}.intervalPeriod", "a start and the duration PT30M, PT1M or PT5M")
    return period.start, int(minutes)


def number_in(value: object, field: str, rule: str) -> Decimal:
    """Return a JSON number as what it shows; a string or a boolean is none."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(field, rule)
    # a JSON number is binary in every client; what it shows is what is meant
    number = Decimal(repr(value))
    if abs(number) >= NUMBER_END:
        raise Malformed(field, f"{rule}, less than {NUMBER_END:,}")
    return number


def ack_report(*, event_id: str, client_name: str, resource_name: str) -> dict[str, Any]:
    """Return the report by which a site accepts an instruction."""
    return answer_report(
        event_id, client_name, resource_name, [{"type": ACK, "values": [True]}], name="ack"
    )


def opt_out_report(
    *, event_id: str, client_name: str, resource_name: str, reason: str
) -> dict[str, Any]:
    """Return the report by which a site declines an instruction."""
    payloads: list[dict[str, Any]] = [
        {"type": OPERATING_STATE, "values": ["RUNNING_OPTED_OUT"]},
        {"type": OPT_OUT_REASON, "values": [reason]},
    ]
    return answer_report(event_id, client_name, resource_name, payloads, name="opt-out")


def answer_report(
    event_id: str,
    client_name: str,
    resource_name: str,
    payloads: list[dict[str, Any]],
    *,
    name: str,
) -> dict[str, Any]:
    """Return a report that says some payloads of one resource, without a time."""
    return {
        "eventID": event_id,
        "clientName": client_name,
        "reportName": f"{name}-{event_id}",
        "resources": [
            {"resourceName": resource_name, "intervals": [{"id": 0, "payloads": payloads}]}
        ],
    }


class Metered(NamedTuple):
    """A value a site's meter shows; None is none."""

    start_at: datetime
    energy_kwh: Decimal | None
    quality: str = "OK"
    interval_min: int = 30


def usage_report(
    *,
    event_id: str,
    client_name: str,
    name: str,
    readings: Mapping[str, Sequence[Metered | tuple[datetime, Decimal]]],
) -> dict[str, Any]:
    """Return a report of readings, by resource; values that are none are left out."""
    return spans_report(
        event_id,
        client_name,
        name,
        {
            resource: [
                (
                    row.start_at,
                    timedelta(minutes=row.interval_min),
                    [
                        {
                            "type": USAGE,
                            "values": [number_of(row.energy_kwh.quantize(ENERGY_TICK_KWH))],
                        },
                        {"type": DATA_QUALITY, "values": [row.quality]},
                    ],
                )
                for row in (Metered(*each) for each in rows)
                if row.energy_kwh is not None
            ]
            for resource, rows in readings.items()
        },
        [(USAGE, "KWH")],
    )


def spans_report(
    event_id: str,
    client_name: str,
    name: str,
    rows: Mapping[str, Sequence[tuple[datetime, timedelta, list[dict[str, Any]]]]],
    units: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """Return a report of payloads in intervals, by resource: start, length, payloads."""
    return {
        "eventID": event_id,
        "clientName": client_name,
        "reportName": name,
        "payloadDescriptors": [
            {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": unit}
            | ({"readingType": "DIRECT_READ"} if kind == USAGE else {})
            for kind, unit in units
        ],
        "resources": [
            {
                "resourceName": resource,
                "intervals": [
                    {
                        "id": i,
                        "intervalPeriod": {
                            "start": print_date_time(start_at),
                            "duration": print_duration(length),
                        },
                        "payloads": payloads,
                    }
                    for i, (start_at, length, payloads) in enumerate(of_resource)
                ],
            }
            for resource, of_resource in sorted(rows.items())
        ],
    }
