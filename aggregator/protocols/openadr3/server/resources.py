"""/resources: what stands behind a site's client."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.protocols.openadr3 import selectors, services, wire
from aggregator.protocols.openadr3.server.base import (
    ObjectView,
    asked_id,
    asked_targets,
    caller_from,
    page,
    the,
)
from aggregator.protocols.openadr3.server.objects import resource_json


class ResourceListView(ObjectView):
    """Resources of the client's vens."""

    scopes = {"GET": ("read_all", "read_ven_objects"), "POST": ("write_vens",)}

    def get(self, request: Request) -> Response:
        """List resources, oldest first."""
        found = selectors.resources_visible(caller_from(request))
        name = request.query_params.get("resourceName")
        if name is not None:
            found = found.filter(name=wire.a_name(name, "resourceName"))
        ven_id = asked_id(request, "venID")
        if ven_id is not None:
            found = found.filter(ven_id=ven_id)
        targets = asked_targets(request)
        if targets:
            found = found.filter(targets__overlap=targets)
        return Response([resource_json(row) for row in page(request, found)])

    def post(self, request: Request) -> Response:
        """Enrol a resource; 409 if the ven has one of that name."""
        body = wire.an_object(request.data, "body")
        resource = services.ven_resource_register(
            caller=caller_from(request),
            request=wire.read_resource(body),
            body=body,
        )
        return Response(resource_json(resource), status=status.HTTP_201_CREATED)


class ResourceView(ObjectView):
    """One resource."""

    scopes = {"GET": ("read_all", "read_ven_objects")}

    def get(self, request: Request, resource_id: str) -> Response:
        """Return the resource, or 404 if it is another's."""
        found = selectors.resources_visible(caller_from(request))
        return Response(resource_json(the(found, resource_id)))
