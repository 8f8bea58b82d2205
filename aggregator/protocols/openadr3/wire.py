"""OpenADR 3.1 on the wire: the types of the standard, without any framework or app of ours.

Unknown properties are ignored and explicit nulls read as absent, as the standard asks;
everything the platform reads is checked, and a refusal names the field and the rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import InvalidOperation
from typing import Any, Final

BODY_BYTES_MAX: Final = 1_000_000
NAME_LENGTH_MAX: Final = 128
PAGE_MAX: Final = 50
SKIP_MAX: Final = 10**9
DURATION_S_MAX: Final = 400 * 86_400

OBJECT_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)
# Years and months are no fixed number of seconds; "P9999Y" is the standard's "no end".
DURATION: Final = re.compile(
    r"P(?=\d|T\d)(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,8})S)?)?",
    re.ASCII,
)
DATE_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# durations as the standard allows them, for messages that are stored and not reckoned with
DURATION_ANY: Final = re.compile(
    r"-?P(?=\d|T\d)(?:\d{1,6}Y)?(?:\d{1,6}M)?(?:\d{1,6}[DW])?"
    r"(?:T(?:\d{1,8}H)?(?:\d{1,8}M)?(?:\d{1,8}(?:\.\d{1,9})?S)?)?",
    re.ASCII,
)
# what no name has and no column holds: control characters and lone surrogates
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
PLAIN_RULE: Final = "text without control characters and lone surrogates"


class Malformed(Exception):
    """The message breaks a rule of the standard.

    Parameters
    ----------
    field
        Path of the offending property, e.g. ``resources[0].intervals[2].id``.
    rule
        What it must be.
    """

    def __init__(self, field: str, rule: str) -> None:
        self.field = field
        self.rule = rule
        super().__init__(f"{field}: {rule}")


def finite(text: str) -> float:
    """Return a number as the protocol means it; one beyond every float is none."""
    number = float(text)
    if not math.isfinite(number):
        raise InvalidOperation
    return number


def read_duration(value: object, field: str) -> timedelta:
    """Read an ISO 8601 duration of days and shorter."""
    found = DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Malformed(field, "a duration such as PT30M, in days and shorter")
    parts = {name: int(text) for name, text in found.groupdict().items() if text}
    duration = timedelta(**parts)
    if duration.total_seconds() > DURATION_S_MAX:
        raise Malformed(field, "a duration of 400 days or less")
    return duration


def print_duration(value: timedelta) -> str:
    """Write a duration of whole seconds, e.g. ``PT30M`` or ``P1D``."""
    days, rest_s = divmod(int(value.total_seconds()), 86_400)
    hours, rest_s = divmod(rest_s, 3_600)
    minutes, seconds = divmod(rest_s, 60)
    date = f"{days}D" if days else ""
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    return f"P{date}T{clock}" if clock else f"P{date}" if date else "PT0S"


def read_date_time(value: object, field: str) -> datetime:
    """Read an RFC 3339 date-time; one without an offset is refused."""
    if not isinstance(value, str) or not DATE_TIME.fullmatch(value):
        raise Malformed(field, "a date-time with its offset, e.g. 2026-11-25T08:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed(field, "a date-time that exists") from error


def print_date_time(value: datetime) -> str:
    """Write an instant in UTC, to the second where nothing is lost."""
    text = value.astimezone(UTC).isoformat(timespec="auto")
    return text.replace("+00:00", "Z")


def an_object(value: object, field: str) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object."""
    if not isinstance(value, Mapping):
        raise Malformed(field, "an object")
    return value


def a_list(value: object, field: str) -> list[Any]:
    """Return `value` if it is a JSON array."""
    if not isinstance(value, list):
        raise Malformed(field, "a list")
    return value


def a_name(value: object, field: str) -> str:
    """Return `value` if it is plain text of 1 to 128 characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= NAME_LENGTH_MAX:
        raise Malformed(field, f"text of 1 to {NAME_LENGTH_MAX} characters")
    if _NEVER.search(value):
        raise Malformed(field, PLAIN_RULE)
    return value


def an_object_id(value: object, field: str) -> str:
    """Return `value` if it can be an object's id."""
    if not isinstance(value, str) or not OBJECT_ID.fullmatch(value):
        raise Malformed(field, "an id of 1 to 128 letters, digits, - and _")
    return value


def an_int32(value: object, field: str) -> int:
    """Return `value` if it is a 32-bit integer."""
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise Malformed(field, "a 32-bit integer")
    return value


