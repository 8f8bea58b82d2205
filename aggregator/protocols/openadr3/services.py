"""Take in what sites report: answers to orders, meter readings."""

from uuid import UUID

from django.db import transaction

from accounts.core.errors import NotFound, NotPermitted
from accounts.parties.models import ApiClient
from aggregator.protocols.openadr3 import wire
from aggregator.protocols.openadr3.errors import InvalidReport
from aggregator.protocols.openadr3.intake import report_act, said_in
from aggregator.protocols.openadr3.models import (
    Event,
    ObjectKind,
    Operation,
    Report,
    VenResource,
)
from aggregator.protocols.openadr3.notices import telling
from aggregator.protocols.openadr3.publishing import (
    event_publish,
    instruction_remind,
    instructions_send,
    metering_event_publish,
    program_ensure,
)
from aggregator.protocols.openadr3.selectors import Caller, object_is_seen
from aggregator.protocols.openadr3.writing import Sent, Written, owned, row_change, row_remove
from market.registry.models import Resource

__all__ = (
    "event_publish",
    "instruction_remind",
    "instructions_send",
    "metering_event_publish",
    "program_ensure",
    "report_change",
    "report_receive",
    "report_remove",
)

SOURCE_LENGTH_MAX = 40


@transaction.atomic
def report_receive(*, caller: Caller, request: wire.ReportRequest, sent: Sent) -> Written:
    """Store a report and do what it says: accept, decline, meter; all of it or nothing.

    What is said about an event of a grid operator's business logic is for that to read: it moves
    nothing here.

    Raises
    ------
    NotFound
        If the client sees no such event.
    NotPermitted
        If business logic reports; it has nothing to report of.
    InvalidReport, wire.Malformed
        If it names a resource that is not the client's, answers an event that asks for no
        answer, or carries a reading that cannot be one.
    InstructionClosed
        If the instruction can no longer be answered so.
    """
    event = _event_of(caller, request.event_id)
    report = Report(
        event_id=event.id,
        client_id=caller.client.id,
        client_name=request.client_name,
        **sent.columns,
    )
    written = Written(id=report.id)
    with telling(
        written.told,
        ObjectKind.REPORT,
        Operation.CREATE,
        report.id,
        client_id=caller.client.id,
        program_id=event.program_id,
    ):
        report.save(force_insert=True)
    _passed_on(caller, event, request)
    return written


@transaction.atomic
def report_change(
    *, caller: Caller, report_id: UUID | None, request: wire.ReportRequest, sent: Sent
) -> Written:
    """Let a report say something else: what it says now is done as if it were a new one.

    What it said before was done and stays so: a reading becomes the next revision, an answer that
    was given cannot be taken back.
    """
    _sites_only(caller)
    report = owned(caller, ObjectKind.REPORT, Report, report_id)
    event = _event_of(caller, request.event_id)
    changes = {"event_id": event.id, "client_name": request.client_name, **sent.columns}
    written = row_change(
        caller,
        ObjectKind.REPORT,
        report,
        changes,
        client_id=caller.client.id,
        program_id=event.program_id,
    )
    _passed_on(caller, event, request)
    return written


@transaction.atomic
def report_remove(*, caller: Caller, report_id: UUID | None) -> Written:
    """Put a report out of sight; what it said was done and stays so."""
    _sites_only(caller)
    report = owned(caller, ObjectKind.REPORT, Report, report_id)
    return row_remove(
        caller,
        ObjectKind.REPORT,
        report,
        Written(id=report.id),
        client_id=caller.client.id,
        program_id=report.event.program_id,
    )


def _sites_only(caller: Caller) -> None:
    if caller.is_business:
        raise NotPermitted(
            field="clientID", value=caller.client.client_id, rule="sites report, nobody else"
        )


def _event_of(caller: Caller, event_id: str) -> Event:
    _sites_only(caller)
    try:
        known = UUID(event_id)
    except ValueError:
        known = None
    event = None
    if known is not None and object_is_seen(ObjectKind.EVENT, caller, known):
        event = Event.objects.select_related("instruction").defer("body").filter(id=known).first()
    if event is None:
        raise NotFound(field="eventID", value=event_id, rule="an event you can see")
    return event


def _passed_on(caller: Caller, event: Event, request: wire.ReportRequest) -> None:
    """Do what a report on an event of the platform itself says."""
    if event.key is None:
        return
    said = said_in(request)
    units = _units(caller.client, request)
    report_act(client=caller.client, event=event, said=said, units=units)


def _units(client: ApiClient, request: wire.ReportRequest) -> dict[str, Resource]:
    """Return the registered resource behind each name in the report."""
    names = {part.name for part in request.resources}
    known = {
        row.name: row.resource
        for row in VenResource.objects.filter(
            ven__client=client,
            name__in=names,
            removed_at=None,
            ven__removed_at=None,
            # a ven may have been handed to a client of another organisation since it was joined
            resource__site__organisation_id=client.organisation_id,
        )
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
