"""What clients write: programs, events, vens, resources. One transaction each.

Business logic writes what is its organisation's; the platform's own programs and events, by which
it dispatches, nobody changes from outside. Removing is hiding: what was told stays as a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, models, transaction
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, NotPermitted, Refused
from accounts.parties.models import ApiClient
from aggregator.protocols.openadr3.errors import NameTaken
from aggregator.protocols.openadr3.joining import resources_rejoin, unit_of
from aggregator.protocols.openadr3.models import (
    Event,
    ObjectBase,
    ObjectKind,
    Operation,
    Program,
    Subscription,
    Ven,
    VenResource,
)
from aggregator.protocols.openadr3.notices import Told, telling
from aggregator.protocols.openadr3.selectors import Caller, object_shown
from aggregator.protocols.openadr3.wire import Malformed
from aggregator.protocols.openadr3.wire_requests import (
    EventRequest,
    ProgramRequest,
    ResourceRequest,
    VenRequest,
)
from market.registry.models import Resource

HOUSE_RULE: Final = "an object of a client: the platform's own are not changed from outside"
NAMES: Final[Mapping[str, tuple[str, str]]] = {
    ObjectKind.PROGRAM: ("programName", "a name not in use"),
    ObjectKind.VEN: ("venName", "a name not in use"),
    ObjectKind.RESOURCE: ("resourceName", "a name not in use in this ven"),
}
_NOW: Final = RawSQL("market_now()", ())


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A body as it came.

    Parameters
    ----------
    body
        In the shape of OpenADR 3.1.
    body_3_0
        As it was sent, if it came through 3.0.1.
    """

    body: Mapping[str, Any]
    body_3_0: Mapping[str, Any] | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that hold it."""
        return {
            "body": dict(self.body),
            "body_3_0": None if self.body_3_0 is None else dict(self.body_3_0),
        }


@dataclass(kw_only=True)
class Written:
    """What a write made or changed, and whom it told."""

    id: UUID
    told: Told = field(default_factory=Told)


@transaction.atomic
def program_create(*, caller: Caller, request: ProgramRequest, sent: Sent) -> Written:
    """Make a program of the caller's organisation.

    Raises
    ------
    NotPermitted
        If the caller is no business logic.
    NameTaken
        If another program has the name, whosever it is: names are unique in the server.
    """
    _business_only(caller)
    program = Program(
        name=request.name,
        targets=_distinct(request.targets),
        organisation_id=caller.owner_id,
        **sent.columns,
    )
    return row_create(caller, ObjectKind.PROGRAM, program, program_id=program.id)


@transaction.atomic
def program_change(
    *, caller: Caller, program_id: UUID | None, request: ProgramRequest, sent: Sent
) -> Written:
    """Change a program of the caller's organisation."""
    program = owned(caller, ObjectKind.PROGRAM, Program, program_id)
    _not_of_the_house(program.is_house, program.id)
    return row_change(
        caller,
        ObjectKind.PROGRAM,
        program,
        {"name": request.name, "targets": _distinct(request.targets), **sent.columns},
        program_id=program.id,
    )


@transaction.atomic
def program_remove(*, caller: Caller, program_id: UUID | None) -> Written:
    """Remove a program, its events, and the subscriptions that are about it alone.

    Reports on its events go out of sight with them; what they said was done.
    """
    program = owned(caller, ObjectKind.PROGRAM, Program, program_id)
    _not_of_the_house(program.is_house, program.id)
    written = Written(id=program.id)
    events = Event.objects.select_for_update(of=("self",)).filter(program=program, removed_at=None)
    for event_id in events.order_by("id").values_list("id", flat=True):
        with telling(
            written.told, ObjectKind.EVENT, Operation.DELETE, event_id, program_id=program.id
        ):
            _hide(Event, event_id)
    for subscription in Subscription.objects.filter(program=program, removed_at=None):
        subscription_hide(subscription)
    return row_remove(caller, ObjectKind.PROGRAM, program, written, program_id=program.id)


