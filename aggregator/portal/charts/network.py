"""The network map: every line where it lies, coloured by loading; all half hours sent once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d
from bokeh.plotting import figure
from bokeh.transform import transform

from aggregator.portal.charts.day import LOADING_HIGH_PERCENT, LOADING_LOW_PERCENT
from aggregator.portal.tokens import FONT, Palette

KM_PER_DEGREE_LATITUDE = 110.57
KM_PER_DEGREE_LONGITUDE = 111.32
VIEW_WIDTH_PX, VIEW_HEIGHT_PX = 640.0, 350.0
SURROUNDINGS_PADDING_RATIO, AREA_PADDING_RATIO = 0.28, 0.1
VIEW_SIZE_MIN_KM = 6.0
PARALLEL_GAP_RATIO = 0.03
LABEL_HEIGHT_PX, WIDE_CHARACTER_PX, NARROW_CHARACTER_PX = 15.0, 12.0, 7.0
LABEL_OFFSET_PX = 9.0
WATCHED_LABEL_CHARACTERS = 8
FIRST_NARROW = 0x2E80  # below: Latin and its like; from here on characters are full width
HIGH_VOLTAGE_KV, MIDDLE_VOLTAGE_KV = 250, 100


@dataclass(frozen=True, kw_only=True)
class Node:
    """A substation."""

    code: str
    name: str
    longitude_deg: float
    latitude_deg: float
    voltage_kv: float
    area_code: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line, transformer or controllable link; loadings in percent where it is watched."""

    code: str
    name: str
    start: str
    end: str
    voltage_kv: float
    is_link: bool
    before_percent: Sequence[float] | None
    after_percent: Sequence[float] | None
    has_need: bool


@dataclass(frozen=True, kw_only=True)
class View:
    """A part of the map one may choose."""

    key: str
    name: str
    nodes: frozenset[str]


Point = tuple[float, float]
Box = tuple[float, float, float, float]


def projection(nodes: Sequence[Node]) -> dict[str, Point]:
    """Lay degrees out in km, true to shape at the middle latitude."""
    middle = sum(node.latitude_deg for node in nodes) / max(len(nodes), 1)
    stretch = KM_PER_DEGREE_LONGITUDE * math.cos(math.radians(middle))
    return {
        node.code: (
            round(node.longitude_deg * stretch, 2),
            round(node.latitude_deg * KM_PER_DEGREE_LATITUDE, 2),
        )
        for node in nodes
    }


def view_box(points: Iterable[Point], *, padding_ratio: float = SURROUNDINGS_PADDING_RATIO) -> Box:
    """Return left, right, bottom, top around `points`, padded, in the shape of the panel."""
    xs, ys = zip(*points, strict=True)
    width = max(max(xs) - min(xs), VIEW_SIZE_MIN_KM) * (1 + 2 * padding_ratio)
    height = max(max(ys) - min(ys), VIEW_SIZE_MIN_KM / 2) * (1 + 2 * padding_ratio)
    width = max(width, height * VIEW_WIDTH_PX / VIEW_HEIGHT_PX)
    height = width * VIEW_HEIGHT_PX / VIEW_WIDTH_PX
    x, y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return (x - width / 2, x + width / 2, y - height / 2, y + height / 2)


def text_width(text: str) -> float:
    """Estimate the width of a label [px]; Japanese characters are full width."""
    return sum(WIDE_CHARACTER_PX if ord(c) >= FIRST_NARROW else NARROW_CHARACTER_PX for c in text)


def _overlaps(a: Box, b: Box) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _label_boxes(x: float, y: float, width: float) -> list[tuple[Box, str, str, float, float]]:
    """Where a label may stand around a node, best first: right, left, below, above [px]."""
    half, gap = LABEL_HEIGHT_PX / 2, LABEL_OFFSET_PX
    return [
        ((x + gap, x + gap + width, y - half, y + half), "left", "middle", gap, 0.0),
        ((x - gap - width, x - gap, y - half, y + half), "right", "middle", -gap, 0.0),
        ((x - width / 2, x + width / 2, y - gap - 2 * half, y - gap), "center", "top", 0.0, gap),
        (
            (x - width / 2, x + width / 2, y + gap, y + gap + 2 * half),
            "center",
            "bottom",
            0.0,
            -gap,
        ),
    ]


