"""Step 1 of the demo day: everyone and everything gets a row, through the services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.parties.models import Organisation, User
from accounts.parties.services import member_add, organisation_register
from aggregator.ops.demo import cast
from market.registry.agreement_services import (
    Days,
    consent_grant,
    revenue_agreement_agree,
    revenue_agreement_propose,
)
from market.registry.models import (
    Area,
    Branch,
    CongestionPoint,
    GridModel,
    MarketProduct,
    Portfolio,
    Resource,
    ScaleClass,
    Site,
)
from market.registry.services import (
    SiteDetails,
    grid_model_create,
    optical_path_register,
    resource_register,
    ruleset_enact,
    site_register,
)
from market.registry.trunks import optical_trunk_register

Grid = Mapping[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What later steps need by name."""

    organisations: Mapping[str, Organisation]
    grid_model: GridModel
    tso_of_area: Mapping[str, Organisation]


@transaction.atomic
def register(
    *,
    grid: Grid,
    rows: Mapping[str, list[dict[str, Any]]],
    from_on: date,
    rules: Mapping[str, Any] = cast.RULES,
) -> Registered:
    """Register the cast of :mod:`aggregator.ops.demo.cast` on the demo grid.

    Parameters
    ----------
    grid, rows
        ``grid_load()`` and ``grid_model_rows(grid)`` of :mod:`aggregator.ops.demo.shapes`.
    from_on
        JST date from which consents and splits hold.
    rules
        Of the ruleset that is in force.
    """
    organisations = {
        code: organisation_register(
            code=code,
            kind=kind,
            name=name,
            name_en=name_en,
            registration_number=cast.registration_number_of(code),
        )
        for code, kind, name, name_en in cast.ORGANISATIONS
    }
    _members(organisations)
    tso_of_area = _areas(organisations)
    _market_facts(rules)
    model = grid_model_create(
        name="wattbit-demo",
        convention=grid["network"]["convention"],
        base_mva=Decimal(str(grid["network"]["base_mva"])),
        source="aggregator/ops/demo/grid.json",
        buses=rows["buses"],
        branches=rows["branches"],
        links=rows["links"],
    )
    _congestion_points(grid, model, tso_of_area)
    sites = _sites(grid, organisations, from_on)
    _loads(sites)
    _storages(sites)
    _renewables(sites)
    _micro_units(sites[cast.MICRO_SITE])
    _paths(organisations["hikari-path"])
    _trunks(organisations["hikari-path"])
    return Registered(
        organisations=organisations,
        grid_model=model,
        tso_of_area=tso_of_area,
    )


def _members(organisations: Mapping[str, Organisation]) -> None:
    """Enter people without passwords: nobody can log in until the demo hands some out."""
    for code, username, display_name, role in cast.MEMBERS:
        user = member_add(
            organisation=organisations[code],
            username=username,
            display_name=display_name,
            role=role,
            is_staff=code == "wattbit",
        )
        User.objects.filter(id=user.id).update(is_superuser=username == "desk")


def _areas(organisations: Mapping[str, Organisation]) -> dict[str, Organisation]:
    Area.objects.bulk_create(
        Area(
            code=code,
            name=name,
            name_en=name_en,
            frequency_hz=hz,
            tso=organisations[tso] if tso else None,
        )
        for code, name, name_en, hz, tso in cast.AREAS
    )
    return {code: organisations[tso] for code, _, _, _, tso in cast.AREAS if tso}


def _market_facts(rules: Mapping[str, Any]) -> None:
    ScaleClass.objects.bulk_create(
        ScaleClass(code=code, name=name, name_en=name_en, contract_min_kw=low, contract_max_kw=high)
        for code, name, name_en, low, high in cast.SCALE_CLASSES
    )
    MarketProduct.objects.bulk_create(
        MarketProduct(
            code=code,
            name=name,
            name_en=name_en,
            response_s=response_s,
            quantity_min_kw=minimum,
            quantity_tick_kw=Decimal(tick),
        )
        for code, name, name_en, response_s, minimum, tick in cast.PRODUCTS
    )
    ruleset_enact(version=cast.RULESET_VERSION, valid_from_on=cast.RULESET_FROM_ON, rules=rules)


def _congestion_points(
    grid: Grid, model: GridModel, tso_of_area: Mapping[str, Organisation]
) -> None:
    branches = {
        branch.code: branch
        for branch in Branch.objects.filter(grid_model=model).select_related("from_bus", "to_bus")
    }
    points = []
    for element in grid["elements"]:
        branch = branches[element["branch"]]
        owner = tso_of_area[element["area"]]
        ends = {tso_of_area[branch.from_bus.area_id], tso_of_area[branch.to_bus.area_id]}
        other = next(iter(ends - {owner}), None)
        points.append(
            CongestionPoint(
                grid_model=model,
                branch=branch,
                owner=owner,
                co_owner=other,
                code=element["id"],
                name=element["name_ja"],
                name_en=element["name_en"],
                rating_kw=Decimal(str(element["rating_kw"])),
            )
        )
    CongestionPoint.objects.bulk_create(points)


