"""What clients ask an OpenADR server to write, read and checked; no framework and no app of ours.

A missing required property and a value of the wrong shape are refused by field and rule; explicit
nulls are absent values; properties that the standard does not know are let be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aggregator.protocols.openadr3.wire import (
    DURATION_ANY,
    NAME_LENGTH_MAX,
    Malformed,
    a_duration,
    a_list,
    a_name,
    an_int32,
    an_object,
    an_object_id,
    given,
    names,
    read_date_time,
    read_values_map,
)

OBJECT_KINDS: Final = ("PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE")
# both spellings of the field: of the standard since 3.1, and of 3.0 and clients still on it
OPERATIONS: Final = {
    "CREATE": "CREATE",
    "READ": "READ",
    "UPDATE": "UPDATE",
    "DELETE": "DELETE",
    "POST": "CREATE",
    "GET": "READ",
    "PUT": "UPDATE",
}
VERBS: Final = {"CREATE": "POST", "READ": "GET", "UPDATE": "PUT", "DELETE": "DELETE"}
RULES_MAX: Final = 20
URL_LENGTH_MAX: Final = 2000
BEARER_LENGTH_MAX: Final = 4096
NO_END_DAYS: Final = 400 * 366  # "P9999Y" and its like
# "0001-01-01T00:00:00Z": as soon as it is read
NOW_YEAR: Final = 1
REPORT_INTERVALS: Final = ("INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS")
CONFIDENCE_MAX: Final = 100
Check = Callable[[object, str], Any]


@dataclass(frozen=True, kw_only=True)
class ProgramRequest:
    """Body of a program."""

    name: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EventRequest:
    """Body of an event, as far as the server reads it.

    Parameters
    ----------
    starts_at
        First moment it is about; None if it says none, or "now".
    ends_at
        End of what it is about; None if it has none.
    """

    program_id: str
    targets: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class VenRequest:
    """Body of a ven."""

    object_type: str
    name: str
    client_id: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ResourceRequest:
    """Body of a resource."""

    object_type: str
    name: str
    ven_id: str
    client_id: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RuleRequest:
    """One of a subscription's operations on objects, and the address to be told of it."""

    objects: tuple[str, ...]
    operations: tuple[str, ...]
    speaks_verbs: bool
    url: str
    bearer: str | None = None


@dataclass(frozen=True, kw_only=True)
class SubscriptionRequest:
    """Body of a subscription."""

    client_name: str
    program_id: str | None
    rules: tuple[RuleRequest, ...]
    targets: tuple[str, ...] = ()


def read_program(value: object) -> ProgramRequest:
    """Read the body of a program."""
    body = an_object(value, "body")
    name = a_name(given(body, "programName"), "programName")
    _optional(
        body,
        "",
        intervalPeriod=_period,
        programDescriptions=a_list,
        payloadDescriptors=_each(_descriptor),
        attributes=_each(read_values_map),
    )
    return ProgramRequest(name=name, targets=names(body.get("targets"), "targets"))


def read_event_request(value: object) -> EventRequest:
    """Read the body of an event."""
    body = an_object(value, "body")
    program_id = an_object_id(given(body, "programID"), "programID")
    _optional(
        body,
        "",
        eventName=_text,
        duration=a_duration,
        priority=_not_negative,
        reportDescriptors=_each(_report_descriptor),
        payloadDescriptors=_each(_event_descriptor),
        intervalPeriod=_period,
        intervals=_each(_interval),
    )
    starts_at, ends_at = _extent(body)
    return EventRequest(
        program_id=program_id,
        targets=names(body.get("targets"), "targets"),
        starts_at=starts_at,
        ends_at=ends_at,
    )


def read_ven(value: object) -> VenRequest:
    """Read the body of a ven."""
    body = an_object(value, "body")
    object_type = _object_type(body, "VEN")
    _optional(body, "", attributes=_each(read_values_map))
    return VenRequest(
        object_type=object_type,
        name=a_name(given(body, "venName"), "venName"),
        client_id=_client_id(body, object_type),
        targets=names(body.get("targets"), "targets"),
    )


def read_resource(value: object) -> ResourceRequest:
    """Read the body of a resource."""
    body = an_object(value, "body")
    object_type = _object_type(body, "RESOURCE")
    _optional(body, "", attributes=_each(read_values_map))
    return ResourceRequest(
        object_type=object_type,
        name=a_name(given(body, "resourceName"), "resourceName"),
        ven_id=an_object_id(given(body, "venID"), "venID"),
        client_id=_client_id(body, object_type),
        targets=names(body.get("targets"), "targets"),
    )


