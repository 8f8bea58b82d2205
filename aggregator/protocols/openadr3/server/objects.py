"""The doors to objects: lists, single ones, and what clients write.

One pair of views serves every kind; what differs between kinds stands in :data:`KINDS`. Every
write is one transaction with its message in the log; a refused one leaves the message with the
reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse

from accounts.core.errors import NotFound
from accounts.fields.keys import uuid7
from aggregator.messages.services import Direction, Protocol, message_record
from aggregator.protocols.openadr3 import (
    legacy,
    selectors,
    services,
    subscribing,
    wire,
    wire_requests,
    writing,
)
from aggregator.protocols.openadr3.embedding import (
    resources_inside,
    ven_with_resources_create,
)
from aggregator.protocols.openadr3.gathering import report_gathered
from aggregator.protocols.openadr3.models import ObjectKind
from aggregator.protocols.openadr3.selectors import Shown, Sql
from aggregator.protocols.openadr3.server import bell
from aggregator.protocols.openadr3.server.base import (
    Door,
    as_list,
    asked_id,
    asked_name,
    asked_targets,
    dumped,
    id_of,
    json_answer,
    page_of,
    tagged,
)
from aggregator.protocols.openadr3.writing import Sent, Written

READ_TARGETED: Final = ("read_all", "read_targets")
READ_OWN: Final = ("read_all", "read_ven_objects")
CREATED: Final = 201


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is particular to one kind of object."""

    read_scopes: tuple[str, ...]
    write_scope: str
    read: Callable[[Any], Any]
    create: Callable[..., Written]
    change: Callable[..., Written]
    remove: Callable[..., Written]
    id_name: str
    where: Callable[[HttpRequest], Sql]


def _read_report(body: Any) -> wire.ReportRequest:
    wire_requests.report_checked(body)
    return wire.read_report(body)


def _by_name(parameter: str) -> Callable[[HttpRequest], Sql]:
    def where(request: HttpRequest) -> Sql:
        name = asked_name(request, parameter)
        return selectors.TRUE if name is None else Sql("o.name = %s", (name,))

    return where


def _of_resources(request: HttpRequest) -> Sql:
    found = _by_name("resourceName")(request)
    ven_id = asked_id(request, "venID")
    return found if ven_id is None else found & Sql("o.ven_id = %s", (ven_id,))


def _of_events(request: HttpRequest) -> Sql:
    active = request.GET.get("active")
    return selectors.event_where(
        active=None if active is None else wire.read_boolean(active, "active"),
        program_id=asked_id(request, "programID"),
    )


def _of_reports(request: HttpRequest) -> Sql:
    found = _of_client_name(request)
    program_id, event_id = asked_id(request, "programID"), asked_id(request, "eventID")
    if program_id is not None:
        found &= Sql("e.program_id = %s", (program_id,))
    if event_id is not None:
        found &= Sql("o.event_id = %s", (event_id,))
    return found


def _of_subscriptions(request: HttpRequest) -> Sql:
    found = _of_client_name(request)
    program_id = asked_id(request, "programID")
    if program_id is not None:
        found &= Sql("o.program_id = %s", (program_id,))
    objects = request.GET.getlist("objects")
    for kind in objects:
        if kind not in ObjectKind.values:
            raise wire.Malformed("objects", f"one of {', '.join(ObjectKind.values)}")
    if objects:
        found &= Sql(
            "EXISTS (SELECT FROM openadr3_subscriptionrule r WHERE r.subscription_id = o.id"
            " AND r.objects_told && %s::varchar[])",
            (objects,),
        )
    return found


def _of_client_name(request: HttpRequest) -> Sql:
    name = asked_name(request, "clientName")
    return selectors.TRUE if name is None else Sql("o.client_name = %s", (name,))


