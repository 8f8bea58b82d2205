"""The cast's people and places; :mod:`tests.cast` puts a market day on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from accounts.parties.models import Membership, Organisation, OrganisationKind, User
from accounts.parties.roles import Role
from market.registry.models import (
    Area,
    Branch,
    Bus,
    CongestionPoint,
    GridModel,
    Resource,
    ResourceKind,
    Ruleset,
    Site,
    StorageUnit,
)

PASSWORD = "correct-horse-battery"

RULES: dict[str, Any] = {
    "clearing": {
        "deviation_limit_kw": 0.0,
        "deviation_price_jpy_per_kwh": 200.0,
        "payment": "pay_as_clear",
        "price_tick_jpy_per_kwh": 0.01,
        "quantity_tick_kw": 0.1,
        "gap_max_ratio": 1e-9,
        "iteration_limit": 2_000_000,
    },
    "publication": {"solver_deadline_s": 60, "deadline_min": 60},
}


@dataclass(frozen=True, kw_only=True)
class People:
    """Organisations, and one person in each."""

    platform: Organisation
    grid_t: Organisation
    inzai_dc: Organisation
    shiroi_dc: Organisation
    stranger_org: Organisation
    desk: User
    planner: User
    owner: User
    rival: User
    stranger: User


@dataclass(frozen=True, kw_only=True)
class Places:
    """The triangle, its watched lines and what stands on it."""

    people: People
    area: Area
    grid_model: GridModel
    points: dict[str, CongestionPoint]
    sites: dict[str, Site]
    resources: dict[str, Resource]
    ruleset: Ruleset


def organisation(code: str, kind: str, name: str, name_en: str) -> Organisation:
    """Return the organisation `code`, new or known."""
    row, _ = Organisation.objects.get_or_create(
        code=code, defaults={"kind": kind, "name": name, "name_en": name_en}
    )
    return row


def member(username: str, at: Organisation, role: str, *, is_staff: bool = False) -> User:
    """Return a person with a role, who signs in with :data:`PASSWORD`."""
    user, created = User.objects.get_or_create(
        username=username, defaults={"display_name": username, "is_staff": is_staff}
    )
    if created:
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
    Membership.objects.get_or_create(user=user, organisation=at, role=role)
    return user


def people() -> People:
    """Make the cast."""
    platform = organisation(
        "wattbit", OrganisationKind.AGGREGATOR, "WattBit 市場運用", "WattBit market desk"
    )
    grid_t = organisation("grid-t", OrganisationKind.TSO, "グリッドT送配電", "Grid-T")
    inzai_dc = organisation(
        "inzai-dc", OrganisationKind.DC_OPERATOR, "印西データセンター", "Inzai DC"
    )
    shiroi_dc = organisation(
        "shiroi-dc", OrganisationKind.DC_OPERATOR, "白井データセンター", "Shiroi DC"
    )
    stranger_org = organisation(
        "stranger", OrganisationKind.DC_OPERATOR, "無関係な会社", "Stranger Org"
    )
    return People(
        platform=platform,
        grid_t=grid_t,
        inzai_dc=inzai_dc,
        shiroi_dc=shiroi_dc,
        stranger_org=stranger_org,
        desk=member("desk", platform, Role.MARKET_DESK, is_staff=True),
        planner=member("planner", grid_t, Role.GRID_PLANNER),
        owner=member("inzai", inzai_dc, Role.OPERATOR_TRADER),
        rival=member("shiroi", shiroi_dc, Role.OPERATOR_TRADER),
        stranger=member("stranger", stranger_org, Role.OPERATOR_TRADER),
    )


def ruleset(*, version: str = "2026-09-01", valid_from_on: date = date(2026, 9, 1)) -> Ruleset:
    """Return the market's rules from a day on."""
    row, _ = Ruleset.objects.get_or_create(
        version=version,
        defaults={"valid_from_on": valid_from_on, "rules": RULES},
    )
    return row


def area(
    code: str = "03", name: str = "東京", name_en: str = "Tokyo", *, tso: Organisation
) -> Area:
    """Return a balancing area of `tso`."""
    row, _ = Area.objects.get_or_create(
        code=code, defaults={"name": name, "name_en": name_en, "frequency_hz": 50, "tso": tso}
    )
    return row