def _sites(grid: Grid, organisations: Mapping[str, Organisation], from_on: date) -> dict[str, Site]:
    area_of = {bus["id"]: bus["area"] for bus in grid["network"]["buses"]}
    sites = {}
    for number, row in enumerate(grid["sites"], start=1):
        code = row["id"]
        operator = organisations[cast.OPERATORS[code]]
        owner_code, share_ratio = cast.FACILITY_OWNERS.get(code, (operator.code, "0"))
        owner = organisations[owner_code]
        site = site_register(
            organisation=operator,
            facility_owner=owner,
            retailer=organisations["retail-a"],
            details=SiteDetails(
                code=code,
                name=row["name_ja"],
                name_en=row["name_en"],
                bus_code=row["bus"],
                area_code=area_of[row["bus"]],
                point_number=f"{area_of[row['bus']]}1{number:019d}",
                contract_kw=Decimal(row["contract_kw"]),
                loss_ratio=Decimal(str(row["loss_ratio"])),
                longitude_deg=Decimal(str(row["longitude_deg"])),
                latitude_deg=Decimal(str(row["latitude_deg"])),
                labels=cast.LABELS.get(code, cast.LABELS_DEFAULT),
            ),
        )
        if owner != operator:
            consent_grant(site=site, granted_by=owner, granted_to=operator, valid_from_on=from_on)
            _share(site, owner, Decimal(share_ratio), from_on)
        sites[code] = site
    return sites


def _share(site: Site, owner: Organisation, share_ratio: Decimal, from_on: date) -> None:
    """Let the owner propose its share and the operator agree."""
    proposal = revenue_agreement_propose(
        site=site,
        proposed_by=owner,
        actor="demo",
        shares=[(owner, share_ratio), (site.organisation, 1 - share_ratio)],
        days=Days(from_on=from_on),
    )
    revenue_agreement_agree(
        agreement=proposal,
        version=proposal.version,
        organisation=site.organisation,
        actor="demo",
    )


def _loads(sites: Mapping[str, Site]) -> None:
    """Each site's computing load, half of the contract downwards, a sixth upwards."""
    for code, site in sites.items():
        power_kw = round(site.contract_kw * Decimal("0.9"), 1)
        resource_register(
            site=site,
            fields={
                "code": f"{code}-load",
                "name": f"{site.name} 計算負荷",
                "name_en": f"{site.name_en} compute load",
                "kind": "DC_LOAD",
                "limit_up_kw": round(site.contract_kw / 2, 1),
                "limit_down_kw": round(site.contract_kw / 6, 1),
                "response_s": cast.RESPONSE_S["DC_LOAD"],
                "hardware": list(cast.HARDWARE.get(code, cast.HARDWARE_DEFAULT)),
            },
            workload_classes=[
                {
                    "kind": kind,
                    "pool": pool,
                    "power_kw": round(power_kw * Decimal(share), 1),
                    "slack_h": Decimal(slack_h),
                    "latency_max_ms": Decimal(latency_ms) if latency_ms else None,
                    "value_jpy_per_kwh": Decimal(value),
                    "labels_required": ["country:JP"] if kind == "INFERENCE" else [],
                }
                for share, kind, pool, slack_h, latency_ms, value in cast.WORKLOADS
            ],
        )


def _storages(sites: Mapping[str, Site]) -> None:
    for (
        code,
        site,
        kind,
        name,
        name_en,
        power_kw,
        energy_kwh,
        reserve_kwh,
        way,
        loss,
    ) in cast.STORAGE:
        resource_register(
            site=sites[site],
            fields={
                "code": code,
                "name": name,
                "name_en": name_en,
                "kind": kind,
                "limit_up_kw": Decimal(power_kw),
                "limit_down_kw": Decimal(power_kw),
                "response_s": cast.RESPONSE_S[kind],
            },
            storage={
                "energy_kwh": Decimal(energy_kwh),
                "reserve_kwh": Decimal(reserve_kwh),
                "charge_kw": Decimal(power_kw),
                "discharge_kw": Decimal(power_kw),
                "charge_efficiency_ratio": Decimal(way),
                "discharge_efficiency_ratio": Decimal(way),
                "standing_loss_ratio": Decimal(loss),
            },
        )


def _renewables(sites: Mapping[str, Site]) -> None:
    for code, site, kind, name, name_en, peak_kw in cast.RENEWABLES:
        resource_register(
            site=sites[site],
            fields={
                "code": code,
                "name": name,
                "name_en": name_en,
                "kind": kind,
                "limit_up_kw": Decimal(str(round(peak_kw * (1 - cast.scheduled_ratio(code)), 1))),
                "limit_down_kw": Decimal(peak_kw),
                "response_s": cast.RESPONSE_S[kind],
            },
        )


def _micro_units(site: Site) -> None:
    units: list[Resource] = [
        resource_register(
            site=site,
            fields={
                "code": f"{site.code}-unit-{number}",
                "name": f"{site.name} 小型機 {number}",
                "name_en": f"{site.name_en} unit {number}",
                "kind": "DC_LOAD",
                "limit_up_kw": Decimal(power_kw),
                "limit_down_kw": Decimal(0),
                "response_s": cast.RESPONSE_S["DC_LOAD"],
                "hardware": ["CPU"],
            },
        )
        for number, power_kw in enumerate(cast.MICRO_UNITS_KW, start=1)
    ]
    portfolio = Portfolio.objects.create(
        organisation=site.organisation,
        code=f"{site.code}-units",
        name=f"{site.name} 小型機群",
    )
    portfolio.resources.set(units)


def _paths(owner: Organisation) -> None:
    for start, end, latency_ms, capacity_gb in cast.PATHS:
        optical_path_register(
            owner=owner,
            fields={
                "code": f"apn-{start}-{end}",
                "name": f"{start} – {end}",
                "from_site": start,
                "to_site": end,
                "capacity_gb": Decimal(capacity_gb),
                "price_jpy_per_gb": Decimal(cast.PATH_PRICE_JPY_PER_GB),
                "latency_ms": Decimal(latency_ms),
            },
        )


def _trunks(owner: Organisation) -> None:
    for code, name, capacity_gb, (head, *leaves) in cast.TRUNKS:
        optical_trunk_register(
            owner=owner,
            fields={
                "code": code,
                "name": name,
                "capacity_gb": Decimal(capacity_gb),
                "paths": [f"apn-{head}-{leaf}" for leaf in leaves],
            },
        )
