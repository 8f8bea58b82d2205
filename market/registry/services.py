"""Register areas, networks, sites and resources."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from accounts.parties.models import Organisation
from market.registry.models import (
    STORAGE_KINDS,
    Area,
    Branch,
    BranchKind,
    Bus,
    Consent,
    ControllableLink,
    GridModel,
    OpticalPath,
    Resource,
    RevenueSplit,
    Ruleset,
    ScaleClass,
    Site,
    StorageUnit,
    SusceptanceConvention,
    WorkloadClass,
)

Row = Mapping[str, Any]
ModelRow = TypeVar("ModelRow", bound=models.Model)


def _cleaned(row: ModelRow, *, label: str) -> ModelRow:
    """Run the model's own checks and turn the first complaint into a Refused."""
    try:
        row.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        value = getattr(row, name, None)
        raise Refused(field=f"{label}.{name}", value=value, rule="; ".join(messages)) from error
    return row


@transaction.atomic
def grid_model_create(
    *,
    name: str,
    convention: str,
    base_mva: Decimal,
    source: str,
    buses: Sequence[Row],
    branches: Sequence[Row],
    links: Sequence[Row] = (),
) -> GridModel:
    """Store a network as the next version of `name`; the same content is the same version.

    Parameters
    ----------
    buses, branches, links
        Rows in the layout of the snapshot's ``network`` (docs/snapshot.md), with
        ``name``, ``name_en``, ``voltage_kv``, ``longitude_deg`` and ``latitude_deg``
        of a bus and ``kind`` of a branch besides.

    Raises
    ------
    Refused
        On an unknown convention or area, a branch to an unknown bus, a zero reactance.
    """
    if convention not in SusceptanceConvention.values:
        raise Refused(field="convention", value=convention, rule="reactance or series")
    content = json.dumps(
        [name, convention, str(base_mva), list(buses), list(branches), list(links)],
        sort_keys=True,
        default=str,
        ensure_ascii=False,
    )
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    known = GridModel.objects.filter(name=name, sha256=sha256).first()
    if known is not None:
        return known
    last = GridModel.objects.filter(name=name).aggregate(last=models.Max("version"))["last"] or 0
    grid_model = GridModel.objects.create(
        name=name,
        version=last + 1,
        convention=convention,
        base_mva=base_mva,
        source=source,
        sha256=sha256,
    )
    bus_of = _buses_create(grid_model, buses)
    _branches_create(grid_model, branches, bus_of)
    for i, row in enumerate(links):
        ControllableLink.objects.create(
            grid_model=grid_model,
            code=row["id"],
            name=row.get("name", ""),
            name_en=row.get("name_en", ""),
            from_bus=_bus(bus_of, row["from"], f"links[{i}].from"),
            to_bus=_bus(bus_of, row["to"], f"links[{i}].to"),
            rating_kw=_dec(row["rating_kw"]),
        )
    entry_append(
        action="market.grid_model.created",
        subject=grid_model,
        detail={"name": name, "version": grid_model.version, "sha256": sha256},
    )
    return grid_model


