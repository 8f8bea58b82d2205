"""What a client may see: object privacy, target granting and target hiding.

A site's client sees its own vens, resources and reports; events without targets, and those
whose targets meet the ones granted to its vens and resources. Of an event's targets it sees
only its own. Clients of the aggregator with the scope ``read_all`` see everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from accounts.parties.models import ApiClient, OrganisationKind
from aggregator.dispatch.models import InstructionState
from aggregator.protocols.openadr3.models import Event, Program, Report, Ven, VenResource

_Targeted = TypeVar("_Targeted", Program, Event)

# An order that is void must not be read as one: its event is gone, as if deleted.
LISTED_STATES = (
    InstructionState.SENT,
    InstructionState.ACKNOWLEDGED,
    InstructionState.ACTIVE,
    InstructionState.FINISHED,
    InstructionState.OPTED_OUT,
)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The client behind a request, with the scopes of its token."""

    client: ApiClient
    scopes: frozenset[str]

    # what REST framework asks of a user
    is_authenticated = True

    @property
    def sees_all(self) -> bool:
        """Whether this is the platform's own business logic."""
        kind = self.client.organisation.kind
        return "read_all" in self.scopes and kind == OrganisationKind.AGGREGATOR


def targets_granted(caller: Caller) -> frozenset[str]:
    """Targets of the client's vens and resources."""
    vens = Ven.objects.filter(client=caller.client).values_list("targets", flat=True)
    resources = VenResource.objects.filter(ven__client=caller.client)
    rows = [*vens, *resources.values_list("targets", flat=True)]
    return frozenset(target for targets in rows for target in targets)


def programs_visible(
    caller: Caller, *, granted: frozenset[str], targets: Iterable[str] = ()
) -> QuerySet[Program]:
    """Programs without targets, and those granted to the caller."""
    found = Program.objects.order_by("created_at", "id")
    if not caller.sees_all:
        found = found.filter(Q(targets=[]) | Q(targets__overlap=sorted(granted)))
    return _narrowed(found, caller, granted, targets)


def events_visible(
    caller: Caller, *, granted: frozenset[str], targets: Iterable[str] = ()
) -> QuerySet[Event]:
    """Events in force without targets, and those granted to the caller."""
    found = Event.objects.filter(
        Q(instruction__isnull=True) | Q(instruction__state__in=LISTED_STATES)
    ).order_by("created_at", "id")
    if not caller.sees_all:
        found = found.filter(Q(targets=[]) | Q(targets__overlap=sorted(granted)))
    return _narrowed(found, caller, granted, targets)


def _narrowed(
    found: QuerySet[_Targeted],
    caller: Caller,
    granted: frozenset[str],
    targets: Iterable[str],
) -> QuerySet[_Targeted]:
    """Keep what meets the asked targets; asking for another's adds nothing."""
    asked = frozenset(targets)
    if not asked:
        return found
    return found.filter(targets__overlap=sorted(asked if caller.sees_all else asked & granted))


def events_active(found: QuerySet[Event]) -> QuerySet[Event]:
    """Leave out events that are over."""
    return found.filter(ends_at__gt=RawSQL("market_now()", ()))


def vens_visible(caller: Caller) -> QuerySet[Ven]:
    """Vens of the caller."""
    found = Ven.objects.select_related("client").order_by("created_at", "id")
    return found if caller.sees_all else found.filter(client=caller.client)


def resources_visible(caller: Caller) -> QuerySet[VenResource]:
    """Resources of the caller's vens."""
    found = VenResource.objects.select_related("ven__client").order_by("created_at", "id")
    return found if caller.sees_all else found.filter(ven__client=caller.client)


def reports_visible(caller: Caller) -> QuerySet[Report]:
    """Return the reports the caller made."""
    found = Report.objects.select_related("client").order_by("created_at", "id")
    return found if caller.sees_all else found.filter(client=caller.client)
