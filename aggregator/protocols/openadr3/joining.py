"""Join resources of vens to the registered ones of their client's organisation, by their codes."""

from __future__ import annotations

from typing import Final

from django.db.models.expressions import RawSQL

from aggregator.protocols.openadr3.models import Ven, VenResource
from market.registry.models import Resource

NOW: Final = RawSQL("market_now()", ())


def unit_of(ven: Ven, name: str) -> Resource | None:
    """Return the registered resource of that code, if it belongs to the ven's organisation."""
    return Resource.objects.filter(
        code=name, site__organisation_id=ven.client.organisation_id
    ).first()


def resources_rejoin(ven: Ven) -> None:
    """Join a ven's resources to those of its present organisation, without the others' targets."""
    for row in VenResource.objects.filter(ven=ven, removed_at=None).select_related("resource"):
        unit = unit_of(ven, row.name)
        before = row.resource.code if row.resource else None
        VenResource.objects.filter(pk=row.pk).update(
            resource=unit,
            targets=[name for name in row.targets if name != before],
            modified_at=NOW,
        )