def read_subscription(value: object) -> SubscriptionRequest:
    """Read the body of a subscription."""
    body = an_object(value, "body")
    program_id = body.get("programID")
    rules = a_list(given(body, "objectOperations"), "objectOperations")
    if len(rules) > RULES_MAX:
        raise Malformed("objectOperations", f"at most {RULES_MAX}")
    return SubscriptionRequest(
        client_name=a_name(given(body, "clientName"), "clientName"),
        program_id=None if program_id is None else an_object_id(program_id, "programID"),
        rules=tuple(_rule(item, f"objectOperations[{i}]") for i, item in enumerate(rules)),
        targets=names(body.get("targets"), "targets"),
    )


def report_checked(value: object) -> None:
    """Check the parts of a report that :func:`wire.read_report` has no use for."""
    body = an_object(value, "body")
    _optional(body, "", reportName=_text, payloadDescriptors=_each(_reported))


def _rule(value: object, at: str) -> RuleRequest:
    body = an_object(value, at)
    objects = a_list(given(body, "objects", at), f"{at}.objects")
    for i, kind in enumerate(objects):
        if kind not in OBJECT_KINDS:
            raise Malformed(f"{at}.objects[{i}]", f"one of {', '.join(OBJECT_KINDS)}")
    operations = a_list(given(body, "operations", at), f"{at}.operations")
    for i, operation in enumerate(operations):
        if not isinstance(operation, str) or operation not in OPERATIONS:
            raise Malformed(f"{at}.operations[{i}]", "CREATE, READ, UPDATE or DELETE")
    url = given(body, "callbackUrl", at)
    if not isinstance(url, str) or not 1 <= len(url) <= URL_LENGTH_MAX:
        raise Malformed(f"{at}.callbackUrl", f"a URL of at most {URL_LENGTH_MAX} characters")
    bearer = body.get("bearerToken")
    if bearer is not None and not _is_token(bearer):
        raise Malformed(f"{at}.bearerToken", f"1 to {BEARER_LENGTH_MAX} printable characters")
    return RuleRequest(
        objects=tuple(dict.fromkeys(objects)),
        operations=tuple(dict.fromkeys(OPERATIONS[word] for word in operations)),
        speaks_verbs=any(word in ("POST", "PUT", "GET") for word in operations),
        url=url,
        bearer=bearer,
    )


