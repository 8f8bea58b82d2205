"""Optical paths and trunks: for who owns them and who operates an end."""

from __future__ import annotations

import pytest

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.registry.models import OpticalPath, OpticalTrunk, Site
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db

PATHS = "/api/v1/optical-paths"
TRUNKS = "/api/v1/optical-trunks"
WRITTEN = {
    "code": "inzai-shiroi",
    "name": "印西–白井",
    "owner": "light",
    "from_site": "inzai-dc-1",
    "to_site": "shiroi-dc-1",
    "capacity_gb": "18000.0",
    "price_jpy_per_gb": "0.0200",
    "latency_ms": "0.60",
}


@pytest.fixture(autouse=True)
def _paths(db: None) -> None:
    """Light Path runs a path between the sites, one from Inzai to itself, and a trunk of both."""
    where = cast.places()
    owner = cast.organisation("light", OrganisationKind.PATH_OWNER, "光", "Light")
    paths = [
        OpticalPath.objects.create(
            owner=owner,
            code=code,
            name=name,
            from_site=where.sites["inzai"],
            to_site=where.sites[to],
            capacity_gb=18_000,
            price_jpy_per_gb="0.02",
            latency_ms="0.6",
        )
        for code, name, to in (
            ("inzai-shiroi", "印西–白井", "shiroi"),
            ("inzai-inzai", "構内", "inzai"),
        )
    ]
    trunk = OpticalTrunk.objects.create(owner=owner, code="p2mp", name="幹線", capacity_gb=20_000)
    trunk.paths.set(paths)


def test_each_end_sees_its_paths_and_the_owner_all(
    as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    for organisation, codes in (
        ("light", ["inzai-inzai", "inzai-shiroi"]),
        ("inzai-dc", ["inzai-inzai", "inzai-shiroi"]),
        ("shiroi-dc", ["inzai-shiroi"]),
    ):
        client = as_member(Role.OPERATOR_VIEWER, organisation)
        assert [row["code"] for row in client.get(PATHS).json()["items"]] == codes
        assert client.get(f"{PATHS}/inzai-shiroi").json() == WRITTEN
        (trunk,) = client.get(TRUNKS).json()["items"]
        assert (trunk["code"], trunk["capacity_gb"], trunk["paths"]) == ("p2mp", "20000.0", codes)
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    assert rival.get(f"{PATHS}/inzai-inzai").status_code == 404
    for client in (as_stranger, as_member(Role.GRID_PLANNER, "grid-t")):
        assert client.get(f"{PATHS}/inzai-shiroi").status_code == 404
        assert client.get(PATHS).json()["items"] == client.get(TRUNKS).json()["items"] == []
    assert anonymous.get(PATHS).status_code == 401
    assert len(as_member(Role.MARKET_DESK, "wattbit").get(PATHS).json()["items"]) == 2


def test_paths_follow_a_site_to_its_next_operator(as_member: AsMember) -> None:
    site = Site.objects.get(code="shiroi-dc-1")
    site.organisation = cast.organisation("stranger", "", "", "")
    site.save()
    shown = {
        code: [
            row["code"] for row in as_member(Role.OPERATOR_TRADER, code).get(PATHS).json()["items"]
        ]
        for code in ("inzai-dc", "shiroi-dc", "stranger")
    }
    assert shown == {
        "inzai-dc": ["inzai-inzai", "inzai-shiroi"],
        "shiroi-dc": [],
        "stranger": ["inzai-shiroi"],
    }
