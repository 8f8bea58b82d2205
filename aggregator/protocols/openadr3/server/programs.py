"""/programs."""

from rest_framework.request import Request
from rest_framework.response import Response

from aggregator.protocols.openadr3 import selectors
from aggregator.protocols.openadr3.server.base import (
    ObjectView,
    asked_targets,
    caller_from,
    page,
    the,
)
from aggregator.protocols.openadr3.server.objects import program_json


class ProgramListView(ObjectView):
    """Programs the client may take part in."""

    scopes = {"GET": ("read_all", "read_targets")}

    def get(self, request: Request) -> Response:
        """List programs, oldest first."""
        caller = caller_from(request)
        granted = selectors.targets_granted(caller)
        found = selectors.programs_visible(caller, granted=granted, targets=asked_targets(request))
        shown = None if caller.sees_all else granted
        return Response([program_json(row, shown=shown) for row in page(request, found)])


class ProgramView(ObjectView):
    """One program."""

    scopes = {"GET": ("read_all", "read_targets")}

    def get(self, request: Request, program_id: str) -> Response:
        """Return the program, or 404 if it is hidden."""
        caller = caller_from(request)
        granted = selectors.targets_granted(caller)
        row = the(selectors.programs_visible(caller, granted=granted), program_id)
        return Response(program_json(row, shown=None if caller.sees_all else granted))