KINDS: Final[Mapping[str, Kind]] = {
    ObjectKind.PROGRAM: Kind(
        read_scopes=READ_TARGETED,
        write_scope="write_programs",
        read=wire_requests.read_program,
        create=writing.program_create,
        change=writing.program_change,
        remove=writing.program_remove,
        id_name="program_id",
        where=_by_name("programName"),
    ),
    ObjectKind.EVENT: Kind(
        read_scopes=READ_TARGETED,
        write_scope="write_events",
        read=wire_requests.read_event_request,
        create=writing.event_create,
        change=writing.event_change,
        remove=writing.event_remove,
        id_name="event_id",
        where=_of_events,
    ),
    ObjectKind.REPORT: Kind(
        read_scopes=READ_OWN,
        write_scope="write_reports",
        read=_read_report,
        create=services.report_receive,
        change=services.report_change,
        remove=services.report_remove,
        id_name="report_id",
        where=_of_reports,
    ),
    ObjectKind.SUBSCRIPTION: Kind(
        read_scopes=READ_OWN,
        write_scope="write_subscriptions",
        read=wire_requests.read_subscription,
        create=subscribing.subscription_create,
        change=subscribing.subscription_change,
        remove=subscribing.subscription_remove,
        id_name="subscription_id",
        where=_of_subscriptions,
    ),
    ObjectKind.VEN: Kind(
        read_scopes=READ_OWN,
        write_scope="write_vens",
        read=wire_requests.read_ven,
        create=writing.ven_create,
        change=writing.ven_change,
        remove=writing.ven_remove,
        id_name="ven_id",
        where=_by_name("venName"),
    ),
    ObjectKind.RESOURCE: Kind(
        read_scopes=READ_OWN,
        write_scope="write_vens",
        read=wire_requests.read_resource,
        create=writing.resource_create,
        change=writing.resource_change,
        remove=writing.resource_remove,
        id_name="resource_id",
        where=_of_resources,
    ),
}


class ObjectDoor(Door):
    """What lists and single objects share."""

    kind: str = ""

    @property
    def its(self) -> Kind:
        """What is particular to the kind."""
        return KINDS[self.kind]

    @property
    def scopes(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]
        """Scopes by method."""
        write = (self.its.write_scope,)
        return {"GET": self.its.read_scopes, "POST": write, "PUT": write, "DELETE": write}

    def shown_as(self, shown: Shown) -> str:
        """Return an object in the version this door speaks."""
        if not self.is_legacy:
            return shown.text
        told = legacy.answer(self.kind, json.loads(shown.text), shown)
        if self.kind == ObjectKind.VEN:
            told["resources"] = [
                legacy.answer(ObjectKind.RESOURCE, json.loads(row.text), row)
                for row in selectors.rows_shown(
                    ObjectKind.RESOURCE, self.who, where=Sql("o.ven_id = %s", (shown.id,))
                )
            ]
        return dumped(told)

    def sent(self, request: HttpRequest, *, ven_id: str = "") -> tuple[Any, Sent]:
        """Return what was sent: read and checked, and as it is to be kept."""
        body = self.sent_json(request)
        if not self.is_legacy:
            return self.its.read(body), Sent(body=wire.an_object(body, "body"))
        read = legacy.request(self.kind, body, is_business=self.who.is_business, ven_id=ven_id)
        if self.who.is_business and self.kind in (ObjectKind.VEN, ObjectKind.RESOURCE):
            # 3.0.1 has no client ids: whoever writes a ven has it
            read.setdefault("clientID", self.who.client.client_id)
        return self.its.read(read), Sent(body=read, body_3_0=body)

    def written(self, request: HttpRequest, write: Callable[[], Written], status: int) -> Shown:
        """Write, and note the message in the same transaction; ring those who deliver after it.

        A removed object is returned as it was shown before.
        """
        is_removal = request.method == "DELETE"
        with transaction.atomic():
            before = self.one(request) if is_removal else None
            done = write()
            self._noted(request, f"{done.id}", f"{status}")
            shown = before or selectors.object_shown(self.kind, self.who, done.id)
        bell.ring(done.told.jobs)
        if shown is None:
            raise NotFound(field="id", value=str(done.id), rule="an object you can see")
        return shown

    def one(self, request: HttpRequest) -> Shown:
        """Return the object of the path, or 404 if there is none or it is hidden."""
        text = str(request.resolver_match.kwargs["object_id"] if request.resolver_match else "")
        found = selectors.object_shown(self.kind, self.who, id_of(text))
        if found is None:
            raise NotFound(field="id", value=text, rule="an object you can see")
        return found

    def refused(self, request: HttpRequest, answer: HttpResponse, error: Exception) -> None:
        """Keep a refused message with the reason, under the number that its sender was told."""
        if self.caller is None or request.method in ("GET", "HEAD") or not self.raw:
            return
        del error
        instance = getattr(answer, "problem_instance", "")
        detail = getattr(answer, "problem_detail", "")
        try:
            with transaction.atomic():
                self._noted(request, "", f"{answer.status_code} {detail}", message_id=instance)
        except DatabaseError:
            return  # the log of lines has the refusal, too

    def _noted(
        self, request: HttpRequest, object_id: str, outcome: str, *, message_id: str = ""
    ) -> None:
        name = object_id if request.method == "POST" else f"{object_id}/{uuid7()}"
        message_record(
            direction=Direction.IN,
            protocol=Protocol.OPENADR3,
            message_id=message_id or name,
            peer=self.who.client.client_id,
            content=self._content(),
            subject=f"openadr3.{MODELS[self.kind]}:{object_id}" if object_id else "",
            organisation_id=self.who.client.organisation_id,
            kind=f"{request.method} {self.kind} {self.version}",
            outcome=outcome,
        )

    def _content(self) -> bytes:
        """Return the message as it came; tokens of subscribers are never written down open."""
        if self.kind != ObjectKind.SUBSCRIPTION or b"bearerToken" not in self.raw:
            return self.raw
        try:
            body = json.loads(self.raw)
        except ValueError:
            return b""
        return dumped(subscribing.tokens_hidden(body)).encode() if isinstance(body, dict) else b""