def place_labels(
    box: Box, candidates: Sequence[tuple[str, Point]], taken: Sequence[Point]
) -> dict[str, list[Any]]:
    """Write as many names as fit without covering each other, first come first served.

    Parameters
    ----------
    box
        The part of the map shown [km].
    candidates
        Names with their places [km], the important ones first.
    taken
        Middles of watched lines, whose loading is written there.
    """
    scale = VIEW_WIDTH_PX / (box[1] - box[0])

    def pixels(point: Point) -> Point:
        return (point[0] - box[0]) * scale, (point[1] - box[2]) * scale

    reserve = WATCHED_LABEL_CHARACTERS * WIDE_CHARACTER_PX / 2
    occupied: list[Box] = [
        (x - reserve, x + reserve, y - LABEL_HEIGHT_PX / 2, y + LABEL_HEIGHT_PX / 2)
        for x, y in map(pixels, taken)
    ]
    placed: dict[str, list[Any]] = {
        "x": [], "y": [], "text": [], "align": [], "base": [], "dx": [], "dy": [],
    }  # fmt: skip
    for text, point in candidates:
        x, y = pixels(point)
        if not (0 <= x <= VIEW_WIDTH_PX and 0 <= y <= VIEW_HEIGHT_PX):
            continue
        for area, align, base, dx, dy in _label_boxes(x, y, text_width(text)):
            inside = area[0] >= 0 and area[1] <= VIEW_WIDTH_PX
            if inside and not any(_overlaps(area, other) for other in occupied):
                occupied.append(area)
                row = (point[0], point[1], text, align, base, dx, dy)
                for column, value in zip(placed.values(), row, strict=True):
                    column.append(value)
                break
    return placed


def paths_of(lines: Sequence[Line], at: Mapping[str, Point]) -> list[tuple[Point, Point]]:
    """Return the ends of each line; lines between the same nodes run beside each other."""
    beside: dict[frozenset[str], list[int]] = {}
    for i, line in enumerate(lines):
        beside.setdefault(frozenset((line.start, line.end)), []).append(i)
    paths = []
    for i, line in enumerate(lines):
        row = beside[frozenset((line.start, line.end))]
        start, end = sorted((line.start, line.end))
        (x0, y0), (x1, y1) = at[start], at[end]
        shift = (row.index(i) - (len(row) - 1) / 2) * PARALLEL_GAP_RATIO
        dx, dy = -(y1 - y0) * shift, (x1 - x0) * shift
        paths.append(
            (
                (round(x0 + dx, 2), round(y0 + dy, 2)),
                (round(x1 + dx, 2), round(y1 + dy, 2)),
            )
        )
    return paths


def line_width(voltage_kv: float) -> int:
    """Width of a watched line [px]: the voltage, in three steps."""
    if voltage_kv >= HIGH_VOLTAGE_KV:
        return 6
    return 5 if voltage_kv >= MIDDLE_VOLTAGE_KV else 4


def _segments(paths: Sequence[tuple[Point, Point]], keep: Sequence[int]) -> dict[str, list[float]]:
    return {
        "x0": [paths[i][0][0] for i in keep],
        "y0": [paths[i][0][1] for i in keep],
        "x1": [paths[i][1][0] for i in keep],
        "y1": [paths[i][1][1] for i in keep],
    }


def network_figure(
    nodes: Sequence[Node], lines: Sequence[Line], views: Sequence[View], palette: Palette, *, t: int
) -> tuple[figure, dict[str, Any]]:
    """Draw the map at half hour `t` before the market acts, and what its script needs to move on.

    Returns
    -------
    tuple
        The figure, and frames: names and loadings [%] of the watched lines at t = 0…47, the
        views with their boxes [km] and labels, and the colours of the script's words.
    """
    at = projection(nodes)
    lines = [line for line in lines if line.start in at and line.end in at]
    paths = paths_of(lines, at)
    watched = [i for i, line in enumerate(lines) if line.before_percent is not None]
    watched.sort(key=lambda i: max(lines[i].before_percent or [0.0]))
    plain = [i for i in range(len(lines)) if i not in watched and not lines[i].is_link]
    links = [i for i in range(len(lines)) if i not in watched and lines[i].is_link]
    plot = figure(sizing_mode="stretch_both", tools="")
    plot.axis.visible = False
    plot.grid.visible = False
    for keep, dash in ((plain, "solid"), (links, "dashed")):
        plot.segment(
            source=ColumnDataSource(_segments(paths, keep)),
            line_color=palette["line-strong"],
            line_alpha=0.55,
            line_width=1.4,
            line_dash=dash,
        )
    _watched_lines(plot, [lines[i] for i in watched], _segments(paths, watched), palette, t)
    _nodes(
        plot, nodes, at, {end for i in watched for end in (lines[i].start, lines[i].end)}, palette
    )
    middles = {
        "x": [(paths[i][0][0] + paths[i][1][0]) / 2 for i in watched],
        "y": [(paths[i][0][1] + paths[i][1][1]) / 2 for i in watched],
    }
    _words(plot, middles, palette)
    frames = _frames([lines[i] for i in watched], palette)
    frames["views"] = _views(nodes, views, at, middles, [lines[i] for i in watched])
    left, right, bottom, top = frames["views"][0]["box"] if frames["views"] else (0, 1, 0, 1)
    plot.x_range, plot.y_range = Range1d(left, right), Range1d(bottom, top)
    return plot, frames


