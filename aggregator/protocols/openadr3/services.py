"""Publish events for instructions, enrol clients, take in their reports."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, NotPermitted
from accounts.parties.models import ApiClient
from aggregator.dispatch.services import (
    instruction_acknowledge,
    instruction_opt_out,
)
from aggregator.metering.models import Quality
from aggregator.metering.services import ReadingRow, readings_ingest
from aggregator.protocols.openadr3 import mapping, wire
from aggregator.protocols.openadr3.errors import InvalidReport, NameTaken
from aggregator.protocols.openadr3.models import Event, Report, Ven, VenResource
from aggregator.protocols.openadr3.publishing import (
    event_publish,
    instruction_remind,
    instructions_send,
    metering_event_publish,
    program_ensure,
)
from aggregator.protocols.openadr3.selectors import Caller, events_visible, targets_granted
from market.registry.models import Resource

__all__ = (
    "event_publish",
    "instruction_remind",
    "instructions_send",
    "metering_event_publish",
    "program_ensure",
    "report_receive",
    "ven_register",
    "ven_resource_register",
)

SOURCE_LENGTH_MAX = 40


@transaction.atomic
def ven_register(*, caller: Caller, request: wire.VenRequest, body: Mapping[str, Any]) -> Ven:
    """Enrol a site's client under a name of its own.

    Raises
    ------
    NotPermitted
        If a site's client writes as business logic, which alone grants targets.
    NameTaken
        If another ven, of whichever client, has the name.
    """
    _refuse_business_logic(request.object_type, "VEN_VEN_REQUEST")
    try:
        with transaction.atomic():
            ven = Ven.objects.create(client=caller.client, name=request.name, body=dict(body))
    except IntegrityError as error:
        raise NameTaken(field="venName", value=request.name, rule="a name not in use") from error
    entry_append(
        action="openadr3.ven.registered",
        subject=ven,
        organisation_id=caller.client.organisation_id,
        detail={"name": ven.name, "client": caller.client.client_id},
    )
    ven.refresh_from_db()
    return ven


@transaction.atomic
def ven_resource_register(
    *, caller: Caller, request: wire.ResourceRequest, body: Mapping[str, Any]
) -> VenResource:
    """Enrol a resource under one of the client's vens.

    A name that is the code of a registered resource of the client's own organisation joins
    the two, and grants the target of that code; any other name is only a name.

    Raises
    ------
    NotPermitted
        If a site's client writes as business logic.
    NotFound
        If the ven is not the client's.
    NameTaken
        If the ven has a resource of that name.
    """
    _refuse_business_logic(request.object_type, "VEN_RESOURCE_REQUEST")
    ven = _ven_of(caller.client, request.ven_id)
    unit = Resource.objects.filter(
        code=request.name, site__organisation_id=caller.client.organisation_id
    ).first()
    try:
        with transaction.atomic():
            resource = VenResource.objects.create(
                ven=ven,
                name=request.name,
                resource=unit,
                targets=[unit.code] if unit else [],
                body=dict(body),
            )
    except IntegrityError as error:
        raise NameTaken(
            field="resourceName", value=request.name, rule="a name not in use in this ven"
        ) from error
    entry_append(
        action="openadr3.resource.registered",
        subject=resource,
        organisation_id=caller.client.organisation_id,
        detail={"name": resource.name, "ven": ven.name, "is_known": unit is not None},
    )
    resource.refresh_from_db()
    return resource


def _refuse_business_logic(object_type: str, allowed: str) -> None:
    if object_type != allowed:
        raise NotPermitted(field="objectType", value=object_type, rule=f"{allowed} from a site")


def _ven_of(client: ApiClient, ven_id: str) -> Ven:
    try:
        return Ven.objects.get(id=UUID(ven_id), client=client)
    except (ValueError, Ven.DoesNotExist) as error:
        raise NotFound(field="venID", value=ven_id, rule="a ven of yours") from error


@transaction.atomic
def report_receive(
    *, caller: Caller, request: wire.ReportRequest, body: Mapping[str, Any]
) -> Report:
    """Store a report and do what it says: accept, decline, meter; all of it or nothing.

    Raises
    ------
    NotFound
        If the client sees no such event.
    InvalidReport, wire.Malformed
        If it names a resource that is not the client's, answers an event that asks for no
        answer, or carries a reading that cannot be one.
    InstructionClosed
        If the instruction can no longer be answered so.
    """
    event = _event_of(caller, request.event_id)
    answers = mapping.answers_of(request)
    readings = mapping.readings_of(request)
    units = _units(caller.client, request)
    report = Report.objects.create(
        event=event, client=caller.client, client_name=request.client_name, body=dict(body)
    )
    for answer in answers:
        _answer_pass_on(caller, event, answer, units[answer.resource_name])
    if readings:
        _readings_pass_on(caller.client, readings, units)
    report.refresh_from_db()
    return report


def _event_of(caller: Caller, event_id: str) -> Event:
    try:
        known = UUID(event_id)
    except ValueError:
        known = None
    found = events_visible(caller, granted=targets_granted(caller)).select_related("instruction")
    event = found.filter(id=known).first() if known else None
    if event is None:
        raise NotFound(field="eventID", value=event_id, rule="an event you can see")
    return event


def _units(client: ApiClient, request: wire.ReportRequest) -> dict[str, Resource]:
    """Return the registered resource behind each name in the report."""
    names = {part.name for part in request.resources}
    known = {
        row.name: row.resource
        for row in VenResource.objects.filter(ven__client=client, name__in=names)
        .exclude(resource=None)
        .select_related("resource__meter")
        if row.resource is not None
    }
    for i, part in enumerate(request.resources):
        if part.name not in known:
            raise InvalidReport(
                field=f"resources[{i}].resourceName",
                value=part.name,
                rule="a registered resource of yours",
            )
    return known


def _answer_pass_on(caller: Caller, event: Event, answer: mapping.Answer, unit: Resource) -> None:
    instruction = event.instruction
    if instruction is None or instruction.resource_id != unit.id:
        raise InvalidReport(
            field="eventID", value=str(event.id), rule=f"an order to {answer.resource_name}"
        )
    organisation = caller.client.organisation
    if answer.accepted:
        instruction_acknowledge(instruction_id=instruction.id, organisation=organisation)
    else:
        instruction_opt_out(
            instruction_id=instruction.id,
            organisation=organisation,
            reason=answer.reason or "declined by the site",
        )


def _readings_pass_on(
    client: ApiClient, readings: tuple[mapping.Reading, ...], units: Mapping[str, Resource]
) -> None:
    rows = []
    for i, reading in enumerate(readings):
        meter = getattr(units[reading.resource_name], "meter", None)
        if meter is None:
            raise InvalidReport(
                field=f"readings[{i}]", value=reading.resource_name, rule="a metered resource"
            )
        quality = Quality[reading.quality]
        rows.append(
            ReadingRow(
                point_number=meter.point_number,
                start_at=reading.start_at,
                energy_kwh=None if quality == Quality.MISSING else reading.energy_kwh,
                quality=quality,
            )
        )
    readings_ingest(rows=rows, source=f"openadr3:{client.client_id}"[:SOURCE_LENGTH_MAX])
