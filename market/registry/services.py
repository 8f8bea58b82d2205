"""Register areas, networks, sites and resources."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import models, transaction

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from accounts.fields.checking import (
    date_checked,
    entries_checked,
    instance_checked,
    row_checked,
    row_fields_checked,
    text_checked,
)
from accounts.parties.models import Organisation
from market.core.errors import InvalidRules
from market.core.reading import Reader, canonical_bytes
from market.core.rules import rules_from_json
from market.core.units import DIRECTIONS
from market.registry.models import (
    STORAGE_KINDS,
    Area,
    Branch,
    Bus,
    Consent,
    ControllableLink,
    GridModel,
    MarketProduct,
    OpticalPath,
    Resource,
    RevenueSplit,
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
RULES_ABOVE = ("dispatch", "baseline", "settlement")
DEADLINE_MAX_MIN = 7 * 24 * 60
SOLVER_DEADLINE_MAX_S = 24 * 60 * 60
SUSTAINED_MAX_H = 24


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
    )
    row_fields_checked(grid_model)
    rows = network_rows(grid_model, buses=buses, branches=branches, links=links)
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
    grid_model.save(force_insert=True)
    Bus.objects.bulk_create(rows.buses)
    Branch.objects.bulk_create(rows.branches)
    ControllableLink.objects.bulk_create(rows.links)
    entry_append(
        action="market.grid_model.created",
        subject=grid_model,
        detail={"name": name, "version": grid_model.version, "sha256": grid_model.sha256},
    )
    return grid_model


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
    if not buses_latest().filter(code=site.bus_code, area=area).exists():
        raise NotFound(
            field="site.bus_code",
            value=site.bus_code,
            rule=f"a bus of area {area.code} in the latest version of a grid model",
        )
    site.scale_class = (
        ScaleClass.objects.filter(contract_min_kw__lte=site.contract_kw)
        .order_by("-contract_min_kw")
        .first()
    )
    site.save(force_insert=True)
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

    Raises
    ------
    Refused
        On an unknown, missing or wrong entry anywhere; nothing is stored then.
    """
    instance_checked(site, Site, field="site")
    entries_checked(
        fields,
        required=RESOURCE_REQUIRED,
        optional=("is_behind_meter", "hardware"),
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
def consent_grant(
    *, site: Site, granted_by: Organisation, granted_to: Organisation, valid_from_on: date
) -> Consent:
    """Let `granted_to` sell the flexibility of a site it does not own.

    Raises
    ------
    Refused
        If a party or the site is not registered, or the date is none.
    """
    consent = Consent(
        site=instance_checked(site, Site, field="site"),
        granted_by=instance_checked(granted_by, Organisation, field="granted_by"),
        granted_to=instance_checked(granted_to, Organisation, field="granted_to"),
        valid_from_on=date_checked(valid_from_on, field="valid_from_on"),
    )
    row_checked(consent).save(force_insert=True)
    entry_append(
        action="market.consent.granted",
        subject=consent,
        organisation_id=granted_by.id,
        detail={"site": site.code, "to": granted_to.code},
    )
    return consent


@transaction.atomic
def revenue_split_agree(
    *,
    site: Site,
    organisation: Organisation,
    share_ratio: Decimal,
    valid_from_on: date,
    valid_to_on: date | None = None,
) -> RevenueSplit:
    """Agree that the site's operator passes a share of its receipts to `organisation`.

    Parameters
    ----------
    valid_from_on, valid_to_on
        JST delivery dates, half-open; without an end the split holds until further notice.

    Raises
    ------
    Refused
        If a field is wrong, or on some date the site's splits would exceed its receipts.
    """
    instance_checked(site, Site, field="site")
    split = RevenueSplit(
        site=site,
        organisation=instance_checked(organisation, Organisation, field="organisation"),
        share_ratio=share_ratio,
        valid_from_on=date_checked(valid_from_on, field="valid_from_on"),
        valid_to_on=valid_to_on,
    )
    # Two agreements at once would each see room for itself.
    Site.objects.select_for_update().get(id=site.id)
    row_checked(split, label="revenue_split")
    if valid_to_on is not None and valid_to_on <= valid_from_on:
        raise Refused(field="valid_to_on", value=valid_to_on, rule="after valid_from_on")
    splits = [*RevenueSplit.objects.filter(site=site), split]
    # The sum rises only where a split begins, so these dates stand for all.
    for on in sorted(
        {other.valid_from_on for other in splits if _holds(split, other.valid_from_on)}
    ):
        total = sum(other.share_ratio for other in splits if _holds(other, on))
        if total > 1:
            raise Refused(
                field="share_ratio",
                value=share_ratio,
                rule=f"shares of a site sum to ≤ 1 (they would be {total} from {on})",
            )
    split.save(force_insert=True)
    entry_append(
        action="market.revenue_split.agreed",
        subject=split,
        organisation_id=site.organisation_id,
        detail={"site": site.code, "to": organisation.code, "share_ratio": str(share_ratio)},
    )
    return split


def _holds(split: RevenueSplit, on: date) -> bool:
    return split.valid_from_on <= on and (split.valid_to_on is None or on < split.valid_to_on)


@transaction.atomic
def ruleset_enact(*, version: str, valid_from_on: date, rules: Row) -> Ruleset:
    """Add rules that hold for deliveries from `valid_from_on` until the next version.

    Parameters
    ----------
    rules
        ``clearing`` as :func:`market.core.rules.rules_from_json` reads it, without ``version``;
        ``publication`` with ``deadline_min`` [min], ``solver_deadline_s`` [s] and optionally
        ``hold_min`` [min], how long after the gate a result is held back at least; optionally
        ``products``, the capacity products traded (id, direction, sustained_h); and sections that
        parts above the market read themselves.

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
        required=("clearing", "publication"), optional=("products", *RULES_ABOVE)
    )
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
    if "products" in section:
        _products_check(section["products"])
    for name in RULES_ABOVE:
        if name in section:
            section[name].entries()


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
