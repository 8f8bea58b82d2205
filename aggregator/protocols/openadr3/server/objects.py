"""Stored objects as the standard shows them: the body as sent, metadata stamped over it."""

from typing import Any

from aggregator.protocols.openadr3.models import (
    Event,
    ObjectBase,
    Program,
    Report,
    Ven,
    VenResource,
)
from aggregator.protocols.openadr3.wire import print_date_time

Json = dict[str, Any]


def _stamped(row: ObjectBase, object_type: str, **columns: Any) -> Json:
    return {
        **row.body,
        "id": str(row.id),
        "createdDateTime": print_date_time(row.created_at),
        "modificationDateTime": print_date_time(row.modified_at),
        "objectType": object_type,
        **columns,
    }


def program_json(program: Program, *, shown: frozenset[str] | None) -> Json:
    """Return a program; of its targets only those in `shown`, None for all."""
    return _stamped(program, "PROGRAM", targets=_shown(program.targets, shown))


def event_json(event: Event, *, shown: frozenset[str] | None) -> Json:
    """Return an event; of its targets only those in `shown`, None for all."""
    return _stamped(
        event, "EVENT", programID=str(event.program_id), targets=_shown(event.targets, shown)
    )


def _shown(targets: list[str], shown: frozenset[str] | None) -> list[str] | None:
    """Hide targets of others; an object without targets keeps having none."""
    if not targets:
        return None
    return [target for target in targets if shown is None or target in shown]


def ven_json(ven: Ven) -> Json:
    """Return a ven."""
    return _stamped(
        ven, "VEN", venName=ven.name, clientID=ven.client.client_id, targets=ven.targets
    )


def resource_json(resource: VenResource) -> Json:
    """Return a resource of a ven."""
    return _stamped(
        resource,
        "RESOURCE",
        resourceName=resource.name,
        venID=str(resource.ven_id),
        clientID=resource.ven.client.client_id,
        targets=resource.targets,
    )


def report_json(report: Report) -> Json:
    """Return a report."""
    return _stamped(
        report, "REPORT", eventID=str(report.event_id), clientID=report.client.client_id
    )
