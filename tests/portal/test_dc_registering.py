"""Registering and altering one's own sites, resources and work, as the services judge."""

from __future__ import annotations

import pytest
from django.test import Client

from aggregator.portal.once import token_made
from market.registry.models import Resource, Site, WorkloadClass
from tests import cast
from tests.portal.conftest import client_of

SITE = {
    "code": "abiko-dc-1",
    "name": "我孫子データセンター",
    "name_en": "Abiko DC",
    "area": "03",
    "point_number": "0300000000000000000042",
    "contract_kw": "２万",
    "loss_ratio": "4.5",
    "longitude_deg": "140.02",
    "latitude_deg": "35.86",
    "labels": "country:JP、cert:A",
    "retailer": "",
}
BATTERY = {
    "code": "inzai-dc-1-bess2",
    "name": "印西 蓄電池2",
    "name_en": "Inzai battery 2",
    "kind": "BATTERY",
    "limit_up_kw": "5,000",
    "limit_down_kw": "5,000",
    "is_behind_meter": "on",
    "energy_kwh": "20,000",
    "charge_kw": "5,000",
    "discharge_kw": "5,000",
    "charge_efficiency_ratio": "95",
    "discharge_efficiency_ratio": "94.5",
}


@pytest.fixture
def owner(day: cast.MarketDay) -> Client:
    return client_of(day.places.people.owner)


def sent(day: cast.MarketDay, fields: dict[str, str], **changed: str) -> dict[str, str]:
    return {**fields, "form_token": token_made(day.places.people.owner.pk), **changed}


def bus_of(day: cast.MarketDay) -> str:
    return day.places.sites["inzai"].bus_code


def test_a_site_is_registered_with_what_was_typed(day: cast.MarketDay, owner: Client) -> None:
    assert owner.get("/dc/new-site/").status_code == 200
    form = sent(day, SITE, area=day.places.area.pk, bus_code=bus_of(day))
    form["point_number"] = f"{day.places.area.pk}00000000000000000042"
    led = owner.post("/dc/new-site/", form)
    assert (led.status_code, led.headers["Location"]) == (303, "/dc/sites/abiko-dc-1/")
    site = Site.objects.get(code="abiko-dc-1")
    assert site.organisation == site.facility_owner == day.places.people.inzai_dc
    assert (site.contract_kw, str(site.loss_ratio)) == (20_000, "0.0450")
    assert site.labels == ["country:JP", "cert:A"]
    # sent again by a second click: the same result, one site
    assert owner.post("/dc/new-site/", form).headers["Location"] == "/dc/sites/abiko-dc-1/"
    assert Site.objects.filter(code="abiko-dc-1").count() == 1


def test_what_the_service_refuses_stands_at_its_field_and_the_text_stays(
    day: cast.MarketDay, owner: Client
) -> None:
    typed = {**SITE, "area": day.places.area.pk, "bus_code": bus_of(day)}
    number = f"{day.places.area.pk}00000000000000000042"
    for name, fields in (
        ("point_number", typed | {"point_number": "12"}),
        ("code", typed | {"code": "inzai-dc-1", "point_number": number}),
    ):
        answer = owner.post("/dc/new-site/", sent(day, fields))
        page = answer.content.decode()
        assert answer.status_code == 422
        assert 'value="２万"' in page
        assert page.count('_error">') == 1
        assert f'id="id_{name}_error"' in page
    assert Site.objects.count() == 2


def test_a_site_is_changed_and_a_tab_that_was_slower_sees_both_values(
    day: cast.MarketDay, owner: Client
) -> None:
    page = owner.get("/dc/sites/inzai-dc-1/edit/").content.decode()
    site = day.places.sites["inzai"]
    assert f'name="version" value="{site.version}"' in page
    fields = {
        "name": "印西第1", "name_en": "Inzai 1", "bus_code": bus_of(day), "contract_kw": "45,000",
        "longitude_deg": "140.1", "latitude_deg": "35.8", "labels": "", "retailer": "",
        "version": str(site.version),
    }  # fmt: skip
    assert owner.post("/dc/sites/inzai-dc-1/edit/", sent(day, fields)).status_code == 303
    site.refresh_from_db()
    assert (site.name, site.contract_kw) == ("印西第1", 45_000)
    slower = owner.post("/dc/sites/inzai-dc-1/edit/", sent(day, fields, contract_kw="46,000"))
    page = slower.content.decode()
    assert slower.status_code == 409
    assert 'name="theirs-contract_kw" value="45,000"' in page
    assert 'value="46,000"' in page
    site.refresh_from_db()
    assert site.contract_kw == 45_000