@dataclass(frozen=True, kw_only=True)
class ValuesMap:
    """A typed list of values."""

    type: str
    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Period:
    """When an interval lies; None where the message leaves it open."""

    start: datetime | None = None
    duration: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Payloads of one interval, with its place in time resolved."""

    id: int
    period: Period
    payloads: tuple[ValuesMap, ...]


@dataclass(frozen=True, kw_only=True)
class ReportResource:
    """What a report says of one resource."""

    name: str
    intervals: tuple[Interval, ...]


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """Body of POST /reports, as far as the platform reads it."""

    event_id: str
    client_name: str
    report_name: str
    resources: tuple[ReportResource, ...]


@dataclass(frozen=True, kw_only=True)
class EventMessage:
    """An event as a client reads it."""

    id: str
    program_id: str
    name: str
    targets: tuple[str, ...]
    payload_units: Mapping[str, str]
    intervals: tuple[Interval, ...]
    body: Mapping[str, Any] = field(repr=False, default_factory=dict)


def given(body: Mapping[str, Any], name: str, at: str = "") -> Any:
    """Return a required property; null is no value."""
    value = body.get(name)
    if value is None:
        raise Malformed(f"{at}.{name}" if at else name, "required")
    return value


def names(value: object, field: str) -> tuple[str, ...]:
    """Return the names of a list of targets; null is none."""
    if value is None:
        return ()
    return tuple(a_name(item, f"{field}[{i}]") for i, item in enumerate(a_list(value, field)))


def read_values_map(value: object, field: str) -> ValuesMap:
    """Read a valuesMap: numbers, text, booleans and points."""
    body = an_object(value, field)
    kind = a_name(body.get("type"), f"{field}.type")
    values = a_list(body.get("values"), f"{field}.values")
    for i, item in enumerate(values):
        if isinstance(item, Mapping):
            for axis in ("x", "y"):
                if isinstance(item.get(axis), bool) or not isinstance(item.get(axis), int | float):
                    raise Malformed(f"{field}.values[{i}].{axis}", "a number")
        elif item is None or isinstance(item, list):
            raise Malformed(f"{field}.values[{i}]", "a number, text, true, false or a point")
    return ValuesMap(type=kind, values=tuple(values))


def read_period(value: object, field: str) -> Period:
    """Read an intervalPeriod; all its properties are optional.

    A duration that is no fixed time, such as a month, is one to the standard; it reads as open.
    """
    if value is None:
        return Period()
    body = an_object(value, field)
    start = body.get("start")
    randomize = body.get("randomizeStart")
    if randomize is not None:
        a_duration(randomize, f"{field}.randomizeStart")
    return Period(
        start=None if start is None else read_date_time(start, f"{field}.start"),
        duration=_fixed(body.get("duration"), f"{field}.duration"),
    )


def _fixed(value: object, field: str) -> timedelta | None:
    if value is None:
        return None
    text = a_duration(value, field)
    return read_duration(text, field) if DURATION.fullmatch(text) else None


def a_duration(value: object, field: str) -> str:
    """Return `value` if it is a duration of the standard, of whatever units."""
    if not isinstance(value, str) or not DURATION_ANY.fullmatch(value):
        raise Malformed(field, "a duration such as PT30M")
    return value


def read_intervals(value: object, whole: Period, field: str) -> tuple[Interval, ...]:
    """Read intervals; one without a period of its own follows its predecessor.

    Parameters
    ----------
    whole
        The period of the enclosing object: where the first interval starts and how long
        each one lasts.
    """
    return tuple(_intervals(a_list(value, field), whole, field))


def _intervals(items: list[Any], whole: Period, field: str) -> Iterator[Interval]:
    next_start = whole.start
    for i, item in enumerate(items):
        at = f"{field}[{i}]"
        body = an_object(item, at)
        own = read_period(body.get("intervalPeriod"), f"{at}.intervalPeriod")
        period = Period(
            start=own.start if own.start is not None else next_start,
            duration=own.duration if own.duration is not None else whole.duration,
        )
        next_start = None
        if period.start is not None and period.duration is not None:
            try:
                next_start = period.start + period.duration
            except OverflowError as error:
                raise Malformed(f"{at}.intervalPeriod", "a time that exists") from error
        payloads = a_list(body.get("payloads"), f"{at}.payloads")
        yield Interval(
            id=an_int32(body.get("id"), f"{at}.id"),
            period=period,
            payloads=tuple(
                read_values_map(payload, f"{at}.payloads[{j}]")
                for j, payload in enumerate(payloads)
            ),
        )


def read_report(value: object) -> ReportRequest:
    """Read the body of POST /reports."""
    body = an_object(value, "body")
    resources = []
    for i, item in enumerate(a_list(given(body, "resources"), "resources")):
        at = f"resources[{i}]"
        part = an_object(item, at)
        whole = read_period(part.get("intervalPeriod"), f"{at}.intervalPeriod")
        resources.append(
            ReportResource(
                name=a_name(part.get("resourceName"), f"{at}.resourceName"),
                intervals=read_intervals(part.get("intervals"), whole, f"{at}.intervals"),
            )
        )
    name = body.get("reportName")
    return ReportRequest(
        event_id=an_object_id(given(body, "eventID"), "eventID"),
        client_name=a_name(given(body, "clientName"), "clientName"),
        report_name="" if name is None else a_name(name, "reportName"),
        resources=tuple(resources),
    )


def read_event(value: object) -> EventMessage:
    """Read an event, as a client receives it."""
    body = an_object(value, "event")
    whole = read_period(body.get("intervalPeriod"), "intervalPeriod")
    units = {}
    for item in body.get("payloadDescriptors") or ():
        if isinstance(item, Mapping) and item.get("units"):
            units[str(item.get("payloadType"))] = str(item["units"])
    return EventMessage(
        id=an_object_id(given(body, "id"), "id"),
        program_id=an_object_id(given(body, "programID"), "programID"),
        name=str(body.get("eventName") or ""),
        targets=names(body.get("targets"), "targets"),
        payload_units=units,
        intervals=read_intervals(body.get("intervals") or [], whole, "intervals"),
        body=body,
    )


def read_count(text: str, field: str, *, low: int, high: int) -> int:
    """Read a whole number of a query string."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high))):
        raise Malformed(field, f"a number from {low} to {high}")
    number = int(text)
    if not low <= number <= high:
        raise Malformed(field, f"a number from {low} to {high}")
    return number


def read_boolean(text: str, field: str) -> bool:
    """Read true or false of a query string."""
    if text not in ("true", "false"):
        raise Malformed(field, "true or false")
    return text == "true"