def _grid(tokyo: Area) -> GridModel:
    grid_model = GridModel.objects.create(
        name="triangle",
        version=GridModel.objects.filter(name="triangle").count() + 1,
        convention="reactance",
        base_mva=100,
        sha256="0" * 64,
    )
    shape = (
        ("upstream", "北総", "Hokuso", 275, 1, "140.0500", "35.7300"),
        ("inzai", "印西", "Inzai", 66, 0, "140.1450", "35.8300"),
        ("shiroi", "白井", "Shiroi", 66, 0, "140.0560", "35.7920"),
    )
    buses = {
        code: Bus.objects.create(
            grid_model=grid_model,
            code=code,
            name=name,
            name_en=name_en,
            area=tokyo,
            island="50Hz",
            voltage_kv=voltage_kv,
            slack_share_ratio=share,
            longitude_deg=Decimal(longitude),
            latitude_deg=Decimal(latitude),
        )
        for code, name, name_en, voltage_kv, share, longitude, latitude in shape
    }
    lines = (
        ("inzai-line", "印西線", "Inzai line", "upstream", "inzai", 180_000),
        ("shiroi-line", "白井線", "Shiroi line", "upstream", "shiroi", 150_000),
        ("tie-line", "連絡線", "Tie line", "shiroi", "inzai", 60_000),
    )
    for code, name, name_en, start, end, rating_kw in lines:
        Branch.objects.create(
            grid_model=grid_model,
            code=code,
            name=name,
            name_en=name_en,
            from_bus=buses[start],
            to_bus=buses[end],
            reactance_pu=Decimal("0.01"),
            rating_kw=rating_kw,
        )
    return grid_model


def _site(operator: Organisation, tokyo: Area, *, bus: str, number: int) -> Site:
    return Site.objects.create(
        organisation=operator,
        facility_owner=operator,
        code=f"{operator.code}-1",
        name=f"{operator.name}第1",
        name_en=f"{operator.name_en} 1",
        bus_code=bus,
        area=tokyo,
        point_number=f"03{number:020d}",
        contract_kw=60_000,
        loss_ratio=0,
        labels=["country:JP"],
        longitude_deg=Decimal("140.1400"),
        latitude_deg=Decimal("35.8000"),
    )


def resource(site: Site, suffix: str, kind: str, limit_up_kw: int, limit_down_kw: int) -> Resource:
    return Resource.objects.create(
        site=site,
        code=f"{site.code}-{suffix}",
        name=f"{site.name} {ResourceKind(kind).label}",
        name_en=f"{site.name_en} {suffix}",
        kind=kind,
        limit_up_kw=limit_up_kw,
        limit_down_kw=limit_down_kw,
        hardware=["GPU"] if kind == ResourceKind.DC_LOAD else [],
    )


def places(cast: People | None = None) -> Places:
    """Make the triangle with a data centre and a battery at Inzai and a data centre at Shiroi."""
    cast = cast or people()
    tokyo = area(tso=cast.grid_t)
    grid_model = _grid(tokyo)
    points = {
        branch.code: CongestionPoint.objects.create(
            grid_model=grid_model,
            branch=branch,
            owner=cast.grid_t,
            code=branch.code,
            name=branch.name,
            name_en=branch.name_en,
            rating_kw=branch.rating_kw,
        )
        for branch in grid_model.branches.all()
    }
    inzai = _site(cast.inzai_dc, tokyo, bus="inzai", number=1)
    shiroi = _site(cast.shiroi_dc, tokyo, bus="shiroi", number=2)
    resources = {
        "inzai-load": resource(inzai, "load", ResourceKind.DC_LOAD, 12_000, 4_000),
        "inzai-battery": resource(inzai, "battery", ResourceKind.BATTERY, 8_000, 8_000),
        "shiroi-load": resource(shiroi, "load", ResourceKind.DC_LOAD, 10_000, 4_000),
    }
    StorageUnit.objects.create(
        resource=resources["inzai-battery"],
        energy_kwh=32_000,
        reserve_kwh=2_000,
        charge_kw=8_000,
        discharge_kw=8_000,
        charge_efficiency_ratio=Decimal("0.95"),
        discharge_efficiency_ratio=Decimal("0.95"),
    )
    return Places(
        people=cast,
        area=tokyo,
        grid_model=grid_model,
        points=points,
        sites={"inzai": inzai, "shiroi": shiroi},
        resources=resources,
        ruleset=ruleset(),
    )
