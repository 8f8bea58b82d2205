"""Who may see which instructions."""

from django.db.models import QuerySet

from accounts.parties.models import Membership, OrganisationKind, User
from accounts.parties.roles import role_may
from aggregator.dispatch.models import DispatchInstruction
from market.trading.models import Auction


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
