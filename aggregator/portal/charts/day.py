"""Charts over the 48 half hours of a day: need and award, price, loading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Label,
    LinearColorMapper,
    Range1d,
    Span,
    TapTool,
)
from bokeh.plotting import figure
from bokeh.transform import transform
from django.utils.translation import gettext

from aggregator.portal.tokens import FONT, Palette
from aggregator.portal.words import clock, koma_full, number

HALF_HOURS = 48
GAP = 0.06  # between the bars of neighbouring half hours, of their width
LOADING_LOW_PERCENT, LOADING_HIGH_PERCENT = 40, 120
OVER_PERCENT = 100
NICE_STEPS = (1, 2, 2.5, 5, 10)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers that cover ``low … high``."""
    spread = max(high - low, 1e-9)
    power = 10 ** math.floor(math.log10(spread / count))
    step = next(nice * power for nice in NICE_STEPS if nice * power >= spread / count)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * i, 9) for i in range(first, last + 1)]


def day_figure(low: float, high: float, *, digits: int = 0) -> figure:
    """Return an empty chart over a day; numeric axes, so that no zone can slip in."""
    marks = ticks(low, high)
    plot = figure(sizing_mode="stretch_both", tools="")
    plot.x_range = Range1d(0, HALF_HOURS)
    plot.y_range = Range1d(marks[0], marks[-1])
    hours = list(range(0, HALF_HOURS + 1, 6))
    plot.xaxis.ticker = FixedTicker(ticks=hours)
    plot.xaxis.major_label_overrides = {t: clock(t) for t in hours}
    plot.xgrid.grid_line_color = None
    shown_digits = max(digits, 0 if all(mark == int(mark) for mark in marks) else 1)
    plot.yaxis.ticker = FixedTicker(ticks=marks)
    plot.yaxis.major_label_overrides = {mark: number(mark, shown_digits) for mark in marks}
    return plot


