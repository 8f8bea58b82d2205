"""What sites tell beyond answers and readings: alive or not, what they can, will and did do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from aggregator.protocols.openadr3.mapping import (
    DELTA_USAGE,
    HALF_HOUR,
    HALF_HOUR_H,
    HEARTBEAT,
    POWER_TICK_KW,
    USAGE_FORECAST,
    WORDS,
    answer_report,
    number_in,
    number_of,
    payloads_in,
    spans_report,
)
from aggregator.protocols.openadr3.wire import Malformed, ReportRequest


@dataclass(frozen=True, kw_only=True)
class Word:
    """What a site says of a half hour: available, expected or delivered [kW]."""

    resource_name: str
    kind: str
    start_at: datetime
    power_kw: Decimal


def heartbeats_of(report: ReportRequest) -> tuple[str, ...]:
    """Return the resources that a report says are alive."""
    return tuple(
        resource.name
        for resource in report.resources
        if any(payload.type == HEARTBEAT for _, payload in payloads_in(resource, "resources"))
    )


def words_of(report: ReportRequest) -> tuple[Word, ...]:
    """Return what a report says of half hours: availability, forecasts, delivered flexibility.

    ``LOAD_SHED_DELTA_AVAILABLE`` and ``GENERATION_DELTA_AVAILABLE`` are KW, of a reduction of load
    with either sign; ``USAGE_FORECAST`` and ``DELTA_USAGE`` are KWH of the interval. What was
    delivered is positive where less was drawn.

    Raises
    ------
    Malformed
        If a value is no number, or its interval no half hour.
    """
    found = []
    for i, resource in enumerate(report.resources):
        for j, interval in enumerate(resource.intervals):
            field = f"resources[{i}].intervals[{j}]"
            for payload in interval.payloads:
                if payload.type not in WORDS:
                    continue
                if interval.period.start is None or interval.period.duration != HALF_HOUR:
                    raise Malformed(f"{field}.intervalPeriod", "a start and the duration PT30M")
                if len(payload.values) != 1:
                    raise Malformed(f"{field}.payloads", f"one {payload.type} of one value")
                value = number_in(payload.values[0], f"{field}.payloads", "a number")
                found.append(
                    Word(
                        resource_name=resource.name,
                        kind=WORDS[payload.type],
                        start_at=interval.period.start,
                        power_kw=_word_kw(payload.type, value),
                    )
                )
    return tuple(found)


def _word_kw(kind: str, value: Decimal) -> Decimal:
    if kind == USAGE_FORECAST:
        value = value / HALF_HOUR_H
    elif kind == DELTA_USAGE:
        value = -value / HALF_HOUR_H
    else:
        value = abs(value)
    return value.quantize(POWER_TICK_KW)


def heartbeat_report(*, event_id: str, client_name: str, resource_name: str) -> dict[str, Any]:
    """Return the report by which a site says that it is alive."""
    payloads: list[dict[str, Any]] = [{"type": HEARTBEAT, "values": [True]}]
    return answer_report(event_id, client_name, resource_name, payloads, name="heartbeat")


def words_report(
    *,
    event_id: str,
    client_name: str,
    name: str,
    words: Mapping[str, Sequence[tuple[datetime, Mapping[str, Decimal]]]],
) -> dict[str, Any]:
    """Return a report of what a site can do, will use or did: half hours, values by payload."""
    kinds = sorted({kind for rows in words.values() for _, values in rows for kind in values})
    return spans_report(
        event_id,
        client_name,
        name,
        {
            resource: [
                (
                    start_at,
                    HALF_HOUR,
                    [
                        {"type": kind, "values": [number_of(value)]}
                        for kind, value in sorted(values.items())
                    ],
                )
                for start_at, values in rows
            ]
            for resource, rows in words.items()
        },
        [(kind, "KWH" if kind in (USAGE_FORECAST, DELTA_USAGE) else "KW") for kind in kinds],
    )