@transaction.atomic
def event_create(*, caller: Caller, request: EventRequest, sent: Sent) -> Written:
    """Make an event in a program of the caller's organisation.

    Raises
    ------
    NotFound
        If the caller sees no such program.
    NotPermitted
        If it is no business logic, or the program is the platform's own.
    """
    _business_only(caller)
    program = _program_for(caller, request.program_id)
    event = Event(
        program=program,
        targets=_distinct(request.targets),
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        **sent.columns,
    )
    return row_create(caller, ObjectKind.EVENT, event, program_id=program.id)


@transaction.atomic
def event_change(
    *, caller: Caller, event_id: UUID | None, request: EventRequest, sent: Sent
) -> Written:
    """Change an event of the caller's organisation."""
    event = owned(caller, ObjectKind.EVENT, Event, event_id)
    _not_of_the_house(event.key is not None, event.id)
    program = _program_for(caller, request.program_id)
    changes = {
        "program": program,
        "targets": _distinct(request.targets),
        "starts_at": request.starts_at,
        "ends_at": request.ends_at,
        **sent.columns,
    }
    return row_change(caller, ObjectKind.EVENT, event, changes, program_id=program.id)


@transaction.atomic
def event_remove(*, caller: Caller, event_id: UUID | None) -> Written:
    """Remove an event of the caller's organisation."""
    event = owned(caller, ObjectKind.EVENT, Event, event_id)
    _not_of_the_house(event.key is not None, event.id)
    return row_remove(
        caller, ObjectKind.EVENT, event, Written(id=event.id), program_id=event.program_id
    )


@transaction.atomic
def ven_create(*, caller: Caller, request: VenRequest, sent: Sent) -> Written:
    """Enrol a ven: a site its own, business logic one of any client.

    Raises
    ------
    NotPermitted
        If a site's client writes as business logic, which alone grants targets.
    Refused
        If business logic writes as a site, or names no client that is known here.
    NameTaken
        If another ven, of whichever client, has the name.
    """
    _side_checked(caller, request.object_type, "VEN")
    if caller.is_business:
        client = _client_named(request.client_id)
        more = {"organisation_id": caller.owner_id, "targets": _distinct(request.targets)}
    else:
        client, more = caller.client, {}
    ven = Ven(client_id=client.id, name=request.name, **more, **sent.columns)
    return row_create(caller, ObjectKind.VEN, ven, client_id=client.id)


@transaction.atomic
def ven_change(*, caller: Caller, ven_id: UUID | None, request: VenRequest, sent: Sent) -> Written:
    """Change a ven: business logic also its client and targets.

    Handed to another organisation, its resources lose the registered ones they were joined to.
    """
    _side_checked(caller, request.object_type, "VEN")
    ven = owned(caller, ObjectKind.VEN, Ven, ven_id)
    changes: dict[str, Any] = {"name": request.name, **sent.columns}
    if caller.is_business:
        changes["client_id"] = _client_named(request.client_id).id
        changes["targets"] = _distinct(request.targets)
    before_id = ven.client.organisation_id
    written = row_change(caller, ObjectKind.VEN, ven, changes, client_id=ven.client_id)
    if ven.client.organisation_id != before_id:
        resources_rejoin(ven)
    return written


@transaction.atomic
def ven_remove(*, caller: Caller, ven_id: UUID | None) -> Written:
    """Remove a ven and its resources."""
    ven = owned(caller, ObjectKind.VEN, Ven, ven_id)
    written = Written(id=ven.id)
    for resource in VenResource.objects.filter(ven=ven, removed_at=None).order_by("id"):
        with telling(
            written.told,
            ObjectKind.RESOURCE,
            Operation.DELETE,
            resource.id,
            client_id=ven.client_id,
        ):
            _hide(VenResource, resource.id)
    return row_remove(caller, ObjectKind.VEN, ven, written, client_id=ven.client_id)


