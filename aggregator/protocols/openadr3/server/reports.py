"""/reports: answers to instructions, and meter readings."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.protocols.openadr3 import selectors, services, wire
from aggregator.protocols.openadr3.server.base import (
    ObjectView,
    asked_id,
    caller_from,
    page,
    the,
)
from aggregator.protocols.openadr3.server.objects import report_json


class ReportListView(ObjectView):
    """Reports of the client."""

    scopes = {"GET": ("read_all", "read_ven_objects"), "POST": ("write_reports",)}

    def get(self, request: Request) -> Response:
        """List reports, oldest first."""
        found = selectors.reports_visible(caller_from(request))
        program_id = asked_id(request, "programID")
        if program_id is not None:
            found = found.filter(event__program_id=program_id)
        event_id = asked_id(request, "eventID")
        if event_id is not None:
            found = found.filter(event_id=event_id)
        name = request.query_params.get("clientName")
        if name is not None:
            found = found.filter(client_name=wire.a_name(name, "clientName"))
        return Response([report_json(row) for row in page(request, found)])

    def post(self, request: Request) -> Response:
        """Take in a report: what it says is done, or it is refused whole."""
        body = wire.an_object(request.data, "body")
        report = services.report_receive(
            caller=caller_from(request),
            request=wire.read_report(body),
            body=body,
        )
        return Response(report_json(report), status=status.HTTP_201_CREATED)


class ReportView(ObjectView):
    """One report."""

    scopes = {"GET": ("read_all", "read_ven_objects")}

    def get(self, request: Request, report_id: str) -> Response:
        """Return the report, or 404 if it is another's."""
        return Response(
            report_json(the(selectors.reports_visible(caller_from(request)), report_id))
        )