def stairs(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return corners of a step line: no half hour is smoothed into the next."""
    x = [edge for t in range(len(values)) for edge in (t, t + 1)]
    return x, [value for value in values for _ in range(2)]


def label(plot: figure, x: float, y: float, text: str, **style: object) -> None:
    """Write a word into the chart."""
    plot.add_layout(Label(x=x, y=y, text=text, **{"text_font": FONT, **style}))


@dataclass(frozen=True, kw_only=True)
class NeedChart:
    """Numbers of the need chart in MW at t = 0…47; `is_down` draws below zero."""

    need_mw: Sequence[float]
    parts: Sequence[tuple[str, str, Sequence[float]]]  # mechanism, its word, MW
    unserved_mw: Sequence[float]
    is_down: bool
    words: Mapping[str, str]  # need, unserved


def need_figure(chart: NeedChart, palette: Palette) -> figure:
    """Draw what was asked (line), who served it (stack) and what nobody did (hatched)."""
    sign = -1.0 if chart.is_down else 1.0
    peak = max([*chart.need_mw, 0.1]) * 1.12
    plot = day_figure(min(0.0, sign * peak), max(0.0, sign * peak))
    floor = [0.0] * HALF_HOURS
    bars = []
    for mechanism, word, part in chart.parts:
        top = [f + p for f, p in zip(floor, part, strict=True)]
        at = [t for t in range(HALF_HOURS) if part[t] > 0]
        bars.append(
            plot.quad(
                left="left",
                right="right",
                bottom="bottom",
                top="top",
                source=_bars(at, floor, top, sign, word),
                fill_color=palette.mechanism(mechanism),
                line_color=palette["surface"],
                line_width=1,
            )
        )
        floor = top
    at = [t for t in range(HALF_HOURS) if chart.unserved_mw[t] > 0]
    top = [f + u for f, u in zip(floor, chart.unserved_mw, strict=True)]
    bars.append(
        plot.quad(
            left="left",
            right="right",
            bottom="bottom",
            top="top",
            source=_bars(at, floor, top, sign, chart.words["unserved"]),
            fill_color=palette["crit-weak"],
            line_color=palette["crit"],
            hatch_pattern="right_diagonal_line",
            hatch_color=palette["crit"],
            hatch_scale=7,
            hatch_weight=1,
        )
    )
    x, y = stairs([sign * value for value in chart.need_mw])
    plot.line(x, y, line_color=palette["ink"], line_width=1.8)
    plot.add_layout(Span(location=0, dimension="width", line_color=palette["line-strong"]))
    t = max(range(HALF_HOURS), key=lambda i: (chart.need_mw[i], -i))
    if chart.need_mw[t] > 0:
        _need_label(plot, chart, palette, t, sign)
    plot.add_tools(
        HoverTool(renderers=bars, tooltips=[("", "@name @mw MW"), ("", "@when")], mode="mouse")
    )
    return plot


def _need_label(plot: figure, chart: NeedChart, palette: Palette, t: int, sign: float) -> None:
    late = t > HALF_HOURS * 0.7
    label(
        plot,
        t if late else t + 1,
        sign * chart.need_mw[t],
        f"{chart.words['need']} {number(chart.need_mw[t], 1)}",
        text_color=palette["ink"],
        text_font_style="bold",
        text_align="right" if late else "left",
        text_baseline="top" if chart.is_down else "bottom",
        x_offset=-5 if late else 5,
        y_offset=-3 if chart.is_down else 3,
    )


def _bars(
    at: Sequence[int], bottom: Sequence[float], top: Sequence[float], sign: float, name: str
) -> ColumnDataSource:
    return ColumnDataSource(
        {
            "left": [t + GAP for t in at],
            "right": [t + 1 - GAP for t in at],
            "bottom": [round(sign * bottom[t], 4) for t in at],
            "top": [round(sign * top[t], 4) for t in at],
            "name": [name for _ in at],
            "mw": [number(top[t] - bottom[t], 1) for t in at],
            "when": [koma_full(t) for t in at],
        }
    )


@dataclass(frozen=True, kw_only=True)
class PriceChart:
    """Prices in JPY/kWh at t = 0…47; None where none was published."""

    area_name: str
    place_name: str
    area: Sequence[float | None]
    place: Sequence[float | None]


def price_figure(chart: PriceChart, palette: Palette) -> figure:
    """Draw the area's price, the place's price and, between them, what congestion adds."""
    known = [value for value in (*chart.area, *chart.place) if value is not None]
    low, high = min([*known, 0.0]), max([*known, 1.0])
    plot = day_figure(low, high * 1.12)
    both = [
        (t, area, place)
        for t, (area, place) in enumerate(zip(chart.area, chart.place, strict=True))
        if area is not None and place is not None and area != place
    ]
    plot.quad(
        left=[t for t, _, _ in both],
        right=[t + 1 for t, _, _ in both],
        bottom=[area for _, area, _ in both],
        top=[place for _, _, place in both],
        fill_color=palette["high"],
        fill_alpha=0.22,
        line_color=None,
    )
    for values, colour, width in (
        (chart.area, palette["ink-2"], 1.5),
        (chart.place, palette["high"], 2),
    ):
        x, y = stairs([math.nan if value is None else value for value in values])
        plot.line(x, y, line_color=colour, line_width=width)
    if low < 0:
        plot.add_layout(Span(location=0, dimension="width", line_color=palette["line-strong"]))
    _price_labels(plot, chart, palette)
    cells = _price_cells(chart, low, high)
    hover = plot.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source=cells,
        fill_alpha=0,
        line_alpha=0,
    )
    plot.add_tools(
        HoverTool(
            renderers=[hover],
            tooltips=[
                ("", "@when"),
                (chart.place_name, "@place"),
                (chart.area_name, "@area"),
            ],
        )
    )
    return plot


def _price_cells(chart: PriceChart, low: float, high: float) -> ColumnDataSource:
    unit = gettext("円/kWh")

    def shown(value: float | None) -> str:
        return "—" if value is None else f"{number(value, 2)} {unit}"

    return ColumnDataSource(
        {
            "left": list(range(HALF_HOURS)),
            "right": list(range(1, HALF_HOURS + 1)),
            "bottom": [low] * HALF_HOURS,
            "top": [high * 1.12] * HALF_HOURS,
            "when": [koma_full(t) for t in range(HALF_HOURS)],
            "area": [shown(value) for value in chart.area],
            "place": [shown(value) for value in chart.place],
        }
    )


def _price_labels(plot: figure, chart: PriceChart, palette: Palette) -> None:
    known = [t for t in range(HALF_HOURS) if chart.place[t] is not None]
    if not known:
        return
    t = max(known, key=lambda i: (chart.place[i] or 0.0, -i))
    right = t > HALF_HOURS * 0.55
    label(
        plot,
        t if right else t + 1,
        chart.place[t] or 0.0,
        f"{chart.place_name} {number(chart.place[t] or 0.0, 2)}",
        text_color=palette["high"],
        text_font_style="bold",
        text_align="right" if right else "left",
        text_baseline="middle",
        x_offset=-6 if right else 6,
    )
    first = next((i for i in range(HALF_HOURS) if chart.area[i] is not None), None)
    if first is not None:
        label(
            plot,
            first + 0.5,
            chart.area[first] or 0.0,
            f"{chart.area_name}",
            text_baseline="bottom",
            y_offset=3,
        )


@dataclass(frozen=True, kw_only=True)
class LoadingRow:
    """One element of the heat map; loadings in percent at t = 0…47."""

    name: str
    before_percent: Sequence[float]
    after_percent: Sequence[float] | None


def loading_figure(rows: Sequence[LoadingRow], palette: Palette, *, t: int) -> figure:
    """Draw element × half hour, grey until it matters; the chosen half hour is boxed."""
    plot = day_figure(0, max(len(rows), 1))
    plot.y_range = Range1d(max(len(rows), 1) - 0.5, -0.5)
    plot.yaxis.ticker = FixedTicker(ticks=list(range(len(rows))))
    plot.yaxis.major_label_overrides = {i: row.name for i, row in enumerate(rows)}
    plot.yaxis.major_label_text_color = palette["ink"]
    plot.ygrid.grid_line_color = None
    after = [row.after_percent or row.before_percent for row in rows]
    cells = {
        "x": [i % HALF_HOURS + 0.5 for i in range(HALF_HOURS * len(rows))],
        "y": [i // HALF_HOURS for i in range(HALF_HOURS * len(rows))],
        "before": [value for row in rows for value in row.before_percent],
        "after": [value for row in after for value in row],
    }
    source = ColumnDataSource({**cells, "shown": cells["before"]}, name="cells")
    mapper = LinearColorMapper(
        palette=palette.loading_ramp, low=LOADING_LOW_PERCENT, high=LOADING_HIGH_PERCENT
    )
    cell = plot.rect(
        x="x",
        y="y",
        width=0.92,
        height=0.86,
        source=source,
        fill_color=transform("shown", mapper),
        line_color=None,
        nonselection_fill_alpha=1,
    )
    marks = _peaks(rows, after)
    plot.text(
        x="x",
        y="y",
        text="text",
        source=ColumnDataSource(marks, name="peaks"),
        text_color=palette.on_load,
        text_align="center",
        text_baseline="middle",
        text_font={"value": FONT},
        text_font_size="10px",
        text_font_style="bold",
    )
    plot.add_layout(
        BoxAnnotation(
            name="half-hour",
            left=t,
            right=t + 1,
            fill_color=None,
            line_color=palette["ink"],
            line_width=1,
        )
    )
    plot.add_tools(
        HoverTool(renderers=[cell], tooltips=[("", "@shown{0} %")]),
        TapTool(renderers=[cell]),
    )
    return plot


def _peaks(rows: Sequence[LoadingRow], after: Sequence[Sequence[float]]) -> dict[str, list[object]]:
    """Place and number of each row's maximum, before and after, printed where 100 % is reached."""
    columns: dict[str, list[object]] = {"y": list(range(len(rows)))}
    for when, values in (("before", [row.before_percent for row in rows]), ("after", after)):
        peaks = [max(row, default=0.0) for row in values]
        columns[f"x_{when}"] = [
            row.index(peak) + 0.5 if row else 0.0 for row, peak in zip(values, peaks, strict=True)
        ]
        columns[f"text_{when}"] = [
            f"{peak:.0f}" if round(peak) >= OVER_PERCENT else "" for peak in peaks
        ]
    columns["x"], columns["text"] = columns["x_before"], columns["text_before"]
    return columns