def _watched_lines(
    plot: figure,
    watched: Sequence[Line],
    segments: Mapping[str, Sequence[float]],
    palette: Palette,
    t: int,
) -> None:
    source = ColumnDataSource(
        {
            **segments,
            "width": [line_width(line.voltage_kv) for line in watched],
            "casing": [line_width(line.voltage_kv) + 3 for line in watched],
            "name": [line.name for line in watched],
            "shown": [(line.before_percent or [0.0])[t] for line in watched],
        },
        name="lines",
    )
    ends = {"x0": "x0", "y0": "y0", "x1": "x1", "y1": "y1", "source": source}
    plot.segment(**ends, line_width="casing", line_color=palette["surface"], line_cap="round")
    mapper = LinearColorMapper(
        palette=palette.loading_ramp, low=LOADING_LOW_PERCENT, high=LOADING_HIGH_PERCENT
    )
    drawn = plot.segment(
        **ends,
        line_width="width",
        line_color=transform("shown", mapper),
        line_cap="round",
    )
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@name"), ("", "@shown{0} %")]))


def _nodes(
    plot: figure,
    nodes: Sequence[Node],
    at: Mapping[str, Point],
    important: set[str],
    palette: Palette,
) -> None:
    for chosen, size, colour in (
        ([node for node in nodes if node.code not in important], 5, palette["ink-3"]),
        ([node for node in nodes if node.code in important], 9, palette["ink-2"]),
    ):
        plot.scatter(
            x="x",
            y="y",
            source=ColumnDataSource(
                {
                    "x": [at[node.code][0] for node in chosen],
                    "y": [at[node.code][1] for node in chosen],
                    "name": [node.name for node in chosen],
                }
            ),
            marker="square",
            size=size,
            fill_color=palette["surface"],
            line_color=colour,
            line_width=1.4,
        )


def _words(plot: figure, middles: Mapping[str, Sequence[float]], palette: Palette) -> None:
    count = len(middles["x"])
    text = {"text_font": {"value": FONT}, "text_font_size": "11px"}
    columns = ("x", "y", "text", "align", "base", "dx", "dy")
    plate = {"background_fill_color": palette["surface"], "background_fill_alpha": 0.82}
    plot.text(
        x="x",
        y="y",
        text="text",
        text_align="align",
        text_baseline="base",
        x_offset="dx",
        y_offset="dy",
        source=ColumnDataSource({name: [] for name in columns}, name="names"),
        text_color=palette["ink-2"],
        **text,
        **plate,
    )
    plot.text(
        x="x",
        y="y",
        text="text",
        source=ColumnDataSource(
            {
                **middles,
                "text": [""] * count,
                "colour": [palette["ink-2"]] * count,
                "style": ["normal"] * count,
            },
            name="loadings",
        ),
        text_color="colour",
        text_font_style="style",
        text_align="center",
        text_baseline="middle",
        **text,
        **plate,
    )


def _frames(watched: Sequence[Line], palette: Palette) -> dict[str, Any]:
    return {
        "names": [line.name for line in watched],
        "before": [list(line.before_percent or []) for line in watched],
        "after": [list(line.after_percent or line.before_percent or []) for line in watched],
        "colours": {
            "quiet": palette["ink-2"],
            "over": palette["crit"],
        },
    }


def _views(
    nodes: Sequence[Node],
    views: Sequence[View],
    at: Mapping[str, Point],
    middles: Mapping[str, Sequence[float]],
    watched: Sequence[Line],
) -> list[dict[str, Any]]:
    ends = {end for line in watched for end in (line.start, line.end)}
    first = sorted(nodes, key=lambda node: (node.code not in ends, -node.voltage_kv, node.code))
    taken = list(zip(middles["x"], middles["y"], strict=True))
    made = []
    for view in views:
        box = view_box(
            [at[code] for code in sorted(view.nodes)],
            padding_ratio=(
                SURROUNDINGS_PADDING_RATIO if view.key.startswith("line:") else AREA_PADDING_RATIO
            ),
        )
        labels = place_labels(box, [(node.name, at[node.code]) for node in first], taken)
        made.append({"key": view.key, "name": view.name, "box": box, "labels": labels})
    return made


def views_of(
    nodes: Sequence[Node],
    lines: Sequence[Line],
    area_names: Mapping[str, str],
    words: Mapping[str, str],
) -> list[View]:
    """Offer the surroundings of lines with a need, each area with a watched line, and all.

    `words` gives ``around`` (with ``{name}``) and ``all``.
    """
    known = {node.code: node for node in nodes}
    views: list[View] = []
    covered: set[str] = set()
    for line in lines:
        if not line.has_need or line.start in covered or line.end in covered:
            continue
        ends = frozenset(code for code in (line.start, line.end) if code in known)
        if ends:
            covered |= ends
            name = words["around"].format(name=line.name)
            views.append(View(key=f"line:{line.code}", name=name, nodes=ends))
    watched_areas = {
        known[end].area_code
        for line in lines
        if line.before_percent is not None
        for end in (line.start, line.end)
        if end in known
    }
    for code in sorted(watched_areas):
        members = frozenset(node.code for node in nodes if node.area_code == code)
        views.append(View(key=f"area:{code}", name=area_names.get(code, code), nodes=members))
    if known and len(watched_areas) != 1:
        views.append(View(key="all", name=words["all"], nodes=frozenset(known)))
    return views
