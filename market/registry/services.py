"""Register areas, networks, sites and resources."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, models, transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, NotPermitted, Refused
from accounts.fields.checking import (
    date_checked,
    entries_checked,
    instance_checked,
    row_checked,
    row_fields_checked,
    text_checked,
)
from accounts.parties.models import Organisation, OrganisationKind
from market.core.errors import InvalidRules
from market.core.reading import Reader, canonical_bytes
from market.core.rules import rules_from_json
from market.core.units import DIRECTIONS
from market.registry.models import (
    STORAGE_KINDS,
    Area,
    Branch,
    Bus,
    ControllableLink,
    GridModel,
    MarketProduct,
    OpticalPath,
    Resource,
    Ruleset,
    ScaleClass,
    Site,
    StorageUnit,
    WorkloadClass,
)
from market.registry.networks_check import exact_number, network_rows
from market.registry.selectors import buses_latest

Row = Mapping[str, Any]

RESOURCE_REQUIRED = ("code", "name", "name_en", "kind", "limit_up_kw", "limit_down_kw")
STORAGE_REQUIRED = (
    "energy_kwh",
    "charge_kw",
    "discharge_kw",
    "charge_efficiency_ratio",
    "discharge_efficiency_ratio",
)
WORKLOAD_REQUIRED = ("kind", "pool", "power_kw", "slack_h", "value_jpy_per_kwh")
PATH_REQUIRED = (
    "code",
    "name",
    "from_site",
    "to_site",
    "capacity_gb",
    "price_jpy_per_gb",
    "latency_ms",
)
# Sections that parts above the market read for themselves.
RULES_ABOVE = ("dispatch", "baseline", "delivery", "settlement", "documents")
DEADLINE_MAX_MIN = 7 * 24 * 60
SOLVER_DEADLINE_MAX_S = 24 * 60 * 60
SUSTAINED_MAX_H = 24
# Advisory locks of names of grid models. Numbers are never reused.
MODEL_LOCK_CLASS = 2611


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
    owner: Organisation | None = None,
    valid_from_on: date | None = None,
) -> GridModel:
    """Store a network as the next version of `name`; the same content is the same version.

    Parameters
    ----------
    owner
        The grid operator whose model it is; all versions of a name have one owner, and one of
        its areas is in it. None for the market's own.
    valid_from_on
        First delivery date it is meant for; told to participants, not enforced.
    buses, branches, links
        Rows in the layout of the snapshot's ``network`` (docs/snapshot.md), with
        ``name``, ``name_en``, ``voltage_kv``, ``longitude_deg`` and ``latitude_deg``
        of a bus and ``kind`` of a branch besides.

    Raises
    ------
    NotPermitted
        If the name is another owner's, or no area in it is the owner's.
    Refused
        Whatever the engine could not read or solve as a snapshot's network, or a column not
        hold; the path is the one below ``network``.
    """
    grid_model = GridModel(
        name=text_checked(name, field="name", length_max=80),
        version=1,
        convention=convention,
        base_mva=exact_number(Reader(base_mva, "base_mva", Refused), places=3),
        source=source,
        sha256="0" * 64,
        owner=owner,
        valid_from_on=None
        if valid_from_on is None
        else date_checked(valid_from_on, field="valid_from_on"),
    )
    row_fields_checked(grid_model)
    _name_take(grid_model)
    rows = network_rows(grid_model, buses=buses, branches=branches, links=links)
    if owner is not None and all(bus.area.tso_id != owner.id for bus in rows.buses):
        raise NotPermitted(field="buses", value=owner.code, rule="a bus in an area of yours")
    content = json.dumps(
        [name, convention, str(base_mva), list(buses), list(branches), list(links)],
        sort_keys=True,
        default=str,
        ensure_ascii=False,
    )
    grid_model.sha256 = hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()
    known = GridModel.objects.filter(name=name, sha256=grid_model.sha256).first()
    if known is not None:
        return known
    last = GridModel.objects.filter(name=name).aggregate(last=models.Max("version"))["last"] or 0
    grid_model.version = last + 1
    grid_model.bus_count = len(rows.buses)
    grid_model.branch_count = len(rows.branches)
    grid_model.link_count = len(rows.links)
    grid_model.save(force_insert=True)
    Bus.objects.bulk_create(rows.buses)
    Branch.objects.bulk_create(rows.branches)
    ControllableLink.objects.bulk_create(rows.links)
    entry_append(
        action="market.grid_model.created",
        subject=grid_model,
        organisation_id=None if owner is None else owner.id,
        detail={"name": name, "version": grid_model.version, "sha256": grid_model.sha256},
    )
    return grid_model


def _name_take(grid_model: GridModel) -> None:
    """Let one caller at a time add a version of a name, and only its owner."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))",
            [MODEL_LOCK_CLASS, grid_model.name],
        )
    before = GridModel.objects.filter(name=grid_model.name).first()
    if before is not None and before.owner_id != grid_model.owner_id:
        raise NotPermitted(
            field="name", value=grid_model.name, rule="a name that is not another owner's"
        )


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
    """Add premises; its scale class follows from the contract and the class table.

    Raises
    ------
    Refused
        If a field is wrong or taken, or its bus is in the latest version of no grid model.
    """
    area_code = text_checked(details.area_code, field="area_code", length_max=2)
    area = Area.objects.filter(code=area_code).first()
    if area is None:
        raise NotFound(field="area_code", value=area_code, rule="a known area code")
    if retailer is not None:
        instance_checked(retailer, Organisation, field="retailer")
        if retailer.kind != OrganisationKind.RETAILER:
            raise Refused(field="retailer", value=retailer.code, rule="a retailer")
    site = Site(
        organisation=instance_checked(organisation, Organisation, field="organisation"),
        facility_owner=instance_checked(facility_owner, Organisation, field="facility_owner"),
        retailer=retailer,
        code=details.code,
        name=details.name,
        name_en=details.name_en,
        bus_code=details.bus_code,
        area=area,
        point_number=details.point_number,
        contract_kw=details.contract_kw,
        loss_ratio=details.loss_ratio,
        labels=details.labels,
        longitude_deg=details.longitude_deg,
        latitude_deg=details.latitude_deg,
    )
    row_checked(site, label="site")
    site.labels = list(site.labels)
    bus_checked(site, field="site.bus_code")
    site.scale_class = scale_class_of(site)
    site.save(force_insert=True)
    entry_append(
        action="market.site.registered",
        subject=site,
        organisation_id=organisation.id,
        detail={"code": site.code},
    )
    return site