def _is_token(value: object) -> bool:
    """Whether it can stand in a header as it is."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= BEARER_LENGTH_MAX
        and value.isascii()
        and value.isprintable()
    )


def _optional(body: Mapping[str, Any], at: str, **checks: Check) -> None:
    """Check what is there; null is not."""
    for name, check in checks.items():
        if body.get(name) is not None:
            check(body[name], f"{at}.{name}" if at else name)


def _each(check: Check) -> Check:
    def all_of(value: object, at: str) -> None:
        for i, item in enumerate(a_list(value, at)):
            check(item, f"{at}[{i}]")

    return all_of


def _text(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise Malformed(at, "text")
    return value


def _true_or_false(value: object, at: str) -> None:
    if not isinstance(value, bool):
        raise Malformed(at, "true or false")


def _number(value: object, at: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(at, "a number")


def _not_negative(value: object, at: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Malformed(at, "a whole number from 0")


def _confidence(value: object, at: str) -> None:
    if type(value) is not int or not 0 <= value <= CONFIDENCE_MAX:
        raise Malformed(at, f"a whole number from 0 to {CONFIDENCE_MAX}")


def _targets(value: object, at: str) -> None:
    names(value, at)


def _period(value: object, at: str) -> None:
    body = an_object(value, at)
    _optional(body, at, start=read_date_time, duration=a_duration, randomizeStart=a_duration)


def _interval(value: object, at: str) -> None:
    body = an_object(value, at)
    an_int32(body.get("id"), f"{at}.id")
    _optional(body, at, intervalPeriod=_period)
    _each(read_values_map)(body.get("payloads"), f"{at}.payloads")


def _descriptor_of(*kinds: str) -> Check:
    def check(value: object, at: str) -> None:
        body = an_object(value, at)
        kind = body.get("objectType")
        if kind not in kinds:
            raise Malformed(f"{at}.objectType", " or ".join(kinds))
        a_name(body.get("payloadType"), f"{at}.payloadType")
        _optional(body, at, units=a_name)
        if kind == "EVENT_PAYLOAD_DESCRIPTOR":
            _optional(body, at, currency=_text)
        else:
            _optional(body, at, readingType=a_name, accuracy=_number, confidence=_confidence)

    return check


_event_descriptor = _descriptor_of("EVENT_PAYLOAD_DESCRIPTOR")
_reported = _descriptor_of("REPORT_PAYLOAD_DESCRIPTOR")
_descriptor = _descriptor_of("EVENT_PAYLOAD_DESCRIPTOR", "REPORT_PAYLOAD_DESCRIPTOR")


def _report_descriptor(value: object, at: str) -> None:
    body = an_object(value, at)
    a_name(body.get("payloadType"), f"{at}.payloadType")
    _optional(
        body,
        at,
        readingType=a_name,
        units=a_name,
        targets=_targets,
        aggregate=_true_or_false,
        startInterval=an_int32,
        numIntervals=an_int32,
        historical=_true_or_false,
        frequency=an_int32,
        repeat=an_int32,
    )
    kind = body.get("reportIntervals")
    if kind is not None and kind not in REPORT_INTERVALS:
        raise Malformed(f"{at}.reportIntervals", " or ".join(REPORT_INTERVALS))


def _object_type(body: Mapping[str, Any], noun: str) -> str:
    object_type = body.get("objectType")
    allowed = (f"VEN_{noun}_REQUEST", f"BL_{noun}_REQUEST")
    if object_type not in allowed:
        raise Malformed("objectType", " or ".join(allowed))
    return str(object_type)


def _client_id(body: Mapping[str, Any], object_type: str) -> str:
    """Return the client a ven is given to; only business logic says so."""
    if object_type.startswith("VEN_"):
        return ""
    return a_name(given(body, "clientID"), "clientID")


def _extent(body: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Return from when to when an event speaks: None where it has no start, or no end.

    A duration of 0 s is "instantaneous or infinite, by the type of payload": what a server cannot
    tell it does not end.
    """
    whole = body.get("intervalPeriod") or {}
    start = _moment(whole.get("start"))
    total = _length(body.get("duration"))
    each = _length(whole.get("duration"))
    spans = list(_spans(body.get("intervals") or (), start, each))
    starts = [at for at, _ in spans if at is not None] or ([start] if start is not None else [])
    starts_at = min(starts, default=None)
    if total is not None:
        return starts_at, _after(starts_at, total)
    if body.get("duration") is not None:
        return starts_at, None
    if not spans:
        return starts_at, _after(starts_at, each)
    ends = [_after(at, length) for at, length in spans]
    known = [end for end in ends if end is not None]
    return starts_at, max(known) if len(known) == len(ends) else None


def _spans(
    intervals: Iterable[Any], start: datetime | None, each: timedelta | None
) -> Iterable[tuple[datetime | None, timedelta | None]]:
    following = start
    for interval in intervals:
        own = interval.get("intervalPeriod") or {}
        at = _moment(own.get("start")) or following
        length = _length(own.get("duration")) if own.get("duration") is not None else each
        yield at, length
        following = _after(at, length)


def _moment(text: str | None) -> datetime | None:
    """Return the instant; None for the standard's "now"."""
    if text is None:
        return None
    moment = read_date_time(text, "start")
    return None if moment.year <= NOW_YEAR else moment


def _length(text: str | None) -> timedelta | None:
    """Return how long a duration is, years of 365 and months of 30 days; None if without end."""
    if text is None or DURATION_ANY.fullmatch(text) is None or text.startswith("-"):
        return None
    date, _, clock = text.removeprefix("P").partition("T")
    amounts = {**_amounts(date, "YMWD"), **{f"T{k}": v for k, v in _amounts(clock, "HMS").items()}}
    days = (
        365 * amounts.get("Y", 0)
        + 30 * amounts.get("M", 0)
        + 7 * amounts.get("W", 0)
        + amounts.get("D", 0)
    )
    seconds = 3600 * amounts.get("TH", 0) + 60 * amounts.get("TM", 0) + amounts.get("TS", 0)
    if days + seconds / 86_400 > NO_END_DAYS:
        return None
    length = timedelta(days=days, seconds=seconds)
    return length if length > timedelta() else None


def _amounts(text: str, units: str) -> dict[str, float]:
    found, number = {}, ""
    for character in text:
        if character in units:
            found[character], number = float(number), ""
        else:
            number += character
    return found


def _after(start: datetime | None, length: timedelta | None) -> datetime | None:
    if start is None or length is None:
        return None
    try:
        return start + length
    except OverflowError:
        return None


__all__ = [
    "NAME_LENGTH_MAX",
    "VERBS",
    "EventRequest",
    "ProgramRequest",
    "ResourceRequest",
    "RuleRequest",
    "SubscriptionRequest",
    "VenRequest",
    "read_event_request",
    "read_program",
    "read_resource",
    "read_subscription",
    "read_ven",
    "report_checked",
]
