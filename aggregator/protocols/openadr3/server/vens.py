"""/vens: sites' clients enrol themselves."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.protocols.openadr3 import selectors, services, wire
from aggregator.protocols.openadr3.server.base import (
    ObjectView,
    asked_targets,
    caller_from,
    page,
    the,
)
from aggregator.protocols.openadr3.server.objects import ven_json


class VenListView(ObjectView):
    """The client's vens."""

    scopes = {"GET": ("read_all", "read_ven_objects"), "POST": ("write_vens",)}

    def get(self, request: Request) -> Response:
        """List vens, oldest first."""
        found = selectors.vens_visible(caller_from(request))
        name = request.query_params.get("venName")
        if name is not None:
            found = found.filter(name=wire.a_name(name, "venName"))
        targets = asked_targets(request)
        if targets:
            found = found.filter(targets__overlap=targets)
        return Response([ven_json(row) for row in page(request, found)])

    def post(self, request: Request) -> Response:
        """Enrol a ven; 409 if its name is in use."""
        body = wire.an_object(request.data, "body")
        ven = services.ven_register(
            caller=caller_from(request), request=wire.read_ven(body), body=body
        )
        return Response(ven_json(ven), status=status.HTTP_201_CREATED)


class VenView(ObjectView):
    """One ven."""

    scopes = {"GET": ("read_all", "read_ven_objects")}

    def get(self, request: Request, ven_id: str) -> Response:
        """Return the ven, or 404 if it is another's."""
        return Response(ven_json(the(selectors.vens_visible(caller_from(request)), ven_id)))