MODELS: Final = {kind: kind.lower() for kind in ObjectKind.values} | {
    ObjectKind.RESOURCE: "venresource"
}


class ListView(ObjectDoor):
    """All objects of a kind that the client sees."""

    def get(self, request: HttpRequest, ven_id: str = "") -> HttpResponse:
        """List them, the oldest first."""
        where = self.its.where(request)
        if ven_id:
            _ven_seen(self.who, ven_id)
            where &= Sql("o.ven_id = %s", (id_of(ven_id),))
        skip, limit = page_of(request)
        rows = selectors.rows_shown(
            self.kind,
            self.who,
            where=where,
            targets=asked_targets(request, is_legacy=self.is_legacy),
            skip=skip,
            limit=limit,
        )
        return tagged(request, as_list(map(self.shown_as, rows)))

    def post(self, request: HttpRequest, ven_id: str = "") -> HttpResponse:
        """Make one."""
        read, sent = self.sent(request, ven_id=ven_id)
        if self.kind == ObjectKind.SUBSCRIPTION:
            subscribing.addresses_confirm(urls=[rule.url for rule in read.rules])
        if self.kind == ObjectKind.REPORT:
            text = report_gathered(
                caller=self.who, request=read, sent=sent, raw=self.raw, version=self.version
            )
            if text is not None:
                return json_answer(text, status=CREATED)
        inside = (
            resources_inside(sent.body_3_0, self.who)
            if self.kind == ObjectKind.VEN and sent.body_3_0 is not None
            else ()
        )
        shown = self.written(
            request,
            lambda: (
                ven_with_resources_create(
                    caller=self.who, request=read, sent=sent, resources=inside
                )
                if inside
                else self.its.create(caller=self.who, request=read, sent=sent)
            ),
            CREATED,
        )
        return json_answer(self.shown_as(shown), status=CREATED)


class OneView(ObjectDoor):
    """One object."""

    def get(self, request: HttpRequest, object_id: str, ven_id: str = "") -> HttpResponse:
        """Return it, or 404 if there is none or it is hidden."""
        del object_id
        if ven_id:
            _ven_seen(self.who, ven_id)
        return tagged(request, self.shown_as(self.one(request)))

    def put(self, request: HttpRequest, object_id: str, ven_id: str = "") -> HttpResponse:
        """Let it say something else."""
        read, sent = self.sent(request, ven_id=ven_id)
        known = id_of(object_id)
        if self.kind == ObjectKind.SUBSCRIPTION:
            urls = [rule.url for rule in read.rules]
            fresh = subscribing.urls_new(caller=self.who, subscription_id=known, urls=urls)
            subscribing.addresses_confirm(urls=fresh)
        named = {self.its.id_name: known}
        shown = self.written(
            request,
            lambda: self.its.change(caller=self.who, request=read, sent=sent, **named),
            200,
        )
        return json_answer(self.shown_as(shown))

    def delete(self, request: HttpRequest, object_id: str, ven_id: str = "") -> HttpResponse:
        """Remove it, and return it as it was."""
        del ven_id
        named = {self.its.id_name: id_of(object_id)}
        shown = self.written(request, lambda: self.its.remove(caller=self.who, **named), 200)
        return json_answer(self.shown_as(shown))


class NotifiersView(Door):
    """How this server tells of changes: by webhooks."""

    scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "GET": ("read_all", "read_targets", "read_ven_objects", "read_bl")
    }

    def get(self, _request: HttpRequest) -> HttpResponse:
        """Return what there is."""
        return json_answer('{"WEBHOOK":true}')


def _ven_seen(caller: selectors.Caller, ven_id: str) -> None:
    known = id_of(ven_id)
    if known is None or not selectors.object_is_seen(ObjectKind.VEN, caller, known):
        raise NotFound(field="venID", value=ven_id, rule="a ven of yours")
