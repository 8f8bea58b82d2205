"""Bodies of events that say what a site may draw, and what a half hour costs: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from aggregator.protocols.openadr3.mapping import (
    ENDLESS,
    FAILSAFE,
    HALF_HOUR,
    HEARTBEAT,
    IMPORT_LIMIT,
    PRICE,
    number_of,
)
from aggregator.protocols.openadr3.wire import print_date_time, print_duration


@dataclass(frozen=True, kw_only=True)
class Failsafe:
    """What a silent site falls to, after how long, and how often it says that it is alive."""

    firm_kw: Decimal
    failsafe_s: int
    heartbeat_s: int


def limit_event(
    *,
    program_id: str,
    name: str,
    targets: Sequence[str],
    spans: Sequence[tuple[datetime, datetime | None, Decimal]],
    failsafe: Failsafe | None = None,
) -> dict[str, Any]:
    """Return the event that says what a site may draw: IMPORT_CAPACITY_LIMIT in KW.

    Parameters
    ----------
    spans
        Start, end and limit, in turn; without an end the limit holds until something else is said.
    failsafe
        Of a conditional connection: what the site falls to by itself, and when. It is told as
        private properties, and asked for by a report descriptor.
    """
    intervals = []
    for number, (starts_at, ends_at, limit_kw) in enumerate(spans):
        duration = ENDLESS if ends_at is None else print_duration(ends_at - starts_at)
        intervals.append(
            {
                "id": number,
                "intervalPeriod": {"start": print_date_time(starts_at), "duration": duration},
                "payloads": [{"type": IMPORT_LIMIT, "values": [number_of(limit_kw)]}],
            }
        )
    starts_at, last_at = spans[0][0], spans[-1][1]
    body: dict[str, Any] = {
        "programID": program_id,
        "eventName": name,
        "priority": 0,
        "targets": list(targets),
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": IMPORT_LIMIT, "units": "KW"},
        ],
        "intervalPeriod": {
            "start": print_date_time(starts_at),
            "duration": ENDLESS if last_at is None else print_duration(last_at - starts_at),
        },
        "intervals": intervals,
    }
    if failsafe is not None:
        body["reportDescriptors"] = [{"payloadType": HEARTBEAT}]
        body[FAILSAFE] = {
            "importCapacityLimitKw": number_of(failsafe.firm_kw),
            "afterSeconds": failsafe.failsafe_s,
            "heartbeatSeconds": failsafe.heartbeat_s,
        }
    return body


def price_event(
    *,
    program_id: str,
    name: str,
    targets: Sequence[str],
    prices: Sequence[tuple[datetime, Decimal]],
) -> dict[str, Any]:
    """Return the event of a day's published prices: PRICE in JPY per KWH, half hour by half hour.

    Parameters
    ----------
    prices
        Start and price, in turn and without gaps.
    """
    return {
        "programID": program_id,
        "eventName": name,
        "targets": list(targets),
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": PRICE,
                "units": "KWH",
                "currency": "JPY",
            },
        ],
        "intervalPeriod": {
            "start": print_date_time(prices[0][0]),
            "duration": print_duration(HALF_HOUR),
        },
        "intervals": [
            {"id": number, "payloads": [{"type": PRICE, "values": [number_of(price)]}]}
            for number, (_, price) in enumerate(prices)
        ],
    }
