"""What callers see of meters, readings, baselines and deliveries: deny by default.

Meters and what they read are seen by the operator of the site, by the grid operator of its area
and by the market's own roles; baselines by the operator and the market; deliveries also by the
grid operators whose needs were served.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.parties.models import OrganisationKind
from accounts.parties.sight import Sight
from aggregator.dispatch.models import ServedNeed
from aggregator.metering.models import (
    Baseline,
    Delivery,
    DeliveryVerification,
    IntervalReading,
    Meter,
    Stage,
)
from aggregator.metering.selectors import deliveries_effective
from market.registry.models import Area, Resource, Site

READ = "reading.read"
SUBMIT = "reading.submit"
REGISTER = "meter.register"
READ_DELIVERY = "delivery.read"


def sites_metered(*, seen_by: Sight, action: str) -> QuerySet[Site]:
    """Sites whose meters a caller may do `action` with: its own, and those in its area."""
    if seen_by.may_everywhere(action):
        return Site.objects.all()
    own_ids = seen_by.organisations_for(action)
    return Site.objects.filter(Q(organisation_id__in=own_ids) | Q(area__tso_id__in=own_ids))


def resources_metered(*, seen_by: Sight, action: str) -> QuerySet[Resource]:
    """Resources at those sites."""
    rows = Resource.objects.select_related("site")
    if seen_by.may_everywhere(action):
        return rows
    return rows.filter(site__in=sites_metered(seen_by=seen_by, action=action).values("id"))


def meters_by_way(*, seen_by: Sight, action: str = READ) -> list[QuerySet[Meter]]:
    """Meters a caller may do `action` with: of resources and of whole sites, as their side."""
    rows = Meter.objects.select_related(
        "resource__site__organisation", "resource__site__area", "site__organisation", "site__area"
    )
    if seen_by.may_everywhere(action):
        return [rows]
    own_ids = seen_by.organisations_for(action)
    areas = list(Area.objects.filter(tso__in=own_ids).values_list("code", flat=True))
    return [
        rows.filter(resource__site__organisation__in=own_ids),
        rows.filter(resource__site__area__in=areas),
        rows.filter(site__organisation__in=own_ids),
        rows.filter(site__area__in=areas),
    ]


def meters_seen(*, seen_by: Sight, action: str = READ) -> QuerySet[Meter]:
    """Meters a caller may do `action` with, to be narrowed to a few; lists go by way."""
    return reduce(or_, meters_by_way(seen_by=seen_by, action=action))


def stages_allowed(*, seen_by: Sight, point_numbers: Collection[str]) -> dict[str, int]:
    """Return the highest stage a caller may send for each meter; others are not in the answer.

    An operator's own values are 速報; 確報 and 確定, which is paid on, come from the grid operator
    of the area or from the market's settlement.
    """
    meters = Meter.objects.filter(point_number__in=point_numbers).values_list(
        "point_number",
        Coalesce("resource__site__organisation_id", "site__organisation_id"),
        Coalesce("resource__site__area__tso_id", "site__area__tso_id"),
    )
    everywhere = seen_by.may_everywhere(SUBMIT)
    own_ids = seen_by.organisations_for(SUBMIT)
    allowed = {}
    for number, operator_id, tso_id in meters:
        if everywhere or tso_id in own_ids:
            allowed[number] = int(Stage.FINAL)
        elif operator_id in own_ids:
            allowed[number] = int(Stage.PRELIMINARY)
    return allowed


def readings_known(
    *, meter: Meter, known_at: datetime | None = None, every_revision: bool = False
) -> QuerySet[IntervalReading]:
    """Return readings of a meter that the caller can see, as they were known at a moment.

    Parameters
    ----------
    meter
        Out of :func:`meters_seen`.
    known_at
        Values that became available later do not exist yet; None takes what is known now.
    every_revision
        All values of a half hour instead of the one that prevails: of the highest stage the
        latest revision.
    """
    rows = IntervalReading.objects.filter(meter=meter)
    if known_at is not None:
        rows = rows.filter(available_at__lte=known_at)
    if every_revision:
        return rows
    better = IntervalReading.objects.filter(
        Q(stage__gt=OuterRef("stage"))
        | Q(stage=OuterRef("stage"), revision__gt=OuterRef("revision")),
        start_at=OuterRef("start_at"),
        meter_id=meter.pk,
    )
    if known_at is not None:
        better = better.filter(available_at__lte=known_at)
    return rows.filter(~Exists(better))


def baselines_seen(*, seen_by: Sight, resource: str | None = None) -> QuerySet[Baseline]:
    """Baselines a caller may see: of its own resources, or all; of one resource if named."""
    rows = Baseline.objects.select_related("resource__site", "verification__auction")
    if resource is not None:
        # by its id, which is known before the query is planned, so that its own index serves
        rows = rows.filter(
            resource_id__in=list(
                Resource.objects.filter(code=resource).values_list("id", flat=True)
            )
        )
    if seen_by.may_everywhere(READ_DELIVERY):
        return rows
    own_ids = seen_by.organisations_for(READ_DELIVERY)
    own = Resource.objects.filter(site__organisation_id__in=own_ids).values("id")
    return rows.filter(resource_id__in=own)


@dataclass(frozen=True, kw_only=True)
class DeliveryView:
    """Which side of a delivery a caller sees: all of its own, or site and quantities."""

    sees_all: bool
    own_ids: frozenset[UUID]

    def is_own(self, row: Delivery) -> bool:
        """Whether the caller sees award, resource and baseline, too."""
        return self.sees_all or row.award.organisation_id in self.own_ids


def delivery_view_of(seen_by: Sight) -> DeliveryView:
    """Return which side of deliveries a caller sees."""
    return DeliveryView(
        sees_all=seen_by.may_everywhere(READ_DELIVERY),
        own_ids=seen_by.organisations_for(READ_DELIVERY),
    )


def deliveries_seen(*, seen_by: Sight, verification: DeliveryVerification) -> QuerySet[Delivery]:
    """Deliveries of one verification that a caller may see.

    Sellers see their own, grid operators what served their needs, the market all.
    """
    # what stands beside a delivery is fetched for the page alone, not joined to all of the day
    # a look that corrects nothing is whole
    effective = (
        Delivery.objects.filter(verification=verification)
        if verification.corrects_id is None
        else deliveries_effective(verification_id=verification.pk)
    )
    rows = effective.prefetch_related("award__resource__site", "award__organisation")
    if seen_by.may_everywhere(READ_DELIVERY):
        return rows
    own_ids = seen_by.organisations_for(READ_DELIVERY)
    buyers = [
        row.id
        for row in seen_by.organisations
        if row.id in own_ids and row.kind == OrganisationKind.TSO
    ]
    own = Q(award__organisation_id__in=own_ids)
    if not buyers:
        return rows.filter(own)
    served = Q(
        award_id__in=ServedNeed.objects.filter(organisation_id__in=buyers).values("award_id")
    )
    return rows.filter(served if len(buyers) == len(own_ids) else own | served)