def bus_checked(site: Site, *, field: str) -> None:
    """Refuse a site whose bus is in the latest version of no grid model."""
    if not buses_latest().filter(code=site.bus_code, area=site.area_id).exists():
        raise NotFound(
            field=field,
            value=site.bus_code,
            rule=f"a bus of area {site.area_id} in the latest version of a grid model",
        )


def scale_class_of(site: Site) -> ScaleClass | None:
    """Return the class that a site's contract falls into."""
    return (
        ScaleClass.objects.filter(contract_min_kw__lte=site.contract_kw)
        .order_by("-contract_min_kw")
        .first()
    )


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
        ``is_behind_meter``, ``hardware`` and ``response_s``.
    storage
        Limits of a storing kind; required for those, refused for others.

    Raises
    ------
    Refused
        On an unknown, missing or wrong entry anywhere; nothing is stored then.
    """
    instance_checked(site, Site, field="site")
    if site.retired_at is not None:
        raise Refused(field="site", value=site.code, rule="a site in use, not a retired one")
    entries_checked(
        fields,
        required=RESOURCE_REQUIRED,
        optional=("is_behind_meter", "hardware", "response_s"),
        label="resource",
    )
    resource = row_checked(Resource(site=site, **fields), label="resource")
    if (resource.kind in STORAGE_KINDS) != (storage is not None):
        raise Refused(
            field="storage", value=storage, rule="given for storage kinds and for no other"
        )
    resource.save(force_insert=True)
    if storage is not None:
        entries_checked(
            storage,
            required=STORAGE_REQUIRED,
            optional=("reserve_kwh", "standing_loss_ratio"),
            label="storage",
        )
        unit = row_checked(StorageUnit(resource=resource, **storage), label="storage")
        unit.save(force_insert=True)
    for item in Reader(workload_classes, "workload_classes", Refused).items():
        entries_checked(
            item.value,
            required=WORKLOAD_REQUIRED,
            optional=("latency_max_ms", "labels_required"),
            label=item.path,
        )
        work = row_checked(WorkloadClass(resource=resource, **item.value), label=item.path)
        work.save(force_insert=True)
    entry_append(
        action="market.resource.registered",
        subject=resource,
        organisation_id=site.organisation_id,
        detail={"code": resource.code, "kind": resource.kind},
    )
    return resource


@transaction.atomic
def optical_path_register(*, owner: Organisation, fields: Row) -> OpticalPath:
    """Add a path between two sites; `fields` as in the model, sites given by code.

    Raises
    ------
    Refused
        On an unknown, missing or wrong entry, or a path from a site to itself.
    """
    instance_checked(owner, Organisation, field="owner")
    entries_checked(fields, required=PATH_REQUIRED, label="path")
    ends = {}
    for end in ("from_site", "to_site"):
        code = text_checked(fields[end], field=end, length_max=40)
        site = Site.objects.filter(code=code).first()
        if site is None:
            raise NotFound(field=end, value=code, rule="a registered site")
        ends[end] = site
    if ends["from_site"] == ends["to_site"]:
        raise Refused(field="to_site", value=fields["to_site"], rule="another site than from_site")
    path = row_checked(OpticalPath(owner=owner, **{**fields, **ends}), label="path")
    path.save(force_insert=True)
    entry_append(action="market.path.registered", subject=path, organisation_id=owner.id)
    return path


@transaction.atomic
def ruleset_enact(*, version: str, valid_from_on: date, rules: Row) -> Ruleset:
    """Add rules that hold for deliveries from `valid_from_on` until the next version.

    Parameters
    ----------
    rules
        ``clearing`` as :func:`market.core.rules.rules_from_json` reads it, without ``version``;
        ``publication`` with ``deadline_min`` [min], ``solver_deadline_s`` [s] and optionally
        ``hold_min`` [min], how long after the gate a result is held back at least; optionally
        ``products``, the capacity products traded (id, direction, sustained_h);
        ``prequalification``, for what resources must be prequalified before they are bid:
        ``capacity_products`` (ids among ``products``) and ``energy_product``, a registered
        product that stands for all energy; ``need_approval_limit_jpy`` [JPY], above which needs
        of one operator and auction take a second person; and sections that parts above the
        market read themselves.

    Raises
    ------
    Refused
        If a section is unknown, missing or wrong, or the version or the date is taken.
    """
    text_checked(version, field="version", length_max=40)
    _rules_check(rules, version)
    ruleset = Ruleset(
        version=version,
        valid_from_on=date_checked(valid_from_on, field="valid_from_on"),
        rules=rules,
    )
    row_checked(ruleset).save(force_insert=True)
    entry_append(action="market.ruleset.enacted", subject=ruleset, detail={"version": version})
    return ruleset


def _rules_check(rules: Row, version: str) -> None:
    """Refuse rules that the market could not run a day under."""
    section = Reader(rules, "rules", InvalidRules).fields(
        required=("clearing", "publication"),
        optional=("products", "prequalification", "need_approval_limit_jpy", *RULES_ABOVE),
    )
    if "need_approval_limit_jpy" in section:
        section["need_approval_limit_jpy"].number(low=0)
    try:
        content = canonical_bytes(rules)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRules(field="rules", value=rules, rule="plain JSON") from error
    if b"\\u0000" in content:
        raise InvalidRules(field="rules", value=rules, rule="no NUL characters")
    clearing = section["clearing"].entries()
    if "version" in clearing:
        clearing["version"].refuse("must not be given: it is the ruleset's own")
    values = {name: entry.value for name, entry in clearing.items()}
    rules_from_json(Reader({"version": version, **values}, "rules.clearing", InvalidRules))
    publication = section["publication"].fields(
        required=("deadline_min", "solver_deadline_s"), optional=("hold_min",)
    )
    for name, high in (
        ("deadline_min", DEADLINE_MAX_MIN),
        ("solver_deadline_s", SOLVER_DEADLINE_MAX_S),
    ):
        if not publication[name].number(high=high) > 0:
            publication[name].refuse("must be above 0")
    if "hold_min" in publication:
        publication["hold_min"].number(low=0, high=publication["deadline_min"].number())
    _tradables_check(section, rules)
    for name in RULES_ABOVE:
        if name in section:
            section[name].entries()


def _tradables_check(section: Mapping[str, Reader], rules: Row) -> None:
    if "products" in section:
        _products_check(section["products"])
    if "prequalification" in section:
        _prequalification_check(section["prequalification"], rules)


def _products_check(reader: Reader) -> None:
    """Refuse capacity products that the snapshot could not carry, or nobody registered."""
    seen: set[str] = set()
    for item in reader.items():
        entry = item.fields(required=("id", "direction", "sustained_h"))
        code = entry["id"].text()
        if code in seen:
            entry["id"].refuse("must be a product named once")
        seen.add(code)
        entry["direction"].choice(DIRECTIONS)
        entry["sustained_h"].number(low=0.5, high=SUSTAINED_MAX_H)
        if not MarketProduct.objects.filter(code=code).exists():
            entry["id"].refuse("must be a registered product")


def _prequalification_check(reader: Reader, rules: Row) -> None:
    """Refuse to ask prequalification for what is not traded."""
    entry = reader.fields(required=(), optional=("capacity_products", "energy_product"))
    if "capacity_products" in entry:
        entry["capacity_products"].texts()
        known = {row["id"] for row in rules.get("products", ())}
        for item in entry["capacity_products"].items():
            item.reference(known, "capacity product of these rules")
    if "energy_product" in entry:
        code = entry["energy_product"].text()
        if not MarketProduct.objects.filter(code=code).exists():
            entry["energy_product"].refuse("must be a registered product")