@transaction.atomic
def resource_create(*, caller: Caller, request: ResourceRequest, sent: Sent) -> Written:
    """Enrol a resource under a ven that the caller may write.

    A site's name that is the code of a registered resource of its own organisation joins the two,
    and grants the target of that code; any other name is only a name.

    Raises
    ------
    NotFound
        If the caller sees no such ven.
    NameTaken
        If the ven has a resource of that name.
    """
    _side_checked(caller, request.object_type, "RESOURCE")
    ven = _ven_for(caller, request)
    unit = unit_of(ven, request.name)
    resource = VenResource(
        ven=ven,
        name=request.name,
        resource=unit,
        targets=_resource_targets(caller, request, unit, ()),
        **sent.columns,
    )
    return row_create(caller, ObjectKind.RESOURCE, resource, client_id=ven.client_id)


@transaction.atomic
def resource_change(
    *, caller: Caller, resource_id: UUID | None, request: ResourceRequest, sent: Sent
) -> Written:
    """Change a resource: business logic also its targets.

    A site that moves it to a ven of another organisation loses the targets granted to it.
    """
    _side_checked(caller, request.object_type, "RESOURCE")
    resource = owned(caller, ObjectKind.RESOURCE, VenResource, resource_id)
    ven = _ven_for(caller, request)
    unit = unit_of(ven, request.name)
    before = resource.resource.code if resource.resource else None
    # what one organisation granted is no grant of another, whose ven a site may move it to
    is_granted = ven.organisation_id == resource.ven.organisation_id
    kept = tuple(name for name in resource.targets if is_granted and name != before)
    changes = {
        "ven": ven,
        "name": request.name,
        "resource": unit,
        "targets": _resource_targets(caller, request, unit, kept),
        **sent.columns,
    }
    return row_change(caller, ObjectKind.RESOURCE, resource, changes, client_id=ven.client_id)


@transaction.atomic
def resource_remove(*, caller: Caller, resource_id: UUID | None) -> Written:
    """Remove a resource."""
    resource = owned(caller, ObjectKind.RESOURCE, VenResource, resource_id)
    return row_remove(
        caller,
        ObjectKind.RESOURCE,
        resource,
        Written(id=resource.id),
        client_id=resource.ven.client_id,
    )


def subscription_hide(subscription: Subscription) -> None:
    """End a subscription; what waits for its addresses is not sent any more."""
    _hide(Subscription, subscription.id)
    for rule in subscription.rules.select_related("endpoint"):
        type(rule.endpoint).objects.filter(id=rule.endpoint_id).update(is_active=False)


def owned(caller: Caller, kind: str, model: type[models.Model], object_id: UUID | None) -> Any:
    """Lock and return an object the caller sees; what it may not see it may not change.

    Raises
    ------
    NotFound
        If there is none, or it is hidden: the two are not told apart.
    """
    shown = object_shown(kind, caller, object_id)
    row = (
        model._default_manager.select_for_update(of=("self",))  # noqa: SLF001 - Django's name
        .filter(pk=shown.id, removed_at=None)
        .first()
        if shown
        else None
    )
    if row is None:
        raise NotFound(field="id", value=str(object_id), rule="an object you can see")
    return row


def row_create(caller: Caller, kind: str, row: ObjectBase, **told: Any) -> Written:
    """Store a new object, note it and tell of it."""
    written = Written(id=row.id)
    with telling(written.told, kind, Operation.CREATE, row.id, **told), _names_unique(kind, row):
        row.save(force_insert=True)
    _noted(caller, kind, row, "created")
    return written


def row_change(
    caller: Caller, kind: str, row: ObjectBase, changes: Mapping[str, Any], **told: Any
) -> Written:
    """Change an object, note it and tell of it."""
    written = Written(id=row.id)
    with telling(written.told, kind, Operation.UPDATE, row.id, **told), _names_unique(kind, row):
        for name, value in changes.items():
            setattr(row, name, value)
        type(row)._default_manager.filter(pk=row.pk).update(  # noqa: SLF001 - Django's name
            **changes, modified_at=_NOW
        )
    _noted(caller, kind, row, "changed")
    return written


