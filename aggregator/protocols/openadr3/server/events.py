"""/events: instructions to sites, and requests for readings."""

from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.protocols.openadr3 import selectors, wire
from aggregator.protocols.openadr3.server.base import (
    ObjectView,
    asked_id,
    asked_targets,
    caller_from,
    page,
    the,
)
from aggregator.protocols.openadr3.server.objects import event_json


class EventListView(ObjectView):
    """Events for the client."""

    scopes = {"GET": ("read_all", "read_targets")}

    def get(self, request: Request) -> Response:
        """List events, oldest first; ``active=true`` leaves out those that are over."""
        caller = caller_from(request)
        granted = selectors.targets_granted(caller)
        found = selectors.events_visible(caller, granted=granted, targets=asked_targets(request))
        program_id = asked_id(request, "programID")
        if program_id is not None:
            found = found.filter(program_id=program_id)
        active = request.query_params.get("active")
        if active is not None and wire.read_boolean(active, "active"):
            found = selectors.events_active(found)
        shown = None if caller.sees_all else granted
        return Response([event_json(row, shown=shown) for row in page(request, found)])


class EventView(ObjectView):
    """One event."""

    scopes = {"GET": ("read_all", "read_targets")}

    def get(self, request: Request, event_id: str) -> Response:
        """Return the event, or 404 if it is another's, or void."""
        caller = caller_from(request)
        granted = selectors.targets_granted(caller)
        row = the(selectors.events_visible(caller, granted=granted), event_id)
        return Response(event_json(row, shown=None if caller.sees_all else granted))
