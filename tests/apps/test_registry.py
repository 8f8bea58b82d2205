"""The registry's doors: sites, resources, paths, consents, splits and rules, or a refusal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from accounts.core.errors import NotFound, Refused
from aggregator.ops.demo.register import register
from aggregator.ops.demo.shapes import grid_load, grid_model_rows
from market.registry.agreement_services import consent_grant
from market.registry.models import (
    Bus,
    Consent,
    GridModel,
    MarketProduct,
    OpticalPath,
    OpticalTrunk,
    Resource,
    Site,
)
from market.registry.services import (
    SiteDetails,
    optical_path_register,
    resource_register,
    ruleset_enact,
    site_register,
)
from market.registry.trunks import optical_trunk_register
from tests import cast

pytestmark = pytest.mark.django_db

Change = dict[str, Any]


@pytest.fixture
def places() -> cast.Places:
    """Return the triangle with its sites."""
    return cast.places()


DETAILS: Change = {
    "code": "new-dc",
    "name": "新設　第1",  # with the space of Japanese texts
    "name_en": "New 1",
    "bus_code": "inzai",
    "area_code": "03",
    "point_number": "03" + "9" * 20,
    "contract_kw": Decimal(1_000),
    "loss_ratio": Decimal("0.05"),
    "longitude_deg": Decimal("140.1"),
    "latitude_deg": Decimal("35.8"),
    "labels": ("country:JP", "cert:A"),
}


def _site(places: cast.Places, **changes: Any) -> Site:
    operator = places.people.inzai_dc
    return site_register(
        organisation=operator,
        facility_owner=operator,
        retailer=None,
        details=SiteDetails(**{**DETAILS, **changes}),
    )


def test_a_site_stands_at_a_bus_of_the_latest_model(places: cast.Places) -> None:
    site = _site(places)
    assert (site.name, site.labels) == ("新設　第1", ["country:JP", "cert:A"])
    newer = GridModel.objects.create(
        name="triangle", version=2, convention="reactance", base_mva=100, sha256="1" * 64
    )
    Bus.objects.create(
        grid_model=newer, code="only", area=places.area, island="50Hz", voltage_kv=66
    )
    with pytest.raises(NotFound, match="latest version"):
        _site(places, code="other-dc", point_number="03" + "8" * 20)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bus_code": "nowhere"}, "site.bus_code"),
        ({"bus_code": None}, "site.bus_code"),
        ({"area_code": "99"}, "area_code"),
        ({"area_code": None}, "area_code"),
        ({"loss_ratio": Decimal("0.6")}, "site.loss_ratio"),
        ({"loss_ratio": Decimal("NaN")}, "site.loss_ratio"),
        ({"contract_kw": Decimal(-1)}, "site.contract_kw"),
        ({"contract_kw": "1000"}, "site.contract_kw"),
        ({"contract_kw": True}, "site.contract_kw"),
        ({"latitude_deg": Decimal(91)}, "site.latitude_deg"),
        ({"code": "inzai-dc-1"}, "site.code"),
        ({"point_number": "03" + f"{1:020d}"}, "site.point_number"),
        ({"name": None}, "site.name"),
        ({"name": "a\nb"}, "site.name"),
        ({"labels": ("a", "a")}, "site.labels"),
        ({"labels": ("a\x00",)}, "site.labels"),
        ({"labels": ("",)}, "site.labels"),
        ({"labels": ("x" * 41,)}, "site.labels"),
        ({"labels": "country:JP"}, "site.labels"),
        ({"labels": (7,)}, "site.labels"),
        ({"labels": None}, "site.labels"),
    ],
)
def test_a_wrong_site_is_refused_with_its_field(
    places: cast.Places, change: Change, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        _site(places, **change)
    assert refused.value.field == field
    assert Site.objects.count() == 2


RESOURCE: Change = {
    "code": "new-unit",
    "name": "新設",
    "name_en": "New",
    "kind": "DC_LOAD",
    "limit_up_kw": Decimal(10),
    "limit_down_kw": Decimal(5),
    "hardware": ["GPU", "CPU"],
}
STORAGE: Change = {
    "energy_kwh": Decimal(40),
    "reserve_kwh": Decimal(10),
    "charge_kw": Decimal(10),
    "discharge_kw": Decimal(10),
    "charge_efficiency_ratio": Decimal("0.9"),
    "discharge_efficiency_ratio": Decimal("0.9"),
}
WORKLOAD: Change = {
    "kind": "BATCH",
    "pool": "CPU",
    "power_kw": Decimal(5),
    "slack_h": Decimal(8),
    "value_jpy_per_kwh": Decimal(200),
}


def test_resources_are_stored_with_storage_or_work(places: cast.Places) -> None:
    site = places.sites["inzai"]
    load = resource_register(site=site, fields=RESOURCE, workload_classes=[WORKLOAD])
    battery = {**RESOURCE, "code": "new-battery", "kind": "BATTERY", "hardware": []}
    unit = resource_register(site=site, fields=battery, storage=STORAGE)
    assert (load.hardware, load.workload_classes.count()) == (["GPU", "CPU"], 1)
    assert unit.storage.reserve_kwh == Decimal(10)


@pytest.mark.parametrize(
    ("fields", "storage", "work", "field"),
    [
        ({"hardware": ["GPU", "GPU"]}, None, (), "resource.hardware"),
        ({"hardware": "GPU"}, None, (), "resource.hardware"),
        ({"hardware": [1]}, None, (), "resource.hardware"),
        ({"colour": "red"}, None, (), "resource.colour"),
        ({"id": "x"}, None, (), "resource.id"),
        ({"kind": "FLYWHEEL"}, None, (), "resource.kind"),
        ({"kind": None}, None, (), "resource.kind"),
        ({"limit_up_kw": Decimal(200_000_000)}, None, (), "resource.limit_up_kw"),
        ({"limit_down_kw": None}, None, (), "resource.limit_down_kw"),
        ({"is_behind_meter": "yes"}, None, (), "resource.is_behind_meter"),
        ({"code": "inzai-dc-1-load"}, None, (), "resource.code"),
        ({}, STORAGE, (), "storage"),
        ({"kind": "UPS"}, None, (), "storage"),
        ({"kind": "UPS"}, {**STORAGE, "reserve_kwh": Decimal(41)}, (), "storage.reserve_kwh"),
        (
            {"kind": "UPS"},
            {**STORAGE, "charge_efficiency_ratio": Decimal("1.1")},
            (),
            "storage.charge_efficiency_ratio",
        ),
        ({"kind": "UPS"}, {**STORAGE, "volts": 1}, (), "storage.volts"),
        ({"kind": "UPS"}, {}, (), "storage.energy_kwh"),
        ({"kind": "UPS"}, 7, (), "storage"),
        ({}, None, (WORKLOAD, WORKLOAD), "workload_classes[1].pool"),
        ({}, None, ({**WORKLOAD, "x": 1},), "workload_classes[0].x"),
        ({}, None, ({**WORKLOAD, "slack_h": Decimal(9_000)},), "workload_classes[0].slack_h"),
        ({}, None, (None,), "workload_classes[0]"),
        ({}, None, None, "workload_classes"),
    ],
)
def test_a_wrong_resource_is_refused_whole(
    places: cast.Places, fields: Change, storage: Any, work: Any, field: str
) -> None:
    before = Resource.objects.count()
    with pytest.raises(Refused) as refused:
        resource_register(
            site=places.sites["inzai"],
            fields={**RESOURCE, **fields},
            storage=storage,
            workload_classes=work,
        )
    assert refused.value.field == field
    assert Resource.objects.count() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"valid_from_on": None}, "valid_from_on"),
        ({"granted_by": None}, "granted_by"),
        ({"granted_to": "inzai-dc"}, "granted_to"),
        ({"site": None}, "site"),
    ],
)
def test_a_wrong_consent_is_refused(places: cast.Places, change: Change, field: str) -> None:
    given: Change = {
        "site": places.sites["inzai"],
        "granted_by": places.people.grid_t,
        "granted_to": places.people.inzai_dc,
        "valid_from_on": date(2026, 10, 1),
    }
    with pytest.raises(Refused) as refused:
        consent_grant(**{**given, **change})
    assert refused.value.field == field
    assert not Consent.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"from_site": "nowhere"}, "from_site"),
        ({"from_site": None}, "from_site"),
        ({"to_site": "inzai-dc-1"}, "to_site"),
        ({"wave": 1}, "path.wave"),
        ({"capacity_gb": None}, "path.capacity_gb"),
        ({"capacity_gb": Decimal(-1)}, "path.capacity_gb"),
        ({"latency_ms": "fast"}, "path.latency_ms"),
        ({"code": ""}, "path.code"),
    ],
)
def test_a_wrong_path_is_refused(places: cast.Places, change: Change, field: str) -> None:
    fields: Change = {
        "code": "path",
        "name": "光パス",
        "from_site": "inzai-dc-1",
        "to_site": "shiroi-dc-1",
        "capacity_gb": Decimal(100),
        "price_jpy_per_gb": Decimal(1),
        "latency_ms": Decimal(2),
    }
    with pytest.raises(Refused) as refused:
        optical_path_register(owner=places.people.grid_t, fields={**fields, **change})
    assert refused.value.field == field
    without = {name: value for name, value in fields.items() if name != "from_site"}
    for wrong in (without, None, [1]):
        with pytest.raises(Refused):
            optical_path_register(owner=places.people.grid_t, fields=wrong)
    assert not OpticalPath.objects.exists()
    assert optical_path_register(owner=places.people.grid_t, fields=fields).code == "path"


def _rules(section: str, **changes: Any) -> Change:
    return {**cast.RULES, section: {**cast.RULES[section], **changes}}


def _products(*codes: str, **changes: Any) -> Change:
    product = {"direction": "UP", "sustained_h": 3.0, **changes}
    return {**cast.RULES, "products": [{"id": code, **product} for code in codes]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": None}, "version"),
        ({"version": ""}, "version"),
        ({"version": "v" * 41}, "version"),
        ({"version": "2026-09-01"}, "version"),
        ({"valid_from_on": date(2026, 9, 1)}, "valid_from_on"),
        ({"valid_from_on": "2027-04-01"}, "valid_from_on"),
        ({"rules": None}, "rules"),
        ({"rules": {}}, "rules.clearing"),
        ({"rules": {**cast.RULES, "extra": {}}}, "rules.extra"),
        ({"rules": {**cast.RULES, "settlement": 7}}, "rules.settlement"),
        ({"rules": {**cast.RULES, "settlement": {"x": Decimal(1)}}}, "rules"),
        ({"rules": {**cast.RULES, "settlement": {"x": float("nan")}}}, "rules"),
        ({"rules": {**cast.RULES, "settlement": {"x": "\x00"}}}, "rules"),
        ({"rules": _rules("clearing", payment="pay_twice")}, "rules.clearing.payment"),
        ({"rules": _rules("clearing", colour=1)}, "rules.clearing.colour"),
        ({"rules": _rules("clearing", version="x")}, "rules.clearing.version"),
        ({"rules": _rules("clearing", gap_max_ratio=2)}, "rules.clearing.gap_max_ratio"),
        ({"rules": _rules("publication", deadline_min=0)}, "rules.publication.deadline_min"),
        ({"rules": _rules("publication", deadline_min="60")}, "rules.publication.deadline_min"),
        (
            {"rules": _rules("publication", solver_deadline_s=-1)},
            "rules.publication.solver_deadline_s",
        ),
        ({"rules": {**cast.RULES, "publication": {}}}, "rules.publication.deadline_min"),
        # held back beyond the deadline, nothing would ever be published
        ({"rules": _rules("publication", hold_min=61)}, "rules.publication.hold_min"),
        ({"rules": _products("nobody")}, "rules.products[0].id"),
        ({"rules": _products("ready", "ready")}, "rules.products[1].id"),
        ({"rules": _products("ready", direction="BOTH")}, "rules.products[0].direction"),
        ({"rules": _products("ready", sustained_h=25)}, "rules.products[0].sustained_h"),
        ({"rules": {**cast.RULES, "products": {}}}, "rules.products"),
    ],
)
def test_rules_no_day_could_run_under_are_refused(change: Change, field: str) -> None:
    cast.ruleset()
    _ready_product()
    given: Change = {
        "version": "2027-04-01",
        "valid_from_on": date(2027, 4, 1),
        "rules": cast.RULES,
    }
    with pytest.raises(Refused) as refused:
        ruleset_enact(**{**given, **change})
    assert refused.value.field.removeprefix("ruleset.") == field
    assert ruleset_enact(**given).rules == cast.RULES


def _ready_product() -> MarketProduct:
    return MarketProduct.objects.create(
        code="ready",
        name="調整力",
        name_en="Ready",
        response_s=900,
        quantity_min_kw=1,
        quantity_tick_kw=Decimal("0.1"),
    )


def test_rules_name_the_capacity_products_that_are_traded() -> None:
    _ready_product()
    rules = _products("ready")
    enacted = ruleset_enact(version="2027-04-01", valid_from_on=date(2027, 4, 1), rules=rules)
    assert enacted.rules["products"] == [{"id": "ready", "direction": "UP", "sustained_h": 3.0}]


def _paths_of(places: cast.Places) -> list[str]:
    for code, end in (("to-shiroi", "shiroi"), ("again", "shiroi")):
        OpticalPath.objects.create(
            owner=places.people.grid_t,
            code=code,
            name=code,
            from_site=places.sites["inzai"],
            to_site=places.sites[end],
            capacity_gb=100,
            price_jpy_per_gb=1,
            latency_ms=1,
        )
    return ["to-shiroi", "again"]


def test_a_trunk_bounds_paths_that_leave_one_site(places: cast.Places) -> None:
    paths = _paths_of(places)
    trunk = optical_trunk_register(
        owner=places.people.grid_t,
        fields={"code": "p2mp", "name": "幹線", "capacity_gb": Decimal(150), "paths": paths},
    )
    assert sorted(path.code for path in trunk.paths.all()) == sorted(paths)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("trunk.paths", {"paths": ["to-shiroi"]}),
        ("trunk.paths", {"paths": "to-shiroi"}),
        ("trunk.paths[1]", {"paths": ["to-shiroi", "nowhere"]}),
        ("trunk.paths[1]", {"paths": ["to-shiroi", "to-shiroi"]}),
        ("trunk.paths", {"paths": ["to-shiroi", "back"]}),
        ("trunk.capacity_gb", {"capacity_gb": Decimal(-1)}),
        ("trunk.capacity_gb", {"capacity_gb": float("nan")}),
        ("trunk.colour", {"colour": "red"}),
    ],
)
def test_a_trunk_that_breaks_a_rule_is_refused(
    places: cast.Places, field: str, change: Change
) -> None:
    paths = _paths_of(places)
    OpticalPath.objects.create(
        owner=places.people.grid_t,
        code="back",
        name="back",
        from_site=places.sites["shiroi"],
        to_site=places.sites["inzai"],
        capacity_gb=100,
        price_jpy_per_gb=1,
        latency_ms=1,
    )
    fields = {"code": "p2mp", "name": "幹線", "capacity_gb": Decimal(150), "paths": paths}
    with pytest.raises(Refused) as refused:
        optical_trunk_register(owner=places.people.grid_t, fields={**fields, **change})
    assert refused.value.field == field
    assert not OpticalTrunk.objects.exists()


def test_the_demo_passes_every_door() -> None:
    grid = grid_load()
    registered = register(grid=grid, rows=grid_model_rows(grid), from_on=date(2026, 8, 1))
    assert Site.objects.count() == len(grid["sites"])
    assert registered.grid_model.buses.count() == len(grid["network"]["buses"])
