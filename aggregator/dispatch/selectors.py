"""Who may see which instructions."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.parties.models import Membership, OrganisationKind, User
from accounts.parties.roles import role_may
from accounts.parties.sight import Sight
from aggregator.dispatch.models import (
    AvailabilityNotice,
    DispatchInstruction,
    InstructionState,
    ServedNeed,
)
from market.registry.models import Resource
from market.trading.models import Auction

READ = "instruction.read"
ANSWER = "instruction.answer"


def instructions_visible(*, seen_by: User) -> QuerySet[DispatchInstruction]:
    """Instructions a person may see: the desk all, a site's operator its own, others none."""
    own = []
    for role, organisation_id, kind in Membership.objects.filter(user=seen_by).values_list(
        "role", "organisation_id", "organisation__kind"
    ):
        if kind == OrganisationKind.AGGREGATOR and role_may(role, "instruction.read"):
            return DispatchInstruction.objects.all()
        if role_may(role, "award.read") or role_may(role, "instruction.answer"):
            own.append(organisation_id)
    return DispatchInstruction.objects.filter(organisation_id__in=own)


def instructions_of(*, auction: Auction, seen_by: User) -> QuerySet[DispatchInstruction]:
    """Instructions of an auction that a person may see, with their half hours, earliest first."""
    return (
        instructions_visible(seen_by=seen_by)
        .filter(award__auction=auction)
        .select_related("resource__site", "organisation", "award", "replaces")
        .prefetch_related("intervals")
        .order_by("starts_at", "resource__code", "version")
    )


@dataclass(frozen=True, kw_only=True)
class View:
    """Which side of an instruction a caller sees.

    The desk sees everything. The site's operator sees its own; of an award that is not its own
    (it stands in for a rival) it sees nothing. A grid operator sees what is done where for its
    needs: site and quantities, no parties, no reasons, no money.
    """

    sees_all: bool
    own_ids: frozenset[UUID]

    def is_own(self, row: DispatchInstruction) -> bool:
        """Whether the caller may see everything its site's operator does."""
        return self.sees_all or row.organisation_id in self.own_ids

    def sees_award(self, row: DispatchInstruction) -> bool:
        """Whether the award behind the instruction is the caller's, too."""
        return self.sees_all or row.award.organisation_id in self.own_ids


def view_of(seen_by: Sight) -> View:
    """Return which side of instructions a caller sees."""
    return View(sees_all=seen_by.may_everywhere(READ), own_ids=seen_by.organisations_for(READ))


def instructions_seen(*, seen_by: Sight) -> QuerySet[DispatchInstruction]:
    """Instructions a caller may see: the desk all, a site's operator its own.

    A grid operator sees those that serve its needs, once they were sent.
    """
    rows = DispatchInstruction.objects.select_related(
        "resource__site", "organisation", "award__auction"
    ).prefetch_related("intervals")
    if seen_by.may_everywhere(READ):
        return rows
    own_ids = seen_by.organisations_for(READ)
    buyers = [
        row.id
        for row in seen_by.organisations
        if row.id in own_ids and row.kind == OrganisationKind.TSO
    ]
    own = Q(organisation_id__in=own_ids)
    if not buyers:
        return rows.filter(own)
    served = ServedNeed.objects.filter(organisation_id__in=buyers).values("award_id")
    for_them = Q(award_id__in=served) & ~Q(state=InstructionState.PLANNED)
    return rows.filter(for_them if len(buyers) == len(own_ids) else own | for_them)


def chain_of(*, instruction: DispatchInstruction) -> QuerySet[DispatchInstruction]:
    """Return every version of an award's instruction, first to last, for the desk."""
    return (
        DispatchInstruction.objects.filter(award_id=instruction.award_id)
        .select_related("resource__site", "organisation", "award__auction")
        .prefetch_related("intervals")
        .order_by("version")
    )


def availabilities_seen(*, seen_by: Sight) -> QuerySet[AvailabilityNotice]:
    """Notices a caller may see: the desk all, a site's operator its own."""
    rows = AvailabilityNotice.objects.select_related("resource__site", "organisation")
    if seen_by.may_everywhere(READ):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for(READ))


def resources_answered(*, seen_by: Sight) -> QuerySet[Resource]:
    """Return the resources in whose name a caller answers instructions."""
    return Resource.objects.select_related("site").filter(
        site__organisation_id__in=seen_by.organisations_for(ANSWER)
    )
