"""The map of Japan: every area is there, in its place, shaded by what its row says."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aggregator.portal.charts.japan import HEIGHT, WIDTH, Shading, even, shapes
from aggregator.portal.charts.japan_areas import RINGS
from tests import cast
from tests.portal.conftest import client_of

QUERIES_MAX = 20
# a town in each area, and one that is abroad: longitude, latitude [degrees]
TOWNS = {
    "01": (141.9, 43.1), "02": (140.9, 39.5), "03": (139.6, 36.0), "04": (137.5, 35.3),
    "05": (136.7, 36.5), "06": (135.8, 34.8), "07": (133.0, 34.9), "08": (133.5, 33.8),
    "09": (131.0, 32.7), "10": (127.75, 26.2), "": (128.6, 35.8),
}  # fmt: skip


def contains(ring: tuple[tuple[float, float], ...], x: float, y: float) -> bool:
    """Count how often a ray to the east crosses the outline."""
    inside = False
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside


@pytest.mark.parametrize(("code", "town"), TOWNS.items())
def test_a_town_lies_in_its_own_area_and_no_other(code: str, town: tuple[float, float]) -> None:
    found = [key for key, rings in RINGS.items() if any(contains(ring, *town) for ring in rings)]
    assert found == ([code] if code else [])


def test_all_ten_areas_are_within_the_picture() -> None:
    found = shapes({"01": 1.0}, Shading(bounds=()))
    assert [one.code for one in found] == [f"{n:02d}" for n in range(1, 11)]
    for one in found:
        points = [
            tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", one.path)
        ]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert [one.shade for one in found[:2]] == [0, None]


def test_shades_part_the_range_evenly_and_ignore_what_is_not_printed() -> None:
    shading = even([10.0, 20.0], least=0.01)
    assert shading.bounds == [12.0, 14.0, 16.0, 18.0]
    assert [shading.shade(v) for v in (10.0, 12.0, 19.0, 20.0, None)] == [0, 1, 4, 4, None]
    # 22.36 and 22.3649 are both printed as 22.36: one shade, the middle
    assert even([22.36, 22.3649], least=0.01).shade(22.36) == 2


@pytest.mark.parametrize(
    ("by", "told"),
    [("price", "東京"), ("net", "▲"), ("congestion", "101"), ("nonsense", "東京")],
)
def test_the_map_and_its_table_say_the_same(day: cast.MarketDay, by: str, told: str) -> None:
    answer = client_of(None).get(f"/results/2026-11-25/?by={by}")
    assert answer.status_code == 200
    shown = {one.shape.code: one for one in answer.context["map"].shapes}
    row = answer.context["rows"][0]
    assert shown["01"].shape.shade is None
    assert told in f"{shown[row.area.code].name} {shown[row.area.code].told}"
    # 182,000 of 180,000 kW after clearing
    assert round(row.worst_ratio * 100, 1) == 101.1
    assert len(shown) == 10


@pytest.mark.parametrize(
    "address",
    ["/results/", "/results/2026-11-25/", "/results/downloads/", "/results/verify/"],
)
def test_public_pages_ask_a_bounded_number_of_times(day: cast.MarketDay, address: str) -> None:
    visitor = client_of(None)
    visitor.get(address)
    with CaptureQueriesContext(connection) as seen:
        assert visitor.get(address).status_code == 200
    assert len(seen) <= QUERIES_MAX, len(seen)


@pytest.mark.parametrize(
    "address",
    [
        "/tso/", "/tso/network/2026-11-25/", "/tso/approvals/", "/tso/results/2026-11-25/",
        "/tso/auctions/DA-2026-11-25/needs/new/", "/tso/auctions/DA-2026-11-25/needs/upload/",
    ],
)  # fmt: skip
def test_planners_pages_ask_a_bounded_number_of_times(day: cast.MarketDay, address: str) -> None:
    planner = client_of(day.places.people.planner)
    planner.get(address)
    with CaptureQueriesContext(connection) as seen:
        assert planner.get(address).status_code == 200
    assert len(seen) <= QUERIES_MAX, len(seen)