def _dec(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _bus(bus_of: Mapping[str, Bus], code: str, field_path: str) -> Bus:
    if code not in bus_of:
        raise NotFound(field=field_path, value=code, rule="a bus of this model")
    return bus_of[code]


def _buses_create(grid_model: GridModel, buses: Sequence[Row]) -> dict[str, Bus]:
    areas = {area.code: area for area in Area.objects.all()}
    rows = []
    for i, row in enumerate(buses):
        if row["area"] not in areas:
            raise NotFound(field=f"buses[{i}].area", value=row["area"], rule="a known area code")
        rows.append(
            Bus(
                grid_model=grid_model,
                code=row["id"],
                name=row.get("name", ""),
                name_en=row.get("name_en", ""),
                area=areas[row["area"]],
                island=row["island"],
                voltage_kv=_dec(row.get("voltage_kv", 0)),
                slack_share_ratio=round(_dec(row["slack_share_ratio"]), 6),
                longitude_deg=_optional(row.get("longitude_deg")),
                latitude_deg=_optional(row.get("latitude_deg")),
            )
        )
    if len({row.code for row in rows}) != len(rows):
        raise Refused(field="buses", value=len(rows), rule="bus ids are unique")
    return {bus.code: bus for bus in Bus.objects.bulk_create(rows)}


def _optional(value: object) -> Decimal | None:
    return None if value is None else round(_dec(value), 5)


def _branches_create(
    grid_model: GridModel, branches: Sequence[Row], bus_of: Mapping[str, Bus]
) -> None:
    rows = []
    for i, row in enumerate(branches):
        if _dec(row["reactance_pu"]) == 0:
            raise Refused(
                field=f"branches[{i}].reactance_pu", value=row["reactance_pu"], rule="not zero"
            )
        rows.append(
            Branch(
                grid_model=grid_model,
                code=row["id"],
                name=row.get("name", ""),
                name_en=row.get("name_en", ""),
                kind=row.get("kind", BranchKind.LINE),
                from_bus=_bus(bus_of, row["from"], f"branches[{i}].from"),
                to_bus=_bus(bus_of, row["to"], f"branches[{i}].to"),
                resistance_pu=round(_dec(row.get("resistance_pu", 0)), 9),
                reactance_pu=round(_dec(row["reactance_pu"]), 9),
                tap_ratio=round(_dec(row.get("tap_ratio", 1)), 5),
                shift_deg=round(_dec(row.get("shift_deg", 0)), 4),
                rating_kw=round(_dec(row["rating_kw"]), 1),
                flow_cost_jpy_per_kwh=_dec(row.get("flow_cost_jpy_per_kwh", 0)),
            )
        )
    Branch.objects.bulk_create(rows)


@dataclass(frozen=True, kw_only=True)
class SiteDetails:
    """What a site is; see :class:`market.registry.models.Site` for units."""

    code: str
    name: str
    name_en: str
    bus_code: str
    area_code: str
    point_number: str
    contract_kw: Decimal
    loss_ratio: Decimal
    longitude_deg: Decimal
    latitude_deg: Decimal
    labels: Sequence[str] = field(default_factory=tuple)


@transaction.atomic
def site_register(
    *,
    organisation: Organisation,
    facility_owner: Organisation,
    retailer: Organisation | None,
    details: SiteDetails,
) -> Site:
    """Add premises; its scale class follows from the contract and the class table."""
    area = Area.objects.filter(code=details.area_code).first()
    if area is None:
        raise NotFound(field="area_code", value=details.area_code, rule="a known area code")
    scale = (
        ScaleClass.objects.filter(contract_min_kw__lte=details.contract_kw)
        .order_by("-contract_min_kw")
        .first()
    )
    site = Site(
        organisation=organisation,
        facility_owner=facility_owner,
        retailer=retailer,
        code=details.code,
        name=details.name,
        name_en=details.name_en,
        bus_code=details.bus_code,
        area=area,
        point_number=details.point_number,
        contract_kw=details.contract_kw,
        loss_ratio=details.loss_ratio,
        scale_class=scale,
        labels=list(details.labels),
        longitude_deg=details.longitude_deg,
        latitude_deg=details.latitude_deg,
    )
    _cleaned(site, label="site").save(force_insert=True)
    entry_append(
        action="market.site.registered",
        subject=site,
        organisation_id=organisation.id,
        detail={"code": site.code},
    )
    return site


@transaction.atomic
def resource_register(
    *,
    site: Site,
    fields: Row,
    storage: Row | None = None,
    workload_classes: Sequence[Row] = (),
) -> Resource:
    """Add a controllable unit with its storage limits or workload classes.

    Parameters
    ----------
    fields
        ``code, name, name_en, kind, limit_up_kw, limit_down_kw`` and optionally
        ``is_behind_meter`` and ``hardware``.
    storage
        Limits of a storing kind; required for those, refused for others.
    """
    resource = Resource(site=site, **fields)
    _cleaned(resource, label="resource").save(force_insert=True)
    stores = resource.kind in STORAGE_KINDS
    if stores != (storage is not None):
        raise Refused(
            field="storage", value=storage, rule="given for storage kinds and for no other"
        )
    if storage is not None:
        _cleaned(StorageUnit(resource=resource, **storage), label="storage").save(force_insert=True)
    for i, row in enumerate(workload_classes):
        unit = WorkloadClass(resource=resource, **row)
        _cleaned(unit, label=f"workload_classes[{i}]").save(force_insert=True)
    entry_append(
        action="market.resource.registered",
        subject=resource,
        organisation_id=site.organisation_id,
        detail={"code": resource.code, "kind": resource.kind},
    )
    return resource


@transaction.atomic
def optical_path_register(*, owner: Organisation, fields: Row) -> OpticalPath:
    """Add a path between two sites; `fields` as in the model, sites given by code."""
    ends = {}
    for end in ("from_site", "to_site"):
        site = Site.objects.filter(code=fields[end]).first()
        if site is None:
            raise NotFound(field=end, value=fields[end], rule="a registered site")
        ends[end] = site
    path = OpticalPath(owner=owner, **{**fields, **ends})
    _cleaned(path, label="path").save(force_insert=True)
    entry_append(action="market.path.registered", subject=path, organisation_id=owner.id)
    return path


@transaction.atomic
def consent_grant(
    *, site: Site, granted_by: Organisation, granted_to: Organisation, valid_from_on: date
) -> Consent:
    """Let `granted_to` sell the flexibility of a site it does not own."""
    consent = Consent.objects.create(
        site=site, granted_by=granted_by, granted_to=granted_to, valid_from_on=valid_from_on
    )
    entry_append(
        action="market.consent.granted",
        subject=consent,
        organisation_id=granted_by.id,
        detail={"site": site.code, "to": granted_to.code},
    )
    return consent


@transaction.atomic
def revenue_split_agree(
    *, site: Site, organisation: Organisation, share_ratio: Decimal, valid_from_on: date
) -> RevenueSplit:
    """Agree that the site's operator passes a share of its receipts to `organisation`."""
    split = RevenueSplit(
        site=site, organisation=organisation, share_ratio=share_ratio, valid_from_on=valid_from_on
    )
    _cleaned(split, label="revenue_split").save(force_insert=True)
    total = sum(
        other.share_ratio
        for other in RevenueSplit.objects.filter(site=site, valid_from_on__lte=valid_from_on)
        if other.valid_to_on is None or other.valid_to_on > valid_from_on
    )
    if total > 1:
        raise Refused(field="share_ratio", value=share_ratio, rule="shares of a site sum to ≤ 1")
    entry_append(
        action="market.revenue_split.agreed",
        subject=split,
        organisation_id=site.organisation_id,
        detail={"site": site.code, "to": organisation.code, "share_ratio": str(share_ratio)},
    )
    return split


@transaction.atomic
def ruleset_enact(*, version: str, valid_from_on: date, rules: Row) -> Ruleset:
    """Add rules that hold for deliveries from `valid_from_on` until the next version."""
    ruleset = Ruleset.objects.create(version=version, valid_from_on=valid_from_on, rules=rules)
    entry_append(action="market.ruleset.enacted", subject=ruleset, detail={"version": version})
    return ruleset
