"""Charts say what the numbers say, the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.utils import translation

from aggregator.portal import selectors
from aggregator.portal.charts.day import (
    LoadingRow,
    NeedChart,
    PriceChart,
    loading_figure,
    need_figure,
    price_figure,
    ticks,
)
from aggregator.portal.charts.item import chart_bytes
from aggregator.portal.charts.network import (
    Line,
    Node,
    View,
    network_figure,
    paths_of,
    place_labels,
    view_box,
    views_of,
)
from aggregator.portal.drawing import drawn
from aggregator.portal.tokens import Palette
from tests import cast
from tests.portal.conftest import client_of

DAY = "/day/2026-11-25/"
LIGHT = Palette(theme="light")
CHARTS = ("need.json", "price.json", "loading.json", "network.json")
WEIGHT_MAX = 20_000


def columns(body: bytes, holding: str) -> dict[str, list[Any]]:
    """Return the data source that has the column `holding`."""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            if node.get("name") == "ColumnDataSource":
                entries = dict(node["attributes"]["data"]["entries"])
                if holding in entries:
                    yield entries
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    found: dict[str, list[Any]] = next(walk(json.loads(body)))
    return found


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_the_same_each_time_and_then_costs_a_304(
    day: cast.MarketDay, chart: str
) -> None:
    client = client_of(None)
    first, second = client.get(DAY + chart), client.get(DAY + chart)
    assert first.content == second.content
    again = client.get(DAY + chart, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert "private" in first.headers["Cache-Control"]


@pytest.mark.parametrize("chart", CHARTS)
def test_the_palettes_differ_and_so_do_the_etags(day: cast.MarketDay, chart: str) -> None:
    client = client_of(None)
    light = client.get(DAY + chart + "?theme=light")
    dark = client.get(DAY + chart + "?theme=dark")
    assert light.headers["ETag"] != dark.headers["ETag"]
    assert "#ffffff" not in dark.content.decode().replace('"#ffffff00"', "")


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_light(day: cast.MarketDay, chart: str) -> None:
    import gzip

    assert len(gzip.compress(client_of(None).get(DAY + chart).content)) < WEIGHT_MAX


def test_the_loading_chart_holds_the_flows_over_the_ratings(day: cast.MarketDay) -> None:
    cells = columns(client_of(None).get(DAY + "loading.json").content, "shown")
    # worst first: inzai-line; 194,000 / 180,000 and 182,000 / 180,000 at t = 36
    assert cells["before"][cast.SCARCE] == 107.8
    assert cells["after"][cast.SCARCE] == 101.1
    assert cells["y"][:48] == [0] * 48


def test_the_map_sends_every_half_hour_once(day: cast.MarketDay) -> None:
    answer = json.loads(client_of(None).get(DAY + "network.json").content)
    frames = answer["frames"]
    assert sorted(frames["names"]) == ["印西線", "白井線", "連絡線"]
    assert [len(row) for row in frames["before"]] == [48, 48, 48]
    worst = frames["names"].index("印西線")
    assert frames["before"][worst][cast.SCARCE] == 107.8
    assert frames["after"][worst][cast.SCARCE] == 101.1
    assert frames["views"][0]["name"] == "印西線の周辺"


def test_the_stack_splits_what_was_served_by_sensitivity(day: cast.MarketDay) -> None:
    [local] = [
        row
        for row in selectors.need_results(day.auction, day.run, at=day.auction.delivery_start)
        if row.need.kind == "LOCAL"
    ]
    assert day.run is not None
    shares = {
        share.mechanism: share.served_kw[cast.SCARCE]
        for share in selectors.contributions(local, day.run)
    }
    # relief: battery 2/3 · 6,000, deferral 2/3 · 9,000, power cap 1/3 · 6,000; sum 12,000 = served
    assert shares == pytest.approx({"BATTERY": 4_000, "DEFERRAL": 6_000, "POWER_CAP": 2_000})


def test_an_area_need_counts_the_change_itself(day: cast.MarketDay) -> None:
    results = {
        row.need.code: row
        for row in selectors.need_results(day.auction, day.run, at=day.auction.delivery_start)
    }
    assert day.run is not None
    up = selectors.contributions(results["tokyo-up"], day.run)
    down = selectors.contributions(results["tokyo-down"], day.run)
    assert {share.mechanism: share.served_kw[cast.SCARCE] for share in up} == pytest.approx(
        {"BATTERY": 6_000, "DEFERRAL": 9_000, "POWER_CAP": 6_000}
    )
    assert {share.mechanism: share.served_kw[22] for share in down} == pytest.approx(
        {"BATTERY": 5_000}
    )


def need_chart(value: float = 1.0, *, is_down: bool = False) -> NeedChart:
    return NeedChart(
        need_mw=[value] * 48,
        parts=[("BATTERY", "蓄電池", [value / 2] * 48)],
        unserved_mw=[value / 2] * 48,
        is_down=is_down,
        words={"need": "必要量", "unserved": "未充足"},
    )


def test_down_is_drawn_below_zero() -> None:
    body = chart_bytes((need_figure(need_chart(is_down=True), LIGHT), None), palette=LIGHT)
    bars = columns(body, "mw")
    assert min(bars["top"]) == -0.5
    assert max(bars["bottom"]) == 0


def test_threads_that_draw_at_once_draw_the_same() -> None:
    rows = [LoadingRow(name="線", before_percent=[50.0] * 48, after_percent=None)]

    def draw(_: int) -> bytes:
        return drawn(lambda: (loading_figure(rows, LIGHT, t=3), None), palette=LIGHT)

    with ThreadPoolExecutor(8) as threads:
        bodies = set(threads.map(draw, range(48)))
    assert len(bodies) == 1
    assert b'"value":{"type":"field"' not in bodies.pop()


def test_bokeh_is_loaded_behind_the_door_only() -> None:
    # a fresh process that knows every address of the platform has not met Bokeh
    script = (
        "import sys, django; django.setup(); import aggregator.config.urls; "
        "print(sorted(name for name in sys.modules if name.startswith('bokeh')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_validation_that_was_left_off_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    from bokeh.core.property.bases import Property

    monkeypatch.setattr(Property, "_should_validate", False)
    rows = [LoadingRow(name="線", before_percent=[50.0] * 48, after_percent=None)]
    body = drawn(lambda: (loading_figure(rows, LIGHT, t=3), None), palette=LIGHT)
    assert b'"value":{"type":"field"' not in body


def test_a_price_that_was_not_published_leaves_a_gap_and_not_a_number() -> None:
    chart = PriceChart(
        area_name="東京", place_name="印西", area=[None] * 48, place=[1.0] * 47 + [None]
    )
    body = chart_bytes((price_figure(chart, LIGHT), None), palette=LIGHT)
    assert columns(body, "place")["area"] == ["—"] * 48
    json.loads(body, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert columns(body, "place")["place"][0] == "1.00 円/kWh"
    with translation.override("en"):
        body = chart_bytes((price_figure(chart, LIGHT), None), palette=LIGHT)
    assert columns(body, "place")["place"][0] == "1.00 JPY/kWh"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 14, [0, 5, 10, 15]), (-4, 19, [-10, 0, 10, 20]), (0, 0.9, [0, 0.25, 0.5, 0.75, 1.0])],
)
def test_ticks_are_round_and_cover(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def node(code: str, longitude_deg: float, latitude_deg: float) -> Node:
    return Node(
        code=code,
        name=code,
        longitude_deg=longitude_deg,
        latitude_deg=latitude_deg,
        voltage_kv=275,
        area_code="03",
    )


def line(code: str, start: str, end: str, percent: float | None = None) -> Line:
    values = None if percent is None else [percent] * 48
    return Line(
        code=code,
        name=code,
        start=start,
        end=end,
        voltage_kv=275,
        is_link=False,
        before_percent=values,
        after_percent=values,
        has_need=percent is not None and percent > 100,
    )


def test_parallel_circuits_run_beside_each_other() -> None:
    at = {"a": (0.0, 0.0), "b": (10.0, 0.0)}
    first, second = paths_of([line("1", "a", "b"), line("2", "b", "a")], at)
    # half of 3 % of the length on either side
    assert first == ((0.0, -0.15), (10.0, -0.15))
    assert second == ((0.0, 0.15), (10.0, 0.15))


def test_labels_never_cover_each_other() -> None:
    box = view_box([(0.0, 0.0), (10.0, 5.0)])
    placed = place_labels(box, [("同じ", (5.0, 2.0))] * 6, [])
    # one to the right, one to the left, one below, one above; the rest stay out
    assert placed["align"] == ["left", "right", "center", "center"]
    assert placed["base"] == ["middle", "middle", "top", "bottom"]


def test_the_map_offers_surroundings_of_needs_then_areas_then_all() -> None:
    nodes = [node("a", 140, 36), node("b", 140.1, 36), node("c", 130, 33)]
    lines = [line("over", "a", "b", 110), line("calm", "b", "c", 40)]
    views = views_of(nodes, lines, {"03": "東京"}, {"around": "{name}の周辺", "all": "全体"})
    assert [view.key for view in views] == ["line:over", "area:03"]


def test_a_line_to_a_bus_without_a_place_is_left_out() -> None:
    nodes = [node("a", 140, 36), node("b", 140.1, 36)]
    _, frames = network_figure(
        nodes,
        [line("known", "a", "b", 50), line("lost", "a", "nowhere", 50)],
        [View(key="all", name="全体", nodes=frozenset({"a", "b"}))],
        LIGHT,
        t=0,
    )
    assert frames["names"] == ["known"]