def row_remove(
    caller: Caller, kind: str, row: ObjectBase, written: Written, **told: Any
) -> Written:
    """Hide an object, note it and tell of it."""
    with telling(written.told, kind, Operation.DELETE, row.id, **told):
        _hide(type(row), row.id)
    _noted(caller, kind, row, "removed")
    return written


def _hide(model: type[models.Model], object_id: UUID) -> None:
    model._default_manager.filter(pk=object_id).update(  # noqa: SLF001 - Django's name
        removed_at=_NOW
    )


@contextmanager
def _names_unique(kind: str, row: ObjectBase) -> Iterator[None]:
    """Tell a name that is taken from a fault of ours; the database decides who was first."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if kind not in NAMES:
            raise
        field_name, rule = NAMES[kind]
        raise NameTaken(field=field_name, value=getattr(row, "name", ""), rule=rule) from error


def _noted(caller: Caller, kind: str, row: ObjectBase, what: str) -> None:
    entry_append(
        action=f"openadr3.{kind.lower()}.{what}",
        subject=row,
        organisation_id=caller.client.organisation_id,
        detail={"client": caller.client.client_id, "name": getattr(row, "name", "")},
    )


def _business_only(caller: Caller) -> None:
    if not caller.is_business:
        raise NotPermitted(
            field="clientID", value=caller.client.client_id, rule="business logic writes this"
        )


def _not_of_the_house(is_house: bool, object_id: UUID) -> None:  # noqa: FBT001
    if is_house:
        raise NotPermitted(field="id", value=str(object_id), rule=HOUSE_RULE)


def _side_checked(caller: Caller, object_type: str, noun: str) -> None:
    """Refuse a request of the other side: by sites as forbidden, by business logic as wrong."""
    is_business_form = object_type.startswith("BL_")
    if is_business_form and not caller.is_business:
        raise NotPermitted(
            field="objectType", value=object_type, rule=f"VEN_{noun}_REQUEST from a site"
        )
    if caller.is_business and not is_business_form:
        raise Malformed("objectType", f"BL_{noun}_REQUEST from business logic")


def _program_for(caller: Caller, program_id: str) -> Program:
    known = _uuid(program_id)
    shown = object_shown(ObjectKind.PROGRAM, caller, known)
    # held, so that it is not removed before its event is there
    program = (
        Program.objects.select_for_update(of=("self",), no_key=True)
        .filter(id=shown.id, removed_at=None)
        .first()
        if shown
        else None
    )
    if program is None:
        raise NotFound(field="programID", value=program_id, rule="a program you can see")
    _not_of_the_house(program.is_house, program.id)
    return program


def _ven_for(caller: Caller, request: ResourceRequest) -> Ven:
    known = _uuid(request.ven_id)
    shown = object_shown(ObjectKind.VEN, caller, known)
    ven = (
        Ven.objects.select_for_update(of=("self",), no_key=True)
        .filter(id=shown.id, removed_at=None)
        .first()
        if shown
        else None
    )
    if ven is None:
        raise NotFound(field="venID", value=request.ven_id, rule="a ven of yours")
    if caller.is_business and _client_named(request.client_id).id != ven.client_id:
        raise Refused(field="clientID", value=request.client_id, rule="the client of the ven")
    return ven


def _resource_targets(
    caller: Caller, request: ResourceRequest, unit: Resource | None, kept: Sequence[str]
) -> list[str]:
    if caller.is_business:
        return _distinct(request.targets)
    return _distinct((*kept, unit.code) if unit else kept)


def _client_named(client_id: str) -> ApiClient:
    found: ApiClient | None = ApiClient.objects.filter(client_id=client_id).first()
    if found is None:
        raise Refused(field="clientID", value=client_id, rule="a client that is known here")
    return found


def _distinct(targets: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(targets))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
