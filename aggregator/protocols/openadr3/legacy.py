"""OpenADR 3.0.1 over the objects of 3.1: two shapes of the same thing, both ways, pure.

What a client sent through 3.0.1 is kept as it was sent, beside what it reads like in 3.1, and is
shown to clients of 3.0.1 so. Of what was written in 3.1 its 3.0.1 is made here: targets become one
values map, attributes of programs its named properties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from aggregator.protocols.openadr3.wire import (
    Malformed,
    a_list,
    a_name,
    an_object,
    given,
    read_values_map,
)

VERSION: Final = "3.0.1"
TARGET_TYPE: Final = "GROUP"  # of a name that was written in 3.1, which has no types
ATTRIBUTES: Final = {
    "programLongName": "PROGRAM_LONG_NAME",
    "retailerName": "RETAILER_NAME",
    "retailerLongName": "RETAILER_LONG_NAME",
    "programType": "PROGRAM_TYPE",
    "country": "COUNTRY",
    "principalSubdivision": "PRINCIPAL_SUBDIVISION",
    "timeZoneOffset": "TIME_ZONE_OFFSET",
    "bindingEvents": "BINDING_EVENTS",
    "localPrice": "LOCAL",
}
METADATA: Final = ("id", "createdDateTime", "modificationDateTime", "objectType")
VERBS: Final = {"CREATE": "POST", "UPDATE": "PUT", "READ": "GET", "DELETE": "DELETE"}
Json = dict[str, Any]


class Seen(Protocol):
    """An object as a client is shown it."""

    @property
    def targets(self) -> Sequence[str] | None:
        """Targets it is shown."""

    @property
    def body_3_0(self) -> Mapping[str, Any] | None:
        """What was sent through 3.0.1, if it was."""


def request(kind: str, value: object, *, is_business: bool, ven_id: str = "") -> Json:
    """Return a body of 3.0.1 as one of 3.1.

    Parameters
    ----------
    is_business
        Whether business logic writes; of vens and resources there are two kinds of requests.
    ven_id
        Of the path, where a resource lies under its ven.
    """
    body = dict(an_object(value, "body"))
    read: Json = {name: item for name, item in body.items() if name not in METADATA}
    if body.get("targets") is not None:
        read["targets"] = target_names(body["targets"], "targets")
    for reading in (_program, _event, _report, _subscription):
        reading(kind, read)
    if kind in ("VEN", "RESOURCE"):
        side = "BL" if is_business else "VEN"
        read["objectType"] = f"{side}_{kind}_REQUEST"
        read.pop("resources", None)
    if kind == "RESOURCE":
        read["venID"] = ven_id or read.get("venID")
    return read


def target_names(value: object, at: str) -> list[str]:
    """Return the names in a list of values maps; their types say nothing in 3.1."""
    found = []
    for i, item in enumerate(a_list(value, at)):
        named = read_values_map(item, f"{at}[{i}]")
        for j, name in enumerate(named.values):
            found.append(a_name(name, f"{at}[{i}].values[{j}]"))
    return list(dict.fromkeys(found))


def answer(kind: str, told: Mapping[str, Any], seen: Seen) -> Json:
    """Return an object of 3.1 as one of 3.0.1; of what came so, as it came."""
    if seen.body_3_0 is not None:
        return _as_it_came(kind, told, seen.body_3_0, seen.targets)
    body = {name: item for name, item in told.items() if name != "clientID"}
    body["targets"] = _typed(told.get("targets"))
    if kind in _ANSWERS:
        _ANSWERS[kind](body)
    return body


def _as_it_came(
    kind: str, told: Mapping[str, Any], came: Mapping[str, Any], targets: Sequence[str] | None
) -> Json:
    body = {**came, **{name: told[name] for name in METADATA}}
    if came.get("targets") is not None:
        body["targets"] = _only(came["targets"], set(targets or ()))
    if kind == "EVENT" and came.get("reportDescriptors"):
        # others' targets are hidden there, too; what is shown is worked out once
        shown = dict(told)
        _event_answer(shown)
        body["reportDescriptors"] = shown["reportDescriptors"]
    if kind == "SUBSCRIPTION":
        _without_tokens(body)
    for name in ("programID", "eventID", "venID"):
        if told.get(name) is not None:
            body[name] = told[name]
    return body


def _program_answer(body: Json) -> None:
    names = {word: name for name, word in ATTRIBUTES.items()}
    for item in body.pop("attributes", None) or ():
        if item.get("type") in names and item.get("values"):
            body.setdefault(names[item["type"]], item["values"][0])


def _event_answer(body: Json) -> None:
    body["intervals"] = body.get("intervals") or []
    if body.get("reportDescriptors"):
        body["reportDescriptors"] = [
            {**item, "targets": _typed(item.get("targets"))} for item in body["reportDescriptors"]
        ]


def _subscription_answer(body: Json) -> None:
    body["objectOperations"] = [
        {**rule, "operations": [VERBS.get(word, word) for word in rule["operations"]]}
        for rule in body.get("objectOperations") or ()
    ]


_ANSWERS: Final[Mapping[str, Callable[[Json], None]]] = {
    "PROGRAM": _program_answer,
    "EVENT": _event_answer,
    "SUBSCRIPTION": _subscription_answer,
}


def _program(kind: str, read: Json) -> None:
    if kind != "PROGRAM":
        return
    attributes = [
        {"type": word, "values": [read[name]]}
        for name, word in ATTRIBUTES.items()
        if read.get(name) is not None
    ]
    read["attributes"] = attributes or None
    _typed_descriptors(read)


def _event(kind: str, read: Json) -> None:
    if kind != "EVENT":
        return
    given(read, "intervals")
    _typed_descriptors(read)
    descriptors = []
    for i, item in enumerate(read.get("reportDescriptors") or ()):
        descriptor = dict(an_object(item, f"reportDescriptors[{i}]"))
        if descriptor.get("targets") is not None:
            descriptor["targets"] = target_names(
                descriptor["targets"], f"reportDescriptors[{i}].targets"
            )
        descriptors.append(descriptor)
    if descriptors:
        read["reportDescriptors"] = descriptors


def _report(kind: str, read: Json) -> None:
    if kind == "REPORT":
        given(read, "programID")
        _typed_descriptors(read, default="REPORT_PAYLOAD_DESCRIPTOR")


def _subscription(kind: str, read: Json) -> None:
    if kind == "SUBSCRIPTION":
        given(read, "programID")


def _typed_descriptors(read: Json, *, default: str = "EVENT_PAYLOAD_DESCRIPTOR") -> None:
    """Name the kind of payload descriptors, which 3.0.1 leaves open."""
    found = read.get("payloadDescriptors")
    if isinstance(found, list):
        read["payloadDescriptors"] = [
            {"objectType": default, **item} if isinstance(item, dict) else item for item in found
        ]


def _typed(names: Sequence[str] | None) -> list[Json] | None:
    return [{"type": TARGET_TYPE, "values": list(names)}] if names else None


def _only(targets: object, shown: set[str]) -> list[Json] | None:
    """Keep of a list of values maps what the reader is shown."""
    if not isinstance(targets, list):
        raise Malformed("targets", "a list")
    kept = [
        {**item, "values": [name for name in item["values"] if name in shown]} for item in targets
    ]
    return [item for item in kept if item["values"]] or None


def _without_tokens(body: Json) -> None:
    body["objectOperations"] = [
        {**rule, "bearerToken": None} for rule in body.get("objectOperations") or ()
    ]