def test_a_battery_is_registered_with_its_store_and_asked_for_what_it_lacks(
    day: cast.MarketDay, owner: Client
) -> None:
    here = "/dc/sites/inzai-dc-1/new-resource/"
    lacking = owner.post(here, sent(day, BATTERY, energy_kwh=""))
    assert lacking.status_code == 422
    assert 'id="id_energy_kwh_error"' in lacking.content.decode()
    assert owner.post(here, sent(day, BATTERY)).status_code == 303
    made = Resource.objects.get(code="inzai-dc-1-bess2")
    assert made.site == day.places.sites["inzai"]
    assert str(made.storage.discharge_efficiency_ratio) == "0.9450"
    edit = owner.get("/dc/resources/inzai-dc-1-bess2/edit/").content.decode()
    assert 'name="discharge_efficiency_ratio" value="94.50"' in edit


def test_a_resource_is_changed_and_retired_after_a_page_that_says_what_it_means(
    day: cast.MarketDay, owner: Client
) -> None:
    load = day.places.resources["inzai-load"]
    fields = {
        "name": "計算負荷", "name_en": "Load", "limit_up_kw": "9,000", "limit_down_kw": "0",
        "response_s": "60", "hardware": "GPU, CPU", "is_behind_meter": "on",
        "version": str(load.version),
    }  # fmt: skip
    assert owner.post(f"/dc/resources/{load.code}/edit/", sent(day, fields)).status_code == 303
    load.refresh_from_db()
    assert (load.limit_up_kw, load.response_s, load.hardware) == (9_000, 60, ["GPU", "CPU"])
    here = f"/dc/resources/{load.code}/retire/"
    assert "廃止は取り消せません。" in owner.get(here).content.decode()
    stale = owner.post(here, sent(day, {"version": "1"}))
    assert (stale.status_code, load.version) == (409, 2)
    owner.post(here, sent(day, {"version": str(load.version)}))
    load.refresh_from_db()
    assert load.retired_at is not None


def test_a_site_with_resources_in_use_is_not_retired_and_says_why(
    day: cast.MarketDay, owner: Client
) -> None:
    site = day.places.sites["inzai"]
    here = "/dc/sites/inzai-dc-1/retire/"
    answer = owner.post(here, sent(day, {"version": str(site.version)}))
    assert answer.status_code == 409
    assert "inzai-dc-1-battery" in answer.content.decode()
    site.refresh_from_db()
    assert site.retired_at is None


def test_work_is_added_and_changed(day: cast.MarketDay, owner: Client) -> None:
    load = day.places.resources["inzai-load"]
    fields = {
        "kind": "TRAINING", "pool": "GPU", "power_kw": "8,000", "slack_h": "6",
        "value_jpy_per_kwh": "240", "latency_max_ms": "", "labels_required": "",
    }  # fmt: skip
    assert owner.post(f"/dc/resources/{load.code}/new-work/", sent(day, fields)).status_code == 303
    again = owner.post(f"/dc/resources/{load.code}/new-work/", sent(day, fields))
    assert again.status_code == 422
    work = WorkloadClass.objects.get()
    here = f"/dc/resources/{load.code}/classes/TRAINING/GPU/"
    changed = {**fields, "value_jpy_per_kwh": "250", "version": str(work.version)}
    assert owner.post(here, sent(day, changed)).status_code == 303
    work.refresh_from_db()
    assert work.value_jpy_per_kwh == 250


def test_who_only_looks_is_offered_nothing_to_change(day: cast.MarketDay) -> None:
    from accounts.parties.roles import Role

    viewer = cast.member("mieru", day.places.people.inzai_dc, Role.OPERATOR_VIEWER)
    page = client_of(viewer).get("/dc/sites/inzai-dc-1/").content.decode()
    assert "/edit/" not in page
    assert client_of(viewer).get("/dc/sites/inzai-dc-1/edit/").status_code == 404
