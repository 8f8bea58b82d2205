"""Change and retire sites, resources and their classes of work; nothing is deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, Refused
from accounts.fields.checking import entries_checked, instance_checked, row_checked
from accounts.parties.models import Organisation, OrganisationKind
from market.registry.changes import row_saved, row_taken
from market.registry.models import Resource, Site, StorageUnit, WorkloadClass
from market.registry.services import (
    STORAGE_REQUIRED,
    WORKLOAD_REQUIRED,
    bus_checked,
    scale_class_of,
)

Row = Mapping[str, Any]

# Code, point, parties, area and loss ratio stay what they were registered as.
SITE_CHANGES = (
    "name",
    "name_en",
    "bus_code",
    "contract_kw",
    "labels",
    "longitude_deg",
    "latitude_deg",
    "retailer",
)
RESOURCE_CHANGES = (
    "name",
    "name_en",
    "limit_up_kw",
    "limit_down_kw",
    "is_behind_meter",
    "hardware",
    "response_s",
)
STORAGE_OPTIONAL = ("reserve_kwh", "standing_loss_ratio")
WORKLOAD_OPTIONAL = ("latency_max_ms", "labels_required")


class Retired(Conflict):
    """The site or resource is out of use; it is kept for the record only."""


@transaction.atomic
def site_change(*, site: Site, version: int, fields: Row) -> Site:
    """Change what may change of a site; its scale class follows from the contract.

    Parameters
    ----------
    version
        The version the caller read.
    fields
        Some of :data:`SITE_CHANGES`.

    Raises
    ------
    VersionChanged, Retired
        If somebody was first.
    Refused
        Naming the field.
    """
    entries_checked(fields, required=(), optional=SITE_CHANGES)
    site = row_taken(site, version=version)
    _refuse_retired(site)
    retailer = fields.get("retailer")
    if retailer is not None:
        instance_checked(retailer, Organisation, field="retailer")
        if retailer.kind != OrganisationKind.RETAILER:
            raise Refused(field="retailer", value=retailer.code, rule="a retailer")
    for name, value in fields.items():
        setattr(site, name, value)
    row_checked(site)
    site.labels = list(site.labels)
    if "bus_code" in fields:
        bus_checked(site, field="bus_code")
    site.scale_class = scale_class_of(site)
    row_saved(site, *fields, "scale_class")
    _tell("market.site.changed", site, site.organisation_id, fields)
    return site


@transaction.atomic
def site_retire(*, site: Site, version: int) -> Site:
    """Take a site out of use; its resources were retired before.

    Raises
    ------
    VersionChanged, Retired
        If somebody was first.
    Conflict
        If a resource of it is in use.
    """
    site = row_taken(site, version=version)
    _refuse_retired(site)
    in_use = site.resources.filter(retired_at__isnull=True).order_by("code").first()
    if in_use is not None:
        raise Conflict(field="resources", value=in_use.code, rule="retire the resources first")
    site.retired_at = market_now()
    row_saved(site, "retired_at")
    _tell("market.site.retired", site, site.organisation_id, {})
    return site


@transaction.atomic
def resource_change(
    *, resource: Resource, version: int, fields: Row, storage: Row | None = None
) -> Resource:
    """Change what may change of a resource, and its store as a whole.

    Parameters
    ----------
    fields
        Some of :data:`RESOURCE_CHANGES`.
    storage
        New limits of a storing kind, complete; None leaves them.

    Raises
    ------
    VersionChanged, Retired
        If somebody was first.
    Refused
        Naming the field; nothing is changed then.
    """
    entries_checked(fields, required=(), optional=RESOURCE_CHANGES)
    resource = row_taken(resource, version=version)
    _refuse_retired(resource)
    for name, value in fields.items():
        setattr(resource, name, value)
    row_checked(resource)
    resource.hardware = list(resource.hardware)
    if storage is not None:
        _storage_change(resource, storage)
    # The trigger raises the version of a row that changed; here its store may have alone.
    Resource.objects.filter(id=resource.id).update(
        **{name: getattr(resource, name) for name in fields}, version=version + 1
    )
    resource.refresh_from_db(fields=["version"])
    changed = {**fields, **({} if storage is None else {"storage": storage})}
    _tell("market.resource.changed", resource, resource.site.organisation_id, changed)
    return resource


def _storage_change(resource: Resource, storage: Row) -> None:
    entries_checked(storage, required=STORAGE_REQUIRED, optional=STORAGE_OPTIONAL, label="storage")
    unit = StorageUnit.objects.filter(resource=resource).first()
    if unit is None:
        raise Refused(
            field="storage", value=storage, rule="given for storage kinds and for no other"
        )
    defaults = dict.fromkeys(STORAGE_OPTIONAL, 0)
    for name, value in {**defaults, **storage}.items():
        setattr(unit, name, value)
    row_checked(unit, label="storage").save()


@transaction.atomic
def resource_retire(*, resource: Resource, version: int) -> Resource:
    """Take a resource out of use: it can be bid no more; bids in a book stay.

    Raises
    ------
    VersionChanged, Retired
        If somebody was first.
    """
    resource = row_taken(resource, version=version)
    _refuse_retired(resource)
    resource.retired_at = market_now()
    row_saved(resource, "retired_at")
    _tell("market.resource.retired", resource, resource.site.organisation_id, {})
    return resource


@transaction.atomic
def workload_class_add(*, resource: Resource, fields: Row) -> WorkloadClass:
    """Add a class of work to a computing load; its kind and pool together are new.

    Raises
    ------
    Refused
        Naming the field.
    """
    entries_checked(fields, required=WORKLOAD_REQUIRED, optional=WORKLOAD_OPTIONAL)
    _refuse_retired(Resource.objects.select_for_update().get(id=resource.id))
    work = row_checked(WorkloadClass(resource=resource, **fields))
    work.save(force_insert=True)
    _tell("market.workload_class.added", work, resource.site.organisation_id, fields)
    return work


@transaction.atomic
def workload_class_change(*, work: WorkloadClass, version: int, fields: Row) -> WorkloadClass:
    """Replace a class of work; kind and pool stay. One that is run no more has 0 kW.

    Raises
    ------
    VersionChanged, Retired
        If somebody was first.
    Refused
        Naming the field.
    """
    required = [name for name in WORKLOAD_REQUIRED if name not in ("kind", "pool")]
    entries_checked(fields, required=required, optional=WORKLOAD_OPTIONAL)
    work = row_taken(work, version=version)
    _refuse_retired(work.resource)
    defaults: dict[str, Any] = {"latency_max_ms": None, "labels_required": []}
    changed = {**defaults, **fields}
    for name, value in changed.items():
        setattr(work, name, value)
    row_checked(work)
    row_saved(work, *changed)
    _tell("market.workload_class.changed", work, work.resource.site.organisation_id, fields)
    return work


def _refuse_retired(row: Site | Resource) -> None:
    if row.retired_at is not None:
        raise Retired(field="retired_at", value=row.retired_at.isoformat(), rule="in use")


def _tell(action: str, row: Any, organisation_id: Any, fields: Row) -> None:
    entry_append(
        action=action,
        subject=row,
        organisation_id=organisation_id,
        detail={"fields": sorted(fields), "version": row.version},
    )
