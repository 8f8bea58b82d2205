"""A ven that comes with its resources inside, as 3.0.1 has it: all of it is made, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from aggregator.protocols.openadr3 import legacy
from aggregator.protocols.openadr3.models import ObjectKind
from aggregator.protocols.openadr3.selectors import Caller
from aggregator.protocols.openadr3.wire import Malformed, a_list
from aggregator.protocols.openadr3.wire_requests import (
    ResourceRequest,
    VenRequest,
    read_resource,
)
from aggregator.protocols.openadr3.writing import Sent, Written, resource_create, ven_create

RESOURCES: Final = "resources"
RESOURCES_MAX: Final = 500
# stands for the ven that is yet to be made, while its resources are read
NO_VEN: Final = str(UUID(int=0))


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """One resource as it was read, and as it is kept."""

    request: ResourceRequest
    sent: Sent


def resources_inside(body: Mapping[str, Any], caller: Caller) -> tuple[Embedded, ...]:
    """Read the resources inside a ven's body of 3.0.1; a null is none.

    Raises
    ------
    Malformed
        Naming the resource and its property.
    """
    inside = body.get(RESOURCES)
    if inside is None:
        return ()
    rows = a_list(inside, RESOURCES)
    if len(rows) > RESOURCES_MAX:
        raise Malformed(RESOURCES, f"at most {RESOURCES_MAX}")
    return tuple(_read(row, f"{RESOURCES}[{i}]", caller) for i, row in enumerate(rows))


def _read(row: object, at: str, caller: Caller) -> Embedded:
    try:
        read = legacy.request(
            ObjectKind.RESOURCE, row, is_business=caller.is_business, ven_id=NO_VEN
        )
        if caller.is_business:
            read.setdefault("clientID", caller.client.client_id)
        request = read_resource(read)
    except Malformed as fault:
        field = at if fault.field == "body" else f"{at}.{fault.field}"
        raise Malformed(field, fault.rule) from fault
    body = dict(row) if isinstance(row, dict) else {}
    return Embedded(request=request, sent=Sent(body=read, body_3_0=body))


@transaction.atomic
def ven_with_resources_create(
    *, caller: Caller, request: VenRequest, sent: Sent, resources: Sequence[Embedded]
) -> Written:
    """Enrol a ven and the resources inside it, each told and noted as if it had come by itself.

    Raises
    ------
    NameTaken
        If the ven's name is in use, or two resources have one name; nothing is made then.
    """
    written = ven_create(caller=caller, request=request, sent=sent)
    ven_id = str(written.id)
    for one in resources:
        made = resource_create(
            caller=caller,
            request=replace(one.request, ven_id=ven_id),
            sent=Sent(body={**one.sent.body, "venID": ven_id}, body_3_0=one.sent.body_3_0),
        )
        written.told.jobs.extend(made.told.jobs)
    return written
