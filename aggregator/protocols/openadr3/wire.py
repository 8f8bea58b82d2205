"""OpenADR 3.1 on the wire: strict JSON and the types of the standard, without any framework.

Unknown properties are ignored and explicit nulls read as absent, as the standard asks;
everything the platform reads is checked, and a refusal names the field and the rule.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from accounts.core.text import RULE as PLAIN_RULE
from accounts.core.text import is_plain

BODY_BYTES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 20
NODES_MAX: Final = 100_000
NUMBER_LENGTH_MAX: Final = 32
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
_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
# once escapes are gone quotes come in pairs, so that no byte is looked at twice
_STRING: Final = re.compile(rb'"[^"]*"?')
_BRACKET: Final = re.compile(rb"[\[\]{}]")


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


def read_json(body: bytes) -> Any:
    """Parse a body in which every reader would read the same thing.

    Raises
    ------
    Malformed
        On a body too large or too deep, wrong UTF-8, a duplicated key, NaN or infinity,
        an endless number, or text that the database cannot hold.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Malformed("body", f"at most {BODY_BYTES_MAX} bytes")
    _refuse_deep(body)
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_pairs,
            parse_float=_float,
            parse_int=_int,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise Malformed("body", "UTF-8") from error
    except json.JSONDecodeError as error:
        raise Malformed("body", f"JSON; stops being so at character {error.pos}") from error
    except RecursionError as error:
        raise Malformed("body", f"at most {DEPTH_MAX} levels") from error
    _refuse_text(document)
    return document


def _refuse_deep(body: bytes) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", _ESCAPE.sub(b"", body))):
        depth += 1 if bracket.group() in b"[{" else -1
        if depth > DEPTH_MAX:
            raise Malformed("body", f"at most {DEPTH_MAX} levels")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Malformed(key[:NAME_LENGTH_MAX], "each property once")
            seen.add(key)
    return found


def _float(text: str) -> float:
    number = float(text)
    if len(text) > NUMBER_LENGTH_MAX or not math.isfinite(number):
        raise Malformed("body", f"numbers finite and of at most {NUMBER_LENGTH_MAX} characters")
    return number


def _int(text: str) -> int:
    if len(text) > NUMBER_LENGTH_MAX:
        raise Malformed("body", f"numbers of at most {NUMBER_LENGTH_MAX} characters")
    return int(text)


def _constant(text: str) -> float:
    raise Malformed("body", f"numbers; {text} is none")


def _refuse_text(document: Any) -> None:
    """Refuse NUL and lone surrogates, which no database column holds, and endless lists."""
    waiting = [document]
    nodes_count = 0
    while waiting:
        node = waiting.pop()
        nodes_count += 1
        if nodes_count > NODES_MAX:
            raise Malformed("body", f"at most {NODES_MAX} values")
        if isinstance(node, str):
            if "\0" in node or any("\ud800" <= c <= "\udfff" for c in node):
                raise Malformed("body", "text without NUL and lone surrogates")
        elif isinstance(node, dict):
            waiting += node.keys()
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


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
    if not is_plain(value):
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
class VenRequest:
    """Body of POST /vens."""

    object_type: str
    name: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ResourceRequest:
    """Body of POST /resources."""

    object_type: str
    name: str
    ven_id: str
    targets: tuple[str, ...] = ()


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


def _given(body: Mapping[str, Any], name: str) -> Any:
    """Return a required property; null is no value."""
    value = body.get(name)
    if value is None:
        raise Malformed(name, "required")
    return value


def _names(value: object, field: str) -> tuple[str, ...]:
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
    """Read an intervalPeriod; all its properties are optional."""
    if value is None:
        return Period()
    body = an_object(value, field)
    start, duration = body.get("start"), body.get("duration")
    return Period(
        start=None if start is None else read_date_time(start, f"{field}.start"),
        duration=None if duration is None else read_duration(duration, f"{field}.duration"),
    )


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
    for i, item in enumerate(a_list(_given(body, "resources"), "resources")):
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
        event_id=an_object_id(_given(body, "eventID"), "eventID"),
        client_name=a_name(_given(body, "clientName"), "clientName"),
        report_name="" if name is None else a_name(name, "reportName"),
        resources=tuple(resources),
    )


def _attributes(body: Mapping[str, Any]) -> None:
    attributes = body.get("attributes")
    if attributes is not None:
        for i, item in enumerate(a_list(attributes, "attributes")):
            read_values_map(item, f"attributes[{i}]")


def _object_type(body: Mapping[str, Any], noun: str) -> str:
    object_type = body.get("objectType")
    allowed = (f"VEN_{noun}_REQUEST", f"BL_{noun}_REQUEST")
    if object_type not in allowed:
        raise Malformed("objectType", " or ".join(allowed))
    return str(object_type)


def read_ven(value: object) -> VenRequest:
    """Read the body of POST /vens."""
    body = an_object(value, "body")
    _attributes(body)
    return VenRequest(
        object_type=_object_type(body, "VEN"),
        name=a_name(_given(body, "venName"), "venName"),
        targets=_names(body.get("targets"), "targets"),
    )


def read_resource(value: object) -> ResourceRequest:
    """Read the body of POST /resources."""
    body = an_object(value, "body")
    _attributes(body)
    return ResourceRequest(
        object_type=_object_type(body, "RESOURCE"),
        name=a_name(_given(body, "resourceName"), "resourceName"),
        ven_id=an_object_id(_given(body, "venID"), "venID"),
        targets=_names(body.get("targets"), "targets"),
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
        id=an_object_id(_given(body, "id"), "id"),
        program_id=an_object_id(_given(body, "programID"), "programID"),
        name=str(body.get("eventName") or ""),
        targets=_names(body.get("targets"), "targets"),
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
